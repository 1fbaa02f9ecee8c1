"""Laws of the formats: the fast path and the slow path agree, and any bytes give records or a FormatError."""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedd.errors import FormatError
from feedd.formats import (
    FORMATS,
    json_document,
    json_elements,
    json_lines,
    recognize,
    xml_document,
    xml_records,
)
from feedd.model import Layout, Problem, Slices

GOOGLE = "http://base.google.com/ns/1.0"
LAYOUT = Layout(
    items=("products", "", "rss.channel.item", "shop.offer", "*.*"),
    namespaces={"g": GOOGLE},
    max_depth=20,
    max_record_nodes=500,
    max_record_bytes=20_000,
)
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FRAGMENTS = [b"", b"{", b"}", b"[", b"]", b",", b'"', b"\\", b":", b"\xff", b"\xe2\x82", b"\\ud800"]
FRAGMENTS += [b"1e999", b"\0", b"<", b">", b"</item>", b"<item>", b"<!--", b"-->", b"<![CDATA["]
FRAGMENTS += [
    b"]]>",
    b"<?",
    b"?>",
    b"&",
    b"/",
    b" ",
    b"<item/>",
    b"<offer",
    b"</offer",
    b"='",
    b"<\xe1\x90\x81/>",
]
XML_FILES = sorted((Path(__file__).parent / "data").glob("*/*.xml"))

