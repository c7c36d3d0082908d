"""Rule 8 beyond one session and one daemon: under one Idempotency-Key the card signs once, and says what it signed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cardd.config import Card, Config, Timestamp
from cardd.errors import TimestampUnavailable
from cardd.system.outgoing import TimestampHttp
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.store import Issued
from tests.api.documents import handed_over, inline
from tests.api.test_assertions import VIHF
from tests.api.workbench import PAGE, PIN, Got, Json, Workbench
from tests.rig.memory import RunningClock
from tests.rig.pdf import pdf
from tests.rig.pens import SmallAuthority
from tests.rig.simulator import issue, simulated_card
from tests.rig.tsa import OpensslTsa, TsaServer
from tests.rig.waiting import eventually

ITEM: Json = {
    "document_name": "Ordonnance",
    "digest": base64.b64encode(hashlib.sha256(b"ordonnance SIMULATION").digest()).decode(),
}
PERFORM_SECURITY_OPERATION = 0x2A
KEY = {"Idempotency-Key": "3f2a-1"}
XML = base64.b64encode(b"<dose>1</dose>").decode()
EVERY: dict[str, Json] = {
    "raw": ITEM,
    "jws": inline(format="jws"),
    "cades": inline(format="cades", detached=True),
    "xades enveloped": {**inline(format="xades"), "document": XML},
    "xades enveloping": inline(format="xades", xades={"packaging": "enveloping"}),
    "xades detached": inline(format="xades", xades={"packaging": "detached"}),
    "pades": {**inline(format="pades"), "document": base64.b64encode(pdf()).decode()},
    "pades visible": {
        **inline(format="pades", pades={"visible": {"rectangle": [40, 40, 260, 120]}, "reason": "Compte rendu"}),
        "document": base64.b64encode(pdf()).decode(),
    },
    "submission_set": {
        "document_name": "Lot de soumission",
        "format": "submission_set",
        "submission_set": {"unique_id": "2.25.1", "documents": [{"unique_id": "2.25.2", "document": XML}]},
    },
    "batch": {"batch": {"name": "Ordonnances", "count": 2}, "signatures": [ITEM, inline(format="jws")]},
}
Started = Callable[[Workbench], Awaitable[Workbench]]


def signed(api: Workbench) -> int:
    return sum(act.startswith("signature.") and act.endswith(" done") for act in api.audit.acts())


async def ask(api: Workbench, path: str, token: str, body: Json = ITEM, *, to: str = "signatures") -> Got:
    return await api.call("POST", f"{path}/{to}", body, bearer=token, headers=KEY)


async def reinserted(api: Workbench, secret: str) -> tuple[str, str]:
    """The card was taken out, which ended its sessions, and is back; the person has logged in again."""
    api.reader.remove()
    await eventually(lambda: not api.sessions.of(api.uid or 0))
    api.reader.insert(simulated_card())
    await eventually(lambda: bool(api.readers.cards()))
    api.person.pins = [PIN]
    return await api.login(secret)


def again(api: Workbench, directory: Path, **more: object) -> Workbench:
    """The daemon after this one: the disk is the same."""
    directory.mkdir()
    return Workbench(directory, store=api.store, audit=api.audit, clock=api.clock, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", EVERY)
async def test_a_card_that_was_pulled_gives_the_same_signature_in_its_next_session(api: Workbench, form: str) -> None:
    secret = await api.pair()
    first = await ask(api, *await api.login(secret), EVERY[form])
    count = signed(api)
    second = await ask(api, *await reinserted(api, secret), EVERY[form])
    assert (second.status, second.raw) == (200, first.raw)
    assert signed(api) == count
    assert len([topic for topic in api.person.topics() if topic.startswith("sign")]) == 1


async def test_also_after_the_daemon_was_killed(api: Workbench, tmp_path: Path, started: Started) -> None:
    secret = await api.pair()
    first = await ask(api, *await api.login(secret))
    later = await started(again(api, tmp_path / "later"))
    second = await ask(later, *await later.login(secret))
    assert (second.status, second.raw) == (200, first.raw)
    assert signed(api) == 1
    assert later.person.topics() == []


async def test_a_document_that_was_handed_over_is_the_same_in_another_session(api: Workbench) -> None:
    secret = await api.pair()
    path, token = await api.login(secret)
    document: Json = {"document_name": "Compte rendu", "format": "jws"}
    given = await ask(api, path, token, {**document, "document_id": await handed_over(api, path, token)})
    path_before = f"{path}/documents/{given.text('document_id')}"
    first = await api.call("GET", path_before, bearer=token)
    path, token = await reinserted(api, secret)
    got = await ask(api, path, token, {**document, "document_id": await handed_over(api, path, token)})
    second = await api.call("GET", f"{path}/documents/{got.text('document_id')}", bearer=token)
    assert (second.status, second.raw) == (200, first.raw)
    assert signed(api) == 1


async def test_a_page_is_told_after_a_restart_that_the_result_is_lost(
    api: Workbench, tmp_path: Path, started: Started
) -> None:
    page = {"Origin": PAGE}
    opened = await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=page)
    path, token = opened.headers["Location"], opened.text("token")
    first = await api.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=page | KEY)
    assert first.status == 200
    later = await started(again(api, tmp_path / "later"))
    later.key = api.key  # the browser is the same one
    opened = await later.call("POST", "/v1/sessions", {"method": "cpx"}, headers=page)
    path, token = opened.headers["Location"], opened.text("token")
    second = await later.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=page | KEY)
    assert (second.status, second.code) == (409, "signature.lost")
    assert "ligne 2 du journal" in second.text("detail")
    assert signed(api) == 1
    other = await later.call("POST", f"{path}/signatures", ITEM, bearer=token, headers=page | {"Idempotency-Key": "2"})
    assert other.status == 200


async def test_an_assertion_is_not_issued_again_in_another_session(api: Workbench) -> None:
    secret = await api.pair()
    path, token = await api.login(secret)
    assert (await api.call("POST", f"{path}/situation", {"id": "1"}, bearer=token)).status == 200
    first = await ask(api, path, token, VIHF, to="assertions")
    assert first.status == 200
    assert (await ask(api, path, token, VIHF, to="assertions")).raw == first.raw
    path, token = await reinserted(api, secret)
    assert (await api.call("POST", f"{path}/situation", {"id": "1"}, bearer=token)).status == 200
    assert (await ask(api, path, token, VIHF, to="assertions")).code == "signature.lost"
    assert api.audit.acts().count("assertion.vihf done") == 1


async def test_another_holder_another_body_and_another_program_get_nothing_of_it(api: Workbench) -> None:
    secret = await api.pair()
    path, token = await api.login(secret)
    first = await ask(api, path, token)
    api.reader.remove()
    api.reader.insert(simulated_card("infirmier"))
    await eventually(lambda: bool(api.readers.cards()))
    api.person.pins = [PIN]
    other = await ask(api, *await api.login(secret))
    assert (other.status, other.code) == (422, "request.idempotency_key_reused")
    path, token = await reinserted(api, secret)
    changed = await ask(api, path, token, {**ITEM, "patient": "SIMULATION"})
    assert changed.code == "request.idempotency_key_reused"
    api.person.pins = [PIN]
    elsewhere = await ask(api, *await api.logged_in())
    assert elsewhere.status == 200
    assert signed(api) == 2
    assert first.status == 200


async def test_two_sessions_of_one_program_at_once_have_one_signature(api: Workbench) -> None:
    api.person.pins = [PIN, PIN]
    secret = await api.pair()
    (path, token), (other_path, other_token) = [await api.login(secret) for _ in range(2)]
    api.person.attentive.clear()
    api.person.is_asked.clear()
    asking = [
        asyncio.ensure_future(
            api.call("POST", f"{at}/signatures", ITEM, bearer=by, headers=KEY, via=via)  # type: ignore[arg-type]
        )
        for at, by, via in ((path, token, "v4"), (other_path, other_token, "unix"), (path, token, "unix"))
    ]
    await api.person.is_asked.wait()
    api.person.attentive.set()
    answers = await asyncio.gather(*asking)
    assert {(got.status, got.raw) for got in answers} == {(200, answers[0].raw)}
    assert signed(api) == 1
    assert api.person.topics().count("sign") == 1


# --- a slow disk


async def slow(started: Started, directory: Path) -> tuple[Workbench, str, str]:
    """A card that has a second for each operation, whose disk does not take what is written any more."""
    api = await started(Workbench(directory, Config(card=Card(timeout=1))))
    path, token = await api.logged_in()
    api.audit.disk.clear()
    return api, path, token


async def test_a_signature_that_a_slow_disk_takes_late_is_given_late(tmp_path: Path, started: Started) -> None:
    api, path, token = await slow(started, tmp_path)
    asking = asyncio.ensure_future(api.call("POST", f"{path}/signatures", ITEM, bearer=token))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asking), 1.5)  # the card's time is over
    api.audit.disk.set()
    assert (await asking).status == 200
    assert [act for act in api.audit.acts() if act.startswith("signature")] == ["signature.raw done"]


async def test_a_disk_that_does_not_take_it_is_told_as_such_and_the_card_signs_no_second_time(
    tmp_path: Path, started: Started
) -> None:
    api, path, token = await slow(started, tmp_path)
    asked = await ask(api, path, token)
    assert (asked.status, asked.code, asked.json["retryable"]) == (503, "audit.slow", True)
    api.audit.disk.set()
    again = await ask(api, path, token)
    assert again.status == 200
    assert [act for act in api.audit.acts() if act.startswith("signature")] == ["signature.raw done"]
    assert api.person.topics().count("sign") == 1


async def test_who_waits_for_the_same_card_is_told_of_the_disk_and_not_of_the_card(
    tmp_path: Path, started: Started
) -> None:
    api, path, token = await slow(started, tmp_path)
    first = asyncio.ensure_future(ask(api, path, token))
    await eventually(lambda: bool(api.parts.signing.recordings.writing))
    other = await api.call("POST", f"{path}/signatures", {**ITEM, "document_name": "Bilan"}, bearer=token)
    assert other.code == "audit.slow"
    await first
    api.audit.disk.set()
    assert (await ask(api, path, token)).status == 200
    assert signed(api) == 1


async def late(started: Started, directory: Path) -> tuple[Workbench, LateCard, str, str]:
    """Log in with a card that has not signed in time, and still signs."""
    api = await started(Workbench(directory, Config(card=Card(timeout=1))))
    card = LateCard(issue("medecin", len(PIN)), pin=PIN.encode())
    api.reader.remove()
    api.reader.insert(card)
    path, token = await api.logged_in()
    card.goes_on.clear()
    assert (await ask(api, path, token)).code == "card.timeout"
    return api, card, path, token


async def test_a_card_that_signs_after_its_time_has_signed_for_the_retry(tmp_path: Path, started: Started) -> None:
    api, card, path, token = await late(started, tmp_path)
    card.goes_on.set()
    await eventually(lambda: signed(api) == 1)
    assert (await ask(api, path, token)).status == 200
    assert signed(api) == 1


async def test_a_retry_that_began_before_the_card_had_signed_gives_what_it_signed(
    tmp_path: Path, started: Started
) -> None:
    api, card, path, token = await late(started, tmp_path)
    api.person.attentive.clear()
    api.person.is_asked.clear()
    retry = asyncio.ensure_future(ask(api, path, token))
    await api.person.is_asked.wait()  # nothing was known of the first attempt as this one began
    card.goes_on.set()
    await eventually(lambda: signed(api) == 1)
    api.person.attentive.set()
    got = await retry
    assert got.status == 200, got.raw
    assert signed(api) == 1
    assert (await ask(api, path, token)).raw == got.raw


class LateCard(SimulatedCard):
    """Takes its time over a signature while ``goes_on`` is cleared."""

    def __init__(self, issued: Issued, *, pin: bytes) -> None:
        super().__init__(issued, pin=pin)
        self.goes_on = threading.Event()
        self.goes_on.set()

    def process(self, apdu: bytes) -> bytes:
        if apdu[1] == PERFORM_SECURITY_OPERATION:
            self.goes_on.wait(10)
        return super().process(apdu)


async def test_a_timestamp_that_fails_costs_no_second_signature(tmp_path: Path, started: Started) -> None:
    (tmp_path / "tsa").mkdir()
    tsa = OpensslTsa(tmp_path / "tsa", SmallAuthority("AC HORODATAGE SIMULATION"))
    async with TsaServer(tsa) as server:
        config = Config(timestamp=Timestamp(authorities=tsa.directory / "authority.pem"))
        http = Unsteady(server.url)
        api = await started(Workbench(tmp_path, config, timestamps=http, clock=RunningClock()))
        path, token = await api.logged_in()
        wanted = inline(format="cades", timestamp=True)
        assert (await ask(api, path, token, wanted)).code == "timestamp.unavailable"
        http.is_away = False
        assert (await ask(api, path, token, wanted)).status == 200
        await http.close()
    assert signed(api) == 1
    assert api.person.topics().count("sign") == 1


class Unsteady(TimestampHttp):
    """The way to an authority that is away at first."""

    is_away = True

    async def exchange(self, request: bytes) -> bytes:
        if self.is_away:
            raise TimestampUnavailable(host="SIMULATION")
        return await super().exchange(request)


async def test_a_document_whose_time_is_over_is_asked_for_again_and_not_signed_again(api: Workbench) -> None:
    path, token = await api.logged_in()
    document: Json = {"document_name": "Compte rendu", "format": "cades"}
    identifier = await handed_over(api, path, token)
    assert (await ask(api, path, token, {**document, "document_id": identifier})).status == 200
    other = {**document, "document_id": "0123456789abcdef"}
    gone = await api.call("POST", f"{path}/signatures", other, bearer=token, headers={"Idempotency-Key": "other"})
    assert (gone.status, gone.code) == (404, "document.unknown")
    assert signed(api) == 1
