"""Direct delivery: what the recipient's domain says in the DNS decides where mail goes, real name servers answer, and what is broken for a
while is waited out. All hosts are 127.0.0.x with one delivery.port."""
import time

from lib import *
from peers import BlackHole, Names, NameServer, Postfix, Postgrey, Scripted
from test_delivery import report_of

DIRECT = 'routes = ( { via = [ "mx" ]; } );'
HOME = '''@ MX 10 home
home A 127.0.0.9'''


def direct_relay(resolver, port, delivery="", **settings):
    """An instance without upstreams that delivers to the MX hosts that `resolver` names."""
    delivery = f'port = {port}; resolver = "{resolver}"; {delivery}'
    if "connect =" not in delivery:
        delivery += ' timeouts = { connect = "2s"; };'
    settings.setdefault("extra", DIRECT)
    return Relay(upstream="", delivery=delivery, **settings)


def reports_by_recipient(home, n):
    """The n reports that came home: { address: (code and text, fields) }."""
    found = {}
    for m in home.wait(n):
        words, _, recipients, _ = report_of(m)
        for fields in recipients:
            found[fields["Final-Recipient"].split(";")[1].strip()] = (words, fields)
    return found


def test_preference_decides_and_equals_share():
    names = NameServer({"example.net": "ordered MX 20 mx2\nordered MX 10 mx1\nequal MX 10 mx1\nequal MX 10 mx2\nmx1 A 127.0.0.2\nmx2 A 127.0.0.3"})
    port = free_port()
    first, second = Sink(host="127.0.0.2", port=port), Sink(host="127.0.0.3", port=port)
    relay = direct_relay(names.resolver, port, delivery="reuse = 1;")
    client = relay.connect()
    for _ in range(4):
        relay.submit(to=["bob@ordered.example.net"], client=client)
    first.wait(4)
    assert not second.messages
    relay.wait_empty()
    shares = [0, 0]  # each look-up begins with one or the other; what waits meanwhile goes the same way
    while min(shares) < 3 and sum(shares) < 60:
        relay.submit(to=["bob@equal.example.net"], client=client)
        relay.wait_empty()
        shares = [len(first.messages) - 4, len(second.messages)]
    print("equal preference:", shares)
    assert min(shares) >= 3, shares
    assert all(verify_dkim(relay, m) for m in first.messages[:2])


def test_every_way_to_name_a_host():
    """Implicit MX, CNAME of the domain, CNAME of the host, an address literal of each family, letters in any case."""
    names = NameServer({"example.net": """implicit A 127.0.0.2
alias CNAME real
real MX 5 mx1
odd MX 5 mxalias
mxalias CNAME mx1
six MX 5 mx6
mx1 A 127.0.0.2
mx6 AAAA ::1"""})
    port = free_port()
    sink, six = Sink(host="127.0.0.2", port=port), Sink(host="::1", port=port)
    relay = direct_relay(names.resolver, port)
    recipients = ["bob@implicit.example.net", "bob@alias.example.net", "bob@odd.example.net", "bob@REAL.Example.NET", "bob@[127.0.0.2]"]
    for address in recipients:
        relay.submit(to=[address])
    for address in ("bob@six.example.net", "bob@[IPv6:::1]"):
        relay.submit(to=[address])
    sink.wait(5)
    six.wait(2)
    assert sorted(r.lower() for m in sink.messages for r in m.recipients) == sorted(r.lower() for r in recipients)
    relay.wait_empty()


def test_domains_that_take_no_mail_are_reported():
    """Null MX (RFC 7505), no such domain, a domain without hosts, one that leads back to us (RFC 5321 5.1)."""
    names = NameServer({"example.org": HOME + f"\n{HOST.split('.')[0]} A 127.0.0.1", "example.net": f"""null MX 0 .
nothing TXT "no address"
loop MX 10 {HOST}.
mx1 A 127.0.0.2"""})
    port = free_port()
    home = Sink(host="127.0.0.9", port=port)
    relay = direct_relay(names.resolver, port)
    for domain in ("null", "absent", "nothing", "loop"):
        relay.submit(to=[f"bob@{domain}.example.net"], message=simple_message(f"to {domain}"))
    found = reports_by_recipient(home, 4)
    expected = {"null": ("556", "5.1.10"), "absent": ("550", "5.1.2"), "nothing": ("550", "5.1.2"), "loop": ("554", "5.4.6")}
    for domain, (code, status) in expected.items():
        words, fields = found[f"bob@{domain}.example.net"]
        assert fields["Action"] == "failed" and fields["Status"] == status, (domain, fields.as_string())
        assert code in fields.as_string() or code in words, (domain, fields.as_string(), words)
    relay.wait_empty()


