"""Run the load for some minutes (`make soak MINUTES=60`; 10 else) and say whether what the daemon holds stayed flat.

Exit status 0 only where all of it did, and every answer was one that was to be expected.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from cardd.system.store import FileStore
from tests.bench.listening import ORIGIN
from tests.bench.station import Station
from tests.rig.page_keys import BrowserKey, consents
from tests.soak.load import OTHER_SLOT, RAW, Load
from tests.soak.samples import WARM, Answers, Samples

RESULT = Path("soak.json")
LOOKS = 120
SHORTEST = 0.5  # seconds between two looks
UNEXPECTED_MAX = 10  # that are told
SETTINGS = f'\n[web]\nallowed_origins = ["{ORIGIN}"]\nbrowsers = ["any"]\n'


def soak(directory: Path, seconds: float) -> tuple[Samples, Answers]:
    """Return what was seen in so many seconds of load."""
    station, key, uid = Station(directory, extra=SETTINGS), BrowserKey(), os.getuid()
    station.daemon.state.mkdir(mode=0o700)
    FileStore(station.daemon.state).save("clients", consents(key, [ORIGIN], [uid]))
    answers = Answers()
    with station.running(), station.card():
        samples = Samples(station.daemon.pid, answers, RAW)
        with Load(station, key, uid, answers).running():
            began = time.monotonic()
            while (gone := time.monotonic() - began) < seconds:
                time.sleep(max(SHORTEST, seconds / LOOKS))
                samples.take(min(1.0, gone / seconds))
    return samples, answers


def main() -> int:
    """The exit status."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory(prefix="cardd-soak-") as directory:
        samples, answers = soak(Path(directory), 60 * minutes)
    for kind, count in sorted(answers.counts.items()):
        print(f"{count:>9}  {kind}")
    print(f"\nafter the first {100 * WARM:.0f} % of {minutes:g} min, slots 0 and {OTHER_SLOT}:")
    flat, seen = True, []
    for quantity, before, after, is_flat in samples.verdicts():
        flat &= is_flat
        verdict = "flat" if is_flat else "GROWS"
        print(f"{quantity.name:<22} {before:>8.1f} to {after:>8.1f} {quantity.unit:<3} {verdict}")
        seen.append((quantity.name, f"{before:.1f} {quantity.unit}", f"{after:.1f} {quantity.unit}", verdict))
    RESULT.write_text(json.dumps({"minutes": minutes, "answers": answers.counts, "flat": seen}, indent=1) + "\n")
    print(f"answers that nobody expected: {len(answers.unexpected)}")
    for told in answers.unexpected[:UNEXPECTED_MAX]:
        print(f"  {told}")
    return 0 if flat and not answers.unexpected else 1


if __name__ == "__main__":
    sys.exit(main())
