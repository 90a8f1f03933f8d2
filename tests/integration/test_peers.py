"""How the relay talks to next hops with peculiarities: without 8BITMIME, without EHLO, with limits of their own, or without manners."""
import email.policy
import time

from lib import *
from peers import Postfix, Scripted
from test_delivery import report_of

EIGHT_BIT = "Grüße aus Köln, 100 € für Łódź.\r\nA line with = and\ttab at the end \t\r\n.dot\r\nFrom here\r\n" + "ä" * 400 + "\r\n"
EIGHT_BIT_FIELDS = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
HEAD = f"From: Alice <alice@{DOMAIN}>\r\nTo: bob@example.net\r\nMIME-Version: 1.0\r\n"


def body_of(message):
    """Text parts as they read, whatever their encoding."""
    return [p.get_payload(decode=True) for p in message.walk() if not p.is_multipart()]


def test_8_bit_text_becomes_7_bit_and_is_signed_anew():
    sink = Scripted(extensions=("PIPELINING",))
    relay = Relay(sink.port)
    binary = bytes(range(128, 256)) * 20
    shapes = {
        "quoted-printable fits": (HEAD + "Subject: one\r\n" + EIGHT_BIT_FIELDS + EIGHT_BIT).encode(),
        "no declaration": (HEAD + "Subject: two\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + EIGHT_BIT).encode(),
        "mixed": (HEAD + "Subject: three\r\nContent-Type: multipart/mixed; boundary=\"x y\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--x y\r\n"
                  "" + EIGHT_BIT_FIELDS + EIGHT_BIT + "\r\n--x y\r\nContent-Type: multipart/alternative; "
                  "boundary=inner\r\n\r\n--inner\r\nContent-Type: text/plain\r\n\r\nplain seven\r\n--inner\r\nContent-Type: text/html; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: 8bit\r\n\r\n<p>" + EIGHT_BIT + "</p>\r\n--inner--\r\n--x y--\r\n").encode(),
        "mostly 8-bit": (HEAD + "Subject: four\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n").encode()
                        + b"\r\n".join(binary[i:i + 60] for i in range(0, len(binary), 60)) + b"\r\n",
        "a large one": (HEAD + "Subject: five\r\n" + EIGHT_BIT_FIELDS + EIGHT_BIT * 300).encode(),
    }
    client = relay.connect()
    for n, (name, message) in enumerate(shapes.items(), 1):
        client.mail(f"alice@{DOMAIN}", ["BODY=8BITMIME"])
        client.rcpt("bob@example.net")
        code, text = client.data(message)
        assert code == 250, (name, code, text)
        got = sink.wait(n)[-1]
        assert all(c < 128 for c in got.bytes), f"{name}: 8-bit text went to a 7-bit host"
        assert max(map(len, got.bytes.split(b"\r\n"))) <= 998, name
        assert "BODY=" not in got.mail_options, got.mail_options
        assert verify_dkim(relay, got), f"{name}: {got.bytes[:3000]}"
        assert got.bytes.count(b"DKIM-Signature:") == 1, f"{name}: the old signature is still there"
        sent = email.message_from_bytes(message, policy=email.policy.SMTP)
        same = [a.replace(b"\r\n", b"\n").rstrip(b"\n") == b.replace(b"\r\n", b"\n").rstrip(b"\n") for a, b in zip(body_of(sent), body_of(got.message))]
        assert len(body_of(sent)) == len(body_of(got.message)) and all(same), (name, same, got.bytes[:3000])
    client.quit()


def test_7_bit_text_passes_a_7_bit_host_unchanged():
    sink = Scripted(extensions=())
    relay = Relay(sink.port)
    message = (HEAD + "Subject: seven\r\n\r\nseven = bits\r\n").encode()
    relay.submit(message)
    got = sink.wait(1)[0]
    assert got.bytes.endswith(b"\r\n\r\nseven = bits\r\n") and not got.message["Content-Transfer-Encoding"] and verify_dkim(relay, got)


def test_what_was_signed_by_its_author_is_not_converted():
    """multipart/signed with 8-bit text: no conversion keeps its signature, so a 7-bit host means 5.6.3; an 8-bit host has it as it is."""
    seven, eight = Scripted(extensions=("PIPELINING",)), Scripted()
    relay = Relay(upstream=f'{{ name = "seven"; host = "127.0.0.1"; port = {seven.port}; tls = "none"; }}, '
                  f'{{ name = "eight"; host = "127.0.0.1"; port = {eight.port}; tls = "none"; }}',
                  extra='routes = ( { recipients = [ "@seven.example" ]; via = [ "seven" ]; }, { via = [ "eight" ]; } );')
    message = (HEAD + 'Subject: signed\r\nContent-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"; boundary=s\r\n\r\n--s\r\n'
               "" + EIGHT_BIT_FIELDS + EIGHT_BIT
               + "\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nnone\r\n--s--\r\n").encode()
    client = relay.connect()
    for to in ("bob@seven.example", "bob@eight.example"):
        client.mail(f"alice@{DOMAIN}", ["BODY=8BITMIME"])
        client.rcpt(to)
        assert client.data(message)[0] == 250
    client.quit()
    wait_for(lambda: len(eight.messages) == 2, "the message and a report at the 8-bit host")
    report = [m for m in eight.messages if m.sender == ""][0]
    original = [m for m in eight.messages if m.sender][0]
    assert original.recipients == ["bob@eight.example"] and original.bytes.endswith(message.split(b"\r\n\r\n", 1)[1]) and verify_dkim(relay, original)
    _, _, recipients, _ = report_of(report)
    assert recipients[0]["Status"] == "5.6.3", recipients[0].as_string()
    assert not seven.messages


def test_a_real_7_bit_host():
    postfix = Postfix(without=["8bitmime", "smtputf8"])
    relay = Relay(postfix.port)
    client = relay.connect()
    client.mail(f"alice@{DOMAIN}", ["BODY=8BITMIME"])
    client.rcpt("bob@example.net")
    assert client.data((HEAD + "Subject: x\r\n" + EIGHT_BIT_FIELDS + EIGHT_BIT).encode())[0] == 250
    text = postfix.wait(1)[0]
    assert all(c < 128 for c in text)
    arrived = email.message_from_bytes(text, policy=email.policy.default)
    assert arrived.get_content().replace("\r\n", "\n").rstrip() == EIGHT_BIT.replace("\r\n", "\n").rstrip()
    assert verify_dkim(relay, type("Stored", (), {"bytes": text}))


def test_helo_when_ehlo_is_not_known():
    for refusal in ("500 what?", "502 not implemented", "550 no"):
        sink = Scripted(answers={"EHLO": lambda line, r=refusal: r})
        relay = Relay(sink.port)
        relay.submit()
        sink.wait(1)
        assert any(c.startswith("HELO ") for c in sink.commands), sink.commands
        assert not any("BODY=" in c or "SIZE=" in c for c in sink.commands), "parameters without EHLO"
        relay.end()
        sink.end()


def test_limits_of_the_peer_are_obeyed():
    """RFC 9422 RCPTMAX and MAILMAX, the older X-RCPTLIMIT, and one who only says 452 after the third."""
    for extensions, strict in ((["LIMITS RCPTMAX=3 MAILMAX=2"], True), (["X-RCPTLIMIT 3"], True), ([], False)):
        state = {"n": 0, "too_many": 0}

        def rcpt(line):
            state["n"] += 1
            if state["n"] > 3:
                state["too_many"] += 1
                return "452 4.5.3 too many recipients"

        def mail(line):
            state["n"] = 0
        sink = Scripted(extensions=["PIPELINING", "8BITMIME", *extensions], answers={"RCPT": rcpt, "MAIL": mail})
        relay = Relay(upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; connections = 1; }}')
        recipients = [f"r{i}@example.net" for i in range(10)]
        relay.submit(to=recipients)
        got = lambda: sorted(r for m in list(sink.messages) for r in m.recipients)
        wait_for(lambda: got() == recipients, lambda: f"ten recipients, there are {got()}")
        assert max(len(m.recipients) for m in sink.messages) <= 3
        if strict:
            assert state["too_many"] <= 7, state  # what was sent before the limit was known
        relay.wait_empty()
        relay.end()
        sink.end()


