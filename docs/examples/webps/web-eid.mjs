// Web eID tokens (cardd's are web-eid:1.0), verified on a portal's server: whose card it was, or Refused.
//
// Node reads the certificate and checks the signature; the openssl command checks by whom the certificate was issued,
// for what, and whether it was revoked. No package is needed.

import {constants, createHash, randomBytes, verify as isSigned, X509Certificate} from "node:crypto";
import {execFile} from "node:child_process";

const NONCE_LIFETIME = 300_000; // milliseconds
export const NATIONAL_ID = /^[034589][0-9A-Za-z]{8,}(\/\S+)?$/;
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const CERTIFICATE_MAX = 16_384; // bytes
const LIST_MAX = 4; // certificates in a token's list
const ALGORITHMS = {
  cryptoAlgorithm: ["ECC", "RSA"],
  hashFunction: ["SHA", "SHA3"].flatMap((kind) => [224, 256, 384, 512].map((bits) => `${kind}-${bits}`)),
  paddingScheme: ["NONE", "PKCS1.5", "PSS"],
};
const BY_OPENSSL = ["verify", "-partial_chain", "-auth_level", "2"];
// without -extended_crl openssl takes a list of changes (delta) for a whole one
const FOR_LOGIN = ["-purpose", "sslclient", "-crl_check", "-extended_crl"];

/** The token proves nothing; the reason is for the portal's log, not for the page. */
export class Refused extends Error {}

/** Return a nonce for the page, kept in its session on the server; the one before is worth nothing any more. */
export function newNonce(session) {
  session.cardNonce = randomBytes(33).toString("base64url");
  session.cardNonceEnds = Date.now() + NONCE_LIFETIME;
  return session.cardNonce;
}

/** Return the session's nonce, which is gone then, whatever becomes of the token. Throws Refused. */
export function spentNonce(session) {
  const {cardNonce, cardNonceEnds} = session;
  delete session.cardNonce;
  delete session.cardNonceEnds;
  if (!cardNonce) throw new Refused("the session has no nonce");
  if (!(Date.now() <= cardNonceEnds)) throw new Refused("the nonce is too old");
  return cardNonce;
}

/**
 * Resolve with the holder whose card signed this portal's own origin and this nonce; reject with Refused.
 *
 * trust names files in PEM: authorities, which issue the certificates of persons, and lists, what they revoked by today.
 * accept11 lets in web-eid:1.1 too, whose certificates for documents must be the same person's.
 */
export async function verify(token, {origin, nonce, trust, accept11 = false}) {
  const fields = ["unverifiedCertificate", "algorithm", "signature", "format"].map((name) => token?.[name]);
  if (!fields.every((field) => typeof field === "string")) throw new Refused("the token lacks a field");
  const [certificate, algorithm, signature, format] = fields;
  const isKnown = format === "web-eid:1.0" || (accept11 === true && format === "web-eid:1.1");
  if (!isKnown || algorithm !== "RS256") throw new Refused("another format or algorithm");
  const documents = documentsOf(token, format);
  const read = certificateOf(decoded(certificate));
  if (!read.keyUsage?.includes(CLIENT_AUTH)) throw new Refused("the certificate is not for logging in");
  await checkCertificate(read, trust, [...FOR_LOGIN, "-CRLfile", trust.lists]);
  const key = {key: read.publicKey, padding: constants.RSA_PKCS1_PADDING};
  if (read.publicKey.asymmetricKeyType !== "rsa") throw new Refused("the key is none for RS256");
  const signed = Buffer.concat([digest(origin), digest(nonce)]);
  if (!isSigned("sha256", signed, key, decoded(signature))) {
    throw new Refused("signed for another site, with another nonce or by another key");
  }
  for (const entry of documents) await checkDocumentCertificate(entry, read, trust);
  return holderOf(read);
}

// what the token says of the certificates for documents, which only 1.1 has
function documentsOf(token, format) {
  const {unverifiedSigningCertificates: entries, unverifiedIntermediateCertificates: intermediates} = token;
  if (format === "web-eid:1.0") {
    if (entries != null || intermediates != null) throw new Refused("a token of 1.0 with fields of 1.1");
    return [];
  }
  if (intermediates == null || entries != null) checkList(entries, "object");
  for (const given of [intermediates, ...(entries ?? []).map((entry) => entry.intermediateCertificates)]) {
    // not used: the portal's authorities issue the certificates themselves
    if (given != null) checkList(given, "string");
  }
  return entries ?? [];
}

function checkList(found, kind) {
  const isList = Array.isArray(found) && found.length > 0 && found.length <= LIST_MAX;
  if (!isList || !found.every((one) => one && typeof one === kind)) throw new Refused("no list of certificates");
}

async function checkDocumentCertificate({certificate, supportedSignatureAlgorithms: algorithms}, login, trust) {
  if (!Array.isArray(algorithms) || !algorithms.length || !algorithms.every(isKnownAlgorithm)) {
    throw new Refused("no algorithm of documents, or an unknown one");
  }
  if (typeof certificate !== "string") throw new Refused("the token lacks a field");
  const read = certificateOf(decoded(certificate));
  const usage = await openssl(["x509", "-noout", "-ext", "keyUsage"], read);
  if (!usage.includes("Non Repudiation")) throw new Refused("the certificate is not for documents");
  if (read.subject !== login.subject || read.issuer !== login.issuer) {
    throw new Refused("the certificate for documents is another person's, or of another authority");
  }
  await checkCertificate(read, trust, []); // whether it was revoked counts when it signs
}

const isKnownAlgorithm = (one) => Object.entries(ALGORITHMS).every(([part, known]) => known.includes(one?.[part]));

function decoded(text) {
  if (!BASE64.test(text)) throw new Refused("no base64");
  return Buffer.from(text, "base64");
}

const digest = (text) => createHash("sha256").update(text, "utf8").digest();

function certificateOf(der) {
  if (der.length > CERTIFICATE_MAX || der[0] !== 0x30) throw new Refused("no certificate");
  let read;
  try {
    read = new X509Certificate(der);
  } catch {
    throw new Refused("no certificate");
  }
  if (!read.raw.equals(der)) throw new Refused("more than a certificate");
  return read;
}

const checkCertificate = (certificate, {authorities}, more) =>
  openssl([...BY_OPENSSL, "-trusted", authorities, ...more], certificate);

function openssl(command, certificate) {
  return new Promise((done, refused) => {
    const told = (failed, text, errors) =>
      failed ? refused(new Refused(`the certificate: ${errors.trim()}`)) : done(text);
    const {stdin} = execFile("openssl", command, {timeout: 10_000}, told);
    stdin.on("error", () => {}); // an openssl that ended early has said why
    stdin.end(certificate.toString());
  });
}

/** Whose certificate it is; one RDN may have several names, as IGC-Santé's has given name, number and surname together. */
export function holderOf(certificate) {
  const {CN = "", SN = "", GN = "", title = ""} = certificate.toLegacyObject().subject;
  if (typeof CN !== "string" || !NATIONAL_ID.test(CN)) throw new Refused("the certificate is no professional's");
  const [familyName, givenName, titled] = [SN, GN, title].map((value) => [value].flat().at(-1)); // a list of several
  return {nationalId: CN, familyName, givenName, title: titled};
}