texts = st.text(max_size=12) | st.sampled_from(
    [
        '"',
        "\\",
        "},{",
        '},{"id":',
        "]}",
        "{",
        "[",
        "a:b",
        '":',
        "חולצה",
        "👕",
        "\n",
        "</item>",
        "<item>",
        "]]>",
        "&",
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# nested like products, and starting like them
variants = st.deferred(
    lambda: st.fixed_dictionaries(
        {"id": texts, "title": texts}, optional={"variants": st.lists(variants, max_size=2)}
    )
)
products = st.fixed_dictionaries(
    {"id": st.integers() | texts, "title": texts},
    optional={"variants": st.lists(variants, max_size=3), "more": values},
)
indents = st.sampled_from([None, 0, 2])
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")])


@st.composite
def json_bodies(draw: st.DrawFn) -> tuple[bytes, list[Any]]:
    """A body with products, alike or not, and what they are."""
    items = draw(st.lists(products | values, max_size=4) | st.lists(products, max_size=12))
    if draw(st.booleans()):
        members = [list(item.items()) if type(item) is dict else None for item in items]
        items = [
            item if each is None else dict(draw(st.permutations(each)))
            for item, each in zip(items, members, strict=True)
        ]
    root: Any = items
    if draw(st.booleans()):
        around = {"a": draw(values), "products": items, "z": draw(values)}
        root = {key: around[key] for key in draw(st.permutations(list(around)))}
    text = json.dumps(
        root, ensure_ascii=draw(st.booleans()), indent=draw(indents), separators=draw(separators)
    )
    return text.encode(), items


@st.composite
def xml_bodies(draw: st.DrawFn) -> tuple[bytes, int]:
    """A body with items, and how many there are."""
    name, head, tail = draw(
        st.sampled_from(
            [
                (
                    "item",
                    f'<rss xmlns:g="{GOOGLE}" version="2.0"><channel><title>T</title>',
                    "</channel></rss>",
                ),
                ("offer", f'<catalog xmlns:g="{GOOGLE}"><shop date="x > y">', "</shop></catalog>"),
                ("Product", f'<Products xmlns:g="{GOOGLE}"><Title>x</Title>', "</Products>"),
            ]
        )
    )
    content = st.sampled_from(
        [
            "<g:id>1</g:id>",
            "<title>חולצה &amp; more</title>",
            '<link href="a>b" rel=\'"\'/>',
            f"<d><![CDATA[<b>x</b></{name}> ]] > <{name}>]]></d>",
            f"<!-- <{name}> </{name}> -->",
            f"<?pi <{name}/> ?>",
            f"<{name}><id>inner</id></{name}>",
            f"<{name}_id>1</{name}_id >",
            "text ]] &gt; > 'x' \"y\"",
            "&nbsp; & &#1;",
            "\n\t",
            "<e/>",
            f"<!-- <{name}> <![CDATA[ -->",
            f"<?pi <!-- <{name}> ?>",
        ]
    )
    items = draw(st.lists(st.lists(content, max_size=5), min_size=2, max_size=8))
    parts = [head]
    for item in items:
        parts.append(
            draw(
                st.sampled_from(
                    ["", "", "\n", "  ", f"<!-- <{name}> -->", "<?x y?>", "text", f"<{name}s/>"]
                )
            )
        )
        end = draw(st.sampled_from([f"</{name}>", f"</{name} >"]))
        parts.append(f"<{name} a='1'><z/>{''.join(item)}{end}")
    return "".join([*parts, tail]).encode(), len(items)


@st.composite
def mutations(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with some bytes cut out, doubled or put in."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        end = min(len(body), at + draw(st.integers(0, 12)))
        inserted = draw(st.sampled_from(FRAGMENTS) | st.just(body[at:end]) | st.binary(max_size=4))
        body = body[:at] + inserted + body[end:]
    return body


Slicer = Callable[..., Any]


def outcome(slicer: Slicer, body: bytes, **options: int) -> tuple[str, list[tuple[bytes, bytes]]]:
    """The slices with their contexts, or the code of the error."""
    found: list[tuple[bytes, bytes]] = []
    try:
        for slices in slicer(io.BytesIO(body), LAYOUT, None, **options):
            assert slices.position == len(found) + 1
            assert slices.raws
            found += [(slices.context, bytes(raw)) for raw in slices.raws]
    except FormatError as error:
        return error.code, []
    return "", found


def decoded(name: str, body: bytes) -> list[dict[str, Any] | Problem]:
    """All records of a body; one by one they are the same as together."""
    form = FORMATS[name]
    records: list[dict[str, Any] | Problem] = []
    for slices in form.slices(io.BytesIO(body), LAYOUT, None):
        batch = form.decode(slices, LAYOUT)
        alone = [form.decode(Slices(1, [raw], slices.context), LAYOUT)[0] for raw in slices.raws]
        assert batch == alone
        records += batch
    return records


def assert_paths_agree(slicer: Slicer, body: bytes, window: int, piece: int) -> None:
    slow = outcome(slicer, body, window_bytes=0)
    assert outcome(slicer, body) == slow
    assert outcome(slicer, body, window_bytes=window, piece_bytes=piece) == slow
    assert outcome(slicer, body, window_bytes=0, piece_bytes=piece) == slow


windows = st.integers(10, 400)
pieces = st.sampled_from([1, 2, 3, 7, 64, 500])


@FEW
@given(json_bodies())
def test_json_slices_are_the_elements_of_the_array(case: tuple[bytes, list[Any]]) -> None:
    body, items = case
    layout = Layout(items=("products", ""))
    batches = list(json_document.slices(io.BytesIO(body), layout, None))
    assert [json.loads(bytes(raw)) for batch in batches for raw in batch.raws] == items


@FEW
@given(json_bodies(), windows, pieces)
def test_json_windows_and_lexer_agree(
    case: tuple[bytes, list[Any]], window: int, piece: int
) -> None:
    assert_paths_agree(json_document.slices, case[0], window, piece)


@FEW
@given(st.data(), json_bodies(), windows, pieces)
def test_json_windows_and_lexer_agree_on_broken_bodies(
    data: st.DataObject, case: tuple[bytes, list[Any]], window: int, piece: int
) -> None:
    body = data.draw(mutations(case[0]))
    assert_paths_agree(json_document.slices, body, window, piece)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_elements, "value_end", lambda _data, at: at)
        every_bracket = outcome(json_document.slices, body, window_bytes=0)
    assert outcome(json_document.slices, body, window_bytes=0) == every_bracket


def xml_outcome(body: bytes, **options: int) -> list[Any] | None:
    """The slices of a body with their contexts and what they decode to; None where either refuses the body."""
    found: list[Any] = []
    try:
        for slices in xml_document.slices(io.BytesIO(body), LAYOUT, None, **options):
            assert slices.position == len(found) + 1
            found += [
                (slices.context, raw, value)
                for raw, value in zip(slices.raws, xml_records.decode(slices, LAYOUT), strict=True)
            ]
    except FormatError:
        return None
    return found


def assert_xml_paths_agree(body: bytes, window: int, piece: int) -> list[Any] | None:
    slow = xml_outcome(body, window_bytes=0)
    assert (slow is None) == bool(outcome(xml_document.slices, body, window_bytes=0)[0])
    assert xml_outcome(body) == slow
    assert xml_outcome(body, window_bytes=window, piece_bytes=piece) == slow
    assert xml_outcome(body, window_bytes=0, piece_bytes=piece) == slow
    return slow


@FEW
@given(st.data(), st.lists(json_bodies(), max_size=3), pieces)
def test_json_lines_are_the_lines_in_pieces_of_any_size(
    data: st.DataObject, cases: list[tuple[bytes, list[Any]]], piece: int
) -> None:
    ends = st.sampled_from([b"\n", b"\r\n", b" \n\n\t", b"\n \n"])
    body = data.draw(mutations(b"".join(case[0] + data.draw(ends) for case in cases)))
    code, found = outcome(json_lines.slices, body)
    assert outcome(json_lines.slices, body, piece_bytes=piece) == (code, found)
    if not code:
        lines = [line.strip(b" \t\r\n") for line in body.split(b"\n")]
        assert [raw for _, raw in found] == [line for line in lines if line]


def spelled(name: str, *, is_escaped: bool) -> bytes:
    """A name as JSON, plain or in escapes."""
    units = name.encode("utf-16-be").hex(" ", 2).split()
    return (
        b'"%b"' % b"".join(rb"\u%b" % u.encode() for u in units)
        if is_escaped
        else json.dumps(name).encode()
    )


@st.composite
def members(draw: st.DrawFn, depth: int = 1) -> tuple[bytes, bool]:
    """An object, and whether a name is given twice in it."""
    names = draw(st.lists(texts, max_size=4))
    names += draw(st.lists(st.sampled_from(names), max_size=1)) if names else []
    is_twice = len(set(names)) < len(names)
    written = []
    for name in names:
        value = json.dumps(draw(texts | st.integers())).encode()
        if depth and draw(st.booleans()):
            inner, is_inner = draw(members(depth - 1))
            is_twice |= is_inner
            value = b"[1, %b]" % inner
        colon = draw(st.sampled_from([b":", b" : ", b"\n:"]))
        written.append(spelled(name, is_escaped=draw(st.booleans())) + colon + value)
    return b"{%b}" % b",".join(written), is_twice


@FEW
@given(st.lists(members(), min_size=1, max_size=4))
def test_names_given_twice_are_found_however_they_are_written(
    case: list[tuple[bytes, bool]],
) -> None:
    records = FORMATS["jsonl"].decode(Slices(1, [raw for raw, _ in case]), LAYOUT)
    for (raw, is_twice), record in zip(case, records, strict=True):
        if is_twice:
            assert isinstance(record, Problem)
            assert record.rule == "duplicate_member"
        else:
            assert record == json.loads(raw)


@FEW
@given(xml_bodies(), windows, pieces)
def test_xml_windows_and_expat_agree(case: tuple[bytes, int], window: int, piece: int) -> None:
    body, count = case
    found = assert_xml_paths_agree(body, window, piece)
    assert found is not None
    assert len(found) == count


@FEW
@given(st.data(), xml_bodies(), windows, pieces)
def test_xml_windows_and_expat_agree_on_broken_bodies(
    data: st.DataObject, case: tuple[bytes, int], window: int, piece: int
) -> None:
    assert_xml_paths_agree(data.draw(mutations(case[0])), window, piece)


@FEW
@given(st.data(), st.sampled_from(XML_FILES), windows, pieces)
def test_xml_windows_and_expat_agree_on_broken_feeds(
    data: st.DataObject, path: Path, window: int, piece: int
) -> None:
    assert_xml_paths_agree(data.draw(mutations(path.read_bytes())), window, piece)


@FEW
@given(
    st.data(),
    st.sampled_from(list(FORMATS)),
    st.binary(max_size=60)
    | json_bodies().map(lambda case: case[0])
    | xml_bodies().map(lambda case: case[0]),
)
def test_any_bytes_give_records_or_a_format_error(
    data: st.DataObject, name: str, body: bytes
) -> None:
    body = data.draw(mutations(body))
    if data.draw(st.booleans()):
        body = body.decode("utf-8", "replace").encode(
            data.draw(st.sampled_from(["utf-16", "utf-16-be"]))
        )
    with suppress(FormatError):
        decoded(name, body)
    with suppress(FormatError):
        assert recognize(body, content_type=None, name_hint=None) in FORMATS
