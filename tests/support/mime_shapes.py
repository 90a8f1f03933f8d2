"""Messages of every MIME shape, the same ones for the same seed: shapes(seed) yields (name, bytes). Each kind of part is in some message
by itself and, at random, in others as a leaf of a tree; headers vary too."""
import base64
import quopri
import random
import string

CRLF = b"\r\n"
WORDS = "invoice the of Grüße lunch – naïve 日本語 report привет a is quarter shipping =20 From . .. ... -- & <b> \t résumé".split(" ")
CHARSETS = ["us-ascii", "utf-8", "iso-8859-1", "iso-8859-15", "windows-1252", "koi8-r", "iso-2022-jp", "utf-7", "gb18030", "shift_jis"]


def text(r, lines=None):
    """Lines with what canonicalisation is about: runs of blanks, blanks at the end, empty lines, dots and long lines."""
    out = []
    for _ in range(r.randrange(12) if lines is None else lines):
        line = r.choice(["", " ", "\t", "  ", "> "]) + r.choice([" ", "  ", "\t", " \t "]).join(r.choice(WORDS) for _ in range(r.randrange(14)))
        out.append(line + r.choice(["", "", "", " ", "\t ", "   "]))
    if r.random() < 0.05:
        out.append("x" * 990)
    return "\r\n".join(out) + r.choice(["", "\r\n", "\r\n\r\n", "\r\n \r\n"])


def encoded(r, data, how):
    if how == "base64":
        n = r.choice([76, 76, 60, 4, 72])
        whole = base64.b64encode(data)
        return CRLF.join(whole[i:i + n] for i in range(0, len(whole), n)) + r.choice([b"", CRLF])
    if how == "quoted-printable":
        return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    if how == "x-uuencode":
        import binascii
        return b"begin 644 a.bin\r\n" + b"".join(binascii.b2a_uu(data[i:i + 45]).replace(b"\n", b"\r\n") for i in range(0, len(data), 45)) \
            + b"`\r\nend\r\n"
    return data


def field(r, name, value):
    """In one of the spellings that programs use."""
    name = r.choice([name, name, name.lower(), name.upper()])
    fold = r.choice(["; ", ";\r\n\t", ";\r\n ", ";", " ;\r\n    "])
    return (name + r.choice([": ", ": ", ":", ":  ", ":\r\n "]) + value.replace("; ", fold) + "\r\n").encode("utf-8", "surrogateescape")


def part(r, type_, body, how="7bit", more=b""):
    header = field(r, "Content-Type", type_)
    if how != "7bit" or r.random() < 0.5:
        header += field(r, "Content-Transfer-Encoding", r.choice([how, how.upper()]))
    return header + more, body


def text_part(r, kind="plain"):
    charset = r.choice(CHARSETS)
    data = text(r).encode(charset, "ignore")
    how = r.choice(["quoted-printable", "base64", "8bit"])
    if all(c < 128 for c in data):
        how = r.choice([how, "7bit"])
    if how in ("8bit", "7bit") and max(len(line) for line in data.split(b"\r\n")) > 980:
        how = "quoted-printable"
    extra = r.choice(["", "", "; format=flowed", "; format=flowed; delsp=yes", '; reply-type=original', "; x-unix-mode=0644"])
    quote = r.choice(["", '"'])
    return part(r, f"text/{kind}; charset={quote}{charset}{quote}{extra}", encoded(r, data, how), how)


def html(r):
    return text_part(r, "html")


