"""Assertions to the letter, and the edges of what each of their values may be."""

from __future__ import annotations

import re
from datetime import timedelta, timezone

import pytest

from cardd import errors
from cardd.formats.certificate import facts_of
from cardd.formats.saml import checks
from cardd.formats.saml.assertion import Life, Node, PreparedAssertion, new_identifier, node, tree
from cardd.formats.saml.insi import prepare_insi, unsigned_insi
from cardd.formats.saml.profiles import profile_named, varied
from cardd.formats.saml.request import Access, InsiCall, Means, Mode, Patient, Registration, VihfCall, means_of_psc
from cardd.formats.saml.roles import Role, roles_of
from cardd.formats.saml.vihf import check_vihf
from cardd.formats.xml import canonical
from cardd.model import Algorithm
from cardd.values import replace
from tests.formats.issuing import CARD, ORGANISATION, organisation_vihf, prepare, vihf
from tests.rig.saml import (
    CABINET,
    NATIONAL_ID,
    NOW,
    PATIENT,
    REGISTRATION,
    SIRET,
    StoppedClock,
    card_key,
    doctor,
    of_organisation,
    organisation_key,
    placed,
    told,
)

SECOND = timedelta(seconds=1)
NAME_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
PERSON = "GN=CAMILLE+CN=899000000010+SN=SIMULATION-MÉDECIN,T=Médecin,C=FR"
UNIT = "CN=SIMULATION,OU=399999999900017,O=CENTRE DE SANTE SIMULATION,ST=SIMULATION (00),C=FR"


def bare(document: bytes) -> str:
    """An assertion without its signature, its identifier as ID and its time as NOW."""
    text = re.sub("<Signature .*</Signature>", "", document.decode())
    return re.sub(' ID="_[-0-9a-f]{36}"', ' ID="ID"', text).replace(checks.instant(NOW), "NOW")


def whole(issuer: str, *parts: str) -> str:
    """What an assertion of now is."""
    head = '<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="ID" IssueInstant="NOW" Version="2.0">'
    return "".join((head, f'<Issuer Format="{NAME_FORMAT}">{issuer}</Issuer>', *parts, "</Assertion>"))


def told_of(*attributes: tuple[str, str]) -> str:
    """The statement of these attributes, each with its values."""
    return f"<AttributeStatement>{''.join(_attribute(*one) for one in attributes)}</AttributeStatement>"


def _attribute(name: str, *values: str) -> str:
    wrapped = "".join(f"<AttributeValue>{value}</AttributeValue>" for value in values)
    return f'<Attribute Name="{name}">{wrapped}</Attribute>'


def coded(name: str, code: str, table: str, table_name: str, words: str) -> str:
    """A value of HL7's type CE."""
    spaces = 'xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    named = f' codeSystemName="{table_name}"' if table_name else ""
    return f'<{name} {spaces} code="{code}" codeSystem="{table}"{named} displayName="{words}" xsi:type="CE"></{name}>'


def by(kind: str, more: str = "") -> str:
    """How the person logged in, a quarter of an hour ago."""
    at = checks.instant(NOW - timedelta(minutes=15))
    kind = f"<AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:{kind}</AuthnContextClassRef>"
    return f'<AuthnStatement AuthnInstant="{at}"><AuthnContext>{kind}{more}</AuthnContext></AuthnStatement>'


SUBJECT = f"<Subject><NameID>{NATIONAL_ID}</NameID></Subject>"
XACML, XSPA = "urn:oasis:names:tc:xacml:2.0", "urn:oasis:names:tc:xspa:1.0"
ROLES = (
    coded("Role", "10", "1.2.250.1.71.1.2.7", "professions", "Médecin"),
    coded("Role", "SM54", "1.2.250.1.71.4.2.5", "specialites RPPS", "Médecine Générale (SM)"),
)


