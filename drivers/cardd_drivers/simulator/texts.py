"""What the simulators tell their user, in French and English."""

from __future__ import annotations

TEXTS = {
    "fr": {
        "summary": "Carte CPS3 simulée (personnes et autorités fictives), pour les tests et les éditeurs de logiciels",
        "warning": "Attention : le lecteur virtuel vpcd écoute sur toutes les interfaces réseau. "
        "Un poste en production ne doit pas le porter.",
        "inserted": "Carte {card} ({profile}) insérée dans le lecteur virtuel {reader}.",
        "waiting": "Le lecteur virtuel {reader} ne répond pas (pcscd et vsmartcard-vpcd sont-ils là ?) ; "
        "la carte y sera insérée dès qu'il reviendra.",
    },
    "en": {
        "summary": "Simulated CPS3 card (fictitious people and authorities), for tests and for software makers",
        "warning": "Warning: the virtual reader vpcd listens on all network interfaces. "
        "A production workstation must not carry it.",
        "inserted": "Card {card} ({profile}) inserted in the virtual reader {reader}.",
        "waiting": "The virtual reader {reader} does not answer (are pcscd and vsmartcard-vpcd there?); "
        "the card is inserted as soon as it comes back.",
    },
}
