"""The sections ``[upstreams.NAME]``: servers that sessions may reach with their own certificate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cardd.config.key import Key
from cardd.config.values import choice, duration, header_names, integer, optional_path, some_of, upstream_url, url_paths


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server behind the relay."""

    url: Annotated[
        str,
        Key(
            upstream_url(),
            "The server's address; what a path of the relay is put after. Required.",
            "L’adresse du serveur, à laquelle s’ajoute le chemin du relais. Obligatoire.",
        ),
    ] = ""
    paths: Annotated[
        tuple[str, ...],
        Key(
            url_paths(),
            "The paths below the address that may be asked for, each with all that is below it.",
            "Les chemins sous l’adresse qui peuvent être demandés, chacun avec tout ce qui est dessous.",
        ),
    ] = ("/",)
    methods: Annotated[
        tuple[str, ...],
        Key(
            some_of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            "The HTTP methods that may be used.",
            "Les méthodes HTTP permises.",
        ),
    ] = ("GET", "HEAD", "POST", "PUT", "DELETE")
    headers: Annotated[
        tuple[str, ...],
        Key(
            header_names(),
            "Request headers that are passed on beside the usual ones; none that tells who asks.",
            "En-têtes de requête transmis en plus des usuels ; aucun qui dise qui demande.",
        ),
    ] = ()
    authorities: Annotated[
        Path | None,
        Key(
            optional_path(),
            "A PEM file with the authorities to trust for it; the system's when not set.",
            "Un fichier PEM des autorités admises pour lui ; celles du système par défaut.",
        ),
    ] = None
    tls: Annotated[
        Literal["1.2", "1.3"],
        Key(
            choice("1.2", "1.3"),
            "The least version of TLS; a CPS3 cannot do more than 1.2.",
            "La version minimale de TLS ; une CPS3 ne peut pas faire plus que 1.2.",
        ),
    ] = "1.2"
    consent: Annotated[
        Literal["ask", "login"],
        Key(
            choice("ask", "login"),
            "Ask the user once a session, or take the login for the consent.",
            "Demander à l’utilisateur une fois par session, ou tenir la connexion pour un consentement.",
        ),
    ] = "ask"
    timeout: Annotated[
        float,
        Key(
            duration(1.0, 3600.0),
            "How long it may say nothing.",
            "Durée pendant laquelle il peut ne rien dire.",
        ),
    ] = 60.0
    max_body: Annotated[
        int,
        Key(
            integer(1024, 1024**4),
            "Largest body of a request or of an answer, in bytes.",
            "Taille maximale du corps d’une requête ou d’une réponse, en octets.",
        ),
    ] = 256 * 1024 * 1024
    clock: Annotated[
        float,
        Key(
            duration(1.0, 86400.0),
            "How far this machine's clock may be off the server's.",
            "Écart permis entre l’heure du poste et celle du serveur.",
        ),
    ] = 60.0
