"""The daemon is told to stop while the card signs: that signature is finished and given, then the login ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cardd.config import Card, Config
from tests.api.workbench import EMPTY_VERIFY, Workbench
from tests.rig.waiting import eventually

SIGN = {"document_name": "compte-rendu", "digest": "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="}


class Pause:
    """Holds the card back at one of its commands until ``goes_on`` is set."""

    def __init__(self, api: Workbench, at: int) -> None:
        self._process, self._left = api.card.process, at
        self.commands = 0
        self.is_asked, self.goes_on = threading.Event(), threading.Event()
        api.card.process = self.process  # type: ignore[method-assign]

    def process(self, apdu: bytes) -> bytes:
        self.commands += 1
        if apdu != EMPTY_VERIFY:
            self._left -= 1
            if self._left == 0:
                self.is_asked.set()
                self.goes_on.wait(20)
        return self._process(apdu)


@pytest.mark.parametrize("at", [1, 2, 3])  # VERIFY, MANAGE SECURITY ENVIRONMENT, COMPUTE DIGITAL SIGNATURE
async def test_a_signature_under_way_is_finished_recorded_and_given_and_then_pins_are_wiped(
    tmp_path: Path, started: Callable[[Workbench], Awaitable[Workbench]], at: int
) -> None:
    api = await started(Workbench(tmp_path, Config(card=Card(hold=0))))
    path, token = await api.logged_in()
    assert (await api.call("POST", f"{path}/signatures", SIGN, bearer=token)).status == 200
    [session] = api.sessions.of(api.uid or 0)
    held, resets = session.pin, api.card.resets
    pause = Pause(api, at)
    asking = asyncio.create_task(api.call("POST", f"{path}/signatures", SIGN, bearer=token))
    await eventually(pause.is_asked.is_set)
    stopping = asyncio.create_task(api.lifecycle.stop())
    await eventually(lambda: not api.sessions.is_open(session))
    pause.goes_on.set()
    answer = await asking
    await stopping
    assert (answer.status, "signature" in answer.json) == (200, True)
    rows = [row for row in api.audit.entries if row.action == "signature.raw"]
    assert [row.outcome.value for row in rows] == ["done", "done"]
    assert not held
    assert api.card.resets > resets, "the card was left logged in"


@pytest.mark.parametrize("lock", [False, True])
async def test_a_list_ends_with_the_signature_under_way_and_its_caller_is_told_why(
    tmp_path: Path, started: Callable[[Workbench], Awaitable[Workbench]], *, lock: bool
) -> None:
    api = await started(Workbench(tmp_path, Config(card=Card(hold=0))))
    path, token = await api.logged_in()
    [session] = api.sessions.of(api.uid or 0)
    held, resets = session.pin, api.card.resets
    pause = Pause(api, 3)
    body = {"signatures": [{**SIGN, "document_name": f"ordonnance {number}"} for number in range(9)]}
    asking = asyncio.create_task(api.call("POST", f"{path}/signatures", body, bearer=token))
    await eventually(pause.is_asked.is_set)
    stopping = asyncio.create_task(_locked(api) if lock else api.lifecycle.stop())
    await eventually(lambda: not held)
    pause.goes_on.set()
    answer = await asking
    await stopping
    assert answer.code == ("card.pin_required" if lock else "session.closed")
    rows = [row for row in api.audit.entries if row.action == "signature.raw"]
    assert {row.outcome.value for row in rows} == {"failed"}
    assert pause.commands < 6, "the rest was signed all the same"
    assert api.card.resets > resets, "the card was left logged in"


async def test_nobody_is_asked_for_a_pin_while_the_last_signature_is_finished(
    tmp_path: Path, started: Callable[[Workbench], Awaitable[Workbench]]
) -> None:
    api = await started(Workbench(tmp_path, Config(card=Card(hold=0))))
    path, token = await api.logged_in()
    secret = await api.pair()
    asked = len(api.person.pin_questions)
    pause = Pause(api, 3)
    asking = asyncio.create_task(api.call("POST", f"{path}/signatures", SIGN, bearer=token))
    await eventually(pause.is_asked.is_set)
    stopping = asyncio.create_task(api.lifecycle.stop())
    await eventually(lambda: not api.sessions.of(api.uid or 0))
    answer = asyncio.create_task(api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret))
    await asyncio.sleep(0.05)
    pause.goes_on.set()
    assert (await answer).code == "session.closed"
    assert (await asking).status == 200
    await stopping
    assert len(api.person.pin_questions) == asked


async def _locked(api: Workbench) -> None:
    api.sessions.lock_where(lambda _: True)
