"""Every test of this folder runs once for each case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cardd.driver import Card
from cardd.ports import Connection
from tests.contract.cases import CASES, Case


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    """One kind of card."""
    found: Case = request.param
    return found


@pytest.fixture
def connection(case: Case) -> Iterator[Connection]:
    """A fresh card, in a transaction."""
    with case.connection() as connection:
        yield connection


@pytest.fixture
def card(connection: Connection) -> Card:
    """The card, opened by its driver."""
    return connection.open()
