"""100 MB through CAdES in a process of its own: what it adds to that process's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.openssl import accepts_cms
from tests.rig.pens import Pen

SIZE = 100 * 1024 * 1024
LIMIT = 64 * 1024  # KiB
PIECE = bytes(range(256)) * 4096

WORK = """
import re, shutil, sys
from datetime import UTC, datetime
from pathlib import Path
from cardd.formats.cades import prepare_cades
from cardd.formats.document import new_document
from cardd.formats.cades import verify_cms
from tests.rig.pens import card_pen

folder, detached = Path(sys.argv[1]), sys.argv[2] == "detached"
pen, now = card_pen(), datetime.now(UTC)

def peak():
    # not ru_maxrss: a child starts with its parent's, and pytest's would hide a copy of the whole document
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def sign(document):
    prepared = prepare_cades(document, pen.signer, now, detached=detached)
    return prepared.finish(pen.sign(prepared.message))

def judge(signed, document):
    (found,) = verify_cms(signed, document if detached else None)
    assert found.intact

with new_document(b"small") as small, sign(small) as signed:
    judge(signed, small)
before = peak()
with (folder / "document").open("rb") as document, sign(document) as signed:
    judge(signed, document)
    with (folder / "message").open("wb") as file:
        signed.seek(0)
        shutil.copyfileobj(signed, file)
print(peak() - before)
"""


@pytest.mark.parametrize("how", ["attached", "detached"])
def test_100_mb_are_signed_and_read_again_in_little_memory(card: Pen, tmp_path: Path, how: str) -> None:
    document, message = tmp_path / "document", tmp_path / "message"
    with document.open("wb") as file:
        for _ in range(SIZE // len(PIECE)):
            file.write(PIECE)
    done = subprocess.run([sys.executable, "-c", WORK, tmp_path, how], check=True, capture_output=True, text=True)
    assert int(done.stdout) < LIMIT
    assert accepts_cms(message, card.roots, document if how == "detached" else None)
