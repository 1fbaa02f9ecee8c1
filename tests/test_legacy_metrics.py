"""v1 metrics: pages of them, timelines that skip and repeat nothing, and exports that count what is there."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from conftest import KINDS
from legacy import Old, old_feedd

from feedd.api.legacy.export import _month_before, _span
from feedd.store import events

DAY = 86_400
MARCH = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module", params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    with old_feedd(request, request.param, tmp_path_factory.mktemp("legacy")) as made:
        yield made


_numbers = iter(range(1_000_000))


@pytest.fixture
def name() -> str:
    """A metric of which there is nothing."""
    return f"Metric {next(_numbers)}"


# the list


def pages(old: Old, path: str, **query: Any) -> list[Any]:
    """All elements of a list, read as Singer's tap-klaviyo reads lists."""
    found, page = [], 0
    while True:
        answer = old.get(path, page=page, **query).json
        found += answer["data"]
        assert answer["start"] == page * answer["page_size"]
        assert answer["end"] - answer["start"] + 1 == len(answer["data"])
        if not answer["end"] < answer["total"] - 1:
            assert len(found) == answer["total"]
            return found
        page += 1


def test_metrics_are_told_a_page_at_a_time(old: Old, name: str) -> None:
    for n in range(5):
        old.record(f"{name} of {n}", MARCH)
    first = old.get("/v1/metrics").json
    assert {name: first[name] for name in first if name != "data"} == {
        "object": "$list",
        "start": 0,
        "end": first["total"] - 1,
        "page": 0,
        "page_size": 50,
        "total": len(first["data"]),
    }
    whole = pages(old, "/v1/metrics")
    for count in (1, 2, 4, 5, 100):
        assert pages(old, "/v1/metrics", count=count) == whole
    last = whole[-1]
    moment = last.pop("created")
    datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert last.pop("updated") == moment
    integration = last.pop("integration")
    assert len(integration.pop("id")) == 6
    assert integration == {"object": "integration", "name": "API", "category": "API"}
    assert last == {"object": "metric", "id": old.metric(f"{name} of 4"), "name": f"{name} of 4"}
    beyond = old.get("/v1/metrics", page=10**6).json
    assert (beyond["data"], beyond["total"]) == ([], first["total"])


@pytest.mark.parametrize(
    "query",
    [{"count": 0}, {"count": 101}, {"count": "many"}, {"count": -1}, {"count": 1.5}, {"page": -1}, {"page": "x"}, {"page": 10**30}, {"count": "²"}],
)  # fmt: skip
def test_pages_that_cannot_be_are_400(old: Old, query: dict[str, Any]) -> None:
    answer = old.get("/v1/metrics", **query)
    assert answer.status == 400
    assert next(iter(query)) in answer.json["message"]


# timelines


def follow(old: Old, path: str, **query: Any) -> list[Any]:
    """A timeline to its end, read as clients do: `next` becomes `since`."""
    found = []
    while True:
        answer = old.get(path, **query).json
        assert answer["count"] == len(answer["data"])
        found += answer["data"]
        if answer["next"] is None:
            return found
        query["since"] = answer["next"]


def test_an_event_is_shown_with_its_person(old: Old, name: str) -> None:
    person = old.person("jane.doe@example.com", **{"$city": "Oslo"})
    number = old.record(name, MARCH, value=29.9, Title="Mug", nested={"a": [1.10]})
    metric = old.metric(name)
    (event,) = old.get(f"/v1/metric/{metric}/timeline").json["data"]
    uuid = events.uuid_of(events.Position(MARCH, number))
    assert event == {
        "object": "event",
        "id": uuid,
        "uuid": uuid,
        "statistic_id": metric,
        "event_name": name,
        "timestamp": MARCH,
        "datetime": "2026-03-01 00:00:00+00:00",
        "event_properties": {"$event_id": str(MARCH), "$value": 29.9, "Title": "Mug", "nested": {"a": [1.1]}},
        "person": old.get(f"/v1/person/{person}").json,
    }  # fmt: skip
    assert event["person"]["$city"] == "Oslo"
    old.record(name, MARCH + 1, unique_id="order-7", **{"$event_id": "order-7", "$value": "3"})
    said = old.get(f"/v1/metric/{metric}/timeline").json["data"][0]["event_properties"]
    assert said == {"$event_id": "order-7", "$value": "3"}


