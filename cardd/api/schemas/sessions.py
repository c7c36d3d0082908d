"""Logins and sessions, who acts in them, and what a session gives beside signatures: tokens, VIHF and INSi."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from cardd.api.schemas import Answer, Body, Identifier, Name

Nonce = Annotated[str, Meta(min_length=44, max_length=128, description="at least 256 bits, as text (Web EID)")]


class ActingBody(Body):
    """The professional for whom the practice software acts with its organisation's certificate, as it knows them."""

    national_id: Identifier
    family_name: Name
    given_name: Name
    profession: Identifier | None = None
    specialty: Identifier | None = None


class SessionBody(Body):
    """POST /v1/sessions.

    ``card`` goes with ``cpx`` (``ask`` has the user pick one), ``acting`` with ``csa``, the others with ``ecps``.
    ``login_hint`` is the national identifier of the person whose mobile is asked; without it, the one that this OS user
    had kept. ``remember_login_hint`` asks the user whether it may be kept. ``flow`` says where the person agrees,
    ``channel`` is PSC's own parameter. ``situation`` picks one of the person's situations of practice, and ``ask`` has
    the user pick. ``assertions`` asks at once for the consent that the first of them would ask for.
    """

    method: Literal["cpx", "csa", "ecps"]
    card: Identifier | None = None
    acting: ActingBody | None = None
    login_hint: Identifier | None = None
    remember_login_hint: bool | None = None
    flow: Literal["mobile", "browser"] | None = None
    channel: Literal["card", "mobile"] | None = None
    situation: Identifier | None = None
    assertions: bool = False


class PushBody(Body):
    """POST …/pushes: wake the mobile once more."""


class SituationBody(Body):
    """POST …/situation: ``id`` is one of the session's ``situations``."""

    id: Identifier


class PscTokenBody(Body):
    """POST …/psc-token: ``api`` is one that the configuration names; PSC's own token without it."""

    api: Identifier | None = None


class AuthTokenBody(Body):
    """POST …/auth-tokens; the origin is the caller's own and no field."""

    nonce: Nonce


class OrganisationAnswer(Answer):
    """The structure of a session's certificate; ``kind`` is ``finess``, ``siren``, ``siret``, … or ``other``."""

    identifier: str
    kind: str
    name: str


class HolderAnswer(Answer):
    """Whom a health professional's certificate speaks for; codes of the ANS tables."""

    national_id: str
    family_name: str
    given_name: str
    title: str | None
    profession: str | None
    specialty: str | None
    card_type: str | None
    card_type_name: str | None
    card_number: str | None
    is_test: bool


class IdentityAnswer(HolderAnswer):
    """Who the card or the session stands for, as the certificate says.

    ``is_declared`` tells that the person is as the practice software named them; ``organisation`` is proven then.
    """

    is_declared: bool = False
    organisation: OrganisationAnswer | UnsetType = UNSET


class SituationAnswer(Answer):
    """One situation of practice; codes of the ANS tables, what is not known is left out."""

    id: str
    profession: str | UnsetType = UNSET
    specialty: str | UnsetType = UNSET
    section: str | UnsetType = UNSET
    sector: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    structure: str | UnsetType = UNSET
    technical_structure: str | UnsetType = UNSET
    structure_name: str | UnsetType = UNSET
    finess: str | UnsetType = UNSET
    siret: str | UnsetType = UNSET
    siren: str | UnsetType = UNSET


class SessionAnswer(Answer):
    """A session; ``token`` only in the answer that opens it.

    A session that waits for the person has ``binding_message`` (two digits to show) or ``authorization_url`` (the page
    to open in the user's browser); ``pending`` with neither means that the person has agreed and the session is about
    to open. ``start_url`` leads the user's own browser to that page: a program that opens it by a command puts this
    address on the command line, which every user of the machine can read. ``situation`` is the one of ``situations``
    that was picked.
    """

    id: str
    method: Literal["cpx", "csa", "ecps"]
    state: Literal["active", "locked", "pending"]
    opened_at: datetime
    expires_at: datetime
    identity: IdentityAnswer
    card: str | None
    client: str
    token: str | UnsetType = UNSET
    binding_message: str | UnsetType = UNSET
    authorization_url: str | UnsetType = UNSET
    start_url: str | UnsetType = UNSET
    situations: list[SituationAnswer] | UnsetType = UNSET
    situation: str | UnsetType = UNSET


class UpstreamsAnswer(Answer):
    """The names of the servers to which requests can be relayed, and of those that have tunnels, as configured."""

    upstreams: list[str]
    tunnels: list[str]


class PscTokenAnswer(Answer):
    """A token of the person's, given to a program whose pairing was approved for it.

    ``token_type`` is ``Bearer``, or the name of the cookie that the editor's proxy wants.
    """

    access_token: str
    token_type: str
    expires_at: datetime | UnsetType = UNSET


class SessionLockBody(Body):
    """POST /v1/sessions/{id}/lock."""


class SessionsAnswer(Answer):
    """GET /v1/sessions: the sessions of the asking OS user, without tokens.

    Sessions of other clients name nobody: the identity's texts are empty, and what is not demanded is left out.
    """

    sessions: list[SessionAnswer]


class AuthTokenAnswer(Answer):
    """An authentication token in Web EID's format, field names included (web-eid:1.0)."""

    unverifiedCertificate: str  # noqa: N815 - the format's own names
    algorithm: str
    signature: str
    format: str
    appVersion: str  # noqa: N815


class LpsBody(Body):
    """The practice software as registered for the DMP; ``homologation`` is LPS_ID_HOMOLOGATION_DMP."""

    name: Name
    homologation: Name
    version: Name | None = None
    installation: Name | None = None


class PatientBody(Body):
    """A patient by the INS, key included, and the OID that tells its kind (NIR, NIA, test)."""

    ins: Name
    oid: Name


class VihfBody(Body):
    """POST …/assertions for a VIHF.

    ``sector`` and ``means`` are for sessions of an organisation's certificate: where the person acts, and how they
    logged in. ``role`` and ``section`` are for what neither card nor login tells.
    """

    type: Literal["vihf"]
    lps: LpsBody
    patient: PatientBody | None = None
    access: Literal["normal", "bris_de_glace", "centre_15"] = "normal"
    secret: bool = False
    role: Name | None = None
    section: Name | None = None
    sector: Name | None = None
    means: Literal["card", "mobile", "password", "tls", "automate"] | None = None


class InsiBody(Body):
    """POST …/assertions for INSi; ``specialty`` is the Assurance Maladie's code, which a doctor must have."""

    type: Literal["insi"]
    lps: LpsBody
    billing: Name
    specialty: Name | None = None


class AssertionAnswer(Answer):
    """An assertion: XML in UTF-8, to be put into the message unchanged; no ``certificate`` where nobody signs it."""

    type: Literal["vihf", "insi"]
    assertion: bytes
    certificate: bytes | UnsetType = UNSET
