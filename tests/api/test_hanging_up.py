"""A dialog ends when nobody waits for its answer any more; what has begun on the card does not."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cardd.config import Config, SessionRules, Web
from tests.api.relayed import Relayed
from tests.api.requests import request
from tests.api.workbench import CHALLENGES, PIN, SOFTWARE, Got, Workbench
from tests.rig.waiting import eventually

STRANGER = "https://nouveau.example"
DOCUMENT = {"format": "raw", "document": b64encode(b"SIMULATION").decode(), "document_name": "compte rendu"}
VERIFY, PERFORM_SECURITY_OPERATION = 0x20, 0x2A
KEY = {"Idempotency-Key": "7c9e6679"}

Asked = Callable[[Workbench], Awaitable[bytes]]


def sent(api: Workbench, method: str, path: str, body: object = None, **headers: str) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    told = {"Host": f"localhost:{api.port}", **headers}
    if body is not None:
        told |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    return request(path, *(f"{name}: {value}" for name, value in told.items()), method=method, body=content)


@asynccontextmanager
async def open_dialog(api: Workbench, raw: bytes, *, via: str = "tcp") -> AsyncIterator[None]:
    """Send a request whose dialog is open inside; its caller hangs up at the end."""
    api.person.attentive.clear()
    api.person.is_asked.clear()
    if via == "unix":
        _, writer = await asyncio.open_unix_connection(api.path)
    else:
        _, writer = await api.connect()
    writer.write(raw)
    async with asyncio.timeout(5):
        await api.person.is_asked.wait()
    yield
    writer.close()


async def hang_up_during(api: Workbench, instruction: int, raw: bytes) -> None:
    """Send a request whose caller hangs up in the middle of this command to the card, once the person has answered."""
    begun, gone = threading.Event(), threading.Event()

    def stop_the_card() -> None:
        begun.set()
        assert gone.wait(5)

    api.person.attentive.clear()
    api.person.is_asked.clear()
    _, writer = await api.connect()
    writer.write(raw)
    await api.person.is_asked.wait()
    api.reader.do_during(instruction, stop_the_card)
    api.person.attentive.set()
    await eventually(begun.is_set)
    writer.close()
    await asyncio.sleep(0.05)  # the daemon hears of it before the card answers
    gone.set()


async def pairing(api: Workbench) -> bytes:
    return sent(api, "POST", "/v1/clients", SOFTWARE)


async def page(api: Workbench) -> bytes:
    challenge = (await api.call("POST", CHALLENGES, {}, headers={"Origin": STRANGER})).text("challenge")
    body = {"page_key": api.key.jwk, "proof": api.key.proof(challenge, STRANGER, f"localhost:{api.port}")}
    return sent(api, "POST", "/v1/clients", body, Origin=STRANGER)


async def login(api: Workbench) -> bytes:
    return sent(api, "POST", "/v1/sessions", {"method": "cpx"}, Authorization=f"Bearer {await api.pair()}")


async def certificates(api: Workbench) -> bytes:
    card = api.readers.cards()[0].id
    return sent(api, "GET", f"/v1/cards/{card}/certificates", Authorization=f"Bearer {await api.pair()}")


async def signature(api: Workbench, **headers: str) -> bytes:
    path, token = await api.logged_in()
    return sent(api, "POST", f"{path}/signatures", DOCUMENT, Authorization=f"Bearer {token}", **headers)


async def pin_change(api: Workbench) -> bytes:
    return sent(api, "POST", f"/v1/cards/{api.readers.cards()[0].id}/pin-changes", {}, Host="localhost")


@pytest.fixture
async def asking(started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path) -> Workbench:
    """A workbench where strange pages may ask."""
    return await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))


@pytest.mark.parametrize(
    ("asked", "topic"),
    [
        (pairing, "pair"),
        (page, "origin"),
        (login, "login"),
        (certificates, "certificates"),
        (signature, "sign"),
        (pin_change, "pin_change"),
    ],
)
async def test_the_dialog_of_a_caller_that_hung_up_closes_at_once(asking: Workbench, asked: Asked, topic: str) -> None:
    api = asking
    raw = await asked(api)
    async with open_dialog(api, raw, via="unix" if asked is pin_change else "tcp"):
        assert api.person.open == [topic]
    async with asyncio.timeout(1):
        await eventually(lambda: not api.person.open)
    api.person.attentive.set()
    assert (await api.call("POST", "/v1/clients", {**SOFTWARE, "name": "Suivant"})).status == 201


async def test_the_dialog_of_a_caller_over_tls_that_hung_up_closes_too(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, over_tls=True))
    async with open_dialog(api, await login(api)):
        assert api.person.open == ["login"]
    async with asyncio.timeout(1):
        await eventually(lambda: not api.person.open)


@pytest.mark.parametrize("via", ["tcp", "unix"])
async def test_a_hang_up_behind_more_than_anybody_reads_closes_the_dialog_too(api: Workbench, via: str) -> None:
    raw = (await login(api)).replace(b"\r\nConnection: close", b"")
    if via == "unix":
        raw = raw.replace(f"localhost:{api.port}".encode(), b"localhost")
    api.person.attentive.clear()
    api.person.is_asked.clear()
    with socket.socket(socket.AF_UNIX if via == "unix" else socket.AF_INET) as caller:
        caller.connect(str(api.path) if via == "unix" else ("127.0.0.1", api.port))
        caller.sendall(raw)
        async with asyncio.timeout(5):
            await api.person.is_asked.wait()
        caller.setblocking(False)
        more = sent(api, "GET", "/v1/status") * 10_000
        silence = 0
        while silence < 5:  # until nothing more is read
            try:
                caller.send(more)
                silence = 0
            except BlockingIOError:
                silence += 1
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.6)
        assert api.person.open == ["login"]  # who is there is waited for
    async with asyncio.timeout(2):
        await eventually(lambda: not api.person.open)
    api.person.attentive.set()
    assert not api.sessions.of(os.getuid())


async def test_a_hang_up_behind_a_body_that_waits_for_the_consent_closes_the_dialog(relayed: Relayed) -> None:
    api, size = relayed.api, 64 * 1024 * 1024
    head = sent(api, "POST", f"{relayed.path}/upstreams/dmp/echo", Authorization=f"Bearer {relayed.token}")
    head = head.replace(b"\r\n\r\n", f"\r\nContent-Length: {size}\r\n\r\n".encode())
    async with open_dialog(api, head + bytes(4 * 1024 * 1024)):
        assert api.person.open == ["relay"]
    async with asyncio.timeout(3):
        await eventually(lambda: not api.person.open)


async def test_what_was_only_waiting_for_its_turn_is_never_shown(api: Workbench) -> None:
    raw = await signature(api)
    async with open_dialog(api, raw):
        _, second = await api.connect()
        second.write(await pairing(api))
        await asyncio.sleep(0.05)  # it stands in the line now
        second.close()
        await asyncio.sleep(0.05)
    await eventually(lambda: not api.person.open)
    api.person.attentive.set()
    assert api.person.topics() == ["pair", "sign"]


async def test_a_login_given_up_while_the_pin_is_typed_opens_no_session(api: Workbench) -> None:
    raw = await login(api)
    async with open_dialog(api, raw):
        pass
    await eventually(lambda: not api.person.open)
    api.person.attentive.set()
    assert api.sessions.of(api.uid or 0) == []
    assert api.person.pins == [PIN]


async def test_a_login_given_up_while_the_card_checks_the_pin_leaves_no_session(api: Workbench) -> None:
    raw = await login(api)
    await hang_up_during(api, VERIFY, raw)
    await eventually(lambda: "session.open done" in api.audit.acts())
    await eventually(lambda: api.sessions.of(api.uid or 0) == [])


async def test_a_signature_under_way_on_the_card_goes_on_when_its_caller_hangs_up(api: Workbench) -> None:
    path, token = await api.logged_in()
    raw = sent(api, "POST", f"{path}/signatures", DOCUMENT, Authorization=f"Bearer {token}", **KEY)
    await hang_up_during(api, PERFORM_SECURITY_OPERATION, raw)
    await eventually(lambda: "signature.raw done" in api.audit.acts())
    got = await api.call("POST", f"{path}/signatures", DOCUMENT, bearer=token, headers=KEY)
    assert got.status == 200
    assert api.audit.acts().count("signature.raw done") == 1


async def test_a_list_goes_on_to_its_end_when_its_caller_hangs_up_between_two_signatures(api: Workbench) -> None:
    path, token = await api.logged_in()
    body = {
        "batch": {"name": "Lot", "count": 12},
        "signatures": [{**DOCUMENT, "document_name": f"{n}"} for n in range(12)],
    }
    api.readers.cards()[0].access.turns.turn = 0.0  # the card is left free after each signature
    raw = sent(api, "POST", f"{path}/signatures", body, Authorization=f"Bearer {token}", **KEY)
    await hang_up_during(api, PERFORM_SECURITY_OPERATION, raw)
    got = await api.call("POST", f"{path}/signatures", body, bearer=token, headers=KEY)
    assert (got.status, len(got.json["signatures"])) == (200, 12)  # type: ignore[arg-type]
    assert api.audit.acts().count("signature.raw done") == 12
    assert api.person.topics().count("sign_batch") == 1


# --- several that wait for one answer


async def test_the_dialog_stays_while_another_connection_waits_under_the_same_key(api: Workbench) -> None:
    path, token = await api.logged_in()
    raw = sent(api, "POST", f"{path}/signatures", DOCUMENT, Authorization=f"Bearer {token}", **KEY)
    async with open_dialog(api, raw):
        second = asyncio.ensure_future(api.call("POST", f"{path}/signatures", DOCUMENT, bearer=token, headers={**KEY}))
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    assert api.person.open == ["sign"]
    api.person.attentive.set()
    assert (await second).status == 200
    assert api.person.topics().count("sign") == 1


async def test_who_comes_back_under_the_same_key_is_asked_anew(api: Workbench) -> None:
    path, token = await api.logged_in()
    raw = sent(api, "POST", f"{path}/signatures", DOCUMENT, Authorization=f"Bearer {token}", **KEY)
    async with open_dialog(api, raw):
        pass
    again = asyncio.ensure_future(api.call("POST", f"{path}/signatures", DOCUMENT, bearer=token, headers=KEY))
    await eventually(lambda: api.person.topics().count("sign") == 2)
    api.person.attentive.set()
    assert (await again).status == 200
    assert api.audit.acts().count("signature.raw done") == 1


async def test_another_body_under_the_key_keeps_no_dialog_open(api: Workbench) -> None:
    path, token = await api.logged_in()
    raw = sent(api, "POST", f"{path}/signatures", DOCUMENT, Authorization=f"Bearer {token}", **KEY)
    other: Mapping[str, str] = {**DOCUMENT, "document_name": "autre"}
    async with open_dialog(api, raw):
        got: Got = await api.call("POST", f"{path}/signatures", other, bearer=token, headers=KEY)
        assert got.code == "request.idempotency_key_reused"
    await eventually(lambda: not api.person.open)


# --- who comes back for the answer


async def test_the_pairing_that_a_program_does_not_ask_about_ends(api: Workbench) -> None:
    api.parts.clients.unheard = 0.3
    api.person.attentive.clear()
    got = await api.call("POST", "/v1/clients", SOFTWARE, headers={"Prefer": "respond-async"})
    assert got.status == 202
    for _ in range(4):
        await asyncio.sleep(0.15)
        assert (await api.call("GET", got.headers["Location"])).status == 202
    assert api.person.open == ["pair"]
    await eventually(lambda: not api.person.open)
    assert (await api.call("GET", got.headers["Location"])).code == "request.abandoned"


async def test_a_pairing_that_is_answered_later_outlives_the_request(api: Workbench) -> None:
    api.person.attentive.clear()
    raw = sent(api, "POST", "/v1/clients", SOFTWARE, Prefer="respond-async")
    assert b" 202 " in await api.raw(raw)  # and this connection is closed
    await asyncio.sleep(0.05)
    assert api.person.open == ["pair"]


async def test_a_pin_that_is_asked_each_time_closes_too(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, Config(session=SessionRules(pin="ask"))))
    raw = await signature(api)
    api.person.pins = [PIN]
    async with open_dialog(api, raw):
        assert api.person.open == ["sign"]
    await eventually(lambda: not api.person.open)
    api.person.attentive.set()
    assert "signature.raw done" not in api.audit.acts()
