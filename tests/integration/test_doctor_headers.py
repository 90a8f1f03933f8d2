"""posthouse doctor --headers: our own mail as it arrived, with what a receiver writes on top, and with what can happen to it on the way."""

from lib import DOMAIN, Relay, Sink, rows_of
from peers import Names

import subprocess

GOOD = (b"Return-Path: <alice@example.org>\r\nAuthentication-Results: mx.example.net;\r\n dkim=pass header.d=example.org header.s=SEL header.b=abc;\r\n"
        b" spf=pass (permitted) smtp.mailfrom=alice@example.org smtp.remote-ip=203.0.113.25;\r\n dmarc=pass (p=NONE) header.from=example.org\r\n"
        b"Received: from relay.example.org (relay.example.org [203.0.113.25]) by mx.example.net with ESMTPS id 1\r\n")


class Received:
    """A signed message that arrived at a sink, and the name server that has its key."""

    def __init__(self):
        self.sink = Sink()
        self.relay = Relay(self.sink.port)
        self.relay.submit()
        self.sink.wait(1)
        self.text = self.sink.messages[0].bytes
        shown = rows_of(self.relay.command("dkim", "show", DOMAIN, "--offline", "--json").stdout)
        value = shown[0]["value"]
        self.names = Names({shown[0]["name"]: [("TXT", " ".join(f'"{value[i:i + 255]}"' for i in range(0, len(value), 255)))]})
        self.good = GOOD.replace(b"SEL", self.relay.selector.encode()).replace(b"example.org", DOMAIN.encode())

    def judge(self, text, code=0):
        """{ id: (result, text) } of what is said."""
        done = subprocess.run([self.relay.build / "posthouse", "-c", self.relay.conf, "doctor", "--headers", "-", "--json", "--resolver",
                               self.names.resolver], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return {row["id"]: (row["result"], row["text"]) for row in rows_of(done.stdout.decode())} if done.stdout else done.stderr.decode()


def test_as_it_was_received():
    r = Received()
    said = r.judge(r.good + r.text)
    assert {result for result, _ in said.values()} == {"ok"}, said
    assert "203.0.113.25" in said["address"][1] and "mx.example.net" in said["receiver"][1] and "nothing that it covers was changed" in said["dkim.again"][1]
    # pasted from a browser, or saved from a mailbox file
    assert r.judge(b"From alice Sat Nov 21 19:37:54 2026\n" + (r.good + r.text).replace(b"\r\n", b"\n"))["dkim.again"][0] == "ok"
    shown = r.relay.command("doctor", "--headers", "-", "--resolver", r.names.resolver, input=(r.good + r.text).decode()).stdout
    assert all(len(line) <= 80 for line in shown.splitlines()) and shown.startswith("good  from"), shown


def test_what_happened_on_the_way():
    r = Received()
    said = r.judge(r.good + r.text + b"-- \r\na footer\r\n", code=1)
    assert said["dkim.again"][0] == "failure" and "the body is not the one" in said["dkim.again"][1]
    said = r.judge(r.good + r.text.replace(b"Subject: ", b"Subject: [list] ", 1), code=1)
    assert "does not fit" in said["dkim.again"][1]
    said = r.judge(r.good.replace(b"dkim=pass", b"dkim=fail reason=\"bad hash\"").replace(b"dmarc=pass", b"dmarc=fail") + r.text, code=1)
    assert "bad hash" in said["dkim.receiver"][1] and said["dmarc"][0] == "failure" and said["dkim.again"][0] == "ok"
    said = r.judge(r.good.replace(b"spf=pass (permitted)", b"spf=softfail") + r.text)
    assert said["spf"][0] == "warning" and said["alignment"][0] == "ok"
    said = r.judge(b"X-Google-Original-From: alice@example.com\r\n" + r.good.replace(b"Return-Path: <alice@", b"Return-Path: <bounce@mail.esp-") + r.text)
    assert said["from"][0] == "warning" and said["return.path"][0] == "advice"
    # only the topmost server counts: what is below can be anybody's
    said = r.judge(r.good.replace(b"dkim=pass", b"dkim=fail") + b"Authentication-Results: trusted.example; dkim=pass header.d=example.org\r\n" + r.text, code=1)
    assert "mx.example.net" in said["receiver"][1] and said["dkim.receiver"][0] == "failure"
    r.names.records.clear()
    assert "is not in the DNS" in r.judge(r.good + r.text, code=1)["dkim.again"][1]
    said = r.judge(b"From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n")
    assert said["receiver"][0] == "unknown" and said["dkim.again"][0] == "warning" and said["return.path"][0] == "unknown"
    assert "is no message" in r.judge(b"hello\r\nworld\r\n", code=65)
