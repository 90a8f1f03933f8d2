"""What clients may ask for, from MAIL to the next hop: rewriting, completion, UTF-8, chunks, time, priority, REQUIRETLS; PROXY, SNI."""
import base64
import datetime
import hashlib
import re
import struct
import time

import peers
from lib import *
from talk import Talk, configured
from test_chunking import Chunked, body

ALICE = f"alice@{DOMAIN}"


def message(headers="", text="Hello.\r\n", sender=ALICE):
    return f"From: {sender}\r\nTo: bob@example.net\r\nSubject: hello\r\n{headers}\r\n{text}".encode()


def modern(extensions=("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN", "SIZE"), **kw):
    """A next hop that can do everything."""
    return Chunked(extensions=extensions, **kw)


# ---- addresses ----
def test_rewriting_before_the_sender_is_checked():
    sink = Sink()
    relay = Relay(sink.port, extra=f'''rewrite = ( {{ sender = "root@.lan"; to = "{ALICE}"; headers = true; }}, {{ sender = "@old.example"; to = "@{DOMAIN}"; }},
                  {{ recipient = "team@{DOMAIN}"; to = "team@example.net"; headers = true; }} );''')
    t = Talk(relay.port).ready(relay.tls())
    t.send("root@nas.lan", f"team@{DOMAIN}", b"From: \"The NAS, upstairs\" <root@nas.lan>\r\nReply-To: root@nas.lan\r\nTo: Team <team@" + DOMAIN.encode()
           + b">, x@y.example\r\nSubject: disk\r\n\r\nfull\r\n")
    got = sink.wait(1)[0]
    assert got.sender == ALICE and got.recipients == ["team@example.net"], (got.sender, got.recipients)
    assert str(got.message["From"]) == f'"The NAS, upstairs" <{ALICE}>' and str(got.message["Reply-To"]) == ALICE, got.bytes
    assert [a.addr_spec for a in got.message["To"].addresses] == ["team@example.net", "x@y.example"], got.bytes
    assert verify_dkim(relay, got)
    # a rule without headers = true leaves From as it is, which then is not this login's
    t.say("MAIL FROM:<alice@old.example>", 250)
    t.say("RCPT TO:<bob@example.net>", 250)
    answer = t.text(message(sender="alice@old.example"), 550)
    assert answer.startswith("550 5.7.1") and "alice@old.example" in answer, answer
    # what a rule makes of an address is checked: eve does not become somebody by it
    answer = t.say("MAIL FROM:<eve@old.example>")
    assert answer.startswith("550 5.7.1") and f"eve@{DOMAIN}" in answer, answer
    lines = wait_for(lambda: (lambda found: found if len(found) == 2 else None)(
        [line for line in relay.log_text().splitlines() if "event=sender.refused" in line]), "two refusals in the log")
    assert "where=From" in lines[0] and "where=envelope" in lines[1], lines
    assert all(f"login={ALICE}" in line and "client=127.0.0.1" in line for line in lines), lines


def test_addresses_without_a_domain():
    sink = Sink()
    relay = Relay(sink.port)
    t = Talk(relay.port).ready(relay.tls())
    t.send("alice", "bob", b"From: Alice <alice>\r\nTo: bob, carol@example.net\r\n\r\nhi\r\n")
    got = sink.wait(1)[0]
    assert got.sender == ALICE and got.recipients == [f"bob@{DOMAIN}"], (got.sender, got.recipients)
    assert str(got.message["From"]) == f"Alice <{ALICE}>" and [a.addr_spec for a in got.message["To"].addresses] == [f"bob@{DOMAIN}", "carol@example.net"]
    assert verify_dkim(relay, got)


