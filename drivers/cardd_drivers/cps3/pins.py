"""The PIN and the PUK of a card: asked about, presented, changed and unblocked.

Source: the card facts, section "CPS3: commands", and the emulation facts, section 3 (OpenSC, Cryptolib).
"""

from __future__ import annotations

from cardd.apdu import LE_MAX, SW, Command, Response, tries_left
from cardd.driver import Channel
from cardd.errors import (
    CardIncomplete,
    PinBlocked,
    PinError,
    PinFormat,
    PinUnchangeable,
    PinWrong,
    PukBlocked,
    PukWrong,
)
from cardd.model import PinInfo, PinStatus
from cardd.secret import Secret
from cardd.tlv import parse_one
from cardd_drivers.pkcs15.files import Files, refused

DIGITS = range(ord("0"), ord("9") + 1)
PIN_OBJECT, CONTENT, LEFT = 0xBF8100, 0xA0, 0x9B  # the reference is the object's last byte


def verification(reference: int) -> Command:
    """VERIFY; without body it asks for the tries left."""
    return Command(0x00, 0x20, 0x00, reference)


def counters(reference: int) -> Command:
    """GET DATA of a code's counters, in the master file: the other way to the tries left."""
    wanted = bytes((0x4D, 0x08, 0x70, 0x06, 0xBF, 0x81, reference, 0x02, 0xA0, 0x80))
    return Command(0x00, 0xCB, 0x3F, 0xFF, wanted, le=LE_MAX)


def replacement(reference: int) -> Command:
    """CHANGE REFERENCE DATA; the body is the old code and the new one, without anything between."""
    return Command(0x00, 0x24, 0x00, reference)


def unblocking(reference: int) -> Command:
    """RESET RETRY COUNTER with a new code as the body, after the unblocking code was presented."""
    return Command(0x00, 0x2C, 0x02, reference)


class CardPins:
    """One card's codes. A variant overrides ``_replace`` and ``_set_new``.

    Raises PinFormat without having sent anything for a code that cannot be right.
    """

    def __init__(self, channel: Channel, files: Files, pin: PinInfo | None, puk: PinInfo | None) -> None:
        self._channel = channel
        self._files = files
        self._known_pin = pin
        self._known_puk = puk

    @property
    def pin(self) -> PinInfo:
        """Return the holder's PIN. Raises CardIncomplete for a card without."""
        if self._known_pin is None:
            raise CardIncomplete(what="pin")
        return self._known_pin

    @property
    def puk(self) -> PinInfo:
        """Return the code that unblocks it. Raises PinUnchangeable for a card without."""
        if self._known_puk is None:
            raise PinUnchangeable
        return self._known_puk

    def status(self, code: PinInfo) -> PinStatus:
        """Return the tries left: all of them on a card that is already verified, as the right code restores them.

        VERIFY without body tells; where a card refuses that (6700), its counters do. Raises CardRefused when neither
        does: no code is presented to such a card (rule 4).
        """
        command = verification(code.reference)
        response = self._channel.transmit(command)
        left = code.tries if response.ok else tries_left(response.sw)
        if left is None and response.sw == SW.WRONG_LENGTH:
            left = self._counted(code)
        if left is None:
            raise refused(command, response)
        return PinStatus(left)

    def _counted(self, code: PinInfo) -> int | None:
        """Return the tries left as the card counts them; None for one that does not tell. Raises CardGarbled."""
        self._files.select_master()
        response = self._channel.transmit(counters(code.reference))
        if not response.ok:
            return None
        found = parse_one(response.data).find(PIN_OBJECT | code.reference, CONTENT, LEFT)
        return found.value[0] if found and len(found.value) == 1 else None

    def verify(self, pin: Secret | None) -> None:
        """Present the PIN; None has the reader's keypad ask for it.

        Raises PinWrong, PinBlocked, and on a keypad PinCancelled or PinTimeout.
        """
        command = verification(self.pin.reference)
        response = self._channel.verify_on_pinpad(command, self.pin) if pin is None else self._present(self.pin, pin)
        self._check(command, response, PinWrong, PinBlocked)

    def change(self, old: Secret | None, new: Secret | None) -> None:
        """Replace the PIN after ``verify``. Raises PinUnchangeable for a keypad's, PinWrong, PinBlocked."""
        if old is None or new is None:
            raise PinUnchangeable
        check_format(new, self.pin)
        command, response = self._replace(old, new)
        self._check(command, response, PinWrong, PinBlocked)

    def unblock(self, puk: Secret, new: Secret) -> None:
        """Present the PUK and set a new PIN. Raises PukWrong, PukBlocked, PinUnchangeable, CardRefused."""
        check_format(new, self.pin)
        self._check(verification(self.puk.reference), self._present(self.puk, puk), PukWrong, PukBlocked)
        command, response = self._set_new(new)
        if not response.ok:
            raise refused(command, response)

    def _present(self, code: PinInfo, value: Secret) -> Response:
        check_format(value, code)
        return self._channel.transmit_secret(verification(code.reference), value)

    def _replace(self, old: Secret, new: Secret) -> tuple[Command, Response]:
        """CHANGE REFERENCE DATA with the old code and the new one."""
        command = replacement(self.pin.reference)
        with Secret() as both:
            _join(old, new, both)
            return command, self._channel.transmit_secret(command, both)

    def _set_new(self, new: Secret) -> tuple[Command, Response]:
        """RESET RETRY COUNTER with a new code, after the PUK."""
        command = unblocking(self.pin.reference)
        return command, self._channel.transmit_secret(command, new)

    def _check(
        self,
        command: Command,
        response: Response,
        wrong: type[PinError],
        blocked: type[PinError],
    ) -> None:
        if response.ok:
            return
        left = tries_left(response.sw)
        if left is None:
            raise refused(command, response)
        raise wrong(tries_left=left) if left else blocked


def check_format(code: Secret, known: PinInfo) -> None:
    """Refuse a code that cannot be this one. Raises PinFormat."""
    with code.view() as view:
        right = known.minimum <= len(view) <= known.maximum and all(byte in DIGITS for byte in view)
    if not right:
        raise PinFormat(minimum=known.minimum, maximum=known.maximum)


def _join(one: Secret, other: Secret, into: Secret) -> None:
    with one.view() as first, other.view() as second, into.room() as room:
        size = len(first) + len(second)
        room[: len(first)] = first
        room[len(first) : size] = second
    into.keep(0, size)
