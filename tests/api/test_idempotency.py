"""Rule 8: under one Idempotency-Key nothing is signed twice, and nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cardd.api.answers import Reply
from cardd.api.idempotency import Ledger
from cardd.errors import CardGarbled, CardRemoved, ConsentRefused, DaemonExhausted
from cardd.model import CallerKey, Choice
from tests.api.requests import request
from tests.api.workbench import PIN, Workbench
from tests.rig.memory import ManualClock

DIGEST = base64.b64encode(hashlib.sha256(b"ordonnance SIMULATION").digest()).decode()
ITEM = {"document_name": "Ordonnance", "digest": DIGEST}
KEY = {"Idempotency-Key": "3f2a-1"}
OWNER = CallerKey(1000, "client")


def signed(api: Workbench) -> int:
    return api.audit.acts().count("signature.raw done")


async def test_the_same_request_gets_the_same_answer(api: Workbench) -> None:
    path, token = await api.logged_in()
    answers = [await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY) for _ in range(3)]
    assert {(got.status, got.raw) for got in answers} == {(200, answers[0].raw)}
    assert signed(api) == 1
    assert api.person.topics().count("sign") == 1


async def test_also_while_the_first_is_under_way(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    api.person.is_asked.clear()
    asking = [
        asyncio.ensure_future(api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)) for _ in range(3)
    ]
    await api.person.is_asked.wait()
    api.person.attentive.set()
    answers = await asyncio.gather(*asking)
    assert {got.raw for got in answers} == {answers[0].raw}
    assert signed(api) == 1


async def test_also_when_the_first_client_hung_up(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    api.person.is_asked.clear()
    body = json.dumps(ITEM).encode()
    head = (
        f"Host: localhost:{api.port}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Idempotency-Key: 3f2a-1",
    )
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request(f"{path}/signatures", *head, method="POST", body=body))
    await api.person.is_asked.wait()
    writer.close()
    await writer.wait_closed()
    api.person.attentive.set()
    got = await api.call("POST", f"{path}/signatures", body, bearer=token, headers=KEY)
    assert got.status == 200
    assert signed(api) == 1
    assert api.person.topics().count("sign") == 1


@pytest.mark.parametrize("years", [-4, 4])
async def test_an_answer_that_a_wrong_clock_gave_is_not_kept(
    tmp_path: Path, started: Callable[[Workbench], Awaitable[Workbench]], years: int
) -> None:
    clock = ManualClock()
    api = await started(Workbench(tmp_path, clock=clock))
    path, token = await api.logged_in()
    right = clock.began
    clock.began += timedelta(days=365 * years)
    wrong = await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)
    assert str(wrong.code).startswith("signing_certificate.")
    clock.began = right
    assert (await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)).status == 200
    assert signed(api) == 1


@pytest.mark.parametrize("lacking", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
async def test_what_the_computer_had_no_more_of_is_told_and_the_next_try_is_a_new_one(lacking: Exception) -> None:
    ledger, lacks = Ledger(), [lacking]

    async def work() -> Reply:
        if lacks:
            raise lacks.pop()
        return Reply(200, b"")

    with pytest.raises(DaemonExhausted):
        await ledger.once(OWNER, "key", b"request", work)
    assert (await ledger.once(OWNER, "key", b"request", work)).status == 200


async def test_another_body_or_call_under_the_same_key_is_refused(api: Workbench) -> None:
    path, token = await api.logged_in()
    await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)
    other = await api.call("POST", f"{path}/signatures", {**ITEM, "patient": "X"}, bearer=token, headers=KEY)
    assert (other.status, other.code) == (422, "request.idempotency_key_reused")
    elsewhere = await api.call("POST", f"{path}/auth-tokens", {"nonce": "n" * 44}, bearer=token, headers=KEY)
    assert elsewhere.code == "request.idempotency_key_reused"


async def test_a_key_belongs_to_one_caller(api: Workbench) -> None:
    api.person.pins = [PIN, PIN]
    path, token = await api.logged_in()
    other_path, other_token = await api.logged_in()
    assert (await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)).status == 200
    assert (await api.call("POST", f"{other_path}/signatures", ITEM, bearer=other_token, headers=KEY)).status == 200
    assert signed(api) == 2


async def test_a_login_sent_twice_opens_one_session(api: Workbench) -> None:
    secret = await api.pair()
    first, second = [
        await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret, headers=KEY) for _ in range(2)
    ]
    assert (first.status, first.raw, first.headers["Location"]) == (201, second.raw, second.headers["Location"])
    assert len(api.person.pin_questions) == 1


async def test_the_users_no_is_kept_and_a_pulled_card_is_not(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.choice = Choice.NO
    assert (await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)).code == "consent.refused"
    api.person.choice = Choice.YES
    assert (await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=KEY)).code == "consent.refused"
    fresh = {"Idempotency-Key": "3f2a-2"}
    api.audit.is_full = True
    failed = await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=fresh)
    assert failed.code == "audit.unavailable"
    api.audit.is_full = False
    assert (await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=fresh)).status == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "clé"])
async def test_a_key_that_is_none_is_refused(api: Workbench, key: str) -> None:
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers={"Idempotency-Key": key})
    assert (got.code, got.text("where")) == ("request.invalid", "Idempotency-Key")
    assert signed(api) == 0


class Counter:
    """Work that counts itself."""

    def __init__(self, outcome: Exception | bytes = b"done") -> None:
        self.count = 0
        self._outcome = outcome

    async def __call__(self) -> Reply:
        self.count += 1
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return Reply(body=self._outcome)


async def test_only_so_many_answers_of_one_caller_are_kept() -> None:
    ledger, work = Ledger(answers_max=3), Counter()
    for key in ("a", "b", "c", "d"):
        await ledger.once(OWNER, key, b"", work)
    await ledger.once(CallerKey(1000, "another"), "a", b"", work)
    for key in ("b", "c", "d"):
        await ledger.once(OWNER, key, b"", work)
    assert work.count == 5
    await ledger.once(OWNER, "a", b"", work)
    assert work.count == 6
    await ledger.close()


async def test_only_so_many_bytes_of_one_caller_are_kept() -> None:
    ledger, work = Ledger(bytes_max=250), Counter(bytes(100))
    for key in ("a", "b", "c", "c", "b", "a"):
        await ledger.once(OWNER, key, b"", work)
    assert work.count == 4
    await ledger.close()


async def test_who_keeps_most_makes_room_for_others() -> None:
    ledger, large, small = Ledger(bytes_max=250), Counter(bytes(100)), Counter(bytes(20))
    other = CallerKey(1001, "client")
    await ledger.once(other, "a", b"", small)
    for key in ("a", "b", "c"):
        await ledger.once(OWNER, key, b"", large)
    await ledger.once(other, "a", b"", small)
    assert (small.count, large.count) == (1, 3)
    await ledger.once(OWNER, "a", b"", large)
    assert large.count == 4
    await ledger.close()


async def test_the_newest_answer_is_kept_whatever_its_size() -> None:
    ledger, work = Ledger(bytes_max=250), Counter(bytes(1000))
    for key in ("a", "a", "b", "b", "a"):
        await ledger.once(OWNER, key, b"", work)
    assert work.count == 3
    await ledger.close()


async def test_failures_worth_a_second_try_are_forgotten_and_others_kept() -> None:
    ledger = Ledger()
    for error, runs in (
        (CardRemoved(), 2),
        (ConsentRefused(), 1),
        (CardGarbled(what="EF.DIR"), 2),
        (RuntimeError("inside"), 1),
    ):
        work = Counter(error)
        for _ in range(2):
            with pytest.raises(Exception, match=r"card\.removed|card\.garbled|consent\.refused|internal"):
                await ledger.once(OWNER, type(error).__name__, b"", work)
        assert work.count == runs
    await ledger.close()