def statement(place: str, mode: str, access: tuple[str, str], *more: tuple[str, str]) -> str:
    """All that a VIHF tells of the doctor."""
    purpose = coded("PurposeOfUse", access[0], "1.2.250.1.213.1.1.4.248", "mode acces VIHF 2.0", access[1])
    return told_of(
        ("Identifiant_Structure", place),
        ("Secteur_Activite", "SA07^1.2.250.1.71.4.2.4"),
        (f"{XSPA}:subject:subject-id", "CAMILLE SIMULATION-MÉDECIN"),
        (f"{XACML}:subject:role", *ROLES),  # type: ignore[arg-type]  # two values
        ("VIHF_Version", "3.0"),
        ("Authentification_mode", mode),
        (f"{XACML}:resource:resource-id", "185059999900181^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH"),
        ("Ressource_URN", "urn:dmp"),
        (f"{XSPA}:subject:purposeofuse", purpose),
        *more,
        ("LPS_ID", "POSTE-SIMULATION"),
        ("LPS_Nom", "LogiSimulation"),
        ("LPS_Version", "4.2"),
        ("LPS_ID_HOMOLOGATION_DMP", "SIM-000000-tmp0"),
    )


def test_a_vihf_by_the_card_is_this_to_the_letter() -> None:
    for access, words in (
        (Access.NORMAL, "Accès normal"),
        (Access.BREAK_GLASS, "Bris de glace"),
        (Access.CENTRE_15, "Accès centre 15"),
    ):
        assert bare(vihf(VihfCall(Mode.DIRECT, PATIENT, access))) == whole(
            PERSON, SUBJECT, by("SmartcardPKI"), statement(CABINET, "DIRECTE", (access, words))
        )
    secret = ("urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code", "SECRET")
    document = vihf(
        VihfCall(Mode.DIRECT, PATIENT, is_secret=True), registration=replace(REGISTRATION, secret_code="SECRET")
    )
    assert bare(document) == whole(
        PERSON, SUBJECT, by("SmartcardPKI"), statement(CABINET, "DIRECTE", ("normal", "Accès normal"), secret)
    )


def test_a_vihf_by_the_organisation_is_this_to_the_letter() -> None:
    indirect = statement(SIRET, "INDIRECTE", ("normal", "Accès normal"))
    assert bare(organisation_vihf(Mode.INDIRECT, doctor(Means.PASSWORD))) == whole(
        UNIT, SUBJECT, by("Password"), indirect
    )
    air = statement(SIRET, "INDIRECTE_RENFORCEE", ("normal", "Accès normal"))
    until = checks.instant(NOW + 30 * SECOND)
    conditions = f'<Conditions NotBefore="NOW" NotOnOrAfter="{until}"><OneTimeUse></OneTimeUse></Conditions>'
    declared = "<AuthnContextDecl>CONF_EXI_PGSSIS</AuthnContextDecl>"
    assert bare(organisation_vihf(Mode.AIR, doctor(Means.MOBILE))) == whole(
        UNIT, SUBJECT, conditions, by("MobileTwoFactorUnregistered", declared), air
    )
    of_a_minute = varied(profile_named("2024"), {}, window=1)
    until = checks.instant(NOW + SECOND)
    assert bare(organisation_vihf(Mode.INDIRECT, doctor(Means.TLS), of_a_minute)) == whole(
        UNIT, SUBJECT, f'<Conditions NotBefore="NOW" NotOnOrAfter="{until}"></Conditions>', by("TLSClient"), indirect
    )


def test_an_insi_assertion_is_this_to_the_letter() -> None:
    call, clock = InsiCall("991234567", "01"), StoppedClock()
    for card_type, qualifier in (("0", "CPS"), ("1", "CPF"), ("2", "CDE-CPE"), ("3", "CPA")):
        speaker = told(doctor(), card_type=card_type)
        made = prepare_insi(speaker, CARD.signer, call, profile=profile_named("2024"), clock=clock)
        assert bare(CARD.finish(made)) == whole(
            PERSON,
            f'<Subject><NameID NameQualifier="{qualifier}">{NATIONAL_ID}</NameID></Subject>',
            told_of(("identifiantFacturation", "991234567"), ("codeSpecialiteAMO", "01"), ("secteurActivite", "SA07")),
        )
    registration = replace(REGISTRATION, insi_issuer="CN=SIMULATION")
    with unsigned_insi(doctor(Means.MOBILE), registration, call, clock) as unsigned:
        assert bare(unsigned.read()) == whole(
            "CN=SIMULATION",
            f'<Subject><NameID NameQualifier="PSC">{NATIONAL_ID}</NameID></Subject>',
            told_of(("identifiantFacturation", "991234567"), ("codeSpecialiteAMO", "01")),
        )


