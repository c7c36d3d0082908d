"""What the dialogs say, by the question's topic; the names in braces are its params.

| topic | params |
|---|---|
| ``pair`` | name, vendor, program, user, code; namesake (one is paired); psc_token, sessions (when it wants that) |
| ``lend`` | client; program_… and server, as ``program`` |
| ``login``, ``unlock``, ``certificates`` | client; takes_over (a login that ends another user's session) |
| ``sign`` | client, holder, document, digest, patient (may be absent); and the question's documents |
| ``sign_batch`` | client, holder, batch, count, patient (may be absent); and the question's documents |
| both, with a keypad | times (how often the card will want its PIN, where more than once) |
| ``assertions`` | client, holder; indirect (the organisation) or air, where a card does not sign |
| ``origin`` | origin; may_… (each right that it asks for); punycode (the name decoded), listed, another (it has keys \
already), by_command, until (day; where it can be remembered) |
| ``program`` | program; program_… (the right that it asks for); server (that its handshake names), passing (it \
cannot be remembered), process (whose file is not known), until (day) |
| ``last_try`` | client, card, reader, tries_left |
| ``ecps`` | client, digits |
| ``ecps_browser`` | client |
| ``ecps_active`` | client, national_id |
| ``situation`` | client, profession, specialty, sector, structure |
| ``remember_hint`` | client, national_id |
| ``relay`` | client, upstream, host, lent (when it is the organisation's certificate) |
| ``organisation`` | client |
| ``pin_change``, ``pin_unblock`` | client; takes_over (the new PIN ends another user's session) |
| ``card`` | client, card, reader, holder (may be absent) |
| ``agent`` | program, pid |
| ``agent_taken`` | – |
| ``agent_not_installed`` | program |
"""

from __future__ import annotations

from cardd.i18n import N_
from cardd.model import PinRole

