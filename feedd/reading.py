"""How the bodies of a feed are read: what is configured, what a guess fills in, and what stands for both."""

from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from feedd.errors import FeedError
from feedd.model import ONE_PAGE, Guess, Layout
from feedd.normalize import Plan, compile_plan, parse_source
from feedd.schema import PLAIN, SchemaError, load_schema


class Reading(Struct, frozen=True, kw_only=True):
    """How the bodies of one feed are read: what its configuration says beyond where to fetch it.

    `base` is the address that relative links build on, unless the body names another.
    `pages` is how the pages of its source are followed, `ONE_PAGE` if one is known to be all, None if nobody has said.
    """

    schema: str | None = None
    base_dir: str | None = None
    items: str | None = None
    fields: dict[str, Any] = {}
    currency: str | None = None
    format: str | None = None
    doctype: bool = False
    max_removed: float = 0.3
    base: str | None = None
    encoding: str | None = None
    pages: str | None = None


def settled(reading: Reading, guess: Guess | None) -> Reading | None:
    """The reading with what it leaves open filled in by a guess; None where that takes another guess."""
    if reading.schema is not None and reading.items is not None:
        return reading
    if guess is None or guess.basis != _basis(reading):
        return None
    return filled(reading, guess)


def filled(reading: Reading, guess: Guess) -> Reading:
    """The reading with what it leaves open as it was guessed."""
    return msgspec.structs.replace(
        reading,
        schema=reading.schema or guess.schema,
        items=guess.items if reading.items is None else reading.items,
    )


def _basis(reading: Reading) -> str:
    """What stands for all in a reading that a guess hangs on."""
    fields = sorted(reading.fields.items())
    decides = [reading.schema, reading.base_dir, reading.items, fields, reading.format]
    if reading.encoding is not None:
        decides.append(reading.encoding)
    return sha256(msgspec.json.encode(decides)).hexdigest()


def plan_of(reading: Reading) -> Plan:
    """The compiled schema of a settled reading.

    Raises:
        FeedError: (`schema`) the schema cannot be used.
    """
    return compiled(document_of(reading), reading)


def document_of(reading: Reading) -> dict[str, Any]:
    """The checked schema of a settled reading, bundled.

    Raises:
        FeedError: (`schema`) the schema cannot be used.
    """
    base_dir = None if reading.base_dir is None else Path(reading.base_dir)
    try:
        return load_schema(reading.schema or PLAIN, base_dir=base_dir).document
    except (SchemaError, ValueError) as error:
        raise _schema_error(error) from error


def compiled(document: dict[str, Any], reading: Reading) -> Plan:
    """A schema compiled for a settled reading.

    Raises:
        FeedError: (`schema`) they do not fit.
    """
    try:
        return compile_plan(
            document,
            fields={name: parse_source(path) for name, path in reading.fields.items()},
            items=reading.items,
            default_currency=reading.currency,
        )
    except (SchemaError, ValueError) as error:
        raise _schema_error(error) from error


def _schema_error(error: Exception) -> FeedError:
    return FeedError("schema", str(error), hint="`feedd check` says more.")


def config_digest(plan: Plan, reading: Reading) -> bytes:
    """What stands for everything that decides how a body is read, by a settled reading."""
    base = reading.base if plan.reads_links else None
    decides: list[Any] = [reading.format, reading.doctype, base]
    if reading.encoding is not None or reading.pages is not None:
        decides += [reading.encoding, reading.pages]
    return plan.digest + msgspec.json.encode(decides)


def digest_of(reading: Reading, guess: Guess | None) -> bytes:
    """`config_digest` under a stored guess; nothing that ever matches where that does not settle the reading.

    Raises:
        FeedError: (`schema`) the schema cannot be used.
    """
    reading_now = settled(as_one_body(reading), guess)
    if reading_now is None:
        return b""
    return config_digest(plan_of(reading_now), reading_now)


def as_one_body(reading: Reading) -> Reading:
    """How the body is read that the fetcher makes of all pages of a source: it is the list of their records."""
    if reading.pages in (None, ONE_PAGE):
        return reading
    return msgspec.structs.replace(reading, items="", format="json")


def layout_of(plan: Plan, reading: Reading) -> Layout:
    """Where the records of a body are, and how it is written."""
    return msgspec.structs.replace(plan.layout, doctype=reading.doctype, encoding=reading.encoding)


def guess_of(reading: Reading, stream: BinaryIO, form: str, charset: str | None) -> Guess:
    """What a body in a known format is, where the reading leaves that open.

    Raises:
        FeedError: (`schema`) the schema cannot be used.
    """
    from feedd.guess import guess_body

    try:
        guess = guess_body(
            stream,
            form=form,
            charset=charset,
            schema=reading.schema,
            base_dir=None if reading.base_dir is None else Path(reading.base_dir),
            items=reading.items,
            fields=reading.fields,
            doctype=reading.doctype,
            encoding=reading.encoding,
        )
    except (SchemaError, ValueError) as error:
        raise _schema_error(error) from error
    return msgspec.structs.replace(guess, basis=_basis(reading))
