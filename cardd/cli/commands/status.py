"""``cardctl status``, ``methods`` and ``open``: what works here, who is logged in, how one can log in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

from cardd.cli.command import Command, Context
from cardd.cli.failures import HINTS, sentences
from cardd.cli.parser import Exit, Parser
from cardd.cli.terminal import open_in_browser
from cardd.cli.wording import session_in_words, word_for
from cardd.client import CarddClient, Expiring, Method, Methods, SessionState
from cardd.errors import CarddError, ClientUnknown, SessionError
from cardd.i18n import N_, Domain

_ = Domain("cli")

METHODS = {"cpx": N_("CPx card"), "csa": N_("Organisation's certificate"), "ecps": N_("e-CPS")}
FITS = {"best": N_("suits best"), "good": N_("suits"), "partial": N_("suits in part"), "unsuited": N_("does not suit")}
USES = ("lps", "webps", "establishment", "medico-social")


async def _status(context: Context) -> int:
    """Ask the daemon for its state, our session and the login methods."""
    async with context.client() as cardd:
        status = await cardd.status()
        session = await _open_session(context, cardd)
        methods = await _login_methods(cardd)
    opened = session_in_words(context, session) if session else _("none (“cardctl login” opens one)", context.language)
    lines = [
        (_("Service", context.language), f"{status.name} {status.version}"),
        (_("Address", context.language), str(cardd.where)),
        (_("Readers", context.language), _readers(context, status.state)),
        (_("Session", context.language), opened),
    ]
    for method in methods:
        lines += [(_name(context, method.method), _usable(context, method))]
        if method.method == "cpx" and not method.usable:
            lines += [("", f"→ {_what_to_do(context, method)}")]
    answer = {"daemon": status, "where": str(cardd.where), "session": session, "methods": methods}
    context.answer(answer, context.terminal.pairs(lines))
    return Exit.OK


async def _login_methods(cardd: CarddClient) -> tuple[Method, ...]:
    """Return the login methods; over TCP only paired programs may ask for them."""
    try:
        return (await cardd.methods()).methods
    except ClientUnknown:
        return ()


def _readers(context: Context, state: str) -> str:
    words = {"ready": _.context("readers", "ready", context.language), "no_readers": _("none", context.language)}
    return words.get(state, state)


def _usable(context: Context, method: Method) -> str:
    """Return whether a login method is usable, and the certificates that end soon."""
    warnings = [_ending(context, one) for one in method.expiring]
    return " ".join([_("usable", context.language) if method.usable else method.detail or "", *warnings])


def _what_to_do(context: Context, method: Method) -> str:
    """Return what a person at a terminal does about a method that is not usable."""
    hint = HINTS.get(method.problem or "")
    return _(hint, context.language) if hint else method.remedy or ""


def _ending(context: Context, certificate: Expiring) -> str:
    """Return when a certificate ends or has ended."""
    days, serial = certificate.days, certificate.serial
    if days < 0:
        return _.plural(
            "Certificate {serial} ended {number} day ago.",
            "Certificate {serial} ended {number} days ago.",
            -days,
            context.language,
            serial=serial,
        )
    return _.plural(
        "Certificate {serial} ends in {number} day: ask for a new one.",
        "Certificate {serial} ends in {number} days: ask for a new one.",
        days,
        context.language,
        serial=serial,
    )


async def _open_session(context: Context, cardd: CarddClient) -> SessionState | None:
    found = context.remembered.session
    if found is None:
        return None
    try:
        return await cardd.session(*found).state()
    except SessionError:
        return None


def _methods_arguments(parser: Parser) -> None:
    """Declare the use, if any."""
    parser.add_argument(
        "--use",
        choices=USES,
        help=N_("where you work: practice (lps), a page (webps), hospital (establishment), medico-social"),
    )


async def _methods(context: Context) -> int:
    """Show each login method with its reasons."""
    use = context.arguments.use
    async with context.client() as cardd:
        found = await cardd.methods(use)
    lines = [line for method in found.methods for line in _shown(context, method)]
    lines += [_advised(context, found)] if use else []
    context.answer({"methods": found.methods, "advised": found.advised}, lines)
    return Exit.OK


def _shown(context: Context, method: Method) -> Iterator[str]:
    fit = [word_for(method.advice.fit, FITS, context)] if method.advice else []
    here = _("usable", context.language) if method.usable else _("not usable here", context.language)
    yield _about(context, method.method, ", ".join([*fit, here]))
    if method.advice:
        yield from (f"  + {reason}" for reason in method.advice.reasons)
    if method.problem:
        yield f"  ! {method.detail} {_what_to_do(context, method)}"
    for lacking in method.advice.missing if method.advice else ():
        yield "  ! " + _about(context, lacking.method, f"{lacking.detail} {lacking.remedy}")


def _advised(context: Context, found: Methods) -> str:
    if found.advised is None:
        return _("None that suits works here now.", context.language)
    return _("Here now: {method}.", context.language, method=_name(context, found.advised))


def _about(context: Context, method: str, told: str) -> str:
    return _("{name}: {state}", context.language, name=_name(context, method), state=told)


def _name(context: Context, method: str) -> str:
    return word_for(method, METHODS, context)


def _open_arguments(parser: Parser) -> None:
    """Declare whether a browser is started at all."""
    parser.add_argument("--print", action="store_true", dest="prints", help=N_("only print the address, for one use"))


async def _open(context: Context) -> int:
    """Open the status page, or print where it is: the address serves once, in a browser of this user."""
    try:
        async with context.client() as cardd:
            link = await cardd.status_page()
    except CarddError as error:
        await _tell_on_desktop(context, error)
        raise
    is_open = not context.arguments.prints and not context.wants_json and open_in_browser(link.url)
    until = link.expires_at.astimezone().strftime("%H:%M:%S")
    told = (
        _("The status page opens in your browser.", context.language)
        if is_open
        else _("Until {until}, once, in a browser of yours: {url}", context.language, until=until, url=link.url)
    )
    context.answer(link, [told])
    return Exit.OK


async def _tell_on_desktop(context: Context, error: CarddError) -> None:
    """Tell who chose us in a menu what is wrong, by a notification: nobody reads what we print."""
    given = context.arguments
    if context.terminal.is_watched or sys.stdout.isatty() or given.prints or context.wants_json:
        return
    from cardd.system.notifications import DesktopNotifications  # noqa: PLC0415 - from a menu only
    from cardd.system.session_bus import session_bus_address  # noqa: PLC0415

    if address := session_bus_address():
        title, detail, remedy = sentences(error, context.language)
        shower = DesktopNotifications(address, open_in_browser)
        with suppress(OSError):
            await shower.tell(title, f"{detail} {remedy}")
        shower.leave()


COMMANDS = {
    "status": Command(_status),
    "open": Command(_open, _open_arguments),
    "methods": Command(_methods, _methods_arguments),
}