def test_a_key_that_may_not_read_people_is_not_told_who_it_was(old: Old, name: str) -> None:
    old.record(name, MARCH)
    key = old.key_for("events:read")
    (event,) = old.get(f"/v1/metric/{old.metric(name)}/timeline", api_key=key).json["data"]
    assert set(event["person"]) == {"object", "id"}


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("count", [1, 3, 100])
def test_a_timeline_has_every_event_once_in_order(
    old: Old, name: str, sort: str, count: int
) -> None:
    for n in range(20):  # five a second, of as many people
        old.record(name, MARCH + n // 5, f"{n}@example.com")
    old.record(f"{name}, another", MARCH, "1@example.com")
    metric = old.metric(name)
    since = MARCH if sort == "asc" else MARCH + 3
    found = follow(old, f"/v1/metric/{metric}/timeline", since=since, sort=sort, count=count)
    keys = [(each["timestamp"], each["person"]["$email"]) for each in found]
    wanted = [(MARCH + n // 5, f"{n}@example.com") for n in range(20)]
    assert keys == (wanted if sort == "asc" else wanted[::-1])


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_nothing_is_skipped_or_repeated_while_others_are_recorded(
    old: Old, name: str, sort: str
) -> None:
    """Events come in between pages, before, at and behind the place where the reader is."""
    rng = random.Random(sort)
    first = [old.record(name, MARCH + rng.randrange(4), f"{n}@example.com") for n in range(12)]
    path = f"/v1/metric/{old.metric(name)}/timeline"
    seen: list[tuple[int, str]] = []
    query: dict[str, Any] = {"since": MARCH if sort == "asc" else MARCH + 3}
    later: set[str] = set()
    while query["since"] is not None:
        answer = old.get(path, sort=sort, count=3, **query).json
        seen += [(each["timestamp"], each["uuid"]) for each in answer["data"]]
        query["since"] = answer["next"]
        place, _ = seen[-1]
        for at in (place - 1, place, place + 1) if len(later) < 12 else ():
            number = old.record(name, at, f"later{len(later)}@example.com")
            later.add(events.uuid_of(events.Position(at, number)))
    uuids = [uuid for _, uuid in seen]
    assert len(uuids) == len(set(uuids))
    assert len(set(uuids) - later) == len(first)
    assert [at for at, _ in seen] == sorted((at for at, _ in seen), reverse=sort == "desc")
    if sort == "asc":  # what comes behind the reader's place is read, in the same second too
        ends = seen[-1]
        behind = {
            uuid for uuid in later if (p := events.position_of_uuid(uuid)) and p.at >= ends[0]
        }
        assert behind <= set(uuids)


def test_since_may_be_a_second_a_token_or_an_event(old: Old, name: str) -> None:
    numbers = [old.record(name, MARCH + n) for n in range(6)]
    path = f"/v1/metric/{old.metric(name)}/timeline"
    uuid = events.uuid_of(events.Position(MARCH + 2, numbers[2]))

    def seconds(**query: Any) -> list[int]:
        return [each["timestamp"] - MARCH for each in old.get(path, **query).json["data"]]

    assert seconds() == [5, 4, 3, 2, 1, 0]
    assert seconds(sort="asc") == [5, 4, 3, 2, 1, 0], (
        "without since it is always from now on backwards"
    )
    assert seconds(since=MARCH + 2, sort="asc") == [2, 3, 4, 5]
    assert seconds(since=MARCH + 2) == [2, 1, 0]
    for token in (uuid, uuid.upper(), f"{MARCH + 2}-{uuid}"):
        assert seconds(since=token, sort="asc") == [3, 4, 5]
        assert seconds(since=token, sort="desc") == [1, 0]
    assert old.get(path, since=MARCH, sort="asc", count=3).json["next"] == f"{MARCH + 2}-{uuid}"
    assert seconds(since="") == seconds()


def test_what_lies_ahead_is_shown_to_who_asks_for_it(old: Old, name: str) -> None:
    ahead = int(datetime.now(UTC).timestamp()) + 10_000
    old.record(name, ahead)
    path = f"/v1/metric/{old.metric(name)}/timeline"
    assert old.get(path).json["data"] == []
    assert old.get(path, since=ahead, sort="asc").json["count"] == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"count": 101}, "count must be"), ({"count": 0}, "count must be"), ({"sort": "up"}, "sort must be one of desc, asc"),
        ({"since": "yesterday"}, "since cannot"), ({"since": "2022-02-01"}, "since cannot"), ({"since": "1767225600000"}, "milliseconds"),
        ({"since": "1767225600-x"}, "since cannot"), ({"since": "-1"}, "since cannot"),
        ({"since": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, "since cannot"), ({"since": "9" * 400}, "milliseconds"),
    ],
)  # fmt: skip
def test_a_timeline_that_cannot_be_is_400(old: Old, query: dict[str, Any], said: str) -> None:
    answer = old.get("/v1/metrics/timeline", **query)
    assert answer.status == 400
    assert said in answer.json["message"]


