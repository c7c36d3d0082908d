"""The cards and tokens that the contract is tried on, each fresh and opened by its own driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cardd.core.registry import DriverRegistry
from cardd.driver import CardDriver
from cardd.model import KeyPurpose
from cardd.ports import Connection
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.pkcs12.source import FilesConnection
from cardd_drivers.simulator.connection import InProcessConnection
from cardd_drivers.simulator.powered import PoweredCard
from cardd_drivers.simulator.slot import Slot
from tests.rig import organisation
from tests.rig.simulator import PIN, PUK, simulated_card, simulated_cps4


@dataclass(frozen=True)
class Case:
    """One kind of card.

    ``connect`` gives the connection to a fresh one; ``wrong`` can be a PIN and is not this one's, ``impossible`` cannot
    be one; ``new`` is another PIN it would take, None when its PIN cannot be changed; ``puk`` unblocks it.
    """

    name: str
    connect: Callable[[], Connection]
    pin: bytes
    wrong: bytes
    impossible: bytes | None
    tries: int | None = None
    new: bytes | None = None
    puk: bytes | None = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection, in a transaction."""
        connection = self.connect()
        connection.begin()
        try:
            yield connection
        finally:
            connection.disconnect()


def _in_process(card: PoweredCard, driver: CardDriver) -> Connection:
    slot = Slot("Lecteur de test")
    slot.card = card
    return InProcessConnection(slot, DriverRegistry([driver]).open)


@cache
def _organisation(*, ec: bool) -> organisation.Organisation:
    return organisation.make(Path(mkdtemp(prefix="cardd-contract-")), ec=ec)


def _files(*, ec: bool) -> Connection:
    files = _organisation(ec=ec)
    return FilesConnection({KeyPurpose.AUTHENTICATION: files.authentication, KeyPurpose.SIGNATURE: files.signature})


def _cpx(name: str, connect: Callable[[], Connection]) -> Case:
    return Case(name, connect, PIN, wrong=b"9753", impossible=b"12a4", tries=3, new=b"8642", puk=PUK)


def _pkcs12(name: str, *, ec: bool) -> Case:
    password = organisation.PASSWORD.encode()
    return Case(name, lambda: _files(ec=ec), password, wrong=b"faux", impossible=None)


CASES = (
    _cpx("cps3", lambda: _in_process(simulated_card(), Cps3Driver())),
    _cpx("cps4", lambda: _in_process(simulated_cps4(), Cps4Driver())),
    _pkcs12("pkcs12 RSA", ec=False),
    _pkcs12("pkcs12 EC", ec=True),
)
