"""Calls out of order, arguments that make no sense, and bytes that no client sends."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from cardd.p11.cryptoki import Mechanism, ObjectClass, Rv
from cardd_simulators.cards.behaviour import USUAL
from cardd_simulators.cards.card import SimulatedCard
from tests.p11.client import HANDSHAKE, Client, Failed, mechanism, octets, room, ulong
from tests.p11.inside import Inside, soon
from tests.rig.simulator import PIN, PUK, issue
from tests.rig.waiting import eventually

BEGIN = octets(HANDSHAKE) + b"\x00" + octets(b"\x00")
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420")


@pytest_asyncio.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    """A daemon's parts."""
    async with Inside(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def client(inside: Inside) -> Client:
    """A program that has begun."""
    return await inside.client()


async def fails(client: Client, name: str, body: bytes = b"") -> Rv:
    """Why a call fails."""
    with pytest.raises(Failed) as failed:
        await client.call(name, body)
    return failed.value.rv


async def test_nothing_is_answered_before_the_beginning_and_after_the_end(inside: Inside) -> None:
    client = await inside.client(begins=False)
    arguments = {"get_info": b"", "get_slot_list": b"\x00" + room(0), "open_session": ulong(1, 4), "finalize": b""}

    async def answers() -> set[Rv]:
        return {await fails(client, name, body) for name, body in arguments.items()}

    assert await answers() == {Rv.CRYPTOKI_NOT_INITIALIZED}
    await client.call("initialize", BEGIN)
    assert await fails(client, "initialize", BEGIN) is Rv.CRYPTOKI_ALREADY_INITIALIZED
    session = await client.session()
    await client.call("finalize")
    assert await answers() == {Rv.CRYPTOKI_NOT_INITIALIZED}
    await client.call("initialize", BEGIN)
    assert await fails(client, "get_session_info", ulong(session)) is Rv.SESSION_HANDLE_INVALID


async def test_another_greeting_is_refused(inside: Inside) -> None:
    client = await inside.client(begins=False)

    assert await fails(client, "initialize", octets(b"PRIVATE-X") + b"\x00" + octets(b"")) is Rv.GENERAL_ERROR
    assert await fails(client, "initialize", octets(None) + b"\x00" + octets(None)) is Rv.GENERAL_ERROR


async def test_arguments_that_name_nothing_are_told_apart(client: Client) -> None:
    session = await client.session()
    key = await client.key(session)
    certificate = (await client.find(session, CLASS=ObjectClass.CERTIFICATE))[0]
    by, sign = mechanism(Mechanism.SHA256_RSA_PKCS), "sign_init"

    assert {
        await fails(client, "get_slot_info", ulong(99)): Rv.SLOT_ID_INVALID,
        await fails(client, "get_token_info", ulong(2)): Rv.TOKEN_NOT_PRESENT,
        await fails(client, "get_mechanism_info", ulong(1, 0xBEEF)): Rv.MECHANISM_INVALID,
        await fails(client, "open_session", ulong(1, 0)): Rv.SESSION_PARALLEL_NOT_SUPPORTED,
        await fails(client, "close_session", ulong(999)): Rv.SESSION_HANDLE_INVALID,
        await fails(client, "find_objects", ulong(session) + room(9)): Rv.OPERATION_NOT_INITIALIZED,
        await fails(client, "get_attribute_value", ulong(session, 77) + room(0)): Rv.OBJECT_HANDLE_INVALID,
        await fails(client, sign, ulong(session) + by + ulong(certificate)): Rv.KEY_HANDLE_INVALID,
        await fails(client, sign, ulong(session) + mechanism(0xD, 0x250, 2, 32) + ulong(key)): Rv.KEY_TYPE_INCONSISTENT,
        await fails(client, "login", ulong(session, 0) + octets(b"1234")): Rv.USER_TYPE_INVALID,
        await fails(client, "create_object", ulong(session) + room(0)): Rv.TOKEN_WRITE_PROTECTED,
        await fails(client, "wait_for_slot_event", ulong(1)): Rv.NO_EVENT,
    } == {rv: rv for rv in (
        Rv.SLOT_ID_INVALID, Rv.TOKEN_NOT_PRESENT, Rv.MECHANISM_INVALID, Rv.SESSION_PARALLEL_NOT_SUPPORTED,
        Rv.SESSION_HANDLE_INVALID, Rv.OPERATION_NOT_INITIALIZED, Rv.OBJECT_HANDLE_INVALID, Rv.KEY_HANDLE_INVALID,
        Rv.KEY_TYPE_INCONSISTENT, Rv.USER_TYPE_INVALID, Rv.TOKEN_WRITE_PROTECTED,
        Rv.NO_EVENT,
    )}  # fmt: skip


async def test_a_pin_that_a_program_sends_is_not_used(client: Client, inside: Inside) -> None:
    session = await client.session()
    await client.call("login", ulong(session, 1) + octets(b"0000"))

    assert inside.dialogs == ["program", "login"]
    assert {entry.action for entry in inside.audit.entries} == {"program.allow", "session.open"}
    assert all(entry.request for entry in inside.audit.entries)  # each is of a call, as the journal's lines are


async def test_a_size_is_told_and_ends_no_signature(client: Client) -> None:
    session = await client.session()
    begin = ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(await client.key(session))
    await client.call("sign_init", begin)
    assert await fails(client, "sign_init", begin) is Rv.OPERATION_ACTIVE

    size = struct.pack(">BI", 0, 256)
    for short in (0, 255, 0xFFFFFFFF):
        assert await client.call("sign", ulong(session) + octets(b"data") + room(short)) == size
    assert len(await client.call("sign", ulong(session) + octets(b"data") + room(256))) == 5 + 256
    assert await fails(client, "sign", ulong(session) + octets(b"x") + room(256)) is Rv.OPERATION_NOT_INITIALIZED


async def test_data_in_parts_are_signed_as_the_whole(client: Client) -> None:
    session = await client.session()
    key = await client.key(session)
    whole = await client.sign(session, key, b"one two")
    await client.call("sign_init", ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key))
    for part in (b"one ", b"two"):
        await client.call("sign_update", ulong(session) + octets(part))

    assert (await client.call("sign_final", ulong(session) + room(256)))[5:] == whole


