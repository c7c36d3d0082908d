"""Every key of the configuration, declared once: its default, what it takes, and what it is for.

Durations are seconds, sizes are bytes. A section is a TOML table of the same name.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

from cardd.config.dmp import Dmp
from cardd.config.key import Key
from cardd.config.psc import Psc
from cardd.config.trust import Timestamp, Trust
from cardd.config.upstream import Upstream
from cardd.config.values import (
    boolean,
    choice,
    duration,
    integer,
    loopback_port,
    optional_path,
    optional_word,
    origins,
    path,
    words,
)

DAY = 86400.0
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the API answers."""

    tcp: Annotated[
        int,
        Key(
            loopback_port(),
            "TCP port, on 127.0.0.1 and ::1 and nowhere else; 0 takes a free one.",
            "Port TCP, sur 127.0.0.1 et ::1 et nulle part ailleurs ; 0 prend un port libre.",
        ),
    ] = 17463
    socket: Annotated[
        Path,
        Key(
            path(),
            "Unix socket of the API.",
            "Socket Unix de l’API.",
        ),
    ] = Path("/run/cardd/cardd.sock")
    agent_socket: Annotated[
        Path,
        Key(
            path(),
            "Unix socket where each desktop's agent registers; beside the API's socket when not set.",
            "Socket Unix où s’inscrit l’agent de chaque bureau ; à côté de celui de l’API par défaut.",
        ),
    ] = Path("/run/cardd/agent.sock")
    max_body: Annotated[
        int,
        Key(
            integer(1024, 1024**3),
            "Largest request body, in bytes.",
            "Taille maximale du corps d’une requête, en octets.",
        ),
    ] = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class State:
    """Where things are kept."""

    directory: Annotated[
        Path,
        Key(
            path(),
            "Paired programs, remembered origins, and the audit log unless it is elsewhere.",
            "Logiciels appairés, origines retenues, et le journal d’audit sauf s’il est ailleurs.",
        ),
    ] = Path("/var/lib/cardd")


@dataclass(frozen=True, slots=True)
class Prompt:
    """How the person is asked."""

    pinentry: Annotated[
        Path | None,
        Key(
            optional_path(),
            "The pinentry program for dialogs of the daemon's own user; one that is found when not set.",
            "Le programme pinentry pour les dialogues de l’utilisateur du démon ; celui qui est trouvé par défaut.",
        ),
    ] = None
    timeout: Annotated[
        float,
        Key(
            duration(5.0, 3600.0),
            "How long a dialog stays open.",
            "Durée d’ouverture d’un dialogue.",
        ),
    ] = 120.0


