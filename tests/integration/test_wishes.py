"""What a message itself asks of TLS (RFC 8689): REQUIRETLS, by which it goes verified or comes back, and "TLS-Required: No", by which it goes whatever
the recipient's domain demands."""
from tls_bed import *
from test_delivery import report_of

ALICE = f"alice@{DOMAIN}"


def send(relay, to, message=None, *options):
    client = relay.connect()
    assert client.mail(ALICE, list(options))[0] == 250
    assert client.rcpt(to)[0] == 250
    code, text = client.data(message or simple_message())
    client.quit()
    assert code == 250, text
    return text.split()[-1].decode()


def no_matter(subject="of no importance"):
    return simple_message(subject, headers="TLS-Required: No\r\n")


def home(bed):
    """Where reports to alice go."""
    sink = bed.sink(f"mx.{DOMAIN}")
    bed.add(DOMAIN, "MX", f"10 mx.{DOMAIN}.")
    return sink


def comes_back(bed, sink, id, status):
    wait_for(lambda: [m for m in sink.messages if m.sender == ""], lambda: f"a report of {id}: {bed.relay.trace(id)}")
    report = [m for m in sink.messages if m.sender == ""][0]
    assert report_of(report)[2][0]["Status"] == status, report.bytes
    return report


def got(server, to, n=1):
    wait_for(lambda: len([m for m in server.messages if to in m.recipients]) >= n, f"mail for {to}")
    return [m for m in server.messages if to in m.recipients][-1]


# ---- REQUIRETLS ----
def test_requiretls_by_dane_and_by_a_trusted_name():
    """A server that DNSSEC says is the domain's, with the right certificate, gets it with REQUIRETLS; other mail has a connection of its own."""
    bed = TlsBed()
    own = self_signed("mx1.signed.test")
    dane = bed.sink("mx1.signed.test", own, kind=RequireTlsSink)
    bed.add("a.signed.test", "MX", "10 mx1.signed.test.")
    bed.tlsa("mx1.signed.test", own.tlsa(3, 1, 1))
    trusted = bed.sink("mx2.signed.test", bed.authority.issue("mx2.signed.test"), kind=RequireTlsSink)
    bed.add("b.signed.test", "MX", "10 mx2.signed.test.")
    bed.start()
    for to, server in (("bob@a.signed.test", dane), ("bob@b.signed.test", trusted)):
        id = send(bed.relay, to, None, "REQUIRETLS")
        message = got(server, to)
        assert message.tls and "REQUIRETLS" in message.mail_options, message.mail_options
        send(bed.relay, to)
        message = got(server, to, 2)
        assert message.tls and "REQUIRETLS" not in message.mail_options, message.mail_options
        wait_for(lambda: "REQUIRETLS" in json.dumps(bed.relay.trace(id)), "the wish in the trace")
        assert "asks for  REQUIRETLS" in bed.relay.command("queue", "show", id).stdout


def test_requiretls_where_it_is_not_offered():
    """It comes back, with its header only; other mail goes on at once."""
    bed = TlsBed()
    mx = bed.sink("mx.signed.test", bed.authority.issue("mx.signed.test"))
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    alice = home(bed)
    bed.start()
    id = send(bed.relay, "bob@signed.test", simple_message(body="words of the body\r\n"), "REQUIRETLS", "RET=FULL")
    report = comes_back(bed, alice, id, "5.7.30")
    assert b"words of the body" not in report.bytes
    send(bed.relay, "bob@signed.test")
    got(mx, "bob@signed.test")
    assert len(mx.messages) == 1


def test_requiretls_at_another_host():
    """RFC 8689 4.2.1: each host of the domain is tried."""
    bed = TlsBed()
    first = bed.sink("mx1.signed.test", bed.authority.issue("mx1.signed.test"))
    second = bed.sink("mx2.signed.test", bed.authority.issue("mx2.signed.test"), kind=RequireTlsSink)
    bed.add("signed.test", "MX", "10 mx1.signed.test.", "20 mx2.signed.test.")
    bed.start()
    send(bed.relay, "bob@signed.test", None, "REQUIRETLS")
    assert "REQUIRETLS" in got(second, "bob@signed.test").mail_options and not first.messages


def test_requiretls_without_verified_tls():
    """An unsigned zone, a certificate that nobody trusts, and no TLS: never sent, not in clear text either."""
    bed = TlsBed()
    unsigned = bed.sink("mx.plain.test", bed.authority.issue("mx.plain.test"), kind=RequireTlsSink)
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    unknown = bed.sink("mx1.signed.test", self_signed("mx1.signed.test"), kind=RequireTlsSink)
    bed.add("a.signed.test", "MX", "10 mx1.signed.test.")
    clear = bed.sink("mx2.signed.test", kind=RequireTlsSink)
    bed.add("b.signed.test", "MX", "10 mx2.signed.test.")
    alice = home(bed)
    bed.start()
    for to, server in (("bob@plain.test", unsigned), ("bob@a.signed.test", unknown), ("bob@b.signed.test", clear)):
        comes_back(bed, alice, send(bed.relay, to, None, "REQUIRETLS"), "5.7.10")
        alice.messages.clear()
        assert not server.messages
        send(bed.relay, to)
        assert "REQUIRETLS" not in got(server, to).mail_options


