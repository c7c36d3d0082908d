"""The client: one object for one daemon and, once paired, for one paired program."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cardd.client.answers import (
    Audit,
    AuditRow,
    Card,
    CardProgram,
    CardPrograms,
    Cards,
    Certificates,
    Client,
    Clients,
    EcpsCheck,
    Enrolment,
    Log,
    Methods,
    OpenedSession,
    Origin,
    Origins,
    Paired,
    Pairing,
    Reader,
    Readers,
    Sessions,
    SessionState,
    Status,
    StatusPageLink,
    SupportStanding,
)
from cardd.client.events import follow, parse
from cardd.client.secret_file import SecretFile
from cardd.client.session import Session
from cardd.client.transport import ANSWER_LIMIT, SOCKET, Transport, address
from cardd.errors import CarddError, ClientUnknown
from cardd.model import Event
from cardd.values import Value, asdict

PAUSE = 0.25  # seconds between two questions whether the user has accepted the pairing
ACCEPTED = 202
PENDING = "pending"
PATIENCE = 5.0  # seconds for an answer under way, when nobody waits for it any more


class Acting(Value):
    """A professional as the program knows them: national identifier with its type prefix, names, codes."""

    national_id: str
    family_name: str
    given_name: str
    profession: str | None = None
    specialty: str | None = None


class PscLogin(Value):
    """A login through Pro Santé Connect.

    ``login_hint`` is the national identifier of the person whose mobile is asked; without it, the one that the user had
    kept. ``remember_login_hint`` asks whether it may be kept. ``flow`` is ``mobile`` or ``browser``, ``channel`` PSC's
    own parameter. ``situation`` picks a situation of practice, ``ask`` has the user pick one; ``assertions`` has the
    user agree to assertions at once.
    """

    login_hint: str | None = None
    flow: str | None = None
    channel: str | None = None
    situation: str | None = None
    remember_login_hint: bool | None = None
    assertions: bool | None = None


class CarddClient:
    """An async context manager; every method raises the daemon's error, or DaemonUnreachable.

    ``base`` is the path of the daemon's Unix socket or ``http://127.0.0.1:PORT``; any address that is not this
    machine's own is refused with InvalidRequest. ``secret`` is what pairing gave; without one, the calls that only want
    to know the OS user work over the Unix socket. ``language`` (``fr``, ``en``) is that of errors. What the daemon
    answers by itself is waited for ``answer_limit`` seconds, what a person is asked first for longer.
    """

    def __init__(
        self,
        base: Path | str = SOCKET,
        secret: str | None = None,
        language: str | None = None,
        *,
        answer_limit: float = ANSWER_LIMIT,
    ) -> None:
        self.where = address(base)
        self._transport = Transport(self.where, language, secret, answer_limit=answer_limit)

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    @property
    def secret(self) -> str | None:
        """Return what pairing gave. Over TCP only a daemon that has proved that it knows the secret gets it."""
        return self._transport.secret

    # --- the daemon and its cards ---

    async def status(self) -> Status:
        """Return the daemon's version and state."""
        return await self._transport.get("/v1/status", Status)

    async def methods(self, use: str | None = None) -> Methods:
        """Return the login methods, and what each lacks; for a use the best first, with reasons.

        A use is ``lps``, ``webps``, ``establishment`` or ``medico-social``. Raises InvalidRequest for another.
        """
        wanted = f"?use={quote(use)}" if use else ""
        return await self._transport.get(f"/v1/methods{wanted}", Methods, self.secret)

    async def check_ecps(self) -> EcpsCheck:
        """Return whether a login by e-CPS could begin, without asking anybody; Unix socket only.

        Raises MethodUnavailable where none is configured, PscIncomplete, PscUnavailable and the like.
        """
        return self._transport.read(await self._transport.call("POST", "/v1/methods/ecps/check", {}), EcpsCheck)

    async def readers(self) -> tuple[Reader, ...]:
        """Return the reader slots."""
        return (await self._transport.get("/v1/readers", Readers, self.secret)).readers

    async def cards(self, *, pin: bool = False) -> tuple[Card, ...]:
        """Return the inserted cards; with ``pin`` each is asked for the state of its PIN, which costs no try."""
        path = "/v1/cards?pin=true" if pin else "/v1/cards"
        return (await self._transport.get(path, Cards, self.secret)).cards

    async def certificates(self, card: str) -> Certificates:
        """Return a card's certificates and its holder; the user is asked unless this program has logged in with it."""
        return await self._transport.get(f"/v1/cards/{quote(card, safe='')}/certificates", Certificates, self.secret)

    async def change_pin(self, card: str) -> None:
        """Have the daemon ask the user for the PIN and a new one. Raises the errors of PIN and card."""
        await self._transport.call("POST", f"/v1/cards/{quote(card, safe='')}/pin-changes", {}, bearer=self.secret)

    async def unblock_pin(self, card: str) -> None:
        """Have the daemon ask the user for the unblocking code and a new PIN. Raises the errors of PIN and card."""
        await self._transport.call("POST", f"/v1/cards/{quote(card, safe='')}/pin-unblocks", {}, bearer=self.secret)

    def events(self) -> AsyncGenerator[Event, None]:
        """Yield events without end: a lost connection is made again, and begins with ``hello`` each time."""
        return follow(self._transport, self.secret)

    # --- clients ---

    async def pair(
        self,
        name: str,
        vendor: str,
        software_id: str,
        *,
        permissions: Sequence[str] = (),
        on_code: Callable[[Pairing], None] | None = None,
    ) -> Paired:
        """Ask the user to accept this program. ``on_code`` gets the 6-digit code to show until this returns.

        ``permissions`` are what the program wants beside logins and signatures: ``psc_token``, ``sessions``. The secret
        serves the further calls of this client; keep it where only your program's user can read it. Raises
        PairingRefused, ConsentTimeout, PromptUnavailable.
        """
        body: dict[str, object] = {"name": name, "vendor": vendor, "software_id": software_id}
        body |= {"permissions": list(permissions)} if permissions else {}
        answer = await self._transport.call("POST", "/v1/clients", body, headers={"Prefer": "respond-async"})
        place = answer.headers.get("Location", "")
        if answer.status == ACCEPTED and not place.startswith("/"):
            raise self._transport.unreachable()  # a place elsewhere is not cardd's to give
        if answer.status == ACCEPTED and on_code:
            on_code(self._transport.read(answer, Pairing))
        while answer.status == ACCEPTED:
            await asyncio.sleep(PAUSE)
            answer = await self._transport.call("GET", place)
        paired = self._transport.read(answer, Paired)
        self._transport.secret = paired.client_secret
        return paired

    async def pair_once(
        self,
        name: str,
        vendor: str,
        software_id: str,
        *,
        file: SecretFile | None = None,
        permissions: Sequence[str] = (),
        on_code: Callable[[Pairing], None] | None = None,
    ) -> SecretFile:
        """Pair, unless an earlier run of this program did, and return where the secret is kept.

        The secret is in the user's own file of this ``software_id``, or in ``file``. Processes that come at the same
        time ask the user once. Over the Unix socket a program that was unpaired meanwhile is paired anew; over TCP
        that raises ClientUnknown, because another program that took the port could say so: ``forget()`` the secret
        when the user agrees. Raises what ``pair`` raises, SecretUnavailable, and SecretExposed.
        """
        file = file or SecretFile(software_id)
        secret = file.load()
        if await self._is_taken(secret):
            return file
        async with file.alone():
            another = file.load()
            if another == secret or not await self._is_taken(another):
                paired = await self.pair(name, vendor, software_id, permissions=permissions, on_code=on_code)
                file.save(paired.client_secret)
        return file

    async def _is_taken(self, secret: str | None) -> bool:
        """Return whether the daemon knows the secret, which then serves the further calls."""
        self._transport.secret = secret
        if secret is not None:
            try:
                await self.methods()
            except ClientUnknown:
                self._transport.secret = None
                if self.where.socket is None:
                    raise
        return self._transport.secret is not None

    async def clients(self) -> tuple[Client, ...]:
        """Return the paired programs and remembered origins of the asking OS user; Unix socket only."""
        return (await self._transport.get("/v1/clients", Clients)).clients

    async def remove_client(self, identifier: str, *, support_code: str | None = None) -> None:
        """Unpair a program, or forget an origin; its sessions close. By itself, or by its user on the Unix socket.

        Root may unpair another user's: with a code of support, where the workstation demands one.
        """
        path = f"/v1/clients/{quote(identifier, safe='')}"
        bearer = None if self.where.socket else self.secret
        await self._transport.call("DELETE", path, bearer=bearer, headers=_support(support_code))

    async def lock_client(self, identifier: str) -> None:
        """Keep a program out, paired as it is; its sessions close. By its user, or root, on the Unix socket."""
        await self._transport.call("POST", f"/v1/clients/{quote(identifier, safe='')}/lock", {})

    async def unlock_client(self, identifier: str, *, support_code: str | None = None) -> None:
        """Let a program in again: with a code of support, where one is demanded. Raises as ``enrol_support``."""
        path = f"/v1/clients/{quote(identifier, safe='')}/lock"
        await self._transport.call("DELETE", path, headers=_support(support_code))

    # --- web origins ---

    async def origins(self) -> tuple[Origin, ...]:
        """Return how each web origin stands with the asking OS user; Unix socket only."""
        return (await self._transport.get("/v1/origins", Origins)).origins

    async def allow_origin(self, origin: str, rights: Sequence[str] = ()) -> Origin:
        """Ask the user to let an origin in, before its page comes; Unix socket only.

        Raises OriginNotAskable, PairingRefused, ConsentTimeout, PromptUnavailable.
        """
        body: dict[str, object] = {"origin": origin, **({"rights": list(rights)} if rights else {})}
        return self._transport.read(await self._transport.call("POST", "/v1/origins", body), Origin)

    async def revoke_origin(self, origin: str, key: str | None = None) -> None:
        """Shut out an origin, or one key of it: sessions and streams end. Unix socket only. Raises ClientNotFound."""
        path = f"/v1/origins/{quote(origin, safe='')}" + (f"?key={quote(key, safe='')}" if key else "")
        await self._transport.call("DELETE", path)

    # --- programs that use the card through PKCS#11 ---

    async def programs(self) -> tuple[CardProgram, ...]:
        """Return the programs that the asking OS user let in; Unix socket only."""
        return (await self._transport.get("/v1/programs", CardPrograms)).programs

    async def revoke_program(self, path: str) -> None:
        """Shut out a program: its logins end. Unix socket only. Raises ProgramNotFound."""
        await self._transport.call("DELETE", f"/v1/programs/{quote(path, safe='')}")

    async def status_page(self) -> StatusPageLink:
        """Return an address that opens the status page once, in a browser of this OS user; Unix socket only."""
        return self._transport.read(await self._transport.call("POST", "/v1/status-page/links", {}), StatusPageLink)

    # --- for support ---

    async def audit(self) -> tuple[AuditRow, ...]:
        """Return the asking OS user's last rows of the audit log, the newest first; Unix socket only."""
        return (await self._transport.get("/v1/audit", Audit)).rows

    async def logs(self, request: str | None = None, *, masked: bool = False) -> Log:
        """Return the last lines of the daemon's log, or those of one request; Unix socket only.

        Root and the service's own user have them whole; others, and who wants that, have them masked.
        """
        query = f"?masked={'true' if masked else 'false'}" + (f"&request={quote(request, safe='')}" if request else "")
        return await self._transport.get(f"/v1/support/logs{query}", Log)

    async def metrics(self) -> str:
        """Return the daemon's metrics, in Prometheus' text format; Unix socket, root and the service's own user."""
        return (await self._transport.call("GET", "/metrics")).body.decode()

    @asynccontextmanager
    async def trace(
        self, *, masked: bool = False, full: bool = False, support_code: str | None = None
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Yield what happens, step by step (docs/support.md): exchanges with cards by lengths and status words.

        ``masked`` adds the data without what names anybody. ``full`` adds it as it is, which names the holder: for root
        and the service's own user, with a code of support where the workstation demands one. The trace ends when the
        daemon stops; Unix socket only. Raises as ``enrol_support``.
        """
        body, headers = {"full": full, "masked": masked}, _support(support_code)
        async with self._transport.stream("POST", "/v1/support/traces", body, headers=headers) as lines:
            yield parse(lines)

    # --- codes of support: Unix socket only, all but the first by root or the service's own user ---

    async def support(self) -> SupportStanding:
        """Return whether codes of support are demanded, and can be checked."""
        return await self._transport.get("/v1/support/enrolment", SupportStanding)

    async def enrol_support(self, *, support_code: str | None = None) -> Enrolment:
        """Begin to enrol the workstation; ``support_code`` is one of the enrolment that is replaced, if there is one.

        Raises SupportCodeRequired, SupportCodesOff, SupportSecretFixed, SecretStoreUnavailable and the like.
        """
        answer = await self._transport.call("POST", "/v1/support/enrolment", {}, headers=_support(support_code))
        return self._transport.read(answer, Enrolment)

    async def confirm_support(self, *, support_code: str) -> None:
        """End the enrolment with the first code that the phone shows. Raises SupportCodeWrong, SupportNotEnrolled."""
        await self._transport.call("POST", "/v1/support/enrolment/confirmation", {}, headers=_support(support_code))

    async def remove_support(self, *, support_code: str | None = None) -> None:
        """End the enrolment of the workstation. Raises as ``enrol_support``."""
        await self._transport.call("DELETE", "/v1/support/enrolment", headers=_support(support_code))

    # --- sessions ---

    async def login(
        self,
        method: str = "cpx",
        *,
        card: str | None = None,
        acting: Acting | None = None,
        situation: str | None = None,
        assertions: bool = False,
    ) -> Session:
        """Open a session; the daemon asks the user for the PIN.

        ``card`` names one where several are inserted, or is ``ask`` for the user to pick one. ``acting`` is for whom a
        program acts with its organisation's certificate (``csa``). ``situation`` picks one of the holder's situations
        of practice, and ``ask`` has the user pick one. ``assertions`` has the user agree to those now; a user who
        refuses them has no session. Raises ClientUnknown when this program is not paired, CardAmbiguous with
        the cards to name, and the errors of PIN and card.
        """
        body: dict[str, object] = {"method": method}
        body |= {"card": card} if card else {}
        body |= {"acting": asdict(acting)} if acting else {}
        body |= {"situation": situation} if situation else {}
        body |= {"assertions": True} if assertions else {}
        opened = await self._transport.post("/v1/sessions", body, OpenedSession, self.secret)
        return Session(self._transport, opened.id, opened.token, opened)

    async def login_through_psc(self, wanted: PscLogin, on_pending: Callable[[Session], None] | None = None) -> Session:
        """Open a session through Pro Santé Connect, by the mobile (e-CPS) or by the browser.

        ``on_pending`` gets the session that waits, again each time its digits change: show ``binding_message`` of its
        ``opened``, or open ``start_url`` in the browser, until this returns. With neither, the person has agreed, and a
        dialog asks for the situation of practice. Whoever stops waiting ends the login. Raises PscDenied, PscExpired
        and the like, and PushTooSoon when this person was asked a moment ago and did not agree.
        """
        body = {name: value for name, value in asdict(wanted).items() if value is not None}
        asked = asyncio.ensure_future(
            self._transport.post("/v1/sessions", {"method": "ecps", **body}, OpenedSession, self.secret)
        )
        try:
            opened = await asyncio.shield(asked)
            session = Session(self._transport, opened.id, opened.token, opened)
            await self._agreed(session, on_pending)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError, CarddError):
                opened = await asyncio.wait_for(asked, PATIENCE)
                await Session(self._transport, opened.id, opened.token).close()
            raise
        return session

    async def _agreed(self, session: Session, on_pending: Callable[[Session], None] | None) -> None:
        shown: tuple[str | None, str | None] | None = None
        while session.opened is not None and session.opened.state == PENDING:
            state = session.opened.binding_message, session.opened.authorization_url
            if on_pending and state != shown:
                shown = state
                on_pending(session)
            await asyncio.sleep(PAUSE)
            session.opened = await session.state()

    async def forget_login_hint(self) -> None:
        """Have the daemon forget the national id that the asking OS user had kept; Unix socket only."""
        await self._transport.call("DELETE", "/v1/login-hint")

    def session(self, identifier: str, token: str) -> Session:
        """Return a session that was opened before, perhaps by another process of the same user."""
        return Session(self._transport, identifier, token)

    async def sessions(self) -> tuple[SessionState, ...]:
        """Return the open sessions of the asking OS user; Unix socket only.

        Sessions of another client name nobody, unless this one was paired with the permission ``sessions``.
        """
        return (await self._transport.get("/v1/sessions", Sessions, self.secret)).sessions

    async def close_session(self, identifier: str) -> None:
        """Close a session of the asking OS user without its token; Unix socket only."""
        await self._transport.call("DELETE", f"/v1/sessions/{quote(identifier, safe='')}")


def _support(code: str | None) -> dict[str, str]:
    return {"Cardd-Support-Code": code} if code else {}
