"""What commands say: the JSON objects that programs read, and the sentences that people do."""

from collections.abc import Mapping
from typing import Any

from feedd.cli.show import plain
from feedd.model import (
    INTERRUPTED,
    CatalogItem,
    Change,
    Counts,
    ErrorInfo,
    FeedView,
    ItemVersion,
    OpenReject,
    Orphan,
    Problem,
    Refresh,
    SyncRecord,
    WebFeedView,
)


def resync_object(record: SyncRecord) -> dict[str, Any]:
    """A sync's outcome, for programs."""
    counts = record.counts or Counts()
    return {
        "feed": record.feed,
        "status": record.status,
        "added": counts.added,
        "updated": counts.updated,
        "removed": counts.removed,
        "restored": counts.restored,
        "unchanged": counts.unchanged,
        "rejected": counts.rejected,
        "warnings": counts.warnings,
        "duplicates": counts.duplicates,
        "held_removals": counts.held_removals,
        "duration_s": None if record.duration_s is None else round(record.duration_s, 3),
        "error": error_text(record.error),
    }


def feed_object(feed: FeedView) -> dict[str, Any]:
    """A feed's state, for programs."""
    return {
        "feed": feed.name,
        "status": feed.status,
        "items": feed.items,
        "last_sync": feed.last_sync,
        "last_applied": feed.last_applied,
        "next_due": feed.next_due,
        "error": error_text(feed.error),
        "held_removals": feed.held_removals,
        "warnings": feed.warnings,
    }


def web_feed_object(view: WebFeedView) -> dict[str, Any]:
    """A web feed's state, for programs."""
    names = (
        *("name", "url", "status", "content_type", "size_bytes", "fetched_at", "updated"),
        *("checked_at", "next_refresh", "failures"),
    )
    return {name: getattr(view, name) for name in names} | {"error": error_text(view.error)}


def refresh_object(done: Refresh) -> dict[str, Any]:
    """How a refresh of a web feed went, for programs."""
    found = {name: getattr(done, name) for name in done.__struct_fields__}
    return found | {"error": error_text(done.error)}


def change_object(change: Change) -> dict[str, Any]:
    """A change, for programs."""
    return {
        "seq": change.seq,
        "feed": change.feed,
        "item": change.item,
        "kind": change.kind,
        "fields": change.fields,
        "sync": change.sync,
        "at": change.at,
    }


def item_object(item: CatalogItem) -> dict[str, Any]:
    """An item, for programs."""
    return {
        "feed": item.feed,
        "id": item.id,
        "item": item.fields,
        "removed_at": item.removed_at,
        "changed_at": item.changed_at,
    }


def version_object(version: ItemVersion) -> dict[str, Any]:
    """An item as it was, for programs."""
    return {
        "feed": version.feed,
        "id": version.id,
        "item": version.fields,
        "seq": version.seq,
        "changed_at": version.changed_at,
    }


def reject_object(reject: OpenReject) -> dict[str, Any]:
    """A reject with its most telling problem, for programs; further problems are named in the hint."""
    first, *others = reject.problems
    return {
        "feed": reject.feed,
        "sync": reject.sync,
        "item": reject.item_id,
        "position": reject.position,
        **problem_object(first, others),
        "passes": reject.passes,
    }


def warning_objects(item: CatalogItem) -> list[dict[str, Any]]:
    """An item's warnings, in the shape of rejects, for programs."""
    return [
        {
            "feed": item.feed,
            "sync": None,
            "item": item.id,
            "position": None,
            **problem_object(each),
            "passes": None,
        }
        for each in item.warnings
    ]


def problem_object(problem: Problem, others: list[Problem] | None = None) -> dict[str, Any]:
    """A problem; `others` of the same record are told at the end of its hint."""
    also = "; ".join(f"{each.pointer or 'the record'}: {each.rule}" for each in others or [])
    return {
        "pointer": problem.pointer,
        "rule": problem.rule,
        "value": problem.value,
        "hint": f"{problem.hint} Also {also}.".lstrip() if also else problem.hint,
    }


def error_text(error: ErrorInfo | None) -> str | None:
    """An error as one line: what is wrong, and what to do."""
    if error is None:
        return None
    return f"{error.message}. {error.hint}" if error.hint else error.message


def counts_text(counts: Counts) -> str:
    """What a sync did, the zeros left out."""
    done = (
        (counts.added, "+{:,} added"),
        (counts.updated, "~{:,} updated"),
        (counts.removed, "-{:,} removed"),
        (counts.restored, "+{:,} restored"),
        (counts.unchanged, "{:,} unchanged"),
        (counts.duplicates, "{:,} repeated"),
        (counts.rejected, "{:,} rejected"),
        (counts.warnings, "{:,} warning" if counts.warnings == 1 else "{:,} warnings"),
    )
    return "  ".join(form.format(number) for number, form in done if number) or "no items"


def feed_notes(feed: FeedView) -> list[str]:
    """What somebody should know of a feed beyond its row, and what to type."""
    notes = []
    if feed.status == INTERRUPTED:
        notes.append("Its last sync was killed and nothing of it was stored; the next begins anew.")
    if feed.error is not None:
        times = f" ({feed.failures} times in a row)" if feed.failures > 1 else ""
        notes.append(f"{error_text(feed.error)}{times}")
    if feed.held_removals:
        notes.append(held_text(feed.name, feed.held_removals))
    if feed.collisions:
        notes.append(
            f"{feed.collisions:,} of its items are hidden: a feed before it in catalog {feed.catalog}"
            " has the same ids"
        )
    return notes


def orphans_text(orphans: list[Orphan]) -> str:
    """That something is stored of feeds that are not configured, and how to drop it."""
    listed = ", ".join(f"{plain(each.name)} ({each.items:,} items)" for each in orphans)
    return f"Stored, but not configured any more: {listed}. To drop one: feedd forget NAME"


def held_text(feed: str, count: int) -> str:
    """That removals are held, and how to accept them."""
    items = "1 item is" if count == 1 else f"{count:,} items are"
    return (
        f"{items} missing from the feed and were kept, since so many at once are more often a fault."
        f" If they are really gone: feedd resync {feed} --accept-removals"
    )


def fields_text(fields: Mapping[str, tuple[Any, Any]]) -> str:
    """The fields of a change, old -> new."""
    return ", ".join(
        f"{plain(name)} {_shown(old)} -> {_shown(new)}" for name, (old, new) in fields.items()
    )


def _shown(value: Any) -> str:
    shown = plain(value) or "(none)"
    return shown if len(shown) <= 60 else shown[:59] + "…"
