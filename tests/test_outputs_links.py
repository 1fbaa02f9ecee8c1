"""Links in what is sent: absolute where they were relative, and none that runs anything."""

import re
from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import document_fromstring

from feedd.templates.outputs.links import absolute, folder_of

BASE = "https://shop.example/de"


@pytest.mark.parametrize(
    ("html", "mended"),
    [
        ('<a href="/x">', '<a href="https://shop.example/x">'),
        ("<a href=x/y>", "<a href=https://shop.example/de/x/y>"),
        ("<A HREF = ' ../y'>", "<A HREF = ' https://shop.example/y'>"),
        ('<a href="./y">', '<a href="https://shop.example/de/y">'),
        ('<a href="?a=1&amp;b=2">', '<a href="https://shop.example/de/?a=1&amp;b=2">'),
        ('<a href="//cdn.example/a">', '<a href="https://cdn.example/a">'),
        ('<a href="www.shop.example/a">', '<a href="https://www.shop.example/a">'),
        ('<a title="a > b <c" href="/x">', '<a title="a > b <c" href="https://shop.example/x">'),
        ('<a class="b"href="/x">', '<a class="b"href="https://shop.example/x">'),
        ("<img\nsrc\n=\n'/a.png'/>", "<img\nsrc\n=\n'https://shop.example/a.png'/>"),
        ('<td background="a.png">', '<td background="https://shop.example/de/a.png">'),
        ('<video poster="/a.png">', '<video poster="https://shop.example/a.png">'),
        ('<form action="/go">', '<form action="https://shop.example/go">'),
        ('<v:fill src="/a.png"/>', '<v:fill src="https://shop.example/a.png"/>'),
        ('<base href="/z/">', '<base href="https://shop.example/z/">'),
        ('<!--[if mso]><a href="/x">x</a><![endif]-->', '<!--[if mso]><a href="https://shop.example/x">x</a><![endif]-->'),
        ('<td style="color:red;background:url(/a.png)">', '<td style="color:red;background:url(https://shop.example/a.png)">'),
        ("<td style='background:URL( &quot;a.png&quot;)'>", "<td style='background:URL( &quot;https://shop.example/de/a.png&quot;)'>"),
        ("<style>a { background: url('/a.png') }</style>", "<style>a { background: url('https://shop.example/a.png') }</style>"),
        ('<img srcset="/a 1x, b 2x, https://x.example/c 3x">', '<img srcset="https://shop.example/a 1x, https://shop.example/de/b 2x, https://x.example/c 3x">'),
        ('<meta http-equiv="refresh" content="0; url=/x">', '<meta http-equiv="refresh" content="0; url=https://shop.example/x">'),
    ],
)  # fmt: skip
def test_what_is_relative_is_below_the_website(html: str, mended: str) -> None:
    assert absolute(html, BASE) == mended
    assert absolute(mended, BASE) == mended


def test_the_base_of_a_document_goes_before_the_website() -> None:
    html = '<base href="https://other.example/a/b.html"><a href="c">'
    assert absolute(html, BASE).endswith('<a href="https://other.example/a/c">')


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://shop.example/x?a=/b&amp;href=/c">href="/x" src=/y url(/z) a = /b</a>',
        '<a href="#top"><a href="mailto:shop@example.com"><a href="tel:+4712345678"><a href="sms:+47">',
        '<img src="cid:logo"><img src="data:image/png;base64,AA=="><a href="shop-app://item/1"><a href="whatsapp:x">',
        '<a href=""><a href=><a data-src="/x" data-href="/x"><a hreflang="/x">',
        '<a href="{{ x }}"><a href="[[x]]"><a href="%%x%%"><a href="*|X|*">',
        "<p>5 < 6 and src=/x</p><p title='src=/x'>url(/x)</p>",
        "<p>a</p>  src='/x'",
        "",
    ],
)
def test_the_rest_stays_as_it_is(html: str) -> None:
    assert absolute(html, BASE) == html


def test_with_no_website_relative_links_stay() -> None:
    html = '<a href="/x"><a href="y"><td style="background:url(/z)">'
    assert absolute(html, None) == html
    assert absolute('<a href="//a.example/">', None) == '<a href="https://a.example/">'


