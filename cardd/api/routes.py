"""The whole API on one screen: who may call what, with which body, and what comes back."""

from __future__ import annotations

from functools import cache

from cardd.api import (
    assertions,
    audit,
    cards,
    clients,
    events,
    metrics,
    origins,
    programs,
    sessions,
    signatures,
    status,
    support,
    tunnels,
    upstreams,
    verifications,
    web,
)
from cardd.api.access import (
    TICKET,
    administrator,
    anyone,
    client,
    client_or_local,
    listener,
    local,
    local_or_program,
    local_or_status_page,
    own_page,
    page,
    program,
    program_or_asking_page,
    session,
    session_or_local,
    session_untouched,
)
from cardd.api.answers import Reply
from cardd.api.call import Call
from cardd.api.router import OCTETS, Route, delete, get, post, relayed, shown, upload
from cardd.api.schemas.clients import (
    ChallengeAnswer,
    ClientAnswer,
    ClientsAnswer,
    LinkAnswer,
    OriginAnswer,
    OriginListed,
    OriginsAnswer,
    PairingAnswer,
    ProgramsAnswer,
    StatusPageAnswer,
    TicketAnswer,
)
from cardd.api.schemas.sessions import (
    AssertionAnswer,
    AuthTokenAnswer,
    PscTokenAnswer,
    SessionAnswer,
    SessionsAnswer,
    UpstreamsAnswer,
)
from cardd.api.schemas.signatures import DocumentAnswer, SignatureAnswer, SignaturesAnswer
from cardd.api.schemas.verifications import VerificationAnswer
from cardd.api.schemas.workstation import (
    AuditAnswer,
    CardsAnswer,
    CertificatesAnswer,
    EcpsCheckAnswer,
    EnrolmentAnswer,
    LogAnswer,
    MethodsAnswer,
    ReadersAnswer,
    StatusAnswer,
    SupportAnswer,
)
from cardd.identity.methods import Use
from cardd.model import Right


def _describe(call: Call) -> Reply:
    """Return this very table, as OpenAPI 3.1."""
    return Reply(body=_description(call.parts.version))


@cache
def _description(version: str) -> bytes:
    """Return the description, which takes a while to make: once only, whoever asks how often."""
    from cardd.api.openapi import document  # noqa: PLC0415 - seldom asked for

    return document(version, ROUTES)


# What a page needs: one of these rights, and its key's proof in any case. A session belongs to whoever may use one.
PROVEN: tuple[Right, ...] = ()
DETECT, HOLDER, AUTHENTICATE = (Right.DETECT,), (Right.HOLDER,), (Right.AUTHENTICATE,)
SIGN, RELAY = (Right.SIGN,), (Right.RELAY,)
SESSION = (Right.AUTHENTICATE, Right.SIGN, Right.RELAY)

