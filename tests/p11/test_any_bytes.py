"""Conversations of real clients, recorded, are answered again; and whatever is made of them is answered or hung up on.

``recorded`` has what each client sent, those with a version from Debian 13 (p11-kit 0.25), the others from Debian 12
(0.24): the version of the protocol, then a frame a line, in hex. The card is another one there: what
names an object is answered as what names none. The one that greets as p11-kit 0.26 is p11tool's of 0.25 with the
version 2 before it: a client of 0.25.6 and later speaks as the version says that it is answered, which is 1.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardd.p11.handshake import handshake_in
from cardd.p11.wire import Frames, Malformed, Reader
from tests.p11.handshakes import transcript
from tests.p11.inside import Inside

RECORDED = sorted(Path(__file__).with_name("recorded").glob("*.hex"))
CONVERSATIONS = {path.stem: [bytes.fromhex(line) for line in path.read_text().split()] for path in RECORDED}
LIMIT = 20.0
QUIET = 0.3  # seconds without an answer: what was sent is not whole


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Inside]]:
    """A daemon's parts, on a loop that many connections share."""
    with asyncio.Runner() as runner:
        inside = runner.run(Inside(tmp_path).__aenter__())
        yield runner, inside
        runner.run(inside.__aexit__())


async def spoken(inside: Inside, frames: list[bytes]) -> tuple[list[int], bool]:
    """Send all of it; return the tags of the answers, and whether the daemon hung up."""
    reader, writer = await asyncio.open_unix_connection(inside.path)
    writer.write(b"".join(frames))
    tags, is_over = [], False
    try:
        async with asyncio.timeout(LIMIT):
            assert await reader.readexactly(1) == min(frames[0], b"\x01")
            while True:
                tag, options, size = struct.unpack(">III", await asyncio.wait_for(reader.readexactly(12), QUIET))
                await reader.readexactly(options + size)
                tags.append(tag)
                if len(tags) == len(frames) - 1:
                    break
    except (asyncio.IncompleteReadError, ConnectionError):
        is_over = True
    except TimeoutError:
        is_over = False
    writer.close()
    return tags, is_over


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_every_call_of_a_real_client_is_answered(name: str, running: tuple[asyncio.Runner, Inside]) -> None:
    runner, inside = running
    frames = CONVERSATIONS[name]

    tags, is_over = runner.run(spoken(inside, frames))

    assert sorted(tags) == [int.from_bytes(frame[:4], "big") for frame in frames[1:]]
    assert not is_over


changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=9)),
    min_size=1,
    max_size=4,
)


def changed(frames: list[bytes], where: list[tuple[float, float, bytes]]) -> list[bytes]:
    """Overwrite, insert or cut a few bytes."""
    made = list(frames)
    for frame, place, value in where:
        number = 1 + int(frame * (len(made) - 1))
        at = int(place * len(made[number]))
        keeps = at + len(value) if value[0] & 1 else at if value[0] & 2 else at + 200
        made[number] = made[number][:at] + value + made[number][keeps:]
    return made


def test_a_conversation_that_was_changed_breaks_nothing(
    running: tuple[asyncio.Runner, Inside], caplog: pytest.LogCaptureFixture
) -> None:
    runner, inside = running

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        name=st.sampled_from(["pkcs11-tool", "gnutls-cli", "curl", "ssh-keygen", "nss", "openssl-3.5-provider"]),
        where=changes,
    )
    def speak(name: str, where: list[tuple[float, float, bytes]]) -> None:
        runner.run(spoken(inside, changed(CONVERSATIONS[name], where)))

    speak()
    good = CONVERSATIONS["ssh-keygen"]
    tags, is_over = runner.run(spoken(inside, good))
    assert (len(tags), is_over) == (len(good) - 1, False)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_any_bytes_are_frames_or_malformed(parts: list[bytes]) -> None:
    frames = Frames()
    try:
        for part in parts:
            frames.add(part)
            while request := frames.take():
                Reader(request.body or bytes(8))
    except Malformed:
        return


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.lists(st.sampled_from(("byte", "ulong", "octets", "room", "list", "set", "by"))))
def test_any_body_has_values_or_is_malformed(body: bytes, kinds: list[str]) -> None:
    try:
        reader = Reader(struct.pack(">II", 1, 0) + body)
        reads = {
            "byte": reader.byte,
            "ulong": reader.ulong,
            "octets": reader.octets,
            "room": reader.room,
            "list": reader.wanted,
            "set": reader.template,
            "by": reader.mechanism,
        }
        for kind in kinds:
            reads[kind]()
    except Malformed:
        return


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 900), st.binary(max_size=8))
def test_any_handshake_is_one_or_none(at: int, value: bytes) -> None:
    whole = transcript("portail.example")
    found = handshake_in(whole[:at] + value + whole[at + len(value) :])

    assert found is None or found.isprintable()
    assert handshake_in(whole) == "portail.example"
