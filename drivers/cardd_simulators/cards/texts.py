"""What the simulators tell their user, in French and English."""

from __future__ import annotations

TEXTS = {
    "fr": {
        "cps3.summary": "Carte CPS3 simulée (personnes et autorités fictives), pour les tests et les éditeurs",
        "cps4.summary": "Carte CPS4 simulée ; son système de fichiers suit celui de la CPS3, faute d'être connu",
        "cps3-contactless.summary": "La carte CPS3 simulée, lue sans contact : elle s'identifie, sans code porteur",
        "vitale-atr.summary": "La réponse initiale d'une carte Vitale simulée, et rien d'autre",
        "warning": "Attention : le lecteur virtuel vpcd écoute sur toutes les interfaces réseau. "
        "Un poste en production ne doit pas le porter.",
        "inserted": "Carte {card} insérée dans le lecteur virtuel {reader}.",
        "waiting": "Le lecteur virtuel {reader} ne répond pas (pcscd et vsmartcard-vpcd sont-ils là ?) ; "
        "la carte y sera insérée dès qu'il reviendra.",
    },
    "en": {
        "cps3.summary": "Simulated CPS3 card (fictitious people and authorities), for tests and for software makers",
        "cps4.summary": "Simulated CPS4 card; its file system follows the CPS3's, because it is not known",
        "cps3-contactless.summary": "The simulated CPS3 card read without contact: it identifies itself, without a PIN",
        "vitale-atr.summary": "A simulated carte Vitale's answer to reset, and nothing else",
        "warning": "Warning: the virtual reader vpcd listens on all network interfaces. "
        "A production workstation must not carry it.",
        "inserted": "Card {card} inserted in the virtual reader {reader}.",
        "waiting": "The virtual reader {reader} does not answer (are pcscd and vsmartcard-vpcd there?); "
        "the card is inserted as soon as it comes back.",
    },
}
