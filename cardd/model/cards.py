"""Cards, their keys and PINs, and whom they speak for."""

from __future__ import annotations

from enum import StrEnum

from cardd.values import Value, replace


class Confinement(StrEnum):
    """Whether a process of ours enters its sandbox, and what becomes of it where this machine cannot make one."""

    OFF = "off"
    POSSIBLE = "possible"
    REQUIRED = "required"  # it ends with the status ``UNCONFINED``


UNCONFINED = 5


class CardKind(StrEnum):
    """What a card is, as far as its ATR and its applications tell.

    PKCS11 is a token that a module shows, PKCS12 a key file: neither has an ATR. OTHER is for the drivers of others.
    """

    CPS2TER = "cps2ter"
    CPS3 = "cps3"
    CPS3_CONTACTLESS = "cps3-contactless"
    CPS4 = "cps4"
    PKCS11 = "pkcs11"
    PKCS12 = "pkcs12"
    OTHER = "other"
    VITALE = "vitale"
    UNKNOWN = "unknown"


class KeyPurpose(StrEnum):
    """What a key is for. cardd never uses one for another's purpose.

    A technical key works without a PIN: it proves that a card is genuine, and never speaks for its holder.
    """

    AUTHENTICATION = "authentication"
    SIGNATURE = "signature"
    TECHNICAL = "technical"


class Algorithm(StrEnum):
    """Signature algorithms by their JOSE names (RFC 7518)."""

    RS256 = "RS256"
    ES256 = "ES256"
    PS256 = "PS256"


class PinState(StrEnum):
    """What the card says of its PIN before any is given."""

    READY = "ready"
    LAST_TRY = "last_try"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


class KeyRef(Value):
    """One private key of a card, as its own directories describe it.

    ``id`` ties key and certificate together (PKCS#15 iD, hex); ``reference`` is what the card is told; ``pin`` names
    the PIN that protects it, None when the key works without one. ``signs_any_hash`` and ``decrypts`` say what an
    authentication key can do for other programs, beside its ``algorithms``.
    """

    id: str
    label: str
    purpose: KeyPurpose
    reference: int
    algorithms: tuple[Algorithm, ...]
    pin: int | None
    signs_any_hash: bool = False
    decrypts: bool = False


class PinInfo(Value):
    """A PIN or PUK as the card describes it: lengths in characters, ``tries`` when the card is fresh.

    ``digits`` is False for the password of a token or key file, which may have any characters.
    """

    reference: int
    label: str
    minimum: int
    maximum: int
    tries: int
    digits: bool = True


class PinStatus(Value):
    """What the card answers when it is asked about its PIN; ``tries_left`` is None when it does not tell."""

    tries_left: int | None

    @property
    def state(self) -> PinState:
        """The PIN's state as one word."""
        match self.tries_left:
            case None:
                return PinState.UNKNOWN
            case 0:
                return PinState.BLOCKED
            case 1:
                return PinState.LAST_TRY
            case _:
                return PinState.READY


class CardInfo(Value):
    """What can be known of a card without its certificates and without a PIN; ``serial`` is empty when it has none.

    ``puk`` is the code that unblocks the PIN; None when nothing can unblock it here. ``unusable`` are the kinds of the
    holder's keys that are there besides ``keys``, and with which nothing can be signed here.
    """

    kind: CardKind
    driver: str
    serial: str
    label: str
    keys: tuple[KeyRef, ...]
    pin: PinInfo | None
    puk: PinInfo | None = None
    unusable: tuple[str, ...] = ()

    def key(self, purpose: KeyPurpose) -> KeyRef | None:
        """The first key for this purpose; None when the card has none."""
        return next((key for key in self.keys if key.purpose is purpose), None)


class CardCertificate(Value):
    """One certificate read from a card: ``der`` as the card holds it, ``key_id`` of the key it belongs to."""

    key_id: str
    label: str
    der: bytes


class Message(Value):
    """What is to be signed. ``digest`` is its SHA-256; ``content`` is there when the caller sent the document."""

    digest: bytes
    content: bytes | None = None


CARD_TYPES = {"0": "CPS", "1": "CPF", "2": "CPE", "3": "CPA"}  # ANS table G02


class Organisation(Value):
    """The structure that a certificate stands for.

    ``identifier`` is the certificate's own (FINESS, SIREN, SIRET …), ``kind`` what its form tells it to be: ``finess``,
    ``siren``, ``siret``, ``adeli``, ``rpps`` or ``other``.
    """

    identifier: str
    kind: str
    name: str


class Identity(Value):
    """Who a session speaks for: the fields of the certificate or of PSC's userinfo, none of them invented.

    ``national_id`` has its type prefix (``8`` RPPS, …); codes are those of the ANS tables, None when absent. In a
    session of an organisation's certificate, ``organisation`` is what is proven; the person is as the practice software
    declared it (``is_declared``).
    """

    national_id: str
    family_name: str
    given_name: str
    title: str | None = None
    profession: str | None = None
    specialty: str | None = None
    card_type: str | None = None
    card_number: str | None = None
    is_test: bool = False
    organisation: Organisation | None = None
    is_declared: bool = False

    @property
    def card_type_name(self) -> str | None:
        """CPS, CPF, CPE or CPA: the word for ``card_type``; None for a code that table G02 does not have."""
        return CARD_TYPES.get(self.card_type or "")

    @property
    def person(self) -> str:
        """The holder, for an audit row whose certificate does not tell (EX_AIR-070)."""
        return f"person:{self.national_id}"


class Situation(Value):
    """One way in which a professional practises: an exercice and one of its activities, as the card or PSC has them.

    ``id`` tells them apart within one identity. Codes are those of the ANS tables, None where nothing is said;
    ``section`` is a pharmacist's; ``structure`` is the place's Struct_IdNat, which PSC calls
    ``ancienIdentifiantDeLaStructure``.
    """

    id: str
    profession: str | None = None
    specialty: str | None = None
    title: str | None = None
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

    def applied_to(self, identity: Identity) -> Identity:
        """The identity as this situation has it: profession, specialty and title."""
        return replace(
            identity,
            profession=self.profession or identity.profession,
            specialty=self.specialty or identity.specialty,
            title=self.title or identity.title,
        )
