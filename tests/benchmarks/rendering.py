"""How many product mails are rendered a second, beside bare Django with the same template and the same values.

    python tests/benchmarks/rendering.py [--people 10000] [--rounds 3]

The mail has 15 KB of source, a loop over the 12 items of an order and 3 lookups in a catalog of 1,000 items. The baseline is Django's own
engine in one process that does nothing else: the compiled template, its context a plain dict that is there already, and a
`{% catalog %}` that takes the item out of a dict. feedd makes the variables of stored profiles, renders in its worker processes, looks items up
in the catalog, makes links absolute and hands the message over. Both write the same text (but for what is checked of links), which is
compared first. With `--scaling`, Django is run in as many processes too: how much faster two are than one on this machine.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from msgspec import Raw

from feedd.app import App, build
from feedd.people.values import Event, Profile
from feedd.rendering import Recipient, Rendered, Source, Wanted
from feedd.rendering.values import variables
from feedd.settings import Settings, load
from feedd.templates.wire import Failed

ITEMS = 1_000
LINES = 12
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)

HTML_ONLY = Wanted()

_ROW = """
  <tr style="border-bottom:1px solid #eeeeee;{% if forloop.last %}border-bottom:none;{% endif %}">
    <td width="96" style="padding:12px 0;font-family:Arial,Helvetica,sans-serif;font-size:14px;line-height:20px;color:#333333;">
      <a href="{{ line.ProductURL }}" style="text-decoration:none;"><img src="{{ line.ImageURL }}" width="80" alt="{{ line.ProductName }}"></a>
    </td>
    <td style="padding:12px;font-family:Arial,Helvetica,sans-serif;font-size:14px;line-height:20px;color:#333333;">
      <strong>{{ forloop.counter }}. {{ line.ProductName|truncatechars:60 }}</strong><br>
      {% if line.Brand %}by {{ line.Brand }}{% else %}own brand{% endif %}, {{ line.Categories|join:", " }}<br>
      {% if line.OnSale %}<span style="color:#c0392b;">reduced</span>{% endif %}
    </td>
    <td align="right" style="padding:12px 0;font-family:Arial,Helvetica,sans-serif;font-size:14px;">
      {{ line.Quantity }} x {{ line.ItemPrice|floatformat:2 }}<br><strong>{{ line.RowTotal|floatformat:2 }}</strong>
    </td>
  </tr>"""
_CARD = """
{% catalog KEY %}
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin:0 0 24px 0;background-color:#ffffff;border-radius:6px;"><tr>
  <td style="padding:24px;font-family:Arial,Helvetica,sans-serif;">
    <a href="{{ catalog_item.link }}"><img src="{{ catalog_item.image_link }}" width="240" alt="{{ catalog_item.title }}"></a>
    <h3 style="margin:12px 0 4px 0;font-size:18px;">{{ catalog_item.title|title }}</h3>
    <p style="margin:0 0 12px 0;color:#555555;">{{ catalog_item.description|truncatewords:20 }}</p>
    <p style="margin:0;font-size:20px;">{{ catalog_item.price|floatformat:2 }} {% if catalog_item.availability == "in_stock" %}in stock{% else %}soon{% endif %}</p>
  </td></tr></table>
{% endcatalog %}"""
_STYLE = "".join(
    f".c{n} {{ color:#33333{n % 10}; font-size:{12 + n % 6}px; padding:{n % 8}px; }}\n"
    for n in range(150)
)
MAIL = (
    """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Your order</title>
<!-- STYLE --></head>
<body style="margin:0;padding:0;background-color:#f4f4f4;">
<div style="display:none;">Thank you, {{ first_name|default:"there" }}: {{ event.ItemNames|length }} items are on their way</div>
<table role="presentation" width="100%"><tr><td align="center">
<p style="font-size:22px;">Hello {{ first_name|default:"there" }}{% if person.City %} of {{ person.City }}{% endif %},</p>
<p>you ordered for {{ event.value|floatformat:2 }} on {{ event.datetime|slice:":10" }}. {% if person.tier == "gold" %}Gold members pay no postage.{% elif person.tier %}You are {{ person.tier|capfirst }}.{% endif %}</p>
<table role="presentation" width="600">{% for line in event.Items %}"""
    + _ROW
    + """{% empty %}<tr><td>nothing</td></tr>{% endfor %}</table>
<h2>You may like</h2>"""
    + "".join(
        _CARD.replace("KEY", key) for key in ("event.First", "event.Second", "person.Favourite")
    )
    + """
