"""One session of this client, which signs and authenticates with one card until it is closed or ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

import aiohttp

from cardd.client.answers import (
    Assertion,
    AuthToken,
    HandedOver,
    PscToken,
    SessionState,
    Signature,
    Signatures,
    Upstreams,
)
from cardd.client.transport import Sent, Transport
from cardd.client.tunnel import Tunnel
from cardd.errors import CarddError, SessionError
from cardd.values import Value, asdict, field

PIECE = 1024 * 1024

JsonBody = dict[str, "str | bytes | int | JsonBody | list[JsonBody]"]

Form = Mapping[str, "str | bytes | int | JsonBody | list[JsonBody]"]


class ToSign(Value):
    """One thing to sign: its name, which the user is shown, and what it is.

    One of the document, its SHA-256 digest, and the identifier of a document that was handed over is given. ``patient``
    is shown too, when it is given. ``form`` is the format and its choices, as in the API: ``{"format": "cades",
    "detached": True}``; a raw signature without.
    """

    name: str
    document: bytes | None = None
    digest: bytes | None = None
    patient: str | None = None
    document_id: str | None = None
    form: Form = field(default_factory=dict)


class Lps(Value):
    """The practice software as registered for the DMP; ``homologation`` is LPS_ID_HOMOLOGATION_DMP."""

    name: str
    homologation: str
    version: str | None = None
    installation: str | None = None


class Vihf(Value):
    """What a VIHF is for. ``patient`` is the INS with its key and its OID; ``access`` also bris_de_glace, centre_15.

    ``role`` is for a person without profession, ``section`` a pharmacist's that card and login do not tell, ``sector``
    and ``means`` for a session of the organisation's certificate.
    """

    patient: tuple[str, str] | None = None
    access: str = "normal"
    secret: bool = False
    role: str | None = None
    section: str | None = None
    sector: str | None = None
    means: str | None = None


class Session:
    """One open session. ``id`` and ``token`` are all that another process of the same user needs to use it.

    ``async with`` logs out at its end.
    """

    def __init__(self, transport: Transport, identifier: str, token: str, state: SessionState | None = None) -> None:
        self.id = identifier
        self.token = token
        self.opened = state
        self._transport = transport
        self._path = f"/v1/sessions/{quote(identifier, safe='')}"

    async def state(self) -> SessionState:
        """Return how the session stands. Raises SessionUnknown, SessionExpired, SessionClosed."""
        return await self._transport.get(self._path, SessionState, self.token)

    async def sign(
        self,
        name: str,
        *,
        document: bytes | None = None,
        digest: bytes | None = None,
        patient: str | None = None,
        batch: tuple[str, int] | None = None,
        form: Form | None = None,
    ) -> Signature:
        """Sign one document, or its SHA-256 digest, once the user agrees; raw unless ``form`` names a format.

        ``batch``, a name and a count, has one consent serve that many signatures over several calls. Raises the
        errors of consent, PIN, card and session.
        """
        body = _item(ToSign(name, document, digest, patient, form=form or {})) | _batch(batch)
        return await self._transport.post(f"{self._path}/signatures", body, Signature, self.token)

    async def sign_many(self, items: Iterable[ToSign], *, batch: tuple[str, int] | None = None) -> list[Signature]:
        """Sign up to 1000 things under one consent, all or none; return the signatures in the order of the items."""
        body: JsonBody = {"signatures": [_item(item) for item in items], **_batch(batch)}
        answer = await self._transport.post(f"{self._path}/signatures", body, Signatures, self.token)
        return list(answer.signatures)

    async def hand_over(self, content: BinaryIO) -> HandedOver:
        """Have the session hold a document for ten minutes, read from the file's present position; 100 MiB at most.

        A signature may name the document, and is then held too, for ``fetch``. Raises BodyTooLarge, DocumentsFull.
        """
        return await self._transport.upload(f"{self._path}/documents", content, HandedOver, self.token)

    async def fetch(self, document_id: str, into: BinaryIO) -> None:
        """Write a document that the session holds to a file. Raises DocumentUnknown, DaemonUnreachable."""
        async with self._transport.stream("GET", self._document(document_id), bearer=self.token) as content:
            async for piece in content.iter_chunked(PIECE):
                into.write(piece)

    async def drop(self, document_id: str) -> None:
        """Have the session forget a document. Raises DocumentUnknown."""
        await self._transport.call("DELETE", self._document(document_id), bearer=self.token)

    def _document(self, document_id: str) -> str:
        return f"{self._path}/documents/{quote(document_id, safe='')}"

    async def auth_token(self, nonce: str) -> AuthToken:
        """Return a web-eid:1.0 token for a server's nonce (256 random bits or more, as text), bound to this client."""
        return await self._transport.post(f"{self._path}/auth-tokens", {"nonce": nonce}, AuthToken, self.token)

    async def vihf(self, lps: Lps, wanted: Vihf) -> Assertion:
        """Return an assertion for the DMP.

        Raises AssertionRefused, each reason its class, SituationUnknown, ConsentRefused, the errors of PIN and card.
        """
        body = {"type": "vihf", "lps": _given(lps), **_given(wanted)}
        if wanted.patient:
            body["patient"] = dict(zip(("ins", "oid"), wanted.patient, strict=True))
        return await self._transport.post(f"{self._path}/assertions", body, Assertion, self.token)

    async def insi(self, lps: Lps, billing: str, specialty: str | None = None) -> Assertion:
        """Return an assertion for INSi; ``specialty`` is the Assurance Maladie's code of a doctor.

        Raises what ``vihf`` raises.
        """
        body = {"type": "insi", "lps": _given(lps), "billing": billing}
        body |= {"specialty": specialty} if specialty else {}
        return await self._transport.post(f"{self._path}/assertions", body, Assertion, self.token)

    async def upstreams(self) -> tuple[str, ...]:
        """Return the names of the servers that ``relay`` reaches."""
        found = await self._transport.get(f"{self._path}/upstreams", Upstreams, self.token)
        return found.upstreams

    def relay(
        self, upstream: str, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Sent = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask a configured server, with this session's certificate; ``path`` is encoded, with its query.

        The answer is the server's where it has the header ``Cardd-Upstream``, else a problem of cardd's. Its body is
        read inside the ``async with``, and is not decoded. Raises DaemonUnreachable, DaemonUnproven.
        """
        place = f"{self._path}/upstreams/{quote(upstream, safe='')}{path}"
        return self._transport.relay(method, place, headers or {}, body, self.token)

    async def tunnels(self) -> tuple[str, ...]:
        """Return the names of the servers that ``tunnel`` reaches."""
        found = await self._transport.get(f"{self._path}/upstreams", Upstreams, self.token)
        return found.tunnels

    def tunnel(self, upstream: str) -> AbstractAsyncContextManager[Tunnel]:
        """Open a raw connection to a configured server, with this session's certificate, inside the ``async with``.

        Raises DaemonUnreachable, DaemonUnproven, what is wrong with the session or the name, TooManyRequests; what else
        is wrong, ``Tunnel.read`` raises.
        """
        return self._transport.tunnel(f"{self._path}/tunnels/{quote(upstream, safe='')}", self.token)

    async def push_again(self) -> SessionState:
        """Have the mobile woken once more, with new digits. Raises PushTooSoon, PscFlowUnavailable."""
        return await self._transport.post(f"{self._path}/pushes", {}, SessionState, self.token)

    async def situate(self, situation: str) -> SessionState:
        """Have the person act in this situation of practice from now on. Raises SituationUnknown."""
        return await self._transport.post(f"{self._path}/situation", {"id": situation}, SessionState, self.token)

    async def psc_token(self, api: str | None = None) -> PscToken:
        """Return PSC's access token, or one for an API that the configuration names. Raises PermissionMissing."""
        body: JsonBody = {"api": api} if api else {}
        return await self._transport.post(f"{self._path}/psc-token", body, PscToken, self.token)

    async def close(self) -> None:
        """Log out: the PIN is forgotten and the card de-authenticated when this returns."""
        await self._transport.call("DELETE", self._path, bearer=self.token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log out; a session that has ended meanwhile is no error, nor is what keeps from it after an exception."""
        with suppress(SessionError if kind is None else CarddError):
            await self.close()

    def __repr__(self) -> str:
        return f"<Session {self.id}>"


def _given(values: Lps | Vihf) -> dict[str, object]:
    return {name: value for name, value in asdict(values).items() if value is not None}


def _item(item: ToSign) -> JsonBody:
    values = {
        "digest": item.digest,
        "document": item.document,
        "document_id": item.document_id,
        "patient": item.patient,
    }
    given: JsonBody = {name: value for name, value in values.items() if value is not None}
    return {"document_name": item.name, **given, **item.form}


def _batch(batch: tuple[str, int] | None) -> JsonBody:
    return {"batch": {"name": batch[0], "count": batch[1]}} if batch else {}
