"""The API's bodies, as types: what is not here is refused by name, and ``/openapi.json`` is made from them.

Byte values are base64. Limits on lengths stand in the types; the body's size is limited before it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Anything = Annotated[object, Meta(extra_json_schema={"description": "any JSON value"})]
Name = Annotated[str, Meta(min_length=1, max_length=120)]
Identifier = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[\w:./-]+$")]
Nonce = Annotated[str, Meta(min_length=44, max_length=128, description="at least 256 bits, as text (Web EID)")]


Verdict = Literal["valid", "undetermined", "invalid"]


class Body(Struct, forbid_unknown_fields=True):
    """A request body: unknown fields are errors."""


class Answer(Struct, omit_defaults=True):
    """A response body; what does not apply is left out."""


# --- requests ---


class PairBody(Body):
    """POST /v1/clients from desktop software."""

    name: Name
    vendor: Name
    software_id: Identifier
    permissions: Annotated[list[Literal["psc_token"]], Meta(max_length=4)] = []


class OriginBody(Body):
    """POST /v1/clients from a web page that wants to be allowed: it is known by its Origin and says nothing else."""


class ActingBody(Body):
    """The professional for whom the practice software acts with its organisation's certificate, as it knows them."""

    national_id: Identifier
    family_name: Name
    given_name: Name
    profession: Identifier | None = None
    specialty: Identifier | None = None


class SessionBody(Body):
    """POST /v1/sessions.

    ``card`` goes with ``cpx`` (``ask`` has the user pick one), ``acting`` with ``csa``, the others with ``ecps``:
    ``login_hint`` is the national identifier of the person whose mobile is asked, the one that this OS user had kept
    when it is not given; ``remember_login_hint`` asks the user whether it may be kept. ``flow`` says where the person
    agrees, ``channel`` is PSC's own parameter. ``situation`` picks one of the person's situations of practice, and
    ``ask`` has the user pick. ``assertions`` asks at once for the consent that the first of them would ask for.
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


class JwsBody(Body):
    """What else a JWS may be told: how it is written, and the header's ``typ`` and ``cty``."""

    serialization: Literal["compact", "json"] = "compact"
    typ: Name | None = None
    cty: Name | None = None


class VisibleBody(Body):
    """A visible signature: ``rectangle`` is left, bottom, right, top in points, ``page`` from 1, or from -1 backwards.

    It shows the signer's name, profession, number and the time, which no request can change, and the picture.
    """

    rectangle: tuple[float, float, float, float]
    page: Annotated[int, Meta(ge=-10_000, le=10_000)] = -1
    picture: bytes | None = None
    language: Literal["fr", "en"] = "fr"


class PadesBody(Body):
    """What else a signature in a PDF may be told; ``field`` is the new form field's name."""

    reason: Name | None = None
    location: Name | None = None
    field: Name | None = None
    visible: VisibleBody | None = None


class XadesBody(Body):
    """What else a XAdES signature may be told; ``uri`` is where a detached document is to be found."""

    packaging: Literal["enveloped", "enveloping", "detached"] = "enveloped"
    uri: Name | None = None
    certificate: Literal["SigningCertificateV2", "SigningCertificate"] = "SigningCertificateV2"


class SetDocumentBody(Body):
    """A document of a submission set by its ``uniqueId``: its octets, or one that was handed over before.

    ``is_xml``: its canonical form is signed, as for a CDA. ``digest``: the SHA-256 that the octets must have.
    """

    unique_id: Name
    document: bytes | None = None
    document_id: Identifier | None = None
    is_xml: bool = False
    digest: bytes | None = None


class SubmissionSetBody(Body):
    """A DMP submission set; ``certificates`` says whether the signature lists the authorities beside the signer."""

    unique_id: Name
    documents: Annotated[list[SetDocumentBody], Meta(min_length=1, max_length=255)]
    certificates: Literal["chain", "signer"] = "chain"


