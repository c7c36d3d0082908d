"""Whether a login by e-CPS could begin: what is missing is told by its name, and nobody's mobile is woken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from cardd.config import Config, Psc
from cardd.errors import SecretStoreUnavailable
from cardd.secret import Secret
from tests.api.ecps import LOGIN, Place, pair, workbench_at
from tests.api.workbench import Got, Workbench
from tests.rig.memory import MemorySecrets, RunningClock
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.pki import ORGANISATION, Authority
from tests.rig.oidc.proxy_lps import ProxyLps

CHECK = "/v1/methods/ecps/check"


class NoKeyring(MemorySecrets):
    """Credentials of systemd only."""

    asked = 0
    why = "keyring.backends.fail.Keyring"

    async def get(self, name: str) -> Secret | None:
        self.asked += 1
        if name not in self.values:
            raise SecretStoreUnavailable(why=self.why)
        return await super().get(name)


@asynccontextmanager
async def started(api: Workbench) -> AsyncIterator[Workbench]:
    await api.start()
    try:
        yield api
    finally:
        await api.stop()


async def check(api: Workbench, language: str = "en") -> Got:
    return await api.call("POST", CHECK, {}, via="unix", headers={"Accept-Language": language})


async def test_where_all_is_well_it_says_so_and_wakes_nobody(desk: Workbench, liar: FakeProvider) -> None:
    got = await check(desk)
    assert (got.status, got.json["mobile"], got.json["resumes"]) == (200, True, True)
    assert abs(float(str(got.json["clock"]))) < 10
    assert [form["grant_type"] for form in liar.forms] == ["urn:openid:params:grant-type:ciba"]  # of no request


async def test_the_check_looks_anew_each_time(desk: Workbench, liar: FakeProvider) -> None:
    assert (await check(desk)).status == 200
    await liar.__aexit__(None, None, None)
    got = await check(desk)
    assert (got.status, got.code) == (503, "psc.unavailable")


async def test_without_a_keyring_sessions_end_with_the_daemon(desk: Workbench) -> None:
    secrets = NoKeyring()
    secrets.values = desk.secrets.values
    desk.secrets.now = secrets
    assert (await check(desk)).json["resumes"] is False


async def test_a_clock_that_is_off_is_told(desk: Workbench, liar: FakeProvider) -> None:
    liar.date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert abs(float(str((await check(desk)).json["clock"])) - 3600) < 10
    for nonsense in ("noon", "Fri, 31 Dec 9999 23:59:59 -2300"):
        liar.date = nonsense
        got = await check(desk)
        assert (got.status, "clock" in got.json) == (200, False)


async def test_a_provider_without_login_by_mobile_is_told(desk: Workbench, liar: FakeProvider) -> None:
    liar.discovery["backchannel_authentication_endpoint"] = None
    assert (await check(desk)).json["mobile"] is False


@pytest.mark.parametrize(("language", "word"), [("fr", "Ce poste"), ("en", "This workstation")])
async def test_a_secret_that_is_not_there_is_named_before_the_provider_is_asked(
    desk: Workbench, liar: FakeProvider, language: str, word: str
) -> None:
    del desk.secrets.values["psc-client-secret"]
    got = await check(desk, language)
    assert (got.status, got.code) == (503, "psc.incomplete")
    assert word in got.text("detail")
    assert "psc-client-secret" in got.text("detail")
    login = await desk.call("POST", "/v1/sessions", LOGIN, bearer=await pair(desk))
    assert login.code == "psc.incomplete"
    assert liar.shown == []
    assert await problem(desk) == "psc.incomplete"
    desk.secrets.values["psc-client-secret"] = b"put there without a restart"
    assert await problem(desk) is None
    assert (await check(desk)).status == 200


async def problem(api: Workbench) -> object:
    """What keeps the e-CPS from serving, as every program is told."""
    got = await api.call("GET", "/v1/methods", via="unix")
    [ecps] = [method for method in got.json["methods"] if method["method"] == "ecps"]  # type: ignore[attr-defined]
    return ecps.get("problem")


async def test_a_keyring_that_is_locked_is_told(desk: Workbench) -> None:
    desk.secrets.now = keyring = NoKeyring()
    keyring.why = "KeyringLocked"
    assert "stays locked" in (await check(desk)).text("detail")
    asked = keyring.asked
    assert await problem(desk) is None  # a login asks the user to unlock it; who looks at the methods does not
    assert keyring.asked == asked


async def test_a_file_that_is_not_there_or_does_not_open_is_named(
    liar: FakeProvider, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "organisation.p12"
    made = workbench_at(Place(liar.issuer, authority), tmp_path, CLIENT, certificate=file)
    made.secrets.values["psc-certificate"] = b"wrong"
    async with started(made) as api:
        for content in (None, authority.issue(ORGANISATION).pkcs12(b"right")):
            if content is not None:
                file.write_bytes(content)
            got = await check(api)
            assert (got.code, file.name in got.text("detail")) == ("psc.incomplete", True)
        made.secrets.values["psc-certificate"] = b"right"
        assert (await check(api)).status == 200


async def test_authorities_that_are_not_there_are_named(
    liar: FakeProvider, authority: Authority, tmp_path: Path
) -> None:
    api = workbench_at(Place(liar.issuer, authority), tmp_path, CLIENT)
    (tmp_path / "psc.pem").unlink()
    async with started(api):
        assert "psc.pem" in (await check(api)).text("detail")


async def test_the_editor_s_server_is_looked_at_in_its_place(tmp_path: Path) -> None:
    async with ProxyLps(Authority()) as editor:
        authorities = tmp_path / "editor.pem"
        authorities.write_bytes(editor.authority.pem)
        psc = Psc(mode="proxy", client_id="lps-test", authorities=authorities, proxy=editor.url)
        api = Workbench(tmp_path, Config(psc=psc), clock=RunningClock())
        async with started(api):
            got = await check(api)
            assert (got.status, got.json["mobile"], got.json["resumes"]) == (200, True, False)
            assert editor.asked == []


async def test_a_workstation_without_ans_s_agreement_speaks_to_no_real_provider(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    psc = Psc(issuer="https://psc.example/realm", client_id="lps-test")
    api = Workbench(tmp_path, Config(psc=psc), clock=RunningClock())
    async with started(api):
        login = await api.call("POST", "/v1/sessions", LOGIN, bearer=await pair(api))
        assert (login.status, login.code) == (503, "psc.direct_not_agreed")
        assert await problem(api) == "psc.direct_not_agreed"
        told = await check(api, "fr")
        assert "psc.direct_agreed" in told.text("remedy")
        assert "psc.example" in told.text("detail")
    assert "e-CPS is off" in caplog.text


async def test_where_none_is_configured_it_says_so(api: Workbench) -> None:
    assert (await check(api)).code == "session.method_unavailable"


async def test_the_check_is_for_programs_of_this_machine_on_the_unix_socket(api: Workbench) -> None:
    assert (await api.call("POST", CHECK, {}, bearer=await api.pair())).status == 403
