"""``cardctl https``: the certificate of https on loopback, and the browsers that trust its authority."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pwd
import socket
import ssl
from argparse import Namespace
from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from cardd.cli.command import Command, Context
from cardd.cli.every_user import undo_of_every_user
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.terminal import table
from cardd.cli.trust_stores import NssStore, SystemStore, ensure_certutil, nss_stores
from cardd.cli.wording import word_for
from cardd.config import Config
from cardd.config.loading import load
from cardd.errors import (
    CarddError,
    ConfigInvalid,
    HttpsNotMade,
    InvalidRequest,
    StateUnavailable,
    SupportAdministratorOnly,
    TrustStoreRefused,
)
from cardd.i18n import N_, Domain
from cardd.system import loopback_tls
from cardd.values import Value, asdict

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


class Stands(Value):
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
    remove.add_argument(
        "--all-users", action="store_true", help=N_("as root: the browsers of each user, before cardd is removed")
    )
    for command in (install, remove, branch("status", N_("which browsers trust it"))):
        command.add_argument(
            "--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd")
        )


async def _https(context: Context) -> int:
    """Install, remove or show. Raises HttpsNotMade, CertutilMissing, TrustStoreRefused, ConfigInvalid, OSError."""
    given = context.arguments
    config = _configuration(given)
    found: list[Stands] = []
    match given.action:
        case "install":
            found = _install(given, config)
        case "remove":
            found = _remove(given, config)
        case _:
            found = _standings(config)
    _show(context, found, config)
    return Exit.FAILED if any(one.state == "refused" for one in found) else Exit.OK


def _configuration(given: Namespace) -> Config:
    """Return the configuration. Raises ConfigInvalid, but for what only takes out."""
    try:
        return load(given.config)
    except ConfigInvalid:
        if given.action == "remove" and given.config is None:
            return Config()
        raise


def _install(given: Namespace, config: Config) -> list[Stands]:
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - for its date

    ensure_certutil()
    user, system, directory = _other_user(given), SystemStore(), config.state.directory
    refused: list[Stands] = []
    if os.access(directory, os.W_OK):
        made = loopback_tls.make()
        loopback_tls.keep(directory, made.server)
        authority = made.authority
        if os.geteuid() == 0 and not given.no_system:
            refused = _refusal("system", "", system.file, lambda: system.put(authority))
    elif os.geteuid() == 0:
        raise StateUnavailable(file=str(directory), why=os.strerror(errno.ENOENT))
    else:
        kept = system.kept()
        if kept is None:
            raise HttpsNotMade
        authority = kept
    until = load_der_x509_certificate(authority).not_valid_after_utc.date()
    return _joined(refused, _as(user, lambda: _each(lambda store: store.put(authority, until), config)))


def _remove(given: Namespace, config: Config) -> list[Stands]:
    """Take everything out; one store that refuses keeps no other one in. Raises SupportAdministratorOnly."""
    user, system = _other_user(given), SystemStore()
    refused = _out_of_users() if given.all_users else []
    if os.access(config.state.directory, os.W_OK):
        loopback_tls.forget(config.state.directory)
    if os.geteuid() == 0 and not given.no_system:
        refused += _refusal("system", "", system.file, system.take_out)
    return _joined(refused, _as(user, lambda: _each(NssStore.take_out, config)))


def _out_of_users() -> list[Stands]:
    """Take ours out of each user's browsers, as that user; return whose refused. Raises SupportAdministratorOnly."""
    if os.geteuid():
        raise SupportAdministratorOnly
    undone = undo_of_every_user("https", "remove", "--no-system", has_any=lambda home: any(nss_stores(home)))
    return [Stands("", "", "refused", one.user) for one in undone if not one.done]


def _joined(refused: list[Stands], found: list[Stands]) -> list[Stands]:
    """Return both; of a store that refused, no more than that."""
    return [*refused, *(one for one in found if one.store not in {other.store for other in refused})]


