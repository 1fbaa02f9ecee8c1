"""XML in particular: which elements are the items, what a context is, and memory."""

import contextlib
import io
import tracemalloc

import pytest

from feedd.errors import FormatError
from feedd.formats import FORMATS, xml_document
from feedd.formats.xml_plain import Plain
from feedd.formats.xml_windows import Cut, Windows
from feedd.model import Layout, Problem

XML = FORMATS["xml"]
GOOGLE = "http://base.google.com/ns/1.0"


def raws(body: str, *items: str, configured: bool = False) -> list[str]:
    layout = Layout(items=items, configured=configured, namespaces={"g": GOOGLE})
    return [
        raw.decode()
        for slices in XML.slices(io.BytesIO(body.encode()), layout, None)
        for raw in slices.raws
    ]


def contexts(body: str, *items: str) -> list[bytes]:
    return [s.context for s in XML.slices(io.BytesIO(body.encode()), Layout(items=items), None)]


def windowed_error(body: str) -> FormatError:
    """The error of a body whose items are cut by windows from the second on: the first ends with a piece."""

    def read() -> None:
        layout = Layout(items=("i",))
        for slices in xml_document.slices(io.BytesIO(body.encode()), layout, None, piece_bytes=10):
            XML.decode(slices, layout)

    with pytest.raises(FormatError) as caught:
        read()
    return caught.value


def error(body: str, layout: Layout) -> FormatError:
    with pytest.raises(FormatError) as caught:
        list(XML.slices(io.BytesIO(body.encode()), layout, None))
    return caught.value


@pytest.mark.parametrize(
    "items", [("rss.channel.item",), ("channel.item",), ("*.*.item",), ("x.y", "rss.*.item", "*.*")]
)
def test_a_path_is_matched_from_the_root_or_from_below_it(items: tuple[str, ...]) -> None:
    body = "<rss><channel><title>T</title><item>1</item><other/><item>2</item></channel></rss>"
    assert raws(body, *items) == ["<item>1</item>", "<item>2</item>"]


@pytest.mark.parametrize("item", ["entry", "p:entry", "g:entry"])
def test_a_name_matches_whatever_prefix_the_document_uses(item: str) -> None:
    body = f'<list xmlns:p="{GOOGLE}"><p:entry>1</p:entry></list>'
    assert raws(body, item) == ["<p:entry>1</p:entry>"]


def test_items_in_several_places_are_all_found() -> None:
    body = "<shop><a><item>1</item></a><b/><a><item>2</item><item/></a></shop>"
    assert raws(body, "a.item") == ["<item>1</item>", "<item>2</item>", "<item/>"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<r><p><id/></p><p><id/></p></r>", ["<p><id/></p>", "<p><id/></p>"]),
        ('<r><p id="1"/><p id="2"></p></r>', ['<p id="1"/>', '<p id="2"></p>']),
        ('<r><t lang="a">A</t><t lang="b">B</t><p><id/></p></r>', ["<p><id/></p>"]),
        ("<r><head><a/></head><p><b/></p><x/><p><c/></p></r>", ["<p><b/></p>", "<p><c/></p>"]),
        ("<r><t>1</t><t>2</t><p><id/></p></r>", ["<p><id/></p>"]),
        ("<r>\n</r>", []),
        ("<r/>", []),
    ],
)
def test_a_guess_takes_the_children_of_the_root_that_repeat(body: str, found: list[str]) -> None:
    assert raws(body, "rss.channel.item", "feed.entry", "*.*") == found


@pytest.mark.parametrize(
    "body",
    [
        "<rss><channel><title>T</title></channel></rss>",
        '<feed><link a="1"/><link a="2"/><author><name/></author></feed>',
    ],
)
def test_no_guess_is_made_where_a_named_path_can_fit(body: str) -> None:
    assert raws(body, "rss.channel.item", "feed.entry", "*.*") == []


@pytest.mark.parametrize(
    "body",
    ["<r><a>1</a></r>", "<Error>Access denied</Error>", "<r><a><x/></a><b><x/></b></r>"],
)
def test_what_does_not_repeat_is_no_feed(body: str) -> None:
    assert error(body, Layout(items=("*.*",))).code == "no_items_found"


