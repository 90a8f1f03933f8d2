"""REQUIRETLS and TLS-Required: No (RFC 8689) with real servers: aiosmtpd with the extension, aiosmtpd and Postfix without. What the words mean
from client to next hop has tests of its own; here is what comes of them."""
from test_delivery import report_of
from tls_bed import *

ALICE = f"alice@{DOMAIN}"
UNIMPORTANT = "TLS-Required: No\r\n"


def bed_with_home():
    """Reports come home to a server with REQUIRETLS, in our own domain."""
    bed = TlsBed()
    bed.home = bed.sink(f"home.{DOMAIN}", bed.authority.issue(f"home.{DOMAIN}"), kind=RequireTlsSink)
    bed.add(DOMAIN, "MX", f"10 home.{DOMAIN}.")
    bed.policy(DOMAIN, policy_text(f"home.{DOMAIN}"))
    return bed


def submit(bed, to):
    """A message that demands TLS; its id."""
    client = bed.relay.connect()
    assert client.has_extn("requiretls"), client.esmtp_features
    code, text = client.docmd(f"MAIL FROM:<{ALICE}> REQUIRETLS")
    assert code == 250, text
    assert client.rcpt(to)[0] == 250
    code, text = client.data(simple_message("secret", body="The secret.\r\n"))
    assert code == 250, text
    client.quit()
    return text.split()[-1].decode()


def report(bed, to):
    """The report about this recipient that came home: its status. It has nothing of the text."""
    message = wait_for(lambda: [m for m in bed.home.messages if to.encode() in m.bytes], f"a report about {to}")[0]
    assert b"The secret." not in message.bytes
    _, _, recipients, _ = report_of(message)
    assert recipients[0]["Final-Recipient"].split(";")[1].strip() == to and recipients[0]["Action"] == "failed", recipients[0].as_string()
    return recipients[0]["Status"]


# ---- REQUIRETLS ----
def test_required_and_there():
    """Found by DNSSEC and named by TLSA records; found by MTA-STS and named by its certificate: the demand goes on to the server."""
    bed = TlsBed()
    own = self_signed("mx.signed.test")
    dane = bed.sink("mx.signed.test", own, kind=RequireTlsSink)
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.tlsa("mx.signed.test", own.tlsa(3, 1, 1))
    sts = bed.sink("mx.plain.test", bed.authority.issue("mx.plain.test"), kind=RequireTlsSink)
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.policy("plain.test", policy_text("mx.plain.test"))
    bed.start()
    for to, server in (("bob@signed.test", dane), ("bob@plain.test", sts)):
        submit(bed, to)
        bed.arrived(to, server)
        assert "REQUIRETLS" in server.messages[0].mail_options, server.messages[0].mail_options
        bed.relay.submit(to=[to.replace("bob", "eve")])
        bed.arrived(to.replace("bob", "eve"), server)
        assert "REQUIRETLS" not in server.messages[1].mail_options, "the demand of one message is none of the next"


def test_required_and_not_possible():
    """Each server lacks one thing, none gets the text, and the sender is told at once (RFC 8689 4.2.1)."""
    bed = bed_with_home()
    authority = bed.authority
    servers = {"extension": bed.host("extension.signed.test", authority.issue("extension.signed.test"), domains=["extension.test"]),
               "certificate": bed.sink("certificate.signed.test", self_signed("certificate.signed.test"), kind=RequireTlsSink),
               "starttls": bed.sink("starttls.signed.test")}
    unproved = bed.sink("mx.plain.test", authority.issue("mx.plain.test"), kind=RequireTlsSink)  # nothing says that it is the right server
    for label in servers:
        bed.add(f"{label}.others.test", "MX", f"10 {label}.signed.test.")
    bed.add("unproved.plain.test", "MX", "10 mx.plain.test.")
    bed.start()
    addresses = {label: f"bob@{label}.others.test" for label in servers} | {"unproved": "bob@unproved.plain.test"}
    for to in addresses.values():
        submit(bed, to)
    status = {label: report(bed, to) for label, to in addresses.items()}
    assert status["extension"] == "5.7.30" and all(s in ("5.7.10", "5.7.30") for s in status.values()), status
    assert not servers["extension"].messages() and not any(s.messages for s in (servers["certificate"], servers["starttls"], unproved))
    assert all("REQUIRETLS" in m.mail_options for m in bed.home.messages), "reports are protected like the message (RFC 8689 5)"


def test_required_and_the_second_server_can():
    bed = TlsBed()
    first = bed.sink("mx1.signed.test", bed.authority.issue("mx1.signed.test"))
    second = bed.sink("mx2.signed.test", bed.authority.issue("mx2.signed.test"), kind=RequireTlsSink)
    bed.add("signed.test", "MX", "10 mx1.signed.test.", "20 mx2.signed.test.")
    bed.start()
    submit(bed, "bob@signed.test")
    bed.arrived("bob@signed.test", second)
    assert not first.messages and "REQUIRETLS" in second.messages[0].mail_options


# ---- TLS-Required: No ----
def test_not_required():
    """The message of no importance goes where others wait: past a policy, past TLSA records. The field stays in it (RFC 8689 3)."""
    bed = TlsBed()
    plain, dane = bed.sink("mx.plain.test"), bed.sink("mx.signed.test", self_signed("mx.signed.test"))
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.policy("plain.test", policy_text("mx.plain.test"))
    bed.tlsa("mx.signed.test", self_signed("mx.signed.test").tlsa(3, 1, 1))
    bed.start()
    for to, server, word in (("bob@plain.test", plain, b"ESMTP"), ("bob@signed.test", dane, b"ESMTPS")):
        bed.waits(to.replace("bob", "eve"), servers=[server])
        bed.arrives(to, server, word=word, message=simple_message("cake", headers=UNIMPORTANT))
        assert server.messages[0].message["TLS-Required"] == "No"
        assert all(m.recipients == [to] for m in server.messages)
