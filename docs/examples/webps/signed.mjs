// Detached signatures of cardd (CAdES), verified on a portal's server: who signed this document, or Refused.
//
// The openssl command (3.0) checks the signature over the server's own copy of the document, that it names its
// certificate (CAdES), by whom that was issued, for what, and whether it was revoked. What cardd says of it is no proof.

import {execFile} from "node:child_process";
import {X509Certificate} from "node:crypto";
import {mkdtemp, readFile, rm, writeFile} from "node:fs/promises";
import {devNull, tmpdir} from "node:os";
import {join} from "node:path";
import {holderOf, Refused} from "./web-eid.mjs";

const SIGNATURE_MAX = 65_536; // bytes
const TIME_MAX = 10_000; // milliseconds
const AS_CADES = ["-verify", "-cades", "-binary", "-inform", "DER", "-out", devNull];
const BY_TRUSTED = ["-partial_chain", "-purpose", "smimesign", "-auth_level", "2", "-crl_check", "-extended_crl"];
// what openssl lets pass, as it prints it; it looks for the certificate's name only where there are signed attributes
const FAULTS = [
  [/^ *signedAttrs:\s*<ABSENT>/m, "no CAdES"],
  [/^ *eContent:(?!\s*<ABSENT>)/m, "a document inside, which may be another one"],
  [/^ *digestAlgorithm:\s*algorithm: (?!sha(?:256|384|512) )/m, "a weak digest, or an unknown one"],
];
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The signature is whole; its certificate is not one that this portal takes for documents. */
export class SignerRefused extends Refused {}

/** Resolve with the holder who signed exactly these bytes; reject with Refused. */
export async function signerOf(document, signature, {authorities, lists}) {
  if (!Buffer.isBuffer(signature) || signature.length > SIGNATURE_MAX) throw new Refused("no signature");
  const folder = await mkdtemp(join(tmpdir(), "signed-"));
  try {
    await writeFile(join(folder, "document"), document);
    await writeFile(join(folder, "signature"), signature);
    // openssl cms reads lists from the file of the authorities only
    const trusted = await Promise.all([readFile(authorities), readFile(lists)]).catch((fault) => {
      throw new SignerRefused(`the portal's authorities or lists: ${fault.message}`);
    });
    await writeFile(join(folder, "trusted"), Buffer.concat([trusted[0], Buffer.from("\n"), trusted[1]]));
    const given = ["-in", "signature", "-content", "document", "-CAfile", "trusted", "-signer", "signer"];
    await openssl(["cms", ...AS_CADES, ...BY_TRUSTED, ...given], folder);
    const signers = (await readFile(join(folder, "signer"), "latin1")).match(CERTIFICATE) ?? [];
    if (signers.length !== 1) throw new Refused("several people signed");
    const form = await openssl(["cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", "signature"], folder);
    for (const [fault, reason] of FAULTS) if (fault.test(form)) throw new Refused(reason);
    // DER says how long it is, in two bytes for what is so long
    const isWhole = signature[1] === 0x82 && signature.readUInt16BE(2) === signature.length - 4;
    if (!isWhole) throw new Refused("more than a signature");
    const usage = await openssl(["x509", "-in", "signer", "-noout", "-ext", "keyUsage"], folder);
    if (!usage.includes("Non Repudiation")) throw new SignerRefused("the certificate is not for documents");
    return namedIn(signers[0]);
  } finally {
    await rm(folder, {recursive: true});
  }
}

function namedIn(certificate) {
  try {
    return holderOf(new X509Certificate(certificate));
  } catch (reason) {
    throw new SignerRefused(reason.message);
  }
}

function openssl(command, cwd) {
  return new Promise((done, refused) => {
    execFile("openssl", command, {cwd, timeout: TIME_MAX}, (failed, told, errors) => {
      if (!failed) return done(told);
      const kind = errors.includes("certificate verify error") ? SignerRefused : Refused;
      return refused(new kind(`the signature: ${errors.trim()}`));
    });
  });
}
