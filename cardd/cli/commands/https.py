"""``cardctl https``: the certificate of https on loopback, and the browsers that trust its authority."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import ssl
import subprocess
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.terminal import table
from cardd.cli.trust_stores import SystemStore, nss_stores
from cardd.cli.wording import word_for
from cardd.config import Config
from cardd.config.loading import load
from cardd.errors import CarddError, HttpsNotMade
from cardd.i18n import N_, Domain
from cardd.system import loopback_tls

_ = Domain("cli")

HEADS = (N_("BROWSER"), N_("PACKAGE"), N_("AUTHORITY"), N_("STORE"))
STATES = {
    "trusted": N_("trusted"),
    "absent": N_("absent"),
    "other": N_("of another certificate"),
    "unanswered": N_("there; cardd does not answer over https"),
    "refused": N_("refused"),
}
ANSWER_LIMIT = 5.0


@dataclass(frozen=True)
class Stands:
    """How one store stands; ``why`` is what its tool said where it refused."""

    browser: str
    package: str
    state: str
    store: str
    why: str = ""


def _arguments(parser: Parser) -> None:
    """Declare what is put in, taken out and shown."""
    branch = parser.branches("action")
    install = branch("install", N_("make a certificate, and have the system and your browsers trust its authority"))
    remove = branch("remove", N_("take both away again"))
    for changing in (install, remove):
        changing.add_argument(
            "--user", metavar=N_("USER"), help=N_("as root: whose browsers; who called sudo if not said")
        )
        changing.add_argument("--no-system", action="store_true", help=N_("leave the system's own store alone"))
        changing.add_argument("--own", action="store_true", help=SUPPRESS)
    for command in (install, remove, branch("status", N_("which browsers trust it"))):
        command.add_argument(
            "--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd")
        )


async def _https(context: Context) -> int:
    """Install, remove or show. Raises HttpsNotMade, CertutilMissing, TrustStoreRefused, ConfigInvalid, OSError."""
    given, config = context.arguments, load(context.arguments.config)
    found: list[Stands] = []
    match given.action:
        case "install":
            found = await asyncio.to_thread(_install, given, config)
        case "remove":
            found = await asyncio.to_thread(_remove, given, config)
        case _:
            found = await asyncio.to_thread(_standings, config)
    _show(context, found, config)
    return Exit.FAILED if any(one.state == "refused" for one in found) else Exit.OK


def _install(given: Namespace, config: Config) -> list[Stands]:
    own, user = given.own, _other_user(given)
    system, directory = SystemStore(), config.state.directory
    if own or not os.access(directory, os.W_OK):
        authority = system.kept()
        if authority is None:
            raise HttpsNotMade
    else:
        made = loopback_tls.make()
        loopback_tls.keep(directory, made.server)
        authority = made.authority
        if os.geteuid() == 0 and not given.no_system:
            system.put(authority)
    return _as(user, given, "install") if user else _into(authority, config)


def _into(authority: bytes, config: Config) -> list[Stands]:
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - for its date

    until = load_der_x509_certificate(authority).not_valid_after_utc.date()
    failed = []
    for store in nss_stores(Path.home()):
        try:
            store.put(authority, until)
        except CarddError as error:
            why = str(error.params.get("why", error.code))
            failed.append(Stands(store.browser, store.package, "refused", str(store.path), why))
    refused = {one.store for one in failed}
    return [*failed, *(one for one in _standings(config) if one.store not in refused)]


def _remove(given: Namespace, config: Config) -> list[Stands]:
    user = _other_user(given)
    found = _as(user, given, "remove") if user else []
    if not user:
        for store in nss_stores(Path.home()):
            store.take_out()
    if not given.own and os.access(config.state.directory, os.W_OK):
        loopback_tls.forget(config.state.directory)
        if os.geteuid() == 0 and not given.no_system:
            SystemStore().take_out()
    return found or _standings(config)


def _other_user(given: Namespace) -> pwd.struct_passwd | None:
    """Return the user whose browsers root means."""
    name = given.user or os.environ.get("SUDO_USER")
    if os.geteuid() or not name or given.own:
        return None
    found = pwd.getpwnam(name)
    return found if found.pw_uid else None


def _as(user: pwd.struct_passwd, given: Namespace, action: str) -> list[Stands]:
    """Do the user's own part as that user: root changes nothing in folders that are somebody else's."""
    config = given.config
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--json", "https", action, "--own"]
    ran = subprocess.run(  # noqa: S603 - ourselves
        [*command, *(["--config", str(config)] if config else [])],
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"HOME": user.pw_dir, "PATH": os.environ.get("PATH", os.defpath), "LANG": os.environ.get("LANG", "C")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )
    return [Stands(**one) for one in json.loads(ran.stdout)["stores"]]


def _standings(config: Config) -> list[Stands]:
    found = []
    for store in nss_stores(Path.home()):
        state = _state([one.authority for one in store.kept()], config)
        found.append(Stands(store.browser, store.package, state, str(store.path)))
    system = SystemStore()
    if system.file is not None:
        kept = system.kept()
        found.append(Stands("system", "", _state([kept] if kept else [], config), str(system.file)))
    return found


def _state(authorities: Sequence[bytes], config: Config) -> str:
    """Return whether one of these vouches for what answers on the port: the question that a browser asks."""
    if not authorities:
        return "absent"
    context = ssl.create_default_context(cadata=b"".join(authorities))
    try:
        with socket.create_connection(("127.0.0.1", config.listen.https), ANSWER_LIMIT) as plain:
            context.wrap_socket(plain, server_hostname="127.0.0.1").close()
    except ssl.SSLCertVerificationError:
        return "other"
    except OSError:
        return "unanswered"
    return "trusted"


def _show(context: Context, found: Sequence[Stands], config: Config) -> None:
    language = context.language
    rows = [[one.browser, one.package, word_for(one.state, STATES, context), one.store] for one in found]
    lines = table([_(head, language) for head in HEADS], rows)
    lines += [f"{one.store}: {one.why}" for one in found if one.why]
    if context.arguments.action == "install":
        if not config.listen.https:
            lines.append(_("Set “https = 17464” in section [listen] of the configuration.", language))
        lines.append(_("Restart cardd (“systemctl restart cardd”), then the browsers.", language))
    context.answer({"stores": [asdict(one) for one in found]}, lines)


COMMANDS = {"https": Command(_https, _arguments)}
