"""The session does not allow this, or cannot be opened."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

# why a session ended
_ENDED: Words = {
    "reason": {
        "card_removed": N_("the card was taken out"),
        "client_gone": N_("its program asked for nothing any more"),
        "client_locked": N_("its program was locked"),
        "client_removed": N_("its program was unpaired"),
        "daemon_stopped": N_("the service stopped"),
        "idle": N_("nothing was asked of it for long"),
        "locked": N_("the screen was locked"),
        "logout": N_("it was closed by a logout"),
        "max_age": N_("it reached the age that sessions may have"),
        "origin_revoked": N_("its site was shut out"),
        "pin_changed": N_("the PIN was changed"),
        "program_revoked": N_("its program was shut out"),
        "readers_gone": N_("the reader service (pcscd) stopped"),
        "taken_over": N_("another user of this machine took the card over, with its PIN"),
        "provider_ended": N_("Pro Santé Connect ended it"),
    }
}

# why a login method cannot be used
_UNUSABLE: Words = {
    "why": {
        "no_hint": N_("it needs the national id"),
        "no_organisation": N_("there is no certificate of the organisation ([csa])"),
        "no_psc": N_("Pro Santé Connect is not configured ([psc])"),
        "organisation_s": N_("what is inserted is the organisation's"),
    }
}

_TOO_SOON: Words = {
    "reason": {
        "moment": N_("The mobile was asked a moment ago."),
        "person": N_("This person's mobile was asked {times} times in the last minutes, and nobody agreed."),
        "program": N_("This program asked for {times} logins by mobile in the last minutes, and nobody agreed."),
    }
}


class SessionError(CarddError):
    """The session does not allow this."""

    status = 401


class SessionUnknown(SessionError):
    """No session token, or one that no session of this caller has."""

    code = "session.unknown"
    title = N_("Unknown session")
    detail = N_("No session of this program has this token.")
    remedy = N_("Open a session.")


class SessionExpired(SessionError):
    """The session was idle for too long, or is too old."""

    code = "session.expired"
    title = N_("Session expired")
    detail = N_("The session expired: {reason}.")
    remedy = N_("Open a new session.")
    words = _ENDED

    reason: str


class SessionClosed(SessionError):
    """The session was closed before the request."""

    code = "session.closed"
    title = N_("Session closed")
    detail = N_("The session is closed: {reason}.")
    remedy = N_("Open a new session; if the card was taken out, insert it first.")
    words = _ENDED

    reason: str


class SessionPending(SessionError):
    """The person has not agreed on the mobile yet."""

    code = "session.pending"
    status = 409
    retryable = True
    title = N_("Login under way")
    detail = N_(
        "The person has not agreed to the login yet, or cardd was restarted and Pro Santé Connect has yet to confirm."
    )
    remedy = N_("Agree where you are asked to (e-CPS app, browser, window); otherwise wait a moment, then try again.")


class SessionLocked(SessionError):
    """The user's screen is locked, or the machine slept; no PIN unlocks this session."""

    code = "session.locked"
    status = 409
    retryable = True
    title = N_("Session locked")
    detail = N_("The screen was locked, or the machine slept.")
    remedy = N_("Unlock the screen, or log in again.")


class LoginCertificateExpired(SessionError):
    """The certificate that stands for the card's holder has expired."""

    code = "session.certificate_expired"
    may_pass = True  # the clock was wrong
    status = 409
    title = N_("Card expired")
    detail = N_("The card's certificate expired on {not_after}: it opens no session.")
    remedy = N_("Use a current card; check this computer's clock too.")

    not_after: str  # ISO 8601, UTC


class LoginCertificateNotYetValid(SessionError):
    """The certificate that stands for the card's holder is not valid yet."""

    code = "session.certificate_not_yet_valid"
    may_pass = True  # the clock was wrong
    status = 409
    title = N_("Card not yet valid")
    detail = N_("The card's certificate is valid from {not_before}: it opens no session yet.")
    remedy = N_("Check this computer's clock, or wait until then.")

    not_before: str  # ISO 8601, UTC


class SessionCannotSign(SessionError):
    """An e-CPS session has no key: it signs no document."""

    code = "session.cannot_sign"
    status = 409
    title = N_("An e-CPS session signs nothing")
    detail = N_("e-CPS proves who you are; it has no key to sign a document with.")
    remedy = N_("Open a session with your card, or with the organisation's certificate.")


class SessionNotPsc(SessionError):
    """The session was not opened through Pro Santé Connect: it has no token of it."""

    code = "session.not_psc"
    status = 409
    title = N_("Not a session of Pro Santé Connect")
    detail = N_("It was opened with a card or a certificate, and has no token of Pro Santé Connect.")
    remedy = N_("Open a session with e-CPS.")


class MethodUnavailable(SessionError):
    """This login method cannot be used here now."""

    code = "session.method_unavailable"
    status = 422
    title = N_("Login method unavailable")
    detail = N_("The login method {method} cannot be used on this workstation: {why}.")
    remedy = N_("Have it set up in cardd.toml, or choose another login method.")
    words = _UNUSABLE

    method: str
    why: str


class SituationUnknown(SessionError):
    """The person has no such situation of practice, or none was picked."""

    code = "session.situation"
    status = 422
    title = N_("Situation of practice to be picked")
    detail = N_("None of this person's situations of practice is picked; theirs are: {known}.")
    remedy = N_("Pick one of those that the session lists (situations), or let the user pick (“ask”).")

    known: str


class PushTooSoon(SessionError):
    """The mobile was asked a moment ago, or too often without an agreement."""

    code = "session.push_too_soon"
    status = 429
    retryable = True
    title = N_("Too soon")
    detail = N_("The mobile is not asked again now. {reason}")
    remedy = N_("Wait {retry_after} s, then ask again.")
    words = _TOO_SOON

    reason: str  # moment, person or program
    retry_after: int  # seconds
    times: int | None = None
