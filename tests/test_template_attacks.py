"""What a hostile template does: it fails, or stays small, and neither the next message nor anything else notices."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from feedd.rendering import Recipient, Rendered, Renderer, RenderFailed, Source, Wanted
from feedd.rendering.lookups import Bodies, Lookups, Told, View, WebFeedBodies
from feedd.store.web_feeds import WebFeedBody
from feedd.templates.queries import read_changes_query
from feedd.templates.wire import Account, AskChanges, AskFeed, AskHistory, AskItem, Limits, Question

LIMITS = Limits(
    memory_bytes=96 * 1024**2, cpu_s=0.5, output_bytes=100_000, source_bytes=200_000, lookups=50, iterations=5_000
)  # fmt: skip
CANARY = "canary-7c1e"
AT = "2026-01-01T00:00:00+00:00"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def item(item_id: str) -> dict[str, Any]:
    fields = {"id": item_id, "title": "<b>", "price": 10.0, "tags": ["a", "b"], "_cost": CANARY}
    return {
        "feed": "shop", "catalog": "shop", "id": item_id, "fields": fields, "removed": False, "version": 1,
        "created_at": AT, "changed_at": AT,
    }  # fmt: skip


class Catalog(Lookups):
    """A catalog that has every item whose id does not begin with `no`, and web feeds that are `deep` and `large`."""

    @contextmanager
    def view(self, at: int | None, read: Bodies | None = None) -> Iterator[View]:
        del at
        yield CatalogView(WebFeedBodies())


FEEDS = {"deep": "[" * 5_000 + "]" * 5_000, "large": "[" + "[]," * 50_000 + "1]"}


class CatalogView(View):
    def answer(self, question: Question, told: Told) -> bytes:
        answer: Any = [item("first"), item("second")]
        if isinstance(question, AskChanges):
            since = read_changes_query(question.query).since_at
            assert since is None or datetime.fromtimestamp(since, UTC)
            answer = [{"item": each, "kind": "updated", "at": AT, "seq": 1} for each in answer]
        if isinstance(question, AskItem):
            answer = None if question.item.startswith("no") else item(question.item)
        elif isinstance(question, AskHistory):
            answer = [{"at": AT, "seq": 1, "kind": "updated", "fields": {"price": {"old": 1, "new": 2}}}]  # fmt: skip
        elif isinstance(question, AskFeed):
            told[question.name] = ""
            body = FEEDS.get(question.name, "null")
            return b'{"body": %s, "digest": "d", "fetched_at": "%s"}' % (body.encode(), AT.encode())
        return json.dumps(answer).encode()


VALUES: dict[str, Any] = {
    "a": "ab", "n": 5, "huge": 10**300, "half": 55296, "big": "x" * 90_000, "slashes": "\\" * 1000, "amps": "&" * 10_000,
    "xs": list(range(100)), "d": {"k": "v", "clear": "own", "_secret": CANARY, "l": [{"g": 1}, {"g": 2}]},
    "html": "<script>", "deep": json.loads("[" * 300 + "]" * 300), "many": ["s"] * 3_000, "nul": "\0", "spaces": " " * 50_000,
}  # fmt: skip
# everything that messages share, and all of a message's own that a template could change
DUMP = "{% catalog 'shared' %}{{ catalog_item.metadata }}{{ catalog_item.history }}{% endcatalog %}{{ d }}{{ xs }}{{ many|length }}"  # fmt: skip


def nested(tag: str, times: int, end: str = "") -> str:
    end = end or f"end{tag.split(maxsplit=1)[0]}"
    return f"{{% {tag} %}}" * times + "x" + f"{{% {end} %}}" * times


def chained(name: str, how: str, times: int) -> str:
    return f"{{% with {name}={name}|{how} %}}" * times + f"{{{{ {name}|length }}}}" + "{% endwith %}" * times  # fmt: skip


SYNTAX, TOO_LARGE, TOO_DEEP, SKIPPED = "template_syntax", "too_large", "too_deep", "catalog_item_unavailable"  # fmt: skip
# what it is, the template, and the text that it gives, or the code that it fails with
TABLE: list[tuple[str, str, str]] = [
    # growth
    ("center", '{{ "x"|center:"999999999" }}', TOO_LARGE),
    ("ljust", '{{ "x"|ljust:"999999999" }}', TOO_LARGE),
    ("rjust", '{{ "x"|rjust:"99999999999999999999" }}', TOO_LARGE),
    ("stringformat of a width", '{{ 5|stringformat:"999999999d" }}', TOO_LARGE),
    ("stringformat of decimals", '{{ 5|stringformat:".999999999f" }}', TOO_LARGE),
    ("stringformat of a star", '[{{ 5|stringformat:"*d" }}]', "[]"),
    ("stringformat of a name", '[{{ d|stringformat:"(k)s" }}{{ d|stringformat:"(_secret)s" }}]', "[v]"),
    ("floatformat", "{{ 5|floatformat:1000000 }}", TOO_LARGE),
    ("texts added up", chained("big", "add:big", 30), TOO_LARGE),
    ("lists added up", chained("xs", "add:xs", 30), TOO_LARGE),
    ("numbers added up", chained("huge", "add:huge", 60), TOO_LARGE),
    ("numbers multiplied", chained("huge", "multiply:huge", 60), "0"),
    ("texts appended", chained("big", "append:big", 30), TOO_LARGE),
    ("slashes doubled", "{{ slashes" + "|addslashes" * 40 + " }}", TOO_LARGE),
    ("ampersands escaped", "{{ amps" + "|force_escape" * 300 + "|length }}", TOO_LARGE),
    ("percents encoded", "{{ spaces" + "|urlencode" * 12 + "|length }}", TOO_LARGE),
    ("joined with much", "{{ many|join:big }}", TOO_LARGE),
    ("letters joined with much", "{{ big|make_list|join:big }}", TOO_LARGE),
    ("wordwrap", "{{ big|wordwrap:1|length }}", "90000"),
    ("much in a loop", "{% for x in xs %}{{ big }}{% endfor %}", TOO_LARGE),
    ("much side by side", "{{ big }}{{ big }}", TOO_LARGE),
    ("a list shown", "{% for x in xs %}{{ many }}{% endfor %}", TOO_LARGE),
    ("loops in loops", nested("for x in xs", 4), "too_many_turns"),
    ("empty loops in loops", "{% for x in many %}{% for y in many %}{% endfor %}{% endfor %}", "too_many_turns"),
    ("lorem", "{% lorem 1000000 p %}", SYNTAX),
    ("a filter around a loop", "{% filter force_escape|urlencode %}{% for x in xs %}{{ big }}{% endfor %}{% endfilter %}", TOO_LARGE),
    ("an escaped output", "{% for x in '123' %}{{ amps }}{% endfor %}", TOO_LARGE),
    ("bytes, not characters", "{% for x in 'abcdef' %}{{ '\U0001f600'|ljust:9000 }}{{ amps|cut:'&'|default:'\U0001f600' }}{% endfor %}" + "\U0001f600" * 20_000, TOO_LARGE),
    ("a picture", "{% barcode a width=999999999 height=999999999 %}", TOO_LARGE),
    ("a ratio", "[{% widthratio huge 1 huge %}]", "[]"),
    # processor time
    ("tags that are never closed", "{{" * 90_000, "too_slow"),
    ("patterns with groups", "{{ big|resplit:'(x+)+y' }}", "pattern_not_allowed"),
    ("patterns with repetitions", "{{ big|resplit:'x*x*y' }}", "pattern_not_allowed"),
    ("patterns of spaces", r"{{ spaces|resplit:'\s+$' }}", "pattern_not_allowed"),
    ("patterns that are none", "{{ a|resplit:'[' }}", "pattern_not_allowed"),
    ("words in spaces", "{{ spaces|truncatewords:3 }}{{ spaces|wordcount }}", "0"),
    ("tags in text", "{{ '<'|ljust:90000|cut:' '|striptags }}{{ '<a '|striptags }}", "<<a "),
    # recursion
    ("ifs", nested("if a", 2000), TOO_DEEP),
    ("withs", nested("with a=a", 2000), TOO_DEEP),
    ("loops", nested("for x in a", 2000), TOO_DEEP),
    ("filters around filters", nested("filter upper", 2000), TOO_DEEP),
    ("catalogs", nested("catalog 'x'", 2000), TOO_DEEP),
    ("autoescapes", nested("autoescape off", 2000), TOO_DEEP),
    ("not", "{% if " + "not " * 3000 + "a %}x{% endif %}", TOO_DEEP),
    ("and, whose condition is false then", "[{% if " + "a and " * 3000 + "a %}x{% endif %}]", "[]"),
    ("elif", "{% if n == 0 %}" + "{% elif n == 1 %}" * 5000 + "{% endif %}", ""),
    ("filters", "{{ a" + "|upper" * 5000 + " }}", "AB"),
    ("names", "[{{ a" + ".a" * 5000 + " }}]", "[]"),
    ("values in values", "{{ deep|length }}{{ deep|unordered_list|length }}{% if deep == deep %}y{% endif %}", "1608y"),
    ("a web feed that is deep", "{{ feeds.deep }}", TOO_DEEP),
    ("a template in itself", "{% include 'self' %}", SYNTAX),
    # methods and attributes
    ("clear", "{{ d.clear }}", "own"),
    ("clear of an item", "{% catalog 'shared' %}[{{ catalog_item.clear }}{{ catalog_item.metadata.clear }}]{% endcatalog %}", "[]"),
    ("popitem", "{% catalog 'shared' %}[{{ catalog_item.popitem }}{{ d.popitem }}]{% endcatalog %}", "[]"),
    ("pop", "[{{ xs.pop }}{{ many.clear }}{{ xs.append }}]", "[]"),
    ("update", "[{{ d.update }}{{ d.setdefault }}{{ d.delete }}]", "[]"),
    ("methods of texts", "[{{ a.upper }}{{ a.format }}{{ a.encode }}]", "[]"),
    ("attributes of numbers", "[{{ n.real }}{{ n.bit_length }}]", "[]"),
    ("attributes of loops", "{% for x in a %}[{{ forloop.popitem }}{{ forloop.remembered }}]{% endfor %}", "[][]"),
    ("attributes of groups", "{% regroup d.l by g as q %}[{{ q.0.count }}{{ q.0.index }}{{ q.clear }}]", "[]"),
    ("attributes of times", "{% catalog 'x' %}[{{ catalog_item.changed_at.tzinfo }}{{ catalog_item.changed_at.now }}]{% endcatalog %}", "[]"),
    ("double underscores", "{{ a.__class__ }}", SYNTAX),
    ("double underscores that are wide", "{{ a.\uff3f\uff3fclass\uff3f\uff3f }}", SYNTAX),
    ("double underscores through lookup", "[{{ d|lookup:'__class__' }}{{ d|lookup:'_secret' }}]", "[]"),
    ("double underscores through sorting", "[{{ d.l|dictsort:'__class__' }}{{ d.l|dictsort:'clear.__self__' }}]", "[]"),
    ("double underscores through grouping", "{% regroup d.l by __class__ as q %}", SYNTAX),
    ("a secret key", "[{{ d|length }}{% for k, v in d.items %}{{ k }}{% endfor %}{{ d.values.0 }}]", "[3kclearlv]"),
    ("a secret field", "{% catalog 'x' %}{% for k in catalog_item.metadata.keys %}{{ k }} {% endfor %}{% endcatalog %}", "id title price tags "),
    ("globals", "[{{ settings }}{{ request }}{{ message }}{{ context }}{{ self }}{{ engine }}{{ environ }}{{ os }}]", "[]"),
    ("what a feed asks with", "[{{ feeds.ask }}{{ feeds.items }}{{ web_feeds.keys }}]", "[[]]"),
    ("block.super", "[{{ block.super }}]", "[]"),
    # files
    ("include", "{% include '/etc/passwd' %}", SYNTAX),
    ("extends", "{% extends '../../etc/passwd' %}", SYNTAX),
    ("ssi", "{% ssi '/etc/passwd' %}", SYNTAX),
    ("load of a module", "{% load os %}", SYNTAX),
    ("load from a module", "{% load environ from os %}", SYNTAX),
    ("load of a path", "{% load ../../secret %}", SYNTAX),
    ("debug", "{% debug %}", SYNTAX),
    ("url", "{% url 'x' %}", SYNTAX),
    ("csrf_token", "{% csrf_token %}", SYNTAX),
    ("static", "{% static '/etc/passwd' %}", SYNTAX),
    ("a translation", "{{ _('x') }}{{ a|default:_('y') }}", "xab"),
    ("the clock's zone", "{% now 'e' %}{% now '../' as q %}{{ q }}", "UTC../"),
    # what messages share
    ("a loop that is an item", "{% catalog 'shared' %}{% with forloop=catalog_item.metadata %}{% ifchanged d.k %}x{% endifchanged %}{% endwith %}{% endcatalog %}", "x"),
    ("a loop that is a value", "{% with forloop=d %}{% ifchanged %}x{% endifchanged %}{% endwith %}", "x"),
    ("what a loop remembers", "{% for x in a %}{% ifchanged x %}{{ x }}{% endifchanged %}{{ forloop|length }}{% endfor %}", "a7b7"),
    ("a cycle that is a value", "{% for x in a %}{% cycle d xs as d silent %}{% endfor %}{{ d|length }}", "100"),
    ("items that are set", "{% items 'shop' as d %}{{ d|length }}", "2"),
    ("an item sorted", "{% catalog 'shared' %}{{ catalog_item.tags|dictsortreversed:0|first }}{% endcatalog %}", "b"),
    ("rows that are extended", "{% changes 'shop' as q %}{{ q|add:xs|length }}{{ q.0.fields }}{{ q.0.seq }}", "1021"),
    ("the end of time", "{% changes 'shop' since='9999-12-31T23:59:59-12:00' as q %}{{ q|length }}", "2"),
    ("the beginning of time", "{% changes 'shop' since='0001-01-01T00:00:00+12:00' as q %}{{ q|length }}", "2"),
    ("constants that are set", "{% with True=0 None=1 %}{% if True %}x{% endif %}{{ None }}{% endwith %}", "1"),
    # lookups
    ("many lookups", "{% for x in xs %}{% catalog x %}{% endcatalog %}{% endfor %}", "too_many_lookups"),
    ("many lookups in a condition", "{% for x in xs %}{% catalog x %}{% if catalog_item.history|length > 0 %}x{% endif %}{% endcatalog %}{% endfor %}", "too_many_lookups"),
    ("many lists", "{% for x in xs %}{% items 'shop' brand=x as q %}{% endfor %}", "too_many_lookups"),
    ("no item", "{% catalog 'no' %}{% endcatalog %}", SKIPPED),
    ("no item within a condition", "{% if a %}{% catalog 'no' %}x{% endcatalog %}{% endif %}", SKIPPED),
    ("a long id", "{% catalog big %}{% endcatalog %}", TOO_LARGE),
    ("long names of feeds", "{% for x in xs %}{% with q=big|append:x %}{{ feeds|lookup:q }}{% endwith %}{% endfor %}", TOO_LARGE),
    ("a long list of ids", "{% items 'shop' ids=big|make_list as q %}{{ q|length }}", TOO_LARGE),
    ("a long id of nothing", "{% with q='no'|ljust:9000|add:'x' %}{% catalog q %}{% endcatalog %}{% endwith %}", SKIPPED),
    ("half a character as an id", "{% with q=half|stringformat:'c' %}{% catalog q %}{% endcatalog %}{% endwith %}", "template_failed"),
    ("a large web feed", "{{ feeds.large|length }}", "50001"),
    # characters
    ("half a character", "{{ half|stringformat:'c' }}", "?"),
    ("NUL", "{{ nul }}\0", "\ufffd\ufffd"),
    ("a byte order mark", "\ufeff{{ a }}", "\ufeffab"),
    ("digits of other scripts", "{{ xs.\u0663 }}[{{ xs.\u00b2 }}]", "3[]"),
    ("a place far away", "[{{ xs." + "9" * 5000 + " }}]", "[]"),
    ("a name of half the template", "[{{ " + "a" * 90_000 + " }}]", "[]"),
    ("a text of half the template", "{{ '" + "a" * 90_000 + "'|length }}", "90000"),
    ("markup", "{{ html }}{% filter upper %}{{ html }}{% endfilter %}{% firstof html %}{% cycle html html %}", "&lt;script&gt;&LT;SCRIPT&GT;&lt;script&gt;&lt;script&gt;"),
    ("markup in a link", "{% unsubscribe html %}", '<a href="">&lt;script&gt;</a>'),
    ("markup that is an argument", "{{ nothing|default:html }}{{ a|add:html }}{{ many|slice:':2'|join:html }}", "&lt;script&gt;ab&lt;script&gt;s&lt;script&gt;s"),
    # odd words
    ("verbatim with a name", "{% verbatim x %}{{ a }}{% endverbatim %}{% endverbatim x %}", "{{ a }}{% endverbatim %}"),
    ("a tag in the output", "{% templatetag openblock %} include a {% templatetag closeblock %}", "{% include a %}"),
    ("a translation without an end", "{% firstof a _('a')|upper %}", SYNTAX),
    ("a filter that is missing", "{% filter %}x{% endfilter %}", SYNTAX),
    ("a filter that lets through", "{% filter safe %}x{% endfilter %}", SYNTAX),
    ("a format of a time", "{% today '%999999999d %s %n' %}", "%999999999d %s \n"),
    ("a date that is none", "[{{ huge|date:'Y' }}{{ 'x'|date:'r' }}{{ '9'|days_later:99999999999 }}]", "[]"),
    ("a loop over a number", "{% for x in n %}{% endfor %}", "template_failed"),
    ("a template that is too large", "x" * (LIMITS.source_bytes + 1), "template_too_large"),
]  # fmt: skip


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    os.environ["FEEDD_CANARY"] = CANARY
    made = Renderer(lambda: Account(website=None), Catalog(), limits=LIMITS)
    yield made
    made.close()
    del os.environ["FEEDD_CANARY"]


def of(**values: Any) -> Recipient:
    return Recipient(values=json.dumps(values).encode())


def outcome(renderer: Renderer, source: Source, **values: Any) -> Rendered | str:
    """The message, or the code that it failed with."""
    try:
        return renderer.render(source, of(**values), Wanted(text=True))
    except RenderFailed as error:
        failed = error
    assert CANARY not in str(failed)
    assert len(failed.message) <= 1000
    return failed.code


def html(renderer: Renderer, source: str, **values: Any) -> str:
    found = outcome(renderer, Source(html=source), **values)
    return found if isinstance(found, str) else found.html.decode()


@pytest.fixture(scope="module")
def before(renderer: Renderer) -> tuple[bytes, str | None]:
    """What the dump shows before any attack, as HTML and as text."""
    found = outcome(renderer, Source(html=DUMP, text=DUMP), **VALUES)
    assert isinstance(found, Rendered)
    return found.html, found.text


@pytest.mark.parametrize(("source", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])  # fmt: skip
def test_an_attack_fails_or_stays_small(
    renderer: Renderer, before: tuple[bytes, str | None], source: str, expected: str
) -> None:
    found = outcome(renderer, Source(html=source, text=DUMP), **VALUES)
    if isinstance(found, Rendered):
        assert found.html.decode() == expected
        assert found.text == before[1]
        assert CANARY.encode() not in found.html
    else:
        assert found == expected
    after = outcome(renderer, Source(html=DUMP), **VALUES)
    assert isinstance(after, Rendered)
    assert after.html == before[0]


# whoever asks gets their own answer


def test_an_answer_that_was_not_waited_for_is_nobody_elses(renderer: Renderer) -> None:
    """Somewhere among these depths the stack ends between a question and its answer."""
    deep, fine = [], []
    for depth in range(236, 262):
        source = nested("if a", depth).replace(
            "x", f"{{% catalog 'deep{depth}' %}}{{% endcatalog %}}"
        )
        deep.append(html(renderer, source, a=1))
        shown = f"{{% catalog 'own{depth}' %}}{{{{ catalog_item.id }}}}{{% endcatalog %}}"
        fine.append(html(renderer, shown) == f"own{depth}")
    assert {"", TOO_DEEP} == set(deep)
    assert all(fine)


def test_a_condition_does_not_hide_what_ends_a_message(renderer: Renderer) -> None:
    few = Renderer(Account, Catalog(), limits=Limits(lookups=1))
    source = "{% catalog 'a' %}{% if catalog_item.history|length > 0 %}{% endif %}{% endcatalog %}"
    with pytest.raises(RenderFailed) as caught:
        few.render(Source(html=source), of())
    few.close()
    assert (caught.value.code, caught.value.failure.line, caught.value.failure.column) == ("too_many_lookups", 1, 18)  # fmt: skip
    assert html(renderer, source) == ""


def test_no_two_templates_have_the_same_name() -> None:
    parts = [None, "", "-", "a", "+a", "a\0+b", "b\0-", "a\0-", "\0"]
    sources = [Source(html=html or "", text=text, subject=subject) for html in parts[1:] for text in parts for subject in parts]  # fmt: skip
    assert len({each.name for each in sources}) == len(sources)


def test_what_one_part_sets_is_not_there_in_another(renderer: Renderer) -> None:
    source = Source(
        preview_text="{% items 'shop' as xs %}",
        html="{% cycle 'a' 'b' as c %}{{ xs }}",
        text="{{ c }}{{ xs }}",
        subject="{{ c }}{{ xs }}{{ half|stringformat:'c' }}",
    )
    found = outcome(renderer, source, half=55296)
    assert isinstance(found, Rendered)
    assert (found.html, found.text, found.subject) == (b"a", "", "?")


def test_values_that_are_nested_too_deep_fail_their_message(renderer: Renderer) -> None:
    assert html(renderer, "x", a=json.loads("[" * 900 + "]" * 900)) == TOO_DEEP
    assert html(renderer, "{{ a|length }}", a=json.loads("[" * 400 + "]" * 400)) == "1"


def test_a_message_looks_things_up_for_a_while_only(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "{% catalog 'slow' %}{{ catalog_item.id }}{% endcatalog %}"
    monkeypatch.setattr("feedd.rendering.job.ANSWERS_S", 0.0)
    assert html(renderer, source) == "too_slow"
    monkeypatch.undo()
    assert html(renderer, source) == "slow"


def test_what_is_not_there_is_not_remembered_and_seen_once_it_is() -> None:
    bodies: dict[str, WebFeedBody] = {}
    marks = WebFeedBodies(bodies.get, lambda: {name: each.mark for name, each in bodies.items()})
    shop = Renderer(Account, Lookups(bodies=marks))
    source = "{% for x in 'abcdefgh' %}[{{ feeds|lookup:x }}]{% endfor %}"
    assert html(shop, source) == "[]" * 8
    (worker,) = shop._idle
    assert worker.feeds == {}
    for digest in "de":
        bodies["b"] = WebFeedBody(
            name="b", body=b'"%s"' % digest.encode(), digest=digest, fetched_at=NOW, error=None
        )
        assert html(shop, source) == f"[][{digest}]" + "[]" * 6
        assert list(worker.feeds) == ["b"]
    shop.close()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<style>b{color:red}</style>" + "<svg><style>" * 8_000, 123_027),
        ("<style>b{color:red}</style>" + "<b>" * 20_000, 60_027),
        ("<style>b{color:red}</style>" + "<svg><title>" + "<g>" * 20_000, 60_039),
        ("<style>" + "@media all{" * 5_000 + "b{color:red}</style><b>", 55_022),
        ("<style>" + ":is(" * 5_000 + "b" + ")" * 5_000 + "{color:red}</style><b>", 25_000),
        ("<link rel=stylesheet href=file:///etc/passwd><style>@import 'file:///etc/passwd';</style><b>", 91),
        ("<table><tr><td>" * 5_000, 75_000),
        ("<a href='" * 9_000, 81_000),
        ("<ul><li>" * 9_000, 72_000),
        ("url(" * 20_000, 80_000),
    ],
)  # fmt: skip
def test_what_is_finished_stays_small(renderer: Renderer, source: str, expected: int) -> None:
    found = renderer.render(Source(html=source), of(), Wanted(text=True, inlines=True))
    assert abs(len(found.html) - expected) < 50_000
    assert found.text is not None
    assert len(found.text) <= len(source) + 1
    assert b"root:" not in found.html


# processes that are ended, stopped, starved and left alone


def workers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "feedd.templates.worker" in " ".join(each.cmdline())]  # fmt: skip


def test_what_others_have_left_in_a_process_costs_nobody_their_message() -> None:
    """What the first asks for is kept, and both together are too much."""
    bodies = Renderer(Account, Feeds(), limits=Limits(memory_bytes=48 * 1024**2))
    found = [html(bodies, f"{{{{ feeds.f{n}|length }}}}") for n in (100_000, 325_000, 600_000, 10)]
    bodies.close()
    assert found == ["100000", "325000", "too_much_memory", "10"]


class Feeds(Lookups):
    @contextmanager
    def view(self, at: int | None, read: Bodies | None = None) -> Iterator[View]:
        del at
        yield FeedView(WebFeedBodies())


class FeedView(View):
    def answer(self, question: Question, told: Told) -> bytes:
        assert isinstance(question, AskFeed)
        told[question.name] = ""
        body = b",".join([b"[]"] * int(question.name[1:]))
        return b'{"body": [%s], "digest": "d", "fetched_at": null}' % body


def test_a_process_that_is_stopped_costs_its_message_only() -> None:
    """Also where it is stopped in the middle of what it is told, or tells."""
    patient = Renderer(Account, Catalog(), limits=Limits(wall_s=0.3))
    try:
        for values, source in ((1, "x"), ("x" * 3_000_000, "x"), ("x" * 900_000, "{{ a }}")):
            assert html(patient, "x") == "x"
            (worker,) = workers_of(patient)
            worker.suspend()
            assert html(patient, source, a=values) == "too_slow"
            assert not worker.is_running()
            assert html(patient, "x") == "x"
    finally:
        patient.close()


def test_what_breaks_where_others_were_is_done_again_elsewhere() -> None:
    """Code that is not Python's aborts where it gets no memory."""
    renderer = Renderer(Account, Catalog())
    assert html(renderer, "x") == "x"
    (worker,) = workers_of(renderer)
    worker.suspend()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(html, renderer, "y")
        worker.send_signal(signal.SIGABRT)
        worker.resume()
        assert waiting.result() == "y"
    renderer.close()


