// xadesjs as the judge of a signed assertion. stdin: the assertion.
// stdout: "good" where the signature is right and covers all of it, else "refused: " and why.
import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { DOMParser, XMLSerializer } from "@xmldom/xmldom";
import * as XAdES from "xadesjs";
import { setNodeDependencies } from "xml-core";
import xpath from "xpath";

setNodeDependencies({ DOMParser, XMLSerializer, xpath });
XAdES.Application.setEngine("node", webcrypto);

const DSIG = "http://www.w3.org/2000/09/xmldsig#";

async function judge(text) {
  const document = XAdES.Parse(text);
  const assertion = document.documentElement;
  const signed = new XAdES.SignedXml(document);
  signed.LoadXml(assertion.getElementsByTagNameNS(DSIG, "Signature")[0]);
  const references = signed.XmlSignature.SignedInfo.References;
  const isWhole = references.Count === 1 && references.Item(0).Uri === `#${assertion.getAttribute("ID")}`;
  if (!isWhole) return "refused: not the whole assertion";
  return (await signed.Verify()) ? "good" : "refused: the value";
}

try {
  process.stdout.write(await judge(readFileSync(0, "utf8")));
} catch (fault) {
  process.stdout.write(`refused: ${fault.message}`);
}