def test_broken_names_wait_until_they_are_mended():
    names = Names({"bad.example": [("MX", "10 mx.good.example.")], "mute.example": [("MX", "10 mx.good.example.")],
                   "half.example": [("MX", "10 mx.half.example.")], "mx.half.example": [("A", "127.0.0.2")],
                   "good.example": [("MX", "10 mx.good.example.")], "mx.good.example": [("A", "127.0.0.2")]},
                  {"bad.example": "servfail", "mute.example": "silent", "mx.half.example": "servfail"})
    port = free_port()
    sink = Sink(host="127.0.0.2", port=port)
    relay = direct_relay(names.resolver, port)
    ids = {domain: relay.submit(to=[f"bob@{domain}.example"]) for domain in ("bad", "mute", "half")}
    relay.submit(to=["bob@good.example"])
    sink.wait(1)
    for domain, id in ids.items():
        deferred = relay.wait_event(id, "delivery.deferred")
        assert "4.4.3" in json.dumps(deferred), (domain, deferred)
    wait_for(lambda: len(relay.queue()) == 3, "the one that works has gone")
    assert len(sink.messages) == 1
    names.faults.clear()
    relay.retry_until(lambda: len(sink.messages) >= 4)
    relay.wait_empty()
    assert len(sink.messages) == 4


def test_the_next_host_when_the_first_is_down():
    """Refused, never answered, busy, unwilling at the greeting, silent: each time the second host has the mail within the connect time."""
    port = free_port()
    faults = {"refused": None, "hole": None, "busy": "421 4.3.2 too busy", "unwilling": "554 5.3.2 no mail here", "silent": "silent"}
    zone, first = "", {}
    for i, (domain, greeting) in enumerate(faults.items(), 20):
        zone += f"{domain} MX 10 first-{domain}\n{domain} MX 20 second\nfirst-{domain} A 127.0.0.{i}\n"
        if domain == "hole":
            BlackHole(f"127.0.0.{i}", port)
        elif greeting:
            first[domain] = Scripted(host=f"127.0.0.{i}", port=port, answers={"GREETING": lambda line, g=greeting: g})
    names = NameServer({"example.net": zone + "second A 127.0.0.3"})
    sink = Sink(host="127.0.0.3", port=port)
    relay = direct_relay(names.resolver, port, delivery='timeouts = { connect = "1s"; greeting = "1s"; };')
    for n, domain in enumerate(faults, 1):
        id = relay.submit(to=[f"bob@{domain}.example.net"])
        sink.wait(n)
        assert_at_once(relay, id)
    assert all(server.connections >= 1 for server in first.values())


def assert_at_once(relay, id):
    """It was delivered by the first attempt, which went on to another host or address: not by a later one."""
    relay.wait_empty()
    assert [e["event"] for e in relay.events(id)] == ["mail.accepted", "delivery.sent"], relay.events(id)


def test_a_dead_address_family_is_not_waited_out():
    names = NameServer({"example.net": "@ MX 10 mx\nmx AAAA ::1\nmx A 127.0.0.2"})
    port = free_port("::1")
    BlackHole("::1", port)
    sink = Sink(host="127.0.0.2", port=port)
    relay = direct_relay(names.resolver, port, delivery='timeouts = { connect = "2s"; };')
    id = relay.submit()
    sink.wait(1)
    assert_at_once(relay, id)


def test_an_own_name_that_is_not_best_is_left_out():
    """RFC 5321 5.1: we are the second host; when the first is down, mail waits and does not come to ourselves."""
    names = NameServer({"example.org": f"{HOST.split('.')[0]} A 127.0.0.1",
                        "example.net": f"@ MX 10 mx\n@ MX 20 {HOST}.\n@ MX 30 last\nmx A 127.0.0.2\nlast A 127.0.0.3"})
    port = free_port()
    last = Sink(host="127.0.0.3", port=port)
    relay = direct_relay(names.resolver, port)
    relay.submit()
    relay.wait_log("event=destination.down")
    sink = Sink(host="127.0.0.2", port=port)
    relay.retry_until(lambda: sink.messages)
    relay.wait_empty()
    assert not last.messages


