"""PSC's exercices and activities as situations of practice: one for each activity, one for an exercice without any."""

from __future__ import annotations

from cardd.model import Situation
from cardd.oidc.practice import Activity, Practice
from cardd.oidc.userinfo import Person


def situations_of(person: Person) -> tuple[Situation, ...]:
    """All of them, in PSC's order; ``id`` is the exercice's place and the activity's: ``1.2``."""
    return tuple(
        _situation(f"{number}.{place}", practice, activity)
        for number, practice in enumerate(person.practices, 1)
        for place, activity in enumerate(practice.activities or (Activity(),), 1)
    )


def _situation(identifier: str, practice: Practice, activity: Activity) -> Situation:
    return Situation(
        id=identifier,
        profession=practice.profession,
        specialty=practice.expertise,
        title=practice.title,
        section=activity.pharmacist_section,
        sector=activity.sector,
        mode=activity.mode,
        role=activity.role,
        structure=activity.former_structure,
        technical_structure=activity.structure,
        structure_name=activity.name,
        finess=activity.finess,
        siret=activity.siret,
        siren=activity.siren,
    )
