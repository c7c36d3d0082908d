"""A simulated CPS3, in contact and read without: power, APDUs in, APDUs out.

Source: the emulation facts, sections 1 to 3 and 5. Where a real card's behaviour is not known, the simulated one does
what both stacks are known to accept; ``Behaviour`` has the other possibilities that a driver must be able to live with.
The folder of the contactless application, its files and the key's reference were chosen. Another kind of card overrides
the constants and the methods of its commands.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar

from cardd.apdu import CHAINING, SW, Command, Protocol, Response
from cardd.values import replace
from cardd_simulators.cards import environment, objects
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.contents import CONTACTLESS_AID, CONTACTLESS_FOLDER, CardContents, der
from cardd_simulators.cards.environment import Environment, Key
from cardd_simulators.cards.files import File, FileCommands, Selection
from cardd_simulators.cards.interface import PIN_COMMANDS, Delays, Refused, Transmission
from cardd_simulators.cards.objects import DataEntry, KeyEntry
from cardd_simulators.cards.pins import Pin, security_object
from cardd_simulators.cards.store import Issued

PIN_TRIES, PUK_TRIES = 3, 10
PIN_REFERENCE, PUK_REFERENCE = 1, 2
PIN_MINIMUM, PUK_LENGTH = 4, 8
CHAIN_MAX = 1024
LOG_LENGTH = 10_000
HEADER = 4
TECHNICAL_KEY = 0x83


class SimulatedCard:
    """One card. Only one thread may use it at a time.

    ``count`` is the number of APDUs that came, ``log`` the last of them, without the bodies of those with a PIN;
    ``resets`` counts cold and warm ones; ``selection`` is where it stands in its files. PIN counters and written data
    last as long as the object does.
    """

    atr: ClassVar[bytes] = bytes.fromhex("3BAC00402A001225006480000310009000")
    protocol: ClassVar[Protocol] = Protocol.T0
    contents: ClassVar[type[CardContents]] = CardContents
    blocked: ClassVar[int] = SW.BLOCKED

    def __init__(
        self,
        issued: Issued,
        *,
        pin: bytes = b"1234",
        puk: bytes = b"12345678",
        behaviour: Behaviour | None = None,
        delays: Delays | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.issued = issued
        self.count = 0
        self.resets = 0
        self.log: deque[bytes] = deque(maxlen=LOG_LENGTH)
        self._behaviour = behaviour or Behaviour()
        self._delays = delays or Delays()
        self._sleep = sleep
        self._powered = False
        self._pins = {
            PIN_REFERENCE: Pin(pin, PIN_TRIES, (PIN_MINIMUM, len(pin)), self.blocked),
            PUK_REFERENCE: Pin(puk, PUK_TRIES, (PUK_LENGTH, PUK_LENGTH), self.blocked),
        }
        self.selection = Selection(self.contents(issued, len(pin), self._behaviour).files())
        self._files = FileCommands(self.selection, lambda: self._pins[PIN_REFERENCE].verified)
        self._environment = self._new_environment()
        self._transmission = Transmission(self.protocol, self._chained)
        self._chain: Command | None = None
        self._commands = self._known_commands()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.issued.profile.name} {self.issued.serial}>"

    @property
    def title(self) -> str:
        """Return the card's number and whose profile it has."""
        return f"{self.issued.card_number} ({self.issued.profile.name})"

    # --- power

    def power_on(self) -> bytes:
        """Reset the card cold, and return its ATR."""
        self._powered = True
        return self._start()

    def power_off(self) -> None:
        """Logins, selection and environment are lost; tries and data are not."""
        self._forget()
        self._powered = False

    def reset(self) -> bytes:
        """Reset the card warm, and return its ATR."""
        return self.power_on()

    def _start(self) -> bytes:
        self.resets += 1
        self._forget()
        return self.atr

    def _forget(self) -> None:
        for pin in self._pins.values():
            pin.forget()
        self.selection.reset()
        self._environment.clear()
        self._transmission.clear()
        self._chain = None

    # --- commands

    def process(self, apdu: bytes) -> bytes:
        """Take one command APDU, and return the answer: with a status word whatever the bytes, empty without power."""
        if not self._powered:
            return b""
        self._record(apdu)
        try:
            command = self._decode(apdu)
        except ValueError:
            return SW.WRONG_LENGTH.to_bytes(2, "big")
        if delay := self._delays.of(command):
            self._sleep(delay)
        return self._transmission.answer(command).encode()

    def _record(self, apdu: bytes) -> None:
        self.count += 1
        secret = len(apdu) > HEADER + 1 and apdu[1] in PIN_COMMANDS  # with a body
        self.log.append(apdu[:HEADER] if secret else apdu)

    @staticmethod
    def _decode(apdu: bytes) -> Command:
        if len(apdu) > HEADER + 1 and apdu[HEADER] == 0:
            raise ValueError("no CPx takes extended APDUs")
        return Command.decode(apdu)

    def _chained(self, command: Command) -> Response:
        """Gather the parts of a chained command; the last is executed with the bodies of all."""
        try:
            whole = self._gather(command)
            return self._execute(whole) if whole else Response(b"", SW.OK)
        except Refused as refusal:
            return Response(b"", refusal.sw)

    def _gather(self, command: Command) -> Command | None:
        begun, self._chain = self._chain, None
        plain = replace(command, cla=command.cla & ~CHAINING)
        if begun and begun.header == plain.header:
            plain = replace(plain, data=begun.data + plain.data)
        if len(plain.data) > CHAIN_MAX:
            raise Refused(SW.WRONG_LENGTH)
        if command.cla & CHAINING:
            self._chain = plain
            return None
        return plain

    def _execute(self, command: Command) -> Response:
        if command.cla != 0:
            raise Refused(SW.CLA_UNKNOWN)
        run = self._commands.get(command.ins)
        if run is None:
            raise Refused(SW.INS_UNKNOWN)
        return Response(run(command), SW.OK)

    def _known_commands(self) -> dict[int, Callable[[Command], bytes]]:
        """Return what this kind of card can be asked, by INS."""
        return {
            0x20: self._verify,
            0x22: self._set_environment,
            0x24: self._change,
            0x2A: self._operate,
            0x2C: self._unblock,
            0x88: self._authenticate,
            0xA4: self._select,
            0xB0: self._read,
            0xCB: self._get_data,
            0xD6: self._update,
        }

    def _select(self, command: Command) -> bytes:
        answer = self._files.select(command)
        if self._behaviour.strict_references:
            self._environment.clear()
        return answer

    def _read(self, command: Command) -> bytes:
        return self._files.read(command)

    def _update(self, command: Command) -> bytes:
        return self._files.update(command)

    def _get_data(self, command: Command) -> bytes:
        _expect(command, 0x3F, 0xFF)
        return security_object(command.data, self._pins)

    # --- PINs

    def _verify(self, command: Command) -> bytes:
        pin = self._pin(command.p1 == 0, command.p2)
        if command.data:
            pin.present(command.data)
        elif self._behaviour.no_empty_verify:
            raise Refused(SW.WRONG_LENGTH)
        elif pin.status != SW.OK:
            raise Refused(pin.status)
        return b""

    def _change(self, command: Command) -> bytes:
        self._pin(command.p1 == 0 and command.p2 == PIN_REFERENCE, command.p2).change(command.data)
        return b""

    def _unblock(self, command: Command) -> bytes:
        pin = self._pin(command.p1 == 2 and command.p2 == PIN_REFERENCE, command.p2)
        if not self._pins[PUK_REFERENCE].verified:
            raise Refused(SW.SECURITY_STATUS)
        pin.unblock(command.data)
        return b""

    def _pin(self, is_right: bool, reference: int) -> Pin:
        if not is_right:
            raise Refused(SW.BAD_P1P2)
        if reference not in self._pins:
            raise Refused(SW.REFERENCE_NOT_FOUND)
        return self._pins[reference]

    # --- keys

    def _new_environment(self) -> Environment:
        return Environment(self._keys(), self._is_reachable)

    def _keys(self) -> dict[int, Key]:
        used = frozenset((environment.AUTHENTICATION, environment.CONFIDENTIALITY))
        return {
            self.contents.signature_key: Key(self.issued.signature.key, frozenset((environment.SIGNATURE,))),
            self.contents.authentication_key: Key(self.issued.authentication.key, used),
        }

    def _is_reachable(self) -> bool:
        return not self._behaviour.strict_references or self.selection.folder.name == self.contents.aid

    def _set_environment(self, command: Command) -> bytes:
        if command.p1 != 0x41:
            raise Refused(SW.BAD_P1P2)
        self._environment.set(command.p2, command.data)
        return b""

    def _operate(self, command: Command) -> bytes:
        match command.p1, command.p2:
            case 0x9E, 0x9A:
                return self._sign(command.data)
            case 0x90, 0xA0:
                self._environment.hash(command.data)
                return b""
            case 0x80, 0x86:
                self._need_pin()
                return self._environment.decipher(command.data)
        raise Refused(SW.BAD_P1P2)

    def _sign(self, digest: bytes) -> bytes:
        if digest and self._behaviour.hashes_itself:
            raise Refused(SW.BAD_DATA)
        self._need_pin()
        signature = self._environment.sign(digest)
        self._end_login()
        return signature

    def _authenticate(self, command: Command) -> bytes:
        _expect(command, 0, 0)
        self._need_pin()
        signature = self._environment.authenticate(command.data)
        self._end_login()
        return signature

    def _end_login(self) -> None:
        if self._behaviour.one_signature_a_pin:
            self._pins[PIN_REFERENCE].forget()

    def _need_pin(self) -> None:
        if not self._pins[PIN_REFERENCE].verified:
            raise Refused(SW.SECURITY_STATUS)