def test_opportunistic_tls_and_back_to_clear_text():
    context, cert = tls_context(WORK_DIR())
    pair = (cert, str(cert).replace(".pem", ".key"))
    names = NameServer({"example.net": "good MX 10 mx2\nbroken MX 10 mx3\nplain MX 10 mx4\nold MX 10 mx5\n"
                                       "mx2 A 127.0.0.2\nmx3 A 127.0.0.3\nmx4 A 127.0.0.4\nmx5 A 127.0.0.5"})
    port = free_port()
    good = Postfix(host="127.0.0.2", port=port, domains=["good.example.net"], tls="may", certificate=pair)
    broken = Postfix(host="127.0.0.3", port=port, domains=["broken.example.net"], tls="broken", certificate=pair)
    plain = Postfix(host="127.0.0.4", port=port, domains=["plain.example.net"])
    old = Postfix(host="127.0.0.5", port=port, domains=["old.example.net"], tls="old", certificate=pair)
    relay = direct_relay(names.resolver, port)
    for domain, server, word in (("good", good, b"ESMTPS"), ("broken", broken, b"ESMTP"), ("plain", plain, b"ESMTP"), ("old", old, b"ESMTPS")):
        relay.submit(to=[f"bob@{domain}.example.net"], message=simple_message(domain))
        text = server.wait(1)[0]
        received = text.split(b"Received: ")[1]
        assert b"with " + word + b" id" in received, received
    relay.wait_empty()


def test_what_the_configuration_demands_of_a_domain_is_shown_everywhere():
    """An exception, a rule for another domain, and the default: mail, log, trace, explain and status agree."""
    context, cert = tls_context(WORK_DIR())
    pair = (cert, str(cert).replace(".pem", ".key"))
    names = NameServer({"example.net": "good MX 10 mx2\nbroken MX 10 mx3\nstrict MX 10 mx4\n"
                                       "mx2 A 127.0.0.2\nmx3 A 127.0.0.3\nmx4 A 127.0.0.4"})
    port = free_port()
    good = Postfix(host="127.0.0.2", port=port, domains=["good.example.net"], tls="may", certificate=pair)
    broken = Postfix(host="127.0.0.3", port=port, domains=["broken.example.net"], tls="broken", certificate=pair)
    strict = Postfix(host="127.0.0.4", port=port, domains=["strict.example.net"], tls="may", certificate=pair)
    relay = direct_relay(names.resolver, port, delivery='tls = "encrypted";', extra=DIRECT + '''
tls = ( { destinations = [ "@broken.example.net" ]; require = "none"; }, { destinations = [ "@strict.example.net" ]; require = "verified"; } );''')
    ids = {domain: relay.submit(to=[f"bob@{domain}.example.net"], message=simple_message(domain)) for domain in ("good", "broken", "strict")}
    assert b"with ESMTPS id" in good.wait(1)[0] and b"with ESMTP id" in broken.wait(1)[0]
    def attempt(domain):
        """The policy and the result of the first attempt."""
        found = [e["fields"] for e in relay.events(ids[domain]) if e["event"].startswith("delivery.") and e["fields"].get("tls_policy")]
        return found and (found[0]["tls_policy"], found[0].get("tls_result", ""))

    wait_for(lambda: attempt("strict"), "the attempt that fails")
    assert attempt("good") == ("encrypted by configuration", ""), relay.events(ids["good"])
    assert attempt("broken") == ("opportunistic by configuration", "validation-failure"), relay.events(ids["broken"])
    assert attempt("strict") == ("verified by configuration", "certificate-not-trusted"), relay.events(ids["strict"])
    assert not strict.messages()
    text = " ".join(relay.command("trace", ids["broken"]).stdout.split())
    assert "(policy: opportunistic by configuration; validation-failure)" in text, text
    status = relay.command("status").stdout
    assert "exception: mail to @broken.example.net goes without DANE and MTA-STS" in status, status
    # explain, with and without a relay; nobody is named who sends
    for live in (True, False):
        steps = {domain: rows_of(relay.command("explain", "--to", f"x@{domain}.example.net", "--json").stdout) for domain in ids}
        tls = {domain: next(s for s in found if s["step"] == "TLS") for domain, found in steps.items()}
        assert all(s["verdict"] == ("ok" if live else "unknown") for s in tls.values()), tls
        assert tls["broken"]["rule"] == "tls[1]" and tls["broken"]["line"] and "an exception" in tls["broken"]["reason"], tls
        assert tls["good"]["rule"] is None and "(delivery.tls)" in tls["good"]["reason"], tls
        assert live == ("mx4.example.net: verified by configuration, certificate must bear mx4.example.net" in tls["strict"]["reason"]), tls
        if live:
            relay.stop()