def test_size_of_the_peer_is_obeyed():
    sink = Scripted(extensions=["SIZE 20000", "8BITMIME"])
    relay = Relay(sink.port)
    relay.submit(simple_message("too big", "x" * 70 + ("\r\n" + "x" * 70) * 500 + "\r\n"))
    report = sink.wait(1)[0]
    _, _, recipients, header = report_of(report)
    assert recipients[0]["Status"] == "5.3.4" and "too big" in header, recipients[0].as_string()
    assert sum(c == "DATA" for c in sink.commands) == 1


def endless(first, rest):
    """A server that says something to everybody and never stops."""
    listener = socket.create_server(("127.0.0.1", 0))
    sent = {"bytes": 0, "connections": 0, "closed": 0}

    def talk(s):
        try:
            s.sendall(first)
            while True:
                s.sendall(rest)
                sent["bytes"] += len(rest)
        except OSError:
            sent["closed"] += 1
            s.close()

    def serve():
        while True:
            s, _ = listener.accept()
            sent["connections"] += 1
            threading.Thread(target=talk, args=(s,), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], sent


def test_peers_that_never_stop_talking_cost_little():
    """An endless line, an endless reply, answers to nothing: the connection ends soon, mail waits, memory stays."""
    for first, rest in ((b"220 ", b"x" * 65536), (b"", b"220-more\r\n" * 5000), (b"220 hello\r\n", b"250 ok\r\n" * 5000), (b"", b"\0\xff\r\n" * 5000)):
        port, sent = endless(first, rest)
        relay = Relay(port, retry='"1h"', delivery='timeouts = { greeting = "5s"; command = "5s"; };')
        relay.submit()
        wait_for(lambda: sent["closed"], f"the relay hangs up on {first!r} {rest[:20]!r}")
        assert sent["bytes"] < 64 << 20, sent
        resident = sum(int(line.split()[1]) for pid in relay.pids("relay") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                       if line.startswith("VmRSS"))
        print(f"{sent['bytes'] >> 10} KiB read, relay has {resident >> 10} MiB with the sanitizers")
        assert resident < 250 << 10
        assert len(relay.queue()) == 1
        relay.end()


