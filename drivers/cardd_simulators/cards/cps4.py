"""A simulated CPS4: what a CPS3 does not do, or otherwise.

Its commands are those of the card facts, section "CPS4", and of the emulation facts, section 5. Nothing is known of a
real one's file system: the CPS3's was taken, without its short identifiers and EF.ATR; no driver may rely on it. What
the basic channel answers, and every status word but 63C0, were chosen too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from cardd.apdu import SW, Command, Protocol, Response
from cardd_simulators.cards import chipdoc, environment
from cardd_simulators.cards.answers import Refused
from cardd_simulators.cards.card import PIN_REFERENCE, PUK_REFERENCE, SimulatedCard
from cardd_simulators.cards.chipdoc import ChipDocEnvironment
from cardd_simulators.cards.contents import CONTACT_AID, ROOT_AID, CardContents, application_record
from cardd_simulators.cards.files import File
from cardd_simulators.cards.objects import RSA, RSA_PSS, SHA256_RSA

CHANNEL = 0x01
CHANNEL_CLOSED = 0x6881
SELECT, BY_NAME, INTERNAL_AUTHENTICATE = 0xA4, 0x04, 0x88
LOCAL = 0x80
WAY_AROUND = ((CHANNEL, bytes.fromhex("A0000001510000")), (0x00, bytes.fromhex("8025000001FF0002")))
ENVIRONMENTS = {(0x81, environment.SIGNATURE), (0x41, environment.CONFIDENTIALITY)}


class Cps4Contents(CardContents):
    """The files of a CPS3 where no driver can find them but by the directories."""

    label_form = "CPS4-{}"
    signature_key, authentication_key = 0x21, 0x20
    algorithms = (
        ("40", "0640", SHA256_RSA, chipdoc.PKCS1_SHA256),
        ("43", "0640", RSA_PSS, chipdoc.PSS_SHA256),
        ("03", "0204", RSA, 0),
    )

    def _master_files(self) -> list[File]:
        return [File(0x2F00, bytearray(self._ef_dir())), File(0xD003, bytearray(self._ef_sn()))]

    def _ef_dir(self) -> bytes:
        return application_record(self.aid, b"CPS4", self.folder)

    def _directories(self) -> list[File]:
        return [replace(file, short_identifier=None) for file in super()._directories()]


class SimulatedCps4(SimulatedCard):
    """The card. All but the selections that lead there happens on logical channel 1."""

    atr: ClassVar[bytes] = bytes.fromhex("3B9B188001001225006480040100009044")
    protocol: ClassVar[Protocol] = Protocol.T1
    contents: ClassVar[type[CardContents]] = Cps4Contents
    blocked: ClassVar[int] = SW.TRIES_LEFT
    _open = False
    _way: tuple[tuple[int, bytes], ...] = ()

    def _forget(self) -> None:
        super()._forget()
        self._open, self._way = False, ()

    def _execute(self, command: Command) -> Response:
        if command.cla not in (0x00, CHANNEL):
            raise Refused(SW.CLA_UNKNOWN)
        if (command.ins, command.p1) == (SELECT, BY_NAME) and command.data != CONTACT_AID:
            return self._enter(command)
        if command.cla != CHANNEL:
            raise Refused(SW.CLA_UNKNOWN)
        if not self._open:
            raise Refused(CHANNEL_CLOSED)
        return super()._execute(replace(command, cla=0x00))

    def _enter(self, command: Command) -> Response:
        """Open channel 1, or take a step of the way around."""
        step = command.cla, command.data
        if step in WAY_AROUND:
            self._way = (*self._way, step)
            return Response(b"", SW.OK)
        if step != (CHANNEL, ROOT_AID):
            raise Refused(SW.FILE_NOT_FOUND)
        if self._behaviour.detour and self._way != WAY_AROUND:
            self._way = ()
            raise Refused(SW.CONDITIONS)
        self._open = True
        return super()._execute(replace(command, cla=0x00))

    def _new_environment(self) -> ChipDocEnvironment:
        return ChipDocEnvironment(self._keys(), self._is_reachable)

    def _set_environment(self, command: Command) -> bytes:
        if (command.p1, command.p2) not in ENVIRONMENTS:
            raise Refused(SW.BAD_P1P2)
        self._environment.set(command.p2, command.data)
        return b""

    def _operate(self, command: Command) -> bytes:
        """Signing and deciphering; nothing is hashed on this card."""
        if (command.p1, command.p2) == (0x90, 0xA0):
            raise Refused(SW.BAD_P1P2)
        return super()._operate(command)

    def _change(self, command: Command) -> bytes:
        """The new PIN alone: after a VERIFY, or after the PUK gave the tries back."""
        self._pin(command.p1 == 1 and command.p2 == PIN_REFERENCE, command.p2).replace(command.data)
        return b""

    def _unblock(self, command: Command) -> bytes:
        """All tries back, no new PIN yet."""
        pin = self._pin(command.p1 == 3 and command.p2 == PIN_REFERENCE | LOCAL, PIN_REFERENCE)
        if not self._pins[PUK_REFERENCE].verified:
            raise Refused(SW.SECURITY_STATUS)
        pin.renew()
        return b""

    def _known_commands(self) -> dict[int, Callable[[Command], bytes]]:
        return {ins: run for ins, run in super()._known_commands().items() if ins != INTERNAL_AUTHENTICATE}
