"""Tags and filters at their edges: what is not there, what would grow, what must come out the same."""

import base64
import re
import struct
import zlib
from datetime import UTC
from typing import Any

import pytest
from barcode.charsets import code128
from django.template import TemplateSyntaxError
from templating import shown

from feedd.templates.bounded import MAX_ITEMS, MAX_TEXT
from feedd.templates.engine import compiled
from feedd.templates.failures import TooMuch
from feedd.templates.moments import Moment
from feedd.templates.tags.absent import ABSENT


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_a_tag_that_is_not_there_says_so_and_what_to_do(name: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=f"the tag '{name}'") as caught:
        compiled(f"{{% {name} 'x' %}}")
    assert caught.value.hint  # type: ignore[attr-defined]


@pytest.mark.parametrize("names", ["humanize", "i18n tz l10n static", "intcomma from humanize"])
def test_load_does_nothing_for_the_libraries_there_are(names: str) -> None:
    assert shown(f"a{{% load {names} %}}b") == "ab"


@pytest.mark.parametrize("name", ["os", "feedd", "humanise", "../etc/passwd"])
def test_load_is_refused_for_anything_else(name: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=re.escape(f"no library '{name}'")):
        compiled(f"{{% load {name} %}}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x'|center:'999999999' }}",
        "{{ 'x'|ljust:999999999 }}",
        "{{ 'x'|rjust:'1048577' }}",
        "{{ 1|stringformat:'999999999d' }}",
        "{{ 1|stringformat:'.99999999f' }}",
        "{{ 1.5|floatformat:'999999999' }}",
        "{{ 1.5|floatformat:-100000 }}",
        "{{ big|make_list }}",
        "{{ big|append:big }}",
        "{{ big|add:big }}",
        "{{ many|concat:many }}",
        "{{ many|add:many }}",
        "{{ many|join:many_letters }}",
        "{{ words|join:big }}",
        "{{ letters|find_replace:'a|aaaaaaaaaaaaaaaaaaaa' }}",
        "{{ letters|split:'' }}",
        "{{ letters|split:'a' }}",
        "{{ big|escape|force_escape }}",
        "{{ many|unordered_list|append:big }}",
        "{{ huge|add:1 }}",
        "{% filter center:'999999999' %}x{% endfilter %}",
        "{{ letters|resplit:'(a+)+$' }}",
        "{{ letters|resplit:'a?a?a?a?a?a?a?a?a?a?a?a?a?a?b' }}",
        "{{ letters|resplit:'a*a*b' }}",
        "{{ letters|resplit:'[' }}",
        "{{ words|resplit:'\\1' }}",
    ],
)  # fmt: skip
def test_what_would_grow_beyond_a_bound_fails_the_message(source: str) -> None:
    values = {
        "big": "<" * (MAX_TEXT - 10),
        "many": list(range(MAX_ITEMS - 10)),
        "words": ["a", "b", "c"],
        "letters": "a" * (MAX_ITEMS + 1),
        "many_letters": "a" * 100,
        "huge": 10**308 - 1,
    }
    with pytest.raises(TooMuch):
        shown(source, values)


def test_a_value_added_to_itself_again_and_again_is_stopped() -> None:
    for value in ("ab", 7, [1]):
        source = "{% with a=a|add:a %}" * 60 + "{{ a|length }}" + "{% endwith %}" * 60
        assert len(shown("{% with a=a|add:a %}{{ a|make_list }}{% endwith %}", {"a": value})) > 2
        if not isinstance(value, int):
            with pytest.raises(TooMuch):
                shown(source, {"a": value})


def test_a_list_that_holds_itself_many_times_is_not_written_out() -> None:
    value: Any = ["x"]
    for _ in range(40):
        value = [value, value]
    for use in (
        "upper",
        "join:', '",
        "json_script",
        "unordered_list",
        "uniq|length",
        "safeseq|length",
    ):
        with pytest.raises(TooMuch):
            shown(f"{{{{ deep|{use} }}}}", {"deep": value})


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        (r"\s+", ["a", "b;c", "d"]),
        (r"[\s;]+", ["a", "b", "c", "d"]),
        (r"\s|;", ["a", "", "b", "c", "d"]),
        (r"\W{1,2}", ["a", "b", "c", "d"]),
    ],
)
def test_resplit_takes_simple_expressions(pattern: str, parts: list[str]) -> None:
    assert shown("{{ text|resplit:pattern|join:'|' }}", {"text": "a  b;c d", "pattern": pattern}) == "|".join(parts)  # fmt: skip


