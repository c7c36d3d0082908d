"""An LPS with a card, all the way: VIHF and submission set from cardd, through its relay to the simulated DMP."""

from __future__ import annotations

import http.client
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.practice import practice
from tests.integration.workstation import Session, Workstation, expect
from tests.rig.dmp import Reply
from tests.rig.dmp_messages import Sent, cda, envelope, provide, query, retrieve, signature_of
from tests.rig.lps import Json

LPS: Json = {"name": "LPS SIMULATION", "version": "1.0", "homologation": "SIM-0001", "installation": "poste-1"}
VIHF: Json = {"type": "vihf", "lps": LPS, "patient": {"ins": "185059999900181", "oid": "1.2.250.1.213.1.4.10"}}
SET, REPORT = "2.25.9100", Sent("2.25.9101", cda("SIMULATION, un compte rendu"))


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Workstation]:
    with practice(tmp_path) as station:
        yield station


@pytest.fixture
def session(station: Workstation) -> Session:
    """The doctor is logged in, in the practice."""
    station.pinentry.answer("pin:1234")
    opened = station.log_in()
    expect(200, opened.lps.call("POST", f"{opened.path}/situation", {"id": "1"}))
    return opened


def call(session: Session, body: str) -> Reply:
    """The simulated DMP's answer, through the relay."""
    told = expect(200, session.lps.call("POST", f"{session.path}/assertions", VIHF))
    headers = {"Authorization": f"Bearer {session.lps.credential}", "Content-Type": "application/soap+xml"}
    with closing(http.client.HTTPConnection("127.0.0.1", session.lps.port, timeout=60)) as relay:
        message = envelope(body, b64decode(str(told["assertion"])))
        relay.request("POST", f"{session.path}/upstreams/dmp/simulation/repository", message, headers)
        answer = relay.getresponse()
        return Reply(answer.status, answer.read())


def signed(session: Session, document: Sent) -> Sent:
    """The set's signature, by the card."""
    listed: list[object] = [{"unique_id": document.unique_id, "document": b64encode(document.content).decode()}]
    wanted: Json = {"unique_id": SET, "documents": listed}
    told = session.lps.call(
        "POST",
        f"{session.path}/signatures",
        {"document_name": "Lot de soumission", "format": "submission_set", "submission_set": wanted},
    )
    return signature_of(SET, b64decode(str(expect(200, told)["document"])))


def test_a_document_is_added_found_and_read_with_the_card(session: Session) -> None:
    added = call(session, provide(SET, REPORT, signed(session, REPORT)))
    found = call(session, query("11488-4"))
    read = call(session, retrieve(REPORT.unique_id))

    assert (added.status, added.body.count(b"ResponseStatusType:Success")) == (200, 1), added.body
    assert found.titles == ["Compte rendu SIMULATION", "Ajout SIMULATION 2.25.9101"]
    assert [b64decode(each) for each in read.texts("//xds:Document/text()")] == [REPORT.content]
