"""What signed documents look like: JWS, CAdES, XAdES, PAdES, VIHF, INSi and the DMP's submission set.

Nothing here holds a key, talks to a network or waits. Every format works in two steps, so that the card signs on its
own thread, after the consent: it *prepares* a document and says what the key must sign; the value is then put in its
place (``cardd.formats.prepared``). The libraries behind it are large: each module is imported when it is first used.
"""
