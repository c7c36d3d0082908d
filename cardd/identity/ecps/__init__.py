"""Login through Pro Santé Connect: by the mobile (e-CPS), by the browser, or through the editor's proxy LPS.

``registry`` begins, finds and ends logins; ``login`` is one of them, its whole life. The configuration names the
``provider``: ``direct`` speaks OpenID Connect with PSC, ``proxy`` has the editor's server do so. Both are imported with
the first login: they take 300 ms.
"""
