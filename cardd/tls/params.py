"""OSSL_PARAM, the form in which OpenSSL 3 hands values to a provider and takes them back (OSSL_PARAM(3))."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator

INTEGER, UNSIGNED, TEXT, OCTETS = 1, 2, 4, 5

Value = int | str | bytes


class Param(ctypes.Structure):
    """One entry; a key of NULL ends the array."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("type", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("returned", ctypes.c_size_t),
    )


def array(kinds: dict[str, int]) -> ctypes.Array[Param]:
    """A description of parameters: names and types without values."""
    entries = [Param(name.encode(), kind, None, 0, 0) for name, kind in kinds.items()]
    return (Param * (len(entries) + 1))(*entries, Param())


def octets(name: str, value: bytes) -> ctypes.Array[Param]:
    """One value, which the array keeps alive."""
    buffer = ctypes.create_string_buffer(value, len(value))
    made = (Param * 2)(Param(name.encode(), OCTETS, ctypes.addressof(buffer), len(value), 0), Param())
    made.kept = buffer  # type: ignore[attr-defined] # ctypes keeps no reference by an address
    return made


def read(address: int | None) -> dict[str, Value]:
    """The values of an array at this address; a number's sign is not looked at."""
    return {entry.key.decode(): _value(entry) for entry in _entries(address)}


def fill(address: int | None, values: dict[str, int | str]) -> bool:
    """Write what is asked for and known; False when a value does not fit its place."""
    return all(_fill(entry, values[name]) for entry in _entries(address) if (name := entry.key.decode()) in values)


def _entries(address: int | None) -> Iterator[Param]:
    while address:
        entry = Param.from_address(address)
        if entry.key is None:
            return
        yield entry
        address += ctypes.sizeof(Param)


def _value(entry: Param) -> Value:
    raw = ctypes.string_at(entry.data, entry.size) if entry.data else b""
    if entry.type in (INTEGER, UNSIGNED):
        return int.from_bytes(raw, sys.byteorder)
    return raw.decode() if entry.type == TEXT else raw


def _fill(entry: Param, value: int | str) -> bool:
    raw = value.encode() if isinstance(value, str) else value.to_bytes(entry.size or 4, sys.byteorder)
    entry.returned = len(raw)
    if entry.data is None:
        return True
    if len(raw) > entry.size:
        return False
    ctypes.memmove(entry.data, raw, len(raw))
    return True
