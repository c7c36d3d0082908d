"""The SAML assertions of the DMP (VIHF) and of the INSi service, built from known fields and signed in two steps.

``request`` has what a caller fills in and ``profiles`` the points on which the DMP's sources differ: neither is heavy.
``vihf`` and ``insi`` make the assertions; they import lxml, and are imported when the first one is asked for.
"""
