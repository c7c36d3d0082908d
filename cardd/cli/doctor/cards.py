"""The reader service, the readers, and the card: whether it is known, its PIN, its certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cardd.cli.doctor.check import Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import PCSC_LIMIT, Surroundings, Unknowable, is_usable, kind_in
from cardd.client import Card, Pin
from cardd.core.readers import SESSIONLESS
from cardd.errors import DaemonUnreachable, PcscUnavailable
from cardd.model import CardCertificate, CardKind
from cardd.pcsc.readers import PcscReader
from cardd.pcsc.winscard import ReaderState, WinScard
from cardd.ports import Connection

REFUSED = "8010006A"  # SCARD_W_SECURITY_VIOLATION: polkit lets only users of an active local session in
NOT_RUNNING = "8010001D"  # SCARD_E_NO_SERVICE
SESAM_VITALE = ("0b00", "0090")  # Ingenico; in PC/SC only with the reader's own application (the card facts, "Readers")
READ_LIMIT = 25.0  # seconds for some thirty commands, and for another program that holds the card
SOON = timedelta(days=60)
ORDER = ("blocked", "last_try", "unknown", "ready")


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
        (_attribute(device / "idVendor"), _attribute(device / "idProduct")) == SESAM_VITALE
        for device in devices.glob("*")
    )


def _attribute(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip().lower()
    except (OSError, UnicodeDecodeError):
        return ""


async def card(surroundings: Surroundings) -> Finding:
    """Whether a card that cardd knows is inserted; when not, what the first inserted card is."""
    inserted = [(reader, kind) for reader in await surroundings.readers_or_skip() if (kind := kind_in(reader))]
    if not inserted:
        return warning("absent")
    for reader, kind in inserted:
        if is_usable(kind):
            return ok(kind=kind.value.upper(), reader=reader.name)
    return _unusable(*inserted[0])


def _unusable(reader: ReaderState, kind: CardKind) -> Finding:
    if not reader.atr:
        return failure("mute", reader=reader.name)
    if kind in SESSIONLESS:
        return failure(SESSIONLESS[kind].code.removeprefix("card."), reader=reader.name, kind=kind.value.upper())
    return failure("unknown", reader=reader.name, atr=reader.atr.hex(" ").upper())


async def pin(surroundings: Surroundings) -> Finding:
    """The state of the PIN, asked through the daemon: no try is spent. The worst of several cards counts."""
    try:
        async with surroundings.daemon() as cardd:
            cards = await cardd.cards(pin=True)
    except DaemonUnreachable:
        raise Unknowable("no_daemon") from None
    pins = [(card, card.pin) for card in cards if card.pin]
    if not pins:
        raise Unknowable("no_card")
    return _pin(*min(pins, key=lambda entry: ORDER.index(entry[1].state) if entry[1].state in ORDER else 0))


def _pin(card: Card, pin: Pin) -> Finding:
    match pin.state:
        case "ready":
            return ok(tries=pin.tries_left or 0)
        case "blocked":
            return failure("blocked", reader=card.reader)
        case "last_try":
            return warning("last_try", reader=card.reader)
        case _:
            return warning("unknown", reader=card.reader)


async def certificates(surroundings: Surroundings) -> Finding:
    """Whether the card's certificates are valid today and for the next two months."""
    from cardd.formats.certificate import facts_of  # noqa: PLC0415 - with asn1crypto, once a card is there

    found = await _read_certificates((await surroundings.usable_card()).name)
    if not found:
        return failure("none")
    now = surroundings.now()
    first = min((facts_of(certificate.der) for certificate in found), key=lambda facts: facts.not_after)
    last_begun = max(facts_of(certificate.der).not_before for certificate in found)
    date = f"{first.not_after:%Y-%m-%d}"
    if now < last_begun:
        return failure("not_yet", date=f"{last_begun:%Y-%m-%d}")
    if now >= first.not_after:
        return failure("expired", date=date)
    if now + SOON >= first.not_after:
        return warning("soon", date=date, days=(first.not_after - now).days)
    return ok(date=date)


async def _read_certificates(name: str) -> Sequence[CardCertificate]:
    """Read the certificates from the card itself, beside whoever else uses it."""
    from cardd.core.registry import DriverRegistry  # noqa: PLC0415 - loads every driver

    reader = PcscReader(name, WinScard(), "fr", DriverRegistry().open)
    try:
        return await reader.run(_certificates, timeout=READ_LIMIT)
    finally:
        await reader.close()


def _certificates(connection: Connection) -> Sequence[CardCertificate]:
    connection.begin()
    try:
        return connection.open().certificates()
    finally:
        connection.end(reset=False)  # nothing was unlocked, and a login of the daemon's is not ours to end
