"""What the sandbox tells whoever started it, in French and English."""

from __future__ import annotations

TEXTS = {
    "fr": {
        "summary": "Un bac à sable du DMP : ses règles connues, pour un patient fictif (VIHF, ITI-18, ITI-41, ITI-43)",
        "warning": "SIMULATION : ce n'est pas le DMP. Tout est fictif et s'efface à l'arrêt ; "
        "rien n'y prouve une conformité.",
        "listening": "Le DMP simulé écoute sur {url} ; l'historique du patient se lit sur {history}",
        "patient": "Patient : {name}, INS {patient}",
        "organisation": "Certificats d'organisation fictifs (mot de passe : {password}) : "
        "{authentication} et {signature}",
        "configure": "Dans la configuration de cardd :",
        "curl": "Puis, avec le jeton et la session de cardd :",
        "access": "Accès : {line}",
        "refused": "Refusé : {codes}",
    },
    "en": {
        "summary": "A sandbox of the DMP: its known rules, for a fictitious patient (VIHF, ITI-18, ITI-41, ITI-43)",
        "warning": "SIMULATION: this is not the DMP. All is fictitious and gone at the end; "
        "nothing here proves conformity.",
        "listening": "The simulated DMP listens on {url}; the patient's history is read at {history}",
        "patient": "Patient: {name}, INS {patient}",
        "organisation": "Fictitious organisation certificates (password: {password}): {authentication} and {signature}",
        "configure": "In cardd's configuration:",
        "curl": "Then, with cardd's token and session:",
        "access": "Access: {line}",
        "refused": "Refused: {codes}",
    },
}
