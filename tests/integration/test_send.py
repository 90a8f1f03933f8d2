"""`posthouse send`: a message from standard input, by an account at a server. What the local socket and the drop directory do is in test_sendmail.py."""
from clients import *
from lib import *

MESSAGE = f"From: Alice <{ALICE}>\nTo: Bob <{BOB}>\nBcc: carol@example.net\nSubject: hello\n\nHello, Bob.\n.\n..\nThe end.\n"


def send(scene, *arguments, input=MESSAGE, check=True, **environment):
    """The finished process; what the command line says is in .text."""
    for name in [n for n in os.environ if n.startswith("SMTP_")]:
        environment.setdefault(name, "")
    return scene.run([scene.relay.build / "posthouse", "-c", scene.relay.conf, "send", *arguments], input=input, environment=environment, check=check)


def by_account(scene, implicit, port):
    password = scene.file("password", PASSWORD + "\n")
    return ["--server", f"localhost:{port}", "--user", ALICE, "--password-file", password, "--ca", scene.ca, *(["--tls", "implicit"] if implicit else [])]


def test_by_an_account():
    scene = Scene()
    for n, (implicit, port) in enumerate(scene.ports(), 1):
        done = send(scene, *by_account(scene, implicit, port), "-i", "-t", "-v", "dave@example.net")
        m = scene.sink.wait(n)[-1]
        assert m.sender == ALICE and sorted(m.recipients) == [BOB, "carol@example.net", "dave@example.net"], m.recipients
        assert m.message["Bcc"] is None and m.message["Message-ID"] and m.message["Date"], m.bytes
        assert m.bytes.endswith(b"\r\nHello, Bob.\r\n.\r\n..\r\nThe end.\r\n"), m.bytes
        assert "C: MAIL FROM" in done.text and PASSWORD not in done.text and "queued as" in done.text, done.text


def test_the_environment_that_client_prints():
    scene = Scene()
    printed = scene.relay.command("client", "environment", "--user", "alice").stdout
    environment = dict(re.findall(r"^ +(SMTP_[A-Z]+)=(.*)$", printed, re.M))
    assert {"SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD", "SMTP_FROM"} <= set(environment), printed
    environment.update(SMTP_PASSWORD=PASSWORD, SMTP_HOST="localhost")  # the relay's name is not in the DNS
    done = send(scene, "--ca", scene.ca, BOB, input="Subject: hi\n\nhi\n.\nnot sent\n", **environment)
    assert done.text == "", done.text
    m = scene.sink.wait()[-1]
    assert m.sender == ALICE and m.recipients == [BOB] and m.bytes.endswith(b"\r\nhi\r\n"), m.bytes
    assert ALICE in m.message["From"], m.message["From"]


def test_large_and_8bit():
    scene = Scene()
    line = "Schöne Grüße " * 20
    body = f"{line}\n" * 12000
    send(scene, *by_account(scene, False, scene.relay.port), BOB, input=f"From: {ALICE}\nSubject: large\nContent-Type: text/plain; charset=utf-8\n\n{body}")
    m = scene.sink.wait()[-1]
    assert len(m.bytes) > 3_000_000 and m.message.get_content().replace("\r", "") == body, len(m.bytes)


def test_more_recipients_than_a_message_can_have():
    scene = Scene(limits="recipients_per_message = 3;")
    everybody = [f"r{i}@example.net" for i in range(8)]
    send(scene, *by_account(scene, False, scene.relay.port), *everybody)
    messages = scene.sink.wait(3)
    assert sorted(r for m in messages for r in m.recipients) == everybody, [m.recipients for m in messages]


def test_what_is_refused_and_why():
    scene = Scene()
    account = by_account(scene, False, scene.relay.port)

    def refused(code, words, *arguments, input=MESSAGE, **environment):
        done = send(scene, *arguments, input=input, check=False, **environment)
        assert done.returncode == code and all(word in done.text for word in words), (done.returncode, done.text)

    refused(64, ["to whom"])
    refused(64, ["who sends it?", "localhost"], "--server", "localhost:1", BOB)
    refused(64, ["password", "--password-file"], "--server", "localhost:1", "--user", ALICE, BOB)
    refused(64, ["is no server"], "--server", "localhost:x", "-f", ALICE, BOB)
    refused(65, ["is no address"], *account, "bob@@example.net")
    refused(65, ["the field To", "was not sent"], *account, "-t", input="To: a@b.example <c@d.example>\n\nhi\n")
    refused(65, ["names nobody"], *account, "-t", input="Subject: hi\n\nhi\n")
    refused(66, ["nowhere"], *account[:4], "--password-file", "/nowhere", BOB)
    refused(67, ["501", "x@-"], *account, "x@-", BOB)
    refused(68, ["failed at the name"], "--server", "no-such-host.invalid:587", "-f", ALICE, BOB)
    refused(69, ["certificate"], *account[:6], BOB)
    refused(75, ["failed at the connection"], "--server", f"localhost:{free_port()}", "-f", ALICE, BOB)
    refused(77, ["550 5.7.1", "not an address of"], *account, "-f", "eve@example.net", BOB)
    refused(77, ["535 5.7.8"], *account[:4], "--password-file", scene.file("wrong", "wrong\n"), "--ca", scene.ca, BOB)
    m = scene.sink.wait()[-1]  # the one beside x@-
    assert m.recipients == [BOB] and len(scene.sink.messages) == 1, m.recipients
