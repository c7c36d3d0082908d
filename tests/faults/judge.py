"""The one judge of all faults: what was answered, what the card gave, what the log has, and which sessions live.

Requests rest while it looks, so that all counts are of the same moment.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cardd.model import AuditRow, Outcome
from tests.faults.site import Site
from tests.faults.work import LOST, SIGNED, SILENT, UNREPEATABLE, Piece, Work

RECENT = 8  # sessions of each program, the newest, of which the daemon is asked whether they live
BY_NAME = frozenset(("raw", "cades", "pades", "token"))  # kinds whose row names the document
OF_PROGRAM = "program."
OF_CARD = ("signature.", "assertion.", "tls.", OF_PROGRAM)


@dataclass(frozen=True)
class Mark:
    """How much there was when a fault began."""

    row: int
    given: int
    wrong: int
    pieces: int
    starts: int


class Judge:
    """Tells what is wrong with a site and its work since a mark."""

    def __init__(self, site: Site, work: Work) -> None:
        self._site = site
        self._work = work

    def mark(self) -> Mark:
        """Return how much there is."""
        return Mark(self._newest(), self._given(), self._wrong(), len(self._work.pieces), self._site.starts)

    def verdict(self, mark: Mark, thrown: int, *, cuts: bool = False) -> list[str]:
        """Return what is wrong; ``thrown`` values of the card may have been thrown away.

        ``cuts`` says that answers of the relay's server may have been cut. Raises AuditUnavailable, AuditBroken.
        """
        has_died = self._site.starts > mark.starts
        if has_died or thrown:
            self._site.audit.verify()
        rows = self._site.audit.tail(self._newest() - mark.row)
        done = [row for row in rows if row.entry.outcome is Outcome.DONE]
        pieces = self._work.pieces[mark.pieces :]
        return [
            *self._unanswered(pieces, thrown),
            *([] if has_died else self._cut_off(pieces, cuts=cuts)),
            *self._twice_or_unrecorded(pieces, done),
            *self._given_and_recorded(mark, done, thrown),
            *self._pins(mark),
            *self._outlived(pieces),
        ]

    def _newest(self) -> int:
        newest = self._site.audit.tail(1)
        return newest[-1].number if newest else 0

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
    def _cut_off(pieces: list[Piece], *, cuts: bool) -> list[str]:
        """A daemon that lives answers each request, or breaks off where the relay's server does."""
        return [
            f"the connection of {piece.name} was lost"
            for piece in pieces
            if LOST in piece.answers and not (cuts and piece.kind == "relay")
        ]

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
        by_program = sum(piece.kind == "pkcs11" and SIGNED in piece.answers for piece in pieces)
        of_program = sum(action.startswith(OF_PROGRAM) for action in actions.elements())
        if of_program < by_program:
            found.append(f"{by_program} signatures by PKCS#11, {of_program} rows")
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
        ended = {
            one.path: (holder, one) for holder in self._work.holders for one in holder.opened[-RECENT:] if one.at < last
        }
        return [
            f"{piece.name} was signed by a session whose card had left"
            for piece in pieces
            if piece.session in ended and piece.asked > last
        ] + [f"{path} outlived its card" for path, (holder, one) in ended.items() if holder.is_open(one)]
