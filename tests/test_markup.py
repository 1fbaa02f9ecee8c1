"""HTML as text: what a reader sees, from anything, in little time."""

import random
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.coerce import Noted
from feedd.coerce.markup import has_markup, in_lines, readable, repaired_parts, without_markup
from feedd.coerce.text import text
from feedd.coerce.tidy_markup import tidy_parts

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


BLOCKS = [
    "p",
    "div",
    "ul",
    "li",
    "ol",
    "h1",
    "blockquote",
    "table",
    "tbody",
    "tr",
    "td",
    "hr",
    "br",
    "section",
]
INLINE = ["b", "a", "span", "img", "P", "small"]
WRITTEN = [
    "a", "b c", " ", "\n", "\t", " d", "e ", "f\ng", "&amp;", "&nbsp;", " &lt; ", "&quot;&gt;", "&copy;", "& ", "5 > 4", "é", "\xa0",
    "\ufeff", "\x85", "\u2028", "\u2003", "]]>", "x" * 1_000, "y" * 999 + " ", "<!-- -->", "\x00", "\r",
]  # fmt: skip
ATTRIBUTES = [
    "",
    "",
    "",
    ' class="x"',
    ' href="https://a.example/?a=1"  b="c"',
    "\n",
    "\xa0",
    " /",
    " a='b'",
]


def element(chance: random.Random, name: str = "") -> str:
    """HTML that is nested, though not always as it should be."""
    inner = "".join(
        element(chance, chance.choice([*BLOCKS, *INLINE]))
        if chance.random() < 0.3
        else chance.choice(WRITTEN)
        for _ in range(chance.randrange(4))
    )
    if not name:
        return inner
    start = f"<{name}{chance.choice(ATTRIBUTES)}>"
    return start if name in ("br", "hr", "img") else f"{start}{inner}</{name}>"


def nested(names: list[str], text: str) -> str:
    return (
        "".join(f"<{name}>" for name in names)
        + text
        + "".join(f"</{name}>" for name in reversed(names))
    )


@given(st.integers(0, 2**32))
def test_tidy_html_is_read_as_the_parser_reads_it(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        markup = element(chance)
        parts = tidy_parts(markup)
        if parts is not None:
            assert (markup, in_lines(parts)) == (markup, in_lines(repaired_parts(markup)))


@pytest.mark.parametrize(
    ("markup", "tidy"),
    [
        ("<p>a</p>\n<ul><li>b</li> <li>c <b>d</b></li></ul>", True),
        ('<div class="x"><h1>a</h1>b<br/>c &amp; d&nbsp;</div>', True),
        ("<TABLE><tr><td>1</td> <td>2</td></tr></TABLE>", True),
        ("a <b>c</b> d", True),
        ("", True),
        ("<p>a<p>b", False),  # open
        ("<p><ul><li>a</li></ul></p>", False),  # nested otherwise than HTML allows
        ("<b>a</p>", False),
        ("</b>", False),
        ("<b>a</b> <i>b</i>", False),  # a parser may drop the space
        ("<li>a</li>", False),
        ("<ul>a</ul>", False),
        ("<p/>", False),
        ("<video>a</video>", False),
        ("<p class=x>a</p>", False),
        ("a < b <p>", False),
        ("<p>&eacute;</p>", False),
        ("<p>a & b</p>", False),
        ("<p>\r</p>", False),
        ("<p>é\x85</p>", False),
        ("\ufeff<p>é</p>", False),
        ("<p>]]></p>", False),
        ("<p>" + "x" * 100_000 + "</p>", False),
        (nested(["div"] * 60, "x"), False),
    ],
)
def test_html_is_tidy_where_it_leaves_nothing_to_decide(markup: str, tidy: bool) -> None:
    parts = tidy_parts(markup)
    assert (parts is not None) == tidy
    assert parts is None or in_lines(parts) == in_lines(repaired_parts(markup))
