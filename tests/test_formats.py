"""Every format on small bodies: pairs of files in `data/formats`, the body and what it should give."""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from feedd.errors import FormatError
from feedd.formats import FORMATS
from feedd.model import Layout, Problem, Slices
from feedd.settings.feed_keys import FEED_KEYS

CASES = Path(__file__).parent / "data" / "formats"


def bodies() -> list[Path]:
    return sorted(path for path in CASES.iterdir() if ".expected" not in path.suffixes)


def read(path: Path, layout: Layout) -> list[Any]:
    form = FORMATS[path.suffix[1:]]
    records: list[Any] = []
    for slices in form.slices(io.BytesIO(path.read_bytes()), layout, None):
        assert slices.position == len(records) + 1
        decoded = form.decode(slices, layout)
        assert len(decoded) == len(slices.raws)
        records += [{"problem": d.rule} if isinstance(d, Problem) else d for d in decoded]
    return records


@pytest.mark.parametrize("path", bodies(), ids=lambda path: path.name)
def test_a_body_gives_the_expected_records(path: Path) -> None:
    expected = json.loads(path.with_suffix("").with_suffix(".expected.json").read_text())
    layout = msgspec.convert(expected["layout"], Layout)
    if "error" in expected:
        with pytest.raises(FormatError) as caught:
            read(path, layout)
        assert caught.value.code == expected["error"]
    else:
        assert read(path, layout) == expected["records"]


def test_every_format_has_cases() -> None:
    assert {path.suffix[1:] for path in bodies()} == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_sub_batch_decodes_to_the_same_values(name: str) -> None:
    path = CASES / {"json": "at_root.json", "jsonl": "two.jsonl", "xml": "google_rss.xml"}[name]
    layout = Layout(items=("", "channel.item"), namespaces={"g": "http://base.google.com/ns/1.0"})
    form = FORMATS[name]
    batches = list(form.slices(io.BytesIO(path.read_bytes()), layout, None))
    whole = Slices(1, [raw for batch in batches for raw in batch.raws], batches[0].context)
    second = Slices(2, [whole.raws[1]], whole.context)
    assert form.decode(second, layout) == form.decode(whole, layout)[1:2]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \n\t ", "empty_body"),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>", "html_page"),
        (b"\x1f\x8b\x08\x00 and so on", "unknown_format"),
        (b"\xff\xfe\x00\x00<\x00\x00\x00", "unknown_encoding"),
    ],
)
def test_what_is_no_feed_is_refused_by_every_format(name: str, body: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        list(FORMATS[name].slices(io.BytesIO(body), Layout(items=("",)), None))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("json", b'[{"id": 1}, {"id": "%b"}]'),
        ("jsonl", b'{"id": 1}\n{"id": "%b"}\n'),
        ("xml", b"<list><row><id>1</id></row><row><id>%b</id></row></list>"),
    ],
)
def test_a_record_over_the_limit_stops_the_feed(name: str, body: bytes) -> None:
    layout = Layout(items=("", "row"), max_record_bytes=1000)
    with pytest.raises(FormatError) as caught:
        list(FORMATS[name].slices(io.BytesIO(body % (b"x" * 1000)), layout, None))
    assert caught.value.code == "record_too_large"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("json", b'{"other": [%b], "products": []}' % b",".join([b'{"id": 1}'] * 60_000)),
        ("json", b'{"other": "%b", "products": []}' % (b"x" * 600_000)),
        ("xml", b"<list>%b</list>" % (b"<other><id>1</id></other>" * 30_000)),
    ],
)
def test_too_much_around_the_items_stops_the_feed(name: str, body: bytes) -> None:
    layout = Layout(items=("products", "product"), configured=True, max_skeleton_bytes=100_000)
    with pytest.raises(FormatError) as caught:
        list(FORMATS[name].slices(io.BytesIO(body), layout, None))
    assert caught.value.code == "skeleton_too_large"


def test_the_error_names_the_paths_that_are_there() -> None:
    body = b'{"catalog": {"goods": [{"id": 1}], "tags": ["x"]}}'
    with pytest.raises(FormatError, match='there is no array of records at "products"') as caught:
        list(FORMATS["json"].slices(io.BytesIO(body), Layout(items=("products",)), None))
    assert caught.value.hint == 'Set `items` to one of the arrays that are there: "catalog.goods".'
    body = b"<shop><list><thing><id>1</id></thing><thing><id>2</id></thing></list></shop>"
    with pytest.raises(FormatError) as caught:
        list(FORMATS["xml"].slices(io.BytesIO(body), Layout(items=("product",)), None))
    assert '"shop.list.thing"' in caught.value.hint


@pytest.mark.parametrize(
    ("body", "charset", "title"),
    [
        ('[{"title": "Тетрадь"}]'.encode("cp1251"), "windows-1251", "Тетрадь"),
        ('[{"title": "Тетрадь"}]'.encode("utf-16-be"), None, "Тетрадь"),
        ('\ufeff[{"title": "é"}]'.encode(), "iso-8859-1", "é"),
        ('[{"title": "é"}]'.encode(), "us-ascii", "é"),
        ('[{"title": "é"}]'.encode(), "utf-16", "é"),
    ],
)
def test_a_body_is_read_in_its_encoding(body: bytes, charset: str | None, title: str) -> None:
    layout = Layout(items=("",))
    (slices,) = FORMATS["json"].slices(io.BytesIO(body), layout, charset)
    assert FORMATS["json"].decode(slices, layout) == [{"title": title}]


@pytest.mark.parametrize("charset", ["utf-7", "none", "cp037", "../x", "\0", "idna", "base64"])
def test_other_encodings_are_refused(charset: str) -> None:
    for name in FORMATS:
        with pytest.raises(FormatError) as caught:
            list(FORMATS[name].slices(io.BytesIO(b"<a>[{}]</a>"), Layout(), charset))
        assert caught.value.code == "unknown_encoding"


def test_bytes_that_the_encoding_does_not_know_are_a_problem_of_their_record() -> None:
    layout = Layout(items=("row",))
    body = (
        '<?xml version="1.0" encoding="windows-1252"?><l><row><a>é</a></row><row><a>%</a></row></l>'
    )
    raw = body.encode("cp1252").replace(b"%", b"\x81")
    (slices,) = FORMATS["xml"].slices(io.BytesIO(raw), layout, None)
    first, second = FORMATS["xml"].decode(slices, layout)
    assert first == {"a": "é"}
    assert isinstance(second, Problem)
    assert second.rule == "bad_encoding"


def test_a_short_read_is_not_the_end_of_the_body() -> None:
    class Drip(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1)

    layout = Layout(items=("",))
    batches = list(FORMATS["json"].slices(Drip(b'[{"id": 1}, {"id": 2}]'), layout, None))
    assert [bytes(raw) for batch in batches for raw in batch.raws] == [b'{"id": 1}', b'{"id": 2}']


def test_every_format_can_be_configured_and_is_in_the_docs() -> None:
    (key,) = [key for key in FEED_KEYS if key.name == "format"]
    documented = (Path(__file__).parent.parent / "docs/configuration.md").read_text()
    for name in FORMATS:
        assert f"`{name}`" in key.kind
        assert f"`{name}`" in documented
