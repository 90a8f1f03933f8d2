"""The text as each next hop takes it: UTF-8 in headers without SMTPUTF8, lines over 998 bytes in bodies and headers; signed anew, never returned."""
import email
import email.policy
import json

from lib import DOMAIN, Relay, verify_dkim, wait_for
from peers import Scripted
from talk import Talk

ALICE = f"alice@{DOMAIN}"
FIELDS = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def fits(m):
    """Would a server take it that has neither SMTPUTF8 nor longer lines than it must (RFC 5321 4.5.3.1.6)?"""
    return max(map(len, m.bytes.split(b"\r\n"))) <= 998 and all(c < 128 for c in m.bytes.split(b"\r\n\r\n", 1)[0])


def send(relay, messages, parameters="BODY=8BITMIME"):
    t = Talk(relay.port).ready(relay.tls())
    for message in messages:
        t.send(ALICE, "bob@example.net", message, parameters)


def test_smtputf8_said_by_habit():
    """Text in a header needs no SMTPUTF8, whoever says so; every next hop gets encoded words, and reads the same."""
    subject, name = "Bericht über Größen, " * 12 + "日本語" * 30, "José Größe"
    head = f"From: {name} <{ALICE}>\r\nTo: Zoë <bob@example.net>, bob@bücher.example\r\nSubject: {subject}\r\nX-Any: ü\r\n"
    part = ('MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf; name="Übersicht.pdf"\r\n'
            'Content-Disposition: attachment; filename="Übersicht.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n')
    messages = [(head + FIELDS + "\r\nü\r\n").encode(), (head + part).encode(), (head + "\r\nascii\r\n").encode()]
    for extensions in (("8BITMIME",), (), ("8BITMIME", "SMTPUTF8")):
        hop = Scripted(extensions=extensions)
        relay = Relay(hop.port)
        send(relay, messages, "SMTPUTF8 BODY=8BITMIME")
        send(relay, messages[:1], "BODY=8BITMIME")
        got = hop.wait(4)
        assert all(m.sender == ALICE for m in got), [m.bytes for m in got]
        for m in got:
            assert fits(m) and verify_dkim(relay, m) and "SMTPUTF8" not in m.mail_options, m.bytes
            assert m.message["Subject"] == subject.strip() and m.message["From"].addresses[0].display_name == name and m.message["X-Any"] == "ü", m.bytes
            assert [a.addr_spec for a in m.message["To"].addresses] == ["bob@example.net", "bob@xn--bcher-kva.example"], m.bytes
        attachment = [m for m in got if m.message.is_multipart()][0].message.get_payload(0)
        assert attachment.get_filename() == "Übersicht.pdf" and attachment.get_param("name") in ("Übersicht.pdf", ("utf-8", "", "Übersicht.pdf"))
        assert extensions or all(c < 128 for m in got for c in m.bytes)
        relay.wait_empty()
        relay.end()
        hop.end()


def test_an_address_needs_smtputf8():
    """The one thing that does: the answer names it. A next hop with SMTPUTF8 gets the header as it was."""
    hop, plain = Scripted(extensions=("8BITMIME", "SMTPUTF8")), Scripted()
    relay = Relay(upstream=f'{{ name = "plain"; host = "127.0.0.1"; port = {plain.port}; tls = "none"; }}, '
                  f'{{ name = "utf8"; host = "127.0.0.1"; port = {hop.port}; tls = "none"; }}',
                  extra='routes = ( { recipients = [ "bob@example.net" ]; via = [ "plain" ]; }, { via = [ "utf8" ]; } );')
    message = f"From: {ALICE}\r\nTo: bob@example.net\r\nCc: jörg@example.com\r\nSubject: Grüße\r\n\r\nx\r\n".encode()
    t = Talk(relay.port).ready(relay.tls())
    t.send(ALICE, "bob@example.net", message, "SMTPUTF8 BODY=8BITMIME")
    t.send(ALICE, "carol@example.net", message, "SMTPUTF8 BODY=8BITMIME")
    hop.wait(2)
    report = [m for m in hop.messages if m.sender == ""][0]
    words = " ".join(report.message.get_payload(0).get_content().split())
    assert "The reason: 550 5.6.7" in words and "<jörg@example.com> in the field Cc" in words and "answered" not in words, words
    original = [m for m in hop.messages if m.sender][0]
    assert "SMTPUTF8" in original.mail_options and "Subject: Grüße".encode() in original.bytes and verify_dkim(relay, original)
    assert not plain.messages


def test_long_lines():
    """In a body: quoted-printable, or lines of base64; in a header: folds or encoded words. What is signed inside stays as it is."""
    long = "x" * 5000 + " ü " + "word " * 400
    head = f"From: {ALICE}\r\nTo: bob@example.net\r\nMIME-Version: 1.0\r\n"
    bodies = {
        "plain": FIELDS + "\r\nshort\r\n" + long + "\r\nend\r\n",
        "html": "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>" + "y" * 1500 + "\r\n--b--\r\n",
        "base64": "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + "QUJD" * 1000 + "\r\n",
        "exact": FIELDS + "\r\n" + "z" * 999 + "\r\n",
        "header": "Subject: " + "s" * 2000 + "\r\nX-Data: " + "QUJD" * 500 + "\r\nReferences: " + "<a@b.example>" * 200 + "\r\n\r\nx\r\n",
    }
    hop = Scripted()
    relay = Relay(hop.port)
    for n, (name, rest) in enumerate(bodies.items(), 1):
        send(relay, [(head + rest).encode()])
        got = hop.wait(n)[-1]
        assert got.sender == ALICE and fits(got) and verify_dkim(relay, got), (name, got.bytes[:2000])
        sent = email.message_from_bytes((head + rest).encode(), policy=email.policy.SMTP)
        for a, b in zip(sent.walk(), got.message.walk()):
            if not a.is_multipart():
                assert a.get_payload(decode=True).split() == b.get_payload(decode=True).split(), name
        assert name != "header" or (got.message["Subject"], got.message["X-Data"]) == ("s" * 2000, "QUJD" * 500), got.bytes
    taken = Scripted()
    relay.conf.write_text(relay.conf.read_text().replace(f"port = {hop.port};", f"port = {taken.port};"))
    relay.command("reload")
    signed = ("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=s\r\n\r\n--s\r\n\r\n"
              + "x" * 3000 + "\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nnone\r\n--s--\r\n")
    send(relay, [(head + signed).encode()])
    got = taken.wait(1)[0]
    assert got.bytes.endswith(signed.split("\r\n\r\n", 1)[1].encode()) and verify_dkim(relay, got)


