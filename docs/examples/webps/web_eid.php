<?php

// Web eID tokens (cardd's are web-eid:1.0), verified on a portal's server: whose card it was, or Refused.
//
// PHP's openssl extension reads the certificate and checks the signature; the openssl command checks by whom the
// certificate was issued, for what, and whether it was revoked. No package is needed.

declare(strict_types=1);

namespace WebEid;

const NONCE_LIFETIME = 300; // seconds
const NATIONAL_ID = '#\A[034589][0-9A-Za-z]{8,}(/\S+)?\z#';
const CERTIFICATE_MAX = 16384; // bytes
const LIST_MAX = 4; // certificates in a token's list
const ALGORITHMS = [
    'cryptoAlgorithm' => ['ECC', 'RSA'],
    'hashFunction' => [
        'SHA-224', 'SHA-256', 'SHA-384', 'SHA-512', 'SHA3-224', 'SHA3-256', 'SHA3-384', 'SHA3-512',
    ],
    'paddingScheme' => ['NONE', 'PKCS1.5', 'PSS'],
];
const BY_OPENSSL = ['openssl', 'verify', '-partial_chain', '-auth_level', '2'];
// without -extended_crl openssl takes a list of changes (delta) for a whole one
const FOR_LOGIN = ['-purpose', 'sslclient', '-crl_check', '-extended_crl'];

/** The token proves nothing; the reason is for the portal's log, not for the page. */
final class Refused extends \Exception
{
}

/** Return a nonce for the page, kept in its session ($_SESSION); the one before is worth nothing any more. */
function newNonce(array &$session): string
{
    $session['card_nonce'] = rtrim(strtr(base64_encode(random_bytes(33)), '+/', '-_'), '=');
    $session['card_nonce_ends'] = time() + NONCE_LIFETIME;
    return $session['card_nonce'];
}

/** Return the session's nonce, which is gone then, whatever becomes of the token. Throws Refused. */
function spentNonce(array &$session): string
{
    $nonce = $session['card_nonce'] ?? '';
    $ends = $session['card_nonce_ends'] ?? 0;
    unset($session['card_nonce'], $session['card_nonce_ends']);
    if ($nonce === '') {
        throw new Refused('the session has no nonce');
    }
    if (time() > $ends) {
        throw new Refused('the nonce is too old');
    }
    return $nonce;
}

/**
 * Return the holder whose card signed this portal's own origin and this nonce. Throws Refused.
 *
 * $authorities and $lists are files in PEM: who issues the certificates of persons, and what they revoked by today.
 * $accept11 lets in web-eid:1.1 too, whose certificates for documents must be the same person's.
 */
function verify(
    mixed $token,
    string $origin,
    string $nonce,
    string $authorities,
    string $lists,
    bool $accept11 = false,
): array {
    foreach (['unverifiedCertificate', 'algorithm', 'signature', 'format'] as $name) {
        if (!is_array($token) || !is_string($token[$name] ?? null)) {
            throw new Refused('the token lacks a field');
        }
    }
    $formats = $accept11 ? ['web-eid:1.0', 'web-eid:1.1'] : ['web-eid:1.0'];
    if (!in_array($token['format'], $formats, true) || $token['algorithm'] !== 'RS256') {
        throw new Refused('another format or algorithm');
    }
    $documents = documents($token);
    $pem = toPem(decoded($token['unverifiedCertificate']));
    $read = readCertificate($pem);
    $key = openssl_pkey_get_public($pem);
    $purposes = explode(', ', $read['extensions']['extendedKeyUsage'] ?? '');
    if (!in_array('TLS Web Client Authentication', $purposes, true)) {
        throw new Refused('the certificate is not for logging in');
    }
    if ($key === false || openssl_pkey_get_details($key)['type'] !== OPENSSL_KEYTYPE_RSA) {
        throw new Refused('the key is none for RS256');
    }
    checkCertificate($pem, $authorities, [...FOR_LOGIN, '-CRLfile', $lists]);
    $signed = hash('sha256', $origin, true) . hash('sha256', $nonce, true);
    if (openssl_verify($signed, decoded($token['signature']), $key, OPENSSL_ALGO_SHA256) !== 1) {
        throw new Refused('signed for another site, with another nonce or by another key');
    }
    foreach ($documents as $entry) {
        checkDocumentCertificate($entry, $read, $authorities);
    }
    return holderOf($read['subject']);
}

