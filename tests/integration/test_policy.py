"""Who may do what: no AUTH without TLS, no MAIL without AUTH, own senders only, the same answer for unknown users; end of data."""
import smtplib
import time

from lib import *


def dialogue(port, *lines, read_greeting=True):
    """A client that types by hand; returns the answers."""
    s = socket.create_connection(("127.0.0.1", port), 60)
    f = s.makefile("rwb")

    def answer():
        text = b""
        while True:
            line = f.readline()
            text += line
            if len(line) < 4 or line[3:4] != b"-":
                return text.decode()
    answers = [answer()] if read_greeting else []
    for line in lines:
        f.write(line)
        f.flush()
        answers.append(answer())
    s.close()
    return answers


def test_in_the_clear_only_starttls_leads_on():
    relay = Relay(1)
    greeting, ehlo, auth, mail, starttls_argument, vrfy = dialogue(relay.port, b"EHLO x\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"MAIL FROM:<a@b.example>\r\n",
                                                                  b"STARTTLS now\r\n", b"VRFY bob\r\n")
    assert greeting.startswith(f"220 {HOST}")
    assert "STARTTLS" in ehlo and "AUTH" not in ehlo and "SIZE 52428800" in ehlo and "PIPELINING" in ehlo
    assert auth.startswith("5"), auth
    assert mail.startswith("530 5.7.0"), mail
    assert starttls_argument.startswith("501"), starttls_argument
    assert vrfy.startswith("252"), vrfy


def test_what_came_in_the_clear_is_forgotten():
    """CVE-2011-0411: commands pipelined behind STARTTLS must not be answered inside TLS."""
    relay = Relay(1)
    s = socket.create_connection(("127.0.0.1", relay.port), 60)
    f = s.makefile("rb", buffering=0)  # nothing of the handshake is to be read
    assert f.readline().startswith(b"220")
    s.sendall(b"EHLO x\r\n")
    while f.readline()[3:4] == b"-":
        pass
    s.sendall(b"STARTTLS\r\nNOOP injected\r\nVRFY injected\r\n")
    assert f.readline().startswith(b"220")
    t = relay.tls().wrap_socket(s, server_hostname=HOST)
    t.sendall(b"MAIL FROM:<alice@example.org>\r\n")
    answer = t.makefile("rb").readline()  # the first one inside TLS: 250 or 252 would be what the injected commands get
    assert answer.startswith((b"530", b"503")), answer


def test_mail_wants_auth_and_own_senders():
    sink = Sink()
    relay = Relay(sink.port, users=[f"alice@{DOMAIN}", f"web@{DOMAIN}"],
                  senders=f'senders = ( {{ user = "web@{DOMAIN}"; addresses = [ "shop@example.com", "@news.example.com" ]; }} );')
    client = relay.connect(login=False)
    assert client.mail(f"alice@{DOMAIN}")[0] == 530
    client.login(f"alice@{DOMAIN}", PASSWORD)
    code, text = client.mail("eve@example.org")
    assert code == 550 and text.startswith(b"5.7.1") and b"eve@example.org" in text, text
    client.rset()
    for header in ("From: eve@example.org", f"From: Alice <alice@{DOMAIN}>, eve@example.org", "From: \"alice@example.org\" <eve@example.org>"):
        try:
            client.submit(f"alice@{DOMAIN}", ["bob@example.net"], f"{header}\r\nSubject: x\r\n\r\nhi\r\n".encode())
            raise AssertionError(f"accepted: {header}")
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 550 and b"5.7.1" in e.smtp_error and b"eve@example.org" in e.smtp_error, e
    client.submit(f"Alice@{DOMAIN.upper()}", ["bob@example.net"], simple_message())
    client.quit()
    web = relay.connect(user=f"web@{DOMAIN}")
    for sender in ("shop@example.com", "any@news.example.com"):
        web.submit(sender, ["bob@example.net"], f"From: {sender}\r\n\r\nhi\r\n".encode())
    assert web.mail(f"web@{DOMAIN}")[0] == 550
    sink.wait(3)


