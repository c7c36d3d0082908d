"""Rule 5: Host and Origin are compared exactly, and refused before anything else is looked at."""

from __future__ import annotations

import pytest

from tests.api.requests import UPGRADE, header_of, request, status_of, without_date
from tests.api.workbench import ALLOWED, DEVELOPMENT_PAGE, PAGE, PAGE_WITH_PORT, Workbench

REFUSED_ORIGINS = [
    "null",
    "",
    "*",
    "https://webps.example.evil.test",  # suffix
    "https://evil-webps.example",  # prefix
    "https://evil.webps.example",  # subdomain
    "https://webps.example.",  # trailing dot
    "https://webps.example:443",  # the default port, which no browser writes
    "https://webps.example:8443",
    "https://autre.example",
    "https://autre.example:8444",
    "https://autre.example:08443",
    "http://webps.example",  # scheme
    "wss://webps.example",
    "HTTPS://webps.example",  # case
    "https://WEBPS.example",
    "https://webps.example/",  # path
    "https://webps.example/path",
    "https://webps.example?",
    "https://webps.example#",
    "https://user@webps.example",  # userinfo
    "https://webps.example@evil.test",
    "https://webps.example%00.evil.test",
    "https://webps.example\\.evil.test",
    "https://wébps.example",  # IDN, and its punycode
    "https://xn--wbps-bpa.example",
    "https://webps.еxample",  # a Cyrillic е
    "https://webps example",
    "https://webps.example https://evil.test",
    "https://webps.example, https://evil.test",
    "https://evil.test, https://webps.example",
    "webps.example",
    "//webps.example",
    "file://",
    "file:///home/user/page.html",
    "data:",
    "blob:https://webps.example/1234",
    "about:blank",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://00000000-0000-0000-0000-000000000000",
    "http://localhost",
    "http://localhost:5174",
    "http://127.0.0.1:5173",
    "https://localhost:5173",
    "http://[::1]:5173",
    "https://evil.test",
]

REFUSED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "localhost:{other}",
    "127.0.0.1:{other}",
    "127.0.0.1:0{port}",
    "::1:{port}",
    "[::]:{port}",
    "[0:0:0:0:0:0:0:1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[::1%25lo]:{port}",
    "0.0.0.0:{port}",
    "127.0.0.2:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "0x7f000001:{port}",
    "017700000001:{port}",
    "LOCALHOST:{port}",
    "localhost.:{port}",
    "localhost.evil.test:{port}",
    "evil.test:{port}",
    "evil.test",
    "localhost:{port}.evil.test",
    "localhost:{port}@evil.test",
    "user@localhost:{port}",
    "localhost:{port}, evil.test",
    "localhost:{port}/",
    "127.0.0.1.nip.io:{port}",
    "cardd",
    "",
]

FETCHED_OTHERWISE = [
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},  # and no Origin
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},  # a Firefox extension
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "script", "Origin": PAGE},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty", "Origin": PAGE},
    {"Sec-Fetch-Site": "unheard-of", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": PAGE},
    {"Sec-Fetch-Mode": "cors", "Origin": PAGE},
    {"Sec-Fetch-Dest": "image"},
]


def host(api: Workbench) -> str:
    return f"Host: localhost:{api.port}"


@pytest.fixture
async def refusal(api: Workbench) -> bytes:
    """What a foreign page gets, whatever it asks for."""
    answer = without_date(await api.raw(request("/v1/status", host(api), "Origin: https://evil.test")))
    assert status_of(answer) == 403
    return answer


def test_the_tables_are_as_long_as_promised() -> None:
    assert len(set(REFUSED_ORIGINS)) + len(set(REFUSED_HOSTS)) >= 70


@pytest.mark.parametrize("origin", REFUSED_ORIGINS)
async def test_a_foreign_origin_gets_the_terse_refusal(api: Workbench, refusal: bytes, origin: str) -> None:
    for extra in ((), UPGRADE):
        answer = await api.raw(request("/v1/status", host(api), f"Origin: {origin}", *extra))
        assert without_date(answer) == refusal
    answer = await api.raw(request("/v1/events", host(api), f"Origin: {origin}", *UPGRADE))
    assert without_date(answer) == refusal


@pytest.mark.parametrize("name", REFUSED_HOSTS)
async def test_a_foreign_host_gets_the_terse_refusal(api: Workbench, refusal: bytes, name: str) -> None:
    sent = f"Host: {name.format(port=api.port, other=api.port + 1)}"
    for target, extra in (("/v1/status", ()), ("/v1/events", UPGRADE), ("/v1/status", (f"Origin: {PAGE}",))):
        assert without_date(await api.raw(request(target, sent, *extra))) == refusal


@pytest.mark.parametrize("sent", FETCHED_OTHERWISE)
async def test_what_no_script_fetched_gets_the_terse_refusal(
    api: Workbench, refusal: bytes, sent: dict[str, str]
) -> None:
    headers = [f"{name}: {value}" for name, value in sent.items()]
    assert without_date(await api.raw(request("/v1/status", host(api), *headers))) == refusal


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/openapi.json"),
        ("GET", "/v1/cards"),
        ("GET", "/nowhere"),
        ("POST", "/v1/clients"),
        ("DELETE", "/v1/sessions/1"),
        ("OPTIONS", "/v1/clients"),
        ("OPTIONS", "*"),
        ("PUT", "/v1/status"),
        ("TRACE", "/"),
    ],
)
async def test_the_refusal_is_the_same_for_every_call(api: Workbench, refusal: bytes, method: str, target: str) -> None:
    answer = await api.raw(request(target, host(api), "Origin: https://evil.test", method=method))
    assert without_date(answer) == refusal


