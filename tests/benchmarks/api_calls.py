"""How many calls of the current API are answered a second, and how long each takes, beside an answer that says nothing.

    python tests/benchmarks/api_calls.py [--postgres] [--seconds 8] [--people 20000]

Calls come from wrk (https://github.com/wg/wrk, `apt-get install wrk`) over TCP. The baseline, in the same run, is `/healthz`: what the HTTP
server and the framework cost before anything is done. Jobs are timed from their first call until the last is complete.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from databases import Databases, postgres
from recording import PROPERTIES, daemon, feedd

HERE = Path(__file__).parent
ROWS_AT_ONCE = 1_000
MARK = "000000000000"  # stands for a number of its own in each request


class Call(NamedTuple):
    name: str
    method: str
    path: str
    body: Any = None
    connections: int = 16


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--postgres", action="store_true", help="on PostgreSQL as well")
    add("--seconds", type=int, default=8, help="of each kind of call (8)")
    add("--people", type=int, default=20_000, help="who are there, each with one event (20000)")
    return parser.parse_args()


class Client:
    """Sends what is needed beside the calls that are timed."""

    def __init__(self, port: int, key: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.key = key

    def send(self, method: str, path: str, body: Any = None) -> tuple[Any, str]:
        """The document of the answer, and its Location."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Klaviyo-API-Key {self.key}"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text or b"null"), answer.headers.get("Location", "")

    def wait_for(self, location: str) -> None:
        path = location.removeprefix(self.url)
        while True:
            found, _ = self.send("GET", path)
            told = found["data"]["attributes"]
            if told["status"] == "complete":
                if told["failed_count"]:
                    raise SystemExit(f"{told['failed_count']} rows of a job failed")
                return
            time.sleep(0.05)


def person(number: int | str) -> dict[str, Any]:
    attributes = {
        "email": f"u{number}@example.com",
        "first_name": "Jane",
        "location": {"city": "Oslo"},
    }
    return {"type": "profile", "attributes": attributes}


def event(number: int | str, at: str | None = None) -> dict[str, Any]:
    metric = {"data": {"type": "metric", "attributes": {"name": "Viewed Product"}}}
    attributes = {"properties": PROPERTIES, "metric": metric, "unique_id": f"e{number}", "time": at}
    return {"type": "event", "attributes": attributes}


def fill(client: Client, people: int) -> None:
    """People and events by jobs; says how quickly."""
    for name, path, rows in (
        ("profiles in bulk, as jobs", "/api/profile-bulk-import-jobs", profiles_of),
        ("events in bulk, as jobs", "/api/event-bulk-create-jobs", events_of),
    ):
        began, location = time.perf_counter(), ""
        for first in range(0, people, ROWS_AT_ONCE):
            _, location = client.send("POST", path, rows(first))
        client.wait_for(location)  # they are done in their order
        print(f"  {name:<34} {people / (time.perf_counter() - began):8,.0f} rows/s", flush=True)


def profiles_of(first: int) -> dict[str, Any]:
    rows = [person(n) for n in range(first, first + ROWS_AT_ONCE)]
    attributes = {"profiles": {"data": rows}}
    return {"data": {"type": "profile-bulk-import-job", "attributes": attributes}}


def events_of(first: int) -> dict[str, Any]:
    entries = []
    for number in range(first, first + ROWS_AT_ONCE):
        parts = {"profile": {"data": person(number)}, "events": {"data": [event(number)]}}
        entries.append({"type": "event-bulk-create", "attributes": parts})
    attributes = {"events-bulk-create": {"data": entries}}
    return {"data": {"type": "event-bulk-create-job", "attributes": attributes}}


def calls(profile_id: str) -> list[Call]:
    one = event(MARK, "2026-01-01T00:00:00Z")
    one["attributes"]["profile"] = {"data": person(7)}
    return [
        Call("nothing (/healthz)", "GET", "/healthz"),
        Call("one profile", "GET", f"/api/profiles/{profile_id}"),
        Call("a profile by its email", "GET", '/api/profiles?filter=equals(email,"u7@example.com")'),
        Call("100 profiles", "GET", "/api/profiles?page[size]=100", connections=4),
        Call("200 events", "GET", "/api/events", connections=4),
        Call("50 events with whom", "GET", "/api/events?page[size]=50&include=profile,metric", connections=4),
        Call("an event is recorded", "POST", "/api/events", {"data": one}, 64),
        Call("a profile is changed", "POST", "/api/profile-import", {"data": person(7)}, 64),
        Call("a profile is made", "POST", "/api/profile-import", {"data": person(MARK)}, 64),
    ]  # fmt: skip


def shoot(folder: Path, client: Client, call: Call, seconds: int) -> list[float]:
    """[answers, seconds, p50, p99 in ms, errors] of wrk."""
    body = "" if call.body is None else json.dumps(call.body)
    path = urllib.parse.quote(call.path, safe="/?=&,:%")
    shot = folder / "call.shot"
    shot.write_text(f"{call.method}\n{path}\n{client.key}\n{body}\n")
    command = ["wrk", "-t1", f"-c{call.connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(HERE / "api_calls.lua"), client.url]
    environ = os.environ | {"FEEDD_SHOT": str(shot), "FEEDD_MARK": MARK}
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    line = next((each for each in told.stdout.splitlines() if each.startswith("RESULT")), None)
    if line is None:
        raise SystemExit(f"wrk failed: {told.stdout}{told.stderr}")
    answers, micros, *rest = (float(each) for each in line.split()[1:])
    return [answers, micros / 1e6, *rest]


def run(kind: Databases, asked: argparse.Namespace, work: Path) -> None:
    print(kind.name, flush=True)
    with daemon(work / "api", kind.fresh(), None) as (running_one, port):
        made = feedd(running_one.config, "key", "create", "--private", "--name", "b", "--json")
        client = Client(port, json.loads(made)["key"])
        fill(client, asked.people)
        found, _ = client.send("GET", "/api/profiles?page%5Bsize%5D=1")
        base = 0.0
        for call in calls(found["data"][0]["id"]):
            shoot(work, client, call, 1)  # its start is no part of it
            answers, seconds, p50, p99, errors = shoot(work, client, call, asked.seconds)
            rate = answers / seconds
            base = base or rate
            print(
                f"  {call.name:<34} {rate:8,.0f} calls/s  {rate / base:5.2f} of nothing  "
                f"p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  ({call.connections} at a time)  errors {errors:.0f}",
                flush=True,
            )


def main() -> None:
    asked = options()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: https://github.com/wg/wrk")
    with tempfile.TemporaryDirectory(prefix="feedd-bench-") as name:
        work = Path(name)
        run(Databases(), asked, work)
        if asked.postgres:
            with postgres(work) as server:
                run(server, asked, work)


if __name__ == "__main__":
    main()
