"""The PIN: asked for and presented (rule 4), kept from a program that would block the card, changed and unblocked.

Every code is typed at the workstation; none is a field of a request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import pairwise
from typing import TypeVar

from cardd.core.card_transaction import HolderVerification, PinForEach, Work, do_nothing
from cardd.core.dialog_lines import DialogLines, question_of
from cardd.core.inserted_card import InsertedCard
from cardd.core.leases import Leases, telling
from cardd.core.lifecycle import Lifecycle
from cardd.core.recording import entry_of, recorded
from cardd.errors import (
    CardIncomplete,
    LastTryRefused,
    PinBlocked,
    PinCancelled,
    PinFormat,
    PinRequired,
    PinTimeout,
    PinUnchangeable,
    PinWrong,
    PukBlocked,
    PukWrong,
)
from cardd.model import Caller, CallerKey, CardKind, Choice, PinInfo, PinQuestion, PinRole, PinState, Question
from cardd.ports import AuditLog
from cardd.secret import Secret, new_id
from cardd.values import replace

T = TypeVar("T")

UNCOUNTED = 99  # tries left where a token or key file tells no number


class StoredPinForgotten(PinRequired):
    """A stored PIN was found wrong by somebody else's login while this one waited: it was not sent."""


class PinEntry:
    """Asks the user for a PIN and runs the work that needs it, in the transaction of the VERIFY.

    ``lifecycle`` is told of the tries that are left where a PIN was not accepted in the end.
    """

    def __init__(self, dialogs: DialogLines, lifecycle: Lifecycle) -> None:
        self._dialogs = dialogs
        self._lifecycle = lifecycle

    async def login(
        self,
        card: InsertedCard,
        session: str,
        client: CallerKey,
        question: Question,
        work: Work[T],
        *,
        stored: Secret | None = None,
        refused: Callable[[], None] | None = None,
        certificates: frozenset[bytes] = frozenset(),
        ensure_wanted: Callable[[], None] | None = None,
        operations: int = 1,
    ) -> tuple[T, Secret | None]:
        """Ask, VERIFY and work; a mistyped PIN is asked again while more than one try is left.

        ``question`` says why; ``stored`` is tried before the user is asked, but not on the last try, nor once its
        owner has wiped it; ``refused`` is called when it is wrong. It, ``certificates`` and ``ensure_wanted`` are those
        of ``HolderVerification``; ``operations`` of keys are done by the work, and some cards want the PIN for each:
        who types at a keypad is told. Return the work's result and the PIN that the card accepted, which the caller
        wipes; None for a keypad's. Raises PinBlocked before asking; PinWrong when the user stops after a wrong one, or
        one try is left; LastTryRefused, PinCancelled, PinTimeout, PinFormat, PinBackOff, PromptUnavailable, and what
        the card raises.
        """
        wrong, told = None, False
        wanted = ensure_wanted or do_nothing
        asking = HolderVerification(session, None, certificates=certificates, caller=client, ensure_wanted=wanted)
        attempt = partial(self._attempt, card, asking, stored=stored, refused=refused, operations=operations)
        with self.telling(card, client):
            while True:
                asked = await self.question(card, client, question, _problem(wrong))
                try:
                    outcome = await attempt(asked, work)  # what is stored is wiped when it is wrong
                except StoredPinForgotten:
                    continue  # fewer tries may be left
                except PinForEach:
                    if card.access.wants_pin_for_each and not told:
                        told = True  # by the next question: the card is known now
                        continue
                    raise
                except PinWrong as error:
                    wrong = error
                    if int(error.params.get("tries_left", UNCOUNTED)) <= 1:
                        raise  # where nothing counts the tries, the guard makes the caller wait
                except (PinCancelled, PinTimeout, PinFormat):
                    if wrong:
                        raise wrong from None
                    raise
                else:
                    return outcome

    @contextmanager
    def telling(self, card: InsertedCard, client: CallerKey) -> Iterator[None]:
        """Tell how many tries are left where the card did not accept a PIN inside."""
        try:
            yield
        except (PinWrong, PinBlocked, LastTryRefused) as error:
            left = 0 if isinstance(error, PinBlocked) else error.params.get("tries_left")
            if isinstance(left, int):
                self._lifecycle.pin_refused(card, client, left)
            raise

    async def question(
        self, card: InsertedCard, client: CallerKey, question: Question, problem: str | None = None
    ) -> PinQuestion:
        """Return what to ask for this card's PIN; the user has agreed to a last try. Raises as ``login`` does."""
        card.access.ensure_presentable(client)
        pin = await _pin_of(card)
        status = await card.access.use(lambda opened: opened.pin_status())
        if status.state is PinState.BLOCKED:
            raise PinBlocked
        asked = PinQuestion(question, pin, card.reader, card.kind.value, status.tries_left, problem)
        await self.agree_to_last_try(card, asked)
        return asked

    async def agree_to_last_try(self, card: InsertedCard, asked: PinQuestion) -> None:
        """Rule 4: the last try is spent only when the user says so. Raises LastTryRefused, CardRemoved."""
        if asked.tries_left != 1:
            return
        async with card.access.kept():
            choice = await self._dialogs.confirm(_last_try(asked))
        if choice is Choice.NO:
            raise LastTryRefused(tries_left=1)

    async def _attempt(
        self,
        card: InsertedCard,
        login: HolderVerification,
        asked: PinQuestion,
        work: Work[T],
        *,
        stored: Secret | None,
        refused: Callable[[], None] | None,
        operations: int,
    ) -> tuple[T, Secret | None]:
        login = replace(login, spend_last_try=asked.tries_left == 1)
        card.access.prefetch()
        if card.access.has_pinpad:
            times = operations if card.access.wants_pin_for_each else 1
            asked = _told(asked, times)
            if len(asked.question.documents) > 1 or times > 1:
                async with card.access.kept():
                    choice = await self._dialogs.confirm(asked.question)
                if choice is Choice.NO:
                    raise PinCancelled  # a message beside the keypad cannot show a long list
            async with self._dialogs.keypad(_beside_keypad(asked)):
                return await card.access.use(work, replace(login, times=times), operations=operations), None
        if stored is not None and login.spend_last_try:
            stored.wipe()  # who agreed to it types it: nobody knows whether what is kept is right
        secret = stored or Secret()
        try:
            if not secret:
                async with card.access.kept():
                    await self._dialogs.ask_pin(asked, secret)
            if refused and secret is stored:
                login = replace(login, refused=refused)
            return await card.access.use(work, replace(login, pin=secret)), secret
        except BaseException as error:
            if secret is stored and not secret and isinstance(error, PinRequired):
                raise StoredPinForgotten from error
            secret.wipe()
            raise


