"""What the sandbox says on the terminal."""

from __future__ import annotations

TEXTS = {
    "fr": {
        "summary": "Pro Santé Connect simulé, avec e-CPS : pour les tests et les éditeurs",
        "ready": "Pro Santé Connect simulé. Le mobile : {url} ou « cardctl simulate psc approve ».",
        "people": "Personnes fictives : {people}",
        "configure": "À mettre dans la configuration de cardd :",
        "secret": (
            "Le secret du service est « {secret} » : entrée psc-client-secret du trousseau (service cardd), "
            "ou credential cardd.psc-client-secret de systemd."
        ),
        "asked": "Demande {request} de {person} : le mobile montre {digits}.",
        "nothing.title": "Aucune demande en attente",
        "nothing.detail": "Personne ne s'est connecté, ou la demande a reçu sa réponse, ou elle a expiré.",
        "absent.title": "Pro Santé Connect simulé ne fonctionne pas",
        "absent.detail": "Rien n'a été lancé, ou pas avec ce « --state ».",
        "absent.remedy": "Lancez-le dans un autre terminal : « cardctl simulate psc ».",
        "approve": "Demande {request} de {person} ({digits}) : approuvée.",
        "deny": "Demande {request} de {person} ({digits}) : refusée.",
        "ignore": "Demande {request} de {person} ({digits}) : ignorée.",
    },
    "en": {
        "summary": "a simulated Pro Santé Connect, with e-CPS: for tests and makers of software",
        "ready": "Simulated Pro Santé Connect. The mobile: {url} or “cardctl simulate psc approve”.",
        "people": "Fictitious people: {people}",
        "configure": "For cardd's configuration:",
        "secret": (
            "The service's secret is “{secret}”: entry psc-client-secret of the keyring (service cardd), or systemd's "
            "credential cardd.psc-client-secret."
        ),
        "asked": "Request {request} of {person}: the mobile shows {digits}.",
        "nothing.title": "Nothing waits",
        "nothing.detail": "Nobody has logged in, or the request was answered, or it has expired.",
        "absent.title": "No simulated Pro Santé Connect runs",
        "absent.detail": "None was started, or not with this “--state”.",
        "absent.remedy": "Start it in another terminal: “cardctl simulate psc”.",
        "approve": "Request {request} of {person} ({digits}): approved.",
        "deny": "Request {request} of {person} ({digits}): denied.",
        "ignore": "Request {request} of {person} ({digits}): ignored.",
    },
}
