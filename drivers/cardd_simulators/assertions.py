"""An independent judge of VIHF and INSi assertions, written from the facts about them.

``wrong_in_vihf`` and ``wrong_in_insi`` take the assertion as sent, bare or in its message, and give what is wrong with
it, a word each; an empty list is a good one. Shares nothing with what makes assertions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from cardd_simulators.xmldsig import NS, Xml, certificate_of, read, wrong_in_signature

XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
HL7 = "{urn:hl7-org:v3}"
SUBJECT_NAME = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
CLASSES = re.compile(
    r"urn:oasis:names:tc:SAML:2\.0:ac:classes:"
    r"(SmartcardPKI|Password|TLSClient|MobileTwoFactorUnregistered|unspecified)"
)
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
PATIENT = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
NAME = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
MODES = ("Authentification_Mode", "Authentification_mode")
HIDDEN_CODE = "INVISIBLE_REPRESENTANTS_LEGAUX"  # of table 1.2.250.1.213.1.1.4.13, as a maker quotes EX_0.1-1100
SECRET = ("urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code", "Confidentiality_code")
ONCE = ("Identifiant_Structure", "Secteur_Activite", ROLE, "VIHF_Version", "Ressource_URN", PURPOSE, "LPS_Nom")
MAYBE = (NAME, PATIENT, "LPS_ID", "LPS_Version")
VALUES = {
    "Identifiant_Structure": re.compile(r"[0134]\d[0-9AB]\d{5,12}"),
    "Secteur_Activite": re.compile(r"SA\d\d\^1\.2\.250\.1\.71\.4\.2\.4"),
    "VIHF_Version": re.compile(r"[34]\.0"),
    "Ressource_URN": re.compile(r"urn:dmp"),
}
MODE_OF = {"direct": "DIRECTE", "indirect": "INDIRECTE", "air": "INDIRECTE_RENFORCEE"}
INS = re.compile(r"(\d{13}|\d{5}2[AB]\d{6})(\d\d)\^\^\^&1\.2\.250\.1\.213\.1\.4\.(?:8|9|10)&ISO\^NH")
G15, G16 = "1.2.250.1.71.1.2.7", "1.2.250.1.71.1.2.8"
OTHER_ROLES = ("1.2.250.1.213.1.1.4.6", "1.2.250.1.213.1.6.1.107", "1.2.250.1.213.1.6.1.109")  # A00, R94 and R95
SECOND_ROLE = {"10": "1.2.250.1.71.4.2.5", "21": "1.2.250.1.71.4.2.6"}
PROFESSION = x509.ObjectIdentifier(G15)
ACCESSES = ("normal", "bris_de_glace", "centre_15")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
AIR_LIFE = timedelta(seconds=30)
SKEW = timedelta(minutes=1)


def wrong_in_vihf(
    document: bytes, mode: str, now: datetime, seen: set[str] | None = None, *, secret: str = HIDDEN_CODE
) -> list[str]:
    """Return what is wrong with a VIHF of this mode.

    ``seen`` remembers the identifiers of those that serve once; ``secret`` is the code of a secret connection.
    """
    assertion = read(document)
    if assertion is None:
        return ["assertion.count"]
    return [
        *_wrong_in_frame(assertion, now),
        *_wrong_in_person(assertion, mode),
        *_wrong_in_login(assertion, mode),
        *_wrong_in_life(assertion, mode, now, set() if seen is None else seen),
        *_wrong_in_attributes(assertion, mode),
        *("secret" for name in SECRET for told in texts(assertion, name) if told != secret),
        *_wrong_in_patient(assertion),
        *_wrong_in_roles(assertion),
    ]


def wrong_in_insi(document: bytes, *, signed: bool, doctor: bool, now: datetime) -> list[str]:
    """Return what is wrong with an INSi assertion."""
    assertion = read(document)
    if assertion is None:
        return ["assertion.count"]
    return [
        *_wrong_in_frame(assertion, now, signed=signed),
        *(
            f"{part}.present"
            for part in ("AuthnStatement", "Conditions")
            if assertion.find(f"saml:{part}", NS) is not None
        ),
        *_wrong_in_insi_attributes(assertion, signed=signed, doctor=doctor),
    ]


def _wrong_in_frame(assertion: Xml, now: datetime, *, signed: bool = True) -> Iterator[str]:
    """Version, identifier, time, issuer and signature."""
    if assertion.get("Version") != "2.0":
        yield "version"
    if not re.fullmatch(r"_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", assertion.get("ID", "")):
        yield "id"
    if not MOMENT.fullmatch(assertion.get("IssueInstant", "")):
        yield "issue_instant"
    elif _moment(assertion.get("IssueInstant")) > now + SKEW:
        yield "issue_instant.future"
    if assertion.xpath("descendant::comment() | descendant::processing-instruction()"):
        yield "comment"  # no signature covers it, and it would cut a value in two
    issuer = assertion.find("saml:Issuer", NS)
    if issuer is None or issuer.get("Format") != SUBJECT_NAME or assertion.index(issuer) != 0:
        yield "issuer"
    if signed:
        yield from wrong_in_signature(assertion)
        yield from _wrong_in_certificate(assertion, now)
    elif assertion.find("ds:Signature", NS) is not None:
        yield "signature.present"


def _wrong_in_certificate(assertion: Xml, now: datetime) -> Iterator[str]:
    certificate = certificate_of(assertion)
    if certificate is None:
        yield "certificate"
        return
    if not can_sign(certificate):
        yield "certificate.key_usage"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        yield "certificate.dates"
    if _names(assertion.findtext("saml:Issuer", "", NS)) != _subject(certificate):
        yield "issuer.subject"


def can_sign(certificate: x509.Certificate) -> bool:
    """Return whether the certificate is for signatures (nonRepudiation), not for TLS."""
    usages = [each.value for each in certificate.extensions if isinstance(each.value, x509.KeyUsage)]
    return any(usage.content_commitment for usage in usages)


def _wrong_in_person(assertion: Xml, mode: str) -> Iterator[str]:
    """NameID; the certificate is the person's own, or one of the structure's."""
    name_id = assertion.find("saml:Subject/saml:NameID", NS)
    if name_id is None or name_id.attrib:
        yield "name_id"
        return
    certificate = certificate_of(assertion)
    if certificate is None:
        return
    if mode == "direct":
        if name_id.text != _field(certificate, NameOID.COMMON_NAME):
            yield "name_id.certificate"
        told = texts(assertion, NAME)
        holder = f"{_field(certificate, NameOID.GIVEN_NAME)} {_field(certificate, NameOID.SURNAME)}"
        if told and told != [holder]:
            yield "subject_id"
    elif not set(texts(assertion, "Identifiant_Structure")) & _fields(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME):
        yield "structure.certificate"


def _wrong_in_login(assertion: Xml, mode: str) -> Iterator[str]:
    context = assertion.find("saml:AuthnStatement/saml:AuthnContext", NS)
    statement = assertion.find("saml:AuthnStatement", NS)
    if context is None or not MOMENT.fullmatch(statement.get("AuthnInstant", "")):
        yield "login"
        return
    if _moment(statement.get("AuthnInstant")) > _moment(assertion.get("IssueInstant")):
        yield "login.future"
    if not CLASSES.fullmatch(context.findtext("saml:AuthnContextClassRef", "", NS)):
        yield "login.class"
    declared = context.findtext("saml:AuthnContextDecl", None, NS)
    classes = context.findtext("saml:AuthnContextClassRef", "", NS)
    if declared not in (("CONF_EXI_PGSSIS", "APP_BROWSER_AUTH", classes) if mode == "air" else (None,)):
        yield "login.declaration"


def _wrong_in_life(assertion: Xml, mode: str, now: datetime, seen: set[str]) -> Iterator[str]:
    conditions = assertion.find("saml:Conditions", NS)
    if conditions is not None:
        begin, end = _moment(conditions.get("NotBefore")), _moment(conditions.get("NotOnOrAfter"))
        if not begin - SKEW <= now < end:
            yield "life"
        if mode == "air" and end - begin > AIR_LIFE:
            yield "life.long"
    if mode == "air":
        if now - _moment(assertion.get("IssueInstant")) >= AIR_LIFE:
            yield "air.old"
        if assertion.get("ID") in seen:
            yield "air.used"
        seen.add(assertion.get("ID"))


def _wrong_in_attributes(assertion: Xml, mode: str) -> Iterator[str]:
    names = assertion.xpath("saml:AttributeStatement/saml:Attribute/@Name", namespaces=NS)
    for name in (*ONCE, "LPS_ID_HOMOLOGATION_DMP"):
        if names.count(name) != 1 or _is_empty(assertion, name):
            yield f"{name}.count"
    for choice, least in ((MODES, 1), (SECRET, 0)):
        if not least <= sum(names.count(name) for name in choice) <= 1:
            yield f"{choice[0]}.count"
    for name in set(names):
        if names.count(name) > 1 or name not in (*ONCE, "LPS_ID_HOMOLOGATION_DMP", *MAYBE, *MODES, *SECRET):
            yield f"{name}.unexpected"
    for name, form in VALUES.items():
        if not all(form.fullmatch(text) for text in texts(assertion, name)):
            yield f"{name}.value"
    if [text for name in MODES for text in texts(assertion, name)] != [MODE_OF[mode]]:
        yield "mode"
    yield from _wrong_in_purpose(assertion)


def _wrong_in_purpose(assertion: Xml) -> Iterator[str]:
    purposes = coded(assertion, PURPOSE, "PurposeOfUse")
    if len(purposes) != 1 or purposes[0].get("code") not in ACCESSES:
        yield "purpose"
    elif purposes[0].get("codeSystem") != "1.2.250.1.213.1.1.4.248":
        yield "purpose.system"
    elif purposes[0].get("codeSystemName") not in ("mode acces VIHF 1.0", "mode acces VIHF 2.0"):
        yield "purpose.system_name"


def _wrong_in_patient(assertion: Xml) -> Iterator[str]:
    for told in texts(assertion, PATIENT):
        found = INS.fullmatch(told)
        if found is None:
            yield "patient"
        elif (int(found[1].replace("2A", "19").replace("2B", "18")) + int(found[2])) % 97:
            yield "patient.key"


def _wrong_in_roles(assertion: Xml) -> Iterator[str]:
    roles = coded(assertion, ROLE, "Role")
    if len(roles) != len(_values(assertion, ROLE)) or not 1 <= len(roles) <= 2:
        yield "role.count"
        return
    if not all(role.get("code") and role.get("displayName") for role in roles):
        yield "role.words"
    first, code = roles[0].get("codeSystem"), roles[0].get("code")
    if first not in (G15, G16, *OTHER_ROLES):
        yield "role.table"
    certificate = certificate_of(assertion)
    if certificate and profession_of(certificate) not in (None, code if first == G15 else ""):
        yield "role.certificate"
    wanted = SECOND_ROLE.get(code) if first == G15 else None
    if [role.get("codeSystem") for role in roles[1:]] != ([wanted] if wanted else []):
        yield "role.second"


def _wrong_in_insi_attributes(assertion: Xml, *, signed: bool, doctor: bool) -> Iterator[str]:
    qualifier = assertion.xpath("string(saml:Subject/saml:NameID/@NameQualifier)", namespaces=NS)
    if qualifier not in (("CPS", "CPF", "CDE-CPE", "CPA") if signed else ("PSC",)):
        yield "qualifier"
    if not re.fullmatch(r"\d{9}", "".join(texts(assertion, "identifiantFacturation"))):
        yield "identifiantFacturation"
    specialties = [texts(assertion, name) for name in ("codeSpecialite", "codeSpecialiteAMO", "CodeSpecialite")]
    if sum(map(len, specialties)) > 1 or (doctor and not any(specialties)):
        yield "codeSpecialite"
    sectors = texts(assertion, "secteurActivite")
    if len(sectors) != signed or not all(re.fullmatch(r"SA\d\d", sector) for sector in sectors):
        yield "secteurActivite"


def _values(assertion: Xml, name: str) -> list[Xml]:
    path = f"saml:AttributeStatement/saml:Attribute[@Name='{name}']/saml:AttributeValue"
    return list(assertion.xpath(path, namespaces=NS))


def _is_empty(assertion: Xml, name: str) -> bool:
    return any(len(value) == 0 and not value.text for value in _values(assertion, name))


def texts(assertion: Xml, name: str) -> list[str]:
    """Return the values of an attribute."""
    return [value.text or "" for value in _values(assertion, name)]


def coded(assertion: Xml, attribute: str, element: str) -> list[Xml]:
    """Return the HL7 values of type CE, one in each AttributeValue."""
    found = [list(value) for value in _values(assertion, attribute)]
    return [one[0] for one in found if len(one) == 1 and one[0].tag == HL7 + element and one[0].get(XSI_TYPE) == "CE"]


def profession_of(certificate: x509.Certificate) -> str | None:
    """Return the profession (a code of table G15) that a card's certificate tells."""
    for extension in certificate.extensions:
        if extension.oid == PROFESSION and isinstance(extension.value, x509.UnrecognizedExtension):
            return str(int.from_bytes(extension.value.value[2:], "big"))
    return None


def _fields(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> set[str]:
    return {str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)}


def _field(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _subject(certificate: x509.Certificate) -> set[frozenset[str]]:
    keys = {NameOID.GIVEN_NAME: "GN", NameOID.SURNAME: "SN", NameOID.TITLE: "T", NameOID.STATE_OR_PROVINCE_NAME: "ST"}
    return {frozenset(each.rfc4514_string(keys) for each in rdn) for rdn in certificate.subject.rdns}


def _names(issuer: str) -> set[frozenset[str]]:
    """Return the RDNs of a name in the form of RFC 2253, as sets: their order differs from sender to sender."""
    return {frozenset(re.findall(r"(?:[^+\\]|\\.)+", rdn.strip())) for rdn in re.findall(r"(?:[^,\\]|\\.)+", issuer)}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
