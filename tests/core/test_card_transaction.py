"""What happens to a card between the jobs of its reader's thread: turns, logins and resets, at stated times."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import pytest

from cardd.core.card_transaction import (
    CardTransaction,
    HeldPinKept,
    HolderVerification,
    InPieces,
    LoginUse,
    PinForEach,
    Progress,
    Turns,
    VerifiedCard,
)
from cardd.core.pin_guard import PinGuard
from cardd.driver import Card
from cardd.errors import AlgorithmUnsupported, CardRemoved, PinBackOff, PinWrong, SessionClosed
from cardd.model import Algorithm, CallerKey, KeyRef, Message, PinStatus, Situation
from cardd.secret import Secret
from cardd.values import replace
from tests.core.at_card import KEY, OFFICER, PASSWORD, Token
from tests.core.conftest import PIN
from tests.rig.memory import ManualClock

ME = CallerKey(1000, "lps")
MESSAGE = Message(bytes(32))


class Able(Token):
    """A token that can do all that a card can; it tells whose method was called."""

    def authenticate_info(self, key: KeyRef, info: bytes) -> bytes:
        return b"info " + info + self.sign(key, Algorithm.RS256, MESSAGE)

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:
        return b"pss " + kind.encode() + digest + self.sign(key, Algorithm.RS256, MESSAGE)

    def decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        return b"plain " + cryptogram + self.sign(key, Algorithm.RS256, MESSAGE)

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        return algorithm.value.encode() + digest + super().authenticate(key, algorithm, digest)

    def situations(self) -> tuple[Situation, ...]:
        return self.known_situations

    known_situations: tuple[Situation, ...] = ()


class Slot:
    """A connection to the token ``card``, with what was done to it, in order; ``resets`` are other programs'."""

    has_pinpad = False
    epoch = 0

    def __init__(self, card: Token) -> None:
        self.card = card
        self.done: list[str] = []
        self.resets = 0

    def open(self) -> Card:
        self.done.append("open")
        return self.card

    def begin(self) -> None:
        self.done.append("begin")

    def end(self, *, reset: bool) -> None:
        self.done.append("reset" if reset else "end")

    def disconnect(self) -> None:
        self.done.append("disconnect")

    def taken(self) -> list[str]:
        done, self.done = self.done, []
        return done


class Between:
    """A transaction on a token, at times that the test states; ``others`` says whether another program may wait."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.token: Token = Able()
        self.slot = Slot(self.token)
        self.others = True
        self.queued = 0
        self.turns = Turns()
        self.transaction = CardTransaction(
            PinGuard(self.clock),
            self.turns,
            tries_known=1.0,
            others=lambda: self.others,
            now=self.clock.monotonic,
        )

    def login(self, session: str = "a", *, pin: str | None = PIN, **more: object) -> HolderVerification:
        secret = Secret.of(pin.encode()) if pin else None
        return replace(HolderVerification(session, secret, accepted=True, caller=ME), **more)

    def go_on(self, progress: Progress[list[int]], login: HolderVerification | None = None) -> bool:
        return self.transaction.go_on(self.slot, progress, login, lambda: self.queued, reset=False)

    def pieces(self, count: int, seconds: float = 1.0) -> Progress[list[int]]:
        """Return so many pieces of work, each of which takes so long."""

        def work(_: Card) -> Generator[None, Card, list[int]]:
            done: list[int] = []
            for number in range(count):
                if done:
                    yield
                self.clock.seconds += seconds
                done.append(number)
            return done

        return Progress(InPieces(work))

    def rounds(self, progress: Progress[list[int]], login: HolderVerification | None = None) -> list[float]:
        """Return how long each turn was, until the work is done; the card is left free after each that is over."""
        took = []
        is_over = False
        while not is_over:
            began = self.clock.seconds
            is_over = self.go_on(progress, login)
            took.append(self.clock.seconds - began)
            if self.transaction.is_turn_over:
                self.transaction.release(self.slot)
                self.clock.seconds += self.turns.free
        return took


@pytest.fixture
def between() -> Between:
    return Between()


# --- the card while a login stands


def verified(token: Token, *, use: LoginUse | None = None) -> tuple[VerifiedCard, list[str]]:
    """Return the card with a login of the token's that stands, and what it was asked for since."""
    token.verify(Secret.of(b"7319"))
    token.presented.clear()
    return VerifiedCard(token, use or LoginUse(), lambda: token.verify(Secret.of(b"7319"))), token.presented