@dataclass(frozen=True, slots=True)
class Web:
    """Which web pages may call."""

    allowed_origins: Annotated[
        tuple[str, ...],
        Key(
            origins(),
            "Origins of the pages that may call, each written exactly as the browser sends it.",
            "Origines des pages qui peuvent appeler, chacune écrite exactement comme le navigateur l’envoie.",
        ),
    ] = ()
    unknown_origins: Annotated[
        Literal["refuse", "ask"],
        Key(
            choice("refuse", "ask"),
            "What an origin that is not listed gets: a refusal, or a question to the user.",
            "Ce qu’obtient une origine absente de la liste : un refus, ou une question à l’utilisateur.",
        ),
    ] = "refuse"
    allow_insecure_origins: Annotated[
        bool,
        Key(
            boolean(),
            "Accept http:// in allowed_origins. For development only.",
            "Accepte http:// dans allowed_origins. Pour le développement seulement.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a session lives, and what becomes of the PIN."""

    idle: Annotated[
        float,
        Key(
            duration(1.0, DAY),
            "A session unused for that long is closed.",
            "Une session inutilisée pendant cette durée est fermée.",
        ),
    ] = 1800.0
    max_age: Annotated[
        float,
        Key(
            duration(1.0, DAY),
            "A session that old is closed, used or not.",
            "Une session de cet âge est fermée, utilisée ou non.",
        ),
    ] = 4 * 3600.0
    pin: Annotated[
        Literal["hold", "ask"],
        Key(
            choice("hold", "ask"),
            "Keep the PIN in locked memory while the session lives and the card stays in, or ask it each time.",
            "Garder le code porteur en mémoire verrouillée tant que vit la session et que la carte reste, "
            "ou le demander à chaque fois.",
        ),
    ] = "hold"


@dataclass(frozen=True, slots=True)
class Card:
    """How the card is used."""

    hold: Annotated[
        float,
        Key(
            duration(0.0, 5.0),
            "How long the card is kept after an operation, so that the next one needs no new PIN check; 0: not.",
            "Durée pendant laquelle la carte est gardée après une opération, pour que la suivante ne revérifie pas "
            "le code ; 0 : pas du tout.",
        ),
    ] = 0.5
    timeout: Annotated[
        float,
        Key(
            duration(1.0, 600.0),
            "How long one operation of the card may take.",
            "Durée maximale d’une opération de la carte.",
        ),
    ] = 30.0


@dataclass(frozen=True, slots=True)
class Consent:
    """How much one consent may cover."""

    batch_max: Annotated[
        int,
        Key(
            integer(1, 10_000),
            "How many signatures one consent may cover; 1 asks for each.",
            "Nombre de signatures qu’un consentement peut couvrir ; 1 demande pour chacune.",
        ),
    ] = 50
    batch_lifetime: Annotated[
        float,
        Key(
            duration(1.0, DAY),
            "How long a batch that was agreed to may be used.",
            "Durée pendant laquelle un lot accepté peut servir.",
        ),
    ] = 600.0


@dataclass(frozen=True, slots=True)
class Pkcs11:
    """PKCS#11 modules: the section drivers.pkcs11."""

    modules: Annotated[
        tuple[str, ...],
        Key(
            words(),
            "Modules to load, each by its absolute path or by its name in p11-kit; none but these is loaded.",
            "Modules à charger, chacun par son chemin absolu ou par son nom dans p11-kit ; aucun autre n’est chargé.",
        ),
    ] = ()


@dataclass(frozen=True, slots=True)
class Csa:
    """The organisation's certificate."""

    authentication: Annotated[
        Path | None,
        Key(
            optional_path(),
            "The PKCS#12 file for authentication (ORG AUTH_CLI). Its password is never here.",
            "Le fichier PKCS#12 d’authentification (ORG AUTH_CLI). Son mot de passe n’est jamais ici.",
        ),
    ] = None
    signature: Annotated[
        Path | None,
        Key(
            optional_path(),
            "The PKCS#12 file for signatures (ORG SIGN), with the same password.",
            "Le fichier PKCS#12 de signature (ORG SIGN), avec le même mot de passe.",
        ),
    ] = None
    token: Annotated[
        str | None,
        Key(
            optional_word(),
            "The label of the PKCS#11 token that holds it, instead of files.",
            "Le label du jeton PKCS#11 qui le contient, au lieu de fichiers.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Audit:
    """The record of what was signed."""

    directory: Annotated[
        Path,
        Key(
            path(),
            "The audit log's own directory; audit, in the state directory, when not set.",
            "Le répertoire du journal d’audit ; audit, dans le répertoire d’état, par défaut.",
        ),
    ] = Path("/var/lib/cardd/audit")


@dataclass(frozen=True, slots=True)
class Support:
    """One-time codes that support or an administrator gives."""

    totp: Annotated[
        bool,
        Key(
            boolean(),
            "Whether what only support may do demands a one-time code; “cardctl support enrol” makes the codes.",
            "Si ce qui est réservé au support exige un code à usage unique ; « cardctl support enrol » les prépare.",
        ),
    ] = False
    label: Annotated[
        str | None,
        Key(
            optional_word(),
            "This workstation's name in the authenticator app; its host name when not set.",
            "Le nom de ce poste dans l’application d’authentification ; son nom d’hôte par défaut.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Config:
    """All the settings of one daemon; ``Config()`` has the defaults."""

    listen: Listen = Listen()
    state: State = State()
    prompt: Prompt = Prompt()
    web: Web = Web()
    session: SessionRules = SessionRules()
    card: Card = Card()
    consent: Consent = Consent()
    audit: Audit = Audit()
    pkcs11: Pkcs11 = Pkcs11()
    csa: Csa = Csa()
    psc: Psc = Psc()
    trust: Trust = Trust()
    timestamp: Timestamp = Timestamp()
    dmp: Dmp = Dmp()
    support: Support = Support()
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)


NESTED = {"pkcs11": "drivers.pkcs11"}
SECTIONS: Mapping[str, type] = {
    NESTED.get(entry.name, entry.name): type(entry.default) for entry in fields(Config) if entry.default is not MISSING
}
FAMILIES: Mapping[str, type] = {"upstreams": Upstream}  # [NAME.…]: as many sections as there are names


def section_of(name: str) -> type | None:
    """What a section of this dotted name has; None when there is no such section."""
    family, _, own = name.partition(".")
    return FAMILIES[family] if family in FAMILIES and NAME.fullmatch(own) else SECTIONS.get(name)
