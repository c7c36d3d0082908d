"""/v1/readers and /v1/cards: readers, inserted cards, their holders once the user consented, and their PINs."""

from __future__ import annotations

import asyncio
from functools import partial

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.sessions import IdentityAnswer
from cardd.api.schemas.workstation import (
    CardAnswer,
    CardsAnswer,
    CertificateAnswer,
    CertificatesAnswer,
    PinAnswer,
    PinBody,
    ReaderAnswer,
    ReadersAnswer,
)
from cardd.api.sessions import identity_answer
from cardd.core.inserted_card import InsertedCard
from cardd.core.recording import append_if_possible, entry_of, recorded
from cardd.errors import CarddError, CardIncomplete, CardTimeout, HolderUnknown
from cardd.formats.certificate import facts_of
from cardd.i18n import language_of
from cardd.identity.holders import identity_of
from cardd.model import CardCertificate, CardInfo, KeyPurpose
from cardd.values import replace

PIN_BODY = Shape(PinBody)


async def list_readers(call: Call) -> Reply:
    """Return the reader slots, and which card is in which."""
    await call.parts.readers.every.look()
    return Reply(body=ReadersAnswer(reader_answers(call)))


def reader_answers(call: Call) -> list[ReaderAnswer]:
    """Return the reader slots for the API. Raises ReaderNotYours, PcscUnavailable."""
    states = call.parts.readers.of(call.caller).readers()
    return [ReaderAnswer(state.reader.name, state.card.id if state.card else None) for state in states]


async def list_cards(call: Call) -> Reply:
    """Return the inserted cards; with ``?pin=true`` each is opened and asked for the state of its PIN."""
    await call.parts.readers.every.look()
    cards = call.parts.readers.of(call.caller).cards()
    language = language_of(call.http.headers.get("Accept-Language"))
    answers = [_card_answer(call, card, language) for card in cards]
    if call.query.get("pin") == "true":
        add = partial(_add_pin, limit=call.limits.pin_state, language=language)
        await asyncio.gather(*(add(card, answer) for card, answer in zip(cards, answers, strict=True)))
    return Reply(body=CardsAnswer(answers), headers={"Content-Language": language})


def card_answers(call: Call) -> list[CardAnswer]:
    """Return the cards for the API, without asking them anything. Raises ReaderNotYours, PcscUnavailable."""
    language = language_of(call.http.headers.get("Accept-Language"))
    return [_card_answer(call, card, language) for card in call.parts.readers.of(call.caller).cards()]


async def certificates(call: Call) -> Reply:
    """Return the card's certificates and its holder, for a client that the user allows to see them."""
    card = call.parts.readers.of(call.caller).readable(call.path["id"])
    entry = entry_of(call.caller, "holder.read")
    async with recorded(call.parts.audit, entry):
        await call.parts.consents.reading(call.caller, card.id)
        found = await card.access.certificates()
    purposes = _purposes(await card.access.info())
    known = [entry for entry in found if entry.key_id in purposes]
    if not known:
        raise CardIncomplete(what="certificate")
    known.sort(key=lambda entry: purposes[entry.key_id])
    answers = [_certificate(entry, purposes[entry.key_id]) for entry in known]
    # nothing is signed by it: a full disk stops no list
    await append_if_possible(call.parts.audit, replace(entry, certificate=answers[0].serial))
    return Reply(body=CertificatesAnswer(_holder(known, purposes), answers))


def _card_answer(call: Call, card: InsertedCard, language: str) -> CardAnswer:
    answer = CardAnswer(card.id, card.reader, card.kind.value, card.atr.hex().upper())
    if call.parts.leases.of_others(card, call.peer.uid):
        answer.in_use = "another_user"
    if card.problem:
        _tell(answer, card.problem, language)
    return answer


def _tell(answer: CardAnswer, error: CarddError, language: str) -> None:
    """Say why the card cannot be used."""
    answer.problem, (_, answer.detail, answer.remedy) = error.code, error.told(language)


async def _add_pin(card: InsertedCard, answer: CardAnswer, limit: float, language: str) -> None:
    """Read how the PIN stands. A card that takes longer is read all the same, for whoever asks next."""
    if answer.problem:
        return
    try:
        async with asyncio.timeout(limit):
            info = await card.access.info()
            status = await card.access.use(lambda opened: opened.pin_status())
    except CarddError as error:
        _tell(answer, error, language)
        return
    except TimeoutError:
        _tell(answer, CardTimeout(seconds=round(limit)), language)
        return
    answer.kind = info.kind.value
    if info.pin:
        answer.pin = PinAnswer(status.state.value, status.tries_left, info.pin.minimum, info.pin.maximum)


def _purposes(info: CardInfo) -> dict[str, KeyPurpose]:
    return {key.id: key.purpose for key in info.keys}


def _holder(known: list[CardCertificate], purposes: dict[str, KeyPurpose]) -> IdentityAnswer | None:
    """Return the holder, from a certificate of the holder's own; a technical one speaks for the card alone.

    None where that names no national identifier: what it says is told with the certificates all the same.
    """
    own = next((entry for entry in known if purposes[entry.key_id] is not KeyPurpose.TECHNICAL), None)
    try:
        return identity_answer(identity_of(own.der)) if own else None
    except HolderUnknown:
        return None


def _certificate(found: CardCertificate, purpose: KeyPurpose) -> CertificateAnswer:
    facts = facts_of(found.der)
    return CertificateAnswer(
        purpose=purpose.value,
        label=found.label,
        der=found.der,
        subject=str(facts.subject),
        issuer=str(facts.issuer),
        serial=facts.serial,
        not_before=facts.not_before,
        not_after=facts.not_after,
    )


async def change_pin(call: Call, _: PinBody) -> Reply:
    """Have the user change the PIN; sessions opened with the old one are closed."""
    await call.parts.pin_life.change(call.caller, call.parts.readers.of(call.caller).choose(call.path["id"]))
    return Reply(204)


async def unblock_pin(call: Call, _: PinBody) -> Reply:
    """Have the user unblock the PIN: the card has a new one and all its tries."""
    await call.parts.pin_life.unblock(call.caller, call.parts.readers.of(call.caller).choose(call.path["id"]))
    return Reply(204)