OPERATIONS: list[tuple[Callable[[Card], bytes], bytes]] = [
    (lambda card: card.sign(KEY, Algorithm.RS256, MESSAGE), b"signature"),
    (lambda card: card.authenticate(KEY, Algorithm.PS256, b"d"), b"PS256dsignature"),
    (lambda card: card.authenticate_info(KEY, b"i"), b"info isignature"),
    (lambda card: card.authenticate_pss(KEY, "sha256", b"d"), b"pss sha256dsignature"),
    (lambda card: card.decrypt(KEY, b"c"), b"plain csignature"),
]


@pytest.mark.parametrize(("operation", "value"), OPERATIONS)
def test_each_use_of_a_key_has_its_pin_again_where_the_card_wants_it(
    operation: Callable[[Card], bytes], value: bytes
) -> None:
    use = LoginUse()
    card, presented = verified(Able(signatures_a_pin=1), use=use)
    assert operation(card) == value
    assert (presented, use) == ([], LoginUse(ends_with_operation=False, has_served=True))
    assert operation(card) == value  # found out
    assert (presented, use.ends_with_operation) == (["pin"], True)
    assert operation(card) == value  # known
    assert presented == ["pin"] * 2


def test_a_card_that_had_lost_the_login_before_its_first_use_is_not_said_to_want_the_pin_for_each() -> None:
    use = LoginUse()
    token = Able(signatures_a_pin=2)
    card = VerifiedCard(token, use, lambda: token.verify(Secret.of(b"7319")))
    for _ in range(2):
        card.sign(KEY, Algorithm.RS256, MESSAGE)
    assert (token.presented, use.ends_with_operation) == (["pin"], False)


def test_a_card_that_is_known_to_want_the_pin_for_each_stays_so_where_it_lost_a_login_before_its_use() -> None:
    use = LoginUse(ends_with_operation=True)
    token = Able(signatures_a_pin=1)
    card = VerifiedCard(token, use, lambda: token.verify(Secret.of(b"7319")))
    card.sign(KEY, Algorithm.RS256, MESSAGE)
    assert use == LoginUse(ends_with_operation=True, has_served=True)


def test_what_a_card_tells_and_its_codes_are_the_drivers() -> None:
    token = Able()
    token.tries, token.puk_tries = 2, 7
    token.known_situations = (Situation("SIMULATION"),)
    card, presented = verified(token)
    assert (card.info.pin, card.info.puk) == (PASSWORD, OFFICER)
    assert (card.certificates(), card.situations()) == ((), (Situation("SIMULATION"),))
    assert (card.pin_status(), card.puk_status()) == (PinStatus(2), PinStatus(7))
    card.verify(Secret.of(b"7319"))
    card.verify(None)
    card.change_pin(Secret.of(b"7319"), Secret.of(b"2580"))
    card.unblock_pin(Secret.of(b"12345678"), Secret.of(b"2580"))
    assert presented == ["pin", "pin at the keypad", "new pin", "puk"]


# --- turns


def test_alone_with_the_card_work_goes_on_until_its_turn_is_over(between: Between) -> None:
    between.turns.turn = 3.0
    assert between.rounds(between.pieces(9), between.login()) == [4.0, 4.0, 1.0]


def test_whoever_waits_has_the_card_after_a_share_and_the_least_is_never_less(between: Between) -> None:
    between.turns.turn, between.turns.shared, between.turns.least = 100.0, 6.0, 2.5
    between.queued = 1
    assert between.rounds(between.pieces(8), between.login()) == [4.0, 4.0]
    between.queued = 11
    assert between.rounds(between.pieces(6), between.login()) == [3.0, 3.0]
    between.queued = 0
    assert between.rounds(between.pieces(8), between.login()) == [8.0]


def test_at_a_keypad_a_list_is_one_turn(between: Between) -> None:
    between.turns.turn, between.turns.shared = 3.0, 1.0
    between.queued = 5
    assert between.rounds(between.pieces(9), between.login(pin=None)) == [9.0]


