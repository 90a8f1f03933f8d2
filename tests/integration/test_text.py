"""What scripts and people hand over as a message, mended into one: no header, no blank line, mbox's line in front, odd From fields."""
import email
import email.policy
import re
import smtplib
import ssl

from clients import ALICE, BOB, Scene
from lib import *


def parts(m):
    """The received header and body, as the next hop has them."""
    header, body = m.bytes.replace(b"\r\n", b"\n").split(b"\n\n", 1)
    return email.message_from_bytes(header + b"\n\n", policy=email.policy.default), body


def check_mended(m, body, name="", subject=None):
    """It is a message of alice's now: From, Date, Message-ID, signed, and the text is the body."""
    header, seen = parts(m)
    assert [(a.display_name, a.addr_spec) for a in header["From"].addresses] == [(name, ALICE)], header["From"]
    assert header["Date"].datetime and re.fullmatch("<[^<>@ ]+@[^<>@ ]+>", header["Message-ID"]), m.bytes
    assert header["Subject"] == subject and seen == body, m.bytes


def test_text_without_a_header():
    scene = Scene()
    rc = scene.file("msmtprc", f"""
        account default
        host localhost
        port {scene.relay.port}
        from {ALICE}
        tls on
        tls_trust_file {scene.ca}
        auth plain
        user {ALICE}
        password {PASSWORD}
        """)
    scene.run(["msmtp", "-C", rc, BOB], input="hello\n")
    scene.run(["curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", scene.ca, "--user", f"{ALICE}:{PASSWORD}", "--mail-from", ALICE, "--mail-rcpt",
               BOB, "--crlf", "-T", scene.file("file", "line 1\nline: 2\n"), f"smtp://localhost:{scene.relay.port}"])
    with smtplib.SMTP("localhost", scene.relay.port) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(scene.ca)))
        client.login(ALICE, PASSWORD)
        for text in ("hi", "Subject: x\r\nno blank line\r\n", "Subject: x\r\n \r\nhello\r\n", "", "\r\nhello\r\n"):
            client.sendmail(ALICE, [BOB], text)
    received = as_submitted(scene.sink.wait(7))
    for m, (body, subject) in zip(received, [(b"hello\n", None), (b"line 1\nline: 2\n", None), (b"hi\n", None), (b"no blank line\n", "x"), (b"hello\n", "x"),
                                             (b"", None), (b"hello\n", None)]):
        check_mended(m, body, subject=subject)
        assert verify_dkim(scene.relay, m), m.bytes


def test_text_in_chunks_without_a_header():
    """BDAT, with the border within what tells that it is no field; a last line without its end by BINARYMIME."""
    sink = Sink()
    relay = Relay(sink.port)
    with relay.connect() as client:
        for body in ("", " BODY=BINARYMIME"):
            client.docmd(f"MAIL FROM:<{ALICE}>{body}")
            client.docmd(f"RCPT TO:<{BOB}>")
            for chunk in (b"BDAT 10\r\nSubject: x", b"BDAT 7\r\n\r\nhello", b"BDAT 6 LAST\r\n world"):
                client.send(chunk)
                assert client.getreply()[0] == 250
    for m in sink.wait(2):
        check_mended(m, b"hello world\n", subject="x")


