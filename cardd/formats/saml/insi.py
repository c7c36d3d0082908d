"""The INSi assertion, with which a practice software asks for a patient's INS. Source: the VIHF facts, section 4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from cardd.errors import (
    AssertionCardType,
    AssertionNoneNeeded,
    AssertionValueInvalid,
)
from cardd.formats.document import new_document
from cardd.formats.prepared import Signer
from cardd.formats.saml import assertion, checks
from cardd.formats.saml.assertion import Node, PreparedAssertion, attribute, node
from cardd.formats.saml.profiles import DmpProfile
from cardd.formats.saml.request import InsiCall, Means, Registration, Speaker
from cardd.formats.saml.roles import DOCTOR
from cardd.formats.xml import canonical
from cardd.ports import Clock

QUALIFIERS = {"0": "CPS", "1": "CPF", "2": "CDE-CPE", "3": "CPA"}  # table G02
PSC = "PSC"
PSC_SPECIALTY = "codeSpecialiteAMO"
BILLING = re.compile(r"[0-9A-Z]{8,14}")  # nine digits in every sample
SPECIALTY = re.compile(r"[0-9A-Z]{1,4}")  # the Assurance Maladie's table is not public


def prepare_insi(
    speaker: Speaker, signer: Signer, call: InsiCall, *, profile: DmpProfile, clock: Clock
) -> PreparedAssertion:
    """An INSi assertion that the card's key will sign.

    Raises AssertionRefused (each reason its class), and as ``checks.signing_certificate`` does.
    """
    now = clock.now()
    _check_proven(speaker)
    certificate = checks.signing_certificate(signer, now)
    name = checks.national_id(speaker)
    checks.check_person(certificate, name)
    qualifier = QUALIFIERS.get(speaker.identity.card_type or "")
    if qualifier is None:
        raise AssertionCardType
    identifier = assertion.new_identifier()
    attributes = (
        *_invoicing(speaker, call, profile.variants.insi_specialty),
        attribute("secteurActivite", checks.sector(speaker)),
    )
    tree = assertion.tree(
        identifier,
        now,
        assertion.issuer(checks.issuer_name(certificate)),
        assertion.subject(name, NameQualifier=qualifier),
        node("AttributeStatement", *attributes),
    )
    return PreparedAssertion(tree, identifier, signer, None)


def unsigned_insi(speaker: Speaker, registration: Registration, call: InsiCall, clock: Clock) -> BinaryIO:
    """The INSi assertion of a person whom PSC vouches for; nobody signs it.

    Raises AssertionRefused, each reason its class; which Issuer it has no source tells: the registration does.
    """
    _check_proven(speaker)
    tree = assertion.tree(
        assertion.new_identifier(),
        clock.now(),
        assertion.issuer(checks.registered(registration.insi_issuer, "insi_issuer")),
        assertion.subject(checks.national_id(speaker), NameQualifier=PSC),
        node("AttributeStatement", *_invoicing(speaker, call, PSC_SPECIALTY)),
    )
    return new_document(canonical(tree.element()))


def _check_proven(speaker: Speaker) -> None:
    """With an organisation's certificate INSi takes no assertion at all: mTLS proves enough."""
    if speaker.identity.is_declared or speaker.login.means is Means.TLS:
        raise AssertionNoneNeeded


def _invoicing(speaker: Speaker, call: InsiCall, specialty_name: str) -> Iterator[Node]:
    if not BILLING.fullmatch(call.billing):
        raise AssertionValueInvalid(what="billing")
    yield attribute("identifiantFacturation", call.billing)
    if call.specialty is not None or speaker.profession == DOCTOR:
        if not SPECIALTY.fullmatch(call.specialty or ""):
            raise AssertionValueInvalid(what="specialty")
        yield attribute(specialty_name, call.specialty or "")
