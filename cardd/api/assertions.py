"""POST …/assertions: a VIHF for the DMP, or an assertion for INSi."""

from __future__ import annotations

from msgspec import UNSET

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.sessions import AssertionAnswer, InsiBody, LpsBody, VihfBody
from cardd.documents.assertions import InsiWanted, VihfWanted
from cardd.formats.saml.request import Access, InsiCall, Means, Patient, Registration

ASSERTION_BODY: Shape[VihfBody | InsiBody] = Shape(
    VihfBody, InsiBody, choose=lambda fields: InsiBody if bytes(fields.get("type", b"")) == b'"insi"' else VihfBody
)


async def issue(call: Call, body: VihfBody | InsiBody) -> Reply:
    """Issue one assertion, under the session's consent."""
    if isinstance(body, InsiBody):
        wanted = InsiWanted(_registration(body.lps), InsiCall(body.billing, body.specialty))
        issued = await call.parts.assertions.insi(call.session, wanted, call.attempt)
    else:
        issued = await call.parts.assertions.vihf(call.session, _vihf(body), call.attempt)
    return Reply(body=AssertionAnswer(body.type, issued.content, issued.certificate or UNSET))


def _vihf(body: VihfBody) -> VihfWanted:
    return VihfWanted(
        registration=_registration(body.lps),
        patient=Patient(body.patient.ins, body.patient.oid) if body.patient else None,
        access=Access(body.access),
        is_secret=body.secret,
        role=body.role,
        section=body.section,
        sector=body.sector,
        means=Means(body.means) if body.means else None,
    )


def _registration(lps: LpsBody) -> Registration:
    return Registration(lps.name, lps.homologation, lps.version, lps.installation)
