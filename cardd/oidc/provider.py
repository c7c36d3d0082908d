"""One service at one OpenID provider: what every way to log in has in common.

``ciba``, ``code_flow``, ``renewal`` and ``logout`` are functions that take a ``Provider``.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from yarl import URL

from cardd.errors import PscGarbled, PscNoCiba, PscOtherPerson, PscUnavailable
from cardd.http import Connectors
from cardd.oidc.client_auth import ClientAuthentication, Credentials
from cardd.oidc.discovery import ENDPOINTS, Discovery, ProviderSettings
from cardd.oidc.fields import JsonObject, parse
from cardd.oidc.http import Form, Http, Refusal, refusal_of
from cardd.oidc.signed import Binding, IdToken, KeySet, check_id_token
from cardd.oidc.tokens import TokenSet, read_tokens
from cardd.oidc.userinfo import Person, read_userinfo
from cardd.ports import Clock
from cardd.secret import overwrite


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded: its tokens, what the ID token says, and the person."""

    tokens: TokenSet
    id_token: IdToken
    person: Person


class Provider:
    """Made once for a configuration, and used by all its logins; ``close`` gives its connections back.

    ``tls`` and ``connectors`` as in ``HttpClient``: with a client certificate where ``authentication.mtls`` is set.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        authentication: ClientAuthentication,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        *,
        connectors: Connectors | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.http = Http(tls, connectors=connectors)
        self.discovery = Discovery(settings, self.http, clock)
        self.keys = KeySet(self._fetch_keys, clock)
        self._authentication = authentication

    async def close(self) -> None:
        """Give the connections back. Cancel first what still waits: it would find nobody there."""
        await self.http.close()

    async def endpoint(self, name: str) -> str:
        """Return an address by its short name (``ENDPOINTS``). Raises PscNoCiba, PscGarbled, what discovery raises."""
        metadata = await self.discovery.metadata()
        address = metadata.endpoint(name, mtls=self._authentication.mtls)
        if address is None:
            raise PscNoCiba if name == "ciba" else PscGarbled(what=ENDPOINTS[name])
        return address

    async def ask(self, endpoint: str, form: Form) -> JsonObject | Refusal:
        """Send a form with the service's credentials, once. ``endpoint`` is an address.

        Raises PscUnavailable, PscGarbled, PscCertificate, PscClientRefused.
        """
        return await self._send(
            endpoint, form, await self._authentication.credentials(self.settings.issuer, self._now())
        )

    async def ask_elsewhere(self, address: str, form: Form) -> JsonObject | Refusal:
        """Send a form to another server, without anything that would be good at the provider. Raises as ``ask``."""
        return await self._send(address, form, await self._authentication.elsewhere(address, self._now()))

    async def redeem(self, form: Form) -> TokenSet | Refusal:
        """Ask the token endpoint for tokens. Raises what ``ask`` raises."""
        answer = await self.ask(await self.endpoint("token"), form)
        return answer if isinstance(answer, Refusal) else read_tokens(answer, self.clock)

    async def complete(self, tokens: TokenSet, binding: Binding, national_id: str | None) -> Login:
        """Validate what was redeemed and learn who it is; ``national_id`` is who it must be, None for anyone.

        Raises the PscToken… errors, PscUserinfoSubject, PscOtherPerson, PscGarbled, PscUnavailable.
        """
        told = await self.check(tokens, binding)
        person = await self._person(tokens, told.subject)
        if national_id is not None and person.identity.national_id != national_id:
            raise PscOtherPerson
        return Login(tokens, told, person)

    async def resume(self, tokens: TokenSet, national_id: str) -> Login:
        """Validate what a refresh brought after a restart, for the person who logged in before. Raises as ``complete``.

        A refresh may bring no ID token (OpenID Connect Core 12.2): userinfo alone tells then who it is.
        """
        if tokens.id_token is not None:
            return await self.complete(tokens, Binding(), national_id)
        person = await self._person(tokens, None)
        if person.identity.national_id != national_id:
            raise PscOtherPerson
        return Login(tokens, IdToken(person.subject, None), person)

    async def check(self, tokens: TokenSet, binding: Binding) -> IdToken:
        """Validate the ID token. Raises the PscToken… errors, PscGarbled without one."""
        if tokens.id_token is None:
            raise PscGarbled(what="id_token")
        return await check_id_token(
            tokens.id_token, tokens.access, binding, settings=self.settings, keys=self.keys, now=self._now()
        )

    async def _send(self, address: str, form: Form, shown: Credentials) -> JsonObject | Refusal:
        try:
            answer = await self.http.post(address, {**form, **shown.form}, shown.headers)
        finally:
            for value in shown.headers.values():
                overwrite(value)
        found = parse(answer.body, "answer") if answer.status == 200 else refusal_of(answer)
        overwrite(answer.body)
        return found

    async def _person(self, tokens: TokenSet, subject: str | None) -> Person:
        endpoint = await self.endpoint("userinfo")
        with tokens.access.lent() as access:
            bearer = {"Authorization": f"Bearer {access}"}
        try:
            answer = await self.http.get(endpoint, bearer)
        finally:
            overwrite(bearer["Authorization"])
        return await read_userinfo(answer, subject, self.settings, self.keys, self._now())

    def _now(self) -> float:
        return self.clock.now().timestamp()

    async def _fetch_keys(self) -> JsonObject:
        address = await self.endpoint("jwks")
        answer = await self.http.get(address)
        if answer.status != 200:
            raise PscUnavailable(host=URL(address).host or "")
        return parse(answer.body, "jwks")
