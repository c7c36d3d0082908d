"""A bus whose other programs say what an input has, as the D-Bus specification has it ("Message Format")."""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from dbus_fast import Message, MessageType
from dbus_fast._private.unmarshaller import Unmarshaller

from cardd.system.session_bus import BUS
from tests.fuzz.talking import turns

OWNER, STRANGER = ":1.5", ":1.9"
GIVEN = {"Hello": ("s", b"\4\0\0\0:1.7\0"), "RequestName": ("u", b"\1\0\0\0"), "AddMatch": ("", b"")}
GIVEN["GetNameOwner"] = ("s", b"\4\0\0\0:1.5\0")
GUID = b"OK 00000000000000000000000000000001\r\n"
HEAD, SIGNATURE_MAX, SERIAL = 16, 255, 0x1000
RETURN, ERROR, SIGNAL, CALL = range(4)  # what a program says, as the first byte of a part has it
SIZES = {"y": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "h": 4, "x": 8, "t": 8, "d": 8}
ALIGNED = {**SIZES, "s": 4, "o": 4, "a": 4, "g": 1, "v": 1, "(": 8, "{": 8}
BASIC = {*SIZES, "s", "o", "g"}
OBJECT_PATH = re.compile(rb"/|(?:/[A-Za-z0-9_]+)+")
DEPTH_MAX = 32
Name = tuple[str, str, str, str]  # sender, path, interface, member


class Unfit(Exception):
    """No message that a bus lets pass."""


