"""A bare PC/SC script: the APDUs of a signature and nothing else, timed. Run as a program of its own.

Usage: bare.py READER COUNT held|fresh PIN. Prints a JSON list of milliseconds, one for each signature. ``held`` sends
each signature inside one transaction that is already logged in (PSO, GET RESPONSE); ``fresh`` gives each its own
transaction (VERIFY, MSE, PSO, GET RESPONSE, reset).
"""

from __future__ import annotations

import hashlib
import json
import sys
from time import perf_counter, sleep

from smartcard.scard import (
    SCARD_LEAVE_CARD,
    SCARD_PROTOCOL_T0,
    SCARD_RESET_CARD,
    SCARD_S_SUCCESS,
    SCARD_SCOPE_USER,
    SCARD_SHARE_SHARED,
    SCardBeginTransaction,
    SCardConnect,
    SCardEndTransaction,
    SCardEstablishContext,
    SCardReconnect,
    SCardTransmit,
)

VERIFY = [0x00, 0x20, 0x00, 0x01]
MSE = [0x00, 0x22, 0x41, 0xB6, 0x06, 0x80, 0x01, 0x42, 0x84, 0x01, 0x81]
PSO = [0x00, 0x2A, 0x9E, 0x9A, 0x20]
GET_RESPONSE = [0x00, 0xC0, 0x00, 0x00, 0x00]
PAUSE = 0.001  # seconds before each signature: the daemon's transaction before it has ended then, and both rest as long


class Card:
    """One connected card."""

    def __init__(self, reader: str, pin: str) -> None:
        _, context = SCardEstablishContext(SCARD_SCOPE_USER)
        code, self.handle, _ = SCardConnect(context, reader, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0)
        if code != SCARD_S_SUCCESS:
            raise SystemExit(f"cannot connect: {code & 0xFFFFFFFF:#010x}")
        self.pin = [len(pin), *pin.encode()]

    def send(self, apdu: list[int]) -> list[int]:
        """One APDU; anything but 9000 and 61xx ends the script."""
        code, answer = SCardTransmit(self.handle, SCARD_PROTOCOL_T0, apdu)
        if code != SCARD_S_SUCCESS or answer[-2] not in (0x90, 0x61):
            raise SystemExit(f"{apdu[:4]} answered {code} {answer}")
        return list(answer)

    def begin(self) -> None:
        """Begin a transaction and log in, for the signature key."""
        if SCardBeginTransaction(self.handle) != SCARD_S_SUCCESS:  # another program reset the card meanwhile
            self.reconnect(SCARD_LEAVE_CARD)
            SCardBeginTransaction(self.handle)
        self.send(VERIFY + self.pin)
        self.send(MSE)

    def reconnect(self, disposition: int) -> None:
        """Take note of a reset, or make one."""
        SCardReconnect(self.handle, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0, disposition)

    def end(self) -> None:
        """Reset the card and end the transaction."""
        self.reconnect(SCARD_RESET_CARD)
        SCardEndTransaction(self.handle, SCARD_LEAVE_CARD)

    def sign(self, digest: bytes) -> None:
        """PSO and GET RESPONSE."""
        self.send(PSO + list(digest))
        self.send(GET_RESPONSE)


def held(card: Card, digests: list[bytes]) -> list[float]:
    """Each signature inside one logged-in transaction."""
    times = []
    card.begin()
    for digest in digests:
        sleep(PAUSE)
        started = perf_counter()
        card.sign(digest)
        times.append(perf_counter() - started)
    card.end()
    return times


def fresh(card: Card, digests: list[bytes]) -> list[float]:
    """Each signature with a transaction and a login of its own; the reset that ends it is not on the user's time."""
    times = []
    for digest in digests:
        sleep(PAUSE)
        started = perf_counter()
        card.begin()
        card.sign(digest)
        times.append(perf_counter() - started)
        card.end()
    return times


def main() -> None:
    """Time COUNT signatures, after two that warm up."""
    reader, count, mode, pin = sys.argv[1:5]
    card = Card(reader, pin)
    digests = [hashlib.sha256(bytes([n % 256])).digest() for n in range(int(count) + 2)]
    times = (held if mode == "held" else fresh)(card, digests)[2:]
    print(json.dumps([1000 * time for time in times]))


if __name__ == "__main__":
    main()
