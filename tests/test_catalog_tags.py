"""The tags that look into the catalog, rendered by a worker from a catalog that was synced three times."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feeds import item, take_in
from sqlalchemy import update
from test_ingest_laws import fresh
from test_shelf import shelf_of

from feedd.rendering import Recipient, Rendered, Renderer, RenderFailed, Source, Wanted
from feedd.rendering.lookups import Lookups
from feedd.store.database import Database
from feedd.store.tables import SYNCS
from feedd.templates.wire import Account, Failed

GUIDE = (Path(__file__).parent.parent / "docs" / "templates.md").read_text()
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
EXAMPLES = re.findall(
    r"```django\n((?:(?!```).)*)```\n\n```html\n((?:(?!```).)*)```", GUIDE, re.DOTALL
)


def thing(item_id: str, title: str, category: str, price: float, **more: Any) -> dict[str, Any]:
    link = f"https://shop.example/{item_id}"
    return item(
        item_id, title, link=link, categories=[category], price=price, currency="EUR", **more
    )


MUG = ("mug-1", "Blue mug", "Kitchen > Mugs")
BOWL = ("bowl-1", "Bowl", "Kitchen > Bowls")
LAMP = ("lamp-1", "Lamp", "Living > Lamps")
TEA = thing("tea-1", "Green tea", "Tea", 7.5)
VASE = thing("vase-1", "Vase", "Living", 30)
PAST: list[tuple[timedelta, list[dict[str, Any]]]] = [
    (timedelta(days=10), [thing(*MUG, 12), thing(*BOWL, 20), thing(*LAMP, 49), TEA]),
    (
        timedelta(days=3),
        [thing(*MUG, 12), thing(*BOWL, 20, sale_price=15), thing(*LAMP, 59), TEA, VASE],
    ),
    (
        timedelta(hours=1),
        [
            thing(*MUG, 9),
            thing(*BOWL, 20, sale_price=15),
            thing(*LAMP, 59, availability="out_of_stock"),
            VASE,
        ],
    ),
]


def synced(
    catalog: Database, where: Path, ago: timedelta, body: list[dict[str, Any]], **more: Any
) -> None:
    """Take a body in, as if that had been some time ago."""
    record = take_in(catalog, where, body, accept_removals=True, **more)
    with catalog.transaction() as connection:
        connection.execute(
            update(SYNCS).where(SYNCS.c.id == record.id).values(finished_at=NOW - ago)
        )


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    where = tmp_path_factory.mktemp("shop")
    made = fresh(where)
    for ago, body in PAST:
        synced(made, where, ago, body)
    synced(
        made,
        where,
        timedelta(),
        [item("7", "Seven", published_at="2026-03-01"), item("a b", "Spaced")],
        feed="blog",
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def renderer(catalog: Database) -> Iterator[Renderer]:
    account = Account(currency="EUR", locale="en-US")
    made = Renderer(lambda: account, Lookups(shelf_of(catalog)))
    yield made
    made.close()


def rendered(renderer: Renderer, source: str, at: int | None = None, **values: Any) -> Rendered:
    recipient = Recipient(values=json.dumps(values).encode())
    return renderer.render(Source(html=source), recipient, Wanted(at=at, now=NOW))


def html(renderer: Renderer, source: str, at: int | None = None, **values: Any) -> str:
    """What comes out, with one space wherever there is some."""
    return " ".join(rendered(renderer, source, at, **values).html.decode().split())


def test_an_amount_of_an_item_is_in_the_currency_of_the_item(catalog: Database) -> None:
    dollars = Account(currency="USD", locale="en-US")
    source = """{% currency_format 5 %} {% currency_format event.price %}
        {% catalog "mug-1" %}{% currency_format catalog_item.price %} {% currency_format catalog_item|lookup:"price"|plus:1 %}
        {% currency_format catalog_item.metadata|lookup:"price" as a %}{{ a }} {% currency_format event.price %}{% endcatalog %}
        {% changes "shop" field="price" direction="down" limit=1 as drops %}{% for drop in drops %}
        {% currency_format drop.old %} {% currency_format drop.item.current_price %}{% endfor %}
        {% catalog "7" %}{% currency_format 1 %} {% currency_format catalog_item.title %}{% endcatalog %}"""
    with closing(Renderer(lambda: dollars, Lookups(shelf_of(catalog)))) as renderer:
        assert html(renderer, source, event={"price": 2}) == (
            "$5.00 $2.00 €9.00 €10.00 €9.00 $2.00 €12.00 €9.00 $1.00 Seven"
        )


def failure(renderer: Renderer, source: str, **values: Any) -> Failed:
    with pytest.raises(RenderFailed) as caught:
        rendered(renderer, source, **values)
    return caught.value.failure


@pytest.mark.parametrize(("source", "expected"), EXAMPLES, ids=lambda text: text[:40].strip())
def test_the_guide_shows_what_comes_out(renderer: Renderer, source: str, expected: str) -> None:
    assert html(renderer, source) == " ".join(expected.split())


def test_the_guide_has_examples() -> None:
    assert len(EXAMPLES) >= 8


TITLE = "{{ catalog_item.title }}{% endcatalog %}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{% catalog "mug-1" %}', "Blue mug"),
        ("{% catalog 7 %}", "Seven"),
        ("{% catalog number %}", "Seven"),
        ('{% catalog "a b" %}', "Spaced"),
        ("{% catalog event.ProductID %}", "Bowl"),
        ('{% catalog event|lookup:"Product ID" %}', "Bowl"),
        ('{% catalog "bowl-1" %}{% has_category catalog_item "mugs" as a %}{{ a }} ', "False Bowl"),
        (
            '{% catalog "mug-1" %}{% has_category catalog_item "mugs" as a %}{{ a }} ',
            "True Blue mug",
        ),
        ('{% catalog "mug-1" %}{% currency_format catalog_item.price %} ', "€9.00 Blue mug"),
        ('{% catalog prefix|add:"-1" %}', "Lamp"),
        ('{% catalog "$custom:::$default:::mug-1" %}', "Blue mug"),
        ('{% catalog "$custom:::news:::7" %}', "Seven"),
        ('{% catalog "$shopify:::$default:::7" %}', "Seven"),
        ('{% catalog "gid://shopify/Product/7" %}', "Seven"),
        ("{% catalog event.Missing|default:'mug-1' unpublished='cancel' %}", "Blue mug"),
        ('{% catalog "mug-1" integration="shopify" %}', "Blue mug"),
        ('{% catalog "mug-1" integration="api" catalog_id="1060935"%}', "Blue mug"),
        ("{% catalog \"7\" catalog_id=where language='fr' region='CA' %}", "Seven"),
        ('{% catalog "7" catalog_id="blog" %}', "Seven"),
        ('{% catalog "7" catalog_id=blog %}', "Seven"),
        ('{% catalog "7" catalog_id=event.catalog %}', "Seven"),
        ('{% catalog "$custom:::blog:::7" %}', "Seven"),
        ('{% catalog "mug-1" catalog_id="default" %}', "Blue mug"),
        ('{% catalog "tea-1" %}', "Green tea"),
        ('{% catalog "lamp-1" unpublished="cancel" %}', "Lamp"),
    ],
)
def test_an_item_is_found(renderer: Renderer, source: str, expected: str) -> None:
    values = {
        "number": 7.0,
        "prefix": "lamp",
        "event": {"ProductID": "bowl-1", "Product ID": "bowl-1"},
        "where": "news",
    }
    assert html(renderer, source + TITLE, **values) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{% catalog "gone" %}', "Unable to find item with code: gone. It may have been deleted."),
        (
            '{% catalog "mug-1" catalog_id="news" %}',
            "Unable to find item with code: mug-1. It may have been deleted.",
        ),
        (
            '{% catalog "tea-1" unpublished="cancel" %}',
            "Item (tea-1) is not published and unavailable.",
        ),
        (
            "{% catalog 'tea-1' unpublished=cancel %}",
            "Item (tea-1) is not published and unavailable.",
        ),
        ('{% catalog "lamp-1" out_of_stock="cancel" %}', "Item (lamp-1) is out of stock."),
        (
            '{% catalog "$custom:::shpo:::mug-1" %}',
            "Unable to find item with code: $custom:::shpo:::mug-1. There is no catalog and no feed 'shpo'.",
        ),
        (
            "{% catalog event.ProductID %}",
            "Unable to find an item: event.ProductID is no item's id.",
        ),
        ("{% catalog listed %}", "Unable to find an item: listed is no item's id."),
        ('{% catalog "a\0b" %}', "Unable to find item with code: a\0b. It may have been deleted."),
    ],
)
def test_a_person_whose_item_is_not_there_is_skipped(
    renderer: Renderer, source: str, message: str
) -> None:
    found = failure(renderer, source + TITLE, listed=[1, 2])
    assert (found.kind, found.code, found.message) == (
        "lookup",
        "catalog_item_unavailable",
        message,
    )


def test_items_have_klaviyos_names(renderer: Renderer) -> None:
    source = """{% catalog "bowl-1" %}
    {{ catalog_id }} {{ catalog_item.id }} {{ catalog_item.url }} {{ catalog_item.currency_code }}
    {{ catalog_item.featured_image.full.src|default:"no image" }} {{ catalog_item.metadata.price }}
    {{ catalog_item.metadata|lookup:"sale_price" }} {{ catalog_item.variant.price }} {{ catalog_item.variant.id }}
    {{ catalog_item.categories.0 }} {{ catalog_item.published }} {{ catalog_item.version }} {{ catalog_item.nothing }}
    {% endcatalog %}{{ catalog_item.title }}"""
    assert html(renderer, source) == (
        "$default bowl-1 https://shop.example/bowl-1 EUR no image 20 15 15 bowl-1 Kitchen &gt; Bowls True 5"
    )


def test_a_render_says_which_items_it_used(renderer: Renderer) -> None:
    source = '{% catalog "mug-1" %}{% endcatalog %}{% items "shop" on_sale=True as xs %}{% catalog "mug-1" %}{% endcatalog %}'
    used = [(each.catalog, each.item, each.version) for each in rendered(renderer, source).items]
    assert used == [("$default", "mug-1", 8), ("$default", "bowl-1", 5)]


def test_everything_is_as_of_one_position(renderer: Renderer) -> None:
    source = """{% items "shop" order="-price" as xs %}{% for x in xs %}{{ x.title }} {{ x.current_price }}, {% endfor %}
    {% changes "shop" since="30d" direction="up" as up %}{{ up.0.item.title }} {% catalog "tea-1" %}
    {{ catalog_item.removed }} {{ catalog_item.history|length }}{% endcatalog %}"""
    now = "Lamp 59, Vase 30, Bowl 15, Blue mug 9, Lamp True 2"
    then = "Lamp 49, Bowl 20, Blue mug 12, Green tea 7.5, False 1"
    assert html(renderer, source) == now
    assert html(renderer, source, at=4) == then
    assert html(renderer, source) == now


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            "{% catalog %}{% endcatalog %}",
            "takes the id of one item",
            "{% catalog event.ProductID %}",
        ),
        ('{% catalog "a" "b" %}{% endcatalog %}', "takes the id of one item", ""),
        (
            '{% catalog "a" unpublised="cancel" %}{% endcatalog %}',
            "has no 'unpublised='",
            "Write unpublished=",
        ),
        ('{% catalog "a" unpublished="skip" %}{% endcatalog %}', 'unpublished="skip"', "cancel"),
        (
            '{% catalog "a" unpublished = "cancel" %}{% endcatalog %}',
            "a space beside a '='",
            "without spaces",
        ),
        ('{% catalog "a" %}', "is not closed", "{% endcatalog %}"),
        ('{% items "shop" %}', "must end with the name", "as xs"),
        ('{% items "shop" colour="red" as xs %}', "has no 'colour='", "category="),
        ('{% items "shop" order="name" as xs %}', 'order="name"', "title, price"),
        ('{% items "shop" limit=1000 as xs %}', "limit=1000", "1 to 100"),
        ('{% items "shop" max_price="cheap" as xs %}', 'max_price="cheap"', "49.90"),
        ('{% items "shop" in_stock="maybe" as xs %}', "in_stock", "True or False"),
        ('{% items "a" "b" as xs %}', "the name of one catalog", "leave it out"),
        (
            '{% items limit=2 "b" as xs %}',
            "does not understand '\"b\"' at this place",
            "another one",
        ),
        (
            '{% items "shop", limit=2 as xs %}',
            "has a comma between its words",
            '{% items "shop" limit=2 as xs %}',
        ),
        (
            '{% catalog "a" unpublished: "cancel" %}{% endcatalog %}',
            "has a ':'",
            'unpublished="value"',
        ),
        ("{% items shop limit=2 as xs %}", "shop is not the name of a catalog", '"shop"'),
        ('{% items "shop" limit=1 limit=2 as xs %}', "twice", ""),
        ('{% items "nowhere" as xs %}', "there is no catalog and no feed 'nowhere'", "shop"),
        ('{% changes "shop" since="yesterday" as xs %}', "since", '"7d"'),
        ('{% changes "shop" direction="sideways" as xs %}', "direction", "up, down"),
        ('{% changes "shop" kind="new" as xs %}', "kind", "added"),
        ('{% changes "shop" since="7d" %}', "must end with the name", "as drops"),
    ],
)
def test_mistakes_are_told_with_what_to_write(
    renderer: Renderer, source: str, message: str, hint: str
) -> None:
    found = failure(renderer, source)
    assert found.kind == "syntax"
    assert message in found.message
    assert hint in (found.hint or "")
    assert found.line == 1


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        # what is blank of a person is no condition, and a name that nothing has is a slip
        ('items "shop" category=person.favourite', "mug-1 bowl-1 lamp-1 vase-1"),
        ('items "shop" category=nothing', "mug-1 bowl-1 lamp-1 vase-1"),
        ('items "shop" category=Kitchen', ""),
        ('items "shop" category=Kitchen|lower', ""),
        ('items "shop" category=Kitchen|default:"Living"', "lamp-1 vase-1"),
        ('items "shop" max_price=twenty', ""),
        ('items "shop" limit=six', ""),
        ('items "shop" in_stock=true', "mug-1 bowl-1 vase-1"),
        ('items "shop" in_stock=FALSE', "lamp-1"),
        ('items "shop" on_sale=yes', "bowl-1"),
        ('items "shop" on_sale=no', "mug-1 lamp-1 vase-1"),
        ('items "shop" on_sale=maybe', ""),
        ('items "shop" on_sale=off', "bowl-1"),
        ('items "shop" order=title', "mug-1 bowl-1 lamp-1 vase-1"),
        ('items "shop" order=titel', ""),
        ('changes "shop" field=price', ""),
        ('changes "shop" direction=up', "lamp-1"),
        ('changes "shop" since=24h kind=updated', "lamp-1 mug-1"),
        ('changes "shop" kind=gone', ""),
        ("items category=kitchen max_price=amount", "mug-1"),
        ('items "shop" max_price=kitchen', ""),
        ('items "shop" ids=missing', ""),
        ('items "shop" ids=liked', "vase-1 mug-1"),
        ('items "blog" order="-title"', "a b 7"),
        ('items "news" limit=1', "7"),
        ('changes "shop" since=8 field="availability"', "lamp-1"),
        ('changes since="2026-01-14" field="price"', "mug-1"),
        ("changes since=day field='price'", "mug-1"),
        ('changes "shop" since=4 kind="updated" order="title"', "mug-1 bowl-1 lamp-1"),
        ('changes "shop" field="price" order="-difference"', "lamp-1 mug-1 bowl-1"),
        ('changes "shop" field="price" order="difference" limit=1', "bowl-1"),
        ('changes "shop" since="30m"', ""),
        ('changes "shop" since="99999w" kind="added"', "vase-1"),
        ('changes "shop" since="2026-01-01" kind="added"', "vase-1"),
        ('changes "shop" since=0 kind="added"', "vase-1 lamp-1 bowl-1 mug-1"),
        ('changes "shop" since=0 kind="removed"', "tea-1"),
        ('changes "shop" since="99999w" kind="removed"', "tea-1"),
        ('changes "blog"', ""),
        ('changes "shop" category="Living"', "lamp-1 vase-1"),
        ('changes "shop" since=unheard', ""),
    ],
)
def test_lists_hang_on_what_is_known_of_the_person(
    renderer: Renderer, tag: str, expected: str
) -> None:
    values = {
        "kitchen": "Kitchen", "amount": "10", "liked": ["vase-1", "mug-1", 5], "day": "2026-01-14T10:00:00+01:00",
        "unheard": "once upon a time", "nothing": None, "off": True,
    }  # fmt: skip
    source = f"{{% {tag} as xs %}}{{% for x in xs %}}{{{{ x.id }}}} {{% endfor %}}"
    assert html(renderer, source, **values) == expected


def test_a_name_of_no_catalog_does_not_choose_among_several(tmp_path: Path) -> None:
    """An integration's name means any catalog, and so does a misspelled one, which is not to show another's item."""
    catalog = fresh(tmp_path)
    found = Renderer(Account, Lookups(shelf_of(catalog)))
    try:
        take_in(catalog, tmp_path, [item("a", "Shop's"), item("b")])
        take_in(catalog, tmp_path, [item("a", "News")], feed="blog")
        for name in ('integration="shopify"', 'catalog_id="nwes"', "catalog_id=nwes"):
            told = failure(found, f'{{% catalog "a" {name} %}}{TITLE}')
            assert (told.kind, told.code) == ("lookup", "catalog_item_unavailable")
            assert "More than one catalog has it (of the feeds shop, blog)" in told.message
            assert 'catalog_id="shop"' in (told.hint or "")
            assert html(found, f'{{% catalog "b" {name} %}}{TITLE}') == "Mug"
        assert html(found, f'{{% catalog "a" catalog_id=news %}}{TITLE}') == "News"
        assert html(found, f'{{% catalog "a" %}}{TITLE}') == "Shop&#x27;s"
        take_in(catalog, tmp_path, [item("b")], accept_removals=True)
        assert html(found, f'{{% catalog "a" integration="shopify" %}}{TITLE}') == "News"
    finally:
        found.close()
        catalog.close()


def test_the_same_position_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever comes later: all that can be seen of items, lists and changes."""
    catalog = fresh(tmp_path)
    found = Renderer(Account, Lookups(shelf_of(catalog)))
    source = """{% items as xs %}{% for x in xs %}{{ x }}{{ x.history }}{% endfor %}
    {% changes since=0 order="title" as ys %}{% for y in ys %}{{ y }}{% endfor %}
    {% catalog "a" %}{% for name, value in catalog_item.metadata.items %}{{ name }}: {{ value }}{% endfor %}{% endcatalog %}"""
    a, b = (
        item("a", price=5, brand="Acme", zoo={"b": 1, "a": 2}),
        item("b", published_at="2026-01-01"),
    )
    bodies = [
        [a, b],
        [a | {"price": 4}, b],
        [a | {"brand": "B"}],
        [item("b", "New"), item("c")],
        [a],
    ]
    try:
        before = []
        for body in bodies:
            take_in(catalog, tmp_path, body, accept_removals=True)
            now = rendered(found, source)
            before.append((now.position.seq, now.html, now.items))
        for seq, whole, items in before:
            then = rendered(found, source, at=seq)
            assert (then.html, then.items) == (whole, items)
    finally:
        found.close()
        catalog.close()