def test_silence_at_every_stage_ends_in_time():
    for stage in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"):
        state = {"silent": True}
        sink = Scripted(answers={stage: lambda line: "silent" if state.pop("silent", None) else None})
        relay = Relay(sink.port, delivery='timeouts = { greeting = "1s"; command = "1s"; data = "1s"; };')
        start = time.monotonic()
        relay.submit()
        wait_for(lambda: "silent" not in state, "the silence")
        relay.retry_until(lambda: sink.messages, f"delivery after silence at {stage}")
        print(f"{stage}: delivered after {time.monotonic() - start:.1f} s")
        relay.end()
        sink.end()


def test_odd_answers_at_each_stage():
    """Each once, then the usual: the message arrives exactly once and nobody is told otherwise."""
    odd = {"GREETING": "421 4.3.2 restarting", "EHLO": "421 4.3.2 restarting", "MAIL": "451 4.3.0 try again", "RCPT": "450 4.2.1 busy mailbox",
           "DATA": "451 4.3.0 not now", "END": "452 4.3.1 disk full", "QUIT": "500 what?"}
    for stage, answer in odd.items():
        sink = Scripted(answers={stage: [answer]})
        relay = Relay(sink.port)
        id = relay.submit()
        relay.retry_until(lambda: sink.messages, f"delivery after {answer!r} at {stage}")
        relay.wait_empty()
        assert len(sink.messages) == 1 and sink.messages[0].sender
        assert relay.events(id)[-1]["event"] == "delivery.sent"
        relay.end()
        sink.end()


