"""Whether certificates were revoked: what their authorities are asked, how answers are judged, and what is kept.

Only ``status`` may be imported before it is needed: the others bring large libraries.
"""
