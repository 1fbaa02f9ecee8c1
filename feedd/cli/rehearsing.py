"""How a dry run is shown: what a sync would do to each feed, counted whole and sampled; or all of it, for programs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from feedd.cli.progress import Bars
from feedd.cli.show import counted, emit, plain, say, table, text
from feedd.cli.wording import counts_text, error_text, fields_text, resync_object
from feedd.model import ChangeKind, Counts, DryRunLine, PlannedChange, SyncRecord, SyncStatus

SAMPLES = 5
MOST_NAMES = 1_000  # of fields and rules that are counted: a feed may have any number of them
SHOWN_NAMES = 8
_fields = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode


def show_dry_run(
    feed: str, lines: Iterator[DryRunLine], bars: Bars, *, limit: int, as_json: bool
) -> bool:
    """Show a feed's dry run as it comes; gives whether its sync would fail."""
    seen = _Seen(limit)
    for line in lines:
        if line.progress is not None:
            bars.show(feed, line.progress)
        elif line.change is not None and as_json:
            emit(_change_object(feed, line.change))
        elif line.sync is not None:
            bars.remove(feed)
            if as_json:
                emit(resync_object(line.sync))
            else:
                _show(line.sync, line.rejected_before or 0, seen)
            return line.sync.status == SyncStatus.FAILED
        elif not as_json:
            seen.take(line)
    return True


class _Seen:
    """What there is to show of a dry run, in a bounded number of words."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.samples: dict[str, list[tuple[str, str]]] = {kind: [] for kind in ChangeKind}
        self.fields: Counter[str] = Counter()
        self.rejects: list[tuple[Any, ...]] = []
        self.rules: Counter[str] = Counter()

    def take(self, line: DryRunLine) -> None:
        if line.change is not None:
            self._change(line.change)
        elif line.reject is not None:
            first = line.reject.problems[0]
            _count(self.rules, first.rule)
            if len(self.rejects) < self.limit:
                self.rejects.append(
                    (line.reject.position, line.reject.item_id, first.pointer, first.rule, first.value, first.hint)
                )  # fmt: skip

    def _change(self, change: PlannedChange) -> None:
        samples = self.samples[change.kind]
        wanted = len(samples) < self.limit
        fields = {} if change.fields == b"{}" else _fields(change.fields)
        for name in fields:
            _count(self.fields, name)
        if not wanted:
            return
        said = fields_text(fields) if change.kind is ChangeKind.UPDATED else change.title or ""
        samples.append((change.item, said))


def _show(record: SyncRecord, rejected_before: int, seen: _Seen) -> None:
    counts = record.counts or Counts()
    took = f"{record.duration_s or 0:.1f} s"
    name = text(record.feed, "bold")
    if record.status == SyncStatus.FAILED:
        say(name, "would", text("fail", "red"), f" {took}  {plain(error_text(record.error))}")
        return
    if record.status == SyncStatus.UNCHANGED:
        say(name, "would be", text("unchanged"), f" {took}  the body is the one that is stored")
        return
    say(name, "would be", text(str(record.status)), f" {took}  {counts_text(counts)}")
    if record.error is not None:
        say(f"  {plain(error_text(record.error))}")
    if counts.held_removals:
        say(
            f"  {counted(counts.held_removals, 'removal')} would be held: so many at once are more often a fault."
        )
    totals = (counts.added, counts.updated, counts.restored, counts.removed)
    kinds = (ChangeKind.ADDED, ChangeKind.UPDATED, ChangeKind.RESTORED, ChangeKind.REMOVED)
    for kind, total in zip(kinds, totals, strict=True):
        _show_samples(kind, total, seen)
    if counts.rejected:
        was = "as now" if rejected_before == counts.rejected else f"{rejected_before:,} now"
        say(f"\n  rejected  {counts.rejected:,} ({was}): {_ranked(seen.rules)}")
        table(
            (">  record", "item", "field", "rule", "value", "what to do"),
            seen.rejects,
        )
        _more(counts.rejected - len(seen.rejects))


def _show_samples(kind: ChangeKind, total: int, seen: _Seen) -> None:
    if not total:
        return
    samples = seen.samples[kind]
    by_field = f": {_ranked(seen.fields)}" if kind is ChangeKind.UPDATED and seen.fields else ""
    say("\n ", text(str(kind)), f" {total:,}{by_field}")
    wide = max(len(plain(item)) for item, _ in samples)
    for item, said in samples:
        say(f"    {plain(item):<{min(wide, 40)}}  {plain(said)}".rstrip())
    _more(total - len(samples))


def _more(left: int) -> None:
    if left > 0:
        say(text(f"    and {left:,} more", "dim"))


def _ranked(names: Counter[str]) -> str:
    first = names.most_common(SHOWN_NAMES)
    said = ", ".join(f"{plain(name)} {count:,}" for name, count in first)
    return f"{said}, …" if len(names) > len(first) else said


def _count(names: Counter[str], name: str) -> None:
    if name in names or len(names) < MOST_NAMES:
        names[name] += 1


def _change_object(feed: str, change: PlannedChange) -> dict[str, Any]:
    return {
        "seq": None,
        "feed": feed,
        "item": change.item,
        "kind": change.kind,
        "fields": change.fields,
        "sync": None,
        "at": None,
    }
