"""The VIHF: the assertion with which a professional opens the DMP. Source: the VIHF facts, sections 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cardd.errors import (
    AssertionIdentityDeclared,
    AssertionLoginUnfit,
    AssertionOrganisationMissing,
)
from cardd.formats.prepared import Signer
from cardd.formats.saml import assertion, checks
from cardd.formats.saml.assertion import HL7, Life, Node, PreparedAssertion, attribute, node
from cardd.formats.saml.checks import resource_id
from cardd.formats.saml.profiles import DmpProfile
from cardd.formats.saml.request import Access, Authentication, Means, Mode, Registration, Speaker, VihfCall
from cardd.formats.saml.roles import TABLE_NAMES, Role, roles_of
from cardd.ports import Clock

AIR_SECONDS = 30  # EX_AIR-040
SECTORS = "1.2.250.1.71.4.2.4"
ACCESSES = "1.2.250.1.213.1.1.4.248"
ACCESS_WORDS = {
    Access.NORMAL: "Accès normal",
    Access.BREAK_GLASS: "Bris de glace",
    Access.CENTRE_15: "Accès centre 15",
}
MODES = {Mode.DIRECT: "DIRECTE", Mode.INDIRECT: "INDIRECTE", Mode.AIR: "INDIRECTE_RENFORCEE"}
PERSONAL = (Means.CARD, Means.MOBILE)  # a login of which card or PSC are proof

XACML, XSPA = "urn:oasis:names:tc:xacml:2.0", "urn:oasis:names:tc:xspa:1.0"


def prepare_vihf(
    speaker: Speaker, signer: Signer, registration: Registration, call: VihfCall, *, profile: DmpProfile, clock: Clock
) -> PreparedAssertion:
    """A VIHF about ``speaker`` that ``signer``'s key will sign: the card's in the direct mode, else the organisation's.

    Raises AssertionRefused (each reason its class), and as ``checks.signing_certificate`` does. An AIR that
    is finished after its 30 s raises AssertionLate.
    """
    now = clock.now()
    certificate = checks.signing_certificate(signer, now)
    _check_mode(speaker, call.mode)
    name = checks.national_id(speaker)
    if call.mode is Mode.DIRECT:
        checks.check_person(certificate, name)
        place = checks.structure(checks.place_of(speaker.situation))
    else:
        place = _organisation(speaker)
        checks.check_organisation(certificate, place)
    seconds, is_written = _life(call.mode, profile)
    until = now + timedelta(seconds=seconds)
    identifier = assertion.new_identifier()
    tree = assertion.tree(
        identifier,
        now,
        assertion.issuer(checks.issuer_name(certificate)),
        assertion.subject(name),
        *([_conditions(now, until, call.mode)] if is_written else []),
        _authentication(speaker.login, call.mode, profile),
        node("AttributeStatement", *_attributes(speaker, place, registration, call, profile)),
    )
    life = Life(clock, until, seconds) if seconds else None
    return PreparedAssertion(tree, identifier, signer, life)


def check_vihf(speaker: Speaker, registration: Registration, call: VihfCall, profile: DmpProfile) -> None:
    """Check a VIHF as far as one can before its signer is known. Raises AssertionRefused, each reason its class."""
    _check_mode(speaker, call.mode)
    checks.national_id(speaker)
    list(_attributes(speaker, "", registration, call, profile))


def _check_mode(speaker: Speaker, mode: Mode) -> None:
    """Check that the person is proven, but where an organisation vouches alone."""
    if mode is not Mode.INDIRECT and speaker.identity.is_declared:
        raise AssertionIdentityDeclared
    fit = {Mode.DIRECT: (Means.CARD,), Mode.AIR: PERSONAL}.get(mode)
    if fit and speaker.login.means not in fit:
        raise AssertionLoginUnfit(means=speaker.login.means, mode=mode)


def _organisation(speaker: Speaker) -> str:
    organisation = speaker.identity.organisation
    if organisation is None:
        raise AssertionOrganisationMissing
    return checks.structure(organisation.identifier)


def _life(mode: Mode, profile: DmpProfile) -> tuple[int, bool]:
    """Seconds (0: no source tells), and whether the assertion says so."""
    if mode is Mode.AIR:
        return AIR_SECONDS, profile.variants.air_window == "written"
    return profile.window, profile.window > 0


def _conditions(begin: datetime, end: datetime, mode: Mode) -> Node:
    once = (node("OneTimeUse"),) if mode is Mode.AIR else ()
    window = {"NotBefore": checks.instant(begin), "NotOnOrAfter": checks.instant(end)}
    return node("Conditions", *once, **window)


def _authentication(login: Authentication, mode: Mode, profile: DmpProfile) -> Node:
    kind = profile.login_class(login.means)
    context = [node("AuthnContextClassRef", text=kind)]
    if mode is Mode.AIR:
        declared = profile.variants.air_declaration
        context.append(node("AuthnContextDecl", text=kind if declared == "class" else declared))
    return node("AuthnStatement", node("AuthnContext", *context), AuthnInstant=checks.instant(login.at))


def _attributes(
    speaker: Speaker, place: str, registration: Registration, call: VihfCall, profile: DmpProfile
) -> Iterator[Node]:
    points = profile.variants
    yield attribute("Identifiant_Structure", place)
    yield attribute("Secteur_Activite", f"{checks.sector(speaker)}^{SECTORS}")
    full_name = f"{speaker.identity.given_name} {speaker.identity.family_name}".strip()
    if full_name:
        yield attribute(f"{XSPA}:subject:subject-id", checks.text(full_name, "subject-id"))
    roles = roles_of(speaker, call, registration)
    yield attribute(f"{XACML}:subject:role", *(_role(role, points.role_tables) for role in roles))
    yield attribute("VIHF_Version", points.version)
    yield attribute(points.mode_attribute, MODES[call.mode])
    if call.patient:
        yield attribute(f"{XACML}:resource:resource-id", resource_id(call.patient))
    yield attribute("Ressource_URN", "urn:dmp")
    yield attribute(f"{XSPA}:subject:purposeofuse", _purpose(call.access, points.access_table))
    if call.is_secret:
        yield attribute(points.confidentiality_attribute, checks.registered(registration.secret_code, "secret_code"))
    yield from _software(registration)


def _software(registration: Registration) -> Iterator[Node]:
    if registration.installation:
        yield attribute("LPS_ID", checks.text(registration.installation, "installation"))
    yield attribute("LPS_Nom", checks.registered(registration.name, "name"))
    if registration.version:
        yield attribute("LPS_Version", checks.text(registration.version, "version"))
    yield attribute("LPS_ID_HOMOLOGATION_DMP", checks.registered(registration.homologation, "homologation"))


def _role(role: Role, names: str) -> Node:
    return _coded("Role", role.code, role.table, TABLE_NAMES[names].get(role.table), role.words)


def _purpose(access: Access, table_name: str) -> Node:
    return _coded("PurposeOfUse", access, ACCESSES, table_name, ACCESS_WORDS[access])


def _coded(name: str, code: str, table: str, table_name: str | None, words: str) -> Node:
    """A value of HL7's type CE."""
    named = {"codeSystemName": table_name} if table_name else {}
    attributes = {"code": code, "codeSystem": table, **named, "displayName": checks.text(words, name)}
    return Node(HL7, name, attributes, type="CE")
