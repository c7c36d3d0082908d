"""The reader service, the readers, and the card: whether it is known, its PIN, its certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cardd.cli.doctor.check import Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import PCSC_LIMIT, Surroundings, Unknowable, is_usable, kind_in
from cardd.client import Card, Pin
from cardd.core.inserted_card import SESSIONLESS
from cardd.errors import DaemonUnreachable, PcscUnavailable
from cardd.i18n import N_
from cardd.model import CardCertificate, CardKind
from cardd.pcsc.channel import PcscReader
from cardd.pcsc.winscard import ReaderState, WinScard
from cardd.ports import Connection

REFUSED = "8010006A"  # SCARD_W_SECURITY_VIOLATION: polkit lets only users of an active local session in
NOT_RUNNING = "8010001D"  # SCARD_E_NO_SERVICE
SESAM_VITALE = ("0b00", "0090")  # Ingenico; in PC/SC only with the reader's own application (the card facts, "Readers")
READ_LIMIT = 25.0  # seconds for some thirty commands, and for another program that holds the card
SOON = timedelta(days=60)
UNUSABLE = {
    "card.vitale": (
        N_("The card in “{reader}” is a patient's card (carte Vitale)."),
        N_("Insert your professional's card, in the other slot if the reader has two."),
    ),
    "card.contactless": (
        N_("The card in “{reader}” is read without contact: it only identifies itself."),
        N_("Insert the card, chip first, into a contact reader."),
    ),
    "card.unsupported": (
        N_("The card in “{reader}” ({kind}) is of a generation that cardd does not support."),
        N_("Use your current card (CPS3 or CPS4); ask ANS for one if you have none."),
    ),
}
ORDER = ("blocked", "last_try", "unknown", "ready")


async def pcscd(surroundings: Surroundings) -> Finding:
    """Check whether pcscd runs, answers in time, and lets this user in."""
    try:
        readers = await surroundings.readers()
    except TimeoutError:
        return failure(
            "hangs",
            N_("pcscd does not answer within {seconds} s."),
            N_("Unplug the reader, then restart pcscd: “systemctl restart pcscd”."),
            seconds=round(PCSC_LIMIT),
        )
    except PcscUnavailable as error:
        match error.params.get("pcsc"):
            case code if code == REFUSED:
                return warning(
                    "refused",
                    N_("pcscd lets only users of an open desktop session in."),
                    N_("Run doctor from the desktop, or as root; cardd has a rule of its own."),
                )
            case code if code == NOT_RUNNING:
                if await surroundings.has_other_readers():
                    raise Unknowable("no_pcscd_needed") from None
                return failure(
                    "absent",
                    N_("pcscd does not run."),
                    N_("Install it (“apt install pcscd”), or start it: “systemctl start pcscd.socket”."),
                )
            case code:
                return failure(
                    "fault",
                    N_("PC/SC does not work ({why})."),
                    N_("Restart pcscd: “systemctl restart pcscd”. If it comes back, give this code to support."),
                    why=str(code or error.params.get("why", "?")),
                )
    return ok(N_("pcscd answers; readers: {count}."), count=len(readers))


async def reader(surroundings: Surroundings) -> Finding:
    """Check whether there is a reader, and whether one is plugged in that PC/SC does not see."""
    names = [reader.name for reader in await surroundings.readers_of_pcscd()]
    is_unseen = _is_plugged(surroundings.usb) and not any("INGENICO" in name.upper() for name in names)
    if is_unseen:
        return (
            warning(
                "sesam_vitale",
                N_("An Ingenico SESAM-Vitale reader is plugged in, but PC/SC does not see it."),
                N_("Have its vendor install the reader's PC/SC application (EI96S, version 4.0 or later)."),
            )
            if names
            else failure(
                "sesam_vitale",
                N_("An Ingenico SESAM-Vitale reader is plugged in, but PC/SC does not see it."),
                N_("Have its vendor install the reader's PC/SC application (EI96S, version 4.0 or later)."),
            )
        )
    return (
        ok(N_("{names}"), names=", ".join(names))
        if names
        else failure(
            "none",
            N_("No reader is seen."),
            N_("Plug the reader in, directly rather than through a hub; check that it is a PC/SC reader."),
        )
    )


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
    """Check whether a card that cardd knows is inserted; when not, what the first inserted card is."""
    inserted = [(reader, kind) for reader in await surroundings.readers_or_skip() if (kind := kind_in(reader))]
    if not inserted:
        return warning("absent", N_("No card is inserted."), N_("Insert your card, chip first."))
    for reader, kind in inserted:
        if is_usable(kind):
            return ok(N_("{kind} in “{reader}”."), kind=kind.value.upper(), reader=reader.name)
    return _unusable(*inserted[0])


def _unusable(reader: ReaderState, kind: CardKind) -> Finding:
    if not reader.atr:
        return failure(
            "mute",
            N_("The card in “{reader}” does not answer."),
            N_("Take it out, check which way round it goes, clean its chip, then insert it again."),
            reader=reader.name,
        )
    if kind in SESSIONLESS:
        code = SESSIONLESS[kind]().code
        return failure(code.removeprefix("card."), *UNUSABLE[code], reader=reader.name, kind=kind.value.upper())
    return failure(
        "unknown",
        N_("No driver knows the card in “{reader}” (ATR {atr})."),
        N_("Check that it is a CPx card; if so, give the ATR to support."),
        reader=reader.name,
        atr=reader.atr.hex(" ").upper(),
    )


async def pin(surroundings: Surroundings) -> Finding:
    """Check the state of the PIN, asked through the daemon: no try is spent. The worst of several cards counts."""
    try:
        async with surroundings.daemon() as cardd:
            cards = await cardd.cards(pin=True)
    except DaemonUnreachable:
        raise Unknowable("no_daemon") from None
    # a key file has no PIN that could be blocked
    pins = [(card, card.pin) for card in cards if card.pin and card.kind != CardKind.PKCS12]
    if not pins:
        raise Unknowable("no_card")
    return _pin(*min(pins, key=lambda entry: ORDER.index(entry[1].state) if entry[1].state in ORDER else 0))


def _pin(card: Card, pin: Pin) -> Finding:
    match pin.state:
        case "ready":
            return ok(N_("Usable; tries left: {tries}."), tries=pin.tries_left or 0)
        case "blocked":
            return failure(
                "blocked",
                N_("The PIN is blocked (“{reader}”)."),
                N_("Unblock the card with its unblocking code, or ask ANS for it."),
                reader=card.reader,
            )
        case "last_try":
            return warning(
                "last_try",
                N_("Only one try is left (“{reader}”)."),
                N_("Be sure of your PIN before the next try: a wrong one blocks the card."),
                reader=card.reader,
            )
        case _:
            return warning(
                "unknown",
                N_("The card does not tell the state of its PIN (“{reader}”)."),
                N_("Take the card out and insert it again."),
                reader=card.reader,
            )


async def certificates(surroundings: Surroundings) -> Finding:
    """Check whether the card's certificates name their holder, and are valid today and for the next two months.

    Raises HolderUnknown, which tells what is wrong with a card that names nobody.
    """
    from cardd.formats.certificate import Use, facts_of  # noqa: PLC0415 - with asn1crypto, once a card is there
    from cardd.identity.holders import identity_of  # noqa: PLC0415

    found = await _read_certificates((await surroundings.usable_card()).name)
    if not found:
        return failure("none", N_("The card holds no certificate."), N_("Ask ANS: the card cannot sign."))
    for one in found:
        if facts_of(one.der).use is Use.AUTHENTICATION:
            identity_of(one.der)
    now = surroundings.now()
    first = min((facts_of(certificate.der) for certificate in found), key=lambda facts: facts.not_after)
    last_begun = max(facts_of(certificate.der).not_before for certificate in found)
    date = f"{first.not_after:%Y-%m-%d}"
    if now < last_begun:
        return failure(
            "not_yet",
            N_("Not valid before {date}."),
            N_("Check the date of this workstation: it is probably wrong."),
            date=f"{last_begun:%Y-%m-%d}",
        )
    if now >= first.not_after:
        return failure(
            "expired",
            N_("Expired since {date}."),
            N_("Ask ANS for a new card; check the date of this workstation too."),
            date=date,
        )
    if now + SOON >= first.not_after:
        return warning(
            "soon",
            N_("Valid until {date}; days left: {days}."),
            N_("Make sure that ANS has sent the new card, or ask for it."),
            date=date,
            days=(first.not_after - now).days,
        )
    return ok(N_("Valid until {date}."), date=date)


async def _read_certificates(name: str) -> Sequence[CardCertificate]:
    """Read the certificates from the card itself, beside whoever else uses it."""
    from cardd.core.readers import DriverRegistry  # noqa: PLC0415 - loads every driver

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
