"""One daemon for a module's tests, with a card in its reader; each test is a user of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from cardd_simulators.cards.card import SimulatedCard
from tests.cli.station import User
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json, UnixConnection
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import inserted, simulated_card
from tests.rig.waiting import eventually_here


@dataclass(frozen=True)
class Station:
    """The machine."""

    pcscd: Pcscd
    daemon: DaemonProcess
    pinentry: ScriptedPinentry
    card: SimulatedCard

    def wait_for_cards(self, count: int) -> None:
        """Return once the daemon has so many cards: pcscd may tell others earlier."""
        with closing(UnixConnection(self.daemon.socket)) as connection:
            eventually_here(lambda: len(_cards(connection)) == count)


def _cards(connection: UnixConnection) -> list[Json]:
    connection.request("GET", "/v1/cards")
    answer = json.loads(connection.getresponse().read())
    return cast(list[Json], answer.get("cards", []))  # none while the PC/SC service is not there yet


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """Real pcscd, real daemon, a simulated card in the first slot."""
    directory = tmp_path_factory.mktemp("station")
    pcscd = Pcscd(directory)
    pinentry = ScriptedPinentry(directory, reads=0)
    daemon = DaemonProcess(directory, pinentry=pinentry.path, environment=pcscd.environment, is_read=False)
    pcscd.start()
    try:
        daemon.start()
        with inserted(simulated_card(), pcscd) as card:
            station = Station(pcscd, daemon, pinentry, card)
            station.wait_for_cards(1)
            yield station
    finally:
        daemon.stop()
        pcscd.stop()


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
