"""A blind trial of doctor: twelve breakages drawn at random, and what its first line says of each.

``python -m tests.cli.blind_trial --seed 7`` prints a table: what was broken, the code that the first line told, the
line itself, the seconds that it took. Doctor does not know what was drawn; the exit status is 1 when a line was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from time import monotonic

from tests.cli.breakages import BREAKAGES, broken
from tests.cli.practice import Practice, first, practising

DRAWN = 12


def trial(practice: Practice, directory: Path, seed: int) -> int:
    """Break one thing after the other, and print a row for each; return how many first lines were wrong."""
    wrong = 0
    for code in random.Random(seed).sample(sorted(BREAKAGES), DRAWN):
        place = directory / code
        place.mkdir()
        with broken(code, practice, place) as surroundings:
            began = monotonic()
            found = asyncio.run(first(surroundings))
            took = monotonic() - began
        told = found.code if found else "–"
        line = f"{found.title('fr')} : {found.sentence('fr')}" if found else "–"
        wrong += told != code
        print(f"| {what(code)} | `{told}` | {'yes' if told == code else f'no: {code}'} | {line} | {took:.1f} s |")
    return wrong


def what(code: str) -> str:
    """Return in words what was broken."""
    return (BREAKAGES[code].__doc__ or code).splitlines()[0].rstrip(".")


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    seed = parser.parse_args().seed
    print(f"Seed {seed}\n\n| broken | first line's code | right | first line | took |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="cardd-trial-") as place:
        directory = Path(place)
        with practising(directory) as practice:
            return 1 if trial(practice, directory, seed) else 0


if __name__ == "__main__":
    sys.exit(main())
