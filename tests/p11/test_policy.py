"""Which program may have which key do what, and for how long: asked once, remembered, revoked, refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.api.parts import ApiLimits
from cardd.config import P11, Config
from cardd.core.programs import ProgramRight
from cardd.errors import ProgramNotFound
from cardd.model import Choice
from cardd.p11.cryptoki import Mechanism, Rv
from tests.p11.client import Client, Failed, ulong
from tests.p11.handshakes import TLS_1_3, transcript
from tests.p11.inside import BROWSER, Inside
from tests.rig.waiting import eventually

OTHER = "/usr/bin/other"
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420") + bytes(32)


@pytest_asyncio.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    """A daemon's parts."""
    async with Inside(tmp_path) as made:
        yield made


async def refused(client: Client, data: bytes = b"data") -> Rv:
    """Why it does not sign."""
    with pytest.raises(Failed) as failed:
        await client.signed(data)
    return failed.value.rv


async def test_twelve_connections_cost_one_question_and_one_pin(inside: Inside) -> None:
    clients = [await inside.client() for _ in range(12)]

    signatures = await asyncio.gather(*(client.signed() for client in clients))

    assert len(set(signatures)) == 1
    assert inside.dialogs == ["program", "login"]


async def test_the_dialog_says_what_is_asked_and_of_which_server(inside: Inside) -> None:
    client = await inside.client()
    await client.signed(transcript("portail.example"))
    await client.signed(b"a mail")

    first, second = inside.person.questions
    assert first.params["program"] == BROWSER
    assert {"program_tls", "server"} <= first.params.keys()
    assert first.params["server"] == "portail.example"
    assert "program_data" in second.params
    rows = [(row.action, row.document) for row in inside.audit.entries if row.action.startswith("program.")]
    assert rows == [
        ("program.allow", None),
        ("program.tls", "portail.example CKM_SHA256_RSA_PKCS"),
        ("program.allow", None),
        ("program.data", "data CKM_SHA256_RSA_PKCS"),
    ]


async def test_what_is_no_name_of_a_server_is_not_shown_as_one(inside: Inside) -> None:
    client = await inside.client()
    await client.signed(transcript("dmp.example'. All is well; press Enter"))

    assert "server" not in inside.person.questions[0].params


async def test_a_handshake_and_a_bare_digest_need_the_same_right(inside: Inside) -> None:
    client = await inside.client()
    await client.signed(TLS_1_3)
    session = await client.session()
    await client.sign(session, await client.key(session), DIGEST_INFO, Mechanism.RSA_PKCS)

    assert inside.dialogs == ["program", "login"]
    assert [one.rights for one in inside.parts.programs.standings(inside.uid)] == [(ProgramRight.TLS,)]


async def test_each_program_is_asked_about_and_has_a_login_of_its_own(inside: Inside) -> None:
    await (await inside.client()).signed()
    await (await inside.client(OTHER)).signed()

    assert inside.dialogs == ["program", "program", "login", "login"]
    assert {one.caller.name for one in inside.parts.sessions.of(inside.uid)} == {BROWSER, OTHER}


async def test_a_program_that_is_remembered_is_known_to_the_next_daemon(inside: Inside, tmp_path: Path) -> None:
    inside.person.choice = Choice.ALWAYS
    await (await inside.client()).signed()
    (tmp_path / "next").mkdir()
    async with Inside(tmp_path / "next", store=inside.store) as after:
        await (await after.client()).signed()

        assert after.dialogs == ["login"]


@pytest.mark.parametrize("days", [0, 1])
async def test_only_this_once_ends_after_twelve_hours_though_the_time_of_day_is_set_back(
    inside: Inside, days: int
) -> None:
    client = await inside.client()
    await client.signed()
    inside.clock.began -= timedelta(days=days)
    inside.clock.seconds += timedelta(hours=13).total_seconds()
    await client.signed()

    assert inside.dialogs == ["program", "program", "login", "login"]


