"""The judge tells each breach of what holds after every fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest

from cardd.errors import AuditBroken
from cardd.model import AuditEntry, AuditRow, Outcome
from tests.faults.judge import Judge
from tests.faults.site import Site
from tests.faults.work import LOST, SIGNED, SILENT, UNREPEATABLE, Opened, Piece, Work

SERIAL, NAME = "5EA1", "raw-1"


@dataclass
class Card:
    """What a card tells."""

    given: list[bytes] = field(default_factory=list)
    wrong: int = 0
    tries_left: int = 3
    serials: set[str] = field(default_factory=lambda: {SERIAL})


@dataclass
class Program:
    """One session, opened before the card left."""

    is_served: bool = False
    opened: list[Opened] = field(default_factory=lambda: [Opened("/v1/sessions/old", "token", 1.0)])

    def is_open(self, _: Opened) -> bool:
        """Return whether the session lives."""
        return self.is_served


@dataclass
class Scene:
    """A site, its log and its work, as the judge asks for them; well unless a test breaks it."""

    card: Card = field(default_factory=Card)
    program: Program = field(default_factory=Program)
    rows: list[AuditRow] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    left: list[float] = field(default_factory=lambda: [2.0])
    starts: int = 0
    is_broken: bool = False

    @property
    def audit(self) -> Scene:
        """Return the log."""
        return self

    @property
    def cards(self) -> dict[str, Card]:
        """Return the card."""
        return {"medecin": self.card}

    @property
    def holders(self) -> list[Program]:
        """Return the program."""
        return [self.program]

    def verify(self) -> None:
        """Find the chain whole, or not."""
        if self.is_broken:
            raise AuditBroken(row=1, why="changed")

    def tail(self, count: int) -> list[AuditRow]:
        """Return rows."""
        return self.rows[-count:] if count else []

    def signs(self, *, rows: int = 1, values: int = 1, kind: str = "raw", action: str = "signature.raw") -> None:
        """Let one piece be signed, with so many rows and values."""
        piece = Piece(kind, NAME, answers=[SIGNED], session="/v1/sessions/new", asked=3.0)
        entry = AuditEntry(action, Outcome.DONE, 0, "client", document=NAME, certificate=SERIAL)
        self.pieces.append(piece)
        first = len(self.rows) + 1
        self.rows += [AuditRow(number, datetime.now(UTC), entry, "") for number in range(first, first + rows)]
        self.card.given += [b"digest"] * values


def verdict(scene: Scene, thrown: int = 0, *, cuts: bool = False) -> list[str]:
    judge = Judge(cast(Site, scene), cast(Work, scene))
    empty = Judge(cast(Site, Scene()), cast(Work, Scene())).mark()
    return judge.verdict(empty, thrown, cuts=cuts)


def test_what_is_well_is_said_to_be() -> None:
    scene = Scene()
    scene.signs()
    assert verdict(scene) == []
    scene.card.given.append(b"thrown away")
    assert verdict(scene, thrown=1) == []


@pytest.mark.parametrize(
    ("rows", "values", "told"),
    [
        (0, 1, "raw-1 was signed with 0 rows"),
        (2, 2, "raw-1 was signed with 2 rows"),
        (1, 2, "the card gave 2 values, 1 have rows"),
        (1, 0, "the card gave 0 values, 1 have rows"),
    ],
)
def test_rows_and_values_are_those_of_what_was_signed(rows: int, values: int, told: str) -> None:
    scene = Scene()
    scene.signs(rows=rows, values=values)
    assert told in verdict(scene)


def test_a_request_without_an_answer_is_told() -> None:
    scene = Scene()
    scene.signs()
    scene.pieces[0].answers = [SILENT]
    assert verdict(scene) == ["no answer to raw-1", "raw-1 was never signed"]


def test_a_connection_is_lost_with_the_daemon_or_with_the_relays_server_alone() -> None:
    scene = Scene()
    scene.signs(kind="relay")
    scene.pieces[0].answers = [LOST, SIGNED]
    assert verdict(scene) == ["the connection of raw-1 was lost"]
    assert verdict(scene, cuts=True) == []
    scene.pieces[0].kind = "raw"
    assert verdict(scene, cuts=True) == ["the connection of raw-1 was lost"]
    scene.starts = 1
    assert verdict(scene) == []


def test_a_log_that_is_broken_after_a_death_is_told() -> None:
    scene = Scene(is_broken=True)
    assert verdict(scene) == []
    scene.starts = 1
    with pytest.raises(AuditBroken):
        verdict(scene)


def test_a_signature_by_pkcs11_has_a_row() -> None:
    scene = Scene()
    scene.signs(kind="pkcs11", action="program.data")
    assert verdict(scene) == []
    scene.signs(kind="pkcs11", rows=0, values=0)
    assert verdict(scene) == ["2 signatures by PKCS#11, 1 rows"]


def test_an_assertion_that_was_lost_with_the_daemon_is_an_answer_and_a_signature_is_not() -> None:
    scene = Scene()
    scene.signs()
    scene.pieces[0].answers = [UNREPEATABLE]
    assert verdict(scene, thrown=1) == ["raw-1 was never signed"]
    scene = Scene()
    scene.signs(kind="vihf", action="assertion.vihf")
    scene.pieces[0].answers = [UNREPEATABLE]
    assert verdict(scene, thrown=1) == []
    assert verdict(scene) == ["raw-1 was never signed"]


def test_a_wrong_pin_and_a_lost_try_are_told() -> None:
    scene = Scene(Card(wrong=1, tries_left=2))
    assert verdict(scene) == ["2 tries left", "1 wrong PINs reached the card"]


def test_a_session_that_outlives_its_card_is_told() -> None:
    scene = Scene(program=Program(is_served=True))
    scene.signs()
    scene.pieces[0].session = "/v1/sessions/old"
    assert verdict(scene) == [
        "raw-1 was signed by a session whose card had left",
        "/v1/sessions/old outlived its card",
    ]
