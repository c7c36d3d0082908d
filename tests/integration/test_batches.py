"""Fifty documents of every format: one consent, fifty signatures of the card, two commands for each."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from tests.integration.workstation import Workstation, expect
from tests.rig.lps import Json
from tests.rig.pdf import pdf
from tests.rig.simulator import simulated_card

FORMS: list[Json] = [
    {"format": "raw", "document": b64encode(b"SIMULATION").decode()},
    {"format": "jws", "document": b64encode(b"SIMULATION").decode()},
    {"format": "cades", "document": b64encode(b"SIMULATION").decode()},
    {"format": "xades", "document": b64encode(b"<a>SIMULATION</a>").decode()},
    {"format": "pades", "document": b64encode(pdf()).decode()},
]


def test_fifty_documents_cost_one_consent_and_fifty_signatures(tmp_path: Path) -> None:
    card = simulated_card()
    station = Workstation(tmp_path)
    with station.running(), station.card(card):
        session = station.log_in()
        items: list[object] = [{"document_name": f"Document {n}", **FORMS[n % len(FORMS)]} for n in range(50)]
        expect(200, session.lps.call("POST", f"{session.path}/signatures", {"signatures": items[:5]}))
        dialogs, commands = len(station.pinentry.shown()), card.count
        answer = expect(200, session.lps.call("POST", f"{session.path}/signatures", {"signatures": items}))
        assert len(station.pinentry.shown()) == dialogs + 1
        assert 100 <= card.count - commands <= 104  # two for each, and the first may have to log in again
        signed = answer["signatures"]
        assert isinstance(signed, list)
        assert [one["format"] for one in signed] == [form["format"] for form in FORMS] * 10