async def test_nothing_is_remembered_of_a_file_that_says_nothing(inside: Inside) -> None:
    inside.program_files.is_lasting = False
    await (await inside.client("/usr/bin/python3.11")).signed()

    [question] = inside.person.questions
    assert question.third is None
    assert "passing" in question.params  # whatever else runs by it


async def test_a_refusal_stands_for_a_minute_and_asks_for_no_pin(inside: Inside) -> None:
    inside.person.choices = [Choice.NO]
    client = await inside.client()

    assert [await refused(client) for _ in range(3)] == [Rv.FUNCTION_REJECTED] * 3
    assert inside.dialogs == ["program"]
    assert "program.refused" in {row.code for row in inside.audit.entries}
    inside.clock.seconds += 61
    assert await client.signed()


async def test_programs_that_nobody_let_in_cannot_wear_a_person_down(inside: Inside) -> None:
    inside.person.choice = Choice.NO
    for number in range(9):
        await refused(await inside.client(f"/tmp/program{number}"))

    assert len(inside.dialogs) == 3


async def test_nobody_types_a_pin_for_a_program_that_nobody_let_in(inside: Inside) -> None:
    """By whichever door: a key, or C_Login. Else ever new paths would show a PIN's dialog each."""
    inside.person.choice = Choice.NO
    for number in range(5):
        client = await inside.client(f"/tmp/program{number}")
        session = await client.session()
        with pytest.raises(Failed, match="FUNCTION_REJECTED"):
            await client.call("login", ulong(session, 1) + b"\x00\x00\x00\x00\x00")
        with pytest.raises(Failed, match="FUNCTION_REJECTED"):
            await client.signed(b"document", b"CPS_PRIV_SIG")

    assert inside.person.pin_questions == []
    assert len(inside.person.questions) == 3


async def test_a_program_that_is_shut_out_has_no_login_any_more(inside: Inside) -> None:
    inside.person.choice = Choice.ALWAYS
    client = await inside.client()
    await client.signed()
    inside.parts.programs.revoke(BROWSER, inside.uid)

    await eventually(lambda: inside.audit.entries[-1].action == "program.revoke")
    assert inside.audit.entries[-1].caller_name == BROWSER
    assert inside.parts.sessions.of(inside.uid) == []
    assert inside.parts.programs.standings(inside.uid) == []
    with pytest.raises(ProgramNotFound):
        inside.parts.programs.revoke(BROWSER, inside.uid)
    await client.signed()
    assert inside.dialogs == ["program", "program", "login", "login"]


async def test_another_users_program_of_the_same_file_is_another_one(inside: Inside) -> None:
    inside.person.choice = Choice.ALWAYS
    await (await inside.client()).signed()
    inside.uid += 1
    await (await inside.client()).signed()

    assert inside.dialogs == ["program", "program", "login", "login"]
    assert len(inside.parts.programs.standings(inside.uid)) == 1


async def test_no_program_uses_a_key_where_they_are_off(tmp_path: Path) -> None:
    """Code program.off."""
    async with Inside(tmp_path, settings=P11(programs="off")) as inside:
        client = await inside.client()

        assert await refused(client) is Rv.FUNCTION_REJECTED
        assert len(await client.find(await client.session())) == 6
        assert inside.dialogs == []


async def test_programs_that_a_reload_turns_off_have_no_login_any_more(inside: Inside) -> None:
    client = await inside.client()
    await client.signed()
    inside.parts.lifecycle.reconfigured(Config(p11=P11(programs="off")))

    assert inside.parts.sessions.of(inside.uid) == []
    assert await refused(client) is Rv.FUNCTION_REJECTED


async def test_the_signature_key_asks_each_time_and_shows_the_digest(inside: Inside) -> None:
    client = await inside.client()
    for _ in range(2):
        await client.signed(b"document", b"CPS_PRIV_SIG")

    assert inside.person.topics() == ["program", "sign", "sign"]
    assert "program_sign" in inside.person.questions[0].params
    assert "unseen" in inside.person.questions[1].params
    signed = next(row for row in inside.audit.entries if row.action == "signature.raw")
    assert (signed.caller_name, signed.document) == (BROWSER, "PKCS#11 CKM_SHA256_RSA_PKCS")
    assert inside.person.questions[1].params["client"] == BROWSER
    inside.person.choice = Choice.NO
    with pytest.raises(Failed, match="FUNCTION_REJECTED"):
        await client.signed(b"document", b"CPS_PRIV_SIG")


