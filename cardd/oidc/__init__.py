"""OpenID Connect towards Pro Santé Connect: the e-CPS login by mobile (CIBA), the one by browser, and what follows.

    provider = Provider(ProviderSettings(issuer, client_id), SecretPost(client_id, secret), clock)
    pending = await ciba.start(provider, "899700000005")      # show pending.binding_message
    login = await pending.finish()                            # login.person, login.tokens

Only errors of ``cardd.errors`` leave it, all of them PscError. It knows no session, no keyring and no API. Importing
it imports aiohttp's client and PyJWT: only a daemon with a ``[psc]`` section does.
"""
