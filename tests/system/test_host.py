"""What the daemon's process gives up, seen from outside."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.rig import other_user

HARDENED = "from cardd.system.host import harden"
PRINT = "print(os.getpid(), flush=True)\nsys.stdin.read()\n"


@pytest.fixture
def hardened() -> Iterator[int]:
    command = [sys.executable, "-c", f"import os, sys\n{HARDENED}\nharden()\n{PRINT}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def test_a_hardened_process_leaves_no_core_and_can_gain_no_privilege(hardened: int) -> None:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{hardened}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1"
    assert status["Umask"] == "0077"
    limits = Path(f"/proc/{hardened}/limits").read_text()
    assert next(line for line in limits.splitlines() if "core" in line).split()[4:6] == ["0", "0"]


@other_user.needs_root
@pytest.mark.parametrize(("call", "result"), [("", "read"), ("harden()\n", "refused")], ids=["before", "hardened"])
def test_another_process_of_the_same_user_cannot_look_into_it(call: str, result: str) -> None:
    dumpable = "import ctypes\nctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # as after a login: setuid took it away
    look = (
        "try:\n    os.close(os.open(f'/proc/{sys.argv[1]}/environ', os.O_RDONLY))\n    print('read')\n"
        "except PermissionError:\n    print('refused')\n"
    )
    with other_user.start(dumpable + call + PRINT, imports=HARDENED + "\nimport ctypes") as process:
        assert process.stdout is not None
        pid = process.stdout.readline().strip()
        assert other_user.run(dumpable + look, pid, imports="import ctypes").strip() == result
        process.communicate()


FILLED = """
import asyncio, logging, resource, sys
from cardd.system.host import descriptors_for_callers, throttle_exhaustion

async def main():
    logging.basicConfig(format="%(message)s")
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 32))
    print(descriptors_for_callers())
    throttle_exhaustion(asyncio.get_running_loop())
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def test_connections_that_cannot_be_accepted_are_told_once_and_not_each_time() -> None:
    command = [sys.executable, "-c", FILLED]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process, ExitStack() as crowd:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == 16  # of the 32 that it may have, which it takes
        port = int(process.stdout.readline())
        for _ in range(60):
            crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
        time.sleep(1.2)  # asyncio tries once a second
        crowd.close()
        _, told = process.communicate()
    assert told.splitlines() == ["no file descriptor was left for a connection (1 attempts)"]
