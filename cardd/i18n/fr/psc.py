"""La page que montre le navigateur après une connexion par Pro Santé Connect."""

from __future__ import annotations

TEXTS = {
    "psc.page.done.title": "Retournez à votre logiciel",
    "psc.page.done.text": "Pro Santé Connect a répondu. Vous pouvez fermer cette page.",
    "psc.page.refused.title": "Connexion non aboutie",
    "psc.page.refused.text": "Retournez à votre logiciel : il dit ce qui s'est passé. Vous pouvez fermer cette page.",
    "psc.page.used.title": "Réponse déjà reçue",
    "psc.page.used.text": "Cette page a déjà servi. Pour vous connecter, recommencez depuis votre logiciel.",
    "psc.page.foreign.title": "Cette réponse n'est pas attendue ici",
    "psc.page.foreign.text": "Elle vient d'une autre connexion. Recommencez depuis votre logiciel.",
    "psc.page.unknown.title": "Il n'y a rien ici",
    "psc.page.unknown.text": "Vous pouvez fermer cette page.",
}