class SignatureItem(Body):
    """One signature: exactly one of ``digest`` (SHA-256) and ``document``.

    ``algorithm`` by its JOSE name; what the key does best when it is not given. An ES256 value is the two numbers of
    32 bytes (RFC 7518, section 3.4).

    What is signed is a ``submission_set``, or one of ``document``, ``document_id`` (handed over before) and ``digest``
    (SHA-256). ``detached`` leaves the document beside the signature, ``timestamp`` wants one of RFC 3161 with it.
    """

    document_name: Name
    format: Literal["raw", "jws", "cades", "xades", "pades", "submission_set"] = "raw"
    algorithm: Literal["RS256", "PS256", "ES256"] | None = None
    digest: bytes | None = None
    document: bytes | None = None
    document_id: Identifier | None = None
    patient: Name | None = None
    detached: bool = False
    timestamp: bool = False
    mime_type: Name | None = None
    jws: JwsBody | None = None
    xades: XadesBody | None = None
    pades: PadesBody | None = None
    submission_set: SubmissionSetBody | None = None


class BatchBody(Body):
    """A named batch over several requests: one consent for ``count`` signatures."""

    name: Name
    count: Annotated[int, Meta(ge=1, le=100_000)]


class SignatureBody(SignatureItem):
    """POST …/signatures for one signature."""

    batch: BatchBody | None = None


class SignaturesBody(Body):
    """POST …/signatures for a list: one consent, all or nothing."""

    signatures: Annotated[list[SignatureItem], Meta(min_length=1, max_length=1000)]
    batch: BatchBody | None = None


class LpsBody(Body):
    """The practice software, as it was registered for the DMP; ``homologation`` is LPS_ID_HOMOLOGATION_DMP."""

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

    ``sector`` and ``means`` are for sessions of an organisation's certificate: how the person logged in, and where
    they act. ``role`` and ``section`` are for what neither card nor login tells.
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


class VerificationBody(Body):
    """POST /v1/verifications: a signed document, and ``content``, what it signs, where that is not inside.

    For a raw signature ``signature`` is the value, ``certificate`` the signer's (PEM or DER; PEM may go on with those
    above it), and ``document`` what it is of.
    """

    document: bytes
    content: bytes | None = None
    signature: bytes | None = None
    certificate: bytes | None = None


class PinBody(Body):
    """POST /v1/cards/{id}/pin-changes and …/pin-unblocks: the codes are asked for at the workstation."""


class SupportBody(Body):
    """POST /v1/support/enrolment and …/confirmation: the code comes in a header."""


class TraceBody(Body):
    """POST /v1/support/traces; ``full`` adds what was sent and answered, but never a code."""

    full: bool = False


class LockBody(Body):
    """POST /v1/clients/{id}/lock."""


class AuthTokenBody(Body):
    """POST …/auth-tokens. The origin is the caller's own and no field."""

    nonce: Nonce


# --- answers ---


class StatusAnswer(Answer):
    """GET /v1/status: nothing here tells one workstation from another."""

    name: str
    version: str
    state: Literal["ready", "no_readers"]


class SupportAnswer(Answer):
    """GET /v1/support/enrolment; ``locked`` is for how many seconds no code is looked at."""

    demanded: bool
    enrolled: bool
    locked: int


class EnrolmentAnswer(Answer):
    """An enrolment that waits for its first code; ``address`` (otpauth://…) holds the secret, shown this once."""

    address: str
    expires_at: datetime


class ClientAnswer(Answer):
    """A client that was just paired; ``client_secret`` is shown this once."""

    client_id: str
    client_secret: str


class OriginAnswer(Answer):
    """A web origin that may call."""

    origin: str


class PairingAnswer(Answer):
    """A pairing that waits for the user; the program shows ``code``."""

    code: str
    expires_at: datetime
    state: Literal["pending"]


class ClientListed(Answer):
    """One paired program or remembered origin, in GET /v1/clients."""

    id: str
    kind: Literal["program", "origin"]
    name: str
    since: str
    vendor: str | UnsetType = UNSET
    software_id: str | UnsetType = UNSET
    locked: bool = False


class ClientsAnswer(Answer):
    """GET /v1/clients."""

    clients: list[ClientListed]


