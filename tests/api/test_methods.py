"""Which way to log in serves here, and which suits a use."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd.errors import PromptUnavailable
from cardd.identity.methods import TABLE, Advice, Fit, Use
from cardd.model import KeyPurpose
from cardd_drivers.pkcs12.source import FilesSource
from cardd_simulators.cards.card import SimulatedCard
from tests.api.workbench import Got, Workbench
from tests.rig.organisation import make
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually

PAGE = Path(__file__).parents[2] / "docs" / "which-method.md"


def missing(got: Got, place: int) -> list[tuple[str, str]]:
    """What this way lacks here: of which way, and the error's code."""
    listed = got.json["methods"][place]["advice"]["missing"]  # type: ignore[index]
    return [(each["method"], each["problem"]) for each in listed]


async def test_methods_say_what_serves_and_what_to_do_about_the_rest(api: Workbench) -> None:
    got = await api.call("GET", "/v1/methods", via="unix", headers={"Accept-Language": "fr"})
    assert got.json["methods"][0] == {"method": "cpx", "usable": True}  # type: ignore[index]
    assert got.text("methods", 1, "problem") == "session.method_unavailable"
    assert got.text("methods", 1, "remedy")
    assert "advised" not in got.json


async def test_a_card_serves_nobody_where_no_dialog_can_ask_for_its_pin(api: Workbench) -> None:
    api.person.fault = PromptUnavailable(why="cardd-agent")
    got = await api.call("GET", "/v1/methods", via="unix")
    assert got.text("methods", 0, "problem") == "prompt.unavailable"
    assert "cardd-agent" in got.text("methods", 0, "remedy")
    api.reader.remove()
    await eventually(lambda: not api.readers.cards())
    got = await api.call("GET", "/v1/methods", via="unix")
    assert got.text("methods", 0, "problem") == "card.absent"


def block(card: SimulatedCard) -> None:
    card.power_on()
    for _ in range(3):
        card.process(bytes.fromhex("0020000104") + b"0000")


async def test_a_card_whose_pin_is_blocked_serves_nobody(api: Workbench) -> None:
    block(api.card)
    for path in ("/v1/methods", "/v1/methods?use=lps"):
        got = await api.call("GET", path, via="unix", headers={"Accept-Language": "en"})
        assert (got.json["methods"][0]["usable"], got.text("methods", 0, "problem")) == (False, "pin.blocked")  # type: ignore[index]
        assert "unblocking code" in got.text("methods", 0, "remedy")
        assert got.json.get("advised") is None


async def test_of_two_cards_one_whose_pin_is_not_blocked_is_enough(api: Workbench) -> None:
    block(api.card)
    other = simulated_card("infirmier")
    api.other_reader.insert(other)
    await eventually(lambda: len(api.readers.cards()) == 2)
    got = await api.call("GET", "/v1/methods", via="unix")
    assert got.json["methods"][0]["usable"] is True  # type: ignore[index]
    block(other)
    got = await api.call("GET", "/v1/methods", via="unix")
    assert got.text("methods", 0, "problem") == "pin.blocked"


async def test_asking_for_the_methods_costs_a_session_nothing(api: Workbench) -> None:
    await api.logged_in()
    before = api.asked_of_card()
    assert (await api.call("GET", "/v1/methods", via="unix")).json["methods"][0]["usable"] is True  # type: ignore[index]
    assert api.asked_of_card() == before


@pytest.mark.parametrize(("language", "word"), [("fr", "carte"), ("en", "card")])
async def test_for_a_use_the_best_comes_first_with_reasons_in_the_callers_language(
    api: Workbench, language: str, word: str
) -> None:
    got = await api.call("GET", "/v1/methods?use=lps", via="unix", headers={"Accept-Language": language})
    assert (got.text("methods", 0, "method"), got.text("methods", 0, "advice", "fit")) == ("cpx", "best")
    assert word in got.text("methods", 0, "advice", "reasons", 0)
    assert got.text("advised") == "cpx"


