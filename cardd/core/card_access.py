"""Exclusive use of one inserted card: whose turn it is, and when the transaction and its login are given up.

Ending the transaction (``card_transaction``) is put off for a short idle hold, so that successive requests
of the same session share one VERIFY; a request of another session ends it first. Other programs get in between:
steady use leaves the card free now and then, long batches included, and a card that no session needs is disconnected
from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from cardd.core.card_transaction import CardTransaction, HolderVerification, InPieces, Progress, Turns, Work
from cardd.core.fair_lock import FairLock
from cardd.core.pin_guard import PinGuard
from cardd.driver import Card
from cardd.errors import CarddError, CardRemoved, CardTimeout, InternalError
from cardd.model import CallerKey, CardCertificate, CardInfo, PinState
from cardd.ports import Connection, Reader
from cardd.request import Where, step
from cardd.secret import Secret
from cardd.values import replace
from cardd.worker import Background

T = TypeVar("T")

LINGER = 1.0
RELEASE_TIMEOUT = 10.0
STEPS_OF_AN_ANSWER = 4  # of the loop, until a request that waits for a result has written it, kept answers included
TRIES_KNOWN = 1.0  # seconds after our own login in which nobody changes the PIN and mistypes the new one twice
KEYPAD_TIMEOUT = 75.0  # a reader gives up its keypad after 60 s at the latest (PC/SC part 10, bTimeOut)

log = logging.getLogger(__name__)


class CardAccess:
    """One inserted card, shared by every session and request, one at a time: callers in turns, each one's in order.

    After a login of ours the tries are known to be whole for ``tries_known`` seconds; later they are read before a held
    PIN is sent. ``linger`` is how many seconds after its last use a card that no session needs stays connected to.
    ``replaced`` is called when the card has gone mute after it had been opened, or turned out to be another one: no
    sensor told, and what was known of it is void. ``admit`` raises for a caller who may present no code to the card.
    ``others`` returns whether another program may wait for a card; it is called on the reader's thread, and so is
    ``now``, which returns the seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        reader: Reader,
        guard: PinGuard,
        *,
        hold: float,
        timeout: float,
        tries_known: float = TRIES_KNOWN,
        linger: float = LINGER,
        replaced: Callable[[CardAccess], None] = lambda _: None,
        admit: Callable[[CallerKey], None] = lambda _: None,
        others: Callable[[], bool] = lambda: True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.turns = Turns()
        self.release_timeout = RELEASE_TIMEOUT
        self._reader = reader
        self._guard = guard
        self._transaction = CardTransaction(guard, self.turns, tries_known=tries_known, others=others, now=now)
        self._hold = hold
        self._linger = linger
        self._timeout = timeout
        self._replaced = replaced
        self._admit = admit
        self._lock = FairLock()
        self._timer: asyncio.TimerHandle | None = None
        self._background = Background()
        self._gone: Callable[[], CarddError] | None = None
        self._asking: set[asyncio.Timeout] = set()  # dialogs about this card
        self._sessions: set[str] = set()  # whose logins the card accepted
        self._waiting = 0  # for the PIN that a person types
        self._queued = 0  # who want the card while another has it

    @property
    def has_pinpad(self) -> bool:
        """Whether the reader has a keypad of its own, as far as the card was opened."""
        return self._transaction.has_pinpad

    async def info(self) -> CardInfo:
        """Return what the card's directories tell; read at the first call. Raises as ``use`` does."""
        card = self._transaction.card
        return card.info if card else await self.use(lambda card: card.info)

    async def certificates(self) -> tuple[CardCertificate, ...]:
        """The card's certificates; read at the first call. Raises as ``use`` does."""
        if self._transaction.certificates is not None:
            return self._transaction.certificates
        return await self.use(self._transaction.read_certificates)

    @property
    def known(self) -> tuple[CardInfo, tuple[CardCertificate, ...]] | None:
        """What was read of the card already; None where nothing was. The card is not asked."""
        card, certificates = self._transaction.card, self._transaction.certificates
        return (card.info, certificates) if card and certificates is not None else None

    def read_anew(self, forget: Callable[[], None]) -> None:
        """Have the card read from its first byte on at its next use, for who records what it says.

        ``forget`` is called between two uses of the card: it ends what drivers keep.
        """
        self._background.start(self._read_anew(forget))

    async def _read_anew(self, forget: Callable[[], None]) -> None:
        async with self._lock.turn(None):
            forget()
            self._transaction.forget()

    def prefetch(self) -> None:
        """Read the certificates in the background, while the user types: a fault is told to whoever asks next."""
        if self._transaction.certificates is None:
            answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda done: done.exception())
            self._background.start(self._use(answer, self._transaction.read_certificates, None, self._timeout))

    async def use(
        self,
        work: Work[T],
        login: HolderVerification | None = None,
        *,
        operations: int = 1,
        reset: bool = False,
    ) -> T:
        """Run ``work`` on the card, logged in when ``login`` is given. Work in pieces lets others in between.

        ``reset`` ends the transaction with a reset also without a login: the work itself presents a code. A caller that
        is cancelled does not tear the card out of its operation. Raises what the reader, the card and ``work`` raise;
        LastTryRefused when a PIN not yet accepted would spend the last try unasked.
        """
        if login and login.caller and not login.accepted:
            self._admit(login.caller)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        timeout = self._timeout + (self.turns.turn if isinstance(work, InPieces) else 0.0)
        if login and login.pin is None:
            timeout = self._timeout * operations + KEYPAD_TIMEOUT * login.times
        self._background.start(self._use(answer, work, login, timeout, reset=reset))
        return await answer

    @property
    def wants_pin_for_each(self) -> bool:
        """Whether the card is known to want its PIN before each operation."""
        return self._transaction.login_use.ends_with_operation

    async def pin_state(self) -> PinState:
        """Return what the card says of its PIN; it is not asked while the login of a session stands.

        Raises as ``use`` does.
        """
        if self._sessions:
            return PinState.READY
        return (await self.use(lambda card: card.pin_status())).state

    def ensure_presentable(self, caller: CallerKey) -> None:
        """Raises PinBackOff, or what ``admit`` raises, while this caller may present no code: then nobody is asked."""
        self._admit(caller)
        self._guard.check(self._transaction.name, caller)

    async def change_pin(self, login: HolderVerification, new: Secret | None) -> None:
        """Replace the PIN of ``login``, which the card has accepted. Raises as ``use``, and as ``Card.change_pin``."""
        if login.caller:
            self._admit(login.caller)

        def change(card: Card) -> None:
            with self._guard.presenting(self._transaction.name, login.caller):
                card.change_pin(login.pin, new)

        await self.use(change, login)

    async def unblock_pin(self, puk: Secret, new: Secret, caller: CallerKey) -> None:
        """Set a new PIN with the PUK. Raises as ``use``, and as ``Card.unblock_pin``."""
        self._admit(caller)

        def unblock(card: Card) -> None:
            with self._guard.presenting(self._transaction.name, caller):
                card.unblock_pin(puk, new)

        await self.use(unblock, reset=True)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Stay connected to the card meanwhile: a person is asked about it, and no longer once it has left.

        Raises CardRemoved, or why else nothing can be asked of the card any more.
        """
        until_it_leaves = asyncio.timeout(None)
        self._waiting += 1
        try:
            async with until_it_leaves:
                self._asking.add(until_it_leaves)
                self._end_asking()
                yield
        except TimeoutError:
            if self._gone is None:
                raise
            raise self._gone() from None
        finally:
            self._asking.discard(until_it_leaves)
            self._waiting -= 1
            self._rest()

    def _end_asking(self) -> None:
        """End the dialogs about a card that has left."""
        if self._gone:
            for dialog in self._asking:
                dialog.reschedule(asyncio.get_running_loop().time())

    async def logout(self, session: str) -> None:
        """End the transaction now if it holds this session's login; the card is given up soon if no other needs it."""
        async with self._lock.turn(None):
            self._sessions.discard(session)
            if self._transaction.login == session:
                await self._release_now()
            if self._transaction.login is None:
                self._rest()

    def lost(self, why: Callable[[], CarddError] = CardRemoved) -> None:
        """The card left its reader, or the reader's service left: whoever asks anything more is told ``why``."""
        self._gone = why
        self._end_asking()
        self._cancel_rest()
        self._background.start(self._disconnect())

    async def close(self) -> None:
        """Give the card back, de-authenticated, once the work under way has ended."""
        self._sessions.clear()
        async with self._lock.turn(None):
            await self._give_back()
        self._gone = CardRemoved
        await self._disconnect()

    async def _use(
        self,
        answer: asyncio.Future[T],
        work: Work[T],
        login: HolderVerification | None,
        timeout: float,
        *,
        reset: bool = False,
    ) -> None:
        progress = Progress(work)
        is_over = False
        while not is_over:
            await self._take_turn((login.caller or login.session) if login else None)
            try:
                is_over = await self._one_turn(answer, progress, login, timeout, reset=reset)
            finally:
                self._lock.pass_on()
            self._tell_replaced()
            if login:
                login = replace(login, accepted=True)  # by now: what follows is asked of nobody

    async def _take_turn(self, caller: CallerKey | str | None) -> None:
        self._queued += 1
        try:
            with step("turn", Where.CARD):
                await self._lock.take(caller)
        finally:
            self._queued -= 1

    async def _one_turn(
        self,
        answer: asyncio.Future[T],
        progress: Progress[T],
        login: HolderVerification | None,
        timeout: float,
        *,
        reset: bool,
    ) -> bool:
        """Go on with the work; return whether it has ended, well or not, or is for nobody any more."""
        self._cancel_rest()
        is_over = True
        try:
            await self._let_others_in()
            is_over = await self._run(
                lambda connection: self._transaction.go_on(
                    connection, progress, login, lambda: self._queued, reset=reset
                ),
                timeout,
            )
        except CarddError as error:
            _fail(answer, error)
        except Exception:  # a driver's bug must reach the journal and must not hang the caller
            log.exception("the driver of the card in %s failed", self._reader.name)
            _fail(answer, InternalError())
        else:
            if login:
                self._sessions.add(login.session)
            if is_over and not answer.done():  # its caller has gone
                answer.set_result(progress.result)
        if self._transaction.login is not None and (self._hold <= 0 or self._transaction.is_turn_over):
            for _ in range(STEPS_OF_AN_ANSWER):  # it is on its way while the card is given up
                await asyncio.sleep(0)
            await self._release_now()
        self._rest()
        return is_over or answer.done()

    @property
    def _is_needed(self) -> bool:
        return bool(self._sessions) or self._waiting > 0 or math.isinf(self._linger)

    async def _let_others_in(self) -> None:
        """Leave the card free for a moment after each turn; a pause of our own callers' serves as well."""
        if not self._transaction.is_turn_over or self._transaction.turn_began < 0:
            return
        if self._transaction.in_transaction:
            await self._run(self._transaction.release, self.release_timeout)
        await asyncio.sleep(self._transaction.left + self.turns.free - self._transaction.now())

    def _rest(self) -> None:
        """Have the card's login end after the idle hold, and a connection that nobody needs after a while."""
        if self._gone:
            return
        self._cancel_rest()
        if self._transaction.login is not None or not self._is_needed:
            delay = self._hold if self._transaction.login is not None else self._linger
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, lambda: self._background.start(self._end()))

    async def _end(self) -> None:
        async with self._lock.turn(None):
            await self._give_back()
        self._tell_replaced()

    async def _give_back(self) -> None:
        """End the transaction, and the connection that no session needs any more."""
        self._cancel_rest()
        await self._release_now()
        if not self._is_needed:
            self._transaction.is_given_up = True
            await self._disconnect()

    async def _release_now(self) -> None:
        """End the transaction; a failure is told to whoever uses the card next."""
        if self._transaction.in_transaction:
            with contextlib.suppress(CarddError):
                await self._run(self._transaction.release, self.release_timeout)

    def _tell_replaced(self) -> None:
        if self._transaction.is_replaced and not self._gone:
            self._transaction.is_replaced = False
            self._replaced(self)

    async def _run(self, job: Callable[[Connection], T], timeout: float) -> T:
        if self._gone:
            raise self._gone()
        try:
            with step("card", Where.CARD):
                return await self._reader.run(job, timeout=timeout)
        except CardTimeout:
            self._transaction.forget()  # whatever the late job still does, the card is opened anew
            raise

    async def _disconnect(self) -> None:
        """Let go of the card; the next card in this reader is connected to anew."""
        with contextlib.suppress(CarddError):
            await self._reader.run(lambda connection: connection.disconnect(), timeout=self.release_timeout)

    def _cancel_rest(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def _fail(answer: asyncio.Future[T], error: CarddError) -> None:
    if not answer.done():
        answer.set_exception(error)