@pytest.mark.parametrize(
    "data",
    [b"", bytes(32), DIGEST_INFO, DIGEST_INFO + bytes(31), DIGEST_INFO + bytes(33), b"\x00\x01" + b"\xff" * 254],
    ids=["none", "bare", "cut", "short", "long", "padded"],
)
async def test_what_is_no_digest_is_not_signed_as_one(client: Client, inside: Inside, data: bytes) -> None:
    session = await client.session()
    key = await client.key(session)

    with pytest.raises(Failed, match="DATA_INVALID"):
        await client.sign(session, key, data, Mechanism.RSA_PKCS)
    assert inside.dialogs == []


async def test_null_data_are_refused_and_end_the_signature(client: Client) -> None:
    session = await client.session()
    await client.call("sign_init", ulong(session) + mechanism(Mechanism.RSA_PKCS) + ulong(await client.key(session)))

    assert await fails(client, "sign", ulong(session) + octets(None) + room(256)) is Rv.ARGUMENTS_BAD
    assert await fails(client, "sign", ulong(session) + octets(b"") + room(256)) is Rv.OPERATION_NOT_INITIALIZED


async def test_sessions_have_a_limit(client: Client) -> None:
    for _ in range(128):
        await client.session()

    assert await fails(client, "open_session", ulong(1, 4)) is Rv.SESSION_COUNT
    await client.call("close_all_sessions", ulong(1))
    assert await client.session()


async def test_secrets_of_a_key_are_sensitive(client: Client) -> None:
    session = await client.session()
    key = await client.key(session)
    values = await client.call("get_attribute_value", ulong(session, key) + struct.pack(">III", 1, 0x123, 512))

    assert struct.unpack(">IIBQ", values) == (1, 0x123, 0, Rv.ATTRIBUTE_SENSITIVE)


