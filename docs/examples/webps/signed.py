"""Detached signatures of cardd (CAdES), verified on a portal's server: who signed this document, or Refused.

The openssl command (3.0) checks the signature over the server's own copy of the document, that it names its
certificate (CAdES), by whom that was issued, for what, and whether it was revoked. What cardd says of it is no proof.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from asn1crypto import cms, pem, x509
from web_eid import UNREADABLE, Refused, holder_of

SIGNATURE_MAX = 65_536  # bytes
TIME_MAX = 10  # seconds
DIGESTS = ("sha256", "sha384", "sha512")
AS_CADES = ("-verify", "-cades", "-binary", "-inform", "DER", "-out", os.devnull)
BY_TRUSTED = ("-partial_chain", "-purpose", "smimesign", "-auth_level", "2", "-crl_check", "-extended_crl")


class SignerRefused(Refused):
    """The signature is whole; its certificate is not one that this portal takes for documents."""


def signer_of(document, signature, *, trust):
    """Return the Holder who signed exactly these bytes. Raises Refused."""
    if not isinstance(signature, bytes) or len(signature) > SIGNATURE_MAX:
        raise Refused("no signature")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "document").write_bytes(document)
        (place / "signature").write_bytes(signature)
        try:  # openssl cms reads lists from the file of the authorities only
            (place / "trusted").write_bytes(trust.authorities.read_bytes() + b"\n" + trust.lists.read_bytes())
        except OSError as fault:
            raise SignerRefused(f"the portal's authorities or lists: {fault}") from None
        given = ("-in", "signature", "-content", "document", "-CAfile", "trusted", "-signer", "signer")
        command = ["openssl", "cms", *AS_CADES, *BY_TRUSTED, *given]
        done = subprocess.run(command, cwd=place, capture_output=True, check=False, timeout=TIME_MAX)  # noqa: S603 - ours
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip()
            raise (SignerRefused if "certificate verify error" in why else Refused)(f"the signature: {why}")
        signers = list(pem.unarmor((place / "signer").read_bytes(), multiple=True))
    if len(signers) != 1:
        raise Refused("several people signed")
    _check_form(signature)
    try:
        certificate = x509.Certificate.load(signers[0][2])
        usage = certificate.key_usage_value
        if usage is None or "non_repudiation" not in usage.native:
            raise SignerRefused("the certificate is not for documents")
        return holder_of(certificate)
    except UNREADABLE:
        raise SignerRefused("the certificate cannot be read") from None
    except Refused as reason:
        raise SignerRefused(str(reason)) from None


def _check_form(signature):
    """Raise Refused for what openssl lets pass: other bytes behind or inside, no certificate's name, a weak digest."""
    try:
        found = cms.ContentInfo.load(signature, strict=True)["content"]
        has_document = found["encap_content_info"]["content"].native is not None
        (signed,) = found["signer_infos"]
        # openssl looks for the certificate's name only where there are any
        is_cades, digest = len(signed["signed_attrs"]) > 0, signed["digest_algorithm"]["algorithm"].native
    except (KeyError, *UNREADABLE):
        raise Refused("more than a signature") from None
    if has_document:
        raise Refused("a document inside, which may be another one")
    if not is_cades:
        raise Refused("no CAdES")
    if digest not in DIGESTS:
        raise Refused("a weak digest, or an unknown one")
