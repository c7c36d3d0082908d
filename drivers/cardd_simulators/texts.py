"""What the simulators tell their user, in French and English."""

from __future__ import annotations

import json

CARDS = {
    "fr": {
        "cps3.summary": "Carte CPS3 simulée (personnes et autorités fictives), pour les tests et les éditeurs",
        "cps4.summary": "Carte CPS4 simulée ; son système de fichiers suit celui de la CPS3, faute d'être connu",
        "cps3-contactless.summary": "La carte CPS3 simulée, lue sans contact : elle s'identifie, sans code porteur",
        "vitale-atr.summary": "La réponse initiale d'une carte Vitale simulée, et rien d'autre",
        "replay.summary": "Une carte qui répond comme celle dont une trace a été enregistrée (--replay FICHIER)",
        "several": "L'enregistrement a {count} cartes : la carte {number} est rejouée (ATR {atr}). "
        "Pour une autre, ajoutez son numéro au nom du fichier : --replay FICHIER#2.",
        "unrecorded": "La commande {header} n'est pas dans l'enregistrement : réponse 6F00.",
        "warning": "Attention : le lecteur virtuel vpcd écoute sur toutes les interfaces réseau. "
        "Un poste en production ne doit pas le porter.",
        "inserted": "Carte {card} insérée dans le lecteur virtuel {reader}.",
        "waiting": "Le lecteur virtuel {reader} ne répond pas (pcscd et vsmartcard-vpcd sont-ils là ?) ; "
        "la carte y sera insérée dès qu'il reviendra.",
    },
    "en": {
        "cps3.summary": "Simulated CPS3 card (fictitious people and authorities), for tests and for software makers",
        "cps4.summary": "Simulated CPS4 card; its file system follows the CPS3's, because it is not known",
        "cps3-contactless.summary": "The simulated CPS3 card read without contact: it identifies itself, without a PIN",
        "vitale-atr.summary": "A simulated carte Vitale's answer to reset, and nothing else",
        "replay.summary": "A card that answers as one whose trace was recorded (--replay FILE)",
        "several": "The recording has {count} cards: card {number} is played (ATR {atr}). "
        "For another one, add its number to the file's name: --replay FILE#2.",
        "unrecorded": "The command {header} is not in the recording: answered 6F00.",
        "warning": "Warning: the virtual reader vpcd listens on all network interfaces. "
        "A production workstation must not carry it.",
        "inserted": "Card {card} inserted in the virtual reader {reader}.",
        "waiting": "The virtual reader {reader} does not answer (are pcscd and vsmartcard-vpcd there?); "
        "the card is inserted as soon as it comes back.",
    },
}

VARIANTS = {
    "fr": {
        "one-signature-a-pin": "chaque signature consomme le code porteur, à présenter de nouveau avant la suivante",
        "no-ef-sn": "sans EF.SN : la carte n'a pas de numéro de série",
        "no-ef-dir": "sans EF.DIR : l'application ne se trouve que par son nom",
        "ef-dir-without-paths": "EF.DIR ne dit pas où se trouve l'application (sans objet 51)",
        "relative-paths": "les répertoires donnent des chemins relatifs à l'application",
        "no-short-ids": "aucun fichier n'a d'identifiant court : tous se sélectionnent par leur chemin",
        "no-empty-verify": "VERIFY sans code est refusé (6700) : seul GET DATA dit les essais restants",
        "strict-references": "les clés ne se trouvent que dans l'application, et SELECT oublie ce qui était préparé",
        "hashes-itself": "la carte refuse une empreinte toute faite : elle hache elle-même le dernier bloc",
        "detour": "le canal 1 ne s'ouvre qu'après trois sélections",
        "expired": "les certificats ont expiré il y a un an",
        "not-yet-valid": "les certificats ne seront valables que dans un an",
        "name-without-id": "le CN n'est pas un identifiant national ; celui-ci n'est que dans l'UPN",
        "no-national-id": "ni le CN ni l'UPN ne portent d'identifiant national",
    },
    "en": {
        "one-signature-a-pin": "each signature uses up the PIN, which must be sent again before the next one",
        "no-ef-sn": "no EF.SN: the card has no serial number",
        "no-ef-dir": "no EF.DIR: the application is found by its name alone",
        "ef-dir-without-paths": "EF.DIR does not tell where the application is (no object 51)",
        "relative-paths": "the directories give paths relative to the application",
        "no-short-ids": "no file has a short identifier: each is selected by its path",
        "no-empty-verify": "VERIFY without a code is refused (6700): only GET DATA tells the tries left",
        "strict-references": "keys are found inside the application alone, and SELECT forgets what was prepared",
        "hashes-itself": "a ready digest is refused: the card hashes the last block itself",
        "detour": "channel 1 opens after three selections only",
        "expired": "the certificates ended a year ago",
        "not-yet-valid": "the certificates begin in a year",
        "name-without-id": "the CN is no national identifier; that stands in the UPN alone",
        "no-national-id": "neither CN nor UPN has a national identifier",
    },
}

