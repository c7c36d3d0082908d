"""The card: whether it is known, who holds it, its PIN, its certificates, and what they lead to."""

from __future__ import annotations

from datetime import timedelta

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.daemon import SERVICE_USER, is_cardd
from cardd.cli.doctor.surroundings import Surroundings, Unknowable, is_usable, kind_in
from cardd.client import Card, Pin
from cardd.core.inserted_card import SESSIONLESS
from cardd.errors import CarddError, ReaderBusy
from cardd.i18n import N_
from cardd.model import CardKind
from cardd.pcsc.winscard import ReaderState

SOON = timedelta(days=60)
ORDER = ("blocked", "last_try", "unknown", "ready")

# --- which card

CARD_OK = ok("card.ok", N_("{kind} in “{reader}”."))
CARD_ABSENT = warning("card.absent", N_("No card is inserted."), N_("Insert your card, chip first."))
CARD_MUTE = failure(
    "card.mute",
    N_("The card in “{reader}” does not answer."),
    N_("Take it out, check which way round it goes, clean its chip, then insert it again."),
)
CARD_UNKNOWN = failure(
    "card.unknown",
    N_("No driver knows the card in “{reader}” (ATR {atr})."),
    N_("Check that it is a CPx card; if so, send this line to support: the ATR tells the card's model, and no name."),
)
CARD_VITALE = failure(
    "card.vitale",
    N_("The card in “{reader}” is a patient's card (carte Vitale)."),
    N_("Insert your professional's card, in the other slot if the reader has two."),
)
CARD_CONTACTLESS = failure(
    "card.contactless",
    N_("The card in “{reader}” is read without contact: it only identifies itself."),
    N_("Insert the card, chip first, into a contact reader."),
)
CARD_UNSUPPORTED = failure(
    "card.unsupported",
    N_("The card in “{reader}” ({kind}) is of a generation that cardd does not support."),
    N_("Use your current card (CPS3 or CPS4); ask ANS for one if you have none."),
)
UNUSABLE = {one.code: one for one in (CARD_VITALE, CARD_CONTACTLESS, CARD_UNSUPPORTED)}


def card(surroundings: Surroundings) -> Finding:
    """Check whether a card that cardd knows is inserted; when not, what the first inserted card is."""
    inserted = [(reader, kind) for reader in surroundings.readers_or_skip() if (kind := kind_in(reader))]
    if not inserted:
        return CARD_ABSENT()
    for reader, kind in inserted:
        if is_usable(kind):
            return CARD_OK(kind=kind.value.upper(), reader=reader.name)
    return _unusable(*inserted[0])


def _unusable(reader: ReaderState, kind: CardKind) -> Finding:
    if not reader.atr:
        return CARD_MUTE(reader=reader.name)
    if kind in SESSIONLESS:
        return UNUSABLE[SESSIONLESS[kind]().code](reader=reader.name, kind=kind.value.upper())
    return CARD_UNKNOWN(reader=reader.name, atr=reader.atr.hex(" ").upper())


# --- who holds it

HELD_OK = ok("held.ok", N_("No other program keeps the card for itself."))
HELD_BY_CARDD = ok("held.cardd", N_("cardd itself is using the card just now."))
HELD_PROGRAM = failure(
    "held.program",
    N_("{program} (process {pid}) holds the card in “{reader}”: nobody else can use it."),
    N_("Close that program, or end what it does with the card; then take the card out and insert it again."),
)
HELD_USER = failure(
    "held.user",
    N_("A program of {user} holds the card in “{reader}”: nobody else can use it."),
    N_("Have that person close it. “sudo cardctl doctor held” may name the program."),
)
HELD_UNKNOWN = failure(
    "held.unknown",
    N_("Another program holds the card in “{reader}”: nobody else can use it."),
    N_("Close the programs that use the card. “sudo cardctl doctor stacks” names them."),
)


def held(surroundings: Surroundings) -> Finding:
    """Check whether another program has the card for itself (SHARING_VIOLATION), and which."""
    name = surroundings.usable_card().name
    try:
        surroundings.take_card()
    except ReaderBusy as busy:
        match busy.params:
            case {"program": _, "pid": int(pid)} if is_cardd(pid, surroundings.socket):
                return HELD_BY_CARDD()
            case {"user": str(user)} if user == SERVICE_USER:
                return HELD_BY_CARDD()
            case {"program": program, "pid": pid}:
                return HELD_PROGRAM(program=program, pid=pid, reader=name)
            case {"user": user}:
                return HELD_USER(user=user, reader=name)
        return HELD_UNKNOWN(reader=name)
    except CarddError:  # what the card answers is told by another check
        pass
    return HELD_OK()