def test_times_of_items_are_times(renderer: Renderer) -> None:
    source = """{% items "news" as xs %}{% with x=xs.0 %}{{ x.published_at|date:"j F Y" }} {{ x.metadata.published_at }}
    {{ x.published_at|format_date_string|date:"Y" }} {{ x.changed_at|date:"Y" }}{% endwith %}"""
    assert html(renderer, source) == "1 March 2026 2026-03-01T00:00:00Z 2026 2026"


def test_an_item_that_is_shown_whole_has_texts_for_its_times(catalog: Database) -> None:
    german = Account(currency="EUR", locale="de-DE", timezone="Europe/Berlin")
    source = """{% catalog "7" %}{{ catalog_item.published_at }}|{{ catalog_item.published_at.hour }}|{{ catalog_item|safe }}{% endcatalog %}
    {% changes "shop" since=0 limit=1 as xs %}{{ xs|safe }}{% for x in xs %}{{ x.history|safe }}{% endfor %}"""
    with closing(Renderer(lambda: german, Lookups(shelf_of(catalog)))) as renderer:
        shown = html(renderer, source)
    assert shown.startswith("1. März 2026, 01:00|1|")
    assert "'published_at': '2026-03-01T01:00:00+01:00'" in shown
    assert "datetime" not in shown


