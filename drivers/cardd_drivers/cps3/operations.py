"""Using a key with as few commands as the card allows.

What the card was told is remembered as long as it holds: until the card is reset, another program had it, or a file
was selected. After a reset the card stands in its master file, and key references are expected to resolve from there,
which saves a SELECT; a card that refuses this is asked once more inside its application, and so at once from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardd.apdu import SW, Command, Response
from cardd.driver import Channel
from cardd.errors import CardRefused, PinRequired
from cardd_drivers.cps3.commands import Operation
from cardd_drivers.pkcs15.files import Files, refused

# What a card may say of a key that it does not find from where it stands, or of an environment that it lost.
ELSEWHERE = frozenset(
    (
        SW.CONDITIONS,
        SW.BAD_DATA,
        SW.NOT_SUPPORTED,
        SW.FILE_NOT_FOUND,
        SW.RECORD_NOT_FOUND,
        SW.BAD_P1P2,
        SW.REFERENCE_NOT_FOUND,
    )
)


class NotOffered(CardRefused):
    """The card refuses the operation as such, wherever it stands: another way to the same end may do."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    place: tuple[int, int]
    preparation: tuple[Command, ...]


class KeyOperations:
    """Runs key operations on one card."""

    def __init__(self, channel: Channel, files: Files, aid: bytes) -> None:
        self._channel = channel
        self._files = files
        self._aid = aid
        self._selects_first = False
        self._prepared: _Prepared | None = None

    def before_login(self) -> None:
        """Go where the coming operation needs the card to be, so that no SELECT comes between login and operation."""
        self._prepared = None
        if self._selects_first and not self._files.is_inside(self._aid):
            self._files.select_application(self._aid)

    def distrust_references(self) -> None:
        """The card used another key than the one meant: from now on, select the application first."""
        self._prepared = None
        self._selects_first = True

    def run(self, operation: Operation) -> bytes:
        """Prepare the card where needed and run the operation.

        Raises PinRequired when the card has no login, NotOffered or CardRefused.
        """
        if self._selects_first and not self._files.is_inside(self._aid):
            self._files.select_application(self._aid)
        reused = self._prepared == self._wanted(operation)
        command, response = self._attempt(operation)
        if response.sw in ELSEWHERE and reused:
            command, response = self._attempt(operation)  # the card did not keep its preparation
        if response.sw in ELSEWHERE and not self._files.is_inside(self._aid):
            self._files.select_application(self._aid)
            command, response = self._attempt(operation)
            self._selects_first = response.ok or response.sw == SW.SECURITY_STATUS
        return self._result(command, response)

    def _attempt(self, operation: Operation) -> tuple[Command, Response]:
        """Return the last command sent, and its answer."""
        wanted = self._wanted(operation)
        preparation = () if self._prepared == wanted else operation.preparation
        self._prepared = None
        for command in preparation:
            response = self._channel.transmit(command)
            if not response.ok:
                return command, response
        response = self._channel.transmit(operation.command)
        if response.ok and operation.lasting:
            self._prepared = wanted
        return operation.command, response

    def _wanted(self, operation: Operation) -> _Prepared:
        return _Prepared(self._files.place, operation.preparation)

    @staticmethod
    def _result(command: Command, response: Response) -> bytes:
        if response.ok:
            return response.data
        if response.sw == SW.SECURITY_STATUS:
            raise PinRequired
        refusal = refused(command, response)
        if response.sw in ELSEWHERE or response.sw in (SW.WRONG_LENGTH, SW.INS_UNKNOWN):
            raise NotOffered.received(**refusal.params)
        raise refusal
