"""Changing and unblocking a card's PIN: every code is asked for at the workstation, none is a field of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from cardd.core.card_access import HolderVerification
from cardd.core.lifecycle import Lifecycle
from cardd.core.pin import UNCOUNTED, PinEntry, PinGuard
from cardd.core.pin_policy import equal, weakness
from cardd.core.readers import InsertedCard
from cardd.core.recording import recorded
from cardd.core.tokens import new_id
from cardd.errors import (
    CardIncomplete,
    PinUnchangeable,
    PukBlocked,
    PukWrong,
)
from cardd.model import AuditEntry, Caller, Outcome, PinQuestion, PinRole, PinState, Question
from cardd.ports import AuditLog, Prompter
from cardd.secret import Secret


class PinLife:
    """Asks for the old and the new codes and has the card take them; ``lifecycle`` is told of the changed PIN."""

    def __init__(
        self, prompter: Prompter, pins: PinEntry, guard: PinGuard, audit: AuditLog, lifecycle: Lifecycle
    ) -> None:
        self._prompter = prompter
        self._pins = pins
        self._guard = guard
        self._audit = audit
        self._lifecycle = lifecycle

    async def change(self, caller: Caller, card: InsertedCard) -> None:
        """Ask for the PIN, have the card check it, ask for a new one twice, and replace it.

        Raises what ``PinEntry.login`` raises, PinUnchangeable, AuditUnavailable.
        """
        question = _question("pin_change", caller)
        session = new_id()
        async with self._recorded("pin.change", caller):
            _, old = await self._pins.login(card, session, caller.id, question, lambda _: None)
            try:
                with Secret() as new:
                    if old is not None:
                        await self._choose(await self._pin(card, question), old, new)
                    chosen = new if old is not None else None  # a keypad that knows the old one asks for the new one
                    login = HolderVerification(session, old, accepted=True)
                    await card.access.use(lambda opened: opened.change_pin(old, chosen), login)
            finally:
                if old is not None:
                    old.wipe()
                await card.access.logout(session)
        self._lifecycle.pin_changed(card)

    async def unblock(self, caller: Caller, card: InsertedCard) -> None:
        """Ask for the PUK and a new PIN twice, and set it; a mistyped PUK is asked again while tries are left.

        Raises PinUnchangeable, PukWrong, PukBlocked, LastTryRefused, PinBackOff, the prompt's errors, AuditUnavailable.
        """
        question = _question("pin_unblock", caller)
        async with self._recorded("pin.unblock", caller):
            self._guard.check(caller.id)
            with Secret() as puk, Secret() as new:
                problem: str | None = None
                while True:
                    await self._prompter.ask_pin(await self._puk(card, question, problem), puk)
                    if not new:
                        await self._choose(await self._pin(card, question), None, new)
                    try:
                        await card.access.use(lambda opened: opened.unblock_pin(puk, new), reset=True)
                        break
                    except PukWrong as error:
                        self._guard.wrong(caller.id)
                        if int(error.params.get("tries_left", UNCOUNTED)) <= 1:
                            raise
                        problem = "wrong"
            self._guard.right(caller.id)
        self._lifecycle.pin_changed(card)

    async def _puk(self, card: InsertedCard, question: Question, problem: str | None) -> PinQuestion:
        puk = (await card.access.info()).puk
        if puk is None:
            raise PinUnchangeable
        status = await card.access.use(lambda opened: opened.puk_status())
        if status.state is PinState.BLOCKED:
            raise PukBlocked
        asked = PinQuestion(question, puk, card.reader, card.kind.value, status.tries_left, problem, PinRole.PUK)
        await self._pins.agree_to_last_try(asked)
        return asked

    async def _pin(self, card: InsertedCard, question: Question) -> PinQuestion:
        pin = (await card.access.info()).pin
        if pin is None:
            raise CardIncomplete(what="PIN")
        return PinQuestion(question, pin, card.reader, card.kind.value, None, None, PinRole.NEW)

    async def _choose(self, asked: PinQuestion, old: Secret | None, new: Secret) -> None:
        """Ask for a new PIN until it is good and was typed twice."""
        problem: str | None = None
        while True:
            await self._prompter.ask_pin(replace(asked, problem=problem), new)
            problem = weakness(new, old)
            if problem:
                continue
            with Secret() as repeated:
                await self._prompter.ask_pin(replace(asked, role=PinRole.REPEATED), repeated)
                if equal(new, repeated):
                    return
            problem = "mismatch"

    @asynccontextmanager
    async def _recorded(self, action: str, caller: Caller) -> AsyncIterator[None]:
        entry = AuditEntry(action, Outcome.DONE, caller.peer.uid, caller.id, caller.name, consent="pin")
        async with recorded(self._audit, entry):
            yield
        await self._audit.append(entry)


def _question(topic: str, caller: Caller) -> Question:
    return Question(topic, caller.peer.uid, {"client": caller.name}, caller=caller.id)
