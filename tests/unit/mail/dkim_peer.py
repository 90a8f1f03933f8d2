#!/usr/bin/python3
"""Have other programs verify our signatures: dkim_peer.py PROGRAM (see dkim_peer.c), on messages that are difficult and on those of
mime_shapes.py. python3-dkim is needed; Mail::DKIM, which reads some odd fields that python3-dkim refuses, and OpenDKIM are asked too
where they are installed."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import dkim

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import mime_shapes

BASE = b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: test\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\n" \
       b"Message-ID: <m@example.org>\r\n"
LINE = b"SGVsbG8gd29ybGQhSGVsbG8gd29ybGQhSGVsbG8gd29ybGQhSGVsbG8gd29ybGQhSGVsbG8gd29y\r\n"

MESSAGES = {
    "plain": BASE + b"\r\nHello,\r\n\r\nworld.\r\n",
    "eight_bit": BASE + b"X-Name: J\xc3\xb6rg \xf6\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                 b"Content-Transfer-Encoding: 8bit\r\n\r\nJ\xc3\xb6rg \xff\xfe\r\n",
    "empty_body": BASE + b"\r\n",
    "no_body": BASE + b"\r\n",
    "blank_lines_only": BASE + b"\r\n\r\n\r\n \r\n\t\r\n",
    "no_last_crlf": BASE + b"\r\nHello",
    "last_line_blank_without_crlf": BASE + b"\r\nHello\r\n\r\n",
    "trailing_blank_lines": BASE + b"\r\nHello\r\n\r\n\r\n \t \r\n\r\n",
    "leading_blank_lines": BASE + b"\r\n\r\n\r\nHello\r\n",
    "white_space": BASE + b"\r\n  a  b\tc \t\r\n\t\td\r\n \r\n e \r\n",
    "odd_folds": b"From:\r\n\tAlice\r\n  \t<alice@example.org>\r\n \r\nSubject:\r\n one \t\r\n\ttwo  three\r\n \r\n four\r\nTo:  \t bob@example.net"
                 b" \t\r\n ,carol@example.net\t\r\n\r\nHello\r\n",
    "duplicate_fields": BASE + b"MIME-Version: 1.0\r\nComments: 1\r\nMime-Version:  1.0\r\nComments: 2\r\nContent-Type: text/plain\r\n"
                        b"Content-Type: text/plain\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=eA==; b=eA==\r\n"
                        b"Received: from x\r\nList-Id: <a>\r\nList-Id: <b>\r\nList-Unsubscribe: <https://example.org/u>\r\n\r\nHello\r\n",
    "names_in_odd_case": b"fROM: alice@example.org\r\nSUBJECT: x\r\nmessage-id: <m@example.org>\r\n\r\nHello\r\n",
    "from_odd": b"From: \"Liddell, \\\"Alice\\\" <x@y>\" (the (real) one)\r\n < alice@example.org> (end)\r\n\r\nHello\r\n",
    "from_group": b"From: The Team : alice@example.org , \"B\" <bob@example.org> ;\r\nSender: alice@example.org\r\n\r\nHello\r\n",
    "no_from": b"Subject: made by fix-up\r\n\r\nHello\r\n",
    "no_header": b"\r\nHello\r\n",
    "empty_fields": BASE + b"Cc:\r\nReply-To: \t \r\nIn-Reply-To:\r\n \r\nReferences:\r\n\r\nHello\r\n",
    "many_references": BASE + b"References: " + b"\r\n ".join(b"<%d@example.org>" % i for i in range(400)) + b"\r\n\r\nHello\r\n",
    "five_megabytes": BASE + b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                      + LINE * (5 * 1024 * 1024 // len(LINE)),
    "long_lines": BASE + b"\r\n" + (b"x" * 997 + b"\r\n" + b"y " * 499 + b"\r\n") * 50,
    "eight_of_a_name": BASE + b"MIME-Version: 1.0\r\n" * 8 + b"List-Id: <x>\r\n" * 8 + b"\r\nHello\r\n",
    "nine_of_a_name": BASE + b"MIME-Version: 1.0\r\n" * 9 + b"List-Id: <x>\r\n" * 9 + b"\r\nHello\r\n",
    "many_of_a_name": BASE + b"Content-Type: text/plain\r\n" * 100 + b"Content-Transfer-Encoding: 7bit\r\n" * 10
                      + b"Resent-To: <x>\r\n" * 50 + b"\r\nHello\r\n",
    "utf8_header": "From: J\u00f6rg\u00a0\u3000 <j\u00f6rg@b\u00fccher.example>\r\nSubject: \u00a0\u2003\u65e5\u672c \u00a0 \u8a9e\u0085\r\n"
                   "To: \r\n \u0434@\u043f.example\r\nMessage-ID: <\u00fc@x>\r\n\r\nHello\u00a0\u2028\u0085 \r\n".encode(),
    "binary_nul_and_cr": BASE + b"\r\n\0 \0\r\n\0\r\n \r \r\r\nx\0\0",
    "completed": b"From: alice\r\nTo : bob, Carol <carol>\r\nSubject: x\r\n\r\nHello\r\n",
    "rewritten": b"From: Alice <alice@old.example>\r\nTo: bob@old.example\r\n\r\nHello\r\n",
    "folded": b"From: alice@example.org\r\nSubject: " + b"word " * 500 + b"\r\nReferences: " + b"<a@b> " * 400 + b"<c@d>\r\n\r\nHello\r\n",
    "dots": BASE + b"\r\n.\r\n..\r\n.hidden\r\n",
}
MESSAGES["space_before_colon"] = b"From : alice@example.org\r\nSubject \t: x\r\n\r\nHello\r\n"
# python3-dkim takes a bare LF for a line end (RFC 6376 does not): only the other verifier can be asked.
BARE_LF = {"binary_lf": BASE + b"\r\na \n b\n\r\n\n \r\n\n\n\r\n\0\n\r\r\n \n"}

# OpenDKIM's test mode reads files line by line.
NOT_FOR_OPENDKIM = {"no_last_crlf", "binary_nul_and_cr"}

failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print("FAILED", what)


def load_records(path):
    with open(path, "rb") as f:
        return dict(line.rstrip(b"\n").split(b" ", 1) for line in f)


def verify(message, records, index):
    verifier = dkim.DKIM(message, minkey=1024)
    try:
        return verifier.verify(idx=index, dnsfunc=lambda name, timeout=5: records.get(name))
    except dkim.DKIMException as e:
        print("   ", e)
        return False


def check_message(name, original, signed, records):
    body = original.split(b"\r\n\r\n", 1)[-1] if not original.startswith(b"\r\n") else original[2:]
    check(signed.endswith(body), name + ": the body was changed")
    for index in (0, 1):
        check(verify(signed, records, index), "%s: python3-dkim, signature %d" % (name, index))


def check_changes(signed, records):
    """What a signature is for: these must not verify."""
    at = signed.index(b"\r\n\r\n")
    header, body = signed[:at + 2], signed[at + 2:]
    changed = {
        "another body": header + body.replace(b"world", b"World"),
        "a line more": signed + b"x\r\n",
        "another Subject": signed.replace(b"Subject: test", b"Subject: Test"),
    }
    for field in (b"From: mallory@example.com", b"Subject: x", b"To: x", b"Cc: x", b"Reply-To: x", b"Sender: x", b"Date: x",
                  b"Message-ID: <x>", b"MIME-Version: 1.0", b"Content-Type: text/html", b"Content-Transfer-Encoding: base64",
                  b"In-Reply-To: <x>", b"References: <x>", b"List-Unsubscribe: <x>", b"List-Unsubscribe-Post: x", b"Content-Disposition: inline",
                  b"Resent-From: x@y", b"Resent-To: x@y", b"Resent-Date: x"):
        changed[field.decode() + " on top"] = field + b"\r\n" + signed
        changed[field.decode() + " below"] = header + field + b"\r\n" + body
    for what, message in changed.items():
        for index in (0, 1):
            check(not verify(message, records, index), what + " verifies, signature %d" % index)
    check(verify(b"Received: x\r\n" + signed + b"\r\n \r\n", records, 0), "what may change does not verify")


PERL = r"""
use Mail::DKIM::Verifier; use Mail::DKIM::DNS;
my ($records, @files) = @ARGV; my (%r, $bad);
open(my $f, '<', $records) or die; while (<$f>) { chomp; my ($n, $t) = split / /, $_, 2; $n =~ s/\.$//; $r{$n} = $t; }
package Answer { sub new { bless { t => $_[1] } } sub type { 'TXT' } sub txtdata { $_[0]{t} } sub char_str_list { ($_[0]{t}) } }
{ no warnings 'redefine';
  *Mail::DKIM::DNS::query = sub { my ($name, $type) = @_; return exists $r{$name} ? (Answer->new($r{$name})) : (); };
  *Mail::DKIM::DNS::query_async = sub { my ($name, $type, %p) = @_; my @a = exists $r{$name} ? (Answer->new($r{$name})) : ();
    my $ok = $p{Callbacks}{Success}; return sub { $ok ? $ok->(@a) : @a }; }; }
for my $file (@files) {
  open(my $m, '<:raw', $file) or die; local $/; my $text = <$m>;
  my $v = Mail::DKIM::Verifier->new; $v->PRINT($text); $v->CLOSE;
  my @own = grep { $_->domain eq 'example.org' } $v->signatures;
  $bad = 1, print "$file: ", scalar(@own), " signatures\n" unless @own == 2;
  for (@own) { next if $_->result eq 'pass' or $_->result_detail =~ /unsupported algorithm/; # Ed25519 needs another module 
    $bad = 1; print "$file: ", $_->algorithm, ' ', $_->result_detail, "\n"; }
  $bad = 1, print "$file: no signature passed\n" unless grep { $_->result eq 'pass' } @own;
}
exit($bad ? 1 : 0);
"""


def check_with_perl(directory, names):
    if subprocess.run(["perl", "-MMail::DKIM", "-e", "1"], stderr=subprocess.DEVNULL).returncode != 0:
        print("Mail::DKIM is not installed: not asked")
        return
    files = [os.path.join(directory, n + ".eml.signed") for n in names]
    done = subprocess.run(["perl", "-e", PERL, os.path.join(directory, "records")] + files, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    check(done.returncode == 0, "Mail::DKIM")
    print("Mail::DKIM verified %d messages" % len(files))


def without_signature(text, algorithm):
    """OpenDKIM is content with the first signature that passes: so each is shown to it alone."""
    kept = []
    for field in re.split(rb"(?<=\r\n)(?![ \t])", text[:text.index(b"\r\n\r\n") + 2]):
        if not (field.startswith(b"DKIM-Signature: v=1; a=" + algorithm) and b"d=example.org;" in field):
            kept.append(field)
    return b"".join(kept) + text[text.index(b"\r\n\r\n") + 2:]


def check_with_opendkim(directory, signed, records):
    """Its test mode: an answer for each file. A second run on a changed text shows that it does look."""
    program = shutil.which("opendkim") or shutil.which("opendkim", path="/usr/sbin:/usr/local/sbin")
    if not program:
        print("OpenDKIM is not installed: not asked")
        return
    with open(os.path.join(directory, "dns"), "w") as f:
        f.writelines(f"{n.decode().rstrip('.')} {t.decode()}\n" for n, t in records.items())
    conf = os.path.join(directory, "opendkim.conf")
    with open(conf, "w") as f:
        f.write(f"Mode v\nTestDNSData file:{directory}/dns\n")

    def asked(name, text):
        path = os.path.join(directory, "odk_" + name)
        with open(path, "wb") as f:
            f.write(text)
        done = subprocess.run([program, "-x", conf, "-t", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return b"verification (s=" in done.stdout and b"succeeded" in done.stdout, done.stdout

    for name, text in signed.items():
        for other in (b"rsa", b"ed25519"):
            good, said = asked(name, without_signature(text, other))
            check(good, "%s: OpenDKIM, without the signature by %s: %r" % (name, other.decode(), said))
    check(not asked("changed", signed["plain"] + b"x\r\n")[0], "OpenDKIM: what was changed verifies")
    print("OpenDKIM verified %d messages" % len(signed))


def write_foreign(directory):
    """Messages that python3-dkim signs in every way, for our own verifier."""
    pem = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    with open(os.path.join(directory, "foreign.pem"), "wb") as f:
        f.write(pem)
    ways = [(a, b) for a in (b"simple", b"relaxed") for b in (b"simple", b"relaxed")]
    for i, (name, text) in enumerate(mime_shapes.shapes(1, 80)):
        signature = dkim.sign(text, b"p1f", b"example.net", pem, canonicalize=ways[i % 4])
        with open(os.path.join(directory, name + ".foreign"), "wb") as f:
            f.write(signature + text)


def main():
    MESSAGES.update(mime_shapes.shapes())
    with tempfile.TemporaryDirectory() as directory:
        everything = {**MESSAGES, **BARE_LF}
        for name, text in everything.items():
            with open(os.path.join(directory, name + ".eml"), "wb") as f:
                f.write(text)
        write_foreign(directory)
        subprocess.run([sys.argv[1], directory], check=True)
        records = load_records(os.path.join(directory, "records"))
        signed = {}
        for name in everything:
            with open(os.path.join(directory, name + ".eml.signed"), "rb") as f:
                signed[name] = f.read()
        for name, text in MESSAGES.items():
            check_message(name, text, signed[name], records)
        check_changes(signed["plain"], records)
        check_with_perl(directory, everything)
        check_with_opendkim(directory, {n: signed[n] for n in MESSAGES.keys() - NOT_FOR_OPENDKIM}, records)
    print("%d messages, %d failures" % (len(everything), len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
