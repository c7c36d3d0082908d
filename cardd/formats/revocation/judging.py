"""What an authority's answer says of a certificate, if it counts: by pyhanko-certvalidator.

An answer counts when it is of now and about this certificate, and signed by the certificate's issuer or by whom the
issuer has made its responder.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from asn1crypto import core, crl, ocsp, x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    CRLValidationIndeterminateError,
    OCSPValidationError,
    OCSPValidationIndeterminateError,
    PathError,
    RevokedError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response

from cardd.formats.reading import UNREADABLE
from cardd.formats.revocation.status import Revocation, Source, Status, Why
from cardd.formats.trust import name_of

SKEW = timedelta(minutes=1)
EXPIRED_CERTIFICATES_ON_LIST = "2.5.29.60"  # X.509: expiredCertsOnCRL


def judged(
    answer: bytes, source: Source, certificate: x509.Certificate, path: ValidationPath, now: datetime
) -> Revocation:
    """What an answer says of a certificate of this path. Never raises. For a thread of its own."""
    subject = name_of(certificate)
    try:
        as_of, kept_since = _of_response(answer) if source is Source.OCSP else _of_list(answer)
    except UNREADABLE:
        return Revocation(subject, Status.UNKNOWN, source, why=Why.GARBLED)
    try:
        check = verify_ocsp_response if source is Source.OCSP else verify_crl
        asyncio.run(check(certificate, path, _context(answer, source, path, now)))
    except RevokedError as revoked:
        since = revoked.revocation_dt.astimezone(UTC)
        return Revocation(subject, Status.REVOKED, source, as_of, since, str(revoked.reason.native))
    except (OCSPValidationIndeterminateError, CRLValidationIndeterminateError) as fault:
        return Revocation(subject, Status.UNKNOWN, source, why=Why.STALE if fault.suspect_stale else Why.GARBLED)
    except (OCSPValidationError, CRLValidationError, PathError, ValidationError, *UNREADABLE):
        return Revocation(subject, Status.UNKNOWN, source, why=Why.GARBLED)
    ended = certificate.not_valid_after
    if as_of > ended and not (kept_since and kept_since <= ended):
        return Revocation(subject, Status.UNKNOWN, source, as_of, why=Why.EXPIRED)
    return Revocation(subject, Status.GOOD, source, as_of)


def _context(answer: bytes, source: Source, path: ValidationPath, now: datetime) -> ValidationContext:
    return ValidationContext(
        trust_roots=[path.trust_anchor],
        other_certs=list(path.iter_certs(include_root=False)),
        ocsps=[answer] if source is Source.OCSP else None,
        crls=[answer] if source is Source.CRL else None,
        moment=now,
        time_tolerance=SKEW,
        allow_fetching=False,
        revocation_mode="soft-fail",
    )


def _of_response(answer: bytes) -> tuple[datetime, datetime | None]:
    """When it was said, and since when certificates that have ended are still spoken of (RFC 6960, section 4.4.4)."""
    (single,) = ocsp.OCSPResponse.load(answer, strict=True).response_data["responses"]
    kept = [found["extn_value"].parsed.native for found in single["single_extensions"] or ()
            if found["extn_id"].native == "archive_cutoff"]  # fmt: skip
    return single["this_update"].native, kept[0] if kept else None


def _of_list(answer: bytes) -> tuple[datetime, datetime | None]:
    """The same of a list."""
    told = crl.CertificateList.load(answer, strict=True)["tbs_cert_list"]
    kept = [found["extn_value"].native for found in told["crl_extensions"] or ()
            if found["extn_id"].dotted == EXPIRED_CERTIFICATES_ON_LIST]  # fmt: skip
    return told["this_update"].native, core.GeneralizedTime.load(kept[0]).native if kept else None
