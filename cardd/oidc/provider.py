"""One service at one OpenID provider: what every way to log in has in common, and who the provider says it is.

``ciba``, ``code_flow``, ``renewal`` and ``logout`` are functions that take a ``Provider``. Userinfo is believed for the
subject of the ID token alone (OpenID Connect Core 5.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import ssl

from yarl import URL

from cardd.errors import (
    CarddError,
    PscClientRefused,
    PscGarbled,
    PscNoCiba,
    PscOtherPerson,
    PscRequestRefused,
    PscSessionOver,
    PscUnavailable,
    PscUserinfoSubject,
)
from cardd.http import Connectors, HttpAnswer
from cardd.model import Identity, Situation, shown
from cardd.oidc.client_auth import ClientAuthentication, Credentials
from cardd.oidc.discovery import ENDPOINTS, Discovery, ProviderSettings
from cardd.oidc.http import CIBA_GRANT, PATIENT, Form, Http, Patience, Refusal, refusal_of
from cardd.oidc.signed import (
    Binding,
    IdToken,
    KeySet,
    check_audience,
    check_id_token,
    check_issuer,
    check_times,
    verify,
)
from cardd.oidc.tokens import JsonObject, TokenSet, objects, parse, read_tokens, text
from cardd.outward import DIRECT, Outward
from cardd.ports import Clock
from cardd.secret import overwrite
from cardd.values import Value, replace

TOKEN = "userinfo"  # noqa: S105 - its name
SIGNED = "application/jwt"
VALUE_MAX = 512
TECHNICAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Login(Value):
    """A login that succeeded: its tokens, what the ID token says, and the person."""

    tokens: TokenSet
    id_token: IdToken
    person: Person


class Provider:
    """Made once for a configuration, and used by all its logins; ``close`` gives its connections back.

    ``tls``, ``connectors`` and ``outward`` as in ``HttpClient``: with a client certificate where
    ``authentication.mtls`` is set.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        authentication: ClientAuthentication,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        *,
        connectors: Connectors | None = None,
        outward: Outward = DIRECT,
        patience: Patience = PATIENT,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.http = Http(tls, connectors=connectors, outward=outward, patience=patience)
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

    async def prove(self) -> None:
        """Have the provider judge this service's credentials, and whether it may log in by mobile. Nobody is woken.

        What never was is redeemed: a provider looks at who asks before it looks for what. Raises PscClientRefused,
        PscNoCiba, and what ``ask`` raises.
        """
        is_mobile = (await self.discovery.metadata()).endpoint("ciba") is not None
        grant, field = (CIBA_GRANT, "auth_req_id") if is_mobile else ("refresh_token", "refresh_token")
        never = {"grant_type": grant, field: secrets.token_urlsafe(24)}
        answer = await self.ask(await self.endpoint("token"), never)
        if isinstance(answer, Refusal):
            told = answer.as_start_error()
            if isinstance(told, PscClientRefused) or (is_mobile and isinstance(told, PscNoCiba)):
                raise told

    async def redeem(self, form: Form) -> TokenSet | Refusal:
        """Ask the token endpoint for tokens. Raises what ``ask`` raises."""
        answer = await self.ask(await self.endpoint("token"), form)
        return answer if isinstance(answer, Refusal) else read_tokens(answer, self.clock)

    async def complete(self, tokens: TokenSet, binding: Binding, national_id: str | None) -> Login:
        """Validate what was redeemed and learn who it is; ``national_id`` is who it must be, None for anyone.

        A login that is refused, or given up meanwhile, is ended at the provider.

        Raises the PscToken… errors, PscUserinfoSubject, PscOtherPerson, PscGarbled, PscUnavailable.
        """
        try:
            return await self._completed(tokens, binding, national_id)
        except BaseException:
            with contextlib.suppress(CarddError):
                await asyncio.shield(self.log_out(tokens))
            raise

    async def resume(self, tokens: TokenSet, national_id: str) -> Login:
        """Validate what a refresh brought after a restart, for the person who logged in before. Raises as ``complete``.

        What fails may pass, so nothing is ended here. A refresh may bring no ID token (OpenID Connect Core 12.2):
        userinfo alone tells then who it is.
        """
        if tokens.id_token is not None:
            return await self._completed(tokens, Binding(), national_id)
        person = await self._person(tokens, None)
        if person.identity.national_id != national_id:
            raise PscOtherPerson
        return Login(tokens, IdToken(person.subject, None), person)

    async def log_out(self, tokens: TokenSet) -> bool:
        """End the session of a login by mobile (RP-Initiated Logout 1.0).

        Return False where the provider has no such address, or there is no ID token. Raises PscRequestRefused,
        PscUnavailable, PscCertificate, and what discovery raises.
        """
        address = (await self.discovery.metadata()).endpoint("end_session")
        if address is None or tokens.id_token is None:
            return False
        form: Form = {"id_token_hint": tokens.id_token, "client_id": self.settings.client_id}
        answer = await self.http.post(address, form)
        if answer.status >= 400:
            raise PscRequestRefused(error=f"HTTP {answer.status}")
        return True

    async def check(self, tokens: TokenSet, binding: Binding) -> IdToken:
        """Validate the ID token. Raises the PscToken… errors, PscGarbled without one."""
        if tokens.id_token is None:
            raise PscGarbled(what="id_token")
        return await check_id_token(
            tokens.id_token, tokens.access, binding, settings=self.settings, keys=self.keys, now=self._now()
        )

    async def _completed(self, tokens: TokenSet, binding: Binding, national_id: str | None) -> Login:
        told = await self.check(tokens, binding)
        person = await self._person(tokens, told.subject)
        if national_id is not None and person.identity.national_id != national_id:
            raise PscOtherPerson
        return Login(tokens, told, person)

    async def _send(self, address: str, form: Form, shown: Credentials) -> JsonObject | Refusal:
        try:
            answer = await self.http.post(address, {**form, **shown.form}, shown.headers)
        finally:
            for value in shown.headers.values():
                overwrite(value)
        found = parse(answer.body, "answer") if answer.status == 200 else refusal_of(answer)
        if isinstance(found, Refusal):
            found = replace(found, secret_of=self._authentication.secret_of)
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
            raise PscUnavailable(host=URL(address).host or "", reason=f"HTTP {answer.status}")
        return parse(answer.body, "jwks")


