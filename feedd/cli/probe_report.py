"""How a probe is told: for people, and as the object that programs read."""

from typing import TYPE_CHECKING, Any

from feedd.cli.show import console, counted, plain, say, size, table, text
from feedd.redaction import redact_url

if TYPE_CHECKING:
    from feedd.probe import Report, Trouble
    from feedd.settings.stanza import Stanza

_COLUMNS = ("id", "title", "price", "sale_price", "currency", "availability", "inventory_quantity", "categories", "brand",
            "published_at", "link")  # fmt: skip
_MOST_COLUMNS = 7
_WIDTHS, _WIDTH = {"title": 40, "link": 44}, 24
# what a column is cut to before another one is left out
_LEASTS, _LEAST, _GAP = {"id": _WIDTH, "title": 24}, 14, 3


def report_object(url: str, report: "Report", stanza: "Stanza") -> dict[str, Any]:
    """A probe, for programs."""
    return {
        "url": redact_url(url),
        "format": report.guess.format,
        "items": report.guess.items,
        "schema": report.guess.schema,
        "evidence": report.guess.evidence,
        "records": report.records,
        "usable": report.usable,
        "duplicates": report.duplicates,
        "samples": report.items,
        "rejects": report.rejects,
        "warnings": report.warnings,
        "fields": [
            {"field": each.field, "path": each.path, "reason": each.reason, "value": each.example}
            for each in report.proposals
        ],
        "kept": report.kept,
        "stanza": stanza.text(),
        "error": None if report.error is None else report.error.message,
    }


def show_report(url: str, report: "Report", stanza: "Stanza | None") -> None:
    """A probe, for people."""
    kind = f" of {plain(report.content_type)}" if report.content_type else ""
    say(f"{plain(redact_url(url))}: {size(report.size_bytes)}{kind}, {report.duration_s:.1f} s")
    say()
    _show_guess(report)
    _show_items(report)
    _show_troubles("Rejects", report.rejects)
    _show_troubles("Warnings", report.warnings)
    if report.proposals:
        _heading("Fields that no schema knows, by their names and values")
        table(
            ("field", "path", "why", "example"),
            [
                (each.field, ".".join(each.path), each.reason, _short(each.example, 32))
                for each in report.proposals
            ],
        )
    if report.kept:
        names = ", ".join(plain(name) for name in report.kept[:40])
        say(f"Kept under their own names: {names}{', …' if len(report.kept) > 40 else ''}")
    if stanza is not None and (report.error is None or stanza.notes or report.usable):
        _heading("Configuration")
        say(plain_multiline(stanza.text()))


def plain_multiline(content: str) -> str:
    """Text of several lines, each safe to print."""
    return "\n".join(plain(line) for line in content.splitlines())


def _show_guess(report: "Report") -> None:
    guess = report.guess
    where = "" if guess.items is None else f", items = {guess.items!r}"
    say(f"Format   {guess.format}")
    say(f"Schema   {plain(guess.schema)}{plain(where)}")
    for line in guess.evidence:
        say(f"         - {plain(line)}")
    looked = "" if report.whole else f" of the first {_looked_at(report):,}"
    repeated = f", {counted(report.duplicates, 'repeat')}" if report.duplicates else ""
    usable = "all are" if report.usable == report.records > 0 else f"{report.usable:,}{looked} are"
    say(f"Records  {report.records:,}; {usable} items{repeated}")
    if report.error is not None:
        say(text(f"Broken   {report.error.message}", "red"))
        say(f"         {plain(report.error.hint)}")


def _looked_at(report: "Report") -> int:
    return report.usable + report.duplicates + sum(each.count for each in report.rejects)


def _show_items(report: "Report") -> None:
    if not report.items:
        return
    names = [n for n in _COLUMNS if any(n in item for item in report.items)][:_MOST_COLUMNS]
    cells = [{name: _cell(name, item.get(name)) for name in names} for item in report.items]
    widths = fitting(names, cells, console().width)
    _heading(f"The first {counted(len(report.items), 'item')}")
    table(
        list(widths),
        [[_short(row[name], most) for name, most in widths.items()] for row in cells],
    )


def _cell(name: str, value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    return _short(plain(value), _WIDTHS.get(name, _WIDTH))


def fitting(names: list[str], cells: list[dict[str, str]], room: int) -> dict[str, int]:
    """The columns that a line has room for, and how wide each may be."""
    wide = {name: max(len(name), *(len(row[name]) for row in cells)) for name in names}
    least = {name: min(wide[name], max(len(name), _LEASTS.get(name, _LEAST))) for name in names}
    while len(least) > 1 and sum(least.values()) + _GAP * len(least) > room:
        least.popitem()
    left = room - sum(least.values()) - _GAP * len(least)
    for name, narrow in list(least.items()):
        more = max(0, min(left, wide[name] - narrow))
        least[name] = narrow + more
        left -= more
    return least


def _show_troubles(title: str, troubles: "list[Trouble]") -> None:
    if not troubles:
        return
    _heading(f"{title}, by reason")
    table(
        (">records", "field", "rule", "first", "value", "what to do"),
        [
            (
                f"{each.count:,}",
                each.pointer or "(record)",
                each.rule,
                each.item or f"#{each.position}",
                _short(each.value or "", 40),
                each.hint,
            )
            for each in troubles
        ],
    )


def _heading(title: str) -> None:
    say()
    say(text(title, "bold") if console().is_terminal else title)


def _short(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1] + "…"
