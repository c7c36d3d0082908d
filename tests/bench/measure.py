"""One measured figure, its target, and the table and file that they end in."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure. ``target`` is the most it may be; None for one that is only told."""

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> bool:
        """Whether the target holds."""
        return self.target is None or self.value <= self.target


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def table(measures: Sequence[Measure]) -> str:
    """The figures as aligned lines."""
    rows = [("what", "value", "target", "")]
    for measure in measures:
        target = "" if measure.target is None else f"<= {measure.target:g} {measure.unit}"
        rows.append((measure.name, f"{measure.value:.4g} {measure.unit}", target, "ok" if measure.met else "MISSED"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def write(measures: Sequence[Measure], path: Path) -> None:
    """``bench.json``: a list of name, value, unit, target, met."""
    path.write_text(json.dumps([{**asdict(measure), "met": measure.met} for measure in measures], indent=1) + "\n")
