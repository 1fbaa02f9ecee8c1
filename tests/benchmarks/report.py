"""Results as Markdown tables and a picture.

    python report.py RESULTS.json [docs/performance.md]

prints the tables of what `ingest.py` has written; or puts them into a page, between its two marks, and the picture and all
runs beside it.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bars import FORMAT_NAMES, MB, verdicts
from chart import chart
from machine import LOAD
from results import NOT_MODIFIED, Result, Results, load

BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEAD = (
    "",
    "database",
    "wall s",
    "items/s",
    "CPU s",
    "server's CPU s",
    "peak memory, MB",
    "largest process, MB",
)
FLOORS = {
    "read": "read the file",
    "sha256": "SHA-256 of it",
    "slices": "slices + XXH3-128 of each, in windows of 256 KB",
    "small slices": "the same in windows of 64 KB",
    "decode": "decode it, keep nothing",
}
VIAS = {"file": "", "http": ", over HTTP", "daemon": ", inside the daemon"}


def markdown(results: Results) -> str:
    """All tables, in the order in which they are read."""
    parts = [_machine(results), _verdicts(results)]
    sizes = sorted({(each.items, each.format) for each in results.results}, key=_size_key)
    parts += [_cases(results, items, form) for items, form in sizes]
    if results.latencies:
        parts.append(_latencies(results))
    return "\n\n".join(part for part in parts if part) + "\n"


def _size_key(size: tuple[int, str]) -> tuple[int, int]:
    return -size[0], list(FORMAT_NAMES).index(size[1])


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, words: int) -> str:
    """A table whose first columns hold words, and the others numbers."""
    lines = [head, tuple("---" if n < words else "---:" for n in range(len(head))), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(results: Results) -> str:
    told = [f"{name} {value}" for name, value in results.machine.items()]
    text = f"Measured on: {', '.join(told)}."
    load, cores = (float(results.machine[name]) for name in (LOAD, "cores"))
    if load > cores / 2:
        text += f"\n\n**Others used the machine meanwhile ({LOAD}: {load} on {cores:.0f} cores): only the CPU seconds and the memory mean much.**"
    return text


def _verdicts(results: Results) -> str:
    rows = [
        (each.bar, each.measured, "met" if each.passed else "**not met**")
        for each in verdicts(results)
    ]
    return "### Bars\n\n" + table(("bar", "measured", ""), rows, words=3) if rows else ""


def _cases(results: Results, items: int, form: str) -> str:
    some = results.find(items=items, format=form)
    size = max(each.size_bytes for each in some) / MB
    title = f"### {FORMAT_NAMES[form]}, {items:,} items, {size:,.0f} MB"
    return f"{title}\n\n{table(HEAD, list(_rows(some)), words=2)}"


def _rows(some: list[Result]) -> Iterator[tuple[str, ...]]:
    for each in some:
        if each.who == "floor":
            what = f"floor: {FLOORS[each.case]}"
        else:
            what = f"{each.who}: {each.case}{VIAS[each.via]}"
        if each.who == "feedd":
            what = f"**{what}**"
        yield (
            what,
            each.database,
            f"{each.wall_s:.3f}" if each.wall_s < 1 else f"{each.wall_s:.2f}",
            "" if each.case == NOT_MODIFIED else f"{each.items_per_s:,.0f}",
            f"{each.median('cpu_s'):.2f}" if each.median("cpu_s") else "",
            f"{each.median('server_cpu_s'):.2f}" if each.median("server_cpu_s") else "",
            f"{each.peak_bytes / MB:.0f}" if each.peak_bytes else "",
            f"{each.median('largest_bytes') / MB:.0f}" if each.median("largest_bytes") else "",
        )


def _latencies(results: Results) -> str:
    rows = [
        (
            each.request,
            each.during,
            *(f"{ms:.1f}" for ms in (each.p50_ms, each.p95_ms, each.p99_ms, each.max_ms)),
            f"{each.requests:,}",
            str(each.failed),
        )
        for each in results.latencies
    ]
    head = ("request", "during", "p50 ms", "p95 ms", "p99 ms", "max ms", "requests", "failed")
    return f"### Answers while it works, 50 requests a second\n\n{table(head, rows, words=2)}"


def put_into(page: Path, results: Results) -> None:
    """Replace what stands between the marks of a page, and the picture and all runs beside it."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks {BEGIN} or {END}")
    page.write_text(f"{before}{BEGIN}\n\n{markdown(results)}\n{END}{after}")
    results.save(page.with_suffix(".json"))
    picture = chart(results)
    if picture:
        page.with_suffix(".svg").write_text(picture)


def main() -> None:
    results = load(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        put_into(Path(sys.argv[2]), results)
    else:
        print(markdown(results), end="")


if __name__ == "__main__":
    main()
