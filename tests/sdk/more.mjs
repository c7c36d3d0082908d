// What the ten lines leave out of the library: node more.mjs SOCKET, with another paired program's secret in its place.

import { connect, pairOnce } from "cardd-client/node";

const cardd = connect({ socket: process.argv[2], language: "en" });
const code = (asked) => asked.then(() => "nothing", (refused) => refused.code);
await pairOnce(cardd, { name: "LPS", vendor: "SIMULATION", software_id: "more" }, () => undefined);
console.log("state", (await cardd.status()).state, (await cardd.methods("lps")).advised, (await cardd.cards()).cards.length);
const opened = await cardd.login({ method: "cpx" });
const session = cardd.session(opened.id, opened.token); // as another process would have it
console.log("situation", (await session.situate("1")).situation, (await session.state()).state);
const text = new TextEncoder().encode("x".repeat(3_000_000));
const handed = await session.handOver(text);
const signed = await session.sign("grand.txt", { document_id: handed.id, format: "cades" });
const fetched = await session.fetch(signed.document_id);
console.log("handed over", handed.size, fetched.length > handed.size, await code(session.fetch("0123456789abcdef")));
console.log("token", (await session.authToken("n".repeat(44))).format);
const related = await session.relay("nowhere", "registry", { body: text.subarray(0, 9) });
console.log("relayed", related.status, related.headers.has("Cardd-Upstream"), (await related.json()).code);
const refusal = await session.sign("a.xml", { document: text.subarray(0, 9), format: "xades" }).catch((refused) => refused);
console.log("refused", refusal.name, refusal.code, refusal.message.startsWith(`${refusal.problem.title}. `));
await session.close();
console.log("after", await code(session.state()), await code(cardd.call("GET", "/v1/nothing")));
