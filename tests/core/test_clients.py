"""Which programs are paired, what their secrets open, and how they are kept out, without a connection."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from cardd.config import Prompt
from cardd.core.clients import PSC_TOKEN, SESSIONS, UNHEARD, Clients, Paired, Pairing, PairingRequest
from cardd.core.register import Register
from cardd.errors import (
    CallerLeft,
    CarddError,
    ClientLocked,
    ClientNotFound,
    ClientUnknown,
    ConsentTimeout,
    PairingNotFound,
    PairingRefused,
    PermissionMissing,
    RefusedTooOften,
    StateUnavailable,
    TooManyRequests,
)
from cardd.model import Caller, CallerKind, Choice, Peer
from cardd.secret import fingerprint, proof, seal
from tests.core.alone import UNLIMITED, Alone
from tests.rig.waiting import eventually

LPS = PairingRequest("LPS SIMULATION", "Éditeur SIMULATION", "lps-1", (PSC_TOKEN,))
ME, OTHER = Peer(1000, 4711, "/opt/lps"), Peer(1001, 4712, "/opt/lps")


class Pairings(Alone):
    """The programs, and a person who accepts them."""

    def __init__(self, rules: Prompt = UNLIMITED) -> None:
        super().__init__(rules)
        self.clients = self.daemon()

    def daemon(self) -> Clients:
        """Return the programs as the next daemon knows them."""
        return Clients(Register(self.store), self.dialogs, self.clock, self.lifecycle)

    async def paired(self, request: PairingRequest = LPS, peer: Peer = ME) -> Paired:
        return await self.clients.pair(request, peer).answer

    def begun(self, peer: Peer = ME, *, polls: bool = False) -> Pairing:
        """Begin a pairing whose dialog stays open."""
        self.person.attentive.clear()
        return self.clients.pair(LPS, peer, polls=polls)

    def full_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def save(_name: str, _text: str) -> None:
            raise StateUnavailable(file="clients", why="disk")

        monkeypatch.setattr(self.store, "save", save)


@pytest.fixture
async def pairings() -> Pairings:
    return Pairings()


def kept_out(pairings: Pairings, secret: str, peer: Peer = ME) -> type[CarddError]:
    """Return why the secret opens nothing."""
    with pytest.raises(CarddError) as told:
        pairings.clients.program(secret, peer)
    return type(told.value)


async def test_the_secret_of_a_paired_program_names_it_to_its_own_user_and_the_next_daemon(pairings: Pairings) -> None:
    paired = await pairings.paired()
    for clients in (pairings.clients, pairings.daemon()):
        caller = clients.program(paired.client_secret, ME)
        assert (caller.kind.value, caller.id, caller.name) == ("program", paired.client_id, "LPS SIMULATION")
        assert (caller.origin, caller.peer) == (f"urn:cardd:client:{paired.client_id}", ME)
        assert caller.seal == seal(paired.client_secret)
        with pytest.raises(ClientUnknown):
            clients.program(paired.client_secret, OTHER)
    assert kept_out(pairings, paired.client_secret[:-1]) is ClientUnknown
    assert kept_out(pairings, paired.client_id) is ClientUnknown
    assert pairings.heard.taken() == [f"in 1000 {paired.client_id} client.pair dialog"]


async def test_no_secret_is_kept_and_none_comes_twice(pairings: Pairings) -> None:
    secrets = [(await pairings.paired()).client_secret for _ in range(3)]
    assert len(set(secrets)) == 3
    kept = pairings.store.documents["clients"]
    assert all(secret not in kept and secret.partition(".")[2] not in kept for secret in secrets)
    assert all(fingerprint(secret) in kept for secret in secrets)
    assert all(len(secret.partition(".")[2]) >= 43 for secret in secrets)  # 256 bits in base64


async def test_what_is_kept_of_a_program_is_what_it_said_of_itself(pairings: Pairings) -> None:
    paired = await pairings.paired()
    [kept] = pairings.daemon().programs(1000)
    assert (kept.id, kept.name, kept.vendor, kept.software_id) == (paired.client_id, LPS.name, LPS.vendor, "lps-1")
    assert (kept.uid, kept.permissions, kept.is_locked) == (1000, (PSC_TOKEN,), False)
    assert kept.paired_at == pairings.clock.now().isoformat(timespec="seconds")
    assert pairings.clients.programs(1001) == []
    assert pairings.clients.owners(paired.client_id) == [1000]
    assert pairings.clients.owners("nobody") == []


async def test_the_dialog_shows_what_asks_the_file_that_runs_and_the_code_of_the_program(pairings: Pairings) -> None:
    pairing = pairings.clients.pair(LPS, ME)
    await pairing.answer
    [question] = pairings.person.questions
    assert (question.topic, question.uid, question.caller) == ("pair", 1000, None)
    assert question.params == {
        "name": "LPS SIMULATION",
        "vendor": "Éditeur SIMULATION",
        "software_id": "lps-1",
        "program": "/opt/lps",
        "code": pairing.code,
        PSC_TOKEN: "",
    }
    assert re.fullmatch(r"[0-9]{6}", pairing.code)
    assert (pairing.expires_at - pairings.clock.now()).total_seconds() == question.timeout


async def test_codes_differ_from_one_pairing_to_the_next(pairings: Pairings) -> None:
    codes, names = [], []
    for _ in range(4):
        pairing = pairings.clients.pair(LPS, ME)
        codes.append(pairing.code)
        names.append(pairing.id)
        await pairing.answer
    assert len(set(codes)) > 1
    assert len(set(names)) == 4


async def test_a_program_whose_file_nobody_can_tell_is_shown_without_one(pairings: Pairings) -> None:
    await pairings.paired(peer=Peer(1000))
    assert pairings.person.questions[0].params["program"] == ""


@pytest.mark.parametrize(
    ("name", "is_namesake"),
    [
        ("LPS SIMULATION", True),
        ("lps simulation", True),
        ("ＬＰＳ  Sîmulation!", True),
        ("LPS SIMULATION 2", False),
        ("LPS", False),
    ],
)
async def test_a_program_that_looks_like_a_paired_one_is_told_to_be_another(
    pairings: Pairings, name: str, is_namesake: bool
) -> None:
    await pairings.paired()
    for peer in (ME, OTHER):
        await pairings.paired(PairingRequest(name, "", ""), peer)
    told = [question.params.get("namesake") for question in pairings.person.questions]
    assert told == [None, "" if is_namesake else None, None]


async def test_one_pairing_is_under_way_for_a_user(pairings: Pairings) -> None:
    first = pairings.begun()
    with pytest.raises(TooManyRequests) as refused:
        pairings.begun()
    assert refused.value.params == {"retry_after": 5}
    other = pairings.begun(OTHER)
    pairings.person.attentive.set()
    await asyncio.gather(first.answer, other.answer)
    await pairings.paired()


@pytest.mark.parametrize("how", ["no", "no answer"])
async def test_a_program_that_a_person_does_not_accept_has_nothing(pairings: Pairings, how: str) -> None:
    if how == "no":
        pairings.person.choice = Choice.NO
    else:
        pairings.person.fault = ConsentTimeout()
    with pytest.raises(PairingRefused if how == "no" else ConsentTimeout):
        await pairings.paired()
    assert pairings.clients.programs(1000) == []
    code = {"no": PairingRefused.code, "no answer": ConsentTimeout.code}[how]
    assert pairings.heard.taken() == [f"refused 1000 local:1000 client.pair {code}"]


async def test_who_was_refused_several_times_is_told_before_there_is_a_pairing() -> None:
    pairings = Pairings(Prompt(refusals=2))
    pairings.person.choice = Choice.NO
    for _ in range(2):
        with pytest.raises(PairingRefused):
            await pairings.paired()
    with pytest.raises(RefusedTooOften):
        pairings.clients.pair(LPS, ME)


async def test_a_pairing_is_its_users(pairings: Pairings) -> None:
    pairing = pairings.begun()
    assert pairings.clients.pairing(pairing.id, ME) is pairing
    for identifier, peer in ((pairing.id, OTHER), ("nobody", ME)):
        with pytest.raises(PairingNotFound):
            pairings.clients.pairing(identifier, peer)
    await pairings.clients.stop()
    assert pairing.answer.cancelled()


async def test_a_program_that_does_not_come_back_has_its_dialog_closed(pairings: Pairings) -> None:
    pairings.clients.unheard = 0.05
    pairing = pairings.begun(polls=True)
    with pytest.raises(CallerLeft):
        await pairing.answer
    assert pairings.person.open == []
    waits = pairings.begun()  # by an open connection
    await asyncio.sleep(0.06)
    assert pairings.person.open == ["pair"]
    pairings.person.attentive.set()
    await waits.answer


async def test_a_program_that_comes_back_keeps_its_dialog_open(pairings: Pairings) -> None:
    pairings.clients.unheard = 0.4
    pairing, began = pairings.begun(polls=True), time.monotonic()
    while time.monotonic() < began + 0.6:
        await asyncio.sleep(0.01)
        assert not pairings.clients.pairing(pairing.id, ME).is_collected
    pairings.clients.unheard = 0.01
    pairings.person.attentive.set()
    paired = await pairing.answer
    assert pairings.clients.pairing(pairing.id, ME).is_collected
    await asyncio.sleep(0.03)
    pairings.clients.program(paired.client_secret, ME)


async def test_a_program_that_never_fetches_its_secret_is_unpaired(pairings: Pairings) -> None:
    pairings.clients.unheard = 0.05
    pairing = pairings.clients.pair(LPS, ME, polls=True)
    paired = await pairing.answer
    pairings.clients.program(paired.client_secret, ME)
    await eventually(lambda: pairings.clients.programs(1000) == [])
    assert pairings.heard.taken()[1:] == [f"out 1000 {paired.client_id} client_removed LPS SIMULATION"]
    with pytest.raises(PairingNotFound):
        pairings.clients.pairing(pairing.id, ME)


async def test_a_program_that_waited_for_its_secret_stays_paired(pairings: Pairings) -> None:
    pairings.clients.unheard = 0.02
    paired = await pairings.paired()
    pairings.person.choice = Choice.NO
    refused = pairings.clients.pair(LPS, ME, polls=True)
    with pytest.raises(PairingRefused):
        await refused.answer
    await asyncio.sleep(0.05)
    pairings.clients.program(paired.client_secret, ME)
    assert pairings.clients.pairing(refused.id, ME).is_collected  # and its refusal is told


@pytest.mark.parametrize("is_full", [False, True], ids=["written down", "disk full"])
async def test_a_program_that_is_unpaired_is_out_at_once(
    pairings: Pairings, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    paired, stays = await pairings.paired(), await pairings.paired()
    pairings.heard.taken()
    if is_full:
        pairings.full_disk(monkeypatch)
        with pytest.raises(StateUnavailable):
            pairings.clients.remove(paired.client_id, 1000)
    else:
        pairings.clients.remove(paired.client_id, 1000)
    assert pairings.heard.taken() == [f"out 1000 {paired.client_id} client_removed LPS SIMULATION"]
    assert kept_out(pairings, paired.client_secret) is ClientUnknown
    pairings.clients.program(stays.client_secret, ME)
    assert [one.id for one in pairings.daemon().programs(1000)] == [paired.client_id] * is_full + [stays.client_id]
    with pytest.raises(ClientNotFound):
        pairings.clients.remove(paired.client_id, 1000)


@pytest.mark.parametrize("is_full", [False, True], ids=["written down", "disk full"])
async def test_a_program_that_is_locked_is_out_at_once_and_stays_paired(
    pairings: Pairings, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    paired, stays = await pairings.paired(), await pairings.paired()
    pairings.heard.taken()
    if is_full:
        pairings.full_disk(monkeypatch)
        with pytest.raises(StateUnavailable):
            pairings.clients.lock(paired.client_id, 1000, locked=True)
    else:
        pairings.clients.lock(paired.client_id, 1000, locked=True)
    assert pairings.heard.taken() == [f"out 1000 {paired.client_id} client_locked LPS SIMULATION"]
    assert kept_out(pairings, paired.client_secret) is ClientLocked
    assert kept_out(pairings, paired.client_secret, OTHER) is ClientUnknown
    pairings.clients.program(stays.client_secret, ME)
    assert pairings.daemon().paired(paired.client_id, 1000).is_locked is not is_full


async def test_a_program_that_is_unlocked_is_let_in_again_once_that_is_written_down(
    pairings: Pairings, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired = await pairings.paired()
    pairings.clients.lock(paired.client_id, 1000, locked=True)
    pairings.heard.taken()
    with monkeypatch.context() as full:
        pairings.full_disk(full)
        with pytest.raises(StateUnavailable):
            pairings.clients.lock(paired.client_id, 1000, locked=False)
    assert kept_out(pairings, paired.client_secret) is ClientLocked
    assert pairings.heard.taken() == []
    pairings.clients.lock(paired.client_id, 1000, locked=False)
    assert pairings.heard.taken() == [f"in 1000 {paired.client_id} client.unlock None"]
    pairings.clients.program(paired.client_secret, ME)
    assert not pairings.daemon().paired(paired.client_id, 1000).is_locked


async def test_another_users_program_is_not_found_whatever_is_done_to_it(pairings: Pairings) -> None:
    paired = await pairings.paired()
    pairings.heard.taken()
    for identifier, uid in ((paired.client_id, 1001), ("https://webps.example", 1000)):
        with pytest.raises(ClientNotFound):
            pairings.clients.remove(identifier, uid)
        for locked in (True, False):
            with pytest.raises(ClientNotFound):
                pairings.clients.lock(identifier, uid, locked=locked)
        with pytest.raises(ClientNotFound):
            pairings.clients.paired(identifier, uid)
    assert pairings.heard.taken() == []
    pairings.clients.program(paired.client_secret, ME)


async def test_a_full_disk_pairs_nobody(pairings: Pairings, monkeypatch: pytest.MonkeyPatch) -> None:
    pairings.full_disk(monkeypatch)
    with pytest.raises(StateUnavailable):
        await pairings.paired()
    assert pairings.clients.programs(1000) == []
    assert pairings.heard.taken() == []


async def test_a_program_may_do_what_its_pairing_was_approved_for_and_no_more(pairings: Pairings) -> None:
    with_token, plain = await pairings.paired(), await pairings.paired(PairingRequest("Autre", "", ""))
    caller = pairings.clients.program(with_token.client_secret, ME)
    other = pairings.clients.program(plain.client_secret, ME)
    pairings.clients.check_permission(caller, PSC_TOKEN)
    assert pairings.clients.is_permitted(caller, PSC_TOKEN)
    for one, permission in ((caller, SESSIONS), (other, PSC_TOKEN)):
        with pytest.raises(PermissionMissing) as missing:
            pairings.clients.check_permission(one, permission)
        assert missing.value.params == {"permission": permission}
    pairings.clients.remove(with_token.client_id, 1000)
    assert not pairings.clients.is_permitted(caller, PSC_TOKEN)


async def test_the_daemon_proves_itself_to_programs_of_the_user_who_asks(pairings: Pairings) -> None:
    one, two = await pairings.paired(), await pairings.paired()
    shown = pairings.clients.prove(two.client_id, "challenge", "127.0.0.1:17463", ME)
    assert shown == proof(fingerprint(two.client_secret), "challenge", "127.0.0.1:17463")
    assert shown != pairings.clients.prove(one.client_id, "challenge", "127.0.0.1:17463", ME)
    for client, peer in ((one.client_id, OTHER), ("nobody", ME)):
        with pytest.raises(ClientUnknown):
            pairings.clients.prove(client, "challenge", "127.0.0.1:17463", peer)


async def test_a_program_that_polls_and_is_unpaired_before_it_comes_back_leaves_no_fault(pairings: Pairings) -> None:
    assert pairings.clients.unheard == UNHEARD
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    pairings.clients.unheard = 0.02
    pairing = pairings.clients.pair(LPS, ME, polls=True)
    pairings.clients.remove((await pairing.answer).client_id, 1000)
    await asyncio.sleep(0.04)  # what is due sooner comes first, however late both come
    assert faults == []
    with pytest.raises(PairingNotFound):
        pairings.clients.pairing(pairing.id, ME)


async def test_who_is_refused_a_pairing_is_told_by_the_name_that_it_gave(
    pairings: Pairings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Caller] = []
    monkeypatch.setattr(pairings.heard, "client_refused", lambda client, _act, _error: refused.append(client))
    pairings.person.choice = Choice.NO
    with pytest.raises(PairingRefused):
        await pairings.paired()
    [caller] = refused
    assert (caller.kind, caller.name, caller.origin) == (CallerKind.PROGRAM, "LPS SIMULATION", "")
