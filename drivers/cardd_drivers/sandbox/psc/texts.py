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
        "nothing": "aucune demande en attente",
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
        "nothing": "nothing waits",
        "approve": "Request {request} of {person} ({digits}): approved.",
        "deny": "Request {request} of {person} ({digits}): denied.",
        "ignore": "Request {request} of {person} ({digits}): ignored.",
    },
}
