// A practice software over the types that openapi-typescript makes of the served document, and openapi-fetch.
// node lps.js CARDD QUERY: the daemon's address, and a file with a query for the DMP; QUERY has @VIHF@ in its header.

import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const [, , CARDD = "", QUERY = ""] = process.argv;
const TEXT = new TextEncoder().encode("Compte rendu SIMULATION\n");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

const client = (bearer?: string) =>
  createClient<paths>({ baseUrl: CARDD, headers: bearer ? { Authorization: `Bearer ${bearer}` } : {} });

// what openapi-fetch gives: data where the answer is one, else the problem
function good<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

async function paired(): Promise<string> {
  const nobody = client();
  const about = { name: "LPS généré", vendor: "SIMULATION", software_id: "genere-typescript" };
  const asked = good(await nobody.POST("/v1/clients", { body: about, params: { header: { Prefer: "respond-async" } } }));
  if (!("code" in asked)) throw new Error("no code");
  console.log("code", asked.code);
  for (;;) {
    const told = good(await nobody.GET("/v1/clients/pairings/{id}", { params: { path: { id: asked.id } } }));
    if ("client_secret" in told) return told.client_secret;
    await new Promise((done) => setTimeout(done, 200));
  }
}

// bytes, which the types call a string, go out as they are
const octets = (bytes: Uint8Array, kind = "application/octet-stream") => ({
  body: bytes as unknown as string,
  bodySerializer: () => bytes as BodyInit,
  headers: { "Content-Type": kind },
});

const cardd = client(await paired());
console.log("advised", good(await cardd.GET("/v1/methods", { params: { query: { use: "lps" } } })).advised);
const opened = good(await cardd.POST("/v1/sessions", { body: { method: "cpx" } }));
console.log("session of", opened.identity.family_name);
const session = client(opened.token);
const path = { id: opened.id };
good(await session.POST("/v1/sessions/{id}/situation", { params: { path }, body: { id: "1" } }));

const signed = good(
  await session.POST("/v1/sessions/{id}/signatures", {
    params: { path, header: { "Idempotency-Key": "genere-typescript-1" } },
    body: { document_name: "compte-rendu.txt", document: base64(TEXT) },
  }),
);
if ("signatures" in signed) throw new Error("a list");
console.log("signed", signed.algorithm, Buffer.from(signed.signature ?? "", "base64").length);

const handed = good(await session.POST("/v1/sessions/{id}/documents", { params: { path }, ...octets(TEXT) }));
const held = good(
  await session.POST("/v1/sessions/{id}/signatures", {
    params: { path },
    body: { document_name: "compte-rendu.txt", document_id: handed.id, format: "cades" },
  }),
);
if ("signatures" in held || !held.document_id) throw new Error("not held");
const fetched = await session.GET("/v1/sessions/{id}/documents/{document}", {
  params: { path: { ...path, document: held.document_id } },
  parseAs: "arrayBuffer",
});
console.log("handed over", handed.size, Buffer.from(good(fetched)).includes(Buffer.from(TEXT)));

const vihf = good(
  await session.POST("/v1/sessions/{id}/assertions", {
    params: { path },
    body: {
      type: "vihf",
      lps: { name: "LPS SIMULATION", version: "1.0", homologation: "SIM-0001" },
      patient: { ins: "185059999900181", oid: "1.2.250.1.213.1.4.10" },
    },
  }),
);
const message = (await readFile(QUERY, "utf8")).replace("@VIHF@", () => Buffer.from(vihf.assertion, "base64").toString());
const relay = (to: string) => ({ params: { path: { ...path, name: "dmp", path: to } }, parseAs: "text" as const });
const found = await session.POST("/v1/sessions/{id}/upstreams/{name}/{path}", {
  ...relay("simulation/registry"),
  ...octets(new TextEncoder().encode(message), "application/soap+xml"),
});
const answer = good(found);
console.log("relayed", found.response.status, found.response.headers.get("Cardd-Upstream"), answer.includes("Compte rendu"));
const refused = await session.POST("/v1/sessions/{id}/upstreams/{name}/{path}", relay("elsewhere"));
console.log("refused", refused.response.status, refused.response.headers.has("Cardd-Upstream"));

good({ ...(await session.DELETE("/v1/sessions/{id}", { params: { path } })), data: true });
const after = await session.POST("/v1/sessions/{id}/situation", { params: { path }, body: { id: "1" } });
console.log("after", after.error && "code" in after.error ? after.error.code : after.error);
