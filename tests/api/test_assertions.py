"""Assertions over HTTP, in each mode: judged from outside, consented once, recorded without the patient's number."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from cardd.config import Dmp
from cardd.model import Choice, KeyPurpose
from cardd_drivers.pkcs12.source import FilesSource
from cardd_simulators.assertions import wrong_in_insi, wrong_in_vihf
from tests.api.ecps import LOGIN, ends_in, pair, pending, workbench_at
from tests.api.workbench import Got, Json, Workbench
from tests.rig.oidc.people import CLAIRE
from tests.rig.oidc.provider import PscRig
from tests.rig.organisation import PASSWORD, Organisation, make
from tests.rig.waiting import eventually

LPS = {"name": "LPS SIMULATION", "version": "1.0", "homologation": "SIM-0001", "installation": "poste-1"}
INS = {"ins": "185059999900181", "oid": "1.2.250.1.213.1.4.10"}
VIHF: Json = {"type": "vihf", "lps": LPS, "patient": INS}
ACTING = {"national_id": "899000000010", "family_name": "SIMULATION", "given_name": "LOU", "profession": "10",
          "specialty": "SM36"}  # fmt: skip


async def situated(api: Workbench) -> tuple[str, str]:
    """A card's session whose situation is picked."""
    path, token = await api.logged_in()
    assert (await api.call("POST", f"{path}/situation", {"id": "1"}, bearer=token)).status == 200
    return path, token


@asynccontextmanager
async def asked_meanwhile(api: Workbench, path: str, token: str) -> AsyncIterator[asyncio.Task[Got]]:
    """A request for a VIHF whose dialog is open inside, and answered behind."""
    api.person.is_asked.clear()
    api.person.attentive.clear()
    asking = asyncio.ensure_future(api.call("POST", f"{path}/assertions", VIHF, bearer=token))
    await api.person.is_asked.wait()
    yield asking
    api.person.attentive.set()


def assertion(got: Got) -> bytes:
    assert got.status == 200, got.raw
    return base64.b64decode(got.text("assertion"))


def xmlsec_accepts(directory: Path, got: Got, content: bytes) -> bool:
    """By its own certificate: whose it is, is the checker's business."""
    certificate = load_der_x509_certificate(base64.b64decode(got.text("certificate")))
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "assertion.xml").write_bytes(content)
    kind = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
    command = ["xmlsec1", "--verify", "--id-attr:ID", kind, "--pubkey-cert-pem", "certificate.pem", "assertion.xml"]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, timeout=30).returncode == 0


async def test_a_card_s_session_issues_a_direct_vihf(api: Workbench, tmp_path: Path) -> None:
    path, token = await situated(api)
    got = await api.call("POST", f"{path}/assertions", VIHF, bearer=token)
    content = assertion(got)
    assert wrong_in_vihf(content, "direct", datetime.now(UTC)) == []
    assert xmlsec_accepts(tmp_path, got, content)
    assert not xmlsec_accepts(tmp_path, got, content.replace(b"SA07", b"SA05"))
    assert b"499000000010001" in content


async def test_one_consent_covers_all_of_a_session(api: Workbench) -> None:
    path, token = await situated(api)
    for _ in range(3):
        assert (await api.call("POST", f"{path}/assertions", VIHF, bearer=token)).status == 200
    insi = {"type": "insi", "lps": LPS, "billing": "991234567", "specialty": "01"}
    assert (await api.call("POST", f"{path}/assertions", insi, bearer=token)).status == 200
    assert api.person.topics().count("assertions") == 1
    assert api.audit.acts().count("assertion.vihf done") == 3
    assert api.audit.acts().count("assertion.insi done") == 1


async def test_the_patient_is_in_the_log_by_a_pseudonym_only(api: Workbench) -> None:
    path, token = await situated(api)
    for _ in range(2):
        await api.call("POST", f"{path}/assertions", VIHF, bearer=token)
    first, second = [entry for entry in api.audit.entries if entry.action == "assertion.vihf"]
    assert first.document == second.document
    assert (first.document or "").startswith("patient:")
    assert (first.document or "").endswith(" normal")
    assert INS["ins"][:13] not in repr(api.audit.entries)
    assert (first.consent, bool(first.digest), bool(first.certificate)) == ("assertions", True, True)


