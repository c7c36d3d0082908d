"""The user's consent to signatures and to reading the card's certificates: who asks, what, and for how long it holds.

Rule 2: the signature key signs only after a consent that shows who asks and what. One consent may cover a list, or a
named batch of a stated size; a batch's grant ends with its count, its lifetime or its session.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from functools import partial

from cardd.config import Config
from cardd.config import Consent as ConsentRules
from cardd.core.dialog_lines import DialogLines, question_of
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.session import Session
from cardd.errors import BatchExhausted, ConsentRefused, InvalidRequest
from cardd.model import (
    UNSAFE,
    Algorithm,
    Caller,
    CallerKey,
    Choice,
    Identity,
    Message,
    Question,
    ShownDocument,
)
from cardd.ports import Clock
from cardd.values import Record, Value, field

SHOWN_DIGEST = 16
# what shows nothing though it counts as a letter, mark or symbol: fillers, joiners, variation selectors
INVISIBLE = {
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0, 0x16FE4, 0x1D159),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}


class SignatureRequest(Value):
    """One signature asked for: what is signed, and the names under which the user is shown it.

    ``algorithm`` None stands for what the key does best, the first that it lists. ``digest`` is the document's SHA-256
    where the key signs something else that stands for it, as most formats have it. ``is_seen`` says that the document
    itself was handed over; of another one only its digest is known, and what that is of, nobody here has seen.
    ``mechanism`` is PKCS#11's name of the way that a program asked for, which the audit row tells.
    """

    algorithm: Algorithm | None
    message: Message
    document: str
    patient: str | None = None
    format: str = "raw"
    digest: bytes | None = None
    is_seen: bool = True
    mechanism: str = ""

    @property
    def shown(self) -> bytes:
        """The SHA-256 that the user and the audit log are told."""
        return self.digest or self.message.digest


class Batch(Value):
    """A named batch: ``count`` signatures in all, over any number of requests of one session."""

    name: str
    count: int


class _Grant:
    """What the person agreed to: so many signatures, until then. Only a ``Consent`` that was taken gives some back."""

    def __init__(self, count: int, until: float) -> None:
        self._left = count
        self._until = until

    def is_over(self, now: float) -> bool:
        """Return whether its lifetime has ended."""
        return now > self._until

    def take(self, count: int, how: str) -> Consent | None:
        """Take so many signatures out of it; None when fewer are left."""
        if count > self._left:
            return None
        self._left -= count
        return Consent(how, partial(self._return, count))

    def _return(self, count: int) -> None:
        self._left += count


class Consent:
    """The agreement to the signatures of one request, taken out of what the person agreed to.

    ``how`` is its name in the audit log. Whoever holds the consent gives it back when nothing was signed; once only.
    """

    def __init__(self, how: str, give_back: Callable[[], None]) -> None:
        self.how = how
        self._give_back: Callable[[], None] | None = give_back

    def give_back(self) -> None:
        """Return what was taken, where it was not returned before."""
        give_back, self._give_back = self._give_back, None
        if give_back:
            give_back()


class _Asserting(Record):
    """How a session's person answered when assertions were asked for, and whose turn it is to ask."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_given: bool = False
    refusals: int = 0


