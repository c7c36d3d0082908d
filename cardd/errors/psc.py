"""The login through Pro Santé Connect did not succeed."""

from __future__ import annotations

from cardd.errors.base import Words
from cardd.errors.psc_reach import PscError
from cardd.i18n import N_

_FLOWS: Words = {"flow": {"mobile": N_("mobile"), "browser": N_("browser")}}


class PscGarbled(PscError):
    """The provider answered something that the standards do not allow."""

    code = "psc.garbled"
    retryable = True
    title = N_("Unintelligible answer")
    detail = N_("Pro Santé Connect sent a wrong answer ({what}).")
    remedy = N_("Try again. If it happens again, tell the support.")

    what: str


class PscDiscoveryIssuer(PscError):
    """The discovery document is another issuer's."""

    code = "psc.discovery_issuer"
    title = N_("Not the configured provider")
    detail = N_("The provider that answers is not {issuer}.")
    remedy = N_("Correct psc.issuer in the configuration, to the letter.")

    issuer: str  # the one that was asked


class PscDiscoveryHost(PscError):
    """The discovery document names a host outside the issuer's domain."""

    code = "psc.discovery_host"
    title = N_("An address outside the provider")
    detail = N_("The provider announces {endpoint} at {host}, outside its domain.")
    remedy = N_(
        "If that address is legitimate, add it to the allowed hosts in the configuration; else tell the support."
    )

    endpoint: str
    host: str


class PscDiscoveryInsecure(PscError):
    """An address of the provider is not https."""

    code = "psc.discovery_insecure"
    title = N_("An address without encryption")
    detail = N_("The provider's address {endpoint} is not https.")
    remedy = N_("Correct psc.issuer in the configuration, or tell the support.")

    endpoint: str


class PscNoCiba(PscError):
    """The provider, or this service at the provider, has no login by mobile (CIBA)."""

    code = "psc.no_ciba"
    status = 422
    title = N_("No login by mobile")
    detail = N_("Pro Santé Connect has not enabled the e-CPS login without a browser for this service.")
    remedy = N_("Log in by the browser or with the card; the vendor can ask ANS to enable CIBA.")


class PscSessionElsewhere(PscError):
    """The editor's server has a session of this person that nobody agreed to here, and does not end it."""

    code = "psc.session_elsewhere"
    status = 409
    title = N_("Already logged in elsewhere")
    detail = N_("The editor's server has a session of this person already, and asks the mobile for no other.")
    remedy = N_("Log out where that session is open, or wait until it ends; then log in again.")


class PscLoginHintUnknown(PscError):
    """Nobody at the provider has this national id."""

    code = "psc.login_hint"
    status = 422
    title = N_("Unknown national id")
    detail = N_("Pro Santé Connect does not know this id, or it has no active e-CPS.")
    remedy = N_("Check the id (the RPPS number after an 8). Else activate the e-CPS in the mobile's app.")


class PscRequestRefused(PscError):
    """The provider refused the request."""

    code = "psc.request_refused"
    title = N_("Pro Santé Connect refused the request")
    detail = N_("Pro Santé Connect refused the request ({error}).")
    remedy = N_("Try again. If it happens again, give this code to the support.")

    error: str  # its OAuth error code


class PscDenied(PscError):
    """The person refused on the mobile or on the provider's page."""

    code = "psc.denied"
    status = 403
    title = N_("Login refused")
    detail = N_("The login was refused on the mobile or on Pro Santé Connect's page.")
    remedy = N_(
        "Start again and accept if the two digits are the same; if you had asked for nothing, tell the support."
    )


class PscExpired(PscError):
    """Nobody answered on the mobile in time."""

    code = "psc.expired"
    status = 403
    retryable = True
    title = N_("No answer from the mobile")
    detail = N_("The mobile did not answer in time.")
    remedy = N_(
        "Start again with the e-CPS app open on the screen. If nothing arrives: turn the battery saver off for e-CPS; "
        "if the e-CPS has expired, delete it in the app and activate it again."
    )


class PscBrowserTimeout(PscError):
    """The browser did not come back from the provider's page in time."""

    code = "psc.browser_timeout"
    status = 403
    retryable = True
    title = N_("The browser did not come back")
    detail = N_("Pro Santé Connect's page was not completed in time, or was closed.")
    remedy = N_("Start again and go to the end of the page that opens.")


class PscRedeemed(PscError):
    """This login request or code was redeemed before, or the provider forgot it."""

    code = "psc.redeemed"
    status = 409
    title = N_("Request already used")
    detail = N_("This login request has served already, or Pro Santé Connect forgot it.")
    remedy = N_("Start the login again.")


class PscSessionOver(PscError):
    """The provider's session ended: its refresh or access token is worth nothing any more."""

    code = "psc.session_over"
    status = 401
    title = N_("Pro Santé Connect's session ended")
    detail = N_("Pro Santé Connect has ended the session.")
    remedy = N_("Log in again.")


class PscOtherPerson(PscError):
    """Somebody else than the expected person logged in."""

    code = "psc.other_person"
    status = 403
    title = N_("Not the right person")
    detail = N_("Somebody else than the expected person logged in; no session was opened.")
    remedy = N_("Start again with the expected person's e-CPS or card.")