def test_a_context_is_the_namespaces_and_nothing_that_changes_daily() -> None:
    one = (
        '<r date="1" xmlns:b="B" xmlns="D"><l xmlns:a="A&amp;"><i/></l><l xmlns:a="A2"><i/></l></r>'
    )
    other = "<r xmlns='D'  xmlns:b='B' date='2'><l xmlns:a='A&#38;'><i/></l></r>"
    assert contexts(one, "l.i") == [
        b'<_ xmlns="D" xmlns:a="A&amp;" xmlns:b="B">',
        b'<_ xmlns="D" xmlns:a="A2" xmlns:b="B">',
    ]
    assert contexts(other, "l.i") == contexts(one, "l.i")[:1]


def test_a_default_namespace_can_be_taken_back() -> None:
    body = b'<r xmlns="D"><l xmlns=""><i><a>1</a></i></l></r>'
    layout = Layout(items=("l.i",), namespaces={"d": "D"})
    (slices,) = XML.slices(io.BytesIO(body), layout, None)
    assert XML.decode(slices, layout) == [{"a": "1"}]


def test_attributes_in_namespaces_get_the_canonical_prefix() -> None:
    body = f'<r xmlns:q="{GOOGLE}" xmlns:o="O"><i q:id="1" o:id="2" id="3" xml:lang="ar"/></r>'
    layout = Layout(items=("i",), namespaces={"g": GOOGLE})
    (slices,) = XML.slices(io.BytesIO(body.encode()), layout, None)
    assert XML.decode(slices, layout) == [
        {"@g:id": "1", "@o:id": "2", "@id": "3", "@xml:lang": "ar"}
    ]


def test_too_many_nodes_are_a_problem_of_their_record() -> None:
    body = b"<r><i>%b</i><i><a>1</a></i></r>" % (b"<b/>" * 500)
    layout = Layout(items=("i",), max_record_nodes=100)
    (slices,) = XML.slices(io.BytesIO(body), layout, None)
    first, second = XML.decode(slices, layout)
    assert isinstance(first, Problem)
    assert first.rule == "too_many_nodes"
    assert second == {"a": "1"}


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("<r><i><a></b></i></r>", "not_well_formed", "mismatched tag in line 1"),
        ("<r><i/></r><r/>", "not_well_formed", "junk after document element"),
        ("<r><i/>\n<i a=1/></r>", "not_well_formed", "line 2"),
        ('{"id": 1}', "not_well_formed", "Is it JSON?"),
        ("<r>" + "<a>" * 100, "too_deep", "64 levels"),
        ("<r><i/><!-- cut", "truncated", "half a file"),
        ("<r><i><![CDATA[ cut", "truncated", "half a file"),
        ("<!DOCTYPE r []><r/>", "doctype_forbidden", "doctype = true"),
        ("<r><j><k/></j><j><k/></j></r>", "no_items_found", '"r.j"'),
        ('<r xmlns:x="%s"><i/></r>' % ("u" * 70_000), "skeleton_too_large", "namespaces"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(body: str, code: str, says: str) -> None:
    caught = error(body, Layout(items=("i",)))
    assert caught.code == code
    assert says in str(caught)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("<i><a></i>", "record 3 of the body is not well-formed XML: mismatched tag in its line 1, column 9"),
        ("<i><a>\n</b></i>", "mismatched tag in its line 2, column 3"),
        ("<i>1</i>2</i>", "mismatched tag"),
        ("<i b=1></i>", "column 6"),
        ("<i><b c='' c=''/></i>", "duplicate attribute"),
        ("<i>]]></i>", "it begins with '<i>]]></i>'"),
        ("<i><!-- -- --></i>", "not well-formed"),
        ("<i><?xml version='1.0'?></i>", "XML or text declaration not at start of entity"),
    ],
)  # fmt: skip
def test_a_record_whose_structure_is_broken_breaks_the_body(broken: str, says: str) -> None:
    caught = windowed_error(f"<r><i></i>\n<i/>\n{broken}<i/></r>")
    assert caught.code == "not_well_formed"
    assert says in str(caught)


def test_a_broken_document_is_told_by_its_byte_once_items_were_passed_over() -> None:
    body = "<r><i></i>\n<i>\u00e9</i>\n<i></i>\n<!-- -- --></r>"
    caught = windowed_error(body)
    place = len(body[: body.index(" -->")].encode()) + 1
    assert f"not well-formed (invalid token) at byte {place}, at '--></r>'" in str(caught)


