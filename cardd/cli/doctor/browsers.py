"""The browsers: from which ones pages may call, what they ask their user first, and how they find the card."""

from __future__ import annotations

import os
from pathlib import Path

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.cli.policies import Policies, Standing
from cardd.cli.program_places import client, machine, personal, snaps
from cardd.i18n import N_
from cardd.system.browsers import ANY, executable, installed, is_installed, wanted

BROWSERS_OK = ok("browsers.ok", N_("Pages may call from {browsers}."))
BROWSERS_ANY = warning(
    "browsers.any",
    N_("Any program may pass itself off as a web page ([web] browsers)."),
    N_("Name the browsers that are used here: “known”, or their paths."),
)
BROWSERS_UNKNOWN = warning(
    "browsers.unknown",
    N_("Pages in {program}, which runs here, are refused."),
    N_("Install it for all users of this machine, or name its path in [web] browsers; then restart it."),
)
BROWSERS_NONE = warning(
    "browsers.none",
    N_("No browser is installed here from which pages may call."),
    N_("Install one for all users of this machine, or name its path in [web] browsers."),
    is_minor=True,
)


def browsers(surroundings: Surroundings) -> Finding:
    """Check which browsers pages may call from, and whether one runs here whose pages are refused."""
    configured = surroundings.config.web.browsers
    if ANY in configured:
        return BROWSERS_ANY()
    patterns = wanted(configured)
    files, names = installed(patterns), {Path(pattern).name for pattern in patterns}
    for program in map(executable, surroundings.processes()):
        if Path(program.path).name in names and not is_installed(program, files):
            return BROWSERS_UNKNOWN(program=program.path)
    return BROWSERS_OK(browsers=", ".join(sorted(files.values()))) if files else BROWSERS_NONE()


# --- Local Network Access

POLICY_OK = ok("browser_policy.ok", N_("Browsers let the configured sites through without a question."))
POLICY_ASKS = warning(
    "browser_policy.asks",
    N_("{browser} ({package}) asks its user before pages of {site} reach cardd; a refusal lasts."),
    N_("Have it ask no more: “sudo cardctl browser-policy apply {site}”, then restart the browser."),
    is_minor=True,
)
POLICY_UNREADABLE = warning(
    "browser_policy.unreadable",
    N_("{file} cannot be understood: nobody knows what {browser} lets through."),
    N_("Mend that file, or take it away, then restart the browser."),
)


def browser_policy(surroundings: Surroundings) -> Finding:
    """Check whether installed browsers let pages of the configured sites reach this machine (Local Network Access)."""
    standings = [one for one in Policies(surroundings.root).standings() if one.is_installed]
    for one in standings:
        if not one.is_understood:
            return POLICY_UNREADABLE(file=one.file, browser=one.browser)
    sites = [site for site in surroundings.config.listed_origins if site.startswith("https:")]
    if not sites or not standings:
        raise Unknowable("no_sites")
    for one in standings:
        for site in sites:
            if not _lets_through(one, site):
                return POLICY_ASKS(browser=one.browser, package=one.package, site=site)
    return POLICY_OK()


def _lets_through(standing: Standing, site: str) -> bool:
    """Return whether a list names the site: Firefox has hosts, Chromium and its kin addresses with their port."""
    host, port = site.removeprefix("https://"), "443"
    if ":" in host:
        host, port = host.split(":")
    return bool({host, site, f"https://{host}:{port}"} & set(standing.sites))


# --- PKCS#11

REGISTER = ("cardctl", "pkcs11", "register")
REGISTERS_ALL = N_("You are root: this changes files of the whole machine, and all its users' programs find the card.")
PKCS11_OK = ok("pkcs11.ok", N_("These find the card by PKCS#11: {programs}."))
PKCS11_UNREGISTERED = warning(
    "pkcs11.unregistered",
    N_("No program of this user finds the card by PKCS#11: no portal can ask a browser for it."),
    N_("Have them find it: “cardctl pkcs11 register”, then log out of the desktop and in again."),
    is_minor=True,
    fix=REGISTER,
    as_root=REGISTERS_ALL,
)
PKCS11_NO_CLIENT = warning(
    "pkcs11.client_missing",
    N_("p11-kit-client.so is not installed: browsers and ssh cannot use the card by PKCS#11."),
    N_("Install it: “sudo apt install p11-kit-modules”."),
    is_minor=True,
)
PKCS11_SOCKET = failure(
    "pkcs11.socket_missing",
    N_("Programs look for the card at {path}, and nothing is there."),
    N_("Restart cardd (“sudo systemctl restart cardd.socket”), then register again: “cardctl pkcs11 register”."),
    fix=REGISTER,
    as_root=REGISTERS_ALL,
)


def pkcs11(surroundings: Surroundings) -> Finding:
    """Check whether this user's programs find the card by PKCS#11, and whether what they find is there."""
    config = surroundings.config
    if not config.p11.enabled:
        raise Unknowable("no_p11")
    module, socket = client(surroundings.root), config.p11.socket
    if module is None:
        return PKCS11_NO_CLIENT()
    own = personal(socket, module, Path.home(), surroundings.root, os.environ)
    places = [*machine(socket, module, surroundings.root), *own]
    found = [place.program for place in places if place.state() == "registered"]
    if not found:
        return PKCS11_UNREGISTERED()
    if os.path.lexists(surroundings.socket) and not socket.exists():
        return PKCS11_SOCKET(path=str(socket))
    return PKCS11_OK(programs=", ".join(dict.fromkeys(found)))


# --- Flatpak and Snap

SANDBOXES_OK = ok("sandboxes.ok", N_("No program of this user is kept from the card by Flatpak or Snap."))
SANDBOXES_FLATPAK = warning(
    "sandboxes.flatpak",
    N_("{program} is a Flatpak, and has no way to cardd: it finds no card by PKCS#11."),
    N_("Give it one: “cardctl pkcs11 register”, then start it again."),
    is_minor=True,
    fix=REGISTER,
    as_root=REGISTERS_ALL,
)
SANDBOXES_SNAP = warning(
    "sandboxes.snap",
    N_("{program} is a snap, which has no way to cardd: it finds no card by PKCS#11."),
    N_("For portals that ask the browser for the card, use the one of the distribution's packages, or of Flatpak."),
    is_minor=True,
)


def sandboxes(surroundings: Surroundings) -> Finding:
    """Check whether Flatpak or Snap keep a program of this user from the card."""
    config, home = surroundings.config, Path.home()
    if not config.p11.enabled:
        raise Unknowable("no_p11")
    module = client(surroundings.root) or Path("p11-kit-client.so")
    for place in personal(config.p11.socket, module, home, surroundings.root, os.environ):
        if place.package == "flatpak" and place.state() != "registered":
            return SANDBOXES_FLATPAK(program=place.program)
    for store in snaps(home):
        return SANDBOXES_SNAP(program=store.browser)
    return SANDBOXES_OK()


CHECKS = {
    "browsers": Check(N_("Browsers"), browsers),
    "browser_policy": Check(N_("What browsers ask first"), browser_policy),
    "pkcs11": Check(N_("PKCS#11"), pkcs11),
    "sandboxes": Check(N_("Flatpak and Snap"), sandboxes),
}
