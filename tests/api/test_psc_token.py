"""PSC's tokens for programs: only where the pairing was approved for it, with a row in the audit log."""

from __future__ import annotations

from pathlib import Path

from cardd.config import Exchange
from tests.api.ecps import LOGIN, ends_in, pair, pending, tokens_of, workbench_at
from tests.api.workbench import Workbench
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import PscRig


async def session_of(api: Workbench, psc: PscRig, secret: str) -> tuple[str, str]:
    path, token = await pending(api, LOGIN, secret)
    await psc.approve(ALICE)
    assert await ends_in(api, path, token) == (200, "active")
    return path, token


async def test_a_program_that_was_approved_for_it_gets_the_access_token(ecps: Workbench, psc: PscRig) -> None:
    path, token = await session_of(ecps, psc, await pair(ecps, permissions=["psc_token"]))
    got = await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert (got.status, got.text("token_type")) == (200, "Bearer")
    assert got.text("access_token") == tokens_of(ecps).access.reveal()
    assert ecps.audit.acts()[-1] == "psc_token.give done"
    assert got.text("access_token") not in repr(ecps.audit.entries)


async def test_the_dialog_of_the_pairing_shows_that_the_program_wants_it(ecps: Workbench) -> None:
    await pair(ecps, permissions=["psc_token"])
    await pair(ecps)
    assert ["psc_token" in question.params for question in ecps.person.questions] == [True, False]


async def test_any_other_program_is_refused_and_told_what_to_do(ecps: Workbench, psc: PscRig) -> None:
    path, token = await session_of(ecps, psc, await pair(ecps))
    got = await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert (got.status, got.code) == (403, "client.permission")
    assert got.text("remedy")


async def test_a_token_that_is_about_to_end_is_renewed_before_it_is_given(ecps: Workbench, psc: PscRig) -> None:
    path, token = await session_of(ecps, psc, await pair(ecps, permissions=["psc_token"]))
    before = tokens_of(ecps).access
    ecps.ecps.limits.good_for = 1e6
    got = await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert got.text("access_token") != before.reveal()


async def test_a_token_is_exchanged_for_an_api_that_the_configuration_names(psc: PscRig, tmp_path: Path) -> None:
    api = workbench_at(psc, tmp_path, apis=(Exchange(name="ins", audience="https://api.example"),))
    await api.start()
    path, token = await session_of(api, psc, await pair(api, permissions=["psc_token"]))
    got = await api.call("POST", f"{path}/psc-token", {"api": "ins"}, bearer=token)
    assert got.text("access_token") != tokens_of(api).access.reveal()
    assert api.audit.entries[-1].document == "ins"
    unknown = await api.call("POST", f"{path}/psc-token", {"api": "autre"}, bearer=token)
    assert (unknown.status, unknown.code) == (422, "psc.api_unknown")
    await api.stop()


async def test_a_session_of_a_card_has_no_such_token(api: Workbench) -> None:
    path, token = await api.login(await api.pair(permissions=["psc_token"]))
    got = await api.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert (got.status, got.code) == (409, "session.not_psc")
