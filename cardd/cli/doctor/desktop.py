"""The desktop: who shows cardd's dialogs on it, whether others can read them, and where its secrets are kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from cardd.agent.agent import SOCKET
from cardd.agent.assuan import Assuan, Refusal
from cardd.agent.pinentry import GRAPHICAL, TEXTUAL, conversation, exposed_pinentry, find_pinentry
from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import ANSWER_LIMIT, Once, Surroundings, Unknowable
from cardd.errors import PromptUnavailable
from cardd.i18n import N_
from cardd.secret import Secret
from cardd.system.pcsc_clients import clients
from cardd.system.peer import PROC, processes

AGENTS = ("cardd-agent", "cardd.cli.agent")  # how an agent's command line begins, after Python's own part
PINENTRY_USUAL = "pinentry-gnome3"
HIDDEN = 0  # in place of a process
BUS = "DBUS_SESSION_BUS_ADDRESS"

# --- the agent

AGENT_OK = ok("agent.ok", N_("cardd-agent shows the dialogs on this desktop (process {pid})."))
AGENT_ABSENT = failure(
    "agent.absent",
    N_("No cardd-agent runs for this user: cardd can open no window here."),
    N_("Start it: “systemctl --user start cardd-agent”; or log out of the desktop and in again."),
    fix=("systemctl", "--user", "start", "cardd-agent.service"),
)
AGENT_UNCONNECTED = failure(
    "agent.unconnected",
    N_("cardd-agent runs (process {pid}), but is not connected to cardd at {path}."),
    N_(
        "Restart it: “systemctl --user restart cardd-agent”. If it stays so, restart the service too: "
        "“sudo systemctl restart cardd”."
    ),
    fix=("systemctl", "--user", "restart", "cardd-agent.service"),
)


def agent(surroundings: Surroundings) -> Finding:
    """Check whether this user has an agent, where the service runs as another user."""
    path, connected = _agents(surroundings)
    running = sorted(_running(path))
    if known := sorted(connected - {HIDDEN}) or (running if HIDDEN in connected else []):
        return AGENT_OK(pid=known[0])
    return AGENT_UNCONNECTED(pid=running[0], path=str(path)) if running else AGENT_ABSENT()


SECOND_AGENT_OK = ok("second_agent.ok", N_("Each desktop has one agent."))
SECOND_AGENT_REFUSED = warning(
    "second_agent.refused",
    N_("A second program came as this desktop's agent, and is refused: process {pid} ({program})."),
    N_("If you did not start it, tell support: it would have shown dialogs in cardd's place. Else end it."),
)


def second_agent(surroundings: Surroundings) -> Finding:
    """Check whether another program of this user would be the agent too."""
    path, connected = _agents(surroundings)
    running = _running(path)
    refused = sorted(running.keys() - connected)
    if connected and refused and HIDDEN not in connected:
        return SECOND_AGENT_REFUSED(pid=refused[0], program=running[refused[0]])
    return SECOND_AGENT_OK()


def _agents(surroundings: Surroundings) -> tuple[Path, set[int]]:
    """Return the agents' socket, and the processes of this user that are connected to it. Raises Unknowable.

    The installed agent shows root alone which connections it has: it is ``HIDDEN`` among them for everybody else.
    """
    listen = surroundings.config.listen
    path = listen.agent_socket if surroundings.base is None else surroundings.socket.with_name("agent.sock")
    try:
        if surroundings.socket.stat().st_uid == os.geteuid():
            raise Unknowable("own_dialogs")
        found = clients(str(path))
    except (FileNotFoundError, PermissionError):
        raise Unknowable("no_daemon") from None
    return path, {one.pid for one in found if one.uid == person()}


def person() -> int:
    """Return the user who asks, behind sudo too."""
    told = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return int(told) if told.isdecimal() else os.getuid()


def _running(path: Path) -> dict[int, str]:
    """Return the agents of this user that run for this socket, each with what its command line calls it."""
    found = {}
    for pid in processes():
        with contextlib.suppress(OSError):
            if (PROC / str(pid)).stat().st_uid != person():
                continue
            said = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            name = next((part for part in said[:3] if Path(part).name in AGENTS), None)
            if name and _socket_in(said) == str(path):
                found[pid] = name
    return found


def _socket_in(said: Sequence[str]) -> str:
    """Return the agents' socket that a command line names; the usual one where it names none."""
    for before, part in pairwise(said):
        if before == "--socket":
            return part
    return next((part.partition("=")[2] for part in said if part.startswith("--socket=")), SOCKET)


# --- the dialogs

PINENTRY_OK = ok("pinentry.ok", N_("{program} {version} answers."))
PINENTRY_EXPOSED = failure(
    "pinentry.exposed",
    N_("{program} is not used: others than root can change it, and a pinentry sees the PIN."),
    N_(
        "Install one for all users: “sudo apt install pinentry-gnome3” (or pinentry-qt, pinentry-curses). "
        "A daemon or agent of your own takes this one from [prompt] pinentry or --pinentry."
    ),
)
PINENTRY_ABSENT = failure(
    "pinentry.absent",
    N_("No pinentry program is installed."),
    N_("Install one: “sudo apt install pinentry-gnome3” (or pinentry-qt, pinentry-curses)."),
)
PINENTRY_BROKEN = failure(
    "pinentry.broken",
    N_("{program} does not answer as a pinentry ({why})."),
    N_("Install a pinentry again: “sudo apt install --reinstall {package}”; or name another one in [prompt] pinentry."),
)