@pytest.mark.parametrize(
    ("billing", "specialty", "what"),
    [
        ("99123456", "0123", None),
        ("99123456789ABC", "A", None),
        ("9912345", "01", "billing"),
        ("99123456789ABCD", "01", "billing"),
        ("99123456a", "01", "billing"),
        ("991234567", "01234", "specialty"),
        ("991234567", "", "specialty"),
        ("991234567", None, "specialty"),
    ],
)
def test_what_the_assurance_maladie_knows_a_doctor_by_has_its_form(
    billing: str, specialty: str | None, what: str | None
) -> None:
    call, registration = InsiCall(billing, specialty), replace(REGISTRATION, insi_issuer="CN=SIMULATION")
    if what is None:
        with unsigned_insi(doctor(Means.MOBILE), registration, call, StoppedClock()) as made:
            assert f">{specialty}<".encode() in made.read()
        return
    with pytest.raises(errors.AssertionValueInvalid) as refused:
        unsigned_insi(doctor(Means.MOBILE), registration, call, StoppedClock())
    assert refused.value.params == {"what": what}


def test_an_insi_assertion_tells_what_it_lacks() -> None:
    call = InsiCall("991234567", "01")
    with pytest.raises(errors.AssertionRegistrationIncomplete) as refused:
        unsigned_insi(doctor(Means.MOBILE), REGISTRATION, call, StoppedClock())
    assert refused.value.params == {"what": "insi_issuer"}
    for speaker in (doctor(Means.TLS), told(doctor(), is_declared=True)):
        with pytest.raises(errors.AssertionNoneNeeded):
            unsigned_insi(speaker, REGISTRATION, call, StoppedClock())
    nurse = told(doctor(), profession="60", specialty=None)
    made = prepare_insi(
        nurse, CARD.signer, InsiCall("991234567", "7"), profile=profile_named("2024"), clock=StoppedClock()
    )
    document = CARD.finish(made)
    assert b"codeSpecialiteAMO" in document
    assert f' ID="{made.identifier}"'.encode() in document


# --- the values


def refused_for(refusal: type[errors.CarddError], **params: object) -> pytest.RaisesExc[errors.CarddError]:
    return pytest.raises(refusal, check=lambda error: error.params == params)


def test_a_text_is_what_a_person_can_read() -> None:
    for good in ("a", " a ", "é" * 256, "a b"):
        assert checks.text(good, "name") == good
        assert checks.registered(good, "name") == good
    for bad in ("", "  ", "a" * 257, "a\nb", "a\0"):
        with refused_for(errors.AssertionValueInvalid, what="version"):
            checks.text(bad, "version")
    for none in (None, ""):
        with refused_for(errors.AssertionRegistrationIncomplete, what="name"):
            checks.registered(none, "name")
    with refused_for(errors.AssertionValueInvalid, what="name"):
        checks.registered(" ", "name")


@pytest.mark.parametrize(
    ("digits", "fits"),
    [("79927398713", True), ("79927398710", False), ("79927398731", False), ("0", True), ("18", True), ("81", False),
     ("26", True), ("91", True), ("59", True), ("1002", False), ("2009", False), ("10009", True)],
)  # fmt: skip
def test_the_last_digit_fits_the_others(digits: str, fits: bool) -> None:
    assert checks.is_luhn(digits) is fits


@pytest.mark.parametrize(
    ("number", "fits"),
    [
        (NATIONAL_ID, True),
        ("899000000011", False),
        ("8990000000101", False),
        *((f"{kind}1234567", kind in "0134569") for kind in "0123456789"),
        ("0123456", False),
        ("3" + "a" * 63, True),
        ("3" + "a" * 64, False),
        ("5/._-AZaz", True),
        ("5 1234567", False),
    ],
)
def test_a_person_s_number_is_of_a_known_kind(number: str, fits: bool) -> None:
    speaker = told(doctor(), national_id=number)
    if fits:
        assert checks.national_id(speaker) == number
    else:
        with pytest.raises(errors.AssertionNationalIdInvalid):
            checks.national_id(speaker)


