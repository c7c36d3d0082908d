"""The entry points ``psc`` and ``psc-proxy`` of ``cardd.simulated_servers``, and the control file of what runs.

``cardctl simulate psc approve`` finds the simulator by that file, and may give it orders.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cardd.errors import DaemonUnreachable, InvalidRequest
from cardd.simulator import ServerOptions
from cardd.values import Value, asdict
from cardd_simulators import texts

if TYPE_CHECKING:
    from cardd_simulators.psc.serving import Played

NAME = "control.json"
AUTO = ("approve", "deny", "ignore")
SESSIONS = ("cookie", "person")  # by what the editor's server finds a session that is active


class Control(Value):
    """The port of the simulator that runs, and a token that only readers of the file know."""

    port: int
    token: str


def write_control(folder: Path, control: Control) -> None:
    """Write the file for this user's command, and for nobody else. Raises OSError."""
    with os.fdopen(os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(control), file)


def read_control(folder: Path) -> Control | None:
    """Return what the file says, None where no simulator runs."""
    try:
        return Control(**json.loads((folder / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remove_control(folder: Path) -> None:
    """Delete the file: the simulator runs no more."""
    (folder / NAME).unlink(missing_ok=True)


class PscSimulator:
    """Pro Santé Connect, played on loopback."""

    name = "psc"
    folder = "sandbox-psc"  # its name since the first version: configurations name it
    orders: tuple[str, ...] = AUTO
    settings: tuple[str, ...] = ("payload",)

    def summary(self, language: str) -> str:
        """Return what is simulated, in one sentence."""
        return texts.PSC[language][f"{self.name}.summary"]

    async def run(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled."""
        from cardd_simulators.psc.people import PAYLOADS  # noqa: PLC0415 - for whoever runs it, not for who lists it
        from cardd_simulators.psc.serving import serve  # noqa: PLC0415 - as above

        if unknown := options.settings.keys() - set(self.settings):
            known = ", ".join(f"{name}=…" for name in self.settings)
            raise InvalidRequest(where=", ".join(sorted(unknown)), why="expected", expected=known)
        if options.settings.get("payload", PAYLOADS[0]) not in PAYLOADS:
            raise InvalidRequest(where="payload", why="expected", expected=", ".join(PAYLOADS))
        if options.auto not in (None, *AUTO):
            raise InvalidRequest(where="--auto", why="expected", expected=", ".join(AUTO))
        await serve(self._folder(options), self.name, self._played(options), options, report)

    def _played(self, options: ServerOptions) -> Played:  # noqa: ARG002 - the editor's server's
        from cardd_simulators.psc.serving import PlayedProvider  # noqa: PLC0415

        return PlayedProvider()

    async def tell(self, options: ServerOptions, order: str, what: str | None) -> str:
        """Play the mobile of the simulator that runs."""
        import aiohttp  # noqa: PLC0415 - as above

        if what is not None and not what.isdecimal():
            raise InvalidRequest(where=what, why="expected", expected="1, 2, 3…")
        folder, words = self._folder(options), texts.PSC[options.language]
        told = {part: words[f"absent.{part}"].format(name=self.name) for part in ("title", "detail", "remedy")}
        absent = DaemonUnreachable.received(**told)
        control = read_control(folder)
        if control is None:
            raise absent
        tls = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        query = f"?request={int(what)}" if what else ""
        url = f"https://localhost:{control.port}/mobile/{order}{query}"
        headers = {"Authorization": f"Bearer {control.token}"}
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http,
                http.post(url, headers=headers) as answer,
            ):
                done = await answer.json()
        except (aiohttp.ClientError, OSError) as fault:
            raise absent from fault
        if "error" in done:
            raise InvalidRequest.received(title=words["nothing.title"], detail=words["nothing.detail"])
        return words[order].format(**done)

    def _folder(self, options: ServerOptions) -> Path:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return options.state or Path(home) / "cardd" / self.folder


class PscProxySimulator(PscSimulator):
    """An editor's server (proxy LPS), played on loopback with the mobile behind it."""

    name = "psc-proxy"
    folder = "sandbox-psc-proxy"
    settings = ("payload", "sessions")

    def _played(self, options: ServerOptions) -> Played:
        from cardd_simulators.psc.serving import PlayedEditor  # noqa: PLC0415

        sessions = options.settings.get("sessions", SESSIONS[0])
        if sessions not in SESSIONS:
            raise InvalidRequest(
                where="--set", why="expected", expected=" | ".join(f"sessions={one}" for one in SESSIONS)
            )
        return PlayedEditor(is_by_person=sessions == "person")
