"""What INSi answers: a message's headers, its assertion and its traits, each held against the facts, then the INS.

Sources: the facts about INSi's assertions and headers, and what public client libraries read of its answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from cryptography import x509
from cryptography.x509.oid import NameOID

from cardd.values import Value
from cardd_simulators.assertions import profession_of, wrong_in_insi
from cardd_simulators.insi.people import DATE, SEXES, Person, Traits
from cardd_simulators.mutual_tls import is_issued
from cardd_simulators.soap import Message, Refused, envelope
from cardd_simulators.xmldsig import MALFORMED, NS, Xml, certificate_of

SERVICE = "urn:ServiceIdentiteCertifiee:1.0.0"
BY_TRAITS, BY_CARD = f"{SERVICE}:rechercherInsAvecTraitsIdentite", f"{SERVICE}:rechercherInsAvecCarteVitale"
ASKED, RESULT = "http://www.cnamts.fr/INSiRecSans", "http://www.cnamts.fr/INSiResultat"
SOFTWARE = ("INSI-AUTO", "INSI-MANU")
SPACES = {
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "bam": "urn:siram:bam:ctxbam",
    "lps": "urn:siram:lps:ctxlps",
    "asked": ASKED,
}
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
NAMED = ("NomNaissance", "Prenom", "Sexe", "DateNaissance")
DOCTOR = "10"

FOUND, NOBODY, SEVERAL = ("00", "OK"), ("01", "Aucune identite trouvee"), ("02", "Plusieurs identites trouvees")


class Answer(Value):
    """A SOAP message, and what it tells: who asked, for whom, and the result's code with its words."""

    content: bytes
    caller: str
    traits: Traits
    code: tuple[str, str]


class Insi(Value):
    """The service. ``authorities``: whose certificates are taken; ``takes_psc``: see ``simulator.Settings``."""

    people: Sequence[Person]
    authorities: Sequence[x509.Certificate]
    takes_psc: bool = False

    def answer(self, message: Message, tls: x509.Certificate, now: datetime) -> Answer:
        """Return the answer to a message that came over TLS with this certificate. Raises ``Refused``."""
        if message.action == BY_CARD:
            raise Refused("sim:insi.vitale")  # EX_GEN-1410: a carte Vitale is read by GIE SESAM-Vitale's API alone
        message.require_addressing(BY_TRAITS if message.body.tag == f"{{{ASKED}}}RECSANSVITALE" else "")
        caller = self._caller(message, tls, now)
        wrong = [*_wrong_in_bam(message.envelope), *_wrong_in_lps(message.envelope), *_wrong_in_traits(message.body)]
        if wrong:
            raise Refused(*(f"sim:insi.{word}" for word in wrong))
        traits = _traits(message.body)
        found = [person for person in self.people if person.fits(traits)]
        code = FOUND if len(found) == 1 else SEVERAL if found else NOBODY
        told = _individual(found[0]) if len(found) == 1 else ""
        body = (
            f'<RESULTAT xmlns="{RESULT}"><CR><CodeCR>{code[0]}</CodeCR><LibelleCR>{code[1]}</LibelleCR></CR>'
            f"{told}</RESULTAT>"
        )
        return Answer(envelope(body, "", message.identifier), caller, traits, code)

    def _caller(self, message: Message, tls: x509.Certificate, now: datetime) -> str:
        """Return who asks: the assertion's person, or the software certificate's name. Raises ``Refused``."""
        assertion, name = message.secured, _name(tls)
        if assertion is None or assertion.tag != f"{{{NS['saml']}}}Assertion":
            if message.envelope.xpath("//saml:Assertion", namespaces=NS):
                raise Refused("sim:insi.assertion.place")
            if name not in SOFTWARE:
                raise Refused("sim:insi.assertion.missing")
            return name
        if name in SOFTWARE:
            raise Refused("sim:insi.assertion.unexpected")
        try:
            wrong = self._wrong_in_assertion(message, assertion, name, now)
        except MALFORMED as fault:
            raise Refused("sim:insi.assertion.malformed") from fault
        if wrong:
            raise Refused(*(f"sim:insi.assertion.{word}" for word in wrong))
        return str(assertion.findtext("saml:Subject/saml:NameID", "", NS))

    def _wrong_in_assertion(self, message: Message, assertion: Xml, tls_name: str, now: datetime) -> list[str]:
        signer = certificate_of(assertion)
        if signer is None:
            qualifier = assertion.xpath("string(saml:Subject/saml:NameID/@NameQualifier)", namespaces=NS)
            if qualifier != "PSC":
                return ["signature"]
            return wrong_in_insi(message.octets, signed=False, doctor=False, now=now) if self.takes_psc else ["psc"]
        doctor = profession_of(signer) == DOCTOR
        wrong = wrong_in_insi(message.octets, signed=True, doctor=doctor, now=now)
        if not is_issued(signer, self.authorities, now):
            wrong.append("certificate.chain")
        told = assertion.findtext("saml:Subject/saml:NameID", "", NS)
        if told != _name(signer):
            wrong.append("name_id.certificate")
        if told != tls_name:
            wrong.append("tls.holder")
        return wrong