async def test_a_user_whose_the_readers_are_not_sees_no_slot(tmp_path: Path) -> None:
    async with Inside(tmp_path, owners=(), tells_who_sits_here=True, uid=4711) as inside:
        client = await inside.client()

        assert await client.slots() == []
        with pytest.raises(Failed, match="SLOT_ID_INVALID"):
            await client.session()


async def test_a_program_that_is_shut_out_while_its_pin_is_asked_for_signs_nothing(inside: Inside) -> None:
    inside.person.choice = Choice.ALWAYS
    client = await inside.client()
    await client.signed()
    inside.parts.sessions.close_where(lambda _: True, "logout")
    inside.person.attentive.clear()
    signing = asyncio.ensure_future(client.signed())
    await eventually(lambda: inside.person.open == ["login"])
    inside.parts.programs.revoke(BROWSER, inside.uid)

    with pytest.raises(Failed, match="FUNCTION_REJECTED"):
        await signing
    assert inside.person.open == []
    assert inside.parts.sessions.of(inside.uid) == []


async def test_each_process_of_an_unknown_file_is_asked_about(inside: Inside) -> None:
    for process in (4, 4, 5):
        inside.pid = process
        await (await inside.client("")).signed()

    assert inside.dialogs == ["program", "program", "login", "login"]
    assert inside.person.questions[0].params | {"program": "", "process": 4} == inside.person.questions[0].params
    assert [one.path for one in inside.parts.programs.standings(inside.uid)] == ["PID 4", "PID 5"]


async def test_a_process_that_has_the_number_of_an_unknown_one_is_asked_about(inside: Inside) -> None:
    """Numbers come again: some ten thousand processes later, or as soon as somebody wants it."""
    await (await inside.client("")).signed()
    inside.began += 1
    await (await inside.client("")).signed()

    assert inside.dialogs == ["program", "program", "login", "login"]
    inside.parts.programs.revoke(f"PID {inside.pid}", inside.uid)
    assert inside.parts.programs.standings(inside.uid) == []


async def test_a_path_of_any_bytes_is_a_program(inside: Inside) -> None:
    odd = "/tmp/a b\udce9\n\u202e"
    inside.person.choice = Choice.ALWAYS
    await (await inside.client(odd)).signed()

    [known] = inside.parts.programs.standings(inside.uid)
    assert known.path.isprintable()
    inside.parts.programs.revoke(known.path, inside.uid)
    assert inside.parts.sessions.of(inside.uid) == []


async def test_who_leaves_the_machine_reads_no_object_any_more(tmp_path: Path) -> None:
    async with Inside(tmp_path, owners=(), tells_who_sits_here=True, uid=4711) as inside:
        inside.parts.readers.owners.seated(frozenset({4711}))
        client = await inside.client()
        session = await client.session()
        await client.signed()
        inside.parts.readers.owners.seated(frozenset())

        assert inside.parts.sessions.of(4711) == []
        with pytest.raises(Failed, match="TOKEN_NOT_PRESENT"):
            await client.find(session)
        with pytest.raises(Failed, match="SLOT_ID_INVALID"):
            await client.call("get_token_info", ulong(1))


async def test_descriptors_are_kept_for_whose_the_readers_are(tmp_path: Path) -> None:
    os.close(free := os.open("/dev/null", os.O_RDONLY))
    limits = ApiLimits(descriptors=2 * (free + 20))
    async with Inside(tmp_path, limits=limits, owners=("4711",), uid=4711) as inside:
        owner = await inside.client()
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        try:
            inside.uid = 4712
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await inside.client()
        finally:
            for each in held:
                os.close(each)
        assert await owner.slots()
