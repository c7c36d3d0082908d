"""``cardctl pkcs11``: the programs of this user, or as root of the machine, that find cardd as a PKCS#11 module."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.policies import Policies
from cardd.cli.registering import NAME, Place, Registration, client, machine, personal
from cardd.cli.terminal import table
from cardd.cli.wording import word_for
from cardd.config.loading import load
from cardd.errors import CarddError, ClientModuleMissing, PolicyUnreadable
from cardd.i18n import N_, Domain

_ = Domain("cli")

HEADS = (N_("PROGRAM"), N_("PACKAGE"), N_("STATE"), N_("FILE"))
STATES = {
    "registered": N_("registered"),
    "absent": N_("absent"),
    "other": N_("a file that is not cardd's"),
}
MACHINE_RECORD = "etc/cardd/pkcs11.json"


@dataclass(frozen=True)
class Stands:
    """How one place stands."""

    program: str
    package: str
    state: str
    file: str


def _arguments(parser: Parser) -> None:
    """Declare what is put in, taken out and shown."""
    branch = parser.branches("action")
    for command in (
        branch("register", N_("have your programs find the card; as root, those of all users")),
        branch("unregister", N_("take that out again; the files are as they were")),
        branch("status", N_("which programs find it, and by which file")),
    ):
        command.add_argument(
            "--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd")
        )


async def _pkcs11(context: Context) -> int:
    """Register, unregister or show. Raises ClientModuleMissing, RegistrationUnreadable, ConfigInvalid, OSError."""
    given = context.arguments
    socket, module = load(given.config).p11.socket, client()
    if module is None and given.action == "register":
        raise ClientModuleMissing
    known, is_root = module or Path("p11-kit-client.so"), os.geteuid() == 0
    base = Path("/") if is_root else Path.home()
    places = list(machine(socket, known) if is_root else personal(socket, known, base))
    registration, faults = Registration(_record(base), base), list[OSError | CarddError]()
    if given.action != "status":
        faults += registration.put(places) if given.action == "register" else registration.take_out()
        if is_root:
            faults += _change_policy({NAME: str(known)} if given.action == "register" else {})
    _show(context, places, socket, known, is_whole=not faults)
    if faults:
        raise faults[0]
    return Exit.OK


def _change_policy(devices: Mapping[str, str]) -> list[OSError | CarddError]:
    """Have Firefox's policy say these modules; return what kept us from it."""
    try:
        Policies(Path("/")).put_devices(devices)
    except (OSError, PolicyUnreadable) as fault:
        return [fault]
    return []


def _record(base: Path) -> Path:
    if os.geteuid() == 0:
        return base / MACHINE_RECORD
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else base / ".local/state") / "cardd/pkcs11.json"


def _show(context: Context, places: Sequence[Place], socket: Path, module: Path, *, is_whole: bool) -> None:
    language = context.language
    found = [Stands(place.program, place.package, place.state(), str(place.file)) for place in places]
    if os.geteuid() == 0:
        for file, devices in Policies(Path("/")).devices().items():
            found.append(Stands("firefox", "deb, snap", "registered" if NAME in devices else "absent", file))
    rows = [[one.program, one.package, word_for(one.state, STATES, context), one.file] for one in found]
    lines = table([_(head, language) for head in HEADS], rows)
    if context.arguments.action != "unregister":
        lines += [
            _("ssh, in ~/.ssh/config: {line}", language, line=f"PKCS11Provider {module}"),
            _("OpenSSL's engine, in the environment: {line}", language, line=f"PKCS11_MODULE_PATH={module}"),
            _(
                "Where the session is not systemd's, in ~/.profile: {line}",
                language,
                line=f"export P11_KIT_SERVER_ADDRESS=unix:path={socket}",
            ),
        ]
    if context.arguments.action == "unregister" and is_whole and any(one.state == "registered" for one in found):
        lines.append(_("No record knows what is still registered: take it out by hand.", language))
    if context.arguments.action == "register" and is_whole:
        lines.append(_("Log out of the desktop and in again.", language))
    told = {"places": [asdict(one) for one in found], "module": str(module), "socket": str(socket)}
    if not is_whole:
        context.partial |= told  # JSON tells both at the failure
    if is_whole or not context.wants_json:
        context.answer(told, lines)


COMMANDS = {"pkcs11": Command(_pkcs11, _arguments)}
