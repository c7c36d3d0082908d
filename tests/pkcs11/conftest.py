"""A SoftHSM2 with two tokens, made once; each test works on a copy of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cardd.driver import Card
from cardd.secret import Secret
from cardd_drivers.pkcs11.module import Module, ModuleSandbox
from cardd_drivers.pkcs11.reader import TokenConnection
from cardd_drivers.pkcs11.wire import ListTokens, TokenState
from tests.pkcs11.shim import compiled
from tests.rig import softhsm
from tests.rig.softhsm import PIN, SoftHsm


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    hsm = SoftHsm(tmp_path_factory.mktemp("hsm"))
    hsm.token("EC SIMULATION", ec=True)
    hsm.token("RSA SIMULATION")
    return hsm


@pytest.fixture
def hsm(tokens: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    directory = tmp_path / "hsm"
    directory.mkdir()
    copied = tokens.copy(directory)
    for name, value in copied.environment.items():
        monkeypatch.setenv(name, value)
    return copied


@pytest.fixture
def shim(hsm: SoftHsm, tmp_path: Path) -> Callable[[Mapping[int, str]], str]:
    """Makes a module of SoftHSM2 with some functions replaced."""
    return lambda functions: compiled(tmp_path, hsm.module, functions)


@pytest.fixture
def load() -> Iterator[Callable[[str], Module]]:
    """Gives modules that are ended with the test."""
    modules: list[Module] = []

    def load(path: str) -> Module:
        modules.append(Module(path, sandbox=ModuleSandbox(files=tuple(map(str, softhsm.files())))))
        return modules[-1]

    yield load
    for module in modules:
        module.close()


def token_of(module: Module, label: str = "EC SIMULATION") -> TokenState:
    """One of the tokens."""
    [token] = [token for token in module.call(ListTokens()).tokens if token.label == label]
    return token


def connection(module: Module, label: str = "EC SIMULATION") -> TokenConnection:
    """The connection to one of the tokens."""
    return TokenConnection(module, token_of(module, label), "Lecteur de test")


def log_in(card: Card, pin: str = PIN) -> None:
    """Present the PIN."""
    with Secret.of(pin.encode()) as secret:
        card.verify(secret)
