"""Listed hosts that send without logging in, and nobody else: forced sender, allowed recipients, old TLS or none, limits, PROXY."""
import ctypes
import json
import textwrap

from lib import *
from talk import Talk, configured

SCANNER = f"scanner@{DOMAIN}"
SCAN = b"From: Canon MF <me@copier.local>\r\nSubject: scan\r\n\r\nA page.\r\n"


def devices(*entries):
    return "devices = ( " + ", ".join("{ " + e + " }" for e in entries) + " );"


def entry(network, more="", recipients='"@example.net"'):
    return f'networks = [ "{network}" ]; user = "printer@{DOMAIN}"; sender = "{SCANNER}"; recipients = [ {recipients} ]; {more}'


def unverified(version=None):
    context = ssl._create_unverified_context()
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


def test_a_device_has_one_sender_and_few_recipients():
    sink = Sink()
    relay = Relay(sink.port, extra=devices(entry("127.0.0.20/31")))
    t = Talk(relay.port, "127.0.0.20")
    t.ehlo()
    assert t.say("MAIL FROM:<x@y.example>").startswith("530 5.7.0"), "it has to use TLS like everybody"
    t.starttls(relay.tls()).ehlo()
    id = t.send("whoever@copier.local", "bob@example.net", SCAN)
    got = sink.wait(1)[0]
    assert got.sender == SCANNER and got.message["From"].addresses[0].addr_spec == SCANNER, got.bytes
    assert got.message["From"].addresses[0].display_name == "Canon MF", got.message["From"]
    assert verify_dkim(relay, got), got.bytes
    assert b"with ESMTPS " in got.bytes and b"127.0.0.20" not in got.bytes, got.bytes
    t.say("MAIL FROM:<>", 250)
    for address in ("eve@elsewhere.example", "bob@sub.example.net", "bob@example.net.evil.example", "@example.net:eve@elsewhere.example"):
        answer = t.say(f"RCPT TO:<{address}>")
        assert answer.startswith("550 5.7.1") and "host" in answer, answer
    assert t.say("DATA").startswith("5")
    t.say("RSET", 250)
    # a forged author is replaced, a second one too; the null sender as well
    t.send("", "bob@example.net", f"From: ceo@{DOMAIN}, alice@{DOMAIN}\r\nSender: ceo@{DOMAIN}\r\n\r\nhi\r\n".encode())
    got = sink.wait(2)[1]
    assert got.sender == SCANNER and [a.addr_spec for a in got.message["From"].addresses] == [SCANNER] and "Sender" not in got.message, got.bytes
    # the log, the history and the next host of the same network
    accepted = wait_for(lambda: [line for line in relay.log_text().splitlines() if "event=mail.accepted" in line and id in line], id)
    assert f"login=printer@{DOMAIN}" in accepted[0] and "device=@127.0.0.20" in accepted[0] and "client=127.0.0.20" in accepted[0], accepted
    t = Talk(relay.tls_port, "127.0.0.21", tls=relay.tls())
    t.ehlo()
    t.send("", "bob@example.net", SCAN)
    sink.wait(3)


def test_a_device_may_log_in_like_anybody():
    sink = Sink()
    relay = Relay(sink.port, extra=devices(entry("127.0.0.20")))
    t = Talk(relay.port, "127.0.0.20").ready(relay.tls())
    assert t.say(f"MAIL FROM:<{SCANNER}>").startswith("550 5.7.1"), "now it goes by the login"
    t.send(f"alice@{DOMAIN}", "anybody@elsewhere.example", simple_message())
    assert sink.wait(1)[0].sender == f"alice@{DOMAIN}"
    t = Talk(relay.port, "127.0.0.20")
    t.ehlo()
    t.starttls(relay.tls()).ehlo()
    t.login(password="wrong", expect=535)
    t.send("", "bob@example.net", SCAN)  # still what it was
    assert sink.wait(2)[1].sender == SCANNER


