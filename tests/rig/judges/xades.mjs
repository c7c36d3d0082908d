// npm's xadesjs as the judge of an XML signature. stdin: {"xml": text, "content": base64 of a document apart}.
// stdout: {"accepted": bool}, or {"refused": message}.
import { webcrypto } from "node:crypto";
import { DOMImplementation, DOMParser, XMLSerializer } from "@xmldom/xmldom";
import * as xadesjs from "xadesjs";
import * as xmldsigjs from "xmldsigjs";
import * as xpath from "xpath";

xadesjs.setNodeDependencies({ DOMParser, XMLSerializer, DOMImplementation, xpath });
for (const judge of [xadesjs, xmldsigjs]) judge.Application.setEngine("node", webcrypto);

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { xml, content } = JSON.parse(Buffer.concat(chunks));

try {
  const document = xadesjs.Parse(xml);
  const signature = document.getElementsByTagNameNS("http://www.w3.org/2000/09/xmldsig#", "Signature")[0];
  // it knows XAdES 1.3.2 alone: the older one goes to the judge of XML signatures beneath it
  const judge = xml.includes("http://uri.etsi.org/01903/v1.1.1#") ? xmldsigjs : xadesjs;
  const signed = new judge.SignedXml(document);
  signed.LoadXml(signature);
  const beside = content === undefined ? undefined : { content: Buffer.from(content, "base64") };
  const accepted = await signed.Verify(beside);
  process.stdout.write(JSON.stringify({ accepted }));
} catch (fault) {
  process.stdout.write(JSON.stringify({ refused: fault.message }));
}
