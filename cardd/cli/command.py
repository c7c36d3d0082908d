"""What a command of cardctl is, and what it is given: its arguments, the user's language, the terminal, the daemon."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from cardd.cli.terminal import Terminal
from cardd.model import shown
from cardd.values import Record, Value, field

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from cardd.cli.parser import Parser
    from cardd.cli.remembered import Remembered
    from cardd.client import CarddClient


def no_arguments(parser: Parser) -> None:
    """Declare nothing: the command has the common options only."""


class Command(Value):
    """One command: ``run`` does it and returns the exit status, ``arguments`` declares what it may be told.

    ``run`` raises the classes of ``cardd.errors``.
    """

    run: Callable[[Context], Coroutine[None, None, int]]
    arguments: Callable[[Parser], None] = no_arguments


class Context(Record, dict=True):
    """One run of one command. ``arguments`` are those that the command declared, and the common ones."""

    arguments: Namespace
    language: str
    terminal: Terminal = field(default_factory=Terminal)
    partial: dict[str, object] = field(default_factory=dict)  # what was done before a failure: JSON tells both

    @property
    def wants_json(self) -> bool:
        """Whether a program reads the answer."""
        return bool(self.arguments.json)

    def answer(self, value: object, lines: Iterable[str]) -> None:
        """Write the command's answer: the value as JSON, or the lines for people."""
        self.terminal.say(as_json(value).split("\n") if self.wants_json else lines)

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
        """Return a socket's path, which does not depend on the folder that the next command is started in."""
        from pathlib import Path  # noqa: PLC0415

        return Path(path).absolute()

    @cached_property
    def remembered(self) -> Remembered:
        """What cardctl remembers between two runs."""
        from cardd.cli.remembered import Remembered  # noqa: PLC0415 - few commands need it

        return Remembered(str(self.base))

    def client(self, secret: str | None = None) -> CarddClient:
        """Return a client of the daemon. Raises InvalidRequest for an address that is not this machine's."""
        from cardd.client import CarddClient  # noqa: PLC0415 - 150 ms that not every command needs

        return CarddClient(self.base, secret, self.language)


def as_json(value: object) -> str:
    """Return any of our values as JSON: byte values in base64, times in ISO 8601."""
    from msgspec import json, to_builtins  # noqa: PLC0415 - people read lines

    try:
        encoded = json.encode(value)
    except UnicodeEncodeError:  # a file is called by bytes that are no text
        from json import dumps  # noqa: PLC0415 - for such a name

        text = dumps(to_builtins(value), ensure_ascii=False)
        encoded = text.encode(errors="surrogatepass").decode(errors="replace").encode()
    told = json.format(encoded, indent=2).decode()
    return "".join(character if character == "\n" else _escaped(character) for character in told)


def _escaped(character: str) -> str:
    """Return the character, escaped where a terminal might obey it."""
    if shown(character) == character:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place] << 8 | units[place + 1]:04x}" for place in range(0, len(units), 2))
