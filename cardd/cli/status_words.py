"""What a status word of a card means, in a few words (ISO/IEC 7816-4, 5.6; the tries of ISO/IEC 7816-4, 7.5.6)."""

from __future__ import annotations

from cardd.apdu import tries_left
from cardd.i18n import N_, Domain

_ = Domain("cli")

WORDS = {
    "9000": N_("done"),
    "6281": N_("a part of the answer may be wrong"),
    "6282": N_("the file ends before that"),
    "6283": N_("the file is closed"),
    "6300": N_("refused: nothing said of tries"),
    "6581": N_("the card's memory has failed"),
    "6700": N_("wrong length"),
    "6882": N_("secure messaging is not known"),
    "6883": N_("the last command of a chain was expected"),
    "6884": N_("chains of commands are not known"),
    "6981": N_("not for this kind of file"),
    "6982": N_("the PIN has not been given"),
    "6983": N_("the code is blocked"),
    "6984": N_("the data cannot be used"),
    "6985": N_("not in this state"),
    "6986": N_("no file is selected"),
    "6A80": N_("wrong data"),
    "6A81": N_("not supported"),
    "6A82": N_("no such file or application"),
    "6A83": N_("no such record"),
    "6A84": N_("no room left"),
    "6A86": N_("wrong parameters"),
    "6A87": N_("the length does not fit the parameters"),
    "6A88": N_("no such object or code"),
    "6B00": N_("no such place"),
    "6D00": N_("the card does not know this command"),
    "6E00": N_("the card does not know this class of commands"),
    "6F00": N_("no reason given"),
}
KINDS = {"61": N_("more is to be fetched"), "6C": N_("another length is wanted")}


def meaning(status: str, language: str) -> str:
    """Return what a status word means; nothing for one that the standard does not name."""
    left = tries_left(int(status, 16))
    if left and status not in WORDS:
        return _.plural("refused: {left} try left", "refused: {left} tries left", left, language, left=left)
    told = WORDS.get(status) or KINDS.get(status[:2])
    return _(told, language) if told else ""
