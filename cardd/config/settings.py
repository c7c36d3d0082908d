"""Every setting, declared once: its type and limits, its default, and what it is for.

A section of a TOML file is a class, and a key is one line in it; the check of a file, ``cardctl config reference`` and
docs/configuration.md are made from these lines. Durations are seconds, sizes are bytes.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

from msgspec import Meta, Struct, field

from cardd.config.kinds import DAY, Duration, LoopbackPort, Section, Sink, Unfit, Word
from cardd.config.pages import Portal, Web
from cardd.config.psc import Psc
from cardd.config.services import Dmp, Network, Timestamp, Trust, Upstream
from cardd.i18n import N_
from cardd.model import Confinement, Right


class Listen(Section, frozen=True):
    """Where the API answers."""

    tcp: Annotated[
        LoopbackPort,
        Meta(description=N_("TCP port, on 127.0.0.1 and ::1 and nowhere else; 0 takes a free one.")),
    ] = 17463
    https: Annotated[
        LoopbackPort,
        Meta(
            description=N_(
                "TCP port of the same API over https, for pages that cannot do without; 0: none. See cardctl https."
            )
        ),
    ] = 0
    socket: Annotated[Path, Meta(description=N_("Unix socket of the API."))] = Path("/run/cardd/cardd.sock")
    agent_socket: Annotated[
        Path,
        Meta(description=N_("Unix socket where each desktop's agent registers; beside the API's socket when not set.")),
    ] = Path("/run/cardd/agent.sock")
    max_body: Annotated[
        int,
        Meta(ge=1024, le=1024**3, description=N_("Largest request body, in bytes.")),
    ] = 16 * 1024 * 1024

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find one path for both sockets, or one port for http and https."""
        if self.https and self.https == self.tcp:
            yield "https", Unfit("same_port", str(self.https))
        if self.socket == self.agent_socket:
            yield "agent_socket", Unfit("same_path", str(self.socket))


class State(Section, frozen=True):
    """Where things are kept."""

    directory: Annotated[
        Path,
        Meta(description=N_("Paired programs, remembered origins, and the audit log unless it is elsewhere.")),
    ] = Path("/var/lib/cardd")


class Prompt(Section, frozen=True):
    """How the person is asked."""

    LIVE = frozenset(("timeout", "refusals", "refusal_window", "notifications", "tray"))

    pinentry: Annotated[
        Path | None,
        Meta(
            description=N_("The pinentry program for dialogs of the daemon's own user; one that is found when not set.")
        ),
    ] = None
    timeout: Annotated[Duration, Meta(ge=5, le=3600, description=N_("How long a dialog stays open."))] = 120.0
    agents: Annotated[
        Literal["installed", "any"],
        Meta(
            description=N_(
                "Which programs may show the dialogs of other users than the daemon's own: cardd-agent as root "
                "installed it, or any."
            )
        ),
    ] = "installed"
    refusals: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description=N_(
                "How many dialogs of one program the user may refuse, or leave, within refusal_window; then it has to "
                "wait."
            ),
        ),
    ] = 3
    refusal_window: Annotated[
        Duration,
        Meta(ge=1, le=DAY, description=N_("How long a refused dialog is remembered.")),
    ] = 300.0
    notifications: Annotated[
        Literal["all", "important", "off"],
        Meta(
            description=N_(
                "What the desktop's notifications tell beside dialogs: all; important: who was let in or asked in "
                "vain, tries of a PIN, certificates that end, a session that another user or Pro Santé Connect ended; "
                "or nothing."
            )
        ),
    ] = "all"
    tray: Annotated[
        bool,
        Meta(
            description=N_(
                "Whether the desktop's tray, where it has one, shows how cards and sessions stand, with a menu that "
                "locks, logs out, changes the PIN and opens the status page."
            )
        ),
    ] = True


class Access(Section, frozen=True):
    """Whose the readers are, beside the user who sits at the machine."""

    LIVE = frozenset(("owners",))

    owners: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "OS users, by name or number, who may use the readers without sitting at this machine (remote "
                "desktops, services); “*” for all."
            )
        ),
    ] = ()
    lent_readers: Annotated[
        bool,
        Meta(
            description=N_(
                "The readers of a remote desktop (xrdp) that the agent of its session lends are taken, for its own "
                "user alone."
            )
        ),
    ] = False


