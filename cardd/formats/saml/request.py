"""What an assertion is asked with: who speaks, which practice software asks, and for what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from cardd.errors import AssertionLoginUnfit
from cardd.model import Identity, Situation
from cardd.values import Value, field


class Mode(StrEnum):
    """Who vouches: the professional's card, the organisation's certificate, or that one for a PSC login (AIR)."""

    DIRECT = "direct"
    INDIRECT = "indirect"
    AIR = "air"


class Means(StrEnum):
    """How the person really logged in; AUTOMATE where a program acts without a person."""

    CARD = "card"
    MOBILE = "mobile"
    PASSWORD = "password"  # noqa: S105 - the name of a means
    TLS = "tls"
    AUTOMATE = "automate"


PSC_MEANS = {"CARD": Means.CARD, "MOBILE": Means.MOBILE}


def means_of_psc(auth_mode: str | None) -> Means:
    """PSC's ``authMode``. Raises AssertionLoginUnfit for one that is not known, or none."""
    if auth_mode not in PSC_MEANS:
        raise AssertionLoginUnfit(means=auth_mode or "–", mode="PSC")
    return PSC_MEANS[auth_mode]


class Access(StrEnum):
    """Why the record is opened (purposeofuse)."""

    NORMAL = "normal"
    BREAK_GLASS = "bris_de_glace"
    CENTRE_15 = "centre_15"


class Authentication(Value):
    """When the person logged in (aware UTC), and how."""

    at: datetime
    means: Means


class Speaker(Value):
    """Whom the assertion is about: never the practice software's word where card, certificate or PSC tell.

    ``identity.organisation`` is the one of the signing certificate in the indirect mode and in AIR; ``situation`` is
    where the person practises, from the card or PSC.
    """

    identity: Identity
    login: Authentication
    situation: Situation | None = None

    @property
    def profession(self) -> str | None:
        """The code of table G15; None where the person has no such profession."""
        return self._acting.profession

    @property
    def specialty(self) -> str | None:
        """The savoir-faire, a code of table R01."""
        return self._acting.specialty

    @property
    def sector(self) -> str | None:
        """The bare code of table R02, ``SAxx``; PSC tells it with the table's OID behind."""
        told = self.situation.sector if self.situation else None
        return told.partition("^")[0] if told else None

    @property
    def _acting(self) -> Identity:
        return self.situation.applied_to(self.identity) if self.situation else self.identity


class Registration(Value):
    """What the practice software was registered with, once for an installation.

    ``name``, ``version``, ``homologation`` (LPS_ID_HOMOLOGATION_DMP) and ``installation`` (LPS_ID) go into every VIHF.
    What the configuration decides is told here: ``secret_code``, the confidentiality code of a secret connection;
    ``insi_issuer``, the Issuer of an unsigned INSi assertion; ``labels``, words for codes newer than our tables.
    """

    name: str
    homologation: str
    version: str | None = None
    installation: str | None = None
    secret_code: str | None = None
    insi_issuer: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Patient(Value):
    """Whose record: the INS with its key, and the OID that tells what number it is."""

    ins: str
    oid: str


class VihfCall(Value):
    """One VIHF. ``is_secret``: a secret connection, which the patient's legal representatives do not see.

    ``role`` is for people whose card or login names no profession of table G15: a code of A00, R94 or R95, or
    ``G16_`` and a profession for one who is in training (a CPF's holder, or declared). ``section`` is a pharmacist's
    (G05) where neither tells it.
    """

    mode: Mode
    patient: Patient | None = None
    access: Access = Access.NORMAL
    is_secret: bool = False
    role: str | None = None
    section: str | None = None


class InsiCall(Value):
    """One INSi assertion: what the Assurance Maladie knows the professional by.

    ``billing`` is the identifiantFacturation, ``specialty`` the Assurance Maladie's code, which a doctor must have.
    """

    billing: str
    specialty: str | None = None