QUESTIONS = {
    "agent": N_(
        "Another program wanted to show cardd's dialogs in your session, and was refused: {program} (process {pid}).\n"
        "Whoever shows them sees the PIN. If you did not start it, enter no PIN and tell your security officer."
    ),
    "agent_taken": N_(
        "Another program shows cardd's dialogs for you: it came before this session's own. Whoever shows them sees "
        "the PIN.\nIf it is not another session of yours, enter no PIN and tell your security officer."
    ),
    "agent_not_installed": N_(
        "cardd takes no dialogs of this program, {program}: it is not the agent that root installed.\n"
        "Your administrator installs cardd-agent for all users, or allows any agent (prompt.agents)."
    ),
    "pair": N_(
        "The program “{name}” (vendor: {vendor}) asks to use your card or your e-CPS.\n"
        "Executable: {program}\n"
        "User: {user}\n\n"
        "Check that the program shows this code: {code}"
    ),
    "login": N_("“{client}” asks to open a session with your card."),
    "unlock": N_("“{client}” asks to open its session again; it was locked meanwhile."),
    "sign": N_("“{client}” asks for your signature.\nDocument: “{document}”\nSHA-256 digest: {digest}…"),
    "certificates": N_(
        "“{client}” asks to read your card's certificates: your name, your national number, your profession."
    ),
    "assertions": N_(
        "“{client}” asks to issue assertions in your name until you log out, without asking again: to open any "
        "patient's record (DMP), emergency accesses (break glass, centre 15) and connections that a patient's legal "
        "representatives do not see included, and to look up identities (INSi). Each is written down; no document is "
        "signed. Do you agree?"
    ),
    "origin": N_("The site {origin} asks to use your card or your e-CPS from this browser. It could:"),
    "program": N_("A program asks to use your card: “{program}”. It could:"),
    "lend": N_("“{client}” asks to use the key of your card that proves who you are."),
    "last_try": N_(
        "Only ONE try is left for this card's PIN. A wrong PIN will block it.\n"
        "“{client}” asks for this PIN. Do you want to risk the last try?"
    ),
    "relay": N_(
        "“{client}” asks to reach the server “{upstream}” ({host}) in your name, with your certificate, as long as "
        "the session lasts."
    ),
    "organisation": N_("“{client}” asks for the key of your organisation's certificate, to act for you."),
    "pin_change": N_("“{client}” asks to change this card's PIN."),
    "pin_unblock": N_("“{client}” asks to unblock this card's PIN."),
    "card": N_("“{client}” asks for a card, and several can serve. Use this one?"),
    "ecps": N_(
        "“{client}” asks to open a session with your e-CPS.\n\n"
        "{digits}\n\n"
        "Agree on your mobile if the e-CPS app shows these two digits, and refuse if they differ."
    ),
    "ecps_active": N_(
        "“{client}” asks to open a session with your e-CPS.\n\n"
        "You are logged in at your software editor's server already ({national_id}): it did not ask your mobile. "
        "Do you agree?"
    ),
    "ecps_browser": N_(
        "“{client}” asks to open a session through Pro Santé Connect.\n\n"
        "Log in on the page that opened in your browser. Refuse here to give up."
    ),
    "situation": N_(
        "“{client}” opens a session, and you practise in several situations. Take this one?\n"
        "Place: “{structure}”\n"
        "Profession {profession}, savoir-faire {specialty}, sector {sector} (ANS codes)."
    ),
    "remember_hint": N_(
        "“{client}” offers to remember your national id, {national_id}, for your next logins with e-CPS on this "
        "computer account. No code is remembered."
    ),
}
ALSO = {  # what has a line of its own, by its parameter
    "may_detect": N_("– see whether a card is there"),
    "may_holder": N_("– read who you are"),
    "may_authenticate": N_("– log you in"),
    "may_sign": N_("– ask for signatures; you decide on each request"),
    "may_relay": N_("– act in your name at other services (DMP, INSi)"),
    "program_tls": N_(
        "– log you in with your certificate (TLS, or elsewhere as ssh does), or sign something else with the same key: "
        "cardd is handed digests, and cannot see at which server, nor what of"
    ),
    "program_data": N_("– have data signed or decrypted with your authentication key: mail, files, logins"),
    "program_sign": N_("– ask for your signature, each time in a dialog of its own"),
    "server": N_("Now, as it says, at the server “{server}”."),
    "passing": N_(
        "For 12 h at most, and for whatever else runs by this file: it is not root's alone, or runs scripts. It cannot "
        "be remembered."
    ),
    "process": N_(
        "For 12 h at most, and for this process alone (PID {process}): nobody can tell which file it runs. It cannot "
        "be remembered."
    ),
    "punycode": N_("Careful: other alphabet. The name reads “{punycode}”."),
    "listed": N_("Your administrator trusts this site; this browser is new."),
    "another": N_("It was let in before, from another browser or before its data were deleted."),
    "by_command": N_("Asked by “cardctl origins allow”."),
    "until": N_("“Only this once”: 12 h at most; remembered: until {until}."),
    "times": N_("This card wants its PIN for each signature: you will enter it {times} times."),
    "patient": N_("Patient: “{patient}”"),
    "unseen": N_("The document was not handed over: cardd has only its digest, and has not seen it."),
    "some_unseen": N_("Not all documents were handed over: of some, cardd has only the digest."),
    "holder": N_("Holder: {holder}"),
    "indirect": N_(
        "The certificate of “{indirect}” signs them; who you are is as the program says. They feed the DMP and do "
        "not read it."
    ),
    "air": N_("For the DMP, your organisation's certificate signs them; they are for reading only (AIR)."),
    "lent": N_("That certificate is your organisation's, not your own."),
    "takes_over": N_("Another user of this computer has this card in use: your PIN ends their session."),
    "namesake": N_("A program of this name is paired already; their dialogs will look alike."),
    "sessions": N_("It also asks to see who is logged in with your other programs."),
    "psc_token": N_(
        "It also asks to receive your Pro Santé Connect token, with which it acts in your name at other services as "
        "long as the session lasts."
    ),
}
PROMPTS = {
    PinRole.CURRENT: N_("PIN:"),
    PinRole.NEW: N_("New PIN:"),
    PinRole.REPEATED: N_("The new PIN once more:"),
    PinRole.PUK: N_("Unblocking code:"),
}
PROBLEMS = {
    "wrong": N_("Wrong code. Tries left: {tries_left}."),
    "refused": N_("Wrong code."),
    "mismatch": N_("The new PIN was typed in two different ways."),
    "same": N_("The new PIN is the old one."),
    "repeated": N_("Too easy to guess: a pattern repeats itself."),
    "sequence": N_("Too easy to guess: the digits follow one another."),
}
# why a dialog is shown again
EARLY_PIN = N_("Typed while this window opened, perhaps for another one: nothing was sent. Please type it again.")
EARLY_ANSWER = N_("Answered while this window opened, perhaps for another one: nothing was done. Please answer again.")