def test_old_tls_is_for_devices_only():
    sink = Sink()
    relay = Relay(sink.port, extra=devices(entry("127.0.0.20", 'tls = "legacy";'), entry("127.0.0.30", 'tls = "none";'), entry("127.0.0.40")))
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        for source in ("127.0.0.1", "127.0.0.40"):
            try:
                Talk(relay.tls_port, source, tls=unverified(version))
                raise AssertionError(f"{version} from {source}")
            except (ssl.SSLError, ConnectionError):
                pass
            t = Talk(relay.port, source)
            t.ehlo()
            try:
                t.starttls(unverified(version))
                raise AssertionError(f"{version} from {source} by STARTTLS")
            except (ssl.SSLError, ConnectionError):
                pass
    count = 0
    for source in ("127.0.0.20", "127.0.0.30"):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, None):
            t = Talk(relay.tls_port, source, tls=unverified(version))
            t.ehlo()
            t.send("", "bob@example.net", SCAN)
            t = Talk(relay.port, source)
            t.ehlo()
            t.starttls(unverified(version)).ehlo()
            t.send("", "bob@example.net", SCAN)
            count += 2
    # "legacy" wants some TLS, "none" does without
    t = Talk(relay.port, "127.0.0.20")
    t.ehlo()
    assert t.say("MAIL FROM:<>").startswith("530 5.7.0")
    t = Talk(relay.port, "127.0.0.30")
    answer = t.ehlo()
    assert "STARTTLS" in answer and "AUTH" not in answer, answer
    assert t.say("AUTH PLAIN AGEAYg==").startswith("538"), "no AUTH without TLS, for a device neither"
    t.send("", "bob@example.net", SCAN)
    assert sum(b"with ESMTP " in m.bytes for m in sink.wait(count + 1)) == 1
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.tls_port}", "-bind", "127.0.0.20:0", "-tls1", "-cipher", "ALL:@SECLEVEL=0"],
                          input=b"QUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert b"Protocol  : TLSv1\n" in done.stdout and b"Cipher is ECDHE" in done.stdout, done.stdout.decode("utf-8", "replace")


def test_each_device_has_its_limit():
    sink = Sink()
    relay = Relay(sink.port, extra=devices(entry("127.0.0.20/31", 'tls = "none"; messages = [ "2/1h" ];')))
    first, second = Talk(relay.port, "127.0.0.20"), Talk(relay.port, "127.0.0.21")
    for t in (first, second):
        t.ehlo()
        t.send("", "bob@example.net", SCAN)
        t.send("", "bob@example.net", SCAN)
        answer = t.say("MAIL FROM:<>")
        assert answer.startswith("450 4.7.1"), answer
    sink.wait(4)
    relay.wait_log("event=limit.reached")


def test_what_a_device_may_follows_the_configuration():
    sink = Sink()
    relay = Relay(sink.port, extra=devices(entry("127.0.0.20", 'tls = "none";')))
    t = Talk(relay.port, "127.0.0.20")
    t.ehlo()
    t.send("", "bob@example.net", SCAN)
    relay.write_config(extra=devices(entry("127.0.0.20", 'tls = "none";', '"@example.com"')))
    relay.command("reload")
    t.say("MAIL FROM:<>", 250)
    t.say("RCPT TO:<bob@example.net>", 550)
    t.say("RSET", 250)
    relay.write_config(extra="")
    relay.command("reload")
    assert t.say("MAIL FROM:<>").startswith("421"), "it is no device any more"
    assert t.at_end()
    t = Talk(relay.port, "127.0.0.20")
    t.ehlo()
    t.say("MAIL FROM:<>", 530)


def test_devices_behind_a_proxy():
    """The address that counts is the one in the header, and the header counts from the proxy only."""
    sink = Sink()
    relay = Relay(sink.port, start=False, extra=devices(entry("192.0.2.33", 'tls = "none";'), entry("127.0.0.20", 'tls = "none";')))
    configured(relay, (f'port = {relay.port}; tls = "starttls";', f'port = {relay.port}; tls = "starttls"; proxy_protocol = [ "127.0.0.5" ];'))
    t = Talk(relay.port, "127.0.0.5", prefix=b"PROXY TCP4 192.0.2.33 192.0.2.1 40000 587\r\n")
    t.ehlo()
    t.send("", "bob@example.net", SCAN)
    sink.wait(1)
    for source, prefix in (("127.0.0.5", b"PROXY TCP4 192.0.2.34 192.0.2.1 40000 587\r\n"), ("127.0.0.5", b"PROXY TCP4 127.0.0.2 192.0.2.1 40000 587\r\n"),
                           ("127.0.0.5", b"PROXY UNKNOWN\r\n"), ("127.0.0.6", b"")):
        t = Talk(relay.port, source, prefix=prefix)
        t.ehlo()
        assert t.say("MAIL FROM:<>").startswith("530 5.7.0"), (source, prefix)
    # from anybody else it is not understood: the connection's own address holds
    t = Talk(relay.port, "127.0.0.6", prefix=b"PROXY TCP4 192.0.2.33 192.0.2.1 40000 587\r\n")
    assert t.answer().startswith("500"), "PROXY from a host that is none"
    t.ehlo()
    t.say("MAIL FROM:<>", 530)
    # a proxy that brings a listed address which is not its own to give is trusted all the same: that is what the list says
    t = Talk(relay.port, "127.0.0.5", prefix=b"PROXY TCP4 127.0.0.20 192.0.2.1 40000 587\r\n")
    t.ehlo()
    t.say("MAIL FROM:<>", 250)


