"""Broken templates are explained: each problem once, at its place, with the right spelling."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd.templates.check import LARGEST, first_problem, problems
from feedd.templates.engine import compiled
from feedd.templates.pieces import REFUSALS
from feedd.templates.wire import Known, Problem

KNOWN = Known(web_feeds=("news",), catalogs=("$default", "shop", "outlet"))
DATA = Path(__file__).parent / "data" / "templates"


def told(source: str, severity: str | None = None) -> list[Problem]:
    return [each for each in problems(source) if severity in (None, each.severity)]


def only(source: str) -> Problem:
    found = told(source)
    assert len(found) == 1, found
    return found[0]


# what is written, the characters that are to blame, what is to be written instead
MENDED = [
    ("{{ a | default: 'x' }}", " ", "{{ a | default:'x' }}"),
    ("{{ a|default : 'x' }}", " ", "{{ a|default:'x' }}"),
    ("{{ a|default 'x' }}", " ", "{{ a|default:'x' }}"),
    ("{{ a|default='x' }}", "=", "{{ a|default:'x' }}"),
    ("{{ a|default('x') }}", "|default('x')", "{{ a|default:'x' }}"),
    ("{{ a || upper }}", "||", "{{ a | upper }}"),
    ('{{ a|slice:0, 4 }}', ", 4", '{{ a|slice:":4" }}'),
    ("{{ a|uper }}", "uper", "{{ a|upper }}"),
    ("{{ a|lowercase }}", "lowercase", "{{ a|lower }}"),
    ("{{ a|default:“x” }}", "“x”", '{{ a|default:"x" }}'),
    ("{{ a|default:‘it is’ }}", "‘it is’", "{{ a|default:'it is' }}"),
    ("{{ a|default:&#39;x&#39; }}", "&#39;", "{{ a|default:'x' }}"),
    ("{% if a &gt; 1 %}b{% endif %}", "&gt;", "{% if a > 1 %}"),
    ("{{ <b>a</b> }}", "<b>", "{{ a }}"),
    ('{{ a|default:\\"x\\" }}', '\\"', '{{ a|default:"x" }}'),
    ("{{- a -}}", "-", "{{ a }}"),
    ("{%- if a %}b{% endif %}", "-", "{% if a %}"),
    ("{{ a|default:'x }}", "'", "{{ a|default:'x' }}"),
    ("{{ event[\"Items\"] }}", '["Items"]', "{{ event.Items }}"),
    ("{{ event.Items[0].Name }}", "[0]", "{{ event.Items.0.Name }}"),
    ("{{ a.toUpperCase() }}", "a.toUpperCase()", "{{ a|upper }}"),
    ("{{ len(a) }}", "len(a)", "{{ a|length }}"),
    ("{{ person->email }}", "->", "{{ person.email }}"),
    ("{{ a or 'x' }}", "or", "{{ a|default:'x' }}"),
    ("{{ a ?? 'x' }}", "??", "{{ a|default:'x' }}"),
    ("{{ a if b else 'c' }}", "{{ a if b else 'c' }}", "{% if b %}{{ a }}{% else %}c{% endif %}"),
    ("{{ b ? a : 'c' }}", "{{ b ? a : 'c' }}", "{% if b %}{{ a }}{% else %}c{% endif %}"),
    ("{{ if a }}b{% endif %}", "{{ if a }}", "{% if a %}…{% endif %}"),
    ("{% first_name|default:'x' %}", "{% first_name|default:'x' %}", "{{ first_name|default:'x' }}"),
    ("{{% now 'Y' %}}", "{{% now 'Y' %}}", "{% now 'Y' %}"),
    ("{{{ a }}}", "{{{ a }}", "{{ a|safe }}"),
    ("{{#if a}}b{{else}}c{{/if}}", "{{#if a}}", "{% if a %}…{% endif %}"),
    ("{{#each xs}}{{ item }}{{/each}}", "{{#each xs}}", "{% for item in xs %}…{% endfor %}"),
    ("{{#unless a}}b{{/unless}}", "{{#unless a}}", "{% if not a %}…{% endif %}"),
    ("{% if a %}b{% elsif c %}d{% endif %}", "elsif", "{% elif c %}"),
    ("{% if a %}b{% else if c %}d{% endif %}", "else if ", "{% elif c %}"),
    ("{% unless a %}b{% endunless %}", "{% unless a %}", "{% if not a %}…{% endif %}"),
    ("{% if a %}b{% end if %}", "{% end if %}", "{% endif %}"),
    ("{% raw %}{{ x | y: z }}{% endraw %}", "raw", "{% verbatim %}…{% endverbatim %}"),
    ("{% fro x in y %}{{ x }}{% endfor %}", "fro", "{% for x in y %}…{% endfor %}"),
    ("{% if a=='b' %}c{% endif %}", "==", "{% if a == 'b' %}"),
    ("{% if a && b %}c{% endif %}", "&&", "{% if a and b %}"),
    ("{% if a || b %}c{% endif %}", "||", "{% if a or b %}"),
    ("{% if !a %}c{% endif %}", "!", "{% if not a %}"),
    ("{% if a = 'b' %}c{% endif %}", "=", "{% if a == 'b' %}"),
    ("{% if a === 'b' %}c{% endif %}", "===", "{% if a == 'b' %}"),
    ("{% if a contains 'b' %}c{% endif %}", "contains", "{% if 'b' in a %}"),
    ("{% if a AND b %}c{% endif %}", "AND", "{% if a and b %}"),
    ("{% if (a) %}c{% endif %}", "(", "{% if a %}"),
    ("{% if a | length > 2 %}c{% endif %}", " | ", "{% if a|length > 2 %}"),
    ("{% if {{ a }} %}c{% endif %}", "{{ a }}", "{% if a %}"),
    ("{% for x in xs limit:4 %}{{ x }}{% endfor %}", "limit:4", '{% for x in xs|slice:":4" %}'),
    ("{% for x of xs %}{{ x }}{% endfor %}", "of", "{% for x in xs %}"),
    ("{% for i in (1..3) %}{{ i }}{% endfor %}", "(1..3)", '{% for i in "123"|make_list %}'),
    ("{% assign b = a | upper %}", "{% assign b = a | upper %}", "{% with b=a|upper %}…{% endwith %}"),
    ("{% # note %}", "{% # note %}", "{# note #}"),
    ("{{ event|lookup:'A b'.0 }}", ".0", "{{ event|lookup:'A b'|lookup:'0' }}"),
    ("{{ 'Hello ' + first_name }}", "+", "{{ 'Hello '|append:first_name }}"),
    ("{{ event.Items.first().Name }}", "event.Items.first()", "{{ event.Items.0.Name }}"),
    ("{{ event. Items }}", ". ", "{{ event.Items }}"),
    ("{{ first_name, last_name }}", ",", "{{ first_name }} {{ last_name }}"),
    ("{{ first_name|default:'O'Brien' }}", "'", "stands between \" and \""),
    ("{% with a = event.b %}{{ a }}{% endwith %}", " = ", "{% with a=event.b %}"),
    ("{% for x event.Items %}{{ x }}{% endfor %}", " ", "{% for x in event.Items %}"),
    ("{% for x in event.Items | limit: 3 %}{{ x }}{% endfor %}", "limit: 3", '{% for x in event.Items|slice:":3" %}'),
    ("{% if (a or b) and c %}d{% endif %}", "(", "and binds closer than or"),
    ("{% if a eq 'b' %}c{% endif %}", "eq", "{% if a == 'b' %}"),
    ("{% if a then %}c{% endif %}", " then ", "{% if a %}"),
    ("{% unless a or b %}c{% endunless %}", "{% unless a or b %}", "{% if not a and not b %}…{% endif %}"),
    ("{% for x in event.Items if x.a %}{{ x }}{% endfor %}", "if x.a", "write {% if x.a %}…{% endif %} within the loop"),
    ("{% assign a = b|substract:2 %}", "{% assign a = b|substract:2 %}", "{% with a=b|floatsub:2 %}…{% endwith %}"),
    ("{{ a|default:b|currency }}", "currency", "{% currency_format a|default:b %}"),
    ("{% if a|money > 2 %}b{% endif %}", "money", "{% currency_format a %}"),
    ('{% currency_format a|floatformat:2 "EUR" %}', ' "EUR"', "{% currency_format a|floatformat:2 %}"),
    ("{% currency_format a, 2 %}", ", 2", "{% currency_format a %}"),
    ("{{ a|slice:0:3 }}", "0:3", '{{ a|slice:"0:3" }}'),
    ("{{ a|add_days:3 }}", "add_days", "{{ a|days_later:3 }}"),
    ("{{ a|float }}", "float", "leave it out"),
    ("{{ event.Items|first.Name }}", "|first.Name", "{{ event.Items.0.Name }}"),
    ("{{ (79 - event.total) }}", "-", "{{ 79|floatsub:event.total }}"),
    ("{% catalog event.a, unpublished='cancel' %}b{% endcatalog %}", ", ", "{% catalog event.a unpublished='cancel' %}"),
    ("{% catalog id=a.b %}c{% endcatalog %}", "id=", "{% catalog a.b %}"),
    ("{{ person|lookup:$city }}", "$city", "{{ person|lookup:'$city' }}"),
    ("{{ person.lookup('x') }}", "person.lookup('x')", "{{ person|lookup:'x' }}"),
    ('{{ a|default:"x” }}', '"x”', '{{ a|default:"x" }}'),
    ("{{ a|default:″x″ }}", "″x″", '{{ a|default:"x" }}'),
    ("{% unsubscribe 'a' 'b' %}", "{% unsubscribe 'a' 'b' %}", "{% unsubscribe 'No more mail' %}"),
    ("{% current_year() %}", "()", "{% current_year %}"),
    ("{% if a not 'b' %}c{% endif %}", "not", "{% if a != 'b' %}"),
    ("{{ a default:'b' }}", " ", "{{ a|default:'b' }}"),
    ("{{ a|'b' }}", "|", "{{ a|default:'b' }}"),
    ("{{ event.at | date: '%B' }}", " ", "{{ event.at|format_date_string | date:'F' }}"),
    ("{{ a|date_format:'%B' }}", "date_format", "{{ a|date:'F' }}"),
    ("{% track_opened %}", "{% track_opened %}", "leave it out"),
    ("{% with a=b, c=d %}{{ a }}{% endwith %}", ", ", "{% with a=b c=d %}"),
    ("{% catalog-recommendations %}", "{% catalog-recommendations %}", '{% items "shop" limit=4'),
    ("{% include_block 'a' %}", "include_block", "docs/template-reference.md"),
    ("{% foreach x in event.Items %}{{ x }}{% endforeach %}", "{% foreach x in event.Items %}", "{% for x in event.Items %}…{% endfor %}"),
    ("{% catalog mug-1 %}a{% endcatalog %}", "mug-1", '{% catalog "mug-1" %}'),
    ("{% items order=-price as xs %}", "-price", '{% items order="-price" as xs %}'),
    ("{% changes since=2026-01-31T08:00 as xs %}", "2026-01-31T08:00", 'since="2026-01-31T08:00"'),
    ("{{ a| }}", "| ", "write {{ a }}"),
    ("{{ a|truncatechars }}", "truncatechars", "write |truncatechars:20"),
    ("{{ a|divide }}", "divide", "write |divide:20"),
    ("{{ a|lookup }}", "lookup", "write |lookup:'Product Name'"),
    ("{% current_year 'a' %}", "{% current_year 'a' %}", "write {% current_year %}"),
    ("{% has_category a %}", "{% has_category a %}", '{% has_category catalog_item "Sale" as on_sale %}'),
    ("{{ a|frobnicate }}", "frobnicate", "docs/template-reference.md"),
    ("{{ a|date_format:'dd.MM.yyyy' }}", "date_format", "{{ a|date:'d.m.Y' }}"),
    ("{% foreach event.Items as x %}{{ x }}{% endfor %}", "{% foreach event.Items as x %}", "{% for x in event.Items %}"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "culprit", "right"), MENDED, ids=[row[0] for row in MENDED])
def test_what_is_spelled_otherwise_is_mended(source: str, culprit: str, right: str) -> None:
    problem = only(source)
    assert problem.severity == "error"
    assert problem.hint is not None
    assert right in problem.hint
    start = problem.column - 1
    assert source[start : start + problem.length] == culprit


# what is not closed, ends nothing, or stands in the wrong place: the tag to blame, and a word of the message
LEFT_OVER = [
    ("{% if a %}b", "{% if a %}", "not closed"),
    ("{% for x in xs %}{% if a %}b{% endfor %}", "{% if a %}", "not closed"),
    ("{% if a %}{% if b %}{% endif %}", "{% if a %}", "not closed"),
    ("a{% endif %}", "{% endif %}", "ends nothing"),
    ("{% if a %}b{% endif %}{% endif %}", "{% endif %}", "ends nothing"),
    ("{% if a %}b{% endfor %}", "{% endfor %}", "does not end {% if %}"),
    ("{% if a %}{% for x in xs %}{% endif %}{% endfor %}", "{% for x in xs %}", "must end within it"),
    ("{% else %}", "{% else %}", "belongs to {% if %}"),
    ("{% for x in xs %}{% else %}{% endfor %}", "{% else %}", "a loop has no {% else %}"),
    ("{% if a %}{% empty %}{% endif %}", "{% empty %}", "belongs to {% for %}"),
    ("{% if a %}{% for x in xs %}{% else %}{% endfor %}{% endif %}", "{% else %}", "a loop has no"),
    ("{% if a %}{% else %}{% else %}{% endif %}", "{% else %}", "after the {% else %}"),
    ("{% comment %}{{ a }}", "{% comment %}", "not closed"),
    ("{% if a %}b{% end %}", "{% end %}", "says what it ends"),
    ("{% if a }b{% endif %}", "{% if a }", "the tag is not closed"),
    ("{% if a\n%}b{% endif %}", "{% if a\n%}", "on one line"),
    ("{% if a %}b{{ endif }}", "{{ endif }}", "is a tag"),
    ("{{ a } b {{ c }}", "{{ a }", "the tag is not closed"),
    ("{{ a }</p>{% if b %}{{ c }}{% endif %}", "{{ a }", "the tag is not closed"),
    ("{% if a }{{ b }}{% endif %}", "{% if a }", "the tag is not closed"),
    ("{{ a|default:'b'}, {{ c }}", "{{ a|default:'b'}", "the tag is not closed"),
    ("{{ }}", "{{ }}", "empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "culprit", "words"), LEFT_OVER, ids=[row[0] for row in LEFT_OVER]
)
def test_what_is_left_over_is_told_once(source: str, culprit: str, words: str) -> None:
    problem = only(source)
    assert problem.severity == "error"
    assert words in problem.message
    start = source.rindex(culprit)
    before = source[:start]
    assert (problem.line, problem.column) == (before.count("\n") + 1, start - before.rfind("\n"))
    assert source[start : start + problem.length] == culprit


# what compiles, and cannot be meant: the characters, what is to be written
DOUBTFUL = [
    ("{{ forloop.index }}", "index", "forloop.counter"),
    ("{{ forloop.index0 }}", "index0", "forloop.counter0"),
    ("{{ loop.index }}", "loop", "forloop.counter"),
    ("{% if event.Items.size > 0 %}a{% endif %}", "size", "event.Items|length"),
    ("{{ event.Items.first }}", "first", "event.Items|first"),
    ("{{ frist_name }}", "frist_name", "first_name"),
    ("{{ person.frist_name }}", "frist_name", "person.first_name"),
    ("{{ evnet.Items }}", "evnet", "event"),
    ("{{ organization.full_adress }}", "full_adress", "organization.full_address"),
    ("{{ unsubscribe_link }}", "unsubscribe_link", "{% unsubscribe_link %}"),
    ("{{ organization.unsubscribe_link }}", "unsubscribe_link", "{% unsubscribe_link %}"),
    ("{{ event.Items.count }}", "count", "event.Items|length"),
    ("{{ person|lookup:city }}", "city", "|lookup:'city'"),
    ("{{ shop.name }}", "shop", "organization.name"),
    ('<a href="%7B%7B%20event.URL%20%7D%7D">', "%7B%7B%20event.URL%20%7D%7D", "{{ event.URL }}"),
    ('<a href="%7B%25 web_view_link %25%7D">', "%7B%25 web_view_link %25%7D", "{% web_view_link %}"),
    ("&#123;&#123; email &#125;&#125;", "&#123;&#123; email &#125;&#125;", "{{ email }}"),
    ('<a href="https://{{ organization.url }}">', "https://", "{{ organization.url }}"),
    ('<a href="x"><b>{% unsubscribe %}</b></a>', "{% unsubscribe %}", "{% unsubscribe_link %}"),
    ("{{ unsubscribe_url }}", "unsubscribe_url", "{% unsubscribe_link %}"),
    ("{{ view_in_browser_link }}", "view_in_browser_link", "{% web_view_link %}"),
    ("{% catalog event.a %}{{ catalog_item.image_full_url }}{% endcatalog %}", "image_full_url", "featured_image.full.src"),
    ("{% catalog event.a %}{{ catalog_item.custom_metadata.a }}{% endcatalog %}", "custom_metadata", "catalog_item.metadata"),
    ("{{ contact.firstname }}", "contact", "person.first_name"),
    ("{% if event.Name is 'a' %}b{% endif %}", "is", "=="),
    ("{% if event.Tag == 'a' or 'b' %}c{% endif %}", "'b'", "event.Tag == 'b'"),
    ("{% if event.total > '100' %}b{% endif %}", "'100'", "write 100"),
    ("{% catalog event.a unpublished=cancel %}b{% endcatalog %}", "cancel", 'unpublished="cancel"'),
    ("{% catalog '{{ event.ID }}' %}b{% endcatalog %}", "'{{ event.ID }}'", "write event.ID"),
    ("{{ organization.address }}", "address", "organization.full_address"),
    ("{{ event.at|date:'F j' }}", "date", "|format_date_string|date:'F j'"),
    ("{{ person|lookup:'Due Date'|date:'F j' }}", "date", "|format_date_string|date:'F j'"),
    ("{% today '%Y-%m-%d' as today %}{{ today|date:'F j' }}", "date", "|format_date_string|date:'F j'"),
    ("{{ catalog_item.title }}", "catalog_item", "{% catalog event.ProductID %}"),
    ("{% if person.vip == true %}a{% endif %}", "true", "True"),
    ("{% if event.Items == empty %}a{% endif %}", "empty", "{% if not x %}"),
    ("{{ event.at|date:'%d.%m.%Y' }}", "%d.%m.%Y", 'date:"d.m.Y"'),
    ("{{ 'now'|date:'Y' }}", "'now'", '{% now "Y" %}'),
    ("{{ first_name|default:friend }}", "friend", "|default:'friend'"),
    ("*|FNAME|*", "*|FNAME|*", "{{ first_name }}"),
    ("<%= name %>", "<%= name %>", "{{ name }}"),
    ("{first_name}", "{first_name}", "{{ first_name }}"),
    ("{{ first_name }", "{{ first_name }", "{{ first_name }}"),
    ("{{ else }}", "{{ else }}", "{% else %}"),
    ("{# a\nb #}", "{# a\nb #}", "{% comment %}"),
    ("<html></body>", "</body", "{% unsubscribe %}"),
    ("{{ feeds.nwes.0.title }}", "nwes", "feeds.news"),
    ("{{ feed.news.0.title }}", "feed", "write feeds.news.0.title"),
    ("{{ web_feed.news.age_seconds }}", "web_feed", "write web_feeds.news.age_seconds"),
    ("{{ web_feeds.news.age }}", "age", "web_feeds.news.age_seconds"),
    ("{{ web_feeds.news.title }}", "title", "feeds.news.title"),
    ('{% items "shop" in_stock=true as xs %}', "true", "write in_stock=True"),
    ('{% items "shop" on_sale=false as xs %}', "false", "write on_sale=False"),
    ("{% items category=Kitchen as xs %}", "Kitchen", 'write category="Kitchen"'),
    ("{% items limit=six as xs %}", "six", "write a number: limit="),
    ("{% items outlet as xs %}", "outlet", 'write "outlet"'),
    ('{% items "outlte" as xs %}', '"outlte"', 'write "outlet"'),
    ('{% items "kitchen" as xs %}', '"kitchen"', "the configuration has: $default, outlet, shop"),
    ('{% changes "shpo" as xs %}', '"shpo"', 'write "shop"'),
    ('{% changes "shop" field="prise" as xs %}', '"prise"', 'field="price"'),
    ("{% changes since=7d as xs %}", "7d", 'write since="7d"'),
    ('{% catalog "4711" catalog_id="outlte" %}a{% endcatalog %}', '"outlte"', 'write catalog_id="outlet"'),
    ('{% catalog "$custom:::shpo:::4711" %}a{% endcatalog %}', '"$custom:::shpo:::4711"', "write $custom:::shop:::"),
    ("{% catalog sku %}a{% endcatalog %}", "sku", 'write event.sku, or "sku"'),
    ("{% with a=true %}{{ a }}{% endwith %}", "true", "write True"),
    ("{{ event.at|date:'YYYY-MM-DD' }}", "YYYY-MM-DD", '|format_date_string|date:"Y-m-d"'),
    ("{{ a|date:'d/m/yyyy' }}", "d/m/yyyy", '|date:"d/m/Y"'),
    ("{{ a|date:'MMM D, YYYY hh:mm' }}", "MMM D, YYYY hh:mm", '|date:"M j, Y h:i"'),
    ("{{ a|date:'M/d/yy HH:mm:ss' }}", "M/d/yy HH:mm:ss", '|date:"n/d/y H:i:s"'),
    ("{% now 'YYYY' %}", "YYYY", '{% now "Y" %}'),
    ("{% now '%Y' %}", "%Y", '{% now "Y" %}'),
    ("{% if x is defined %}a{% endif %}", "is defined", "write {% if x %}"),
    ("{% if person.City is not defined %}a{% endif %}", "is not defined", "write {% if not person.City %}"),
    ("{{ .a }}", ".a", "write a, or event.a"),
    ("{% if .a %}b{% endif %}", ".a", "write a, or event.a"),
    ("{{ first_name.upper }}", "upper", "write first_name|upper"),
    ("{{ event.Name.toUpperCase }}", "toUpperCase", "write event.Name|upper"),
    ("{{ email.address }}", "address", "write email"),
    ('{% items "shop" as xs %}{{ xs.title }}', "title", "{% for item in xs %}{{ item.title }}{% endfor %}, or xs.0.title"),
    ('{% items "shop" as xs %}{{ xs.count }}', "count", "write xs|length"),
    ('{% items "shop" as xs %}{% for x in xs %}{{ x.titel }}{% endfor %}', "titel", "x.title"),
    ('{% items "shop" as xs %}{% for x in xs|slice:":3" %}{{ x.prize }}{% endfor %}', "prize", "x.price"),
    ('{% changes "shop" as xs %}{% for x in xs %}{{ x.image_url }}{% endfor %}', "image_url", "x.image_link"),
    ("{% catalog event.a %}{{ catalog_item.prise }}{% endcatalog %}", "prise", "catalog_item.price"),
    ("*|IF:VIP|*", "*|IF:VIP|*", "write {% if person.VIP %}"),
    ("*|IF:FNAME|*", "*|IF:FNAME|*", "write {% if first_name %}"),
    ("*|ELSE:|*", "*|ELSE:|*", "write {% else %}"),
    ("*|END:IF|*", "*|END:IF|*", "write {% endif %}"),
    ("*|MC:SUBJECT|*", "*|MC:SUBJECT|*", "leave it out"),
    ("*|LIST:NAME|*", "*|LIST:NAME|*", "{{ organization.name }}"),
    ("*|VIP|*", "*|VIP|*", "{{ person.VIP }}"),
    ("%%FIRSTNAME%%", "%%FIRSTNAME%%", "{{ first_name }}"),
    ("[[City]]", "[[City]]", "{{ person.City }}"),
    ("${event.Name}", "${event.Name}", "{{ event.Name }}"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "culprit", "right"), DOUBTFUL, ids=[row[0] for row in DOUBTFUL])
def test_what_is_blank_or_shown_as_it_stands_is_a_warning(
    source: str, culprit: str, right: str
) -> None:
    problem = next(each for each in problems(source, KNOWN) if each.severity == "warning")
    assert right in (problem.hint or "")
    start = problem.column - 1
    assert source[start : start + problem.length] == culprit


SOUND = [
    "{{ person.first_name|default:'there' }} {{ person|lookup:'Favorite Color' }} {{ item.size }}",
    "{% for item in event.Items %}{{ forloop.counter }}{{ item.Name }}{% empty %}-{% endfor %}",
    "{% with a=event.total %}{{ a }}{% endwith %}{% comment %}{{ a | b: c }}{% endcomment %}",
    "{% verbatim %}{{ a | b: c }}{% endverbatim %}{# a note #}",
    "<style>@media screen{.a{color:red}}#b{width:100%}</style>",
    """<a href="x">a</a> {% unsubscribe %} <a href="x?b=%7B%22c%22:1%7D">{{ d }}</a> <a href="https://{{ person.shop }}">e</a>""",
    "{{ event.reviews.count }} {{ event|lookup:'a' }} {{ 50 }}%7B %7D &#123;x&#125;",
    "{% if a == 'b' or c == 'd' %}e{% endif %}{% if a > '2026-01-01' %}b{% endif %}{% if 'a' in b or 'c' in b %}d{% endif %}",
    "{{ event.at|format_date_string|date:'F j' }} {% if a is None %}b{% endif %} {{ customer.points }}",
    "{% for event in events %}{{ event.at|date:'F j' }}{% endfor %}{% currency_format a|plus:2 as total %}",
    "{% with category=event.Category %}{% items category=category as xs %}{% endwith %}{% items brand=first_name as ys %}",
    "{% items 'shop' category='Kitchen' in_stock=True limit=6 as xs %}{% for p in xs %}{{ p.prices }} {{ p.colour }} {{ p.brands }}{% endfor %}",
    "{% items 'shop' as xs %}{{ xs.0.title }} {{ xs|length }} {{ xs }}{% for p in event.Items %}{{ p.titel }} {{ p.name }}{% endfor %}",
    "{% changes 'outlet' since='7d' field='colour' as xs %}{% for x in xs %}{{ x.old }} {{ x.item.title }} {{ x.fields.price.old }}{% endfor %}",
    "{% items 'shop' as xs %}{% for x in xs %}{{ x.title }}{% endfor %}{% for x in event.Items %}{{ x.titel }}{% endfor %}",
    "{% items event.Catalog order=event.Order ids=person.Favorites as xs %}{% items 'default' limit=event.n|default:3 as ys %}",
    "{% catalog event.ID integration='woo' %}a{% endcatalog %}{% catalog '1' catalog_id='shopify' %}a{% endcatalog %}{% catalog '$shopify:::x:::1' %}b{% endcatalog %}",
    "{{ event.at|format_date_string|date:'D, d M Y H:i' }} {{ a|date:'jS F Y' }} {{ a|date:'\\d\\d H\\h i' }} {% now 'l' %}",
    "{% if a is b %}c{% endif %}{% with defined=1 %}{% if a is defined %}b{% endif %}{% endwith %} {{ event.upper }} {{ web_feeds.news.error }}",
    "<script>x = `${name}` + a[b[0]]</script><style>a{b:c}</style>{{ '[[a]]' }} 100%% 5%%a [a] $ {a} {% with feed=event.feed %}{{ feed.title }}{% endwith %}",
    "{{ person.Size }} {{ person.skin_type }} {{ event.value|floatformat:2 }} {{ items.0.title }}",
]  # fmt: skip


@pytest.mark.parametrize("source", SOUND)
def test_nothing_is_said_of_sound_templates(source: str) -> None:
    assert problems(source, KNOWN) == []


def test_every_problem_of_a_source_is_told() -> None:
    source = "{{ a | b: 'c' }}\n{% if a = b %}\n{{ first_name | default: 'x' }}\n{% endif %}\n{% endfor %}\n{{ d.e() }}"
    assert [each.line for each in told(source, "error")][-5:] == [1, 2, 3, 5, 6]


def test_a_refused_template_is_explained_by_its_first_error() -> None:
    problem = first_problem("{{ frist_name }}\n{{ a | default: 'x' }}")
    assert problem is not None
    assert (problem.line, problem.column) == (2, 16)
    assert problem.hint == "write {{ a | default:'x' }}"


def test_a_huge_source_is_one_problem() -> None:
    assert "larger than" in only("x" * (LARGEST + 1)).message


@pytest.mark.parametrize(
    "source",
    ["{% if x %}" * 3000, "{{" * 2000, "{{ a|b: " * 2000, "{% " * 2000, "{{ " + "a." * 20_000 + " }}",
     "{# \n" * 5000, "{{ " + "(" * 900 + " }}", "{{ " + "a|b:" * 200 + " }}", "{% if " + "x " * 400 + "%}",
     "{{ " + "a?b:" * 200 + " }}", "*|A" * 20_000, "{% fro %}" * 3000, "{{ " + "'" * 900 + " }}"],
    ids=lambda source: source[:8].strip(),
)  # fmt: skip
def test_hostile_sources_are_told_within_bounds(source: str) -> None:
    assert len(problems(source)) <= 200


FRAGMENTS = ("{{", "}}", "{%", "%}", "{#", "#}", " | ", "|", ": ", "'", '"', "{% if a %}", "{% endif %}", "{% else %}",
             "{% endfor %}", "{% for x in y %}", "{{ a }}", "=", " contains ", "“", "\n", "-", "{% verbatim %}",
             "{% comment %}", "{% endcomment %}", "&gt;", "<b>", "(", ")", "[0]", ".", "$", "{% cycle 'a' 'b' as c %}",
             "{% endverbatim %}", "{% raw %}", "{% elsif b %}", "{% end %}", "{% resetcycle %}", "{% empty %}", "}")  # fmt: skip
BASES = [*SOUND, *(row[0] for row in MENDED), *(row[0] for row in LEFT_OVER)]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    source = "".join(draw(st.lists(st.sampled_from(BASES), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(source)))
        end = min(len(source), start + draw(st.integers(0, 6)))
        source = source[:start] + draw(st.sampled_from(("", *FRAGMENTS))) + source[end:]
    return source


@settings(max_examples=int(os.environ.get("FEEDD_EXAMPLES", "150")), deadline=None)
@given(mutated())
def test_there_is_an_error_exactly_if_the_engine_refuses(source: str) -> None:
    found = problems(source)
    try:
        compiled(source)
        refused = False
    except REFUSALS:
        refused = True
    assert any(each.severity == "error" for each in found) == refused
    lines = source.split("\n")
    for each in found:
        assert 1 <= each.line <= len(lines)
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert each.length >= 1
        assert each.hint is None or "\x1a" not in each.hint


def documented() -> list[tuple[str, str]]:
    """The rows of the table of mistakes: what is written, what is to be written."""
    page = (Path(__file__).parent.parent / "docs" / "templates.md").read_text()
    section = page.split("\n## When a template is wrong\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \|.*\|$", section, re.MULTILINE)
    return [(wrong.replace(r"\|", "|"), right.replace(r"\|", "|")) for wrong, right in rows]


@pytest.mark.parametrize(("wrong", "right"), documented(), ids=lambda cell: cell)
def test_the_documented_mistakes_are_told_as_documented(wrong: str, right: str) -> None:
    assert right in (problems(wrong)[0].hint or "")


def test_a_table_of_mistakes_is_documented() -> None:
    assert len(documented()) > 40
