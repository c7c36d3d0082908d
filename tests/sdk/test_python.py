"""The wheel cardd-client, alone in an environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sdk.libraries import python, run

PROGRAM = """
import importlib.metadata, sys, cardd.client
print(sorted(importlib.metadata.requires("cardd-client")))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"cryptography", "lxml", "pyhanko", "smartcard"}))
print(cardd.client.SOCKET, sorted(set(cardd.client.__all__) - set(dir(cardd.client))))
print(cardd.errors.DaemonUnreachable(where="…").told("fr").title)
"""


def test_the_wheel_asks_for_two_packages_and_loads_no_other(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    interpreter, _ = python(tmp_path_factory).lay(tmp_path, PROGRAM)
    said = run(interpreter, tmp_path / "example.py", cwd=tmp_path).splitlines()
    assert said.pop() == "cardd ne répond pas"
    assert said == ["['aiohttp>=3.14', 'msgspec>=0.20']", "[]", "/run/cardd/cardd.sock []"]
