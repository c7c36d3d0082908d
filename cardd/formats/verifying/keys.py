"""Signature values against a certificate's key, by the algorithms that are accepted: no SHA-1, no MD5."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key

HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
ALGORITHMS = frozenset(kind + size for kind in ("RS", "PS", "ES") for size in HASHES)


def accepts(key: bytes, algorithm: str, signature: bytes, digest: bytes) -> bool:
    """Whether the value is this key's signature of a digest by the algorithm's hash.

    ``key`` is a SubjectPublicKeyInfo (DER), ``algorithm`` one of ``ALGORITHMS`` by its JOSE name; an ECDSA value
    is DER, on whatever curve the key has.
    """
    hashed = HASHES[algorithm[2:]]
    try:
        public = load_der_public_key(key)
        match algorithm[:2], public:
            case "RS", rsa.RSAPublicKey():
                public.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashed))
            case "PS", rsa.RSAPublicKey():
                scheme = padding.PSS(padding.MGF1(hashed), padding.PSS.AUTO)
                public.verify(signature, digest, scheme, Prehashed(hashed))
            case "ES", ec.EllipticCurvePublicKey():
                public.verify(signature, digest, ec.ECDSA(Prehashed(hashed)))
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
