"""The document cannot be signed or understood, its signer may not sign it, or it gets no timestamp."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

# why a timestamp is not trusted
_UNTRUSTED: Words = {
    "why": {
        "path": N_("it has no path to a configured authority"),
        "signature": N_("the signature is wrong"),
        "usage": N_("it is not for timestamps"),
        "validity": N_("it was not valid at that time"),
    }
}

# why a document can be read in several ways; ``what`` is the part that is meant
_SEVERAL_WAYS: Words = {
    "why": {
        "around": N_("words that nobody signed stand around the message ({what})"),
        "both": N_("it has members for one signature and for several ({what})"),
        "moved": N_("the signature may have been moved to another place ({what})"),
        "twice": N_("“{what}” is there twice, and one program takes the first, another the last"),
    }
}


class DocumentError(CarddError):
    """The document cannot be signed or understood as it is."""

    status = 422


class DocumentEmpty(DocumentError):
    """The document holds nothing to sign or to verify."""

    code = "document.empty"
    title = N_("Empty document")
    detail = N_("The document has no content.")
    remedy = N_("Send the document that is meant.")


class DocumentTooLarge(DocumentError):
    """The document is larger than its format takes here."""

    code = "document.too_large"
    status = 413
    title = N_("Document too large")
    detail = N_("A document in the format {format} may have {limit} bytes at most.")
    remedy = N_("Choose another format, CAdES or PAdES, or send a smaller document.")

    format: str
    limit: int  # bytes


class DocumentMalformed(DocumentError):
    """The document is not what its format says."""

    code = "document.malformed"
    title = N_("Unreadable document")
    detail = N_("The document is not a well-formed {format}.")
    remedy = N_("Check that the file is whole, and in this format.")

    format: str


class DocumentUnsupported(DocumentError):
    """The document is well formed, and uses something that cardd does not take."""

    code = "document.unsupported"
    title = N_("Document not supported")
    detail = N_("The {format} document uses something that cardd does not accept ({what}).")
    remedy = N_("Have it signed another way, or check it with another tool.")

    format: str
    what: str


class DocumentIsSignedPart(DocumentError):
    """A raw signature of these octets would be a signature in another format, of a document that is not here."""

    code = "document.signed_part"
    title = N_("Not a document of its own")
    detail = N_("These bytes are what a {format} signature signs: a raw signature would be one of another document.")
    remedy = N_("Send the document itself, and have it signed in the format {format}.")

    format: str


class DocumentAmbiguous(DocumentError):
    """Two readers would understand the document, or its signature, differently."""

    code = "document.ambiguous"
    title = N_("Ambiguous document")
    detail = N_("Programs may read this document, or its signature, in different ways: {why}.")
    remedy = N_("Do not rely on this document. Ask its author for it again.")
    words = _SEVERAL_WAYS

    what: str
    why: str  # one of these words


class DocumentUnknown(DocumentError):
    """This session holds no such document: there never was one, or its time is over."""

    code = "document.unknown"
    status = 404
    title = N_("No such document")
    detail = N_("The session holds no document “{document}”: it was dropped, or its time is over.")
    remedy = N_("Upload it again.")

    document: str


class DocumentsFull(DocumentError):
    """This session holds as many documents, or bytes, as it may."""

    code = "document.too_many"
    status = 409
    title = N_("Too many documents")
    detail = N_("A session holds at most {count} documents, {bytes} bytes in all.")
    remedy = N_("Fetch and delete those that are signed, or wait ten minutes.")

    count: int  # how many it may hold
    bytes: int  # how many in all


class DocumentNoSpace(DocumentError):
    """The disk has no room for the document, or for what comes of it."""

    code = "document.no_space"
    status = 507
    retryable = True
    title = N_("No room for the document")
    detail = N_("The disk that documents are held on is full; no signed document left.")
    remedy = N_("Have room made on this machine's disk for temporary files, then try again.")


class DocumentUnrecognised(DocumentError):
    """The document is in none of the formats of signatures, and no signature was given beside it."""

    code = "document.unrecognised"
    title = N_("Unknown format")
    detail = N_("This is no PDF, no XML, no JWS and no CMS message.")
    remedy = N_("Give the signed file or, for a signature of its own, the signature and its certificate.")


class DocumentContentMissing(DocumentError):
    """The signature is detached, and the document that it covers was not given."""

    code = "document.content_missing"
    title = N_("Signed document missing")
    detail = N_("The signature is apart from the document that it covers, and that one was not given.")
    remedy = N_("Give the signed document together with its signature.")


class DocumentContentTwice(DocumentError):
    """The signature holds its document, and one was given beside it."""

    code = "document.content_twice"
    title = N_("Two documents")
    detail = N_("The signature holds its document, and another one was given beside it.")
    remedy = N_("Give the signature alone.")


class DocumentTimestampForm(DocumentError):
    """This form of the format has no place for a timestamp."""

    code = "document.timestamp_form"
    title = N_("No place for a timestamp")
    detail = N_("This form of {format} cannot hold a timestamp.")
    remedy = N_("Choose another form (JSON for a JWS), or do without a timestamp.")

    format: str


class DocumentXmlDoctype(DocumentError):
    """The XML has a document type: entities and outside references are not read."""

    code = "document.xml_doctype"
    title = N_("XML with a document type")
    detail = N_("The XML document has a document type (DOCTYPE), which may hide entities.")
    remedy = N_("Have the document written without a DOCTYPE.")


class DocumentXmlLimits(DocumentError):
    """The XML is more than is read at once."""

    code = "document.xml_limits"
    title = N_("XML too deep or too long")
    detail = N_(
        "The XML nests deeper than {depth} elements, has a text of over {text} bytes, or more than {namespaces} "
        "namespaces at once."
    )
    remedy = N_("Check the program that wrote it, or sign the file detached.")

    depth: int  # elements
    text: int  # bytes of one
    namespaces: int


class ManifestDocumentMissing(DocumentError):
    """A document that the manifest names was not given."""

    code = "document.manifest_missing"
    title = N_("Document of the set missing")
    detail = N_("The set names the document {reference}, which was not given.")
    remedy = N_("Give every document of the set.")

    reference: str


class ManifestDocumentDiffers(DocumentError):
    """A document is not the one of which the manifest has the digest."""

    code = "document.manifest_differs"
    title = N_("Document of the set changed")
    detail = N_("The document {reference} is not the one that the set has the digest of.")
    remedy = N_("Give the document as it was when the set was made, or make the set again.")

    reference: str


class ManifestDocumentUnnamed(DocumentError):
    """A document was given that the manifest does not name."""

    code = "document.manifest_unnamed"
    title = N_("Document outside the set")
    detail = N_("The document {reference} was given, and the set does not name it.")
    remedy = N_("Give the documents of the set alone.")

    reference: str


class SigningCertificateUsage(DocumentError):
    """The certificate is not for signing documents or assertions: its key usage lacks nonRepudiation."""

    code = "signing_certificate.usage"
    title = N_("Not a signature certificate")
    detail = N_("This certificate is not meant for signing documents (nonRepudiation is missing).")
    remedy = N_("Sign with the card's signature certificate, or the organisation's (ORG SIGN).")


class SigningCertificateExpired(DocumentError):
    """The certificate has expired."""

    code = "signing_certificate.expired"
    may_pass = True  # the clock was wrong
    title = N_("Certificate expired")
    detail = N_("The signature certificate expired on {not_after}.")
    remedy = N_("Use a current card or certificate; check this computer's clock too.")

    not_after: str  # ISO 8601, UTC


class SigningCertificateNotYetValid(DocumentError):
    """The certificate is not valid yet."""

    code = "signing_certificate.not_yet_valid"
    may_pass = True  # the clock was wrong
    title = N_("Certificate not yet valid")
    detail = N_("The signature certificate is valid from {not_before}.")
    remedy = N_("Check this computer's clock, or wait until then.")

    not_before: str  # ISO 8601, UTC


class TimestampError(DocumentError):
    """No timestamp is to be had; no signature leaves without the one that was asked for."""

    status = 502


class TimestampUnconfigured(TimestampError):
    """A timestamp was asked for, and no authority is configured."""

    code = "timestamp.unconfigured"
    status = 422
    title = N_("No timestamp authority")
    detail = N_("A timestamp was asked for, and no timestamp authority is configured.")
    remedy = N_("Set timestamp.url in the configuration, or do without a timestamp.")


class TimestampUnavailable(TimestampError):
    """The authority cannot be reached, breaks off, or answers no timestamp response."""

    code = "timestamp.unavailable"
    status = 503
    retryable = True
    title = N_("Timestamp authority unavailable")
    detail = N_("The timestamp authority {host} does not answer; no signature was handed out.")
    remedy = N_("Check the network, then try again; or do without a timestamp.")

    host: str


class TimestampRefused(TimestampError):
    """The authority refused the request."""

    code = "timestamp.refused"
    title = N_("Timestamp refused")
    detail = N_("The timestamp authority refused the request ({answer}); no signature was handed out.")
    remedy = N_("Check timestamp.url and the contract with this authority.")

    answer: str  # its status, RFC 3161, section 2.4.2


class TimestampMalformed(TimestampError):
    """The authority's answer is no timestamp response, or its token not one of RFC 3161."""

    code = "timestamp.malformed"
    retryable = True
    title = N_("Unreadable timestamp")
    detail = N_("What the timestamp authority answered is no timestamp; no signature was handed out.")
    remedy = N_("Check timestamp.url; if it is right, tell the authority.")


class TimestampMismatch(TimestampError):
    """The timestamp is not of this request."""

    code = "timestamp.mismatch"
    title = N_("Another's timestamp")
    detail = N_("The timestamp received is not that of this signature ({what}); no signature was handed out.")
    remedy = N_("Try again; if it comes back, tell the authority.")

    what: str  # imprint or nonce


class TimestampTime(TimestampError):
    """The timestamp's time is too far from this machine's."""

    code = "timestamp.time"
    title = N_("Clocks disagree")
    detail = N_("The timestamp's time differs from this computer's by {seconds} s; no signature was handed out.")
    remedy = N_("Set this computer's clock by a time server (NTP), then try again.")

    seconds: int  # ahead, negative: behind


class TimestampUntrusted(TimestampError):
    """The timestamp's certificate is no authority's, or has no path to one that is configured."""

    code = "timestamp.untrusted"
    title = N_("Timestamp not trusted")
    detail = N_("The timestamp's certificate cannot be trusted ({why}); no signature was handed out.")
    remedy = N_("Check timestamp.authorities: it must have the authority's root.")
    words = _UNTRUSTED

    why: str
