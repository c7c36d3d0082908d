"""La connexion par Pro Santé Connect : ce que disent ses erreurs, sous le code de chacune, et la page du retour."""

from __future__ import annotations

_SUPPORT = "Prévenez le support de votre logiciel ; n'insistez pas."
_CLOCK = "Vérifiez l'heure du poste (« timedatectl »), puis recommencez."

TEXTS = {
    "psc.page.done.title": "Retournez à votre logiciel",
    "psc.page.done.text": "Pro Santé Connect a répondu. Vous pouvez fermer cette page.",
    "psc.page.refused.title": "Connexion non aboutie",
    "psc.page.refused.text": "Retournez à votre logiciel : il dit ce qui s'est passé. Vous pouvez fermer cette page.",
    "psc.page.used.title": "Réponse déjà reçue",
    "psc.page.used.text": "Cette page a déjà servi. Pour vous connecter, recommencez depuis votre logiciel.",
    "psc.page.foreign.title": "Cette réponse n'est pas attendue ici",
    "psc.page.foreign.text": "Elle vient d'une autre connexion. Recommencez depuis votre logiciel.",
    "psc.page.unknown.title": "Il n'y a rien ici",
    "psc.page.unknown.text": "Vous pouvez fermer cette page.",
    "psc.unavailable.title": "Pro Santé Connect ne répond pas",
    "psc.unavailable.detail": "Le service {host} ne répond pas, ou pas correctement.",
    "psc.unavailable.remedy": (
        "Vérifiez la connexion à Internet, puis réessayez. En attendant, connectez-vous avec la carte."
    ),
    "psc.certificate.title": "Certificat du service refusé",
    "psc.certificate.detail": (
        "Ce qui répond à {host} ne prouve pas que c'est bien ce service ; rien ne lui a été confié."
    ),
    "psc.certificate.remedy": (
        "Vérifiez l'heure du poste, et si un proxy ou un antivirus intercepte les connexions ; "
        "sinon prévenez le support."
    ),
    "psc.garbled.title": "Réponse incompréhensible",
    "psc.garbled.detail": "Pro Santé Connect a envoyé une réponse incorrecte ({what}).",
    "psc.garbled.remedy": "Réessayez. Si cela se répète, prévenez le support.",
    "psc.discovery_issuer.title": "Ce n'est pas le fournisseur configuré",
    "psc.discovery_issuer.detail": "Le fournisseur qui répond n'est pas {issuer}.",
    "psc.discovery_issuer.remedy": "Corrigez psc.issuer dans la configuration, au caractère près.",
    "psc.discovery_host.title": "Adresse étrangère au fournisseur",
    "psc.discovery_host.detail": "Le fournisseur annonce {endpoint} chez {host}, hors de son domaine.",
    "psc.discovery_host.remedy": (
        "Si cette adresse est légitime, ajoutez-la aux hôtes admis dans la configuration ; sinon prévenez le support."
    ),
    "psc.discovery_insecure.title": "Adresse non chiffrée",
    "psc.discovery_insecure.detail": "L'adresse {endpoint} du fournisseur n'est pas en https.",
    "psc.discovery_insecure.remedy": "Corrigez psc.issuer dans la configuration, ou prévenez le support.",
    "psc.no_ciba.title": "Connexion par mobile indisponible",
    "psc.no_ciba.detail": "Pro Santé Connect n'a pas activé la connexion par e-CPS sans navigateur pour ce service.",
    "psc.no_ciba.remedy": (
        "Connectez-vous par le navigateur ou avec la carte ; l'éditeur peut demander l'activation de CIBA à l'ANS."
    ),
    "psc.client_refused.title": "Service refusé par Pro Santé Connect",
    "psc.client_refused.detail": "Pro Santé Connect n'accepte pas les identifiants ou le certificat de ce service.",
    "psc.client_refused.remedy": (
        "Vérifiez l'identifiant, le secret ou le certificat d'organisation dans la configuration, et sa validité."
    ),
    "psc.incomplete.title": "Il manque à ce poste de quoi se présenter",
    "psc.incomplete.detail": "Ce poste n'a pas de « {what} » utilisable pour Pro Santé Connect ({why}).",
    "psc.incomplete.remedy": (
        "Mettez un secret dans le trousseau (service cardd), ou dans un credential systemd du service (cardd.NOM) ; "
        "pour un fichier, vérifiez son chemin et ses droits."
    ),
    "psc.login_hint.title": "Identifiant national inconnu",
    "psc.login_hint.detail": "Pro Santé Connect ne connaît pas cet identifiant, ou il n'a pas de e-CPS active.",
    "psc.login_hint.remedy": (
        "Vérifiez l'identifiant (RPPS précédé de 8). Sinon, activez la e-CPS dans l'application du mobile."
    ),
    "psc.request_refused.title": "Demande refusée par Pro Santé Connect",
    "psc.request_refused.detail": "Pro Santé Connect a refusé la demande ({error}).",
    "psc.request_refused.remedy": "Réessayez. Si cela se répète, donnez ce code au support.",
    "psc.denied.title": "Connexion refusée",
    "psc.denied.detail": "La connexion a été refusée sur le mobile ou sur la page de Pro Santé Connect.",
    "psc.denied.remedy": (
        "Recommencez et acceptez si les deux chiffres sont les mêmes ; "
        "si vous n'aviez rien demandé, prévenez le support."
    ),
    "psc.expired.title": "Pas de réponse du mobile",
    "psc.expired.detail": "Le mobile n'a pas répondu à temps.",
    "psc.expired.remedy": (
        "Recommencez, l'application e-CPS ouverte à l'écran. Si rien n'arrive : désactivez l'économiseur de batterie "
        "pour e-CPS ; si la e-CPS a expiré, supprimez-la dans l'application et activez-la de nouveau."
    ),
    "psc.browser_timeout.title": "Pas de retour du navigateur",
    "psc.browser_timeout.detail": "La page de Pro Santé Connect n'a pas été remplie à temps, ou elle a été fermée.",
    "psc.browser_timeout.remedy": "Recommencez et allez jusqu'au bout dans la page qui s'ouvre.",
    "psc.redeemed.title": "Demande déjà utilisée",
    "psc.redeemed.detail": "Cette demande de connexion a déjà servi, ou Pro Santé Connect l'a oubliée.",
    "psc.redeemed.remedy": "Recommencez la connexion.",
    "psc.session_over.title": "Session Pro Santé Connect terminée",
    "psc.session_over.detail": "Pro Santé Connect a mis fin à la session.",
    "psc.session_over.remedy": "Connectez-vous de nouveau.",
    "psc.other_person.title": "Ce n'est pas la bonne personne",
    "psc.other_person.detail": "Une autre personne que celle attendue s'est connectée ; aucune session n'est ouverte.",
    "psc.other_person.remedy": "Recommencez avec la e-CPS ou la carte de la personne attendue.",
    "psc.userinfo_subject.title": "Identités différentes",
    "psc.userinfo_subject.detail": "Pro Santé Connect a répondu avec les informations d'une autre personne.",
    "psc.userinfo_subject.remedy": _SUPPORT,
    "psc.token_malformed.title": "Jeton illisible",
    "psc.token_malformed.detail": "Un jeton de Pro Santé Connect ({token}) est incomplet ou illisible.",
    "psc.token_malformed.remedy": "Recommencez. Si cela se répète, prévenez le support.",
    "psc.token_algorithm.title": "Signature d'un type refusé",
    "psc.token_algorithm.detail": "Un jeton ({token}) n'est pas signé d'une façon que cardd accepte.",
    "psc.token_algorithm.remedy": "L'éditeur doit choisir RS256, PS256 ou ES256 pour ce service chez le fournisseur.",
    "psc.token_key.title": "Clé de signature inconnue",
    "psc.token_key.detail": "Un jeton ({token}) est signé d'une clé que le fournisseur ne publie pas.",
    "psc.token_key.remedy": "Recommencez dans une minute. Si cela se répète, prévenez le support.",
    "psc.token_signature.title": "Signature fausse",
    "psc.token_signature.detail": "La signature d'un jeton ({token}) est fausse.",
    "psc.token_signature.remedy": _SUPPORT,
    "psc.token_issuer.title": "Jeton d'un autre fournisseur",
    "psc.token_issuer.detail": "Un jeton ({token}) vient d'un autre fournisseur que celui de la configuration.",
    "psc.token_issuer.remedy": _SUPPORT,
    "psc.token_audience.title": "Jeton destiné à un autre service",
    "psc.token_audience.detail": "Un jeton ({token}) n'a pas été émis pour ce service.",
    "psc.token_audience.remedy": _SUPPORT,
    "psc.token_binding.title": "Jeton d'une autre connexion",
    "psc.token_binding.detail": "Un jeton ({token}) n'appartient pas à cette connexion ({claim}).",
    "psc.token_binding.remedy": "Recommencez la connexion. Si cela se répète, prévenez le support.",
    "psc.token_expired.title": "Jeton expiré",
    "psc.token_expired.detail": "Un jeton ({token}) était déjà expiré en arrivant.",
    "psc.token_expired.remedy": _CLOCK,
    "psc.token_from_future.title": "Jeton du futur",
    "psc.token_from_future.detail": "Un jeton ({token}) porte une heure qui n'est pas encore venue.",
    "psc.token_from_future.remedy": _CLOCK,
    "psc.token_level.title": "Connexion trop faible",
    "psc.token_level.detail": "Le niveau d'authentification obtenu n'est pas celui qui a été demandé.",
    "psc.token_level.remedy": "Recommencez avec la e-CPS ou la carte.",
    "psc.token_replayed.title": "Jeton déjà reçu",
    "psc.token_replayed.detail": "Un jeton ({token}) est arrivé une seconde fois ; il a été ignoré.",
    "psc.token_replayed.remedy": "Il n'y a rien à faire ; si cela se répète, prévenez le support.",
    "psc.flow_unavailable.title": "Connexion impossible par ce moyen",
    "psc.flow_unavailable.detail": (
        "La connexion par ce moyen ({flow}) n'existe pas avec cette configuration, ou plus pour cette session."
    ),
    "psc.flow_unavailable.remedy": "Choisissez l'autre moyen : mobile ou navigateur.",
    "psc.api_unknown.title": "API inconnue",
    "psc.api_unknown.detail": "Aucune API « {api} » n'est configurée pour un échange de jeton.",
    "psc.api_unknown.remedy": "Ajoutez-la dans la configuration (psc.apis), ou demandez le jeton de PSC lui-même.",
}
