"""Laws of templates: whatever is written in them, a message comes out or a failure that has a name, and the same again."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_outputs_links import dangers
from test_template_attacks import CANARY, DUMP, LIMITS, VALUES, Catalog

from feedd.rendering import Recipient, Rendered, Renderer, RenderFailed, Source, Wanted
from feedd.templates.wire import Account, Failed

KINDS = {"syntax", "lookup", "limit", "error"}
WANTED = Wanted(text=True, inlines=True, now=datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(lambda: Account(website="https://shop.example"), Catalog(), limits=LIMITS)
    yield made
    made.close()


def recipient(values: dict[str, Any]) -> Recipient:
    return Recipient(values=json.dumps(values).encode(), seed="1")


def outcome(renderer: Renderer, source: Source, values: dict[str, Any]) -> Rendered | Failed:
    try:
        return renderer.render(source, recipient(values), WANTED)
    except RenderFailed as error:
        return error.failure


NAMES = st.sampled_from([*VALUES, "none", "x", "forloop", "feeds.deep", "xs.0", "d.k", "d.items", "d.l.1.g", "a.b", "catalog_item", "catalog_item.history", "catalog_item.price", "'text'", '"a|b"', "'%Y'", "5", "-1", "1.5", "True", "_x", "''", "'2026-03-31'"])  # fmt: skip
FILTERS = st.sampled_from(["abs", "add", "addslashes", "append", "at_least", "base64_decode", "base64_encode", "capfirst", "center", "concat", "cut", "date", "days_later", "default", "dictsort", "divide", "escape", "filesizeformat", "find_replace", "first", "floatformat", "force_escape", "format_date_string", "join", "json_script", "last", "length", "linebreaks", "ljust", "lookup", "lower", "make_list", "map", "modulo", "multiply", "newline_to_br", "percentize", "phone2numeric", "pluralize", "random", "removetags", "replace_first", "resplit", "reverse", "round", "safe", "slice", "slugify", "sort", "split", "stringformat", "striptags", "sum_list", "time", "timesince", "title", "truncate", "truncatechars", "truncatewords_html", "uniq", "unordered_list", "upper", "urldecode", "urlencode", "urlize", "weeks_since", "wordwrap", "yesno"])  # fmt: skip
FILTERED = st.tuples(NAMES, st.lists(st.tuples(FILTERS, st.none() | NAMES), max_size=3)).map(
    lambda parts: parts[0] + "".join(f"|{name}" + (f":{argument}" if argument else "") for name, argument in parts[1])
)  # fmt: skip
OPENED = [
    ("for x in {}", "endfor"), ("for x, y in {}", "endfor"), ("for x in {} reversed", "endfor"), ("if {}", "endif"),
    ("if {} and not {}", "endif"), ("if {} > {}", "endif"), ("if {} in {}", "endif"), ("with x={} a={}", "endwith"),
    ("ifchanged", "endifchanged"), ("ifchanged {}", "endifchanged"), ("catalog {}", "endcatalog"),
    ("filter upper", "endfilter"), ("autoescape off", "endautoescape"), ("spaceless", "endspaceless"),
    ("comment", "endcomment"), ("verbatim", "endverbatim"),
]  # fmt: skip
ALONE = [
    "cycle {} {}", "cycle {} {} as x", "firstof {} {} 'z'", "now {}", "regroup {} by {} as x", "widthratio {} {} 100",
    "templatetag openblock", "today '%Y' as x", "currency_format {}", "barcode {}", "items 'shop' brand={} limit={} as x",
    "changes 'shop' since={} as x", "has_category {} {} as x", "render_variable {}", "unsubscribe {}", "web_view_link",
    "current_month_name", "resetcycle", "load humanize", "elif {}", "else", "empty", "endfor", "nothing {}",
]  # fmt: skip


def filled(tag: str, expressions: list[str]) -> str:
    for each in expressions:
        tag = tag.replace("{}", each, 1)
    return tag


MARKUP = st.sampled_from(["<p>", "</p>", "<a href='", "'>", "<style>p { color: red }</style>", "<td>", "{{", "%}", "{#", "#}", "é", "\n", " ", "javascript:", "<img src=/"])  # fmt: skip
LEAVES = st.one_of(
    FILTERED.map(lambda each: f"{{{{ {each} }}}}"),
    st.tuples(st.sampled_from(ALONE), st.lists(FILTERED, min_size=2, max_size=2)).map(lambda parts: f"{{% {filled(*parts)} %}}"),
    MARKUP,
)  # fmt: skip
TEMPLATES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        st.sampled_from(OPENED), st.lists(FILTERED, min_size=2, max_size=2), st.lists(inner, max_size=4)
    ).map(lambda parts: f"{{% {filled(parts[0][0], parts[1])} %}}{''.join(parts[2])}{{% {parts[0][1]} %}}"),
    max_leaves=8,
)  # fmt: skip
SOURCES = st.lists(TEMPLATES, max_size=4).map("".join)


@given(SOURCES)
def test_any_template_gives_a_message_or_a_failure_with_a_name_twice(
    renderer: Renderer, source: str
) -> None:
    before = outcome(renderer, Source(html=DUMP), VALUES)
    assert isinstance(before, Rendered)
    asked = Source(html=source, subject=source, preview_text=source)
    found, again = (outcome(renderer, asked, VALUES) for _ in range(2))
    if isinstance(found, Rendered):
        assert isinstance(again, Rendered)
        assert (found.html, found.text, found.subject) == (again.html, again.text, again.subject)
        assert CANARY.encode() not in found.html
        assert len(found.html) <= LIMITS.output_bytes
        assert not dangers(found.html.decode())
    else:
        assert found.kind in KINDS
        assert found.code != "internal"
        assert found.message
        assert isinstance(again, Failed)
        assert (found.code, found.line, found.column) == (again.code, again.line, again.column)
    after = outcome(renderer, Source(html=DUMP), VALUES)
    assert isinstance(after, Rendered)
    assert after.html == before.html


SHEET = "<style>p { color: red } div div { margin: 0 }</style>"
MUCH = LIMITS.output_bytes - 1_000


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (SHEET + "<div>" * (MUCH // 5), None),
        (SHEET + "<b>" * 500 + "<p></p>" * 5_000, None),
        (SHEET + "<table><tr><td>" * (MUCH // 15), None),
        (SHEET + "<div></x>" * (MUCH // 9), None),
        ("<style>" + "p{color:red}" * (MUCH // 12) + "</style><p>", None),
        ("<style>" + "{ " * (MUCH // 2), None),
        ("<p style='margin-top:99999em;" + "style:" * (MUCH // 6) + "'>x", None),
        ("<img srcset='" + "a," * (MUCH // 2) + "'>", None),
        ("<img srcset='" + "a, " * (MUCH // 3) + "'>", "too_large"),
        ("<a href=" * (MUCH // 8), None),
        ("<a href='/x'>" * (MUCH // 13), "too_large"),
        ("<p style='" + "url(a)" * (MUCH // 6) + "'>", "too_large"),
        ("<a href='" + "&#1;" * (MUCH // 4) + "javascript:x'>", None),
        ("<!--" * (MUCH // 4), None),
        ("{{ d.k|safe }}\ud7ff<p>&#55296;&#x110000;&#" + "9" * 5_000 + ";", None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_finishes_a_message_is_bounded_too(
    renderer: Renderer, source: str, code: str | None
) -> None:
    """Stacks of parsers written in C, patterns that go back, and text that grows."""
    found = outcome(renderer, Source(html=source, subject=source[:5_000]), VALUES)
    if code is None:
        assert isinstance(found, Rendered)
        assert found.text is not None
        assert len(found.text.encode()) <= LIMITS.output_bytes
        assert not dangers(found.html.decode().replace("9" * 5_000, "9"))
    else:
        assert isinstance(found, Failed)
        assert found.code == code
    assert isinstance(outcome(renderer, Source(html=DUMP), VALUES), Rendered)


def test_links_of_values_run_nothing_whoever_wrote_them(renderer: Renderer) -> None:
    values = {
        "url": "java\tscript:alert(1)",
        "image": "data:text/html,<b>",
        "name": "=?utf-8?q?=0D=0ABcc:x?=\r\nBcc: y",
    }
    html = "<a href='{{ url }}'><img src={{ image }}><a href=\"{{ url|safe }}\">{% autoescape off %}<a href='{{ url }}'>{% endautoescape %}"  # fmt: skip
    found = outcome(renderer, Source(html=html, subject="{{ name }}"), values)
    assert isinstance(found, Rendered)
    assert not dangers(found.html.decode())
    assert "script:" not in found.html.decode()
    assert found.subject == "= ?utf-8?q?=0D=0ABcc:x?= Bcc: y"