def test_a_message_may_ask_for_so_many_lists(renderer: Renderer) -> None:
    source = '{% for n in l %}{% items "shop" max_price=n as xs %}{{ xs|length }}{% endfor %}'
    assert html(renderer, source, l=[10, 20, 30, 60] * 10) == "1234" * 10
    found = failure(renderer, source, l=list(range(60)))
    assert (found.kind, found.code) == ("limit", "too_many_lookups")


def test_what_has_changed_is_seen_at_once(tmp_path: Path) -> None:
    """The answers that a worker keeps are forgotten as the stream moves, those of what has changed and no others."""
    catalog = fresh(tmp_path)
    found = Renderer(Account, Lookups(shelf_of(catalog)))
    source = """{% catalog "a" %}{{ catalog_item.price }}{% endcatalog %} {% catalog "b" %}{{ catalog_item.price }}{% endcatalog %}
    {% items "shop" as xs %}{{ xs|length }} {% changes "shop" since=1 as ys %}{{ ys|length }}"""
    try:
        take_in(catalog, tmp_path, [item("a", price=1), item("b", price=1)])
        assert html(found, source) == "1 1 2 1"
        take_in(catalog, tmp_path, [item("a", price=2), item("b", price=1), item("c")])
        assert html(found, source) == "2 1 3 3"
        assert html(found, source, at=2) == "1 1 2 1"
        assert html(found, source) == "2 1 3 3"
    finally:
        found.close()
        catalog.close()


