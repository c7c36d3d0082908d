// node's jose as the judge of a JWS. stdin: {"jws": text or object, "payload": base64 of a detached one, "alg"}.
// stdout: {"payload": base64, "header": …}, or {"refused": code}. The key is that of the certificate in the header.
import { createHash, X509Certificate } from "node:crypto";
import { base64url, compactVerify, decodeProtectedHeader, flattenedVerify, importX509 } from "jose";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { jws, payload, alg } = JSON.parse(Buffer.concat(chunks));

function whole() {
  if (payload === undefined) return jws;
  const missing = base64url.encode(Buffer.from(payload, "base64"));
  if (typeof jws !== "string") return { ...jws, payload: missing };
  const [protectedHeader, , signature] = jws.split(".");
  return [protectedHeader, missing, signature].join(".");
}

function requireChain(header) {
  const chain = header.x5c.map((der) => new X509Certificate(Buffer.from(der, "base64")));
  chain.slice(1).forEach((issuer, index) => {
    if (!chain[index].checkIssued(issuer) || !chain[index].verify(issuer.publicKey)) throw new Error("x5c");
  });
  const thumbprint = createHash("sha256").update(chain[0].raw).digest("base64url");
  if (thumbprint !== header["x5t#S256"]) throw new Error("x5t#S256");
  return chain[0].toString();
}

try {
  const header = decodeProtectedHeader(whole());
  const key = await importX509(requireChain(header), alg);
  const verify = typeof jws === "string" ? compactVerify : flattenedVerify;
  const found = await verify(whole(), key, { algorithms: [alg] });
  const content = Buffer.from(found.payload).toString("base64");
  process.stdout.write(JSON.stringify({ payload: content, header: found.protectedHeader }));
} catch (fault) {
  process.stdout.write(JSON.stringify({ refused: fault.code ?? fault.message }));
}
