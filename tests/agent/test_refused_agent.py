"""A program that comes as an agent and is refused is told to its user, once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cardd.agent.agent import Agent
from cardd.agent.processes import AgentProcess
from cardd.agent.server import RefusedAgent
from cardd.config import Config, Prompt
from cardd.core.trail import AuditTrail
from cardd.daemon import Agents
from cardd.peer_process import SO_PEERPIDFD
from cardd.system.browsers import holders
from tests.rig.memory import MemoryAudit
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.waiting import eventually


def refusals(audit: MemoryAudit, number: int) -> bool:
    return audit.acts().count("agent.register refused") == number


async def test_a_refused_agent_opens_one_window_and_is_a_row_each_time(tmp_path: Path) -> None:
    pinentry, audit = ScriptedPinentry(tmp_path), MemoryAudit()
    trail = AuditTrail(audit)
    agents = Agents(Config(prompt=Prompt(agents="any")), lambda: trail, lambda _: None, 0.0)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "agent.sock"))
        listening.listen()
        listening.setblocking(False)
        agents.dialogs.start([listening])
        own = asyncio.create_task(Agent(tmp_path / "agent.sock", str(pinentry.path), holders).run())
        refused = RefusedAgent(os.getuid(), os.getpid(), is_stranger=False)
        for number in range(1, 4):
            agents.refused(refused)
            await eventually(partial(refusals, audit, number))
            await eventually(lambda: len(pinentry.shown()) == 1)
        await asyncio.sleep(0)
        assert [shown.kind for shown in pinentry.shown()] == ["message"]
        own.cancel()
        await asyncio.gather(own, return_exceptions=True)
        await agents.stop()


def test_a_process_that_has_ended_is_no_agent_whoever_has_its_number_by_now() -> None:
    class Ended(socket.socket):
        """A connection whose process has ended, while its number is this one's: the kernel has no pidfd of it."""

        def getsockopt(self, *asked: Any) -> Any:
            if asked[1] == SO_PEERPIDFD:
                raise ProcessLookupError(errno.ESRCH, "No such process")
            return super().getsockopt(*asked)

    one, other = socket.socketpair()
    with other, Ended(fileno=one.detach()) as connection, pytest.raises(ProcessLookupError):
        AgentProcess(connection)
