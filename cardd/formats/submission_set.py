"""The signature of a DMP submission set: XAdES 1.1.1 over a Manifest of what is submitted (IHE Document Signature).

The structure is that of the DMP's public message examples, with SHA-256 in place of SHA-1, which no key here signs:
the set by its identifier, each document by its digest; nothing of the documents is inside.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from cardd.errors import DocumentUnsupported, ManifestDocumentDiffers, ManifestDocumentMissing
from cardd.formats.certificate import require_signing
from cardd.formats.document import sha256_of
from cardd.formats.options import SetDocument, SubmissionSetOptions
from cardd.formats.prepared import Signer
from cardd.formats.qualifying import add_signing_certificate
from cardd.formats.xml import C14N, C14N_COMMENTS, Element, canonical, canonical_document, parsed
from cardd.formats.xmldsig import (
    DS,
    Reference,
    XmlPrepared,
    add,
    add_reference,
    new_signature,
    prepared_signature,
)

XADES_111 = "http://uri.etsi.org/01903/v1.1.1#"
MANIFEST = f"{DS}Manifest"
SIGNED_PROPERTIES = f"{XADES_111}SignedProperties"
PURPOSE = "1.2.840.10065.1.12.1.14"  # source signature (ASTM E1762)
SET_DIGEST = b"\0"  # the set has no octets of its own
OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
DOCUMENTS_MAX = 256


def prepare_submission_set(options: SubmissionSetOptions, signer: Signer, now: datetime) -> XmlPrepared:
    """The signature of this set; ``now`` is the signing time that is claimed.

    Raises ManifestDocumentMissing, ManifestDocumentDiffers, DocumentUnsupported for an identifier that is no OID or
    there twice, as ``require_signing`` does, and for XML as ``cardd.formats.xml.parsed`` does.
    """
    require_signing(signer, now)
    _require_identifiers([options.unique_id, *(document.unique_id for document in options.documents)])
    signature = new_signature(f"SIG-{secrets.token_hex(16)}", {None: DS})
    manifest = add(add(signature, DS, "Object"), DS, "Manifest", Id="IHEManifest")
    add_reference(manifest, Reference(SET_DIGEST, urn(options.unique_id)))
    for document in options.documents:
        add_reference(manifest, _reference(document))
    purpose = add(add(signature, DS, "Object"), DS, "SignatureProperties")
    target = f"#{signature.get('Id')}"
    add(purpose, DS, "SignatureProperty", PURPOSE, Id="purposeOfSignature", Target=target)
    signed = _signed_properties(signature, signer, now, has_chain=options.has_chain)
    references = [
        Reference(_digest(manifest), "#IHEManifest", type=MANIFEST),
        Reference(_digest(signed), "#S0-SignedProperties", type=SIGNED_PROPERTIES),
    ]
    alone = replace(signer, chain=())  # KeyInfo has one certificate in every source
    return prepared_signature(signature, alone, references, canonicalization=C14N_COMMENTS)


def urn(unique_id: str) -> str:
    """How the manifest names what has this ``uniqueId``."""
    return f"urn:oid:{unique_id}"


def digest_of_xml(content: BinaryIO) -> bytes:
    """The SHA-256 of an XML document's canonical form, with its comments. Raises as ``parsed`` does."""
    return sha256(canonical_document(parsed(content), C14N_COMMENTS)).digest()


def _require_identifiers(identifiers: list[str]) -> None:
    if not 2 <= len(identifiers) <= DOCUMENTS_MAX or len(set(identifiers)) != len(identifiers):
        raise DocumentUnsupported(format="XAdES", what="documents")
    for identifier in identifiers:
        if not OID.fullmatch(identifier):
            raise DocumentUnsupported(format="XAdES", what="uniqueId")


def _reference(document: SetDocument) -> Reference:
    name = urn(document.unique_id)
    if document.content is None:
        raise ManifestDocumentMissing(reference=name)
    octets = sha256_of(document.content)
    if document.digest is not None and document.digest != octets:
        raise ManifestDocumentDiffers(reference=name)
    if document.is_xml:
        return Reference(digest_of_xml(document.content), name, (C14N_COMMENTS,))
    return Reference(octets, name)


def _digest(part: Element) -> bytes:
    """A reference without transforms: inclusive, without comments (XML Signature, section 4.4.3.2)."""
    return sha256(canonical(part, C14N)).digest()


def _signed_properties(signature: Element, signer: Signer, now: datetime, *, has_chain: bool) -> Element:
    held = add(signature, DS, "Object")
    target = f"#{signature.get('Id')}"
    qualifying = add(held, XADES_111, "QualifyingProperties", prefixes={None: XADES_111}, Target=target)
    signed = add(qualifying, XADES_111, "SignedProperties", Id="S0-SignedProperties")
    of_signature = add(signed, XADES_111, "SignedSignatureProperties")
    time = now.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    add(of_signature, XADES_111, "SigningTime", f"{time}Z")
    listed = dict.fromkeys((signer.certificate, *(signer.chain if has_chain else ())))
    add_signing_certificate(of_signature, listed, version=XADES_111, digests=XADES_111)
    add(add(of_signature, XADES_111, "SignaturePolicyIdentifier"), XADES_111, "SignaturePolicyImplied")
    add(signed, XADES_111, "SignedDataObjectProperties")
    return signed
