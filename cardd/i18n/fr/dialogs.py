"""Ce que montrent les fenêtres : ce qui est demandé, par qui, pour quelle carte."""

from __future__ import annotations

TEXTS = {
    "dialog.title": "cardd – carte de professionnel de santé",
    "dialog.pair.question": (
        "Le programme « {name} » (éditeur : {vendor}) demande à utiliser votre carte ou votre e-CPS.\n"
        "Exécutable : {program}\nUtilisateur : {user}\n\n"
        "Vérifiez que le programme affiche ce code : {code}"
    ),
    "dialog.login.question": "« {client} » demande d'ouvrir une session avec votre carte.",
    "dialog.unlock.question": "« {client} » demande de rouvrir sa session, verrouillée entre-temps.",
    "dialog.sign.question": (
        "« {client} » demande votre signature.\nDocument : « {document} »\nEmpreinte SHA-256 : {digest}…"
    ),
    "dialog.sign_batch.question": (
        "« {client} » demande {count} signatures, en une fois.\nLot : « {batch} »\nDocuments : {documents}"
    ),
    "dialog.certificates.question": (
        "« {client} » demande à lire les certificats de votre carte : "
        "votre nom, votre numéro national, votre profession."
    ),
    "dialog.assertions.question": (
        "« {client} » demande à émettre des assertions en votre nom jusqu'à la fin de votre session, sans redemander : "
        "pour ouvrir le dossier de tout patient (DMP), accès d'urgence (bris de glace, centre 15) et connexions "
        "secrètes compris, et rechercher des identités (INSi). Chacune est consignée ; aucun document n'est signé. "
        "Acceptez-vous ?"
    ),
    "dialog.indirect": (
        "Le certificat de « {indirect} » les signe ; votre identité est celle que le programme déclare. "
        "Elles servent à alimenter le DMP, pas à le consulter."
    ),
    "dialog.air": (
        "Pour le DMP, le certificat de votre structure les signe ; elles servent à la seule consultation (AIR)."
    ),
    "dialog.origin.question": "Le site {origin} demande à utiliser votre carte ou votre e-CPS.",
    "dialog.last_try.question": (
        "Il ne reste qu'UN essai pour le code porteur de cette carte. Un code faux la bloquera.\n"
        "« {client} » demande ce code. Voulez-vous risquer le dernier essai ?"
    ),
    "dialog.relay.question": (
        "« {client} » demande à joindre le serveur « {upstream} » ({host}) en votre nom, avec "
        "votre certificat, tant que dure la session."
    ),
    "dialog.lent": "Ce certificat est celui de votre structure, non le vôtre.",
    "dialog.organisation.question": (
        "« {client} » demande la clé du certificat de votre structure, pour agir en votre nom."
    ),
    "dialog.pin_change.question": "« {client} » demande à changer le code porteur de cette carte.",
    "dialog.pin_unblock.question": "« {client} » demande à débloquer le code porteur de cette carte.",
    "dialog.card.question": "« {client} » demande une carte, et plusieurs peuvent servir. Utiliser celle-ci ?",
    "dialog.holder": "Titulaire : {holder}",
    "dialog.ecps.question": (
        "« {client} » demande à ouvrir une session avec votre e-CPS.\n\n{digits}\n\n"
        "Validez sur votre mobile si l'application e-CPS montre ces deux chiffres, et refusez s'ils sont différents."
    ),
    "dialog.ecps_browser.question": (
        "« {client} » demande à ouvrir une session par Pro Santé Connect.\n\n"
        "Identifiez-vous sur la page ouverte dans votre navigateur. Refusez ici pour abandonner."
    ),
    "dialog.situation.question": (
        "« {client} » ouvre une session, et vous avez plusieurs situations d'exercice. Prendre celle-ci ?\n"
        "Lieu : « {structure} »\nProfession {profession}, savoir-faire {specialty}, secteur {sector} (codes ANS)."
    ),
    "dialog.remember_hint.question": (
        "« {client} » propose de retenir votre identifiant national, {national_id}, pour vos prochaines connexions "
        "par e-CPS sur ce compte d'ordinateur. Aucun code n'est retenu."
    ),
    "dialog.psc_token": (
        "Il demande aussi à recevoir votre jeton Pro Santé Connect, avec lequel il agit en votre nom auprès d'autres "
        "services tant que la session dure."
    ),
    "dialog.again": "Renvoyer",
    "dialog.letter.again": "r",
    "dialog.letter.hide": "m",
    "dialog.hide": "Masquer",
    "dialog.keypad": "Saisissez votre code porteur sur le clavier du lecteur « {reader} ».",
    "dialog.patient": "Patient : « {patient} »",
    "dialog.card": "Carte {card}, lecteur « {reader} ».",
    "dialog.tries": "Essais restants : {tries_left}.",
    "dialog.time": "Cette fenêtre se ferme au bout de {seconds} s.",
    "dialog.format": "De {minimum} à {maximum} chiffres. Rien n'a été envoyé à la carte.",
    "dialog.ok": "Valider",
    "dialog.cancel": "Annuler",
    "dialog.yes": "Accepter",
    "dialog.no": "Refuser",
    "dialog.always": "Toujours accepter",
    "dialog.once": "Accepter une fois",
    "dialog.close": "Fermer",
    "dialog.length": "De {minimum} à {maximum} caractères. Rien n'a été envoyé.",
    "dialog.new": "Le nouveau code a de {minimum} à {maximum} chiffres.",
    "dialog.problem.wrong": "Code faux. Essais restants : {tries_left}.",
    "dialog.problem.refused": "Code faux.",
    "dialog.problem.mismatch": "Les deux saisies du nouveau code sont différentes.",
    "dialog.problem.same": "Le nouveau code est l'ancien.",
    "dialog.problem.repeated": "Code trop facile à deviner : un motif se répète.",
    "dialog.problem.sequence": "Code trop facile à deviner : les chiffres se suivent.",
    "dialog.prompt.current": "Code porteur :",
    "dialog.prompt.new": "Nouveau code porteur :",
    "dialog.prompt.repeated": "Le nouveau code, encore une fois :",
    "dialog.prompt.puk": "Code de déblocage :",
    "dialog.prompt.password": "Mot de passe :",
    "dialog.this": "Utiliser celle-ci",
    "dialog.another": "Voir une autre",
    "dialog.letter.yes": "o",
    "dialog.letter.no": "n",
    "dialog.letter.always": "t",
    "dialog.letter.once": "o",
    "dialog.letter.this": "o",
    "dialog.letter.another": "a",
    "dialog.letter.cancel": "n",
    "dialog.answer": "{answers} : ",
}
