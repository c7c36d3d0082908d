"""What a command is given: its arguments, the user's language, the terminal, and the way to the daemon."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cardd.cli.terminal import Terminal
from cardd.i18n import text

if TYPE_CHECKING:
    from pathlib import Path

    from cardd.cli.kept import Kept
    from cardd.client import CarddClient


@dataclass
class Context:
    """One run of one command. ``arguments`` are those that its module declared, and the common ones."""

    arguments: Namespace
    language: str
    terminal: Terminal = field(default_factory=Terminal)

    def words(self, key: str, **params: str | int) -> str:
        """A text of the command line."""
        return text(f"cli.{key}", self.language, **params)

    @property
    def wants_json(self) -> bool:
        """Whether a program reads the answer."""
        return bool(self.arguments.json)

    def answer(self, value: object, lines: Iterable[str]) -> None:
        """Write the command's answer: the value as JSON, or the lines for people."""
        self.terminal.say([as_json(value)] if self.wants_json else lines)

    @cached_property
    def base(self) -> Path | str:
        """Where the daemon is: as the command line says, else as its configuration says."""
        if self.arguments.url or self.arguments.socket:
            return str(self.arguments.url) if self.arguments.url else self.socket(self.arguments.socket)
        from cardd.config.loading import load  # noqa: PLC0415 - only where it is not said
        from cardd.errors import ConfigInvalid  # noqa: PLC0415

        try:
            return load().listen.socket
        except ConfigInvalid:  # not readable by this user, or wrong: `config check` and `doctor` say so
            from cardd.client.transport import SOCKET  # noqa: PLC0415

            return SOCKET

    @staticmethod
    def socket(path: str) -> Path:
        """A socket's path, which does not depend on the folder that the next command is started in."""
        from pathlib import Path  # noqa: PLC0415

        return Path(path).absolute()

    @cached_property
    def kept(self) -> Kept:
        """What cardctl remembers between two runs."""
        from cardd.cli.kept import Kept  # noqa: PLC0415 - few commands need it

        return Kept(str(self.base))

    def client(self, secret: str | None = None) -> CarddClient:
        """A client of the daemon. Raises InvalidRequest for an address that is not this machine's."""
        from cardd.client import CarddClient  # noqa: PLC0415 - 150 ms that not every command needs

        return CarddClient(self.base, secret, self.language)


def as_json(value: object) -> str:
    """Any of our values as JSON: byte values in base64, times in ISO 8601."""
    from msgspec import json  # noqa: PLC0415 - people read lines

    return json.format(json.encode(value), indent=2).decode()
