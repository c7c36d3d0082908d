"""`make faults`: a table, one row a fault, injected while clients sign; what came of it, and when work went on.

Words on the command line choose the rows that have one of them; ``--json`` prints one object instead of the table.
Exit status 0 only when every row passed. All runs in namespaces of its own: processes, and a small disk in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.faults.running import Row, rows_of
from tests.faults.table import Fault, faults

INSIDE = "CARDD_FAULTS_INSIDE"


def chosen(words: list[str]) -> list[Fault]:
    """Return the rows that have one of these words; all without any."""
    return [
        one
        for one in faults()
        if not words or any(word.lower() in f"{one.listed} {one.told}".lower() for word in words)
    ]


def main() -> int:
    """Inject the faults; print the table."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="print the rows, inject nothing")
    given = parser.parse_args()
    wanted = chosen(given.words)
    if given.list:
        print("\n".join(f"{one.within:5.1f} s  {one.listed}: {one.told}" for one in wanted))
        return 0
    if INSIDE not in os.environ:
        as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        own = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *as_user]  # nothing outlives this run
        command = ["unshare", *own, sys.executable, "-m", "tests.faults", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="cardd-faults-") as place:
        for row in rows_of(wanted, Path(place)):
            rows.append(row)
            if not given.json:
                print(row.told(), flush=True)
    failed = sum(bool(row.wrong) for row in rows)
    if given.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "passed": len(rows) - failed, "failed": failed}))
    else:
        print(f"\n{len(rows) - failed} passed, {failed} failed")
    return 0 if rows and len(rows) == len(wanted) and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
