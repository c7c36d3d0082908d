"""The cards and tokens that the contract is tried on, each fresh and opened by its own driver."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import mkdtemp

from cardd.core.readers import GROUP, DriverRegistry
from cardd.driver import CardDriver
from cardd.model import KeyPurpose
from cardd.ports import Connection
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.pkcs11.module import Module, ModuleSandbox
from cardd_drivers.pkcs11.reader import TokenConnection
from cardd_drivers.pkcs11.wire import ListTokens
from cardd_drivers.pkcs12.source import FilesConnection
from cardd_simulators.cards.behaviour import behaving
from cardd_simulators.cards.inprocess import InProcessConnection, Slot
from cardd_simulators.cards.interface import PoweredCard
from cardd_simulators.cards.simulators import Cps3Simulator, Cps4Simulator
from tests.rig import example_card, organisation, softhsm
from tests.rig.example_card import ExampleCard
from tests.rig.example_driver import installed
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import PIN, PUK, inserted, simulated_card, simulated_cps4
from tests.rig.softhsm import SoftHsm
from tests.simulator.opensc import CONFIGURATION, is_forgetful

OPENSC = str(next(Path("/usr/lib").glob("*/opensc-pkcs11.so")))


@dataclass(frozen=True)
class Case:
    """One kind of card.

    ``connect`` gives the connection to a fresh one; ``purposes`` are those that its keys
    serve; ``wrong`` can be a PIN and is not this one's, ``impossible`` cannot
    be one; ``new`` is another PIN it would take, None when its PIN cannot be changed; ``puk`` unblocks it, unless
    ``unblocks`` says that it cannot be used here.
    """

    name: str
    connect: Callable[[], Connection]
    pin: bytes
    wrong: bytes
    impossible: bytes | None
    tries: int | None = None
    purposes: tuple[KeyPurpose, ...] = (KeyPurpose.SIGNATURE, KeyPurpose.AUTHENTICATION)
    new: bytes | None = None
    puk: bytes | None = None
    unblocks: bool = True

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


def _example() -> Connection:
    """By the entry point, as the daemon finds it."""
    sys.path.insert(0, str(installed()))
    try:
        [driver] = [entry.load()() for entry in entry_points(group=GROUP) if entry.name == "example"]
    finally:
        del sys.path[0]
    return _in_process(ExampleCard(), driver)


@cache
def _organisation(*, ec: bool) -> organisation.Organisation:
    return organisation.make(Path(mkdtemp(prefix="cardd-contract-")), ec=ec)


def _files(*, ec: bool) -> Connection:
    files = _organisation(ec=ec)
    return FilesConnection({KeyPurpose.AUTHENTICATION: files.authentication, KeyPurpose.SIGNATURE: files.signature})


class TokenAlone(TokenConnection):
    """A connection that ends its module's process with itself."""

    def __init__(self, module: Module) -> None:
        [token] = module.call(ListTokens()).tokens
        super().__init__(module, token, "Lecteur de test")

    def disconnect(self) -> None:
        """Log out and end the process."""
        super().disconnect()
        self._module.close()


@cache
def _token(*, ec: bool) -> SoftHsm:
    hsm = SoftHsm(Path(mkdtemp(prefix="cardd-contract-")))
    hsm.token("contract", ec=ec)
    return hsm


def _soft_hsm(name: str, *, ec: bool) -> Case:
    def connect() -> Connection:
        fresh = _token(ec=ec).copy(Path(mkdtemp(prefix="cardd-contract-")))
        os.environ.update(fresh.environment)
        return TokenAlone(Module(fresh.module, sandbox=ModuleSandbox(files=(str(fresh.directory),))))

    return Case(
        name,
        connect,
        softhsm.PIN.encode(),
        wrong=b"9753",
        impossible=b"975",
        new=b"8642",
        puk=softhsm.OFFICER.encode(),
    )


class TokenOfCard(TokenAlone):
    """A token over a card in a reader of its own."""

    def __init__(self, opened: ExitStack, reader: str) -> None:
        module = Module(OPENSC)
        module.gate.show(frozenset((reader,)))
        super().__init__(module)
        self._opened = opened

    def disconnect(self) -> None:
        """Pull the card too."""
        super().disconnect()
        self._opened.close()


def _open_sc() -> Connection:
    with ExitStack() as opening:
        directory = Path(mkdtemp(prefix="cardd-contract-"))
        pcscd = Pcscd(directory)
        opening.callback(pcscd.stop)
        pcscd.start()
        opening.enter_context(inserted(simulated_card(), pcscd))
        (directory / "opensc.conf").write_text(CONFIGURATION)
        os.environ.update(pcscd.environment | {"OPENSC_CONF": str(directory / "opensc.conf")})
        return TokenOfCard(opening.pop_all(), pcscd.reader_names[0])


def _cpx(name: str, connect: Callable[[], Connection]) -> Case:
    return Case(name, connect, PIN, wrong=b"9753", impossible=b"12a4", tries=3, new=b"8642", puk=PUK)


def _cps3(*variants: str) -> Case:
    behaviour = behaving(variants)
    name = " ".join(["cps3", *variants])
    return _cpx(name, lambda: _in_process(simulated_card(behaviour=behaviour), Cps3Driver()))


def _cps4(*variants: str) -> Case:
    behaviour = behaving(variants)
    name = " ".join(["cps4", *variants])
    return _cpx(name, lambda: _in_process(simulated_cps4(behaviour=behaviour), Cps4Driver()))


def _combined(variants: tuple[str, ...]) -> list[tuple[str, ...]]:
    """None, each alone, and those together of which one takes the other's way out."""
    of_the_chip = [variant for variant in variants if not behaving([variant]).changes_certificates]
    together = [
        ("ef-dir-without-paths", "relative-paths"),
        ("no-ef-dir", "relative-paths"),
        tuple(variant for variant in of_the_chip if variant != "ef-dir-without-paths"),
    ]
    return [(), *((variant,) for variant in of_the_chip), *together]


def _pkcs12(name: str, *, ec: bool) -> Case:
    password = organisation.PASSWORD.encode()
    return Case(name, lambda: _files(ec=ec), password, wrong=b"faux", impossible=None)


_OPENSC = Case(
    "OpenSC over a CPS3",
    _open_sc,
    PIN,
    wrong=b"9753",
    impossible=None,
    purposes=(KeyPurpose.AUTHENTICATION,),  # its signature key is out of OpenSC's reach
    new=b"8642",
    puk=PUK,
    unblocks=False,
)
CASES = (
    *(_cps3(*variants) for variants in _combined(Cps3Simulator.variants)),
    *(_cps4(*variants) for variants in _combined(Cps4Simulator.variants)),
    Case("a third party's", _example, example_card.PIN, wrong=b"9753", impossible=b"12a4", tries=example_card.TRIES),
    _pkcs12("pkcs12 RSA", ec=False),
    _pkcs12("pkcs12 EC", ec=True),
    _soft_hsm("SoftHSM2 RSA", ec=False),
    _soft_hsm("SoftHSM2 EC", ec=True),
    *([] if is_forgetful() else [_OPENSC]),
)
