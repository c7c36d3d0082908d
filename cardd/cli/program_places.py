"""Where programs of this machine look for a PKCS#11 module, and what leads them to cardd from there.

Browsers in Flatpak have the socket by an override of the user's, and p11-kit's own proxy with a file that names it:
the file of ``p11-kit-client.so`` and the session's environment do not reach into the sandbox. A snap has no way to the
socket.

Sources: flatpak-override(1) and flatpak-metadata(5); p11-kit's pkcs11.conf(5); OpenSSL's config(5); the ``pkcs11``
interface of snapd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from cardd.cli.registering import Form, Place
from cardd.cli.trust_stores import DATABASE, PLACES, NssPlace, NssStore, nss_stores

NAME = "cardd"
CLIENTS = (
    "usr/lib/*/pkcs11/p11-kit-client.so",
    "usr/lib64/pkcs11/p11-kit-client.so",
    "usr/lib/pkcs11/p11-kit-client.so",
)
PROXY = "p11-kit-proxy.so"  # found by the loader of the sandbox: its path there is not this machine's
LIBRARIES = ("usr/lib/*", "usr/lib64", "usr/lib")
MODULE = "pkcs11/modules/cardd.module"
ENVIRONMENT = "environment.d/60-cardd.conf"
SSH = "etc/ssh/ssh_config.d/cardd.conf"
OPENSSL = "cardd/openssl.cnf"
SYSTEMS_OPENSSL = ("etc/ssl/openssl.cnf", "etc/pki/tls/openssl.cnf")
OVERRIDES = "flatpak/overrides"
FLATPAKS = {
    "firefox": "org.mozilla.firefox",
    "thunderbird": "org.mozilla.Thunderbird",
    "chromium": "org.chromium.Chromium",
    "chrome": "com.google.Chrome",
    "edge": "com.microsoft.Edge",
}
MAIL: tuple[NssPlace, ...] = (
    ("thunderbird", "deb", ".thunderbird/*", None),
    ("thunderbird", "snap", "snap/thunderbird/common/.thunderbird/*", None),
    ("thunderbird", "flatpak", ".var/app/org.mozilla.Thunderbird/.thunderbird/*", None),
)


def client(root: Path = Path("/")) -> Path | None:
    """Return where the distribution has ``p11-kit-client.so``."""
    return next((file for pattern in CLIENTS for file in sorted(root.glob(pattern))), None)


def machine(socket: Path, module: Path, root: Path = Path("/")) -> Iterator[Place]:
    """Yield the places of all users."""
    yield Place("p11-kit", "", root / "etc" / MODULE, _remote(socket))
    yield Place("session", "", root / "etc" / ENVIRONMENT, _environment(socket))
    if (root / SSH).parent.is_dir():
        yield Place("ssh", "", root / SSH, f"PKCS11Provider {module}\n")
    yield from _openssl(root / "etc", module, root)


def personal(
    socket: Path, module: Path, home: Path, root: Path = Path("/"), around: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Place]:
    """Yield the places of one user: p11-kit's, the session's environment, OpenSSL's, browsers and what they are in.

    ``around`` is the environment, by which a user may keep settings elsewhere (XDG Base Directory Specification).
    """
    settings = _folder(around.get("XDG_CONFIG_HOME"), home / ".config")
    data = _folder(around.get("XDG_DATA_HOME"), home / ".local/share")
    yield Place("p11-kit", "", settings / MODULE, _remote(socket))
    yield Place("session", "", settings / ENVIRONMENT, _environment(socket))
    yield from _openssl(settings, module, root)
    for program, app in FLATPAKS.items():
        own = home / ".var/app" / app
        if own.is_dir():
            yield Place(program, "flatpak", data / OVERRIDES / app, str(socket), Form.FILESYSTEM)
            yield Place(program, "flatpak", own / "config" / MODULE, _remote(socket))
    for store in _databases(home):
        if store.package != "snap":
            library = module if store.package == "deb" else PROXY
            # a browser makes the rest of a database that has this file alone
            part = f"library={library}\nname={NAME}\n\n"
            yield Place(store.browser, store.package, store.path / DATABASE[2], part, Form.BLOCK)


def _folder(told: str | None, usual: Path) -> Path:
    return Path(told) if told and told.startswith("/") else usual


def snaps(home: Path) -> Iterator[NssStore]:
    """Yield the databases of programs that no file leads to the socket."""
    return (store for store in _databases(home) if store.package == "snap")


def _databases(home: Path) -> Iterator[NssStore]:
    return nss_stores(home, (*PLACES, *MAIL))


def _openssl(folder: Path, module: Path, root: Path) -> Iterator[Place]:
    """Yield a configuration of our own, which a program reads that is told to: what all read would load this in all.

    OpenSSL stops at a configuration that names what is not there, so that only what is installed stands in it.
    """
    engine, provider = (_library(root, name) for name in ("engines-3/pkcs11.so", "ossl-modules/pkcs11.so"))
    if engine is None and provider is None:
        return
    lines = ["openssl_conf = openssl_init"]
    lines += [f".include {root / file}" for file in SYSTEMS_OPENSSL if (root / file).is_file()][:1]
    lines.append("[openssl_init]")
    if engine:
        lines += ["engines = cardd_engines"]
    if provider:
        lines += ["providers = cardd_providers"]
    if engine:
        lines += ["[cardd_engines]", "pkcs11 = cardd_engine"]
        lines += ["[cardd_engine]", "engine_id = pkcs11", f"dynamic_path = {engine}", f"MODULE_PATH = {module}"]
        lines += ["init = 0"]
    if provider:
        lines += ["[cardd_providers]", "default = cardd_default", "pkcs11 = cardd_provider"]
        lines += ["[cardd_default]", "activate = 1"]
        lines += ["[cardd_provider]", f"module = {provider}", f"pkcs11-module-path = {module}", "activate = 1"]
    yield Place("openssl", "", folder / OPENSSL, "\n".join(lines) + "\n")


def _library(root: Path, name: str) -> Path | None:
    found = (file for folder in LIBRARIES for file in sorted(root.glob(f"{folder}/{name}")))
    return next(found, None)


def address(socket: Path) -> str:
    """Return the socket as p11-kit has it: what may stand in no address is percent-encoded."""
    return f"unix:path={quote(bytes(socket))}"


def _remote(socket: Path) -> str:
    return f"remote: {address(socket)}\n"


def _environment(socket: Path) -> str:
    return f"P11_KIT_SERVER_ADDRESS={address(socket)}\n"
