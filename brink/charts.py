"""Horizontal bars with intervals, as self-contained SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

COLOURS = ("#0b6e4f", "#c9762a", "#3b6fb6", "#8a6bb0", "#b5443c", "#6d8a1f")
_LABEL, _PLOT, _ROW, _AXIS = 260, 360, 18, 24
_LONGEST_LABEL = 38


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `value`, with the interval from `low` to `high` if there is one; `colour` counts from 0."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    colour: int = 0


def bar_chart(title: str, bars: Sequence[Bar], *, least: float = 0.0, most: float = 0.0) -> str:
    """Bars below each other over one axis, which spans at least from `least` to `most`.

    An empty text if no bar has a finite value.
    """
    shown = [bar for bar in bars if isfinite(bar.value)]
    if not shown:
        return ""
    ends = [end for bar in shown for end in (bar.value, bar.low, bar.high) if end is not None and isfinite(end)]
    ticks = axis_ticks(min(least, *ends), max(most, *ends))
    first, last = ticks[0], ticks[-1]

    def place(value: float) -> str:
        return f"{_LABEL + _PLOT * (min(max(value, first), last) - first) / (last - first):.1f}"

    height = _ROW * len(shown) + _AXIS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {_LABEL + _PLOT + 40} {height}" width="{_LABEL + _PLOT + 40}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="currentColor">'
    ]
    for tick in ticks:
        x = place(tick)
        parts.append(f'<line x1="{x}" x2="{x}" y1="0" y2="{height - _AXIS}" stroke="currentColor" opacity="0.15"/>')
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
    for k, bar in enumerate(shown):
        parts += _bar(bar, k * _ROW, place)
    return "".join([*parts, "</svg>"])


def _bar(bar: Bar, top: int, place: Callable[[float], str]) -> list[str]:
    left, right = sorted((float(place(0.0)), float(place(bar.value))))
    label = bar.label if len(bar.label) <= _LONGEST_LABEL else bar.label[: _LONGEST_LABEL - 1] + "…"
    middle = top + _ROW / 2
    found = [
        f'<text x="{_LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{left:.1f}" y="{top + 3}" width="{right - left:.1f}" height="{_ROW - 6}" '
        f'fill="{COLOURS[bar.colour % len(COLOURS)]}"><title>{escape(bar.label)}: {bar.value:.4g}</title></rect>',
    ]
    if bar.low is not None and bar.high is not None and isfinite(bar.low) and isfinite(bar.high):
        found.append(
            f'<line x1="{place(bar.low)}" x2="{place(bar.high)}" y1="{middle}" y2="{middle}" '
            'stroke="currentColor" stroke-width="1.5"/>'
        )
    return found


def axis_ticks(least: float, most: float) -> list[float]:
    """Round values, evenly spaced, that enclose a range: steps of 1, 2 or 5 times a power of ten."""
    span = most - least or 1.0
    power = 10.0 ** floor(log10(span / 4))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / 5)
    first = floor(least / step)
    count = first
    while count * step < most or count == first:
        count += 1
    return [round(k * step, 12) for k in range(first, count + 1)]
