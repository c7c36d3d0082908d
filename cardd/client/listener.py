"""Who may listen on a Unix socket: whoever could have put it where it lies.

Source: unix(7), path_resolution(7), inode(7) on the sticky bit.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

ROOT = 0


class SocketPlace:
    """A socket's path, and whether a stranger could have put something there."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self._ways = [str(place) for place in (*reversed(self.path.parents), self.path)]

    def stranger(self) -> int | None:
        """Return the user, other than root and this one, who could have put the socket there; None for nobody.

        A folder into which only trusted users write holds what they put there, and whom they gave a folder or a file
        is trusted too: ``/run`` is root's, who gave ``/run/cardd`` to the service. In a folder into which everybody
        may write nothing counts but what a trusted user owns, and the sticky bit keeps from everybody else. Raises
        FileNotFoundError where nothing is.
        """
        trusted, is_open, is_sticky = {ROOT, os.geteuid()}, False, True
        for way in self._ways:
            found = os.lstat(way)
            if is_open and (found.st_uid not in trusted or not is_sticky):
                return found.st_uid
            trusted.add(found.st_uid)
            is_open, is_sticky = bool(found.st_mode & stat.S_IWOTH), bool(found.st_mode & stat.S_ISVTX)
        return None
