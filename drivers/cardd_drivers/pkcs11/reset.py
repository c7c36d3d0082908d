"""Resetting the card behind a token.

A module may leave the card logged in after C_Logout (OpenSC 0.23 does, with an IAS-ECC card): another program could
then use its keys without a PIN. A reset by PC/SC ends every login of the card.
"""

from __future__ import annotations

import os
import threading

LIMIT = 2.0  # seconds
STUCK = 3  # exit status


def reset_card(reader: str) -> None:
    """Reset the card in this PC/SC reader; nothing happens when there is no such reader, or no card in it.

    A module that never ends its transaction (OpenSC 0.23 after a refused C_InitPIN) would make this wait for ever: then
    the process ends, its hold on the card with it, and the daemon starts another.
    """
    thread = threading.Thread(target=_reset, args=(reader,), daemon=True)
    thread.start()
    thread.join(LIMIT)
    if thread.is_alive():
        os._exit(STUCK)


def _reset(reader: str) -> None:
    try:
        from smartcard import scard  # noqa: PLC0415 - needs PC/SC, which many tokens do not
    except ImportError:
        return
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code != scard.SCARD_S_SUCCESS:
        return
    try:
        code, readers = scard.SCardListReaders(context, [])
        if code != scard.SCARD_S_SUCCESS or reader not in readers:
            return
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, _ = scard.SCardConnect(context, reader, scard.SCARD_SHARE_SHARED, protocols)
        if code == scard.SCARD_S_SUCCESS:
            scard.SCardDisconnect(card, scard.SCARD_RESET_CARD)
    finally:
        scard.SCardReleaseContext(context)