def test_header_sections_of_every_size():
    """Memory or file, and in a file in front of the body, though written after it."""
    sink = Sink()
    relay = Relay(sink.port)
    fields = lambda n: "".join(f"X-Field-{i}: {'v' * 900}\r\n" for i in range(n))  # noqa: E731
    with relay.connect() as client:
        for n, body in ((70, 10), (72, 10), (200, 10), (200, 300000), (0, 300000)):
            text = f"From: alice@example.org\r\nSubject: {n}\r\n{fields(n)}\r\n" + ("b" * 70 + "\r\n") * (body // 10)
            client.sendmail(ALICE, [BOB], text)
            m = sink.wait(1)[0]
            received = m.bytes.decode()
            assert received.endswith(text[text.index("\r\n\r\n"):]), (n, body)
            assert received.count("\r\nX-Field-") == n and received.count("\r\n\r\n") == 1
            assert verify_dkim(relay, m), m.bytes
            sink.messages.clear()


def test_what_is_in_front():
    sink = Sink()
    relay = Relay(sink.port)
    with relay.connect() as client:
        for front in (b"\xef\xbb\xbf", b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\r\n", b">From alice Sat Nov 21 19:37:54 2026\r\n"):
            client.sendmail(ALICE, [BOB], front + b"From: A <alice@example.org>\r\nSubject: x\r\n\r\nbody\r\n")
    for m in sink.wait(3):
        check_mended(m, b"body\n", "A", "x")


def test_odd_authors():
    """Refused is only what says that the mail is another's, and the reply says where."""
    sink = Sink()
    relay = Relay(sink.port)
    good = [("Shop: Sales <%s>", "Shop: Sales"), ("John @ Company <%s>", "John @ Company"), ("Doe, John <%s>", "Doe, John"), ("%s <%s>", ALICE), ("%s;", ""), ("", "")]
    with relay.connect() as client:
        for value, _ in good:
            client.sendmail(ALICE, [BOB], f"From: {value.replace('%s', ALICE)}\r\nSubject: x\r\n\r\nbody\r\n")
        for value, words in (('"ceo@bank.com"] <alice@example.org>', "<ceo@bank.com> is not an address of alice"),
                             ("=?utf-8?q?ceo=40bank.com?= <alice@example.org>", "<ceo@bank.com> is not an address of alice"),
                             ("alice@example.org <ceo@bank.com>", "<ceo@bank.com> is not an address of alice"),
                             ("alice@example.org ceo@bank.com", '"alice@example.org ceo@bank.com" is neither')):
            try:
                client.sendmail(ALICE, [BOB], f"From: {value}\r\nSubject: x\r\n\r\nbody\r\n")
                raise AssertionError(f"{value} was taken")
            except smtplib.SMTPDataError as e:
                assert e.smtp_code == 550 and words in e.smtp_error.decode(), e
    for m, (_, name) in zip(as_submitted(sink.wait(len(good))), good):
        check_mended(m, b"body\n", name, "x")


def test_what_is_there_twice_or_of_no_use():
    sink = Sink()
    relay = Relay(sink.port)
    with relay.connect() as client:
        client.sendmail(ALICE, [BOB], "From: alice@example.org\r\nSubject: x\r\nTo: a@example.net\r\nSubject: x\r\nTo: b@example.net\r\nMessage-ID: \r\nDate: now\r\n"
                        f"Authentication-Results: {HOST}; dkim=pass\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Type: TEXT/plain;charset=\"utf-8\"\r\n\r\nbody\r\n")
        try:
            client.sendmail(ALICE, [BOB], "From: alice@example.org\r\nContent-Type: a/b; boundary=a\r\nContent-Type: a/b; boundary=A\r\n\r\nbody\r\n")
            raise AssertionError("two boundaries were taken")
        except smtplib.SMTPDataError as e:
            assert b'"a/b; boundary=a" and "a/b; boundary=A"' in e.smtp_error, e
    [m] = sink.wait(1)
    check_mended(m, b"body\n", "", "x")
    for field in (b"To: a@example.net,\r\n b@example.net", b"X-Original-Date: now", b"Content-Type: text/plain; charset=UTF-8"):
        assert m.bytes.count(b"\r\n" + field + b"\r\n") == 1, m.bytes
    assert m.bytes.count(b"\nContent-Type:") == 1 and b"Authentication-Results" not in m.bytes, m.bytes


def resent(relay, who, from_, *fields, to=BOB):
    """Send on what `from_` has written; the answer."""
    text = "".join(f"{f}\r\n" for f in fields) + f"From: {from_}\r\nTo: {who}\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\nMessage-ID: <1@bank.com>\r\n\r\nbody\r\n"
    with relay.connect(user=who) as client:
        try:
            client.sendmail(who, [to], text)
            return ""
        except smtplib.SMTPDataError as e:
            return f"{e.smtp_code} {e.smtp_error.decode()}"


def test_sent_on():
    """The bounce command of mutt, for a login that may: Resent-From is the one to own, and the author's domain is not ours to sign for."""
    sink = Sink()
    desk = f"desk@{DOMAIN}"
    relay = Relay(sink.port, users=(ALICE, desk), extra=f'senders = ( {{ user = "{desk}"; addresses = [ "desk@{DOMAIN}", "desk@other.example" ]; resent = true; }} );')
    mine, foreign = f"Resent-From: Desk <{desk}>", "Ceo <ceo@bank.com>"
    assert resent(relay, desk, foreign, mine, f"Resent-To: {BOB}") == ""
    assert resent(relay, desk, f"alice@{DOMAIN}", mine) == ""
    assert resent(relay, desk, "desk@other.example", mine) == ""
    answer = resent(relay, ALICE, foreign, f"Resent-From: {ALICE}")
    assert answer.startswith("550") and "<ceo@bank.com>" in answer and "senders.resent = true" in answer, answer
    for fields in ((), ("Resent-From: ceo@bank.com",), (mine, "Resent-Sender: ceo@bank.com"), (mine, "Resent-From: ceo@bank.com"), (f"Resent-Sender: {desk}",),
                   (f'Resent-From: "ceo@bank.com" <{desk}>',), ("Resent-From: <desk@example.org> <ceo@bank.com>",)):
        answer = resent(relay, desk, foreign, *fields)
        assert answer.startswith("550") and ("ceo@bank.com" in answer or "Resent-From" in answer), (fields, answer)
    assert resent(relay, desk, "x@EU.Example.ORG", mine) == ""
    other, colleague, own, department = as_submitted(sink.wait(4))
    for m, signed in ((other, True), (colleague, False), (own, False), (department, False)):
        header, _ = parts(m)
        assert header["Resent-From"] == f"Desk <{desk}>" and (header["DKIM-Signature"] is not None) == signed, m.bytes
    assert verify_dkim(relay, other), other.bytes
    assert parts(other)[0]["From"] == foreign