class ReaderAnswer(Answer):
    """One reader slot; ``card`` is the identifier of the card in it."""

    name: str
    card: str | None


class ReadersAnswer(Answer):
    """GET /v1/readers."""

    readers: list[ReaderAnswer]


class CardAnswer(Answer):
    """One inserted card, without anything of its holder. ``problem`` is an error's code when it cannot be used."""

    id: str
    reader: str
    kind: str
    atr: str
    pin: PinAnswer | UnsetType = UNSET
    problem: str | UnsetType = UNSET


class PinAnswer(Answer):
    """The state of the card's PIN, read without spending a try."""

    state: Literal["ready", "last_try", "blocked", "unknown"]
    tries_left: int | None
    minimum: int
    maximum: int


class CardsAnswer(Answer):
    """GET /v1/cards."""

    cards: list[CardAnswer]


class CertificateAnswer(Answer):
    """One certificate of a card: ``der`` in base64, and its main fields."""

    purpose: Literal["authentication", "signature", "technical"]
    label: str
    der: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime


class CertificatesAnswer(Answer):
    """GET /v1/cards/{id}/certificates, once the user consented.

    ``holder`` is null for a card that has only a technical certificate: that one speaks for the card itself.
    """

    holder: IdentityAnswer | None
    certificates: list[CertificateAnswer]


class OrganisationAnswer(Answer):
    """The structure of a session's certificate; ``kind`` is ``finess``, ``siren``, ``siret``, … or ``other``."""

    identifier: str
    kind: str
    name: str