def test_a_block_of_products_as_the_editor_writes_it() -> None:
    block = """{% if feeds.TOP|index:PLACE %}{% with item=feeds.TOP|index:PLACE%}
    {% with Title=item.title|safe Price=item.price|default:"" %}{{ Title }} {{ Price }}{% endwith %}
    {% endwith %}{% endif %}"""
    source = "".join(block.replace("PLACE", str(place)) for place in range(3))
    values = {"feeds": {"TOP": [{"title": "Mug &amp; Cup", "price": "$4"}, {"title": "Lamp"}]}}
    assert shown(source, values).split() == ["Mug", "&amp;", "Cup", "$4", "Lamp"]
    assert (
        shown(
            "{{ l|index:'-1' }}{{ l|index:5 }}{{ none|index:0 }}{{ text|index:0 }}",
            {"l": [1, 2], "none": None, "text": "a"},
        )
        == "2"
    )


def test_what_is_random_is_the_same_for_the_same_message() -> None:
    source = "{% for x in numbers %}{{ numbers|random }} {% endfor %}"
    values = {"numbers": list(range(50))}
    first, again, other = (shown(source, values, seed=seed) for seed in ("a", "a", "b"))
    assert first == again != other
    assert len(set(first.split())) > 1


def test_the_format_of_today_can_name_no_width() -> None:
    assert shown("{% today '%999999999d %-d %Q%' %}") == "%999999999d 31 %Q%"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, ""), ("", ""), (True, "True"), ("$40", "$40"), ("<b>", "&lt;b&gt;"), ("12", "$12.00"), (12, "$12.00"),
        ("1,234.5", "$1,234.50"), (-5, "-$5.00"), (float("nan"), "nan"), (1e300, None), ([1], "[1]"),
    ],
)  # fmt: skip
def test_currency_format_takes_numbers_and_leaves_other_texts(
    amount: Any, text: str | None
) -> None:
    found = shown("{% currency_format amount %}", {"amount": amount})
    assert found == text if text is not None else found.startswith("$1,000,000")


@pytest.mark.parametrize(
    "source",
    [
        "{% currency_format event|lookup:'$value' %}",
        "{% currency_format event.line_price|floatformat:2 %}",
        "{% currency_format event.line_price | floatformat:2 %}",
        "{%currency_format event.line_price|multiply:1%}",
        "{% currency_format event.line_price as price %}{{ price }}",
    ],
)
def test_currency_format_is_written_in_many_ways(source: str) -> None:
    assert shown(source, {"event": {"$value": "19.9", "line_price": 19.9}}) == "$19.90"


def test_text_that_was_not_safe_is_escaped_whatever_it_went_through() -> None:
    values = {"bad": "<i>"}
    for use in ("append:'<b>'", "prepend:'<b>'", "concat:'<b>'", "find_replace:'i|<b>'", "truncate:2", "strip", "trim_slash",
                "remove:'x'", "httpize", "split:'x'|first", "split:'x'|list_to_string", "base64_encode|base64_decode",
                "urlencodeplus|urldecodeplus", "default:'x'", "escape_once", "sort|first", "reverse", "missing_image"):  # fmt: skip
        found = shown(f"{{{{ bad|{use} }}}}", values)
        assert "<" not in found, use
    assert shown("{% unsubscribe bad %}", values).endswith(">&lt;i&gt;</a>")
    assert "<i>" not in shown("{% barcode bad mode=html %}", values)
    assert shown("{% render_variable bad %}{% currency_format bad %}", values) == "&lt;i&gt;" * 2


def modules_of(html: str) -> str:
    """The modules of a table of bars, quiet ones not among them."""
    cells = re.findall(r'<td width="(\d+)" height="\d+" bgcolor="(#\w+)"', html)
    return "".join(
        ("1" if color == "#000000" else "0") * int(width) for width, color in cells
    ).strip("0")


