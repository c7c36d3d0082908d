"""Requests to configured servers, with the card's certificate, judged by nginx that wants one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from cardd.config import Config, SessionRules
from cardd.errors import PinTimeout
from cardd.model import CallerKey, Choice
from cardd.request import Where
from tests.api.relayed import Relayed, Site, Start, behind_nginx, raw_head, talking, upstream
from tests.api.workbench import PIN, Workbench
from tests.rig.middleman import middleman
from tests.rig.nginx import Nginx
from tests.rig.ports import free_port
from tests.rig.upstream import says
from tests.rig.waiting import eventually


async def test_nginx_knows_the_professional_by_the_card(relayed: Relayed) -> None:
    steps = relayed.api.parts.trace.follow(CallerKey(0, "support"))
    got = await relayed.call("GET", "/who")
    assert (got.status, got.headers["Cardd-Upstream"]) == (200, "dmp")
    assert "SIMULATION" in got.raw.decode()
    assert got.raw.decode().split("|")[1] == "TLSv1.2"
    assert relayed.nginx.log(1)[0].startswith("SUCCESS")
    request, told = got.headers["X-Request-ID"], [await steps.next()]
    while told[-1] and told[-1].type != "relay":
        told.append(await steps.next())
    ours = [event for event in told if event and event.data.get("request") == request]
    assert {"dialog", "exchange", "relay"} <= {event.type for event in ours}  # the handshake's signature among them
    assert relayed.api.parts.observer.counts.seconds[Where.NETWORK] > 0


async def test_a_thousand_requests_cost_one_signature_one_consent_and_one_row(relayed: Relayed) -> None:
    await asyncio.gather(*(relayed.call("GET", "/who") for _ in range(20)))
    for _ in range(980):
        assert (await relayed.call("GET", "/who")).status == 200
    assert len(relayed.nginx.log(1000)) == 1000
    rows = [entry for entry in relayed.api.audit.entries if entry.action == "tls.handshake"]
    assert [(row.outcome.value, row.document, row.consent) for row in rows] == [("done", "dmp localhost", "dialog")]
    assert relayed.api.person.topics().count("relay") == 1
    assert relayed.api.person.questions[-1].params["host"] == "localhost"


async def test_bodies_are_passed_on_both_ways(relayed: Relayed) -> None:
    body = bytes(range(256)) * 40_000
    got = await relayed.call("POST", "/echo", body, Content_Type="text/xml")
    assert got.raw.decode() == f"POST {len(body)} {hashlib.sha256(body).hexdigest()}"
    back = await relayed.call("PUT", "/echo?back=1", body, Content_Type="application/pdf")
    assert back.raw == body
    small = await relayed.call("POST", "/echo?back=1", b"<a/>", Content_Type="text/xml")
    assert small.raw == b"<a/>"
    empty = await relayed.call("DELETE", "/echo")
    assert empty.raw.decode().startswith("DELETE 0 ")


async def test_a_body_of_unknown_length_is_passed_on_as_it_comes(relayed: Relayed) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    url = f"{relayed.api.base()}{relayed.path}/upstreams/dmp/echo?back=1"
    headers = {"Authorization": f"Bearer {relayed.token}", "Content-Type": "text/plain"}
    async with relayed.api.http().post(url, data=parts(), headers=headers) as answer:
        assert await answer.read() == b"x" * 100_000


async def test_curl_that_waits_to_be_told_to_go_on_is_told(relayed: Relayed, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"y" * 2_000_000)
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-H", f"Authorization: Bearer {relayed.token}", "-H", "Content-Type: text/plain",
        "-H", "Expect: 100-continue", "--expect100-timeout", "60", "-m", "20", "--data-binary", f"@{tmp_path / 'body'}",
        f"{relayed.api.base()}{relayed.path}/upstreams/dmp/echo", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert out.startswith(b"POST 2000000 ")


async def test_statuses_and_heads_are_the_servers_own(relayed: Relayed) -> None:
    missing = await relayed.call("GET", "/nowhere")
    assert (missing.status, missing.headers["Cardd-Upstream"]) == (404, "dmp")
    (relayed.nginx.directory / "files" / "cr.pdf").write_bytes(b"%PDF SIMULATION")
    head = await relayed.call("HEAD", "/cr.pdf")
    assert (head.status, head.headers["Content-Length"], head.raw) == (200, "15", b"")
    part = await relayed.call("GET", "/cr.pdf", Range="bytes=0-3")
    assert (part.status, part.raw) == (206, b"%PDF")


async def test_headers_that_would_forge_an_identity_or_betray_the_token_never_arrive(relayed: Relayed) -> None:
    got = await relayed.call(
        "GET", "/headers", X_SSL_Client_DN="CN=AUTRE", Forwarded="for=10.0.0.1", Accept="application/fhir+json"
    )
    assert got.raw.decode() == "|||application/fhir+json"
    assert got.headers["Server"] == ""
    assert got.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/si/doc", True),
        ("/si", True),
        ("/si/doc/1?x=%2F", True),
        ("/sinon", False),
        ("/", False),
        ("/other", False),
        ("/si/../other", False),
        ("/si/%2e%2e/other", False),
        ("/si/..%2fother", False),
        ("/si/.%2e/other", False),
        ("/si%2Fdoc%2F1", True),  # as generated clients send a parameter
        ("/si%2fa%2520b", True),
        ("/sinon%2fdoc", False),
        ("/%2fsi%2fdoc", False),
        ("/si%2f%2fdoc", False),
        ("/si%2f..%2fother", False),
        ("/si%2f%2e%2e%2fother", False),
        ("/si%2f%252e%252e%2fother", False),
        ("/si%2f..%252fother", False),
        ("/si%2f%c0%ae%c0%ae%2fother", False),
        ("/si%2fa%0d%0ab", False),
        ("/si//doc", False),
        ("/si/..;/other", False),
        ("/si/%252e%252e/other", False),
        ("/si/a%00b", False),
        ("/si/%c0%ae%c0%ae/other", False),
        ("/si/a\\b", False),
    ],
)
async def test_only_configured_paths_are_reached(
    site: Site, started: Start, tmp_path: Path, *, path: str, allowed: bool
) -> None:
    port = free_port()
    one = replace(upstream(site, port), paths=("/si",))
    api = await started(Workbench(tmp_path, Config(upstreams={"dmp": one})))
    place, token = await api.logged_in()
    request = f"GET {place}/upstreams/dmp{path} HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\nConnection: close\r\n"
    answer = await api.raw(f"{request}Authorization: Bearer {token}\r\n\r\n")
    expected = b'"upstream.unreachable"' if allowed else b'"upstream.path"'
    assert expected in answer
    assert allowed == ("relay" in api.person.topics())


async def test_only_configured_servers_and_methods_are_reached(relayed: Relayed) -> None:
    got = await relayed.api.call("GET", f"{relayed.path}/upstreams/other/who", bearer=relayed.token)
    assert (got.status, got.code) == (404, "upstream.unknown")
    patched = await relayed.call("PATCH", "/who")
    assert (patched.status, patched.code) == (405, "request.method")
    assert "PATCH" not in patched.headers["Allow"]
    assert relayed.nginx.log(0) == []


async def test_a_stranger_and_another_session_reach_nothing(relayed: Relayed) -> None:
    relayed.api.person.pins = [PIN]
    _, other = await relayed.api.logged_in()
    for bearer in (None, "wrong", other):
        got = await relayed.api.call("GET", f"{relayed.path}/upstreams/dmp/who", bearer=bearer)
        assert (got.status, got.code) == (401, "session.unknown")


async def test_a_user_who_refuses_is_asked_again_next_time(relayed: Relayed) -> None:
    relayed.api.person.choices = [Choice.NO]
    got = await relayed.call("GET", "/who")
    assert (got.status, got.code) == (403, "consent.refused")
    assert (await relayed.call("GET", "/who")).status == 200
    assert relayed.api.person.topics().count("relay") == 2


async def test_each_session_has_a_handshake_of_its_own(relayed: Relayed) -> None:
    await relayed.call("GET", "/who")
    relayed.api.person.pins = [PIN]
    path, token = await relayed.api.logged_in()
    await relayed.api.call("GET", f"{path}/upstreams/dmp/who", bearer=token)
    assert relayed.api.audit.acts().count("tls.handshake done") == 2


async def test_after_a_lock_the_pin_is_asked_before_the_next_request(relayed: Relayed) -> None:
    await relayed.call("GET", "/who")
    relayed.api.sessions.lock_where(lambda _: True)
    relayed.api.person.pins = [PIN]
    assert (await relayed.call("GET", "/who")).status == 200
    assert relayed.api.person.pin_questions[-1].question.topic == "relay"
    assert relayed.api.audit.acts().count("tls.handshake done") == 2


@pytest.mark.parametrize("relayed", ["TLSv1.2"], indirect=True)
async def test_a_pin_that_nobody_types_ends_the_handshake_and_the_next_one_asks_again(relayed: Relayed) -> None:
    relayed.api.sessions.lock_where(lambda _: True)
    relayed.api.person.fault = PinTimeout()
    got = await relayed.call("GET", "/who")
    assert (got.status, got.code) == (403, "pin.timeout")
    relayed.api.person.fault, relayed.api.person.pins = None, [PIN]
    assert (await relayed.call("GET", "/who")).status == 200
    assert relayed.api.audit.acts().count("tls.handshake refused") == 1


@pytest.mark.parametrize("relayed", ["TLSv1.2"], indirect=True)
async def test_a_request_whose_caller_hung_up_during_the_pin_is_not_sent(relayed: Relayed) -> None:
    """Practice software gives up and asks again: the document would be added twice."""
    api = relayed.api
    api.sessions.lock_where(lambda _: True)
    api.person.pins = [PIN]
    api.person.attentive.clear()
    api.person.is_asked.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(raw_head(relayed, "Content-Length: 0"))
    await api.person.is_asked.wait()
    asked = len(api.person.pin_questions)
    writer.close()
    again = asyncio.ensure_future(relayed.call("GET", "/who"))
    await eventually(lambda: len(api.person.pin_questions) > asked)
    api.person.attentive.set()
    assert (await again).status == 200
    assert ["POST" in line for line in relayed.nginx.log(1)] == [False]


async def test_the_pin_that_was_given_for_one_server_agrees_to_no_other(
    site: Site, started: Start, tmp_path: Path
) -> None:
    """Both were asked for while the screen was locked; the second handshake begins once the PIN is there."""
    nginx = Nginx(tmp_path / "nginx", site.clients, site.server)
    with nginx.running():
        async with middleman(nginx.port) as between:
            between.open.clear()
            both = {"dmp": upstream(site, nginx.port), "insi": replace(upstream(site, between.port), name="insi")}
            api = await started(Workbench(tmp_path, Config(upstreams=both)))
            path, token = await api.logged_in()
            api.sessions.lock_where(lambda _: True)
            api.person.pins, api.person.choices = [PIN], [Choice.NO]
            other = asyncio.ensure_future(api.call("GET", f"{path}/upstreams/insi/who", bearer=token))
            await between.knocked.wait()
            assert (await api.call("GET", f"{path}/upstreams/dmp/who", bearer=token)).status == 200
            between.open.set()
            refused = await other
    assert (refused.status, refused.code) == (403, "consent.refused")
    assert [asked.question.params.get("upstream") for asked in api.person.pin_questions] == [None, "dmp"]


async def test_a_session_that_ends_while_the_pin_is_typed_gets_no_signature(relayed: Relayed) -> None:
    api = relayed.api
    api.sessions.lock_where(lambda _: True)
    api.person.pins = [PIN]
    api.person.attentive.clear()
    api.person.is_asked.clear()
    waiting = asyncio.ensure_future(relayed.call("GET", "/who"))
    await api.person.is_asked.wait()
    assert (await api.call("DELETE", relayed.path, bearer=relayed.token)).status == 204
    api.person.attentive.set()
    got = await waiting
    assert (got.status, got.code) == (401, "session.closed")
    assert "tls.handshake done" not in api.audit.acts()


async def test_without_a_held_pin_its_dialog_is_the_consent(site: Site, started: Start, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx", site.clients, site.server)
    with nginx.running():
        config = Config(session=SessionRules(pin="ask"), upstreams={"dmp": upstream(site, nginx.port)})
        api = await started(Workbench(tmp_path, config))
        api.person.pins = [PIN, PIN]
        path, token = await api.logged_in()
        for _ in range(3):
            assert (await api.call("GET", f"{path}/upstreams/dmp/who", bearer=token)).status == 200
    assert [asked.question.topic for asked in api.person.pin_questions] == ["login", "relay"]
    assert [entry.consent for entry in api.audit.entries if entry.action == "tls.handshake"] == ["pin"]


async def test_what_the_configuration_agrees_to_asks_nobody(site: Site, started: Start, tmp_path: Path) -> None:
    async with behind_nginx(site, started, tmp_path, consent="login") as relayed:
        assert (await relayed.call("GET", "/who")).status == 200
        assert "relay" not in relayed.api.person.topics()
        assert [entry.consent for entry in relayed.api.audit.entries if entry.action == "tls.handshake"] == ["login"]


async def test_nothing_goes_on_when_the_session_ends(site: Site, started: Start, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000
    async with talking(site, started, tmp_path, says(head, pause=60)) as relayed:
        url = f"{relayed.api.base()}{relayed.path}/upstreams/dmp/"
        async with relayed.api.http().get(url, headers={"Authorization": f"Bearer {relayed.token}"}) as answer:
            await answer.content.readexactly(100_000)
            await relayed.api.call("DELETE", relayed.path, bearer=relayed.token)
            with pytest.raises(aiohttp.ClientError):
                await answer.read()


async def test_a_body_beyond_the_limit_is_refused(site: Site, started: Start, tmp_path: Path) -> None:
    async with behind_nginx(site, started, tmp_path, max_body=100_000) as relayed:
        got = await relayed.call("POST", "/echo", b"x" * 100_001)
        assert (got.status, got.code) == (413, "request.too_large")
        assert (await relayed.call("POST", "/echo", b"x" * 100_000)).status == 200


async def test_the_card_that_leaves_takes_its_connections_with_it(relayed: Relayed) -> None:
    await relayed.call("GET", "/who")
    relayed.api.reader.remove()
    got = await relayed.call("GET", "/who")
    assert (got.status, got.code) == (401, "session.closed")
    assert len(relayed.nginx.log(1)) == 1


async def test_the_card_that_leaves_during_the_handshake_sends_nothing(
    site: Site, started: Start, tmp_path: Path
) -> None:
    nginx = Nginx(tmp_path / "nginx", site.clients, site.server)
    with nginx.running():
        async with middleman(nginx.port) as between:
            between.open.clear()
            api = await started(Workbench(tmp_path, Config(upstreams={"dmp": upstream(site, between.port)})))
            path, token = await api.logged_in()
            waiting = asyncio.ensure_future(api.call("GET", f"{path}/upstreams/dmp/who", bearer=token))
            await between.knocked.wait()
            api.reader.remove()
            await eventually(lambda: not api.readers.cards())
            between.open.set()
            got = await waiting
        assert (got.status, got.code) == (401, "session.closed")
        assert nginx.log(0) == []
    assert "tls.handshake done" not in api.audit.acts()


async def test_the_card_that_leaves_ends_an_upload_under_way(site: Site, started: Start, tmp_path: Path) -> None:
    half = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        half.set()
        await reader.read()

    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * 200_000
        await asyncio.sleep(60)

    async with talking(site, started, tmp_path, talk) as relayed:
        url = f"{relayed.api.base()}{relayed.path}/upstreams/dmp/"
        headers = {"Authorization": f"Bearer {relayed.token}"}
        sending = asyncio.ensure_future(relayed.api.http().post(url, data=parts(), headers=headers))
        await half.wait()
        relayed.api.reader.remove()
        async with await sending as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (401, "session.closed")
