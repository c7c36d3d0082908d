"""One measured figure, its target, and the table and file that they end in."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure. ``target`` is the most it may be, or the least with ``at_least``; None for one that is only told."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target holds."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def table(measures: Sequence[Measure]) -> str:
    """The figures as aligned lines."""
    rows = [("what", "value", "target", "")]
    for measure in measures:
        target = (
            "" if measure.target is None else f"{'>=' if measure.at_least else '<='} {measure.target:g} {measure.unit}"
        )
        rows.append((measure.name, f"{measure.value:.4g} {measure.unit}", target, "ok" if measure.met else "MISSED"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def write(measures: Sequence[Measure], path: Path) -> None:
    """``bench.json``: a list of name, value, unit, target, met."""
    path.write_text(json.dumps([_plain(measure) for measure in measures], indent=1) + "\n")


def _plain(measure: Measure) -> dict[str, str | float | bool | None]:
    """What is written of one; whether the target is the most or the least, its name says."""
    return {name: value for name, value in asdict(measure).items() if name != "at_least"} | {"met": measure.met}
