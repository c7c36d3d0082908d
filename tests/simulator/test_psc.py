"""``cardctl simulate psc``: cardd's own client logs in there, by mobile and in the browser; who cheats is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import ssl
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import jwt
import pytest

from cardd.errors import InvalidRequest, PscClientRefused, PscDenied, PscLoginHintUnknown, PscSessionOver
from cardd.formats.saml.checks import is_luhn
from cardd.oidc import ciba, renewal
from cardd.oidc.client_auth import SecretBasic, SecretPost
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.provider import Provider
from cardd.oidc.tokens import Token
from cardd.system.host import SystemClock
from cardd_simulators.psc.people import people_of
from tests.rig.oidc.renewing import refreshed, resumed
from tests.rig.openssl import run
from tests.rig.psc_simulator import CLIENT, SECRET, PscSimulator

ALICE, CLAIRE = "899700000005", "899700000013"


@pytest.mark.parametrize("number", people_of(None))
def test_everybody_has_a_number_that_an_assertion_takes(number: str) -> None:
    assert number.startswith("8")
    assert is_luhn(number[1:])


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PscSimulator]:
    running = PscSimulator(tmp_path_factory.mktemp("psc"))
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def tls(simulator: PscSimulator) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(simulator.authorities))


@pytest.fixture
async def browser(tls: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield session


@pytest.fixture
async def service(simulator: PscSimulator, tls: ssl.SSLContext) -> AsyncIterator[Provider]:
    settings = ProviderSettings(issuer=simulator.issuer, client_id=CLIENT)
    provider = Provider(settings, SecretBasic(CLIENT, Token(SECRET)), SystemClock(), tls)
    yield provider
    await provider.close()


async def test_approved_by_the_command_it_is_a_login_with_situations(
    simulator: PscSimulator, service: Provider
) -> None:
    pending = await ciba.start(service, CLAIRE)
    told = await asyncio.to_thread(simulator.tell, "approve")
    assert (told.returncode, pending.binding_message in told.stdout, CLAIRE in told.stdout) == (0, True, True)
    login = await pending.finish()
    assert login.person.identity.national_id == CLAIRE
    assert [situation.id for situation in login.person.situations] == ["1.1", "1.2", "2.1"]
    assert login.person.auth_mode == "MOBILE"


@pytest.mark.parametrize(
    ("payload", "subject"),
    [("2026", r"[0-9a-f-]{36}"), ("2023", rf"f:[0-9a-f-]{{36}}:{ALICE}")],
    ids=["2026", "2023"],
)
async def test_the_simulated_psc_speaks_as_psc_did_in_either_year(tmp_path: Path, payload: str, subject: str) -> None:
    running = PscSimulator(tmp_path)
    await asyncio.to_thread(running.start, "--auto", "approve", "--set", f"payload={payload}")
    try:
        settings = ProviderSettings(issuer=running.issuer, client_id=CLIENT)
        trusted = ssl.create_default_context(cafile=str(running.authorities))
        provider = Provider(settings, SecretBasic(CLIENT, Token(SECRET)), SystemClock(), trusted)
        login = await (await ciba.start(provider, ALICE)).finish()
        bearer = {"Authorization": f"Bearer {login.tokens.access.reveal()}"}
        address = f"{running.issuer}/protocol/openid-connect/userinfo"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as http:
            told = await (await http.get(address, headers=bearer)).json()
        await provider.close()
    finally:
        await asyncio.to_thread(running.stop)
    assert login.person.identity.national_id == ALICE
    assert re.fullmatch(subject, login.person.subject)
    assert (told.get("sid"), "PSISubjectNameID" in told) == (
        (login.id_token.sid, True) if payload == "2026" else (None, False)
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--set", "payload=2019"), "2026, 2023"),
        (("--set", "colour=blue"), "payload=…"),
        (("--auto", "sometimes"), "approve, deny, ignore"),
    ],
    ids=str,
)
def test_a_choice_that_it_does_not_know_is_told(simulator: PscSimulator, options: tuple[str, str], wanted: str) -> None:
    told = simulator.tell(*options)
    assert (told.returncode, wanted in told.stderr) == (2, True)


async def test_denied_on_the_page_it_is_none(
    simulator: PscSimulator, service: Provider, browser: aiohttp.ClientSession
) -> None:
    pending = await ciba.start(service, ALICE)
    page = await (await browser.get(f"{simulator.base}/mobile")).text()
    assert f"<b>{pending.binding_message}</b>" in page
    assert 'http-equiv="refresh"' in page  # whoever has it open sees the next request by itself
    form = dict(re.findall(r'name="(request|proof)" value="([^"]*)"', page))
    forged = await browser.post(f"{simulator.base}/mobile", data={**form, "proof": "x", "answer": "approve"})
    assert forged.status == 403
    unknown = await browser.post(f"{simulator.base}/mobile", data={**form, "answer": "perhaps"})
    assert unknown.status == 404
    await browser.post(f"{simulator.base}/mobile", data={**form, "answer": "deny"})
    with pytest.raises(PscDenied):
        await pending.finish()


async def test_a_request_that_is_ignored_stays_open(simulator: PscSimulator, service: Provider) -> None:
    pending = await ciba.start(service, ALICE)
    waiting = asyncio.create_task(pending.finish())
    assert (await asyncio.to_thread(simulator.tell, "ignore")).returncode == 0
    done, _ = await asyncio.wait([waiting], timeout=3)
    assert done == set()
    waiting.cancel()


async def test_a_login_is_renewed_exchanged_and_ended(
    simulator: PscSimulator, service: Provider, browser: aiohttp.ClientSession
) -> None:
    pending = await ciba.start(service, ALICE)
    await asyncio.to_thread(simulator.tell, "approve")
    login = await pending.finish()
    asked = {"Accept": "application/jwt", "Authorization": f"Bearer {login.tokens.access.reveal()}"}
    told = await browser.get(f"{simulator.issuer}/protocol/openid-connect/userinfo", headers=asked)
    assert jwt.decode(await told.text(), options={"verify_signature": False})["SubjectNameID"] == ALICE
    fresh = await refreshed(service, login)
    assert fresh.access.reveal() != login.tokens.access.reveal()
    api = await renewal.exchange(service, fresh.access, audience="https://api.example")
    assert api.access.reveal() != fresh.access.reveal()
    assert await service.log_out(fresh)
    assert fresh.refresh
    with pytest.raises(PscSessionOver):
        await resumed(service, fresh.refresh, ALICE)


async def test_a_person_that_it_does_not_know_is_told(service: Provider) -> None:
    with pytest.raises(PscLoginHintUnknown):
        await ciba.start(service, "899700009999")


@pytest.mark.parametrize("way", [SecretBasic, SecretPost])
async def test_a_service_with_another_secret_is_refused(
    simulator: PscSimulator, tls: ssl.SSLContext, way: type[SecretBasic | SecretPost]
) -> None:
    settings = ProviderSettings(issuer=simulator.issuer, client_id=CLIENT)
    provider = Provider(settings, way(CLIENT, Token("another")), SystemClock(), tls)
    with pytest.raises(PscClientRefused):
        await ciba.start(provider, ALICE)
    await provider.close()


VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


ASKED = {"client_id": CLIENT, "response_type": "code", "scope": "openid scope_all", "code_challenge": CHALLENGE,
         "code_challenge_method": "S256", "state": "s", "redirect_uri": "http://127.0.0.1:1/callback"}  # fmt: skip


async def code_of(simulator: PscSimulator, browser: aiohttp.ClientSession) -> dict[str, str]:
    """What a service redeems, once somebody chose their name on the page."""
    asked = ASKED
    page = await (await browser.get(f"{simulator.base}/auth", params=asked)).text()
    form = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page))
    assert f'value="{CLAIRE}"' in page
    pressed = await browser.post(f"{simulator.base}/auth", data={**form, "person": CLAIRE}, allow_redirects=False)
    code = re.search(r"state=s&.*code=([^&]*)", pressed.headers["Location"])
    assert code
    return {"grant_type": "authorization_code", "code": code[1], "code_verifier": VERIFIER,
            "redirect_uri": asked["redirect_uri"], "client_id": CLIENT, "client_secret": SECRET}  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"scope": "scope_all"}, {"scope": "openid all"}, {"response_type": "token"}, {"client_id": "another"},
              {"code_challenge_method": "plain"}]
)  # fmt: skip
async def test_a_page_that_is_asked_for_wrongly_says_what_it_wants(
    simulator: PscSimulator, browser: aiohttp.ClientSession, wrong: dict[str, str]
) -> None:
    got = await browser.get(f"{simulator.base}/auth", params={**ASKED, **wrong})
    assert (got.status, "scope=openid scope_all" in await got.text()) == (400, True)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"scope": "scope_all"}, "invalid_scope"),
        ({"scope": "openid all"}, "invalid_scope"),
        ({"channel": "PIGEON"}, "invalid_request"),
        ({"binding_message": "7"}, "invalid_binding_message"),
    ],
)
async def test_a_mobile_that_is_asked_for_wrongly_is_not_woken(
    simulator: PscSimulator, browser: aiohttp.ClientSession, wrong: dict[str, str], error: str
) -> None:
    right = {"scope": "openid scope_all", "login_hint": ALICE, "binding_message": "42", "client_id": CLIENT,
             "client_secret": SECRET}  # fmt: skip
    address = f"{simulator.issuer}/protocol/openid-connect/ext/ciba/auth"
    got = await browser.post(address, data={**right, **wrong})
    assert (got.status, (await got.json())["error"]) == (400, error)


async def test_a_code_of_the_browser_serves_once(simulator: PscSimulator, browser: aiohttp.ClientSession) -> None:
    token = f"{simulator.issuer}/protocol/openid-connect/token"
    form = await code_of(simulator, browser)
    assert (await browser.post(token, data=form)).status == 200
    again = await browser.post(token, data=form)
    assert (again.status, (await again.json())["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("wrong", [{"code_verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:2/callback"}])
async def test_a_code_with_another_proof_is_refused(
    simulator: PscSimulator, browser: aiohttp.ClientSession, wrong: dict[str, str]
) -> None:
    form = {**await code_of(simulator, browser), **wrong}
    answer = await browser.post(f"{simulator.issuer}/protocol/openid-connect/token", data=form)
    assert (answer.status, (await answer.json())["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("redirect", ["http://127.0.0.1:1@evil.example/cb", "https://evil.example/", "javascript:x"])
async def test_nobody_is_sent_elsewhere_than_to_this_machine(
    simulator: PscSimulator, browser: aiohttp.ClientSession, redirect: str
) -> None:
    form = {"redirect_uri": redirect, "person": ALICE}
    pressed = await browser.post(f"{simulator.base}/auth", data=form, allow_redirects=False)
    assert (pressed.status, "Location" in pressed.headers) == (400, False)


async def test_letters_that_no_secret_has_are_refused_like_any_other(
    simulator: PscSimulator, browser: aiohttp.ClientSession
) -> None:
    for url in (f"{simulator.issuer}/protocol/openid-connect/token", f"{simulator.base}/mobile"):
        answer = await browser.post(url, data={"client_id": "é", "client_secret": "é", "proof": "é"})
        assert answer.status in (401, 403)


def test_the_certificate_of_the_simulated_psc_holds_strictly(simulator: PscSimulator) -> None:
    judged = run("verify", "-x509_strict", "-CAfile", simulator.authorities, simulator.state / "server.pem")
    assert judged.endswith("OK\n")


def test_a_second_one_on_the_same_port_leaves_the_first_alone(simulator: PscSimulator) -> None:
    command = simulator.command("--port", str(simulator.port))
    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert str(simulator.port) in second.stderr
    assert "Nothing waits" in simulator.tell("approve", "9999").stderr


@pytest.mark.parametrize(
    ("path", "header", "grant", "told"),
    [
        ("token", "", "password", (400, "unsupported_grant_type")),
        ("token", "Basic é", "", (401, "invalid_client")),
        ("userinfo", "Basic x", "", (401, "invalid_token")),
    ],
    ids=["grant", "client", "token"],
)
async def test_what_oauth_does_not_know_is_refused_as_oauth_does(
    simulator: PscSimulator, path: str, header: str, grant: str, told: tuple[int, str]
) -> None:
    tls = ssl.create_default_context(cafile=str(simulator.state / "authority.pem"))
    form = {"client_id": CLIENT, "client_secret": SECRET, "grant_type": grant}
    address = f"{simulator.issuer}/protocol/openid-connect/{path}"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as program,
        program.post(address, data=form, headers={"Authorization": header} if header else {}) as got,
    ):
        assert (got.status, (await got.json())["error"]) == told


async def test_whoever_chooses_nobody_on_the_page_is_denied(
    simulator: PscSimulator, browser: aiohttp.ClientSession
) -> None:
    asked = {**ASKED, "person": ""}
    pressed = await browser.post(f"{simulator.base}/auth", data=asked, allow_redirects=False)
    assert "error=access_denied" in pressed.headers["Location"]


async def test_the_mobile_takes_no_order_without_the_commands_token(
    simulator: PscSimulator, browser: aiohttp.ClientSession
) -> None:
    ordered = await browser.post(f"{simulator.base}/mobile/approve", headers={"Authorization": "Bearer x"})
    assert ordered.status == 403


async def test_a_page_by_another_name_reaches_nothing(simulator: PscSimulator, browser: aiohttp.ClientSession) -> None:
    answer = await browser.get(f"{simulator.base}/mobile", headers={"Host": "evil.example"})
    assert answer.status == 403


def test_the_keys_and_the_commands_token_are_for_their_user_only(simulator: PscSimulator) -> None:
    for name in ("server.pem", "signing.pem", "control.json"):
        assert stat.S_IMODE((simulator.state / name).stat().st_mode) == 0o600


def test_an_order_where_nothing_waits_says_so(simulator: PscSimulator) -> None:
    told = simulator.tell("approve", "9999")
    assert (told.returncode, "Nothing waits" in told.stderr) == (2, True)
    assert simulator.tell("approve", "the-first").returncode == 2
    assert "expected approve, deny, ignore" in simulator.tell("later").stderr


def test_an_order_without_a_sandbox_says_so(tmp_path: Path) -> None:
    told = PscSimulator(tmp_path).tell("approve")
    assert (told.returncode, "This simulated server does not run" in told.stderr) == (3, True)
    assert "cardd.socket" not in told.stderr  # which would not help


async def test_each_request_to_the_mobile_is_told_where_the_sandbox_runs(tmp_path: Path) -> None:
    simulator = PscSimulator(tmp_path)
    simulator.start("--json")
    told = json.loads(simulator.said)
    assert (told["event"], told["values"]["issuer"], told["values"]["secret"]) == (
        "listening",
        simulator.issuer,
        SECRET,
    )
    assert told["values"]["people"][ALICE] == "ALICE"
    settings = ProviderSettings(issuer=simulator.issuer, client_id=CLIENT)
    tls = ssl.create_default_context(cafile=told["values"]["authorities"])
    provider = Provider(settings, SecretBasic(CLIENT, Token(SECRET)), SystemClock(), tls)
    pending = await ciba.start(provider, ALICE)
    asked = json.loads(await asyncio.to_thread(simulator.next_line))
    assert asked == {
        "event": "request",
        "values": {"request": 1, "person": ALICE, "digits": pending.binding_message},
    }
    await provider.close()
    assert simulator.stop() == 0


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("people", "people.toml"),
        ("people = 1", "people.people"),
        ("[[people]]", "national_id"),
        ('[[people]]\nnational_id = "899700000039"\ngiven_name = "EMMA"\npsi = "7"\n', "psi"),
    ],
)
def test_people_that_will_not_do_are_refused(tmp_path: Path, told: str, where: str) -> None:
    (tmp_path / "people.toml").write_text(told)
    with pytest.raises(InvalidRequest) as refused:
        people_of(tmp_path / "people.toml", "2026")
    assert where in str(refused.value.params["where"])


def test_people_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text('[[people]]\nnational_id = "899700000039"\ngiven_name = "EMMA"\n')
    simulator = PscSimulator(tmp_path)
    simulator.start("--people", str(tmp_path / "people.toml"), "--auto", "approve")
    assert "EMMA 899700000039" in simulator.said
    simulator.stop()
