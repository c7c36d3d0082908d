"""A practice software in ten lines: pair with the code shown, keep the secret, log in, sign, VIHF, log out."""

import asyncio

from cardd.client import CarddClient, Lps, Vihf


async def main() -> None:
    """Do it, as the user of this desktop."""
    async with CarddClient("/run/cardd/cardd.sock", language="fr") as cardd:
        await cardd.pair_once("Mon LPS", "Editeur", "mon-lps", on_code=lambda told: print("compare:", told.code))
        async with await cardd.login(situation="1") as session:
            signed = await session.sign("compte-rendu.txt", document=b"Compte rendu SIMULATION\n")
            print("signed:", signed.algorithm, len(signed.signature), "bytes")
            patient = ("185059999900181", "1.2.250.1.213.1.4.10")
            vihf = await session.vihf(Lps("Mon LPS", "SIM-0001"), Vihf(patient=patient))
            print("VIHF:", "true" if b"Assertion" in vihf.assertion else "false")


asyncio.run(main())