class Person(Value):
    """Who logged in: one situation of practice for each activity, and for an exercice without any.

    ``identity`` has the profession only where there is one exercice. ``auth_mode`` is how the person logged in at PSC.
    """

    subject: str
    identity: Identity
    situations: tuple[Situation, ...] = ()
    auth_mode: str | None = None


async def read_userinfo(
    answer: HttpAnswer, subject: str | None, settings: ProviderSettings, keys: KeySet, now: float
) -> Person:
    """Return the person behind the endpoint's answer; ``now`` is in seconds since 1970.

    ``subject`` is the ID token's, None where there is none to compare with.

    Raises PscUserinfoSubject, PscSessionOver (401), PscRequestRefused, PscGarbled, and the PscToken… errors.
    """
    if answer.status == 401:
        raise PscSessionOver
    if answer.status != 200:
        raise PscRequestRefused(error=f"HTTP {answer.status}")
    claims = await _claims(answer, settings, keys, now)
    told = claims.get("sub")
    if not isinstance(told, str) or told != (subject or told):
        raise PscUserinfoSubject
    return read_person(claims, told)


async def _claims(answer: HttpAnswer, settings: ProviderSettings, keys: KeySet, now: float) -> JsonObject:
    if answer.media_type != SIGNED:
        return parse(answer.body, TOKEN)
    try:
        raw = answer.body.decode("ascii")
    except UnicodeDecodeError:
        raise PscGarbled(what=TOKEN) from None
    claims = (await verify(raw, keys, TOKEN)).claims
    check_issuer(claims, settings.issuer, TOKEN)
    check_audience(claims, settings.client_id, TOKEN)
    check_times(claims, now, settings.skew, TOKEN, required=False)
    return claims


def read_person(claims: JsonObject, subject: str) -> Person:
    """Return PSC's claims as values; unknown ones are ignored. Raises PscGarbled without one clear national id."""
    reference = claims.get("SubjectRefPro")
    reference = reference if isinstance(reference, dict) else {}
    practices = objects(reference, "exercices")
    situations = tuple(
        _situation(f"{number}.{place}", practice, activity)
        for number, practice in enumerate(practices, 1)
        for place, activity in enumerate(objects(practice, "activities") or [{}], 1)
    )
    identity = Identity(
        national_id=_national_id(claims),
        family_name=_value(claims, "family_name") or "",
        given_name=_value(claims, "given_name") or "",
        title=_value(reference, "codeCivilite"),
    )
    return Person(
        subject,
        situations[0].applied_to(identity) if len(practices) == 1 else identity,
        situations,
        _value(claims, "authMode"),
    )


def _situation(identifier: str, practice: JsonObject, activity: JsonObject) -> Situation:
    """Return one situation; ``identifier`` is the places of exercice and activity in userinfo. The person picks one."""
    return Situation(
        id=identifier,
        profession=_value(practice, "codeProfession"),
        specialty=_value(practice, "codeSavoirFaire"),
        title=_value(practice, "codeCiviliteDexercice"),
        section=_value(activity, "codeSectionPharmacien"),
        sector=_value(activity, "codeSecteurDactivite"),
        mode=_value(activity, "codeModeExercice"),
        role=_value(activity, "codeRole"),
        structure=_value(activity, "ancienIdentifiantDeLaStructure"),
        technical_structure=_value(activity, "identifiantTechniqueDeLaStructure"),
        structure_name=_value(activity, "raisonSocialeSite"),
        finess=_value(activity, "numeroFinessSite"),
        siret=_value(activity, "numeroSiretSite"),
        siren=_value(activity, "numeroSirenSite"),
    )


def _value(claims: JsonObject, name: str) -> str | None:
    """Return a claim that people are shown."""
    found = text(claims, name, VALUE_MAX)
    return shown(found).strip() if found else None


def _national_id(claims: JsonObject) -> str:
    """Return the national id. ``sub`` had it until 2026, when it became a UUID: the other two alone are read.

    A ``preferred_username`` that is a technical identifier too says nothing; ``PSISubjectNameID`` is another one.
    """
    named = {value for key in ("preferred_username", "SubjectNameID") if (value := text(claims, key, VALUE_MAX))}
    told = {value for value in named if not TECHNICAL.fullmatch(value)}
    if len(told) != 1 or told != {shown(value) for value in told}:
        raise PscGarbled(what="SubjectNameID")
    return told.pop()