@pytest.mark.parametrize("use", ["lps", "establishment", "medico-social"])
async def test_who_logs_in_at_an_organisation_is_told_of_strong_authentication(api: Workbench, use: str) -> None:
    for language, words in (("fr", "obligatoire depuis le 1er janvier 2026"), ("en", "since 1 January 2026")):
        got = await api.call("GET", f"/v1/methods?use={use}", via="unix", headers={"Accept-Language": language})
        [csa] = [place for place in range(3) if got.text("methods", place, "method") == "csa"]
        assert words in got.text("methods", csa, "advice", "reasons", 2)


async def test_what_suits_but_does_not_work_here_is_not_advised(api: Workbench) -> None:
    got = await api.call("GET", "/v1/methods?use=establishment", via="unix")
    assert [got.text("methods", n, "method") for n in range(3)] == ["csa", "ecps", "cpx"]
    assert got.text("methods", 0, "problem") == "session.method_unavailable"
    assert got.text("methods", 1, "advice", "together_with", 0) == "csa"
    assert missing(got, 1) == [("csa", "session.method_unavailable")]
    assert got.text("methods", 1, "advice", "missing", 0, "remedy")
    assert got.text("advised") == "cpx"


@pytest.mark.parametrize(
    ("purposes", "lacking", "advised"),
    [
        ((KeyPurpose.AUTHENTICATION,), [("csa", "assertion.organisation")], "cpx"),
        ((KeyPurpose.AUTHENTICATION, KeyPurpose.SIGNATURE), [], "csa"),
    ],
)
async def test_an_organisation_s_certificate_that_cannot_sign_is_not_enough_for_the_dmp(
    api: Workbench,
    tmp_path: Path,
    purposes: tuple[KeyPurpose, ...],
    lacking: list[tuple[str, str]],
    advised: str,
) -> None:
    files = make(tmp_path)
    both = {KeyPurpose.AUTHENTICATION: files.authentication, KeyPurpose.SIGNATURE: files.signature}
    source = FilesSource({purpose: both[purpose] for purpose in purposes})
    await source.start(api.readers)
    got = await api.call("GET", "/v1/methods?use=establishment", via="unix")
    assert got.json["methods"][0]["usable"] is True  # type: ignore[index]
    assert missing(got, 0) == lacking
    assert missing(got, 1) == lacking
    assert got.text("advised") == advised
    await source.stop()


async def test_where_nothing_works_nothing_is_advised(api: Workbench) -> None:
    api.reader.remove()
    got = await api.call("GET", "/v1/methods?use=webps", via="unix")
    assert got.json["advised"] is None


async def test_without_pcsc_it_is_the_card_alone_that_wants_it(api: Workbench) -> None:
    for state in api.readers.readers():
        api.readers.reader_removed(state.reader.name)
    api.readers.readers_available(False)
    got = await api.call("GET", "/v1/methods", via="unix")
    problems = [got.text("methods", n, "problem") for n in range(3)]
    assert problems == ["reader.pcsc_unavailable", *["session.method_unavailable"] * 2]


async def test_an_unknown_use_is_refused_with_those_that_exist(api: Workbench) -> None:
    got = await api.call("GET", "/v1/methods?use=hopital", via="unix", headers={"Accept-Language": "en"})
    assert (got.status, got.code) == (422, "request.invalid")
    assert "medico-social" in got.text("detail")


@pytest.mark.parametrize("use", Use)
def test_the_page_for_users_says_the_same(use: Use) -> None:
    [row] = [line for line in PAGE.read_text().splitlines() if f"| `{use.value}` |" in line]
    cells = [cell.strip() for cell in row.split("|")[3:7]]
    for fit, cell in zip(Fit, cells, strict=True):
        assert cell == ", ".join(_written(advice) for advice in TABLE[use] if advice.fit is fit)


def _written(advice: Advice) -> str:
    return " with ".join(f"`{name}`" for name in (advice.method, *advice.together_with))
