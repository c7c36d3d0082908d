"""The entry point ``psc`` of ``cardd.sandboxes``."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

from cardd.errors import DaemonUnreachable, InvalidRequest
from cardd.sandbox import SandboxOptions
from cardd_simulators.psc.control import find
from cardd_simulators.psc.texts import TEXTS

AUTO = ("approve", "deny", "ignore")


class PscSandbox:
    """Pro Santé Connect, played on loopback."""

    name = "psc"
    orders: tuple[str, ...] = AUTO

    def summary(self, language: str) -> str:
        """What it is."""
        return TEXTS[language]["summary"]

    async def run(self, options: SandboxOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled."""
        from cardd_simulators.psc.running import serve  # noqa: PLC0415 - for whoever runs it, not for who lists it

        if options.auto not in (None, *AUTO):
            raise InvalidRequest(where="--auto", why="expected", expected=", ".join(AUTO))
        await serve(_folder(options), options, report)

    async def tell(self, options: SandboxOptions, order: str, what: str | None) -> str:
        """Play the mobile of the sandbox that runs."""
        import aiohttp  # noqa: PLC0415 - as above

        if what is not None and not what.isdecimal():
            raise InvalidRequest(where=what, why="expected", expected="1, 2, 3…")
        folder, texts = _folder(options), TEXTS[options.language]
        absent = DaemonUnreachable(**{part: texts[f"absent.{part}"] for part in ("title", "detail", "remedy")})
        control = find(folder)
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
                told = await answer.json()
        except (aiohttp.ClientError, OSError) as fault:
            raise absent from fault
        if "error" in told:
            raise InvalidRequest(title=texts["nothing.title"], detail=texts["nothing.detail"])
        return texts[order].format(**told)


def _folder(options: SandboxOptions) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return options.state or Path(home) / "cardd" / "sandbox-psc"
