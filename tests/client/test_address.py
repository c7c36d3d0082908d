"""A client's secret goes to this machine only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd.client import CarddClient
from cardd.client.transport import address
from cardd.errors import InvalidRequest

REFUSED = [
    "http://192.0.2.1:17463",
    "http://example.org:17463",
    "http://localhost.example.org:17463",
    "http://127.0.0.1.example.org:17463",
    "http://127.0.0.1:17463@example.org",
    "http://user@127.0.0.1:17463",
    "http://0.0.0.0:17463",
    "http://[::]:17463",
    "http://2130706433:17463",
    "https://127.0.0.1:17463",
    "http://127.0.0.1",
    "http://127.0.0.1:17463/elsewhere",
    "http://127.0.0.1:17463?x",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_loopback_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InvalidRequest):
        CarddClient(url, "a secret")


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        ("http://127.0.0.1:17463", "http://127.0.0.1:17463"),
        ("http://[::1]:17463/", "http://[::1]:17463"),
        ("http://localhost:17463", "http://127.0.0.1:17463"),
        ("/run/cardd/cardd.sock", "/run/cardd/cardd.sock"),
        (Path("cardd.sock"), "cardd.sock"),
    ],
)
def test_loopback_and_sockets_are_taken(base: str | Path, shown: str) -> None:
    assert str(address(base)) == shown