async def test_the_consent_is_given_at_the_login_that_asks_for_it(api: Workbench) -> None:
    secret = await api.pair()
    body = {"method": "cpx", "situation": "1", "assertions": True}
    opened = await api.call("POST", "/v1/sessions", body, bearer=secret)
    assert api.person.topics()[-1] == "assertions"
    asked = len(api.person.questions)
    got = await api.call("POST", f"{opened.headers['Location']}/assertions", VIHF, bearer=opened.text("token"))
    assert (got.status, len(api.person.questions)) == (200, asked)


async def test_who_refuses_it_there_has_no_session(api: Workbench) -> None:
    secret = await api.pair()
    api.person.choice = Choice.NO
    got = await api.call("POST", "/v1/sessions", {"method": "cpx", "assertions": True}, bearer=secret)
    assert (got.status, got.code) == (403, "consent.refused")
    assert (await api.call("GET", "/v1/sessions", via="unix")).json["sessions"] == []


async def test_who_refuses_issues_nothing(api: Workbench) -> None:
    path, token = await situated(api)
    api.person.choice = Choice.NO
    signed = api.asked_of_card()
    got = await api.call("POST", f"{path}/assertions", VIHF, bearer=token)
    assert (got.status, got.code, api.asked_of_card()) == (403, "consent.refused", signed)
    assert api.audit.acts()[-1] == "assertion.vihf refused"


async def test_a_session_that_ends_while_the_dialog_is_open_issues_nothing(api: Workbench) -> None:
    path, token = await situated(api)
    signed, pins = api.asked_of_card(), len(api.person.pin_questions)
    async with asked_meanwhile(api, path, token) as asking:
        assert (await api.call("DELETE", path, bearer=token)).status == 204
    got = await asking
    assert (got.status, got.code, api.asked_of_card()) == (401, "session.closed", signed)
    assert len(api.person.pin_questions) == pins
    assert api.audit.acts()[-1] == "assertion.vihf failed"


async def test_a_value_that_does_not_exist_is_told_by_its_field(api: Workbench) -> None:
    path, token = await situated(api)
    english = {"Accept-Language": "en"}
    got = await api.call("POST", f"{path}/assertions", {**VIHF, "access": "x"}, bearer=token, headers=english)
    assert got.text("detail") == "The field $.access will not do: its value is none of those that it can have."


async def test_what_an_insi_assertion_lacks_is_told_as_such(api: Workbench) -> None:
    path, token = await situated(api)
    got = await api.call("POST", f"{path}/assertions", {"type": "insi", "lps": LPS}, bearer=token)
    assert (got.code, got.text("where")) == ("request.invalid", "$.billing")


async def test_of_several_situations_one_must_be_picked_first(api: Workbench) -> None:
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/assertions", VIHF, bearer=token)
    assert (got.status, got.code) == (422, "session.situation")
    assert "1, 2" in got.text("detail")


async def test_an_insi_assertion_is_the_card_s(api: Workbench, tmp_path: Path) -> None:
    path, token = await situated(api)
    body = {"type": "insi", "lps": LPS, "billing": "991234567", "specialty": "01"}
    got = await api.call("POST", f"{path}/assertions", body, bearer=token)
    content = assertion(got)
    assert wrong_in_insi(content, signed=True, doctor=True, now=datetime.now(UTC)) == []
    assert xmlsec_accepts(tmp_path, got, content)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"patient": {**INS, "ins": "185059999900182"}}, "assertion.ins_key"),
        ({"patient": {**INS, "ins": "25506"}}, "assertion.ins_format"),
        ({"patient": {**INS, "oid": "1.2.3"}}, "assertion.ins_oid"),
        ({"role": "SECRETAIRE"}, "assertion.role"),
        ({"lps": {**LPS, "homologation": " "}}, "assertion.value"),
        ({"type": "insi"}, "request.invalid"),
        ({"means": "password"}, "request.invalid"),
        ({"sector": "SA01"}, "request.invalid"),
        ({"national_id": "899000000028"}, "request.invalid"),
        ({"access": "curiosity"}, "request.invalid"),
    ],
    ids=str,
)
async def test_what_would_not_be_accepted_is_refused_before_anybody_is_asked(
    api: Workbench, changes: Json, code: str
) -> None:
    path, token = await situated(api)
    asked, count = len(api.person.questions), api.asked_of_card()
    got = await api.call("POST", f"{path}/assertions", {**VIHF, **changes}, bearer=token)
    assert (got.status, got.code) == (422, code)
    assert (len(api.person.questions), api.asked_of_card()) == (asked, count)


