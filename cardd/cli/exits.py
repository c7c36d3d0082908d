"""The exit statuses of cardctl, in one place; docs/cardctl.md has the same table, and a test compares them."""

from __future__ import annotations

from enum import IntEnum

from cardd.errors import (
    CarddError,
    CardError,
    ClientLocked,
    ClientUnknown,
    ConsentError,
    DaemonUnreachable,
    InvalidRequest,
    PairingRefused,
    PinError,
    PromptError,
    PscBrowserTimeout,
    PscDenied,
    PscExpired,
    PscLoginHintUnknown,
    PscOtherPerson,
    ReaderError,
    SessionError,
    SituationUnknown,
    SupportCodeLocked,
    SupportCodeReplayed,
    SupportCodeRequired,
    SupportCodeWrong,
)


class Exit(IntEnum):
    """What a script may tell apart without reading texts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NO_SESSION = 4
    CARD = 5
    PERSON = 6
    UNDETERMINED = 7
    INTERRUPTED = 130


BY_THE_PERSON = (PscDenied, PscExpired, PscBrowserTimeout, PscOtherPerson, PscLoginHintUnknown)
_BY_ERROR: tuple[tuple[tuple[type[CarddError], ...], Exit], ...] = (
    ((InvalidRequest, SituationUnknown), Exit.USAGE),
    ((DaemonUnreachable,), Exit.UNREACHABLE),
    ((ClientUnknown, ClientLocked, SessionError), Exit.NO_SESSION),
    ((ReaderError, CardError), Exit.CARD),
    ((PinError, ConsentError, PromptError, PairingRefused, *BY_THE_PERSON), Exit.PERSON),
    ((SupportCodeRequired, SupportCodeWrong, SupportCodeReplayed, SupportCodeLocked), Exit.PERSON),
)


def exit_of(error: CarddError) -> Exit:
    """The exit status for an error."""
    return next((status for kinds, status in _BY_ERROR if isinstance(error, kinds)), Exit.FAILED)
