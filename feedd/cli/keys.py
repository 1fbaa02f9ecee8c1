"""Commands for the API keys."""

from typing import Annotated

import typer

from feedd.cli.backend import connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import clock, emit, plain, say, table
from feedd.errors import UsageError

SCOPES = ("read", "write")


def create(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="What it is for: shop-site, warehouse.")],
    private: Annotated[bool, typer.Option("--private", help="A secret, for servers.")] = False,
    public: Annotated[bool, typer.Option("--public", help="No secret, for web pages.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="A private key that can change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an API key. A private one is shown this once, and stored as a hash."""
    if private == public:
        raise UsageError("say which kind of key", hint="Give --private or --public.")
    if public and read_only:
        raise UsageError("a public key has no scopes", hint="Leave --read-only out.")
    if not name.strip() or not name.isprintable() or len(name) > 200:
        raise UsageError("the name is empty, too long or not printable", hint="--name shop-site")
    scopes = () if public else SCOPES[:1] if read_only else SCOPES
    with connect(options_of(context)) as backend:
        made, key = backend.create_key(
            kind="private" if private else "public", name=name, scopes=scopes
        )
    if as_json:
        emit({"key": key, "name": made.name, "kind": made.kind, "scopes": made.scopes})
        return
    say(key)
    if private:
        say("Keep it now: it is not shown again. Send it as", stderr=True)
        say("  Authorization: Klaviyo-API-Key pk_…", stderr=True)


def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """The API keys, without their secrets."""
    with connect(options_of(context)) as backend:
        found = backend.list_keys()
    if as_json:
        for key in found:
            emit(key)
        return
    if not found:
        say("No keys. Make one: feedd key create --private --name shop-site")
        return
    table(
        ("begins with", "name", "kind", "scopes", "made", "revoked"),
        [
            (
                key.prefix,
                key.name,
                key.kind,
                " ".join(key.scopes),
                clock(key.created_at),
                key.revoked_at,
            )
            for key in found
        ],
    )


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
        emit(key)
    else:
        say(f"Revoked {plain(key.name)} ({plain(key.prefix)}).")