async def test_a_secret_connection_is_issued_and_written_down(api: Workbench) -> None:
    path, token = await situated(api)
    got = await api.call("POST", f"{path}/assertions", {**VIHF, "secret": True}, bearer=token)
    assert b">INVISIBLE_REPRESENTANTS_LEGAUX<" in base64.b64decode(got.text("assertion"))
    assert wrong_in_vihf(base64.b64decode(got.text("assertion")), "direct", datetime.now(UTC)) == []
    [row] = [entry for entry in api.audit.entries if entry.action == "assertion.vihf"]
    assert (row.document or "").endswith(" secret")


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make(tmp_path_factory.mktemp("organisation"))


@pytest_asyncio.fixture
async def keys(organisation: Organisation) -> AsyncIterator[FilesSource]:
    source = FilesSource(
        {KeyPurpose.AUTHENTICATION: organisation.authentication, KeyPurpose.SIGNATURE: organisation.signature}
    )
    yield source
    await source.stop()


async def test_an_organisation_s_session_issues_an_indirect_vihf(
    api: Workbench, keys: FilesSource, tmp_path: Path
) -> None:
    await keys.start(api.readers)
    api.secrets.values["csa"] = PASSWORD.encode()
    opened = await api.call("POST", "/v1/sessions", {"method": "csa", "acting": ACTING}, bearer=await api.pair())
    path, token = opened.headers["Location"], opened.text("token")
    missing = await api.call("POST", f"{path}/assertions", VIHF, bearer=token)
    assert (missing.code, missing.text("where")) == ("request.invalid", "$.means")
    body = {**VIHF, "means": "password", "sector": "SA01"}
    got = await api.call("POST", f"{path}/assertions", body, bearer=token)
    assert wrong_in_vihf(assertion(got), "indirect", datetime.now(UTC)) == []
    asked = api.person.questions[-1]
    assert (asked.topic, asked.params["indirect"]) == ("assertions", "CENTRE DE SANTE SIMULATION")
    assert xmlsec_accepts(tmp_path, got, assertion(got))


async def e_cps(api: Workbench, psc: PscRig) -> tuple[str, str]:
    """An open e-CPS session, whose program may ask."""
    path, token = await pending(api, {**LOGIN, "login_hint": CLAIRE}, await pair(api))
    await psc.approve(CLAIRE)
    assert await ends_in(api, path, token) == (200, "active")
    api.person.attentive.set()
    return path, token


async def test_an_e_cps_session_joins_with_the_organisation_s_key_in_air(
    ecps: Workbench, psc: PscRig, keys: FilesSource, tmp_path: Path
) -> None:
    await keys.start(ecps.readers)
    path, token = await e_cps(ecps, psc)
    ecps.person.pins = [PASSWORD]
    seen: set[str] = set()
    for _ in range(2):
        got = await ecps.call("POST", f"{path}/assertions", VIHF, bearer=token)
        assert wrong_in_vihf(assertion(got), "air", datetime.now(UTC), seen) == []
        assert xmlsec_accepts(tmp_path, got, assertion(got))
        assert CLAIRE.encode() in assertion(got)
    assert ecps.person.pins == []  # asked for once
    assert ecps.person.topics().count("assertions") == 1
    assert ecps.audit.acts().count("assertion.vihf done") == 2


