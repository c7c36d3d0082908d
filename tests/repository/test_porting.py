"""The rule that keeps docs/porting.md honest catches each way in which a module can know the operating system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.porting import PAGE, the_page_names_what_knows_the_system

ROW = "| modules | Linux |\n|---|---|\n| `cardd/system/`, `cardd/secret.py` | all |\n"
NAMED = {PAGE: ROW, Path("cardd/system/peer.py"): "import fcntl\n", Path("cardd/secret.py"): "import ctypes\n"}


@pytest.mark.parametrize(
    "code",
    [
        "import termios",
        "from pwd import getpwuid",
        "import os\nuser = os.geteuid()",
        "import socket\nfamily = socket.AF_UNIX",
        "async def stop(loop):\n    loop.add_signal_handler(15, loop.stop)",
        'PLACE = "/run/cardd/cardd.sock"',
    ],
)
def test_a_module_that_knows_the_system_and_stands_in_no_table_is_told(code: str) -> None:
    """A port would not know of the module."""
    told = list(the_page_names_what_knows_the_system({**NAMED, Path("cardd/core/sessions.py"): code}))
    assert told == ["cardd/core/sessions.py: knows the operating system, and docs/porting.md does not name it"]


def test_a_module_that_knows_nothing_of_the_system_needs_no_row() -> None:
    """Paths of the API and names of other libraries look alike."""
    code = 'import select\nROUTE = "/v1/status"\nasync def turn(reader):\n    await reader.poll()\n'
    assert list(the_page_names_what_knows_the_system({**NAMED, Path("cardd/core/sessions.py"): code})) == []


def test_a_row_that_nothing_needs_any_more_is_told() -> None:
    """A page that names too much sends a port the wrong way."""
    files = {**NAMED, Path("cardd/secret.py"): "import hashlib\n"}
    told = list(the_page_names_what_knows_the_system(files))
    assert told == ["docs/porting.md: names cardd/secret.py, which knows nothing of the operating system"]
