"""kill -9 in the middle of a sync: the catalog is exactly the old one or the new one, and the next sync goes on."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feeds import item, live, stream, take_in
from forked import Script, forker

from feedd import intake
from feedd.store.database import Database
from feedd.store.feeds import break_leases

ITEMS = 3_000
KILLS = 8
CHILD = """
import json, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from forked import Script, forker
from feeds import take_in
from feedd import ingest, intake
place = intake.Place(state_dir={state!r}, url={url!r})
catalog = place.open_catalog()
print("ready", flush=True)
sys.stdin.readline()
take_in(catalog, Path({folder!r}), Path({body!r}).read_bytes())
print("done", flush=True)
"""


def version(number: int) -> list[Any]:
    """Bodies whose every second item differs from the version before, some of them gone and some new."""
    return [
        item(str(n), price=number if n % 2 else 0, title="Mug " + "x" * 200)
        for n in range(number * 50, ITEMS + number * 50)
    ]


def start(place: intake.Place, folder: Path, body: Path) -> Script:
    script = CHILD.format(
        tests=str(Path(__file__).parent),
        state=place.state_dir,
        url=place.url,
        folder=str(folder),
        body=str(body),
    )
    child = forker().script(script, SQLITE_TMPDIR=str(folder))
    assert child.stdout.readline() == "ready\n"
    return child


def expected(number: int) -> dict[str, Any]:
    return {record["id"]: record for record in version(number)}


def check_stream(catalog: Database) -> None:
    numbers = [seq for seq, *_ in stream_all(catalog)]
    assert numbers == list(range(1, len(numbers) + 1))


def stream_all(catalog: Database) -> list[Any]:
    found: list[Any] = []
    while page := stream(catalog, since=len(found)):
        found += page
    return found


def test_kill_9_leaves_the_old_catalog_or_the_new_one(place: intake.Place, tmp_path: Path) -> None:
    catalog = place.open_catalog()
    take_in(catalog, tmp_path, version(0))
    body = tmp_path / "next.json"
    body.write_text(json.dumps(version(1)))

    child = start(place, tmp_path, body)
    began = time.monotonic()
    assert child.communicate("\n") == "done\n"
    whole_s = time.monotonic() - began

    current, interrupted = 1, 0
    for kill in range(KILLS):
        body.write_text(json.dumps(version(current + 1)))
        changes = len(stream_all(catalog))
        child = start(place, tmp_path, body)
        child.stdin.write("\n")
        time.sleep(whole_s * (kill + 0.5) / KILLS)
        child.kill()
        finished = "done" in child.communicate()
        items = live(catalog)
        if items == expected(current + 1):
            current += 1
        else:
            assert not finished
            assert items == expected(current)
            assert len(stream_all(catalog)) == changes
            interrupted += 1
        check_stream(catalog)
        break_leases(catalog, "test", datetime.now(UTC))
    assert interrupted, "no kill came before the end of its sync"
    record = take_in(catalog, tmp_path, version(current + 1))
    assert record.status == "applied"
    assert live(catalog) == expected(current + 1)
    check_stream(catalog)
    if catalog.sqlite:
        with catalog.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    catalog.close()
    assert not list(Path(place.state_dir).glob("*journal"))
