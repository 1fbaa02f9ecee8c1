"""Which encoding a body is read in, by real bytes: what is said of it, and what it is."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from feeds import live, take_in
from hypothesis import given
from hypothesis import strategies as st

from feedd import intake
from feedd.encodings import codec_of
from feedd.errors import FormatError
from feedd.formats import FORMATS, recognize
from feedd.formats.text import HEAD_BYTES, Text
from feedd.model import Layout, Problem
from feedd.reading import Reading

TITLES = {
    "windows-1250": "Žluťoučký kůň",
    "windows-1251": "Тетрадь в клетку",
    "windows-1252": "Café “crème” €5",
    "windows-1253": "Καφές ελληνικός",
    "windows-1254": "Çay bardağı",
    "windows-1255": "מחברת",
    "windows-1256": "دفتر",
    "windows-1257": "Sąsiuvinis",
    "windows-874": "สมุด",
    "iso-8859-1": "Café crème",
    "iso-8859-2": "Žluťoučký kůň",
    "iso-8859-5": "Тетрадь",
    "iso-8859-9": "Çay bardağı",
    "iso-8859-15": "Café €5",
    "koi8-r": "Тетрадь",
    "koi8-u": "Зошит її",
    "ibm866": "Тетрадь",
    "gbk": "笔记本电脑",
    "gb2312": "联通笔记本",
    "gb18030": "笔记本😀",
    "big5": "筆記型電腦",
    "shift_jis": "ノート 表示 ソ",
    "windows-31j": "ノート①",
    "euc-jp": "ノート",
    "euc-kr": "공책",
    "utf-16": "Тетрадь",
    "utf-8": "Тетрадь",
}
PYTHON = {"windows-874": "cp874", "windows-31j": "cp932"}


def body_of(form: str, title: str, encoding: str, *, declared: str | None = None) -> bytes:
    """A feed of one item in an encoding; `declared` is what an XML declaration calls it."""
    if form == "json":
        text = json.dumps([{"title": title}], ensure_ascii=False)
    elif form == "jsonl":
        text = json.dumps({"title": title}, ensure_ascii=False) + "\n"
    else:
        said = "" if declared is None else f' encoding="{declared}"'
        text = f'<?xml version="1.0"{said}?>\n<list><row><title>{title}</title></row></list>'
    return text.encode(PYTHON.get(encoding, encoding))


def titles(
    form: str, body: bytes, charset: str | None = None, encoding: str | None = None
) -> list[object]:
    layout = Layout(items=("", "row"), encoding=encoding)
    return [
        record.rule if isinstance(record, Problem) else record["title"]
        for slices in FORMATS[form].slices(io.BytesIO(body), layout, charset)
        for record in FORMATS[form].decode(slices, layout)
    ]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("encoding", TITLES)
def test_a_body_is_read_in_what_its_header_says_or_a_person(form: str, encoding: str) -> None:
    title = TITLES[encoding]
    body = body_of(form, title, encoding)
    assert titles(form, body, charset=encoding) == [title]
    assert titles(form, body, encoding=encoding.upper()) == [title]
    assert recognize(body, content_type=f"x/y; charset={encoding}", name_hint="x.jsonl") == form
    assert recognize(body, content_type=None, name_hint="x.jsonl", encoding=encoding) == form


@pytest.mark.parametrize("encoding", TITLES)
def test_an_xml_declaration_says_it_too(encoding: str) -> None:
    title = TITLES[encoding]
    assert titles("xml", body_of("xml", title, encoding, declared=encoding)) == [title]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_wins(form: str, mark: str) -> None:
    body = body_of(form, "Тетрадь", mark, declared="iso-8859-1")
    assert titles(form, body, charset="windows-1252", encoding="koi8-r") == ["Тетрадь"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("said", sorted(set(TITLES) - {"utf-16"}))
def test_what_is_utf8_is_read_as_utf8_whatever_is_said_of_it(form: str, said: str) -> None:
    title = "Café – 笔记本"
    body = body_of(form, title, "utf-8", declared=said)
    assert titles(form, body, charset=said) == [title]
    assert titles(form, body, charset="iso-8859-1", encoding=said) == [title]


@pytest.mark.parametrize("good", [20, 400_000])
def test_one_broken_record_makes_no_other_encoding_of_utf8(good: int) -> None:
    rows = [json.dumps({"title": f"Café {n}"}, ensure_ascii=False).encode() for n in range(20)]
    padding = b"\n".join([b'{"title": "' + b"x" * 1000 + b'"}'] * (good // 1000))
    body = b"\n".join([*rows[:10], b'{"title": "caf\xe9"}', padding, *rows[10:]]) + b"\n"
    found = titles("jsonl", body, charset="iso-8859-1")
    assert found.count("bad_encoding") == 1
    assert [title for title in found if str(title).startswith("Café")] == [
        f"Café {n}" for n in range(20)
    ]


def test_the_whole_body_is_asked_not_its_start() -> None:
    """Nothing but ASCII for a megabyte, and then what tells."""
    padding = b'{"title": "%b"}\n' % (b"x" * 1000) * 1000
    utf8 = padding + '{"title": "Тетрадь"}\n'.encode()
    other = padding + '{"title": "Тетрадь"}\n'.encode("cp1251")
    for body in (utf8, other):
        assert titles("jsonl", body, charset="windows-1251")[-1] == "Тетрадь"


@pytest.mark.parametrize(
    ("header", "declared", "really"),
    [
        ("windows-1251", "koi8-r", "windows-1251"),  # RFC 7303: the header is authoritative
        ("utf-8", "windows-1251", "windows-1251"),  # which it cannot be where the bytes deny it
        ("windows-1251", "utf-8", "windows-1251"),
        ("us-ascii", "windows-1251", "windows-1251"),
        ("utf-16", "windows-1251", "windows-1251"),  # what can be read byte by byte is not that
    ],
)
def test_a_header_and_a_declaration_that_differ(header: str, declared: str, really: str) -> None:
    body = body_of("xml", "Тетрадь", really, declared=declared)
    assert titles("xml", body, charset=header) == ["Тетрадь"]


def test_a_person_knows_better_than_header_and_declaration() -> None:
    body = body_of("xml", "Тетрадь", "koi8-r", declared="windows-1251")
    assert titles("xml", body, charset="iso-8859-5", encoding="koi8-r") == ["Тетрадь"]
    assert titles("xml", body, charset="utf-7", encoding="koi8-r") == ["Тетрадь"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("charset", [None, "utf-8"])
def test_another_encoding_that_nobody_names_is_an_error_that_says_what_to_do(
    form: str, charset: str | None
) -> None:
    body = body_of(form, "Тетрадь в клетку, большая", "windows-1251")
    with pytest.raises(FormatError) as caught:
        titles(form, body, charset=charset)
    assert caught.value.code == "unknown_encoding"
    assert 'encoding = "windows-1251"' in caught.value.hint
    assert titles(form, body, charset, "windows-1251") == ["Тетрадь в клетку, большая"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_few_broken_characters_cost_their_record_only(form: str) -> None:
    assert titles(form, body_of(form, "Café", "windows-1252")) == ["bad_encoding"]


def test_latin_1_is_read_as_browsers_read_it() -> None:
    body = body_of("json", "“5 €”", "windows-1252")
    assert titles("json", body, charset="iso-8859-1") == ["“5 €”"]


def test_bytes_that_end_a_string_in_ascii_do_not_end_it_in_another_encoding() -> None:
    for title in ("ソ", "表", "能"):  # their second byte is a backslash
        assert b"\\" in title.encode("cp932")
        assert titles("json", body_of("json", title, "shift_jis"), charset="shift_jis") == [title]


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("UTF8", "utf-8"),
        ("utf8mb4", "utf-8"),
        ("us-ascii", "utf-8"),
        ("Windows1251", "cp1251"),
        ("win-1251", "cp1251"),
        ("x-cp1251", "cp1251"),
        ("CP1252", "cp1252"),
        ("latin1", "cp1252"),
        ("ISO_8859-1", "cp1252"),
        ("x-gbk", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("x-euc-jp", "euc_jp"),
        ("tis-620", "cp874"),
        (' "utf-8" ', "utf-8"),
        ("utf-7", None),
        ("utf-32", None),
        ("cp037", None),
        ("ebcdic-cp-us", None),
        ("iso-2022-jp", None),
        ("iso-2022-kr", None),
        ("hz", None),
        ("punycode", None),
        ("rot13", None),
        ("unicode_escape", None),
        ("base64", None),
        ("../../x", None),
        ("\0", None),
        ("", None),
    ],
)
def test_labels_are_those_of_the_list_and_no_others(label: str, codec: str | None) -> None:
    assert codec_of(label) == codec


def test_what_is_ascii_is_itself_in_every_encoding_of_the_list() -> None:
    plain = bytes(range(128))
    for encoding in TITLES:
        codec = codec_of(encoding)
        assert codec is not None
        if codec != "utf-16":
            assert plain.decode(codec).encode() == plain


@given(data=st.binary(max_size=200), encoding=st.sampled_from(sorted(TITLES)))
def test_any_bytes_give_records_or_an_error(data: bytes, encoding: str) -> None:
    for form, body in (("json", b'[{"title": "%b"}]' % data), ("jsonl", b'{"title": "%b"}' % data)):
        with contextlib.suppress(FormatError, KeyError):
            titles(form, body, charset=encoding)


def test_a_feed_in_another_encoding_becomes_items(place: intake.Place, tmp_path: Path) -> None:
    catalog = place.open_catalog()
    body = '[{"id": "1", "title": "Тетрадь"}]'.encode("cp1251")
    reading = Reading(schema="item", encoding="windows-1251")
    take_in(catalog, tmp_path, body, reading=reading)
    assert live(catalog)["1"]["title"] == "Тетрадь"
    catalog.close()


@pytest.mark.parametrize("charset", [None, "utf-8", "UTF8"])
def test_utf_8_is_read_once_and_passed_on_as_it_was_read(charset: str | None) -> None:
    given = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            given.append(super().read(size))
            return given[-1]

    stream = Watched('[{"title": "Тетрадь"}]'.encode() * 50_000)
    text = Text(stream, charset)
    pieces = list(iter(text.read, b""))
    assert b"".join(pieces) == b"".join(given) == stream.getvalue()
    assert len(pieces[0]) == HEAD_BYTES
    assert all(any(piece is each for each in given) for piece in pieces[1:])
