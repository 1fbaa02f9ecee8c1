"""kill -9 while people shop: what was answered with `1` is there once, and what is sent again is not there twice."""

import http.client
import itertools
import json
import random
import signal
import threading
from pathlib import Path

from daemons import Running, running, wait_for, write_config
from sqlalchemy import text

from feedd import intake
from feedd.store.database import open_database

ROUNDS = 2
SHOPPERS = 6


class Shoppers:
    """Clients that buy as fast as they can until nobody answers, and keep a list of what was acknowledged."""

    def __init__(self, daemon: Running, token: str) -> None:
        ready = [line for line in daemon.log() if line["event"] == "daemon.ready"]
        self.address = ready[-1]["listen"]
        self.token = token
        self.sent: set[str] = set()
        self.taken: set[str] = set()
        self.numbers = itertools.count()

    def buy(self, connection: http.client.HTTPConnection, order: str) -> None:
        self.sent.add(order)
        body = {
            "token": self.token, "event": "Placed Order", "customer_properties": {"$id": order[-2:]},
            "properties": {"$event_id": order},
        }  # fmt: skip
        connection.request("POST", "/api/track", json.dumps(body))
        response = connection.getresponse()
        if (response.status, response.read()) == (200, b"1"):
            self.taken.add(order)

    def shop(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=20)
        try:
            while True:
                self.buy(connection, f"order-{next(self.numbers):06}")
        except (OSError, http.client.HTTPException):
            connection.close()

    def until_killed(self, daemon: Running, *, after: int) -> None:
        threads = [threading.Thread(target=self.shop) for _ in range(SHOPPERS)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(self.taken) >= after)
        daemon.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()


def stored(place: intake.Place) -> list[str]:
    people = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    with people.connect() as connection:
        rows = connection.execute(text("SELECT properties FROM events")).scalars().all()
    people.close()
    return [json.loads(row)["$event_id"] for row in rows]


def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_there_twice(
    place: intake.Place, tmp_path: Path
) -> None:
    folder = tmp_path / "daemon"
    folder.mkdir()
    more = {"database": place.url} if place.url else {}
    config = write_config(
        folder,
        {},
        listen="127.0.0.1:0",
        state_dir=place.state_dir,
        socket=str(folder / "s"),
        **more,
    )
    sent: set[str] = set()
    with running(config) as daemon:
        daemon.socket = folder / "s"
        attributes = {"kind": "public", "name": "pages"}
        made = daemon.request("POST", "/api/api-keys", {"data": {"attributes": attributes}})[1]
        for _ in range(ROUNDS):
            shoppers = Shoppers(daemon, made["data"]["attributes"]["key"])
            shoppers.numbers = itertools.count(len(sent))
            shoppers.until_killed(daemon, after=random.randint(1, 100))
            sent |= shoppers.sent
            found = stored(place)
            assert len(found) == len(set(found))
            assert shoppers.taken <= set(found) <= sent
            daemon.start()
        again = Shoppers(daemon, made["data"]["attributes"]["key"])
        connection = http.client.HTTPConnection(again.address, timeout=20)
        for order in sent:
            again.buy(connection, order)
        connection.close()
        assert again.taken == sent
        assert sorted(stored(place)) == sorted(sent)
