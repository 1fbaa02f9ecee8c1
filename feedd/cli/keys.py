"""Commands for the API keys."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
import typer

from feedd.cli.backend import connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import clock, emit, plain, say, table
from feedd.errors import UsageError
from feedd.model import ApiKey
from feedd.scopes import check_scopes

SCOPES = ("read", "write")
_KEEP = "--keep 24h"
_MOST_KEEP_S = 365 * 86_400


def create(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="What it is for: shop-site, warehouse.")],
    private: Annotated[bool, typer.Option("--private", help="A secret, for servers.")] = False,
    public: Annotated[bool, typer.Option("--public", help="No secret, for web pages.")] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What a private key may do, as often as needed: read, write, or of one kind of thing, profiles:read."
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="A private key that can change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an API key. A private one is shown this once, and stored as a hash."""
    if private == public:
        raise UsageError("say which kind of key", hint="Give --private or --public.")
    if public and (read_only or scope):
        raise UsageError("a public key has no scopes", hint="Leave --read-only and --scope out.")
    if read_only and scope:
        raise UsageError("--read-only is --scope read", hint="Give one of the two.")
    if not name.strip() or not name.isprintable() or len(name) > 200:
        raise UsageError("the name is empty, too long or not printable", hint="--name shop-site")
    wanted = ["read"] if read_only else scope or SCOPES
    scopes = () if public else check_scopes(wanted)
    with connect(options_of(context)) as backend:
        made, key = backend.create_key(
            kind="private" if private else "public", name=name, scopes=scopes
        )
    if as_json:
        emit({"key": key, "name": made.name, "kind": made.kind, "scopes": made.scopes})
        return
    _show_text(made, key)


def _show_text(made: ApiKey, key: str) -> None:
    say(key)
    if made.kind == "private":
        say("Keep it now: it is not shown again. Send it as", stderr=True)
        say("  Authorization: Klaviyo-API-Key pk_…", stderr=True)


def _object_of(key: ApiKey) -> dict[str, Any]:
    """A key as JSON. How it begins is what names it, so its number is left out."""
    return {name: value for name, value in msgspec.structs.asdict(key).items() if name != "id"}


def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """The API keys, without their secrets."""
    with connect(options_of(context)) as backend:
        found = backend.list_keys()
    if as_json:
        for key in found:
            emit(_object_of(key))
        return
    if not found:
        say("No keys. Make one: feedd key create --private --name shop-site")
        return
    table(
        ("begins with", "name", "kind", "scopes", "made", "ends", "revoked"),
        [
            (
                key.prefix,
                key.name,
                key.kind,
                " ".join(key.scopes),
                clock(key.created_at),
                key.expires_at,
                key.revoked_at,
            )
            for key in found
        ],
    )


def rotate(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="How it begins, as `key list` shows it.")],
    *,
    keep: Annotated[
        str, typer.Option(help="For how long the old one goes on beside the new one: 24h.")
    ] = "0s",
    as_json: AsJson = False,
) -> None:
    """Replace an API key by a new one of the same name, kind and scopes."""
    from feedd.settings.values import WrongValueError, seconds_of

    try:
        keep_s = seconds_of(keep, _KEEP)
    except WrongValueError as error:
        raise UsageError(f"--keep: {error.message}", hint=error.hint) from error
    if keep_s > _MOST_KEEP_S:
        raise UsageError("--keep: the old key goes on for a year at most", hint=_KEEP)
    with connect(options_of(context)) as backend:
        old, new, key = backend.rotate_key(prefix, keep=timedelta(seconds=keep_s))
    if as_json:
        emit(
            {
                "key": key,
                "name": new.name,
                "kind": new.kind,
                "scopes": new.scopes,
                "old": _object_of(old),
            }
        )
        return
    _show_text(new, key)
    until = (
        "no more" if old.expires_at is None or old.revoked_at else f"until {clock(old.expires_at)}"
    )
    say(f"The old one ({plain(old.prefix)}) works {until}.", stderr=True)


def revoke(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="How it begins, as `key list` shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make an API key useless, at once."""
    with connect(options_of(context)) as backend:
        key = backend.revoke_key(prefix)
    if as_json:
        emit(_object_of(key))
    else:
        say(f"Revoked {plain(key.name)} ({plain(key.prefix)}).")