def test_a_barcode_says_its_value_in_code_128() -> None:
    html = shown("{% barcode 'MyCode' mode=html %}")
    modules = modules_of(html)
    numbers = [code128.CODES.index(modules[at : at + 11]) for at in range(0, len(modules) - 13, 11)]
    assert numbers[0] == code128.START_CODES["B"]
    assert bytes(number + 32 for number in numbers[1:-1]).decode() == "MyCode"
    assert modules.endswith(code128.STOP + "11")
    weighted = sum(place * number for place, number in enumerate(numbers[1:-1], 1))
    assert numbers[-1] == (numbers[0] + weighted) % 103


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("{% barcode 'MyCode' %}", (300, 150)),
        ("{% barcode code width=200 height=100 %}", (600, 300)),
        ("{% barcode code width=200 height=100 padded_width=700 padded_height=400 mode=url %}", (700, 400)),
        ("{% barcode code|default:'x' mode=rcs %}", (1440, 720)),
        ("{% barcode code width=99999 height=9999 coupon=False %}", (4096, 4096)),
    ],
)  # fmt: skip
def test_a_barcode_as_a_picture_has_the_size_that_is_asked_for(
    source: str, size: tuple[int, int]
) -> None:
    address = shown(source, {"code": "MyCode"})
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == size
    start = data.index(b"IDAT") + 4
    rows = zlib.decompressobj().decompress(data[start:])
    middle = rows[(height // 2) * (width + 1) + 1 :][:width]
    assert {0, 255} == set(middle)
    assert len(rows) == height * (width + 1)


@pytest.mark.parametrize("value", [None, "", "ünïcödé \u6f22", "x" * 101, {"a": 1}])
def test_what_cannot_be_said_in_bars_gives_nothing(value: Any) -> None:
    for mode in ("html", "url", "rcs"):
        found = shown(f"{{% barcode value mode={mode} %}}", {"value": value})
        assert not found or value == {"a": 1}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% barcode %}", "needs a value"),
        ("{% barcode mode=html %}", "needs a value"),
        ("{% barcode x wdith=3 %}", "not 'wdith'"),
        ("{% barcode x 3 %}", "does not understand '3'"),
        ("{% barcode 'c' coupon=True %}", "coupon codes are not there yet"),
        ("{% currency_format %}", "needs an amount"),
        ("{% render_variable %}", "takes one name"),
        ("{% now %}", "takes one argument"),
    ],
)
def test_a_tag_that_is_written_wrong_says_how(source: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=message):
        compiled(source)


@pytest.mark.parametrize(
    ("item", "name", "is_in"),
    [
        ({"categories": ["On-Sale"]}, "sale", True),
        ({"categories": ["Shoes"]}, "sale", False),
        ({"categories": [{"name": "Sale"}, None, 5]}, "sale", True),
        ({"metadata": {"categories": "Home > Sale"}}, "Sale", True),
        ({"categories": ["Shoes"]}, "", False),
        (None, "sale", False),
        ("sale", "sale", False),
        ({}, None, False),
    ],
)
def test_a_category_is_found_by_a_part_of_its_name(item: Any, name: Any, is_in: bool) -> None:
    source = "{% has_category item name as found %}{{ found }}"
    assert shown(source, {"item": item, "name": name}) == str(is_in)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-02-11T16:46:08-05:00", "2026-02-11 16:46"),
        ("2026-02-11T16:46:08.123Z", "2026-02-11 16:46"),
        ("2026-02-11 16:46:08", "2026-02-11 16:46"),
        ("2026-02-11", "2026-02-11 00:00"),
        ("02-11-2026", "2026-02-11 00:00"),
        ("02/11/2026 16:46", "2026-02-11 16:46"),
        ("11 Feb 2026 16:46:08", "2026-02-11 16:46"),
        (1770828368, "2026-02-11 16:46"),
        ("soon", ""),
        ("2026-02-30", ""),
        (None, ""),
        ([], ""),
        (True, ""),
    ],
)
def test_the_moment_that_a_text_says_is_shown_as_it_says_it(text: Any, date: str) -> None:
    source = "{{ text|format_date_string|date:'Y-m-d H:i' }}"
    assert shown(source, {"text": text}, timezone="Asia/Tokyo") == date


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("2026-02-27", "2026-03-04"),
        ("2026-02-27T10:00:00", "2026-03-04T10:00:00"),
        ("02-27-2026", "03-04-2026"),
        ("02/27/2026", "03/04/2026"),
        ("2026-02-27T10:00:00+02:00", "2026-03-04T10:00:00+02:00"),
        ("2026-02-27T10:00:00Z", "2026-03-04T10:00:00Z"),
        ("2026-02-27 10:00:00.5", "2026-03-04 10:00:00.5"),
        ("20260227T1000", "20260304T1000"),
        ("2/27/2026", "3/4/2026"),
        ("02/27/26", "03/04/26"),
        ("27.02.2026", "04.03.2026"),
        ("27.2.2026 14:30", "4.3.2026 14:30"),
        ("2026/02/27", "2026/03/04"),
        ("Feb 27, 2026", "Mar 4, 2026"),
        ("February 27, 2026", "March 4, 2026"),
        ("27 February 2026", "4 March 2026"),
        ("Fri, 27 Feb 2026 23:00:00 -0500", "Wed, 04 Mar 2026 23:00:00 -0500"),
        ("Feb 27, 2026 1:00 am +0300", "Mar 4, 2026 1:00 am +0300"),
        # what could not be read again, or is not quite one of these
        ("27/02/2026", "2026-03-04"),
        ("Mon, 27 Feb 2026", "2026-03-04"),
        ("FEB 27, 2026 10:00", "2026-03-04T10:00:00+00:00"),
        ("0999-12-31", "1000-01-05"),
        ("soon", ""),
        (None, ""),
        ("9999-12-31", ""),
    ],
)
def test_days_later_writes_a_text_the_way_it_was_written(text: Any, later: str) -> None:
    assert shown("{{ text|days_later:5 }}", {"text": text}) == later


