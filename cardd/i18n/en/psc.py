"""The page that the browser shows after a login through Pro Santé Connect."""

from __future__ import annotations

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
}