async def test_the_refusal_names_nothing(refusal: bytes) -> None:
    lowered = refusal.lower()
    assert b"cardd" not in lowered
    assert b"access-control" not in lowered
    assert b"aiohttp" not in lowered
    assert b"python" not in lowered


async def test_two_hosts_or_two_origins_or_none_are_refused(api: Workbench, refusal: bytes) -> None:
    cases = [
        (host(api), "Host: evil.test"),
        (host(api), f"Origin: {PAGE}", "Origin: https://evil.test"),
        (host(api), f"Origin: {PAGE}", f"Origin: {PAGE}"),
        (),
    ]
    for headers in cases:
        answer = await api.raw(request("/v1/status", *headers))
        # a request without Host, or with two, may already be none for the parser
        assert without_date(answer) == refusal or status_of(answer) == 400


async def test_an_absolute_target_does_not_stand_for_the_host(api: Workbench, refusal: bytes) -> None:
    answer = await api.raw(request(f"http://localhost:{api.port}/v1/status", "Host: evil.test"))
    assert without_date(answer) == refusal


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("origin", [None, *sorted(ALLOWED)])
async def test_own_hosts_and_allowed_origins_are_served(api: Workbench, name: str, origin: str | None) -> None:
    headers = [f"Host: {name}:{api.port}", *([f"Origin: {origin}"] if origin else [])]
    answer = await api.raw(request("/v1/status", *headers))
    assert status_of(answer) == 200
    assert header_of(answer, "Access-Control-Allow-Origin") == origin


@pytest.mark.parametrize("origin", [PAGE, PAGE_WITH_PORT, DEVELOPMENT_PAGE])
async def test_a_page_is_told_on_every_answer_that_it_may_read_it(api: Workbench, origin: str) -> None:
    asked = [
        await api.call("GET", "/v1/status", headers={"Origin": origin}),
        await api.call("GET", "/v1/cards", headers={"Origin": origin}),
        await api.call("GET", "/nowhere", headers={"Origin": origin}),
        await api.call("PUT", "/v1/status", headers={"Origin": origin}),
        await api.call("GET", "/v1/clients", headers={"Origin": origin}),  # for cardctl only
        await api.call("GET", "/v1/sessions/1", headers={"Origin": origin}),
        await api.call("POST", "/v1/sessions", b"{", headers={"Origin": origin}),
    ]
    assert [got.status for got in asked] == [200, 200, 404, 405, 403, 401, 400]
    for got in asked:
        assert got.headers.getall("Access-Control-Allow-Origin") == [origin]
        assert got.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in got.headers
        assert "Access-Control-Allow-Private-Network" not in got.headers


async def test_a_preflight_is_answered_for_allowed_pages_only(api: Workbench) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        "Access-Control-Request-Private-Network": "true",
    }
    got = await api.call("OPTIONS", "/v1/sessions", headers=asked)
    assert got.status == 204
    assert got.headers["Access-Control-Allow-Origin"] == PAGE
    assert got.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert {"Idempotency-Key", "SOAPAction"} <= set(got.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Private-Network" not in got.headers
    assert (await api.call("OPTIONS", "/v1/sessions")).status == 405


async def test_what_a_browser_sends_for_an_allowed_page_passes(api: Workbench) -> None:
    for mode, destination in (("cors", "empty"), ("websocket", "websocket"), ("websocket", "empty")):
        sent = {
            "Origin": PAGE,
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": mode,
            "Sec-Fetch-Dest": destination,
        }
        assert (await api.call("GET", "/v1/status", headers=sent)).status == 200


async def test_a_program_whose_library_tells_a_fetch_mode_is_no_page(api: Workbench) -> None:
    answer = await api.raw(request("/v1/status", host(api), "Sec-Fetch-Mode: cors"))  # as Node's own fetch does
    assert answer.startswith(b"HTTP/1.1 200")


async def test_the_unix_socket_knows_its_own_names_and_no_page(api: Workbench) -> None:
    assert (await api.call("GET", "/v1/status", via="unix", headers={"Host": "cardd"})).status == 200
    refused = [
        await api.call("GET", "/v1/status", via="unix", headers={"Host": f"localhost:{api.port}"}),
        await api.call("GET", "/v1/status", via="unix", headers={"Host": "evil.test"}),
        await api.call("GET", "/v1/status", via="unix", headers={"Origin": PAGE}),
    ]
    assert [got.status for got in refused] == [403, 403, 403]
    assert {got.raw for got in refused} == {refused[0].raw}


async def test_a_peer_that_nobody_can_tell_gets_the_terse_refusal(api: Workbench, refusal: bytes) -> None:
    api.uid = None
    assert without_date(await api.raw(request("/v1/status", host(api)))) == refusal


async def test_an_image_or_a_script_of_a_page_fails_as_if_nobody_listened(api: Workbench, refusal: bytes) -> None:
    assert header_of(refusal, "Cross-Origin-Resource-Policy") == "same-origin"
    not_http = await api.raw("x\r\n\r\n")
    assert header_of(not_http, "Cross-Origin-Resource-Policy") == "same-origin"
