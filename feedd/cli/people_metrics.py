"""Commands for metrics: what people do, as a list, a timeline, a chart."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feedd.cli.backend import connect
from feedd.cli.options import AsJson, Options, options_of
from feedd.cli.people_arguments import Since, moment
from feedd.cli.show import ago, console, counted, emit, is_plain, plain, say, table, text
from feedd.errors import StoreError, UsageError

if TYPE_CHECKING:
    from feedd.people.operations import Chart

FOLLOW_EVERY_S = 0.5
MOST = 1_000_000_000
MOST_INTERVALS = 3_000
_BLOCKS = " ▏▎▍▌▋▊▉█"
_BARS = "▁▂▃▄▅▆▇█"
_FORMS = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d %a", "week": "%Y-%m-%d", "month": "%Y-%m"}
_LAST = {"hour": "2d", "day": "30d", "week": "26w", "month": "365d"}

Interval = Literal["hour", "day", "week", "month"]
Measure = Literal["count", "unique", "sum"]


def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """What people do: every metric, how much of it there is, and when it was last."""
    from feedd.people.operations import ListMetrics

    with connect(options_of(context)) as backend:
        found = backend.people(ListMetrics()).metrics
    if as_json:
        for metric in found:
            emit(metric)
        return
    if not found:
        say('Nothing was recorded yet. feedd track "Placed Order" jane.doe@example.com')
        return
    table(
        ("metric", "id", ">events", ">24 h", ">7 d", "last"),
        [
            (m.name, m.id, f"{m.events:,}", f"{m.day:,}", f"{m.week:,}", ago(m.last_at))
            for m in sorted(found, key=lambda each: each.name.casefold())
        ],
    )


def timeline(
    context: typer.Context,
    metric: Annotated[
        str | None, typer.Argument(metavar="METRIC", help="Its name or id; all if left out.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=0, max=MOST, help="At most so many, the newest.")] = 50,
    since: Since = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as they are recorded.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What happened, the newest first: of one metric, or of all."""
    from feedd.cli.people_wording import show_event, show_timeline
    from feedd.cli.people_wording import timeline as read
    from feedd.people.operations import FollowEvents

    options = options_of(context)
    begin = None if since is None else int(moment(since, datetime.now(UTC)).timestamp())
    with connect(options) as backend:
        behind = backend.people(FollowEvents()).number
        found = list(read(backend, metric=metric, since=begin, limit=limit))
    if follow:
        for made, _ in reversed(found):  # what comes is shown below
            show_event(made, as_json=as_json)
        _follow(options, metric, behind, as_json=as_json)
    if as_json:
        for made, _ in found:
            emit(made)
    else:
        show_timeline(found, with_people=True)


def _follow(options: Options, metric: str | None, behind: int | None, *, as_json: bool) -> None:
    """Show what is recorded behind a number as it comes, over restarts of the daemon, until Ctrl-C."""
    from feedd.cli.people_wording import event_object, show_event
    from feedd.people.operations import FollowEvents

    try:
        while True:
            try:
                with connect(options) as backend:
                    while True:
                        page = backend.people(FollowEvents(behind=behind, metric=metric))
                        for event in page.events:
                            made = event_object(event, page.people.get(event.profile))
                            show_event(made, as_json=as_json)
                        behind = page.number
                        if not page.events:
                            time.sleep(FOLLOW_EVERY_S)
            except StoreError:  # the daemon has ended, or is being restarted
                time.sleep(FOLLOW_EVERY_S)
    except KeyboardInterrupt:  # that is how following ends
        raise typer.Exit from None