def test_connections_are_used_again():
    all_wait = threading.Event()
    sink = Scripted(answers={"GREETING": lambda line: all_wait.wait(LIMIT) and None})
    relay = Relay(upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; connections = 1; }}', delivery="reuse = 5;")
    client = relay.connect()
    for _ in range(20):
        relay.submit(client=client)
    all_wait.set()
    sink.wait(20)
    assert 4 <= sink.connections <= 6, sink.connections


def test_dsn_is_passed_on_or_reported():
    """RFC 3461: a next hop with DSN gets ENVID, RET, NOTIFY and ORCPT and takes over; without it the sender hears "relayed" from us."""
    knows, lacks = Scripted(extensions=("PIPELINING", "8BITMIME", "DSN")), Scripted()
    relay = Relay(upstream=f'{{ name = "knows"; host = "127.0.0.1"; port = {knows.port}; tls = "none"; }}, '
                  f'{{ name = "lacks"; host = "127.0.0.1"; port = {lacks.port}; tls = "none"; }}',
                  extra='routes = ( { recipients = [ "@knows.example" ]; via = [ "knows" ]; }, { via = [ "lacks" ]; } );')
    client = relay.connect()
    assert client.has_extn("dsn")
    for to in ("bob@knows.example", "bob@lacks.example"):
        code, text = client.docmd(f"MAIL FROM:<alice@{DOMAIN}> RET=HDRS ENVID=QQ314159+2B1")
        assert code == 250, text
        code, text = client.docmd(f"RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@First.example")
        assert code == 250, text
        assert client.data(simple_message("with DSN"))[0] == 250
    client.quit()
    knows.wait(1)
    mail = [c for c in knows.commands if c.startswith("MAIL")][0]
    rcpt = [c for c in knows.commands if c.startswith("RCPT")][0]
    assert "RET=HDRS" in mail and "ENVID=QQ314159+2B1" in mail, mail
    assert "NOTIFY=" in rcpt and "SUCCESS" in rcpt and "FAILURE" in rcpt and "ORCPT=rfc822;Bob@First.example" in rcpt, rcpt
    lacks.wait(2)
    reports = [m for m in lacks.messages if m.sender == ""]
    assert len(reports) == 1 and len(knows.messages) == 1, [m.sender for m in lacks.messages]
    words, message_fields, recipients, header = report_of(reports[0])
    assert recipients[0]["Action"] == "relayed" and recipients[0]["Status"].startswith("2."), recipients[0].as_string()
    assert recipients[0]["Original-Recipient"].replace(" ", "") == "rfc822;Bob@First.example"
    assert message_fields["Original-Envelope-Id"] == "QQ314159+1" and "Subject: with DSN" in header


def test_postfix_reports_success_itself():
    """A real next hop with DSN: it takes over, so nothing comes from us."""
    postfix = Postfix(domains=["example.net", DOMAIN])
    relay = Relay(postfix.port)
    client = relay.connect()
    client.docmd(f"MAIL FROM:<alice@{DOMAIN}> ENVID=one")
    assert client.docmd("RCPT TO:<bob@example.net> NOTIFY=SUCCESS")[0] == 250
    assert client.data(simple_message("success wanted"))[0] == 250
    texts = postfix.wait(2)
    notices = [t for t in texts if b"multipart/report" in t]
    assert len(notices) == 1 and b"postfix.example.net" in notices[0] and b"Action: delivered" in notices[0] and b"Original-Envelope-Id: one" in notices[0]
    relay.wait_empty()
