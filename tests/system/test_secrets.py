"""Secrets at rest: a real Secret Service on a private bus, systemd's credentials, and the keyrings that are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cardd.errors import SecretStoreUnavailable
from cardd.secret import Secret
from cardd.system.secrets import OsSecrets

ROOT = Path(__file__).parents[2]
PASSWORD = "mot de passe SIMULATION"
SESSION = """
printf simulation | gnome-keyring-daemon --unlock --components=secrets > /dev/null
exec "$PYTHON" -c "$SCRIPT"
"""
KEEPS = f"""
import asyncio
from cardd.secret import Secret
from cardd.system.secrets import OsSecrets

async def main():
    secrets = OsSecrets()
    assert await secrets.get("csa") is None
    await secrets.set("csa", Secret.of({PASSWORD!r}.encode()))
    found = await OsSecrets().get("csa")
    with found.view() as view:
        print(bytes(view).decode())
    await secrets.delete("csa")
    await secrets.delete("csa")
    assert await secrets.get("csa") is None

asyncio.run(main())
"""
LOOKS = """
import asyncio
from cardd.errors import SecretStoreUnavailable
from cardd.system.secrets import OsSecrets

try:
    asyncio.run(OsSecrets().get("csa"))
except SecretStoreUnavailable as error:
    print(error)
"""

WAITS = """
import asyncio, contextlib, threading, time
import keyring
from keyring.backends.SecretService import Keyring
from cardd.errors import SecretStoreUnavailable
from cardd.system import secrets

answered = threading.Event()

class Asking(Keyring):
    def get_password(self, service, name):
        answered.wait()  # as its library does while the user is asked to unlock it
        return "SIMULATION"

Asking.__module__ = Keyring.__module__
keyring.get_keyring = Asking

async def main():
    store, took = secrets.OsSecrets(patience=0.2), []
    for _ in range(3):
        began = time.monotonic()
        try:
            await store.get("csa")
        except SecretStoreUnavailable as error:
            print(error.code)
        took.append(time.monotonic() - began)
    print(took[0] > sum(took[1:]))  # the first alone had to be waited for
    answered.set()
    found = None
    while found is None:  # the library gives the thread back a moment later
        with contextlib.suppress(SecretStoreUnavailable):
            found = await store.get("csa")
    with found, found.view() as view:
        print(bytes(view).decode())
    answered.clear()
    try:
        await store.get("csa")
    except SecretStoreUnavailable as error:
        print(error.code)

asyncio.run(main())
"""


def run(script: str, directory: Path, *command: str, **environment: str) -> str:
    runtime = directory / "run"
    runtime.mkdir(mode=0o700)
    around = {
        **os.environ,
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory / "data"),
        "XDG_CONFIG_HOME": str(directory / "config"),
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHON": sys.executable,
        "SCRIPT": script,
        **environment,
    }
    around.pop("DBUS_SESSION_BUS_ADDRESS", None)
    done = subprocess.run(command, cwd=ROOT, env=around, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def written_below(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


def test_a_real_secret_service_keeps_it_encrypted(tmp_path: Path) -> None:
    assert run(KEEPS, tmp_path, "dbus-run-session", "--", "sh", "-c", SESSION).strip() == PASSWORD
    assert PASSWORD.encode() not in written_below(tmp_path)


@pytest.mark.parametrize("keyring", ["keyring.backends.null.Keyring", "keyring.backends.fail.Keyring"])
def test_a_keyring_that_does_not_encrypt_is_refused(tmp_path: Path, keyring: str) -> None:
    told = run(LOOKS, tmp_path, sys.executable, "-c", LOOKS, PYTHON_KEYRING_BACKEND=keyring)
    assert told.startswith("secrets.unavailable")
    assert keyring.rpartition(".")[0] in told


def test_a_keyring_whose_configuration_cannot_be_reached_is_none(tmp_path: Path) -> None:
    told = run(LOOKS, tmp_path, sys.executable, "-c", LOOKS, XDG_CONFIG_HOME=str(tmp_path / ("x" * 300)))
    assert told.strip() == "secrets.unavailable (why=OSError)"


def test_a_keyring_whose_user_does_not_answer_holds_up_nobody_nor_the_end(tmp_path: Path) -> None:
    told = run(WAITS, tmp_path, sys.executable, "-c", WAITS).split()
    assert told == [*["secrets.unavailable"] * 3, "True", "SIMULATION", "secrets.unavailable"]


async def test_a_credential_of_systemd_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "cardd.csa").write_text(PASSWORD + "\n")
    found = await OsSecrets().get("csa")
    assert found is not None
    with found.view() as view:
        assert bytes(view).decode() == PASSWORD


async def test_nothing_is_written_where_no_keyring_encrypts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with pytest.raises(SecretStoreUnavailable):
        await OsSecrets().set("csa", Secret.of(PASSWORD.encode()))


def test_systemd_creds_makes_the_credential_as_the_page_says(tmp_path: Path) -> None:
    made = subprocess.run(
        ["systemd-creds", "encrypt", "--name=cardd.csa", "-", str(tmp_path / "csa.cred")],
        input=PASSWORD.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    if made.returncode:
        pytest.skip("this machine has no key for credentials, and this user may not make one")
    assert PASSWORD.encode() not in (tmp_path / "csa.cred").read_bytes()
    told = subprocess.run(
        ["systemd-creds", "decrypt", "--name=cardd.csa", str(tmp_path / "csa.cred"), "-"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.decode() == PASSWORD
