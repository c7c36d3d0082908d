"""The section ``[dmp]``: the points of the DMP's assertions on which its public sources differ."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cardd.config.key import Key
from cardd.config.values import choice, integer, optional_word, words


@dataclass(frozen=True, slots=True)
class Dmp:
    """Assertions for the DMP (VIHF) and for INSi."""

    profile: Annotated[
        Literal["2024", "4.0"],
        Key(
            choice("2024", "4.0"),
            "The choice of variants to start from.",
            "Le choix de variantes dont on part.",
        ),
    ] = "2024"
    points: Annotated[
        tuple[str, ...],
        Key(
            words(),
            "Single points of the profile that are to be otherwise, as point=value (docs/vihf.md lists them).",
            "Les points du profil qui doivent en différer, sous la forme point=valeur (docs/vihf.md les liste).",
        ),
    ] = ()
    window: Annotated[
        int,
        Key(
            integer(0, 3600),
            "How long a direct or indirect VIHF says that it lives, in seconds; 0: it does not say.",
            "La durée de vie qu’annonce un VIHF direct ou indirect, en secondes ; 0 : il ne l’annonce pas.",
        ),
    ] = 0
    labels: Annotated[
        tuple[str, ...],
        Key(
            words(),
            "Words for codes of professions, savoir-faire and roles that are newer than cardd, as code=words.",
            "Libellés des codes de professions, savoir-faire et rôles plus récents que cardd : code=libellé.",
        ),
    ] = ()
    secret_code: Annotated[
        str | None,
        Key(
            optional_word(),
            "The confidentiality code of a secret connection; none is possible without it.",
            "Le code de confidentialité d’une connexion secrète ; sans lui, elle n’est pas possible.",
        ),
    ] = None
    insi_issuer: Annotated[
        str | None,
        Key(
            optional_word(),
            "The Issuer of an INSi assertion that nobody signs (e-CPS).",
            "L’Issuer d’une assertion INSi que personne ne signe (e-CPS).",
        ),
    ] = None
