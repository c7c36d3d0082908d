"""The reader service and the readers."""

from __future__ import annotations

from pathlib import Path

from cardd.cli.doctor.check import Finding, Unknowable, failure, ok, warning
from cardd.cli.doctor.surroundings import PCSC_LIMIT, Surroundings
from cardd.errors import PcscUnavailable

REFUSED = "8010006A"  # SCARD_W_SECURITY_VIOLATION: polkit lets only users of an active local session in
NOT_RUNNING = "8010001D"  # SCARD_E_NO_SERVICE
SESAM_VITALE = ("0b00", "0090")  # Ingenico; in PC/SC only with the reader's own application (the card facts, "Readers")


async def pcscd(surroundings: Surroundings) -> Finding:
    """Whether pcscd runs, answers in time, and lets this user in."""
    try:
        readers = await surroundings.readers()
    except TimeoutError:
        return failure("hangs", seconds=round(PCSC_LIMIT))
    except PcscUnavailable as error:
        match error.params.get("pcsc"):
            case code if code == REFUSED:
                return warning("refused")
            case code if code == NOT_RUNNING:
                return failure("absent")
            case code:
                return failure("fault", why=str(code or error.params.get("why", "?")))
    return ok(count=len(readers))


async def reader(surroundings: Surroundings) -> Finding:
    """Whether there is a reader, and whether one is plugged in that PC/SC does not see."""
    try:
        names = [reader.name for reader in await surroundings.readers()]
    except (PcscUnavailable, TimeoutError):
        raise Unknowable("no_pcscd") from None
    is_unseen = _is_plugged(surroundings.usb) and not any("INGENICO" in name.upper() for name in names)
    if is_unseen:
        return warning("sesam_vitale") if names else failure("sesam_vitale")
    return ok(names=", ".join(names)) if names else failure("none")


def _is_plugged(devices: Path) -> bool:
    return any(
        (_read(device / "idVendor"), _read(device / "idProduct")) == SESAM_VITALE for device in devices.glob("*")
    )


def _read(attribute: Path) -> str:
    try:
        return attribute.read_text(encoding="ascii").strip().lower()
    except (OSError, UnicodeDecodeError):
        return ""
