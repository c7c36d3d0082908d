import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CRL;
import java.security.cert.CertPathValidator;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import javax.naming.NamingException;
import javax.naming.directory.Attributes;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;
import javax.security.auth.x500.X500Principal;

/** Web eID tokens (cardd's are web-eid:1.0), verified on a portal's server. The JDK is enough. */
public final class WebEid {
    private static final long NONCE_LIFETIME = 300; // seconds
    private static final String NATIONAL_ID = "[034589][0-9A-Za-z]{8,}(/\\S+)?";
    private static final String CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
    private static final String KEY_USAGE = "2.5.29.15";
    private static final int DIGITAL_SIGNATURE = 0; // the bits of KeyUsage
    private static final int NON_REPUDIATION = 1;
    private static final int LIST_MAX = 4; // certificates in a token's list
    // deltaCRLIndicator, issuingDistributionPoint, authorityKeyIdentifier
    private static final List<String> LIST_KINDS = List.of("2.5.29.27", "2.5.29.28", "2.5.29.35");
    private static final Set<String> CRYPTO_ALGORITHMS = Set.of("ECC", "RSA");
    private static final Set<String> HASH_FUNCTIONS = Set.of(
            "SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512");
    private static final Set<String> PADDING_SCHEMES = Set.of("NONE", "PKCS1.5", "PSS");
    private static final Map<String, String> KEYWORDS =
            Map.of("2.5.4.42", "GN", "2.5.4.4", "SN", "2.5.4.12", "TITLE");
    private static final SecureRandom RANDOM = new SecureRandom();

    private WebEid() {}

    /** The token proves nothing; the reason is for the portal's log, not for the page. */
    public static final class Refused extends Exception {
        public Refused(String reason) {
            super(reason);
        }
    }

    /** The token's fields, as a JSON library reads them: null where there is none. The last two are those of 1.1. */
    public record Token(
            String unverifiedCertificate,
            String algorithm,
            String signature,
            String format,
            List<DocumentCertificate> unverifiedSigningCertificates,
            List<String> unverifiedIntermediateCertificates) {}

    /** What a token of 1.1 says of a certificate for documents. */
    public record DocumentCertificate(
            String certificate,
            List<DocumentAlgorithm> supportedSignatureAlgorithms,
            List<String> intermediateCertificates) {}

    /** One way in which the card signs documents. */
    public record DocumentAlgorithm(String cryptoAlgorithm, String hashFunction, String paddingScheme) {}

    /** Files in PEM: the authorities that issue the certificates of persons, and their revocation lists of today. */
    public record Trust(Path authorities, Path lists) {}

    /** Whose card it is; nationalId has the digit of its kind in front: 8 for RPPS. */
    public record Holder(String nationalId, String familyName, String givenName, String title) {}

    /** Return a nonce for the page, kept in its session on the server; the one before is worth nothing any more. */
    public static String newNonce(Map<String, Object> session) {
        byte[] bytes = new byte[33];
        RANDOM.nextBytes(bytes);
        String nonce = Base64.getUrlEncoder().encodeToString(bytes);
        session.put("card_nonce_ends", Instant.now().getEpochSecond() + NONCE_LIFETIME);
        session.put("card_nonce", nonce);
        return nonce;
    }

    /** Return the session's nonce, which is gone then, whatever becomes of the token. */
    public static String spentNonce(Map<String, Object> session) throws Refused {
        Object ends = session.remove("card_nonce_ends");
        Object nonce = session.remove("card_nonce");
        if (!(nonce instanceof String value) || !(ends instanceof Long end)) {
            throw new Refused("the session has no nonce");
        }
        if (Instant.now().getEpochSecond() > end) {
            throw new Refused("the nonce is too old");
        }
        return value;
    }

    /** Return the holder whose card signed this portal's own origin and this nonce. */
    public static Holder verify(Token token, String origin, String nonce, Trust trust) throws Refused {
        return verify(token, origin, nonce, trust, false);
    }

