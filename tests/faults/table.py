"""The faults: each a function that injects one into a site at work, with the time within which work must go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.site import Site

Inject = Callable[["Site"], None]
GONE = ("card.removed", "session.closed", "no card", "DEVICE_REMOVED")  # what is said where a card has left


class Listed(StrEnum):
    """What may happen to a workstation; each has rows."""

    PULLED = "card pulled at each APDU"
    SWAPPED = "card swapped in mid-session"
    OTHER_PROGRAM = "reset, exclusive use, hanging by another program"
    PCSCD = "pcscd stopped, killed, hung, restarted"
    LATE_READER = "reader that answers late"
    MODULE = "PKCS#11 module crashing, hanging"
    PDF = "PDF process killed"
    PINENTRY = "pinentry crashing, hanging, answering twice"
    AGENT = "agent leaving"
    LEAVING = "client leaving in the middle"
    SIGNATURE = "daemon killed at each step of a signature"
    STATE = "daemon killed at each step of a state write"
    DISK = "disk full, read-only, slow fsync"
    CLOCK = "clock both ways"
    DESCRIPTORS = "descriptors exhausted"
    MEMORY = "memory limit"
    PROVIDER = "provider down, slow, lying"
    PROXY = "proxy down"
    SUSPEND = "suspend and resume"
    STREAMS = "1,000 event streams"
    CONNECTIONS = "half-open and slow connections"
    REPLAYED = "replayed idempotency keys, across restarts"
    USERS = "two users at once"
    KEYRING = "keyring and D-Bus gone"
    UPSTREAM = "upstream cut in a body"
    PROGRAM = "a PKCS#11 client dying in a call"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row.

    ``within`` is in how many seconds all clients must have had something signed again, once ``inject`` has returned:
    what it broke is whole by then, as far as a person would mend it. ``thrown`` is how many values of the card may have
    been thrown away: those whose row could not be written. ``says`` are answers of which clients get one at least: what
    broke nothing does not pass. ``cuts`` says that the relay's answers may break off.
    """

    listed: Listed
    told: str
    within: float
    inject: Inject
    thrown: int = 0
    says: tuple[str, ...] = ()
    cuts: bool = False


_faults: list[Fault] = []


def add(
    listed: Listed,
    told: str,
    inject: Inject,
    *,
    within: float,
    thrown: int = 0,
    says: tuple[str, ...] = (),
    cuts: bool = False,
) -> None:
    """Add a row."""
    _faults.append(Fault(listed, told, within, inject, thrown, says, cuts))


def fault(
    listed: Listed, told: str, *, within: float, thrown: int = 0, says: tuple[str, ...] = ()
) -> Callable[[Inject], Inject]:
    """Add the decorated function as a row."""

    def added(inject: Inject) -> Inject:
        add(listed, told, inject, within=within, thrown=thrown, says=says)
        return inject

    return added


def faults() -> list[Fault]:
    """Return all rows, in the order of ``Listed``."""
    from tests.faults import callers, cards, deaths, helpers, machine, network, pcsc  # noqa: F401 - each adds its own

    order = list(Listed)
    return sorted(_faults, key=lambda one: order.index(one.listed))
