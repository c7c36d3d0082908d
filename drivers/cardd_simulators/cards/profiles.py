"""The fictitious holders of the simulated cards.

National identifiers are well formed by table G08 (8 and the 11 digits of an RPPS number, 5 and the 14 digits of a SIRET
number with a registration) and visibly invented; the shape of a CPE's registration is not known and is ours, and so is
that a CPF, of which no sample is public, tells no profession.
"""

from __future__ import annotations

from cardd.values import Value

CPS, CPF, CPE, CPA = 0, 1, 2, 3  # table G02, card types


class Activity(Value):
    """One place of work, as CPS_ACTIVITY_nn_PS has it; ``sector`` is a code of table TRE_R02.

    ``structure`` is its Struct_IdNat: 1 and a FINESS number, 4 and the number of a practice and three digits.
    """

    name: str
    structure: str
    sector: str


class Profile(Value):
    """A holder of a card. ``profession`` is a code of table G15, ``specialty`` one of R01; None: not in the card."""

    name: str
    given_name: str
    family_name: str
    national_id: str
    card_type: int
    title: str | None
    profession: int | None
    specialty: str | None
    activities: tuple[Activity, ...]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="medecin",
            given_name="CAMILLE",
            family_name="SIMULATION-MEDECIN",
            national_id="899000000010",
            card_type=CPS,
            title="Médecin",
            profession=10,
            specialty="SM36",
            activities=(
                Activity("CABINET SIMULATION", "499000000010001", "SA07"),
                Activity("CENTRE DE SANTE SIMULATION", "1990000002", "SA05"),
            ),
        ),
        Profile(
            name="pharmacien",
            given_name="DOMINIQUE",
            family_name="SIMULATION-PHARMACIEN",
            national_id="899000000028",
            card_type=CPS,
            title="Pharmacien",
            profession=21,
            specialty=None,
            activities=(Activity("PHARMACIE SIMULATION", "1990000003", "SA33"),),
        ),
        Profile(
            name="infirmier",
            given_name="ALEX",
            family_name="SIMULATION-INFIRMIER",
            national_id="899000000036",
            card_type=CPS,
            title="Infirmier",
            profession=60,
            specialty=None,
            activities=(Activity("CABINET DE SOINS SIMULATION", "499000000036001", "SA08"),),
        ),
        Profile(
            name="interne",
            given_name="CHARLIE",
            family_name="SIMULATION-INTERNE",
            national_id="899000000044",
            card_type=CPF,
            title=None,
            profession=None,
            specialty=None,
            activities=(Activity("HOPITAL SIMULATION", "1990000004", "SA01"),),
        ),
        Profile(
            name="secretaire",
            given_name="SACHA",
            family_name="SIMULATION-SECRETAIRE",
            national_id="500000000000001/SIMU0001",
            card_type=CPE,
            title=None,
            profession=None,
            specialty=None,
            activities=(Activity("CABINET SIMULATION", "499000000010001", "SA07"),),
        ),
        Profile(
            name="agent",
            given_name="EDEN",
            family_name="SIMULATION-AGENT",
            national_id="500000000000002/CPAT0001",
            card_type=CPA,
            title=None,
            profession=None,
            specialty=None,
            activities=(Activity("SERVICE SIMULATION", "499000000020001", "SA07"),),
        ),
    )
}
