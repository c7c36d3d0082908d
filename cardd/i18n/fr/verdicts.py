"""Ce qui a été constaté d'une signature, et les raisons du verdict."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "verdict.valid": "La signature est VALIDE.",
    "verdict.undetermined": "La signature est intacte, mais on NE SAIT PAS si elle est digne de confiance.",
    "verdict.invalid": "La signature n'est PAS valide.",
    "verdict.because.unsigned": "Il n'y a pas de signature dans ce fichier.",
    "verdict.because.part": "La signature ne couvre qu'une partie du fichier : le reste peut venir de n'importe qui.",
    "verdict.because.flaw_content": "Ce qui a été signé n'est pas ce qui est ici : le contenu a changé depuis.",
    "verdict.because.flaw_signature": "La valeur de la signature n'est pas de ce certificat et de ce contenu.",
    "verdict.because.flaw_certificate": "La signature désigne un autre certificat que celui qui l'accompagne.",
    "verdict.because.flaw_imprint": "L'horodatage porte sur autre chose.",
    "verdict.because.usage": "Ce certificat n'est pas fait pour signer.",
    "verdict.because.timestamp_untrusted": (
        "L'horodatage est intact, mais rien ne dit que son autorité est de confiance : il ne compte pas."
    ),
    "verdict.because.timestamp_broken": "L'horodatage est abîmé : il ne compte pas.",
    "verdict.because.test": "C'est un certificat de TEST : il n'engage personne.",
    "verdict.because.untrusted": "Aucune autorité de confiance ne répond du certificat, émis par {issuer}.",
    "verdict.because.path_refused": "Le chemin jusqu'à l'autorité enfreint une règle, à partir de {issuer}.",
    "verdict.because.not_yet_valid": (
        "Au moment qui compte, le certificat ou celui de son autorité n'était pas encore valide."
    ),
    "verdict.because.expired": (
        "Le certificat (jusqu'au {date}) ou celui de son autorité est expiré, et aucun horodatage de confiance ne "
        "montre que la signature est antérieure."
    ),
    "verdict.because.expired_when_signed": (
        "Le certificat (jusqu'au {date}) ou celui de son autorité était expiré au moment de la signature."
    ),
    "verdict.because.revoked": "Le certificat de {subject} est révoqué depuis le {date}, avant le moment qui compte.",
    "verdict.because.revoked_later": "Le certificat de {subject} a été révoqué le {date}, après la signature.",
    "verdict.because.revocation_no_source": (
        "Révocation inconnue : le certificat de {subject} ne dit pas qui interroger."
    ),
    "verdict.because.revocation_offline": (
        "Révocation inconnue : personne n'a été interrogé sur {subject} (hors ligne)."
    ),
    "verdict.because.revocation_unreachable": "Révocation inconnue : l'autorité de {subject} ne répond pas.",
    "verdict.because.revocation_stale": (
        "Révocation inconnue : la réponse de l'autorité sur {subject} n'est pas du moment."
    ),
    "verdict.because.revocation_garbled": (
        "Révocation inconnue : la réponse sur {subject} n'est pas de celles qui comptent."
    ),
    "verdict.because.revocation_expired": (
        "Révocation inconnue : le certificat de {subject} est expiré, et son autorité n'en dit plus rien."
    ),
}
