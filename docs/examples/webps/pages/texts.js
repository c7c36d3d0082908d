// What the portal's pages say, in French and in English.

export const TEXTS = {
  title: ["Portail de démonstration", "Demonstration portal"],
  outside: ["Se connecter", "Log in"],
  by_card: ["Par carte (CPS, CPF, CPE)", "By card (CPS, CPF, CPE)"],
  card_help: [
    "Insérez votre carte. Le code porteur se tape dans la fenêtre de cardd, jamais dans cette page.",
    "Insert your card. Its PIN is typed in cardd’s own window, never on this page.",
  ],
  card_login: ["Se connecter par carte", "Log in by card"],
  by_ecps: ["Par e-CPS, sur votre mobile", "By e-CPS, on your mobile"],
  national_id: ["Numéro national", "National number"],
  national_id_help: [
    "Le chiffre du type, puis le numéro : 8 devant un RPPS.",
    "The digit of its kind, then the number: 8 before an RPPS.",
  ],
  ecps_login: ["Envoyer la demande au mobile", "Send the request to the mobile"],
  compare: [
    "Ouvrez l’application e-CPS, et acceptez si elle affiche ces deux chiffres :",
    "Open the e-CPS app, and agree if it shows these two digits:",
  ],
  digits_said: ["Chiffres à comparer : {digits}", "Digits to compare: {digits}"],
  seconds_left: ["Il reste {seconds} s", "{seconds} s left"],
  nothing_came: [
    "Rien n’arrive ? Ouvrez l’application vous-même : un économiseur de batterie peut retenir la notification.",
    "Nothing comes? Open the app yourself: a battery saver may keep the notification back.",
  ],
  cancel: ["Abandonner", "Give up"],
  inside: ["Vous êtes connecté(e)", "You are logged in"],
  name: ["Nom", "Name"],
  number: ["Numéro national", "National number"],
  profession: ["Profession", "Profession"],
  not_told: ["non indiquée", "not told"],
  proof: ["Connexion", "Login"],
  proof_card: ["par carte, vérifiée par le serveur", "by card, verified by the server"],
  proof_ecps: ["par e-CPS, confirmée au serveur par Pro Santé Connect", "by e-CPS, confirmed to the server by Pro Santé Connect"],
  log_out: ["Se déconnecter", "Log out"],
  document: ["Document à signer", "Document to sign"],
  document_help: [
    "C’est le texte exact qui sera signé. La fenêtre de cardd montre la même empreinte.",
    "This is the exact text that will be signed. cardd’s window shows the same digest.",
  ],
  digest: ["Empreinte SHA-256 :", "SHA-256 digest:"],
  sign: ["Signer avec ma carte", "Sign with my card"],
  signed: ["Documents signés", "Signed documents"],
  none_signed: ["Aucun pour l’instant.", "None yet."],
  verified: ["Signature vérifiée par le serveur", "Signature verified by the server"],
  signed_by: ["{name}, n° {number}, le {time}", "{name}, no. {number}, on {time}"],
  get_document: ["Document {id}", "Document {id}"],
  get_signature: ["Sa signature (CAdES)", "Its signature (CAdES)"],
  footer: [
    "Démonstration : personnes et documents fictifs. Rien n’est gardé après la déconnexion ; téléchargez ce que vous voulez garder.",
    "Demonstration: people and documents are fictitious. Nothing is kept after you log out; download what you want to keep.",
  ],

  // what goes on
  asking: [
    "Le navigateur demande si ce site peut joindre les applications de cet ordinateur : répondez « Autoriser ».",
    "The browser asks whether this site may reach the apps of this computer: answer “Allow”.",
  ],
  looking: ["Recherche de cardd…", "Looking for cardd…"],
  pin: ["Répondez dans la fenêtre de cardd : il demande votre code porteur.", "Answer in cardd’s window: it asks for your PIN."],
  first: [
    "Répondez dans la fenêtre de cardd : il demande d’abord si ce site peut utiliser votre carte, puis votre code porteur.",
    "Answer in cardd’s window: it first asks whether this site may use your card, then for your PIN.",
  ],
  proving: ["Le serveur vérifie votre carte…", "The server verifies your card…"],
  consent: ["Répondez dans la fenêtre de cardd : comparez le document, puis acceptez.", "Answer in cardd’s window: compare the document, then agree."],
  verifying: ["Le serveur vérifie la signature…", "The server verifies the signature…"],
  is_signed: ["Signé. Le serveur a vérifié la signature.", "Signed. The server has verified the signature."],
  is_out: ["Vous êtes déconnecté(e).", "You are logged out."],
  pulled: ["La carte a été retirée : vous êtes déconnecté(e).", "The card was removed: you are logged out."],
  session_closed: ["cardd a fermé la session de la carte. Connectez-vous de nouveau.", "cardd has closed the card’s session. Log in again."],
  given_up: ["Demande abandonnée.", "Request given up."],
};