# ---- no open relay ----
STRANGER = textwrap.dedent('''
    import json, socket, ssl, sys
    host, source, port, tls_port = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    context = ssl._create_unverified_context()
    answers = []

    def talk(lines, implicit=False, starttls=False):
        s = socket.create_connection((host, tls_port if implicit else port), 20, source_address=(source, 0))
        s = context.wrap_socket(s) if implicit else s
        f = s.makefile("rb")

        def answer():
            text = b""
            while True:
                line = f.readline()
                text += line
                if line[3:4] != b"-":
                    return text.decode("latin-1")
        said = [answer()]
        if starttls:
            for line in (b"EHLO x", b"STARTTLS"):
                s.sendall(line + b"\\r\\n")
                said.append(answer())
            s = context.wrap_socket(s)
            f = s.makefile("rb")
        for line in lines:
            s.sendall(line + b"\\r\\n")
            said.append(answer())
        s.close()
        return said

    message = b"From: scanner@example.org\\r\\nSubject: open?\\r\\n\\r\\nhi\\r\\n."
    senders = [b"MAIL FROM:<>", b"MAIL FROM:<scanner@example.org>", b"MAIL FROM:<alice@example.org>", b"MAIL FROM:<eve@elsewhere.example> AUTH=<>"]
    recipients = [b"RCPT TO:<bob@example.net>", b"RCPT TO:<eve@elsewhere.example>", b"RCPT TO:<eve%elsewhere.example@example.org>",
                  b'RCPT TO:<"eve@elsewhere.example">', b"RCPT TO:<@example.org:eve@elsewhere.example>", b"RCPT TO:<postmaster>"]
    before = [[b"EHLO x"], [b"HELO x"], [b"XCLIENT ADDR=10.77.0.3", b"EHLO x"], [b"PROXY TCP4 10.77.0.3 10.77.0.1 4000 587", b"EHLO x"],
              [b"EHLO [10.77.0.3]"]]
    for way in ({}, {"starttls": True}, {"implicit": True}):
        for hello in before:
            for sender in senders:
                said = talk(hello + [sender, *recipients, b"DATA"], **way)
                answers += said[-2 - len(recipients):]
                if said[-1].startswith("354"):
                    print(json.dumps({"open": [repr(way), repr(hello), repr(sender)]}))
                    sys.exit(0)
    print(json.dumps({"answers": sorted({a[:3] for a in answers}), "n": len(answers)}))
''')

DEVICE = textwrap.dedent('''
    import socket, sys
    s = socket.create_connection((sys.argv[1], int(sys.argv[3])), 20, source_address=(sys.argv[2], 0))
    f = s.makefile("rb")
    f.readline()
    for line in (b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<bob@example.net>", b"DATA", b"Subject: scan\\r\\n\\r\\nA page.\\r\\n."):
        s.sendall(line + b"\\r\\n")
        answer = f.readline()
        if answer[:1] not in (b"2", b"3"):
            sys.exit(f"{line}: {answer}")
''')


