"""Exclusive use of one inserted card: the transaction, whose login it holds, and when it is given up.

Rule 3 lives here: VERIFY and the operations that it allows run in one PC/SC transaction, and the reset that ends the
transaction leaves the card de-authenticated. Ending it is put off for a short idle hold, so that successive requests
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
from dataclasses import replace
from typing import TypeVar

from cardd.core.card_work import HeldPinKept, HolderVerification, InPieces, PinForEach, Progress, Work
from cardd.core.lifecycle import Background
from cardd.core.pin_guard import PinGuard
from cardd.core.tokens import new_id
from cardd.core.verified_card import LoginUse, VerifiedCard
from cardd.driver import Card
from cardd.errors import (
    CarddError,
    CardGarbled,
    CardMute,
    CardRemoved,
    CardReset,
    CardTimeout,
    InternalError,
    LastTryRefused,
    PinBlocked,
    PinRequired,
    PinWrong,
    ReaderError,
    SignatureInvalid,
)
from cardd.model import CallerKey, CardCertificate, CardInfo, PinState
from cardd.ports import Connection, Reader
from cardd.secret import Secret

T = TypeVar("T")

# Other programs wait while we use the card: steady traffic of ours leaves it free after a turn, for long enough that
# pcsc-lite, which looks every 100 ms whether a waiting program may go on, looks twice.
TURN = 5.0
FREE = 0.22
SHARED = 6.0  # seconds that a long list divides with our own callers that wait, so that each waits no longer
SHARE_MIN = 0.5
LINGER = 1.0
SWAP_MIN = 0.1  # seconds without a command in which nobody can put another card in the first one's place
RELEASE_TIMEOUT = 10.0
TRIES_KNOWN = 1.0  # seconds after our own login in which nobody changes the PIN and mistypes the new one twice
KEYPAD_TIMEOUT = 75.0  # a reader gives up its keypad after 60 s at the latest (PC/SC part 10, bTimeOut)

# After these nobody knows whether the card is still the same one.
UNSURE = (CardGarbled, CardMute, CardRemoved, CardReset, ReaderError, SignatureInvalid)

log = logging.getLogger(__name__)


class CardAccess:
    """One inserted card, shared by every session and request, one at a time and in order.

    After a login of ours the tries are known to be whole for ``tries_known`` seconds; later they are read before a held
    PIN is sent. ``linger`` is how many seconds after its last use a card that no session needs stays connected to.
    ``replaced`` is called when the card has gone mute after it had been opened, or turned out to be another one: no
    sensor told, and what was known of it is void. ``admit`` raises for a caller who may present no code to the card.
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
    ) -> None:
        self._tries_known = tries_known
        self._reader = reader
        self._guard = guard
        self._name = new_id()
        self._hold = hold
        self._linger = linger
        self._timeout = timeout
        self._replaced = replaced
        self._admit = admit
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._background = Background()
        self._gone: Callable[[], CarddError] | None = None
        self._asking: set[asyncio.Timeout] = set()  # dialogs about this card
        self._sessions: set[str] = set()  # whose logins the card accepted
        self._waiting = 0  # for the PIN that a person types
        self._queued = 0  # who want the card while another has it
        # Touched on the reader's thread only, one job at a time:
        self._card: Card | None = None
        self._certificates: tuple[CardCertificate, ...] | None = None
        self._resets = 0
        self._in_transaction = False
        self._turn_began = self._left = self._used = -math.inf
        self._is_replaced = False
        self._is_given_up = False
        self._login: str | None = None
        self._login_use = LoginUse()
        self._tries_known_until = 0.0
        self._trusted: set[str] | None = None  # whose held PIN is sent: None for all, until the card refuses one
        self.has_pinpad = False

    async def info(self) -> CardInfo:
        """What the card's directories tell; read at the first call. Raises as ``use`` does."""
        card = self._card
        return card.info if card else await self.use(lambda card: card.info)

    async def certificates(self) -> tuple[CardCertificate, ...]:
        """The card's certificates; read at the first call. Raises as ``use`` does."""
        if self._certificates is not None:
            return self._certificates
        return await self.use(self._read_certificates)

    def prefetch(self) -> None:
        """Read the certificates in the background, while the user types: a fault is told to whoever asks next."""
        if self._certificates is None:
            answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda done: done.exception())
            self._background.start(self._use(answer, self._read_certificates, None, self._timeout))

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
        timeout = self._timeout + (TURN if isinstance(work, InPieces) else 0.0)
        if login and login.pin is None:
            timeout = self._timeout * operations + KEYPAD_TIMEOUT * login.times
        self._background.start(self._use(answer, work, login, timeout, reset=reset))
        return await answer

    @property
    def wants_pin_for_each(self) -> bool:
        """Whether the card is known to want its PIN before each operation."""
        return self._login_use.ends_with_operation

    async def pin_state(self) -> PinState:
        """What the card says of its PIN; it is not asked where it has accepted that of a session, whose login stands.

        Raises as ``use`` does.
        """
        if self._sessions:
            return PinState.READY
        return (await self.use(lambda card: card.pin_status())).state

    def ensure_presentable(self, caller: CallerKey) -> None:
        """Raises PinBackOff, or what ``admit`` raises, while this caller may present no code: then nobody is asked."""
        self._admit(caller)
        self._guard.check(self._name, caller)

    async def change_pin(self, login: HolderVerification, new: Secret | None) -> None:
        """Replace the PIN of ``login``, which the card has accepted. Raises as ``use``, and as ``Card.change_pin``."""
        if login.caller:
            self._admit(login.caller)

        def change(card: Card) -> None:
            with self._guard.presenting(self._name, login.caller):
                card.change_pin(login.pin, new)

        await self.use(change, login)

    async def unblock_pin(self, puk: Secret, new: Secret, caller: CallerKey) -> None:
        """Set a new PIN with the PUK. Raises as ``use``, and as ``Card.unblock_pin``."""
        self._admit(caller)

        def unblock(card: Card) -> None:
            with self._guard.presenting(self._name, caller):
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
        async with self._lock:
            self._sessions.discard(session)
            if self._login == session:
                await self._release_now()
            if self._login is None:
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
        async with self._lock:
            await self._give_back()
        self._gone = CardRemoved
        await self._disconnect()

    # --- on the event loop ---

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
            async with self._turn():
                is_over = await self._one_turn(answer, progress, login, timeout, reset=reset)
            self._tell_replaced()
            if login:
                login = replace(login, accepted=True)  # by now: what follows is asked of nobody

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        self._queued += 1
        try:
            await self._lock.acquire()
        finally:
            self._queued -= 1
        try:
            yield
        finally:
            self._lock.release()

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
            is_over = await self._run(lambda connection: self._job(connection, progress, login, reset=reset), timeout)
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
        # the answer is on its way while the card is given up
        if self._login is not None and (self._hold <= 0 or self._is_turn_over):
            await self._release_now()
        self._rest()
        return is_over or answer.done()

    @property
    def _is_turn_over(self) -> bool:
        return time.monotonic() - self._turn_began > TURN

    @property
    def _is_needed(self) -> bool:
        return bool(self._sessions) or self._waiting > 0 or math.isinf(self._linger)

    async def _let_others_in(self) -> None:
        """Leave the card free for a moment after each turn; a pause of our own callers' serves as well."""
        if not self._is_turn_over or self._turn_began < 0:
            return
        if self._in_transaction:
            await self._run(self._release, RELEASE_TIMEOUT)
        await asyncio.sleep(self._left + FREE - time.monotonic())

    def _rest(self) -> None:
        """Nothing is asked of the card: its login ends after the idle hold, a connection that nobody needs later."""
        if self._gone:
            return
        self._cancel_rest()
        if self._login is not None or not self._is_needed:
            delay = self._hold if self._login is not None else self._linger
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, lambda: self._background.start(self._end()))

    async def _end(self) -> None:
        async with self._lock:
            await self._give_back()
        self._tell_replaced()

    async def _give_back(self) -> None:
        """End the transaction, and the connection that no session needs any more."""
        self._cancel_rest()
        await self._release_now()
        if not self._is_needed:
            self._is_given_up = True
            await self._disconnect()

    async def _release_now(self) -> None:
        """End the transaction; a failure is told to whoever uses the card next."""
        if self._in_transaction:
            with contextlib.suppress(CarddError):
                await self._run(self._release, RELEASE_TIMEOUT)

    def _tell_replaced(self) -> None:
        if self._is_replaced and not self._gone:
            self._is_replaced = False
            self._replaced(self)

    async def _run(self, job: Callable[[Connection], T], timeout: float) -> T:
        if self._gone:
            raise self._gone()
        try:
            return await self._reader.run(job, timeout=timeout)
        except CardTimeout:
            self._forget()  # whatever the late job still does, the card is opened anew
            raise

    async def _disconnect(self) -> None:
        """Let go of the card; the next card in this reader is connected to anew."""
        with contextlib.suppress(CarddError):
            await self._reader.run(lambda connection: connection.disconnect(), timeout=RELEASE_TIMEOUT)

    def _cancel_rest(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    # --- on the reader's thread ---

    def _job(
        self, connection: Connection, progress: Progress[T], login: HolderVerification | None, *, reset: bool
    ) -> bool:
        began = time.monotonic()

        def gives_way() -> bool:
            """Whether others come first; not where a keypad would have the PIN typed again."""
            share = max(SHARE_MIN, SHARED / (self._queued + 1))
            has_had_its_share = self._queued > 0 and time.monotonic() - began > share
            return not (login and login.pin is None) and (self._is_turn_over or has_had_its_share)

        try:
            self._enter(connection, login)
            card = self._open(connection)
            is_over = progress.go_on(self._verified(card, login) if login else card, gives_way)
        except BaseException as error:
            self._doubt(error)
            self._leave(connection, reset=reset or login is not None)
            raise
        self._used = time.monotonic()
        if self._login is None:
            self._leave(connection, reset=reset)
        return is_over

    def _enter(self, connection: Connection, login: HolderVerification | None) -> None:
        if self._login is not None and (login is None or login.session != self._login):
            self._release(connection)
        if not self._in_transaction:
            connection.begin()
            self._in_transaction = True
            now = time.monotonic()
            if now - self._left >= FREE:
                self._turn_began = now
        if connection.resets != self._resets or self._is_given_up:
            self._forget()
            self._resets, self._is_given_up = connection.resets, False

    def _doubt(self, error: BaseException) -> None:
        """After a failure that another card would explain, read anew which card it is before it gets a PIN."""
        if isinstance(error, UNSURE):
            self._is_replaced |= isinstance(error, CardMute) and self._card is not None
            self._forget()

    def _forget(self) -> None:
        self._card = self._certificates = None
        self._tries_known_until = 0.0

    def _read_certificates(self, card: Card) -> tuple[CardCertificate, ...]:
        certificates = self._certificates = card.certificates()
        return certificates

    def _open(self, connection: Connection) -> Card:
        if self._card is None:
            self._card = connection.open()
            self.has_pinpad = connection.has_pinpad
        return self._card

    def _verified(self, card: Card, login: HolderVerification) -> Card:
        """The card, logged in. Raises HeldPinKept where the user must be asked, LastTryRefused, what VERIFY raises."""
        if login.pin is not None and not login.pin:
            raise PinRequired  # wiped while this request waited: its session was closed or locked
        login.ensure_wanted()
        if not (login.accepted and self._login == login.session):
            if login.certificates and not login.certificates <= {found.der for found in card.certificates()}:
                self._is_replaced = True
                raise CardRemoved  # swapped before the sensor told, or reset into another
            self._ensure_tries(card, login)
            self._verify(card, login)
            login.ensure_wanted()  # a keypad's PIN may outlast the session that it is for
        return VerifiedCard(card, self._login_use, lambda: self._verify_again(card, login))

    def _ensure_tries(self, card: Card, login: HolderVerification) -> None:
        if login.accepted and self._trusted is not None and login.session not in self._trusted:
            raise HeldPinKept  # the card refused a PIN that it had accepted: this one is old too
        if login.spend_last_try or (login.accepted and time.monotonic() < self._tries_known_until):
            return
        if card.pin_status().tries_left == 1:
            raise HeldPinKept if login.accepted else LastTryRefused(tries_left=1)

    def _verify(self, card: Card, login: HolderVerification) -> None:
        self._login_use.has_served = False
        try:
            with self._guard.presenting(self._name, login.caller, is_held=login.accepted):
                card.verify(login.pin)
        except (PinWrong, PinBlocked):
            if login.accepted:
                self._trusted = set()
            raise
        if self._trusted is not None:
            self._trusted.add(login.session)
        self._login = login.session

    def _verify_again(self, card: Card, login: HolderVerification) -> None:
        """Present the PIN of a login that the card has ended. Raises PinForEach, and what VERIFY raises."""
        if login.pin is not None:
            self._verify(card, replace(login, accepted=True))
        elif login.times > 1:
            self._verify(card, login)
            login.ensure_wanted()
        else:
            raise PinForEach

    def _release(self, connection: Connection) -> None:
        """End the transaction. A reset would wake a card that was put in meanwhile, as if it were the first."""
        if self._card is not None and self._login is not None and time.monotonic() - self._used > SWAP_MIN:
            try:
                self._card.pin_status()
            except CarddError as error:
                self._doubt(error)
        self._leave(connection, reset=self._login is not None)

    def _leave(self, connection: Connection, *, reset: bool) -> None:
        if self._in_transaction:
            self._in_transaction = False
            self._tries_known_until = time.monotonic() + self._tries_known if self._login is not None else 0.0
            self._login = None
            connection.end(reset=reset)
            self._left = time.monotonic()


def _fail(answer: asyncio.Future[T], error: CarddError) -> None:
    if not answer.done():
        answer.set_exception(error)
