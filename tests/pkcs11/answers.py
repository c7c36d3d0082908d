"""A module's process that answers as a table says, by the slot that is asked; it is started as the host is.

So a test meets what no module at hand answers.
"""

from __future__ import annotations

import contextlib
import socket
import sys

from cardd.frames import Broken
from cardd_drivers.pkcs11.wire import (
    Describe,
    Description,
    ListTokens,
    Logout,
    Reply,
    TokenCertificate,
    TokenState,
    receive_request,
    send_reply,
)

MECHANISMS = (0x01, 0x0D, 0x1041)  # CKM_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_ECDSA
NOTHING = Reply(0)
# one slot each: what is answered once the token has told what it is
ANSWERS = (
    NOTHING,
    *(Reply(code) for code in (0x54, 0x103, 0xE2, 0xA0, 0xA2, 0xA4, 0x50, 0x32, 0x101, 0x05, 0x70)),
    *(Reply(0xA0, flags=flags) for flags in (0x20000, 0x40000, 0x200000, 0x400000)),
    *(Reply(code, of_new=True) for code in (0xA0, 0xA2)),
    Reply(-1, "ValueError: odd"),
)
MUTE = len(ANSWERS)  # the slot of a token that does not describe itself


def slot_of(answer: Reply) -> int:
    """Return the slot in which this is answered."""
    return ANSWERS.index(answer)


def main(link: int, certificates: list[str]) -> None:
    """Answer until the daemon leaves; the certificates are a usable key's and others, DER in hexadecimal."""
    told = tuple(TokenCertificate(bytes([n]), "", bytes.fromhex(der)) for n, der in enumerate(certificates))
    with socket.socket(fileno=link) as daemon, contextlib.suppress(Broken, ConnectionError):
        while True:
            request, _ = receive_request(daemon)
            match request:
                case ListTokens():
                    reply = NOTHING
                case Describe(slot=slot):
                    token = TokenState(slot, "", "SIMULATION", "1", 0, (4, 8), is_card=False)
                    reply = NOTHING if slot == MUTE else Reply(0, description=Description(token, told, MECHANISMS))
                case Logout():
                    reply = NOTHING
                case _:
                    reply = ANSWERS[request.slot]
            send_reply(daemon, reply)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[5:])