def test_two_routes_to_one_domain_demand_different_tls():
    """Its server has a certificate that nobody trusts. Mail of one sender waits for a better one, mail of the other goes."""
    context, cert = tls_context(WORK_DIR())
    names = NameServer({"example.net": "far MX 10 mx2\nmx2 A 127.0.0.2"})
    port = free_port()
    server = Postfix(host="127.0.0.2", port=port, domains=["far.example.net"], tls="may", certificate=(cert, str(cert).replace(".pem", ".key")))
    relay = direct_relay(names.resolver, port, extra=f'''routes = ( {{ senders = [ "careful@{DOMAIN}" ]; via = [ "mx" ]; tls = "verified"; }},
           {{ senders = [ "lax@{DOMAIN}" ]; via = [ "mx" ]; tls = "none"; }}, {{ via = [ "mx" ]; }} );
senders = ( {{ user = "alice"; addresses = [ "*" ]; }} );''')
    submit = lambda sender: relay.submit(to=["bob@far.example.net"], sender=f"{sender}@{DOMAIN}", message=simple_message(sender))
    waits = submit("careful")
    deferred = relay.wait_event(waits, "delivery.deferred")[0]["fields"]
    assert deferred["tls_policy"] == "verified by configuration" and deferred["tls_result"] == "certificate-not-trusted", deferred
    assert "certificate" in json.dumps(deferred), deferred
    for sender, policy in (("alice", "opportunistic"), ("lax", "opportunistic by configuration")):
        sent = relay.wait_event(submit(sender), "delivery.sent")[0]["fields"]
        assert sent["tls_policy"] == policy and sent["tls"].startswith("TLSv1"), sent
    assert len(server.wait(2)) == 2
    assert not any(e["event"] == "delivery.sent" for e in relay.events(waits))
    status = relay.command("status").stdout
    assert "exception: mail by routes[2] goes without DANE and MTA-STS" in status and "mx:far.example.net/verified" in status, status
    step = lambda sender: next(s for s in rows_of(relay.command("explain", "--user", "alice", "--from", f"{sender}@{DOMAIN}", "--to", "x@far.example.net",
                                                                "--json", check=False).stdout) if s["step"] == "TLS")
    careful, lax, other = step("careful"), step("lax"), step("alice")
    assert careful["rule"] == "routes[1]" and careful["line"] and "(routes[1])" in careful["reason"], careful
    assert "mx2.example.net: verified by configuration" in careful["reason"], careful
    assert lax["rule"] == "routes[2]" and "an exception" in lax["reason"], lax
    assert other["rule"] is None and "(delivery.tls)" in other["reason"], other


def test_a_slow_domain_delays_nobody_else():
    """Thirty messages for a host that does not answer, and for a domain whose name server takes five seconds, before ten for a quick one."""
    names = Names({"slow.example": [("MX", "10 mx.slow.example.")], "mx.slow.example": [("A", "127.0.0.2")], "late.example": [("MX", "10 mx.quick.example.")],
                   "quick.example": [("MX", "10 mx.quick.example.")], "mx.quick.example": [("A", "127.0.0.3")]}, {"late.example": 5})
    port = free_port()
    answers = threading.Event()
    slow = Scripted(host="127.0.0.2", port=port, answers={"END": lambda line: answers.wait(LIMIT) and None})
    quick = Sink(host="127.0.0.3", port=port)
    relay = direct_relay(names.resolver, port, delivery="connections_per_destination = 2;")
    client = relay.connect()
    for i in range(30):
        relay.submit(to=[f"bob@{'slow' if i % 3 else 'late'}.example"], client=client)
    for _ in range(10):
        relay.submit(to=["bob@quick.example"], client=client)
    count = lambda: sum(m.recipients == ["bob@quick.example"] for m in list(quick.messages))
    wait_for(lambda: count() == 10, "ten quick ones")
    assert not slow.messages
    answers.set()
    slow.wait(20)
    assert slow.peak <= 2, slow.peak
    wait_for(lambda: len(quick.messages) == 20, "the late ones")