DMP = {
    "fr": {
        "summary": "Un DMP simulé : ses règles connues, pour un patient fictif (VIHF, ITI-18, ITI-41, ITI-43)",
        "warning": "SIMULATION : ce n'est pas le DMP. Tout est fictif et s'efface à l'arrêt ; "
        "rien n'y prouve une conformité.",
        "listening": "Le DMP simulé écoute sur {url} ; l'historique du patient se lit sur {history}",
        "patient": "Patient : {name}, INS {patient}",
        "organisation": "Certificats d'organisation fictifs (mot de passe : {password}) : "
        "{authentication} et {signature}",
        "configure": "Dans la configuration de cardd :",
        "curl": "Puis, avec le jeton et la session de cardd :",
        "access": "Accès : {line}",
        "refused": "Refusé : {codes}",
    },
    "en": {
        "summary": "A simulated DMP: its known rules, for a fictitious patient (VIHF, ITI-18, ITI-41, ITI-43)",
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

INSI = {
    "fr": {
        "summary": "Un INSi simulé : rechercherInsAvecTraitsIdentite, pour des personnes fictives",
        "warning": "SIMULATION : ce n'est pas INSi. Tout le monde y est fictif ; rien n'y prouve une conformité.",
        "listening": "L'INSi simulé écoute sur {url}",
        "people": "Personnes fictives : {people}",
        "software": "Certificat logiciel fictif, CN {name} (mot de passe : {password}) : {software}",
        "configure": "Dans la configuration de cardd :",
        "answered": "{caller} : {traits} → {code} {words}",
        "refused": "Refusé : {codes}",
    },
    "en": {
        "summary": "A simulated INSi: rechercherInsAvecTraitsIdentite, for fictitious people",
        "warning": "SIMULATION: this is not INSi. Everybody is fictitious; nothing here proves conformity.",
        "listening": "The simulated INSi listens on {url}",
        "people": "Fictitious people: {people}",
        "software": "Fictitious software certificate, CN {name} (password: {password}): {software}",
        "configure": "In cardd's configuration:",
        "answered": "{caller}: {traits} → {code} {words}",
        "refused": "Refused: {codes}",
    },
}

PSC = {
    "fr": {
        "psc.summary": "Pro Santé Connect simulé, avec e-CPS : pour les tests et les éditeurs",
        "psc.ready": "Pro Santé Connect simulé. Le mobile : {url} ou « cardctl simulate psc approve ».",
        "psc-proxy.summary": "Un serveur d'éditeur simulé (proxy LPS), avec e-CPS : pour les tests et les éditeurs",
        "psc-proxy.ready": "Serveur d'éditeur simulé. Le mobile : {url} ou « cardctl simulate psc-proxy approve ».",
        "psc-proxy.secret": "Aucun secret : c'est le serveur de l'éditeur qui détient les identifiants du service.",
        "people": "Personnes fictives : {people}",
        "configure": "À mettre dans la configuration de cardd :",
        "psc.secret": (
            "Le secret du service est « {secret} » : entrée psc-client-secret du trousseau (service cardd), "
            "ou credential cardd.psc-client-secret de systemd."
        ),
        "asked": "Demande {request} de {person} : le mobile montre {digits}.",
        "nothing.title": "Aucune demande en attente",
        "nothing.detail": "Personne ne s'est connecté, ou la demande a reçu sa réponse, ou elle a expiré.",
        "absent.title": "Ce serveur simulé ne fonctionne pas",
        "absent.detail": "Rien n'a été lancé, ou pas avec ce « --state ».",
        "absent.remedy": "Lancez-le dans un autre terminal : « cardctl simulate {name} ».",
        "approve": "Demande {request} de {person} ({digits}) : approuvée.",
        "deny": "Demande {request} de {person} ({digits}) : refusée.",
        "ignore": "Demande {request} de {person} ({digits}) : ignorée.",
    },
    "en": {
        "psc.summary": "a simulated Pro Santé Connect, with e-CPS: for tests and makers of software",
        "psc.ready": "Simulated Pro Santé Connect. The mobile: {url} or “cardctl simulate psc approve”.",
        "psc-proxy.summary": "a simulated editor's server (proxy LPS), with e-CPS: for tests and makers of software",
        "psc-proxy.ready": "Simulated editor's server. The mobile: {url} or “cardctl simulate psc-proxy approve”.",
        "psc-proxy.secret": "No secret: the editor's server has the service's credentials.",
        "people": "Fictitious people: {people}",
        "configure": "For cardd's configuration:",
        "psc.secret": (
            "The service's secret is “{secret}”: entry psc-client-secret of the keyring (service cardd), or systemd's "
            "credential cardd.psc-client-secret."
        ),
        "asked": "Request {request} of {person}: the mobile shows {digits}.",
        "nothing.title": "Nothing waits",
        "nothing.detail": "Nobody has logged in, or the request was answered, or it has expired.",
        "absent.title": "This simulated server does not run",
        "absent.detail": "None was started, or not with this “--state”.",
        "absent.remedy": "Start it in another terminal: “cardctl simulate {name}”.",
        "approve": "Request {request} of {person} ({digits}): approved.",
        "deny": "Request {request} of {person} ({digits}): denied.",
        "ignore": "Request {request} of {person} ({digits}): ignored.",
    },
}


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: names come from whoever calls."""
    return "".join(character if character.isprintable() else " " for character in text)


def json_line(event: str, values: object) -> str:
    """Return what a program reads in the place of a sentence: a line for each event."""
    return json.dumps({"event": event, "values": values}, ensure_ascii=False)
