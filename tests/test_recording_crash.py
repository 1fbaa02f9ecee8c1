"""kill -9 while events come: whatever was answered is there, once; and what is sent again adds nothing."""

import contextlib
import http.client
import itertools
import json
import random
import signal
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

from daemons import Running, running, write_config

from feedd import intake
from feedd.store.database import open_database

KILLS = 4
CLIENTS = 8


class Client(threading.Thread):
    """Sends events one after the other, each with an id of its own, and keeps its own record of the answers."""

    def __init__(self, name: str, port: int, token: str, first: int) -> None:
        super().__init__()
        self.label = name
        self.port = port
        self.token = token
        self.numbers = itertools.count(first)
        self.answered: list[str] = []
        self.sent: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(connection),
        ):
            while True:
                event_id = f"{self.label}-{next(self.numbers)}"
                self.sent.append(event_id)
                if send(connection, self.token, event_id) == (200, b"1"):
                    self.answered.append(event_id)


def send(connection: http.client.HTTPConnection, token: str, event_id: str) -> tuple[int, bytes]:
    who = {"$email": f"{event_id[-2:].strip('-')}@example.com", "seen": event_id}
    payload = {
        "token": token,
        "event": "Viewed Product",
        "customer_properties": who,
        "properties": {"$event_id": event_id, "filler": "x" * 300},
    }
    body = urlencode({"data": json.dumps(payload)})
    connection.request(
        "POST", "/api/track", body, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    response = connection.getresponse()
    return response.status, response.read()


def port_of(daemon: Running) -> int:
    ready = [line for line in daemon.log() if line["event"] == "daemon.ready"]
    return int(ready[-1]["listen"].rpartition(":")[2])


def stored(place: intake.Place) -> list[str]:
    database = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT properties FROM events").scalars().all()
        orphans = connection.exec_driver_sql(
            "SELECT count(*) FROM events e LEFT JOIN profiles p ON p.id = e.profile_id WHERE p.id IS NULL"
        ).scalar_one()
        keys = connection.exec_driver_sql("SELECT count(*) FROM event_keys").scalar_one()
    database.close()
    assert orphans == 0
    assert keys == len(rows)
    return [json.loads(row)["$event_id"] for row in rows]


def test_what_was_answered_survives_kill_9(place: intake.Place, tmp_path: Path) -> None:
    main = {"listen": "127.0.0.1:0"} | ({"database": place.url} if place.url else {})
    config = write_config(tmp_path, {}, **main)
    answered: list[str] = []
    sent: list[str] = []
    chance = random.Random(1)
    with running(config) as daemon:
        made = {"kind": "public", "name": "pages"}
        body = {"data": {"type": "api-key", "attributes": made}}
        status, document = daemon.request("POST", "/api/api-keys", body)
        assert status == 201, document
        token = document["data"]["attributes"]["key"]
        for turn in range(KILLS):
            port = port_of(daemon)
            clients = [Client(f"c{turn}-{n}", port, token, 100) for n in range(CLIENTS)]
            for each in clients:
                each.start()
            time.sleep(chance.uniform(0.15, 0.6))
            daemon.send(signal.SIGKILL)
            for each in clients:
                each.join(20)
                answered += each.answered
                sent += each.sent
            daemon.process.wait(10)
            there = stored(place)
            assert len(there) == len(set(there))
            assert set(answered) <= set(there) <= set(sent)
            daemon.start()
        assert len(answered) > KILLS * CLIENTS
        connection = http.client.HTTPConnection("127.0.0.1", port_of(daemon), timeout=10)
        for event_id in sent[-200:]:
            assert send(connection, token, event_id) == (200, b"1")
        connection.close()
        assert daemon.stop() == 0
    there = stored(place)
    assert len(there) == len(set(there))
    assert set(sent[-200:]) <= set(there)
