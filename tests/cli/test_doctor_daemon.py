"""Doctor on what only the daemon can tell: Pro Santé Connect, codes of support; each failure is made."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.cli.doctor.check import Level
from cardd.cli.doctor.surroundings import Surroundings
from cardd.config import Config, Support
from tests.api.ecps import Place, workbench_at
from tests.api.test_ecps_check import NoKeyring, started
from tests.api.workbench import Workbench
from tests.cli.breakages.making import child
from tests.cli.doctor import code, configured, result
from tests.cli.station import User
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.pki import Authority
from tests.rig.ports import free_port


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(Authority()) as made:
        yield made


@pytest_asyncio.fixture
async def desk(provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Workbench]:
    assert provider.authority
    async with started(workbench_at(Place(provider.issuer, provider.authority), tmp_path, CLIENT)) as api:
        yield api


def at(desk: Workbench, language: str = "fr") -> Surroundings:
    return Surroundings(base=Path(desk.path), language=language)


async def test_pro_sante_connect_is_fine(desk: Workbench) -> None:
    assert await code("psc", at(desk)) == "psc.ok"


async def test_without_a_keyring_it_is_fine_and_sessions_end_with_the_service(desk: Workbench) -> None:
    secrets = NoKeyring()
    secrets.values = desk.secrets.values
    desk.secrets.now = secrets
    found = await result("psc", at(desk))
    assert (found.level, found.code) == (Level.OK, "psc.not_kept")


async def test_a_provider_that_does_not_answer_is_named(desk: Workbench, provider: FakeProvider) -> None:
    await provider.__aexit__(None, None, None)
    found = await result("psc", at(desk))
    assert found.code == "psc.unavailable"
    assert "127.0.0.1" in found.sentence("fr")


@pytest.mark.parametrize(("language", "word"), [("fr", "Ce poste"), ("en", "This workstation")])
async def test_a_secret_that_is_missing_is_named_in_the_users_language(
    desk: Workbench, language: str, word: str
) -> None:
    del desk.secrets.values["psc-client-secret"]
    found = await result("psc", at(desk, language))
    assert (found.level, found.code) == (Level.FAILURE, "psc.incomplete")
    assert word in found.sentence(language)
    assert "psc-client-secret" in found.sentence(language)


async def test_clocks_that_differ_are_a_failure(desk: Workbench, provider: FakeProvider) -> None:
    provider.date = format_datetime(datetime.now(UTC) - timedelta(minutes=5), usegmt=True)
    found = await result("psc", at(desk))
    assert (found.level, found.code) == (Level.FAILURE, "psc.clock")
    assert 290 < int(found.params["seconds"]) < 310


async def test_a_service_without_login_by_mobile_is_a_warning(desk: Workbench, provider: FakeProvider) -> None:
    provider.discovery["backchannel_authentication_endpoint"] = None
    assert await code("psc", at(desk)) == "psc.no_ciba"


async def test_where_neither_is_wanted_both_are_skipped(tmp_path: Path) -> None:
    async with started(Workbench(tmp_path)) as api:
        assert await code("psc", at(api)) == "skipped.no_psc"
        assert await code("support", at(api)) == "skipped.no_support"
        over_tcp = Surroundings(base=f"http://127.0.0.1:{api.port}")
        assert await code("psc", over_tcp) == "skipped.no_socket"
    assert await code("psc", at(api)) == "skipped.no_daemon"


async def test_codes_of_support_that_nobody_can_give_are_a_warning(tmp_path: Path) -> None:
    async with started(Workbench(tmp_path, Config(support=Support(totp=True)))) as api:
        assert await code("support", at(api)) == "support.not_enrolled"
        api.secrets.values["support-totp"] = b"A" * 32
        assert await code("support", at(api)) == "support.ok"
        for _ in range(5):
            await api.call("DELETE", "/v1/support/enrolment", via="unix", headers={"Cardd-Support-Code": "000000"})
        found = await result("support", at(api))
        assert (found.level, found.code) == (Level.WARNING, "support.locked")


def test_without_a_daemon_they_are_no_failures(stranger: User) -> None:
    ran = stranger.run("doctor", "psc", "support", "--socket", stranger.home / "none")
    assert ran.status == 0


@pytest.mark.parametrize(
    ("days", "level", "found"),
    [
        (0, Level.OK, "https.ok"),
        (80, Level.WARNING, "https.ending"),
        (91, Level.FAILURE, "https.expired"),
        (-2, Level.FAILURE, "https.not_yet_valid"),
    ],
)
async def test_the_certificate_of_https_is_told_before_it_ends(
    over_https: Workbench, days: int, level: Level, found: str
) -> None:
    later = datetime.now(UTC) + timedelta(days=days)
    surroundings = configured(over_https.directory, f"[listen]\nhttps = {over_https.port}\n")
    surroundings.now = lambda: later
    told = await result("https", surroundings)
    assert (told.level, told.code) == (level, found)


async def test_https_that_does_not_answer_is_a_failure_and_one_that_is_off_is_none(tmp_path: Path) -> None:
    assert await code("https", configured(tmp_path, f"[listen]\nhttps = {free_port()}\n")) == "https.unanswered"
    assert await code("https", configured(tmp_path, "")) == "skipped.no_https"


@pytest_asyncio.fixture
async def over_https(tmp_path: Path) -> AsyncIterator[Workbench]:
    async with started(Workbench(tmp_path, over_tls=True)) as api:
        yield api


LIAR = """
import http.server, json, sys
class Liar(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"name": "cardd", "version": "0.2.0", "state": "ready"}')
server = http.server.HTTPServer((sys.argv[2], int(sys.argv[1])), Liar)
print(1, flush=True)
server.serve_forever()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
async def test_another_user_who_answers_as_cardd_has_taken_the_port(address: str, tmp_path: Path) -> None:
    port, other = free_port(), ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with child(*other, "/usr/bin/python3", "-c", LIAR, str(port), address) as liar:
        try:
            found = await result("port", configured(tmp_path, f"[listen]\ntcp = {port}\nsocket = '{tmp_path}/none'\n"))
        finally:
            liar.kill()
    assert found.code == "port.taken"
    assert f"({liar.pid})" in found.sentence("fr")
