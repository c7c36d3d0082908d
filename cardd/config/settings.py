"""Every setting, declared once: its type and limits, its default, and what it is for.

A section of a TOML file is a class, and a key is one line in it; the check of a file, ``cardctl config reference`` and
docs/configuration.md are made from these lines. Durations are seconds, sizes are bytes.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

from msgspec import Meta, Struct, field

from cardd.config.kinds import DAY, Duration, Key, LoopbackPort, Origin, Section, Unfit, Word
from cardd.config.services import Dmp, Psc, Timestamp, Trust, Upstream


class Listen(Section, frozen=True):
    """Where the API answers."""

    tcp: Annotated[
        LoopbackPort,
        Key(
            "TCP port, on 127.0.0.1 and ::1 and nowhere else; 0 takes a free one.",
            "Port TCP, sur 127.0.0.1 et ::1 et nulle part ailleurs ; 0 prend un port libre.",
        ),
    ] = 17463
    socket: Annotated[Path, Key("Unix socket of the API.", "Socket Unix de l’API.")] = Path("/run/cardd/cardd.sock")
    agent_socket: Annotated[
        Path,
        Key(
            "Unix socket where each desktop's agent registers; beside the API's socket when not set.",
            "Socket Unix où s’inscrit l’agent de chaque bureau ; à côté de celui de l’API par défaut.",
        ),
    ] = Path("/run/cardd/agent.sock")
    max_body: Annotated[
        int,
        Meta(ge=1024, le=1024**3),
        Key("Largest request body, in bytes.", "Taille maximale du corps d’une requête, en octets."),
    ] = 16 * 1024 * 1024

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find one path for both sockets."""
        if self.socket == self.agent_socket:
            yield "agent_socket", Unfit("same_path", str(self.socket))


class State(Section, frozen=True):
    """Where things are kept."""

    directory: Annotated[
        Path,
        Key(
            "Paired programs, remembered origins, and the audit log unless it is elsewhere.",
            "Logiciels appairés, origines retenues, et le journal d’audit sauf s’il est ailleurs.",
        ),
    ] = Path("/var/lib/cardd")


class Prompt(Section, frozen=True):
    """How the person is asked."""

    pinentry: Annotated[
        Path | None,
        Key(
            "The pinentry program for dialogs of the daemon's own user; one that is found when not set.",
            "Le programme pinentry pour les dialogues de l’utilisateur du démon ; celui qui est trouvé par défaut.",
        ),
    ] = None
    timeout: Annotated[
        Duration, Meta(ge=5, le=3600), Key("How long a dialog stays open.", "Durée d’ouverture d’un dialogue.")
    ] = 120.0


class Web(Section, frozen=True):
    """Which web pages may call."""

    allowed_origins: Annotated[
        tuple[Origin, ...],
        Key(
            "Origins of the pages that may call, each written exactly as the browser sends it.",
            "Origines des pages qui peuvent appeler, chacune écrite exactement comme le navigateur l’envoie.",
        ),
    ] = ()
    unknown_origins: Annotated[
        Literal["refuse", "ask"],
        Key(
            "What an origin that is not listed gets: a refusal, or a question to the user.",
            "Ce qu’obtient une origine absente de la liste : un refus, ou une question à l’utilisateur.",
        ),
    ] = "refuse"
    allow_insecure_origins: Annotated[
        bool,
        Key(
            "Accept http:// in allowed_origins. For development only.",
            "Accepte http:// dans allowed_origins. Pour le développement seulement.",
        ),
    ] = False

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find origins without TLS."""
        insecure = [origin for origin in self.allowed_origins if origin.startswith("http:")]
        if insecure and not self.allow_insecure_origins:
            yield "allowed_origins", Unfit("insecure_origin", insecure[0])


class SessionRules(Section, frozen=True):
    """How long a session lives, and what becomes of the PIN."""

    idle: Annotated[
        Duration,
        Meta(ge=1, le=DAY),
        Key("A session unused for that long is closed.", "Une session inutilisée pendant cette durée est fermée."),
    ] = 1800.0
    max_age: Annotated[
        Duration,
        Meta(ge=1, le=DAY),
        Key("A session that old is closed, used or not.", "Une session de cet âge est fermée, utilisée ou non."),
    ] = 4 * 3600.0
    pin: Annotated[
        Literal["hold", "ask"],
        Key(
            "Keep the PIN in locked memory while the session lives and the card stays in, or ask it each time.",
            "Garder le code porteur en mémoire verrouillée tant que vit la session et que la carte reste, "
            "ou le demander à chaque fois.",
        ),
    ] = "hold"


class Card(Section, frozen=True):
    """How the card is used."""

    hold: Annotated[
        Duration,
        Meta(ge=0, le=5),
        Key(
            "How long the card is kept after an operation, so that the next one needs no new PIN check; 0: not.",
            "Durée pendant laquelle la carte est gardée après une opération, pour que la suivante ne revérifie pas "
            "le code ; 0 : pas du tout.",
        ),
    ] = 0.5
    timeout: Annotated[
        Duration,
        Meta(ge=1, le=600),
        Key("How long one operation of the card may take.", "Durée maximale d’une opération de la carte."),
    ] = 30.0


class Consent(Section, frozen=True):
    """How much one consent may cover."""

    batch_max: Annotated[
        int,
        Meta(ge=1, le=10_000),
        Key(
            "How many signatures one consent may cover; 1 asks for each.",
            "Nombre de signatures qu’un consentement peut couvrir ; 1 demande pour chacune.",
        ),
    ] = 50
    batch_lifetime: Annotated[
        Duration,
        Meta(ge=1, le=DAY),
        Key("How long a batch that was agreed to may be used.", "Durée pendant laquelle un lot accepté peut servir."),
    ] = 600.0


class Pkcs11(Section, frozen=True):
    """PKCS#11 modules: the section drivers.pkcs11."""

    modules: Annotated[
        tuple[Word, ...],
        Key(
            "Modules to load, each by its absolute path or by its name in p11-kit; none but these is loaded.",
            "Modules à charger, chacun par son chemin absolu ou par son nom dans p11-kit ; aucun autre n’est chargé.",
        ),
    ] = ()


