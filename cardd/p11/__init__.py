"""PKCS#11 for other programs: a server of p11-kit's RPC protocol, to which the distribution's p11-kit-client.so speaks.

``wire`` and ``calls`` are the protocol, ``connection`` is one program's process, ``module`` answers it as PKCS#11 says,
``tokens`` and ``objects`` are what it sees without a login. Nothing of cardd is loaded into another program.
"""
