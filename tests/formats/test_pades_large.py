"""100 MB through PAdES in a process of its own: what it adds to that process's memory, and to the PDF process's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.rig.pdf import pdf, pdfsig

SIZE = 100 * 1024 * 1024
LIMIT = 64 * 1024  # KiB more than a small document wants
PDF_PROCESS_LIMIT = 128 * 1024  # KiB in all, libraries included

WORK = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions
from cardd.formats.pades import prepare_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pades import verify_pades
from cardd.model import Identity
from tests.rig.pdf import pdf
from tests.rig.pens import card_pen

pen, now, process = card_pen(), datetime.now(UTC), PdfProcess()
who = Identity("899000000010", "SIMULATION", "CAMILLE")
children = lambda: Path("/proc/self/task", str(os.getpid()), "children").read_text().split()

def peak(process):  # the kernel's own count: ru_maxrss would begin with what the parent had
    lines = Path("/proc", process, "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

def sign(document):
    prepared = prepare_pades(document, pen.signer, now, PadesOptions(), process=process, who=who)
    (found,) = verify_pades(prepared.finish(pen.sign(prepared.message)), process)
    assert found.intact

with new_document(pdf()) as small:
    sign(small)
before = peak("self")
with open(sys.argv[1], "r+b") as document:
    sign(document)
(child,) = children()
print(peak("self") - before, peak(child))
process.close()
"""


def test_100_mb_are_signed_and_read_again_in_little_memory(tmp_path: Path) -> None:
    document = tmp_path / "document.pdf"
    document.write_bytes(pdf(ballast=SIZE))
    done = subprocess.run([sys.executable, "-c", WORK, document], check=True, capture_output=True, text=True)
    grown, others = map(int, done.stdout.split())
    assert grown < LIMIT
    assert others < PDF_PROCESS_LIMIT
    assert [(judged.is_valid, judged.is_whole) for judged in pdfsig(document)] == [(True, True)]
