"""The demo's shop: some hundred products that change all the time, served as two feeds over HTTP on loopback.

Everything is made by a seeded generator, so two demos show the same shop.
"""

import hashlib
import http.server
import json
import random
import re
import sys
import threading
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import msgspec
from msgspec import Struct

PRODUCTS = 150
TICK_S = 3.0
_SHARE_WHEN_BROKEN = 5  # a broken feed serves one product in so many

_KINDS = (
    ("Mug", "Kitchen > Mugs", 9),
    ("Teapot", "Kitchen > Teapots", 32),
    ("Bowl", "Kitchen > Bowls", 14),
    ("Vase", "Living > Vases", 27),
    ("Lamp", "Living > Lamps", 59),
    ("Cushion", "Living > Cushions", 21),
)
_FILLS = {
    "white": "#ffffff",
    "sand": "#d8c3a0",
    "rust": "#a8502f",
    "sage": "#9caf88",
    "navy": "#1f3352",
    "black": "#222222",
    "ochre": "#c98a2b",
    "rose": "#d9a0a0",
}
_COLOURS = tuple(_FILLS)
_PICTURE = re.compile(r"/img/(\d{1,9})\.jpg")
_STYLES = ("Plain", "Ribbed", "Speckled", "Tall", "Small")


class Product(Struct):
    """One product of the shop."""

    number: int
    title: str
    category: str
    colour: str
    price: float
    stock: int


class Shop:
    """The products, and how they change; safe to use from several threads."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 no secret hangs on it
        self._lock = threading.Lock()
        self._next = 1001
        self._products: list[Product] = []
        self.broken = False
        for _ in range(PRODUCTS):
            self._add()

    def change(self) -> None:
        """Some prices and stocks move; now and then a product goes and another comes."""
        with self._lock:
            for product in self._random.sample(self._products, 3):
                product.price = round(
                    product.price * self._random.choice((0.9, 0.95, 1.05, 1.1)), 2
                )
            for product in self._random.sample(self._products, 2):
                product.stock = max(0, product.stock + self._random.choice((-7, -2, -1, 4)))
            if self._random.random() < 0.35:
                self._products.remove(self._random.choice(self._products))
                self._add()

    def some_product(self, by: random.Random) -> Product:
        """One of the products, some more often than others."""
        with self._lock:
            most = len(self._products) - 1
            return msgspec.structs.replace(self._products[min(int(by.expovariate(0.03)), most)])

    def sell(self, number: int) -> bool:
        """Take one of a product away; whether there was one."""
        with self._lock:
            found = next((p for p in self._products if p.number == number and p.stock), None)
            if found is not None:
                found.stock -= 1
            return found is not None

    def _add(self) -> None:
        kind, category, price = self._random.choice(_KINDS)
        colour = self._random.choice(_COLOURS)
        self._products.append(
            Product(
                self._next,
                f"{self._random.choice(_STYLES)} {kind.lower()}, {colour}",
                category,
                colour,
                round(price * self._random.uniform(0.8, 1.6), 2),
                self._random.randrange(0, 30),
            )
        )
        self._next += 1

    def picture(self, number: int) -> bytes:
        """A product as a drawing: a square of its colour."""
        with self._lock:
            colour = next((p.colour for p in self._products if p.number == number), "white")
        fill = _FILLS[colour]
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 24"><rect width="40" height="24" fill="#e9e4da"/>'
            f'<rect x="12" y="4" width="16" height="16" rx="3" fill="{fill}"/></svg>'
        ).encode()

    def _shown(self) -> list[Product]:
        with self._lock:
            step = _SHARE_WHEN_BROKEN if self.broken else 1
            return [msgspec.structs.replace(product) for product in self._products[::step]]

    def as_json(self, address: str) -> bytes:
        """The products as a shop's API gives them."""
        products = [
            {
                "id": f"J-{p.number}",
                "title": p.title,
                "link": f"{address}/p/{p.number}",
                "image_link": f"{address}/img/{p.number}.jpg",
                "price": f"{p.price:.2f} EUR",
                "availability": "in stock" if p.stock else "out of stock",
                "inventory_quantity": p.stock,
                "categories": [p.category],
                "color": p.colour,
            }
            for p in self._shown()
        ]
        return json.dumps({"products": products}, indent=1).encode()

    def as_google_xml(self, address: str) -> bytes:
        """The products as a Google Merchant feed, with one that has no title, as real feeds do."""
        items = [_google_item(p, address) for p in self._shown()]
        items.append("<item><g:id>X-1</g:id><g:price>5.00 EUR</g:price></item>")
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
            f"<title>Demo shop</title><link>{address}</link>\n"
            + "\n".join(items)
            + "\n</channel></rss>\n"
        ).encode()


def _google_item(p: Product, address: str) -> str:
    stock = "in_stock" if p.stock else "out_of_stock"
    return (
        f"<item><g:id>G-{p.number}</g:id><g:title>{escape(p.title)}</g:title>"
        f"<g:link>{address}/p/{p.number}</g:link><g:image_link>{address}/img/{p.number}.jpg</g:image_link>"
        f"<g:price>{p.price:.2f} EUR</g:price><g:availability>{stock}</g:availability>"
        f"<g:product_type>{escape(p.category)}</g:product_type><g:color>{p.colour}</g:color>"
        f"<g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping></item>"
    )


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but not that a browser has gone before its answer came."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ShopServer:
    """Serves a shop on a free port of loopback, with ETags; POST /break and /mend show what a broken feed does.

    Its front page is what `front_page` gives, once there is such a thing.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.front_page: Callable[[], str] | None = None
        self._stop = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(shop, self))
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True),
            threading.Thread(target=self._change, daemon=True),
        ]

    def start(self) -> None:
        """Open the shop."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close it."""
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def _change(self) -> None:
        while not self._stop.wait(TICK_S):
            self._shop.change()


def _handler(shop: Shop, server: ShopServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: Any) -> None:
            return

        def do_GET(self) -> None:
            address = f"http://{self.headers.get('Host', '127.0.0.1')}"
            if self.path == "/products.json":
                self._answer(shop.as_json(address), "application/json")
            elif self.path == "/google.xml":
                self._answer(shop.as_google_xml(address), "application/xml")
            elif self.path == "/" and server.front_page is not None:
                self._show(server.front_page())
            elif (picture := _PICTURE.fullmatch(self.path)) is not None:
                self._answer(shop.picture(int(picture[1])), "image/svg+xml")
            else:
                self._send(404, b"no such page in the demo shop\n", {})

        def do_POST(self) -> None:
            if self.path not in ("/break", "/mend"):
                self._send(404, b"POST /break or /mend\n", {})
                return
            shop.broken = self.path == "/break"
            state = "most products are missing from its feeds" if shop.broken else "whole again"
            self._send(
                200,
                f"the shop is {self.path[1:]}ed: {state}\n".replace("breaked", "broken").encode(),
                {},
            )

        def _show(self, page: str) -> None:
            policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
            headers = {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": policy,
                "Cache-Control": "no-store",
            }
            self._send(200, page.encode(), headers)

        def _answer(self, body: bytes, kind: str) -> None:
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == etag:
                self._send(304, b"", {"ETag": etag})
            else:
                self._send(200, body, {"ETag": etag, "Content-Type": kind})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
