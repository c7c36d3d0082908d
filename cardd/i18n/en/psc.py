"""The login through Pro Santé Connect: what its errors say, under each one's code, and the page after it."""

from __future__ import annotations

_SUPPORT = "Tell your software's support; do not insist."
_CLOCK = "Check this machine's clock (timedatectl), then start again."

TEXTS = {
    "psc.page.done.title": "Go back to your software",
    "psc.page.done.text": "Pro Santé Connect has answered. You may close this page.",
    "psc.page.refused.title": "The login did not succeed",
    "psc.page.refused.text": "Go back to your software: it says what happened. You may close this page.",
    "psc.page.used.title": "Answer already received",
    "psc.page.used.text": "This page has served already. To log in, start again from your software.",
    "psc.page.foreign.title": "This answer is not expected here",
    "psc.page.foreign.text": "It belongs to another login. Start again from your software.",
    "psc.page.unknown.title": "There is nothing here",
    "psc.page.unknown.text": "You may close this page.",
    "psc.unavailable.title": "Pro Santé Connect does not answer",
    "psc.unavailable.detail": "The service {host} does not answer, or not properly.",
    "psc.unavailable.remedy": "Check the connection to the internet, then try again. Meanwhile, log in with the card.",
    "psc.certificate.title": "The service's certificate was refused",
    "psc.certificate.detail": "What answers at {host} does not prove that it is that service; it was told nothing.",
    "psc.certificate.remedy": (
        "Check this machine's clock, and whether a proxy or an antivirus intercepts connections; else tell the support."
    ),
    "psc.garbled.title": "Unintelligible answer",
    "psc.garbled.detail": "Pro Santé Connect sent a wrong answer ({what}).",
    "psc.garbled.remedy": "Try again. If it happens again, tell the support.",
    "psc.discovery_issuer.title": "Not the configured provider",
    "psc.discovery_issuer.detail": "The provider that answers is not {issuer}.",
    "psc.discovery_issuer.remedy": "Correct psc.issuer in the configuration, to the letter.",
    "psc.discovery_host.title": "An address outside the provider",
    "psc.discovery_host.detail": "The provider announces {endpoint} at {host}, outside its domain.",
    "psc.discovery_host.remedy": (
        "If that address is legitimate, add it to the allowed hosts in the configuration; else tell the support."
    ),
    "psc.discovery_insecure.title": "An address without encryption",
    "psc.discovery_insecure.detail": "The provider's address {endpoint} is not https.",
    "psc.discovery_insecure.remedy": "Correct psc.issuer in the configuration, or tell the support.",
    "psc.no_ciba.title": "No login by mobile",
    "psc.no_ciba.detail": "Pro Santé Connect has not enabled the e-CPS login without a browser for this service.",
    "psc.no_ciba.remedy": "Log in by the browser or with the card; the vendor can ask ANS to enable CIBA.",
    "psc.client_refused.title": "Pro Santé Connect refuses the service",
    "psc.client_refused.detail": "Pro Santé Connect does not accept this service's credentials or certificate.",
    "psc.client_refused.remedy": (
        "Check the client id, the secret or the organisation's certificate in the configuration, and its validity."
    ),
    "psc.incomplete.title": "Credentials are missing here",
    "psc.incomplete.detail": "This workstation has no usable “{what}” to prove itself to Pro Santé Connect ({why}).",
    "psc.incomplete.remedy": (
        "Put a secret into the keyring (service cardd), or into a systemd credential of the service (cardd.NAME); "
        "for a file, check its path and rights."
    ),
    "psc.login_hint.title": "Unknown national id",
    "psc.login_hint.detail": "Pro Santé Connect does not know this id, or it has no active e-CPS.",
    "psc.login_hint.remedy": "Check the id (the RPPS number after an 8). Else activate the e-CPS in the mobile's app.",
    "psc.request_refused.title": "Pro Santé Connect refused the request",
    "psc.request_refused.detail": "Pro Santé Connect refused the request ({error}).",
    "psc.request_refused.remedy": "Try again. If it happens again, give this code to the support.",
    "psc.denied.title": "Login refused",
    "psc.denied.detail": "The login was refused on the mobile or on Pro Santé Connect's page.",
    "psc.denied.remedy": (
        "Start again and accept if the two digits are the same; if you had asked for nothing, tell the support."
    ),
    "psc.expired.title": "No answer from the mobile",
    "psc.expired.detail": "The mobile did not answer in time.",
    "psc.expired.remedy": (
        "Start again with the e-CPS app open on the screen. If nothing arrives: turn the battery saver off for e-CPS; "
        "if the e-CPS has expired, delete it in the app and activate it again."
    ),
    "psc.browser_timeout.title": "The browser did not come back",
    "psc.browser_timeout.detail": "Pro Santé Connect's page was not completed in time, or was closed.",
    "psc.browser_timeout.remedy": "Start again and go to the end of the page that opens.",
    "psc.redeemed.title": "Request already used",
    "psc.redeemed.detail": "This login request has served already, or Pro Santé Connect forgot it.",
    "psc.redeemed.remedy": "Start the login again.",
    "psc.session_over.title": "Pro Santé Connect's session ended",
    "psc.session_over.detail": "Pro Santé Connect has ended the session.",
    "psc.session_over.remedy": "Log in again.",
    "psc.other_person.title": "Not the right person",
    "psc.other_person.detail": "Somebody else than the expected person logged in; no session was opened.",
    "psc.other_person.remedy": "Start again with the expected person's e-CPS or card.",
    "psc.userinfo_subject.title": "Two different identities",
    "psc.userinfo_subject.detail": "Pro Santé Connect answered with another person's information.",
    "psc.userinfo_subject.remedy": _SUPPORT,
    "psc.token_malformed.title": "Unreadable token",
    "psc.token_malformed.detail": "A token of Pro Santé Connect ({token}) is incomplete or unreadable.",
    "psc.token_malformed.remedy": "Start again. If it happens again, tell the support.",
    "psc.token_algorithm.title": "A kind of signature that is refused",
    "psc.token_algorithm.detail": "A token ({token}) is not signed in a way that cardd accepts.",
    "psc.token_algorithm.remedy": "The vendor must choose RS256, PS256 or ES256 for this service at the provider.",
    "psc.token_key.title": "Unknown signature key",
    "psc.token_key.detail": "A token ({token}) is signed with a key that the provider does not publish.",
    "psc.token_key.remedy": "Start again in a minute. If it happens again, tell the support.",
    "psc.token_signature.title": "Wrong signature",
    "psc.token_signature.detail": "The signature of a token ({token}) is wrong.",
    "psc.token_signature.remedy": _SUPPORT,
    "psc.token_issuer.title": "A token of another provider",
    "psc.token_issuer.detail": "A token ({token}) comes from another provider than the configured one.",
    "psc.token_issuer.remedy": _SUPPORT,
    "psc.token_audience.title": "A token for another service",
    "psc.token_audience.detail": "A token ({token}) was not made for this service.",
    "psc.token_audience.remedy": _SUPPORT,
    "psc.token_binding.title": "A token of another login",
    "psc.token_binding.detail": "A token ({token}) does not belong to this login ({claim}).",
    "psc.token_binding.remedy": "Start the login again. If it happens again, tell the support.",
    "psc.token_expired.title": "Expired token",
    "psc.token_expired.detail": "A token ({token}) had expired when it came.",
    "psc.token_expired.remedy": _CLOCK,
    "psc.token_from_future.title": "A token from the future",
    "psc.token_from_future.detail": "A token ({token}) bears a time that has not come yet.",
    "psc.token_from_future.remedy": _CLOCK,
    "psc.token_level.title": "Too weak a login",
    "psc.token_level.detail": "The level of authentication is not the one that was asked for.",
    "psc.token_level.remedy": "Start again with the e-CPS or the card.",
    "psc.token_replayed.title": "Token already received",
    "psc.token_replayed.detail": "A token ({token}) came a second time; it was ignored.",
    "psc.token_replayed.remedy": "There is nothing to do; if it happens again, tell the support.",
    "psc.flow_unavailable.title": "This way to log in is not possible",
    "psc.flow_unavailable.detail": (
        "There is no login by this way ({flow}) with this configuration, or no more in this session."
    ),
    "psc.flow_unavailable.remedy": "Take the other way: mobile or browser.",
    "psc.api_unknown.title": "Unknown API",
    "psc.api_unknown.detail": "No API “{api}” is configured to exchange a token for.",
    "psc.api_unknown.remedy": "Add it to the configuration (psc.apis), or ask for PSC's own token.",
}
