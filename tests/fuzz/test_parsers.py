"""Whatever a card or a program sends, a parser ends soon with a value or a refusal, and takes little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardd.tlv import encode
from tests.fuzz.cards import PARSERS
from tests.fuzz.corpus import CORPUS, kept
from tests.fuzz.parser import Parser, fault_of, parsers
from tests.fuzz.talking import end

MEMORY = 16 * 1024 * 1024  # bytes at the peak, for one input of at most 64 KiB
LONGEST = 4096

EVERY = dict(parsers())
SEEDS = {name: [data for data, told in kept(f"cards.{name}") if told] for name in PARSERS}
Edit = tuple[int, int, bytes]
EDITS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 8), st.binary(max_size=8)), max_size=8)

# cryptography warns of names that are longer than RFC 5280 lets them be; cardd shortens what it shows
pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    end()


def mutated(seed: bytes, edits: list[Edit]) -> bytes:
    """The seed with pieces replaced, removed and inserted."""
    data = bytearray(seed)
    for place, removed, inserted in edits:
        at = place % (len(data) + 1)
        data[at : at + removed] = inserted
    return bytes(data)


def nested(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        data = encode(0x30, data)
    return data


@pytest.mark.parametrize("name", EVERY)
def test_the_kept_inputs(name: str) -> None:
    faults = {data.hex(): fault for data, _ in kept(name) if (fault := fault_of(EVERY[name], data))}
    assert faults == {}


@pytest.mark.parametrize("name", EVERY)
def test_each_parser_has_a_seed(name: str) -> None:
    assert any(told.startswith("seed") for _, told in kept(name))


def test_each_kept_input_is_some_parsers() -> None:
    assert {f"{file.parent.name}.{file.stem}" for file in CORPUS.glob("*/*")} <= set(EVERY)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@given(data=st.binary(max_size=LONGEST))
@patient
def test_any_bytes(parser: Parser, data: bytes) -> None:
    assert fault_of(parser, data) is None


@pytest.mark.parametrize("name", [name for name, seeds in SEEDS.items() if seeds])
@given(data=st.data(), edits=EDITS)
@patient
def test_what_is_almost_right(name: str, data: st.DataObject, edits: list[Edit]) -> None:
    assert fault_of(PARSERS[name], mutated(data.draw(st.sampled_from(SEEDS[name])), edits)) is None


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize(
    "data",
    [
        nested(1000),
        nested(10_000),
        b"\x30\x80" * 2000,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x61\x00" * 8000,
        b"\x04\x00" * 32_000,
        encode(0x30, b"\x31\x00" * 8000),
        b"\x7f" + b"\x81" * 5000,
        b"\x00\x03\x30\x61\x01" * 4000,
        b"\x02\x02" + bytes(514) + b"\x61\x00",
        b"\x61\xff" * 3000,
        bytes.fromhex("3082ffff") + b"\x30" * 65535,
    ],
    ids=[
        "a thousand levels",
        "ten thousand levels",
        "lengths without end",
        "a length of 4 GiB",
        "thousands of records",
        "more records than a file holds",
        "thousands of records in one",
        "a tag without end",
        "an answer byte by byte",
        "more bytes than asked for",
        "61FF",
        "64 KiB",
    ],
)
def test_what_was_made_to_hurt(parser: Parser, data: bytes) -> None:
    assert fault_of(parser, data) is None  # what is loaded at the first use is not counted
    tracemalloc.start()
    try:
        assert fault_of(parser, data) is None
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
