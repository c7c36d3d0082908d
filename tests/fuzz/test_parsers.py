"""Whatever a card sends, a parser ends soon with a value or an error of cardd's own."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardd.errors import CarddError
from tests.fuzz.parsers import PARSERS
from tests.fuzz.seeds import corpus

LIMIT = 2.0  # seconds for one input, on a slow machine
LONGEST = 4096

CORPUS = corpus()
Edit = tuple[int, int, bytes]
EDITS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 8), st.binary(max_size=8)), max_size=8)


def mutated(seed: bytes, edits: list[Edit]) -> bytes:
    """The seed with pieces replaced, removed and inserted."""
    data = bytearray(seed)
    for place, removed, inserted in edits:
        at = place % (len(data) + 1)
        data[at : at + removed] = inserted
    return bytes(data)


def ends_well(parser: str, data: bytes) -> None:
    begun = time.monotonic()
    with contextlib.suppress(CarddError):
        PARSERS[parser](data)
    assert time.monotonic() - begun < LIMIT


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.binary(max_size=LONGEST))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes(parser: str, data: bytes) -> None:
    ends_well(parser, data)


@pytest.mark.parametrize("parser", [parser for parser in PARSERS if parser in CORPUS])
@given(data=st.data(), edits=EDITS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_is_almost_right(parser: str, data: st.DataObject, edits: list[Edit]) -> None:
    ends_well(parser, mutated(data.draw(st.sampled_from(CORPUS[parser])), edits))


@pytest.mark.parametrize(
    ("parser", "data"),
    [(parser, data) for parser, inputs in CORPUS.items() for data in inputs],
    ids=lambda value: str(value)[:24],
)
def test_the_kept_inputs(parser: str, data: bytes) -> None:
    ends_well(parser, data)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x80" * 2000,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x61\x00" * 8000,
        b"\x30\x82\x40\x00" * 4000,
        b"\x7f" + b"\x81" * 5000,
        b"\x61\xff" * 3000,
        bytes.fromhex("3082ffff") + b"\x30" * 65535,
    ],
    ids=["deep", "length of 4 GiB", "thousands of records", "records inside records", "endless tag", "61FF", "large"],
)
def test_what_was_made_to_hurt(parser: str, data: bytes) -> None:
    ends_well(parser, data)