@pytest.mark.parametrize(
    ("body", "paths", "found"),
    [
        (
            "<r xmlns:x='G'><x:i>1</x:i><x:i>2</x:i><x:i xmlns:x='other'>3</x:i></r>",
            ("g:i",),
            ["<x:i>1</x:i>", "<x:i>2</x:i>"],
        ),
        ("<i><i>1</i><i/></i>", ("i.i",), ["<i>1</i>", "<i/>"]),
    ],
)
def test_a_tag_that_is_written_like_an_items_need_not_be_one(
    body: str, paths: tuple[str, ...], found: list[str]
) -> None:
    layout = Layout(items=paths, namespaces={"g": "G"})
    for piece in (1, 1000):
        batches = xml_document.slices(io.BytesIO(body.encode()), layout, None, piece_bytes=piece)
        assert [raw.decode() for slices in batches for raw in slices.raws] == found


def test_items_are_cut_up_to_what_is_not_plain() -> None:
    def items(data: bytes) -> list[bytes]:
        cut = Windows(b"item").items(data, 0, len(data))
        assert data[: cut.end].endswith(cut.raws[-1] if cut.raws else b"")
        return cut.raws

    plain = [
        b"<item>1</item>",
        b"<item a='>'><item_id/><items><i/></items></item >",
        b"<item\n><![CDATA[</item>]]></item\n\t>",
        b"<item/>",
        b'<item a="/>" />',
    ]
    two = plain[:2]
    assert items(b"\n".join(plain) + b"\n</list>") == plain[:4]
    assert items(b"<!-- <item> -->".join(plain[:3])) == plain[:3]
    assert items(b" <?x ?> <![CDATA[<item>]]>".join(two)) == two
    assert items(plain[0] + b"<other/>" + plain[1]) == plain[:1]
    assert items(plain[0] + b" text " + plain[1]) == plain[:1]
    assert items(plain[0] + b" text <!-- -->" + plain[1]) == plain[:1]
    assert items(plain[0] + b"<item><item></item></item>") == plain[:1]
    assert items(plain[0] + b"<item><![CDATA[ </item>") == plain[:1]
    assert items(plain[0] + b"<item><!ELEMENT </item>") == plain[:1]
    assert items(plain[0] + b"<item></item x>" + plain[1]) == plain[:1]
    for cut in range(len(two[1])):
        assert items(two[0] + two[1][:cut]) == two[:1]
    for data in (b"</item>", b"<items></items>", b"", b"<", b"<item", b"<item/"):
        assert items(data) == []