def test_unknown_user_and_wrong_password_look_the_same():
    relay = Relay(1, submission='login_delay = "1s";')
    answers, times = [], []
    for user, password in ((f"alice@{DOMAIN}", "wrong"), (f"nobody@{DOMAIN}", PASSWORD), (f"alice@{DOMAIN}", "")):
        client = relay.connect(login=False)
        start = time.monotonic()
        try:
            client.login(user, password, initial_response_ok=True)
            raise AssertionError("logged in")
        except smtplib.SMTPAuthenticationError as e:
            answers.append((e.smtp_code, e.smtp_error))
        times.append(time.monotonic() - start)
        client.close()
    assert len(set(answers)) == 1 and answers[0][0] == 535 and answers[0][1].startswith(b"5.7.8"), answers
    assert all(t >= 1.0 for t in times), times
    # the login works without its realm too, and by a device's own password
    relay.add_user(f"alice@{DOMAIN}/phone", "other")
    relay.connect(user="alice").quit()
    relay.connect(user=f"alice@{DOMAIN}/phone", password="other").quit()


def test_end_of_data_is_crlf_dot_crlf_only():
    """Whatever looks like an end is text: of lines that end with LF or CR CR LF, which are mended; a lone CR and NUL are refused."""
    sink = Sink()
    relay = Relay(sink.port)
    variants = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\n.\r", b"\r.\r\n", b"\r.\n", b"\r\r\n.\r\r\n", b"\0\n.\n"]
    for variant in variants:
        client = relay.connect()
        client.mail(f"alice@{DOMAIN}")
        client.rcpt("bob@example.net")
        code, _ = client.docmd("DATA")
        assert code == 354
        client.send(f"From: alice@{DOMAIN}\r\nSubject: outer\r\n\r\nfirst".encode() + variant
                    + f"MAIL FROM:<alice@{DOMAIN}>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n".encode())
        code, text = client.getreply()
        taken = variant in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\r\n.\r\r\n")
        assert code == (250 if taken else 550), (variant, code, text)
        assert client.noop()[0] == 250  # one answer, not four
        client.quit()
    messages = sink.wait(4)
    relay.wait_empty()
    assert len(sink.messages) == 4, sink.messages
    for m in messages:  # each is one message, to its one recipient
        assert m.recipients == ["bob@example.net"] and m.bytes.split(b"\r\n\r\n", 1)[1].count(b"Subject: smuggled") == 1, m.bytes


def test_bounds():
    sink = Sink()
    relay = Relay(sink.port, limits='message_size = "100K"; recipients_per_message = 3;', submission='errors = 4; idle = "10s"; commands = 40;')
    client = relay.connect()
    code, text = client.docmd(f"MAIL FROM:<alice@{DOMAIN}> SIZE=200000")
    assert code == 552 and text.startswith(b"5.3.4"), text
    client.mail(f"alice@{DOMAIN}")
    codes = [client.rcpt(f"r{i}@example.net")[0] for i in range(4)]
    assert codes == [250, 250, 250, 452], codes
    code, text = client.data(b"From: alice@example.org\r\n\r\n" + b"x" * 60 + b"\r\n" + b"y" * 200000)
    assert code == 552 and text.startswith(b"5.3.4"), text
    # still of use for a message that fits
    client.submit(f"alice@{DOMAIN}", ["bob@example.net"], simple_message())
    client.close()
    client = relay.connect()
    answers = [client.docmd("RUBBISH")[0] for _ in range(5)]
    assert answers[-1] == 421 and set(answers[:-1]) == {500}, answers
    client = relay.connect()
    answers = []
    for _ in range(60):
        answers.append(client.noop()[0])
        if answers[-1] == 421:
            break
    assert answers[-1] == 421 and len(answers) <= 40, answers
    # a header section without end
    client = relay.connect()
    client.mail(f"alice@{DOMAIN}")
    client.rcpt("bob@example.net")
    code, text = client.data(b"From: alice@example.org\r\n" + b"X-Long: " + b"y" * 80000 + b"\r\n\r\nhi\r\n")
    assert code in (250, 552), text
    idle = relay.connect()
    idle.sock.settimeout(60)
    assert idle.sock.recv(200).startswith(b"421"), "an idle client is told goodbye"


def test_parameters_that_nobody_offered_are_refused():
    relay = Relay(1)
    client = relay.connect()
    for parameter in ("BODY=9BIT", "HOLDFOR=soon", "SMTPUTF8=1", "XFOO", "FOO=1", "BY=1", "MT-PRIORITY=10"):
        code, text = client.docmd(f"MAIL FROM:<alice@{DOMAIN}> {parameter}")
        assert code in (555, 501, 504), (parameter, code, text)
    assert client.docmd("BURL imap://example.org/x LAST")[0] in (500, 502)
    assert client.docmd("HELP")[0] == 214
    client.quit()
