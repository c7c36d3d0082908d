"""The signature of a DMP submission set: XAdES 1.1.1 over a Manifest of what is submitted (IHE Document Signature).

The structure is that of the DMP's public message examples, with SHA-256 in place of SHA-1, which no key here signs:
the set by its identifier, each document by its digest; nothing of the documents is inside. To verify one, all its
documents are wanted.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import new, sha256
from typing import BinaryIO

from cardd.errors import (
    DocumentMalformed,
    DocumentUnsupported,
    ManifestDocumentDiffers,
    ManifestDocumentMissing,
    ManifestDocumentUnnamed,
    TimestampMalformed,
)
from cardd.formats.certificate import require_signing
from cardd.formats.document import pieces, reading, sha256_of
from cardd.formats.options import SetDocument, SubmissionSetOptions
from cardd.formats.prepared import Signer
from cardd.formats.verified import Flaw, SignedSet, VerifiedSignature
from cardd.formats.xades import add_signing_certificate
from cardd.formats.xades_read import MANIFEST, XADES_111, verified
from cardd.formats.xml import C14N, C14N_COMMENTS, Element, canonical, canonical_document, parsed
from cardd.formats.xmldsig import (
    DS,
    Reference,
    SignedXml,
    XmlPrepared,
    add,
    add_reference,
    digest_of,
    mark,
    new_signature,
    prepared_signature,
)
from cardd.values import replace

SIGNED_PROPERTIES = f"{XADES_111}SignedProperties"
PURPOSE = "1.2.840.10065.1.12.1.14"  # source signature (ASTM E1762)
SET_DIGEST = b"\0"  # the set has no octets of its own
OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
DOCUMENTS_MAX = 256
MANIFEST_TAG = f"{{{DS}}}Manifest"


def prepare_submission_set(options: SubmissionSetOptions, signer: Signer, now: datetime) -> XmlPrepared:
    """The signature of this set; ``now`` is the signing time that is claimed.

    Raises ManifestDocumentMissing, ManifestDocumentDiffers, DocumentUnsupported for an identifier that is no OID or
    there twice, as ``require_signing`` does, and for XML as ``cardd.formats.xml.parsed`` does.
    """
    require_signing(signer, now)
    _require_identifiers([options.unique_id, *(document.unique_id for document in options.documents)])
    signature = new_signature(f"SIG-{mark(signer, now, options.unique_id.encode())}", {None: DS})
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
    """Return how the manifest names what has this ``uniqueId``."""
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


PREFIX = urn("")


def verify_submission_set(document: BinaryIO, documents: Mapping[str, BinaryIO]) -> VerifiedSignature:
    """The signature of a set; ``documents`` are all that it has, by their ``uniqueId``. Its digest is the manifest's.

    A document that was changed is a flaw of the content. Raises ManifestDocumentMissing, ManifestDocumentUnnamed,
    DocumentMalformed, DocumentUnsupported, and as ``cardd.formats.xml.parsed`` does.
    """
    root = parsed(document)
    with reading(DocumentMalformed(format="XAdES"), TimestampMalformed):
        if root.tag != f"{{{DS}}}Signature":
            raise DocumentUnsupported(format="XAdES", what=str(root.tag)[-48:])
        signed = SignedXml(root, root)
        signature = verified(signed, is_list=True)
        (of_set, *others) = _manifest(signed)
        if digest_of(of_set)[1] != SET_DIGEST:
            raise DocumentMalformed(format="XAdES")
        named = {_unique_id(reference): reference for reference in others}
        if not 1 <= len(others) == len(named) < DOCUMENTS_MAX:
            raise DocumentMalformed(format="XAdES")
        _require_documents(named, documents)
        changed = tuple(name for name, reference in named.items() if _is_changed(reference, documents[name]))
        flaw = signature.flaw or (Flaw.CONTENT if changed else None)
        return replace(signature, flaw=flaw, submission_set=SignedSet(_unique_id(of_set), tuple(named), changed))


def _manifest(signed: SignedXml) -> list[Element]:
    """The references of the one manifest that the signature covers."""
    (reference,) = (found for found in signed.references if found.get("Type") == MANIFEST)
    manifest = signed.covered(reference).element
    if manifest is None or manifest.tag != MANIFEST_TAG:
        raise DocumentMalformed(format="XAdES")
    return manifest.findall(f"{{{DS}}}Reference")


def _unique_id(reference: Element) -> str:
    uri = reference.get("URI") or ""
    if not uri.startswith(PREFIX):
        raise DocumentMalformed(format="XAdES")
    return uri.removeprefix(PREFIX)


def _require_documents(named: Mapping[str, Element], documents: Mapping[str, BinaryIO]) -> None:
    for unique_id in named:
        if unique_id not in documents:
            raise ManifestDocumentMissing(reference=urn(unique_id))
    for unique_id in sorted(documents.keys() - named.keys()):
        raise ManifestDocumentUnnamed(reference=urn(unique_id))


def _is_changed(reference: Element, content: BinaryIO) -> bool:
    name, told = digest_of(reference)
    return not hmac.compare_digest(_digest_by(name, reference, content), told)


def _digest_by(name: str, reference: Element, content: BinaryIO) -> bytes:
    """Return the digest by the transforms that the DMP knows: none, or canonical XML with comments."""
    transforms = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
    match [transform.get("Algorithm") for transform in transforms]:
        case []:
            digest = new(name)
            for piece in pieces(content):
                digest.update(piece)
        case [str(algorithm)] if algorithm == C14N_COMMENTS:
            digest = new(name, canonical_document(parsed(content), C14N_COMMENTS))
        case _:
            raise DocumentUnsupported(format="XAdES", what="Transform")
    return digest.digest()