async def test_an_unknown_function_is_not_supported(client: Client) -> None:
    client.writer.write(struct.pack(">III", 0x10, 0, 8) + struct.pack(">II", 58, 0))

    with pytest.raises(Failed, match="FUNCTION_NOT_SUPPORTED"):
        await client.answer()
    assert await client.slots()


async def test_a_body_that_is_too_large_is_read_and_refused(client: Client) -> None:
    size = 3 * 1024 * 1024
    client.writer.write(struct.pack(">III", 0x10, 0, size) + bytes(size))

    with pytest.raises(Failed, match="HOST_MEMORY"):
        await client.answer()
    assert await client.slots()


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">III", 0, 0, 8) + bytes(8),
        struct.pack(">III", 16, 5000, 8),
        struct.pack(">III", 16, 0, 2**31),
        struct.pack(">III", 16, 0, 4) + bytes(4),
        struct.pack(">III", 16, 0, 8) + struct.pack(">II", 3, 9999),
        struct.pack(">III", 16, 0, 9) + struct.pack(">II", 3, 1) + b"u",
        struct.pack(">III", 16, 0, 9) + struct.pack(">II", 5, 1) + b"u",
        struct.pack(">III", 16, 0, 15) + struct.pack(">II", 26, 3) + b"uaA" + bytes(4),
    ],
    ids=["no tag", "options", "2 GiB", "cut head", "long signature", "other signature", "no value", "cut value"],
)
async def test_what_no_client_sends_ends_the_connection(client: Client, inside: Inside, sent: bytes) -> None:
    client.writer.write(sent)

    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()
    assert await (await inside.client()).slots()


async def test_a_login_that_is_cut_short_ends_the_connection_and_is_no_error_of_ours(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.send("login", ulong(await client.session()))

    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()
    assert caplog.records == []


async def test_nested_templates_end_the_connection(client: Client) -> None:
    session = await client.session()
    nested = struct.pack(">IIBII", 1, 0x40000211, 1, 24, 1) * 100
    client.send("find_objects_init", ulong(session) + nested)

    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()


async def test_more_attributes_than_anybody_asks_for_end_the_connection(client: Client) -> None:
    session = await client.session()
    client.send("get_attribute_value", ulong(session, 1) + struct.pack(">I", 2**32 - 1))

    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()


async def test_many_calls_at_once_are_all_answered_and_in_order_within_a_session(client: Client) -> None:
    session = await client.session()
    key = await client.key(session)
    tags = []
    for number in range(100):
        by = ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key)
        tags.append(client.send("sign_init", by))
        tags.append(client.send("sign", ulong(session) + octets(b"%d" % number) + room(256)))

    answered = [await client.answer() for _ in tags]

    assert [tag for tag, _ in answered] == tags
    assert len({values for _, values in answered[1::2]}) == 100


async def test_what_waits_keeps_its_order_where_many_programs_take_turns(inside: Inside) -> None:
    """Each turn of the loop has time for some of their calls, and a refusal comes between two of one session's."""
    clients = [await inside.client() for _ in range(16)]
    sessions = [await client.session() for client in clients]
    key = await clients[0].key(sessions[0])
    inside.person.attentive.clear()
    sent = []
    for client, session in zip(clients, sessions, strict=True):
        tags = [client.send("login", ulong(session, 1) + octets(None))]  # which ends for all of them at once
        for _ in range(15):
            tags.append(client.send("sign_init", ulong(session) + mechanism(Mechanism.RSA_PKCS) + ulong(key)))
            tags.append(client.send("sign", ulong(session) + octets(b"no digest") + room(256)))
            tags.append(client.send("get_session_info", ulong(session)))
        sent.append(tags)
    await eventually(lambda: bool(inside.person.open))
    inside.person.attentive.set()

    assert [[await client.tag_answered() for _ in sent[0]] for client in clients] == sent


async def test_another_session_is_answered_while_one_waits(client: Client, inside: Inside) -> None:
    waiting, other = await client.session(), await client.session()
    key = await client.key(waiting)
    inside.person.attentive.clear()
    await client.call("sign_init", ulong(waiting) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key))
    signing = client.send("sign", ulong(waiting) + octets(b"data") + room(256))
    behind = client.send("get_session_info", ulong(waiting))
    before = client.send("get_session_info", ulong(other))

    assert (await client.answer())[0] == before
    inside.person.attentive.set()
    assert [(await client.answer())[0], (await client.answer())[0]] == [signing, behind]