# ---- text ----
def test_utf8_addresses_and_header():
    sink = modern()
    relay = Relay(sink.port, senders=f'senders = ( {{ user = "{ALICE}"; addresses = [ "*" ]; }} );')
    t = Talk(relay.port).ready(relay.tls())
    t.send("müller@example.org", "łukasz@example.net", "From: Müller <müller@example.org>\r\nSubject: Grüße\r\n\r\nŁódź\r\n".encode(), "SMTPUTF8 BODY=8BITMIME")
    got = sink.wait(1)[0]
    assert got.sender == "müller@example.org" and got.recipients == ["łukasz@example.net"] and "SMTPUTF8" in got.mail_options, (got.sender, got.mail_options)
    assert b"with UTF8SMTPSA" in got.bytes and "Subject: Grüße".encode() in got.bytes and verify_dkim(relay, got), got.bytes
    # without the declaration such an address is refused, and a header in UTF-8 goes to a next hop without SMTPUTF8 in encoded words
    assert t.say("MAIL FROM:<müller@example.org>").startswith(("553 5.6.7", "550 5.6.7", "501"))
    plain = Chunked(extensions=("8BITMIME",))
    relay.write_config()
    relay.conf.write_text(relay.conf.read_text().replace(f"port = {sink.port};", f"port = {plain.port};"))
    relay.command("reload")
    t.send(ALICE, "bob@example.net", message("X-City: Łódź\r\n"))
    got = plain.wait(1)[0]
    assert got.message["X-City"] == "Łódź" and b"\r\nX-City: =?utf-8?" in got.bytes and verify_dkim(relay, got), got.bytes
    assert b"with ESMTPSA" in got.bytes and "SMTPUTF8" not in got.mail_options


def body_hash_is_right(m):
    """The bh= of our signature, by RFC 6376 3.4.4 over the very bytes: python3-dkim takes a lone LF for a line end."""
    lines = [re.sub(rb"[ \t]+$", b"", re.sub(rb"[ \t]+", b" ", line)) for line in body(m.bytes).split(b"\r\n")]
    while lines and lines[-1] == b"":
        lines.pop()
    canonical = b"".join(line + b"\r\n" for line in lines)
    signed = re.sub(rb"\s", b"", re.search(rb"bh=([^;]*);", m.bytes).group(1))
    return signed == base64.b64encode(hashlib.sha256(canonical).digest())


