"""The API's answers, as values. Fields that a newer daemon adds are ignored, so that old programs keep working.

Words of a fixed set (a session's state, a PIN's) are plain strings here for the same reason. Byte values are bytes,
times are aware datetimes.
"""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct


class Answer(Struct, frozen=True):
    """Any answer of the API."""


class Status(Answer, frozen=True):
    """The daemon; ``state`` is ``ready`` or ``no_readers``."""

    name: str
    version: str
    state: str


class Reader(Answer, frozen=True):
    """One reader slot; ``card`` is the identifier of the card in it."""

    name: str
    card: str | None = None


class Expiring(Answer, frozen=True):
    """A certificate near its end; ``days`` is negative once it has ended."""

    serial: str
    not_after: datetime
    days: int


class Missing(Answer, frozen=True):
    """What a login method needs and the workstation lacks: the method, the error's code, and what to do."""

    method: str
    problem: str
    detail: str
    remedy: str


class Advice(Answer, frozen=True):
    """How a login method suits a use: ``best``, ``good``, ``partial``, ``unsuited``; the reasons are sentences."""

    fit: str
    reasons: tuple[str, ...]
    together_with: tuple[str, ...]
    missing: tuple[Missing, ...] = ()


class Method(Answer, frozen=True):
    """One login method; when it is not usable, ``problem`` is an error's code and ``remedy`` says what to do.

    A usable one has them where one of its ways does not work; ``reason`` tells causes of one code apart.
    """

    method: str
    usable: bool
    problem: str | None = None
    detail: str | None = None
    remedy: str | None = None
    reason: str | None = None
    expiring: tuple[Expiring, ...] = ()
    advice: Advice | None = None


class Methods(Answer, frozen=True):
    """GET /v1/methods; for a use the best comes first, and ``advised`` is the best that works here now."""

    methods: tuple[Method, ...]
    advised: str | None = None


class EcpsCheck(Answer, frozen=True):
    """A login by e-CPS could begin; ``clock`` is by how many seconds the provider's is ahead, where it tells.

    ``mobile``: logins by mobile are possible; ``resumes``: sessions outlive the daemon.
    """

    mobile: bool
    resumes: bool
    clock: float | None = None


class Pin(Answer, frozen=True):
    """A card's PIN: ``ready``, ``last_try``, ``blocked`` or ``unknown``; lengths in digits."""

    state: str
    tries_left: int | None
    minimum: int
    maximum: int


class Card(Answer, frozen=True):
    """One inserted card; ``problem`` is the code of the error that its use would raise, None when it can be used.

    ``in_use`` is "another_user" where another OS user has a session open with it: a login with its PIN ends that.
    """

    id: str
    reader: str
    kind: str
    atr: str
    pin: Pin | None = None
    problem: str | None = None
    in_use: str | None = None


class Organisation(Answer, frozen=True):
    """The structure of a session's certificate."""

    identifier: str
    kind: str
    name: str


class Holder(Answer, frozen=True):
    """The person whom a card or a session stands for.

    Codes are those of the ANS tables; ``card_type_name`` is CPS, CPF, CPE or CPA. ``is_declared`` tells that only the
    organisation is proven, and that the program named the person.
    """

    national_id: str
    family_name: str
    given_name: str
    title: str | None = None
    profession: str | None = None
    specialty: str | None = None
    card_type: str | None = None
    card_type_name: str | None = None
    card_number: str | None = None
    is_test: bool = False
    is_declared: bool = False
    organisation: Organisation | None = None


class Certificate(Answer, frozen=True):
    """One certificate of a card; ``purpose`` is ``authentication``, ``signature`` or ``technical``, ``serial`` hex."""

    purpose: str
    label: str
    der: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime


class Certificates(Answer, frozen=True):
    """A card's certificates and its holder; None for a card that only identifies itself."""

    holder: Holder | None
    certificates: tuple[Certificate, ...]


class Paired(Answer, frozen=True):
    """A pairing that the user accepted; the secret is told this once."""

    client_id: str
    client_secret: str


class Pairing(Answer, frozen=True):
    """A pairing that waits for the user: show ``code``, which the dialog shows too."""

    code: str
    expires_at: datetime


class Upstreams(Answer, frozen=True):
    """The names of the servers to which requests can be relayed, and of those that have tunnels."""

    upstreams: tuple[str, ...]
    tunnels: tuple[str, ...] = ()


class PscToken(Answer, frozen=True):
    """A token of the person's; ``token_type`` is ``Bearer``, or the name of a cookie for the editor's proxy."""

    access_token: str
    token_type: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"<PscToken {self.token_type}>"


class Assertion(Answer, frozen=True):
    """A VIHF or an INSi assertion: XML in UTF-8, to be put into the message unchanged.

    ``certificate`` (DER) is the signer's, None for one that nobody signs.
    """

    type: str
    assertion: bytes
    certificate: bytes | None = None


class Client(Answer, frozen=True):
    """A paired program (``kind`` is ``program``) or a remembered web origin (``origin``)."""

    id: str
    kind: str
    name: str
    since: str
    vendor: str | None = None
    software_id: str | None = None
    locked: bool = False


