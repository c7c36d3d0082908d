"""PIN entry on the reader's own keypad: the PIN reaches neither this process nor the USB cable.

Source: PC/SC specification part 10, version 2.02.09: features (2.2), PIN_VERIFY (2.5.2), status words (2.6).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from cardd.apdu import Command, Response
from cardd.errors import CarddError, CardRemoved, PcscUnavailable, PinCancelled, PinFormat, PinTimeout, ReaderGone
from cardd.model import PinInfo

GET_FEATURES = 0x42000000 + 3400  # CM_IOCTL_GET_FEATURE_REQUEST as pcsc-lite numbers it
VERIFY_PIN_DIRECT = 0x06
LANGUAGES = {"fr": 0x040C, "en": 0x0409}  # USB language identifiers
ENTRY_SECONDS = 60

_ASCII_AT_START = 0x82  # bmFormatString: counted in bytes, PIN right behind Lc, left-justified, ASCII
_KEY_PRESSED = 0x02  # bEntryValidationCondition: the holder ends the entry with the validation key
_DEFAULT_MESSAGE = 0xFF

Control = Callable[[int, list[int]], bytes]


def features(control: Control) -> dict[int, int]:
    """Return the reader's features and the control code of each; none when it does not know the question.

    Raises CardRemoved, ReaderGone or PcscUnavailable when there was nobody to answer.
    """
    try:
        answer = control(GET_FEATURES, [])
    except (CardRemoved, ReaderGone, PcscUnavailable):
        raise
    except CarddError:
        return {}
    return parse_features(answer)


def parse_features(answer: bytes) -> dict[int, int]:
    """Read tag, length 4, control code (big-endian), one after the other, up to what is not of that shape."""
    found: dict[int, int] = {}
    while len(answer) >= 6 and answer[1] == 4:
        found[answer[0]] = int.from_bytes(answer[2:6], "big")
        answer = answer[6:]
    return found


def verify_structure(command: Command, pin: PinInfo, language: str) -> bytes:
    """Return PIN_VERIFY for an ASCII PIN of variable length: the reader fills Lc and the body of ``command``."""
    apdu = command.header + b"\x00"
    fields = struct.pack(
        "<BBBBBHBBHB3sI",
        ENTRY_SECONDS,  # bTimeOut, up to the first key
        ENTRY_SECONDS,  # bTimeOut2, after it
        _ASCII_AT_START,
        0,  # bmPINBlockString: no block of fixed size, no length inside it
        0,  # bmPINLengthFormat
        pin.minimum << 8 | pin.maximum,  # wPINMaxExtraDigit
        _KEY_PRESSED,
        _DEFAULT_MESSAGE,  # bNumberMessage: the reader's own text, where it has a display
        LANGUAGES.get(language, LANGUAGES["en"]),
        0,  # bMsgIndex
        bytes(3),  # bTeoPrologue: the driver's business under T=1
        len(apdu),
    )
    return fields + apdu


def read_answer(answer: bytes, pin: PinInfo) -> Response:
    """Return the card's answer, unless the reader gave its own. Raises PinTimeout, PinCancelled or PinFormat."""
    response = Response.decode(answer)
    match response.sw:
        case 0x6400:
            raise PinTimeout
        case 0x6401:
            raise PinCancelled
        case 0x6403:
            raise PinFormat(minimum=pin.minimum, maximum=pin.maximum)
        case _:
            return response