class SessionRules(Section, frozen=True):
    """How long a session lives, and what becomes of the PIN."""

    LIVE = frozenset(("idle", "max_age", "pin", "invalid_certificate"))

    idle: Annotated[
        Duration,
        Meta(ge=1, le=DAY, description=N_("A session unused for that long is closed.")),
    ] = 1800.0
    max_age: Annotated[
        Duration,
        Meta(ge=1, le=DAY, description=N_("A session that old is closed, used or not.")),
    ] = 4 * 3600.0
    pin: Annotated[
        Literal["hold", "ask"],
        Meta(
            description=N_(
                "Keep the PIN in locked memory while the session lives and the card stays in, or ask it each time."
            )
        ),
    ] = "hold"
    invalid_certificate: Annotated[
        Literal["refuse", "warn"],
        Meta(
            description=N_(
                "A login whose certificate has expired or is not valid yet is refused, or opens a session with a "
                "warning in the journal."
            )
        ),
    ] = "refuse"


class Card(Section, frozen=True):
    """How the card is used."""

    hold: Annotated[
        Duration,
        Meta(
            ge=0,
            le=5,
            description=N_(
                "How long the card is kept after an operation, so that the next one needs no new PIN check; 0: not."
            ),
        ),
    ] = 0.5
    timeout: Annotated[
        Duration,
        Meta(ge=1, le=600, description=N_("How long one operation of the card may take.")),
    ] = 30.0


class Consent(Section, frozen=True):
    """How much one consent may cover."""

    LIVE = frozenset(("batch_max", "batch_lifetime"))

    batch_max: Annotated[
        int,
        Meta(ge=1, le=10_000, description=N_("How many signatures one consent may cover; 1 asks for each.")),
    ] = 50
    batch_lifetime: Annotated[
        Duration,
        Meta(ge=1, le=DAY, description=N_("How long a batch that was agreed to may be used.")),
    ] = 600.0


class Pkcs11(Section, frozen=True):
    """PKCS#11 modules: the section drivers.pkcs11."""

    modules: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "Modules to load, each by its absolute path or by its name in p11-kit; none but these is loaded."
            )
        ),
    ] = ()
    files: Annotated[
        tuple[Path, ...],
        Meta(
            description=N_(
                "Files and directories that modules may read and write; the system's programs and settings"
                " (/usr, /etc, /opt) are read without."
            )
        ),
    ] = ()
    unconfined: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "Those of the modules that run without a sandbox, for they start programs, ask a network or speak to a"
                " service of their own; named as in modules."
            )
        ),
    ] = ()

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find a name that is none of the modules': its module would stay in the sandbox unnoticed."""
        if not set(self.unconfined) <= set(self.modules):
            yield "unconfined", Unfit("choice", ", ".join(f'"{module}"' for module in self.modules) or "[]")


class P11(Section, frozen=True):
    """The card for other programs, through PKCS#11 (p11-kit): browsers, TLS, ssh, mail."""

    LIVE = frozenset(("programs", "remember_days"))

    enabled: Annotated[
        bool,
        Meta(description=N_("Serve the cards to other programs; each is let in by the user first.")),
    ] = True
    socket: Annotated[
        Path,
        Meta(description=N_("Unix socket where p11-kit-client.so connects; beside the API's socket when not set.")),
    ] = Path("/run/cardd/p11")
    programs: Annotated[
        Literal["ask", "off"],
        Meta(
            description=N_(
                "What becomes of a program that wants to use a key: the user is asked, or no program may; all see the "
                "certificates."
            )
        ),
    ] = "ask"
    remember_days: Annotated[
        int,
        Meta(
            ge=0,
            le=3650,
            description=N_("For how many days a user may let a program in; 0: only for the present, 12 hours at most."),
        ),
    ] = 180


class Sandbox(Section, frozen=True):
    """What keeps the processes in that read PDF files and run PKCS#11 modules."""

    required: Annotated[
        bool,
        Meta(
            description=N_(
                "Refuse to read PDF files, and to run PKCS#11 modules, where this computer cannot make a whole sandbox"
                " for these processes."
            )
        ),
    ] = False

    @property
    def confinement(self) -> Confinement:
        """Return how far these processes are kept in."""
        return Confinement.REQUIRED if self.required else Confinement.POSSIBLE


