"""A web page may not do this: who sends its requests, the key that it proves itself by, its rights."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

# what is wrong with a page's proof
_PROOF: Words = {
    "reason": {
        "address": N_("it is for another address than this one"),
        "challenge": N_("its challenge is not of here, too old, or was used before"),
        "form": N_("it does not have the form of a proof"),
        "key": N_("the key is none on the curve P-256"),
        "origin": N_("it is for another site"),
        "signature": N_("the key did not sign it"),
    }
}
_RIGHTS: Words = {
    "right": {
        "detect": N_("see that a card is there"),
        "holder": N_("read who you are"),
        "authenticate": N_("log you in"),
        "sign": N_("have documents signed"),
        "relay": N_("act at other services in your name"),
    }
}
# why a person may not let a site in
_NOT_ASKABLE: Words = {
    "why": {
        "form": N_("this is no address of an https site"),
        "refused": N_("this workstation takes only the sites that its configuration lists"),
    }
}


class PageError(CarddError):
    """The calling page may not do this."""

    status = 403


class NotABrowser(PageError):
    """The request has an Origin, as a page's, and comes from a program that is no known browser."""

    code = "page.not_a_browser"
    title = N_("Not a known browser")
    detail = N_(
        "This request says that it comes from a web page, but the program that sent it is no browser known here."
    )
    remedy = N_(
        "Use a browser that is installed for all users of this machine, and restart it if it was updated; an "
        "administrator can add others (browsers in the section [web]). A program sends no Origin, and is paired."
    )


class BrowserUnseen(PageError):
    """Nobody can tell which program sends a page's requests: the desktop's agent is not there, or too old."""

    code = "page.browser_unseen"
    status = 503
    retryable = True
    title = N_("Browser not recognised")
    detail = N_(
        "Nobody on this desktop tells which program sent this request: cardd-agent does not run, or is too old."
    )
    remedy = N_("Log out of the desktop and in again, so that cardd-agent starts, and load the page again.")


class PageProofNeeded(PageError):
    """The page has not proved itself by its key, or too long ago."""

    code = "page.proof_needed"
    status = 401
    title = N_("Proof of the site needed")
    detail = N_("This site has to prove again that it is the one that you let in.")
    remedy = N_("The page does it by itself: load it again. If it goes on, the site is to be told.")


class PageProofInvalid(PageError):
    """The proof is not by this key, or not for this site, this address and a challenge of here."""

    code = "page.proof_invalid"
    status = 401
    title = N_("Proof of the site refused")
    detail = N_("The site's proof was not accepted: {reason}.")
    remedy = N_("Load the page again. If it goes on, the site is to be told.")
    words = _PROOF

    reason: str


class PageConsentNeeded(PageError):
    """The person has not let this page in, or not for all of this, and the page asked that nobody be asked now."""

    code = "page.consent_needed"
    title = N_("Site not let in")
    detail = N_("You have not let this site in from this browser, or no longer.")
    remedy = N_("Have the page ask you, and accept in the dialog that opens.")


class PageRightMissing(PageError):
    """The page was let in, and not for this; ``right`` names what it lacks."""

    code = "page.right_missing"
    title = N_("Right not given")
    detail = N_("This site may not {right}.")
    remedy = N_("The page can ask you for it; for a site of the configuration, an administrator decides.")
    words = _RIGHTS

    right: str


class StatusPageLinkInvalid(PageError):
    """The status page was opened by a link that was used before, is too old, or is another user's."""

    code = "page.link_invalid"
    status = 401
    title = N_("Link used or too old")
    detail = N_("This link to the status page was used already, or is too old.")
    remedy = N_("Open the page anew: “cardctl open”, or cardd in the menu of applications.")


class StatusPageUnserved(PageError):
    """There is no address over which a browser could load the status page."""

    code = "page.status_unserved"
    status = 503
    title = N_("No status page here")
    detail = N_("The service does not have its TCP port on 127.0.0.1 and on ::1, as its status page needs.")
    remedy = N_(
        "Use “cardctl status”, or have an administrator give the service its TCP port on both (listen.tcp, "
        "cardd.socket)."
    )


class SiteNotFound(PageError):
    """Nobody let this site in, or this browser of it, so that there is nothing to shut out."""

    code = "page.site_not_found"
    status = 404
    title = N_("Nothing to shut out")
    detail = N_("No browser of yours is let in for the site {origin}, and none was refused.")
    remedy = N_("“cardctl origins” lists the sites and their browsers.")

    origin: str


class OriginNotAskable(PageError):
    """The name is no site that a person may let in here: the configuration decides alone, or it is no https origin."""

    code = "page.not_askable"
    title = N_("Site cannot be let in")
    detail = N_("The site {origin} cannot be let in by you: {why}.")
    remedy = N_("Give it as the browser shows it (https://site.example), or ask an administrator to list it.")
    words = _NOT_ASKABLE

    origin: str
    why: str
