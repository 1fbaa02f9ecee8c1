"""Asks a running daemon at a steady rate, in a process of its own: one item, one page of changes, and so on in turn.

    python asking.py PORT KEY RATE OTHER_ITEMS     (until its input ends; then prints what it saw)

Requests are sent when they are due, whether or not earlier ones have been answered, and timed from when they were due: a
daemon that stalls for a second is asked fifty times in that second, and each of the fifty waits.
"""

import http.client
import json
import queue
import random
import sys
import threading
import time
from urllib.parse import quote

SENDERS = 16
KINDS = ("GET one item", "GET a page of changes")
Seen = tuple[
    float, str, float, bool
]  # when it was due, which kind, seconds to the answer, whether it was right


class Asker:
    def __init__(self, port: int, key: str, items: int) -> None:
        self.port = port
        self.headers = {"Authorization": f"Klaviyo-API-Key {key}"}
        self.items = items
        self.seen: list[Seen] = []
        self.due: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
        only = quote('equals(feed,"other")')
        connection = self.connect()
        listed = self.get(connection, f"/api/catalog-items?filter={only}&page[size]=1000")
        self.ids = [each["id"] for each in json.loads(listed)["data"]]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        connection.request("GET", path, headers=self.headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status} for {path}")
        return body

    def path(self, kind: str) -> str:
        if kind == KINDS[0]:
            return f"/api/catalog-items/{quote(random.choice(self.ids), safe='')}"
        terms = f'equals(feed,"other"),greater-than(seq,{random.randrange(self.items)})'
        return f"/api/catalog-changes?filter={quote(terms)}"

    def send(self) -> None:
        """Send what is due, on one connection that is kept."""
        connection = self.connect()
        while (task := self.due.get()) is not None:
            at, kind = task
            right = True
            try:
                self.get(connection, self.path(kind))
            except (OSError, http.client.HTTPException):
                connection.close()
                right = False
            self.seen.append((at, kind, time.monotonic() - at, right))
        connection.close()

    def run(self, rate: float, ended: threading.Event) -> None:
        senders = [threading.Thread(target=self.send) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        at = time.monotonic()
        number = 0
        while not ended.wait(max(0.0, at - time.monotonic())):
            self.due.put((at, KINDS[number % len(KINDS)]))
            number += 1
            at += 1 / rate
        for _ in senders:
            self.due.put(None)
        for sender in senders:
            sender.join()


def main() -> None:
    port, key, rate, items = sys.argv[1:]
    asker = Asker(int(port), key, int(items))
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    asker.run(float(rate), ended)
    print(json.dumps(asker.seen))


if __name__ == "__main__":
    main()
