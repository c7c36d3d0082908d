"""An organisation's certificate as openssl makes it: two PKCS#12 files, all names fictitious."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

SIRET = "399999999900017"
PASSWORD = "mot de passe SIMULATION"
PERSON = "/C=FR/O=CENTRE DE SANTE SIMULATION/CN=899000000123"  # a professional's token
SUBJECT = f"/C=FR/O=CENTRE DE SANTE SIMULATION/OU=999999999 SIMULATION/OU={SIRET}/CN=SIMULATION"


@dataclass(frozen=True)
class Organisation:
    """The files, and their certificates as PEM for outside judges."""

    authentication: Path
    signature: Path

    def certificate(self, name: str) -> Path:
        """The certificate of ``authentication`` or ``signature``."""
        return self.authentication.with_name(f"{name}.pem")


def make(
    directory: Path, *, ec: bool = False, days: int = 365, legacy: bool = False, subject: str = SUBJECT
) -> Organisation:
    """Two files with one password: RSA 2048 keys, or P-256 ones; ``legacy`` encrypts as older tools do."""
    for name, usage in (("authentication", "digitalSignature"), ("signature", "nonRepudiation")):
        key = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256") if ec else ("rsa:2048",)
        pem, private = directory / f"{name}.pem", directory / f"{name}.key"
        _openssl("req", "-x509", "-newkey", *key, "-nodes", "-keyout", str(private), "-out", str(pem), "-subj", subject,
                 "-days", str(days), "-sha256", "-addext", f"keyUsage=critical,{usage}")  # fmt: skip
        old = ("-legacy",) if legacy else ()
        _openssl("pkcs12", "-export", *old, "-inkey", str(private), "-in", str(pem), "-passout", f"pass:{PASSWORD}",
                 "-out", str(directory / f"{name}.p12"))  # fmt: skip
    return Organisation(directory / "authentication.p12", directory / "signature.p12")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