def test_explain_knows_wishes():
    """With REQUIRETLS: by DANE, or no mail for a server that nobody vouches for; with "TLS-Required: No" what the domain says does not count."""
    bed = TlsBed()
    own = self_signed("mx.signed.test")
    bed.sink("mx.signed.test", own)
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.tlsa("mx.signed.test", own.tlsa(3, 1, 1))
    bed.sink("mx.plain.test")
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.start()

    def said(to, *options):
        return " ".join(bed.relay.command("explain", "--to", to, *options, check=False).stdout.split())
    assert "mx.signed.test: dane" in said("bob@signed.test", "--requiretls")
    assert "mx.signed.test: opportunistic" in said("bob@signed.test", "--tls-optional")
    assert "mx.plain.test: opportunistic" in said("bob@plain.test")
    assert "mx.plain.test: gets no mail: REQUIRETLS is demanded" in said("bob@plain.test", "--requiretls")


def test_requiretls_by_names_of_the_configuration():
    bed = TlsBed()
    mx = bed.sink("mx.plain.test", bed.authority.issue("the.right.one"), kind=RequireTlsSink)
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.start(extra='tls = ( { destinations = [ "@plain.test" ]; require = "verified"; names = [ "the.right.one" ]; } );')
    send(bed.relay, "bob@plain.test", None, "REQUIRETLS")
    assert "REQUIRETLS" in got(mx, "bob@plain.test").mail_options


def test_requiretls_takes_another_way_of_the_route():
    context, cert = tls_context(WORK_DIR())
    first = Sink(tls="starttls", tls_context=context)
    second = RequireTlsSink(tls="starttls", tls_context=context)
    entry = '{{ name = "{}"; host = "127.0.0.1"; port = {}; tls = "starttls"; ca = "{}"; tls_name = "sink.example.net"; }}'
    relay = Relay(upstream=entry.format("first", first.port, cert) + ", " + entry.format("second", second.port, cert),
                  extra='routes = ( { via = [ "first", "second" ]; } );')
    id = send(relay, "bob@example.net", None, "REQUIRETLS")
    assert "REQUIRETLS" in second.wait(1)[0].mail_options
    assert "delivery.rerouted" in [e["event"] for e in relay.events(id)] and not first.messages
    send(relay, "bob@example.net")
    first.wait(1)


# ---- TLS-Required: No ----
def test_optional_puts_dane_aside():
    """Mail that waits because the certificate is wrong does not hold it back; TLS is used all the same, and the field goes along."""
    bed = TlsBed()
    wrong = bed.sink("mx1.signed.test", self_signed("mx1.signed.test"))
    bed.tlsa("mx1.signed.test", self_signed("mx1.signed.test").tlsa(3, 1, 1))
    bed.add("a.signed.test", "MX", "10 mx1.signed.test.")
    clear = bed.sink("mx2.signed.test")
    bed.tlsa("mx2.signed.test", self_signed("mx2.signed.test").tlsa(3, 1, 1))
    bed.add("b.signed.test", "MX", "10 mx2.signed.test.")
    bed.start()
    for to, server, tls in (("bob@a.signed.test", wrong, True), ("bob@b.signed.test", clear, False)):
        waiting = bed.waits(to, servers=[server])
        id = send(bed.relay, to, no_matter())
        message = got(server, to)
        assert message.tls == tls and b"\r\nTLS-Required: No\r\n" in message.bytes
        assert len(server.messages) == 1, "the other one waits"
        wait_for(lambda: "TLS-Required: No" in json.dumps(bed.relay.trace(id)), "the wish in the trace")
        assert "waiting" in bed.relay.command("queue", "show", waiting).stdout


def test_optional_does_not_put_the_configuration_aside():
    bed = TlsBed()
    mx = bed.sink("mx.plain.test", self_signed("mx.plain.test"))
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.start(extra='tls = ( { destinations = [ "@plain.test" ]; require = "verified"; } );')
    bed.waits("bob@plain.test", message=no_matter(), servers=[mx])


def test_a_report_is_optional_too():
    bed = TlsBed()
    mx = bed.sink("mx.signed.test", rcpt=lambda a: "550 5.1.1 no such user")
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    alice = home(bed)
    bed.start()
    report = comes_back(bed, alice, send(bed.relay, "bob@signed.test", no_matter()), "5.1.1")
    assert b"\r\nTLS-Required: No\r\n\r\n" in report.bytes
    alice.messages.clear()
    report = comes_back(bed, alice, send(bed.relay, "bob@signed.test"), "5.1.1")
    assert b"TLS-Required" not in report.bytes.split(b"\r\n\r\n")[0]


def test_requiretls_counts_more_than_the_field():
    bed = TlsBed()
    mx = bed.sink("mx.plain.test")
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    alice = home(bed)
    bed.start()
    comes_back(bed, alice, send(bed.relay, "bob@plain.test", no_matter(), "REQUIRETLS"), "5.7.10")
    assert not mx.messages
