"""Pourquoi un moyen de connexion convient à un usage, ou non."""

from __future__ import annotations

TEXTS = {
    "advice.card_does_all": ("La carte prouve votre identité, ouvre le TLS du DMP, et signe documents et assertions."),
    "advice.card_needs_reader": "Chaque poste doit avoir un lecteur, et la carte y reste.",
    "advice.mobile_no_reader": "Il faut votre mobile, et pas de lecteur.",
    "advice.mobile_signs_nothing": "L'e-CPS prouve votre identité et ne signe aucun document.",
    "advice.psc_card_channel": (
        "La connexion par carte propre à Pro Santé Connect n'est pas servie sous Linux ; celle par mobile l'est."
    ),
    "advice.page_token": "La page reçoit un jeton fait pour sa propre adresse, et peut demander des signatures.",
    "advice.air_consults": (
        "Avec le certificat de la structure (AIR), elle permet de consulter le DMP, pas de l'alimenter."
    ),
    "advice.indirect_feeds": (
        "Le certificat de la structure alimente le DMP, y retrouve ses documents, et n'en consulte aucun autre."
    ),
    "advice.person_declared": "Il prouve la structure ; la personne est seulement nommée par le logiciel.",
}
