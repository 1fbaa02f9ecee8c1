"""The demo on the terminal: what to type in a second one, then syncs, changes and what shoppers do, as they come."""

import os
import shlex
import signal
import sys
import tempfile
import threading
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path

from feedd import daemon, logs
from feedd.cli.changes import show_change
from feedd.cli.demo.shop import PRODUCTS, TICK_S, Shop, ShopServer
from feedd.cli.demo.shoppers import VISITORS, Shoppers
from feedd.cli.options import Options
from feedd.cli.show import plain, say, text
from feedd.cli.wording import counts_text, error_text, held_text
from feedd.errors import FeeddError, NotFound
from feedd.model import Counts, SyncRecord
from feedd.people.operations import FollowEvents
from feedd.people.values import Event, Source
from feedd.previews import Preview, Previews

LOOK_EVERY_S = 0.2
MOST_CHANGES = 6
EVERY_S = 3
TEMPLATE = "what-changed"
# what is not shown of people: there is too much of it
QUIET = ("Viewed Product",)

_CONFIG = """\
# The demo's configuration: two feeds of one small shop.
state_dir = "state"
listen = "127.0.0.1:0"
log_level = "warning"

[account]
organization = "The demo shop"
website = "{address}"
currency = "EUR"

[templates]
directory = "templates"

[feeds.shop]
url = "{address}/products.json"
every = "{every}s"
allow_private = ["127.0.0.0/8"]

[feeds.google]
url = "{address}/google.xml"
schema = "google-product"
catalog = "google"
every = "{every}s"
allow_private = ["127.0.0.0/8"]
"""


