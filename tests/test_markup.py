"""HTML as text: what a reader sees, from anything, in little time."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.coerce import Noted
from feedd.coerce.markup import has_markup, readable, without_markup
from feedd.coerce.text import text

DOCUMENT = """<!DOCTYPE html> <html> <head> <title>Shop</title> <meta charset="windows-1251">
<style> p { color: red } /* <p>not text</p> */ </style> </head> <body onload="x()"> <!-- <p>hidden</p> -->
<h1>Speakers &amp; stands</h1><ul><li>Walnut</li><li>86&nbsp;dB é</li></ul>
<p>Bright.<br>Clear,
and <b>lo</b>ud.</p> tail <script>if (a < b) { "</p>" }</script>
<table><tr><th>W</th><td>20&thinsp;cm</td></tr><tr><td>H</td></tr></table> </body> </html>"""


@pytest.mark.parametrize(
    ("markup", "lines"),
    [
        (DOCUMENT, ["Speakers & stands", "Walnut", "86 dB é", "Bright.", "Clear, and loud.", "tail", "W 20 cm", "H"]),
        ("<p>a<p>b<div>c</p>d", ["a", "b", "c d"]),
        ("<pre>a\n b\n</pre>c", ["a", "b", "c"]),
        ("<dl><dt>Size<dd>5 &lt; 6</dl>", ["Size", "5 < 6"]),
        ("<ul><li>a<ul><li>b</ul></ul>", ["a", "b"]),
        ("<![CDATA[<p>a</p>]]>", ["a"]),
        ("<p>5 < 6 & 7 &copy 8", ["5 < 6 & 7 © 8"]),
        ("<custom-tag>kept</custom-tag><p>", ["kept"]),
        ("a<hr/>b<BR />c", ["a", "b", "c"]),
        ("<svg><text>no</text></svg><select><option>x<option>y</select>", ["x", "y"]),
        ("<p>cut <a href='https://shop.exa", ["cut"]),
        ("<p>unclosed <!-- comment", ["unclosed"]),
        ("<img src=x>", []),
        ("<b></b>", []),
    ],
)  # fmt: skip
def test_html_reads_as(markup: str, lines: list[str]) -> None:
    assert readable(markup).split("\n") == (lines or [""])


@pytest.mark.parametrize(
    "value",
    [
        "<p>",
        "</li>",
        "a<BR/>b",
        "<!-- x",
        "<!DOCTYPE html>",
        "<a href='x'>",
        "<![CDATA[",
        "<hr noshade />",
        "<br />",
        "<p class=a b>",
    ],
)
def test_markup_is_told(value: str) -> None:
    assert has_markup(value)
    assert not has_markup(without_markup(value))


@pytest.mark.parametrize(
    "value", ["5 < 6 & 7", "<3", "a <b and c", "<you>", "<pfoo>", "<p", "a > b", "&lt;p&gt;", ""]
)
def test_what_is_no_markup_is_left_alone(value: str) -> None:
    assert not has_markup(value)


@pytest.mark.parametrize("depth", [250, 256, 300, 100_000])
def test_html_that_is_nested_too_deep_loses_no_text(depth: int) -> None:
    markup = f"<style>p{{}}</style>{'<div>' * depth}deep &amp; low{'</div>' * depth}<p>after<!-- x --></p>"
    assert readable(markup) == "deep & low\nafter"


@pytest.mark.parametrize(
    "part",
    ["<", "<p>", "<p ", "<!--", "<!-- -", "<script>", "</p>", "<title>", "&lt;p&gt;", "&amp;", "<p a='b' ", "<b><i>", "]]>", "<![CDATA[", "<textarea>", "--", "<p/>"],
)  # fmt: skip
def test_hostile_html_is_read_in_time(part: str) -> None:
    started = perf_counter()
    for markup in (part * 50_000, f"<p>{part * 50_000}", part * 50_000 + "<p>x</p>"):
        text(markup)
        readable("<div>" * 300 + markup)  # the plain way
    assert perf_counter() - started < 10


def test_text_beyond_the_parsers_limit_is_still_read() -> None:
    assert len(readable("<p>" + "x" * 11_000_000)) == 11_000_000


pieces = st.lists(
    st.sampled_from(
        ["<p>", "</p>", "<br>", "<b", ">", "<", "&lt;", "&gt;", "&amp;", "&amp;lt;", "p", "/", "!--", "-->", " ", "a", "\x00",
         "\ud800", "&#13;", "&#1;", "&#xD800;", "<script>", "</script>", "<![CDATA[", "]]>", "\r", "&nbsp;", "'", "<div>" * 260]
    )
    | st.text(max_size=5),
    max_size=14,
).map("".join)  # fmt: skip


@given(pieces)
def test_any_html_becomes_text_that_is_no_html(markup: str) -> None:
    result = text(markup)
    value = result.value if isinstance(result, Noted) else result
    if value is not None:
        assert isinstance(value, str)
        assert not has_markup(value)
        assert text(value) == value
        value.encode()