def test_binary_text_in_chunks_arrives_as_it_was():
    sink = modern()
    relay = Relay(sink.port)
    t = Talk(relay.port).ready(relay.tls())
    head = message("MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n", "")
    for n, data in enumerate((b"\0\1\2 lone \r and \n and \r\n.\r\n..\xff\xfe end", bytes(range(256)) * 1000, b"\r\n.\r\n\r", b"\0 and \0\r\nno lone ends\r\n")):
        t.say(f"MAIL FROM:<{ALICE}> BODY=BINARYMIME", 250)
        t.say("RCPT TO:<bob@example.net>", 250)
        whole = head + data
        t.bdat(whole[:100], whole[100:100 + len(data) // 2], b"", whole[100 + len(data) // 2:])
        got = sink.wait(n + 1)[n]
        assert body(got.bytes) == data, got.bytes[-300:]
        assert "BODY=BINARYMIME" in got.mail_options, got.mail_options
        assert body_hash_is_right(got), got.bytes
        assert n < 3 or verify_dkim(relay, got)
    # what is declared binary and is not goes as what it is; and without the declaration a lone LF ends a line, in chunks too
    t.say(f"MAIL FROM:<{ALICE}> BODY=BINARYMIME", 250)
    t.say("RCPT TO:<bob@example.net>", 250)
    t.bdat(message(text="plain\r\n"))
    got = sink.wait(5)[4]
    assert "BINARYMIME" not in got.mail_options and verify_dkim(relay, got), got.mail_options
    t.say(f"MAIL FROM:<{ALICE}>", 250)
    t.say("RCPT TO:<bob@example.net>", 250)
    t.bdat(message(text="lone \n here\r\n"))
    assert sink.wait(6)[5].bytes.endswith(b"\r\n\r\nlone \r\n here\r\n") and verify_dkim(relay, sink.messages[5])
    # DATA cannot carry it
    t.say(f"MAIL FROM:<{ALICE}> BODY=BINARYMIME", 250)
    t.say("RCPT TO:<bob@example.net>", 250)
    t.say("DATA", 503)


def test_received_tells_how_it_came():
    sink = Sink()
    relay = Relay(sink.port)
    Talk(relay.port).ready(relay.tls()).send(ALICE, "bob@example.net", message())
    got = sink.wait(1)[0]
    received = got.message["Received"]
    assert "with ESMTPSA" in received and "127.0.0.1" not in received and "client.example" not in received and ALICE not in received, received
    relay.write_config(submission="show_client = true;")
    relay.command("reload")
    Talk(relay.port, "127.0.0.7").ready(relay.tls()).send(ALICE, "bob@example.net", message())
    received = sink.wait(2)[1].message["Received"]
    assert "127.0.0.7" in received and "client.example" in received, received


# ---- time and priority ----
def test_future_release():
    sink = Sink()
    relay = Relay(sink.port)
    t = Talk(relay.port).ready(relay.tls())
    assert "FUTURERELEASE 2592000 " in t.ehlo()
    begun = time.time()
    later = t.send(ALICE, "bob@example.net", message("X-N: later\r\n"), "HOLDFOR=6")
    t.send(ALICE, "bob@example.net", message("X-N: now\r\n"))
    assert sink.wait(1)[0].message["X-N"] == "now"
    shown = json.loads(relay.command("queue", "show", later, "--json").stdout.splitlines()[0])
    assert sink.wait(2)[1].message["X-N"] == "later" and time.time() - begun >= 5.9, shown
    until = datetime.datetime.fromtimestamp(time.time() + 5, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    t.send(ALICE, "bob@example.net", message(), f"HOLDUNTIL={until}")
    sink.wait(3)
    assert t.say(f"MAIL FROM:<{ALICE}> HOLDFOR=99999999").startswith("5")
    relay.write_config(submission='future_release = "0s";')
    relay.command("reload")
    t = Talk(relay.port).ready(relay.tls())
    assert "FUTURERELEASE" not in t.ehlo() and t.say(f"MAIL FROM:<{ALICE}> HOLDFOR=1").startswith("555")


def test_deliver_by():
    """BY=1;R: not delivered in a second, so it comes back, long before the lifetime is over; ;N tells and goes on."""
    sink = Sink(rcpt=lambda address: "450 4.2.1 later" if address.startswith("slow") else None)
    relay = Relay(sink.port, retry='"1s"', queue='warn_after = "4s";')  # which also says how often the queue looks
    t = Talk(relay.port).ready(relay.tls())
    t.send(ALICE, "slow@example.net", message(), "BY=1;R")
    report = sink.wait(1)[0]
    assert report.sender == "" and report.recipients == [ALICE] and b"Action: failed" in report.bytes, report.bytes
    id = t.send(ALICE, "slow@example.net", message(), "BY=1;N")
    report = sink.wait(2)[1]
    assert report.sender == "" and b"Action: delayed" in report.bytes, report.bytes
    wait_for(lambda: [row["id"] for row in relay.queue()] == [id], "the message itself waits, its report has gone")
    assert t.say(f"MAIL FROM:<{ALICE}> BY=0;R").startswith("501")


def test_priority_orders_the_queue():
    """What becomes due at the same moment for the only connection goes out by its priority, but for each fourth, whose turn it is by time;
    who asks for too much is told what he got."""
    sink = Sink(delay=0.1)
    relay = Relay(upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; connections = 1; }}',
                  limits=f'priority = 3; users = ( {{ user = "bob@{DOMAIN}"; priority = 6; }} );', users=[ALICE, f"bob@{DOMAIN}"])
    t = Talk(relay.port).ready(relay.tls())
    assert "MT-PRIORITY" in t.ehlo()
    answer = t.say(f"MAIL FROM:<{ALICE}> MT-PRIORITY=9")
    assert answer.startswith("250 2.3.6 3 "), answer
    t.say("RSET", 250)
    assert t.say(f"MAIL FROM:<{ALICE}> MT-PRIORITY=-9").startswith("250 2.1.0")
    t.say("RSET", 250)
    bob = Talk(relay.port).ready(relay.tls(), f"bob@{DOMAIN}")
    assert bob.say(f"MAIL FROM:<bob@{DOMAIN}> MT-PRIORITY=7").startswith("250 2.3.6 6 ")
    until = datetime.datetime.fromtimestamp(time.time() + 10, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = [-9, -6, -3, -1, 0, 1, 2, 3]
    for n, priority in enumerate(given):
        t.send(ALICE, f"r{n}@d{n}.example", message(f"X-Priority: {priority}\r\n"), f"MT-PRIORITY={priority} HOLDUNTIL={until}")
    got = [int(m.message["X-Priority"]) for m in sink.wait(len(given))]
    by_time = sum(later > earlier for earlier, later in zip(got, got[1:]))  # places where the order is broken
    assert sorted(got) == given and by_time <= 3 and got.index(3) < got.index(-3), got


def test_require_tls():
    """To a next hop without TLS it does not go; it comes back (5.7.30) and never in the clear."""
    sink = Sink()
    relay = Relay(sink.port)
    t = Talk(relay.port)
    assert "REQUIRETLS" not in t.ehlo()
    t.starttls(relay.tls())
    assert "REQUIRETLS" in t.ehlo()
    t.login()
    id = t.send(ALICE, "bob@example.net", message(text="secret words\r\n"), "REQUIRETLS")
    wait_for(lambda: any("5.7.30" in json.dumps(e) or "5.7.10" in json.dumps(e) for e in relay.trace(id)), f"a failure of {id}")
    assert not any(b"secret words" in m.bytes for m in sink.messages)


def test_messages_of_a_session():
    sink = Sink()
    relay = Relay(sink.port, limits="messages_per_session = 2;")
    t = Talk(relay.port).ready(relay.tls())
    assert "MAILMAX=2" in t.ehlo()
    t.send(ALICE, "bob@example.net", message())
    t.send(ALICE, "bob@example.net", message())
    assert t.say(f"MAIL FROM:<{ALICE}>").startswith("421 4.7.0")
    assert t.at_end()


def test_old_clients_see_their_line():
    relay = Relay(1, auth="old_clients = true;")
    t = Talk(relay.tls_port, tls=relay.tls())
    answer = t.ehlo()
    assert "AUTH PLAIN" in answer and "AUTH=PLAIN" in answer, answer


# ---- who the client is ----
def proxied(relay, port):
    return configured(relay, (f"port = {port};", f'port = {port}; proxy_protocol = [ "127.0.0.5/32", "::1" ];'))


def v2(command, family, addresses):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x20 | command, family, len(addresses)) + addresses


def v2_tcp4(client, port=40000):
    return v2(1, 0x11, socket.inet_aton(client) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 587))


