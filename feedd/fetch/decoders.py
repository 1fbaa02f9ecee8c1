"""Bounded decoders for Content-Encoding: whatever the input, they give it in pieces of at most 16 MiB.

httpx's own decoders expand each chunk whole: 809 bytes of brotli become a gigabyte in memory.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli
import zstandard

from feedd.errors import FetchError

PIECE = 256 * 1024
ZSTD_WINDOW = 8 * 2**20  # what RFC 9659 lets a server ask for
ZSTD_BITE = 512  # a block of 4 bytes can stand for 128 KiB, so a bite gives 16 MiB at most
ACCEPT_ENCODING = "gzip, br, zstd"


def decoded(chunks: Iterable[bytes], encoding: str | None) -> Iterator[bytes]:
    """The body that the chunks encode, in pieces of bounded size.

    Raises:
        FetchError: (`bad_encoding`, `cut_short`).
    """
    name = (encoding or "identity").strip().lower()
    if name in ("", "identity"):
        return iter(chunks)
    decode = {
        "gzip": _gzip,
        "x-gzip": _gzip,
        "deflate": _deflate,
        "br": _brotli,
        "zstd": _zstd,
    }.get(name)
    if decode is None:
        raise FetchError(
            "bad_encoding",
            f"the body has the content encoding {name[:40]!r}, which feedd does not take",
            hint="One of gzip, br and zstd, once; or none.",
        )
    return decode(chunks)


def gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a gzip file holds, all of its members, in pieces of bounded size.

    Raises:
        FetchError: (`bad_archive`, `cut_short`).
    """
    return _inflate(chunks, 16 + zlib.MAX_WBITS, "gzip", members=True, bad=_bad_file)


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return _inflate(chunks, 16 + zlib.MAX_WBITS, "gzip", members=True)


def _deflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    chunks = iter(chunks)
    first = next(chunks, b"")
    # RFC 9110 says zlib's format; some servers send the bare stream
    bits = zlib.MAX_WBITS if first[:1] and first[0] & 0x0F == 8 else -zlib.MAX_WBITS

    def all_chunks() -> Iterator[bytes]:
        yield first
        yield from chunks

    return _inflate(all_chunks(), bits, "deflate", members=False)


def _inflate(
    chunks: Iterable[bytes],
    bits: int,
    name: str,
    *,
    members: bool,
    bad: Callable[[str], FetchError] | None = None,
) -> Iterator[bytes]:
    decoder = zlib.decompressobj(bits)
    for chunk in chunks:
        data = chunk
        while True:
            if decoder.eof:
                data = data.lstrip(b"\0") if members else b""  # padding between or after members
                if not data:
                    break
                decoder = zlib.decompressobj(bits)
            try:
                piece = decoder.decompress(data, PIECE)
            except zlib.error as error:
                raise (bad or _bad)(name) from error
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if piece:
                yield piece
            elif not data:
                break
    if not decoder.eof:
        raise _cut_short(name)


def _brotli(chunks: Iterable[bytes]) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    for chunk in chunks:
        data = chunk
        while True:
            try:
                piece = decoder.process(data, output_buffer_limit=PIECE)
            except brotli.error as error:
                raise _bad("br") from error
            if piece:
                yield piece
            data = b""
            # it may hold output back though it says that it takes more input: only an empty piece is the end
            if not piece or decoder.is_finished():
                break
    if not decoder.is_finished():
        raise _cut_short("br")


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    decoder = context.decompressobj()
    for chunk in chunks:
        for start in range(0, len(chunk), ZSTD_BITE):
            data = chunk[start : start + ZSTD_BITE]
            while data:
                if decoder.eof:
                    decoder = context.decompressobj()
                try:
                    piece = decoder.decompress(data)
                except zstandard.ZstdError as error:
                    raise _bad("zstd") from error
                data = decoder.unused_data if decoder.eof else b""
                if piece:
                    yield piece
    if not decoder.eof:
        raise _cut_short("zstd")


def _bad(name: str) -> FetchError:
    return FetchError(
        "bad_encoding",
        f"the body is not valid {name}, though its header says so",
        hint="The server, or a proxy before it, sets Content-Encoding wrongly.",
    )


def _bad_file(name: str) -> FetchError:
    return FetchError(
        "bad_archive",
        f"the {name} file is damaged",
        hint="Look at what makes it; nothing was changed.",
    )


def _cut_short(name: str) -> FetchError:
    return FetchError(
        "cut_short",
        f"the {name} body ends before its end",
        hint="The transfer broke off; nothing was changed. It is tried again at the next sync.",
    )
