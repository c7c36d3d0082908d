// A portal for health professionals: they log in by card or e-CPS, see a document, and sign it.
//
//   node portal.mjs SETTINGS.json
//
// README.md has the settings. The pages are those of pages/, the same for portal.py; they decide nothing. What the portal
// keeps of a login is in memory, and gone with it.

import {randomBytes} from "node:crypto";
import {readFileSync} from "node:fs";
import {createServer} from "node:https";
import {extname} from "node:path";
import {Answered, cardLogin, jsonOf} from "./card-login.mjs";
import {pscLogin} from "./psc-login.mjs";
import {SignerRefused, signerOf} from "./signed.mjs";
import {Refused} from "./web-eid.mjs";

const TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"};
const PAGES = {"/": "index.html", "/portal.js": "portal.js", "/texts.js": "texts.js", "/portal.css": "portal.css"};
const DOCUMENTS_MAX = 50; // in one login
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const written = (id, at, origin, {givenName, familyName, nationalId}) => `COMPTE RENDU DE CONSULTATION (SIMULATION)

Document n° ${id}, établi le ${at.slice(0, 10).split("-").reverse().join("/")} à ${at.slice(11, 19)} (UTC)
Sur le portail : ${origin}
Professionnel : ${givenName} ${familyName}, n° ${nationalId}
Patient : DOMINIQUE FICTIF, né le 01/01/1980 (personne fictive)

Motif : contrôle de la tension artérielle.
Conclusion : tension stable, traitement inchangé.
`;

const told = ({id, signed}) => ({id, signed});
const json = (value) => ["application/json", JSON.stringify(value)];

function refusal(code, reason) {
  console.warn(`refused, ${code}: ${JSON.stringify(reason)}`);
  return {error: code};
}

/** Answer what is not a login; cardd_js is the module as its package has it. */
function portal({origin, cardd, authorities, lists, psc, cardd_js: module}) {
  const paths = Object.entries(PAGES).map(([path, name]) => [path, new URL(`pages/${name}`, import.meta.url)]);
  const files = new Map(
    [...paths, ["/cardd.js", module]].map(([path, file]) => [
      path,
      [TYPES[extname(String(file))], readFileSync(file)],
    ]),
  );

  function me(holder, kept) {
    const documents = [...(kept?.documents?.values() ?? [])].map(told);
    return {cardd, ecps: Boolean(psc), holder, ...(holder && {way: kept.way, documents})};
  }

  // the document's own bytes, or what was signed over them
  function file(documents, name) {
    const document = documents.get(name.replace(/\.p7s$/, ""));
    if (!document || (name.endsWith(".p7s") && !document.signature)) throw new Answered(404);
    if (name.endsWith(".p7s")) return ["application/pkcs7-signature", document.signature];
    return ["text/plain", document.content];
  }

  // write a document for this person; one that they have not signed yet serves again
  function write(documents, holder) {
    const left = [...documents.values()].find(({signed}) => !signed);
    if (left) return told(left);
    if (documents.size >= DOCUMENTS_MAX) throw new Answered(409);
    const id = randomBytes(8).toString("hex");
    const content = Buffer.from(written(id, new Date().toISOString(), origin, holder));
    documents.set(id, {id, content, signature: undefined, signed: null});
    return told(documents.get(id));
  }

  // keep a signature that the person of this login made over this portal's own copy, once
  async function sign(documents, holder, body) {
    const [document, given] = [documents.get(body?.id), body?.signature];
    if (!document) return {error: "document"};
    if (typeof given !== "string" || !BASE64.test(given)) return refusal("signature", "no base64");
    const signature = Buffer.from(given, "base64");
    let by;
    try {
      by = await signerOf(document.content, signature, {authorities, lists});
    } catch (reason) {
      if (!(reason instanceof Refused)) throw reason;
      return refusal(reason instanceof SignerRefused ? "signer_refused" : "signature", reason.message);
    }
    if (by.nationalId !== holder.nationalId) return refusal("signer", by.nationalId);
    if (document.signed) return {error: "signed"};
    Object.assign(document, {signature, signed: {by, at: new Date().toISOString()}});
    return told(document);
  }

  async function answered(request) {
    const {method, url, card, cardKept: kept} = request;
    const path = url.split("?")[0];
    const reading = method === "GET" || method === "HEAD";
    if (reading && files.has(path)) return files.get(path);
    if (reading && path === "/me") return json(me(card, kept));
    if (!kept) throw new Answered(401);
    kept.documents ??= new Map();
    if (reading && path.startsWith("/documents/")) return file(kept.documents, path.slice("/documents/".length));
    if (method === "POST" && path === "/documents") return json(write(kept.documents, card));
    if (method === "POST" && path === "/signatures") return json(await sign(kept.documents, card, await jsonOf(request)));
    throw new Answered(404);
  }

  return async function answer(request, response) {
    try {
      const [kind, content] = await answered(request);
      response.writeHead(200, {"Content-Type": `${kind}; charset=utf-8`}).end(content);
    } catch (fault) {
      if (!(fault instanceof Answered)) console.warn(fault);
      const status = fault.status ?? 500;
      response.writeHead(status, {"Content-Type": "application/json"}).end(JSON.stringify({error: String(status)}));
    }
  };
}

/** The headers of every answer; the page may reach this portal and the two addresses of cardd. */
function policy(bases) {
  const cardd = [...bases, ...bases.map((base) => base.replace("http", "ws"))];
  const rules = [
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'",
    `frame-ancestors 'none'; connect-src 'self' ${cardd.join(" ")}`,
    "require-trusted-types-for 'script'; trusted-types 'none'",
  ];
  return {
    "Content-Security-Policy": rules.join("; "),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
  };
}

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const {origin, authorities, lists, psc} = settings;
const ways = psc
  ? pscLogin({
      issuer: psc.issuer,
      clientId: psc.client_id,
      secret: psc.secret,
      authorities: psc.authorities && readFileSync(psc.authorities),
    })
  : {};
const login = cardLogin({origin, trust: {authorities, lists}, ways});
const [answer, headers] = [portal(settings), Object.entries(policy(settings.cardd))];
const tls = {cert: readFileSync(settings.certificate), key: readFileSync(settings.key)};
createServer(tls, (request, response) => {
  for (const [name, value] of headers) response.setHeader(name, value);
  login(request, response, () => answer(request, response));
}).listen(settings.port, "127.0.0.1");
