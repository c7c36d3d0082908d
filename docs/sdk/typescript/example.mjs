// A practice software in ten lines: pair with the code shown, keep the secret, log in, sign, VIHF, log out.

import { connect, pairOnce } from "cardd-client/node";

const cardd = connect({ socket: "/run/cardd/cardd.sock", language: "fr" });
const about = { name: "Mon LPS", vendor: "Editeur", software_id: "mon-lps" };
await pairOnce(cardd, about, (told) => console.log("compare:", told.code));
const session = await cardd.login({ method: "cpx", situation: "1" });
try {
  const document = new TextEncoder().encode("Compte rendu SIMULATION\n");
  const signed = await session.sign("compte-rendu.txt", { document });
  console.log("signed:", signed.algorithm, atob(signed.signature).length, "bytes");
  const patient = { ins: "185059999900181", oid: "1.2.250.1.213.1.4.10" };
  const vihf = await session.assertion({ type: "vihf", lps: { name: "Mon LPS", homologation: "SIM-0001" }, patient });
  console.log("VIHF:", vihf.includes("Assertion"));
} finally {
  await session.close();
}