@pytest.mark.parametrize(
    ("locale", "moment", "day"),
    [
        ("en-US", "Nov. 27, 2026, 2:47 p.m.", "Nov. 27, 2026"),
        ("en-GB", "27 Nov 2026, 2:47 p.m.", "27 Nov 2026"),
        ("de-DE", "27. November 2026, 14:47", "27. November 2026"),
        ("fr-CA", "27 novembre 2026, 14 h 47", "27 novembre 2026"),
        ("bg-BG", "27 ноември 2026\u202fг., 14:47", "27 ноември 2026\u202fг."),
        ("xx-YY", "Nov. 27, 2026, 2:47 p.m.", "Nov. 27, 2026"),
    ],
)
def test_a_moment_alone_is_written_as_the_language_has_it(
    locale: str, moment: str, day: str
) -> None:
    at = Moment(2026, 11, 27, 13, 47, tzinfo=UTC)
    values = {"at": at, "day": at.date(), "time": at.time()}
    more = {"locale": locale, "timezone": "Europe/Berlin"}
    assert shown("{{ at }}", values, **more) == moment
    assert shown("{{ day }}", values, **more) == day
    assert shown("{{ time }}", values, **more) in ("1:47 p.m.", "13:47", "13 h 47")
    assert shown("{{ at.year }} {{ at.hour }}", values, **more) == "2026 14"
    iso = "2026-11-27T14:47:00+01:00"
    assert shown("{{ l|safe }}", {"l": [{"at": at}]}, **more) == f"[{{'at': '{iso}'}}]"


def test_a_moment_that_the_zone_has_no_year_for_is_shown_as_it_is() -> None:
    at = Moment(9999, 12, 31, 23, tzinfo=UTC)
    values = {"at": at, "l": [at]}
    assert shown("{{ at }}", values, timezone="Asia/Tokyo") == "Dec. 31, 9999, 11 p.m."
    assert "9999-12-31T23:00:00+00:00" in shown("{{ l }}", values, timezone="Asia/Tokyo")


@pytest.mark.parametrize(
    ("locale", "three", "two"),
    [
        ("en-US", "a, b and c", "a and b"),
        ("de-DE", "a, b und c", "a und b"),
        ("ja-JP", "a、b、c", "a、b"),
        ("xx-YY", "a, b and c", "a and b"),
    ],
)
def test_a_list_is_read_out_in_the_accounts_language(locale: str, three: str, two: str) -> None:
    source = "{{ l|list_to_string }}|{{ l|slice:':2'|list_to_string }}|{{ l|slice:':1'|list_to_string }}{{ m|list_to_string }}"
    assert shown(source, {"l": ["a", "b", "c"]}, locale=locale) == f"{three}|{two}|a"


@pytest.mark.parametrize("use", ["upper", "title", "append:'x'|cut:'x'", "lookup:'a'", "ceil", "first", "date:'Y'", "join:','",
                                 "format_date_string", "sort|join:''", "map:'a'|join:''", "slice:':2'", "floatformat:2", "md5_hash|cut:'d41d8cd98f00b204e9800998ecf8427e'"])  # fmt: skip
def test_null_is_as_blank_as_what_is_missing(use: str) -> None:
    assert shown(f"{{{{ a|{use} }}}}{{{{ missing|{use} }}}}", {"a": None}) == ""


def test_a_sort_has_an_order_for_everything() -> None:
    values = {"mixed": ["b", 10, None, "A", 9.5, True, "10"]}
    assert shown("{{ mixed|sort|join:' ' }}", values) == "True 9.5 10 10 A b "
    assert shown("{{ words|sort|join:' ' }}", {"words": ["10", "9", None]}) == "9 10 "


def test_a_missing_width_is_blank_and_a_wrong_one_an_error() -> None:
    assert (
        shown("{% widthratio 1 2 missing %}{% widthratio 1 2 none as x %}{{ x }}", {"none": None})
        == ""
    )
    with pytest.raises(TemplateSyntaxError, match="must be a number"):
        shown("{% widthratio 1 2 'wide' %}")