def _each(change: Callable[[NssStore], None], config: Config) -> list[Stands]:
    """Change each store of this process's user; tell how all stand then."""
    failed: dict[Path, list[Stands]] = {}
    for store in nss_stores(Path.home()):
        if found := _refusal(store.browser, store.package, store.path, partial(change, store)):
            failed[store.path] = found
    return [*itertools.chain(*failed.values()), *_standings(config, failed)]


def _refusal(browser: str, package: str, store: Path | None, change: Callable[[], None]) -> list[Stands]:
    """Change one store; return how it refused that, if it did: no other one waits for it."""
    try:
        change()
    except (CarddError, OSError) as error:
        why = str(error.params.get("why", error.code)) if isinstance(error, CarddError) else str(error)
        return [Stands(browser, package, "refused", str(store), why)]
    return []


def _other_user(given: Namespace) -> pwd.struct_passwd | None:
    """Return the user whose browsers root means. Raises InvalidRequest for nobody."""
    name = given.user or os.environ.get("SUDO_USER")
    if os.geteuid() or not name:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise InvalidRequest(where="--user", why="unknown") from None
    return found if found.pw_uid else None


def _as(user: pwd.struct_passwd | None, work: Callable[[], list[Stands]]) -> list[Stands]:
    """Do the browsers' part as that user, in a process of its own: root changes nothing in somebody else's folders.

    The process is forked: this Python and the configuration may be closed to that user.
    """
    if user is None:
        return work()
    "localhost".encode("idna")  # has its codec loaded, which the user need not be able to read
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _become_and_tell(user, work, writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = told.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        return [Stands("", "", "refused", user.pw_dir, user.pw_name)]
    return [Stands(**one) for one in json.loads(found)]


def _become_and_tell(user: pwd.struct_passwd, work: Callable[[], list[Stands]], writing: int) -> NoReturn:
    status = 1
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        os.chdir("/")
        os.environ["HOME"] = user.pw_dir
        with os.fdopen(writing, "w") as out:
            json.dump([asdict(one) for one in work()], out)
        status = 0
    finally:
        os._exit(status)


def _standings(config: Config, without: Container[Path] = ()) -> list[Stands]:
    found = []
    for store in nss_stores(Path.home()):
        if store.path in without:
            continue
        try:
            state, why = _state([one.authority for one in store.kept() if one.is_trusted], config), ""
        except TrustStoreRefused as refused:
            state, why = "refused", refused.why
        found.append(Stands(store.browser, store.package, state, str(store.path), why))
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
    if any(one.why and one.browser != "system" for one in found):
        lines.append(f"→ {TrustStoreRefused(store='', why='').told(language).remedy}")
    if context.arguments.action == "install":
        if not config.listen.https:
            lines.append(
                _(
                    "Set “https = 17464” in section [listen] of the configuration. Then, one after the other: “sudo "
                    "install -D -m 644 /usr/share/doc/cardd/examples/https.conf "
                    "/etc/systemd/system/cardd.socket.d/https.conf”, “sudo systemctl daemon-reload”, “sudo systemctl "
                    "restart cardd.socket cardd”.",
                    language,
                )
            )
        lines.append(_("Restart the browsers.", language))
    until = _until(config)
    if until and context.arguments.action != "remove":
        lines.append(_("The certificate that cardd shows ends on {date}.", language, date=until))
    context.answer({"stores": [asdict(one) for one in found], "until": until}, lines)


def _until(config: Config) -> str | None:
    """Return until when the certificate that the daemon shows is good; None where it shows none."""
    if not config.listen.https:
        return None
    try:
        shown = loopback_tls.shown(config.listen.https, ANSWER_LIMIT)
    except OSError:
        return None
    return loopback_tls.validity(shown)[1].date().isoformat()


COMMANDS = {"https": Command(_https, _arguments)}