async def _pin_of(card: InsertedCard) -> PinInfo:
    """Return the PIN as the card describes it. Raises CardIncomplete for a card without."""
    pin = (await card.access.info()).pin
    if pin is None:
        raise CardIncomplete(what="pin")
    return pin


def _beside_keypad(asked: PinQuestion) -> Question:
    """Return what is shown while the reader's keypad waits, and where to type: the PIN is the consent (rule 2)."""
    return replace(asked.question, params={**asked.question.params, "reader": asked.reader})


def _told(asked: PinQuestion, times: int) -> PinQuestion:
    """Return the question, which says how often the card wants its PIN where that is more than once."""
    if times == 1:
        return asked
    return replace(asked, question=replace(asked.question, params={**asked.question.params, "times": times}))


def _problem(wrong: PinWrong | None) -> str | None:
    """Why the PIN is asked again: a card tells the tries left, a key file has no count of them."""
    if wrong is None:
        return None
    return "wrong" if "tries_left" in wrong.params else "refused"


def _last_try(asked: PinQuestion) -> Question:
    params = {**asked.question.params, "card": asked.card, "reader": asked.reader, "tries_left": 1}
    return replace(asked.question, topic="last_try", params=params)


def weakness(new: Secret, old: Secret | None) -> str | None:
    """Why this PIN must not be chosen: ``same``, ``repeated`` (0000, 1212) or ``sequence`` (1234, 9876); else None.

    Codes are compared in their pages; nothing is copied out of them but one digit at a time.
    """
    if old is not None and equal(new, old):
        return "same"
    with new.view() as digits:
        size = len(digits)
        for period in range(1, size // 2 + 1):
            if all(digits[place] == digits[place - period] for place in range(period, size)):
                return "repeated"
        steps = {after - before for before, after in pairwise(digits)}
    return "sequence" if steps in ({1}, {-1}) else None


def equal(one: Secret, other: Secret) -> bool:
    """Return whether two codes are the same."""
    with one.view() as first, other.view() as second:
        return first == second


class PinLife:
    """Asks for the old and the new codes and has the card take them; ``lifecycle`` is told of the changed PIN.

    A new PIN takes the card over from another user, as a login with its PIN does: the dialogs say so.
    """

    def __init__(
        self, dialogs: DialogLines, pins: PinEntry, leases: Leases, audit: AuditLog, lifecycle: Lifecycle
    ) -> None:
        self._dialogs = dialogs
        self._pins = pins
        self._leases = leases
        self._audit = audit
        self._lifecycle = lifecycle

    async def change(self, caller: Caller, card: InsertedCard) -> None:
        """Ask for the PIN, have the card check it, ask for a new one twice, and replace it.

        Raises what ``PinEntry.login`` raises, PinUnchangeable, AuditUnavailable; CardInUse where another user came to
        hold the card meanwhile, of whom the dialogs said nothing.
        """
        uid = caller.peer.uid
        others = self._leases.of_others(card, uid)
        question = telling(question_of(caller, "pin_change"), others)
        session = new_id()
        async with self._recorded("pin.change", caller):
            if card.kind is CardKind.PKCS12:
                raise PinUnchangeable  # before anybody types a key file's password for nothing
            _, old = await self._pins.login(card, session, caller.key, question, lambda _: None)
            try:
                with Secret() as new:
                    if old is not None:
                        await self._choose(card, question, old, new)
                    chosen = new if old is not None else None  # a keypad that knows the old one asks for the new one
                    login = HolderVerification(session, old, accepted=True, caller=caller.key)
                    self._leases.ensure_told(card, uid, others)
                    await card.access.change_pin(login, chosen)
            finally:
                if old is not None:
                    old.wipe()
                await card.access.logout(session)
            self._leases.take(card, uid)
            self._lifecycle.pin_changed(card)  # whether or not the row can be written

    async def unblock(self, caller: Caller, card: InsertedCard) -> None:
        """Ask for the PUK and a new PIN twice, and set it; a mistyped PUK is asked again while tries are left.

        Raises PinUnchangeable, PukWrong, PukBlocked, LastTryRefused, PinBackOff, the prompt's errors, AuditUnavailable;
        CardInUse as ``change`` does.
        """
        uid = caller.peer.uid
        others = self._leases.of_others(card, uid)
        question = telling(question_of(caller, "pin_unblock"), others)
        async with self._recorded("pin.unblock", caller):
            with Secret() as puk, Secret() as new:
                problem: str | None = None
                while True:
                    asked = await self._puk(card, caller.key, question, problem)
                    async with card.access.kept():
                        await self._dialogs.ask_pin(asked, puk)
                    if not new:
                        await self._choose(card, question, None, new)
                    self._leases.ensure_told(card, uid, others)
                    try:
                        await card.access.unblock_pin(puk, new, caller.key)
                        break
                    except PukWrong as error:
                        if int(error.params.get("tries_left", UNCOUNTED)) <= 1:
                            raise
                        problem = "wrong"
            self._leases.take(card, uid)
            self._lifecycle.pin_changed(card)

    async def _puk(self, card: InsertedCard, client: CallerKey, question: Question, problem: str | None) -> PinQuestion:
        card.access.ensure_presentable(client)
        puk = (await card.access.info()).puk
        if puk is None:
            raise PinUnchangeable
        status = await card.access.use(lambda opened: opened.puk_status())
        if status.state is PinState.BLOCKED:
            raise PukBlocked
        asked = PinQuestion(question, puk, card.reader, card.kind.value, status.tries_left, problem, PinRole.PUK)
        await self._pins.agree_to_last_try(card, asked)
        return asked

    async def _choose(self, card: InsertedCard, question: Question, old: Secret | None, new: Secret) -> None:
        """Ask for a new PIN until it is good and was typed twice."""
        pin = await _pin_of(card)
        asked = PinQuestion(question, pin, card.reader, card.kind.value, None, None, PinRole.NEW)
        problem: str | None = None
        async with card.access.kept():
            while True:
                await self._dialogs.ask_pin(replace(asked, problem=problem), new)
                problem = weakness(new, old)
                if problem:
                    continue
                with Secret() as repeated:
                    await self._dialogs.ask_pin(replace(asked, role=PinRole.REPEATED), repeated)
                    if equal(new, repeated):
                        return
                problem = "mismatch"

    @asynccontextmanager
    async def _recorded(self, action: str, caller: Caller) -> AsyncIterator[None]:
        entry = entry_of(caller, action, consent="pin")
        async with recorded(self._audit, entry):
            yield
        await self._audit.append(entry)
