"""Ctrl-C at any moment: a status, and no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

COMMANDS = {
    "cardctl": ("status", "--socket", "/nowhere"),
    "cardd": ("run", "--config", "/nowhere"),
    "agent": ("--socket", "/nowhere"),
}


@pytest.mark.parametrize("loaded", ["argparse", "asyncio.events"])
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_while_modules_are_loaded_ends_without_a_traceback(command: str, loaded: str) -> None:
    start = f"import sys; from cardd.cli.start import {command}; sys.argv[0] = '{command}'; sys.exit({command}())"
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", start, *COMMANDS[command]], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:  # each module as it has been loaded
            if line.rpartition("|")[2].strip() == loaded:
                break
        process.send_signal(signal.SIGINT)
        told = [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, told) == (130, [])
