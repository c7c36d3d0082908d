"""``cardctl pkcs11``: the programs of this user, or as root of the machine, that find cardd as a PKCS#11 module."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.every_user import Undone, undo_of_every_user
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.policies import Policies
from cardd.cli.program_places import NAME, address, client, machine, personal, snaps
from cardd.cli.registering import Place, Registration
from cardd.cli.terminal import table
from cardd.cli.wording import word_for
from cardd.config.loading import load
from cardd.config.settings import Config
from cardd.errors import (
    CarddError,
    ClientModuleMissing,
    ConfigInvalid,
    PolicyUnreadable,
    SupportAdministratorOnly,
)
from cardd.i18n import N_, Domain
from cardd.values import Value, asdict

_ = Domain("cli")

HEADS = (N_("PROGRAM"), N_("PACKAGE"), N_("STATE"), N_("FILE"))
STATES = {
    "registered": N_("registered"),
    "absent": N_("absent"),
    "other": N_("a file that is not cardd's"),
    "unreadable": N_("you may not read it"),
    "confined": N_("a snap: has no way to cardd"),
}
MACHINE_RECORD = "etc/cardd/pkcs11.json"
USERS_RECORD = ".local/state/cardd/pkcs11.json"


class Stands(Value):
    """How one place stands."""

    program: str
    package: str
    state: str
    file: str


class _Told(Value):
    """What is told beside the places: the socket, the module, the users that root has undone, whether all went well."""

    socket: Path
    module: Path
    undone: Sequence[Undone]
    is_whole: bool

    def answer(self, found: Sequence[Stands]) -> dict[str, object]:
        """Return all of it, for programs."""
        users = {"users": [asdict(one) for one in self.undone]} if self.undone else {}
        places = [asdict(one) for one in found]
        return {"places": places, "module": str(self.module), "socket": str(self.socket), **users}


def _arguments(parser: Parser) -> None:
    """Declare what is put in, taken out and shown."""
    branch = parser.branches("action")
    unregister = branch("unregister", N_("take that out again; the files are as they were"))
    for command in (
        branch("register", N_("have your programs find the card; as root, those of all users")),
        unregister,
        branch("status", N_("which programs find it, and by which file")),
    ):
        command.add_argument(
            "--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd")
        )
    unregister.add_argument(
        "--all-users",
        action="store_true",
        help=N_("as root: the machine's files and those of each user, before cardd is removed"),
    )


async def _pkcs11(context: Context) -> int:
    """Register, unregister or show. Raises ClientModuleMissing, RegistrationUnreadable, ConfigInvalid, OSError."""
    given = context.arguments
    module = client()
    if given.action == "register" and module is None:
        raise ClientModuleMissing
    undone = _take_out_of_users() if given.action == "unregister" and given.all_users else []
    socket, known, base = _socket(given), module or Path("p11-kit-client.so"), Path("/") if _is_root() else Path.home()
    places = list(machine(socket, known) if _is_root() else personal(socket, known, base, around=os.environ))
    registration, faults = Registration(_record(base), base), list[OSError | CarddError]()
    if given.action != "status":
        faults += registration.put(places) if given.action == "register" else registration.take_out()
        if _is_root():
            faults += _change_policy({NAME: str(known)} if given.action == "register" else {})
    _show(context, places, _Told(socket, known, undone, is_whole=not faults))
    if faults:
        raise faults[0]
    return Exit.FAILED if any(not one.done for one in undone) else Exit.OK


def _is_root() -> bool:
    return os.geteuid() == 0


def _socket(given: Namespace) -> Path:
    """Return where programs connect. Raises ConfigInvalid, but for what only takes files out."""
    try:
        return load(given.config).p11.socket
    except ConfigInvalid:
        if given.action == "unregister":
            return Config().p11.socket
        raise


def _take_out_of_users() -> list[Undone]:
    """Take out what users registered. Raises SupportAdministratorOnly."""
    if not _is_root():
        raise SupportAdministratorOnly
    undone = undo_of_every_user("pkcs11", "unregister", has_any=lambda home: (home / USERS_RECORD).is_file())
    return list(undone)


def _change_policy(devices: Mapping[str, str]) -> list[OSError | CarddError]:
    """Have Firefox's policy say these modules; return what kept us from it."""
    try:
        Policies(Path("/")).put_devices(devices)
    except (OSError, PolicyUnreadable) as fault:
        return [fault]
    return []


def _record(base: Path) -> Path:
    if _is_root():
        return base / MACHINE_RECORD
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else base / ".local/state") / "cardd/pkcs11.json"


def _standing(places: Sequence[Place]) -> Iterator[Stands]:
    """Yield how each place stands."""
    for place in places:
        yield Stands(place.program, place.package, place.state(), str(place.file))
    if _is_root():
        for file, devices in Policies(Path("/")).devices().items():
            yield Stands("firefox", "deb, snap", "registered" if NAME in devices else "absent", file)
    else:
        for store in snaps(Path.home()):
            yield Stands(store.browser, store.package, "confined", str(store.path))


def _show(context: Context, places: Sequence[Place], told: _Told) -> None:
    language, action = context.language, context.arguments.action
    found = list(_standing(places))
    rows = [[one.program, one.package, word_for(one.state, STATES, context), one.file] for one in found]
    lines = table([_(head, language) for head in HEADS], rows)
    if action != "unregister":
        lines += _what_no_file_says(places, told, language)
    if action == "unregister" and told.is_whole and any(one.state == "registered" for one in found):
        lines.append(_("No record knows what is still registered: take it out by hand.", language))
    if action == "register" and told.is_whole:
        lines.append(_("Log out of the desktop and in again.", language))
    lines += [
        _("{user}: taken out", language, user=one.user)
        if one.done
        else _("{user}: not taken out; that user runs: cardctl pkcs11 unregister", language, user=one.user)
        for one in told.undone
    ]
    answer = told.answer(found)
    if not told.is_whole:
        context.partial |= answer  # JSON tells both at the failure
    if told.is_whole or not context.wants_json:
        context.answer(answer, lines)


def _what_no_file_says(places: Sequence[Place], told: _Told, language: str) -> Iterator[str]:
    """Yield what no file of ours can say to a program."""
    yield _("ssh, in ~/.ssh/config: {line}", language, line=f"PKCS11Provider {told.module}")
    openssl = next((place.file for place in places if place.program == "openssl"), None)
    if openssl:
        yield _("OpenSSL and curl, before the command: {line}", language, line=f"OPENSSL_CONF={openssl}")
    else:
        yield _(
            "OpenSSL has nothing for PKCS#11 here: install libengine-pkcs11-openssl (Debian 12) or pkcs11-provider "
            "(Debian 13), then register again.",
            language,
        )
    line = f"export P11_KIT_SERVER_ADDRESS={address(told.socket)}"
    yield _("Where the session is not systemd's, in ~/.profile: {line}", language, line=line)


COMMANDS = {"pkcs11": Command(_pkcs11, _arguments)}
