"""Whole documents as values: what templates see of a web feed; and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.errors import FormatError
from feedd.formats.whole import MAX_DEPTH, MAX_VALUES, is_empty, read_whole

RSS = """<?xml version="1.0" encoding="utf-8"?>
<!-- made by hand -->
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/">
  <channel>
    <title>Mugs &amp; more</title>
    <item>
      <title> One <![CDATA[<b>bold</b>]]> word </title>
      <media:content url="https://shop.example/1.jpg"/>
      <guid isPermaLink="false">1</guid>
      <category>a</category><category>b</category>
      <empty/>
    </item>
  </channel>
</rss>"""


def test_xml_is_what_templates_for_rss_expect() -> None:
    form, value = read_whole(RSS.encode())
    assert form == "xml"
    assert value["rss"]["@version"] == "2.0"
    channel = value["rss"]["channel"]
    assert channel["title"] == "Mugs & more"
    (item,) = channel["item"]  # a list although there is but one
    assert item == {
        "title": "One <b>bold</b> word",
        "media:content": {"@url": "https://shop.example/1.jpg"},
        "guid": {"@isPermaLink": "false", "#text": "1"},
        "category": ["a", "b"],
        "empty": "",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<a/>", {"a": ""}),
        ("<a>x<b/>y</a>", {"a": {"b": "", "#text": "xy"}}),
        ("<a><b>1</b><b c='2'/></a>", {"a": {"b": ["1", {"@c": "2"}]}}),
        ("<feed><entry>1</entry></feed>", {"feed": {"entry": ["1"]}}),
        ("<x><entry>1</entry></x>", {"x": {"entry": "1"}}),
        (
            "<rdf:RDF><item><t>1</t></item><item/></rdf:RDF>",
            {"rdf:RDF": {"item": [{"t": "1"}, ""]}},
        ),
        ("\ufeff<a>é</a>", {"a": "é"}),
    ],
)
def test_shapes_of_xml(text: str, value: Any) -> None:
    assert read_whole(text.encode()) == ("xml", value)


def test_encodings_are_those_of_feeds() -> None:
    text = '<?xml version="1.0" encoding="windows-1252"?><a>café</a>'
    assert read_whole(text.encode("cp1252")) == ("xml", {"a": "café"})
    assert read_whole(b'["caf\xe9"]', charset="iso-8859-1") == ("json", ["café"])
    assert read_whole('{"a": "é"}'.encode("utf-16")) == ("json", {"a": "é"})


def test_json_keeps_order_whole_numbers_and_nulls() -> None:
    text = b' {"b": [1.50, null, 123456789012345678901234567890], "a": {"_x": true}} '
    form, value = read_whole(text)
    assert form == "json"
    assert list(value) == ["b", "a"]
    assert value == {"b": [1.5, None, 123456789012345678901234567890], "a": {"_x": True}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(VALUES, max_size=4) | st.dictionaries(st.text(), VALUES, max_size=4))
def test_json_is_what_it_says(value: Any) -> None:
    assert read_whole(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))[1] == (
        json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    )


@given(st.binary(max_size=200) | st.text("<>ab/= \"'!-[]{}:,&;?", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_refused(body: bytes) -> None:
    try:
        form, value = read_whole(body)
    except FormatError:
        return
    assert form in ("json", "xml")
    json.dumps(value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"oops", "unknown_format"),
        (b"<!doctype html><html><title>Sign in</title>", "html_page"),
        (b"<html><body>502</body></html>", "html_page"),
        (b'{"a": 1', "not_well_formed"),
        (b'{"a": NaN}', "not_well_formed"),
        (b'{"a": 1e999}', "not_well_formed"),
        (b'["\xff"]', "not_well_formed"),
        (b'{"a": 1}\n{"a": 2}\n', "unknown_format"),
        (b"<a><b></a>", "not_well_formed"),
        (b"<a>&nbsp;</a>", "not_well_formed"),
        (b"<a>\xff</a>", "not_well_formed"),
        (b"<a/><b/>", "not_well_formed"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "doctype_forbidden"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "doctype_forbidden"),
        (b"<a>" * (MAX_DEPTH + 1), "too_deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "too_many_values"),
        (b"<a>" + b"<b/>" * MAX_VALUES + b"</a>", "too_many_values"),
        (b"\x1f\x8b\x08\x00", "unknown_format"),
    ],
)
def test_what_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_whole(body)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_text_that_never_ends_costs_nothing() -> None:
    """It took minutes: at each quotation mark one began, and went on to the end in vain."""
    for body in (b'["' + b'\\"' * 500_000, b'["' + b'\\"' * 500_000 + b'"'):
        with pytest.raises(FormatError, match="not well-formed"):
            read_whole(body)
    assert read_whole(b'["' + b'\\"' * 500_000 + b'"]')[1] == ['"' * 500_000]


def test_a_person_says_what_it_is() -> None:
    assert read_whole(b"<a/>", form="xml") == ("xml", {"a": ""})
    assert read_whole(b'{"a": 1}\n', form="json") == ("json", {"a": 1})
    for body, form in ((b"<a/>", "json"), (b"{}", "xml"), (b"true", "json")):
        with pytest.raises(FormatError):
            read_whole(body, form=form)


def test_depth_and_number_may_be_as_large_as_is_said() -> None:
    assert read_whole(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)[0] == "json"
    # what stands in texts counts for nothing
    assert read_whole(b'["' + b"[,{" * MAX_VALUES + b'"]')[0] == "json"
    deep = "".join(f"<a{n}>" for n in range(MAX_DEPTH))
    deep += "".join(f"</a{n}>" for n in reversed(range(MAX_DEPTH)))
    assert read_whole(deep.encode())[0] == "xml"


@pytest.mark.parametrize(
    ("value", "empty"),
    [
        ({}, True),
        ([], True),
        ({"rss": ""}, True),
        ({"posts": []}, False),
        ({"rss": {"@version": "2.0"}}, False),
        ({"posts": [], "page": 1}, False),
        ([0], False),
        ({"a": 0}, False),
        ({"a": False}, False),
    ],
)
def test_what_is_empty(value: Any, empty: bool) -> None:
    assert is_empty(value) is empty
