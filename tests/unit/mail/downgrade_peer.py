#!/usr/bin/python3
"""Convert messages of many kinds with downgrade_peer.c and read them with Python's mail parser, before and after: each part's decoded content must
be the same, and nothing may be 8-bit or too long: downgrade_peer.py PROGRAM [SEED]."""
import email
import email.message
import email.header
import email.policy
import email.utils
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile

POLICY = email.policy.compat32
SEALED = ("multipart/signed", "multipart/encrypted")


def leaves(message, path=""):
    """(path, type, content) of each leaf, decoded; of what must not be touched, the raw text inside."""
    kind = message.get_content_type()
    if kind in SEALED:
        inside = message.get_payload()
        yield path, kind, b"".join(p.as_bytes(policy=POLICY) for p in inside) if message.is_multipart() else inside.encode()
    elif message.is_multipart() and kind != "message/delivery-status":
        for i, part in enumerate(message.get_payload()):
            yield from leaves(part, "%s/%d" % (path, i))
    else:
        yield path, kind, message.get_payload(decode=True)


def entities(message):
    """All entities, but for what is sealed."""
    yield message
    if message.is_multipart() and message.get_content_type() not in SEALED:
        for part in message.get_payload():
            yield from entities(part)


def fields(entity, leave_out):
    return [(k, str(v)) for k, v in entity.items() if k.lower() not in leave_out]


def encoding(entity):
    return entity.get("Content-Transfer-Encoding", "7bit").strip().lower()


def readable(entity, leave_out):
    """What a reader sees of the fields: encoded words and parameters decoded, folds undone, domains in UTF-8."""
    found = []
    for name, value in entity.raw_items():
        if name.lower() in leave_out:
            continue
        value = raw_text(re.sub(r"[\r\n]", "", value))
        if name.lower() in ("content-type", "content-disposition"):
            parsed = email.message.Message()
            parsed[name] = value
            params = parsed.get_params(header=name)
            shown = sorted((k, raw_text(collapse(v))) for k, v in params) # an encoded one comes last
        elif name.lower() in ("from", "to", "cc"):
            shown = [(raw_text(decoded(n)), a.replace("xn--bcher-kva", "bücher")) for n, a in email.utils.getaddresses([raw_text(value)])]
        else:
            shown = raw_text(decoded(value))
        found.append((name, shown))
    return found


def collapse(value):
    return email.utils.collapse_rfc2231_value(value)


def raw_text(value):
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def decoded(value):
    """RFC 2047 by Python, which takes a text with raw bytes for one of charset unknown-8bit."""
    pieces = []
    for piece, charset in email.header.decode_header(raw_text(value)):
        if isinstance(piece, bytes):
            piece = piece.decode(charset or "raw-unicode-escape")
        pieces.append(piece)
    return "".join(pieces).strip()


def check_fields(name, before, after, fit):
    changed = {"content-transfer-encoding", "mime-version"}
    if before.get("Content-Type") is None and after.get("Content-Type") is not None:
        changed.add("content-type")
        assert after.get_content_type() == "text/plain" and encoding(after) in ("quoted-printable", "base64"), name
        charset = after.get_content_charset()
        try:
            before.get_payload(decode=True).decode(charset if charset != "unknown-8bit" else "latin-1")
        except UnicodeDecodeError:
            assert False, "%s: not %s" % (name, charset)
    for was, now in itertools.zip_longest(readable(before, changed), readable(after, changed)):
        at = len(os.path.commonprefix([str(was), str(now)]))
        assert was == now, "%s: fields differ:\n%.400r\n%.400r" % (name, str(was)[max(0, at - 100):], str(now)[max(0, at - 100):])
    if encoding(after) != encoding(before):
        assert encoding(before) in ("7bit", "8bit", "binary"), name
    allowed = ("7bit", "quoted-printable", "base64")
    if fit is is_fit:
        assert encoding(after) in (allowed[:1] if after.is_multipart() else allowed), name


def is_fit(body):
    """Whether a text is fit for a server without 8BITMIME."""
    lines = body.split(b"\r\n")
    return max(body, default=0) < 128 and 0 not in body and all(len(l) <= 998 and not set(l) & {10, 13} for l in lines)


def is_short(text):
    """Whether all servers take its lines."""
    return all(len(l) <= 998 for l in text.split(b"\r\n"))


