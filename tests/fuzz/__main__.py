"""``make fuzz``: every parser under atheris, and a table of how each did.

``--seconds`` is how long for each, ``--jobs`` how many at a time; words choose the parsers that have one of them in
their name. ``--keep`` adds the inputs that reach more to tests/fuzz/corpus. Exit status 0 when nothing was found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.corpus import kept
from tests.fuzz.parser import parsers
from tests.repository.rules import ROOT

BUILD = ROOT / "build" / "fuzz"
STARTING = 300  # seconds that a process may take besides its time, on a slow machine
RUNS = re.compile(rb"stat::number_of_executed_units: (\d+)")


@dataclass
class Outcome:
    """How one parser did."""

    name: str
    runs: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """A line of the table."""
        said = self.reached
        told = [f"{said.get('inputs', 0):6}"]
        for part in ("lines", "branches"):
            every = said.get(f"all_{part}", 0)
            told.append(f"{100 * said[part] // every:3} % of {every:4}" if every else " " * 13)
        return f"{'FAILED' if self.faults else 'passed'}  {self.name:28} {self.runs:9} {'  '.join(told)}"


async def fuzzed(name: str, seconds: int, *, keeps: bool) -> Outcome:
    """Fuzz one parser, and see what its inputs reach."""
    outcome, directory = Outcome(name), BUILD / name
    shutil.rmtree(directory, ignore_errors=True)
    for part in ("inputs", "found", "tmp"):
        (directory / part).mkdir(parents=True)
    for number, (data, _) in enumerate(kept(name)):
        (directory / "inputs" / f"kept{number}").write_bytes(data)
    status, _, told = await _run("guided", name, directory, str(seconds), limit=seconds + STARTING)
    if counted := RUNS.search(told):
        outcome.runs = int(counted[1])
    outcome.faults = [f"{file}: {file.read_text()}" for file in sorted((directory / "found").glob("*.txt"))]
    broken = [file for file in (directory / "found").iterdir() if file.suffix not in (".txt", ".input")]
    outcome.faults += [f"{file}: the process ended" for file in broken]
    if status and not outcome.faults:
        outcome.faults.append("the process ended: " + told.decode(errors="replace")[-600:])
    more = ["--keep"] if keeps and not outcome.faults else []
    status, answer, told = await _run("reached", name, directory, *more, limit=seconds + STARTING)
    if status:
        outcome.faults.append("its inputs, once more: " + told.decode(errors="replace")[-600:])
    else:
        outcome.reached = json.loads(answer)
    return outcome


async def _run(module: str, name: str, directory: Path, *more: str, limit: float) -> tuple[int, bytes, bytes]:
    """Return a process's exit status, 1 for one that did not end in time, and what it said."""
    command = [sys.executable, "-m", f"tests.fuzz.{module}", name, str(directory), *more]
    environment = {**os.environ, "TMPDIR": str(directory / "tmp")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe)
    try:
        said = await asyncio.wait_for(process.communicate(), limit)
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, b"", b"it did not end in time"
    return process.returncode or 0, *said


async def every(names: Sequence[str], seconds: int, jobs: int, *, keeps: bool) -> list[Outcome]:
    """Fuzz these parsers, so many at a time; print each row when it is known."""
    turns = asyncio.Semaphore(jobs)

    async def one(name: str) -> Outcome:
        async with turns:
            outcome = await fuzzed(name, seconds, keeps=keeps)
        print(outcome.row, flush=True)
        for fault in outcome.faults:
            print(f"        {fault}", flush=True)
        return outcome

    return await asyncio.gather(*map(one, names))


def main() -> int:
    """Fuzz what the command line names."""
    told = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    told.add_argument("words", nargs="*")
    told.add_argument("--seconds", type=int, default=60)
    told.add_argument("--jobs", type=int, default=2)
    told.add_argument("--keep", action="store_true")
    asked = told.parse_args()
    names = [name for name, _ in parsers() if not asked.words or any(word in name for word in asked.words)]
    print(f"        {'parser':28} {'inputs':>9} {'corpus':>6}  {'lines reached':13}  branches")
    outcomes = asyncio.run(every(names, asked.seconds, asked.jobs, keeps=asked.keep))
    failed = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"\n{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
