"""The picture of cost against size, as SVG written by hand: no library, a few KB, readable on light and dark pages. Pure."""

import math
from collections.abc import Callable, Iterator

from bars import FORMAT_NAMES, MB
from results import CHANGED, FIRST, IDENTICAL, Result, Results

WIDTH, HEIGHT = 860, 340
LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 62, 44, 340, 226
GAP = WIDTH // 2
COLOURS = {"json": "#3b82c4", "jsonl": "#3f9b57", "xml": "#c9622f"}
DASHES = {FIRST: "", CHANGED: "6 4", IDENTICAL: "2 3"}
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #757575 } .title { font-weight: 600; font-size: 13px }
.grid { stroke: #999; stroke-opacity: .3 } .line { fill: none; stroke-width: 2 }
</style>"""


def chart(results: Results) -> str:
    """Two plots side by side: items a second, and peak memory, each against the number of items."""
    syncs = [
        each
        for each in results.find(who="feedd", via="file", database="SQLite")
        if each.case in DASHES and each.format in COLOURS
    ]
    if len({each.items for each in syncs}) < 2:
        return ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>Items a second and peak memory of syncs against the number of items</title>",
        STYLE,
        *_plot(0, "items a second", syncs, lambda each: each.items_per_s, logarithmic=True),
        *_plot(GAP, "peak memory, MB", syncs, lambda each: each.peak_bytes / MB, logarithmic=False),
        *_legend(syncs),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _plot(
    left: int,
    title: str,
    syncs: list[Result],
    value: Callable[[Result], float],
    *,
    logarithmic: bool,
) -> Iterator[str]:
    sizes = sorted({each.items for each in syncs})
    values = [value(each) for each in syncs]
    if logarithmic:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        marks = [10.0**power for power in range(low, high + 1)]
    else:
        low, high = 0, max(1, math.ceil(max(values) / 64))
        marks = [64.0 * step for step in range(high + 1)]

    def x(items: int) -> float:
        first, last = math.log10(sizes[0]), math.log10(sizes[-1])
        return left + LEFT + PLOT_WIDTH * (math.log10(items) - first) / (last - first)

    def y(number: float) -> float:
        at = math.log10(number) if logarithmic else number / 64
        return TOP + PLOT_HEIGHT * (1 - (at - low) / (high - low))

    yield f'<text class="title" x="{left + LEFT}" y="{TOP - 16}">{title}</text>'
    for mark in marks:
        yield _line(left + LEFT, y(mark), left + LEFT + PLOT_WIDTH, y(mark))
        yield f'<text x="{left + LEFT - 8}" y="{y(mark) + 4:.0f}" text-anchor="end">{_short(mark)}</text>'
    for size in sizes:
        yield _line(x(size), TOP, x(size), TOP + PLOT_HEIGHT)
        yield f'<text x="{x(size):.0f}" y="{TOP + PLOT_HEIGHT + 18}" text-anchor="middle">{_short(size)}</text>'
    for form, case in sorted({(each.format, each.case) for each in syncs}):
        line = sorted(
            (each for each in syncs if (each.format, each.case) == (form, case)),
            key=lambda each: each.items,
        )
        points = " ".join(f"{x(each.items):.1f},{y(value(each)):.1f}" for each in line)
        yield f'<polyline class="line" stroke="{COLOURS[form]}" stroke-dasharray="{DASHES[case]}" points="{points}"/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _legend(syncs: list[Result]) -> Iterator[str]:
    x, y = LEFT, HEIGHT - 18
    for form in [name for name in COLOURS if any(each.format == name for each in syncs)]:
        yield f'<rect x="{x}" y="{y - 9}" width="12" height="10" fill="{COLOURS[form]}"/>'
        yield f'<text x="{x + 17}" y="{y}">{FORMAT_NAMES[form]}</text>'
        x += 120
    for case, dash in DASHES.items():
        yield f'<line stroke="#888" stroke-width="2" stroke-dasharray="{dash}" x1="{x}" y1="{y - 4}" x2="{x + 30}" y2="{y - 4}"/>'
        yield f'<text x="{x + 36}" y="{y}">{case}</text>'
        x += 140


def _short(number: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{name}"
    return f"{number:g}"
