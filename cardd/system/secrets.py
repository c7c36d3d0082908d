"""Secrets at rest: credentials that systemd passes, and the OS keyring (rule 9).

A keyring library's value is a ``str`` for a moment: that cannot be helped, and the value is dropped at once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cardd.errors import SecretStoreUnavailable
from cardd.secret import Secret
from cardd.values import Value
from cardd.worker import Worker

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE = "cardd"
RUNNING = Path("/run/credentials/cardd.service")
DIRECTORY = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), LoadCredential=
SECRET_SERVICE = "keyring.backends.SecretService"  # noqa: S105 - a module's name
# the keyrings that encrypt what they keep, by their modules; every other backend is refused
TRUSTED = (SECRET_SERVICE, "keyring.backends.libsecret", "keyring.backends.kwallet")
NONE = ("keyring.backends.fail", "keyring.backends.null")  # what stands there without one


class OsSecrets:
    """``cardd.ports.SecretStore``: a credential of this name first, then the keyring's entry ``cardd``/NAME.

    A keyring that is locked asks its user, and its library waits for the answer without end. That happens on a thread
    that nobody waits for longer than ``patience`` seconds, not even the daemon's end.
    """

    def __init__(self, patience: float = 60.0) -> None:
        self._patience = patience
        self._worker = Worker("keyring", lambda seconds: SecretStoreUnavailable(why=f"{seconds:.0f} s"))

    async def get(self, name: str) -> Secret | None:
        """Return the secret; None where a keyring that is locked or absent gives none: the user is asked then."""
        found = credential(name)
        if found is not None:
            return found
        value = await self._keyring(lambda ring: ring.get_password(SERVICE, name))
        return Secret.of(value.encode()) if value is not None else None

    async def set(self, name: str, secret: Secret) -> None:
        """Keep the secret in the keyring."""
        own = secret.copy()  # whoever asked may give up, and wipe theirs, while a keyring waits for its user

        def keep(ring: KeyringBackend) -> None:
            with own, own.lent_text() as value:
                if value:  # else it was given up meanwhile
                    ring.set_password(SERVICE, name, value)

        try:
            await self._keyring(keep)
        except SecretStoreUnavailable:
            own.wipe()  # the error's traceback leads to it for a while
            raise

    async def delete(self, name: str) -> None:
        """Forget the secret."""
        from keyring.errors import PasswordDeleteError  # noqa: PLC0415 - 40 ms, where the keyring is used

        def delete(ring: KeyringBackend) -> None:
            try:
                ring.delete_password(SERVICE, name)
            except PasswordDeleteError:
                return

        await self._keyring(delete)

    async def _keyring(self, work: Callable[[KeyringBackend], T]) -> T:
        return await self._worker.run(partial(_use, work), timeout=self._patience)


def credential(name: str) -> Secret | None:
    """Return what systemd loaded under ``cardd.NAME`` or ``NAME``, without the line's end; None without either."""
    directory = os.environ.get(DIRECTORY)
    for candidate in (f"{SERVICE}.{name}", name) if directory else ():
        path = Path(str(directory), candidate)
        if path.is_file():
            return read_secret(path)
    return None


def service_secret(name: str) -> Secret | None:
    """Return what systemd passed to the service that runs, for root; None for others, and without it."""
    path = RUNNING / f"{SERVICE}.{name}"
    with contextlib.suppress(OSError):
        return read_secret(path) if path.is_file() else None
    return None


def read_secret(path: Path) -> Secret:
    """Return a file's content, without the line's end. Raises OSError."""
    secret = Secret()
    with path.open("rb", buffering=0) as file, secret.room() as room:
        size = file.readinto(room)
        while size and room[size - 1] in b"\r\n":
            size -= 1
    secret.keep(0, size)
    return secret


class KeyringFound(Value):
    """The keyring of this process's user; whether it is open is known of a Secret Service, and else supposed."""

    name: str
    exists: bool
    encrypts: bool
    is_locked: bool


def keyring_of() -> KeyringFound:
    """Return the keyring that would be used; it is asked for no secret, and its user for nothing.

    Raises OSError where the session's bus leaves it without an answer.
    """
    ring, trusted = _rings()
    if not trusted:
        return KeyringFound(str(ring.name), type(ring).__module__ not in NONE, encrypts=False, is_locked=False)
    is_locked = type(trusted[0]).__module__ == SECRET_SERVICE and _is_locked()
    return KeyringFound(str(trusted[0].name), exists=True, encrypts=True, is_locked=is_locked)


def _is_locked() -> bool:
    import secretstorage  # noqa: PLC0415 - of the keyring's library, where that is used

    try:
        connection = secretstorage.dbus_init()
    except secretstorage.SecretServiceNotAvailableException as error:
        raise ConnectionError(type(error).__name__) from error
    try:
        return bool(secretstorage.Collection(connection).is_locked())
    except secretstorage.ItemNotFoundException:  # its first use asks the person for a password of it
        return True
    finally:
        connection.close()


def is_bus_silent() -> bool:
    """Return whether this session has a bus by name, and none answers there: its keyring cannot be reached."""
    if "DBUS_SESSION_BUS_ADDRESS" not in os.environ:
        return False
    import secretstorage  # noqa: PLC0415 - of the keyring's library, where that is used

    try:
        secretstorage.dbus_init().close()
    except (secretstorage.SecretStorageException, OSError, RuntimeError):  # the last for an address of another kind
        return True
    return False


def _name(ring: KeyringBackend) -> str:
    return f"{type(ring).__module__}.{type(ring).__name__}"


def _rings() -> tuple[KeyringBackend, list[KeyringBackend]]:
    """Return what the keyring's library would use, and what of it encrypts."""
    import keyring  # noqa: PLC0415 - 40 ms, where the keyring is used

    try:
        ring = keyring.get_keyring()
    except OSError as error:  # its configuration is in a home that this process may not read
        raise SecretStoreUnavailable(why=type(error).__name__) from error
    return ring, [inner for inner in getattr(ring, "backends", (ring,)) if type(inner).__module__ in TRUSTED]


def _use(work: Callable[[KeyringBackend], T]) -> T:
    ring, trusted = _rings()
    if not trusted:
        raise SecretStoreUnavailable(why=_name(ring))
    try:
        return work(trusted[0])
    except Exception as error:
        raise SecretStoreUnavailable(why=type(error).__name__) from error
