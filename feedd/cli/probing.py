"""The command that looks at a feed before it is registered: probe."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from feedd.cli.options import AsJson, Options, options_of
from feedd.cli.probe_report import report_object, show_report
from feedd.cli.show import emit, plain_lines, say
from feedd.errors import ConfigError, UsageError
from feedd.settings.stanza import Stanza, feed_name, page_parameters, path_value

if TYPE_CHECKING:
    from feedd.fetch import FetchRequest
    from feedd.probe import Report, Wish
    from feedd.settings import Settings

NEW_CONFIG = """# Feeds stand in feeds.d/*.toml beside this file; docs/configuration.md has every key.
"""


def probe(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="URL|FILE", help="An address, a file, or a configured feed.")
    ],
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="What the feed is to be called.")
    ] = None,
    schema: Annotated[
        str | None, typer.Option("--schema", help="Read it with this schema; guessed otherwise.")
    ] = None,
    items: Annotated[
        str | None, typer.Option("--items", help="The path of the records; guessed otherwise.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", help="The currency of prices that name none.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="What a feed that is not UTF-8 is written in.")
    ] = None,
    member: Annotated[
        str | None, typer.Option("--member", help="Which file of a zip is the feed.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Register it: put the configuration into feeds.d/.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at a feed before registering it: what it is, what it would become, the configuration to paste."""
    from msgspec.structs import replace

    from feedd.configured import base_of
    from feedd.probe import Wish

    options = options_of(context)
    wish = Wish(
        schema=schema, items=items, currency=currency, encoding=encoding, base_dir=str(Path.cwd())
    )
    request, wish, configured = _asked(source, wish, options)
    wish = replace(wish, base=base_of(request.url))
    request = replace(request, member=member or request.member)
    report = _probed(request, wish)
    stanza = _stanza(name or feed_name(request.url), request, wish, report)
    if as_json:
        emit(report_object(request.url, report, stanza))
    else:
        show_report(request.url, report, None if configured else stanza)
    if write:
        if configured:
            raise UsageError(f"{source} is registered already", hint="Edit its part by hand.")
        _write(stanza, options, quiet=as_json)
    if report.error is not None or not report.usable:
        raise typer.Exit(1)


def _asked(source: str, wish: "Wish", options: Options) -> "tuple[FetchRequest, Wish, bool]":
    """What to fetch and how to read it; whether it is a feed of the configuration."""
    from feedd.fetch import FetchRequest

    if "://" in source and not source.lower().startswith("file:"):
        everywhere = ("0.0.0.0/0", "::/0")  # whoever types an address here may reach it anyway
        return FetchRequest(url=source, allow_private=everywhere), wish, False
    path = Path(source.partition("://")[2] if "://" in source else source)
    if path.is_file():
        found = path.resolve()
        request = FetchRequest(url=f"file://{quote(str(found))}", file_roots=(str(found.parent),))
        return request, wish, False
    feed = _configured(source, options)
    if feed is not None:
        return (*_as_configured(*feed, wish), True)
    hint = "An address begins with https://." if "/" not in source else "Check the path."
    raise UsageError(f"{source!r} is no address, no file and no configured feed", hint=hint)


def _configured(name: str, options: Options) -> "tuple[Any, Settings] | None":
    try:
        settings = options.checked_settings()
    except ConfigError:
        return None
    feed = settings.feeds.get(name)
    return None if feed is None else (feed, settings)


def _as_configured(feed: Any, settings: "Settings", wish: "Wish") -> "tuple[FetchRequest, Wish]":
    from msgspec.structs import replace

    from feedd.configured import request_of

    wish = replace(
        wish,
        schema=wish.schema or feed.schema,
        base_dir=str(feed.base_dir),
        items=feed.items if wish.items is None else wish.items,
        format=feed.format,
        fields=feed.fields,
        currency=wish.currency or feed.currency,
        doctype=feed.doctype,
        encoding=wish.encoding or feed.encoding,
    )
    return request_of(feed, settings), wish


def _probed(request: "FetchRequest", wish: "Wish") -> "Report":
    from feedd.configured import USER_AGENT
    from feedd.fetch import Fetcher
    from feedd.probe import probe as probe_feed
    from feedd.schema import SchemaError

    with tempfile.TemporaryDirectory(prefix="feedd-probe-") as folder:
        try:
            return probe_feed(
                request, wish, fetcher=Fetcher(user_agent=USER_AGENT), spool_dir=Path(folder)
            )
        except (SchemaError, ValueError) as error:
            raise UsageError(str(error)) from error


def _stanza(name: str, request: "FetchRequest", wish: "Wish", report: "Report") -> Stanza:
    from feedd.checks import private_networks
    from feedd.formats.json_pages import pages_toml
    from feedd.schema import shipped_schemas

    notes = []
    if not report.priced and wish.currency is None:
        notes.append('currency = "EUR"    # its prices name none: say which they are in')
    if report.error is not None and report.error.code == "doctype_forbidden":
        notes.append(
            "doctype = true    # reads it with its DOCTYPE: only if you trust where it comes from"
        )
    if any(each.rule == "bad_encoding" for each in report.rejects) and wish.encoding is None:
        notes.append('encoding = "windows-1251"    # its bytes are not UTF-8: say what they are in')
    if report.pages is None and report.guess.format == "json":
        notes += [
            f'pages = {{ query = "{each}" }}    # if the source goes on behind this page'
            for each in page_parameters(request.url)
        ]
    items = report.guess.items if wish.items is None else wish.items
    schema = report.guess.schema
    if schema not in shipped_schemas():  # a path is relative to the file that names it
        schema = str(Path.cwd() / schema)
    return Stanza(
        name=name,
        url=request.url,
        schema=schema,
        items=items,
        format=wish.format,
        currency=wish.currency,
        encoding=wish.encoding,
        member=request.member,
        doctype=wish.doctype,
        pages=None if report.pages is None else pages_toml(report.pages),
        allow_private=private_networks(request.url),
        fields={each.field: path_value(each.path) for each in report.proposals},
        notes=notes,
    )


def _write(stanza: Stanza, options: Options, *, quiet: bool) -> None:
    """Put a stanza into a drop-in beside the configuration; nothing is left behind that cannot be used."""
    from feedd.settings import find_config
    from feedd.settings.file import DROP_INS

    config = find_config(options.config, environ=os.environ, cwd=Path.cwd())
    made = [] if config is not None else [Path.cwd() / "feedd.toml"]
    if config is None:
        config = made[0]
        config.write_text(NEW_CONFIG)
    target = config.parent / DROP_INS / f"{stanza.name}.toml"
    try:
        target.parent.mkdir(exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            made.append(target)
            file.write(stanza.text())
        options.checked_settings()
    except FileExistsError:
        raise UsageError(f"{target} exists already", hint="Give another --name.") from None
    except ConfigError as error:
        for path in made:
            path.unlink()
        mine = [each for each in error.problems if each.file == str(target)] or error.problems
        said = "\n".join(plain_lines(str(each)) for each in mine)
        raise UsageError(f"not written: it would not be usable\n{said}") from error
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}") from error
    if not quiet:
        say(f"Written to {target}. Next: feedd resync {stanza.name}, or reload the daemon.")
    sys.stdout.flush()
