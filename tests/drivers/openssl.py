"""openssl as the judge of signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path


def verifies(directory: Path, certificate: bytes, signature: bytes, document: bytes) -> bool:
    """Whether ``openssl dgst -sha256 -verify`` accepts the signature with the certificate's key."""
    (directory / "certificate.der").write_bytes(certificate)
    (directory / "signature").write_bytes(signature)
    public = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", "certificate.der", "-noout", "-pubkey"],
        cwd=directory,
        check=True,
        capture_output=True,
    ).stdout
    (directory / "public.pem").write_bytes(public)
    judged = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"],
        cwd=directory,
        check=False,
        input=document,
        capture_output=True,
    )
    return judged.returncode == 0 and b"Verified OK" in judged.stdout