def test_timelines_of_people_and_of_everything(old: Old, name: str) -> None:
    emails = [f"{name.split()[1]}.{n}@example.com" for n in range(2)]
    people = [old.person(email) for email in emails]
    start = MARCH + 10_000_000 + 100 * next(_numbers)
    for n in range(6):
        old.record(f"{name} of {n % 3}", start + n, emails[n % 2])
    metric = old.metric(f"{name} of 0")

    def seconds(path: str) -> list[int]:
        found = follow(old, path, since=start, sort="asc", count=2)
        return [n for each in found if (n := each["timestamp"] - start) < 6]

    assert seconds("/v1/metrics/timeline") == [0, 1, 2, 3, 4, 5]
    assert seconds(f"/v1/person/{people[0]}/metrics/timeline") == [0, 2, 4]
    assert seconds(f"/v1/person/{people[1]}/metrics/timeline") == [1, 3, 5]
    assert seconds(f"/v1/person/{people[0]}/metric/{metric}/timeline") == [0]
    assert seconds(f"/v1/metric/{metric}/timeline") == [0, 3]
    for path in (
        "/v1/metric/nothere/timeline", f"/v1/metric/{name}/timeline", "/v1/metric/a%00b/timeline", "/v1/metric/X/export",
        f"/v1/person/X/metric/{metric}/timeline", f"/v1/person/{people[0]}/metric/X/timeline",
    ):  # fmt: skip
        assert old.get(path.replace(" ", "%20")).status == 404


def test_pages_of_timelines_have_the_documented_sizes(old: Old, name: str) -> None:
    start = MARCH + 20_000_000 + 1_000 * next(_numbers)
    person = old.person("many@example.com")
    for n in range(101):
        old.record(name, start + n, "many@example.com")
    metric = old.metric(name)
    for path, size in (
        ("/v1/metrics/timeline", 50),
        (f"/v1/metric/{metric}/timeline", 100),
        (f"/v1/person/{person}/metrics/timeline", 50),
        (f"/v1/person/{person}/metric/{metric}/timeline", 100),
    ):
        assert old.get(path, since=start, sort="asc").json["count"] == size


# exports


class Counted:
    """Some events, and what an export of them has to say."""

    def __init__(self, old: Old, name: str) -> None:
        rng = random.Random(7)
        self.rows: list[tuple[int, str, float | None, dict[str, Any]]] = []
        for n in range(120):
            at = MARCH - 2 * DAY + rng.randrange(36 * DAY)
            who = f"{rng.randrange(9)}@example.com"
            value = rng.choice([None, 10.0, 2.5])
            properties = {
                "Size": rng.choice(["S", "M", "L", 5, True, ["S", "L"], None]),
                "Items": rng.choice([1, 2.5, "3", "no", None]),
            }
            old.record(name, at, who, value=value, unique_id=str(n), **properties)
            self.rows.append((at, who, value, properties))
        self.old, self.path = old, f"/v1/metric/{old.metric(name)}/export"

    def ask(self, **query: Any) -> dict[str, dict[str, float]]:
        """The numbers by segment and by date."""
        answer = self.old.get(self.path, **query)
        assert answer.status == 200, answer.body
        return {
            found["segment"]: {each["date"]: each["values"][0] for each in found["data"]}
            for found in answer.json["results"]
        }

    def plain(
        self, start: date, end: date, unit: str, measurement: Any, by: str | None = None, where: Any = None
    ) -> dict[str, dict[str, float]]:  # fmt: skip
        """The same, counted one by one."""
        found: dict[str, dict[str, Any]] = {}
        for at, who, value, properties in self.rows:
            day = datetime.fromtimestamp(at, UTC).date()
            if not start <= day <= end:
                continue
            texts = ["$all_time"] if by is None else texts_of(properties[by])
            if where is not None and str(where[2]) not in texts_of(properties[where[0]]):
                continue
            begin = {
                "day": day,
                "week": day - timedelta(day.weekday()),
                "month": day.replace(day=1),
            }
            for text in texts:
                cell = found.setdefault(text, {}).setdefault(f"{begin[unit]} 00:00:00", [])
                cell.append((who, value, properties["Items"]))
        return {
            text: {day: measured(cell, measurement) for day, cell in days.items()}
            for text, days in found.items()
        }


