"""A card that answers as a card answered whose trace was recorded (``cardctl trace --record``).

The answers are those of the recording, status words included: of VERIFY, whatever code is presented, and of the keys,
whose signatures were masked and verify with nothing. A command is found by its header and data; one whose data was
masked, by its header alone. What a file holds is known from all the parts of it that were read. What was never asked of
the real card is answered 6F00, and told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from cardd.apdu import CHAINING, LE_MAX, SW, Command, Protocol, Response
from cardd.errors import InvalidRequest
from cardd.values import Value, replace
from cardd_simulators.cards.interface import Transmission

FORMAT, VERSION = "cardd-trace", 1
SIZE_MAX = 64 * 1024 * 1024  # bytes of a recording, and of all answers in it
FILES_MAX = 4 * 1024 * 1024  # bytes of a card's files, up to the last one that was read of each
ATR_SIZES = range(2, 34)  # ISO/IEC 7816-3, 8.2.1
SELECT, READ_BINARY = 0xA4, 0xB0
STATUS_MAX = 0xFFFF
NUMBER_DIGITS = 4  # of a card's number
UNKNOWN = 0x6F00  # no precise diagnosis (ISO/IEC 7816-4, 5.6)
CHAIN_MAX = 64 * 1024
BY_NAME, SHORT_ID = 0x04, 0x80  # P1 of SELECT and of READ BINARY

Place = tuple[bytes, bytes]  # the application and the file that are selected
NOWHERE: Place = (b"", b"")


class Recorded(Value):
    """One command of the recording and its response; ``data`` None was masked, ``selected`` is where it came."""

    command: Command
    data: bytes | None
    has_data: bool
    response: Response
    selected: Place

    def fits(self, command: Command) -> bool:
        """Return whether this may be what was asked now."""
        if self.command.header != command.header:
            return False
        return command.data == self.data if self.data is not None else bool(command.data) == self.has_data


class Recording(Value):
    """What was recorded of one card; ``number`` is its place among the ``count`` cards of the file, from 1."""

    atr: bytes
    protocol: Protocol
    exchanges: tuple[Recorded, ...]
    files: Mapping[Place, list[int | None]]
    number: int
    count: int


def load(given: str) -> Recording:
    """Return the recording of the card that was asked most, or with ``FILE#2`` of the second one.

    Raises InvalidRequest for a file that has none, and for a number that no card has.
    """
    path, number = _named(given)
    try:
        lines = [json.loads(line) for line in _read(path).splitlines() if line]
        head = lines[0]
        if (head["format"], head["version"]) != (FORMAT, VERSION):
            raise InvalidRequest(where=str(path), why="expected", expected=f"{FORMAT} {VERSION}")
        return _of_cards(_cards(lines[1:]), number)
    except OSError as fault:
        raise InvalidRequest(where=str(path), why=fault.strerror or "") from None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, StopIteration):
        raise InvalidRequest(where=str(path), why="expected", expected=f"{FORMAT} {VERSION}") from None


def _read(path: Path) -> str:
    """Return a recording's text. Raises OSError, ValueError for what is no file, and InvalidRequest for a huge one."""
    if not path.is_file():  # a pipe or a device may never end; what is not there has an error of its own
        path.stat()
        raise ValueError
    with path.open("rb") as file:
        content = file.read(SIZE_MAX + 1)
    if len(content) > SIZE_MAX:
        raise InvalidRequest(where=str(path), why="too large")
    return content.decode()


def _named(given: str) -> tuple[Path, int | None]:
    """Return the file, and which of its cards is meant; a file whose name ends so is a file."""
    name, mark, number = given.rpartition("#")
    is_number = number.isascii() and number.isdecimal() and len(number) <= NUMBER_DIGITS
    if not (mark and is_number) or Path(given).exists():
        return Path(given), None
    return Path(name), int(number)


class _Card:
    """The lines about one card, by its ATR: a reader may have had several, one after the other."""

    def __init__(self, atr: str) -> None:
        self.atr = atr
        self.lines: list[dict[str, str]] = []


def _cards(lines: Iterable[dict[str, str]]) -> list[_Card]:
    """Return the cards, in the order in which they came: what tells of a card has its ATR, its first command too.

    Raises LookupError for a command to a card that did not come.
    """
    cards: dict[tuple[str, str], _Card] = {}
    inside: dict[str, _Card] = {}
    for line in lines:
        if atr := line.get("atr"):
            inside[line["reader"]] = cards.setdefault((line["reader"], atr), _Card(atr))
        if line["type"] == "exchange":
            inside[line["reader"]].lines.append(line)
    return list(cards.values())


def _of_cards(cards: list[_Card], number: int | None) -> Recording:
    """Return the recording of this card, or of the one that was asked most: the first where none was asked anything."""
    if number is not None and not 0 < number <= len(cards):
        raise InvalidRequest(where=f"#{number}", why=f"1-{len(cards)}")
    card = cards[number - 1] if number else max(cards, key=lambda card: len(card.lines))
    protocol = next((line["protocol"] for line in card.lines if "protocol" in line), Protocol.T0.name)
    atr = bytes.fromhex(card.atr)
    if len(atr) not in ATR_SIZES:
        raise ValueError
    exchanges = tuple(_exchanges(card.lines))
    place = cards.index(card) + 1
    return Recording(atr, Protocol[protocol], exchanges, _files(exchanges), place, len(cards))