# fmt: off
ROUTES: tuple[Route, ...] = (
    shown("/v1/status", anyone, status.show, "Version and state", answers={200: StatusAnswer},
          headers={status.CHALLENGE: "client_id, a blank, 32 to 128 random characters: is this who paired with it?"},
          tells={200: {status.PROOF: "HMAC-SHA256, in hex, by what only that daemon knows; see docs/api.md"}}),
    shown("/openapi.json", anyone, _describe, "This description", answers={200: "application/json"}),
    shown("/cardd.js", anyone, web.shows("cardd.js"), "The module for pages",
          answers={200: "text/javascript", 304: None}),
    shown("/cardd.d.ts", anyone, web.shows("cardd.d.ts"), "Its types", answers={200: "text/plain", 304: None}),

    shown("/", anyone, web.shows("status.html"), "The status page", answers={200: "text/html", 304: None}),
    shown("/status.css", anyone, web.shows("status.css"), "Its sheet", answers={200: "text/css", 304: None}),
    shown("/status.js", anyone, web.shows("status.js"), "Its script", answers={200: "text/javascript", 304: None}),
    post("/v1/status-page/links", local, web.LINK_BODY, web.link, "What opens the status page once",
         answers={201: LinkAnswer}),
    post("/v1/status-page/sessions", own_page, web.STATUS_PAGE_BODY, web.enter, "The pass of a tab, for a link",
         answers={201: StatusPageAnswer}),

    get("/v1/clients", local_or_status_page, clients.everyone, "Paired programs and remembered origins",
        answers={200: ClientsAnswer}),
    post("/v1/clients", program_or_asking_page, clients.CLIENT_BODY, clients.pair, "Pair a program, or allow a page",
         answers={201: (ClientAnswer, OriginAnswer), 202: PairingAnswer},
         headers={"Prefer": "respond-async: answer 202 at once, with the code that the dialog shows"},
         tells={202: {"Location": "where to ask how the pairing stands: /v1/clients/pairings/{id}"}}),
    post("/v1/clients/challenges", page, origins.CHALLENGE_BODY, origins.challenge, "What a page signs with its key",
         answers={201: ChallengeAnswer}),
    get("/v1/clients/pairings/{id}", program, clients.pairing, "A pairing asked for with Prefer: respond-async",
        answers={200: ClientAnswer, 202: PairingAnswer}),
    delete("/v1/clients/{id}", client_or_local, clients.remove, "Unpair; the client's sessions close",
           rights=PROVEN, support_code=True),
    post("/v1/clients/{id}/lock", local_or_status_page, clients.LOCK_BODY, clients.lock,
         "Keep a program out; its sessions close", answers={204: None}),
    delete("/v1/clients/{id}/lock", local, clients.unlock, "Let it in again", support_code=True),

    get("/v1/origins", local_or_status_page, origins.everyone, "Web origins: listed, let in, refused",
        answers={200: OriginsAnswer}),
    post("/v1/origins", local, origins.ALLOW_BODY, origins.allow, "Let an origin in, with the person's consent",
         answers={201: OriginListed}),
    delete("/v1/origins/{id}", local_or_status_page, origins.revoke,
           "Shut out an origin, or one key; its sessions close", query={origins.KEY: ()}),

    get("/v1/programs", local_or_status_page, programs.everyone, "Programs that use the card through PKCS#11",
        answers={200: ProgramsAnswer}),
    delete("/v1/programs/{id}", local_or_status_page, programs.revoke,
           "Shut out a program, by its path; its logins end"),

    get("/v1/methods", client_or_local, status.methods, "The ways to log in, what each lacks, and which suits a use",
        answers={200: MethodsAnswer}, rights=DETECT, query={"use": list(Use)}),
    post("/v1/methods/ecps/check", local, status.ECPS_CHECK_BODY, status.check_ecps,
         "Whether a login by e-CPS could begin", answers={200: EcpsCheckAnswer}),
    get("/v1/readers", client_or_local, cards.list_readers, "Reader slots", answers={200: ReadersAnswer},
        rights=DETECT),
    get("/v1/cards", client_or_local, cards.list_cards, "Inserted cards",
        answers={200: CardsAnswer}, rights=DETECT, query={"pin": ("true", "false")}),
    get("/v1/cards/{id}/certificates", client, cards.certificates, "Certificates and holder, once consented",
        answers={200: CertificatesAnswer}, rights=HOLDER),

    post("/v1/cards/{id}/pin-changes", client_or_local, cards.PIN_BODY, cards.change_pin, "The user changes the PIN",
         answers={204: None}, rights=AUTHENTICATE),
    post("/v1/cards/{id}/pin-unblocks", client_or_local, cards.PIN_BODY, cards.unblock_pin, "The user unblocks the PIN",
         answers={204: None}, rights=AUTHENTICATE),

    get("/v1/sessions", local_or_program, sessions.everyone, "The asking OS user's sessions",
        answers={200: SessionsAnswer}),
    post("/v1/sessions", client, sessions.SESSION_BODY, sessions.open_one, "Log in",
         answers={201: SessionAnswer, 202: SessionAnswer}, rights=SESSION, idempotent=True),
    get("/v1/sessions/{id}", session_untouched, sessions.show, "State and identity", answers={200: SessionAnswer},
        rights=SESSION),
    delete("/v1/sessions/{id}", session_or_local, sessions.close, "Log out"),
    post("/v1/sessions/{id}/lock", session_or_local, sessions.LOCK_BODY, sessions.lock, "Forget the PIN",
         answers={204: None}, rights=SESSION),

    post("/v1/sessions/{id}/pushes", session_untouched, sessions.PUSH_BODY, sessions.push, "Wake the mobile once more",
         answers={200: SessionAnswer}, rights=SESSION),
    post("/v1/sessions/{id}/situation", session, sessions.SITUATION_BODY, sessions.situate,
         "Pick a situation of practice", answers={200: SessionAnswer}, rights=SESSION),
    post("/v1/sessions/{id}/psc-token", session, sessions.PSC_TOKEN_BODY, sessions.give_psc_token,
         "PSC's token, where approved", answers={200: PscTokenAnswer}, rights=RELAY),
    delete("/v1/login-hint", local, sessions.forget_login_hint, "Forget the national id kept for e-CPS logins"),

    upload("/v1/sessions/{id}/documents", session, signatures.hand_over, "Hand over a document to sign, up to 100 MiB",
           answers={201: DocumentAnswer}, rights=SIGN),
    get("/v1/sessions/{id}/documents/{document}", session, signatures.fetch, "Fetch a signed document",
        answers={200: OCTETS}, rights=SIGN),
    delete("/v1/sessions/{id}/documents/{document}", session, signatures.forget, "Drop a document",
           rights=SIGN),

    post("/v1/sessions/{id}/signatures", session, signatures.SIGNATURE_BODY, signatures.sign,
         "Sign one thing, or a list", answers={200: (SignatureAnswer, SignaturesAnswer)}, rights=SIGN, signs=True),
    post("/v1/sessions/{id}/assertions", session, assertions.ASSERTION_BODY, assertions.issue,
         "A VIHF, or an INSi assertion", answers={200: AssertionAnswer}, rights=RELAY, signs=True),
    post("/v1/sessions/{id}/auth-tokens", session, sessions.AUTH_TOKEN_BODY, sessions.issue_auth_token,
         "A web-eid:1.0 token", answers={200: AuthTokenAnswer}, rights=AUTHENTICATE, idempotent=True),

    post("/v1/verifications", client_or_local, verifications.VERIFICATION_BODY, verifications.verify,
         "Whose signatures a document has, and whether they can be trusted", answers={200: VerificationAnswer},
         rights=DETECT),

    get("/v1/support/enrolment", local, support.show, "Whether codes of support are demanded",
        answers={200: SupportAnswer}),
    post("/v1/support/enrolment", administrator, support.SUPPORT_BODY, support.enrol, "Begin to enrol the workstation",
         answers={201: EnrolmentAnswer}, support_code=True),
    post("/v1/support/enrolment/confirmation", administrator, support.SUPPORT_BODY, support.confirm, "The first code",
         answers={204: None}, support_code=True),
    delete("/v1/support/enrolment", administrator, support.remove, "Forget the secret", support_code=True),
    get("/v1/support/logs", local, support.logs, "The last lines of the daemon's log",
        answers={200: LogAnswer}, query={"request": (), "masked": ("true", "false")}),
    get("/metrics", local, metrics.show, "Counts, times and states, for Prometheus", answers={200: "text/plain"}),
    post("/v1/support/traces", local, support.TRACE_BODY, support.trace, "The exchanges with cards, as they happen",
         answers={200: "text/event-stream"}, support_code=True),

    get("/v1/sessions/{id}/upstreams", session_untouched, upstreams.list_names, "The configured servers, by name",
        answers={200: UpstreamsAnswer}, rights=RELAY),
    *relayed("/v1/sessions/{id}/upstreams/{name}/{path}", session, upstreams.relay,
             "To a configured server, with the session's certificate", rights=RELAY),
    get("/v1/sessions/{id}/tunnels/{name}", session, tunnels.dig,
        "A raw connection to a configured server: a WebSocket of binary messages", answers={101: None}, rights=RELAY),

    get("/v1/audit", local_or_status_page, audit.last, "The asking OS user's last rows", answers={200: AuditAnswer}),
    get("/v1/events", listener, events.listen, "Events as they happen: SSE, or WebSocket on upgrade",
        answers={200: "text/event-stream", 101: None}, rights=DETECT, query={TICKET: ()}),
    post("/v1/events/tickets", client, origins.TICKET_BODY, origins.ticket, "What opens one stream of a page's",
         answers={201: TicketAnswer}, rights=DETECT),
)
# fmt: on
