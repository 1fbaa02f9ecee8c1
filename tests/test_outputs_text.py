"""What is sent beside the HTML: plain text, styles in their elements, a subject line."""

import email
import email.policy
from email.message import EmailMessage
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.templates.outputs.plain_text import plain_text
from feedd.templates.outputs.styles import inline
from feedd.templates.outputs.subject import MOST_CHARACTERS, subject_line

RECEIPT = """<!DOCTYPE html><html><head><title>Receipt</title><style>.preheader { display: none }
@media (max-width: 600px) { .wide { display: none } }</style></head><body>
<span class="preheader">Your order is on its way</span><div style="display:none;max-height:0">&zwnj;&nbsp;&zwnj;&nbsp;again</div>
<!--[if mso]><p>Outlook</p><![endif]-->
<table><tr><td><a href="https://shop.example/"><img src="a.png" alt="Example Shop" style="margin-top:99999em"></a></td></tr></table>
<h1>Thanks,
   Jane</h1>
<p class="wide">It comes to &Ouml;sterreich&shy; soon.&nbsp; Track it <a href="https://shop.example/t/1">here</a>.</p>
<table><tr><th>Item</th><th></th><th><p>Price</p></th></tr>
<tr><td>Red shoe</td><td><img src="x.gif" alt=""></td><td>&euro;99</td></tr><tr><td>Total</td><td></td><td>&euro;99</td></tr></table>
<ul><li>one</li><li>two</li></ul>
<a href="https://shop.example/a">https://shop.example/a</a> <a href="mailto:shop@example.com">shop@example.com</a><br>
<a href="#top">Up</a><a href="https://x.example/"><img src="i.png"></a><hr><script>x()</script>
</body></html>"""
TEXT = """Example Shop (https://shop.example/)

Thanks, Jane

It comes to Österreich soon. Track it here (https://shop.example/t/1).

Item  Price
Red shoe  €99
Total  €99
* one
* two
https://shop.example/a shop@example.com
Up https://x.example/
----------
"""


def test_a_mail_is_read_as_it_is_seen() -> None:
    assert plain_text(RECEIPT) == TEXT


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<!-- nothing -->", ""),
        ("a<br>b<br><br><br><br>c", "a\nb\n\nc\n"),
        ("a \r\n b\u2028c", "a b c\n"),
        ("<?xml version='1.0' encoding='latin-1'?><p>é</p>", "é\n"),
        ("<p>a\0b\ud800</p>", "a\ufffdb?\n"),
        ("<td>loose</td>", "loose\n"),
        ("<b>fish</b>ing", "fishing\n"),
        ("<a href=https://a.example/>a</a><a href=https://b.example/>b</a>", "a (https://a.example/) b (https://b.example/)\n"),
        ("<p hidden>x</p><p style='opacity: 0.5'>y</p><p style='visibility : hidden'>z</p>", "y\n"),
        ("<style>@import 'x'; .a, p.b{display:none}} .c{display:none}</style><p class='b'>x<p class='a'>y", "x\n"),
        ("👩\u200d👧 \u200c \u200c a\u200cb", "👩\u200d👧 a\u200cb\n"),
        (
            '<p>Nov 20<a href="https://a.example/1"><img src="x"></a>Mug<a href="https://a.example/2"><img src="y"></a></p>',
            "Nov 20 https://a.example/1 Mug https://a.example/2\n",
        ),
    ],
)  # fmt: skip
def test_text_is_what_is_seen(html: str, text: str) -> None:
    assert plain_text(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "end",
        "<table><tr><td>" * 30_000 + "end",
        "<p>" * 50_000 + "end",
        "<ul><li>" * 300 + "end",
        "<b><i>" * 40_000 + "end",
        '<p style="' + "style:" * 20_000 + '">end',
        "<style>" + "@{" * 50_000 + "</style>end",
        "\u00a0\u200c " * 50_000 + "end",
        "<table><tr><td>" + "x" * 50_000 + "</td><td>y</td></tr>" + "<tr><td>z</td></tr>" * 3_000 + "</table>end",
        '<p style="margin-top:99999em;padding-left:99999em">x</p>' * 3_000 + "end",
    ],
    ids=lambda html: html[:16],
)  # fmt: skip
def test_no_html_is_too_deep_or_gives_much_more_than_it_is(html: str) -> None:
    text = plain_text(html)
    assert text.endswith("end\n")
    assert len(text) < len(html)


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<td>", "<table>", "</table>", "<tr>", "<a href='https://a.example'>", "</a>", "<ul>", "<li>", "<br>", "x y", "&nbsp;", "<pre>", "\n", "<!--", "-->", "<style>", "é"])).map("".join)
)  # fmt: skip
def test_any_html_gives_tidy_text(html: str) -> None:
    text = plain_text(html)
    assert plain_text(html) == text
    assert "\n\n\n" not in text
    assert text == "" or text == text.strip() + "\n"
    assert all(line == line.strip() for line in text.split("\n"))