@pytest.mark.parametrize(
    ("identifier", "fits"),
    [
        ("012345678", True), ("01234567", False), ("0" * 15, True), ("0" * 16, False),
        ("1750000001", True), ("12A0000001", True), ("12B0000001", True), ("12C0000001", False), ("175000000", False),
        ("17500000012", False), ("3" + "9" * 14, True), ("3" + "9" * 13, False), ("4" + "9" * 14, True),
        ("5" + "9" * 14, False), ("2" + "9" * 14, False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_a_structure_s_number_is_of_a_known_kind(identifier: str | None, fits: bool) -> None:
    if fits:
        assert checks.structure(identifier) == identifier
    else:
        with pytest.raises(errors.AssertionStructureMissing):
            checks.structure(identifier)


def test_a_place_is_the_structure_s_else_the_finess_else_the_siret() -> None:
    situation = placed(doctor(), structure=None, finess=None, siret=None).situation
    assert situation is not None
    assert checks.place_of(None) is None
    assert checks.place_of(situation) is None
    assert checks.place_of(replace(situation, siret="1")) == "31"
    assert checks.place_of(replace(situation, siret="1", finess="2")) == "12"
    assert checks.place_of(replace(situation, siret="1", finess="2", structure="5")) == "5"


def test_a_time_is_told_in_utc_with_milliseconds() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=2)))
    assert checks.instant(east) == f"{NOW:%Y-%m-%dT%H:%M:%S}.250Z"


@pytest.mark.parametrize(
    ("ins", "refusal"),
    [
        ("18505A999900181", errors.AssertionInsFormat),
        ("185059999900182", errors.AssertionInsKey),
        ("285059999900181", errors.AssertionInsKey),
    ],
)
def test_a_patient_s_number_has_its_form_and_its_key(ins: str, refusal: type[errors.CarddError]) -> None:
    with pytest.raises(refusal):
        checks.resource_id(Patient(ins, checks.TEST))
    for place in ("2A", "2B"):
        number = f"18505{place}999001"
        told_as = checks.resource_id(Patient(number + checks.key_of(number), checks.NIR))
        assert told_as == f"{number}{checks.key_of(number)}^^^&1.2.250.1.213.1.4.8&ISO^NH"
    known = "1.2.250.1.213.1.4.8, 1.2.250.1.213.1.4.9, 1.2.250.1.213.1.4.10"
    with refused_for(errors.AssertionInsOid, oid="9" * 64, known=known):
        checks.resource_id(Patient(PATIENT.ins, "9" * 65))


def test_who_signs_is_whom_the_certificate_names() -> None:
    person, unit = facts_of(CARD.signer.certificate), facts_of(ORGANISATION.signer.certificate)
    assert (checks.issuer_name(person), checks.issuer_name(unit)) == (PERSON, UNIT)
    checks.check_person(person, NATIONAL_ID)
    checks.check_organisation(unit, SIRET)
    checks.check_organisation(facts_of(organisation_key(f" {SIRET} ").signer.certificate), SIRET)
    for check, facts, other in (
        (checks.check_person, person, "899000000028"),
        (checks.check_person, unit, SIRET),
        (checks.check_organisation, unit, SIRET[:-1]),
        (checks.check_organisation, person, NATIONAL_ID),
    ):
        with pytest.raises(errors.AssertionSignerOther):
            check(facts, other)
    with refused_for(errors.AlgorithmUnsupported, algorithm=Algorithm.PS256):
        checks.signing_certificate(replace(CARD.signer, algorithm=Algorithm.PS256), NOW)
    with refused_for(errors.CardGarbled, what="certificate"):
        checks.issuer_name(facts_of(card_key(family_name="SIM\nULATION").signer.certificate))


# --- what the request tells, and the roles


def test_the_means_of_a_login_are_pro_sante_connect_s() -> None:
    for mode, means in ((None, "–"), ("", "–"), ("card", "card")):
        with refused_for(errors.AssertionLoginUnfit, means=means, mode="PSC"):
            means_of_psc(mode)


def test_the_situation_goes_before_the_card_and_its_sector_may_have_its_table() -> None:
    speaker = placed(doctor(), profession="21", specialty="SM01", sector="SA01^1.2.250.1.71.4.2.4")
    assert (speaker.profession, speaker.specialty, speaker.sector) == ("21", "SM01", "SA01")
    bare_speaker = replace(doctor(), situation=None)
    assert (bare_speaker.profession, bare_speaker.specialty, bare_speaker.sector) == ("10", "SM54", None)
    for sector in ("SA7", "SA071", "sa07", "^SA07"):
        with pytest.raises(errors.AssertionSectorMissing):
            checks.sector(placed(doctor(), sector=sector))