class PscUserinfoSubject(PscError):
    """The userinfo speaks of another subject than the ID token."""

    code = "psc.userinfo_subject"
    title = N_("Two different identities")
    detail = N_("Pro Santé Connect answered with another person's information.")
    remedy = N_("Tell your software's support; do not insist.")


class PscFlowUnavailable(PscError):
    """This way to log in does not exist with this configuration."""

    code = "psc.flow_unavailable"
    status = 422
    title = N_("This way to log in is not possible")
    detail = N_("There is no login by this way ({flow}) with this configuration, or no more in this session.")
    remedy = N_("Take the other way: mobile or browser.")
    words = _FLOWS

    flow: str


class PscApiUnknown(PscError):
    """No API of this name is configured to exchange tokens for."""

    code = "psc.api_unknown"
    status = 422
    title = N_("Unknown API")
    detail = N_("No API “{api}” is configured to exchange a token for.")
    remedy = N_("Add it to the configuration (psc.apis), or ask for PSC's own token.")

    api: str


class PscTokenError(PscError):
    """A signed token of the provider cannot be accepted."""

    token: str  # id_token, userinfo, logout_token, access_token or redirect


class PscTokenMalformed(PscTokenError):
    """The token is no signed token, or lacks a claim that it must have."""

    code = "psc.token_malformed"
    title = N_("Unreadable token")
    detail = N_("A token of Pro Santé Connect ({token}) is incomplete or unreadable.")
    remedy = N_("Start again. If it happens again, tell the support.")


class PscTokenAlgorithm(PscTokenError):
    """The token is signed by an algorithm that is not accepted (``none`` and HMAC never are)."""

    code = "psc.token_algorithm"
    title = N_("A kind of signature that is refused")
    detail = N_("A token ({token}) is not signed in a way that cardd accepts.")
    remedy = N_("The vendor must choose RS256, PS256 or ES256 for this service at the provider.")


class PscTokenKey(PscTokenError):
    """The token is signed with a key that the provider does not publish."""

    code = "psc.token_key"
    title = N_("Unknown signature key")
    detail = N_("A token ({token}) is signed with a key that the provider does not publish.")
    remedy = N_("Start again in a minute. If it happens again, tell the support.")


class PscTokenSignature(PscTokenError):
    """The signature of the token is wrong."""

    code = "psc.token_signature"
    title = N_("Wrong signature")
    detail = N_("The signature of a token ({token}) is wrong.")
    remedy = N_("Tell your software's support; do not insist.")


class PscTokenIssuer(PscTokenError):
    """The token comes from another issuer."""

    code = "psc.token_issuer"
    title = N_("A token of another provider")
    detail = N_("A token ({token}) comes from another provider than the configured one.")
    remedy = N_("Tell your software's support; do not insist.")


class PscTokenAudience(PscTokenError):
    """The token was made for another service."""

    code = "psc.token_audience"
    title = N_("A token for another service")
    detail = N_("A token ({token}) was not made for this service.")
    remedy = N_("Tell your software's support; do not insist.")


class PscTokenBinding(PscTokenError):
    """The token does not belong to this login, or to this certificate."""

    code = "psc.token_binding"
    title = N_("A token of another login")
    detail = N_("A token ({token}) does not belong to this login ({claim}).")
    remedy = N_("Start the login again. If it happens again, tell the support.")

    claim: str  # nonce, at_hash, …


class PscTokenExpired(PscTokenError):
    """The token is past its time."""

    code = "psc.token_expired"
    title = N_("Expired token")
    detail = N_("A token ({token}) had expired when it came.")
    remedy = N_("Check this machine's clock (timedatectl), then start again.")


class PscTokenFromFuture(PscTokenError):
    """The token was made later than now: one of the two clocks is wrong."""

    code = "psc.token_from_future"
    title = N_("A token from the future")
    detail = N_("A token ({token}) bears a time that has not come yet.")
    remedy = N_("Check this machine's clock (timedatectl), then start again.")


class PscTokenStale(PscTokenError):
    """The token was made, or the person logged in, longer ago than a login takes."""

    code = "psc.token_stale"
    title = N_("A token of long ago")
    detail = N_("A token ({token}) was made too long ago, or tells of a login of long ago ({claim}).")
    remedy = N_("Check this machine's clock (timedatectl), then log out of Pro Santé Connect's page and start again.")

    claim: str  # iat, auth_time


class PscTokenType(PscTokenError):
    """The token is of another kind than is expected: an access token or a logout token, say."""

    code = "psc.token_type"
    title = N_("A token of another kind")
    detail = N_("Another kind of token came in the place of one ({token}).")
    remedy = N_("Tell your software's support; do not insist.")


class PscTokenLevel(PscTokenError):
    """The token names a weaker login than was asked for (``acr``)."""

    code = "psc.token_level"
    title = N_("Too weak a login")
    detail = N_("The level of authentication ({level}) is below the one that was asked for ({least}).")
    remedy = N_(
        "Start again with the e-CPS or the card. If it happens again, have psc.acr checked in the configuration."
    )

    level: str
    least: str


class PscTokenReplayed(PscTokenError):
    """The token came before."""

    code = "psc.token_replayed"
    title = N_("Token already received")
    detail = N_("A token ({token}) came a second time; it was ignored.")
    remedy = N_("There is nothing to do; if it happens again, tell the support.")