class Csa(Section, frozen=True):
    """The organisation's certificate."""

    authentication: Annotated[
        Path | None,
        Meta(description=N_("The PKCS#12 file for authentication (ORG AUTH_CLI). Its password is never here.")),
    ] = None
    signature: Annotated[
        Path | None,
        Meta(description=N_("The PKCS#12 file for signatures (ORG SIGN), with the same password.")),
    ] = None
    token: Annotated[
        Word | None,
        Meta(description=N_("The label of the PKCS#11 token that holds it, instead of files.")),
    ] = None


class Audit(Section, frozen=True):
    """The record of what was signed."""

    directory: Annotated[
        Path,
        Meta(description=N_("The audit log's own directory; audit, in the state directory, when not set.")),
    ] = Path("/var/lib/cardd/audit")
    documents: Annotated[
        Literal["name", "digest", "none"],
        Meta(
            description=N_(
                "What is recorded of a document's name: the name, a digest that only this workstation can compare "
                "a name with, or nothing."
            )
        ),
    ] = "name"
    broken: Annotated[
        Literal["refuse", "record"],
        Meta(
            description=N_(
                "What happens where rows of the log, or its head, were taken away or changed: nothing is signed, or "
                "the log goes on and a row tells of the break."
            )
        ),
    ] = "refuse"
    sealed: Annotated[
        bool,
        Meta(
            description=N_(
                "Seal the log's head with the secret audit-key, a credential of systemd's or an entry of the keyring."
            )
        ),
    ] = False
    sinks: Annotated[
        tuple[Sink, ...],
        Meta(
            description=N_(
                "Where the log's head, a number and a hash, is sent after each row: the journal, a file that it is "
                "appended to, or an address that it is posted to."
            )
        ),
    ] = ("journal",)


class Support(Section, frozen=True):
    """One-time codes that support or an administrator gives."""

    totp: Annotated[
        bool,
        Meta(
            description=N_(
                "Whether what only support may do demands a one-time code; “cardctl support enrol” makes the codes."
            )
        ),
    ] = False
    label: Annotated[
        Word | None,
        Meta(description=N_("This workstation's name in the authenticator app; its host name when not set.")),
    ] = None
    bundle_key: Annotated[
        Path | None,
        Meta(
            description=N_(
                "The certificate (PEM) of who helps: what “cardctl bundle” makes is encrypted to it; readable when not "
                "set."
            )
        ),
    ] = None


class Metrics(Section, frozen=True):
    """What a monitoring system may read: counts, times and states, which name nobody."""

    users: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "OS users, by name or number, who may read /metrics on the API's Unix socket beside root and the "
                "service's own user."
            )
        ),
    ] = ()


class Config(Struct, frozen=True, kw_only=True):
    """All the settings of one daemon; ``Config()`` has the defaults."""

    listen: Listen = Listen()
    state: State = State()
    prompt: Prompt = Prompt()
    web: Web = Web()
    access: Access = Access()
    session: SessionRules = SessionRules()
    card: Card = Card()
    consent: Consent = Consent()
    audit: Audit = Audit()
    pkcs11: Pkcs11 = field(name="drivers.pkcs11", default=Pkcs11())
    p11: P11 = P11()
    sandbox: Sandbox = Sandbox()
    csa: Csa = Csa()
    network: Network = Network()
    psc: Psc = Psc()
    trust: Trust = Trust()
    timestamp: Timestamp = Timestamp()
    dmp: Dmp = Dmp()
    support: Support = Support()
    metrics: Metrics = Metrics()
    # [upstreams.NAME], [portals.NAME]: as many sections as there are names
    upstreams: Mapping[str, Upstream] = {}
    portals: Mapping[str, Portal] = {}

    @property
    def listed_origins(self) -> Mapping[str, tuple[Right, ...]]:
        """Return the sites whose pages may call, each with their rights."""
        general = dict.fromkeys(self.web.allowed_origins, self.web.rights)
        return general | {portal.origin: portal.rights for portal in self.portals.values()}

    def faults(self) -> Iterator[tuple[str, str, Unfit]]:
        """Find what is wrong between sections, each with the section and the key that it is told of."""
        first: dict[str, str] = {}
        for name, portal in self.portals.items():
            title, before = f"portals.{name}", first.setdefault(portal.origin, name)
            if before != name:  # with rights of its own each: which would count?
                yield title, "origin", Unfit("same_origin", f"[portals.{before}]")
            if not (portal.origin.startswith("https:") or self.web.allow_insecure_origins):
                yield title, "origin", Unfit("insecure_origin", portal.origin)


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
