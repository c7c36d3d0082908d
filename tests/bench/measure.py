"""One measured figure, its target, how far it may be trusted, and the table and file that all of them end in."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure. ``target`` is the most it may be, or the least with ``at_least``; None for one that is only told.

    ``noise`` is what the machine alone moves it by: a target is missed only beyond it. ``tail`` has p95 and p99.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    noise: float = 0.0
    tail: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        """Whether the target holds, or is missed by no more than the noise."""
        return self._missed_by <= self.noise

    @property
    def verdict(self) -> str:
        """What the table says of the target."""
        if self._missed_by <= 0:
            return "" if self.target is None else "ok"
        return "in the noise" if self.met else "MISSED"

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        """The line of the table."""
        sign = ">=" if self.at_least else "<="
        return (
            self.name,
            f"{self.value:.4g} {self.unit}".rstrip(),
            " / ".join(f"{value:.4g}" for value in self.tail) if self.tail else "",
            f"{self.noise:.2g}" if self.noise else "",
            "" if self.target is None else f"{sign} {self.target:g} {self.unit}",
            self.verdict,
        )

    @property
    def _missed_by(self) -> float:
        if self.target is None:
            return 0.0
        return self.target - self.value if self.at_least else self.value - self.target


@dataclass(slots=True)
class Series:
    """Samples of one thing, taken in rounds, in turn with what they are compared with."""

    rounds: list[list[float]] = field(default_factory=list)

    def add(self, samples: list[float]) -> None:
        """Add one round."""
        self.rounds.append(samples)

    @property
    def all(self) -> list[float]:
        """Every sample."""
        return [sample for samples in self.rounds for sample in samples]

    @property
    def p50(self) -> float:
        """The median."""
        return p50(self.all)

    @property
    def tail(self) -> tuple[float, float]:
        """p95 and p99."""
        parts = statistics.quantiles(self.all, n=100, method="inclusive")
        return parts[94], parts[98]

    @property
    def noise(self) -> float:
        """How much the odd rounds and the even ones differ, which measured the same thing."""
        halves = self.rounds[::2], self.rounds[1::2]
        if not all(halves):
            return 0.0
        one, other = (p50([sample for samples in half for sample in samples]) for half in halves)
        return abs(one - other)

    def measure(self, name: str, unit: str, target: float | None = None) -> Measure:
        """The median as a figure."""
        return Measure(name, self.p50, unit, target, noise=self.noise, tail=self.tail)


def above(ours: Series, limit: Series) -> tuple[float, float]:
    """How much ours is above the limit, and the noise of that."""
    return ours.p50 - limit.p50, ours.noise + limit.noise


def ratio(ours: Series, other: Series) -> tuple[float, float]:
    """Ours as a multiple of the other one, and the noise of that."""
    times = ours.p50 / other.p50
    return times, times * (ours.noise / ours.p50 + other.noise / other.p50)


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def table(groups: Mapping[str, Sequence[Measure]]) -> str:
    """The figures as aligned lines, group by group."""
    rows = [("what", "value", "p95 / p99", "noise", "target", "")]
    for group, measures in groups.items():
        rows += [("", "", "", "", "", ""), (f"{group}:", "", "", "", "", "")]
        rows += [measure.cells for measure in measures]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def write(groups: Mapping[str, Sequence[Measure]], path: Path) -> None:
    """``bench.json``: a list of group, name, value, unit, target, noise, tail, met, and the cells of the table."""
    plain = [_plain(group, measure) for group, measures in groups.items() for measure in measures]
    path.write_text(json.dumps(plain, indent=1) + "\n")


def _plain(group: str, measure: Measure) -> dict[str, object]:
    """What is written of one; whether the target is the most or the least, its cell says."""
    own = {name: value for name, value in asdict(measure).items() if name != "at_least"}
    return {"group": group, **own, "met": measure.met, "cells": measure.cells}
