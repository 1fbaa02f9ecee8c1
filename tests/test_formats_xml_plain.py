"""Laws of decoding XML: a record that is read without a tree is read as it would be with one."""

import json
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedd.formats import xml_plain, xml_records
from feedd.formats.xml_structure import check_structure
from feedd.model import Layout

GOOGLE = "http://base.google.com/ns/1.0"
LAYOUT = Layout(namespaces={"g": GOOGLE}, max_depth=20, max_record_nodes=5000)
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FRAGMENTS = [
    b"<",
    b">",
    b"</a>",
    b"<a>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?",
    b"&",
    b"/",
    b" ",
    b'"',
    b"=",
]
TEXT = re.compile(rb">[^<>]*<")
FRAGMENTS += [b"\xff", b"\xe2\x82", b"\0", b"<>", b"</>", b"\r", b"&#0;", b"\xef\xbf\xbf", b"x:"]

plain_texts = st.sampled_from(
    ["", " ", "1", "חולצה", "a &amp; b", "&lt;p&gt;", "&#65;&#x20;&#13;", "x > y", "]]", "\u00a0", "\r\n \t"]
)  # fmt: skip
names = st.sampled_from(["id", "g:id", "title", "q:x", "_a-b.c"])
plain_attributes = st.sampled_from(["", "", "", ' a="1"', ' a="x>y"  b="&quot;"\n', " a='1'"])


@st.composite
def plain_elements(draw: st.DrawFn, depth: int = 0) -> str:
    """An element of a record as most feeds have them, or nearly so."""
    name, attributes = draw(names), draw(plain_attributes)
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return f"<{name}{attributes}/>"
    inner = draw(plain_texts)
    if kind == 1:
        inner += f"<![CDATA[<b>{draw(plain_texts)}</b> ]>]]>{draw(plain_texts)}"
    elif kind == 2 and depth < 3:
        inner = "\n".join(draw(st.lists(plain_elements(depth + 1), max_size=3)))
    return f"<{name}{attributes}>{inner}</{name}>"


@st.composite
def plain_records(draw: st.DrawFn) -> bytes:
    """A record of such elements."""
    blank = draw(st.sampled_from(["", "\n", "\r\n  "]))
    elements = draw(st.lists(plain_elements(), min_size=1, max_size=6))
    return f"<item{draw(plain_attributes)}>{blank}{blank.join(elements)}</item>".encode()


CONTEXTS = [
    f'<_ xmlns:g="{GOOGLE}" xmlns:q="urn:q">'.encode(),
    f'<_ xmlns="{GOOGLE}" xmlns:g="urn:g" xmlns:q="{GOOGLE}">'.encode(),
    f'<_ xmlns="urn:d" xmlns:g="{GOOGLE}">'.encode(),
]


def assert_plain_is_as_the_tree(raw: bytes, context: bytes) -> bool:
    """Whether a record is plain; what it is read as then, in the same order, is what a tree of it gives."""
    return assert_as_the_tree(xml_plain.Plain(context, LAYOUT), raw, context)


def assert_as_the_tree(plain: xml_plain.Plain, raw: bytes, context: bytes) -> bool:
    value = plain.record(raw)
    if value is None:
        return False
    check_structure(raw, 1)
    (other,) = xml_records.by_tree([raw], [1], context, LAYOUT)
    assert json.dumps(value) == json.dumps(other)
    return True


def knowing(raw: bytes, context: bytes) -> xml_plain.Plain:
    """What has met so many records like this one that it knows their form, if they have one."""
    plain = xml_plain.Plain(context, LAYOUT)
    for _ in range(xml_plain.MET_BEFORE):
        plain.record(raw)
    return plain


@FEW
@given(plain_records(), st.sampled_from(CONTEXTS))
def test_plain_records_are_read_as_they_are_by_a_tree(raw: bytes, context: bytes) -> None:
    is_declared = b"q:" not in raw or b"xmlns:q" in context
    is_plain = assert_plain_is_as_the_tree(raw, context)
    assert is_plain == (is_declared and b"'" not in raw and b'="x>y"' not in raw)


