"""What dialogs show: what is asked, by whom, for which card."""

from __future__ import annotations

TEXTS = {
    "dialog.title": "cardd – health professional's card",
    "dialog.pair.question": (
        "The program “{name}” (vendor: {vendor}) asks to use your card or your e-CPS.\n"
        "Executable: {program}\nUser: {user}\n\n"
        "Check that the program shows this code: {code}"
    ),
    "dialog.login.question": "“{client}” asks to open a session with your card.",
    "dialog.unlock.question": "“{client}” asks to open its session again; it was locked meanwhile.",
    "dialog.sign.question": "“{client}” asks for your signature.\nDocument: “{document}”\nSHA-256 digest: {digest}…",
    "dialog.sign_batch.question": (
        "“{client}” asks for {count} signatures, all at once.\nBatch: “{batch}”\nDocuments: {documents}"
    ),
    "dialog.certificates.question": (
        "“{client}” asks to read your card's certificates: your name, your national number, your profession."
    ),
    "dialog.assertions.question": (
        "“{client}” asks to issue assertions in your name until you log out, without asking again: to open any "
        "patient's record (DMP), emergency accesses (break glass, centre 15) and secret connections included, and to "
        "look up identities (INSi). Each is written down; no document is signed. Do you agree?"
    ),
    "dialog.indirect": (
        "The certificate of “{indirect}” signs them; who you are is as the program says. "
        "They feed the DMP and do not read it."
    ),
    "dialog.air": "For the DMP, your organisation's certificate signs them; they are for reading only (AIR).",
    "dialog.origin.question": "The site {origin} asks to use your card or your e-CPS.",
    "dialog.last_try.question": (
        "Only ONE try is left for this card's PIN. A wrong PIN will block it.\n"
        "“{client}” asks for this PIN. Do you want to risk the last try?"
    ),
    "dialog.relay.question": (
        "“{client}” asks to reach the server “{upstream}” ({host}) in your name, with your "
        "certificate, as long as the session lasts."
    ),
    "dialog.lent": "That certificate is your organisation's, not your own.",
    "dialog.organisation.question": "“{client}” asks for the key of your organisation's certificate, to act for you.",
    "dialog.pin_change.question": "“{client}” asks to change this card's PIN.",
    "dialog.pin_unblock.question": "“{client}” asks to unblock this card's PIN.",
    "dialog.card.question": "“{client}” asks for a card, and several can serve. Use this one?",
    "dialog.holder": "Holder: {holder}",
    "dialog.ecps.question": (
        "“{client}” asks to open a session with your e-CPS.\n\n{digits}\n\n"
        "Agree on your mobile if the e-CPS app shows these two digits, and refuse if they differ."
    ),
    "dialog.ecps_browser.question": (
        "“{client}” asks to open a session through Pro Santé Connect.\n\n"
        "Log in on the page that opened in your browser. Refuse here to give up."
    ),
    "dialog.situation.question": (
        "“{client}” opens a session, and you practise in several situations. Take this one?\n"
        "Place: “{structure}”\nProfession {profession}, savoir-faire {specialty}, sector {sector} (ANS codes)."
    ),
    "dialog.remember_hint.question": (
        "“{client}” offers to remember your national id, {national_id}, for your next logins with e-CPS on this "
        "computer account. No code is remembered."
    ),
    "dialog.psc_token": (
        "It also asks to receive your Pro Santé Connect token, with which it acts in your name at other services as "
        "long as the session lasts."
    ),
    "dialog.again": "Resend",
    "dialog.letter.again": "r",
    "dialog.letter.hide": "h",
    "dialog.hide": "Hide",
    "dialog.keypad": "Enter your PIN on the keypad of the reader “{reader}”.",
    "dialog.patient": "Patient: “{patient}”",
    "dialog.card": "Card {card}, reader “{reader}”.",
    "dialog.tries": "Tries left: {tries_left}.",
    "dialog.time": "This dialog closes after {seconds} s.",
    "dialog.format": "{minimum} to {maximum} digits. Nothing was sent to the card.",
    "dialog.ok": "OK",
    "dialog.cancel": "Cancel",
    "dialog.yes": "Accept",
    "dialog.no": "Refuse",
    "dialog.always": "Always accept",
    "dialog.once": "Only this once",
    "dialog.close": "Close",
    "dialog.length": "{minimum} to {maximum} characters. Nothing was sent.",
    "dialog.new": "The new PIN has {minimum} to {maximum} digits.",
    "dialog.problem.wrong": "Wrong code. Tries left: {tries_left}.",
    "dialog.problem.refused": "Wrong code.",
    "dialog.problem.mismatch": "The new PIN was typed in two different ways.",
    "dialog.problem.same": "The new PIN is the old one.",
    "dialog.problem.repeated": "Too easy to guess: a pattern repeats itself.",
    "dialog.problem.sequence": "Too easy to guess: the digits follow one another.",
    "dialog.prompt.current": "PIN:",
    "dialog.prompt.new": "New PIN:",
    "dialog.prompt.repeated": "The new PIN once more:",
    "dialog.prompt.puk": "Unblocking code:",
    "dialog.prompt.password": "Password:",
    "dialog.this": "Use this one",
    "dialog.another": "Show another",
    "dialog.letter.yes": "y",
    "dialog.letter.no": "n",
    "dialog.letter.always": "a",
    "dialog.letter.once": "y",
    "dialog.letter.this": "y",
    "dialog.letter.another": "a",
    "dialog.letter.cancel": "n",
    "dialog.answer": "{answers}: ",
}
