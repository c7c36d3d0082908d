"""Who can log in: fictitious professionals, built in or from a file of the user's (TOML).

``[[people]]`` has national_id and given_name, and either profession, specialty or section and ``[[people.places]]``, or
several ``[[people.practices]]`` with these; a place has name, structure (Struct_IdNat) and sector. ``psi`` is the
identifier (a UUID) of who has activated Pro Santé Identité.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from cardd.errors import InvalidRequest

Userinfo = dict[str, object]
Table = Mapping[str, object]

SECTORS = "1.2.250.1.71.4.2.4"
SUBJECT = "f:00000000-0000-4000-8000-000000000000:{national_id}"  # in 2023
PAYLOADS = ("2026", "2023")
BUILT_IN: Sequence[Table] = (
    {"national_id": "899700000005", "given_name": "ALICE", "psi": "0b6e2c1e-6f7a-4d0e-9a59-3d5c2b7e9f01",
     "profession": "10", "specialty": "SM26",
     "places": [{"name": "CABINET SIMULATION", "structure": "499700000000001", "sector": "SA07"}]},
    {"national_id": "899700000013", "given_name": "CLAIRE", "practices": [
        {"profession": "10", "specialty": "SM54", "places": [
            {"name": "CABINET SIMULATION", "structure": "499700000013001", "sector": "SA07"},
            {"name": "CENTRE HOSPITALIER SIMULATION", "structure": "1990000007", "sector": "SA01"}]},
        {"profession": "21", "section": "A", "places": [
            {"name": "PHARMACIE SIMULATION", "structure": "1990000003", "sector": "SA33"}]}]},
    {"national_id": "899700000021", "given_name": "DENIS", "profession": "21", "section": "A",
     "places": [{"name": "PHARMACIE SIMULATION", "structure": "1990000003", "sector": "SA33"}]},
)  # fmt: skip


def people_of(file: Path | None, payload: str = PAYLOADS[0]) -> dict[str, Userinfo]:
    """Everybody's userinfo by national id, as the payloads of this year are.

    Raises InvalidRequest for a file that is not of the form, OSError.
    """
    told = BUILT_IN if file is None else _read(file)
    found = [_userinfo(person) | (_of_2026(person) if payload == "2026" else {}) for person in told]
    return {str(person["SubjectNameID"]): person for person in found}


def _read(file: Path) -> Sequence[Table]:
    try:
        return _tables(tomllib.loads(file.read_text("utf-8-sig")), "people")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidRequest(where=str(file), why=str(fault)) from fault


def _userinfo(person: Table) -> Userinfo:
    """Return the userinfo as ANS's own test environment showed it in 2023."""
    national_id, given_name = _text(person, "national_id"), _text(person, "given_name")
    family_name = str(person.get("family_name", "SIMULATION"))
    practices = _tables(person, "practices") or [person]
    return {
        "sub": SUBJECT.format(national_id=national_id),
        "preferred_username": national_id,
        "SubjectNameID": national_id,
        "given_name": given_name,
        "family_name": family_name,
        "UITVersion": "1.0",
        "authMode": "MOBILE",
        "Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1",
        "SubjectRole": [f"{_profession(practices[0])}^1.2.250.1.213.1.1.5.5"],
        "Acces_Regulation_Medicale": "FAUX",
        "otherIds": [{"identifiant": national_id, "origine": "RPPS", "qualite": 1}],
        "SubjectRefPro": {
            "codeCivilite": "M",
            "exercices": [_practice(practice, given_name, family_name) for practice in practices],
        },
    }


def _of_2026(person: Table) -> Userinfo:
    """Return what changed: the subject says nothing any more, and Pro Santé Identité has an identifier of its own."""
    psi = person.get("psi", "")
    try:
        known = str(UUID(str(psi))) if psi else ""
    except ValueError as fault:
        raise InvalidRequest(where="psi", why="expected", expected="UUID") from fault
    return {
        "sub": str(uuid5(NAMESPACE_URL, f"simulation:{_text(person, 'national_id')}")),
        "PSISubjectNameID": known,
        "auth_level": "eidas1",
    }


def _practice(practice: Table, given_name: str, family_name: str) -> dict[str, object]:
    section = str(practice.get("section", ""))
    return {
        "codeProfession": _profession(practice),
        "codeCategorieProfessionnelle": "C",
        "nomDexercice": family_name,
        "prenomDexercice": given_name,
        "codeTypeSavoirFaire": "S" if "specialty" in practice else "",
        "codeSavoirFaire": str(practice.get("specialty", "")),
        "activities": [_activity(place, section) for place in _tables(practice, "places")],
    }


def _profession(practice: Table) -> str:
    return str(practice.get("profession", "10"))


def _activity(place: Table, section: str) -> dict[str, object]:
    return {
        "codeModeExercice": "L",
        "codeSecteurDactivite": f"{_text(place, 'sector')}^{SECTORS}",
        "codeSectionPharmacien": section,
        "ancienIdentifiantDeLaStructure": _text(place, "structure"),
        "raisonSocialeSite": _text(place, "name"),
    }


def _tables(table: Table, name: str) -> Sequence[Table]:
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidRequest(where=f"people.{name}", why="expected", expected=f"[[{name}]]")
    return found


def _text(table: Table, name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(where=name, why="missing")
    return value