def roles(call: VihfCall, labels: dict[str, str] | None = None, **fields: str | bool | None) -> list[Role]:
    """The roles of a doctor of whom this is told."""
    return [*roles_of(told(doctor(), **fields), call, replace(REGISTRATION, labels=labels or {}))]


SECRETARY, A00 = "SECRETARIAT_MEDICAL", "1.2.250.1.213.1.1.4.6"


def test_each_role_is_a_code_of_its_table_in_words() -> None:
    call = VihfCall(Mode.DIRECT)
    assert roles(call) == [
        Role("10", "1.2.250.1.71.1.2.7", "Médecin"),
        Role("SM54", "1.2.250.1.71.4.2.5", "Médecine Générale (SM)"),
    ]
    assert roles(call, profession="60") == [Role("60", "1.2.250.1.71.1.2.7", "Infirmier")]
    assert roles(call, {"999": "Nouvelle"}, profession="999") == [Role("999", "1.2.250.1.71.1.2.7", "Nouvelle")]
    assert roles(VihfCall(Mode.DIRECT, role=SECRETARY), profession=None) == [
        Role(SECRETARY, A00, "Secrétariat médical")
    ]
    assert [role.table for role in roles(VihfCall(Mode.DIRECT, role="300"), profession=None)] == [
        "1.2.250.1.213.1.6.1.107"
    ]
    pharmacist = roles(VihfCall(Mode.DIRECT, section="A"), profession="21")
    assert [(role.code, role.table) for role in pharmacist] == [
        ("21", "1.2.250.1.71.1.2.7"),
        ("A", "1.2.250.1.71.4.2.6"),
    ]
    for training in ({"card_type": "1"}, {"is_declared": True}):
        (one,) = roles(VihfCall(Mode.DIRECT, role="G16_10"), profession=None, **training)
        assert (one.code, one.table) == ("10", "1.2.250.1.71.1.2.8")


def test_a_role_that_will_not_do_is_told() -> None:
    cases: list[tuple[dict[str, str | bool | None], str, str]] = [
        ({"profession": "10"}, SECRETARY, SECRETARY),
        ({"profession": "10"}, "x" * 65, "x" * 64),
        ({"profession": "10"}, "", ""),
        ({"profession": None}, "x" * 65, "x" * 64),
        ({"profession": None}, "G16_10", "G16_10"),
        ({"profession": None, "card_type": "1"}, "10", "10"),
        ({"profession": None, "card_type": "1"}, "G16_" + SECRETARY, "G16_" + SECRETARY),
    ]
    for fields, role, told_role in cases:
        with refused_for(errors.AssertionRoleUnknown, role=told_role):
            roles(VihfCall(Mode.DIRECT, role=role), **fields)  # type: ignore[arg-type]  # by name
    for none in (None, ""):
        with pytest.raises(errors.AssertionRoleMissing):
            roles(VihfCall(Mode.DIRECT, role=none), profession=None)
    with refused_for(errors.AssertionCodeUnknown, table="1.2.250.1.71.4.2.5", value="SM99"):
        roles(VihfCall(Mode.DIRECT), specialty="SM99")
    with pytest.raises(errors.AssertionExpertiseMissing):
        roles(VihfCall(Mode.DIRECT), specialty=None)
    with pytest.raises(errors.AssertionSectionMissing):
        roles(VihfCall(Mode.DIRECT), profession="21")


# --- the assertion


def test_an_element_declares_its_namespace_where_it_is_another_than_around_it() -> None:
    inner = Node("urn:b", "inner", {"a": "1"}, (Node("urn:b", "leaf", text="t"),), type="CE")
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    assert canonical(node("Outer", inner, Name="n").element()).decode() == (
        '<Outer xmlns="urn:oasis:names:tc:SAML:2.0:assertion" Name="n">'
        f'<inner xmlns="urn:b" xmlns:xsi="{xsi}" a="1" xsi:type="CE"><leaf>t</leaf></inner></Outer>'
    )


