"""What support gets of a workstation: each file of the archive, made of values whose types name nobody.

Codes, numbers, choices among words of cardd's own, versions and dates go in. Texts that a person, a program, a card, a
server or the configuration gave do not, whatever they say: nothing is searched for secrets afterwards.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shutil
import ssl
from collections.abc import Awaitable, Callable, Iterable
from importlib import metadata

from msgspec.structs import replace

from cardd import __version__
from cardd.cli.command import Context, as_json
from cardd.cli.log_lines import of_journal
from cardd.cli.waiting import said_by
from cardd.client import CarddClient
from cardd.client.answers import LogLine
from cardd.config.kinds import Section, choices, declared
from cardd.config.settings import FAMILIES, sections_of
from cardd.errors import CarddError
from cardd.values import Value

LINES = 500
FOLDER = "cardd-support"
SET = "(set)"
# Debian packages whose versions explain faults
PACKAGES = (
    "pcscd", "libpcsclite1", "libccid", "opensc", "p11-kit", "pinentry-gnome3", "pinentry-gtk2", "pinentry-qt",
    "pinentry-curses", "pinentry-tty", "systemd", "polkitd", "chromium", "firefox-esr",
)  # fmt: skip
SESSIONS = ("x11", "wayland", "tty")
PATIENCE = 10.0  # seconds for a program that tells versions

Json = dict[str, object]


class Part(Value):
    """One file of the archive."""

    name: str
    text: str

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.text.encode())


async def gathered(context: Context) -> list[Part]:
    """Return every file. What cannot be had is told by the code of its error: nothing is missing unnoticed."""
    requests = _Numbered()
    async with context.client() as cardd:
        making: dict[str, Callable[[], Awaitable[object]]] = {
            "versions.json": _versions,
            "doctor.json": lambda: _doctor(context),
            "configuration.json": lambda: asyncio.to_thread(_configuration, context),
            "log.json": lambda: _log(cardd, requests),
            "audit.json": lambda: _audit(cardd, requests),
            "metrics.txt": cardd.metrics,
        }
        return [Part(name, await _written(make)) for name, make in making.items()]


class _Numbered:
    """Numbers in place of what programs call their requests: a UUID may be somebody's, as PSC's ``sub``."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, request: str | None) -> str | None:
        """Return the number of a request, the same in every part."""
        return self._known.setdefault(request, f"request {len(self._known) + 1}") if request else None


async def _written(make: Callable[[], Awaitable[object]]) -> str:
    try:
        value = await make()
    except CarddError as error:
        value = {"error": error.code}
    except Exception as fault:  # noqa: BLE001 - one part that breaks must not keep the others back
        value = {"error": type(fault).__name__}
    return value if isinstance(value, str) else as_json(value) + "\n"


async def _versions() -> Json:
    """Return what is installed: cardd, what it stands on, the system."""
    required = {re.split(r"[^A-Za-z0-9_.-]", wanted)[0] for wanted in metadata.requires("cardd") or ()}
    return {
        "cardd": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "packages": {name: metadata.version(name) for name in sorted(required) if _is_installed(name)},
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "session": os.environ.get("XDG_SESSION_TYPE") if os.environ.get("XDG_SESSION_TYPE") in SESSIONS else None,
        "debian": await _debian(),
    }


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


async def _debian() -> dict[str, str]:
    """Return the versions of Debian's packages; none on another system."""
    program = shutil.which("dpkg-query")
    if program is None:
        return {}
    command = [program, "--show", "--showformat=${Package} ${Version}\n", *PACKAGES]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=quiet)
    told, _ = await said_by(process, PATIENCE)
    pairs = (line.partition(" ") for line in told.decode().splitlines())
    return {name: version for name, _, version in pairs if version}


async def _doctor(context: Context) -> list[Json]:
    """Return what doctor finds: codes and numbers; no sentence, for those have names in them."""
    from cardd.cli.doctor import CHECKS  # noqa: PLC0415 - only this command and doctor itself need them
    from cardd.cli.doctor.examining import examine  # noqa: PLC0415
    from cardd.cli.doctor.surroundings import Surroundings  # noqa: PLC0415

    base = context.base if context.arguments.url or context.arguments.socket else None
    results = await examine(CHECKS, list(CHECKS), Surroundings(context.arguments.config, base, context.language))
    return [
        {
            "check": result.name,
            "level": result.level,
            "code": result.code,
            "numbers": {name: value for name, value in result.params.items() if isinstance(value, int)},
        }
        for result in results
    ]


def _configuration(context: Context) -> dict[str, Json]:
    """Return the settings that differ from their defaults. Raises ConfigInvalid."""
    from cardd.config.loading import load  # noqa: PLC0415 - as above

    told: dict[str, Json] = {}
    counts: dict[str, int] = {}
    for title, section in sections_of(load(context.arguments.config)):
        family = title.partition(".")[0]
        if family in FAMILIES:  # the name of one is its owner's
            counts[family] = counts.get(family, 0) + 1
        shown = f"{family}.{counts[family]}" if family in FAMILIES else title
        if changed := dict(_changed(section)):
            told[shown] = changed
    return told


def _changed(section: Section) -> Iterable[tuple[str, object]]:
    for name, key in declared(type(section)).items():
        value = getattr(section, name)
        if value != key.default:
            yield name, _setting(key.type, value)


def _setting(kind: object, value: object) -> object:
    """Return a setting's value by its declared type: numbers and choices; of others, that it is set, and how often."""
    words = choices(kind)
    match value:
        case None | bool() | int() | float():
            return value
        case str() if value in words:
            return str(value)
        case tuple() if words and all(entry in words for entry in value):
            return [str(entry) for entry in value]
        case tuple():
            return {"count": len(value)}
    return SET


async def _log(cardd: CarddClient, requests: _Numbered) -> list[LogLine]:
    """Return the log's last lines, masked: where the time of requests went is among them.

    Where the daemon does not answer, the journal has lines that it masked before. Raises what asking the daemon does.
    """
    try:
        lines: Iterable[LogLine] = (await cardd.logs(masked=True)).lines
    except CarddError:
        lines = await of_journal(LINES, masked=True)
        if not lines:
            raise
    return [replace(line, request=requests(line.request)) for line in lines]


async def _audit(cardd: CarddClient, requests: _Numbered) -> list[Json]:
    """Return how the last acts ended, without who asked and what for."""
    return [
        {
            "at": row.time,
            "action": row.action,
            "outcome": row.outcome,
            "code": row.code,
            "request": requests(row.request),
        }
        for row in await cardd.audit()
    ]


def zipped(parts: Iterable[Part]) -> bytes:
    """Return the archive; its folder has the same name everywhere."""
    import io  # noqa: PLC0415 - only where one is written
    import zipfile  # noqa: PLC0415

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in parts:
            archive.writestr(f"{FOLDER}/{part.name}", part.text)
    return made.getvalue()