async def pinentry(surroundings: Surroundings) -> Finding:
    """Check whether a pinentry can be found, starts, and answers."""
    configured = surroundings.config.prompt.pinentry
    program = find_pinentry(str(configured) if configured else None, os.environ)
    exposed = exposed_pinentry(os.environ) if program is None else None
    if exposed:
        return PINENTRY_EXPOSED(program=exposed)
    if program is None:
        return PINENTRY_ABSENT()
    try:
        async with asyncio.timeout(ANSWER_LIMIT), conversation(program) as talk:
            return PINENTRY_OK(program=program, version=await _version(talk))
    except (PromptUnavailable, TimeoutError) as fault:
        why = fault.params["why"] if isinstance(fault, PromptUnavailable) else "–"
        return PINENTRY_BROKEN(program=program, why=why, package=_package_of(program))


def _package_of(program: str) -> str:
    """Return the Debian package that a pinentry is of; for one that is none of Debian's, one to install."""
    name = Path(program).resolve().name
    known = name in (*GRAPHICAL, *TEXTUAL) and name != "pinentry-x11"  # which is no package of its own
    return name.replace("gtk-2", "gtk2") if known else PINENTRY_USUAL


async def _version(talk: Assuan) -> str:
    """Return the pinentry's version; nothing for one that answers, but not to this question."""
    with Secret() as answer:
        with contextlib.suppress(Refusal):
            await talk.command("GETINFO", "version", into=answer)
        with answer.view() as told:
            return bytes(told).decode("utf-8", "replace")


DESKTOP_OK = ok("desktop.ok", N_("No X11 desktop."))
DESKTOP_X11 = warning(
    "desktop.x11",
    N_("This desktop is X11: any of its programs can read the PIN while it is typed."),
    N_("Use a Wayland session, or a reader with its own keypad."),
    is_minor=True,
)


def desktop(_: Surroundings) -> Finding:
    """Check whether other programs of this desktop can read the PIN while it is typed."""
    is_x11 = "DISPLAY" in os.environ and "WAYLAND_DISPLAY" not in os.environ
    return DESKTOP_X11() if is_x11 or os.environ.get("XDG_SESSION_TYPE") == "x11" else DESKTOP_OK()


# --- the keyring

KEYRING_OK = ok("keyring.ok", N_("{keyring} encrypts what it keeps, and is open."))
KEYRING_LOCKED = warning(
    "keyring.locked",
    N_("{keyring} is locked: sessions of e-CPS do not outlive the service, and passwords are asked for."),
    N_("Open it: log in to the desktop with your password, or open the keyring in “Passwords and Keys”."),
)
KEYRING_ABSENT = warning(
    "keyring.absent",
    N_("There is no keyring: sessions of e-CPS do not outlive the service, and passwords are asked for."),
    N_("Install one (“sudo apt install gnome-keyring”), then log out of the desktop and in again."),
    is_minor=True,
)
KEYRING_BUS_SILENT = warning(
    "keyring.bus_silent",
    N_("The session bus (D-Bus), or the keyring on it, does not answer: passwords are asked for."),
    N_("Log out of the desktop and in again. If it stays so, restart the computer."),
    is_minor=True,
)
KEYRING_PLAINTEXT = failure(
    "keyring.plaintext",
    N_("{keyring} does not encrypt what it keeps, as far as cardd knows: cardd gives it no secret."),
    N_(
        "Install one that encrypts (“sudo apt install gnome-keyring”), and take the other out of "
        "~/.config/python_keyring/keyringrc.cfg and PYTHON_KEYRING_BACKEND."
    ),
)


def keyring(surroundings: Surroundings) -> Finding:
    """Check whether this user's daemon has a keyring that encrypts; a service of its own user has credentials."""
    with contextlib.suppress(OSError):
        if surroundings.socket.stat().st_uid != os.geteuid():
            raise Unknowable("service_secrets")
    try:
        return Once(_keyring).get(ANSWER_LIMIT)
    except OSError:  # its library waits for the bus without end, or is left by it
        if BUS in os.environ:
            return KEYRING_BUS_SILENT()
        raise


def _keyring() -> Finding:
    from cardd.system.secrets import is_bus_silent, keyring_of  # noqa: PLC0415 - where the keyring is used

    found = keyring_of()
    if not found.exists:
        return KEYRING_BUS_SILENT() if is_bus_silent() else KEYRING_ABSENT()
    if not found.encrypts:
        return KEYRING_PLAINTEXT(keyring=found.name)
    return KEYRING_LOCKED(keyring=found.name) if found.is_locked else KEYRING_OK(keyring=found.name)


CHECKS = {
    "keyring": Check(N_("Keyring"), keyring),
    "agent": Check(N_("Agent of this desktop"), agent),
    "second_agent": Check(N_("A second agent"), second_agent),
    "pinentry": Check(N_("PIN dialog"), pinentry),
    "desktop": Check(N_("Desktop"), desktop),
}
