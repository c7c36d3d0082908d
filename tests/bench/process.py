"""The daemon as a process: how soon it is ready, how much memory it holds, whether it wakes by itself, its size."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Measure, Series, p50
from tests.bench.status import cpu_seconds
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Lps

STARTS = 7
IDLE = 10.0
SETTLED = 3.0
ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([\w.-]+)==", re.MULTILINE)


def starts(daemons: Iterator[DaemonProcess]) -> Iterator[Measure]:
    """From exec to READY=1, as a ratio to what importing aiohttp.web alone takes, in turn; to the first answer."""
    ratios, answered, used = [], Series(), []
    memory_at_rest = []
    for _ in range(STARTS):
        daemon = next(daemons)
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import aiohttp.web"], check=True, env=daemon.environment)
        imported = time.monotonic() - began
        began = time.monotonic()
        daemon.start()
        ratios.append((time.monotonic() - began) / imported)
        used.append(1000 * cpu_seconds(daemon.pid))
        status, _ = Lps(daemon.port).call("GET", "/v1/status")
        assert status == 200
        answered.add([1000 * (time.monotonic() - began)])
        memory_at_rest.append(memory(daemon).value)
        daemon.stop()
    yield Measure("start to ready / import aiohttp.web", p50(ratios), "x", 1.25, noise=_differ(ratios))
    yield Measure("cold start to the first answer", answered.p50, "ms", noise=answered.noise)
    yield Measure("  CPU time of the start, the least", min(used), "ms")
    yield Measure("resident memory at rest, one call answered", p50(memory_at_rest), "MB", 55)


def _differ(values: list[float]) -> float:
    return abs(p50(values[::2]) - p50(values[1::2]))


def memory(daemon: DaemonProcess, target: float | None = None) -> Measure:
    """Resident memory now."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return Measure("resident memory after use", int(found[1]) * 1024 / 1e6, "MB", target)


def pss(pid: int) -> float:
    """The process' share of memory: pages that others map too count in part; megabytes."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1e6


def idle_wake_ups(daemon: DaemonProcess) -> Measure:
    """System calls of the whole daemon in ten idle seconds, once it has settled: each is a wake-up."""
    time.sleep(SETTLED)
    return Measure("system calls in 10 s of idleness", len(system_calls(daemon.pid)), "calls", 0)


def system_calls(pid: int) -> list[str]:
    """What strace sees the process call in ten seconds."""
    with tempfile.NamedTemporaryFile() as trace:
        strace = subprocess.Popen(
            ["strace", "-f", "-q", "-o", trace.name, "-p", str(pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(IDLE)  # the measure itself: nothing is waited for
        strace.terminate()
        strace.wait(10)
        lines = Path(trace.name).read_text().splitlines()
    # a line for each call that was under way when strace came or left is no wake-up
    return [line for line in lines if "resumed" not in line and "unfinished" not in line and "detached" not in line]


def installed() -> Iterator[Measure]:
    """The size of cardd and its drivers, and of the packages that they need; without Python."""
    own = sum(map(_bytes, ("cardd", "drivers/cardd_drivers")))
    needed = 0
    for name in PIN.findall((ROOT / ".make" / "runtime.lock").read_text()):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:  # another system's
            continue
        needed += sum(file.size or 0 for file in files)
    yield Measure("size of cardd and its drivers, installed", own / 1e6, "MB")
    yield Measure("  of the Python packages that they need", needed / 1e6, "MB")


def _bytes(folder: str) -> int:
    files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files)