async def test_a_user_has_so_many_connections_and_a_process_half_of_them(inside: Inside) -> None:
    clients = []
    for process in (4, 5):
        inside.pid = process
        clients += [await inside.client() for _ in range(64)]
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await inside.client()
    inside.pid = 6
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await inside.client()
    await clients[0].close()
    await soon()

    assert await (await inside.client()).slots()


async def test_what_was_encrypted_for_the_card_is_decrypted_and_nothing_else(client: Client, inside: Inside) -> None:
    session = await client.session()
    key = await client.key(session)
    public = inside.card.issued.authentication.key.public_key()
    begin = ulong(session) + mechanism(Mechanism.RSA_PKCS) + ulong(key)

    async def decrypted(cryptogram: bytes | None) -> bytes:
        await client.call("decrypt_init", begin)
        return (await client.call("decrypt", ulong(session) + octets(cryptogram) + room(256)))[5:]

    assert await decrypted(public.encrypt(b"a secret", PKCS1v15())) == b"a secret"
    for wrong, rv in ((b"short", Rv.ENCRYPTED_DATA_LEN_RANGE), (None, Rv.ARGUMENTS_BAD)):
        with pytest.raises(Failed, match=rv.name):
            await decrypted(wrong)
    signing = ulong(session) + mechanism(Mechanism.RSA_PKCS) + ulong(await client.key(session, b"CPS_PRIV_SIG"))
    assert await fails(client, "decrypt_init", signing) is Rv.KEY_FUNCTION_NOT_PERMITTED
    assert inside.dialogs == ["program", "login"]


async def test_who_sends_calls_without_end_lets_others_in_between(client: Client, inside: Inside) -> None:
    other = await inside.client()
    for _ in range(5000):
        client.send("get_info")
    await client.writer.drain()
    answers = []

    async def read() -> None:
        for _ in range(5000):
            answers.append(await client.answer())  # noqa: PERF401 - how many there are so far is looked at meanwhile

    reading = asyncio.ensure_future(read())
    await other.slots()
    came_before = len(answers)
    await reading
    assert came_before < len(answers)


async def test_much_data_in_parts_are_hashed_and_not_kept(client: Client, inside: Inside) -> None:
    session = await client.session()
    begin = ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(await client.key(session))
    await client.call("sign_init", begin)
    for _ in range(8):
        await client.call("sign_update", ulong(session) + octets(bytes(900_000)))
    signature = (await client.call("sign_final", ulong(session) + room(256)))[5:]

    public = inside.card.issued.authentication.key.public_key()
    public.verify(signature, bytes(8 * 900_000), PKCS1v15(), SHA256())


async def test_a_user_whose_the_readers_are_not_has_few_connections(tmp_path: Path) -> None:
    async with Inside(tmp_path, owners=("4711",), uid=4712) as inside:
        for _ in range(16):
            await inside.client()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await inside.client()
        inside.uid = 4711
        assert await (await inside.client()).slots()


class Damaged(SimulatedCard):
    """A card that no file can be read of."""

    def process(self, apdu: bytes) -> bytes:
        """Answer, but for READ BINARY."""
        answer = super().process(apdu)
        return b"\x6a\x82" if apdu[1] == 0xB0 else answer


async def test_who_looks_all_the_time_at_a_card_that_cannot_be_read_leaves_it_in_peace(
    client: Client, inside: Inside
) -> None:
    card = Damaged(issue("medecin", len(PIN), "cps3", USUAL), pin=PIN, puk=PUK, behaviour=USUAL)
    inside.other_reader.insert(card)
    await eventually(lambda: len(inside.parts.readers.every.cards()) == 2)

    async def look() -> None:
        assert await fails(client, "get_token_info", ulong(2)) is Rv.TOKEN_NOT_RECOGNIZED

    await look()
    before = card.count
    for _ in range(20):
        await look()

    assert card.count == before
