"""The demo's shoppers: made-up visitors of the shop whose pages tell feedd what they do, as a shop's pages would.

They are made by a seeded generator. Each is a browser at first; some say who they are when they order or ask to be told, and what
they did before that is theirs then.
"""

import contextlib
import http.client
import random
import threading
from typing import Any
from urllib.parse import urlencode

import msgspec

from feedd.cli.demo.shop import Product, Shop

ACTS_EVERY_S = 0.5
VISITORS = 12
_CITIES = ("Oslo", "Lyon", "Porto", "Graz", "Turku", "Ghent")


class Visitor(msgspec.Struct):
    """Somebody in a browser. `email` is null until they have said it."""

    number: int
    email: str | None = None
    cart: list[Product] = []

    def person(self) -> dict[str, Any]:
        """Who it is, as the shop's pages know it."""
        found = {"$anonymous": f"browser-{self.number}"}
        return found if self.email is None else found | {"$email": self.email}


class Shoppers:
    """Sends what visitors do to `/api/track` and `/api/identify` of a daemon, with a public key."""

    def __init__(self, shop: Shop, address: str, key: str, seed: int = 1) -> None:
        self._shop = shop
        self._address = address
        self._key = key
        self._random = random.Random(seed)  # noqa: S311 no secret hangs on it
        self._orders = 5000
        self._visitors = [Visitor(number) for number in range(1, VISITORS + 1)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shoppers", daemon=True)

    def start(self) -> None:
        """Have them come in."""
        self._thread.start()

    def stop(self) -> None:
        """Have them go."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        first, *_ = self._visitors
        while not self._stop.wait(ACTS_EVERY_S):
            # until the first one is known, nobody else comes in: there is somebody to be shown soon
            visitor = first if first.email is None else self._random.choice(self._visitors)
            with contextlib.suppress(OSError, http.client.HTTPException):  # the daemon is ending
                self._act(visitor)

    def _act(self, visitor: Visitor) -> None:
        """The next thing that somebody does: mostly look, sometimes buy."""
        product = self._shop.some_product(self._random)
        if visitor.cart and self._random.random() < 0.5:
            self._order(visitor)
        elif not product.stock:
            self._know(visitor)
            self._track(visitor, "Subscribed to Back in Stock", product)
        elif self._random.random() < 0.35:
            visitor.cart = [*visitor.cart, product]
            self._track(visitor, "Added to Cart", product)
        else:
            self._track(visitor, "Viewed Product", product)

    def _order(self, visitor: Visitor) -> None:
        self._know(visitor)
        self._orders += 1
        bought = [product for product in visitor.cart if self._shop.sell(product.number)]
        visitor.cart = []
        if not bought:
            return
        properties = {
            "$event_id": str(self._orders),
            "$value": round(sum(product.price for product in bought), 2),
            "OrderId": str(self._orders),
            "Items": [_item(product) for product in bought],
        }
        self._send("track", {"event": "Placed Order", "properties": properties}, visitor)

    def _know(self, visitor: Visitor) -> None:
        """Somebody says who they are, the first time that it is asked."""
        if visitor.email is None:
            visitor.email = f"shopper{visitor.number}@example.com"
            properties = visitor.person() | {"$city": self._random.choice(_CITIES)}
            self._send("identify", {"properties": properties}, visitor)

    def _track(self, visitor: Visitor, event: str, product: Product) -> None:
        self._send("track", {"event": event, "properties": _item(product)}, visitor)

    def _send(self, call: str, payload: dict[str, Any], visitor: Visitor) -> None:
        who = {"customer_properties": visitor.person()} if call == "track" else {}
        data = msgspec.json.encode({"token": self._key} | who | payload)
        connection = http.client.HTTPConnection(self._address, timeout=5)
        try:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", f"/api/{call}", urlencode({"data": data}), form)
            connection.getresponse().read()
        finally:
            connection.close()


def _item(product: Product) -> dict[str, Any]:
    return {
        "ProductID": f"J-{product.number}",
        "ProductName": product.title,
        "Price": product.price,
        "Categories": [product.category],
    }
