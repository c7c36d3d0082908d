"""Who logged in, as PSC's userinfo tells it: as JSON, or as a signed token (OpenID Connect Core 5.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cardd.errors import (
    PscGarbled,
    PscRequestRefused,
    PscSessionOver,
    PscUserinfoSubject,
)
from cardd.http import HttpAnswer
from cardd.model import Identity
from cardd.oidc.fields import JsonObject, objects, parse, required, text, texts
from cardd.oidc.jwks import KeySet
from cardd.oidc.practice import Practice, read_practices
from cardd.oidc.settings import ProviderSettings
from cardd.oidc.signed import check_audience, check_issuer, check_times, verify

TOKEN = "userinfo"  # noqa: S105 - its name
SIGNED = "application/jwt"
VALUE_MAX = 512


@dataclass(frozen=True, slots=True)
class OtherId:
    """Another identifier of the same person, and who gave it."""

    identifier: str
    origin: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """The person and everything that PSC says of them; None or empty for what it leaves out.

    ``identity`` has the profession only where there is one exercice; ``identity_in`` fills it for a chosen one.
    """

    subject: str
    identity: Identity
    practices: tuple[Practice, ...] = ()
    auth_mode: str | None = None
    assurance: str | None = None
    sector: str | None = None
    organization: str | None = None
    organization_id: str | None = None
    roles: tuple[str, ...] = ()
    regulation: str | None = None
    access_reason: str | None = None
    other_ids: tuple[OtherId, ...] = ()

    def identity_in(self, practice: Practice) -> Identity:
        """The identity with the profession, specialty and title of this exercice."""
        identity = self.identity
        return replace(
            identity,
            title=practice.title or identity.title,
            profession=practice.profession,
            specialty=practice.expertise,
        )


async def read_userinfo(
    answer: HttpAnswer, subject: str, settings: ProviderSettings, keys: KeySet, now: float
) -> Person:
    """The person behind the endpoint's answer, who must be the ID token's ``subject``; ``now`` in seconds since 1970.

    Raises PscUserinfoSubject, PscSessionOver (401), PscRequestRefused, PscGarbled, and the PscToken… errors.
    """
    if answer.status == 401:
        raise PscSessionOver
    if answer.status != 200:
        raise PscRequestRefused(error=f"HTTP {answer.status}")
    claims = await _claims(answer, settings, keys, now)
    if claims.get("sub") != subject:
        raise PscUserinfoSubject
    return read_person(claims, subject)


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
    """PSC's claims as values; unknown ones are ignored. Raises PscGarbled without one clear national id."""
    reference = claims.get("SubjectRefPro")
    reference = reference if isinstance(reference, dict) else {}
    practices = read_practices(reference)
    person = Person(
        subject=subject,
        identity=Identity(
            national_id=_national_id(claims),
            family_name=text(claims, "family_name", VALUE_MAX) or "",
            given_name=text(claims, "given_name", VALUE_MAX) or "",
            title=text(reference, "codeCivilite", VALUE_MAX),
        ),
        practices=practices,
        auth_mode=text(claims, "authMode", VALUE_MAX),
        assurance=text(claims, "Palier_Authentification", VALUE_MAX),
        sector=text(claims, "Secteur_Activite", VALUE_MAX),
        organization=text(claims, "SubjectOrganization", VALUE_MAX),
        organization_id=text(claims, "SubjectOrganizationID", VALUE_MAX),
        roles=texts(claims, "SubjectRole"),
        regulation=text(claims, "Acces_Regulation_Medicale", VALUE_MAX),
        access_reason=text(claims, "Mode_Acces_Raison", VALUE_MAX),
        other_ids=tuple(_other_id(entry) for entry in objects(claims, "otherIds")),
    )
    return replace(person, identity=person.identity_in(practices[0])) if len(practices) == 1 else person


def _national_id(claims: JsonObject) -> str:
    told = {value for key in ("preferred_username", "SubjectNameID") if (value := text(claims, key, VALUE_MAX))}
    if len(told) != 1:
        raise PscGarbled(what="SubjectNameID")
    return told.pop()


def _other_id(entry: JsonObject) -> OtherId:
    return OtherId(required(entry, "identifiant", VALUE_MAX), text(entry, "origine", VALUE_MAX))