    /** The same; accept11 lets in web-eid:1.1 too, whose certificates for documents must be the same person's. */
    public static Holder verify(Token token, String origin, String nonce, Trust trust, boolean accept11)
            throws Refused {
        if (token == null) {
            throw new Refused("the token lacks a field");
        }
        boolean known = "web-eid:1.0".equals(token.format()) || (accept11 && "web-eid:1.1".equals(token.format()));
        if (!known || !"RS256".equals(token.algorithm())) {
            throw new Refused("another format or algorithm");
        }
        try {
            List<DocumentCertificate> documents = documentsOf(token);
            X509Certificate certificate = loginCertificateOf(token.unverifiedCertificate());
            checkCertificate(certificate, trust, true);
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initVerify(certificate.getPublicKey());
            signature.update(digest(origin));
            signature.update(digest(nonce));
            if (!signature.verify(Base64.getDecoder().decode(token.signature()))) {
                throw new Refused("signed for another site, with another nonce or by another key");
            }
            for (DocumentCertificate entry : documents) {
                checkDocumentCertificate(entry, certificate, trust);
            }
            return holderOf(certificate);
        } catch (GeneralSecurityException | IOException | NamingException | RuntimeException fault) {
            throw new Refused(String.valueOf(fault.getMessage()));
        }
    }

    private static byte[] digest(String text) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Return what the token says of the certificates for documents, which only 1.1 has. */
    private static List<DocumentCertificate> documentsOf(Token token) throws Refused {
        List<DocumentCertificate> entries = token.unverifiedSigningCertificates();
        List<String> intermediates = token.unverifiedIntermediateCertificates();
        if ("web-eid:1.0".equals(token.format())) {
            if (entries != null || intermediates != null) {
                throw new Refused("a token of 1.0 with fields of 1.1");
            }
            return List.of();
        }
        if (intermediates == null || entries != null) {
            checkList(entries);
        }
        List<DocumentCertificate> found = entries == null ? List.of() : entries;
        if (intermediates != null) { // not used: the portal's authorities issue the certificates themselves
            checkList(intermediates);
        }
        for (DocumentCertificate entry : found) {
            if (entry.intermediateCertificates() != null) {
                checkList(entry.intermediateCertificates());
            }
        }
        return found;
    }

    private static void checkList(List<?> found) throws Refused {
        if (found == null || found.isEmpty() || found.size() > LIST_MAX
                || found.stream().anyMatch(one -> one == null || one.equals(""))) {
            throw new Refused("no list of certificates");
        }
    }

    private static void checkDocumentCertificate(DocumentCertificate entry, X509Certificate login, Trust trust)
            throws GeneralSecurityException, IOException, Refused {
        List<DocumentAlgorithm> algorithms = entry.supportedSignatureAlgorithms();
        if (algorithms == null || algorithms.isEmpty() || !algorithms.stream().allMatch(WebEid::isKnown)) {
            throw new Refused("no algorithm of documents, or an unknown one");
        }
        if (entry.certificate() == null) {
            throw new Refused("the token lacks a field");
        }
        X509Certificate read = certificateOf(entry.certificate());
        boolean[] usage = read.getKeyUsage();
        if (usage == null || !usage[NON_REPUDIATION]) {
            throw new Refused("the certificate is not for documents");
        }
        if (!read.getSubjectX500Principal().equals(login.getSubjectX500Principal())
                || !read.getIssuerX500Principal().equals(login.getIssuerX500Principal())) {
            throw new Refused("the certificate for documents is another person's, or of another authority");
        }
        checkCertificate(read, trust, false); // whether it was revoked counts when it signs
    }

    private static boolean isKnown(DocumentAlgorithm algorithm) {
        return algorithm != null
                && algorithm.cryptoAlgorithm() != null && CRYPTO_ALGORITHMS.contains(algorithm.cryptoAlgorithm())
                && algorithm.hashFunction() != null && HASH_FUNCTIONS.contains(algorithm.hashFunction())
                && algorithm.paddingScheme() != null && PADDING_SCHEMES.contains(algorithm.paddingScheme());
    }