def test_all_messages_of_a_batch_are_of_one_position(tmp_path: Path) -> None:
    catalog = fresh(tmp_path)
    synced(catalog, tmp_path, timedelta(1), [thing(*MUG, 12)])
    renderer = Renderer(Account, Lookups(shelf_of(catalog)))
    shows = Source(html='{% catalog "mug-1" %}{{ catalog_item.price }}{% endcatalog %}')
    nobody = Recipient(values=b"{}")
    try:
        messages = renderer.render_many(shows, [nobody] * 200)
        first = next(messages)
        synced(catalog, tmp_path, timedelta(0), [thing(*MUG, 9)])  # nothing holds it up
        after = renderer.render(shows, nobody)
        others = list(messages)
    finally:
        renderer.close()
        catalog.close()
    assert isinstance(first, Rendered)
    assert {(each.html, each.position, each.now) for each in [first, *others]} == {
        (b"12", first.position, first.now)
    }
    assert after.html == b"9"


def test_fields_have_the_names_of_klaviyos_feeds_too(renderer: Renderer) -> None:
    shown = "{{ catalog_item.metadata|lookup:'$price' }} {{ catalog_item.metadata|lookup:'$none' }}|{{ catalog_item.metadata|lookup:'$' }}"
    assert html(renderer, f'{{% catalog "mug-1" %}}{shown}{{% endcatalog %}}') == "9 |"
