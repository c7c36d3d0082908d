"""A second PC/SC program: ``python -m tests.rig.other_program reset|hold|exclusive|connect READER``.

``reset`` resets the card and ends. ``hold`` (a transaction), ``exclusive`` (a connection) and ``connect`` (a shared
one) say ``held`` on stdout and let go when stdin is closed. pcscd powers a card off within a second of its last
connection, and on with the next one, which is a reset: a test that counts resets has one program stay connected.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.pcscd import Pcscd

ROOT = Path(__file__).parents[2]


def command(action: str, reader: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "tests.rig.other_program", action, reader]


def reset(pcscd: Pcscd, reader: str) -> None:
    """Have another program reset the card."""
    subprocess.run(command("reset", reader), env={**os.environ, **pcscd.environment}, cwd=ROOT, check=True, timeout=20)


@contextmanager
def holding(pcscd: Pcscd, reader: str, action: str = "hold") -> Iterator[None]:
    """Have another program hold the card inside the ``with``."""
    with subprocess.Popen(
        command(action, reader),
        env={**os.environ, **pcscd.environment},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield  # Popen's own end closes the program's stdin and waits for it


def main(action: str, reader: str) -> None:
    """Do what the command line says."""
    from smartcard import scard

    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    share = scard.SCARD_SHARE_EXCLUSIVE if action == "exclusive" else scard.SCARD_SHARE_SHARED
    code, card, _ = scard.SCardConnect(context, reader, share, scard.SCARD_PROTOCOL_ANY)
    assert code == 0, scard.SCardGetErrorMessage(code)
    while action != "connect" and scard.SCardBeginTransaction(card) == scard.SCARD_W_RESET_CARD:
        scard.SCardReconnect(card, share, scard.SCARD_PROTOCOL_ANY, scard.SCARD_LEAVE_CARD)  # as programs do
    if action != "reset":
        print("held", flush=True)
        sys.stdin.read()
    if action != "connect":
        scard.SCardEndTransaction(card, scard.SCARD_RESET_CARD if action == "reset" else scard.SCARD_LEAVE_CARD)
    scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)


if __name__ == "__main__":
    main(*sys.argv[1:])
