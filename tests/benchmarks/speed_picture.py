"""The picture: the cost of finding the changes, by the number of changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from tests.benchmarks.speed_contestants import UNIT
from tests.benchmarks.speed_decode import Found

_PICTURED: Final = (1_000, 10_000)

_STYLE: Final = """
  .ground { fill: #ffffff; stroke: #d0d5da; }
  text { fill: #24292f; font: 12px system-ui, sans-serif; }
  .title { font-weight: 600; font-size: 14px; }
  .axis { stroke: #6e7781; fill: none; }
  .grid { stroke: #e3e6e9; fill: none; }
  .line { fill: none; stroke-width: 1.5; }
  .s0 .line { stroke: #0072b2; stroke-width: 3.5; } .s0 .mark { fill: #0072b2; }
  .s1 .line { stroke: #6e7781; } .s1 .mark { fill: #6e7781; }
  .s2 .line { stroke: #007a58; } .s2 .mark { fill: #007a58; }
  .s3 .line { stroke: #a3487d; } .s3 .mark { fill: #a3487d; }
  .s4 .line { stroke: #7a5195; } .s4 .mark { fill: #7a5195; }
  .s5 .line { stroke: #c04e00; } .s5 .mark { fill: #c04e00; }
  .s6 .line { stroke: #8a6d00; } .s6 .mark { fill: #8a6d00; }
  .s7 .line { stroke: #b3261e; } .s7 .mark { fill: #b3261e; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #15191e; stroke: #3a424b; }
    text { fill: #d8dee4; }
    .axis { stroke: #8b949e; }
    .grid { stroke: #2a3138; }
    .s0 .line { stroke: #56b4e9; } .s0 .mark { fill: #56b4e9; }
    .s1 .line { stroke: #9aa4ae; } .s1 .mark { fill: #9aa4ae; }
    .s2 .line { stroke: #38cfa0; } .s2 .mark { fill: #38cfa0; }
    .s3 .line { stroke: #e59ac4; } .s3 .mark { fill: #e59ac4; }
    .s4 .line { stroke: #bd9be0; } .s4 .mark { fill: #bd9be0; }
    .s5 .line { stroke: #f0a34a; } .s5 .mark { fill: #f0a34a; }
    .s6 .line { stroke: #dcc34e; } .s6 .mark { fill: #dcc34e; }
    .s7 .line { stroke: #ff8a80; } .s7 .mark { fill: #ff8a80; }
  }
"""
# Lines differ in shape too, for readers who cannot tell the colours apart.
_SHAPES: Final = (
    "m-5,0a5,5 0 1 0 10,0a5,5 0 1 0 -10,0",
    "m-4,-1.5h8v3h-8z",
    "m-4,-4h8v8h-8z",
    "m0,-5l5,9h-10z",
    "m0,5l5,-9h-10z",
    "m0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5z",
    "m-1.5,-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    "m-5,-4l1,-1l4,4l4,-4l1,1l-4,4l4,4l-1,1l-4,-4l-4,4l-1,-1l4,-4z",
)
_LABEL: Final = (
    "What it costs to find the changes of an answer: the others pay for all records, the library for those that changed"
)
_WIDTH, _HEIGHT = 860, 490
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_TOP = 330, 270, 60
_LEFTS: Final = (64, 494)
_BOTTOM: Final = _PLOT_TOP + _PLOT_HEIGHT
_LEGEND_TOP: Final = _BOTTOM + 92
_LEGEND_COLUMNS: Final = 3


def picture(found: Sequence[Found]) -> str:
    """Return the picture of at most two sizes, with bodies of the usual form."""
    usual = [it for it in found if not it.case.special]
    sizes = [size for size in _PICTURED if any(it.case.records == size for it in usual)]
    if not sizes:
        sizes = sorted({it.case.records for it in usual})[:2]
    pictured = [it for it in usual if it.case.records in sizes]
    names = list(dict.fromkeys(name for it in pictured for name in it.units))
    values = [spread.median for it in pictured for spread in it.units.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{_LABEL}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="6"/>',
    ]
    for left, size in zip(_LEFTS, sizes, strict=False):
        lines += _chart(left, size, [it for it in pictured if it.case.records == size], names, (low, high))
    return "\n".join([*lines, *_legend(names), "</svg>", ""])


def _chart(left: int, size: int, found: Sequence[Found], names: Sequence[str], decades: tuple[int, int]) -> list[str]:
    low, high = decades

    def x(place: int) -> float:
        return left + (place + 0.5) * _PLOT_WIDTH / len(found)

    def y(units: float) -> float:
        return _BOTTOM - (math.log10(units) - low) / (high - low) * _PLOT_HEIGHT

    right = left + _PLOT_WIDTH
    lines = [f'<text class="title" x="{left}" y="34">{size:,} records: units a poll</text>']
    for decade in range(low, high + 1):
        height = y(10.0**decade)
        lines.append(f'<path class="{"grid" if decade else "axis"}" d="M{left},{height:.1f}H{right}"/>')
        lines.append(_text(left - 8, height + 4, f"{10.0**decade:g}", "end"))
    lines.append(f'<path class="axis" d="M{left},{_PLOT_TOP}V{_BOTTOM}H{right}"/>')
    for place, it in enumerate(found):
        lines.append(_text(x(place), _BOTTOM + 20, f"{100 * it.case.share:g} %", "middle"))
    lines.append(_text(left + _PLOT_WIDTH / 2, _BOTTOM + 42, "of the records changed", "middle"))
    # Draw the library last, on top of the others.
    for number, name in reversed(list(enumerate(names))):
        points = [(x(place), y(it.units[name].median)) for place, it in enumerate(found) if name in it.units]
        if points:
            lines += _series(number, points, points)
    return lines


def _legend(names: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for number, name in enumerate(names):
        row, column = divmod(number, _LEGEND_COLUMNS)
        x, y = _LEFTS[0] + column * 260.0, _LEGEND_TOP + row * 20.0
        lines += _series(number, [(x, y), (x + 30, y)], [(x + 15, y)])
        lines.append(_text(x + 40, y + 4, name.replace("`", ""), "start"))
    unit = UNIT.replace("`", "")
    lines.append(_text(_LEFTS[0], _LEGEND_TOP - 22, f"1 unit is {unit}; the scale is logarithmic", "start"))
    return lines


def _series(number: int, line: Iterable[tuple[float, float]], marks: Iterable[tuple[float, float]]) -> list[str]:
    path = "L".join(f"{x:.1f},{y:.1f}" for x, y in line)
    shape = _SHAPES[number]
    return [
        f'<g class="s{number}">',
        f'<path class="line" d="M{path}"/>',
        *(f'<path class="mark" d="M{x:.1f},{y:.1f}{shape}"/>' for x, y in marks),
        "</g>",
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
