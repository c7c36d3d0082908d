"""The daemon's side of the agents' socket."""

from __future__ import annotations

import socket
from pathlib import Path

from cardd.agent.dialogs import Dialogs
from cardd.agent.processes import AgentDesktops
from cardd.agent.server import SILENT_MAX, AgentServer, RefusedAgent
from tests.agent.questions import US, pin_question, typed
from tests.rig.waiting import eventually

NO_PINENTRY = "/bin/false"  # the desk has none of its own: whoever answers, it was an agent
GREETING_TIMEOUT, WITNESS_TIMEOUT = 0.5, 5.0


class Desk:
    """Dialogs that listen where agents come. ``pinentry`` is their own program, ``desktops`` what the system tells."""

    def __init__(
        self, directory: Path, pinentry: Path | str = NO_PINENTRY, desktops: AgentDesktops | None = None
    ) -> None:
        self._desktops = desktops
        self.witness_timeout = WITNESS_TIMEOUT
        self.greeting_timeout, self.silent_max = GREETING_TIMEOUT, SILENT_MAX
        self.path = directory / "agent.sock"
        self._pinentry = str(pinentry)

    def start(self) -> None:
        """Listen, and know nobody yet."""
        self.refused: list[RefusedAgent] = []
        self.children: set[int] = set()
        self.agents = AgentServer(
            desktops=self._desktops,
            greeting_timeout=self.greeting_timeout,
            silent_max=self.silent_max,
            witness_timeout=self.witness_timeout,
            on_refused=self.refused.append,
            is_our_child=self.children.__contains__,
        )
        self.dialogs = Dialogs(program=self._pinentry, timeout=20, agents=self.agents, armed_after=0)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        self.path.chmod(0o666)
        listener.listen()
        self.dialogs.start([listener])

    async def stop(self) -> None:
        """Let every agent go."""
        await self.dialogs.stop()
        self.path.unlink()

    async def has(self, count: int, uid: int = US) -> None:
        """Return once so many agents of the user wait."""
        await eventually(lambda: self.agents.waiting(uid) == count)

    async def ask(self, uid: int = US) -> bytes:
        """Ask for a PIN; return what was typed."""
        return await typed(self.dialogs, pin_question(None, uid=uid))
