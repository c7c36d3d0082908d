"""Who asks: the VIHF and the certificate of the TLS connection, held against each other and the authorities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from cardd.values import Record, Value, field
from cardd_simulators import assertions
from cardd_simulators.mutual_tls import is_issued
from cardd_simulators.soap import Message, Refused
from cardd_simulators.xmldsig import MALFORMED, NS, Xml, certificate_of

MODES = {told: mode for mode, told in assertions.MODE_OF.items()}
INVALID_CERTIFICATE = "DMPInvalidCertificate"  # the DMP's own code for a key of the wrong kind: the only one known


class Caller(Value):
    """Whom the VIHF is about.

    ``mode``: ``direct``, ``indirect`` or ``air``; ``roles``: the codes of the first and the second; ``access``: the
    purpose of use; ``patient``: the resource-id, empty where there is none; ``signer``: who signed the VIHF.
    """

    person: str
    name: str
    roles: tuple[str, ...]
    structure: str
    sector: str
    software: str
    mode: str
    access: str
    patient: str
    is_secret: bool
    signer: x509.Certificate


class Gate(Record):
    """Lets callers in. ``authorities``: whom the certificates may be of; ``seen``: the AIR assertions used up.

    ``lifetime`` is that of a VIHF in the other modes, in seconds: no source tells it, so that None asks for none.
    ``secret`` is the confidentiality code of a secret connection.
    """

    authorities: Sequence[x509.Certificate]
    lifetime: int | None = None
    secret: str = assertions.HIDDEN_CODE
    seen: set[str] = field(default_factory=set)

    def admit(self, message: Message, tls: x509.Certificate, now: datetime) -> Caller:
        """Return who sent a message over TLS with this certificate. Raises ``Refused`` with all reasons."""
        assertion = message.secured
        if assertion is None or assertion.tag != f"{{{NS['saml']}}}Assertion":
            raise Refused("sim:vihf.missing")
        try:
            caller, wrong = self._judged(message, assertion, tls, now)
        except MALFORMED as fault:
            raise Refused("sim:vihf.malformed") from fault
        if wrong:
            raise Refused(*wrong)
        return caller

    def _judged(
        self, message: Message, assertion: Xml, tls: x509.Certificate, now: datetime
    ) -> tuple[Caller, list[str]]:
        mode = MODES.get(_first([text for name in assertions.MODES for text in assertions.texts(assertion, name)]))
        signer = certificate_of(assertion)
        if mode is None or signer is None:
            raise Refused("sim:vihf.mode" if signer else "sim:vihf.signature.certificate")
        found = assertions.wrong_in_vihf(message.octets, mode, now, set(self.seen), secret=self.secret)
        wrong = [f"sim:vihf.{word}" for word in found if word != "certificate.key_usage"]
        if "certificate.key_usage" in found:
            wrong.insert(0, INVALID_CERTIFICATE)
        if not is_issued(signer, self.authorities, now):
            wrong.append("sim:vihf.certificate.chain")
        issued = datetime.fromisoformat(assertion.get("IssueInstant", ""))
        if self.lifetime is not None and (now - issued).total_seconds() >= self.lifetime:
            wrong.append("sim:vihf.old")
        caller = _caller(assertion, mode, signer)
        wrong += _wrong_in_holder(caller, tls)
        if mode == "air" and not wrong:
            self.seen.add(assertion.get("ID", ""))
        return caller, wrong


def _wrong_in_holder(caller: Caller, tls: x509.Certificate) -> Iterator[str]:
    """Yield what is wrong: TLS is the professional's own in the direct mode, the structure's in the others."""
    oid = NameOID.COMMON_NAME if caller.mode == "direct" else NameOID.ORGANIZATIONAL_UNIT_NAME
    wanted = caller.person if caller.mode == "direct" else caller.structure
    if wanted not in {str(each.value) for each in tls.subject.get_attributes_for_oid(oid)}:
        yield "sim:tls.holder"


def _caller(assertion: Xml, mode: str, signer: x509.Certificate) -> Caller:
    def text(name: str) -> str:
        return _first(assertions.texts(assertion, name))

    purposes = assertions.coded(assertion, assertions.PURPOSE, "PurposeOfUse")
    return Caller(
        person=assertion.findtext("saml:Subject/saml:NameID", "", NS),
        name=text(assertions.NAME),
        roles=tuple(role.get("code", "") for role in assertions.coded(assertion, assertions.ROLE, "Role")),
        structure=text("Identifiant_Structure"),
        sector=text("Secteur_Activite"),
        software=text("LPS_Nom"),
        mode=mode,
        access=_first([each.get("code", "") for each in purposes]),
        patient=text(assertions.PATIENT),
        is_secret=any(assertions.texts(assertion, name) for name in assertions.SECRET),
        signer=signer,
    )


def _first(found: Sequence[str]) -> str:
    return found[0] if found else ""
