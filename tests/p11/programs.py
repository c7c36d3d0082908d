"""Debian's own programs, with p11-kit's own module, on the card of a real daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardd.cli.program_places import personal
from cardd.cli.registering import Registration
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.interface import PoweredCard
from tests.integration.workstation import Workstation
from tests.rig.simulator import PIN

LIMIT = 30.0
MODULES = sorted(Path("/usr/lib").glob("*/pkcs11/p11-kit-client.so"))
AUTHENTICATION = "e828bd080f8025000001ff001002"  # the identifier of a simulated card's key
CERTIFICATE = "pkcs11:object=Certificat%20d%27Authentification%20CPS;type=cert"
KEY = "pkcs11:object=CPS_PRIV_AUT;type=private"
# a program's beginning: p11-kit's own module, whose functions are called by their place in the list (PKCS#11 2.40)
BY_CTYPES = """
import ctypes, os, signal, subprocess, sys, time
module = ctypes.CDLL(sys.argv[1])
class Functions(ctypes.Structure):
    _fields_ = [("version", ctypes.c_ubyte * 2), ("every", ctypes.c_void_p * 16)]
functions = ctypes.POINTER(Functions)()
module.C_GetFunctionList(ctypes.byref(functions))
def call(number, *given):
    types = [ctypes.c_void_p if each is None or isinstance(each, int) else type(each) for each in given]
    return ctypes.CFUNCTYPE(ctypes.c_ulong, *types)(functions.contents.every[number])(*given)
"""


def needs(*programs: str) -> None:
    """Skip the test where one of these is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    missing += [] if MODULES else ["p11-kit-client.so"]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@dataclass(frozen=True)
class Desk:
    """A workstation with a card in it, and a person who runs programs on it."""

    station: Workstation
    card: PoweredCard | None

    @property
    def socket(self) -> Path:
        """Where programs connect."""
        return self.station.directory / "p11"

    @property
    def environment(self) -> dict[str, str]:
        """What leads p11-kit's module to this daemon, and to no other one of the user's."""
        return {**os.environ, "P11_KIT_SERVER_ADDRESS": f"unix:path={self.socket}", "LC_ALL": "C.UTF-8"}

    @property
    def cps3(self) -> SimulatedCard:
        """The card, which is a CPS3."""
        assert isinstance(self.card, SimulatedCard)
        return self.card

    def run(self, *command: str | Path | int, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; what it said on both outputs stands in ``stdout``."""
        return subprocess.run(
            [*map(str, command)],
            env={**self.environment, **environment},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def says(self, *command: str | Path | int, given: str = "", **environment: str) -> str:
        """Run a program that must do well; return what it said."""
        ran = self.run(*command, given=given, **environment)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def pkcs11_tool(self, *options: str | Path) -> str:
        """Run OpenSC's tool."""
        return self.says("pkcs11-tool", "--module", MODULES[0], *options)


def registered(home: Path, socket: Path) -> Path:
    """Register cardd with the programs of a user whose home this is, as ``cardctl pkcs11 register`` does."""
    assert Registration(home / "record.json", home).put(personal(socket, MODULES[0], home)) == []
    return home


def session_of(home: Path) -> dict[str, str]:
    """Return what a session's environment has of what was registered, and what ``cardctl pkcs11`` tells for OpenSSL."""
    lines = (home / ".config/environment.d/60-cardd.conf").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines)
    return {**told, "OPENSSL_CONF": str(home / ".config/cardd/openssl.cnf"), "HOME": str(home)}


@contextmanager
def desk(directory: Path, card: PoweredCard | None, extra: str = "", *, pin: str = PIN.decode()) -> Iterator[Desk]:
    """Run a daemon with this card in the first reader, and a person who types ``pin``."""
    station = Workstation(directory, extra=extra, pin=pin)
    with ExitStack() as around:
        around.enter_context(station.running())
        if card is not None:
            around.enter_context(station.card(card))
        yield Desk(station, card)