class IdentityAnswer(Answer):
    """Who the card or the session stands for, as the certificate says it.

    ``is_declared`` tells that the person is as the practice software named it; ``organisation`` is proven then.
    """

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

    ``binding_message`` (two digits to show) or ``authorization_url`` (the page to open in the user's browser) are there
    while it waits for the person. ``situation`` is the one of ``situations`` that was picked.
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
    situations: list[SituationAnswer] | UnsetType = UNSET
    situation: str | UnsetType = UNSET


class PscTokenAnswer(Answer):
    """A token of the person's, given to a program whose pairing was approved for it.

    ``token_type`` is ``Bearer``, or the name of the cookie that the editor's proxy wants.
    """

    access_token: str
    token_type: str
    expires_at: datetime | UnsetType = UNSET


class SessionsAnswer(Answer):
    """GET /v1/sessions: the sessions of the asking OS user, without tokens."""

    sessions: list[SessionAnswer]


class SignatureAnswer(Answer):
    """One signature, with the certificate that verifies it and the chain above as far as it is known.

    A raw one is ``signature``; any other is in ``document``, or, where a document was handed over before, held as
    ``document_id``.
    """

    format: str
    algorithm: str
    certificate: bytes
    chain: list[bytes]
    media_type: str
    signature: bytes | UnsetType = UNSET
    document: bytes | UnsetType = UNSET
    document_id: str | UnsetType = UNSET


class AssertionAnswer(Answer):
    """An assertion: XML in UTF-8, to be put into the message as it is; no ``certificate`` where nobody signs it."""

    type: Literal["vihf", "insi"]
    assertion: bytes
    certificate: bytes | UnsetType = UNSET


class DocumentAnswer(Answer):
    """A document that the session holds until ``expires_at``; ``size`` in bytes, ``sha256`` of the whole."""

    id: str
    size: int
    sha256: bytes
    media_type: str
    expires_at: datetime


class ReasonAnswer(Answer):
    """Why a verdict is what it is: ``verdict`` is what this alone would make of it, valid for what is only told."""

    code: str
    verdict: Verdict
    text: str


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


class SignerAnswer(Answer):
    """The certificate (DER) that signed; ``serial`` in hex."""

    certificate: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    is_test: bool
    holder: HolderAnswer | UnsetType = UNSET


class ChainAnswer(Answer):
    """Whether the certificate has a path to a trusted ``authority``; ``problem``: why not."""

    trusted: bool
    authority: str | UnsetType = UNSET
    problem: Literal["authority", "expired", "early", "refused"] | UnsetType = UNSET


class RevocationAnswer(Answer):
    """What is known of the revocation of ``subject``, the certificate of the path of which the worst is known.

    ``as_of`` is when the authority said so. When it is unknown, ``why`` says why.
    """

    subject: str
    status: Literal["good", "revoked", "unknown"]
    source: Literal["ocsp", "crl"] | UnsetType = UNSET
    as_of: datetime | UnsetType = UNSET
    revoked_at: datetime | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    why: Literal["no_source", "offline", "unreachable", "stale", "garbled", "expired"] | UnsetType = UNSET


class TimestampAnswer(Answer):
    """A timestamp of the signature; it counts when it is ``trusted``."""

    time: datetime
    intact: bool
    trusted: bool
    authority: str
    chain: ChainAnswer
    revocation: RevocationAnswer | UnsetType = UNSET


class VerifiedAnswer(Answer):
    """One signature of a document.

    ``digest`` is the SHA-256 of what was signed, as it is here; ``scope`` whether that is all of the document.
    ``signed_at`` is the signer's claim; ``judged_at`` the time that the certificate was judged for.
    """

    format: Literal["raw", "jws", "cades", "xades", "pades"]
    verdict: Verdict
    reasons: list[ReasonAnswer]
    intact: bool
    scope: Literal["whole", "part", "detached"]
    algorithm: str
    digest: bytes
    judged_at: datetime
    judged_by: Literal["timestamp", "clock"]
    signer: SignerAnswer
    chain: ChainAnswer
    flaw: Literal["content", "signature", "certificate", "imprint"] | UnsetType = UNSET
    signed_at: datetime | UnsetType = UNSET
    revocation: RevocationAnswer | UnsetType = UNSET
    timestamp: TimestampAnswer | UnsetType = UNSET


class VerificationAnswer(Answer):
    """The verdict on a document: that of the worst of its signatures, and its own reasons."""

    verdict: Verdict
    sentence: str
    reasons: list[ReasonAnswer]
    signatures: list[VerifiedAnswer]


class SignaturesAnswer(Answer):
    """The signatures of a list, in its order."""

    signatures: list[SignatureAnswer]


class AuthTokenAnswer(Answer):
    """An authentication token in Web EID's format, field names included (web-eid:1.0)."""

    unverifiedCertificate: str  # noqa: N815 - the format's own names
    algorithm: str
    signature: str
    format: str
    appVersion: str  # noqa: N815


class ExpiringAnswer(Answer):
    """A certificate near its end: ``serial`` in hex, ``days`` left, negative once it has ended."""

    serial: str
    not_after: datetime
    days: int


class AdviceAnswer(Answer):
    """How well one way to log in suits the use that was asked for, and why, in the caller's language."""

    fit: Literal["best", "good", "partial", "unsuited"]
    reasons: list[str]
    together_with: list[str]


class MethodAnswer(Answer):
    """One way to log in; when it is not usable, the error's code, what it means, and what to do."""

    method: str
    usable: bool
    problem: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    remedy: str | UnsetType = UNSET
    expiring: list[ExpiringAnswer] | UnsetType = UNSET
    advice: AdviceAnswer | UnsetType = UNSET


class MethodsAnswer(Answer):
    """GET /v1/methods; for a use they come the best first, and ``advised`` is the best that works here now."""

    methods: list[MethodAnswer]
    advised: str | UnsetType | None = UNSET


class Hello(Answer):
    """The first event on ``/v1/events``: how things are."""

    available: bool
    readers: list[ReaderAnswer]
    cards: list[CardAnswer]


class Told(Answer):
    """One event, as a WebSocket carries it; a stream of server-sent events has the type and the data apart."""

    type: str
    data: Mapping[str, Anything]


class Problem(Answer):
    """An error, RFC 9457; ``code`` is stable, the sentences follow Accept-Language (fr, en)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    remedy: str
    where: str | UnsetType = UNSET
    tries_left: int | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    cards: list[str] | UnsetType = UNSET
