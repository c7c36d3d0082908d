"""The answers to reset of CPx cards, by generation.

The generations differ in three bytes only, so that a mask confuses them: ATRs are compared whole. Source: the card
facts (pcsc-tools' list and ANS).
"""

from __future__ import annotations

CONTACT = bytes.fromhex("3BAC00402A001225006480000310009000")

# Cards of the same family that this driver cannot serve. A CPS4 answers to the same AID, and the contactless side has
# neither PIN nor holder's keys: an application found on them proves nothing.
OTHERS = frozenset(
    bytes.fromhex(atr)
    for atr in (
        "3B8F80010031B86404B0ECC1739401808290000E",  # CPS3, contactless
        "3B8F80010031B86404B0ECC173940180FFFFFFE3",  # another contactless one
        "3BAC00402A001225006480820212009000",  # CPS2ter
        "3BDC18FF00001225006480000401009000",  # CPS4, T=0 only
        "3B9B188001001225006480040100009044",  # CPS4
        "3B9B188001001225006480000401009044",  # CPS4, release candidate
    )
)
