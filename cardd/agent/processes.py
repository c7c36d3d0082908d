"""The processes that come as agents, and what the system tells of them and of the desktops that they belong to."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from cardd import peer_process


class AgentDesktops(Protocol):
    """What the system tells of the desktops, and of the processes that come as their agents."""

    async def settle(self) -> None:
        """Wait until the desktops are known, for a moment at most."""
        ...

    def desktop_of(self, uid: int, pid: int) -> str:
        """Return the desktop that this process of the user's belongs to."""
        ...

    def is_shown(self, desktop: str) -> bool:
        """Return whether this desktop is on a screen, and not locked."""
        ...

    def is_installed_agent(self, uid: int, pid: int) -> bool:
        """Return whether this process of the user's is the installed agent, as far as that can be told."""
        ...


class OneDesktop:
    """``AgentDesktops`` where nobody tells: each user has one, and any program may be its agent."""

    async def settle(self) -> None:
        """Return at once: there is nothing to wait for."""

    def desktop_of(self, _uid: int, _pid: int) -> str:
        """Return the same for every process."""
        return ""

    def is_shown(self, _desktop: str) -> bool:
        """Return that it may be."""
        return True

    def is_installed_agent(self, _uid: int, _pid: int) -> bool:
        """Return that it is: nothing tells the contrary."""
        return True


class AgentProcess:
    """The process that is a desktop's agent, known by a descriptor of it: its number may become another's."""

    def __init__(self, connection: socket.socket) -> None:
        """Raises OSError where there is no such process any more."""
        self.pid, self.uid = peer_process.credentials(connection)
        self.handle = peer_process.process_of(connection, self.pid)

    @property
    def has_ended(self) -> bool:
        """Return whether it runs no more."""
        return peer_process.has_ended(self.handle)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.handle)
