"""Laws of decoding XML: a record that is read without a tree is read as it would be with one."""

import json

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
    value = xml_plain.Plain(context, LAYOUT).record(raw)
    if value is None:
        return False
    check_structure(raw, 1)
    (other,) = xml_records.by_tree([raw], [1], context, LAYOUT)
    assert json.dumps(value) == json.dumps(other)
    return True


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
