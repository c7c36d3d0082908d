"""Where and as what a professional works: PSC's exercices and their activities, passed through as they are.

PSC chooses none: where there are several, the application lets the person pick. Codes are those of ANS's tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardd.oidc.fields import JsonObject, objects, text

VALUE_MAX = 512


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity of an exercice; None for what PSC leaves out or empty."""

    mode: str | None = None
    sector: str | None = None
    pharmacist_section: str | None = None
    role: str | None = None
    kind: str | None = None
    finess: str | None = None
    siret: str | None = None
    siren: str | None = None
    structure: str | None = None
    former_structure: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Practice:
    """One exercice: a profession, the name it is practised under, a specialty, and its activities."""

    profession: str | None = None
    category: str | None = None
    title: str | None = None
    family_name: str | None = None
    given_name: str | None = None
    expertise_kind: str | None = None
    expertise: str | None = None
    activities: tuple[Activity, ...] = ()


def read_practices(reference: JsonObject) -> tuple[Practice, ...]:
    """The ``exercices`` of ``SubjectRefPro``. Raises PscGarbled; what is unknown is ignored."""
    return tuple(_practice(entry) for entry in objects(reference, "exercices"))


def _practice(entry: JsonObject) -> Practice:
    activities = tuple(_activity(found) for found in objects(entry, "activities"))
    return Practice(
        profession=text(entry, "codeProfession", VALUE_MAX),
        category=text(entry, "codeCategorieProfessionnelle", VALUE_MAX),
        title=text(entry, "codeCiviliteDexercice", VALUE_MAX),
        family_name=text(entry, "nomDexercice", VALUE_MAX),
        given_name=text(entry, "prenomDexercice", VALUE_MAX),
        expertise_kind=text(entry, "codeTypeSavoirFaire", VALUE_MAX),
        expertise=text(entry, "codeSavoirFaire", VALUE_MAX),
        activities=activities,
    )


def _activity(entry: JsonObject) -> Activity:
    return Activity(
        mode=text(entry, "codeModeExercice", VALUE_MAX),
        sector=text(entry, "codeSecteurDactivite", VALUE_MAX),
        pharmacist_section=text(entry, "codeSectionPharmacien", VALUE_MAX),
        role=text(entry, "codeRole", VALUE_MAX),
        kind=text(entry, "codeGenreActivite", VALUE_MAX),
        finess=text(entry, "numeroFinessSite", VALUE_MAX),
        siret=text(entry, "numeroSiretSite", VALUE_MAX),
        siren=text(entry, "numeroSirenSite", VALUE_MAX),
        structure=text(entry, "identifiantTechniqueDeLaStructure", VALUE_MAX),
        former_structure=text(entry, "ancienIdentifiantDeLaStructure", VALUE_MAX),
        name=text(entry, "raisonSocialeSite", VALUE_MAX),
    )
