"""The daemon with a hostile card in one reader keeps serving a good card in another, over real pcscd."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.hostile.cards import WHEN_OPENED, HostileCard, Malice
from tests.integration.workstation import Workstation, problem
from tests.rig.lps import UnixConnection
from tests.rig.simulator import simulated_card

SOME = [
    malice for malice in WHEN_OPENED if malice.name in ("61xx without end", "a file byte by byte", "a file of 4 GiB")
]


@pytest.mark.parametrize("malice", SOME, ids=lambda malice: malice.name)
def test_a_good_card_signs_beside_a_hostile_one(tmp_path: Path, malice: Malice) -> None:
    with (
        Workstation(tmp_path).running() as workstation,
        workstation.card(HostileCard(malice.answer())),
        workstation.card(simulated_card(), slot=1),
    ):
        hostile, good = [str(card["id"]) for card in workstation.cards()]
        lps = workstation.pair()
        answered: list[tuple[int, dict[str, object]]] = []
        bad = threading.Thread(
            target=lambda: answered.append(
                workstation.lps(lps.credential).call("POST", "/v1/sessions", {"method": "cpx", "card": hostile})
            )
        )
        bad.start()
        session = workstation.log_in(lps, good)
        assert session.sign()
        bad.join(30)
        [(status, told)] = answered
        assert status in (409, 422, 502, 503, 504), told
        assert str(told["code"]).startswith("card.")
        problem(401, "session.unknown", workstation.lps("x").call("GET", session.path))
        with closing(UnixConnection(workstation.daemon.socket)) as connection:
            connection.request("GET", "/v1/cards?pin=true")
            listed = json.loads(connection.getresponse().read())["cards"]
        assert "problem" in listed[0]
        assert listed[1]["pin"]["tries_left"] == 3