def test_work_without_a_login_has_turns_too(between: Between) -> None:
    between.turns.turn = 3.0
    assert between.rounds(between.pieces(5)) == [4.0, 1.0]


def test_work_that_nobody_wants_any_more_ends_after_its_piece_and_has_no_other(between: Between) -> None:
    def ensure_wanted() -> None:
        if between.clock.seconds > 1001:
            raise SessionClosed(reason="logout")

    progress, login = between.pieces(5), between.login(ensure_wanted=ensure_wanted)
    assert not between.go_on(progress, login)
    assert between.clock.seconds == 1002
    with pytest.raises(SessionClosed):
        between.go_on(progress, login)
    assert between.clock.seconds == 1002


def test_the_turn_ends_for_other_programs_where_one_may_wait_and_goes_on_where_none_is_seen(between: Between) -> None:
    transaction, turns = between.transaction, between.turns
    turns.turn, turns.unseen = 3.0, 10.0
    between.go_on(between.pieces(2), between.login())
    assert (transaction.turn_began, transaction.is_turn_over) == (1000.0, False)
    between.others = False
    between.go_on(between.pieces(2), between.login())
    assert (transaction.turn_began, transaction.is_turn_over) == (1004.0, False)  # a new one, at once
    between.others = True
    between.go_on(between.pieces(4), between.login())
    assert (transaction.turn_began, transaction.is_turn_over) == (1004.0, True)
    between.others = False
    between.clock.seconds += 3  # longer than a program may wait that nobody sees
    between.go_on(between.pieces(1), between.login())
    assert (transaction.turn_began, transaction.is_turn_over) == (1004.0, True)


def test_a_card_that_was_free_for_long_enough_begins_a_turn_and_no_other_does(between: Between) -> None:
    transaction = between.transaction
    between.turns.free = 0.5
    assert transaction.turn_began == -math.inf
    between.go_on(between.pieces(1))
    assert (transaction.turn_began, transaction.left, transaction.in_transaction) == (1000.0, 1001.0, False)
    between.clock.seconds += 0.25
    between.go_on(between.pieces(1))
    assert (transaction.turn_began, transaction.left) == (1000.0, 1002.25)
    between.clock.seconds += 0.5
    between.go_on(between.pieces(1))
    assert transaction.turn_began == 1002.75
    assert between.slot.taken() == ["begin", "open", "end", "begin", "end", "begin", "end"]


# --- logins, and what is known of the card


def test_a_login_stays_until_it_is_released_and_another_sessions_use_ends_it(between: Between) -> None:
    between.go_on(between.pieces(1), between.login("a"))
    between.go_on(between.pieces(1), between.login("a"))
    assert between.slot.taken() == ["begin", "open"]
    between.go_on(between.pieces(1), between.login("b"))
    assert (between.slot.taken(), between.transaction.login) == (["reset", "begin"], "b")
    between.go_on(between.pieces(1))
    assert (between.slot.taken(), between.transaction.login) == (["reset", "begin", "end"], None)
    assert between.token.presented == ["pin"] * 2


def test_a_card_that_another_program_reset_is_opened_anew(between: Between) -> None:
    between.go_on(between.pieces(1))
    between.go_on(between.pieces(1))
    assert between.slot.taken().count("open") == 1
    between.slot.resets += 1
    between.go_on(between.pieces(1))
    between.go_on(between.pieces(1))
    assert between.slot.taken().count("open") == 1


def test_mistakes_at_one_card_make_nobody_wait_at_another() -> None:
    guard, clock = PinGuard(ManualClock()), ManualClock()
    first, second = (
        CardTransaction(guard, Turns(), tries_known=1.0, others=lambda: True, now=clock.monotonic) for _ in range(2)
    )
    typed = HolderVerification("a", Secret.of(b"0000"), caller=ME)

    def use(transaction: CardTransaction, token: Token) -> None:
        transaction.go_on(Slot(token), Progress(lambda _: None), typed, lambda: 0, reset=False)

    mistyped = Able(PinWrong(tries_left=2), PinWrong(tries_left=2))
    for refusal in (PinWrong, PinWrong, PinBackOff):
        with pytest.raises(refusal):
            use(first, mistyped)
    use(second, Able())


