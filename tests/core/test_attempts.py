"""What is known of a request that comes again under its Idempotency-Key, and by whom."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from hashlib import sha256

import pytest

from cardd.core.attempts import KEYLESS, Attempt, Attempts
from cardd.errors import AuditSlow, IdempotencyKeyReused, SignatureLost
from cardd.model import Caller, CallerKind, Message, Peer, Receipt
from cardd.values import replace
from tests.rig.memory import ManualClock, MemoryAudit

ME = Caller(CallerKind.PROGRAM, "me", "LPS SIMULATION", "", Peer(1000), seal=b"s" * 32)
MESSAGES = [Message(sha256(text).digest()) for text in (b"one", b"two")]
VALUES = [b"value one", b"value two"]


class Known:
    """Attempts over a log that lasts, as daemons come and go."""

    def __init__(self) -> None:
        self.audit, self.clock = MemoryAudit(), ManualClock()
        self.attempts = self.daemon()

    def daemon(self, patience: float = 5.0) -> Attempts:
        return Attempts(self.audit, self.clock, patience)

    async def begin(self, caller: Caller = ME, key: str = "key", request: bytes = b"request") -> Attempt:
        return await self.attempts.begin(caller, key, request)

    async def signed(self, caller: Caller = ME, row: int = 7) -> Attempt:
        attempt = await self.begin(caller)
        receipt = attempt.receipt(MESSAGES, VALUES)
        assert receipt is not None
        self.audit.receipts[receipt.name] = replace(receipt, row=row)
        return attempt


@pytest.fixture
def known() -> Known:
    return Known()


async def test_what_was_signed_is_given_again_at_its_own_time_and_to_its_caller_after_a_restart(known: Known) -> None:
    first = await known.signed()
    assert first.signed_before(MESSAGES) is None
    known.clock.seconds += 60
    known.attempts = known.daemon()
    again = await known.begin()
    assert again.signed_before(MESSAGES) == VALUES
    assert again.at == first.at
    assert again.at == known.clock.now() - timedelta(seconds=60)


@pytest.mark.parametrize("other", [MESSAGES[:1], MESSAGES[::-1], []])
async def test_values_of_other_messages_are_given_to_nobody(known: Known, other: list[Message]) -> None:
    await known.signed()
    with pytest.raises(SignatureLost) as lost:
        (await known.begin()).signed_before(other)
    assert lost.value.params == {"row": 7}


async def test_another_request_under_the_same_key_is_refused(known: Known) -> None:
    await known.signed()
    with pytest.raises(IdempotencyKeyReused):
        await known.begin(request=b"another request")


@pytest.mark.parametrize(
    ("caller", "key"),
    [
        (ME, "another key"),
        (replace(ME, id="another"), "key"),
        (replace(ME, peer=Peer(1001)), "key"),
        (replace(ME, id="mek", peer=Peer(1000)), "ey"),
    ],
)
async def test_another_key_or_caller_is_another_attempt(known: Known, caller: Caller, key: str) -> None:
    await known.signed()
    assert (await known.begin(caller, key)).signed_before(MESSAGES) is None


async def test_what_a_page_has_signed_is_lost_with_its_daemon(known: Known) -> None:
    page = replace(ME, seal=None)
    await known.signed(page)
    assert (await known.begin(page)).signed_before(MESSAGES) == VALUES
    known.attempts = known.daemon()
    with pytest.raises(SignatureLost) as lost:
        await known.begin(page)
    assert lost.value.params == {"row": 7}


async def test_a_receipt_is_good_for_its_own_name_request_and_secret_alone(known: Known) -> None:
    await known.signed()
    ((name, receipt),) = known.audit.receipts.items()
    for kept in (
        replace(receipt, sealed=receipt.sealed and receipt.sealed[:-1] + b"\0"),
        replace(receipt, sealed=b""),
        replace(receipt, sealed=None),
    ):
        known.audit.receipts[name] = kept
        with pytest.raises(SignatureLost):
            await known.begin()
    known.audit.receipts[name] = receipt
    with pytest.raises(SignatureLost):
        await known.begin(replace(ME, seal=b"t" * 32))
    elsewhere = await known.begin(key="another key")
    (moved,) = (one for one in [elsewhere.receipt()] if one)
    known.audit.receipts[moved.name] = replace(receipt, name=moved.name)
    with pytest.raises(SignatureLost):
        await known.begin(key="another key")


async def test_an_attempt_that_was_given_up_and_signed_is_found_by_the_next(known: Known) -> None:
    given_up, waiting = await known.begin(), await known.begin()
    assert not waiting.has_signed(known.audit)
    receipt = given_up.receipt(MESSAGES, VALUES)
    assert receipt is not None
    known.audit.receipts[receipt.name] = receipt
    assert waiting.has_signed(known.audit)
    assert waiting.signed_before(MESSAGES) == VALUES


async def test_a_receipt_of_an_earlier_cardd_is_found(known: Known) -> None:
    """The name and the request are made as they have been since there are receipts."""

    def made(kind: str, *parts: bytes) -> bytes:
        return sha256(
            b"cardd receipt %s 1" % kind.encode() + b"".join(len(one).to_bytes(8) + one for one in parts)
        ).digest()

    receipt = (await known.begin()).receipt()
    assert receipt is not None
    assert (receipt.name, receipt.request) == (made("name", b"1000", b"me", b"key"), made("request", b"request"))


async def test_a_signature_that_nothing_kept_is_told_with_its_row(known: Known) -> None:
    receipt = (await known.begin()).receipt()
    assert receipt is not None
    known.audit.receipts[receipt.name] = replace(receipt, row=9)
    with pytest.raises(SignatureLost) as lost:
        await known.begin()
    assert lost.value.params == {"row": 9}


async def test_nothing_is_sealed_of_what_cannot_be_made_again(known: Known) -> None:
    attempt = await known.begin()
    receipt = attempt.receipt()
    assert receipt is not None
    assert receipt.sealed is None
    assert receipt.at == attempt.at == known.clock.now()
    sealed = [one.sealed for _ in range(2) if (one := attempt.receipt(MESSAGES, VALUES))]
    assert len(set(sealed)) == 2


def test_a_request_without_a_key_is_never_known_again() -> None:
    audit = MemoryAudit()
    assert KEYLESS.receipt(MESSAGES, VALUES) is None
    assert not KEYLESS.has_signed(audit)
    with pytest.raises(IdempotencyKeyReused):
        KEYLESS.open(Receipt(b"name", b"request", KEYLESS.at, b"sealed"))


class SilentAudit(MemoryAudit):
    """Never tells."""

    async def receipt(self, name: bytes) -> Receipt | None:
        """Hang."""
        await asyncio.Event().wait()
        return None


async def test_a_disk_that_does_not_tell_is_waited_for_so_long_only() -> None:
    with pytest.raises(AuditSlow) as told:
        await Attempts(SilentAudit(), ManualClock(), 0.01).begin(ME, "key", b"request")
    assert told.value.params == {"seconds": 0}