def attachment(r):
    data = bytes(r.randrange(256) for _ in range(r.choice([0, 1, 57, 1000, 5000])))
    how = r.choice(["base64", "base64", "x-uuencode", "quoted-printable"])
    if how == "quoted-printable":
        body = b"".join(b"=%02X" % c + (b"=\r\n" if i % 20 == 19 else b"") for i, c in enumerate(data))
    else:
        body = encoded(r, data, how)
    name = r.choice(["a.pdf", "Grüße.docx", "a b.png", "日本.zip", 'q"uote.txt', "x" * 120 + ".bin"])
    star = "".join(c if c in string.ascii_letters + string.digits + "." else "".join("%%%02X" % b for b in c.encode()) for c in name)
    disposition = r.choice([f"attachment; filename*=utf-8''{star}", f"attachment; filename*0*=utf-8''{star[:40]}; filename*1*={star[40:]}",
                            "inline", "attachment; filename=a.bin; size=5; creation-date=\"Wed, 12 Feb 1997 16:29:51 -0500\""])
    more = field(r, "Content-Disposition", disposition)
    if r.random() < 0.3:
        more += field(r, "Content-ID", "<%d@example.org>" % r.randrange(1 << 40))
    if r.random() < 0.2:
        more += field(r, "Content-Description", "Über alles, ein Anhang") + b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n"
    type_ = r.choice(["application/octet-stream", "image/png", "application/pdf; name=a.pdf", "audio/x-wav", "video/mp4", "font/woff2",
                      "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "model/stl", "application/zip; x=\"a;b\""])
    return part(r, type_, body, how, more)


def calendar(r):
    return part(r, "text/calendar; charset=utf-8; method=REQUEST", b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Mittag \xc3\xbc\r\n ber\r\n"
                b"END:VCALENDAR\r\n", "8bit")


def rfc822(r):
    return part(r, "message/rfc822", b"From: x@example.net\r\nSubject: within\r\nDKIM-Signature: v=1; d=example.net; b=x\r\n\r\n"
                + text(r).encode("ascii", "ignore"))


def partial(r):
    return part(r, 'message/partial; id="abc@example.org"; number=%d; total=3' % r.randrange(1, 4), text(r).encode("ascii", "ignore"))


def external(r):
    return part(r, 'message/external-body; access-type=URL; URL="https://example.org/a"', b"Content-Type: image/gif\r\n\r\n")


def delivery_status(r):
    return part(r, "message/delivery-status", b"Reporting-MTA: dns; relay.example.org\r\n\r\nFinal-Recipient: rfc822; x@example.net\r\n"
                b"Action: failed\r\nStatus: 5.1.1\r\n\r\n")


def disposition(r):
    return part(r, "message/disposition-notification", b"Reporting-UA: x\r\nFinal-Recipient: rfc822;x@example.net\r\n"
                b"Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n")


def headers_only(r):
    return part(r, "text/rfc822-headers", b"From: x@example.net\r\nTo: y@example.net\r\n\r\n")


def signature(r):
    return part(r, "application/pgp-signature; name=signature.asc", b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n=abcd\r\n"
                b"-----END PGP SIGNATURE-----\r\n")


def smime(r):
    return part(r, "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", encoded(r, bytes(range(256)) * 3, "base64"), "base64")


def enriched(r):
    return text_part(r, r.choice(["enriched", "markdown", "csv", "x-patch", "xml", "vcard"]))


def bare(r):
    """A part without a header of its own."""
    return b"", text(r).encode("ascii", "ignore")


LEAVES = [text_part, html, attachment, calendar, rfc822, partial, external, delivery_status, disposition, headers_only, signature, smime,
          enriched, bare]
MULTIPARTS = ["mixed", "alternative", "related; type=\"text/html\"", "digest", "parallel", "report; report-type=delivery-status",
              "signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"", "encrypted; protocol=\"application/pgp-encrypted\"",
              "form-data", "appledouble", "byteranges", "x-unknown", "voice-message"]


def multipart(r, subtype, parts):
    boundary = r.choice(["", "=_", "----=_Part_", "a b", "'()+_,-./:=?"]) + "".join(r.choice(string.ascii_letters) for _ in range(r.randrange(1, 50)))
    quote = '"' if r.random() < 0.8 or not boundary.isalpha() else ""
    body = r.choice([b"", b"", b"This is a message with several parts.\r\n", b"\r\n\r\n", b" \r\n"])
    for header, content in parts:
        body += b"--" + boundary.encode() + r.choice([b"", b"", b"  ", b"\t"]) + CRLF + header + CRLF + content + CRLF
    if r.random() < 0.93: # else it is never closed
        body += b"--" + boundary.encode() + b"--" + r.choice([CRLF, CRLF, b"", b"\r\nepilogue  \r\n\r\n", b"  \r\n"])
    return field(r, "Content-Type", f"multipart/{subtype}; boundary={quote}{boundary}{quote}"), body


