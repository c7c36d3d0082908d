"""The daemon as a process: how soon it is ready, how much memory it holds, and whether it ever wakes by itself."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Measure, p50
from tests.rig.daemon import DaemonProcess

STARTS = 7
IDLE = 10.0


def start_to_ready(daemons: Iterator[DaemonProcess]) -> Measure:
    """From exec to READY=1, as a ratio to what importing aiohttp.web alone takes, in turn."""
    ratios = []
    for _ in range(STARTS):
        daemon = next(daemons)
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", "import aiohttp.web"], check=True, env=daemon.environment)
        imported = time.monotonic() - started
        started = time.monotonic()
        daemon.start()
        ratios.append((time.monotonic() - started) / imported)
        daemon.stop()
    return Measure("start to ready / import aiohttp.web", p50(ratios), "x", 1.5)


def memory(daemon: DaemonProcess) -> Measure:
    """Resident memory, after the daemon has done all that a bench asks of it."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return Measure("resident memory", int(found[1]) * 1024 / 1e6, "MB", 60)


def idle_wake_ups(daemon: DaemonProcess) -> Measure:
    """System calls of the whole daemon in ten idle seconds, counted by strace: each is a wake-up."""
    with tempfile.NamedTemporaryFile() as trace:
        strace = subprocess.Popen(
            ["strace", "-f", "-q", "-o", trace.name, "-p", str(daemon.pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(IDLE)  # the measure itself: nothing is waited for
        strace.terminate()
        strace.wait(10)
        lines = Path(trace.name).read_text().splitlines()
    # a line for each call that was under way when strace came or left is no wake-up
    calls = [line for line in lines if "resumed" not in line and "unfinished" not in line and "detached" not in line]
    return Measure("system calls in 10 s of idleness", len(calls), "calls", 0)