async def test_in_air_a_wrong_password_of_the_organisation_is_presented_once(
    ecps: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    await keys.start(ecps.readers)
    ecps.secrets.values["csa"] = b"perdu"
    for problem in ("refused", None):  # in the second session nothing was wrong before
        path, token = await e_cps(ecps, psc)
        ecps.person.pins, ecps.person.pin_questions = [PASSWORD], []
        assert (await ecps.call("POST", f"{path}/assertions", VIHF, bearer=token)).status == 200
        assert [asked.problem for asked in ecps.person.pin_questions] == [problem]
        await ecps.call("DELETE", path, bearer=token)


@pytest.mark.parametrize("answer", [Choice.YES, Choice.NO])
async def test_an_e_cps_login_asks_for_the_consent_once_the_mobile_has_agreed(
    ecps: Workbench, psc: PscRig, answer: Choice
) -> None:
    login = {**LOGIN, "login_hint": CLAIRE, "assertions": True}
    path, token = await pending(ecps, login, await pair(ecps))
    ecps.person.choice = answer
    await psc.approve(CLAIRE)
    await eventually(lambda: "assertions" in ecps.person.topics())
    assert (await ecps.call("GET", path, bearer=token)).text("state") == "pending"
    ecps.person.attentive.set()
    assert (
        await ends_in(ecps, path, token)
        == {
            Choice.YES: (200, "active"),
            Choice.NO: (403, "consent.refused"),
        }[answer]
    )
    question = ecps.person.questions[-1]
    assert CLAIRE in str(question.params["holder"])
    assert "air" in question.params


async def test_air_ends_with_its_session_whatever_dialog_is_open(
    ecps: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    await keys.start(ecps.readers)
    path, token = await e_cps(ecps, psc)
    ecps.person.pins = [PASSWORD]
    async with asked_meanwhile(ecps, path, token) as consenting:
        ecps.sessions.lock_where(lambda _: True)
    assert (await consenting).code == "session.locked"
    ecps.sessions.unlock_where(lambda _: True)
    async with asked_meanwhile(ecps, path, token) as unlocking:  # consented before: this is the password's dialog
        assert (await ecps.call("DELETE", path, bearer=token)).status == 204
    assert (await unlocking).code == "session.closed"
    assert ecps.audit.acts().count("assertion.vihf failed") == 2
    assert "assertion.vihf done" not in ecps.audit.acts()


async def test_air_that_would_not_be_accepted_is_refused_before_anybody_is_asked(
    ecps: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    await keys.start(ecps.readers)
    path, token = await e_cps(ecps, psc)
    asked = len(ecps.person.questions)
    body = {**VIHF, "patient": {**INS, "ins": "185059999900182"}}
    got = await ecps.call("POST", f"{path}/assertions", body, bearer=token)
    assert (got.status, got.code, len(ecps.person.questions)) == (422, "assertion.ins_key", asked)


async def test_while_the_screen_is_locked_an_e_cps_session_issues_nothing(
    ecps: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    await keys.start(ecps.readers)
    path, token = await e_cps(ecps, psc)
    ecps.person.pins = [PASSWORD]
    assertion(await ecps.call("POST", f"{path}/assertions", VIHF, bearer=token))
    ecps.sessions.lock_where(lambda _: True)
    for wanted in (VIHF, {"type": "insi", "lps": LPS, "billing": "991234567", "specialty": "01"}):
        got = await ecps.call("POST", f"{path}/assertions", wanted, bearer=token)
        assert (got.status, got.code, got.json["retryable"]) == (409, "session.locked", True)
    assert [act for act in ecps.audit.acts() if act.startswith("assertion.")] == ["assertion.vihf done"]
    ecps.sessions.unlock_where(lambda _: True)
    assertion(await ecps.call("POST", f"{path}/assertions", VIHF, bearer=token))


async def test_without_the_organisation_s_key_there_is_no_air(ecps: Workbench, psc: PscRig) -> None:
    path, token = await e_cps(ecps, psc)
    got = await ecps.call("POST", f"{path}/assertions", VIHF, bearer=token)
    assert (got.status, got.code) == (422, "assertion.organisation")


async def test_an_insi_assertion_by_e_cps_is_signed_by_nobody(psc: PscRig, tmp_path: Path) -> None:
    api = workbench_at(psc, tmp_path, dmp=Dmp(insi_issuer="CN=LPS SIMULATION"))
    await api.start()
    path, token = await e_cps(api, psc)
    body = {"type": "insi", "lps": LPS, "billing": "991234567", "specialty": "01"}
    got = await api.call("POST", f"{path}/assertions", body, bearer=token)
    assert "certificate" not in got.json
    assert wrong_in_insi(assertion(got), signed=False, doctor=True, now=datetime.now(UTC)) == []
    await api.stop()