def chart(
    context: typer.Context,
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="Its name or id.")],
    *,
    by: Annotated[Interval, typer.Option(help="How long an interval is.")] = "day",
    last: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when on: 30d, 12h, 2026-01-31.")
    ] = None,
    measure: Annotated[
        Measure, typer.Option(help="Events, different people, or the sum of the values.")
    ] = "count",
    property_: Annotated[
        str | None,
        typer.Option("--property", metavar="NAME", help="For each value of this property."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Europe/Berlin; this machine's if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How much of a metric there was over time, drawn."""
    from feedd.people.operations import ChartMetric

    now = datetime.now(UTC)
    begin = moment(last or _LAST[by], now)
    if begin >= now:
        raise UsageError(f"{last} is not in the past", hint="--last 30d")
    with connect(options_of(context)) as backend:
        found = backend.people(
            ChartMetric(
                metric=metric,
                measure=measure,
                interval=by,
                since=begin,
                until=now + timedelta(seconds=1),
                timezone=timezone or _own_zone(),
                property=property_,
            )
        )
    if as_json:
        _emit(found, property_)
    elif property_ is None:
        _draw(found, by, measure)
    else:
        _draw_values(found, by, measure, property_)


def _own_zone() -> str:
    """The time zone of this machine, by its name; UTC where it has none."""
    named = os.environ.get("TZ", "").lstrip(":")
    if not named:
        try:
            named = str(Path("/etc/localtime").readlink()).partition("/zoneinfo/")[2]
        except OSError:
            named = ""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(named)
    except (ValueError, OSError):
        return "UTC"
    return named


def _emit(found: "Chart", property_: str | None) -> None:
    for series in found.series:
        for date, number in zip(found.dates, series.numbers, strict=True):
            value = {} if property_ is None else {"value": series.value}
            emit({"metric": found.metric, "date": date, **value, "number": number})


def _draw(found: "Chart", by: str, measure: str) -> None:
    """A bar for each interval."""
    numbers = found.series[0].numbers if found.series else [0.0] * len(found.dates)
    labels = [date.strftime(_FORMS[by]) for date in found.dates]
    total, *shown = _written([found.total, *numbers])
    say(text(_title(found, measure, total), style="bold"))
    if is_plain():
        for label, number in zip(labels, shown, strict=True):
            say(f"{label}  {number}")
        return
    width = max(map(len, shown), default=1)
    room = max(10, console().width - max(map(len, labels), default=0) - width - 4)
    most = max([*numbers, 0]) or 1
    for label, each, told in zip(labels, numbers, shown, strict=True):
        bar = _bar(each / most, room)
        say(text(f"{label} ", style="dim"), f"{told:>{width}}", text(bar, style="cyan"))


def _draw_values(found: "Chart", by: str, measure: str, name: str) -> None:
    """A line for each value of a property: its total, and how it went."""
    total, *totals = _written([found.total, *(series.total for series in found.series)])
    say(text(f"{_title(found, measure, total)}, by {plain(name)}", style="bold"))
    if not found.series:
        say("No events.")
        return
    first, last = (found.dates[place].strftime(_FORMS[by]) for place in (0, -1))
    room = max(8, console().width - 44)
    rows = []
    for series, told in zip(found.series, totals, strict=True):
        cells: list[object] = [series.value or "(none)", told]
        if not is_plain():
            cells.append(_spark(series.numbers, room))
        rows.append(cells)
    went = () if is_plain() else (f"{first} – {last}",)
    table((name, f">{measure}", *went), rows)
    if found.left_out:
        say(f"{counted(found.left_out, 'more value')} with less.")


def _title(found: "Chart", measure: str, total: str) -> str:
    one, more = {
        "count": ("event", "events"),
        "unique": ("person", "people"),
        "sum": ("sum of values", "sum of values"),
    }[measure]
    return f"{plain(found.metric)}: {total} {one if found.total == 1 else more}"


def _written(numbers: Sequence[float]) -> list[str]:
    """Numbers as they stand beside each other: all with two decimals, or all with none."""
    decimals = 0 if all(number == int(number) for number in numbers) else 2
    return [f"{number:,.{decimals}f}" for number in numbers]


def _bar(share: float, room: int) -> str:
    """So much of the room, in eighths of a character."""
    eighths = round(max(share, 0) * room * 8)
    whole, rest = divmod(eighths, 8)
    return _BLOCKS[8] * whole + (_BLOCKS[rest] if rest else "")


def _spark(numbers: Sequence[float], room: int) -> str:
    """A character for each interval, or for several together where there are more than the room has."""
    step = -(-len(numbers) // room)
    summed = [sum(numbers[start : start + step]) for start in range(0, len(numbers), step)]
    most = max([*summed, 0]) or 1
    return "".join(_BARS[round(max(each, 0) / most * 7)] if each else " " for each in summed)
