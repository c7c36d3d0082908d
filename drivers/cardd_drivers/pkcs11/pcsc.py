"""The PC/SC readers behind a module's slots: their names, and the reset of the card in them.

PKCS#11 has 64 bytes for a slot's description, and PC/SC 127 for a reader's name: a long one is cut, by OpenSC with
three dots at the end.

A module may leave the card logged in after C_Logout (OpenSC 0.23 does, with an IAS-ECC card): another program could
then use its keys without a PIN. A reset by PC/SC ends every login of the card.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DESCRIPTION = 64  # bytes (PKCS#11 v2.40, CK_SLOT_INFO)
DOTS = "..."
LIBRARY = "/libpcsclite"
LIMIT = 2.0  # seconds
STUCK = 3  # exit status


def is_loaded() -> bool:
    """Return whether PC/SC's client library is in this process: before ``whole_name``, the module has loaded it."""
    return LIBRARY in Path("/proc/self/maps").read_text()


def whole_name(description: str) -> str:
    """Return the name of the PC/SC reader behind a slot's description; the description where that cannot be told.

    Of several readers whose names begin so, it is the one with a card: a token is there.
    """
    if not _is_cut(description):
        return description
    with _context() as (context, readers):
        meant = _with_cards(context, [reader for reader in readers if means(description, reader)])
    return meant[0] if len(meant) == 1 else description


def reset_cards(description: str) -> None:
    """Reset the card in the slot's reader; nothing happens when there is no such reader, or no card in it.

    Where a cut description fits several readers, all are reset: an interruption is less than a login left behind.

    A module that never ends its transaction (OpenSC 0.23 after a refused C_InitPIN) would make this wait for ever: then
    the process ends, its hold on the card with it, and the daemon starts another.
    """
    thread = threading.Thread(target=_reset, args=(description,), daemon=True)
    thread.start()
    thread.join(LIMIT)
    if thread.is_alive():
        os._exit(STUCK)


def _reset(description: str) -> None:
    with _context() as (context, readers):
        for reader in readers:
            if means(description, reader):
                _reset_in(context, reader)


def _reset_in(context: int, reader: str) -> None:
    from smartcard import scard  # noqa: PLC0415 - needs PC/SC, which many tokens do not

    protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
    code, card, _ = scard.SCardConnect(context, reader, scard.SCARD_SHARE_SHARED, protocols)
    if code == scard.SCARD_S_SUCCESS:
        scard.SCardDisconnect(card, scard.SCARD_RESET_CARD)


def _with_cards(context: int, readers: list[str]) -> list[str]:
    if len(readers) < 2:
        return readers
    from smartcard import scard  # noqa: PLC0415 - as above

    asked = [(reader, scard.SCARD_STATE_UNAWARE) for reader in readers]
    _, states = scard.SCardGetStatusChange(context, 0, asked)
    return [reader for reader, state, _ in states if state & scard.SCARD_STATE_PRESENT]


def means(description: str, reader: str) -> bool:
    """Return whether a slot's description can be that of the reader."""
    if _is_cut(description):
        return reader.startswith(description.removesuffix(DOTS))
    return reader == description


def _is_cut(description: str) -> bool:
    # a blank at the cut was taken off with the padding; a name of just that length is its own beginning
    return len(description.encode()) >= DESCRIPTION - 1


@contextmanager
def _context() -> Iterator[tuple[int, list[str]]]:
    """A PC/SC context and the readers' names; none without PC/SC."""
    try:
        from smartcard import scard  # noqa: PLC0415 - needs PC/SC, which many tokens do not
    except ImportError:  # pragma: no cover - a machine without PC/SC's library
        yield 0, []
        return
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code != scard.SCARD_S_SUCCESS:
        yield 0, []
        return
    try:
        code, readers = scard.SCardListReaders(context, [])
        yield context, list(readers) if code == scard.SCARD_S_SUCCESS else []
    finally:
        scard.SCardReleaseContext(context)