<p style="font-size:12px;color:#888888;">{{ organization.name }}, {{ organization.full_address }}. Sent to {{ email }}.
{% with total=event.value %}{% if total > 100 %}You have collected {{ total|floatformat:0 }} points.{% endif %}{% endwith %}</p>
</td></tr></table></body></html>"""
)
# what real mails have most of: text that stands there; up to 15 KB
MAIL = MAIL.replace(
    "<!-- STYLE -->", f"<style>{(_STYLE * 3)[: 15_000 - len(MAIL)].rpartition('}')[0]}}}</style>"
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--people", type=int, default=10_000, help="mails of each measurement (10000)")
    add("--rounds", type=int, default=3, help="of everything; the best of each counts (3)")
    add(
        "--processes",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="for scaling (processors)",
    )
    return parser.parse_args()


def product(number: int) -> dict[str, Any]:
    return {
        "id": f"P-{number}",
        "title": f"mug number {number} with <gold> & blue",
        "description": "A mug that holds tea, coffee and whatever else there is to be held, " * 4,
        "link": f"https://shop.example/p/{number}?a=1&b=2",
        "image_link": f"https://shop.example/i/{number}.jpg",
        "price": number % 90 + 9.5,
        "availability": "in_stock" if number % 3 else "out_of_stock",
        "brand": f"Brand {number % 40}",
        "categories": ["Kitchen", "Mugs"],
    }


def person(number: int) -> tuple[Profile, Event]:
    items = [
        {
            "SKU": f"P-{(number + n) % ITEMS}",
            "ProductName": f"mug number {(number + n) % ITEMS} with <gold> & blue",
            "ProductURL": f"https://shop.example/p/{number + n}?a=1&b=2",
            "ImageURL": f"https://shop.example/i/{number + n}.jpg",
            "Brand": f"Brand {n}" if n % 2 else "",
            "Categories": ["Kitchen", "Mugs & Cups"],
            "Quantity": n % 3 + 1,
            "ItemPrice": 9.5 + n,
            "RowTotal": (9.5 + n) * (n % 3 + 1),
            "OnSale": n % 4 == 0,
        }
        for n in range(LINES)
    ]
    properties = {
        "Items": items,
        "ItemNames": [each["ProductName"] for each in items],
        "First": f"P-{number % ITEMS}",
        "Second": f"P-{(number * 7) % ITEMS}",
    }
    known = {
        "$first_name": f"Jane {number}",
        "$city": "Oslo",
        "tier": ("gold", "silver", "")[number % 3],
        "Favourite": f"P-{(number * 13) % ITEMS}",
        **{f"property_{n}": f"value {n}" for n in range(15)},
    }
    profile = Profile(
        id=f"{number:026}",
        number=number,
        email=f"person{number}@example.com",
        properties=known,
        created_at=MOMENT,
        updated_at=MOMENT,
    )
    event = Event(
        number=number,
        uuid=f"{number:032}",
        metric="Placed Order",
        metric_id="AbC123",
        profile=profile.id,
        at=MOMENT,
        value=sum(each["RowTotal"] for each in items),
        sent=Raw(json.dumps(properties).encode()),
    )
    return profile, event


def shop(folder: Path) -> App:
    (folder / "products.json").write_text(json.dumps([product(n) for n in range(ITEMS)]))
    (folder / "feedd.toml").write_text(
        f'state_dir = "{folder}/state"\nfile_roots = ["{folder}"]\nlisten = "127.0.0.1:0"\n'
        '[account]\norganization = "Example Shop"\nwebsite = "https://shop.example"\naddress = { address1 = "1 Main Street", city = "Oslo" }\n'
        f'[feeds.shop]\nurl = "file://{folder}/products.json"\n'
    )
    settings: Settings = load(folder / "feedd.toml", environ=os.environ, cwd=folder)
    app = build(settings)
    if app.sync("shop", trigger="benchmark").status != "applied":
        raise SystemExit("the catalog was not made")
    return app


# bare Django


def bare() -> Callable[[dict[str, Any]], str]:
    """What renders the mail with Django alone."""
    import django
    from django.conf import settings
    from django.template import Context, Engine, Library, Node

    if not settings.configured:
        settings.configure(USE_TZ=True, USE_I18N=True, LOGGING_CONFIG=None)
        django.setup(set_prefix=False)
    register = Library()
    catalog = {item["id"]: item for item in map(product, range(ITEMS))}

    class Catalog(Node):
        def __init__(self, key: Any, nodelist: Any) -> None:
            self.key = key
            self.nodelist = nodelist

        def render(self, context: Any) -> str:
            with context.push(catalog_item=catalog[self.key.resolve(context)]):
                return str(self.nodelist.render(context))

    @register.tag("catalog")
    def compile_catalog(parser: Any, token: Any) -> Catalog:
        _, key = token.split_contents()
        nodelist = parser.parse(("endcatalog",))
        parser.delete_first_token()
        return Catalog(parser.compile_filter(key), nodelist)

    engine = Engine(loaders=[], libraries={})
    engine.template_builtins.append(register)
    template = engine.from_string(MAIL)

    def render(values: dict[str, Any]) -> str:
        return str(template.render(Context(values)))

    return render


def values_of(app: App, number: int) -> dict[str, Any]:
    profile, event = person(number)
    found: dict[str, Any] = json.loads(
        variables(app.settings.account, profile=profile, event=event)
    )
    return found


def time_bare(values: list[dict[str, Any]]) -> float:
    render = bare()
    render(values[0])
    began = time.perf_counter()
    for each in values:
        render(each)
    return len(values) / (time.perf_counter() - began)


def _bare_child(pipe: Any, values: list[dict[str, Any]]) -> None:
    render = bare()
    render(values[0])
    pipe.send("ready")
    pipe.recv()
    for each in values:
        render(each)
    pipe.send("done")


def time_bare_processes(values: list[dict[str, Any]], count: int) -> float:
    context = multiprocessing.get_context("fork")
    share = len(values) // count
    pipes = []
    for n in range(count):
        ours, theirs = context.Pipe()
        child = context.Process(
            target=_bare_child, args=(theirs, values[n * share : (n + 1) * share])
        )
        child.start()
        pipes.append((ours, child))
    for pipe, _ in pipes:
        pipe.recv()
    began = time.perf_counter()
    for pipe, _ in pipes:
        pipe.send("go")
    for pipe, child in pipes:
        pipe.recv()
        child.join()
    return share * count / (time.perf_counter() - began)


# feedd


def recipients(app: App, people: list[tuple[Profile, Event]]) -> Iterator[Recipient]:
    account = app.settings.account
    for profile, event in people:
        yield Recipient(values=variables(account, profile=profile, event=event), seed=profile.id)


def time_ours(
    app: App, people: list[tuple[Profile, Event]], wanted: Wanted = HTML_ONLY, threads: int = 1
) -> float:
    source = Source(html=MAIL)
    share = len(people) // threads
    failures: list[Any] = []

    def work(part: list[tuple[Profile, Event]]) -> None:
        outcomes = app.renderer.render_many(source, recipients(app, part), wanted)
        failures.extend(each for each in outcomes if not isinstance(each, Rendered))

    running = [
        threading.Thread(target=work, args=(people[n * share : (n + 1) * share],))
        for n in range(threads)
    ]
    began = time.perf_counter()
    for each in running:
        each.start()
    for each in running:
        each.join()
    took = time.perf_counter() - began
    if failures:
        raise SystemExit(f"{len(failures)} mails failed: {failures[0]}")
    return share * threads / took


def check_same(app: App) -> int:
    """Both write the same; how many bytes that are."""
    render = bare()
    for number in (0, 1, 999):
        ours = next(app.renderer.render_many(Source(html=MAIL), recipients(app, [person(number)])))
        theirs = render(values_of(app, number))
        if not isinstance(ours, Rendered) or ours.html.decode() != theirs:
            raise SystemExit("\n".join(difference(ours, theirs)))
    return len(ours.html)


def difference(ours: Rendered | Failed, theirs: str) -> Iterator[str]:
    if isinstance(ours, Failed):
        yield str(ours)
    else:
        yield from unified_diff(theirs.splitlines(), ours.html.decode().splitlines(), n=0)


def main() -> None:
    asked = options()
    with tempfile.TemporaryDirectory(prefix="feedd-bench-") as folder:
        app = shop(Path(folder))
        try:
            measure(app, asked)
        finally:
            app.close()


def measure(app: App, asked: argparse.Namespace) -> None:
    people = [person(number) for number in range(asked.people)]
    size = check_same(app)
    print(f"{len(MAIL):,} characters of source, {size:,} bytes of HTML, {len(people):,} people\n")
    values = [values_of(app, number) for number in range(asked.people)]
    many = asked.processes
    app.renderer.reload(processes=many)
    few = people[: max(1, len(people) // 10)]
    kinds: dict[str, Callable[[], float]] = {
        "bare Django, one process": lambda: time_bare(values),
        "feedd, one process": lambda: time_ours(app, people),
        f"bare Django, {many} processes": lambda: time_bare_processes(values, many),
        f"feedd, {many} processes": lambda: time_ours(app, people, threads=many),
        "feedd, with plain text": lambda: time_ours(app, few, Wanted(text=True)),
        "feedd, with CSS inlined": lambda: time_ours(app, few, Wanted(inlines=True)),
    }
    best = dict.fromkeys(kinds, 0.0)
    for _ in range(asked.rounds):
        for name, measured in kinds.items():
            best[name] = max(best[name], measured())
    baseline = best["bare Django, one process"]
    print(f"{'':<32}{'mails a second':>16}{'of bare Django':>16}")
    for name, rate in best.items():
        print(f"{name:<32}{rate:>16,.0f}{rate / baseline:>16.0%}")


if __name__ == "__main__":
    main()
