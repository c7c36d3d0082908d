"""A terminal for a real program: a pseudo-terminal that is its standard input and, mostly, its controlling terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
LIMIT = 20.0  # seconds
ROWS, COLUMNS = 40, 110
ECHO_FLAGS = 3  # place of the local modes in what tcgetattr gives
TYPE = "vt100"  # which repeats no character and moves the cursor over no word, so that words are found in one piece
# line drawing, then control sequences, character sets, modes
ESCAPES = re.compile(r"\x0e[^\x0f\x1b]*|\x0f|\x1b\[[0-9;?]*[A-Za-z]|\x1b[()].|\x1b[=>]")


class Terminal:
    """Runs a command on a terminal of its own; its standard output is a pipe, read by ``end``.

    Without ``controlling`` the program has no controlling terminal, and nothing to type on; ``watched`` shows its
    standard error there too.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        controlling: bool = True,
        watched: bool = False,
        columns: int = COLUMNS,
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("4H", ROWS, columns, 0, 0))
        self.modes = self._modes()
        self._raw = b""
        around = {**os.environ, "TERM": TYPE, "LC_ALL": "C.UTF-8", **(environment or {})}
        self.process = subprocess.Popen(
            ["/usr/bin/setsid", *(["--ctty"] if controlling else []), *command],
            stdin=self._theirs if controlling else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._theirs if watched else None,
            env=around,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()  # a killed one leaves a pinentry, which takes a core without a terminal
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def raw(self) -> bytes:
        """Everything that came out of the terminal so far."""
        self._read(0)
        return self._raw

    @property
    def screen(self) -> str:
        """Return the screen as words: without escapes and line drawing, all spaces plain."""
        return ESCAPES.sub(" ", self.raw.decode()).replace("\N{NO-BREAK SPACE}", " ")

    @property
    def restored(self) -> bool:
        """Whether the terminal's modes, echo among them, are those of the beginning."""
        return self._modes() == self.modes

    def wait_for(self, words: str, times: int = 1) -> None:
        """Return once the words have been shown so many times."""
        deadline = monotonic() + LIMIT
        while self.screen.count(words) < times:
            assert monotonic() < deadline, f"{words!r} not in {self.screen!r}"
            self._read(0.05)

    def wait_until_silent(self) -> None:
        """Return once what is typed is not shown."""
        deadline = monotonic() + LIMIT
        while termios.tcgetattr(self._theirs)[ECHO_FLAGS] & termios.ECHO:
            assert monotonic() < deadline, "the terminal still echoes"
            self._read(0.005)

    def wait_until_left(self) -> None:
        """Return once the terminal is its shell's again."""
        deadline = monotonic() + LIMIT
        while os.tcgetpgrp(self._ours) != self.process.pid:
            assert monotonic() < deadline, "the job keeps its terminal"
            self._read(0.005)

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def hang_up(self) -> None:
        """Close the window; nothing can be shown or typed any more."""
        silent = os.pipe()
        for end, silent_end in zip((self._ours, self._theirs), silent, strict=True):
            os.dup2(silent_end, end)
            os.close(silent_end)

    def end(self) -> str:
        """Wait for the program's end; what it printed."""
        deadline = monotonic() + LIMIT
        while self.process.poll() is None:
            assert monotonic() < deadline, f"it does not end; {self.screen!r}"
            self._read(0.01)  # a program may wait for its terminal to be read
        assert self.process.stdout
        return self.process.stdout.read().decode().strip()

    def _modes(self) -> list[object]:
        return list(termios.tcgetattr(self._theirs))

    def _read(self, patience: float) -> None:
        while select.select([self._ours], [], [], patience)[0]:
            self._raw += os.read(self._ours, 65536)
            patience = 0