class Consents(Part):
    """Asks for consents and remembers those that outlast one request."""

    def __init__(self, dialogs: DialogLines, clock: Clock, rules: ConsentRules) -> None:
        self._dialogs = dialogs
        self._clock = clock
        self._rules = rules
        self._batches: dict[tuple[str, str], _Grant] = {}
        self._readable: set[tuple[CallerKey, str]] = set()
        self._relayed: dict[tuple[str, str], str] = {}
        self._asserting: dict[str, _Asserting] = {}

    def check_size(self, count: int, batch: Batch | None) -> None:
        """Raises InvalidRequest when more is asked for than one consent may cover, or more than the batch says."""
        if batch and batch.count < count:
            raise InvalidRequest(where="$.batch.count", why=f"{batch.count} < {count}")
        asked = max(count, batch.count if batch else 0)
        if asked > self._rules.batch_max:
            raise InvalidRequest(where="batch", why="too_many", limit=self._rules.batch_max)

    def question(self, session: Session, requests: list[SignatureRequest], batch: Batch | None) -> Question:
        """Return what the user is shown before these signatures: in a dialog of its own, or in the PIN's."""
        params: dict[str, str | int] = {"client": session.caller.name, "holder": _holder(session.identity)}
        if batch or len(requests) > 1:
            params["batch"] = batch.name if batch else requests[0].document
            params["count"] = batch.count if batch else len(requests)
            topic = "sign_batch"
        else:
            [request] = requests
            params["document"] = request.document
            params["digest"] = request.shown.hex()[:SHOWN_DIGEST]
            topic = "sign"
        if not all(request.is_seen for request in requests):
            params["unseen" if topic == "sign" else "some_unseen"] = ""
        patients = sorted({request.patient for request in requests if request.patient})
        if patients:
            params["patient"] = ", ".join(patients)
        documents = tuple(ShownDocument(one.document, one.format, one.patient) for one in requests)
        return Question(topic, session.caller.peer.uid, params, caller=session.caller.key, documents=documents)

    def take(self, session: Session, requests: list[SignatureRequest], batch: Batch | None) -> Consent | None:
        """Take these signatures out of what was agreed to for the batch; None when the user must be asked.

        Raises BatchExhausted when they are more than what is left.
        """
        grant = self._batches.get((session.id, batch.name)) if batch else None
        if batch is None or grant is None or grant.is_over(self._clock.monotonic()):
            return None
        consent = grant.take(len(requests), f"batch:{batch.name}")
        if consent is None:
            raise BatchExhausted(batch=batch.name)
        return consent

    def agreed(self, session: Session, requests: list[SignatureRequest], batch: Batch | None, how: str) -> Consent:
        """Note that the user agreed to what ``question`` shows; what is left of a named batch may follow unasked.

        Return the consent to these requests. Raises BatchExhausted where the batch is smaller than they are.
        """
        grant = _Grant(batch.count if batch else len(requests), self._clock.monotonic() + self._rules.batch_lifetime)
        consent = grant.take(len(requests), how)
        if consent is None:
            raise BatchExhausted(batch=batch.name if batch else "")
        if batch:
            self._batches[session.id, batch.name] = grant
        return consent

    async def ask(self, session: Session, requests: list[SignatureRequest], batch: Batch | None) -> Consent:
        """Ask in a dialog. Raises ConsentRefused, ConsentTimeout."""
        if await self._dialogs.confirm(self.question(session, requests, batch)) is Choice.NO:
            raise ConsentRefused
        return self.agreed(session, requests, batch, "dialog")

    async def reading(self, caller: Caller, card: str) -> None:
        """Ask once whether this caller may have the certificates, and so the holder's data, of this card.

        Raises ConsentRefused, ConsentTimeout.
        """
        if (caller.key, card) in self._readable:
            return
        question = question_of(caller, "certificates")
        if await self._dialogs.confirm(question) is Choice.NO:
            raise ConsentRefused
        self.allow_reading(caller, card)

    async def assertions(self, session: Session, person: Identity | None = None) -> str:
        """Ask once for the consent to assertions in the person's name; return the consent's name for the audit log.

        The consent ends with the session. ``person`` is who the session will stand for, where it is still pending.
        Raises ConsentRefused, ConsentTimeout.
        """
        asking = self._asserting.setdefault(session.id, _Asserting())
        refusals = asking.refusals
        async with asking.turn:  # requests that come at once share the dialog, and its answer
            if asking.refusals != refusals:
                raise ConsentRefused
            if not asking.is_given:
                question = _about_assertions(session, person or session.identity)
                if await self._dialogs.confirm(question) is Choice.NO:
                    asking.refusals += 1
                    raise ConsentRefused
                asking.is_given = True
        return "assertions"

    def allow_reading(self, caller: Caller, card: str) -> None:
        """Note that this caller may read this card's certificates: consented, or logged in with it."""
        self._readable.add((caller.key, card))

    async def relaying(self, session: Session, upstream: str, host: str) -> None:
        """Ask once a session for the consent to reach this server with the session's certificate.

        Raises ConsentRefused, ConsentTimeout.
        """
        if (session.id, upstream) in self._relayed:
            return
        if await self._dialogs.confirm(self.relay_question(session, upstream, host)) is Choice.NO:
            raise ConsentRefused
        self.relay_agreed(session, upstream, "dialog")

    def relay_agreed(self, session: Session, upstream: str, how: str) -> None:
        """Note that the user agreed; ``how`` is what ``relay_consent`` tells from now on."""
        self._relayed.setdefault((session.id, upstream), how)

    def relay_question(self, session: Session, upstream: str, host: str) -> Question:
        """Return what the user is shown before a server sees the certificate, in a dialog of its own or the PIN's."""
        caller = session.caller
        params: dict[str, str | int] = {"client": caller.name, "upstream": upstream, "host": host}
        if session.card is None:
            params["lent"] = ""
        return Question("relay", caller.peer.uid, params, caller=caller.key)

    def relay_consent(self, session: Session, upstream: str) -> str:
        """Return how the user agreed, as the audit log names it."""
        return self._relayed.get((session.id, upstream), "pin")

    def reconfigured(self, config: Config) -> None:
        """Take the new limits; what was agreed to before stands."""
        self._rules = config.consent

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget what was agreed to for a session that ended."""
        self._relayed = {key: how for key, how in self._relayed.items() if key[0] != session.id}
        self._asserting.pop(session.id, None)
        for key in [key for key in self._batches if key[0] == session.id]:
            del self._batches[key]

    def card_removed(self, card: InsertedCard, _reason: str) -> None:
        """Forget who could read a card that left."""
        self._readable = {entry for entry in self._readable if entry[1] != card.id}

    def client_shut_out(self, client: CallerKey, _reason: str, _name: str) -> None:
        """Forget what the client could read: a page that is let in again asks again."""
        self._readable = {entry for entry in self._readable if not entry[0].is_of(client)}


def ensure_readable(name: str, where: str) -> None:
    """Raises InvalidRequest for a name that shows nothing, or less than what it is: a person decides by it."""
    hides_nothing = name.isascii() and name.isprintable()
    if not hides_nothing and any(ord(one) in INVISIBLE or unicodedata.category(one) in UNSAFE for one in name):
        raise InvalidRequest(where=where, why="invisible")
    if not any(unicodedata.category(one)[0] in "LN" for one in name):
        raise InvalidRequest(where=where, why="shows_nothing")


def _about_assertions(session: Session, person: Identity) -> Question:
    caller = session.caller
    params: dict[str, str | int] = {"client": caller.name, "holder": _holder(person)}
    if person.organisation:
        params["indirect"] = person.organisation.name
    elif session.card is None:
        params["air"] = ""
    return Question("assertions", caller.peer.uid, params, caller=caller.key)


def _holder(person: Identity) -> str:
    return f"{person.given_name} {person.family_name} ({person.national_id})"
