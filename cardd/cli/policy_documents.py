"""Where browsers look for enterprise policies, and what such a document says of sites and of PKCS#11 modules.

Sources: Chrome's ``LoopbackNetworkAllowedForUrls``, Firefox's ``LocalNetworkAccess``; where packages look for policies:
docs/webps.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cardd.errors import InvalidRequest
from cardd.values import Value

OWN_FILE = "cardd.json"
CHROMIUM = ("LoopbackNetworkAllowedForUrls",)
FIREFOX = ("policies", "LocalNetworkAccess", "SkipDomains")
DEVICES = ("policies", "SecurityDevices")
FIREFOX_FOLDERS = ("usr/lib/firefox-esr", "usr/lib/firefox", "usr/lib64/firefox", "opt/firefox")
SITE = re.compile(r"https://([a-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?")
Json = dict[str, Any]


class Place(Value):
    """Where one package of a browser reads its policies; ``installed`` are paths of which one is there then.

    ``policies`` is a folder for Chromium's kin, and Firefox's file. Firefox reads none of ``instead`` once it is there.
    ``within`` is a folder that only the package itself may make.
    """

    browser: str
    package: str
    policies: str
    installed: tuple[str, ...]
    instead: tuple[str, ...] = ()
    within: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the way to the list of sites inside the JSON document."""
        return FIREFOX if self.browser == "firefox" else CHROMIUM

    def entry(self, site: str) -> str:
        """Return a site as this browser's list has it; Chromium takes one without a port for any port."""
        host, port = host_and_port(site)
        return host if self.browser == "firefox" else f"https://{host}:{port}"


def _flatpak(name: str, branch: str) -> str:
    return f"var/lib/flatpak/extension/{name}/{os.uname().machine}/{branch}/policies"


PLACES = (
    Place("chromium", "deb", "etc/chromium/policies/managed", ("usr/lib/chromium/chromium",)),
    Place("chromium", "snap", "etc/chromium-browser/policies/managed", ("snap/chromium",)),
    Place(
        "chromium",
        "snap",
        "var/snap/chromium/current/policies/managed",
        ("snap/chromium",),
        within="var/snap/chromium/current",
    ),
    Place(
        "chromium",
        "flatpak",
        f"{_flatpak('org.chromium.Chromium.Extension.cardd', '1')}/managed",
        ("var/lib/flatpak/app/org.chromium.Chromium",),
    ),
    Place("chrome", "deb", "etc/opt/chrome/policies/managed", ("opt/google/chrome/chrome",)),
    Place(
        "chrome",
        "flatpak",
        f"{_flatpak('com.google.Chrome.Extension.cardd', '1')}/managed",
        ("var/lib/flatpak/app/com.google.Chrome",),
    ),
    Place("edge", "deb", "etc/opt/edge/policies/managed", ("opt/microsoft/msedge/msedge",)),
    Place(
        "edge",
        "flatpak",
        f"{_flatpak('com.microsoft.Edge.Extension.cardd', '1')}/managed",
        ("var/lib/flatpak/app/com.microsoft.Edge",),
    ),
    Place(
        "firefox",
        "deb, snap",
        "etc/firefox/policies/policies.json",
        ("usr/lib/firefox-esr/firefox-esr", "usr/lib/firefox/firefox", "opt/firefox/firefox", "snap/firefox"),
        tuple(f"{folder}/distribution/policies.json" for folder in FIREFOX_FOLDERS),
    ),
    Place(
        "firefox",
        "flatpak",
        f"{_flatpak('org.mozilla.firefox.systemconfig', 'stable')}/policies.json",
        ("var/lib/flatpak/app/org.mozilla.firefox",),
    ),
)
BROWSERS = tuple(dict.fromkeys(place.browser for place in PLACES))


def host_and_port(site: str) -> tuple[str, int]:
    """Return host and port. Raises InvalidRequest for what is no https origin, and for this machine's own names."""
    found = SITE.fullmatch(site)
    host = found[1] if found else ""
    if found is None or not urlsplit(site).hostname or "." not in host.strip(".") or _is_own(host):
        raise InvalidRequest(where=site, why="expected", expected="https://site.example")
    return host, int(found[2] or 443)


def _is_own(host: str) -> bool:
    """Return whether a name may be this machine, or an address: Firefox takes it for a target that all may reach."""
    if host.endswith((".localhost", ".localdomain", ".local")) or host.startswith(".") or ".." in host:
        return True
    try:
        ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit()
    return True


def list_in(document: Json, keys: Sequence[str]) -> list[str]:
    """Return the texts of the list that these keys lead to; none where there is no list."""
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return [entry for entry in found if isinstance(entry, str)] if isinstance(found, list) else []


def with_list(document: Json, keys: Sequence[str], entries: list[str]) -> Json:
    """Return the document with this list; without it, and what it stood in, where nothing is left."""
    first, *rest = keys
    inner: Any = document.get(first)
    value: Any = with_list(inner if isinstance(inner, dict) else {}, rest, entries) if rest else entries
    if value:
        return {**document, first: value}
    return {name: one for name, one in document.items() if name != first}


def devices_in(document: Json) -> Json:
    """Return the modules by name: newer Firefoxes may have them below ``Add``."""
    policies = document.get(DEVICES[0])
    found = policies.get(DEVICES[1]) if isinstance(policies, dict) else None
    inner = found.get("Add", {}) if isinstance(found, dict) and {"Add", "Delete"} & found.keys() else found
    return inner if isinstance(inner, dict) else {}


def with_devices(document: Json, devices: Json) -> Json:
    """Return the document with these modules, in the form that it has; without what is left empty."""
    policies = document.get(DEVICES[0])
    inner: Json = dict(policies) if isinstance(policies, dict) else {}
    found = inner.pop(DEVICES[1], None)
    if isinstance(found, dict) and {"Add", "Delete"} & found.keys():
        rest = {name: one for name, one in found.items() if name != "Add"}
        devices = {**rest, "Add": devices} if devices else rest
    if devices:
        inner[DEVICES[1]] = devices
    others = {name: one for name, one in document.items() if name != DEVICES[0]}
    return {**others, DEVICES[0]: inner} if inner else others