RUNNING = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " \t\n\x01javascript:alert(1)",
    "java\tscript:alert(1)",
    "java\r\nscript\n:alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A;&#X61vascript&colon;alert(1)",
    "&#0000000106;avascript&#58;alert(1)",
    "java&Tab;script&NewLine;:alert(1)",
    "java&#10;script&#x3a;alert(1)",
    "\u200bjavascript:alert(1)",
    "\u00a0javascript:alert(1)",
    "&nbsp;javascript:alert(1)",
    "java\u00adscript:alert(1)",
    "&#" + "0" * 5000 + "106;avascript:alert(1)",
    "vbscript:x",
    "livescript:x",
    "data:text/html;base64,PHNjcmlwdD4=",
    "DATA:image/svg+xml,<svg/onload=x>",
    "data:,x",
    "data:image/png/../text/html,x",
    "file:///etc/passwd",
    "C:/windows/a.lnk",
    "blob:https://shop.example/1",
    "feed:javascript:alert(1)",
    "view-source:javascript:alert(1)",
    "jar:javascript:alert(1)!/",
    "ms-msdt:/id",
    "search-ms:query=x",
    "\\\\server\\share\\a.png",
    "/\\server/share",
    "\\/server/share",
    "about:blank",
]


@pytest.mark.parametrize(
    "place",
    [
        '<a href="{}">',
        "<a href='{}'>",
        "<A HREF = \"{}\">",
        "<img alt=x src='{}'",
        "<iframe src='{}'>",
        "<form action=\"{}\"><button formaction='{}'>",
        "<svg><a xlink:href=\"{}\">",
        "<object data='{}'>",
        "<object/data='{}'>",
        "<base href=\"{}\">",
        '<!--[if mso]><v:rect href="{}"><![endif]-->',
        '<textarea></textarea><a title="</textarea>" href="{}">',
        "<svg><style><a title=\"</style>\" href='{}'>",
        "<a b='<c d=\"' href=\"{}\" e='>'>",
        "<a title='<b href=\"' href=\"{}\" c='>'>",
        "<meta http-equiv=refresh content='0;url={}'>",
        "<p style='background: url({})'>",
    ],
)  # fmt: skip
def test_what_runs_something_does_not_survive(place: str) -> None:
    for link in RUNNING:
        if link.startswith("DATA:image") and ("url(" in place or "<img" in place):
            continue  # an image there, and nothing else
        html = place.replace("{}", link)
        mended = absolute(html, BASE)
        assert mended != html, link
        assert absolute(mended, BASE) == mended
        assert not dangers(mended), link


@pytest.mark.parametrize(
    "html",
    [
        "<a href=javascript:alert(1)>",
        "<a x=y href=&#106avascript:alert(1)>",
        "<a href   =   javascript:alert(1)>",
        "<a/href=javascript:alert(1)/>",
        "<img srcset='https://a.example/b 1x, javascript:alert(1) 2x'>",
        "<meta http-equiv=refresh content='0;u&#114;l=&quot;javascript:alert(1)'>",
        "<meta http-equiv=refresh content=0;javascript:alert(1)>",
        "<iframe srcdoc='&lt;a href=javascript:alert(1)&gt;'>",
        "<iframe srcdoc='&lt;iframe srcdoc=&quot;x&quot;&gt;'>",
        "<svg><a><animate attributeName=xlink:href to=javascript:alert(1)>",
    ],
)
def test_other_ways_to_write_it_do_not_either(html: str) -> None:
    mended = absolute(html, BASE)
    assert mended != html
    assert not dangers(mended)
    assert absolute(mended, BASE) == mended


def test_drawings_are_images_and_nothing_else() -> None:
    drawing = "data:image/svg+xml,x"
    assert absolute(f'<img src="{drawing}">', BASE) == f'<img src="{drawing}">'
    for place in ("<a href='{}'>", "<iframe src='{}'>", "<embed src='{}'>"):
        assert "data:" not in absolute(place.format(drawing), BASE)


