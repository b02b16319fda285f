"""What a bench prints: tables, and at the end each target and whether it was held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """A bound that a figure of the lab must keep.

    :ivar least: whether `bound` is the least the figure may be, instead of the most.
    """

    what: str
    bound: float
    unit: str = ""
    least: bool = False

    def held(self, figure: float) -> bool:
        return figure >= self.bound if self.least else figure <= self.bound

    def words(self, figure: float) -> str:
        sense = "at least" if self.least else "at most"
        return f"{self.what}: {figure:.3g}{self.unit}, {sense} {self.bound:g}{self.unit}"


@dataclass
class Report:
    """Prints as it goes, so that a long run shows where it is.

    :ivar missed: the targets that were not held, with their figures.
    """

    missed: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The first column is a name and stands left; the others are figures and stand right."""
        lines = [tuple(heads), *(tuple(row) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for name, *figures in lines:
            cells = [f.rjust(w) for f, w in zip(figures, widths[1:], strict=True)]
            print("  " + "  ".join([name.ljust(widths[0]), *cells]).rstrip(), flush=True)

    def judge(self, target: Target, figure: float) -> None:
        """Say whether a figure holds its target, and keep it when it does not."""
        words = target.words(figure)
        if target.held(figure):
            self.note(f"held    {words}")
        else:
            self.note(f"MISSED  {words}")
            self.missed.append(words)
