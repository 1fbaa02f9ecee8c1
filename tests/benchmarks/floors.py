"""What no ingestion can be quicker than, written bare: reading the file, its digest, its slices' hashes, decoding it.

    python floors.py FLOOR FORMAT FILE

prints the records it has seen, the seconds and the CPU seconds it took, the start of Python not included. None of feedd's code is used: these
loops know that the file is well-formed and where its records are, which feedd has to find out.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import xxhash
from lxml import etree

WINDOW = 256 * 1024
END_TAG = b"</item>"


def windows(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as stream:
        while window := stream.read(WINDOW):
            yield window


def read(_: str, path: str) -> int:
    for _window in windows(path):
        pass
    return 0


def sha256(_: str, path: str) -> int:
    digest = hashlib.sha256()
    for window in windows(path):
        digest.update(window)
    return 0


def json_windows(path: str, element: Any) -> Iterator[list[Any]]:
    """The elements of a top-level array, a window at a time: a cut at a brace is right if what lies before it decodes."""
    decode = msgspec.json.Decoder(list[element]).decode
    rest = b""
    for number, window in enumerate(windows(path)):
        # what stands between two elements may stand between two windows
        rest = (rest + (window if number else window.lstrip()[1:])).lstrip(b", \r\n\t")
        end = len(rest)
        while (end := rest.rfind(b"}", 0, end)) >= 0:
            try:
                found = decode(b"[%b]" % rest[: end + 1])
            except msgspec.DecodeError:
                continue
            yield found
            rest = rest[end + 1 :]
            break


def line_blocks(path: str) -> Iterator[bytes]:
    """Whole lines, some hundred at a time."""
    rest = b""
    for window in windows(path):
        block, newline, after = window.rpartition(b"\n")
        if not newline:
            rest += window
            continue
        yield rest + block
        rest = after
    if rest:
        yield rest


def slices(form: str, path: str) -> int:
    """The XXH3-128 of each record's bytes."""
    return _SLICES[form](path)


def _json_slices(path: str) -> int:
    digest = xxhash.xxh3_128_digest
    count = 0
    for raws in json_windows(path, msgspec.Raw):
        for raw in raws:
            digest(raw)
        count += len(raws)
    return count


def _jsonl_slices(path: str) -> int:
    digest = xxhash.xxh3_128_digest
    count = 0
    for block in line_blocks(path):
        lines = block.split(b"\n")
        for line in lines:
            digest(line)
        count += len(lines)
    return count


def _xml_slices(path: str) -> int:
    digest = xxhash.xxh3_128_digest
    count = 0
    rest = b""
    for window in windows(path):
        *items, rest = (rest + window).split(END_TAG)
        for item in items:
            digest(item)
        count += len(items)
    return count


_SLICES = {"json": _json_slices, "jsonl": _jsonl_slices, "xml": _xml_slices}


def small_slices(form: str, path: str) -> int:
    """As `slices`, in windows that the processor's cache holds."""
    global WINDOW  # noqa: PLW0603 (this process does nothing else)
    WINDOW = 64 * 1024
    return slices(form, path)


def decode(form: str, path: str) -> int:
    """Python values of each record, thrown away; of XML the elements."""
    if form == "json":
        return sum(len(values) for values in json_windows(path, Any))
    if form == "jsonl":
        values = msgspec.json.Decoder().decode_lines
        return sum(len(values(block)) for block in line_blocks(path))
    count = 0
    for _, item in etree.iterparse(path, tag="item"):
        count += 1
        item.clear()
        while item.getprevious() is not None:
            del item.getparent()[0]
    return count


FLOORS: dict[str, Callable[[str, str], int]] = {
    "read": read,
    "sha256": sha256,
    "slices": slices,
    "small slices": small_slices,
    "decode": decode,
}


def main() -> None:
    floor, form, path = sys.argv[1:]
    began, used = time.perf_counter(), time.process_time()
    records = FLOORS[floor](form, path)
    print(records, time.perf_counter() - began, time.process_time() - used)


if __name__ == "__main__":
    main()