def tree(r, depth):
    if depth == 0 or r.random() < 0.3:
        return r.choice(LEAVES)(r)
    return multipart(r, r.choice(MULTIPARTS), [tree(r, depth - 1) for _ in range(r.randrange(0, 5))])


OTHERS = [("Reply-To", "Alice <alice@example.org>"), ("Cc", "c@example.net, \"D, E\" <d@example.net>"), ("Sender", "alice@example.org"),
          ("In-Reply-To", "<1@example.net>"), ("References", "<1@example.net> <2@example.net>"), ("List-Id", "Some <l.example.org>"),
          ("List-Unsubscribe", "<https://example.org/u>, <mailto:u@example.org>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
          ("List-Post", "<mailto:l@example.org>"), ("List-Archive", "<https://example.org/a>"), ("Comments", "one"), ("Keywords", "a, b"),
          ("Precedence", "bulk"), ("X-Mailer", "x  (y)\t"), ("Autocrypt", "addr=alice@example.org; keydata=eA=="), ("Importance", "high"),
          ("Thread-Topic", "x"), ("Organization", "Größe AG"), ("Content-Language", "de"), ("Auto-Submitted", "no"), ("Feedback-ID", "a:b"),
          ("Received", "from a by b; Sat, 21 Nov 2026 19:37:54 +0000"), ("Authentication-Results", "example.net; none"),
          ("DKIM-Signature", "v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=eA==; b=eA=="), ("Disposition-Notification-To", "alice@example.org")]
SUBJECTS = ["test", "", "Grüße  aus\tKöln ", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "word " * 60, "one\r\n two\r\n\tthree", "日本語 – привет", "a:b;c"]


def header(r, n):
    mandatory = [field(r, "From", r.choice(["alice@example.org", "Alice <alice@example.org>", '"A. Liddell" <alice@example.org>',
                                            "=?utf-8?q?J=C3=B6rg?=\r\n <alice@example.org>"])),
                 field(r, "To", r.choice(["bob@example.net", "Bob <bob@example.net>,\r\n\tcarol@example.net", "undisclosed-recipients:;"])),
                 field(r, "Subject", r.choice(SUBJECTS)), field(r, "Date", "Sat, 21 Nov 2026 19:37:54 +0000"),
                 field(r, "Message-ID", "<%d@example.org>" % n)]
    some = [field(r, name, value) for name, value in r.sample(OTHERS, r.randrange(8))]
    both = mandatory + some
    if r.random() < 0.3:
        r.shuffle(both)
    return b"".join(both)


def shapes(seed=6376, n=240):
    for i in range(n):
        r = random.Random(seed * 100000 + i)
        if i < 2 * len(LEAVES):
            top, body = LEAVES[i % len(LEAVES)](r)
            name = LEAVES[i % len(LEAVES)].__name__
        elif i < 2 * len(LEAVES) + 3 * len(MULTIPARTS):
            subtype = MULTIPARTS[i % len(MULTIPARTS)]
            top, body = multipart(r, subtype, [tree(r, 1) for _ in range(r.randrange(1, 4))])
            name = subtype.split(";")[0]
        elif i < 2 * len(LEAVES) + 3 * len(MULTIPARTS) + 5: # a chain
            top, body = r.choice(LEAVES)(r)
            for _ in range(r.choice([10, 20, 30])):
                top, body = multipart(r, "mixed", [(top, body)])
            name = "deep"
        else:
            top, body = tree(r, 4)
            name = "tree"
        version = b"" if i % 17 == 0 else field(r, "MIME-Version", r.choice(["1.0", "1.0 (a comment)"]))
        yield f"{i:03d}_{name.replace('/', '_')}", header(r, i) + version + top + CRLF + body + (b"" if body.endswith(CRLF) else CRLF)
