"""Ce que disent les erreurs : titre, détail, remède, sous le code de chacune."""

from __future__ import annotations

TEXTS = {
    "internal.title": "Erreur interne",
    "internal.detail": "cardd a rencontré une erreur inattendue, et n'a donné aucun résultat.",
    "internal.remedy": (
        "Réessayez. Si cela se répète, donnez au support l'heure de "
        "l'erreur : le détail est dans le journal du service."
    ),
    "request.not_json.title": "Requête illisible",
    "request.not_json.detail": "Le corps de la requête n'est pas un document JSON.",
    "request.not_json.remedy": "Corrigez le programme appelant : il doit envoyer du JSON en UTF-8.",
    "request.too_deep.title": "Requête trop imbriquée",
    "request.too_deep.detail": "Le corps de la requête est imbriqué plus profondément qu'aucun appel ne le demande.",
    "request.too_deep.remedy": "Corrigez le programme appelant d'après /openapi.json.",
    "request.too_large.title": "Requête trop volumineuse",
    "request.too_large.detail": "Le corps de la requête dépasse {limit} octets.",
    "request.too_large.remedy": (
        "Envoyez l'empreinte (digest) à la place du document, ou relevez listen.max_body dans la configuration."
    ),
    "request.timeout.title": "Requête trop lente",
    "request.timeout.detail": "Le corps de la requête n'est pas arrivé à temps.",
    "request.timeout.remedy": "Envoyez la requête de nouveau, d'une traite.",
    "request.invalid.title": "Requête incorrecte",
    "request.invalid.detail": "Le champ {where} ne convient pas : {why}.",
    "request.invalid.remedy": "Corrigez le programme appelant d'après /openapi.json.",
    "request.media_type.title": "Type de contenu refusé",
    "request.media_type.detail": "Le corps de la requête n'est pas déclaré en application/json.",
    "request.media_type.remedy": "Envoyez l'en-tête Content-Type: application/json, sans compression.",
    "request.not_found.title": "Adresse inconnue",
    "request.not_found.detail": "Cette adresse ne correspond à aucun appel ni à aucune ressource.",
    "request.not_found.remedy": "Vérifiez l'adresse d'après /openapi.json.",
    "request.method.title": "Méthode refusée",
    "request.method.detail": "Cette adresse n'accepte que : {allowed}.",
    "request.method.remedy": "Corrigez le programme appelant d'après /openapi.json.",
    "request.forbidden.title": "Accès refusé",
    "request.forbidden.detail": "Cet appel n'est pas autorisé.",
    "request.forbidden.remedy": (
        "Une page doit être autorisée par la configuration ou par "
        "l'utilisateur ; un programme doit appeler en tant que cet utilisateur."
    ),
    "request.too_many.title": "Trop de requêtes",
    "request.too_many.detail": "Ce programme a déjà autant de demandes en cours qu'il peut en avoir.",
    "request.too_many.remedy": "Attendez {retry_after} s, puis réessayez.",
    "request.idempotency_key_reused.title": "Clé d'idempotence réutilisée",
    "request.idempotency_key_reused.detail": "La même Idempotency-Key est déjà venue avec une autre requête.",
    "request.idempotency_key_reused.remedy": "Donnez une clé nouvelle à chaque nouvelle opération.",
    "client.not_found.title": "Aucun client de ce nom",
    "client.not_found.detail": "Aucun de vos programmes ou sites n'a cet identifiant.",
    "client.not_found.remedy": "La liste des clients donne les identifiants (« cardctl clients »).",
    "client.unknown.title": "Programme non appairé",
    "client.unknown.detail": "Ce programme n'est pas appairé avec cardd, ou ne l'est plus.",
    "client.unknown.remedy": "Appairez-le : il appelle POST /v1/clients et l'utilisateur accepte.",
    "client.locked.title": "Programme verrouillé",
    "client.locked.detail": "Ce programme est appairé, mais il a été verrouillé sur ce poste.",
    "client.locked.remedy": "Le support le déverrouille avec vous : « cardctl clients unlock ID ».",
    "client.pairing_not_found.title": "Appairage introuvable",
    "client.pairing_not_found.detail": "Cet appairage n'existe pas, ou il est terminé depuis trop longtemps.",
    "client.pairing_not_found.remedy": "Recommencez l'appairage.",
    "client.pairing_refused.title": "Appairage refusé",
    "client.pairing_refused.detail": "L'utilisateur a refusé ce programme ou ce site.",
    "client.pairing_refused.remedy": "Si c'était une erreur, demandez de nouveau l'appairage et acceptez-le.",
    "session.locked.title": "Session verrouillée",
    "session.locked.detail": "L'écran a été verrouillé, ou le poste mis en veille.",
    "session.locked.remedy": "Déverrouillez l'écran ; sinon reconnectez-vous.",
    "session.unknown.title": "Session inconnue",
    "session.unknown.detail": "Aucune session de ce programme ne correspond à ce jeton.",
    "session.unknown.remedy": "Ouvrez une session.",
    "session.expired.title": "Session expirée",
    "session.expired.detail": "La session a expiré : {reason}.",
    "session.expired.remedy": "Ouvrez une nouvelle session.",
    "session.closed.title": "Session fermée",
    "session.closed.detail": "La session est fermée : {reason}.",
    "session.closed.remedy": "Ouvrez une nouvelle session ; si la carte a été retirée, insérez-la d'abord.",
    "session.pending.title": "Connexion en attente",
    "session.pending.detail": (
        "La personne n'a pas encore validé la connexion, ou cardd a redémarré et Pro Santé Connect ne l'a pas encore "
        "confirmée."
    ),
    "session.pending.remedy": (
        "Validez si cela vous est demandé (application e-CPS, navigateur, fenêtre) ; sinon patientez, puis réessayez."
    ),
    "session.cannot_sign.title": "Une session e-CPS ne signe pas",
    "session.cannot_sign.detail": "L'e-CPS prouve qui vous êtes ; elle n'a pas de clé pour signer un document.",
    "session.cannot_sign.remedy": "Ouvrez une session avec votre carte, ou avec le certificat de l'organisation.",
    "session.method_unavailable.title": "Mode de connexion indisponible",
    "session.method_unavailable.detail": "Le mode de connexion {method} n'est pas utilisable sur ce poste : {why}.",
    "session.method_unavailable.remedy": "Faites-le configurer dans cardd.toml, ou choisissez un autre mode.",
    "consent.refused.title": "Refusé par l'utilisateur",
    "consent.refused.detail": "L'utilisateur n'a pas donné son accord ; rien n'a été signé.",
    "consent.refused.remedy": "Si c'était une erreur, recommencez et acceptez.",
    "consent.timeout.title": "Pas de réponse",
    "consent.timeout.detail": "L'utilisateur n'a pas répondu à temps ; rien n'a été signé.",
    "consent.timeout.remedy": "Recommencez et répondez à la fenêtre qui s'ouvre.",
    "consent.batch_exhausted.title": "Lot épuisé",
    "consent.batch_exhausted.detail": "L'accord donné pour le lot « {batch} » ne couvre pas autant de signatures.",
    "consent.batch_exhausted.remedy": "Donnez un autre nom au lot suivant : l'utilisateur sera consulté de nouveau.",
    "prompt.unavailable.title": "Impossible d'interroger l'utilisateur",
    "prompt.unavailable.detail": "Aucune fenêtre ne peut s'ouvrir pour cet utilisateur : {why}.",
    "prompt.unavailable.remedy": (
        "Démarrez cardd-agent dans la session de l'utilisateur, ou installez un "
        "programme pinentry ; « cardctl doctor » dit ce qui manque."
    ),
    "prompt.busy.title": "Une fenêtre est déjà ouverte",
    "prompt.busy.detail": "D'autres demandes attendent déjà une réponse de cet utilisateur.",
    "prompt.busy.remedy": "Répondez à la fenêtre ouverte, puis réessayez.",
    "pin.cancelled.title": "Saisie annulée",
    "pin.cancelled.detail": "La saisie du code porteur a été annulée.",
    "pin.cancelled.remedy": "Recommencez et saisissez le code porteur.",
    "pin.timeout.title": "Saisie trop longue",
    "pin.timeout.detail": "Le code porteur n'a pas été saisi à temps.",
    "pin.timeout.remedy": "Recommencez et saisissez le code porteur.",
    "pin.wrong.title": "Code porteur faux",
    "pin.wrong.detail": "La carte a refusé le code porteur. Essais restants : {tries_left}.",
    "pin.wrong.remedy": "Vérifiez le code avant de recommencer : la carte se bloque après le dernier essai.",
    "pin.refused.title": "Code ou mot de passe faux",
    "pin.refused.detail": "Le jeton ou le fichier de clés a refusé le code.",
    "pin.refused.remedy": "Vérifiez le code avant de recommencer : un jeton peut se bloquer sans prévenir.",
    "pin.blocked.title": "Code porteur bloqué",
    "pin.blocked.detail": "La carte n'accepte plus de code porteur.",
    "pin.blocked.remedy": "Débloquez la carte avec son code de déblocage, ou adressez-vous à l'ANS pour l'obtenir.",
    "pin.unchangeable.title": "Code non modifiable ici",
    "pin.unchangeable.detail": "Cette carte, ou le clavier de ce lecteur, ne permet pas de changer le code ici.",
    "pin.unchangeable.remedy": "Utilisez un lecteur sans clavier, ou l'outil fourni avec la carte ou le module.",
    "puk.wrong.title": "Code de déblocage faux",
    "puk.wrong.detail": "La carte a refusé le code de déblocage. Essais restants : {tries_left}.",
    "puk.wrong.remedy": "Vérifiez le code sur le courrier de la carte avant de recommencer.",
    "puk.blocked.title": "Code de déblocage bloqué",
    "puk.blocked.detail": "La carte n'accepte plus de code de déblocage.",
    "puk.blocked.remedy": "Demandez à l'ANS que faire de cette carte.",
    "pin.last_try.title": "Dernier essai préservé",
    "pin.last_try.detail": "Il reste un seul essai, et l'utilisateur n'a pas voulu le risquer.",
    "pin.last_try.remedy": "Retrouvez le code porteur avec certitude avant de recommencer.",
    "pin.back_off.title": "Trop de codes faux",
    "pin.back_off.detail": "Plusieurs codes porteur faux ont été saisis pour ce programme.",
    "pin.back_off.remedy": "Attendez {retry_after} s, puis réessayez.",
    "pin.format.title": "Code porteur impossible",
    "pin.format.detail": (
        "Un code porteur de cette carte a de {minimum} à {maximum} chiffres ; rien n'a été envoyé à la carte."
    ),
    "pin.format.remedy": "Saisissez le code porteur, en chiffres seulement.",
    "reader.pcsc_unavailable.title": "Service des lecteurs absent",
    "reader.pcsc_unavailable.detail": "Le service PC/SC (pcscd) ne répond pas.",
    "reader.pcsc_unavailable.remedy": (
        "Installez ou démarrez pcscd (« systemctl start pcscd.socket ») ; « cardctl doctor » en dit plus."
    ),
    "reader.unknown.title": "Lecteur inconnu",
    "reader.unknown.detail": "Aucun lecteur « {reader} » n'est branché.",
    "reader.unknown.remedy": "Branchez le lecteur ou vérifiez son nom avec « cardctl readers ».",
    "reader.gone.title": "Lecteur débranché",
    "reader.gone.detail": "Le lecteur « {reader} » a été débranché pendant l'opération.",
    "reader.gone.remedy": "Rebranchez-le, puis réessayez.",
    "reader.busy.title": "Carte occupée",
    "reader.busy.detail": "Un autre programme se sert de la carte dans « {reader} ».",
    "reader.busy.remedy": "Fermez l'autre programme ou attendez qu'il ait fini, puis réessayez.",
    "card.unknown.title": "Carte inconnue",
    "card.unknown.detail": "La carte {card} n'est pas insérée ; son identifiant change à chaque insertion.",
    "card.unknown.remedy": "Demandez la liste des cartes (GET /v1/cards), puis réessayez.",
    "card.absent.title": "Pas de carte",
    "card.absent.detail": "Aucune carte de professionnel n'est insérée.",
    "card.absent.remedy": "Insérez votre carte dans le lecteur.",
    "card.ambiguous.title": "Plusieurs cartes",
    "card.ambiguous.detail": "{count} cartes sont insérées et aucune n'a été désignée.",
    "card.ambiguous.remedy": "Désignez la carte par son identifiant, ou retirez les autres.",
    "card.removed.title": "Carte retirée",
    "card.removed.detail": "La carte a été retirée pendant l'opération ; rien n'a été signé.",
    "card.removed.remedy": "Remettez la carte, puis recommencez.",
    "card.reset.title": "Carte réinitialisée",
    "card.reset.detail": "Un autre programme a réinitialisé la carte pendant l'opération.",
    "card.reset.remedy": "Réessayez.",
    "card.unrecognised.title": "Carte non reconnue",
    "card.unrecognised.detail": "Aucun pilote ne connaît cette carte (ATR {atr}).",
    "card.unrecognised.remedy": "Vérifiez qu'il s'agit d'une carte CPx ; si oui, transmettez l'ATR au support.",
    "card.vitale.title": "Carte Vitale",
    "card.vitale.detail": "La carte insérée est celle d'un patient (carte Vitale).",
    "card.vitale.remedy": "Insérez votre carte de professionnel, dans l'autre fente si le lecteur en a deux.",
    "card.contactless.title": "Carte lue sans contact",
    "card.contactless.detail": "Sans contact, une carte CPS ne fait que s'identifier ; elle n'ouvre pas de session.",
    "card.contactless.remedy": "Insérez la carte, puce en avant, dans un lecteur à contact.",
    "card.unsupported.title": "Génération de carte non prise en charge",
    "card.unsupported.detail": "Cette carte ({kind}) est d'une génération que cardd ne prend pas en charge.",
    "card.unsupported.remedy": "Utilisez votre carte actuelle (CPS3 ou CPS4) ; à défaut, demandez-en une à l'ANS.",
    "card.mute.title": "Carte muette",
    "card.mute.detail": "La carte ne répond pas.",
    "card.mute.remedy": "Retirez la carte, vérifiez son sens, nettoyez la puce, puis réinsérez-la.",
    "card.timeout.title": "Carte trop lente",
    "card.timeout.detail": "La carte n'a pas répondu en {seconds} s.",
    "card.timeout.remedy": "Retirez la carte et réinsérez-la, puis réessayez.",
    "card.garbled.title": "Réponse incompréhensible",
    "card.garbled.detail": "La carte a répondu de façon incompréhensible ({what}).",
    "card.garbled.remedy": "Retirez la carte et réinsérez-la ; si cela se répète, essayez un autre lecteur.",
    "card.refused.title": "Commande refusée",
    "card.refused.detail": "La carte a refusé une commande ({command}, {sw}).",
    "card.refused.remedy": "Réessayez. Si cela se répète, transmettez ces deux valeurs au support.",
    "card.pin_required.title": "Code porteur redemandé",
    "card.pin_required.detail": "La carte demande de nouveau le code porteur.",
    "card.pin_required.remedy": "Réessayez : le code porteur sera demandé.",
    "card.incomplete.title": "Carte incomplète",
    "card.incomplete.detail": "Il manque à la carte ce que demande l'opération ({what}).",
    "card.incomplete.remedy": "Vérifiez que la carte convient à cet usage ; sinon, adressez-vous à l'ANS.",
    "signature.algorithm.title": "Algorithme impossible",
    "signature.algorithm.detail": "La clé de la carte ne sait pas signer ainsi ({algorithm}).",
    "signature.algorithm.remedy": "Choisissez un autre algorithme, ou envoyez le document à la place de son empreinte.",
    "signature.invalid.title": "Signature écartée",
    "signature.invalid.detail": (
        "La signature rendue par la carte ne correspond pas à son certificat ; elle a été détruite."
    ),
    "signature.invalid.remedy": (
        "Réessayez. Si cela se répète, retirez et réinsérez la carte, puis prévenez le support."
    ),
    "document.empty.title": "Document vide",
    "document.empty.detail": "Le document n'a pas de contenu.",
    "document.empty.remedy": "Envoyez le document voulu.",
    "document.too_large.title": "Document trop volumineux",
    "document.too_large.detail": "Un document au format {format} peut avoir {limit} octets au plus.",
    "document.too_large.remedy": "Choisissez un autre format, CAdES ou PAdES, ou envoyez un document plus petit.",
    "document.malformed.title": "Document illisible",
    "document.malformed.detail": "Le document n'est pas un {format} bien formé.",
    "document.malformed.remedy": "Vérifiez que le fichier est complet et dans ce format.",
    "document.unsupported.title": "Document non pris en charge",
    "document.unsupported.detail": "Le document {format} utilise ce que cardd n'accepte pas ({what}).",
    "document.unsupported.remedy": "Faites-le signer autrement, ou vérifiez-le avec un autre outil.",
    "document.unknown.title": "Document inconnu",
    "document.unknown.detail": (
        "La session ne détient aucun document « {document} » : il a été supprimé, ou son temps est passé."
    ),
    "document.unknown.remedy": "Envoyez-le à nouveau.",
    "document.too_many.title": "Trop de documents",
    "document.too_many.detail": "Une session détient au plus {count} documents, {bytes} octets en tout.",
    "document.too_many.remedy": "Récupérez et supprimez ceux qui sont signés, ou attendez dix minutes.",
    "document.no_space.title": "Plus de place pour le document",
    "document.no_space.detail": "Le disque où sont tenus les documents est plein ; aucun document signé n'est sorti.",
    "document.no_space.remedy": "Faites libérer de la place pour les fichiers temporaires de ce poste, puis réessayez.",
    "document.unrecognised.title": "Format non reconnu",
    "document.unrecognised.detail": "Ce n'est ni un PDF, ni du XML, ni un JWS, ni un message CMS.",
    "document.unrecognised.remedy": (
        "Donnez le fichier signé ou, pour une signature à part, la signature et son certificat."
    ),
    "document.content_missing.title": "Document signé manquant",
    "document.content_missing.detail": (
        "La signature est à part du document qu'elle couvre, et celui-ci n'a pas été donné."
    ),
    "document.content_missing.remedy": "Donnez le document signé avec sa signature.",
    "document.content_twice.title": "Deux documents",
    "document.content_twice.detail": "La signature contient son document, et un autre a été donné à côté.",
    "document.content_twice.remedy": "Donnez la signature seule.",
    "document.timestamp_form.title": "Pas de place pour un horodatage",
    "document.timestamp_form.detail": "Cette forme de {format} ne peut pas contenir d'horodatage.",
    "document.timestamp_form.remedy": "Choisissez une autre forme (JSON pour un JWS), ou renoncez à l'horodatage.",
    "document.xml_doctype.title": "XML avec type de document",
    "document.xml_doctype.detail": "Le document XML a un type (DOCTYPE), qui peut cacher des entités.",
    "document.xml_doctype.remedy": "Faites écrire le document sans DOCTYPE.",
    "document.xml_limits.title": "XML trop imbriqué ou trop long",
    "document.xml_limits.detail": (
        "Le XML imbrique plus de {depth} éléments, a un texte de plus de {text} octets, "
        "ou plus de {namespaces} espaces de noms à la fois."
    ),
    "document.xml_limits.remedy": "Vérifiez le logiciel qui l'a écrit, ou signez le fichier à part (detached).",
    "document.manifest_missing.title": "Document du lot manquant",
    "document.manifest_missing.detail": "Le lot nomme le document {reference}, qui n'a pas été donné.",
    "document.manifest_missing.remedy": "Donnez tous les documents du lot.",
    "document.manifest_differs.title": "Document du lot modifié",
    "document.manifest_differs.detail": "Le document {reference} n'est pas celui dont le lot porte l'empreinte.",
    "document.manifest_differs.remedy": "Donnez le document tel qu'il était à la création du lot, ou refaites le lot.",
    "document.manifest_unnamed.title": "Document hors du lot",
    "document.manifest_unnamed.detail": "Le document {reference} a été donné, et le lot ne le nomme pas.",
    "document.manifest_unnamed.remedy": "Ne donnez que les documents du lot.",
    "signing_certificate.usage.title": "Pas un certificat de signature",
    "signing_certificate.usage.detail": (
        "Ce certificat n'est pas destiné à signer des documents (nonRepudiation y manque)."
    ),
    "signing_certificate.usage.remedy": (
        "Signez avec le certificat de signature de la carte, ou celui de l'organisation (ORG SIGN)."
    ),
    "signing_certificate.expired.title": "Certificat expiré",
    "signing_certificate.expired.detail": "Le certificat de signature a expiré le {not_after}.",
    "signing_certificate.expired.remedy": (
        "Utilisez une carte ou un certificat à jour ; vérifiez aussi l'horloge du poste."
    ),
    "signing_certificate.not_yet_valid.title": "Certificat pas encore valide",
    "signing_certificate.not_yet_valid.detail": "Le certificat de signature est valide à partir du {not_before}.",
    "signing_certificate.not_yet_valid.remedy": "Vérifiez l'horloge du poste, ou attendez cette date.",
    "timestamp.unconfigured.title": "Pas d'autorité d'horodatage",
    "timestamp.unconfigured.detail": "Un horodatage a été demandé et aucune autorité d'horodatage n'est configurée.",
    "timestamp.unconfigured.remedy": "Renseignez timestamp.url dans la configuration, ou renoncez à l'horodatage.",
    "timestamp.unavailable.title": "Autorité d'horodatage indisponible",
    "timestamp.unavailable.detail": "L'autorité d'horodatage {host} ne répond pas ; aucune signature n'a été remise.",
    "timestamp.unavailable.remedy": "Vérifiez le réseau, puis réessayez ; ou renoncez à l'horodatage.",
    "timestamp.refused.title": "Horodatage refusé",
    "timestamp.refused.detail": (
        "L'autorité d'horodatage a refusé la demande ({status}) ; aucune signature n'a été remise."
    ),
    "timestamp.refused.remedy": "Vérifiez timestamp.url et le contrat avec cette autorité.",
    "timestamp.malformed.title": "Horodatage illisible",
    "timestamp.malformed.detail": (
        "La réponse de l'autorité d'horodatage n'est pas un horodatage ; aucune signature n'a été remise."
    ),
    "timestamp.malformed.remedy": "Vérifiez timestamp.url ; s'il est juste, prévenez l'autorité.",
    "timestamp.mismatch.title": "Horodatage d'autre chose",
    "timestamp.mismatch.detail": (
        "L'horodatage reçu n'est pas celui de cette signature ({what}) ; aucune signature n'a été remise."
    ),
    "timestamp.mismatch.remedy": "Réessayez ; si cela se répète, prévenez l'autorité.",
    "timestamp.time.title": "Horloges en désaccord",
    "timestamp.time.detail": (
        "L'heure de l'horodatage diffère de {seconds} s de celle du poste ; aucune signature n'a été remise."
    ),
    "timestamp.time.remedy": "Réglez l'horloge du poste sur un serveur de temps (NTP), puis réessayez.",
    "timestamp.untrusted.title": "Horodatage non admis",
    "timestamp.untrusted.detail": (
        "Le certificat de l'horodatage ne peut pas être admis ({why}) ; aucune signature n'a été remise."
    ),
    "timestamp.untrusted.remedy": "Vérifiez timestamp.authorities : la racine de l'autorité doit y être.",
    "pdf.damaged.title": "PDF endommagé",
    "pdf.damaged.detail": "La structure du PDF est abîmée ou ambiguë ({why}).",
    "pdf.damaged.remedy": (
        "Enregistrez-le de nouveau avec le logiciel qui l'a produit, ou imprimez-le dans un nouveau PDF."
    ),
    "pdf.too_complex.title": "PDF trop complexe",
    "pdf.too_complex.detail": "Lire ce PDF demande plus de temps ou de mémoire qu'un document ne doit en prendre.",
    "pdf.too_complex.remedy": "Imprimez-le dans un nouveau PDF, et vérifiez d'où il vient.",
    "pdf.encrypted.title": "PDF chiffré",
    "pdf.encrypted.detail": "Le PDF est chiffré ou protégé par un mot de passe.",
    "pdf.encrypted.remedy": "Enregistrez-le sans protection, puis réessayez.",
    "pdf.certified.title": "PDF certifié",
    "pdf.certified.detail": "Le signataire de ce PDF y interdit toute modification, même une autre signature.",
    "pdf.certified.remedy": "Signez-le à part (CAdES détaché), ou demandez l'original.",
    "pdf.field_locked.title": "Champs verrouillés",
    "pdf.field_locked.detail": "Une signature antérieure verrouille les champs de ce PDF, « {field} » compris.",
    "pdf.field_locked.remedy": "Signez-le à part (CAdES détaché), ou nommez un champ qui reste libre.",
    "pdf.field_taken.title": "Nom de champ déjà pris",
    "pdf.field_taken.detail": "Le PDF a déjà un champ « {field} ».",
    "pdf.field_taken.remedy": "Choisissez un autre nom, ou n'en donnez pas.",
    "pdf.xfa.title": "Formulaire XFA",
    "pdf.xfa.detail": "Ce PDF est un formulaire XFA : ce qui s'affiche n'est pas ce qui serait signé.",
    "pdf.xfa.remedy": "Imprimez-le dans un nouveau PDF, puis signez celui-ci.",
    "pdf.page_missing.title": "Page inexistante",
    "pdf.page_missing.detail": "Le PDF n'a pas de page {page} (nombre de pages : {pages}).",
    "pdf.page_missing.remedy": "Indiquez une page qui existe ; -1 est la dernière.",
    "pdf.rectangle_outside.title": "Cadre hors de la page",
    "pdf.rectangle_outside.detail": "Le cadre de la signature est vide ou dépasse la page ({page}).",
    "pdf.rectangle_outside.remedy": "Donnez gauche, bas, droite et haut en points, dans ces limites.",
    "pdf.picture_unreadable.title": "Image illisible",
    "pdf.picture_unreadable.detail": "L'image de la signature n'est pas un fichier PNG ou JPEG lisible.",
    "pdf.picture_unreadable.remedy": "Enregistrez-la de nouveau en PNG ou en JPEG.",
    "pdf.picture_too_large.title": "Image trop grande",
    "pdf.picture_too_large.detail": "L'image de la signature dépasse la limite ({limit}).",
    "pdf.picture_too_large.remedy": "Réduisez-la.",
    "pdf.no_room.title": "Horodatage trop volumineux",
    "pdf.no_room.detail": (
        "L'horodatage ne tient pas dans la place que le PDF lui garde ; aucune signature n'a été remise."
    ),
    "pdf.no_room.remedy": "Adressez-vous à l'autorité d'horodatage, ou renoncez à l'horodatage.",
    "audit.unavailable.title": "Journal d'audit indisponible",
    "audit.unavailable.detail": "Le journal d'audit ne peut pas être écrit ({why}) ; sans lui, rien n'est signé.",
    "audit.unavailable.remedy": "Libérez de la place sur le disque ou corrigez les droits, puis réessayez.",
    "audit.broken.title": "Journal d'audit altéré",
    "audit.broken.detail": "Le journal d'audit a été modifié à la ligne {row} ({why}).",
    "audit.broken.remedy": "Conservez le fichier en l'état et prévenez votre responsable de la sécurité.",
    "state.unavailable.title": "État illisible",
    "state.unavailable.detail": "Le fichier {file} ne peut pas être lu ou écrit ({why}).",
    "state.unavailable.remedy": "Vérifiez les droits et la place sur le disque.",
    "state.too_new.title": "État d'un cardd plus récent",
    "state.too_new.detail": (
        "Le fichier {file} a été écrit par un cardd plus récent : son format est {format}, et celui-ci en connaît "
        "jusqu'à {known}."
    ),
    "state.too_new.remedy": (
        "Réinstallez ce cardd, ou remettez le répertoire d'état d'avant la mise à jour. Rien n'a été changé dans le "
        "fichier."
    ),
    "state.damaged.title": "État endommagé",
    "state.damaged.detail": "Le fichier {file} n'est pas tel que cardd l'a écrit ({why}).",
    "state.damaged.remedy": (
        "Restaurez-le depuis une sauvegarde ; sinon déplacez-le et recommencez : ce qu'il contenait sera redemandé."
    ),
    "module.failed.title": "Module PKCS#11 en panne",
    "module.failed.detail": "Le module « {module} » s'est arrêté ou ne répond plus ({why}). Il est relancé.",
    "module.failed.remedy": "Réessayez. Si cela se répète, mettez le module à jour ou retirez-le de la configuration.",
    "secrets.unavailable.title": "Trousseau indisponible",
    "secrets.unavailable.detail": "Aucun trousseau chiffré n'est disponible ({why}).",
    "secrets.unavailable.remedy": "Ouvrez le trousseau de la session, ou configurez les « credentials » de systemd.",
    "config.invalid.title": "Configuration refusée",
    "config.invalid.detail": "{file} : la clé « {key} » ne convient pas ({why}).",
    "config.invalid.remedy": "Corrigez ce fichier, puis vérifiez-le avec « cardctl config check ».",
    "simulators.missing.title": "Aucun simulateur n'est installé",
    "simulators.missing.detail": "Les cartes et serveurs simulés ne font pas partie de cardd.",
    "simulators.missing.remedy": (
        "Sur un poste d'essai, jamais en production : « pip install cardd-simulators », là où cardd est installé."
    ),
    "daemon.unreachable.title": "cardd ne répond pas",
    "daemon.unreachable.detail": "Aucun service cardd ne répond à {where}.",
    "daemon.unreachable.remedy": (
        "Démarrez-le (« systemctl start cardd.socket ») ; « cardctl doctor » dit ce qui manque."
    ),
    "daemon.address_in_use.title": "Adresse déjà prise",
    "daemon.address_in_use.detail": "Un autre programme écoute déjà sur {address}.",
    "daemon.address_in_use.remedy": "Arrêtez-le s'il s'agit d'un autre cardd ; sinon, cherchez quel programme c'est.",
    "daemon.unproven.title": "Ce n'est pas votre cardd",
    "daemon.unproven.detail": (
        "Ce qui répond à {where} n'est pas le service avec lequel ce programme a été appairé ; "
        "rien ne lui a été confié."
    ),
    "daemon.unproven.remedy": (
        "Ne saisissez aucun code. « cardctl doctor » dit quel programme occupe le port ; le socket Unix reste sûr."
    ),
    "session.not_psc.title": "Session étrangère à Pro Santé Connect",
    "session.not_psc.detail": (
        "Cette session est celle d'une carte ou d'un certificat ; elle n'a pas de jeton de Pro Santé Connect."
    ),
    "session.not_psc.remedy": "Ouvrez une session par e-CPS.",
    "session.situation.title": "Situation d'exercice à choisir",
    "session.situation.detail": (
        "Aucune des situations d'exercice de cette personne n'est choisie ; les siennes : {known}."
    ),
    "session.situation.remedy": (
        "Choisissez l'une de celles que la session énumère (situations), ou laissez choisir l'utilisateur (« ask »)."
    ),
    "session.push_too_soon.title": "Notification trop rapprochée",
    "session.push_too_soon.detail": "Le mobile vient d'être sollicité.",
    "session.push_too_soon.remedy": "Attendez {retry_after} s, puis redemandez.",
    "client.permission.title": "Autorisation non donnée",
    "client.permission.detail": "Ce programme n'a pas été appairé pour cela ({permission}).",
    "client.permission.remedy": "Appairez-le de nouveau avec cette autorisation ; l'utilisateur doit l'accepter.",
    "upstream.library.title": "TLS indisponible",
    "upstream.library.detail": "OpenSSL, sur ce poste, ne sait pas se servir d'une clé qui reste sur la carte ({why}).",
    "upstream.library.remedy": "Installez libssl3 (OpenSSL 3.0 ou plus récent), puis réessayez.",
    "upstream.unknown.title": "Serveur distant inconnu",
    "upstream.unknown.detail": "Aucun serveur distant n'a le nom « {name} » dans la configuration.",
    "upstream.unknown.remedy": "Ajoutez la section [upstreams.NOM], ou corrigez le nom.",
    "upstream.path.title": "Chemin non permis",
    "upstream.path.detail": "Ce chemin du serveur « {name} » n'est pas permis par la configuration, ou il est ambigu.",
    "upstream.path.remedy": (
        "Ajoutez-le à upstreams.NOM.paths s'il doit être joint ; un chemin n'a ni « . » ni « .. » ni barre codée."
    ),
    "upstream.unreachable.title": "Serveur distant injoignable",
    "upstream.unreachable.detail": "Le serveur « {name} » ne peut pas être joint ({why}).",
    "upstream.unreachable.remedy": "Vérifiez le réseau et l'adresse, puis réessayez.",
    "upstream.timeout.title": "Serveur distant muet",
    "upstream.timeout.detail": "Le serveur « {name} » n'a rien répondu pendant {seconds} s.",
    "upstream.timeout.remedy": "Réessayez ; une demande qui écrit a pu être traitée, vérifiez-le d'abord.",
    "upstream.certificate.title": "Serveur distant non prouvé",
    "upstream.certificate.detail": (
        "Le certificat du serveur « {name} » n'est pas celui qu'il faut ({why}) ; rien ne lui a été confié."
    ),
    "upstream.certificate.remedy": (
        "Vérifiez l'adresse, les autorités configurées et l'heure du poste. Ne passez pas outre."
    ),
    "upstream.weak_certificate.title": "Certificat trop faible",
    "upstream.weak_certificate.detail": "Le certificat ne peut pas servir en TLS ({why}).",
    "upstream.weak_certificate.remedy": (
        "Utilisez-en un dont la clé fait au moins 2048 bits, signé en SHA-256 : "
        "une autre carte, ou un certificat renouvelé."
    ),
    "upstream.refused.title": "Certificat refusé par le serveur distant",
    "upstream.refused.detail": "Le serveur « {name} » a refusé notre certificat ou ce que sa clé sait faire ({why}).",
    "upstream.refused.remedy": (
        "Vérifiez que ce certificat est admis là-bas, en cours de validité, et que le serveur accepte TLS 1.2 avec RSA."
    ),
    "upstream.tls.title": "Connexion TLS impossible",
    "upstream.tls.detail": "Aucune connexion TLS ne s'établit avec le serveur « {name} » ({why}).",
    "upstream.tls.remedy": "Comparez les versions de TLS des deux côtés ; voyez le journal du serveur.",
    "upstream.closed.title": "Connexion coupée",
    "upstream.closed.detail": "Le serveur « {name} » a coupé la connexion avant la fin.",
    "upstream.closed.remedy": "Réessayez ; une demande qui écrit a pu être traitée, vérifiez-le d'abord.",
    "upstream.garbled.title": "Réponse incompréhensible",
    "upstream.garbled.detail": "Ce que répond le serveur « {name} » n'est pas du HTTP.",
    "upstream.garbled.remedy": "Vérifiez l'adresse et le port configurés.",
    "upstream.too_large.title": "Réponse trop grande",
    "upstream.too_large.detail": "La réponse du serveur « {name} » passe la limite de {limit} octets.",
    "upstream.too_large.remedy": "Relevez upstreams.NOM.max_body si de telles réponses sont attendues.",
    "upstream.clock.title": "Heure décalée",
    "upstream.clock.detail": (
        "L'heure du poste et celle du serveur « {name} » diffèrent de {seconds} s ; sa réponse (statut "
        "{answered}) est écartée, mais la demande a été traitée."
    ),
    "upstream.clock.remedy": "Mettez le poste à l'heure (NTP), puis réessayez.",
    "assertion.profile.title": "Profil DMP inconnu",
    "assertion.profile.detail": "Aucun profil DMP ne s'appelle « {profile} ».",
    "assertion.profile.remedy": "Choisissez l'un de ceux-ci : {known}.",
    "assertion.profile_point.title": "Profil DMP mal réglé",
    "assertion.profile_point.detail": "Le point « {point} » du profil DMP ne peut pas avoir cette valeur.",
    "assertion.profile_point.remedy": "Choisissez parmi : {known}.",
    "assertion.registration.title": "Enregistrement du logiciel incomplet",
    "assertion.registration.detail": "Il manque à l'enregistrement du logiciel la valeur « {what} ».",
    "assertion.registration.remedy": (
        "Complétez l'enregistrement du logiciel dans la configuration ; l'éditeur connaît ces valeurs."
    ),
    "assertion.value.title": "Valeur refusée",
    "assertion.value.detail": "La valeur « {what} » est vide, trop longue, ou n'a pas la forme voulue.",
    "assertion.value.remedy": "Corrigez cette valeur dans la demande ou dans la configuration.",
    "assertion.ins_format.title": "INS mal formé",
    "assertion.ins_format.detail": "L'INS n'a pas la forme d'un matricule suivi de sa clé (15 caractères).",
    "assertion.ins_format.remedy": "Reprenez l'INS tel que le téléservice INSi le donne, sans espace.",
    "assertion.ins_key.title": "Clé de l'INS fausse",
    "assertion.ins_key.detail": "La clé ne correspond pas au matricule INS : un chiffre est faux.",
    "assertion.ins_key.remedy": "Vérifiez l'INS du patient ; ne corrigez pas la clé à la main.",
    "assertion.ins_oid.title": "OID d'INS inconnu",
    "assertion.ins_oid.detail": "L'OID {oid} n'est pas celui d'un INS.",
    "assertion.ins_oid.remedy": "Donnez l'OID reçu du téléservice INSi ; ceux qui existent : {known}.",
    "assertion.national_id.title": "Identifiant national absent ou faux",
    "assertion.national_id.detail": "L'identité n'a pas d'identifiant national de professionnel bien formé.",
    "assertion.national_id.remedy": (
        "Utilisez la carte ou la connexion du professionnel ; si elle est à jour, prévenez l'ANS."
    ),
    "assertion.role_missing.title": "Rôle manquant",
    "assertion.role_missing.detail": (
        "Ni la carte ni la connexion n'indiquent de profession, et la demande n'indique pas de rôle."
    ),
    "assertion.role_missing.remedy": "Indiquez dans la demande le rôle de la personne (« role »).",
    "assertion.role.title": "Rôle refusé",
    "assertion.role.detail": "Le rôle « {role} » n'existe pas, ou la personne a déjà une profession.",
    "assertion.role.remedy": (
        "N'indiquez un rôle que pour une personne sans profession, avec un code des tables A00, R94 ou R95 ; "
        "G16, en formation, avec une carte CPF ou le certificat d'une structure."
    ),
    "assertion.expertise.title": "Savoir-faire manquant",
    "assertion.expertise.detail": (
        "Le DMP demande le savoir-faire d'un médecin ; ni la carte ni la connexion ne l'indiquent."
    ),
    "assertion.expertise.remedy": (
        "Connectez-vous par Pro Santé Connect en choisissant la situation, ou faites corriger la carte par l'ANS."
    ),
    "assertion.section.title": "Section manquante",
    "assertion.section.detail": (
        "Le DMP demande la section d'un pharmacien ; elle n'est pas indiquée, ou l'est de deux façons."
    ),
    "assertion.section.remedy": (
        "Indiquez dans la demande la section de la table G05 (« section »), celle de la situation s'il y en a une."
    ),
    "assertion.code.title": "Code sans libellé",
    "assertion.code.detail": "Le code {code} de la table {table} n'a pas de libellé connu.",
    "assertion.code.remedy": (
        "Vérifiez le code ; s'il est nouveau, ajoutez son libellé à dmp.labels dans la configuration."
    ),
    "assertion.structure.title": "Structure manquante",
    "assertion.structure.detail": "L'identifiant de la structure d'exercice est absent ou mal formé.",
    "assertion.structure.remedy": (
        "Choisissez une situation d'exercice qui nomme la structure, ou vérifiez le certificat de l'organisation."
    ),
    "assertion.sector.title": "Secteur d'activité manquant",
    "assertion.sector.detail": "La situation d'exercice n'indique pas de secteur d'activité (SAxx).",
    "assertion.sector.remedy": (
        "Choisissez une situation d'exercice qui indique le secteur ; avec le certificat de l'organisation, la demande "
        "l'indique (« sector »)."
    ),
    "assertion.identity_declared.title": "Identité non prouvée",
    "assertion.identity_declared.detail": (
        "Ce mode demande une identité prouvée ; celle-ci est déclarée par le logiciel."
    ),
    "assertion.identity_declared.remedy": (
        "Connectez la personne avec sa carte ou par Pro Santé Connect, ou passez en mode indirect."
    ),
    "assertion.login.title": "Connexion inadaptée",
    "assertion.login.detail": "Une connexion « {means} » ne permet pas le mode « {mode} ».",
    "assertion.login.remedy": "Connectez-vous autrement, ou choisissez un autre mode.",
    "assertion.organisation.title": "Certificat d'organisation manquant",
    "assertion.organisation.detail": "Ce mode demande le certificat de signature de l'organisation (ORG_SIGN).",
    "assertion.organisation.remedy": "Configurez ce certificat, ou choisissez le mode direct avec la carte.",
    "assertion.signer.title": "Certificat d'un autre",
    "assertion.signer.detail": (
        "Le certificat qui doit signer n'est pas celui de la personne ou de l'organisation nommée."
    ),
    "assertion.signer.remedy": (
        "Insérez la carte de la personne connectée, ou configurez le certificat de la bonne organisation."
    ),
    "assertion.card_type.title": "Type de carte inconnu",
    "assertion.card_type.detail": "Le certificat n'indique pas le type de la carte (CPS, CPF, CPE ou CPA).",
    "assertion.card_type.remedy": "Utilisez une carte CPx ; si c'en est une, prévenez l'ANS.",
    "assertion.none_needed.title": "Pas d'assertion dans ce mode",
    "assertion.none_needed.detail": (
        "Avec un certificat logiciel, INSi ne demande pas d'assertion : la connexion TLS suffit."
    ),
    "assertion.none_needed.remedy": "Appelez INSi avec le certificat de l'organisation, sans assertion.",
    "assertion.late.title": "Signature trop tardive",
    "assertion.late.detail": (
        "La signature est venue après les {seconds} s de vie de l'assertion ; elle a été détruite."
    ),
    "assertion.late.remedy": "Réessayez.",
    "support_code.required.title": "Code de support demandé",
    "support_code.required.detail": (
        "Sur ce poste, le support ou un administrateur doit donner son accord par un code à usage unique."
    ),
    "support_code.required.remedy": "Demandez les six chiffres que son téléphone affiche en ce moment, et donnez-les.",
    "support_code.wrong.title": "Code de support faux",
    "support_code.wrong.detail": (
        "Ce n'est pas un code de cette minute. Trop de codes faux verrouillent le poste un moment."
    ),
    "support_code.wrong.remedy": (
        "Vérifiez que c'est bien l'entrée de ce poste, que le code est le dernier affiché, et que l'horloge est "
        "juste (« cardctl doctor clock »)."
    ),
    "support_code.replayed.title": "Code de support déjà utilisé",
    "support_code.replayed.detail": "Un code ne sert qu'une fois, et pas après un plus récent.",
    "support_code.replayed.remedy": "Attendez {retry_after} s le code suivant.",
    "support_code.locked.title": "Codes de support verrouillés",
    "support_code.locked.detail": (
        "Trop de codes faux ont été donnés sur ce poste ; aucun n'est examiné pour l'instant."
    ),
    "support_code.locked.remedy": (
        "Attendez {retry_after} s. Si personne ici n'a donné de code faux, prévenez votre responsable de la sécurité."
    ),
    "support_code.not_enrolled.title": "Poste non inscrit",
    "support_code.not_enrolled.detail": "Des codes de support sont exigés ici, et ce poste n'en a pas.",
    "support_code.not_enrolled.remedy": "En tant qu'administrateur : « cardctl support enrol ».",
    "support_code.off.title": "Codes de support désactivés",
    "support_code.off.detail": "La configuration n'exige aucun code de support sur ce poste.",
    "support_code.off.remedy": "Mettez totp = true dans la section [support], et redémarrez le service.",
    "support_code.fixed.title": "Secret gardé par systemd",
    "support_code.fixed.detail": (
        "Le secret des codes de support est un « credential » de systemd, que le service ne peut pas changer."
    ),
    "support_code.fixed.remedy": (
        "Remplacez ou retirez le « credential » dans l'unité du service, puis redémarrez le service."
    ),
    "support_code.unreadable.title": "Secret de support illisible",
    "support_code.unreadable.detail": "Le secret des codes de support n'est pas un texte base32 d'au moins 112 bits.",
    "support_code.unreadable.remedy": "Refaites le « credential » : « cardctl support enrol --credential FICHIER ».",
    "support_code.administrator.title": "Réservé aux administrateurs",
    "support_code.administrator.detail": "Cela est réservé à root et à l'utilisateur du service.",
    "support_code.administrator.remedy": "Recommencez avec sudo.",
}
