"""One daemon for a module's tests, with a card in its reader; each test is a user of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.station import Station, User, stationed


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """The machine, as it is configured by default."""
    with stationed(tmp_path_factory.mktemp("station")) as station:
        yield station


@pytest.fixture
def user(station: Station, tmp_path: Path) -> User:
    """Somebody who never used cardctl here."""
    station.pinentry.answer(confirm="yes")
    return User(tmp_path, station.daemon)


@pytest.fixture(scope="module")
def login(station: Station, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of somebody who logged in."""
    home = tmp_path_factory.mktemp("professional")
    User(home, station.daemon).ok("login")
    return home


@pytest.fixture
def professional(user: User, login: Path) -> User:
    """Somebody with an open session, which other tests use too."""
    shutil.copytree(login, user.home, dirs_exist_ok=True)
    return user


@pytest.fixture
def stranger(tmp_path: Path) -> User:
    """Somebody on a machine without cardd and without PC/SC."""
    return User(tmp_path)