def other_network():
    """This test gets a network of its own, with another one beside it in which strangers live; the process that keeps that one open."""
    if os.geteuid() != 0:
        raise Skip("only root can make network namespaces")
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.readlink("/proc/self/ns/net")
    if libc.unshare(0x40000000) != 0:  # CLONE_NEWNET, of this process and those that it starts
        raise Skip(f"no network namespaces here: {os.strerror(ctypes.get_errno())}")
    assert os.readlink("/proc/self/ns/net") != here
    keeper = start_process(["unshare", "-n", "sleep", "600"])
    own = os.readlink("/proc/self/ns/net")
    wait_for(lambda: os.readlink(f"/proc/{keeper.process.pid}/ns/net") != own, "the strangers' network")
    inside = ["nsenter", "-t", str(keeper.process.pid), "-n"]
    for command in (["ip", "link", "set", "lo", "up"], ["ip", "link", "add", "ours", "type", "veth", "peer", "name", "theirs", "netns", str(keeper.process.pid)],
                    ["ip", "addr", "add", "10.77.0.1/24", "dev", "ours"], ["ip", "link", "set", "ours", "up"],
                    [*inside, "ip", "addr", "add", "10.77.0.2/24", "dev", "theirs"], [*inside, "ip", "addr", "add", "10.77.0.3/24", "dev", "theirs"],
                    [*inside, "ip", "link", "set", "theirs", "up"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Skip(f"{' '.join(command)}: {done.stdout.strip()}")
    return inside


def test_no_open_relay_for_another_network():
    """From another network namespace: a host that is not listed gets nothing through by any trick; its listed neighbour does."""
    inside = other_network()
    sink = Sink()
    for extra in ("", devices(entry("10.77.0.3", 'tls = "none";', '"*"'))):
        relay = Relay(sink.port, listen_address="*", extra=extra, limits="connections_per_network = 0;", submission="errors = 1000;")
        arguments = ["10.77.0.1", "10.77.0.2", str(relay.port), str(relay.tls_port)]
        done = subprocess.run([*inside, "/usr/bin/python3", "-c", STRANGER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert "open" not in result and result["n"] == 3 * 5 * 4 * 8, result
        assert not any(code.startswith(("2", "3")) for code in result["answers"]), result
        assert relay.queue() == []
    assert not sink.messages
    done = subprocess.run([*inside, "/usr/bin/python3", "-c", DEVICE, "10.77.0.1", "10.77.0.3", str(relay.port)], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sink.wait(1)[0].sender == SCANNER and b"with SMTP " in sink.messages[0].bytes


def test_a_lock_stops_hosts_that_send_as_the_login():
    """At the door and in a session; unlocked they send again. One locked device is no reason. Who has no password is told of the entry."""
    entries = devices(entry("127.0.0.20/31"), entry("127.0.0.22").replace(f"printer@{DOMAIN}", f"nobody@{DOMAIN}"))
    sink = Sink()
    relay = Relay(sink.port, extra=entries, users=(f"printer@{DOMAIN}",))
    relay.add_user("printer/tray", "paper jam")

    def host(address="127.0.0.20"):
        t = Talk(relay.tls_port, address, tls=relay.tls())
        t.ehlo()
        return t

    running = host("127.0.0.21")
    relay.command("user", "lock", "printer/tray")
    running.say("NOOP", 250)
    relay.command("user", "lock", "printer", "--reason", "stolen")
    assert running.answer().startswith("421 4.7.0 The login that this host sends as is locked"), "its session ends"
    with socket.create_connection(("127.0.0.1", relay.port), source_address=("127.0.0.20", 0), timeout=20) as s:
        assert s.recv(200).startswith(b"421 4.7.0 The login that this host sends as is locked")
    listed = relay.command("user", "list").stdout
    assert "hosts 127.0.0.20/31" in listed and "stolen" in listed, listed
    rows = {r["login"]: r for r in rows_of(relay.command("user", "list", "--json").stdout)}
    assert rows[f"printer@{DOMAIN}"]["hosts"] == "127.0.0.20/31" and rows[f"printer@{DOMAIN}/tray"]["hosts"] == "", rows
    explain = ("explain", "--offline", "--from", SCANNER, "--to", "bob@example.net", "--user")
    done = relay.command(*explain, "printer", check=False)
    assert done.returncode == 65 and "locked since" in done.stdout and "without a password neither: 127.0.0.20/31" in done.stdout, done
    # an incident says it too
    said = relay.command("incident", "printer").stdout
    assert "Hosts that need no password (127.0.0.20/31) are refused too." in said and "devices" not in said, said
    relay.command("user", "unlock", "printer")
    host().send("", "bob@example.net", SCAN)
    sink.wait(1)
    assert "without a password too: 127.0.0.20/31" in relay.command(*explain, "printer", check=False).stdout
    said = relay.command("incident", "printer/tray").stdout
    assert "hosts still send as this login" in said and "refused too" not in said, said
    # a login without an account
    done = relay.command("user", "lock", "nobody", check=False)
    assert done.returncode == 65 and "hosts send as it without a password" in done.stderr, done
    out = relay.command(*explain, "nobody", check=False).stdout
    assert "no account, but these hosts send as it" in out and "127.0.0.22" in out and "127.0.0.22/32" not in out, out