# --- its PIN

PIN_OK = ok("pin.ok", N_("Usable; tries left: {tries}."))
PIN_BLOCKED = failure(
    "pin.blocked",
    N_("The PIN is blocked (“{reader}”)."),
    N_("Unblock the card with its unblocking code (“cardctl pin unblock”), or ask ANS for it."),
)
PIN_LAST_TRY = warning(
    "pin.last_try",
    N_("Only one try is left (“{reader}”)."),
    N_("Be sure of your PIN before the next try: a wrong one blocks the card."),
)
PIN_UNKNOWN = ok("pin.unknown", N_("Not blocked; this card does not tell how many tries are left (“{reader}”)."))


def pin(surroundings: Surroundings) -> Finding:
    """Check the state of the PIN, asked through the daemon: no try is spent. The worst of several cards counts."""
    cards = surroundings.ask(lambda cardd: cardd.cards(pin=True))
    # a key file has no PIN that could be blocked
    pins = [(card, card.pin) for card in cards if card.pin and card.kind != CardKind.PKCS12]
    if not pins:
        raise Unknowable("no_card")
    return _pin(*min(pins, key=lambda entry: ORDER.index(entry[1].state) if entry[1].state in ORDER else 0))


def _pin(card: Card, pin: Pin) -> Finding:
    match pin.state:
        case "ready":
            return PIN_OK(tries=pin.tries_left or 0)
        case "blocked":
            return PIN_BLOCKED(reader=card.reader)
        case "last_try":
            return PIN_LAST_TRY(reader=card.reader)
        case _:
            return PIN_UNKNOWN(reader=card.reader)


# --- its certificates

CERTIFICATES_OK = ok("certificates.ok", N_("Valid until {date}."))
CERTIFICATES_NONE = failure(
    "certificates.none", N_("The card in “{reader}” holds no certificate."), N_("Ask ANS: the card cannot sign.")
)
CERTIFICATES_NOT_YET = failure(
    "certificates.not_yet",
    N_("Those of the card in “{reader}” are not valid before {date}."),
    N_("Check the date of this workstation: it is probably wrong."),
)
CERTIFICATES_EXPIRED = failure(
    "certificates.expired",
    N_("Those of the card in “{reader}” are expired since {date}."),
    N_("Ask ANS for a new card; check the date of this workstation too."),
)
CERTIFICATES_SOON = warning(
    "certificates.soon",
    N_("Those of the card in “{reader}” are valid until {date}; days left: {days}."),
    N_("Make sure that ANS has sent the new card, or ask for it."),
)


def certificates(surroundings: Surroundings) -> Finding:
    """Check whether the card's certificates name their holder, and are valid today and for the next two months.

    Raises HolderUnknown, which tells what is wrong with a card that names nobody.
    """
    from cardd.formats.certificate import Use, facts_of  # noqa: PLC0415 - with asn1crypto, once a card is there
    from cardd.identity.holders import identity_of  # noqa: PLC0415

    name = surroundings.usable_card().name
    try:
        found = surroundings.certificates()
    except ReaderBusy:
        raise Unknowable("held") from None
    if not found:
        return CERTIFICATES_NONE(reader=name)
    for one in found:
        if facts_of(one.der).use is Use.AUTHENTICATION:
            identity_of(one.der)
    now = surroundings.now()
    first = min((facts_of(certificate.der) for certificate in found), key=lambda facts: facts.not_after)
    last_begun = max(facts_of(certificate.der).not_before for certificate in found)
    date = f"{first.not_after:%Y-%m-%d}"
    if now < last_begun:
        return CERTIFICATES_NOT_YET(reader=name, date=f"{last_begun:%Y-%m-%d}")
    if now >= first.not_after:
        return CERTIFICATES_EXPIRED(reader=name, date=date)
    if now + SOON >= first.not_after:
        return CERTIFICATES_SOON(reader=name, date=date, days=(first.not_after - now).days)
    return CERTIFICATES_OK(date=date)


CHECKS = {
    "card": Check(N_("Card"), card),
    "held": Check(N_("Other programs at the card"), held),
    "certificates": Check(N_("Certificates"), certificates),
    "pin": Check(N_("PIN"), pin),
}