@pytest.mark.parametrize(
    "part",
    [
        b"<item>",
        b"<item ",
        b"<item a='",
        b"<item/>text",
        b"<item></item ",
        b"<item></item><other/>",
        b"<item><![CDATA[",
        b"<item><![CDATA[</item>]]></item>x",
        b"<!",
        b"<?",
        b"<!-- -->",
        b"<item>%b</item>" % (b"x" * 5000),
        b"</item>",
    ],
)
def test_windows_that_hold_no_items_cost_a_few_looks_at_most(
    part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = 4096
    head = b"<list><item>1</item>"
    body = head + part * (40 * window // len(part)) + b"</list>"
    looked = []
    items = Windows.items

    def counted(self: Windows, data: bytes, start: int, stop: int) -> Cut:
        looked.append(stop - start)
        return items(self, data, start, stop)

    monkeypatch.setattr(Windows, "items", counted)
    with contextlib.suppress(FormatError):
        for _ in xml_document.slices(
            io.BytesIO(body),
            Layout(items=("item",)),
            None,
            window_bytes=window,
            piece_bytes=len(head),
        ):
            pass
    assert 0 < sum(looked) <= 4 * len(body) + 5 * window
    assert max(looked) <= window


def test_items_that_are_empty_elements_go_by_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<list>%b</list>" % (b'<i a="1"/>\n' * 1000)
    cuts = []
    items = Windows.items

    def counted(self: Windows, data: bytes, start: int, stop: int) -> Cut:
        cuts.append(items(self, data, start, stop))
        return cuts[-1]

    monkeypatch.setattr(Windows, "items", counted)
    batches = xml_document.slices(io.BytesIO(body), Layout(items=("i",)), None, piece_bytes=100)
    assert [raw for slices in batches for raw in slices.raws] == [b'<i a="1"/>'] * 1000
    assert sum(len(cut.raws) for cut in cuts) > 900


def test_where_comments_stand_between_items_is_told() -> None:
    data = b"<i/> <!-- <i> --> <i>1</i>\n<i>2</i><?x?><i>3</i>"
    cut = Windows(b"i").items(data, 0, len(data))
    assert cut.raws == [b"<i/>", b"<i>1</i>", b"<i>2</i>", b"<i>3</i>"]
    assert [data[start:end] for start, end in cut.between] == [b"<!-- <i> -->", b"<?x?>"]


@pytest.mark.parametrize(
    "raw",
    [
        b"<i>text</i>",
        b"<i><a>1</a>text</i>",
        b"<i>text<a>1</a></i>",
        b"<i><!-- c --><a>1</a></i>",
        b"<i><a x='1'>1</a></i>",
        b'<i><a xmlns="u">1</a></i>',
        b"<i><x:a>1</x:a></i>",
        b"<i><a>1</b></i>",
        b"<i><a>1</a",
        b"<i><a</a></i>",
        b"<i><a>1</a></i><i/>",
        b"<i><>1</a></i>",
        b"<i><a>]]></a></i>",
        b"<i><a>&nbsp;</a></i>",
        b"<i><a>&#0;</a></i>",
        b"<i><a>&#x110000;</a></i>",
        b"<i><a>&amp</a></i>",
        b"<i><a>\x01</a></i>",
        b"<i><a>\xff</a></i>",
        b"<i><a>\xef\xbf\xbf</a></i>",
        b"<i><a><![CDATA[</a></i>",
        b'<i><a x="1" x="2"/></i>',
        b'<i><a x="<"/></i>',
        b"<i>%b1%b</i>" % (b"<a>" * 70, b"</a>" * 70),
    ],
)
def test_what_is_not_plain_is_left_to_others(raw: bytes) -> None:
    assert Plain(b"<_>", Layout()).record(raw) is None


def test_namespaces_that_mean_something_else_are_left_to_others() -> None:
    context = b'<_ xmlns="http://www.w3.org/1999/xhtml">'
    assert Plain(context, Layout()).record(b"<i><a>1</a></i>") is None
    assert Plain(b"<_>", Layout(max_record_nodes=10)).record(b"<i><a>1</a></i>") is None
    assert Plain(b"<_>", Layout(max_depth=1)).record(b"<i><a><b/></a></i>") is None
    assert Plain(b"<_>", Layout(max_depth=1)).record(b"<i><a>1</a></i>") == {"a": "1"}


class Endless(io.RawIOBase):
    """A body that is made as it is read."""

    def __init__(self, head: bytes, part: bytes, times: int, tail: bytes) -> None:
        self._parts = iter([head, *([part] * times), tail])
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (part := next(self._parts, b"")):
            self._rest += part
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@pytest.mark.parametrize(
    ("name", "head", "part", "tail"),
    [
        ("xml", b"<list>", b"<row><id>1</id><t>%b</t></row>\n" % (b"x" * 900), b"</list>"),
        ("json", b'[{"id": 0}', b',\n{"id": 1, "t": "%b"}' % (b"x" * 900), b"]"),
        ("jsonl", b"\n", b'{"id": 1, "t": "%b"}\n' % (b"x" * 900), b""),
    ],
)
def test_memory_does_not_grow_with_the_body(
    name: str, head: bytes, part: bytes, tail: bytes
) -> None:
    body = Endless(head, part, 20_000, tail)
    tracemalloc.start()
    try:
        layout = Layout(items=("row", ""))
        count = sum(len(s.raws) for s in FORMATS[name].slices(body, layout, None))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count >= 20_000
    assert peak < 6_000_000


def test_xhtml_in_an_element_is_html_as_text() -> None:
    body = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:h="http://www.w3.org/1999/xhtml"><entry>'
        '<content type="xhtml">a &amp; b <h:div class="x">1 &lt; 2<h:br/>c</h:div> tail</content>'
        '<summary><div xmlns="http://www.w3.org/1999/xhtml"><p xmlns:x="urn:x" x:y="1">d</p></div></summary>'
        "<title>T</title></entry></feed>"
    )
    layout = Layout(items=("feed.entry",))
    (slices,) = XML.slices(io.BytesIO(body.encode()), layout, None)
    (record,) = XML.decode(slices, layout)
    assert isinstance(record, dict)
    assert record["content"] == {
        "@type": "xhtml",
        "#text": 'a &amp; b <div class="x">1 &lt; 2<br/>c</div> tail',
    }
    assert record["summary"].startswith("<div><p ")
    assert record["title"] == "T"


def test_records_that_are_xhtml_themselves_stay_records() -> None:
    body = (
        '<list xmlns="http://www.w3.org/1999/xhtml"><li><id>1</id></li><li><id>2</id></li></list>'
    )
    layout = Layout(items=("list.li",))
    (slices,) = XML.slices(io.BytesIO(body.encode()), layout, None)
    assert XML.decode(slices, layout) == [{"id": "1"}, {"id": "2"}]