class Csa(Section, frozen=True):
    """The organisation's certificate."""

    authentication: Annotated[
        Path | None,
        Key(
            "The PKCS#12 file for authentication (ORG AUTH_CLI). Its password is never here.",
            "Le fichier PKCS#12 d’authentification (ORG AUTH_CLI). Son mot de passe n’est jamais ici.",
        ),
    ] = None
    signature: Annotated[
        Path | None,
        Key(
            "The PKCS#12 file for signatures (ORG SIGN), with the same password.",
            "Le fichier PKCS#12 de signature (ORG SIGN), avec le même mot de passe.",
        ),
    ] = None
    token: Annotated[
        Word | None,
        Key(
            "The label of the PKCS#11 token that holds it, instead of files.",
            "Le label du jeton PKCS#11 qui le contient, au lieu de fichiers.",
        ),
    ] = None


class Audit(Section, frozen=True):
    """The record of what was signed."""

    directory: Annotated[
        Path,
        Key(
            "The audit log's own directory; audit, in the state directory, when not set.",
            "Le répertoire du journal d’audit ; audit, dans le répertoire d’état, par défaut.",
        ),
    ] = Path("/var/lib/cardd/audit")


class Support(Section, frozen=True):
    """One-time codes that support or an administrator gives."""

    totp: Annotated[
        bool,
        Key(
            "Whether what only support may do demands a one-time code; “cardctl support enrol” makes the codes.",
            "Si ce qui est réservé au support exige un code à usage unique ; « cardctl support enrol » les prépare.",
        ),
    ] = False
    label: Annotated[
        Word | None,
        Key(
            "This workstation's name in the authenticator app; its host name when not set.",
            "Le nom de ce poste dans l’application d’authentification ; son nom d’hôte par défaut.",
        ),
    ] = None


class Config(Struct, frozen=True, kw_only=True):
    """All the settings of one daemon; ``Config()`` has the defaults."""

    listen: Listen = Listen()
    state: State = State()
    prompt: Prompt = Prompt()
    web: Web = Web()
    session: SessionRules = SessionRules()
    card: Card = Card()
    consent: Consent = Consent()
    audit: Audit = Audit()
    pkcs11: Pkcs11 = field(name="drivers.pkcs11", default=Pkcs11())
    csa: Csa = Csa()
    psc: Psc = Psc()
    trust: Trust = Trust()
    timestamp: Timestamp = Timestamp()
    dmp: Dmp = Dmp()
    support: Support = Support()
    upstreams: Mapping[str, Upstream] = {}  # [upstreams.NAME]: as many sections as there are names


NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def _sections() -> dict[str, tuple[str, type[Section]]]:
    """Return the sections by title, each with its name in Config."""
    types = get_type_hints(Config)
    fields = zip(Config.__struct_encode_fields__, Config.__struct_fields__, strict=True)
    return {title: (name, types[name]) for title, name in fields if isinstance(types[name], type)}


SECTIONS = _sections()
# [NAME.…]: as many sections as there are names
FAMILIES: Mapping[str, type[Section]] = {
    name: get_args(kind)[1] for name, kind in get_type_hints(Config).items() if get_args(kind)
}


def section_of(title: str) -> type[Section] | None:
    """Return what a section of this title has; None when there is no such section."""
    family, _, own = title.partition(".")
    if family in FAMILIES:
        return FAMILIES[family] if NAME.fullmatch(own) else None
    return SECTIONS[title][1] if title in SECTIONS else None


def sections_of(config: Config) -> Iterator[tuple[str, Section]]:
    """Return the sections of a configuration, each with its title."""
    for title, (name, _) in SECTIONS.items():
        yield title, getattr(config, name)
    for family in FAMILIES:
        yield from ((f"{family}.{name}", section) for name, section in getattr(config, family).items())
