"""Pairing, login, signatures and what may go wrong, through the client library."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Self

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from cardd.client import CarddClient, Pairing, Signature, ToSign
from cardd.config import Card, Config
from cardd.errors import (
    CardAmbiguous,
    ClientUnknown,
    DaemonSilent,
    DaemonUnreachable,
    PairingRefused,
    PinWrong,
    SessionClosed,
    SessionUnknown,
)
from cardd.model import Choice
from tests.api.workbench import Workbench
from tests.rig.ports import free_port
from tests.rig.simulator import simulated_card

DOCUMENT = b"Compte rendu SIMULATION"


def check(signature: Signature, document: bytes) -> None:
    """Raise unless this signature is the certificate's over the document."""
    key = load_der_x509_certificate(signature.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(signature.signature, document, PKCS1v15(), SHA256())


async def test_status_readers_and_cards_are_told(bench: Workbench, local: CarddClient) -> None:
    assert (await local.status()).state == "ready"
    assert [reader.name for reader in await local.readers()] == ["Lecteur A", "Lecteur B"]
    [card] = await local.cards(pin=True)
    assert card.kind == "cps3"
    assert card.pin is not None
    assert card.pin.tries_left == 3


async def test_pairing_shows_the_code_of_the_dialog_and_gives_a_secret(bench: Workbench, local: CarddClient) -> None:
    shown: list[Pairing] = []
    bench.person.attentive.clear()

    def on_code(pairing: Pairing) -> None:
        shown.append(pairing)
        bench.person.attentive.set()

    paired = await local.pair("LPS", "Éditeur", "lps", on_code=on_code)
    assert bench.person.questions[0].params["code"] == shown[0].code
    assert local.secret == paired.client_secret
    assert [client.id for client in await local.clients()] == [paired.client_id]


async def test_a_refused_pairing_is_an_error(bench: Workbench, local: CarddClient) -> None:
    bench.person.choice = Choice.NO
    with pytest.raises(PairingRefused):
        await local.pair("LPS", "Éditeur", "lps")


async def test_a_document_and_a_digest_are_signed(paired: CarddClient) -> None:
    session = await paired.login()
    assert session.opened is not None
    assert session.opened.identity.is_test
    check(await session.sign("a.txt", document=DOCUMENT), DOCUMENT)
    check(await session.sign("b.txt", digest=hashlib.sha256(DOCUMENT).digest(), patient="P. SIMULATION"), DOCUMENT)


async def test_a_list_is_signed_under_one_consent(bench: Workbench, paired: CarddClient) -> None:
    session = await paired.login()
    documents = [b"un", b"deux", b"trois"]
    signatures = await session.sign_many(ToSign(f"{n}.txt", document=d) for n, d in enumerate(documents))
    for signature, document in zip(signatures, documents, strict=True):
        check(signature, document)
    assert bench.person.topics().count("sign_batch") == 1


async def test_a_large_document_is_sent_whole(paired: CarddClient) -> None:
    document = os.urandom(3 * 1024 * 1024)
    check(await (await paired.login()).sign("grand.bin", document=document), document)


async def test_an_auth_token_is_bound_to_the_program(paired: CarddClient) -> None:
    token = await (await paired.login()).auth_token("n" * 44)
    assert token.format == "web-eid:1.0"
    assert token.unverified_certificate


async def test_another_process_may_use_a_session_by_its_token(bench: Workbench, paired: CarddClient) -> None:
    session = await paired.login()
    async with CarddClient(bench.base(), language="en") as other:
        assert (await other.session(session.id, session.token).state()).state == "active"


async def test_a_closed_session_signs_no_more(paired: CarddClient) -> None:
    session = await paired.login()
    await session.close()
    with pytest.raises(SessionClosed):
        await session.sign("a.txt", document=DOCUMENT)


async def test_the_user_sees_and_closes_sessions_without_a_secret(paired: CarddClient, local: CarddClient) -> None:
    session = await paired.login()
    assert [entry.id for entry in await local.sessions()] == [session.id]
    await local.close_session(session.id)
    with pytest.raises(SessionClosed):
        await session.state()
    with pytest.raises(SessionUnknown):
        await local.close_session(session.id)


async def test_an_unpaired_program_loses_its_right(paired: CarddClient, local: CarddClient) -> None:
    [client] = await local.clients()
    await local.remove_client(client.id)
    with pytest.raises(ClientUnknown):
        await paired.login()


async def test_a_wrong_pin_tells_the_tries_left_in_the_language_of_the_client(bench: Workbench) -> None:
    bench.person.pins = ["9999"]
    async with CarddClient(bench.base(), await bench.pair(), "fr") as client:
        with pytest.raises(PinWrong) as raised:
            await client.login()
    assert raised.value.params["tries_left"] == 2
    assert "porteur" in str(raised.value.params["title"])


async def test_with_two_cards_the_error_lists_them(bench: Workbench, paired: CarddClient) -> None:
    bench.other_reader.insert(simulated_card("pharmacien"))
    cards = await paired.cards()
    with pytest.raises(CardAmbiguous) as raised:
        await paired.login()
    assert sorted(raised.value.cards) == sorted(card.id for card in cards)
    bench.person.pins = ["1234"]
    assert (await paired.login(card=cards[1].id)).opened is not None


async def test_nobody_there_is_an_error_of_its_own(tmp_path: object) -> None:
    for base in (f"http://127.0.0.1:{free_port()}", f"{tmp_path}/no.sock"):
        async with CarddClient(base) as client:
            with pytest.raises(DaemonUnreachable):
                await client.status()


@pytest.mark.parametrize(("waits", "why"), [(False, "closed"), (True, "late")])
async def test_a_daemon_that_takes_the_connection_and_answers_nothing_is_not_to_be_started(
    waits: bool, why: str
) -> None:
    has_left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if waits:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        has_left.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    at = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, CarddClient(at, answer_limit=0.3) as client:
        with pytest.raises(DaemonSilent) as told:
            await client.status()
        await has_left.wait()
    assert (told.value.code, told.value.params["why"]) == ("daemon.silent", why)
    assert "systemctl start" not in told.value.told("en").remedy


async def test_another_program_on_the_port_is_not_taken_for_cardd() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    async with server, CarddClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(DaemonUnreachable):
            await client.status()


async def test_a_broken_connection_costs_no_second_signature(bench: Workbench, paired: CarddClient) -> None:
    session = await paired.login()
    async with _LineThatBreaksOnce(bench.port) as line, CarddClient(f"http://127.0.0.1:{line.port}") as client:
        check(await client.session(session.id, session.token).sign("a.txt", document=DOCUMENT), DOCUMENT)
    assert line.broken == 1
    assert bench.audit.acts().count("signature.raw done") == 1


async def test_a_disk_that_takes_the_record_late_costs_no_second_signature(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, Config(card=Card(timeout=1)))
    await bench.start()
    async with CarddClient(f"http://127.0.0.1:{bench.port}", secret=await bench.pair()) as client:
        session = await client.login()
        bench.audit.disk.clear()
        asyncio.get_running_loop().call_later(3, bench.audit.disk.set)  # after the first answer: audit.slow
        check(await session.sign("a.txt", document=DOCUMENT), DOCUMENT)
    assert bench.audit.acts().count("signature.raw done") == 1
    await bench.stop()


class _LineThatBreaksOnce:
    """A proxy that cuts the first connection when its answer comes, and passes all others."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.broken = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")))
        body = await reader.readexactly(length)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        up_writer.write(head.replace(f":{self.port}".encode(), f":{self.target}".encode()) + body)
        answer = await up_reader.read(65536)
        if self.broken:
            writer.write(answer)
            await writer.drain()
        self.broken = 1
        up_writer.close()
        writer.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()


def test_a_session_hides_its_token_in_logs() -> None:
    client = CarddClient("/nowhere")
    assert "secret-token" not in repr(client.session("an-id", "secret-token"))


def test_an_auth_token_has_the_names_of_its_format() -> None:
    from msgspec.json import encode

    from cardd.client import AuthToken

    token = AuthToken("c", "RS256", "s", "web-eid:1.0", "v")
    assert set(json.loads(encode(token))) == {
        "unverifiedCertificate",
        "algorithm",
        "signature",
        "format",
        "appVersion",
    }
