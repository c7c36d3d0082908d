// Says of signed documents whether Apache Santuario (XML) or Bouncy Castle (CMS) accepts every signature in them.
// Each line of the input is "xml FILE" or "cms FILE"; each line of the output "accepted" or "refused WHY".

import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.Collection;
import javax.xml.parsers.DocumentBuilderFactory;
import org.apache.xml.security.Init;
import org.apache.xml.security.signature.XMLSignature;
import org.apache.xml.security.utils.Constants;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.w3c.dom.Attr;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

public class Judge {
    public static void main(String[] arguments) throws Exception {
        Init.init();
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(judged(line.substring(0, 3), new File(line.substring(4))));
        }
    }

    private static String judged(String format, File file) {
        try {
            boolean accepted = format.equals("xml") ? xml(file) : cms(file.toPath());
            return accepted ? "accepted" : "refused";
        } catch (Exception fault) {
            return "refused " + fault.getClass().getSimpleName();
        }
    }

    private static boolean xml(File file) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        Document document = factory.newDocumentBuilder().parse(file);
        NodeList all = document.getElementsByTagName("*");
        for (int at = 0; at < all.getLength(); at++) {
            Attr identifier = ((Element) all.item(at)).getAttributeNode("Id");
            if (identifier != null) {
                ((Element) all.item(at)).setIdAttributeNode(identifier, true);
            }
        }
        NodeList signatures = document.getElementsByTagNameNS(Constants.SignatureSpecNS, "Signature");
        for (int at = 0; at < signatures.getLength(); at++) {
            XMLSignature signature = new XMLSignature((Element) signatures.item(at), "", true);
            if (!signature.checkSignatureValue(signature.getKeyInfo().getX509Certificate())) {
                return false;
            }
        }
        return signatures.getLength() > 0;
    }

    @SuppressWarnings("unchecked")
    private static boolean cms(Path file) throws Exception {
        CMSSignedData message = new CMSSignedData(Files.readAllBytes(file));
        for (SignerInformation signer : message.getSignerInfos()) {
            Collection<X509CertificateHolder> found = message.getCertificates().getMatches(signer.getSID());
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(found.iterator().next()))) {
                return false;
            }
        }
        return message.getSignerInfos().size() > 0;
    }
}