@pytest.mark.parametrize(
    ("website", "folder"),
    [
        ("https://shop.example", "https://shop.example/"),
        ("https://shop.example/de", "https://shop.example/de/"),
        ("https://shop.example/de/index.html?x#y", "https://shop.example/de/"),
        ('https://shop.example/"><b>', "https://shop.example/%22%3E%3Cb%3E/"),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_the_folder_of_a_website(website: str, folder: str) -> None:
    assert folder_of(website) == folder


@pytest.mark.parametrize(
    "text",
    [
        "<a href=",
        '<a href="',
        "=",
        " =",
        "url(",
        "<p style='url(a) ",
        "<a b=/x ",
        "<meta content='0",
        "<iframe srcdoc='",
        "<",
        "&#",
        "<style>url(a)",
        "<a b='<",
        '<a srcset=",a ',
    ],
)
def test_much_of_the_same_takes_no_longer_than_its_length(text: str) -> None:
    html = text * (60_000 // len(text))
    mended = absolute(html, BASE)
    assert len(mended) < 40 * len(html)


NAMES = st.sampled_from(["href", "SRC", "action", "style", "title", "srcset", "content", "class"])
VALUES = st.sampled_from(
    ["/x", "x y", "https://a.example/?b=c", "javascript:x", "&#106;avascript:x", "url(/a)", "0;url=/x", "//a", "#", ""]
)  # fmt: skip
GLUE = st.sampled_from(
    ['"', "'", " ", "=", ">", "<", "/", "<a ", "<!--", "-->", "<style>", "</style>", "\n", "é", "<svg>", "url("]
)  # fmt: skip
SOUP = st.lists(st.one_of(NAMES, VALUES, GLUE, GLUE), max_size=30).map("".join)


@given(SOUP)
def test_any_soup_is_mended_once_and_runs_nothing(html: str) -> None:
    mended = absolute(html, BASE)
    assert absolute(mended, BASE) == mended
    assert not dangers(mended)


@given(st.lists(st.tuples(NAMES, VALUES, st.text(max_size=10)), max_size=5))
def test_text_outside_of_attributes_is_never_touched(
    parts: list[tuple[str, str, str]],
) -> None:
    html = "".join(
        f'<p {name}="{escape(value)}">{escape(text)} {name}="/x" = /y</p>' for name, value, text in parts
    )  # fmt: skip
    assert texts(absolute(html, BASE)) == texts(html)


def texts(html: str) -> list[str]:
    return re.findall(">([^<]*)<", html)


class Links(HTMLParser):
    """Every attribute that leads or loads, as Python's parser reads it; comments are read too."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]

    def handle_comment(self, data: str) -> None:
        inner = Links()
        inner.feed(data)
        self.found += inner.found


LEADS = {"href", "src", "action", "formaction", "background", "poster", "data", "xlink:href"}
RUNS = re.compile(
    r"(feed:|view-source:|jar:)*((java|vb|live)script|data(?!:image/(png|gif|jpe?g|webp|avif|bmp)[;,])|file|blob|about|c|ms-.*|search-ms):"
    r"|\\\\|/\\|\\/"
)  # fmt: skip


def dangers(html: str) -> list[tuple[str, str, str]]:
    """The links that would run something, by two parsers."""
    parser = Links()
    parser.feed(re.sub("0{4000,}", "0", html))  # which Python's cannot read
    found = parser.found
    if html.strip():
        for element in document_fromstring(f"<div>{html}</div>").iter():
            if isinstance(element.tag, str):
                found += [(element.tag, str(k), str(v)) for k, v in element.attrib.items()]
    return [each for each in found if is_danger(*each)]


def is_danger(tag: str, name: str, value: str) -> bool:
    value = re.sub("[\x00-\x20\x7f-\xa0\u00ad\u200b]", "", value).lower()
    if name in LEADS:
        return RUNS.match(value) is not None
    if name == "srcset":
        return any(RUNS.match(each) for each in value.split(","))
    if name == "content":
        refresh = re.match(r"[0-9.]+[;,]?(?:url=)?[\"']?(.*)", value, re.DOTALL)
        return bool(refresh) and tag == "meta" and RUNS.match(refresh[1]) is not None
    if name == "style":
        return any(RUNS.match(each.lstrip("\"'")) for each in value.split("url(")[1:])
    return name == "srcdoc" or (name == "attributename" and value.endswith("href"))
