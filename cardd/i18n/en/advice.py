"""Why a way to log in suits a use, or does not."""

from __future__ import annotations

TEXTS = {
    "advice.card_does_all": "The card proves who you are, opens the DMP's TLS, and signs documents and assertions.",
    "advice.card_needs_reader": "Each workstation needs a reader, and the card stays in it.",
    "advice.mobile_no_reader": "It needs your mobile and no reader.",
    "advice.mobile_signs_nothing": "e-CPS proves who you are and signs no document.",
    "advice.psc_card_channel": "Pro Santé Connect's own card login is not served on Linux; its mobile login is.",
    "advice.page_token": "The page gets a token made for its own address, and may ask for signatures.",
    "advice.air_consults": (
        "Joined with the organisation's certificate (AIR) it consults the DMP, and does not feed it."
    ),
    "advice.indirect_feeds": (
        "The organisation's certificate feeds the DMP and finds its own documents there, and consults no other."
    ),
    "advice.person_declared": "It proves the organisation; the person is only named by the software.",
}
