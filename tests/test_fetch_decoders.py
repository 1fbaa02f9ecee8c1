"""Content-Encoding: what comes out is what went in, in pieces of bounded size, or an error."""

import contextlib
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from feedd.errors import FetchError
from feedd.fetch.decoders import decoded

MIB = 2**20
BODY = b"".join(b'{"id":"%d","title":"A thing"}\n' % n for n in range(20_000))


def gzip(data: bytes) -> bytes:
    return zlib.compress(data, wbits=16 + zlib.MAX_WBITS)


def bare_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODERS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("gzip", gzip),
    ("x-gzip", gzip),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("br", brotli.compress),
    ("zstd", zstd),
)
encoders = pytest.mark.parametrize(
    ("name", "encode"), ENCODERS, ids=[f"{name}-{make.__name__}" for name, make in ENCODERS]
)


def split(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def decode(data: bytes, name: str | None, size: int = 65_536) -> bytes:
    return b"".join(decoded(split(data, size), name))


@pytest.mark.parametrize("name", [None, "", "identity", " Identity "])
def test_a_plain_body_passes_as_it_is(name: str | None):
    assert decode(BODY, name) == BODY


@encoders
@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
def test_an_encoded_body_comes_out_whole_however_it_was_cut(
    name: str, encode: Callable[[bytes], bytes], size: int
):
    assert decode(encode(BODY), name, size) == BODY


@encoders
@given(data=st.binary(max_size=300), size=st.integers(1, 50))
def test_decoding_undoes_encoding(
    name: str, encode: Callable[[bytes], bytes], data: bytes, size: int
):
    assert decode(encode(data), name, size) == data


@encoders
@given(data=st.binary(max_size=300), cut=st.integers(1, 400))
def test_a_cut_body_is_an_error(name: str, encode: Callable[[bytes], bytes], data: bytes, cut: int):
    encoded = encode(data)
    with pytest.raises(FetchError) as raised:
        decode(encoded[: max(0, len(encoded) - cut)], name)
    assert raised.value.code in ("cut_short", "bad_encoding")


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@given(data=st.binary(max_size=300), size=st.integers(1, 50))
def test_any_bytes_give_a_body_or_an_error(name: str, data: bytes, size: int):
    with contextlib.suppress(FetchError):
        decode(data, name, size)


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("body", [b"<html>not encoded at all</html>", b'[{"id": 1}]'])
def test_a_body_that_is_not_what_its_header_says_is_an_error(name: str, body: bytes):
    with pytest.raises(FetchError) as raised:
        decode(body, name)
    assert raised.value.code in ("cut_short", "bad_encoding")
    assert name in raised.value.message


@pytest.mark.parametrize("name", ["gzip, br", "gzip, gzip", "compress", "zip", "gzip;q=1", "*"])
def test_anything_but_one_known_coding_is_refused(name: str):
    with pytest.raises(FetchError) as raised:
        decoded([gzip(BODY)], name)
    assert raised.value.code == "bad_encoding"


@pytest.mark.parametrize("size", [1, 7, 10**9])
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gzip", gzip(b"one") + gzip(b"two")),
        ("gzip", gzip(b"one") + b"\0" * 40 + gzip(b"two") + b"\0" * 512),
        ("zstd", zstd(b"one") + zstd(b"two")),
        ("zstd", zstd(b"one") + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + zstd(b"two")),
    ],
)
def test_a_body_of_several_members_is_one_body(name: str, body: bytes, size: int):
    assert decode(body, name, size) == b"onetwo"


@pytest.mark.parametrize(
    ("name", "encode"), [("gzip", gzip), ("br", brotli.compress), ("zstd", zstd)]
)
def test_bytes_behind_the_end_are_an_error(name: str, encode: Callable[[bytes], bytes]):
    with pytest.raises(FetchError) as raised:
        decode(encode(b"whole") + b"<script>", name)
    assert raised.value.code in ("bad_encoding", "cut_short")


def test_a_zstd_window_over_the_limit_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(FetchError) as raised:
        decode(encoder.compress(BODY) + encoder.flush(), "zstd")
    assert raised.value.code == "bad_encoding"


def bomb(name: str, mib: int) -> bytes:
    """That many MiB of zeros, encoded."""
    if name == "gzip":
        deflater = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
        return b"".join([*(deflater.compress(bytes(MIB)) for _ in range(mib)), deflater.flush()])
    if name == "br":
        encoder = brotli.Compressor(quality=5)
        return b"".join([*(encoder.process(bytes(MIB)) for _ in range(mib)), encoder.finish()])
    parts = zstandard.ZstdCompressor().compressobj()
    return b"".join([*(parts.compress(bytes(MIB)) for _ in range(mib)), parts.flush()])


@pytest.mark.parametrize(
    ("name", "piece_bytes"), [("gzip", MIB // 4), ("br", MIB), ("zstd", 16 * MIB)]
)
def test_a_bomb_comes_out_in_bounded_pieces(name: str, piece_bytes: int):
    body = bomb(name, 128)
    assert len(body) < 140_000
    sizes = [len(piece) for piece in decoded([body], name)]
    assert sum(sizes) == 128 * MIB
    assert max(sizes) <= piece_bytes


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_a_bomb_takes_no_more_memory_than_its_pieces(name: str):
    body = bomb(name, 128)
    tracemalloc.start()
    try:
        for _ in decoded([body], name):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 * MIB


def test_a_bomb_in_a_bomb_is_decoded_once():
    inner = bomb("gzip", 64)
    assert decode(gzip(inner), "gzip") == inner
