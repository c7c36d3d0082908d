"""Login through Pro Santé Connect: by the mobile (e-CPS), by the browser, or through the editor's proxy LPS.

``login`` makes sessions of it, whichever ``way`` the configuration names: ``direct`` speaks OpenID Connect with PSC,
``proxy`` has the editor's server do so. Both are imported with the first login: they take 300 ms.
"""
