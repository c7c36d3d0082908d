"""A PC/SC program that knows nothing of cardd: ``python -m tests.integration.card_program sign|steal READER …``.

``sign READER COUNT PIN`` signs so often, each time with its own VERIFY, and prints each signature in hex.
``steal READER`` asks for signatures without ever sending a PIN, in a transaction and without one, with an MSE and
without, until its input is closed; it prints each answer's status word, or PC/SC's own error.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from itertools import cycle, product

from smartcard import scard

from tests.integration.workstation import ROOT, Workstation

PROGRAM = "tests.integration.card_program"
VERIFY = [0x00, 0x20, 0x00, 0x01]
MSE = [0x00, 0x22, 0x41, 0xB6, 0x06, 0x80, 0x01, 0x42, 0x84, 0x01, 0x81]
DIGEST = [0x5A] * 32
PSO = [0x00, 0x2A, 0x9E, 0x9A, 0x20, *DIGEST]
GET_RESPONSE = [0x00, 0xC0, 0x00, 0x00, 0x00]


def start(workstation: Workstation, action: str, *arguments: str) -> subprocess.Popen[str]:
    """Start it beside the daemon, on the first reader."""
    return subprocess.Popen(
        [sys.executable, "-m", PROGRAM, action, workstation.pcscd.reader_names[0], *arguments],
        cwd=ROOT,
        env={**os.environ, **workstation.pcscd.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class Card:
    """One shared connection to the card."""

    def __init__(self, reader: str) -> None:
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        code, self._handle, _ = scard.SCardConnect(context, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0)
        assert code == scard.SCARD_S_SUCCESS, scard.SCardGetErrorMessage(code)

    def begin(self) -> None:
        """Begin a transaction, whoever reset the card meanwhile."""
        while scard.SCardBeginTransaction(self._handle) != scard.SCARD_S_SUCCESS:
            self.reconnect()

    def reconnect(self) -> None:
        """Take note of a reset."""
        scard.SCardReconnect(self._handle, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0, scard.SCARD_LEAVE_CARD)

    def end(self, disposition: int) -> None:
        """End the transaction."""
        scard.SCardEndTransaction(self._handle, disposition)

    def send(self, apdu: list[int]) -> tuple[str, bytes]:
        """The status word, or PC/SC's error, and the answer's data."""
        code, answer = scard.SCardTransmit(self._handle, scard.SCARD_PROTOCOL_T0, apdu)
        if code != scard.SCARD_S_SUCCESS:
            return f"{code & 0xFFFFFFFF:08X}", b""
        return bytes(answer[-2:]).hex(), bytes(answer[:-2])

    def signature(self) -> tuple[str, bytes]:
        """PSO: the status word, and the signature if there is one."""
        status, _ = self.send(PSO)
        return self.send(GET_RESPONSE) if status.startswith("61") else (status, b"")


def sign(card: Card, count: str, pin: str) -> None:
    """Sign as often as asked."""
    for _ in range(int(count)):
        card.begin()
        assert card.send([*VERIFY, len(pin), *pin.encode()])[0] == "9000"
        assert card.send(MSE)[0] == "9000"
        status, signature = card.signature()
        card.end(scard.SCARD_RESET_CARD)
        assert status == "9000", status
        print(signature.hex(), flush=True)


def steal(card: Card) -> None:
    """In every way, again and again."""
    for is_alone, prepares in cycle(product((False, True), repeat=2)):
        if is_alone:
            card.begin()
        if prepares:
            card.send(MSE)
        status, _ = card.signature()
        if is_alone:
            card.end(scard.SCARD_LEAVE_CARD)
        elif status == f"{scard.SCARD_W_RESET_CARD & 0xFFFFFFFF:08X}":
            card.reconnect()
        print(status, flush=True)
        if select.select([sys.stdin], [], [], 0.002)[0]:
            return


def main(action: str, reader: str, *arguments: str) -> None:
    """What the command line says."""
    card = Card(reader)
    if action == "sign":
        sign(card, *arguments)
    else:
        steal(card)


if __name__ == "__main__":
    main(*sys.argv[1:])