class Body:
    """The values of a message, read as strictly as a bus does."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def check(self, signature: str) -> None:
        """Read values of these types, and nothing behind them. Raises Unfit."""
        while signature:
            signature = self._value(signature, 0)
        if self._place != len(self._content):
            raise Unfit

    def _value(self, signature: str, depth: int) -> str:
        """Read a value of the first type; return the other types."""
        kind, rest = signature[:1], signature[1:]
        if kind not in ALIGNED or not kind or depth > DEPTH_MAX:
            raise Unfit
        if any(self._taken(-self._place % ALIGNED[kind])):
            raise Unfit
        if kind in SIZES:
            if int.from_bytes(self._taken(SIZES[kind]), "little") > 1 and kind == "b":
                raise Unfit
            return rest
        if kind == "v":
            held = self._text(1).decode("latin-1")
            if self._value(held, depth + 1):
                raise Unfit
            return rest
        if kind == "a":
            return self._array(rest, depth)
        if kind in "({":
            return self._struct(kind, rest, depth)
        text = self._text(4 if kind in "so" else 1)
        if kind == "o" and not OBJECT_PATH.fullmatch(text):
            raise Unfit
        return rest

    def _array(self, signature: str, depth: int) -> str:
        size = int.from_bytes(self._taken(4), "little")
        other = _behind(signature, depth)
        self._taken(-self._place % ALIGNED[signature[0]])
        end = self._place + size
        while self._place < end:
            self._value(signature, depth + 1)
        if self._place != end:
            raise Unfit
        return other

    def _struct(self, kind: str, signature: str, depth: int) -> str:
        end = {"(": ")", "{": "}"}[kind]
        while signature[:1] != end:
            signature = self._value(signature, depth + 1)
        return signature[1:]

    def _text(self, prefix: int) -> bytes:
        text = self._taken(int.from_bytes(self._taken(prefix), "little") + 1)
        try:
            text.decode()
        except UnicodeDecodeError:
            raise Unfit from None
        if text.find(b"\0") != len(text) - 1:
            raise Unfit
        return text[:-1]

    def _taken(self, size: int) -> bytes:
        taken = self._content[self._place : self._place + size]
        if len(taken) != size:
            raise Unfit
        self._place += size
        return taken


def _behind(signature: str, depth: int) -> str:
    """Return the types behind the first one. Raises Unfit."""
    kind, rest = signature[:1], signature[1:]
    if kind not in ALIGNED or not kind or depth > DEPTH_MAX:
        raise Unfit
    if kind == "a":
        return _behind(rest, depth + 1)
    if kind in "({":
        end, empty = {"(": ")", "{": "}"}[kind], rest
        while rest[:1] != end:
            rest = _behind(rest, depth + 1)
        if rest == empty or (kind == "{" and empty[0] not in BASIC):
            raise Unfit
        return rest[1:]
    return rest


def message(kind: MessageType, name: Name, signature: str, body: bytes, *, answers: int = 0, serial: int = 1) -> bytes:
    """A message with this body, which is not looked at."""
    sender, path, interface, member = name
    parts = [(1, "o", path), (2, "s", interface), (3, "s", member), (7, "s", sender), (6, "s", ":1.7")]
    if kind is MessageType.METHOD_RETURN:
        parts = [(7, "s", sender)]
    if kind is MessageType.ERROR:
        parts = [(4, "s", "org.example.Error"), (7, "s", sender)]
    fields = b""
    for code, form, value in parts:
        text = value.encode()
        fields += bytes(-len(fields) % 8) + bytes((code, 1)) + form.encode() + b"\0"
        fields += len(text).to_bytes(4, "little") + text + b"\0"
    if answers:
        fields += bytes(-len(fields) % 8) + b"\5\1u\0" + answers.to_bytes(4, "little")
    if signature:
        fields += bytes(-len(fields) % 8) + b"\x08\1g\0" + bytes((len(signature),)) + signature.encode() + b"\0"
    head = bytes((0x6C, kind.value, 0, 1)) + len(body).to_bytes(4, "little") + serial.to_bytes(4, "little")
    return head + len(fields).to_bytes(4, "little") + fields + bytes(-len(fields) % 8) + body


def part(kind: int, name: int, signature: str, body: bytes) -> bytes:
    """A part of an input."""
    content = signature.encode() + b"\0" + body
    return bytes((kind, name)) + len(content).to_bytes(2) + content


class Bus:
    """The other programs of a bus, who say what the data has: an answer to each question, and before it the rest."""

    def __init__(self, data: bytes, names: Sequence[Name]) -> None:
        self._rest = data
        self._names = names

    def answer(self, serial: int, member: str) -> bytes:
        """What is said when this is asked."""
        if member in GIVEN:
            return message(MessageType.METHOD_RETURN, (BUS, "", "", ""), *GIVEN[member], answers=serial)
        said = b""
        while self._rest:
            kind, told = self._next(serial)
            said += told
            if kind in (RETURN, ERROR) and told:
                return said
        return said + message(MessageType.ERROR, (OWNER, "", "", ""), "", b"", answers=serial)

    def left(self) -> bytes:
        """What nobody asked for."""
        said = b""
        while self._rest:
            said += self._next(0)[1]
        return said

    def _next(self, serial: int) -> tuple[int, bytes]:
        """The next part; empty where it is none that a bus would let pass."""
        kind, size = self._rest[0] % 4, int.from_bytes(self._rest[2:4])
        name = self._names[self._rest[1] % len(self._names)] if len(self._rest) > 1 else self._names[0]
        content, self._rest = self._rest[4 : 4 + size], self._rest[4 + size :]
        signature, _, body = content.partition(b"\0")
        kinds = (MessageType.METHOD_RETURN, MessageType.ERROR, MessageType.SIGNAL, MessageType.METHOD_CALL)
        if len(signature) > SIGNATURE_MAX or (kind in (RETURN, ERROR) and not serial):
            return kind, b""
        if kind in (SIGNAL, CALL) and name[0] == BUS and signature != b"sss":  # the bus itself is right, dbus-fast says
            return kind, b""
        sender = (OWNER, "", "", "") if kind in (RETURN, ERROR) else name
        told = message(
            kinds[kind],
            sender,
            signature.decode("latin-1"),
            body,
            answers=serial if kind < SIGNAL else 0,
            serial=SERIAL,
        )
        try:
            Body(body).check(signature.decode("latin-1"))
        except Unfit:
            return kind, b""
        return kind, told

    @asynccontextmanager
    async def there(self) -> AsyncIterator[str]:
        """Listen; give the address."""
        with tempfile.TemporaryDirectory(prefix="fuzz", dir="/tmp") as directory:
            path = str(Path(directory) / "bus")
            server = await asyncio.start_unix_server(self._serve, path)
            try:
                yield f"unix:path={path}"
            finally:
                server.close()
                self._writer.close()
                await turns(4)

    async def tell(self) -> None:
        """Say what is left."""
        self._writer.write(self.left())
        await turns()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(OSError, asyncio.IncompleteReadError):
            while not (line := await reader.readline()).startswith(b"BEGIN"):
                if not line:
                    return
                writer.write(GUID)
            while True:
                head = await reader.readexactly(HEAD)
                fields = int.from_bytes(head[12:16], "little")
                rest = await reader.readexactly(fields + -fields % 8 + int.from_bytes(head[4:8], "little"))
                asked: Message | None = Unmarshaller(cast(Any, io.BytesIO(head + rest))).unmarshall()
                if asked is not None and asked.message_type is MessageType.METHOD_CALL:
                    writer.write(self.answer(asked.serial, str(asked.member)))
