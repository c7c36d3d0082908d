"""Nobody is asked for a PIN or a consent that would come to nothing, because it could not be recorded."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.api.ecps import LOGIN, pair
from tests.api.test_assertions import VIHF, situated
from tests.api.workbench import PIN, Json, Workbench
from tests.rig.oidc.provider import PscRig

ITEM: Json = {
    "document_name": "Ordonnance",
    "digest": base64.b64encode(hashlib.sha256(b"ordonnance SIMULATION").digest()).decode(),
}
ACTS: dict[str, tuple[str, Json]] = {
    "a signature": ("{session}/signatures", ITEM),
    "a list": ("{session}/signatures", {"signatures": [ITEM, ITEM]}),
    "an assertion": ("{session}/assertions", VIHF),
    "a change of the PIN": ("{card}/pin-changes", {}),
    "an unblocking": ("{card}/pin-unblocks", {}),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("is_locked", [False, True], ids=["held", "asked"])
async def test_nobody_is_asked_for_what_cannot_be_recorded(api: Workbench, act: str, is_locked: bool) -> None:
    path, body = ACTS[act]
    session, token = await situated(api)
    if is_locked:
        api.sessions.lock_where(lambda _: True)
    asked = len(api.person.questions), len(api.person.pin_questions)
    api.audit.is_full = True
    bearer = token if "session" in path else None
    card = f"/v1/cards/{api.readers.cards()[0].id}"
    got = await api.call("POST", path.format(session=session, card=card), body, bearer=bearer, via="unix")
    assert (got.status, got.code) == (503, "audit.unavailable")
    assert (len(api.person.questions), len(api.person.pin_questions)) == asked


async def test_a_login_that_cannot_be_recorded_asks_for_no_pin(api: Workbench) -> None:
    secret = await api.pair()
    api.audit.is_full = True
    got = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    assert (got.code, api.person.pin_questions) == ("audit.unavailable", [])
    api.audit.is_full = False
    api.person.pins = [PIN]
    assert (await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)).status == 201


async def test_a_pairing_needs_no_record_and_goes_on(api: Workbench) -> None:
    api.audit.is_full = True
    secret = await api.pair()
    assert (await api.call("GET", "/v1/cards", bearer=secret)).status == 200


async def test_a_login_that_cannot_be_recorded_wakes_no_mobile(ecps: Workbench, psc: PscRig) -> None:
    secret = await pair(ecps)
    ecps.audit.is_full = True
    got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert got.code == "audit.unavailable"
