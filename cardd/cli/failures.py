"""How a failure ends a command: its exit status, and what is told of it (what happened, why, what to do).

docs/cardctl.md has the same table of exit statuses, and a test compares them.
"""

from __future__ import annotations

import errno

from cardd.cli.command import Context, as_json
from cardd.cli.parser import Exit, Parser
from cardd.errors import (
    AuditDamaged,
    AuditUnavailable,
    CardAmbiguous,
    CarddError,
    CardError,
    ClientLocked,
    ClientUnknown,
    ConfigInvalid,
    ConsentError,
    DaemonUnreachable,
    InvalidRequest,
    LoginCertificateExpired,
    LoginCertificateNotYetValid,
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
    SessionUnknown,
    SituationUnknown,
    SupportCodeLocked,
    SupportCodeReplayed,
    SupportCodeRequired,
    SupportCodeWrong,
)
from cardd.files import NO_FILE
from cardd.i18n import N_, Domain
from cardd.model import shown

_ = Domain("cli")

BY_THE_PERSON = (PscDenied, PscExpired, PscBrowserTimeout, PscOtherPerson, PscLoginHintUnknown)
_BY_ERROR: tuple[tuple[tuple[type[CarddError], ...], Exit], ...] = (
    ((InvalidRequest, SituationUnknown), Exit.USAGE),
    ((DaemonUnreachable,), Exit.UNREACHABLE),
    ((LoginCertificateExpired, LoginCertificateNotYetValid), Exit.CARD),
    ((ClientUnknown, ClientLocked, SessionError), Exit.NO_SESSION),
    ((ReaderError, CardError), Exit.CARD),
    ((PinError, ConsentError, PromptError, PairingRefused, *BY_THE_PERSON), Exit.PERSON),
    ((SupportCodeRequired, SupportCodeWrong, SupportCodeReplayed, SupportCodeLocked), Exit.PERSON),
)

# What the remedy of the API says to a program's maker; who sits at a terminal is told a command.
HINTS = {
    "request.invalid": N_("See “--help” of this command."),
    "client.unknown": N_("Pair cardctl and open a session: “cardctl login”."),
    "session.unknown": N_("Open a session: “cardctl login”."),
    "session.expired": N_("Open a session again: “cardctl login”."),
    "session.closed": N_("“cardctl login”; if the card was taken out, insert it first."),
    "pin.blocked": N_("Unblock the card with its unblocking code: “cardctl pin unblock”."),
    "audit.slow": N_("See with “cardctl audit tail” whether it was signed, before you sign again."),
    "signature.lost": N_("Sign again if you want it twice; see “cardctl audit tail”."),
    "card.ambiguous": N_("Choose one with --card: {cards} (“cardctl cards” tells their readers)."),
    "upstream.unknown": N_(
        "Add [upstreams.{name}] with its url to cardd's configuration, then “sudo systemctl restart cardd”; or take "
        "one that is there: {known}."
    ),
    "card.unknown": N_("See the inserted cards with “cardctl cards”."),
}
# the field of the request that an error is about, where its class tells it; a command line has an option for it
FIELDS = {
    "assertion.ins_format": "patient.ins",
    "assertion.ins_key": "patient.ins",
    "assertion.ins_oid": "patient.oid",
    "assertion.login": "means",
    "assertion.registration": "lps.{what}",
    "assertion.role": "role",
    "assertion.role_missing": "role",
    "assertion.section": "section",
    "assertion.sector": "sector",
    "assertion.value": "{what}",
    "card.unknown": "card",
    "document.timestamp_form": "timestamp",
    "pdf.page_missing": "pades.visible.page",
    "pdf.picture_too_large": "pades.visible.picture",
    "pdf.picture_unreadable": "pades.visible.picture",
    "pdf.rectangle_outside": "pades.visible.rectangle",
    "psc.login_hint": "login_hint",
    "session.situation": "situation",
    "signature.algorithm": "algorithm",
    "timestamp.unconfigured": "timestamp",
}
# what the system says in English only
FAULTS = {
    errno.EACCES: N_("you may not do that"),
    errno.EAGAIN: N_("another command is at work there; try again"),
    errno.EEXIST: N_("it is there already"),
    errno.EFBIG: N_("it is too large"),
    errno.EISDIR: N_("it is a folder"),
    errno.ENOENT: N_("there is no such file or folder"),
    errno.ENOSPC: N_("there is no space left"),
    NO_FILE: N_("it is no file, but a pipe, a socket or a device"),
    errno.ENOTDIR: N_("a part of the path is no folder"),
    errno.EROFS: N_("nothing can be written there"),
}


