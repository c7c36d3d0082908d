"""One SignerInfo of a CMS message (RFC 5652, section 5.3), made and judged: of a document, or of a timestamp.

Ours has the attributes of CAdES-B (ETSI EN 319 122-1, section 6.3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeAlias

from asn1crypto import algos, cms, core, tsp, x509

from cardd.errors import CardGarbled, DocumentMalformed, DocumentUnsupported
from cardd.formats.document import reading
from cardd.formats.prepared import Signer
from cardd.formats.raw import ALGORITHMS, accepts
from cardd.formats.verified import Flaw
from cardd.model import Algorithm, Message
from cardd.tlv import encode, parse
from cardd.values import Value

SEQUENCE, SET = 0x30, 0x31
MIME_TYPE = "0.4.0.1733.2.1"  # id-aa-ets-mimeType (EN 319 122-1, section 5.2.5.2), which asn1crypto does not know
SALT = 32  # bytes, as PS256 has it (RFC 7518, section 3.5)
DIGESTS = {"sha256": "256", "sha384": "384", "sha512": "512"}
BROKEN = {"sha1": "1", "md5": "MD5"}
SIGNED_ONLY = {"content_type", "message_digest", "signing_time"}
KINDS = {"rsassa_pkcs1v15": "RS", "rsassa_pss": "PS", "ecdsa": "ES"}
Reference: TypeAlias = tsp.ESSCertID | tsp.ESSCertIDv2
DigestOf = Callable[[str], bytes]
"""The digest of the content by the hash that hashlib has under this name."""


class SignerPart(Value):
    """What a signer signs: ``attributes``, the DER of the set of signed attributes."""

    signer: Signer
    attributes: bytes

    @property
    def message(self) -> Message:
        """Return what the key signs."""
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
            "signature_algorithm": _signed_with(self.signer.algorithm),
            "signature": self.stamped(value),
        }
        if timestamp is not None:
            token = cms.ContentInfo.load(timestamp)
            fields["unsigned_attrs"] = [{"type": "signature_time_stamp_token", "values": [token]}]
        return bytes(cms.SignerInfo(fields).dump())


def signer_part(signer: Signer, digest: bytes, now: datetime | None, mime_type: str | None = None) -> SignerPart:
    """Return what has to be signed for content of this SHA-256; ``now`` is the signing time claimed here, if it is."""
    attributes = [
        _attribute("content_type", "data"),
        _attribute("message_digest", digest),
        _attribute("signing_certificate_v2", _reference(signer.certificate)),
    ]
    if now is not None:
        time = cms.Time({"utc_time": now.astimezone(UTC).replace(microsecond=0)})
        attributes.append(_attribute("signing_time", time))
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


def _signed_with(algorithm: Algorithm) -> algos.SignedDigestAlgorithm:
    """RFC 4055 and RFC 5754."""
    match algorithm:
        case Algorithm.RS256:
            return algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa"})
        case Algorithm.ES256:
            return algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
    mask = {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}}
    parameters = {"hash_algorithm": {"algorithm": "sha256"}, "mask_gen_algorithm": mask, "salt_length": SALT}
    return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})


class Judged(Value):
    """What a SignerInfo says: ``algorithm`` by its JOSE name; ``attributes`` are the signed ones by name."""

    certificate: x509.Certificate
    algorithm: str
    attributes: dict[str, cms.CMSAttribute]
    flaw: Flaw | None

    @property
    def names_certificate(self) -> bool:
        """Whether it names its certificate (ESS, RFC 5035)."""
        return bool(_references(self.attributes))

    @property
    def path_named(self) -> tuple[tuple[str, bytes], ...]:
        """The further certificates that it wants in its path (RFC 5035, section 3), by the digest of this hash.

        Raises DocumentUnsupported for a hash that is not known.
        """
        further = (reference for named in _references(self.attributes) for reference in named[1:])
        named = tuple((_hash_of(reference), reference["cert_hash"].native) for reference in further)
        if other := next((name for name, _ in named if name not in (*BROKEN, *DIGESTS)), None):
            raise DocumentUnsupported(format="CMS", what=other)
        return named


def certificates_of(message: cms.SignedData) -> list[x509.Certificate]:
    """The X.509 certificates that came with it."""
    return [choice.chosen for choice in message["certificates"] or () if choice.name == "certificate"]


def judge(info: cms.SignerInfo, message: cms.SignedData, digest_of: DigestOf) -> Judged:
    """Return whether a signature of the message is of its certificate's key and of this content.

    Signed attributes are wanted: without them the value of any signature with attributes is one of those attributes'
    octets as a document (RFC 5652, section 5.4; ETSI EN 319 122-1, section 5.1).

    Raises DocumentUnsupported for a hash or algorithm that is not accepted or a certificate that is not there,
    DocumentMalformed, ValueError and TypeError for what is no SignerInfo.
    """
    _require_strict(info, message)
    certificate = _certificate(info["sid"], certificates_of(message))
    hashed = info["digest_algorithm"]["algorithm"].native
    algorithm = _algorithm(info["signature_algorithm"], hashed)
    attributes = _by_name(info["signed_attrs"] or ())
    if algorithm not in ALGORITHMS:
        return Judged(certificate, algorithm, {}, Flaw.WEAK)
    kind, content = message["encap_content_info"]["content_type"].native, digest_of(hashed)
    flaw = _attribute_flaw(attributes, certificate, kind, content) if attributes else Flaw.ATTRIBUTES
    if flaw is None:
        signed = hashlib.new(hashed, info["signed_attrs"].untag().dump()).digest()
        salt = _salt(info["signature_algorithm"])
        if not accepts(certificate.public_key.dump(), algorithm, info["signature"].native, signed, salt):
            flaw = Flaw.SIGNATURE
    return Judged(certificate, algorithm, attributes, flaw)


def _certificate(sid: cms.SignerIdentifier, certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    for certificate in certificates:
        if sid.name == "subject_key_identifier":
            if certificate.key_identifier == sid.chosen.native:
                return certificate
        elif (certificate.issuer, certificate.serial_number) == (
            sid.chosen["issuer"],
            sid.chosen["serial_number"].native,
        ):
            return certificate
    raise DocumentUnsupported(format="CMS", what="certificate")


def _algorithm(algorithm: algos.SignedDigestAlgorithm, hashed: str) -> str:
    """Return the JOSE name, of a broken hash too. An algorithm with another hash than the SignerInfo's is refused."""
    try:
        named = _hashes(algorithm) or {hashed}
        if broken := next((name for name in (*named, hashed) if name in BROKEN), None):
            return KINDS[algorithm.signature_algo] + BROKEN[broken]
        if named == {hashed}:
            return KINDS[algorithm.signature_algo] + DIGESTS[hashed]
    except (KeyError, ValueError):
        pass
    raise DocumentUnsupported(format="CMS", what=f"{algorithm['algorithm'].native}, {hashed}")