def texts_of(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    return ["" if value is None else str(value).lower() if value is True else str(value)]


def measured(cell: list[Any], measurement: Any) -> float:
    if measurement == "unique":
        return len({who for who, _, _ in cell})
    if measurement == "value":
        return sum(value or 0.0 for _, value, _ in cell)
    if measurement == "count":
        return len(cell)
    return sum(float(items) for _, _, items in cell if items not in ("no", None))


@pytest.fixture(scope="module")
def counted(old: Old) -> Counted:
    return Counted(old, "Counted")


SUM = '["sum","Items"]'


@pytest.mark.parametrize("unit", ["day", "week", "month"])
@pytest.mark.parametrize("measurement", ["count", "unique", "value", SUM])
def test_an_export_counts_what_is_there(counted: Counted, unit: str, measurement: str) -> None:
    start, end = date(2026, 3, 2), date(2026, 3, 29)
    query = {"start_date": start, "end_date": end, "unit": unit, "measurement": measurement}
    for more in (
        {},
        {"by": "Size"},
        {"where": '[["Size","=","S"]]'},
        {"where": '[["Size","=",5]]'},
    ):
        where = None if "where" not in more else eval(more["where"])[0]
        wanted = counted.plain(start, end, unit, measurement, more.get("by"), where)
        found = counted.ask(**query, **more)
        told = {
            text: {day: number for day, number in days.items() if number or day in wanted.get(text, {})}
            for text, days in found.items()
        }  # fmt: skip
        assert told == wanted, more
        lengths = {len(days) for days in found.values()}
        assert lengths == {{"day": 28, "week": 4, "month": 1}[unit]}


def test_segments_with_the_most_come_first_up_to_a_count(counted: Counted) -> None:
    query = {"start_date": "2026-03-01", "end_date": "2026-03-31", "by": "Size"}
    whole = counted.ask(**query)
    sums = [sum(days.values()) for days in whole.values()]
    assert sums == sorted(sums, reverse=True)
    assert list(counted.ask(**query, count=2)) == list(whole)[:2]


def test_days_may_be_unix_seconds(counted: Counted) -> None:
    days = counted.ask(start_date="2026-03-02", end_date="2026-03-03")
    assert counted.ask(start_date=MARCH + DAY, end_date=MARCH + 3 * DAY) == days
    assert counted.ask(start_date=MARCH, end_date=MARCH) == {"$all_time": {}}


def test_the_last_month_is_told_where_no_days_are_given(old: Old, name: str) -> None:
    now = datetime.now(UTC)
    old.record(name, int(now.timestamp()) - 5)
    answer = old.get(f"/v1/metric/{old.metric(name)}/export").json
    assert answer["metric"]["name"] == name
    (segment,) = answer["results"]
    days = [each["date"] for each in segment["data"]]
    assert sum(each["values"][0] for each in segment["data"]) == 1
    assert days[-1] in (f"{now.date()} 00:00:00", f"{now.date() + timedelta(1)} 00:00:00")
    assert 29 <= len(days) <= 32


def test_a_month_before_is_a_day_that_there_is() -> None:
    assert _month_before(date(2026, 3, 31)) == date(2026, 2, 28)
    assert _month_before(date(2026, 1, 5)) == date(2025, 12, 5)
    since, before = _span(None, None, datetime(2026, 12, 31, 12, tzinfo=UTC))
    assert (since.date(), before.date()) == (date(2026, 11, 30), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"start_date": "2026-03-01"}, "belong together"), ({"end_date": "2026-03-01"}, "belong together"),
        ({"start_date": "2026-03-01", "end_date": "2026-04-02"}, "more than 31 days"),
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "before start_date"),
        ({"start_date": "2026-02-30", "end_date": "2026-03-01"}, "start_date cannot"), ({"start_date": "x", "end_date": "y"}, "start_date cannot"),
        ({"start_date": "9999-12-30", "end_date": "9999-12-31"}, "start_date cannot"), ({"start_date": "0001-01-01", "end_date": "0001-01-02"}, "years 2 to 9998"),
        ({"unit": "year"}, "unit must be one of day, week, month"), ({"measurement": "sum"}, "measurement is none"),
        ({"measurement": '["sum"]'}, "measurement is none"), ({"measurement": '["avg","x"]'}, "measurement is none"), ({"measurement": "[["}, "measurement is none"),
        ({"by": "a", "where": '[["b","=","c"]]'}, "both given"), ({"where": "b=c"}, "where cannot"), ({"where": "[]"}, "where cannot"),
        ({"where": '[["b",">","c"]]'}, "operator"), ({"where": '[["b","=","c"],["d","=","e"]]'}, "more than one condition"),
        ({"where": '[["b","=",["c","d"]]]'}, "more than one value"), ({"where": '[[1,"=","c"]]'}, "where cannot"),
        ({"count": 1001}, "count must be"), ({"count": 0}, "count must be"),
    ],
)  # fmt: skip
def test_an_export_that_cannot_be_is_400(
    counted: Counted, query: dict[str, Any], said: str
) -> None:
    answer = counted.old.get(counted.path, **query)
    assert answer.status == 400
    assert said in answer.json["message"]


def test_odd_properties_make_no_trouble(counted: Counted) -> None:
    for odd in ("a\0b", "é" * 300, "$value", "[0]", "x" * 500):
        assert counted.old.get(counted.path, by=odd).status == 200
        assert counted.old.get(counted.path, measurement=f'["sum",{odd!r}]' if "\0" not in odd else f'["sum","{odd[0]}"]').status in (200, 400)  # fmt: skip