def check(name, before, after, whole, is_fit=is_fit):
    a, b = (email.message_from_bytes(t, policy=POLICY) for t in (before, after))
    la, lb = list(leaves(a)), list(leaves(b))
    assert [l[:2] for l in la] == [l[:2] for l in lb], "%s: other parts %r, %r" % (name, [l[:2] for l in la], [l[:2] for l in lb])
    for x, y in zip(la, lb):
        at = len(os.path.commonprefix([x[2], y[2]]))
        assert x[2] == y[2], "%s: part %s differs at %d: %r, %r" % (name, x[:2], at, x[2][at - 20:at + 60], y[2][at - 20:at + 60])
    ea, eb = list(entities(a)), list(entities(b))
    assert len(ea) == len(eb), name
    for pair in zip(ea, eb):
        check_fields(name, *pair, is_fit)
    assert is_fit(after), "%s: not fit" % name
    if whole and is_fit(before):
        label = re.compile(rb"(?im)^content-transfer-encoding:\s*(8bit|binary|7bit)")
        without = [label.sub(b"Content-Transfer-Encoding: 7bit", t) for t in (before, after)]
        at = 200 + len(os.path.commonprefix(without))
        assert without[0] == without[1], "%s: changed without need: %r" % (name, [t[at - 200:at + 60] for t in without])


# ---- messages ----

def words(r):
    kinds = ["plain words of the kind that people write, ", "Grüße aus Köln, ", "日本語のテキスト", "=20 and = signs ", "trailing  ", "\t",
             "From here ", "--", "-- ", ".", "--bound", "--b0", "x" * 300, "\x7f", "a=", "Content-Type: text/plain"]
    return "".join(r.choice(kinds) for _ in range(r.randint(0, 6)))


def text(r, ascii_only=False, latin1=False):
    lines = [words(r) for _ in range(r.choice([0, 1, 3, 10, 200]))]
    content = "\r\n".join(lines)
    if ascii_only:
        content = content.encode("ascii", "ignore").decode()
    data = content.encode("latin-1", "replace") if latin1 else content.encode()
    data = b"\r\n".join(l[:r.choice([990, 998, 998, 5000])] if ascii_only or r.random() < .95 else l * 5 for l in data.split(b"\r\n"))
    return data + (b"\r\n" if r.random() < .8 else b"")


def name(r):
    return " ".join(r.choice(["Jörg", "Müller", "plain", "日本語", "x" * 30, "Łódź", "🎉", "Ann-Marie", "O'Neil"]) for _ in range(r.choice([1, 2, 3, 20])))


def mailbox(r):
    domain = r.choice(["example.org", "bücher.example"])
    return r.choice(["%s <a@%s>", "\"%s, x\" <a@%s>", "\"%s\"<a@%s>", "%.0sa@%s", "<a@%.0s%s>", "\"%s (@) \\\"q\\\"\" <a@%s>"]) % (name(r), domain)


def addresses(r):
    return r.choice([",", ", ", " ,\r\n\t"]).join(mailbox(r) for _ in range(r.choice([1, 1, 3, 40])))


def fold(r, value):
    return value.replace(" ", "\r\n ") if r.random() < .1 else value


def fields_of_people(r):
    """Header fields with text beyond ASCII, and with lines that are too long."""
    found = []
    if r.random() < .5:
        found.append("Subject: " + fold(r, name(r) + r.choice(["", " =?utf-8?q?=C3=B6?= " + name(r), ": " + "日本" * 600, " " + "long words " * 200])))
    if r.random() < .5:
        found.append("From: " + mailbox(r))
    if r.random() < .5:
        found.append("To: " + addresses(r))
    if r.random() < .3:
        found.append("X-Any: " + r.choice([name(r), "q" * 3000, "(\"" + name(r)]))
    if r.random() < .3:
        found.append("Content-Description: " + name(r))
    return found


def disposition(r):
    return "Content-Disposition: attachment;" + r.choice(["", " ", "\r\n\t"]) + "filename=" + r.choice(
        ["\"%s.pdf\"", "\"a \\\"%s\\\"; b.pdf\"", "\"%s.pdf\"; size=1"]) % name(r)


def leaf(r):
    """Header fields and content."""
    kind = r.choice(["text/plain; charset=utf-8", "text/plain; charset=utf-8; format=flowed", "text/html; charset=utf-8", "TEXT/Plain",
                     "application/octet-stream", "application/json", "text", "application/pdf; name=\"a b.pdf\"", None])
    encoding = r.choice([None, "7bit", "8bit", "8bit", "8BIT", "binary", "quoted-printable", "base64"])
    if encoding == "base64":
        content = b"\r\n".join(b"QUJD" * 19 for _ in range(r.randint(0, 100))) + b"\r\n"
        if r.random() < .2:
            content = b"QUJD" * 400 + b"\r\n"
    elif encoding == "quoted-printable":
        content = b"\r\n".join([b"J=C3=B6rg =\r\nand more, a line", b"x" * 75 + b"="] * r.randint(0, 60)) + b"\r\n"
        if r.random() < .2:
            content = "raw ö in it, =3D and ".encode() * r.choice([1, 80]) + b"\r\nend\r\n"
    else:
        content = text(r, ascii_only=encoding in (None, "7bit") and r.random() < .8, latin1=r.random() < .2)
    fields = []
    if kind:
        fields.append("Content-Type: " + kind)
    if encoding:
        fields.insert(r.randint(0, len(fields)), r.choice(["Content-Transfer-Encoding: ", "content-transfer-encoding: \t"]) + encoding)
    if r.random() < .3:
        fields.append(r.choice(["Content-Disposition: attachment;\r\n\tfilename=\"x\"", disposition(r)]))
    return fields, content