def _wrong_in_bam(envelope: Xml) -> Iterator[str]:
    yield from _wrong_in_context(envelope, "bam", "ContexteBAM", "01_02")
    covers = envelope.findall("env:Header/bam:ContexteBAM/bam:COUVERTURE", SPACES)
    if len(covers) != 1 or len(covers[0]) or (covers[0].text or "").strip():
        yield "ContexteBAM.COUVERTURE"  # empty, without a carte Vitale


def _wrong_in_lps(envelope: Xml) -> Iterator[str]:
    yield from _wrong_in_context(envelope, "lps", "ContexteLPS", "01_00")
    for part in ("IDAM", "Version", "Instance", "Nom"):
        found = envelope.findall(f"env:Header/lps:ContexteLPS/lps:LPS/lps:{part}", SPACES)
        is_right = len(found) == 1 and (found[0].text or "").strip() and (part != "IDAM" or found[0].get("R") == "4")
        if not is_right:
            yield f"ContexteLPS.{part}"


def _wrong_in_context(envelope: Xml, space: str, name: str, version: str) -> Iterator[str]:
    found = envelope.findall(f"env:Header/{space}:{name}", SPACES)
    if len(found) != 1:
        yield name
        return
    if found[0].get("Version") != version:
        yield f"{name}.version"
    if found[0].get("Nature") not in (None, f"CTX{space.upper()}"):
        yield f"{name}.nature"
    forms = {"Id": UUID, "Temps": MOMENT, "Emetteur": re.compile(r"\S.*")}
    for part, form in forms.items():
        if not form.fullmatch(found[0].findtext(f"{space}:{part}", "", SPACES).strip()):
            yield f"{name}.{part}"


def _wrong_in_traits(body: Xml) -> Iterator[str]:
    known = {f"{{{ASKED}}}{name}" for name in (*NAMED, "LieuNaissance")}
    if any(each.tag not in known for each in body):
        yield "traits.unexpected"
    for name in NAMED:
        if len(body.findall(f"asked:{name}", SPACES)) != 1 or not _text(body, name):
            yield f"traits.{name}"
    if _text(body, "Sexe") not in (*SEXES, ""):
        yield "traits.Sexe"
    if not DATE.fullmatch(_text(body, "DateNaissance") or "0000-00-00"):
        yield "traits.DateNaissance"


def _traits(body: Xml) -> Traits:
    return Traits(*(_text(body, name) for name in (*NAMED, "LieuNaissance")))


def _individual(person: Person) -> str:
    names = " ".join(person.given_names)
    return (
        f"<INDIVIDU><INSACTIF><IdIndividu><NumIdentifiant>{person.ins}</NumIdentifiant><Cle>{person.key}</Cle>"
        f"</IdIndividu><OID>{person.oid}</OID></INSACTIF><TIQ><NomNaissance>{escape(person.birth_name)}</NomNaissance>"
        f"<ListePrenom>{escape(names)}</ListePrenom><Sexe>{person.sex}</Sexe>"
        f"<DateNaissance>{person.birth_date}</DateNaissance><LieuNaissance>{person.birth_place}</LieuNaissance>"
        "</TIQ></INDIVIDU>"
    )


def _text(body: Xml, name: str) -> str:
    return str(body.findtext(f"asked:{name}", "", SPACES)).strip()


def _name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""
