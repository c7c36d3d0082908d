"""A secret of support as a systemd credential: made here, encrypted by ``systemd-creds``, never in a plain file.

The service has no keyring where it runs as a user of its own without a desktop; credentials are its way.
"""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import UTC, datetime
from pathlib import Path

from cardd.config.loading import load
from cardd.core import totp
from cardd.core.support import SECRET
from cardd.errors import SecretStoreUnavailable, SupportCodeWrong
from cardd.secret import Secret

NAME = f"cardd.{SECRET}"
PROGRAM = "systemd-creds"


class NewCredential:
    """A secret that becomes a credential in a new file at ``path``; ``address`` is for the phone."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._path = path.absolute()
        self._secret = totp.new_secret()
        self._encrypted = b""
        self.address = totp.address(self._secret, load().support.label or os.uname().nodename)

    @property
    def directive(self) -> str:
        """What the service's unit needs to say."""
        return f"LoadCredentialEncrypted={NAME}:{self._path}"

    async def encrypt(self) -> None:
        """Have it encrypted; before the phone has it, for this may fail. Raises SecretStoreUnavailable."""
        self._encrypted = await _encrypted(self._secret)

    async def confirm(self, code: str) -> None:
        """Check the phone's first code, and write the file. Raises SupportCodeWrong, OSError."""
        if totp.step_of(self._secret, code, datetime.now(UTC)) is None:
            raise SupportCodeWrong
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "wb") as file:
            file.write(self._encrypted)
        self._secret.wipe()


async def _encrypted(secret: Secret) -> bytes:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "encrypt", f"--name={NAME}", "-", "-", stdin=pipe, stdout=pipe, stderr=pipe
        )
    except OSError as fault:
        raise SecretStoreUnavailable(why=f"{PROGRAM}: {fault.strerror}") from fault
    with secret.lent() as raw:
        out, err = await process.communicate(raw)
    if process.returncode:
        raise SecretStoreUnavailable(why=f"{PROGRAM}: {err.decode(errors='replace').strip()}")
    return out