def own(hop, more):
    return f'{{ name = "own"; host = "127.0.0.1"; port = {hop.port}; tls = "none"; rewrite_from = true; {more} }}'


ANYBODY = f'senders = ( {{ user = "{ALICE}"; addresses = [ "*" ]; }} );'


def test_a_provider_that_takes_only_its_own_address():
    """From, envelope sender, Reply-To and Sender for the provider; the name stays, the text too, and signatures that would be broken go."""
    refuse = {"RCPT": lambda line: "550 5.1.1 no such user" if "nobody" in line else None}
    hop = Scripted(extensions=("8BITMIME",), answers=refuse)
    relay = Relay(upstream=own(hop, 'from_address = "me@provider.example";'), senders=ANYBODY)
    long = "Ein sehr langer Name mit Größen " * 8
    cases = [(f"Alice <{ALICE}>", "Alice", [ALICE]),
             (ALICE, f"alice at {DOMAIN}", [ALICE]),
             (f'"{ALICE}" <{ALICE}>', f"alice at {DOMAIN}", [ALICE]),
             (f'"Liddell, Alice \\"A.\\"" <{ALICE}>', 'Liddell, Alice "A."', [ALICE]),
             (f"=?utf-8?q?Jos=C3=A9?= =?utf-8?q?_Gr=C3=B6=C3=9Fe?= <{ALICE}>", "José Größe", [ALICE]),
             (f"José Größe <{ALICE}>", "José Größe", [ALICE]),
             (f"{long}\r\n <{ALICE}>", long.strip(), [ALICE]),
             (f"Alice <{ALICE}>,\r\n\tBob <bob@example.org>", "Alice", [ALICE, "bob@example.org"]),
             (f"Both: {ALICE}, bob@example.org;", "Both", [ALICE, "bob@example.org"]),
             (f"{ALICE}\r\nReply-To: list@example.org", f"alice at {DOMAIN}", ["list@example.org"]),
             ("Me <me@provider.example>", "Me", None)]
    body = "Grüße\r\n.dot\r\n \r\n\tend\r\n"
    send(relay, [f"From: {value}\r\nTo: bob@example.net\r\nSubject: {i}\r\n{FIELDS}\r\n{body}".encode() for i, (value, _, _) in enumerate(cases)])
    got = {int(m.message["Subject"]): m for m in hop.wait(len(cases))}
    for i, (value, name, reply_to) in enumerate(cases):
        m = got[i]
        author, = m.message["From"].addresses  # this reader puts a second space between encoded words
        assert (author.addr_spec, " ".join(author.display_name.split()).replace("\u201c", '"').replace("\u201d", '"')) == ("me@provider.example", name), m.bytes
        assert [a.addr_spec for a in m.message["Reply-To"].addresses] == reply_to if reply_to else "Reply-To" not in m.message, m.bytes
        assert m.sender == "me@provider.example" and "Sender" not in m.message and fits(m), m.bytes
        assert "DKIM-Signature" not in m.message and "Received" in m.message, m.bytes
        assert m.bytes.split(b"\r\n\r\n", 1)[1] == body.encode(), m.bytes
    # what is stored, and comes back in a report, is what was submitted; the log names the address
    id = relay.submit(f"From: Alice <{ALICE}>\r\nSubject: back\r\n\r\nx\r\n".encode(), to=["nobody@example.net"])
    report = hop.wait(len(cases) + 1)[-1]
    assert (report.sender, report.recipients) == ("", [ALICE]) and f"From: Alice <{ALICE}>".encode() in report.bytes, report.bytes
    assert report.message["From"].addresses[0].addr_spec == "me@provider.example"
    assert [e for e in relay.events(id) if e["event"] == "delivery.failed" and "me@provider.example" in json.dumps(e)], relay.events(id)


def test_its_own_address_has_a_key():
    """The domain of the new From has a key in sign: the message is signed again, whatever domain submission signed for."""
    hop = Scripted(extensions=("8BITMIME",))
    relay = Relay(upstream=own(hop, f'from_address = "office@{DOMAIN}";'), senders=ANYBODY)
    send(relay, [f"From: Zoë <{sender}>\r\nSubject: x\r\n{FIELDS}\r\nGrüße\r\n".encode() for sender in (ALICE, "zoe@elsewhere.example")])
    for m in hop.wait(2):
        assert verify_dkim(relay, m) and m.sender == f"office@{DOMAIN}", m.bytes
        assert m.message["From"].addresses[0].addr_spec == f"office@{DOMAIN}" and m.message["From"].addresses[0].display_name == "Zoë"
    relay.wait_empty()
