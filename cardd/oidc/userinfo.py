"""Who logged in, as PSC's userinfo tells it: as JSON, or as a signed token (OpenID Connect Core 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from cardd.errors import (
    PscGarbled,
    PscRequestRefused,
    PscSessionOver,
    PscUserinfoSubject,
)
from cardd.http import HttpAnswer
from cardd.model import Identity, Situation, shown
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.fields import JsonObject, objects, parse, text
from cardd.oidc.signed import KeySet, check_audience, check_issuer, check_times, verify

TOKEN = "userinfo"  # noqa: S105 - its name
SIGNED = "application/jwt"
VALUE_MAX = 512


@dataclass(frozen=True, slots=True)
class Person:
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
    """``identifier`` is the exercice's place and the activity's. PSC chooses none: the person picks one."""
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
    told = {value for key in ("preferred_username", "SubjectNameID") if (value := text(claims, key, VALUE_MAX))}
    if len(told) != 1 or told != {shown(value) for value in told}:
        raise PscGarbled(what="SubjectNameID")
    return told.pop()
