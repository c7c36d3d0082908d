"""The sections ``[trust]`` and ``[timestamp]``: whom a signature is believed from, and who says when it was made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cardd.config.key import Key
from cardd.config.values import choice, duration, optional_http, optional_path


@dataclass(frozen=True, slots=True)
class Trust:
    """How signatures are verified."""

    authorities: Annotated[
        Path | None,
        Key(
            optional_path(),
            "A PEM file of the authorities that signatures may end at (the IGC-Santé roots, as ANS publishes them).",
            "Un fichier PEM des autorités admises pour les signatures (les racines IGC-Santé que publie l’ANS).",
        ),
    ] = None
    revocation: Annotated[
        Literal["online", "offline"],
        Key(
            choice("online", "offline"),
            "Whether the authorities are asked if a certificate was revoked; offline says that it is not known.",
            "Demander ou non aux autorités si un certificat est révoqué ; offline répond que ce n’est pas connu.",
        ),
    ] = "online"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Timestamps by RFC 3161."""

    url: Annotated[
        str | None,
        Key(
            optional_http(),
            "The address of the timestamp authority; no timestamps without it.",
            "L’adresse de l’autorité d’horodatage ; sans elle, pas d’horodatage.",
        ),
    ] = None
    authorities: Annotated[
        Path | None,
        Key(
            optional_path(),
            "A PEM file of the authorities that its certificate may end at; those of trust.authorities when not set.",
            "Un fichier PEM des autorités admises pour son certificat ; celles de trust.authorities par défaut.",
        ),
    ] = None
    timeout: Annotated[
        float,
        Key(
            duration(1, 120),
            "How long it may take to answer.",
            "Le temps qu’elle peut prendre pour répondre.",
        ),
    ] = 15.0
