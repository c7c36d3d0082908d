"""A signer's part of a CMS message (RFC 5652), with the attributes of CAdES-B (ETSI EN 319 122-1, section 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from asn1crypto import algos, cms, core, tsp, x509

from cardd.formats.prepared import Signer
from cardd.model import Algorithm, Message
from cardd.tlv import encode

SEQUENCE, SET = 0x30, 0x31
MIME_TYPE = "0.4.0.1733.2.1"  # id-aa-ets-mimeType (EN 319 122-1, section 5.2.5.2), which asn1crypto does not know
SALT = 32  # bytes, as PS256 has it (RFC 7518, section 3.5)


@dataclass(frozen=True, slots=True)
class SignerPart:
    """What a signer signs: ``attributes``, the DER of the set of signed attributes."""

    signer: Signer
    attributes: bytes

    @property
    def message(self) -> Message:
        """For the key."""
        return Message(sha256(self.attributes).digest(), self.attributes)

    def stamped(self, value: bytes) -> bytes:
        """The octets of the signature field, which a signature timestamp covers (EN 319 122-1, section 5.3)."""
        if self.signer.algorithm is Algorithm.ES256:
            return bytes(algos.DSASignature.from_p1363(value).dump())
        return value

    def info(self, value: bytes, timestamp: bytes | None) -> bytes:
        """The SignerInfo, DER, with the key's value and the authority's token."""
        certificate = x509.Certificate.load(self.signer.certificate)
        fields = {
            "version": "v1",
            "sid": {"issuer_and_serial_number": _issuer_and_serial(certificate)},
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": cms.CMSAttributes.load(self.attributes),
            "signature_algorithm": _algorithm(self.signer.algorithm),
            "signature": self.stamped(value),
        }
        if timestamp is not None:
            token = cms.ContentInfo.load(timestamp)
            fields["unsigned_attrs"] = [{"type": "signature_time_stamp_token", "values": [token]}]
        return bytes(cms.SignerInfo(fields).dump())


def signer_part(signer: Signer, digest: bytes, now: datetime, mime_type: str | None = None) -> SignerPart:
    """What has to be signed for content of this SHA-256; ``now`` is the signing time that is claimed."""
    attributes = [
        _attribute("content_type", "data"),
        _attribute("message_digest", digest),
        _attribute("signing_time", cms.Time({"utc_time": now.astimezone(UTC).replace(microsecond=0)})),
        _attribute("signing_certificate_v2", _reference(signer.certificate)),
    ]
    if mime_type is not None:
        text = encode(SET, core.UTF8String(mime_type).dump())
        attributes.append(cms.CMSAttribute.load(encode(SEQUENCE, core.ObjectIdentifier(MIME_TYPE).dump() + text)))
    return SignerPart(signer, bytes(cms.CMSAttributes(attributes).dump()))


def _attribute(name: str, value: object) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": name, "values": [value]})


def _reference(certificate: bytes) -> tsp.SigningCertificateV2:
    """The ESS signing-certificate-v2 (RFC 5035): SHA-256 is its default, and is left out."""
    return tsp.SigningCertificateV2({"certs": [{"cert_hash": sha256(certificate).digest()}]})


def _issuer_and_serial(certificate: x509.Certificate) -> cms.IssuerAndSerialNumber:
    return cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number})


def _algorithm(algorithm: Algorithm) -> algos.SignedDigestAlgorithm:
    """RFC 4055 and RFC 5754."""
    match algorithm:
        case Algorithm.RS256:
            return algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa"})
        case Algorithm.ES256:
            return algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
        case Algorithm.PS256:
            mask = {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}}
            parameters = {"hash_algorithm": {"algorithm": "sha256"}, "mask_gen_algorithm": mask, "salt_length": SALT}
            return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})
