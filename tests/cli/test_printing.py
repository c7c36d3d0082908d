"""What cardctl prints and cardd logs, where names come from cards, providers and programs: no terminal obeys them."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import logging
import os
import pty
import struct
import termios
from argparse import Namespace

import pytest

from cardd.cli.command import Context
from cardd.cli.terminal import Terminal, qr_code
from cardd.cli.waiting import patiently
from cardd.system.journal import CleanFormatter

BLOCKED = "La carte n'accepte plus de code porteur."
HOSTILE = "A\x1b[2J\x1b]0;owned\x07B\r\x9b31mC\x85D\u2028E\u202eF\u200bG\udcffH\nI"


class Screen(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def obeyed(told: str) -> set[str]:
    return {character for character in told if character != "\n" and not (character.isprintable() or character == " ")}


@pytest.mark.parametrize("way", ["say", "tell"])
def test_a_name_moves_no_cursor_and_makes_no_line_of_its_own(way: str) -> None:
    out = io.StringIO()
    getattr(Terminal(out, out), way)([HOSTILE, "after"])
    assert obeyed(out.getvalue()) == set()
    assert len(out.getvalue().splitlines()) == 2
    assert "A" in out.getvalue()
    assert "I" in out.getvalue()


def test_a_line_that_is_written_again_has_no_other_orders_than_our_own() -> None:
    err = Screen()
    Terminal(io.StringIO(), err).rewrite(HOSTILE)
    assert err.getvalue().startswith("\r\x1b[J")
    assert obeyed(err.getvalue().removeprefix("\r\x1b[J")) == set()


def test_our_own_styles_and_codes_to_scan_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Screen()
    terminal = Terminal(out, out)
    code = qr_code("otpauth://x", "utf-8")
    terminal.say([terminal.styled("right", "green"), "« é »\u00a0!", *code])
    assert out.getvalue().splitlines() == ["\x1b[32mright\x1b[0m", "« é »\u00a0!", *code]


def test_json_says_the_same_and_nothing_that_a_terminal_obeys() -> None:
    out = io.StringIO()
    hostile = HOSTILE.replace("\udcff", "\U000e0001")
    Context(Namespace(json=True), "en", Terminal(out, out)).answer({"name": hostile, "é": ["ê"]}, [])
    assert obeyed(out.getvalue()) == set()
    assert json.loads(out.getvalue()) == {"name": hostile, "é": ["ê"]}
    assert "é" in out.getvalue()


def test_a_name_makes_no_line_of_the_log() -> None:
    failure = ValueError(HOSTILE)
    traceback = (ValueError, failure, None)
    record = logging.LogRecord("cardd", logging.ERROR, "x", 1, "reader %s", (HOSTILE,), traceback)
    told = CleanFormatter("%(levelname)s %(message)s").format(record)
    assert obeyed(told) == set()
    assert told.splitlines()[0].endswith("H I")


def test_on_a_narrow_terminal_names_and_values_stay_aligned() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 40, 0, 0))
    with os.fdopen(theirs, "w") as narrow:
        rows = Terminal(narrow, narrow).pairs([("Carte CPx", BLOCKED), ("e-CPS", "x" * 50)])
    os.close(ours)
    assert rows == ["Carte CPx  La carte n'accepte plus de", "           code porteur.", f"e-CPS      {'x' * 50}"]
    assert Terminal(io.StringIO(), io.StringIO()).pairs([("a", "b " * 50)]) == ["a  " + ("b " * 50).rstrip()]


async def late(seconds: float, terminal: Terminal, *lines: str) -> int:
    if lines:
        terminal.say(lines)
    await asyncio.sleep(seconds)
    terminal.say(["answer"])
    return 0


@pytest.mark.parametrize(
    ("stream", "seconds", "before", "told"),
    [
        (Screen, 0.3, (), True),
        (Screen, 0.0, (), False),  # the answer came at once
        (Screen, 0.3, ("already",), False),  # something is shown
        (io.StringIO, 0.3, (), False),  # nobody watches
    ],
)
async def test_whoever_watches_a_command_that_waits_is_told_until_the_answer_comes(
    stream: type[io.StringIO], seconds: float, before: tuple[str, ...], told: bool
) -> None:
    out, err = io.StringIO(), stream()
    context = Context(Namespace(json=False), "fr", Terminal(out, err))
    assert await patiently(context, late(seconds, context.terminal, *before), after=0.1) == 0
    assert ("Toujours en attente d'une réponse" in err.getvalue()) is told
    assert err.getvalue().endswith("\r\x1b[J") is told  # gone before the answer
    assert out.getvalue().endswith("answer\n")
