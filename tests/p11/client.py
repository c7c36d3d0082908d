"""A client of p11-kit's protocol that says what it is told to, however wrong."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

from cardd.p11.calls import CALLS
from cardd.p11.cryptoki import Attribute, Mechanism, ObjectClass, Rv

HANDSHAKE = b"PRIVATE-GNOME-KEYRING-PKCS11-PROTOCOL-V-1"
NUMBERS = {call.name: call for call in CALLS.values()}
SERIAL = 4


def ulong(*values: int) -> bytes:
    """Encode CK_ULONGs."""
    return struct.pack(f">{len(values)}Q", *values)


def octets(value: bytes | None) -> bytes:
    """Encode a byte array, or NULL."""
    return b"\x01\xff\xff\xff\xff" if value is None else b"\x01" + struct.pack(">I", len(value)) + value


def room(size: int) -> bytes:
    """Encode a buffer that the answer is to fit in."""
    return struct.pack(">I", size)


def mechanism(number: int, *parameters: int) -> bytes:
    """Encode a mechanism, with numbers as its parameters."""
    return struct.pack(">I", number) + (ulong(*parameters) if parameters else b"\xff\xff\xff\xff")


def template(**wanted: int | bytes) -> bytes:
    """Encode attributes to search by: CLASS, ID, …."""
    parts = [struct.pack(">I", len(wanted))]
    for name, value in wanted.items():
        kind = Attribute[name]
        if isinstance(value, int):
            parts.append(struct.pack(">IBIQ", kind, 1, 8, value))
        else:
            parts.append(struct.pack(">IBII", kind, 1, len(value), len(value)) + value)
    return b"".join(parts)


class Failed(Exception):
    """PKCS#11 says no."""

    def __init__(self, rv: int) -> None:
        super().__init__(Rv(rv).name)
        self.rv = Rv(rv)


@dataclass(eq=False)
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __post_init__(self) -> None:
        self._tags = count(0x10)

    @classmethod
    async def at(cls, path: Path, *, highest: int = 1, begins: bool = True) -> Client:
        """Connect, and begin."""
        client = cls(*await asyncio.open_unix_connection(path))
        client.writer.write(bytes((highest,)))
        assert await client.reader.readexactly(1) == bytes((min(highest, 1),))
        if begins:
            await client.call("initialize", octets(HANDSHAKE) + b"\x00" + octets(b"\x00"))
        return client

    def send(self, name: str, body: bytes = b"", *, signature: bytes | None = None) -> int:
        """Send a call, and return its tag."""
        call, tag = NUMBERS[name], next(self._tags)
        signed = call.request if signature is None else signature
        whole = struct.pack(">II", call.number, len(signed)) + signed + body
        self.writer.write(struct.pack(">III", tag, 0, len(whole)) + whole)
        return tag

    async def answer(self) -> tuple[int, bytes]:
        """Return the next answer: whose it is, and its values. Raises Failed, IncompleteReadError."""
        tag, options, size = struct.unpack(">III", await self.reader.readexactly(12))
        body = await self.reader.readexactly(options + size)
        number, length = struct.unpack_from(">II", body)
        if number == 0:
            raise Failed(struct.unpack_from(">Q", body, 9)[0])
        return tag, body[8 + length :]

    async def tag_answered(self) -> int:
        """Return which call the next answer is for, a refusal too."""
        tag, options, size = struct.unpack(">III", await self.reader.readexactly(12))
        await self.reader.readexactly(options + size)
        return int(tag)

    async def call(self, name: str, body: bytes = b"") -> bytes:
        """Call a function; return its values. Raises Failed."""
        tag = self.send(name, body)
        answered, values = await self.answer()
        assert answered == tag
        return values

    async def slots(self, *, with_token: bool = False) -> list[int]:
        """Return the slots."""
        values = await self.call("get_slot_list", bytes((with_token,)) + room(64))
        return list(struct.unpack(f">{(len(values) - 5) // 8}Q", values[5:]))

    async def flags(self, slot: int) -> int:
        """Return the flags of a slot."""
        values = await self.call("get_slot_info", ulong(slot))
        return int(struct.unpack_from(">Q", values, 4 + 64 + 4 + 32)[0])

    async def session(self, slot: int = 1) -> int:
        """Open a session."""
        return int.from_bytes(await self.call("open_session", ulong(slot, SERIAL)), "big")

    async def find(self, session: int, **wanted: int | bytes) -> list[int]:
        """Return the objects that have these attributes."""
        await self.call("find_objects_init", ulong(session) + template(**wanted))
        values = await self.call("find_objects", ulong(session) + room(64))
        await self.call("find_objects_final", ulong(session))
        return list(struct.unpack(f">{(len(values) - 5) // 8}Q", values[5:]))

    async def key(self, session: int, label: bytes = b"CPS_PRIV_AUT") -> int:
        """Return the private key of this label."""
        [found] = await self.find(session, CLASS=ObjectClass.PRIVATE_KEY, LABEL=label)
        return found

    async def sign(self, session: int, key: int, data: bytes, by: int = Mechanism.SHA256_RSA_PKCS) -> bytes:
        """Return a signature."""
        await self.call("sign_init", ulong(session) + mechanism(by) + ulong(key))
        values = await self.call("sign", ulong(session) + octets(data) + room(512))
        return values[5:]

    async def signed(self, data: bytes = b"data", label: bytes = b"CPS_PRIV_AUT") -> bytes:
        """Open a session, and return the signature of the key of this label."""
        session = await self.session()
        return await self.sign(session, await self.key(session, label), data)

    def take_answers(self, *, takes: bool) -> None:
        """Take no answers any more, or again."""
        transport = cast(asyncio.Transport, self.writer.transport)
        (transport.resume_reading if takes else transport.pause_reading)()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