def test_the_signature_stands_behind_the_issuer_and_names_the_assertion() -> None:
    made = prepare(signer=replace(CARD.signer, chain=(ORGANISATION.signer.certificate,)))
    document = CARD.finish(made).decode()
    assert document.count("<X509Certificate>") == 1
    transforms = ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/2001/10/xml-exc-c14n#")
    assert tuple(re.findall('<Transform Algorithm="(.*?)">', document)) == transforms
    assert re.search(r"</Issuer><Signature .*</Signature><Subject>", document)
    assert f' ID="{made.identifier}"' in document
    assert f'<Reference URI="#{made.identifier}">' in document
    assert re.fullmatch("_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", new_identifier())


def test_an_assertion_is_finished_until_its_life_is_over() -> None:
    clock = StoppedClock()

    def made() -> PreparedAssertion:
        whole_tree = tree("_1", NOW, node("Issuer"), node("Subject"))
        return PreparedAssertion(whole_tree, "_1", CARD.signer, Life(clock, NOW + 30 * SECOND, 30))

    on_time, late = made(), made()
    clock.time += 30 * SECOND - timedelta(microseconds=1)
    assert CARD.finish(on_time)
    clock.time += timedelta(microseconds=1)
    with refused_for(errors.AssertionLate, seconds=30):
        CARD.finish(late)


def test_a_mode_wants_a_login_that_fits() -> None:
    for mode, means in ((Mode.DIRECT, Means.MOBILE), (Mode.AIR, Means.PASSWORD)):
        speaker = of_organisation(doctor(means))
        with refused_for(errors.AssertionLoginUnfit, means=means, mode=mode):
            check_vihf(speaker, REGISTRATION, VihfCall(mode), profile_named("2024"))
        check_vihf(speaker, REGISTRATION, VihfCall(Mode.INDIRECT), profile_named("2024"))
    for mode in (Mode.DIRECT, Mode.AIR):
        with pytest.raises(errors.AssertionIdentityDeclared):
            check_vihf(told(doctor(), is_declared=True), REGISTRATION, VihfCall(mode), profile_named("2024"))
    check_vihf(of_organisation(doctor(Means.CARD)), REGISTRATION, VihfCall(Mode.AIR), profile_named("2024"))


@pytest.mark.parametrize(
    ("fields", "refusal", "what"),
    [
        ({"name": ""}, errors.AssertionRegistrationIncomplete, "name"),
        ({"homologation": ""}, errors.AssertionRegistrationIncomplete, "homologation"),
        ({"version": "\n"}, errors.AssertionValueInvalid, "version"),
        ({"installation": "\n"}, errors.AssertionValueInvalid, "installation"),
    ],
)
def test_what_the_registration_lacks_is_told_before_anybody_signs(
    fields: dict[str, str], refusal: type[errors.CarddError], what: str
) -> None:
    registration: Registration = replace(REGISTRATION, **fields)
    with refused_for(refusal, what=what):
        check_vihf(doctor(), registration, VihfCall(Mode.DIRECT), profile_named("2024"))


def test_what_the_request_lacks_is_told_before_anybody_signs() -> None:
    profile = profile_named("2024")
    with refused_for(errors.AssertionRegistrationIncomplete, what="secret_code"):
        check_vihf(doctor(), REGISTRATION, VihfCall(Mode.DIRECT, is_secret=True), profile)
    with refused_for(errors.AssertionValueInvalid, what="subject-id"):
        check_vihf(told(doctor(), given_name="C\n"), REGISTRATION, VihfCall(Mode.DIRECT), profile)
    with refused_for(errors.AssertionValueInvalid, what="Role"):
        labels = replace(REGISTRATION, labels={"999": "a\nb"})
        check_vihf(told(doctor(), profession="999"), labels, VihfCall(Mode.DIRECT), profile)
    with pytest.raises(errors.AssertionNationalIdInvalid):
        check_vihf(told(doctor(), national_id="8"), REGISTRATION, VihfCall(Mode.DIRECT), profile)
    nameless = vihf(speaker=told(doctor(), given_name="", family_name=""))
    assert b"subject-id" not in nameless
    assert b">CAMILLE<" in vihf(speaker=told(doctor(), family_name=""))
