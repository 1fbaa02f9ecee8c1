"""What feedd has set itself, and whether the measured results keep to it. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from results import CHANGED, FIRST, IDENTICAL, NOT_MODIFIED, Result, Results

MB = 1_000_000
PEAK_MB = 256
BYTES_AN_ITEM = 48
P99_MS = 50.0
NOT_MODIFIED_S = 0.05
TIMES_DLT = {(FIRST, "json"): 8, (FIRST, "xml"): 5, (CHANGED, "json"): 60, (CHANGED, "xml"): 50}
FORMAT_NAMES = {"json": "JSON", "jsonl": "JSON Lines", "xml": "Google XML"}


class Verdict(NamedTuple):
    """A bar, what was measured, and whether that passes."""

    bar: str
    measured: str
    passed: bool


def verdicts(results: Results) -> list[Verdict]:
    """One for each bar that something was measured for."""
    return [
        *_against_dlt(results),
        *_against_floors(results),
        *_not_modified(results),
        *_memory(results),
        *_latency(results),
    ]


def largest(some: list[Result]) -> Result | None:
    return max(some, key=lambda each: each.items, default=None)


def _against_dlt(results: Results) -> Iterator[Verdict]:
    for (case, form), times in TIMES_DLT.items():
        for database in ("SQLite", "PostgreSQL"):
            where = {"case": case, "format": form, "database": database, "via": "file"}
            ours = largest(results.find(who="feedd", **where))
            for rival in ("dlt", "dlt, Arrow"):
                theirs = largest(results.find(who=rival, **where))
                if ours is None or theirs is None:
                    continue
                ratio = ours.items_per_s / theirs.items_per_s
                less_cpu = theirs.cpu_s / theirs.items / (ours.cpu_s / ours.items)
                yield Verdict(
                    f"{case}, {FORMAT_NAMES[form]}, {database}: at least {times} times the items/s of {rival}",
                    f"{ratio:,.1f} times ({ours.items_per_s:,.0f} at {ours.items:,} / {theirs.items_per_s:,.0f} at {theirs.items:,}); by CPU time {less_cpu:,.1f} times",
                    ratio >= times,
                )


def _against_floors(results: Results) -> Iterator[Verdict]:
    for ours in results.find(who="feedd", database="SQLite", via="file"):
        size = {"format": ours.format, "items": ours.items}
        if ours.items != max(each.items for each in results.find(who="feedd")):
            continue
        name = f"{FORMAT_NAMES[ours.format]}, {ours.items:,} items"
        windows = [results.one(who="floor", case=f"{w}slices", **size) for w in ("", "small ")]
        slices = min(filter(None, windows), key=lambda each: each.wall_s, default=None)
        sha256 = results.one(who="floor", case="sha256", **size)
        if ours.case == CHANGED and ours.format == "json" and slices is not None:
            ratio = ours.wall_s / slices.wall_s
            yield Verdict(
                f"1 % changed, {name}: under 4 times slices + XXH3",
                f"{ratio:.1f} times ({ours.wall_s:.2f} s / {slices.wall_s:.2f} s)",
                ratio < 4,
            )
        if ours.case == IDENTICAL and sha256 is not None:
            most = 1.5 * sha256.wall_s + 0.5
            yield Verdict(
                f"identical body, {name}: under 1.5 times SHA-256 + 0.5 s",
                f"{ours.wall_s:.2f} s of {most:.2f} s",
                ours.wall_s < most,
            )


def _not_modified(results: Results) -> Iterator[Verdict]:
    for ours in results.find(who="feedd", case=NOT_MODIFIED, via="daemon"):
        yield Verdict(
            "a 304 inside the daemon: under 50 ms",
            f"{ours.wall_s * 1000:.1f} ms",
            ours.wall_s < NOT_MODIFIED_S,
        )


def _memory(results: Results) -> Iterator[Verdict]:
    syncs = [each for each in results.find(who="feedd", via="file") if each.peak_bytes]
    most = max((each.items for each in syncs), default=0)
    for ours in syncs:
        if ours.items != most or ours.case == NOT_MODIFIED:
            continue
        same = {"case": ours.case, "format": ours.format, "database": ours.database}
        name = f"{ours.case}, {FORMAT_NAMES[ours.format]}, {ours.database}"
        yield Verdict(
            f"{name}: at most {PEAK_MB} MB of memory at {most:,} items",
            f"{ours.peak_bytes / MB:.0f} MB",
            ours.peak_bytes <= PEAK_MB * MB,
        )
        small = [each for each in syncs if each.items == most // 10]
        for less in [each for each in small if all(getattr(each, k) == v for k, v in same.items())]:
            grown = (ours.peak_bytes - less.peak_bytes) / (ours.items - less.items)
            yield Verdict(
                f"{name}: at most {BYTES_AN_ITEM} bytes an item more than at {less.items:,}",
                f"{grown:.0f} bytes",
                grown <= BYTES_AN_ITEM,
            )


def _latency(results: Results) -> Iterator[Verdict]:
    for seen in results.latencies:
        if not seen.during.startswith("idle"):
            yield Verdict(
                f"{seen.request}, {seen.during}: 99 of 100 within {P99_MS:.0f} ms",
                f"{seen.p99_ms:.1f} ms" + (f", {seen.failed} failed" if seen.failed else ""),
                seen.p99_ms < P99_MS and not seen.failed,
            )
