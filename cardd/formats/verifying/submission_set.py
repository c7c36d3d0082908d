"""The signature of a DMP submission set, with the documents that its manifest names."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from hashlib import new
from typing import BinaryIO

from cardd.errors import (
    DocumentMalformed,
    DocumentUnsupported,
    ManifestDocumentMissing,
    ManifestDocumentUnnamed,
    TimestampMalformed,
)
from cardd.formats.document import pieces
from cardd.formats.reading import reading
from cardd.formats.submission_set import DOCUMENTS_MAX, MANIFEST, SET_DIGEST, urn
from cardd.formats.verified import Flaw, SignedSet, VerifiedSignature
from cardd.formats.verifying.xades import verified
from cardd.formats.verifying.xmldsig import SignedXml, digest_of
from cardd.formats.xml import C14N_COMMENTS, Element, canonical_document, parsed
from cardd.formats.xmldsig import DS

PREFIX = urn("")
MANIFEST_TAG = f"{{{DS}}}Manifest"


def verify_submission_set(document: BinaryIO, documents: Mapping[str, BinaryIO]) -> VerifiedSignature:
    """The signature of a set; ``documents`` are all that it has, by their ``uniqueId``. Its digest is the manifest's.

    A document that was changed is a flaw of the content. Raises ManifestDocumentMissing, ManifestDocumentUnnamed,
    DocumentMalformed, DocumentUnsupported, and as ``cardd.formats.xml.parsed`` does.
    """
    root = parsed(document)
    with reading(DocumentMalformed(format="XAdES"), TimestampMalformed):
        if root.tag != f"{{{DS}}}Signature":
            raise DocumentUnsupported(format="XAdES", what=root.tag[-48:])
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
    return not hmac.compare_digest(_digest(name, reference, content), told)


def _digest(name: str, reference: Element, content: BinaryIO) -> bytes:
    """By the transforms that the DMP knows: none, or canonical XML with comments."""
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