def test_proxy_headers():
    sink = Sink()
    relay = Relay(sink.port, start=False)
    proxied(relay, relay.port)
    tlv = b"\x04\x00\x03abc"
    good = {b"PROXY TCP4 192.0.2.40 192.0.2.1 40000 587\r\n": "192.0.2.40", b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 587\r\n": "2001:db8::7",
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n": "127.0.0.5", v2_tcp4("192.0.2.41"): "192.0.2.41", v2(0, 0, b""): "127.0.0.5",
            v2(1, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::8") + bytes(16) + struct.pack("!HH", 1, 2)): "2001:db8::8",
            v2(1, 0x11, socket.inet_aton("192.0.2.42") + bytes(8) + tlv): "192.0.2.42"}
    for header, client in good.items():
        t = Talk(relay.port, "127.0.0.5", prefix=header)
        assert t.greeting.startswith("220"), header
        t.ready(relay.tls())
        id = t.send(ALICE, "bob@example.net", message())
        line = wait_for(lambda: [line for line in relay.log_text().splitlines() if "event=mail.accepted" in line and id in line], id)[0]
        assert f"client={client} " in line, (header, line)
        shown = relay.command("queue", "show", id, "--json").stdout + json.dumps(relay.trace(id))
        assert f"client={client} " in shown, (header, shown)
    # piece by piece, with the first command right behind it
    t = Talk(relay.port, "127.0.0.5", greeting=False)
    for byte in b"PROXY TCP4 192.0.2.43 192.0.2.1 40000 587\r\nEHLO early\r\n":
        t.socket.sendall(bytes([byte]))
        time.sleep(0.002)
    assert t.answer().startswith("220") and t.answer().startswith("250")
    relay.wait_log("client=192.0.2.43")
    bad = (b"EHLO x\r\n", b"PROXY TCP4 192.0.2.300 192.0.2.1 1 2\r\n", b"PROXY TCP4 192.0.2.1\r\n", b"PROXY " + b"x" * 200, b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + bytes(12),
           v2(1, 0x11, b"\1\2\3"), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"proxy TCP4 192.0.2.40 192.0.2.1 1 2\r\n")
    for header in bad:
        t = Talk(relay.port, "127.0.0.5", prefix=header, greeting=False)
        assert t.at_end(), header
    assert relay.log_now().count("event=proxy.refused") == len(bad)
    # silence for five seconds
    begun = time.monotonic()
    t = Talk(relay.port, "127.0.0.5", greeting=False)
    assert t.at_end() and time.monotonic() - begun > 4
    # from elsewhere it is no header but a wrong command
    t = Talk(relay.port, "127.0.0.6", prefix=b"PROXY TCP4 192.0.2.44 192.0.2.1 40000 587\r\n")
    assert t.answer().startswith("500")
    assert "192.0.2.44" not in relay.log_now()


def test_proxy_before_tls():
    """On the port with TLS from the start the header comes first, in the clear; with it in one packet or not."""
    sink = Sink()
    relay = Relay(sink.port, start=False)
    proxied(relay, relay.tls_port)
    for source, header, client in (("127.0.0.5", b"PROXY TCP4 192.0.2.50 192.0.2.1 40000 465\r\n", "192.0.2.50"), ("127.0.0.5", v2_tcp4("192.0.2.51"), "192.0.2.51"),
                                   ("127.0.0.6", b"", "127.0.0.6")):
        t = Talk(relay.tls_port, source, prefix=header, tls=relay.tls())
        t.ehlo()
        t.login()
        t.send(ALICE, "bob@example.net", message())
        relay.wait_log(f"client={client}")
    sink.wait(3)
    # header and the beginning of the handshake at once
    context, incoming, outgoing = relay.tls(), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    s = socket.create_connection(("127.0.0.1", relay.tls_port), 60, source_address=("127.0.0.5", 0))
    first = v2_tcp4("192.0.2.52")
    greeting = b""
    while not greeting:
        try:
            greeting = tls.read(100)
        except ssl.SSLWantReadError:
            s.sendall(first + outgoing.read())
            first = b""
            incoming.write(s.recv(65536))
    assert greeting.startswith(b"220"), greeting
    relay.wait_log("client=192.0.2.52")
    # TLS without a header, from a host that must send one
    try:
        Talk(relay.tls_port, "127.0.0.5", tls=relay.tls())
        raise AssertionError("served without a PROXY header")
    except (ssl.SSLError, ConnectionError):
        pass


def test_certificates_by_name():
    relay = Relay(1, start=False)
    names = {}
    for name in ("mail.example.com", "smtp.example.net"):
        _, certificate = tls_context(relay.dir, name)
        names[name] = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    extra = "".join(f', {{ chain = "{name}.pem"; key = "{name}.key"; }}' for name in names)
    configured(relay, (f'key = "{relay.key}"; }} );', f'key = "{relay.key}"; }}{extra} );'))
    first = ssl.PEM_cert_to_DER_cert((relay.dir / relay.certificate).read_text())
    unverified = ssl._create_unverified_context()
    for name, expected in [(HOST, first), ("unknown.example", first), (None, first), *names.items()]:
        for implicit in (True, False):
            if implicit:
                t = Talk(relay.tls_port, tls=unverified, name=name)
            else:
                t = Talk(relay.port)
                t.ehlo()
                t.starttls(unverified, name)
            assert t.socket.getpeercert(binary_form=True) == expected, (name, implicit)


def test_a_session_is_resumed_by_any_process():
    relay = Relay(1, workers=3)
    context = relay.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    t = Talk(relay.tls_port, tls=context)
    session = t.socket.session
    reused = []
    for _ in range(12):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", relay.tls_port), 60), server_hostname=HOST, session=session)
        reused.append(s.session_reused)
        s.close()
    assert all(reused), reused


# ---- queue, which admits and counts, is away or silent ----
def test_sessions_outlive_queue_and_are_known_to_the_next():
    sink = Sink()
    relay = Relay(sink.port, limits="connections = 2;")
    first, second = Talk(relay.port).ready(relay.tls()), Talk(relay.port).ready(relay.tls())
    relay.kill_role("queue")
    relay.wait_log("event=role.died")
    first.send(ALICE, "bob@example.net", message())  # the new queue takes it, or the old one's successor does within 10 s
    wait_for(lambda: len(relay.pids("queue")) == 1 and relay.log_since_start().count("event=queue.opened") == 2, "the next queue")
    wait_for(lambda: relay.figures("queue")["logged_in"] == 2, "both processes have told it")

    def third():
        """The answer of the new queue: a process that has not found it yet says 454."""
        t = Talk(relay.port)
        t.ehlo()
        t.starttls(relay.tls()).ehlo()
        answer = t.login(expect="")
        return answer if not answer.startswith("454") else None
    assert wait_for(third, "an answer").startswith("421 4.7.0"), "two are logged in already"
    second.say("QUIT", 221)
    wait_for(lambda: (third() or "").startswith("235"), "a place for another")
    sink.wait(1)


def test_a_silent_queue_is_not_waited_for():
    relay = Relay(1, limits='messages = [ "100/1h" ];')
    ready = Talk(relay.port).ready(relay.tls())
    [queue] = relay.pids("queue")
    os.kill(queue, signal.SIGSTOP)
    try:
        t = Talk(relay.port)
        assert t.greeting.startswith("220"), "clients are greeted without it"
        t.ehlo()
        t.starttls(relay.tls()).ehlo()
        assert t.login(expect=454).startswith("454 4.7.0")
        assert t.login(password="wrong", expect=454).startswith("454 4.7.0")
        assert ready.say(f"MAIL FROM:<{ALICE}>").startswith("451 4.3.0")
    finally:
        os.kill(queue, signal.SIGCONT)
    wait_for(lambda: t.login(expect="").startswith("235"), "a login")
    ready.say(f"MAIL FROM:<{ALICE}>", 250)


def test_wrong_passwords_ban_the_network_and_not_the_user():
    relay = Relay(1, submission='login_delay = "100ms";', auth='failures = "3/1h";')
    Talk(relay.port, "127.0.0.50").ready(relay.tls()).say("QUIT", 221)  # from here alice is known
    t = Talk(relay.port, "127.0.0.51")
    t.ehlo()
    t.starttls(relay.tls()).ehlo()
    codes = [t.login(password=f"wrong{n}", expect="")[:9] for n in range(3)]  # the same one again would count once
    assert codes[0] == "535 5.7.8" and codes[-1] == "535 5.7.8", codes
    assert t.login(password="wrong", expect="").startswith("421 4.7.0") and t.at_end()
    assert Talk(relay.port, "127.0.0.51").greeting.startswith("421 4.7.0")
    with socket.create_connection(("127.0.0.1", relay.tls_port), 60, source_address=("127.0.0.51", 0)) as raw:
        with relay.tls().wrap_socket(raw, server_hostname=HOST) as s:
            assert s.recv(400).startswith(b"421 4.7.0")  # where a client can read it
    Talk(relay.port, "127.0.0.50").ready(relay.tls()).say("QUIT", 221)
    # elsewhere the login is banned, with the same words for a right and a wrong password
    answers = []
    for password in (PASSWORD, "wrong"):
        t = Talk(relay.port, "127.0.0.52")
        t.ehlo()
        t.starttls(relay.tls()).ehlo()
        answers.append(t.login(password=password, expect=""))
    assert all(a.startswith("454 4.7.0") for a in answers), answers
    relay.wait_log("event=session.refused")
    failed = [line for line in relay.log_now().splitlines() if "event=login.failed" in line]
    assert len(failed) >= 4 and all("client=127.0.0.5" in line and f"login={ALICE}" in line for line in failed), failed


def test_channel_binding_is_offered_where_there_is_one():
    relay = Relay(1, auth='mechanisms = [ "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" ];')
    t = Talk(relay.port)
    assert "AUTH" not in t.ehlo()
    t.starttls(relay.tls())
    assert {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} <= set(t.ehlo().split())
    context = relay.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "SCRAM-SHA-256-PLUS" in Talk(relay.tls_port, tls=context).ehlo()
    key, certificate = relay.dir / "ed.key", relay.dir / "ed.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={HOST}"], check=True,
                   stderr=subprocess.DEVNULL)
    relay.conf.write_text(relay.conf.read_text().replace(f'chain = "{relay.certificate}"; key = "{relay.key}"', 'chain = "ed.pem"; key = "ed.key"'))
    relay.command("reload")
    unverified = ssl._create_unverified_context()
    assert "SCRAM-SHA-256-PLUS" in Talk(relay.tls_port, tls=unverified).ehlo(), "TLS 1.3 has its own"
    unverified.maximum_version = ssl.TLSVersion.TLSv1_2
    t = Talk(relay.tls_port, tls=unverified)
    answer = t.ehlo()
    assert "SCRAM-SHA-256" in answer.split() and "PLUS" not in answer, answer
    assert t.say("AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YSxyPWE=").startswith("504")