@st.composite
def mutations(draw: st.DrawFn, raw: bytes) -> bytes:
    """A record with some bytes cut out, doubled or put in."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        end = min(len(raw), at + draw(st.integers(0, 12)))
        inserted = draw(st.sampled_from(FRAGMENTS) | st.just(raw[at:end]))
        raw = raw[:at] + inserted + raw[end:]
    return raw


@FEW
@given(st.data(), plain_records(), st.sampled_from(CONTEXTS))
def test_broken_records_are_not_plain(data: st.DataObject, raw: bytes, context: bytes) -> None:
    raw = b"<" + data.draw(mutations(raw[1:-1])) + b">"
    assert_plain_is_as_the_tree(raw, context)


@FEW
@given(st.data(), plain_records(), st.sampled_from(CONTEXTS))
def test_records_of_a_known_form_are_read_as_they_are_by_a_tree(
    data: st.DataObject, raw: bytes, context: bytes
) -> None:
    """The record itself, the same tags around other texts, and what is broken about it."""
    plain = knowing(raw, context)
    others = TEXT.sub(lambda _: b">%b<" % data.draw(plain_texts).encode(), raw)
    for record in (raw, others, b"<" + data.draw(mutations(raw[1:-1])) + b">"):
        assert_as_the_tree(plain, record, context)


def test_the_form_of_flat_and_nested_records_gets_known() -> None:
    raw = (
        b'<item a="1">\n<id>1</id>\n<g:x>\n <id>&lt;</id>\n <t></t>\n</g:x>\n<t>a &amp; b</t><t>c</t>'
        b"<b><b>1</b></b><b>2</b>\n</item>"
    )
    plain = knowing(raw, CONTEXTS[0])
    expected = {
        "@a": "1",
        "id": "1",
        "g:x": {"id": "<", "t": ""},
        "t": ["a & b", "c"],
        "b": [{"b": "1"}, "2"],
    }
    assert plain.forms.read(raw) == plain.record(raw) == expected
    assert list(expected) == list(plain.forms.read(raw) or ())
    assert plain.forms.read(raw.replace(b"<id>1", b"<id>&#50;\xc3\xa4")) == expected | {
        "id": "2\u00e4"
    }
    for broken in (
        (b"</g:x>", b".</g:x>"),
        (b"</g:x>", b"&#32;.</g:x>"),
        (b"&lt;", b"]]>"),
        (b"&lt;", b"\xef\xbf\xbf"),
        (b"&lt;", b"\xff"),
        (b"&lt;", b"&nbsp;"),
        (b"&lt;", b"&lt"),
        (b"&lt;", b"<i>"),
        (b"</item>", b"</item> "),
    ):
        assert plain.record(raw.replace(*broken)) is None
    assert plain.record(raw.replace(b"&lt;", b"\r")) == expected | {"g:x": {"id": "\n", "t": ""}}


def test_what_is_known_of_forms_is_bounded() -> None:
    plain = xml_plain.Plain(CONTEXTS[0], LAYOUT)
    for number in range(30):
        for _ in range(xml_plain.MET_BEFORE):
            plain.record(b"<item><a%d>x</a%d></item>" % (number, number))
    assert sum(map(len, plain.forms.known.values())) <= xml_plain.MOST_FORMS
    for number in range(2 * xml_plain.MOST_MET):
        plain.record(b"<item><b%d>x</b%d></item>" % (number, number))
    assert len(plain.forms.met) <= xml_plain.MOST_MET
    assert plain.record(b"<item><a>x</a></item>") == {"a": "x"}


def test_what_can_have_no_form_is_not_cut_for_one() -> None:
    ends = b"<i><a><![CDATA[" + b"</" * 100 + b"]]></a></i>"
    for raw in (ends, b"<i>" + b"<a>1</a>" * 512 + b"</i>"):
        plain = xml_plain.Plain(CONTEXTS[0], LAYOUT)
        assert plain.record(raw) is not None
        assert not plain.forms.met


def test_two_records_in_one_have_no_form() -> None:
    raw = b"<item><a>1</a></item><item><b>2</b></item>"
    assert knowing(raw, CONTEXTS[0]).record(raw) is None


class Shared(dict[tuple[bytes, ...], int]):
    """What was met, as another thread leaves it that has just made a form of that."""

    def get(self, key: tuple[bytes, ...], default: int = 0) -> int:  # type: ignore[override]
        return self.pop(key, default)


def test_a_form_may_have_been_made_by_another_thread() -> None:
    raw = b"<i><a>1</a><b>2</b></i>"
    plain = xml_plain.Plain(CONTEXTS[0], LAYOUT)
    plain.forms.met = Shared({(b"<i><a", b"a><b", b"b", b"i"): xml_plain.MET_BEFORE - 1})
    assert plain.record(raw) == {"a": "1", "b": "2"}
    assert plain.forms.read(raw) == {"a": "1", "b": "2"}
