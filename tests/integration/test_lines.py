"""Lines that end otherwise than mail's: taken, made CRLF before they are signed, and never an end of data, here or at a careless next hop."""
import re
import subprocess

from lib import *
from peers import Postfix, Scripted
from talk import Talk

ALICE = f"alice@{DOMAIN}"
EVIL = "MAIL FROM:<evil@example.org>{0}RCPT TO:<victim@example.net>{0}DATA{0}Subject: smuggled{0}{0}x"


def raw(relay, text):
    """A message of these very bytes behind DATA."""
    t = Talk(relay.port).ready(relay.tls())
    t.say(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<bob@example.net>\r\nDATA", 250)
    assert t.answer().startswith("250") and t.answer().startswith("354")
    t.socket.sendall(text + b"\r\n.\r\n")
    answer = t.answer()
    t.say("NOOP", "250 2.0.0 Ok")  # nothing of the text was taken for a command
    t.close()
    return answer


def body(data):
    return data[data.index(b"\r\n\r\n") + 4:]


ENDS = ("\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r\r\n", "\r\r\n.\r\r\n", "\n.\r\r\n")


def smuggle(relay, end, line):
    head = f"From: {ALICE}{line}To: bob@example.net{line}Subject: hello{line}{line}before"
    answer = raw(relay, (head + end + EVIL.format(line) + end + line + ".dots stay" + line).encode())
    assert answer.startswith("250 2.0.0 Ok: queued"), (end, answer)
    dots = ".dots stay" if not line.endswith("\r\n") else "dots stay"
    return f"before\r\n.\r\n{EVIL.format(chr(13) + chr(10))}\r\n.\r\n\r\n{dots}\r\n\r\n".encode()


def test_a_careless_next_hop_gets_one_message():
    """A next hop to which each line with a lone dot is an end, and every LF a line's end; and a Postfix, for which LF alone ends lines."""
    sink = Scripted(ends=(b".\r\n", b".\n", b".\r\r\n"))
    relay = Relay(sink.port, sign=True)
    for n, end in enumerate(ENDS, 1):
        line = ("\n", "\r\r\n", "\r\n")[n % 3]
        want = smuggle(relay, end, line)
        got = sink.wait(n)[n - 1]
        assert body(got.bytes) == want, (end, line, got.bytes)
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", got.bytes) and verify_dkim(relay, got), got.bytes
        assert got.sender == ALICE and got.recipients == ["bob@example.net"]
    assert len(sink.messages) == len(ENDS) and not any("evil" in c or "victim" in c for c in sink.commands), sink.commands
    assert raw(relay, f"From: {ALICE}\r\n\r\na\rb".encode()).startswith("550 5.6.11")
    relay.write_config(submission='bare_newline = "refuse";')
    relay.command("reload")
    assert raw(relay, f"From: {ALICE}\r\n\r\na\nb".encode()).startswith("550 5.6.11")


def test_postfix_gets_one_message():
    postfix = Postfix()
    relay = Relay(postfix.port)
    want = [smuggle(relay, end, "\n") for end in ENDS[:3]]
    got = postfix.wait(3)
    assert sorted(body(g).rstrip(b"\r\n") for g in got) == sorted(w.rstrip(b"\r\n") for w in want), got


def test_openssl_types_a_message():
    """openssl s_client sends LF alone, as nc does: only the end of the text must be typed as it is."""
    sink = Sink()
    relay = Relay(sink.port)
    plain = subprocess.run(["base64", "-w0"], input=f"\0{ALICE}\0{PASSWORD}".encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
    client = subprocess.Popen(["openssl", "s_client", "-quiet", "-verify_quiet", "-CAfile", relay.dir / relay.certificate, "-connect",
                               f"127.0.0.1:{relay.tls_port}", "-servername", HOST], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    for line, code in (("", b"220"), ("EHLO client.example\n", b"250"), (f"AUTH PLAIN {plain}\n", b"235"), (f"MAIL FROM:<{ALICE}>\n", b"250"),
                       ("RCPT TO:<bob@example.net>\n", b"250"), ("DATA\n", b"354"),
                       (f"From: {ALICE}\nSubject: typed\n\none\n.\ntwo\n\r\n.\r\n", b"250"), ("QUIT\n", b"221")):
        client.stdin.write(line.encode())
        client.stdin.flush()
        while True:
            answer = client.stdout.readline()
            if answer[3:4] != b"-":
                break
        assert answer.startswith(code), (line, answer)
    client.communicate(timeout=LIMIT)
    got = sink.wait(1)[0]
    assert body(got.bytes) == b"one\r\n.\r\ntwo\r\n\r\n" and verify_dkim(relay, got), got.bytes


def test_curl_sends_a_file():
    """curl sends a file as it is, and stuffs dots behind CRLF only."""
    sink = Sink()
    relay = Relay(sink.port)
    path = relay.dir / "mail.txt"
    path.write_bytes(f"From: {ALICE}\nSubject: a file\n\n.one\n..two\n.\n...\nlast\n".encode())
    subprocess.run(["curl", "-sS", "--url", f"smtp://{HOST}:{relay.port}", "--resolve", f"{HOST}:{relay.port}:127.0.0.1", "--ssl-reqd", "--cacert",
                    relay.dir / relay.certificate, "--user", f"{ALICE}:{PASSWORD}", "--mail-from", ALICE, "--mail-rcpt", "bob@example.net", "-T", path],
                   check=True, timeout=60)
    got = sink.wait(1)[0]
    assert body(got.bytes).startswith(b".one\r\n..two\r\n.\r\n...\r\nlast\r\n") and verify_dkim(relay, got), got.bytes
