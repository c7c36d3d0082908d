"""What a page may do is a right, given by the configuration or agreed to by the person; what it lacks is named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from cardd.api import access
from cardd.api.routes import ROUTES
from cardd.config import Config, Portal, Web
from cardd.model import Choice, Right, rights_of
from tests.api.workbench import PAGE, PAGE_WITH_PORT, Got, Json, Workbench
from tests.rig.page_keys import BrowserKey

Start = Callable[[Workbench], Awaitable[Workbench]]

STRANGER = "https://nouveau.example"
FROM_PAGE = {"Origin": PAGE}
LOGIN: Json = {"method": "cpx"}
SIGN: Json = {"digest": "A" * 43 + "=", "document_name": "compte rendu"}
TOKEN: Json = {"nonce": "n" * 44}
ASKS_NOTHING = {("DELETE", "/v1/sessions/{id}")}  # a page may always log out
OF_PAGES = (
    access.client,
    access.client_or_local,
    access.listener,
    access.session,
    access.session_untouched,
    access.session_or_local,
)
# by right: a call that needs it, and what is sent
CALLS: dict[Right, tuple[str, str, Json | None]] = {
    Right.DETECT: ("GET", "/v1/cards", None),
    Right.HOLDER: ("GET", "/v1/cards/none/certificates", None),
    Right.AUTHENTICATE: ("POST", "/v1/cards/none/pin-changes", {}),
}


def test_every_route_that_a_page_can_call_says_which_right_it_needs() -> None:
    silent = {(route.method, route.path) for route in ROUTES if route.access in OF_PAGES and route.rights is None}
    assert silent == ASKS_NOTHING


def test_a_right_contains_what_a_page_sees_of_the_person_anyway() -> None:
    who = {Right.DETECT, Right.HOLDER}
    assert rights_of(["detect"]) == {Right.DETECT}
    assert rights_of(["holder"]) == who
    for name in ("authenticate", "sign", "relay"):
        assert rights_of([name]) == {*who, Right(name)}


async def with_rights(started: Start, directory: Path, *rights: str) -> Workbench:
    return await started(Workbench(directory, Config(web=Web(rights=rights))))  # type: ignore[arg-type]


async def missing(api: Workbench, method: str, path: str, body: Json | None, bearer: str | None = None) -> str:
    got = await api.call(method, path, body, bearer=bearer, headers=FROM_PAGE)
    assert (got.status, got.code) == (403, "page.right_missing"), got.raw
    return got.text("right")


@pytest.mark.parametrize("right", CALLS)
async def test_what_a_listed_site_lacks_is_named(started: Start, tmp_path: Path, right: Right) -> None:
    weaker = {Right.DETECT: (), Right.HOLDER: ("detect",), Right.AUTHENTICATE: ("holder",)}
    api = await with_rights(started, tmp_path, *weaker[right])
    assert await missing(api, *CALLS[right]) == right
    french = await api.call(*CALLS[right], headers={**FROM_PAGE, "Accept-Language": "fr"})
    assert french.text("detail").startswith("Ce site ne peut pas ")


@pytest.mark.parametrize(
    ("rights", "lacks"),
    [
        (["authenticate"], {"sign": ("signatures", SIGN), "relay": ("assertions", {"type": "insi"})}),
        (["sign"], {"authenticate": ("auth-tokens", TOKEN), "relay": ("psc-token", {})}),
        (["relay"], {"authenticate": ("auth-tokens", TOKEN), "sign": ("signatures", SIGN)}),
    ],
)
async def test_a_session_does_not_more_than_the_rights_of_its_site(
    started: Start, tmp_path: Path, rights: Sequence[str], lacks: dict[str, tuple[str, Json]]
) -> None:
    api = await with_rights(started, tmp_path, *rights)
    opened = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    path, token = opened.headers["Location"], opened.text("token")
    for right, (call, body) in lacks.items():
        assert await missing(api, "POST", f"{path}/{call}", body, token) == right
    if "sign" in lacks:
        upload = await api.call("POST", f"{path}/documents", b"x", bearer=token, headers=FROM_PAGE)
        assert (upload.code, upload.text("right")) == ("page.right_missing", "sign")
    if "relay" in lacks:
        assert await missing(api, "GET", f"{path}/upstreams", None, token) == "relay"
        assert await missing(api, "POST", f"{path}/upstreams/dmp/x", {}, token) == "relay"
    assert api.audit.acts() == ["session.open done"]


async def test_who_may_only_look_opens_no_session(started: Start, tmp_path: Path) -> None:
    api = await with_rights(started, tmp_path, "holder")
    assert await missing(api, "POST", "/v1/sessions", LOGIN) == "authenticate"
    assert api.person.pin_questions == []


async def test_a_page_that_was_let_in_for_little_has_the_person_asked_for_more(started: Start, tmp_path: Path) -> None:
    api = await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))
    page = {"Origin": STRANGER}

    async def asked(*rights: str, ask: bool = True) -> Got:
        return await api.enter(STRANGER, rights=list(rights), ask=ask)

    little = await asked("detect")
    assert little.json["rights"] == ["detect"]
    login = await api.call("POST", "/v1/sessions", LOGIN, bearer=little.text("token"), headers=page)
    assert login.code == "page.right_missing"
    assert (await asked("sign", ask=False)).code == "page.consent_needed"
    more = await asked("sign")
    assert more.json["rights"] == ["detect", "holder", "sign"]
    shown = [{name for name in question.params if name.startswith("may_")} for question in api.person.questions]
    assert shown == [{"may_detect"}, {"may_holder", "may_sign"}]
    again = await asked("detect")  # who asks for less keeps what it has
    assert again.json["rights"] == more.json["rights"]
    assert len(api.person.questions) == 2


async def test_a_listed_site_has_what_the_configuration_says_whatever_it_asks_for(
    started: Start, tmp_path: Path
) -> None:
    api = await with_rights(started, tmp_path, "detect")
    entered = await api.enter(PAGE, rights=["sign", "relay"])
    assert entered.json["rights"] == ["detect"]


async def test_rights_that_the_configuration_adds_later_are_told_to_the_person_first(
    started: Start, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    api = await with_rights(started, tmp_path, "detect")
    stranger = BrowserKey()
    api.person.choice = Choice.ALWAYS
    assert (await api.enter(PAGE, stranger)).json["rights"] == ["detect"]
    wider = Workbench(
        tmp_path_factory.mktemp("wider"), Config(web=Web(rights=(Right.DETECT, Right.SIGN))), store=api.store
    )
    await started(wider)
    assert (await wider.enter(PAGE, stranger, ask=False)).code == "page.consent_needed"
    assert (await wider.enter(PAGE, stranger)).json["rights"] == ["detect", "holder", "sign"]
    assert "may_sign" in wider.person.questions[-1].params


async def test_one_listed_site_has_rights_of_its_own(started: Start, tmp_path: Path) -> None:
    portals = {"agenda": Portal(name="agenda", origin=PAGE, rights=(Right.DETECT,))}
    api = await started(Workbench(tmp_path, Config(web=Web(rights=(Right.SIGN,)), portals=portals)))
    assert (await api.enter(PAGE)).json["rights"] == ["detect"]
    assert (await api.enter(PAGE_WITH_PORT)).json["rights"] == ["detect", "holder", "sign"]


async def test_a_right_that_does_not_exist_is_refused(api: Workbench) -> None:
    for rights in (["everything"], []):
        assert (await api.enter(PAGE, rights=rights)).code == "request.invalid"


async def test_the_description_says_which_rights(api: Workbench) -> None:
    paths = (await api.call("GET", "/openapi.json")).json["paths"]
    assert isinstance(paths, dict)
    assert paths["/v1/cards"]["get"]["x-page-rights"] == ["detect"]
    assert paths["/v1/sessions"]["post"]["x-page-rights"] == ["authenticate", "sign", "relay"]
