"""The one judge of all faults: what was answered, what the card gave, what the log has, and which sessions live.

Requests rest while it looks, so that all counts are of the same moment.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cardd.model import AuditRow, Outcome
from tests.faults.site import Site
from tests.faults.work import SIGNED, SILENT, UNREPEATABLE, Opened, Piece, Work

ROWS = 100_000
BY_NAME = frozenset(("raw", "cades", "pades", "token"))  # kinds whose row names the document
OF_CARD = ("signature.", "assertion.", "tls.", "program.")


@dataclass(frozen=True)
class Mark:
    """How much there was when a fault began."""

    row: int
    given: int
    wrong: int
    pieces: int


class Judge:
    """Tells what is wrong with a site and its work since a mark."""

    def __init__(self, site: Site, work: Work) -> None:
        self._site = site
        self._work = work

    def mark(self) -> Mark:
        """Return how much there is."""
        newest = self._site.audit.tail(1)
        return Mark(newest[-1].number if newest else 0, self._given(), self._wrong(), len(self._work.pieces))

    def verdict(self, mark: Mark, thrown: int) -> list[str]:
        """Return what is wrong; ``thrown`` values of the card may have been thrown away."""
        rows = [row for row in self._site.audit.tail(ROWS) if row.number > mark.row]
        done = [row for row in rows if row.entry.outcome is Outcome.DONE]
        pieces = self._work.pieces[mark.pieces :]
        return [
            *self._unanswered(pieces, thrown),
            *self._twice_or_unrecorded(pieces, done),
            *self._given_and_recorded(mark, done, thrown),
            *self._pins(mark),
            *self._outlived(pieces),
        ]

    def _given(self) -> int:
        return sum(len(card.given) for card in self._site.cards.values())

    def _wrong(self) -> int:
        return sum(card.wrong for card in self._site.cards.values())

    @staticmethod
    def _unanswered(pieces: list[Piece], thrown: int) -> list[str]:
        """Each piece is signed in the end; an assertion whose answer was lost with the daemon cannot be made again."""
        silent = [piece.name for piece in pieces if SILENT in piece.answers]
        last = {SIGNED} | ({UNREPEATABLE} if thrown else set())
        open_ = [
            piece.name
            for piece in pieces
            if last.isdisjoint(piece.answers) or (UNREPEATABLE in piece.answers and piece.kind in BY_NAME)
        ]
        return [f"no answer to {name}" for name in silent] + [f"{name} was never signed" for name in open_]

    @staticmethod
    def _twice_or_unrecorded(pieces: list[Piece], done: list[AuditRow]) -> list[str]:
        """Each piece has one row; an assertion's names no document, and is counted."""
        rows = Counter(row.entry.document for row in done)
        found = [
            f"{piece.name} was signed with {rows[piece.name]} rows"
            for piece in pieces
            if piece.kind in BY_NAME and rows[piece.name] != 1
        ]
        actions = Counter(row.entry.action for row in done)
        asserted = sum(piece.kind == "vihf" for piece in pieces)
        if actions["assertion.vihf"] != asserted:
            found.append(f"{asserted} assertions, {actions['assertion.vihf']} rows")
        return found

    def _given_and_recorded(self, mark: Mark, done: list[AuditRow], thrown: int) -> list[str]:
        """Each value that a card gave whole has its row, unless it was thrown away."""
        serials = set().union(*(card.serials for card in self._site.cards.values()))
        recorded = sum(row.entry.action.startswith(OF_CARD) and row.entry.certificate in serials for row in done)
        given = self._given() - mark.given
        if recorded <= given <= recorded + thrown:
            return []
        return [f"the card gave {given} values, {recorded} have rows"]

    def _pins(self, mark: Mark) -> list[str]:
        lost = [f"{card.tries_left} tries left" for card in self._site.cards.values() if card.tries_left != 3]
        wrong = self._wrong() - mark.wrong
        return lost + ([f"{wrong} wrong PINs reached the card"] if wrong else [])

    def _outlived(self, pieces: list[Piece]) -> list[str]:
        """A session that was open when its card left serves nothing afterwards, and is none."""
        last = max(self._site.left, default=0.0)
        programs = self._work.programs
        ended: dict[str, tuple[Opened, int]] = {
            one.path: (one, number)
            for number, program in enumerate(programs)
            for one in program.opened
            if one.at < last
        }
        found = [f"{piece.name} was signed by a session whose card had left" for piece in pieces
                 if piece.session in ended and piece.asked > last]  # fmt: skip
        newest = [program.opened[-1] for program in programs if program.opened]
        return found + [
            f"{one.path} outlived its card"
            for one, number in ended.values()
            if one in newest and programs[number].is_open(one)
        ]
