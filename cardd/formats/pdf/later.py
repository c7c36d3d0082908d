"""What was written to a PDF after a signature, and whether that signature allows it.

A PDF is signed as it is and may be appended to: each later writer can replace a page, and the signature still holds for
the bytes that it covers. Whoever opens the file sees the last state. So what came after is compared with what was
signed, object by object; pyHanko knows the kinds (ISO 32000-2, sections 12.8.2.2 and 12.8.2.4; ETSI EN 319 142-1).
"""

from __future__ import annotations

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfDecodeLimitError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import (
    DEFAULT_DIFF_POLICY,
    CatalogModificationRule,
    DiffResult,
    DocInfoRule,
    DSSCompareRule,
    FormUpdatingRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    XrefStreamRule,
)
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from cardd.formats.verified import Later

BLANK_MAX = 1024  # bytes
UNSEEN = ModificationLevel.LTA_UPDATES
SIGNATURES_ONLY = StandardDiffPolicy(
    global_rules=[
        CatalogModificationRule(),
        *(
            rule.as_qualified(UNSEEN)
            for rule in (DocInfoRule(), XrefStreamRule(), ObjectStreamRule(), DSSCompareRule(), MetadataUpdateRule())
        ),
    ],
    form_rule=FormUpdatingRule(field_rules=[SigFieldCreationRule(), SigFieldModificationRule()]),
)
"""pyHanko's own policy, without the values of other fields."""


def later_than(reader: PdfFileReader, field: generic.DictionaryObject, name: str) -> Later:
    """Return what came after the signature in this field; FORBIDDEN also where that cannot be told."""
    try:
        signature = EmbeddedPdfSignature(reader, field, name)
        coverage = signature.evaluate_signature_coverage()
        if coverage is SignatureCoverageLevel.ENTIRE_FILE:
            return Later.NOTHING
        if coverage is not SignatureCoverageLevel.ENTIRE_REVISION:
            return Later.FORBIDDEN
        if signature.signed_revision == reader.xrefs.total_revisions - 1:
            return Later.NOTHING if _is_blank(reader, signature) else Later.FORBIDDEN
        return _since(reader, signature)
    except (RecursionError, MemoryError, PdfDecodeLimitError):
        raise
    except Exception:  # noqa: BLE001 - pyHanko tells of damage in a dozen ways, assertions among them
        return Later.FORBIDDEN


def _is_blank(reader: PdfFileReader, signature: EmbeddedPdfSignature) -> bool:
    """Return whether only white space follows the last revision: readers that mend files would see objects there."""
    _, _, start, size = signature.byte_range
    reader.stream.seek(start + size)
    return not reader.stream.read(BLANK_MAX).strip()


def _since(reader: PdfFileReader, signature: EmbeddedPdfSignature) -> Later:
    allowed, locked = signature.docmdp_level, _locked(signature)
    level = _level(SIGNATURES_ONLY, reader, signature, allowed, locked)
    if level is not None:
        return Later.NOTHING if level.value <= UNSEEN.value else Later.SIGNATURES
    if _level(DEFAULT_DIFF_POLICY, reader, signature, allowed, locked) is None:
        return Later.FORBIDDEN
    return Later.FILLED_AS_ALLOWED if allowed is not None else Later.FILLED


def _locked(signature: EmbeddedPdfSignature) -> FieldMDPSpec | None:
    """Return which fields the signature locks, also where only its field says so (ISO 32000-1, section 12.7.4.5)."""
    lock = signature.sig_field.get("/Lock", {})
    if signature.fieldmdp is None and "/Action" in lock:
        return FieldMDPSpec.from_pdf_object(lock)
    return signature.fieldmdp


def _level(
    policy: StandardDiffPolicy,
    reader: PdfFileReader,
    signature: EmbeddedPdfSignature,
    allowed: MDPPerm | None,
    locked: FieldMDPSpec | None,
) -> ModificationLevel | None:
    """Return how far the changes go; None where the policy or the signature does not allow them."""
    found = policy.review_file(reader, signature.signed_revision, field_mdp_spec=locked, doc_mdp=allowed)
    if not isinstance(found, DiffResult):
        return None
    level = found.modification_level
    most = allowed.value if allowed else ModificationLevel.ANNOTATIONS.value  # the two enumerations share their values
    return level if level.value <= most else None
