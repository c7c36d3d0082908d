"""A SoftHSM2 of the test's own: a directory of tokens with keys and certificates, all names fictitious."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tests.rig import organisation

PIN, OFFICER = "2468", "13572468"
PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
IDS = {"authentication": "a1", "signature": "51"}


def files() -> tuple[Path, ...]:
    """What its module must read and write here: where the environment says that tokens are, and what is around."""
    configuration = os.environ.get("SOFTHSM2_CONF")
    return (Path(configuration).parents[1],) if configuration else ()


@dataclass(frozen=True)
class SoftHsm:
    """``environment`` is what its module needs."""

    directory: Path

    @property
    def module(self) -> str:
        """The module's path."""
        return next(place for place in PLACES if Path(place).exists())

    @cached_property
    def environment(self) -> dict[str, str]:
        """Where its tokens are."""
        tokens = self.directory / "tokens"
        tokens.mkdir(exist_ok=True)
        configuration = self.directory / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        return {"SOFTHSM2_CONF": str(configuration)}

    def token(
        self,
        label: str,
        *,
        ec: bool = False,
        objects: str = "{} SIMULATION",
        subject: str = organisation.SUBJECT,
    ) -> organisation.Organisation:
        """A new token with a key and a certificate for each purpose; gives the files with the certificates.

        ``objects`` is what those are called, the purpose filled in; ``subject`` whose they are.
        """
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", OFFICER)
        place = self.directory / label
        place.mkdir()
        files = organisation.make(place, ec=ec, subject=subject)
        self._fill(label, files, objects)
        return files

    def holding(self, label: str, certificate: bytes, key: bytes) -> None:
        """A new token with this key and its certificate, PEM, for both purposes."""
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", OFFICER)
        place = self.directory / label
        place.mkdir()
        for name in IDS:
            (place / f"{name}.pem").write_bytes(certificate)
            (place / f"{name}.key").write_bytes(key)
        self._fill(label, organisation.Organisation(place / "authentication.p12", place / "signature.p12"))

    def _fill(self, label: str, files: organisation.Organisation, objects: str = "{} SIMULATION") -> None:
        for name, identifier in IDS.items():
            self._import(label, name, identifier, files, objects.format(name))

    def copy(self, directory: Path) -> SoftHsm:
        """Return a copy of the tokens, elsewhere."""
        copied = SoftHsm(directory)
        shutil.copytree(self.directory / "tokens", directory / "tokens")
        return copied

    def _import(self, label: str, name: str, identifier: str, files: organisation.Organisation, called: str) -> None:
        pem, der = files.certificate(name), files.certificate(name).with_suffix(".der")
        der.write_bytes(load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER))
        common = ("--token", label, "--label", called, "--id", identifier, "--pin", PIN)
        self._run("softhsm2-util", "--import", str(pem.with_suffix(".key")), *common)
        write = ("--write-object", str(der), "--type", "cert", "--id", identifier, "--label", called)
        self._run("pkcs11-tool", "--module", self.module, "--token-label", label, "--login", "--pin", PIN, *write)

    def _run(self, *command: str) -> None:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