class PageKey(Answer, frozen=True):
    """One browser profile that the person let a site's pages in from; ``used`` is the day of its last proof."""

    id: str
    rights: tuple[str, ...]
    since: datetime
    until: datetime
    used: date


class Origin(Answer, frozen=True):
    """One web origin: ``listed`` by the configuration, let in by the person (``keys``), or ``refused``."""

    origin: str
    listed: bool
    active: bool
    refused: bool
    rights: tuple[str, ...]
    keys: tuple[PageKey, ...]


class CardProgram(Answer, frozen=True):
    """One program that the person let use the card through PKCS#11, by the path of its file."""

    path: str
    rights: tuple[str, ...]
    since: datetime
    until: datetime
    used: date


class Situation(Answer, frozen=True):
    """One situation of practice of a professional; codes of the ANS tables."""

    id: str
    profession: str | None = None
    specialty: str | None = None
    section: str | None = None
    sector: str | None = None
    mode: str | None = None
    role: str | None = None
    structure: str | None = None
    technical_structure: str | None = None
    structure_name: str | None = None
    finess: str | None = None
    siret: str | None = None
    siren: str | None = None


class AuditRow(Answer, frozen=True):
    """One row of the audit log, and the name of the request that it is of."""

    number: int
    time: datetime
    action: str
    outcome: str
    program: str
    code: str | None = None
    request: str | None = None


class Audit(Answer, frozen=True):
    """The asking OS user's last rows, the newest first."""

    rows: tuple[AuditRow, ...]


class LogLine(Answer, frozen=True):
    """One line of the daemon's log; ``request`` is the name of the request that it is of."""

    at: datetime
    level: str
    logger: str
    message: str
    request: str | None = None


class Log(Answer, frozen=True):
    """The last lines, oldest first; ``masked`` says that they name nobody."""

    masked: bool
    lines: tuple[LogLine, ...]


class SupportStanding(Answer, frozen=True):
    """Whether codes of support are demanded and can be checked; ``locked`` is for how many seconds none is."""

    demanded: bool
    enrolled: bool
    locked: int


class Enrolment(Answer, frozen=True):
    """An enrolment that waits for its first code; ``address`` (otpauth://…) holds the secret, told this once."""

    address: str
    expires_at: datetime


class SessionState(Answer, frozen=True):
    """A session; ``state`` is ``active``, ``locked`` or ``pending``, ``client`` the name of the client that opened it.

    While the session waits for the person, ``binding_message`` has the two digits to compare on the mobile, or
    ``authorization_url`` the page to open; with neither the person has agreed, and the session is about to open.
    ``start_url`` leads the user's own browser to that page, and may stand on a command line.
    ``situation`` is the one of ``situations`` that was picked.
    """

    id: str
    method: str
    state: str
    opened_at: datetime
    expires_at: datetime
    identity: Holder
    card: str | None = None
    client: str = ""
    binding_message: str | None = None
    authorization_url: str | None = None
    start_url: str | None = None
    situations: tuple[Situation, ...] = ()
    situation: str | None = None


class OpenedSession(SessionState, frozen=True):
    """A session that was just opened."""

    token: str = ""


class Signature(Answer, frozen=True):
    """One signature, with the certificate that verifies it and the chain above as far as it is known.

    A raw one is ``signature``; any other format's is in ``document``, or held by the session as ``document_id`` where
    a document was handed over before.
    """

    algorithm: str
    certificate: bytes
    chain: tuple[bytes, ...] = ()
    format: str = "raw"
    media_type: str = "application/octet-stream"
    signature: bytes = b""
    document: bytes | None = None
    document_id: str | None = None


class HandedOver(Answer, frozen=True):
    """A document that the session holds until ``expires_at``; ``size`` in bytes."""

    id: str
    size: int
    sha256: bytes
    expires_at: datetime


class AuthToken(Answer, frozen=True, rename="camel"):
    """An authentication token, web-eid:1.0; encoded as JSON it has the names that the format wants."""

    unverified_certificate: str
    algorithm: str
    signature: str
    format: str
    app_version: str


class Readers(Answer, frozen=True):
    """GET /v1/readers."""

    readers: tuple[Reader, ...]


class Cards(Answer, frozen=True):
    """GET /v1/cards."""

    cards: tuple[Card, ...]


class Clients(Answer, frozen=True):
    """GET /v1/clients."""

    clients: tuple[Client, ...]


class Origins(Answer, frozen=True):
    """GET /v1/origins."""

    origins: tuple[Origin, ...]


class CardPrograms(Answer, frozen=True):
    """GET /v1/programs."""

    programs: tuple[CardProgram, ...]


class StatusPageLink(Answer, frozen=True):
    """What opens the status page once, and until when."""

    url: str
    expires_at: datetime


class Sessions(Answer, frozen=True):
    """GET /v1/sessions."""

    sessions: tuple[SessionState, ...]


class Signatures(Answer, frozen=True):
    """The signatures of a list, in its order."""

    signatures: tuple[Signature, ...]