def _hashes(algorithm: algos.SignedDigestAlgorithm) -> set[str]:
    """The hashes that the algorithm names; none for RSA and ECDSA alone."""
    if algorithm["algorithm"].native == "rsassa_pss":
        parameters = algorithm["parameters"]
        mask = parameters["mask_gen_algorithm"]["parameters"]
        return {parameters["hash_algorithm"]["algorithm"].native, mask["algorithm"].native}
    return set() if algorithm["algorithm"].native in ("rsassa_pkcs1v15", "ecdsa") else {algorithm.hash_algo}


def _salt(algorithm: algos.SignedDigestAlgorithm) -> int | None:
    """Return the length of the salt of PSS, None for others. Raises DocumentMalformed for other trailers (RFC 4055)."""
    if algorithm["algorithm"].native != "rsassa_pss":
        return None
    if algorithm["parameters"]["trailer_field"].native != "trailer_field_bc":
        raise DocumentMalformed(format="CMS")
    return int(algorithm["parameters"]["salt_length"].native)


def _by_name(attributes: Sequence[cms.CMSAttribute]) -> dict[str, cms.CMSAttribute]:
    """Each attribute may be there once, with one value (RFC 5652, section 11)."""
    named = {attribute["type"].native: attribute for attribute in attributes}
    if len(named) != len(attributes) or any(len(attribute["values"]) != 1 for attribute in attributes):
        raise DocumentMalformed(format="CMS")
    return named


def _require_strict(info: cms.SignerInfo, message: cms.SignedData) -> None:
    """Refuse what some readers take and others, openssl among them, do not (RFC 5652, sections 5.1, 5.3 and 11).

    The message lists the hash; the signed attributes stand in DER's order; none that has to be signed is unsigned.
    Raises DocumentMalformed.
    """
    listed = {algorithm["algorithm"].native for algorithm in message["digest_algorithms"]}
    # asn1crypto has them as they stand until it is asked for what is in them, and puts them in order then
    with reading(DocumentMalformed(format="CMS"), CardGarbled):
        signed = [part.encode() for part in parse(info["signed_attrs"].contents or b"")]
    unsigned = {attribute["type"].native for attribute in info["unsigned_attrs"] or ()}
    is_listed = info["digest_algorithm"]["algorithm"].native in listed
    if not is_listed or signed != sorted(signed) or unsigned & SIGNED_ONLY:
        raise DocumentMalformed(format="CMS")


def _attribute_flaw(
    attributes: dict[str, cms.CMSAttribute], certificate: x509.Certificate, content_type: str, content: bytes
) -> Flaw | None:
    if not {"content_type", "message_digest"} <= attributes.keys():
        raise DocumentMalformed(format="CMS")
    told = attributes["content_type"]["values"][0].native, attributes["message_digest"]["values"][0].native
    if told[0] != content_type or not hmac.compare_digest(told[1], content):
        return Flaw.CONTENT
    if not all(_names(named[0], certificate) for named in _references(attributes)):
        return Flaw.CERTIFICATE
    return None


def _references(attributes: dict[str, cms.CMSAttribute]) -> list[list[Reference]]:
    """Return the certificates that each ESS attribute names: the signing one stands first (RFC 5035)."""
    named = (attributes.get(name) for name in ("signing_certificate", "signing_certificate_v2"))
    return [list(attribute["values"][0]["certs"]) for attribute in named if attribute]


def _hash_of(reference: Reference) -> str:
    return reference["hash_algorithm"]["algorithm"].native if isinstance(reference, tsp.ESSCertIDv2) else "sha1"


def _names(reference: Reference, certificate: x509.Certificate) -> bool:
    digest = hashlib.new(_hash_of(reference), certificate.dump(), usedforsecurity=False).digest()
    return hmac.compare_digest(digest, reference["cert_hash"].native) and _has_number(reference, certificate)


def _has_number(reference: Reference, certificate: x509.Certificate) -> bool:
    """Whether issuer and serial number are the certificate's, where the reference has them."""
    told = reference["issuer_serial"]
    if isinstance(told, core.Void):
        return True
    issuers = [name.chosen for name in told["issuer"] if name.name == "directory_name"]
    return issuers == [certificate.issuer] and told["serial_number"].native == certificate.serial_number
