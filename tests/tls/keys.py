"""Keys in memory that sign as a card does: digests only, padding by themselves."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cardd.errors import CarddError
from cardd.model import Algorithm
from cardd.tls.dialler import Credentials
from tests.rig.nginx import Pair

PADDINGS = {Algorithm.RS256: padding.PKCS1v15(), Algorithm.PS256: padding.PSS(padding.MGF1(SHA256()), 32)}


@dataclass
class MemoryKey:
    """``asked`` are the algorithms of its signatures; ``fault`` is raised instead of one."""

    pair: Pair
    fault: CarddError | None = None
    asked: list[Algorithm] = field(default_factory=list)

    async def ask(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest."""
        self.asked.append(algorithm)
        if self.fault:
            raise self.fault
        key = load_pem_private_key(self.pair.key.read_bytes(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(digest, PADDINGS[algorithm], Prehashed(SHA256()))
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def credentials(self, *algorithms: Algorithm) -> Credentials:
        """What a connector shows."""
        der = ssl.PEM_cert_to_DER_cert(self.pair.certificate.read_text())
        return Credentials(der, algorithms, self.ask)