def exit_of(error: CarddError) -> Exit:
    """Return the exit status for an error."""
    return next((status for kinds, status in _BY_ERROR if isinstance(error, kinds)), Exit.FAILED)


def tell(context: Context, error: CarddError) -> None:
    """Write the failure, as JSON to standard output or as lines to standard error."""
    title, detail, remedy = sentences(error, context.language, context.arguments.parser)
    if context.wants_json:
        params = {**error.params, "title": title, "detail": detail, "remedy": remedy}
        cards = {"cards": error.cards} if isinstance(error, CardAmbiguous) else {}
        told = {"code": error.code, **params, **cards, "retryable": error.retryable}
        context.terminal.say([as_json({**context.partial, "error": told})])
        return
    heading = context.terminal.styled(shown(title), "red", err=True)
    happened = _("{name}: {state}", context.language, name=heading, state=shown(detail))
    context.terminal.tell([happened, f"→ {shown(remedy)}"])


def tell_file_fault(context: Context, fault: OSError) -> None:
    """Write that a file cannot be read or written."""
    why = FAULTS.get(fault.errno or 0, fault.strerror or "")
    detail = _("{file}: {why}", context.language, file=str(fault.filename or ""), why=_(why, context.language))
    if context.wants_json:
        told = {"code": "file", "title": detail, "detail": detail}
        context.terminal.say([as_json({**context.partial, "error": told})])
    else:
        context.terminal.tell([context.terminal.styled(shown(detail), "red", err=True)])


def sentences(error: CarddError, language: str, parser: Parser | None = None) -> tuple[str, str, str]:
    """Return title, detail and remedy: the daemon's own words where it sent them, and the parser's option."""
    title, detail, remedy = error.told(language)
    if error.code in HINTS:
        cards = ", ".join(error.cards) if isinstance(error, CardAmbiguous) else ""
        remedy = _(HINTS[error.code], language, **{"known": "–"} | error.params | {"cards": cards})
    field = FIELDS.get(error.code, "").replace("{what}", str(error.params.get("what", "")))
    if parser and (option := parser.option_for(field)) and option not in remedy:
        remedy = _("{remedy} Here: {option}.", language, remedy=remedy, option=option)
    return title, _reason(error, language, parser) or detail, remedy


def _reason(error: CarddError, language: str, parser: Parser | None) -> str | None:
    """Return the whole detail where a word among the parameters says what it is."""
    if isinstance(error, ConfigInvalid) and "expected" in error.params:
        from cardd.config.reference import explain  # noqa: PLC0415 - only for this error

        return explain(error, language)
    if isinstance(error, SessionUnknown):
        return _("No session is open, or the one that was open has ended.", language)
    if isinstance(error, InvalidRequest):
        where = str(error.params.get("where", ""))
        if where.startswith("$."):  # a field of the request
            where = (parser.option_for(where) if parser else None) or where.rpartition(".")[2]
        return _("“{where}” will not do: {why}.", language, where=where, why=why_of(error, language))
    # met while reading it ourselves
    if type(error) in (AuditUnavailable, AuditDamaged) and "detail" not in error.params:
        return _("The audit log cannot be read ({why}).", language, **error.meant(language))
    return None


def why_of(error: InvalidRequest, language: str) -> str:
    """Return why a field will not do; the daemon tells it inside its sentence."""
    if "why" in error.params:
        return str(error.meant(language)["why"])
    detail, mark = str(error.params.get("detail", "")), "\0"
    told = InvalidRequest(where=str(error.params.get("where")), why=mark).told(language).detail
    before, _mark, after = told.partition(mark)
    return detail.removeprefix(before).removesuffix(after)
