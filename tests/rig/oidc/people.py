"""Fictitious professionals, with the userinfo of ANS's test environment: some as in 2023, some as in 2026."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from cardd.model import JsonValue

ACTIVITY: dict[str, JsonValue] = {
    "codeModeExercice": "L",
    "codeSecteurDactivite": "SA07^1.2.250.1.71.4.2.4",
    "codeSectionPharmacien": "",
    "codeRole": "",
    "codeGenreActivite": "GENR01",
    "numeroFinessSite": "990000001",
    "numeroSiretSite": "",
    "numeroSirenSite": "",
    "identifiantTechniqueDeLaStructure": "R99700000001",
    "raisonSocialeSite": "CABINET SIMULATION",
}
PRACTICE: dict[str, JsonValue] = {
    "codeProfession": "10",
    "codeCategorieProfessionnelle": "C",
    "codeCiviliteDexercice": "DR",
    "nomDexercice": "SIMULATION",
    "prenomDexercice": "ALICE",
    "codeTypeSavoirFaire": "S",
    "codeSavoirFaire": "SM26",
    "activities": [ACTIVITY],
}


def person(national_id: str, given_name: str, *practices: JsonValue, **more: JsonValue) -> dict[str, JsonValue]:
    """The userinfo of one of them as in 2023, when the subject had the national id in it."""
    return {
        "sub": f"f:00000000-0000-4000-8000-000000000000:{national_id}",
        "preferred_username": national_id,
        "SubjectNameID": national_id,
        "given_name": given_name,
        "family_name": "SIMULATION",
        "UITVersion": "1.0",
        "Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1",
        "Secteur_Activite": "SA07^1.2.250.1.71.4.2.4",
        "SubjectOrganization": "CABINET SIMULATION",
        "SubjectOrganizationID": "R99700000001",
        "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"],
        "Acces_Regulation_Medicale": "FAUX",
        "otherIds": [{"identifiant": national_id, "origine": "RPPS", "qualite": 1}],
        "SubjectRefPro": {"codeCivilite": "M", "exercices": list(practices or [PRACTICE])},
        **more,
    }


def person_of_2026(national_id: str, given_name: str, *practices: JsonValue, **more: JsonValue) -> dict[str, JsonValue]:
    """The userinfo of one of them as in 2026, when the subject is a UUID that says nothing."""
    later: dict[str, JsonValue] = {
        "sub": str(uuid5(NAMESPACE_URL, f"simulation:{national_id}")),
        "PSISubjectNameID": "",  # of who has no Pro Santé Identité
        "sid": str(uuid5(NAMESPACE_URL, f"session:{national_id}")),
        "auth_level": "eidas1",
    }
    return person(national_id, given_name, *practices, **later, **more)


CABINET = "499700000013001"  # Struct_IdNat
ALICE = "899700000005"
BOB = "899700000001"
EVE = "899700000021"  # whose name is made to be obeyed by a terminal
CLAIRE = "899700000013"  # whose RPPS number has the right last digit, as an assertion wants it
PEOPLE = [
    person(ALICE, "ALICE"),
    person_of_2026(
        BOB,
        "BOB",
        {**PRACTICE, "activities": [ACTIVITY, {**ACTIVITY, "codeModeExercice": "S"}]},
        {**PRACTICE, "codeProfession": "21"},
    ),
    person_of_2026(
        CLAIRE, "CLAIRE", {**PRACTICE, "activities": [{**ACTIVITY, "ancienIdentifiantDeLaStructure": CABINET}]}
    ),
    person(EVE, "EVE\x1b[2J\x1b]0;owned\x07\u202e\x9b31m"),
]
