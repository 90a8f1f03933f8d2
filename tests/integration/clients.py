"""clients.py - what the tests of real mail clients share: a relay whose certificate bears names that they can connect to, one message for
all of them, and what must be true of it at the next hop.

Each client trusts the certificate by its file, and checks its name; none is told to look away.
"""
import base64
import os
import shutil
import subprocess
import textwrap

import lib
from lib import DOMAIN, HOST, PASSWORD, Relay, Sink, verify_dkim

ALICE = f"alice@{DOMAIN}"
BOB = "bob@example.net"
SUBJECT = "Grüße an Bob, 日本"
BODY = "Schöne Grüße aus Köln, 日本 und Київ."
NOTE = "Notiz.txt"
NOTE_TEXT = "Der Anhang: äöü €\n"


class Scene:
    """A relay with its next hop, and the files that clients want."""

    def __init__(self, **settings):
        self.sink = Sink()
        self.relay = Relay(self.sink.port, start=False, **settings)
        self.dir = self.relay.dir
        self.ca = self.make_certificate()
        self.relay.write_config()
        self.relay.start()
        self.home = self.dir / "home"
        self.home.mkdir()
        self.note = self.dir / NOTE
        self.note.write_text(NOTE_TEXT)
        self.count = 0

    def make_certificate(self):
        """An authority, and a certificate of it with the name that clients connect to, "localhost"."""
        self.relay.certificate, self.relay.key = "clients.pem", "clients.key"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        extensions = self.file("extensions", f"subjectAltName=DNS:{HOST},DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
                               "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
        for arguments in (["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=An authority"],
                          ["req", *key, "-keyout", self.relay.key, "-out", "clients.csr", "-subj", f"/CN={HOST}"],
                          ["x509", "-req", "-in", "clients.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", self.relay.certificate,
                           "-days", "30", "-extfile", extensions]):
            subprocess.run(["openssl", *arguments], cwd=self.dir, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.dir / "ca.pem"

    def ports(self):
        """Both ways: (implicit, port)."""
        return (False, self.relay.port), (True, self.relay.tls_port)

    def file(self, name, text, mode=0o600):
        path = self.dir / name
        path.write_text(textwrap.dedent(text))
        path.chmod(mode)
        return path

    def run(self, arguments, input=None, environment=None, check=True, timeout=60):
        """A client, in an empty home directory."""
        if not shutil.which(str(arguments[0])):
            raise AssertionError(f"{arguments[0]} is not installed: see tests/packages")
        done = subprocess.run([str(a) for a in arguments], input=input if input is None or isinstance(input, bytes) else input.encode(),
                              stdin=subprocess.DEVNULL if input is None else None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, cwd=self.home,
                              env=dict(os.environ, HOME=str(self.home), LC_ALL="C.UTF-8", LANG="C.UTF-8", **(environment or {})))
        done.text = done.stdout.decode("utf-8", "replace")
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments[0]} ended with {done.returncode}\n{done.text}\n{self.relay.log_tail(30)}")
        return done

    def expect(self, attachment=True, mechanism=None, subject=SUBJECT, body=BODY, recipients=(BOB,), sender=ALICE):
        """The next message at the next hop is ours: whole, signed, once."""
        self.count += 1
        m = self.sink.wait(self.count)[-1]
        assert len(self.sink.messages) == self.count, f"{len(self.sink.messages)} messages instead of {self.count}"
        assert m.sender == sender and m.recipients == list(recipients), (m.sender, m.recipients)
        assert m.message["Subject"] == subject, m.message["Subject"]
        assert m.message["Date"] and m.message["Message-ID"], m.bytes
        text = m.message.get_body(("plain",)).get_content()
        assert body in text.replace("\r", ""), text
        if attachment:
            files = {part.get_filename(): part for part in m.message.iter_attachments()}
            assert NOTE in files, (list(files), m.bytes)
            content = files[NOTE].get_payload(decode=True).decode()
            assert content.replace("\r\n", "\n").strip() == NOTE_TEXT.strip(), content
        assert verify_dkim(self.relay, m), m.bytes
        if mechanism:
            assert self.mechanisms()[-1] == mechanism, self.mechanisms()
        return m

    def mechanisms(self):
        """How clients have logged in so far, as the log has it."""
        found = []
        for line in self.relay.log_now().splitlines():
            if "event=login.accepted" in line:
                found += [word.split("=", 1)[1] for word in line.split() if word.startswith("mechanism=")]
        return found

    def message(self, crlf=True):
        """The message as one that is already written, for clients that only carry: 8-bit text and an attachment."""
        encoded = base64.b64encode(NOTE_TEXT.encode()).decode()
        text = (f"From: Alice <{ALICE}>\nTo: Bob <{BOB}>\nSubject: =?utf-8?B?{base64.b64encode(SUBJECT.encode()).decode()}?=\n"
                "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=-=\"\n\n"
                f"--=-=\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{BODY}\n.\n..\n"
                f"--=-=\nContent-Type: text/plain; charset=utf-8; name={NOTE}\nContent-Disposition: attachment; filename={NOTE}\n"
                f"Content-Transfer-Encoding: base64\n\n{encoded}\n--=-=--\n")
        return (text.replace("\n", "\r\n") if crlf else text).encode()
