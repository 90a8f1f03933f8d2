"""`posthouse client NAME`: the lines that it prints are used as they are, and send a message."""
from clients import *
from lib import *
from peers import unpack

NAMES = "thunderbird outlook outlook-new apple-mail iphone gmail-app gmail-web k9 printer msmtp nullmailer postfix git curl program python node php java dotnet".split()


def settings(relay, name, *options):
    return relay.command("client", name, "--user", "alice", *options).stdout


def copied(text, first):
    """The block of lines to copy that begins with `first`: what stands between belongs to it."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("      " + first))
    end = next((i for i in range(at, len(lines)) if lines[i] and not lines[i].startswith("      ")), len(lines))
    return "\n".join(line[6:] for line in lines[at:end]).rstrip() + "\n"


class Own(Scene):
    """With the self-signed certificate of init, which has the name localhost too."""

    def make_certificate(self):
        return self.dir / self.relay.certificate

    def text(self, name):
        return settings(self.relay, name).replace(HOST, "localhost")

    def one_listener(self, tls):
        """Only one of the two ports is there."""
        conf = self.relay.conf.read_text()
        self.relay.conf.write_text(re.sub(r'\{ address = "127.0.0.1"; port = \d+; tls = "%s"; \},?' % ("implicit" if tls == "starttls" else "starttls"), "", conf)
                                   .replace('";  },\n           \n', '"; }').replace("},\n            )", "} )"))


def send(scene, name):
    text = scene.text(name)
    environment = {"SMTP_PASSWORD": PASSWORD}
    if name == "msmtp":
        rc = scene.file("msmtprc", copied(text, "account default").replace("cat /etc/msmtp.password", f"echo '{PASSWORD}'"))
        scene.run(["msmtp", "-C", rc, BOB], input=b"From: %s\nSubject: Hello\n\nIt works.\n" % ALICE.encode())
    elif name == "python":
        scene.run(["python3", scene.file("send.py", copied(text, "import os"))], environment=environment)
    elif name == "node":
        scene.run(["node", scene.file("send.js", copied(text, "const"))],
                  environment=dict(environment, NODE_PATH=str(unpack(["node-nodemailer"]) / "usr/share/nodejs")))
    elif name == "php":
        library = "<?php require '/usr/share/php/libphp-phpmailer/autoload.php';\n"
        scene.run(["php", scene.file("send.php", library + copied(text, "$mail"))], environment=environment)
    elif name == "curl":
        (scene.home / "message.txt").write_text(f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\n\r\nIt works.\r\n")
        scene.run(["sh", "-c", copied(text, "curl").replace(f"'{ALICE}' --mail-from", f"'{ALICE}:{PASSWORD}' --mail-from")])
    scene.expect(attachment=False, subject="Hello", body="It works.")


def test_what_is_printed_sends():
    scene = Own()
    for name in ("msmtp", "python", "node", "php", "curl"):
        send(scene, name)


def test_with_starttls_only():
    scene = Own()
    scene.one_listener("starttls")
    for name in ("msmtp", "python", "node", "php", "curl"):
        assert str(scene.relay.tls_port) not in settings(scene.relay, name)
        send(scene, name)


def test_texts():
    relay = Relay(1, start=False)
    listed = [line.split()[0] for line in relay.command("client", "list").stdout.splitlines()]
    assert listed == NAMES
    for name in NAMES:
        text = settings(relay, name)
        assert HOST in text and f"alice@{DOMAIN}" in text and "outgoing server only" in text and "{host}" not in text and "{login}" not in text, text
        assert PASSWORD not in text and "535" in text and "self-signed" in text, text
        assert text.index("self-signed") < text.index("outgoing server only"), "how to trust it comes first"
        assert all(len(line) <= 80 or line.startswith(" " * 6) or max(map(len, line.split())) > 50 for line in text.splitlines()), text
        assert str(relay.port) in text or str(relay.tls_port) in text, text
    assert f"smtps://alice%40{DOMAIN}:PASSWORD@{HOST}:{relay.tls_port}" in settings(relay, "environment")  # another name
    entry = copied(settings(relay, "printer"), "devices = (")
    relay.conf.write_text(relay.conf.read_text() + entry)
    assert relay.command("check").stdout == "configuration is good\n"
    assert f"carol@{DOMAIN}" in relay.command("client", "iphone", "--user=carol").stdout
    assert f"alice@{DOMAIN}" in relay.command("client", "iphone").stdout  # the first account
    for arguments in (["client"], ["client", "pigeon"], ["client", "iphone", "x"]):
        assert relay.command(*arguments, check=False).returncode == 64, arguments


def test_a_certificate_of_an_authority():
    scene = Scene()
    text = settings(scene.relay, "msmtp")
    assert "self-signed" not in text and "tls_trust_file system" in text
    assert "ssl.create_default_context()\n" in settings(scene.relay, "python")