def test_a_dead_domain_is_probed_by_one_message():
    names = NameServer({"example.net": "@ MX 10 mx\nmx A 127.0.0.2"})
    port = free_port()
    dead = Scripted(host="127.0.0.2", port=port, answers={"GREETING": lambda line: "421 4.3.2 closed for now"})
    relay = direct_relay(names.resolver, port)
    client = relay.connect()
    begun = time.monotonic()
    relay.submit(client=client)
    relay.wait_log("event=destination.down")
    for _ in range(12):
        relay.submit(client=client)
    time.sleep(8)  # thirteen messages that each go their own way would come a hundred times
    connections, took = dead.connections, time.monotonic() - begun
    print(f"{connections} connections for 13 messages in {took:.1f} s of retries every second")
    assert connections <= took + 3, connections
    assert len(relay.queue()) == 13
    dead.answers.clear()
    relay.command("queue", "retry", "--all")
    dead.wait(13)
    relay.wait_empty()
    assert len(dead.messages) == 13


def test_greylisting_by_postgrey_is_passed():
    """postgrey in front of Postfix: the first attempt is deferred, the next one from the same address is taken."""
    names = NameServer({"example.net": "@ MX 10 mx\nmx A 127.0.0.2"})
    port = free_port()
    grey = Postgrey(delay=2)
    postfix = Postfix(host="127.0.0.2", port=port, greylist=grey.port)
    relay = direct_relay(names.resolver, port, retry='"2s"')
    id = relay.submit()
    text = postfix.wait(1)[0]
    assert b"X-Greylist: delayed" in text, text
    relay.wait_empty()
    events = relay.events(id)
    deferred = [e for e in events if e["event"] == "delivery.deferred"]
    assert deferred and "reylist" in json.dumps(deferred), events
    assert events[-1]["event"] == "delivery.sent", events


def test_idn_domains():
    """The domain of a recipient in UTF-8, when clients may say so, and always as A-label; nothing else needs SMTPUTF8."""
    names = NameServer({"example.net": "xn--bcher-kva MX 10 mx\nmx A 127.0.0.2"})
    port = free_port()
    sink = Scripted(host="127.0.0.2", port=port)
    relay = direct_relay(names.resolver, port)
    relay.submit(to=["bob@xn--bcher-kva.example.net"])
    assert sink.wait(1)[0].recipients == ["bob@xn--bcher-kva.example.net"]
    client = relay.connect()
    if not client.has_extn("smtputf8"):
        print("SMTPUTF8 is not offered to clients")
        return
    code, text = client.docmd(f"MAIL FROM:<alice@{DOMAIN}> SMTPUTF8")
    assert code == 250, text
    client.sock.sendall("RCPT TO:<bob@bücher.example.net>\r\n".encode())
    assert client.getreply()[0] == 250
    assert client.data(simple_message())[0] == 250
    assert sink.wait(2)[1].recipients == ["bob@xn--bcher-kva.example.net"]


def test_a_crowd_of_domains_arrives_whole():
    """Forty domains, some dead, some slow, five recipients each in one message: one transaction per domain, each recipient once."""
    names = NameServer({"example.net": "\n".join(f"d{i} MX 10 mx{i % 4}" for i in range(40)) + "\n" + "\n".join(f"mx{i} A 127.0.0.{i + 2}" for i in range(4))})
    port = free_port()
    sinks = [Sink(host=f"127.0.0.{i + 2}", port=port, delay=0.2 if i == 1 else 0) for i in range(3)]
    relay = direct_relay(names.resolver, port)
    recipients = [f"r{k}@d{i}.example.net" for i in range(16) for k in range(5)]
    relay.submit(to=recipients)
    alive = sorted(r for r in recipients if int(r.split("@d")[1].split(".")[0]) % 4 != 3)
    got = lambda: sorted(r for s in sinks for m in list(s.messages) for r in m.recipients)
    wait_for(lambda: got() == alive, "all of the living domains")
    for s in sinks:
        for m in s.messages:
            assert len({r.split("@")[1] for r in m.recipients}) == 1, m.recipients
    sinks.append(Sink(host="127.0.0.5", port=port))
    relay.retry_until(lambda: got() == sorted(recipients), lambda: f"all of the others too, there are {len(got())}")
    relay.wait_empty()
