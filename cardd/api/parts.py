"""The parts that the API's handlers call, and the limits on what callers may send."""

from __future__ import annotations

import sys
from collections.abc import Callable

from cardd.core.attempts import Attempts
from cardd.core.clients import Clients
from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines
from cardd.core.events import EventBus
from cardd.core.leases import Leases
from cardd.core.lifecycle import Lifecycle
from cardd.core.observer import Observer
from cardd.core.origins import Origins
from cardd.core.owners import OwnedReaders
from cardd.core.page_passes import Pages
from cardd.core.pin import PinLife
from cardd.core.programs import Programs
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.core.status_pages import StatusPages
from cardd.core.support import SupportCodes
from cardd.core.trace import Trace
from cardd.core.trail import AuditTrail
from cardd.core.trays import Trays
from cardd.documents.assertions import Assertions
from cardd.documents.held import HeldDocuments
from cardd.documents.signing import DocumentSigning
from cardd.documents.verification import Verifier
from cardd.identity.card_login import CpxLogins
from cardd.identity.csa import CsaLogins
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.methods import Methods
from cardd.identity.situations import Situations
from cardd.logbook import LogBook
from cardd.ports import AuditLog, Clock
from cardd.relay.relay import Relay
from cardd.values import Value


class Logins(Value):
    """The ways to open a session, by the names that the API has for them."""

    cpx: CpxLogins
    csa: CsaLogins
    ecps: EcpsLogins


class Parts(Value):
    """Every part that is asked for something; ``cardd.assembly`` makes them, ``lifecycle`` starts and stops them."""

    lifecycle: Lifecycle
    readers: OwnedReaders
    leases: Leases
    sessions: Sessions
    clients: Clients
    origins: Origins
    programs: Programs
    pages: Pages
    status_pages: StatusPages
    dialogs: DialogLines
    consents: Consents
    signing: Signing
    documents: DocumentSigning
    held: HeldDocuments
    assertions: Assertions
    attempts: Attempts
    audit: AuditLog
    trail: AuditTrail
    verifier: Verifier
    logins: Logins
    methods: Methods
    situations: Situations
    pin_life: PinLife
    trays: Trays
    support: SupportCodes
    relay: Relay
    events: EventBus
    trace: Trace
    observer: Observer
    logbook: LogBook
    may_read_metrics: Callable[[int], bool]
    clock: Clock
    version: str


class ApiLimits(Value):
    """What one caller may send and hold (rule 10). Sizes in bytes, times in seconds.

    ``body`` is a request's JSON, ``small_body`` that of a caller whom nobody knows; ``bodies`` is the memory that all
    those which are not small may take, ``bodies_each`` those of one OS user. ``document`` is one that is handed over by
    itself.

    ``connections`` counts those of one OS user, TCP and Unix each; none is taken whose file descriptor is
    ``descriptors`` or more: the rest is for cards, dialogs and documents. ``head`` is how long one may take to its
    first request's head; ``in_flight`` the requests of one caller that are not yet answered, event streams included;
    ``streams`` are those of all pages of one OS user, ``streams_each`` those of one browser's pages of one site: enough
    connections and requests are left for all else;
    ``read_timeout`` is for the whole body of a request; ``idle`` is how long a connection may say nothing, or dawdle
    over a request's head; ``write_timeout`` how long a listener may take to take an event, and how
    long an answer may be left before its connection makes room; ``pin_state`` is how long the cards may take to tell
    how their PINs stand.
    """

    body: int = 16 * 1024 * 1024
    small_body: int = 64 * 1024
    bodies: int = 128 * 1024 * 1024
    bodies_each: int = 48 * 1024 * 1024
    document: int = 100 * 1024 * 1024
    connections: int = 128
    descriptors: int = sys.maxsize
    in_flight: int = 64
    streams: int = 96
    streams_each: int = 56
    head: float = 5.0
    read_timeout: float = 10.0
    idle: float = 75.0
    write_timeout: float = 10.0
    pin_state: float = 8.0
