"""The way out through a forward proxy, judged by tinyproxy: all that goes to other machines takes it."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from cardd.config import Network
from cardd.core.audit import Head
from cardd.errors import TimestampUnavailable, UpstreamUnreachable, UpstreamUntrusted
from cardd.http import HttpClient, HttpFault, Limits, Why, causes
from cardd.outward import DIRECT, Outward, Proxy, ProxyFault, open_tunnel
from cardd.system.audit_sinks import AuditSinks
from cardd.system.outgoing import PASSWORD as SECRET
from cardd.system.outgoing import RevocationHttp, TimestampHttp, outward_of
from cardd.tls.connector import KeyConnector
from cardd.tls.dialler import Server
from tests.api.ecps import LOGIN, Place, ends_in, pair, workbench_at
from tests.rig.forward import ELSEWHERE, PASSWORD, USER, Tinyproxy, is_installed, saying
from tests.rig.memory import MemorySecrets
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.pki import Authority
from tests.rig.ports import free_port
from tests.rig.waiting import eventually

WRONG = "mot-de-passe-FAUX-731942"  # no word that an error of somebody else may hold


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinyproxy]:
    if not is_installed():
        pytest.skip("tinyproxy is not here: make setup installs it")
    running = Tinyproxy(tmp_path_factory.mktemp("tinyproxy"))
    running.start()
    yield running
    running.stop()


@dataclass
class Site:
    """A server elsewhere, over https and over http; ``heard`` are the paths that were asked for."""

    authorities: Path
    secure: str
    plain: str
    port: int
    heard: list[str]
    shown: list[str]


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the list's own
            found += str(one.readlink()).startswith("socket:")
    return found


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    before, authority = sockets(), Authority()
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    made = Site(tmp_path / "authority.pem", "", "", 0, [], [])

    async def answer(request: web.BaseRequest) -> web.Response:
        made.heard.append(request.path)
        made.shown += [value for name, value in request.headers.items() if name.lower().startswith("proxy-")]
        kinds = {"/ocsp": "application/ocsp-response", "/tsa": "application/timestamp-reply"}
        return web.Response(body=b"ici", content_type=kinds.get(request.path, "text/plain"))

    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue(ELSEWHERE, addresses=(ELSEWHERE,)).load_into(context)
    await web.TCPSite(runner, ELSEWHERE, 0, ssl_context=context).start()
    await web.TCPSite(runner, ELSEWHERE, 0).start()
    secure, plain = (address[1] for address in runner.addresses)
    made.secure, made.plain, made.port = f"https://{ELSEWHERE}:{secure}", f"http://{ELSEWHERE}:{plain}", secure
    yield made
    await runner.cleanup()
    await eventually(lambda: sockets() <= before)  # of handshakes that were broken off too


def through(proxy: str, site: Site | None = None, password: str | None = PASSWORD, **more: object) -> Outward:
    """The way out as a configuration has it, with its secret."""
    secrets = MemorySecrets()
    if password is not None:
        secrets.values[SECRET] = password.encode()
    settings = Network(proxy=proxy, proxy_user=USER, authorities=site.authorities if site else None, **more)  # type: ignore[arg-type]
    return outward_of(settings, secrets)


async def by_client(site: Site, outward: Outward) -> None:
    http = HttpClient(outward=outward)
    try:
        assert (await http.request("GET", f"{site.secure}/client")).body == b"ici"
    finally:
        await http.close()


async def by_key(site: Site, outward: Outward, patience: float = 10.0) -> None:
    connector = KeyConnector(Server("dmp", ELSEWHERE, site.port, patience=patience), None, outward)
    async with aiohttp.ClientSession(connector=connector) as http, http.get(f"{site.secure}/key") as answer:
        assert await answer.read() == b"ici"


async def by_revocation(site: Site, outward: Outward) -> None:
    http = RevocationHttp(is_local=True, outward=outward)
    try:
        assert await http.fetch(f"{site.plain}/ocsp", b"question", 1000) == b"ici"
        assert await http.fetch(f"{site.plain}/crl", None, 1000) == b"ici"
    finally:
        await http.close()


async def by_timestamps(site: Site, outward: Outward) -> None:
    for base in (site.plain, site.secure):
        http = TimestampHttp(f"{base}/tsa", outward=outward)
        try:
            assert await http.exchange(b"query") == b"ici"
        finally:
            await http.close()


async def by_sinks(site: Site, outward: Outward) -> None:
    sinks = AuditSinks([f"{site.secure}/head"], "poste", outward=outward)
    await sinks.watch()
    sinks.tell(Head(1, "00"))
    try:
        await eventually(lambda: "/head" in site.heard)
    finally:
        await sinks.stop()


WAYS: dict[str, Callable[[Site, Outward], Awaitable[None]]] = {
    "PSC, anything by HttpClient": by_client,
    "the relay": by_key,
    "OCSP and CRL": by_revocation,
    "timestamps": by_timestamps,
    "the audit log's sinks": by_sinks,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_all_that_goes_out_takes_the_proxy_and_proves_itself_to_it_alone(
    way: Callable[[Site, Outward], Awaitable[None]], site: Site, tinyproxy: Tinyproxy
) -> None:
    before = len(tinyproxy.seen)
    await way(site, through(tinyproxy.url, site))
    await eventually(lambda: len(tinyproxy.seen) > before)
    assert all(ELSEWHERE in line for line in tinyproxy.seen[before:])
    assert site.heard
    assert site.shown == []  # the proxy's password is the proxy's


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_what_needs_no_proxy_takes_none(
    way: Callable[[Site, Outward], Awaitable[None]], site: Site, tinyproxy: Tinyproxy
) -> None:
    before = len(tinyproxy.seen)
    await way(site, through(tinyproxy.url, site, no_proxy=("127.0.0.0/8",)))
    assert (len(tinyproxy.seen), site.heard != []) == (before, True)


async def test_a_whole_login_goes_through_it(tinyproxy: Tinyproxy, tmp_path: Path) -> None:
    authority = Authority()
    liar = FakeProvider(authority, ELSEWHERE)
    liar.issued = authority.issue(ELSEWHERE, addresses=(ELSEWHERE,))
    liar.start["interval"] = 1
    before = len(tinyproxy.seen)
    async with liar:
        api = workbench_at(
            Place(liar.issuer, authority), tmp_path, CLIENT, outward=through(tinyproxy.url), sandbox=True
        )
        await api.start()
        try:
            secret = await pair(api)
            got = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
            assert got.status == 202, got.raw
            assert await ends_in(api, f"/v1/sessions/{got.text('id')}", got.text("token")) == (200, "active")
        finally:
            await api.stop()
    assert any("CONNECT" in line for line in tinyproxy.seen[before:])


@pytest.mark.parametrize("password", [None, WRONG], ids=["None", "wrong"])
async def test_a_proxy_that_wants_another_password_says_so_and_nobody_sees_it(
    site: Site, tinyproxy: Tinyproxy, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(HttpFault) as refused:
        await by_client(site, through(tinyproxy.url, site, password))
    assert (refused.value.why, refused.value.about) == (Why.PROXY, "credentials")
    with pytest.raises(UpstreamUnreachable) as unreached:
        await by_key(site, through(tinyproxy.url, site, password))
    assert unreached.value.why == "proxy_credentials"
    assert "wants a user and a password" in unreached.value.told("en").detail
    assert site.heard == []
    told = [refused.value, *causes(refused.value), unreached.value, *causes(unreached.value)]
    assert WRONG not in f"{caplog.text} {told!r} {Proxy('a', 1, 'u', WRONG)!r}"


@pytest.mark.parametrize("way", [by_client, by_key], ids=lambda way: way.__name__)
async def test_a_wrong_password_is_shown_to_the_proxy_once_and_a_new_one_at_once(
    site: Site, tinyproxy: Tinyproxy, way: Callable[[Site, Outward], Awaitable[None]]
) -> None:
    secrets = MemorySecrets()
    secrets.values[SECRET] = WRONG.encode()
    settings = Network(proxy=tinyproxy.url, proxy_user=USER, authorities=site.authorities)
    outward = outward_of(settings, secrets)
    for _ in range(3):  # after so many a directory may lock the account
        with pytest.raises((HttpFault, UpstreamUnreachable)):
            await way(site, outward)
    outward.password_pause = 0.0
    secrets.values[SECRET] = PASSWORD.encode()
    await way(site, outward)
    await eventually(lambda: len(_asked_for(site, tinyproxy)) == 2)


def _asked_for(site: Site, tinyproxy: Tinyproxy) -> list[str]:
    return [line for line in tinyproxy.seen if f":{site.port} " in line]


async def test_a_proxy_that_wants_a_password_for_plain_http_is_not_taken_for_the_server(site: Site) -> None:
    async with saying(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as url:
        http = HttpClient(outward=Outward(url))
        with pytest.raises(HttpFault) as refused:
            await http.request("GET", site.plain)
        await http.close()
    assert (refused.value.why, refused.value.about) == (Why.PROXY, "credentials")


async def test_a_password_that_is_not_there_is_looked_for_again_after_a_while(site: Site, tinyproxy: Tinyproxy) -> None:
    asked = 0

    class Counted(MemorySecrets):
        async def get(self, name: str) -> object:  # type: ignore[override]
            nonlocal asked
            asked += 1
            return await super().get(name)

    secrets = Counted()
    outward = outward_of(Network(proxy=tinyproxy.url, proxy_user=USER, authorities=site.authorities), secrets)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(HttpFault):
            await by_client(site, outward)
    assert asked == 1  # a keyring that is locked asks its user each time
    secrets.values[SECRET] = PASSWORD.encode()
    outward.password_pause = 0.0
    await by_client(site, outward)


async def test_the_environment_tells_the_proxy_its_password_and_what_needs_none(
    site: Site, tinyproxy: Tinyproxy
) -> None:
    told = {"https_proxy": f"http://{USER}:{PASSWORD}@127.0.0.1:{tinyproxy.port}/"}
    before = len(tinyproxy.seen)
    await by_client(site, Outward("environment", authorities=site.authorities, environment=told))
    await eventually(lambda: len(tinyproxy.seen) > before)
    before = len(tinyproxy.seen)
    direct = {**told, "no_proxy": f"a.example, {ELSEWHERE}"}
    await by_client(site, Outward("environment", authorities=site.authorities, environment=direct))
    await by_client(site, Outward("environment", authorities=site.authorities, environment={}))
    assert len(tinyproxy.seen) == before


@pytest.mark.parametrize("told", ["socks5://127.0.0.1:1080", "https://proxy.example:3128", "http://", "http://a:b:c"])
async def test_an_environment_that_is_not_understood_is_told(told: str) -> None:
    outward = Outward("environment", environment={"ALL_PROXY": told})
    http = HttpClient(outward=outward)
    with pytest.raises(HttpFault) as refused:
        await http.request("GET", "https://psc.example")
    await http.close()
    assert (refused.value.why, refused.value.about) == (Why.PROXY, "unusable")


@pytest.mark.parametrize(
    ("host", "port", "listed", "direct"),
    [
        ("localhost", 443, (), True),
        ("127.0.0.1", 443, (), True),
        ("::1", 443, (), True),
        ("psc.example", 443, (), False),
        ("psc.example", 443, ("psc.example",), True),
        ("PSC.example.", 443, ("psc.EXAMPLE",), True),
        ("psc.example", 443, (".example",), True),
        ("psc.example", 443, ("*.example",), True),
        ("psc.example", 443, ("example",), True),
        ("notexample", 443, ("example",), False),
        ("psc.example.org", 443, (".example",), False),
        ("psc.example", 443, ("psc.example:443",), True),
        ("psc.example", 8443, ("psc.example:443",), False),
        ("10.1.2.3", 443, ("10.0.0.0/8",), True),
        ("11.1.2.3", 443, ("10.0.0.0/8",), False),
        ("2001:db8::1", 443, ("2001:db8::/32",), True),
        ("2001:db8::1", 443, ("[2001:db8::1]:443",), True),
        ("psc.example", 443, ("*",), True),
        ("psc.example", 443, ("", "."), False),
    ],
)
async def test_what_is_reached_without_the_proxy(host: str, port: int, listed: tuple[str, ...], direct: bool) -> None:
    found = await Outward("http://proxy.example:3128", no_proxy=listed).proxy_to("https", host, port)
    assert (found is None) is direct


@pytest.mark.parametrize(
    ("answer", "ends", "trouble"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", True, "refused"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", True, "credentials"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", True, "refused"),
        (b"", True, "refused"),
        (b"SSH-2.0-x\r\n\r\n", True, "refused"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03", False, "refused"),  # it speaks before we did
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10000, False, "refused"),
        (b"HTTP/1.1 200", False, "unreachable"),  # and no more
    ],
    ids=["403", "407", "502", "nothing", "no http", "early", "endless", "half"],
)
async def test_a_proxy_that_says_anything_else_leads_nowhere(answer: bytes, ends: bool, trouble: str) -> None:
    async with saying(answer, ends=ends) as url:
        proxy = Proxy("127.0.0.1", int(url.rpartition(":")[2]))
        with pytest.raises(ProxyFault) as fault:
            await open_tunnel(proxy, "psc.example", 443, limit=0.5)
        assert fault.value.trouble == trouble
        http = HttpClient(Limits(total=0.5), outward=Outward(url))
        with pytest.raises(HttpFault) as refused:
            await http.request("GET", "https://psc.example")
        await http.close()
        assert refused.value.is_away or refused.value.why is Why.REFUSED_US


async def test_a_proxy_that_says_nothing_is_told_where_the_card_is_shown(site: Site) -> None:
    async with saying(b"HTTP/1.1 200", ends=False) as url:
        with pytest.raises(UpstreamUnreachable) as away:
            await by_key(site, through(url, site), patience=0.2)
    assert away.value.params["why"] == "proxy_unreachable"


async def test_a_proxy_that_is_down_is_told(site: Site) -> None:
    outward = through(f"http://127.0.0.1:{free_port()}", site)
    with pytest.raises(HttpFault) as refused:
        await by_client(site, outward)
    assert (refused.value.why, refused.value.about) == (Why.PROXY, "unreachable")
    with pytest.raises(UpstreamUnreachable) as unreached:
        await by_key(site, outward)
    assert unreached.value.why == "proxy_unreachable"
    with pytest.raises(TimestampUnavailable):
        await by_timestamps(site, outward)


@pytest.mark.parametrize("is_proxied", [True, False])
async def test_a_network_that_the_unit_closes_is_told_as_such_with_a_proxy_and_without(
    site: Site, is_proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(*_: object, **__: object) -> socket.socket:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", denied)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", denied)
    outward = Outward("http://proxy.example:3128" if is_proxied else None, authorities=site.authorities)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    with pytest.raises(HttpFault) as refused:
        await by_client(site, outward)
    assert refused.value.why is Why.BLOCKED
    with pytest.raises(UpstreamUnreachable) as unreached:
        await by_key(site, outward)
    assert (unreached.value.why, "network.conf" in unreached.value.told("fr").detail) == ("blocked", True)


async def resolved(*_: object, **__: object) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (ELSEWHERE, 1))]


async def test_a_user_of_the_configuration_serves_a_proxy_of_the_environment_too(
    site: Site, tinyproxy: Tinyproxy
) -> None:
    secrets = MemorySecrets()
    secrets.values[SECRET] = PASSWORD.encode()
    told, before = {"https_proxy": f"127.0.0.1:{tinyproxy.port}"}, len(tinyproxy.seen)
    outward = Outward(
        "environment",
        user=USER,
        password=partial(secrets.get, SECRET),
        authorities=site.authorities,
        environment=told,
    )
    await by_client(site, outward)
    await eventually(lambda: len(tinyproxy.seen) > before)


async def test_an_address_of_this_machine_in_a_certificate_is_asked_of_no_proxy_either(tinyproxy: Tinyproxy) -> None:
    before = len(tinyproxy.seen)
    http = HttpClient(refuses_local=True, outward=through(tinyproxy.url))
    for host in ("localhost", "a.localhost", "LOCALHOST.", "127.0.0.1", ELSEWHERE, "[::1]", "169.254.169.254"):
        with pytest.raises(HttpFault) as refused:
            await http.request("GET", f"http://{host}:80/crl")
        assert refused.value.why is Why.NOT_ASKED
    await http.close()
    assert len(tinyproxy.seen) == before


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "fe80::1%1"])
async def test_a_name_that_leads_to_this_machine_is_not_asked(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (address, 80, 0, 0) if ":" in address else (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    http = HttpClient(refuses_local=True)
    with pytest.raises(HttpFault):
        await http.request("GET", "http://crl.example/crl")
    await http.close()


async def test_an_address_that_is_none_is_not_asked() -> None:
    http = HttpClient()
    with pytest.raises(HttpFault) as refused:
        await http.request("GET", "http://[::1/crl")
    assert refused.value.why is Why.NOT_ASKED
    await http.close()


@pytest.mark.parametrize("way", [by_client, by_key])
async def test_the_network_s_authorities_are_trusted_besides_the_system_s(
    site: Site, way: Callable[[Site, Outward], Awaitable[None]]
) -> None:
    await way(site, Outward(authorities=site.authorities))
    with pytest.raises((HttpFault, UpstreamUntrusted)):
        await way(site, DIRECT)
    assert len(site.heard) == 1


async def test_the_system_s_authorities_are_those_of_the_first_request(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HttpFault) as refused:
        await by_client(site, DIRECT)
    assert refused.value.why is Why.UNTRUSTED
    monkeypatch.setenv("SSL_CERT_FILE", str(site.authorities))
    await by_client(site, DIRECT)
    assert len(site.heard) == 1


def test_a_file_of_authorities_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        Outward(authorities=tmp_path / "none.pem").trusted()
