"""Feed formats: from a body to raw records, and from a raw record to a dict. Pure.

Slicing finds the borders of the records with bounded memory and decodes nothing; decoding is only asked for records
that are new. The law between the two: where the borders are certain, a broken record is a `Problem` of its own; where
they are not, the whole body is a `FormatError`, of the one or the other. A body is known to be whole once it was sliced to
its end and each of its slices was decoded, now or, under the same context, before.

To add a format: write a module with `slices`, `around`, a `decode` and a `salvage`, give it a line in `FORMATS` and a way to be
told in `recognize`, pairs of files in `tests/data/formats/`, and its places in
`places`, its name among the choices of `format` in
`settings/feed_keys.py` and `docs/configuration.md`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from feedd.formats import json_document, json_lines, json_records, xml_document, xml_records
from feedd.formats.recognize import recognize
from feedd.model import Layout, Problem, Slices, Wanted

__all__ = ["FORMATS", "Format", "recognize"]


@dataclass(frozen=True)
class Format:
    """One feed format.

    `slices(stream, layout, charset)` gives the records of a body in order, in batches of some hundred; `charset` is
    what the HTTP header said. The raws are `bytes` or `msgspec.Raw` (a view that keeps its batch in memory: hash it
    as it is, take `bytes(raw)` to keep it), in UTF-8 unless the feed's own bytes are broken. They stay valid.
    `decode(slices, layout)` gives one dict or Problem for each raw; it takes any sub-batch. It raises a FormatError for a raw
    that cannot be a record of any body, because its own structure is broken; the position in it counts from that of the slices.
    `around(stream, layout, charset, wanted)` gives what stands at each of some places outside the records. It never raises.
    `salvage(raw, context, layout)` gives what can be read of a raw that `decode` made a Problem of, or None.
    """

    name: str
    slices: Callable[[BinaryIO, Layout, str | None], Iterator[Slices]]
    decode: Callable[[Slices, Layout], list[dict[str, Any] | Problem]]
    salvage: Callable[[bytes, bytes, Layout], dict[str, Any] | None]
    around: Callable[[BinaryIO, Layout, str | None, Sequence[Wanted]], list[list[Any]]]


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format(
            "json",
            json_document.slices,
            json_records.decode,
            json_records.salvage,
            json_document.around,
        ),
        Format(
            "jsonl", json_lines.slices, json_records.decode, json_records.salvage, json_lines.around
        ),
        Format(
            "xml", xml_document.slices, xml_records.decode, xml_records.salvage, xml_document.around
        ),
    )
}
