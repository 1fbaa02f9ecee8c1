"""Random templates of every tag and filter, with random values, in two processes: both give the same, and neither changes what it was given."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_template_attacks import Catalog

from feedd.rendering import Recipient, Rendered, Renderer, Source, Wanted
from feedd.templates.engine import engine
from feedd.templates.tags.absent import ABSENT
from feedd.templates.wire import Account, Failed, Limits

LIMITS = Limits(cpu_s=1.0, output_bytes=50_000, iterations=500, lookups=60)
KINDS = {"syntax", "lookup", "limit", "error"}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

FILTERS = sorted(engine().template_builtins[0].filters)
NAMES = st.sampled_from(
    ["a", "n", "f", "xs", "d", "d.k", "d.l.0", "ds", "ds.1.g", "none", "true", "text", "deep", "missing", "catalog_item",
     "catalog_item.metadata", "catalog_item.history", "forloop", "forloop.parentloop.counter", "x", "y", "feeds.large", "q"]
)  # fmt: skip
LITERALS = st.sampled_from(
    ["'a'", '"<b>"', "0", "-1", "3", "2.5", "1e308", "''", "','", "'a|b'", "'%Y'", "'Y-m-d'", "'0'", "'99999999'", "'d'", "'g'",
     "None", "True", "_('a')", r"'\\'", "'\u0663'", "'d.m'", "999999999999"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["<b>&\"'", "2026-01-31T10:00:00Z", "12.50", "\0", "\U0001f600", "a,b|c"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["k", "g", "_s", "items", "l", "0"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
CONTEXTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["a", "n", "f", "xs", "d", "ds", "none", "true", "text", "deep"], VALUES
    ),
)


@st.composite
def expressions(draw: Any) -> str:
    """A name or a literal, and filters with or without an argument."""
    value = draw(NAMES | LITERALS)
    for _ in range(draw(st.integers(0, 3))):
        value += f"|{draw(st.sampled_from(FILTERS))}"
        if draw(st.booleans()):
            value += f":{draw(NAMES | LITERALS)}"
    return str(value)


VALUE = expressions()
CONDITION = st.builds(
    lambda first, sign, second, no: f"{no}{first} {sign} {second}",
    VALUE,
    st.sampled_from(["==", "!=", "<", ">=", "in", "not in", "is", "and", "or"]),
    VALUE,
    st.sampled_from(["", "not "]),
)
LEAVES = st.one_of(
    VALUE.map(lambda each: f"{{{{ {each} }}}}"),
    st.sampled_from(
        ["text ", "<a href='", "\n", "{# note #}", "{% templatetag openblock %}", "{% now 'Y' %}", "{% today %}", "{% unsubscribe %}",
         "{% items 'shop' as q %}", "{% changes 'shop' since=n as q %}", "{% current_year %}", "{{", "%}", "{% load humanize %}", "{% include 'a' %}",
         "{% resetcycle %}", "{% render_variable a %}", "{% debug %}"]
    ),
    st.builds(
        lambda tag, one, two: tag.replace("1", one).replace("2", two),
        st.sampled_from(
            ["{% firstof 1 2 %}", "{% cycle 1 2 as y %}", "{% cycle 1 2 %}", "{% widthratio 1 2 100 %}", "{% regroup 1 by g as q %}",
             "{% currency_format 1 %}", "{% barcode 1 mode=html %}", "{% has_category 1 2 as q %}", "{% items 'shop' category=1 max_price=2 as q %}"]
        ), VALUE, VALUE,
    ),
)  # fmt: skip
BLOCKS = st.sampled_from(
    ["{% for x in 1 %}@{% empty %}@{% endfor %}", "{% for x, y in 1 %}@{% endfor %}", "{% for x in xs %}@{% endfor %}", "{% with forloop=1 %}@{% endwith %}",
     "{% with x=1 d=2 %}@{% endwith %}", "{% filter upper %}@{% endfilter %}", "{% filter 3 %}@{% endfilter %}", "{% spaceless %}@{% endspaceless %}",
     "{% ifchanged %}@{% endifchanged %}", "{% ifchanged 1 %}@{% else %}@{% endifchanged %}", "{% autoescape off %}@{% endautoescape %}",
     "{% catalog 'shared' %}@{% endcatalog %}", "{% catalog 1 %}@{% endcatalog %}", "{% verbatim %}@{% endverbatim %}", "{% comment %}@{% endcomment %}",
     "{% if 4 %}@{% elif 4 %}@{% else %}@{% endif %}", "{% if 4 %}@{% endif %}"]
)  # fmt: skip


def _block(draw: Any, inner: st.SearchStrategy[str]) -> str:
    block = draw(BLOCKS)
    for sign, what in (("1", VALUE), ("2", VALUE), ("3", st.sampled_from(FILTERS)), ("4", CONDITION), ("@", inner)):  # fmt: skip
        first, *rest = block.split(sign)
        block = first + "".join(draw(what) + each for each in rest)
    return str(block)


SOURCES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.composite(lambda draw: _block(draw, inner))(),
    ),
    max_leaves=8,
)
# of the item that all messages share
DUMP = "{% catalog 'shared' %}{{ catalog_item.metadata }}{{ catalog_item.history }}{{ catalog_item.keys }}{% endcatalog %}"  # fmt: skip


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Renderer, Renderer]]:
    """Two that have each a process of their own."""
    account = Account(organization="Shop", timezone="Europe/Berlin", currency="EUR", locale="de-DE")
    found = tuple(Renderer(lambda: account, Catalog(), limits=LIMITS) for _ in range(2))
    yield found[0], found[1]
    for each in found:
        each.close()


def of(values: dict[str, Any]) -> Recipient:
    return Recipient(values=json.dumps(values).encode(), seed="s")


def outcome(renderer: Renderer, source: str, values: dict[str, Any]) -> Rendered | Failed:
    whole = Source(html=source, subject=source, text="{{ a }}{{ xs }}{{ d }}{{ ds }}{{ deep }}")
    (found,) = renderer.render_many(whole, [of(values)], Wanted(now=NOW, text=True, inlines=True))
    return found


@FEW
@given(source=SOURCES, values=CONTEXTS)
def test_whatever_is_written(
    both: tuple[Renderer, Renderer], source: str, values: dict[str, Any]
) -> None:
    """It is the same twice and in another process, fails in a declared way, stays small, and changes nothing that it was given."""
    given_values = copy.deepcopy(values)
    found = outcome(both[0], source, values)
    assert values == given_values
    if isinstance(found, Failed):
        assert found.kind in KINDS, found
        assert found.code not in ("internal", "crashed", "bug"), found
    else:
        assert len(found.html) <= LIMITS.output_bytes
        # `text` is rendered of the same values after `html`
        untouched = outcome(both[1], "", values)
        assert isinstance(untouched, Rendered)
        assert found.text == untouched.text
        assert b" object at 0x" not in found.html
    if not (isinstance(found, Failed) and found.code == "too_slow"):
        assert outcome(both[0], source, values) == found
        assert outcome(both[1], source, values) == found
    shared = {outcome(each, DUMP, {}) for each in both}
    assert len(shared) == 1
    (dump,) = shared
    assert isinstance(dump, Rendered)
    assert b"created_at" in dump.html


@FEW
@given(source=st.text(alphabet="{}%#|:'\" .a_1if<\n\0\U0001f600", max_size=60), values=CONTEXTS)
def test_whatever_is_typed(
    both: tuple[Renderer, Renderer], source: str, values: dict[str, Any]
) -> None:
    found = outcome(both[0], source, values)
    if isinstance(found, Failed):
        assert found.kind in KINDS, found
        assert found.code != "internal", found
        # what cannot be compiled is told of by the check as well
        if found.kind == "syntax":
            assert any(each.severity == "error" for each in both[0].check(source))
    assert outcome(both[1], source, values) == found


def test_the_grammar_knows_every_tag() -> None:
    """A new tag is tried out here too."""
    written = json.dumps([LEAVES, BLOCKS], default=repr)
    tags = set(engine().template_builtins[0].tags) - ABSENT
    pages = {"unsubscribe_link", "manage_preferences", "manage_preferences_link", "web_view", "web_view_link"}  # fmt: skip
    today = {"current_day", "current_weekday", "current_month", "current_month_name"}
    assert {each for each in tags - pages - today if f"{{% {each}" not in written} == set()
