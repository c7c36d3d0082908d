"""One fault after the other on a site at work, and one row of the table for each."""

from __future__ import annotations

import faulthandler
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardd.errors import CarddError
from tests.faults.judge import Judge
from tests.faults.site import Site
from tests.faults.table import Fault
from tests.faults.work import SIGNED, Piece, Work

LONGEST = 25.0  # seconds that work is waited for at the most, so that the next row begins with all at work
LOOK = 0.01
STUCK = 5.0  # seconds that clients are waited for that do not get on
HUNG = 240.0  # seconds after which a fault, or what follows it, is taken for hung: what stands where is told then


@dataclass(frozen=True)
class Row:
    """How one fault ended: ``wrong`` is empty where all held. Seconds."""

    listed: str
    fault: str
    within: float
    took: float | None
    lasted: float
    answers: dict[str, int]
    wrong: list[str]

    def told(self) -> str:
        """Return its line, and a line for each thing that is wrong."""
        answers = ", ".join(f"{count} {answer}" for answer, count in self.answers.items())
        went_on = "never" if self.took is None else f"{self.took:.1f} s"
        head = "FAILED" if self.wrong else "passed"
        line = f"{head}  {went_on:>6} of {self.within:4.1f} s  {self.listed}: {self.fault}  [{answers}]"
        return "\n".join([line, *(f"        {one}" for one in self.wrong)])


def rows_of(faults: Sequence[Fault], directory: Path) -> Iterator[Row]:
    """Inject each; the site is set up anew after one that work did not go on after."""
    left = list(faults)
    number = 0
    while left:
        faulthandler.dump_traceback_later(HUNG, exit=True)
        number += 1
        place = directory / f"site{number}"
        place.mkdir()
        with small_disk(place / "state"), (site := Site(place)).running():
            work = site.work = Work(site)
            work.start()
            try:
                while left:
                    faulthandler.dump_traceback_later(HUNG, exit=True)
                    row = _row(site, work, left.pop(0))
                    yield row
                    if row.took is None:
                        break
            finally:
                work.end()
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Have a file system of its own there, which can be filled."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _row(site: Site, work: Work, fault: Fault) -> Row:
    judge = Judge(site, work)
    work.mark = f"{time.monotonic_ns():x}"
    mark = judge.mark()
    work.gate.set()
    began = time.monotonic()
    wrong: list[str] = []
    took = _until_all(work, began)
    if took is None:
        wrong.append("the clients did not work before the fault")
    else:
        try:
            fault.inject(site)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told in the row
            wrong.append(f"{type(error).__name__}: {error}")
        took = _until_all(work, time.monotonic())
    resting = work.rest() if took is not None else work.rest(STUCK)
    wrong += [f"{kind} is still asking" for kind in resting]
    if took is None or took > fault.within:
        wrong.append(f"work went on after {took and round(took, 1)} s, not within {fault.within:g} s")
    try:
        wrong += judge.verdict(mark, fault.thrown, cuts=fault.cuts)
    except CarddError as error:
        wrong.append(f"the log cannot be read: {error}")
    answers = _answers(work.pieces[mark.pieces :])
    if fault.says and not any(code in fault.says for code in answers):
        wrong.append(f"no client was told {' or '.join(fault.says)}: was anything broken?")
    return Row(fault.listed, fault.told, fault.within, took, time.monotonic() - began, answers, wrong)


def _until_all(work: Work, moment: float) -> float | None:
    while (took := work.since(moment)) is None and time.monotonic() - moment < LONGEST:
        time.sleep(LOOK)
    return took


def _answers(pieces: list[Piece]) -> dict[str, int]:
    counts = Counter(answer for piece in pieces for answer in piece.answers)
    return {answer: counts[answer] for answer in sorted(counts, key=lambda one: (one != SIGNED, one))}
