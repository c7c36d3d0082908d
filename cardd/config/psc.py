"""The section ``[psc]``: Pro Santé Connect, directly or through the editor's server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cardd.config.key import Key
from cardd.config.values import (
    boolean,
    choice,
    duration,
    integer,
    optional_https,
    optional_path,
    optional_word,
    tables,
    web_path,
    words,
)


@dataclass(frozen=True, slots=True)
class Psc:
    """Pro Santé Connect, for the login with e-CPS."""

    mode: Annotated[
        Literal["direct", "proxy"],
        Key(
            choice("direct", "proxy"),
            "Who holds the service's credentials: this workstation, or the editor's server (proxy LPS).",
            "Qui détient les moyens d’authentification du service : ce poste, ou le serveur de l’éditeur (proxy LPS).",
        ),
    ] = "direct"
    issuer: Annotated[
        str | None,
        Key(
            optional_https(),
            "The provider's issuer, to the letter; e-CPS is off without it.",
            "L’émetteur (issuer) du fournisseur, à la lettre ; sans lui, pas d’e-CPS.",
        ),
    ] = None
    client_id: Annotated[
        str | None,
        Key(
            optional_word(),
            "The identifier of the registered service.",
            "L’identifiant du service enregistré.",
        ),
    ] = None
    authentication: Annotated[
        Literal["secret_basic", "secret_post", "private_key_jwt", "tls"],
        Key(
            choice("secret_basic", "secret_post", "private_key_jwt", "tls"),
            "How the service proves itself. The secret is never here: entry psc-client-secret of the OS secrets.",
            "Comment le service se prouve. Le secret n’est jamais ici : entrée psc-client-secret du trousseau.",
        ),
    ] = "secret_basic"
    certificate: Annotated[
        Path | None,
        Key(
            optional_path(),
            "The PKCS#12 file that is shown over TLS, and signs for private_key_jwt; password: entry psc-certificate.",
            "Le fichier PKCS#12 montré en TLS, et qui signe private_key_jwt ; mot de passe : entrée psc-certificate.",
        ),
    ] = None
    organisation: Annotated[
        bool,
        Key(
            boolean(),
            "Whether the organisation's authentication key (section csa, a file or a token) does so instead.",
            "La clé d’authentification de l’organisation (section csa, fichier ou jeton) le fait-elle à la place.",
        ),
    ] = False
    key_id: Annotated[
        str | None,
        Key(
            optional_word(),
            "The name (kid) under which the provider knows the key of private_key_jwt; its thumbprint when not set.",
            "Le nom (kid) sous lequel le fournisseur connaît la clé de private_key_jwt ; son empreinte par défaut.",
        ),
    ] = None
    authorities: Annotated[
        Path | None,
        Key(
            optional_path(),
            "A PEM file with the authorities to trust for the provider; the system's when not set.",
            "Un fichier PEM des autorités admises pour le fournisseur ; celles du système par défaut.",
        ),
    ] = None
    extra_hosts: Annotated[
        tuple[str, ...],
        Key(
            words(),
            "Hosts outside the issuer's domain that its endpoints may be on.",
            "Hôtes hors du domaine de l’émetteur où ses adresses peuvent être.",
        ),
    ] = ()
    redirect_port: Annotated[
        int,
        Key(
            integer(0, 65535),
            "The port on 127.0.0.1 that the browser comes back to, where one is registered; 0 for any free one.",
            "Le port de 127.0.0.1 où revient le navigateur, s’il est enregistré ; 0 pour n’importe quel port libre.",
        ),
    ] = 0
    redirect_path: Annotated[
        str,
        Key(
            web_path(),
            "The path that the browser comes back to.",
            "Le chemin où revient le navigateur.",
        ),
    ] = "/callback"
    proxy: Annotated[
        str | None,
        Key(
            optional_https(),
            "The address of the editor's server, for mode proxy.",
            "L’adresse du serveur de l’éditeur, pour le mode proxy.",
        ),
    ] = None
    proxy_timeout: Annotated[
        float,
        Key(
            duration(5, 600),
            "How long a login may take at the editor's server.",
            "Le temps qu’une connexion peut prendre sur le serveur de l’éditeur.",
        ),
    ] = 120.0
    proxy_identity: Annotated[
        str | None,
        Key(
            optional_word(),
            "The path below /send/ where the editor's server gives PSC's userinfo; no names without it.",
            "Le chemin sous /send/ où le serveur de l’éditeur donne le userinfo de PSC ; sans lui, pas de nom.",
        ),
    ] = None
    apis: Annotated[
        tuple[Mapping[str, str], ...],
        Key(
            tables("endpoint", "audience", "scope"),
            "The API that tokens may be exchanged for (RFC 8693), each a table [[psc.apis]].",
            "Les API contre lesquelles échanger un jeton (RFC 8693), chacune une table [[psc.apis]].",
        ),
    ] = ()


def missing_in(psc: Psc) -> tuple[str, str] | None:
    """The key without which the login that is configured could never succeed, and what would do; None if none is."""
    if psc.mode == "proxy" and psc.proxy is None:
        return "proxy", "https://…"
    is_wanted = psc.issuer is not None or psc.mode == "proxy"
    if is_wanted and psc.client_id is None:
        return "client_id", '"…"'
    by_certificate = psc.mode == "direct" and psc.authentication in ("tls", "private_key_jwt")
    if is_wanted and by_certificate and psc.certificate is None and not psc.organisation:
        return "certificate", '"/….p12", organisation = true'
    return None
