"""Parts of a drawing: scales, ticks, axes, text. It knows SVG 1.1 and no probes.

Every coordinate has one decimal at most, so that a drawing stays small. Colours are classes of the
style below, which has a light and a dark half; nothing outside the document is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape as in_markup

from netlabsvc.escape import escape

STYLE = """\
svg{--paper:#fff;--ink:#1b2530;--soft:#5c6976;--grid:#e4e8ec;--lane:#f5f7f9;--ok:#2b6cb0;
--late:#b7600a;--lost:#c5283d;--copy:#7b3fb5;--moved:#0b7f69;--band:#a9c9e8}
@media (prefers-color-scheme:dark){svg{--paper:#12171d;--ink:#e8ecf0;--soft:#9aa7b4;--grid:#28313b;
--lane:#1a2129;--ok:#69aef2;--late:#f2a445;--lost:#ff6b7d;--copy:#c79bf5;--moved:#4fd1b5;
--band:#2c4f73}}
text{font:12px system-ui,"Segoe UI","Noto Sans",sans-serif;fill:var(--soft)}
.title{font-size:18px;font-weight:600;fill:var(--ink)}.head{font-size:13px;font-weight:600;
fill:var(--ink)}.end{text-anchor:end}.mid{text-anchor:middle}.paper{fill:var(--paper)}
.lane{fill:var(--lane)}.grid{stroke:var(--grid);fill:none}.frame{stroke:var(--soft);fill:none}
.ok{fill:var(--ok)}.late{fill:var(--late)}.lost{stroke:var(--lost);stroke-width:1.8;fill:none}
.copy{stroke:var(--copy);stroke-width:1.5;fill:none}.moved{fill:var(--moved)}
.band{stroke:var(--band);fill:none}.line{stroke:var(--ok);stroke-width:1.5;fill:none}
.bar{fill:var(--band)}.ecdf{stroke:var(--ink);stroke-width:1.5;fill:none}
.mark{stroke:var(--soft);stroke-dasharray:3 3;fill:none}"""


def safe(text: str) -> str:
    """A text as it may stand in XML 1.0: escaped, and without what no escape can hold."""
    return in_markup("".join(c for c in escape(text) if c not in "\ufffe\uffff"))


def number(value: float) -> str:
    """A coordinate: ``12``, ``12.5``."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels, along one axis; `low` is less than `high`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round values from `low` to `high`, about as many as wanted: steps of 1, 2 or 5."""
    rough = (high - low) / wanted
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    # From whole numbers of steps: a sum of floats would drift.
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def text(x: float, y: float, said: str, kind: str = "") -> str:
    """A line of text; `kind` names classes of the style."""
    marked = f' class="{kind}"' if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{marked}>{safe(said)}</text>'


def upright(x: float, y: float, said: str) -> str:
    """A line of text turned by a quarter, with its middle here."""
    place = f'transform="translate({number(x)} {number(y)}) rotate(-90)"'
    return f'<text {place} class="mid">{safe(said)}</text>'


def path(kind: str, line: str, told: str = "") -> str:
    """A shape of path data, with what a pointer over it shows."""
    shown = f"><title>{safe(told)}</title></path>" if told else "/>"
    return f'<path class="{kind}" d="{line}"{shown}'


def box(kind: str, x: float, y: float, width: float, height: float) -> str:
    """A filled rectangle."""
    size = f'width="{number(width)}" height="{number(height)}"'
    return f'<rect class="{kind}" x="{number(x)}" y="{number(y)}" {size}/>'


def horizontal_axis(scale: Scale, top: float, bottom: float, title: str) -> list[str]:
    """Grid lines from top to bottom, their values below, and what they are."""
    drawn = []
    for value in ticks(scale.low, scale.high, 10):
        x = scale(value)
        drawn.append(path("grid", f"M{number(x)} {number(top)}V{number(bottom)}"))
        drawn.append(text(x, bottom + 16, f"{value:.12g}", "mid"))
    drawn.append(text((scale.start + scale.end) / 2, bottom + 34, title, "mid"))
    return drawn


def vertical_axis(scale: Scale, left: float, right: float, title: str, wanted: int) -> list[str]:
    """Grid lines from left to right, their values at the left, and what they are."""
    drawn = []
    for value in ticks(scale.low, scale.high, wanted):
        y = scale(value)
        drawn.append(path("grid", f"M{number(left)} {number(y)}H{number(right)}"))
        drawn.append(text(left - 8, y + 4, f"{value:.12g}", "end"))
    drawn.append(upright(left - 52, (scale.start + scale.end) / 2, title))
    return drawn