def workers_of(renderer: Renderer) -> list[psutil.Process]:
    return [psutil.Process(each.pid) for each in renderer._idle]


def test_many_threads_get_their_own_messages(renderer: Renderer) -> None:
    """While processes are ended under them and the account is another one."""
    two = Renderer(Account, Catalog(), limits=LIMITS, processes=2)
    source = "{% catalog id %}{% for x in 'ab' %}{% ifchanged x %}{{ id }}{% endifchanged %}{% endfor %}{{ catalog_item.id }}{% endcatalog %}"  # fmt: skip

    def one(n: int) -> str:
        if n == 20:
            two.reload(processes=2)
        return html(two, source, id=f"i{n}")

    before = {each.pid for each in workers()}
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, range(64)))
    two.close()
    assert found == [f"i{n}" * 3 for n in range(64)]
    assert {each.pid for each in workers()} == before


def test_no_process_outlives_the_one_that_it_works_for() -> None:
    script = (
        "import sys, time\n"
        "from feedd.rendering import *\n"
        "from feedd.rendering.lookups import Lookups\n"
        "from feedd.templates.wire import Account\n"
        "renderer = Renderer(Account, Lookups())\n"
        "renderer.render(Source(html=''), Recipient(values=b'{}'))\n"
        "print(renderer._idle[0].pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    worker.wait(10)