SHEET = "<style>.a { color: red } td { padding: 1px } p { margin: 0 } @media (max-width: 9px) { .a { color: blue } }</style>"


@pytest.mark.parametrize(
    ("html", "styled"),
    [
        ("<p class=a>x&nbsp;&copy;</p>", '<p style="margin: 0;color: red" class=a>x&nbsp;&copy;</p>'),
        ("<p style='font-family:\"A B\"'/>", "<p style=\"margin: 0;font-family: 'A B'\"/>"),
        ("<br class=a />", '<br style="color: red" class=a />'),
        ('<p title="a>b" style="color:green">x', '<p title="a>b" style="margin: 0;color: green">x'),
        ("<![if !mso]><b class='a' bgcolor=#fff>x</b><![endif]>", "<![if !mso]><b style=\"color: red\" class='a' bgcolor=#fff>x</b><![endif]>"),
        ("<!--[if mso]><p>x</p><![endif]-->", "<!--[if mso]><p>x</p><![endif]-->"),
        ("<table><tr><td>x</table>", '<table><tr><td style="padding: 1px">x</table>'),
        ("<title><p></title><textarea><p></textarea>", "<title><p></title><textarea><p></textarea>"),
        ("</div><i>loose</i><tr>", "</div><i>loose</i><tr>"),
    ],
)  # fmt: skip
def test_styles_stand_in_their_elements_and_nothing_else_changes(html: str, styled: str) -> None:
    assert inline(SHEET + html) == SHEET + styled
    assert inline(SHEET + styled) == SHEET + styled


@pytest.mark.parametrize(
    "html",
    [
        "<p>no sheet</p></html>",
        "<style media=print>p { color: red }</style><p>x</p>",
        "<style>@media print { p { color: red } }</style><p>x</p>",
        "<link rel=stylesheet href='file:///etc/passwd'><style></style><p>x</p>",
        "<style>p { color: red }</style><p>\ud800</p>",
        "<style>p { color: red }</style>" + "<div>" * 50_000 + "<p>",
        "<style>p { color: red }</style>" + "<b>" * 1_000 + "<p></p>" * 1_000,
        "<style>p { color: red }</style>" + "<div></x>" * 2_000 + "<p>",
    ],
)
def test_where_there_is_nothing_to_do_or_too_much_every_byte_stays(html: str) -> None:
    assert inline(html) == html


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<td class=a>", "<table>", "</table>", "<tr>", "<p style='color:red'", ">", "<b>", "</b>", "<!--", "-->", "x", '"', "'", "<style>", "</style>", "data-feedd-number='1' "])).map("".join)
)  # fmt: skip
def test_all_but_styles_stays(html: str) -> None:
    styled = inline(SHEET + html)
    begun = styled.index("</style>")
    assert styled[:begun] == SHEET[:begun]
    assert len(styled) >= len(SHEET + html) - 20
    if "style=" not in html:
        assert without_styles(styled) == SHEET + html


def without_styles(html: str) -> str:
    parts = html.split(' style="')
    return parts[0] + "".join(part.partition('"')[2] for part in parts[1:])


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("  20 %\toff,\r\n Jane &amp; John\u2028 &lt;3 ", "20 % off, Jane & John <3"),
        ("a\0b\x1b\x85c\x7f", "a b c"),
        ("a&#10;b&#13;&#0;c", "a b \ufffdc"),
        ("\ud800x\udfff", "x"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("&#" + "1" * 5000 + ";", ("&#" + "1" * 5000)[: MOST_CHARACTERS - 1] + "…"),
        ("=?utf-8?q?a?=", "= ?utf-8?q?a?="),
        ("=?x? why =?", "=?x? why =?"),
        ("👩\u200d👧 हिन्दी", "👩\u200d👧 हिन्दी"),
        ("", ""),
    ],
)
def test_a_subject_is_one_line(text: str, subject: str) -> None:
    assert subject_line(text) == subject


@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(["=?utf-8?q?", "=?utf-8?B?", "=0D=0A", "DQpCY2M6eA==", "?=", "Bcc: x@example.com", "\r", "\n", "&#10;", "&#61;?", " ", "é"])).map("".join),
    )
)  # fmt: skip
def test_no_subject_becomes_another_header(text: str) -> None:
    subject = subject_line(text)
    assert subject_line(subject) == subject or "&" in text
    assert not {category(each) for each in subject} & {"Cc", "Cs", "Zl", "Zp"}
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = subject
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert read.keys() == ["Subject"]
