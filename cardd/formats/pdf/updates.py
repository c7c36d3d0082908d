"""What was written to a PDF after a signature, and whether that signature allows it.

A PDF is signed as it is and may be appended to: each later writer can replace a page, and the signature still holds for
the bytes that it covers. Whoever opens the file sees the last state. So what came after is compared with what was
signed, object by object; pyHanko knows the kinds (ISO 32000-2, sections 12.8.2.2 and 12.8.2.4; ETSI EN 319 142-1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfDecodeLimitError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DiffResult,
    DocInfoRule,
    DSSCompareRule,
    FieldMDPRule,
    FormUpdatingRule,
    GenericFieldModificationRule,
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

from cardd.formats.pdf.one_way import reads_in_one_way
from cardd.formats.pdf.wire import Later

DOCUMENT_TIMESTAMP = "/DocTimeStamp"
SIGNATURE = "/Sig"
UNSEEN = ModificationLevel.LTA_UPDATES
FORM_LOOKS = frozenset({"/DA", "/DR", "/NeedAppearances", "/Q"})  # by which readers draw what fields hold


def part(of: generic.DictionaryObject, name: str) -> generic.DictionaryObject:
    """A dictionary inside another, wherever in the file it stands; an empty one where there is none."""
    return cast(generic.DictionaryObject, of[name]) if name in of else generic.DictionaryObject()


def list_in(of: generic.DictionaryObject, name: str) -> generic.ArrayObject:
    """A list inside a dictionary, wherever in the file it stands; an empty one where there is none."""
    return cast(generic.ArrayObject, of[name]) if name in of else generic.ArrayObject()


def later_than(reader: PdfFileReader, field: generic.DictionaryObject, name: str) -> Later:
    """Return what came after the signature in this field; FORBIDDEN also where that cannot be told."""
    try:
        signature = EmbeddedPdfSignature(reader, field, name)
        coverage = signature.evaluate_signature_coverage()
        if coverage is SignatureCoverageLevel.ENTIRE_FILE:
            return Later.NOTHING
        if coverage is not SignatureCoverageLevel.ENTIRE_REVISION:
            return Later.FORBIDDEN
        _, _, start, size = signature.byte_range
        if not reads_in_one_way(reader, signature.signed_revision, start + size):
            return Later.FORBIDDEN
        if signature.signed_revision == reader.xrefs.total_revisions - 1:
            return Later.NOTHING
        return _since(reader, signature)
    except (RecursionError, MemoryError, PdfDecodeLimitError):
        raise
    except Exception:  # noqa: BLE001 - pyHanko tells of damage in a dozen ways, assertions among them
        return Later.FORBIDDEN


def _since(reader: PdfFileReader, signature: EmbeddedPdfSignature) -> Later:
    allowed, locked = signature.docmdp_level, _locked(signature)
    signed = reader.get_historical_resolver(signature.signed_revision).root
    if _nobodys_drawing(signed, reader.root):
        return Later.FORBIDDEN
    free = frozenset() if _has_other_fields(signed) else FORM_LOOKS
    level = _level(_policy(free), reader, signature, allowed, locked)
    if level is not None:
        return Later.NOTHING if level.value <= UNSEEN.value else Later.SIGNATURES
    free = FORM_LOOKS if locked is None else free
    if _level(_policy(free, GenericFieldModificationRule()), reader, signature, allowed, locked) is None:
        return Later.FORBIDDEN
    return Later.FILLED_AS_ALLOWED if allowed is not None else Later.FILLED


def _policy(free: frozenset[str], *rules: FieldMDPRule) -> StandardDiffPolicy:
    """Return pyHanko's own policy, without the values of other fields than signatures unless a rule allows them.

    ``free`` are the entries of the form that may change. They say how fields are drawn: with another font for its
    fields a form shows other values than it holds.
    """
    return StandardDiffPolicy(
        global_rules=[
            CatalogModificationRule(),
            *(
                rule.as_qualified(UNSEEN)
                for rule in (
                    DocInfoRule(),
                    XrefStreamRule(),
                    ObjectStreamRule(),
                    DSSCompareRule(),
                    MetadataUpdateRule(),
                )
            ),
        ],
        form_rule=FormUpdatingRule(
            field_rules=[SigFieldCreationRule(), SigFieldModificationRule(), *rules],
            ignored_acroform_keys=free | {"/Fields"},
        ),
    )


def _has_other_fields(root: generic.DictionaryObject) -> bool:
    return any(kind not in {None, SIGNATURE} for kind, _, _ in _fields(root))


def _nobodys_drawing(signed: generic.DictionaryObject, now: generic.DictionaryObject) -> bool:
    """Return whether a field came later that shows something, and that no person signed.

    pyHanko lets a signature's field be added with any picture, over the whole page too. A person's signature answers
    for its own picture; an empty field and a document timestamp, which anybody can have, answer for nothing.
    """
    before = {reference: field for _, reference, field in _fields(signed)}
    for kind, reference, field in _fields(now):
        if kind != SIGNATURE:
            continue
        if reference in before and ("/V" in before[reference]) == ("/V" in field):
            continue
        if "/V" in field and part(field, "/V").get("/Type") != DOCUMENT_TIMESTAMP:
            continue
        if any(map(_shows, (field, *map(_object, list_in(field, "/Kids"))))):
            return True
    return False


def _fields(root: generic.DictionaryObject) -> Iterator[tuple[str | None, generic.Reference, generic.DictionaryObject]]:
    """Each field of the form, however deep, with its kind."""
    waiting = [(kid, None) for kid in list_in(part(root, "/AcroForm"), "/Fields")]
    seen = set()
    while waiting:
        kid, inherited = waiting.pop()
        if kid.reference in seen:
            raise ValueError(kid)  # a tree has no field twice
        seen.add(kid.reference)
        field = _object(kid)
        kind = field.get("/FT", inherited)
        yield kind, kid.reference, field
        waiting += [(inner, kind) for inner in list_in(field, "/Kids") if "/T" in _object(inner)]


def _object(of: generic.PdfObject) -> generic.DictionaryObject:
    found = of.get_object()
    if not isinstance(found, generic.DictionaryObject):
        raise TypeError(of)
    return found


def _shows(widget: generic.DictionaryObject) -> bool:
    """Return whether an annotation draws or does something; an empty picture in it does not."""
    if "/A" in widget or "/AA" in widget:
        return True
    left, bottom, right, top = map(float, list_in(widget, "/Rect") or (0, 0, 0, 0))
    if left == right or bottom == top:
        return False
    pictures = part(widget, "/AP")
    empty = (
        isinstance(one, generic.StreamObject) and not one.data.strip() for one in map(pictures.__getitem__, pictures)
    )
    return "/MK" in widget or not all(empty)


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
