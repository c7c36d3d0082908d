"""The entry point ``dmp`` of ``cardd.simulated_servers``, and what can be chosen of the simulated DMP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cardd.errors import InvalidRequest
from cardd.simulator import ServerOptions, ServerSimulator
from cardd.values import Value
from cardd_simulators import texts

NAMES = ("history", "authorities", "codes", "lifetime", "secret", "signature")
PORT, PORT_MAX = 17490, 65535
HIDDEN_CODE = "INVISIBLE_REPRESENTANTS_LEGAUX"
SIGNATURES = {"required": True, "optional": False}


class Settings(Value):
    """``port`` and ``history``: where the DMP and the patient's page listen on loopback, the next port where not told.

    ``rights``: the table's CSV file, None for the sample. ``authorities``: a PEM file of those whose certificates are
    let in beside the simulation's own. ``codes``: a CSV file of codes that are known beside ours. ``lifetime``: of a
    VIHF outside AIR, in seconds, None for no limit. ``secret``: a secret connection's code. ``wants_signature``:
    whether each submission set must be signed.
    """

    port: int
    history: int
    rights: Path | None
    authorities: Path | None
    codes: Path | None
    lifetime: int | None
    secret: str
    wants_signature: bool


def settings_of(options: ServerOptions) -> Settings:
    """Return the choices. Raises InvalidRequest for a name or a value that is not known."""
    told = options.settings
    port = options.port or PORT
    if not 0 < port < PORT_MAX:
        raise InvalidRequest(where="--port", why=f"1-{PORT_MAX - 1}")
    if unknown := told.keys() - set(NAMES):
        raise InvalidRequest(where=", ".join(sorted(unknown)), why=", ".join(NAMES))
    signature = told.get("signature", "required")
    if signature not in SIGNATURES:
        raise InvalidRequest(where="signature", why=", ".join(SIGNATURES))
    return Settings(
        port=port,
        history=_number(told, "history", PORT_MAX) or port + 1,
        rights=options.table,
        authorities=_path(told, "authorities"),
        codes=_path(told, "codes"),
        secret=told.get("secret", HIDDEN_CODE),
        lifetime=_number(told, "lifetime", 86400),
        wants_signature=SIGNATURES[signature],
    )


def _number(told: Mapping[str, str], name: str, most: int) -> int | None:
    text = told.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= most):
        raise InvalidRequest(where=name, why=f"1-{most}")
    return int(text)


def _path(told: Mapping[str, str], name: str) -> Path | None:
    return Path(told[name]) if name in told else None


class DmpSimulator(ServerSimulator):
    """The DMP, played on loopback."""

    name: str = "dmp"
    orders: tuple[str, ...] = ()

    def summary(self, language: str) -> str:
        """Return what is simulated, in one sentence."""
        return texts.DMP[language]["summary"]

    async def run(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled. Raises InvalidRequest for a setting or a file that will not do, AddressInUse.

        ``report`` gets what to configure, then a line for each access and each refusal.
        """
        settings = settings_of(options)
        from cardd_simulators.dmp.serving import run  # noqa: PLC0415 - for whoever runs it, not for who lists it

        await run(settings, options, report)