def run_demo(seconds: float | None = None) -> int:
    """Run until Ctrl-C, or for some seconds; leaves nothing behind. Gives the exit code."""
    logs.configure(sys.stderr, "warning")
    with tempfile.TemporaryDirectory(prefix="feedd-demo-") as folder:
        shop = Shop()
        server = ShopServer(shop)
        server.start()
        config = Path(folder) / "feedd.toml"
        template = Path(folder) / "templates" / f"{TEMPLATE}.html"
        template.parent.mkdir()
        template.write_text(files(__package__).joinpath(template.name).read_text("utf-8"), "utf-8")
        # without another file, a directory whose template is deleted looks as if its disk were gone
        (template.parent / "README").write_text(
            "The templates of the demo, to be edited.\n", "utf-8"
        )
        config.write_text(_CONFIG.format(address=server.address, every=EVERY_S))
        started: list[Watch | Shoppers] = []

        def on_ready(running: daemon.Daemon) -> None:
            address = running.http.address() or ""
            _introduce(config, server.address, address, template)
            server.front_page = partial(_front_page, running.app.previews, template)
            key, _ = running.app.create_key(kind="public", name="pages of the shop")
            started.extend((Watch(running), Shoppers(shop, address, key.prefix)))
            for each in started:
                each.start()

        def stop_watching() -> None:
            for each in reversed(started):
                each.stop()

        timer = threading.Timer(seconds or 0, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            code = daemon.run(
                Options(config, Path(folder) / "state").checked_settings,
                on_ready=on_ready,
                on_stopping=stop_watching,
            )
        finally:
            timer.cancel()
            server.stop()
    say(
        "\nThe demo has ended; what it stored is deleted. Your own feeds: see README.md, Your first feed."
    )
    return code


def _front_page(previews: Previews, template: Path) -> str:
    """The page of what just changed, as the template in the directory makes it of the catalog of now; else why there is none, for now."""
    context = {"template_file": str(template)}
    try:
        found = previews.render(Preview(template=TEMPLATE, context=context, wants_text=False))
    except NotFound:
        return _no_page(template, "is not there any more", "Write it again, and this page is back.")
    except FeeddError as error:
        return _no_page(template, str(error))
    if found.html is not None:
        return found.html
    failure = found.failure
    if failure is None:
        return _no_page(template)
    place = "" if failure.line is None else f"line {failure.line}, column {failure.column}: "
    return _no_page(template, f"{place}{failure.message}", failure.hint or "")


def _no_page(template: Path, *why: str) -> str:
    """A page that says why there is no other, and looks again by itself."""
    told = escape("\n".join([str(template), *why]))
    return f'<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="3"><pre>{told}</pre>'


def _introduce(config: Path, shop: str, listen: str, template: Path) -> None:
    typed = sys.argv[0]
    is_program = Path(typed).name == "feedd"
    feedd = shlex.quote(typed) if is_program else f"{shlex.quote(sys.executable)} -m feedd"
    lines = (
        (f"{feedd} feeds", "how the feeds are doing"),
        (f"{feedd} resync shop", f"now, not in {EVERY_S} seconds"),
        (f"{feedd} changes shop --follow", "what changes, as it changes"),
        (f"{feedd} item J-1001", "one item"),
        (f"{feedd} rejects", "what could not be used, and why"),
        (f"{feedd} profile show shopper1@example.com", "one shopper, and what they did"),
        (f"{feedd} metrics timeline --follow", "what shoppers do"),
        (
            f"{feedd} render {TEMPLATE} --profile shopper1@example.com --text",
            "a mail of what just changed",
        ),
        (f"{feedd} metrics chart 'Added to Cart' --by hour --last 2h", "how much of it"),
        (f"curl -X POST {shop}/break", "the feeds lose most products: nothing is deleted"),
        (f"curl -X POST {shop}/mend", "and they are whole again"),
    )
    width = max(len(command) for command, _ in lines)
    say(f"A small shop of {PRODUCTS} products changes every {TICK_S:g} s. feedd takes in its two")
    say("feeds, JSON and Google Merchant XML, and says what changed. Its pages tell feedd what")
    say(
        f"{VISITORS} visitors do, and feedd tells those who looked of lower prices. Ctrl-C ends it."
    )
    say("")
    say("In a second terminal, in this directory:")
    say("")
    say(f"    export FEEDD_CONFIG={shlex.quote(str(config))}")
    for command, meaning in lines:
        say(f"    {command:<{width}}", text(f"  # {meaning}", style="dim"))
    say("")
    say(f"What just changed, as a page that a template makes: {shop}/")
    say(f"The template, to be edited while you watch: {template}")
    say(f"The HTTP API is described at http://{listen}/docs")
    say("")


class Watch:
    """Shows each sync and its changes once it has ended."""

    def __init__(self, running: daemon.Daemon) -> None:
        self._app = running.app
        self._seen = 0  # the number of the last event
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._shown_sync = 0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            for record in reversed(self._app.syncs(limit=50)):
                if record.id <= self._shown_sync:
                    continue
                if record.finished_at is None:
                    break  # those after it are shown when it has ended: in order
                self._show(record)
                self._shown_sync = record.id
            self._show_people()

    def _show_people(self) -> None:
        page = self._app.persons.answer(FollowEvents(behind=self._seen))
        self._seen = page.number
        for event in page.events:
            if event.metric not in QUIET:
                _show_event(event, page.people.get(event.profile))

    def _show(self, record: SyncRecord) -> None:
        counts = record.counts or Counts()
        took = f"{(record.duration_s or 0) * 1000:,.0f} ms"
        told = plain(error_text(record.error)) if record.error else counts_text(counts)
        say(text(f"{record.feed:<8}"), text(f"{record.status:<10}"), f"{took:>8}  {told}")
        if counts.held_removals:
            say(f"         {held_text(record.feed, counts.held_removals)}")
        changes = counts.added + counts.updated + counts.removed + counts.restored
        for change in self._app.changes(sync=record.id, limit=MOST_CHANGES):
            show_change(change, as_json=False)
        if changes > MOST_CHANGES:
            say(text(f"         … and {changes - MOST_CHANGES:,} more", style="dim"))


def _show_event(event: Event, person: str | None) -> None:
    value = "" if event.value is None else f"{event.value:,.2f}  "
    items = event.properties.get("Items") or [event.properties]
    names = " + ".join(str(item.get("ProductName", "")) for item in items if isinstance(item, dict))
    kind = "feedd" if event.source is Source.FEEDD else "people"
    say(
        text(f"{kind:<8}", style="magenta"),
        text(f"{event.metric:<28}"),
        f"{plain(person or 'somebody'):<23} {value}{plain(names)}".rstrip(),
    )