// What stands in the way: what it is, then what to do. {site} is this portal, {add} what cardd.js tells.
export const PROBLEMS = {
  unasked: [
    "Le navigateur n’a pas reçu votre accord. Appuyez de nouveau sur le bouton, puis répondez « Autoriser ».",
    "The browser did not get your agreement. Press the button again, then answer “Allow”.",
  ],
  denied_chromium: [
    "Le navigateur interdit à ce site de joindre cardd. À gauche de l’adresse, ouvrez les informations du site, autorisez « Applications sur l’appareil » (ou « Réseau local »), puis rechargez la page.",
    "The browser forbids this site to reach cardd. Left of the address, open the site information, allow “Apps on device” (or “Local network”), then reload the page.",
  ],
  denied_firefox: [
    "Firefox interdit à ce site de joindre cardd. À gauche de l’adresse, ouvrez l’icône des permissions, supprimez le blocage « Accéder aux applications de cet appareil », puis rechargez la page. Sinon, c’est l’administrateur du poste qui le bloque.",
    "Firefox forbids this site to reach cardd. Left of the address, open the permissions icon, remove the block “Access apps on this device”, then reload the page. Otherwise the workstation’s administrator blocks it.",
  ],
  blocked_csp: ["Ce portail est mal réglé : sa politique de sécurité bloque cardd. Prévenez-le ({add}).", "This portal is set up wrongly: its security policy blocks cardd. Tell its makers ({add})."],
  blocked_frame: ["Cette page est dans un cadre qui bloque cardd. Ouvrez {site} directement.", "This page is in a frame that blocks cardd. Open {site} itself."],
  blocked_storage: [
    "Le navigateur ne garde rien pour ce site, dont la clé qui le fait reconnaître. Autorisez ses données, ou quittez la navigation privée, puis rechargez la page.",
    "The browser keeps nothing for this site, not even the key that it is known by. Allow its data, or leave private browsing, then reload the page.",
  ],
  silent: [
    "cardd est là, et ne répond pas. Redémarrez-le, ou l’ordinateur ; si cela dure, prévenez votre support (cardctl doctor).",
    "cardd is there and does not answer. Restart it, or the computer; if it goes on, tell your support (cardctl doctor).",
  ],
  blocked_insecure: ["Cette page n’est pas en https. Ouvrez {site}.", "This page is not over https. Open {site}."],
  refused: ["cardd refuse ce site. {text} Pour l’accepter : cardctl origins allow {site}", "cardd refuses this site. {text} To let it in: cardctl origins allow {site}"],
  old: ["cardd est trop ancien ({version}). Demandez sa mise à jour à votre support.", "cardd is too old ({version}). Ask your support for an update."],
  absent: [
    "cardd ne répond pas. Vérifiez qu’il est installé et lancé (cardctl doctor), et que ce site est accepté (cardctl origins).",
    "cardd does not answer. See whether it is installed and runs (cardctl doctor), and whether this site is let in (cardctl origins).",
  ],

  // by the portal's server
  login: ["Le portail a refusé cette connexion. Recommencez ; si cela dure, prévenez le support du portail.", "The portal refused this login. Start again; if it goes on, tell the portal’s support."],
  session_over: ["Votre connexion au portail est terminée. Connectez-vous de nouveau.", "Your login at the portal is over. Log in again."],
  document: ["Le portail ne connaît pas ce document. Un nouveau a été préparé.", "The portal does not know this document. A new one was made."],
  signature: ["Refusé par le serveur : la signature n’est pas celle de ce document. Rien n’a été enregistré.", "Refused by the server: the signature is not one of this document. Nothing was recorded."],
  signer: ["Refusé : la carte qui signe n’est pas celle de la personne connectée. Insérez votre carte.", "Refused: the card that signs is not of the person who is logged in. Insert your own card."],
  signer_refused: ["Refusé par le serveur : le certificat du signataire n’est pas accepté (expiré, révoqué, ou d’une autorité inconnue).", "Refused by the server: the signer’s certificate is not taken (expired, revoked, or of an unknown authority)."],
  signed_before: ["Ce document est déjà signé.", "This document is signed already."],
  many: ["Trop de documents dans cette connexion. Déconnectez-vous, puis recommencez.", "Too many documents in this login. Log out, then start again."],
  portal: ["Le portail ne répond pas. Vérifiez le réseau, puis recommencez.", "The portal does not answer. Check the network, then start again."],
  fault: ["Une erreur inattendue est survenue. Rechargez la page.", "Something unexpected happened. Reload the page."],

  // by Pro Santé Connect
  ecps_unknown: ["Pro Santé Connect ne connaît pas ce numéro. Vérifiez-le, avec le chiffre de son type devant.", "Pro Santé Connect does not know this number. Check it, with the digit of its kind in front."],
  ecps_often: ["Cette personne a été sollicitée trois fois. Attendez cinq minutes.", "This person was asked three times. Wait for five minutes."],
  ecps_absent: ["Pro Santé Connect ne répond pas comme attendu. Réessayez plus tard, ou utilisez la carte.", "Pro Santé Connect does not answer as expected. Try later, or use the card."],
  ecps_refused: ["La demande a été refusée sur le mobile.", "The request was refused on the mobile."],
  ecps_expired: ["Personne n’a répondu à temps sur le mobile. Renvoyez la demande.", "Nobody answered on the mobile in time. Send the request again."],
  ecps_none: ["Il n’y a plus de demande en cours. Renvoyez-la.", "No request is under way any more. Send it again."],
};
