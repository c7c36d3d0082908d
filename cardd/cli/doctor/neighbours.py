"""What else here uses cards: other programs at the reader service, modules in the desktop, the official middleware."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.daemon import is_cardd
from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.client import CarddClient
from cardd.i18n import N_
from cardd.system.pcsc_clients import clients
from cardd.system.peer import PROC, program_of

# --- other programs at the reader service

STACKS_OK = ok("stacks.ok", N_("No other program uses the readers."))
STACKS_SEVERAL = warning(
    "stacks.several",
    N_("Other programs use the readers too: {programs}. On the card, the PIN of one is the PIN of all."),
    N_("If the card is often “in use” or loses its PIN, close them; let them reach the card through cardd (PKCS#11)."),
)


def stacks(surroundings: Surroundings) -> Finding:
    """Check whether two stacks fight for the card: who else is connected to pcscd."""
    surroundings.readers_of_pcscd()
    others = [one for one in clients() if not is_cardd(one.pid, surroundings.socket)]
    named = sorted({f"{one.program} ({one.pid})" for one in others if one.program})
    return STACKS_SEVERAL(programs=", ".join(named)) if named else STACKS_OK()


# --- modules in the desktop

CARD_MODULES = re.compile(
    rb"/(?:onepin-)?(?:opensc-pkcs11|libcps3_pkcs11_lux|libcoolkeypk11)\.so[.0-9]*$", re.MULTILINE
)

DESKTOP_MODULES_OK = ok("desktop_modules.ok", N_("No program of this user has loaded a module for cards."))
DESKTOP_MODULES_LOADED = warning(
    "desktop_modules.loaded",
    N_("{program} has loaded {module}: each card that is inserted is read by it too."),
    N_(
        "If the card is often “in use” just after it was inserted, remove the package of that module where nothing "
        "else needs it; programs find the card through cardd (“cardctl pkcs11 register”)."
    ),
    is_minor=True,
)


def desktop_modules(surroundings: Surroundings) -> Finding:
    """Check whether services of this desktop have loaded PKCS#11 modules that speak to cards themselves."""
    for pid in surroundings.processes():
        for module in _modules_of(pid):
            return DESKTOP_MODULES_LOADED(program=f"{program_of(pid) or '?'} ({pid})", module=module)
    return DESKTOP_MODULES_OK()


def _modules_of(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        if found := CARD_MODULES.search((PROC / str(pid) / "maps").read_bytes()):
            yield found[0].decode().lstrip("/")


# --- the official middleware

MIDDLEWARE = "opt/santesocial/CPS/lib/libcps3_pkcs11_lux.so"  # the card facts, "The official middleware"
LINKS = "usr/lib64/libcps3_pkcs11_lux.so.*"

MIDDLEWARE_NONE = ok(
    "middleware.none", N_("The official middleware (Cryptolib CPS) is not installed; cardd needs none.")
)
MIDDLEWARE_FOUND = ok(
    "middleware.found", N_("The official middleware (Cryptolib CPS) is installed; library {version}.")
)
MIDDLEWARE_BROKEN = warning(
    "middleware.broken",
    N_("The official middleware (Cryptolib CPS) is installed in part: {file} is missing."),
    N_(
        "Install its RPM package again (Cryptolib CPS, from ANS); “rpm -qf {link}” names it. Or remove it: cardd does "
        "not need it."
    ),
)


def middleware(surroundings: Surroundings) -> Finding:
    """Check whether the official middleware is installed, and in which version."""
    links = sorted(surroundings.root.glob(LINKS), key=lambda link: len(link.name))
    is_there = (surroundings.root / MIDDLEWARE).is_file()
    if not is_there:
        if not links:
            return MIDDLEWARE_NONE()
        return MIDDLEWARE_BROKEN(file=f"/{MIDDLEWARE}", link=f"/{links[-1].relative_to(surroundings.root)}")
    version = links[-1].name.partition(".so.")[2] if links else "?"
    return MIDDLEWARE_FOUND(version=version)


# --- modules and certificates of the configuration

MODULES_OK = ok("modules.ok", N_("The configured PKCS#11 modules are there: {modules}."))
MODULES_MISSING = failure(
    "modules.missing",
    N_("The PKCS#11 module {module} is configured, and is not installed."),
    N_("Install it, or take it out of drivers.pkcs11.modules; then restart cardd: “sudo systemctl restart cardd”."),
)
P11_KIT = ("usr/share/p11-kit/modules", "etc/pkcs11/modules")


def modules(surroundings: Surroundings) -> Finding:
    """Check whether the PKCS#11 modules of the configuration are installed."""
    configured = surroundings.config.pkcs11.modules
    if not configured:
        raise Unknowable("no_modules")
    for module in configured:
        if not _is_installed(surroundings.root, module):
            return MODULES_MISSING(module=module)
    return MODULES_OK(modules=", ".join(configured))


def _is_installed(root: Path, module: str) -> bool:
    """Return whether a module is there, by its path or by its name in p11-kit."""
    if module.startswith("/"):
        return Path(module).exists()
    return any((root / folder / f"{module}.module").exists() for folder in P11_KIT)


ORGANISATION_OK = ok("organisation.ok", N_("No certificate of the organisation ends within 60 days."))
ORGANISATION_MISSING = failure(
    "organisation.missing",
    N_("{file}, with the organisation's certificate, is not there or may not be read."),
    N_("Put the file there, for the service's user to read; or mend section csa of the configuration."),
)
ORGANISATION_RENEW = warning(
    "organisation.renew",
    N_("The organisation's certificate {serial} ends on {date}; days left: {days}."),
    N_("Renew it at ANS now: that can be done only while it is valid, and takes weeks."),
)
ORGANISATION_EXPIRED = failure(
    "organisation.expired",
    N_("The organisation's certificate {serial} has ended on {date}: it cannot be renewed any more."),
    N_("Order a new one at ANS; until it is there, log in with the card or the e-CPS."),
)


def organisation(surroundings: Surroundings) -> Finding:
    """Check whether the organisation's certificate is there, and still can be renewed."""
    csa = surroundings.config.csa
    files = [file for file in (csa.authentication, csa.signature) if file]
    if not files and not csa.token:
        raise Unknowable("no_organisation")
    for file in files:
        with contextlib.suppress(PermissionError):  # the service's user may read what we may not
            if not file.exists():
                return ORGANISATION_MISSING(file=str(file))
    methods = surroundings.ask(CarddClient.methods).methods
    ending = [one for method in methods if method.method == "csa" for one in method.expiring]
    if not ending:
        return ORGANISATION_OK()
    first = min(ending, key=lambda one: one.not_after)
    told = ORGANISATION_EXPIRED if first.days < 0 else ORGANISATION_RENEW
    return told(serial=first.serial, date=f"{first.not_after:%Y-%m-%d}", days=first.days)


CHECKS = {
    "stacks": Check(N_("Other programs at the readers"), stacks),
    "desktop_modules": Check(N_("Modules of the desktop"), desktop_modules),
    "middleware": Check(N_("Official middleware"), middleware),
    "modules": Check(N_("PKCS#11 modules"), modules),
    "organisation": Check(N_("Organisation's certificate"), organisation),
}
