"""Sessions with the organisation's certificate: PKCS#12 files whose password is kept, or asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.config import Config, Csa, Web
from cardd.identity.csa import service_key
from cardd.model import CardKind, Event, KeyPurpose, Right
from cardd_drivers.pkcs12.source import FilesSource
from tests.api.test_events import hears_nothing, stream
from tests.api.workbench import PAGE, Workbench
from tests.rig.organisation import PASSWORD, SIRET, Organisation, make

ACTING = {"national_id": "899000000999", "family_name": "SIMULATION-AGENT", "given_name": "LOU", "profession": "10"}
LOGIN = {"method": "csa", "acting": ACTING}
DAYS = 400
Started = Callable[[Workbench], Awaitable[Workbench]]


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make(tmp_path_factory.mktemp("organisation"), days=DAYS)


@pytest_asyncio.fixture
async def csa(api: Workbench, organisation: Organisation) -> AsyncIterator[Workbench]:
    purposes = {
        KeyPurpose.AUTHENTICATION: organisation.authentication,
        KeyPurpose.SIGNATURE: organisation.signature,
    }
    source = FilesSource(purposes)
    await source.start(api.readers)
    yield api
    await source.stop()


async def test_the_structure_is_proven_and_the_person_declared(csa: Workbench) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    got = await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    assert got.status == 201
    identity = got.json["identity"]
    assert isinstance(identity, dict)
    assert identity["organisation"] == {
        "identifier": SIRET,
        "kind": "siret",
        "name": "CENTRE DE SANTE SIMULATION",
    }
    assert (identity["national_id"], identity["is_declared"]) == (ACTING["national_id"], True)


async def test_a_kept_password_that_was_not_presented_serves_later(csa: Workbench) -> None:
    secret = await csa.pair()
    csa.person.pins = ["perdu", "perdu"]
    for _ in range(2):
        await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    csa.secrets.values["csa"] = PASSWORD.encode()
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)).code == "pin.back_off"
    csa.clock.seconds += 60
    asked = len(csa.person.pin_questions)
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 201
    assert len(csa.person.pin_questions) == asked


async def test_a_kept_password_asks_nobody_and_the_audit_log_says_so(csa: Workbench) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    assert csa.person.pin_questions == []
    opened = [entry for entry in csa.audit.entries if entry.action == "session.open"]
    assert [(entry.consent, entry.document) for entry in opened] == [("stored", f"person:{ACTING['national_id']}")]


async def test_without_a_kept_password_the_user_types_it(csa: Workbench) -> None:
    csa.person.pins = ["faux", PASSWORD]
    got = await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    assert got.status == 201
    assert [(asked.pin.digits, asked.problem) for asked in csa.person.pin_questions] == [
        (False, None),
        (False, "refused"),
    ]


async def test_a_kept_password_that_was_refused_is_not_tried_again(csa: Workbench) -> None:
    csa.secrets.values["csa"] = b"perdu"
    csa.person.pins = [PASSWORD]
    secret = await csa.pair()
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 201
    csa.secrets.values["csa"] = b"perdu encore"
    csa.person.pins, csa.person.pin_questions = [PASSWORD], []
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 201
    assert [asked.problem for asked in csa.person.pin_questions] == [None]


async def test_a_wrong_kept_password_is_presented_by_one_of_those_who_log_in_together(csa: Workbench) -> None:
    csa.secrets.values["csa"] = b"perdu"
    csa.person.pins = [PASSWORD] * 3
    secrets = [await csa.pair() for _ in range(3)]
    opened = await asyncio.gather(*(csa.call("POST", "/v1/sessions", LOGIN, bearer=secret) for secret in secrets))
    assert [got.status for got in opened] == [201] * 3
    assert sorted(str(asked.problem) for asked in csa.person.pin_questions) == ["None", "None", "refused"]


async def test_a_wrong_kept_password_is_presented_by_one_of_the_service_s_own_uses_together(csa: Workbench) -> None:
    csa.secrets.values["csa"] = b"perdu"
    own = [service_key(csa.parts.logins.csa) for _ in range(2)]
    told = [str(getattr(fault, "code", fault)) for fault in await asyncio.gather(*own, return_exceptions=True)]
    assert told == ["pin.refused", "psc.incomplete"]


async def test_the_organisations_session_signs_with_consent_as_a_card_does(csa: Workbench) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    opened = await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    body = {"document_name": "cr.pdf", "document": "U0lNVUxBVElPTg=="}
    path = f"/v1/sessions/{opened.text('id')}/signatures"
    signed = await csa.call("POST", path, body, bearer=opened.text("token"))
    assert signed.status == 200
    assert csa.person.topics()[-1] == "sign"


async def test_a_session_signs_on_when_another_password_is_kept_that_is_wrong(csa: Workbench) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    first = await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    csa.secrets.values["csa"], csa.person.pins = b"perdu", [PASSWORD]
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())).status == 201
    asked, body = len(csa.person.pin_questions), {"document_name": "cr.pdf", "document": "U0lNVUxBVElPTg=="}
    path = f"/v1/sessions/{first.text('id')}/signatures"
    assert (await csa.call("POST", path, body, bearer=first.text("token"))).status == 200
    assert len(csa.person.pin_questions) == asked


async def test_a_card_login_does_not_stumble_over_the_organisations_files(csa: Workbench) -> None:
    secret = await csa.pair()
    got = await csa.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    assert (got.status, got.json["method"]) == (201, "cpx")
    files = next(card for card in csa.readers.cards() if card.reader.startswith("PKCS#12"))
    named = await csa.call("POST", "/v1/sessions", {"method": "cpx", "card": files.id}, bearer=secret)
    assert (named.status, named.code) == (422, "session.method_unavailable")


async def test_key_files_serve_every_user_of_the_machine_and_show_nobody_a_card(csa: Workbench) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    csa.seat(1001)
    csa.turn_to(1001)
    secret = await csa.pair()
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 201
    csa.seat(1000)
    assert [session.state for session in csa.sessions.of(1001)] == ["active"]
    assert (await csa.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 201
    for path in ("/v1/cards", "/v1/readers"):
        seen = await csa.call("GET", path, bearer=secret)
        assert (b"PKCS#12" in seen.raw, b"Lecteur" in seen.raw) == (True, False)
    card = next(card.id for card in csa.readers.cards() if card.reader == "Lecteur A")
    for body in ({"method": "cpx"}, {"method": "cpx", "card": card}, {"method": "cpx", "card": "ask"}):
        assert (await csa.call("POST", "/v1/sessions", body, bearer=secret)).code == "reader.not_yours"


async def test_a_token_of_the_organisation_is_who_sits_theres(started: Started, tmp_path: Path) -> None:
    api = await started(Workbench(tmp_path, Config(csa=Csa(token="HSM"))))
    api.seat(1000)
    for uid, told in ((1001, "reader.not_yours"), (1000, "session.method_unavailable")):
        api.turn_to(uid)
        secret = await api.pair()
        assert (await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)).code == told
        methods = await api.call("GET", "/v1/methods", bearer=secret)
        assert methods.text("methods", 1, "problem") == told


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"method": "csa"}, "$.acting"),
        ({"method": "csa", "acting": ACTING, "card": "0123"}, "$.card"),
        ({"method": "cpx", "acting": ACTING}, "$.acting"),
        ({"method": "csa", "acting": {**ACTING, "given_name": ""}}, "$.acting.given_name"),
        ({"method": "csa", "acting": {**ACTING, "rank": 1}}, "$.acting.rank"),
    ],
)
async def test_a_login_with_the_wrong_fields_names_them(csa: Workbench, body: object, where: str) -> None:
    got = await csa.call("POST", "/v1/sessions", body, bearer=await csa.pair())
    assert (got.status, got.code, got.text("where")) == (422, "request.invalid", where)


async def test_a_login_makes_the_certificates_end_known(csa: Workbench) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    csa.clock.seconds += timedelta(days=DAYS - 50).total_seconds()
    listed = await csa.call("GET", "/v1/methods", via="unix")
    assert len(listed.json["methods"][1]["expiring"]) == 2  # type: ignore[index]


async def test_a_page_that_may_only_look_is_told_of_no_certificate(
    csa: Workbench, started: Started, tmp_path_factory: pytest.TempPathFactory
) -> None:
    csa.secrets.values["csa"] = PASSWORD.encode()
    await csa.call("POST", "/v1/sessions", LOGIN, bearer=await csa.pair())
    config = Config(web=Web(rights=(Right.DETECT,)))
    looking = await started(Workbench(tmp_path_factory.mktemp("looking"), config, store=csa.store, clock=csa.clock))
    csa.clock.seconds += timedelta(days=DAYS - 50).total_seconds()
    for api, number in ((csa, 2), (looking, 0)):
        page = await api.page(PAGE)
        told = await api.call("GET", "/v1/methods", bearer=await api.page_pass(PAGE), headers={"Origin": PAGE})
        assert told.raw.count(b'"serial"') == number
        async with stream(api, via="v4", **page) as next_event:
            await next_event()
            api.events.publish(Event("certificate.expiring", {"serial": "1"}))
            assert await hears_nothing(next_event) == (number == 0)


async def test_nobody_types_the_password_of_a_key_file_to_be_told_that_it_stays(csa: Workbench) -> None:
    [file] = [card for card in csa.readers.cards() if card.kind is CardKind.PKCS12]
    for change in ("pin-changes", "pin-unblocks"):
        got = await csa.call("POST", f"/v1/cards/{file.id}/{change}", {}, bearer=await csa.pair())
        assert got.code == "pin.unchangeable"
    assert csa.person.pin_questions == []
