"""openssl as the judge of signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha256")


def verifies(directory: Path, certificate: bytes, signature: bytes, document: bytes, *, pss: bool = False) -> bool:
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
        ["openssl", "dgst", "-sha256", *(PSS if pss else ()), "-verify", "public.pem", "-signature", "signature"],
        cwd=directory,
        check=False,
        input=document,
        capture_output=True,
    )
    return judged.returncode == 0 and b"Verified OK" in judged.stdout


def is_issued_by(directory: Path, certificate: bytes, chain: Path) -> bool:
    """Whether ``openssl verify`` accepts the certificate under this file's authorities."""
    (directory / "certificate.der").write_bytes(certificate)
    subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", "certificate.der", "-out", "certificate.pem"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    judged = subprocess.run(
        ["openssl", "verify", "-CAfile", str(chain), "certificate.pem"], cwd=directory, check=False, capture_output=True
    )
    return judged.returncode == 0 and judged.stdout == b"certificate.pem: OK\n"


def run(*arguments: str | Path, failing: bool = False) -> str:
    """What openssl printed, errors included; a failure fails the test unless it is an answer too."""
    done = subprocess.run(["openssl", *map(str, arguments)], check=False, capture_output=True, text=True, timeout=60)
    assert failing or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def accepts_cms(message: Path, roots: bytes, content: Path | None = None, *, cades: bool = True) -> bool:
    """Whether ``openssl cms -verify`` accepts it; ``content`` is what a detached one covers.

    ``cades``: the signing-certificate attribute has to be right too. What it took out is beside it, ``.content``.
    """
    authorities = message.with_suffix(".authorities")
    authorities.write_bytes(roots)
    beside = ("-content", content) if content else ()
    strict = ("-cades",) if cades else ()
    told = run("cms", "-verify", "-binary", "-inform", "DER", "-in", message, "-CAfile", authorities, "-purpose", "any",
               "-out", message.with_suffix(".content"), *beside, *strict, failing=True)  # fmt: skip
    return f"{'CAdES' if cades else 'CMS'} Verification successful" in told