def entity(r, depth, counter):
    choice = r.random()
    if depth >= 4 or choice < .5:
        return leaf(r)
    if choice < .6:
        inner, content = entity(r, depth + 1, counter)
        fields = ["Content-Type: message/rfc822"]
        if r.random() < .5:
            fields.append("Content-Transfer-Encoding: 8bit")
        top = fields_of_people(r) + ["Date: inner"] + (["MIME-Version: 1.0"] if r.random() < .8 else [])
        return fields, "\r\n".join(top + inner + ["", ""]).encode() + content
    boundary = r.choice(["b0%d", "bound%d", "=_x(%d)'+/:? y", "b"]) .replace("%d", str(counter[0]))
    if boundary == "b":
        boundary += "1" * counter[0]
    counter[0] += 1
    kind = r.choice(["mixed", "alternative", "related", "digest", "signed", "report"])
    if kind == "signed":
        boundary = "sealed%d" % counter[0]
        content = b"--%s\r\n\r\nplain ascii\r\n--%s\r\n\r\nxyz\r\n--%s--\r\n" % ((boundary.encode(),) * 3)
    else:
        content = b"" if r.random() < .7 else b"preamble \xc3\xb6\r\n" if r.random() < .3 else b"preamble\r\n"
        for _ in range(r.randint(1, 4)):
            fields, inner = entity(r, depth + 1, counter)
            if kind == "digest":
                fields, inner = [], "\r\n".join(["Subject: x", "MIME-Version: 1.0"] + fields + ["", ""]).encode() + inner
            part = "\r\n".join(fields + ["", ""]).encode() + inner
            content += b"--" + boundary.encode() + (b" \t" if r.random() < .1 else b"") + b"\r\n" + part + b"\r\n"
        if r.random() < .95:
            content += b"--" + boundary.encode() + b"--" + r.choice([b"", b"\r\n", b"\r\nepilogue \xff\r\n"])
    fields = ["Content-Type: multipart/%s;\r\n\tcharset=x; boundary=\"%s\"" % (kind, boundary)]
    if kind == "signed":
        fields[0] += '; protocol="application/pgp-signature"'
    elif r.random() < .3:
        fields.append("Content-Transfer-Encoding: " + r.choice(["8bit", "7bit", "binary"]))
    return fields, content


def message(r):
    if r.random() < .1:     # no MIME at all
        return b"From: a@example.org\r\nSubject: x\r\n\r\n" + text(r)
    fields, content = entity(r, 0, [0])
    top = fields_of_people(r) + ["Date: x", "MIME-Version: 1.0"]
    return "\r\n".join(top + fields + ["", ""]).encode() + content


def refusals():
    """Messages that must be refused."""
    signed = b"Content-Type: multipart/%s; boundary=b\r\n\r\n--b\r\n\r\nG\xc3\xb6\r\n--b--\r\n"
    yield b"MIME-Version: 1.0\r\n" + signed % b"signed"
    yield b"MIME-Version: 1.0\r\n" + signed % b"encrypted"
    yield b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + signed % b"signed" + b"\r\n--a--\r\n"


def main():
    r = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    counts = {"whole": 0, "once": 0, "lines": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as directory:
        texts = {"%d.eml" % i: message(r) for i in range(int(os.environ.get("CONVERT_MESSAGES", "150")))}
        refused = {"refused%d.eml" % i: t for i, t in enumerate(refusals())}
        for name, content in {**texts, **refused}.items():
            with open(os.path.join(directory, name), "wb") as f:
                f.write(content)
        subprocess.run([sys.argv[1], directory], check=True)
        for name in os.listdir(directory):
            base, suffix = name.rsplit(".", 1)
            if suffix == "eml":
                continue
            with open(os.path.join(directory, name), "rb") as f:
                after = f.read()
            counts[suffix] += 1
            if suffix == "refused":
                assert base in refused and after.startswith(b"554 5.6.3 "), (base, after)
            elif suffix == "lines":
                check(name, texts.get(base) or refused[base], after, False, is_short)
            else:
                assert base not in refused, base
                check(name, texts[base], after, suffix == "whole")
    assert counts["refused"] == len(refused), counts
    print(counts)


if __name__ == "__main__":
    main()