def _exchanges(lines: list[dict[str, str]]) -> Iterator[Recorded]:
    selected, size = NOWHERE, 0
    for line in lines:
        data = bytes.fromhex(line["data"]) if "data" in line else None
        cla, ins, p1, p2 = bytes.fromhex(line["header"])
        command = Command(cla, ins, p1, p2, data or b"")
        status = int(line["status"], 16) if "status" in line else UNKNOWN
        received = len(line["answer"]) // 2 if "answer" in line else int(line.get("received", 0))
        size += received
        if not 0 <= status <= STATUS_MAX or size > SIZE_MAX:
            raise ValueError
        answer = bytes.fromhex(line["answer"]) if "answer" in line else bytes(received)
        has_data = bool(line["sent"] or line.get("secret"))
        yield Recorded(command, data, has_data, Response(answer, status), selected)
        selected = _selected(command, Response(answer, status), selected)


def _selected(command: Command, response: Response, before: Place) -> Place:
    """Return where the card stands after a command."""
    if command.ins == SELECT and response.ok:
        return (command.data, b"") if command.p1 == BY_NAME else (before[0], bytes((command.p1,)) + command.data)
    if command.ins == READ_BINARY and command.p1 & SHORT_ID and response.data:
        return before[0], bytes((command.p1,))
    return before


class ReplayedCard:
    """Plays one recording; ``tell`` hears of each command that has no answer in it, once, on the card's thread."""

    def __init__(self, recording: Recording, title: str) -> None:
        self.title = title
        self.tell: Callable[[str], object] = lambda _: None
        self.unknown: set[bytes] = set()
        self._recording = recording
        self._files = recording.files
        self._transmission = Transmission(recording.protocol, self._chained)
        self._chain: Command | None = None
        self._selected = NOWHERE
        self._next = 0
        self._is_powered = False

    @property
    def place(self) -> tuple[int, int]:
        """Return the card's number in the recording, and how many cards that has."""
        return self._recording.number, self._recording.count

    @property
    def atr(self) -> bytes:
        """Return the answer to reset that was recorded."""
        return self._recording.atr

    @property
    def protocol(self) -> Protocol:
        """T=0 or T=1, as it was recorded."""
        return self._recording.protocol

    def power_on(self) -> bytes:
        """Reset the card, and return its ATR; the recording goes on where it was."""
        self._forget()
        self._is_powered = True
        return self.atr

    def power_off(self) -> None:
        """Take the power away."""
        self._forget()
        self._is_powered = False

    def reset(self) -> bytes:
        """Reset the card warm, and return its ATR."""
        return self.power_on()

    def process(self, apdu: bytes) -> bytes:
        """Answer one command APDU as it was answered before; 6700 for what is none, nothing without power."""
        if not self._is_powered:
            return b""
        try:
            command = Command.decode(apdu)
        except ValueError:
            return SW.WRONG_LENGTH.to_bytes(2, "big")
        return self._transmission.answer(command).encode()

    def _forget(self) -> None:
        self._transmission.clear()
        self._chain, self._selected = None, NOWHERE

    def _chained(self, command: Command) -> Response:
        """Gather the parts of a chained command: the recording has the whole."""
        plain = replace(command, cla=command.cla & ~CHAINING)
        begun, self._chain = self._chain, None
        if begun and begun.header == plain.header:
            plain = replace(plain, data=begun.data + plain.data)
        if len(plain.data) > CHAIN_MAX:
            return Response(b"", SW.WRONG_LENGTH)
        if command.cla & CHAINING:
            self._chain = plain
            return Response(b"", SW.OK)
        return self._answer(plain)

    def _answer(self, command: Command) -> Response:
        response = self._recorded(command) or self._of_file(command)
        if response is None:
            if command.header not in self.unknown:
                self.unknown.add(command.header)
                self.tell(command.header.hex(" ").upper())
            return Response(b"", UNKNOWN)
        self._selected = _selected(command, response, self._selected)
        return response

    def _recorded(self, command: Command) -> Response | None:
        """Return the answer that was given: in the same place of the card if it can be, and next in the recording."""
        asked, here = command.le or LE_MAX, _file(command, self._selected)
        fitting = [
            (_file(one.command, one.selected) != here, place < self._next, abs(place - self._next), place)
            for place, one in enumerate(self._recording.exchanges)
            if one.fits(command) and (command.ins != READ_BINARY or len(one.response.data) <= asked)
        ]
        if command.ins == READ_BINARY:  # of another file it would be another file's
            fitting = [one for one in fitting if not one[0]]
        if not fitting:
            return None
        place = min(fitting)[3]
        self._next = place + 1
        return self._recording.exchanges[place].response

    def _of_file(self, command: Command) -> Response | None:
        """Return a part of a file that was read in other parts."""
        place = _offset(command)
        content = self._files.get(_file(command, self._selected)) if command.ins == READ_BINARY else None
        if content is None or place >= len(content):
            return None
        part = content[place : place + (command.le or LE_MAX)]
        known = part[: part.index(None)] if None in part else part
        return Response(bytes(byte for byte in known if byte is not None), SW.OK) if known else None


def _file(command: Command, selected: Place) -> Place:
    """Return the file that a command is about."""
    is_named = command.ins == READ_BINARY and command.p1 & SHORT_ID
    return (selected[0], bytes((command.p1,))) if is_named else selected


def _offset(command: Command) -> int:
    return command.p2 if command.p1 & SHORT_ID else command.p1 << 8 | command.p2


def _files(exchanges: Iterable[Recorded]) -> dict[Place, list[int | None]]:
    """Return what is known of each file, by what selected it; None for bytes that were not read.

    Raises ValueError where they are larger than any card.
    """
    files: dict[Place, list[int | None]] = {}
    size = 0
    for one in exchanges:
        if one.command.ins != READ_BINARY or not one.response.data:
            continue
        place = _offset(one.command)
        content, end = files.setdefault(_file(one.command, one.selected), []), place + len(one.response.data)
        more = max(0, end - len(content))
        size += more
        if size > FILES_MAX:
            raise ValueError
        content += [None] * more
        content[place:end] = one.response.data
    return files
