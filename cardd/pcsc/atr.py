"""What an answer to reset says of the card's APDUs.

Source: ISO/IEC 7816-3 section 8.2 (structure), ISO/IEC 7816-4 section 12.1.1 (historical bytes, card capabilities).
"""

from __future__ import annotations

_CAPABILITIES = 7
_EXTENDED = 0x40  # third byte of the card capabilities


def takes_extended_apdus(atr: bytes) -> bool:
    """Whether the card says that it takes extended Lc and Le fields; False for an ATR that cannot be read."""
    capabilities = _compact(_objects(historical_bytes(atr))).get(_CAPABILITIES, b"")
    return len(capabilities) >= 3 and bool(capabilities[2] & _EXTENDED)


def historical_bytes(atr: bytes) -> bytes:
    """The historical bytes of the ATR, empty when it is cut short."""
    if len(atr) < 2:
        return b""
    count, announced, offset = atr[1] & 0x0F, atr[1] >> 4, 2
    while announced:
        offset += announced.bit_count()
        follows = announced & 0x8  # TDi is there and announces the next group
        if follows and offset > len(atr):
            return b""
        announced = atr[offset - 1] >> 4 if follows else 0
    found = atr[offset : offset + count]
    return found if len(found) == count else b""


def _objects(historical: bytes) -> bytes:
    """The COMPACT-TLV data objects: category 00 has a status indicator behind them, category 80 has none."""
    match historical[:1]:
        case b"\x00":
            return historical[1:-3]
        case b"\x80":
            return historical[1:]
        case _:
            return b""


def _compact(data: bytes) -> dict[int, bytes]:
    objects: dict[int, bytes] = {}
    while data:
        length = data[0] & 0x0F
        objects.setdefault(data[0] >> 4, data[1 : 1 + length])
        data = data[1 + length :]
    return objects