def test_a_typed_pin_that_was_changed_before_the_card_wanted_it_again_was_the_last_that_is_sent_unasked(
    between: Between,
) -> None:
    token = between.token = between.slot.card = Able(signatures_a_pin=1)

    def work(card: Card) -> list[int]:
        card.sign(KEY, Algorithm.RS256, MESSAGE)
        token.refusals = [PinWrong(tries_left=2)]
        return [len(card.sign(KEY, Algorithm.RS256, MESSAGE))]

    with pytest.raises(PinWrong):
        between.go_on(Progress(work), between.login(accepted=False))
    with pytest.raises(HeldPinKept):
        between.go_on(between.pieces(1), between.login("b"))
    assert token.presented == ["pin"] * 2


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_the_tries_are_read_before_a_held_pin_but_soon_after_our_own_login(between: Between, seconds: float) -> None:
    between.clock.seconds = seconds  # the machine has just started, or long ago
    between.token.tries = 1
    for makes_known in (False, True):
        with pytest.raises(HeldPinKept):
            between.go_on(between.pieces(1, 0.1), between.login())
        between.go_on(between.pieces(1, 0.1))  # without a login nothing is known of them
        with pytest.raises(HeldPinKept):
            between.go_on(between.pieces(1, 0.1), between.login())
        between.go_on(between.pieces(1, 0.1), between.login(accepted=False, spend_last_try=True))
        between.transaction.release(between.slot)
        if makes_known:
            between.go_on(between.pieces(1, 0.1), between.login())
        between.transaction.forget()
        between.transaction.release(between.slot)
        between.clock.seconds += 1.5
    between.go_on(between.pieces(1, 0.1), between.login(accepted=False, spend_last_try=True))
    between.transaction.release(between.slot)
    between.transaction.forget()  # it may be another card
    with pytest.raises(HeldPinKept):
        between.go_on(between.pieces(1, 0.1), between.login())


def test_the_readers_keypad_is_known_with_the_card(between: Between) -> None:
    assert not between.transaction.has_pinpad
    between.slot.has_pinpad = True
    between.go_on(between.pieces(1))
    assert between.transaction.has_pinpad


def test_certificates_that_were_read_are_kept(between: Between) -> None:
    assert between.transaction.certificates is None
    assert between.transaction.read_certificates(between.token) == ()
    assert between.transaction.certificates == ()


@pytest.mark.parametrize(("quiet", "asks"), [(0.05, False), (0.2, True)])
def test_a_card_that_was_left_alone_for_long_enough_to_be_swapped_is_asked_before_its_reset(
    between: Between, quiet: float, asks: bool
) -> None:
    between.go_on(between.pieces(1), between.login())
    asked: list[float] = []

    def pin_status() -> PinStatus:
        asked.append(between.clock.seconds)
        raise CardRemoved

    between.token.pin_status = pin_status  # type: ignore[method-assign]
    between.clock.seconds += quiet
    between.transaction.release(between.slot)
    assert bool(asked) == asks
    assert (between.transaction.card is None) == asks
    assert between.slot.taken()[-1] == "reset"


def test_a_failure_leaves_the_card_reset_where_a_login_was_asked_for_and_as_it_is_where_none_was(
    between: Between,
) -> None:
    def fail(_: Card) -> list[int]:
        raise AlgorithmUnsupported(algorithm="RS256")

    for login, end in ((None, "end"), (between.login(), "reset")):
        with pytest.raises(AlgorithmUnsupported):
            between.go_on(Progress(fail), login)
        assert between.slot.taken()[-1] == end
        assert not between.transaction.in_transaction


def test_a_pin_that_a_keypad_would_have_to_ask_for_once_more_untold_is_not_asked_for(between: Between) -> None:
    between.token = between.slot.card = Able(signatures_a_pin=1)

    def twice(card: Card) -> list[int]:
        return [len(card.sign(KEY, Algorithm.RS256, MESSAGE)) for _ in range(2)]

    with pytest.raises(PinForEach):
        between.go_on(Progress(twice), between.login(pin=None))
    assert between.token.presented == ["pin at the keypad"]
    assert between.go_on(Progress(twice), between.login(pin=None, times=2))
    assert between.token.presented == ["pin at the keypad"] * 3