def _expect(command: Command, p1: int, p2: int) -> None:
    if (command.p1, command.p2) != (p1, p2):
        raise Refused(SW.BAD_P1P2)


class ContactlessContents(CardContents):
    """No passwords, no data, and the technical key alone."""

    aid = CONTACTLESS_AID
    folder = CONTACTLESS_FOLDER
    info_flags = objects.READ_ONLY

    def _directories(self) -> list[File]:
        return [file for file in super()._directories() if file.identifier not in (0x7001, 0x7006)]

    def _object_directory(self) -> bytes:
        return objects.object_directory(
            {objects.PRIVATE_KEYS: self._path(0x7002), objects.CERTIFICATES: self._path(0x7005)}
        )

    def _keys(self) -> list[KeyEntry]:
        return [KeyEntry("CPS_PRIV_TECH_AUT", self.aid + b"\x03", TECHNICAL_KEY, objects.SIGN)]

    def _certificate_directory(self) -> bytes:
        return objects.certificate_entry("Certificat Technique CPS", self.aid + b"\x03", self._path(0xB003))

    def _certificates(self) -> list[File]:
        return [File(0xB003, der(self._card.technical))]

    def _data_entries(self) -> list[DataEntry]:
        return []

    def _data(self) -> list[File]:
        return []


class SimulatedContactless(SimulatedCard):
    """The card near a contactless reader: it has no PIN, and signs without one."""

    atr: ClassVar[bytes] = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
    protocol: ClassVar[Protocol] = Protocol.T1
    contents: ClassVar[type[CardContents]] = ContactlessContents

    def _get_data(self, command: Command) -> bytes:
        return security_object(command.data, {})

    def _keys(self) -> dict[int, Key]:
        return {TECHNICAL_KEY: Key(self.issued.technical.key, frozenset((environment.AUTHENTICATION,)))}

    def _need_pin(self) -> None:
        """Ask for no PIN: nothing here is behind one."""

    def _known_commands(self) -> dict[int, Callable[[Command], bytes]]:
        return {ins: run for ins, run in super()._known_commands().items() if ins not in PIN_COMMANDS}
