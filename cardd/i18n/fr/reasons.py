"""Pourquoi une partie d'une requête ne convient pas, pourquoi une session a pris fin : ce qui suit les deux-points."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "ended.card_removed": "la carte a été retirée",
    "ended.client_gone": "le programme n'a plus rien demandé",
    "ended.client_locked": "le programme a été verrouillé",
    "ended.client_removed": "le programme a été désappairé",
    "ended.daemon_stopped": "le service s'est arrêté",
    "ended.idle": "rien ne lui a été demandé depuis longtemps",
    "ended.logout": "elle a été fermée par une déconnexion",
    "ended.max_age": "elle a atteint sa durée maximale",
    "ended.pin_changed": "le code porteur a été changé",
    "ended.provider_ended": "Pro Santé Connect y a mis fin",
    "reason.choice": "sa valeur n'est aucune de celles qu'il peut avoir",
    "reason.duplicate": "il figure deux fois",
    "reason.expected": "attendu {expected}",
    "reason.handshake": "ce n'est pas une ouverture WebSocket de version 13 sans sous-protocole",
    "reason.missing": "il manque",
    "reason.no_hint": "il lui faut l'identifiant national",
    "reason.no_organisation": "il n'y a pas de certificat de l'organisation ([csa])",
    "reason.no_psc": "Pro Santé Connect n'est pas configuré ([psc])",
    "reason.organisation_s": "ce qui est inséré est celui de l'organisation",
    "reason.not_of_format": "ce champ n'est pas de ce format",
    "reason.document_wanted": "ce format demande le document, pas son empreinte",
    "reason.one_of_digest_document": "il faut exactement un champ parmi « digest », « document » et « document_id »",
    "reason.page_says_nothing": "une page envoie un objet vide, car elle est connue par son origine",
    "reason.parameters": "il y a trop de paramètres",
    "reason.unknown": "il est inconnu",
}