/** What the token says of the certificates for documents, which only 1.1 has. */
function documents(array $token): array
{
    $entries = $token['unverifiedSigningCertificates'] ?? null;
    $intermediates = $token['unverifiedIntermediateCertificates'] ?? null;
    if ($token['format'] === 'web-eid:1.0') {
        if ($entries !== null || $intermediates !== null) {
            throw new Refused('a token of 1.0 with fields of 1.1');
        }
        return [];
    }
    if ($intermediates === null || $entries !== null) {
        checkList($entries, 'is_array');
    }
    foreach ([$intermediates, ...array_column($entries ?? [], 'intermediateCertificates')] as $given) {
        if ($given !== null) { // not used: the portal's authorities issue the certificates themselves
            checkList($given, 'is_string');
        }
    }
    return $entries ?? [];
}

function checkList(mixed $found, callable $isOfKind): void
{
    if (!is_array($found) || !array_is_list($found) || $found === [] || count($found) > LIST_MAX) {
        throw new Refused('no list of certificates');
    }
    foreach ($found as $one) {
        if (!$isOfKind($one) || $one === '') {
            throw new Refused('no list of certificates');
        }
    }
}

function checkDocumentCertificate(array $entry, array $login, string $authorities): void
{
    $algorithms = $entry['supportedSignatureAlgorithms'] ?? null;
    if (!is_array($algorithms) || !array_is_list($algorithms) || $algorithms === []) {
        throw new Refused('no algorithm of documents, or an unknown one');
    }
    foreach ($algorithms as $algorithm) {
        foreach (ALGORITHMS as $part => $known) {
            if (!is_array($algorithm) || !in_array($algorithm[$part] ?? null, $known, true)) {
                throw new Refused('no algorithm of documents, or an unknown one');
            }
        }
    }
    if (!is_string($entry['certificate'] ?? null)) {
        throw new Refused('the token lacks a field');
    }
    $pem = toPem(decoded($entry['certificate']));
    $read = readCertificate($pem);
    if (!in_array('Non Repudiation', explode(', ', $read['extensions']['keyUsage'] ?? ''), true)) {
        throw new Refused('the certificate is not for documents');
    }
    if ($read['subject'] !== $login['subject'] || $read['issuer'] !== $login['issuer']) {
        throw new Refused("the certificate for documents is another person's, or of another authority");
    }
    checkCertificate($pem, $authorities, []); // whether it was revoked counts when it signs
}

function readCertificate(string $pem): array
{
    $read = openssl_x509_parse($pem, true);
    if ($read === false || !openssl_x509_export($pem, $alone) || $alone !== $pem) {
        throw new Refused('no certificate');
    }
    return $read;
}

function decoded(string $text): string
{
    $bytes = base64_decode($text, true);
    if ($bytes === false || $bytes === '' || strlen($bytes) > CERTIFICATE_MAX) {
        throw new Refused('no base64');
    }
    return $bytes;
}

function toPem(string $der): string
{
    return "-----BEGIN CERTIFICATE-----\n" . chunk_split(base64_encode($der), 64, "\n") . "-----END CERTIFICATE-----\n";
}

function checkCertificate(string $pem, string $authorities, array $more): void
{
    $command = [...BY_OPENSSL, '-trusted', $authorities, ...$more];
    $process = proc_open($command, [['pipe', 'r'], ['file', '/dev/null', 'w'], ['pipe', 'w']], $pipes);
    if ($process === false) {
        throw new Refused('openssl does not start');
    }
    fwrite($pipes[0], $pem);
    fclose($pipes[0]);
    $errors = stream_get_contents($pipes[2]);
    fclose($pipes[2]);
    if (proc_close($process) !== 0) {
        throw new Refused('the certificate: ' . trim($errors));
    }
}

/** One RDN may have several names, as IGC-Santé's has given name, number and surname together. */
function holderOf(array $subject): array
{
    $names = array_map(fn ($value) => is_string($value) ? $value : '', $subject);
    $nationalId = $names['CN'] ?? $names['commonName'] ?? '';
    if (preg_match(NATIONAL_ID, $nationalId) !== 1) {
        throw new Refused("the certificate is no professional's");
    }
    return [
        'nationalId' => $nationalId,
        'familyName' => $names['SN'] ?? $names['surname'] ?? '',
        'givenName' => $names['GN'] ?? $names['givenName'] ?? '',
        'title' => $names['title'] ?? '',
    ];
}