    private static X509Certificate certificateOf(String base64) throws GeneralSecurityException, Refused {
        ByteArrayInputStream bytes = new ByteArrayInputStream(Base64.getDecoder().decode(base64));
        X509Certificate read = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(bytes);
        if (bytes.available() > 0) {
            throw new Refused("more than a certificate");
        }
        return read;
    }

    private static X509Certificate loginCertificateOf(String base64) throws GeneralSecurityException, Refused {
        X509Certificate read = certificateOf(base64);
        if (!(read.getPublicKey() instanceof RSAPublicKey key) || key.getModulus().bitLength() < 2048) {
            throw new Refused("no key for RS256");
        }
        List<String> purposes = read.getExtendedKeyUsage();
        boolean[] usage = read.getKeyUsage();
        // Java reads over an extension that it cannot read
        boolean signs = usage == null ? read.getExtensionValue(KEY_USAGE) == null : usage[DIGITAL_SIGNATURE];
        if (purposes == null || !purposes.contains(CLIENT_AUTH) || !signs) {
            throw new Refused("the certificate is not for logging in");
        }
        return read;
    }

    private static void checkCertificate(X509Certificate certificate, Trust trust, boolean withLists)
            throws GeneralSecurityException, IOException {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Set<TrustAnchor> anchors;
        try (InputStream file = Files.newInputStream(trust.authorities())) {
            anchors = factory.generateCertificates(file).stream()
                    .map(read -> new TrustAnchor((X509Certificate) read, null)).collect(Collectors.toSet());
        }
        PKIXParameters parameters = new PKIXParameters(anchors);
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        if (withLists) {
            checkRevocation(parameters, validator, trust);
        } else {
            parameters.setRevocationEnabled(false);
        }
        validator.validate(factory.generateCertPath(List.of(certificate)), parameters);
    }

    private static void checkRevocation(PKIXParameters parameters, CertPathValidator validator, Trust trust)
            throws GeneralSecurityException, IOException {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Map<List<Object>, X509CRL> newest = new HashMap<>(); // of two of one kind Java might take the older
        try (InputStream file = Files.newInputStream(trust.lists())) {
            for (CRL read : factory.generateCRLs(file)) {
                X509CRL list = (X509CRL) read;
                List<String> kind = LIST_KINDS.stream()
                        .map(oid -> Arrays.toString(list.getExtensionValue(oid))).toList();
                newest.merge(List.of(list.getIssuerX500Principal(), kind), list,
                        (one, other) -> one.getThisUpdate().after(other.getThisUpdate()) ? one : other);
            }
        }
        CollectionCertStoreParameters lists = new CollectionCertStoreParameters(newest.values());
        parameters.addCertStore(CertStore.getInstance("Collection", lists));
        PKIXRevocationChecker revocation = (PKIXRevocationChecker) validator.getRevocationChecker();
        revocation.setOptions(EnumSet.of(
                PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK));
        parameters.addCertPathChecker(revocation);
    }

    /**
     * Return the holder of a certificate that was verified: one RDN may have several names, as IGC-Santé's has given name,
     * number and surname together.
     */
    public static Holder holderOf(X509Certificate certificate) throws NamingException, Refused {
        String subject = certificate.getSubjectX500Principal().getName(X500Principal.RFC2253, KEYWORDS);
        String[] names = {"CN", "SN", "GN", "TITLE"};
        String[] values = {"", "", "", ""};
        for (Rdn rdn : new LdapName(subject).getRdns()) {
            Attributes pairs = rdn.toAttributes();
            for (int at = 0; at < names.length; at++) {
                if (pairs.get(names[at]) != null) {
                    if (at == 0 && (!values[at].isEmpty() || pairs.get(names[at]).size() > 1)) {
                        throw new Refused("the certificate is no professional's");
                    }
                    values[at] = String.valueOf(pairs.get(names[at]).get());
                }
            }
        }
        Holder holder = new Holder(values[0], values[1], values[2], values[3]);
        if (!holder.nationalId().matches(NATIONAL_ID)) {
            throw new Refused("the certificate is no professional's");
        }
        return holder;
    }
}
