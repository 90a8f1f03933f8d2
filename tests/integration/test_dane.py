"""DANE (RFC 7672): signed zones served by nsd, and Postfix or aiosmtpd as mail servers with right and wrong certificates. Each row says what
has to come of a message: it arrives encrypted, or it waits and is never sent in clear text."""
from tls_bed import *


def bed_of(certificate, *records, domain="signed.test", tls=None, start=True, **options):
    """A domain with one mail server that has this certificate, and the TLSA records: (bed, server)."""
    bed = TlsBed(**options)
    mx = bed.host(f"mx.{domain}", certificate(bed.authority) if callable(certificate) else certificate, tls=tls)
    bed.add(domain, "MX", f"10 mx.{domain}.")
    bed.tlsa(f"mx.{domain}", *records)
    if start:
        bed.start()
    return bed, mx


def verified(certificate, *records, **options):
    """The certificate is as the records say: mail arrives encrypted, and it is said that DANE decided."""
    bed, mx = bed_of(certificate, *records, **options)
    assert by_dane(bed.arrives("bob@signed.test", mx))
    return bed


def refused(words, certificate, *records):
    bed, mx = bed_of(certificate, *records)
    bed.waits("bob@signed.test", words, servers=[mx])


# ---- DANE-EE(3): the server's own certificate; neither its names nor its dates count (RFC 7672 3.1.1) ----
def test_the_digest_of_the_key():
    certificate = self_signed("mx.signed.test")
    bed = verified(certificate, certificate.tlsa(3, 1, 1))
    said = bed.explain("bob@signed.test")
    assert "mx.signed.test: dane" in said, said


def test_the_whole_certificate_and_a_long_digest():
    """3 0 0, 3 0 2 and 3 1 0, each alone; of two records one is enough."""
    bed = TlsBed()
    certificate = self_signed("other.name.example")
    mx = bed.host("mx.signed.test", certificate, domains=["a.signed.test", "b.signed.test", "c.signed.test", "d.signed.test"])
    for label, kind in (("a", (3, 0, 2)), ("b", (3, 0, 0)), ("c", (3, 1, 0))):
        bed.add(f"{label}.signed.test", "MX", f"10 mx-{label}.signed.test.")
        bed.add(f"mx-{label}.signed.test", "A", mx.host)
        bed.tlsa(f"mx-{label}.signed.test", certificate.tlsa(*kind))
    bed.add("d.signed.test", "MX", "10 mx.signed.test.")
    bed.tlsa("mx.signed.test", "3 1 1 " + "00" * 32, certificate.tlsa(3, 1, 2))
    bed.start()
    for label in "abcd":
        assert by_dane(bed.arrives(f"bob@{label}.signed.test", mx)), label


def test_another_certificate_than_the_records_say():
    refused("TLSA", lambda authority: authority.issue("mx.signed.test"), self_signed("mx.signed.test").tlsa(3, 1, 1))


def test_expired_and_named_by_its_digest():
    certificate = self_signed("mx.signed.test", days=(-30, -10))
    verified(certificate, certificate.tlsa(3, 0, 1))


# ---- DANE-TA(2): an authority, whose certificate the server sends too (RFC 7672 3.1.2) ----
def test_an_authority_and_its_chain():
    """2 0 1 of the root, and 2 1 1 of the authority between."""
    bed = TlsBed()
    between = Authority("between", above=bed.authority)
    root = bed.host("mx1.signed.test", between.issue("mx1.signed.test", with_root=True), domains=["a.signed.test"])
    middle = bed.host("mx2.signed.test", between.issue("mx2.signed.test"), domains=["b.signed.test"])
    bed.add("a.signed.test", "MX", "10 mx1.signed.test.")
    bed.add("b.signed.test", "MX", "10 mx2.signed.test.")
    bed.tlsa("mx1.signed.test", bed.authority.tlsa(2, 0, 1))
    bed.tlsa("mx2.signed.test", between.tlsa(2, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@a.signed.test", root)) and by_dane(bed.arrives("bob@b.signed.test", middle))


def test_the_domain_is_a_name_too_with_an_authority():
    """RFC 7672 3.2.2: the name of the host that was looked up, or the recipient's domain."""
    authority = Authority("of the server")
    certificate = authority.issue("signed.test", with_root=True)
    verified(certificate, authority.tlsa(2, 0, 1))


def test_an_authority_does_not_help_a_certificate_of_another_name():
    authority = Authority("of the server")
    refused("hostname mismatch", authority.issue("mx.another.test", with_root=True), authority.tlsa(2, 0, 1))


def test_an_authority_does_not_help_an_expired_certificate():
    authority = Authority("of the server")
    refused("expired", authority.issue("mx.signed.test", with_root=True, days=(-30, -10)), authority.tlsa(2, 1, 1))


# ---- records that do not work ----
def test_unusable_records_demand_tls_of_any_kind():
    """RFC 7672 2.2: PKIX usages are unusable (3.1.3), so are unknown ones. TLS is demanded, the certificate can be any."""
    bed = TlsBed()
    wrong = self_signed("wrong.name.example", days=(-30, -10))
    encrypted = bed.host("mx1.signed.test", wrong, domains=["a.signed.test"])
    plain = bed.host("mx2.signed.test", domains=["b.signed.test"])
    for host, domain in (("mx1", "a"), ("mx2", "b")):
        bed.add(f"{domain}.signed.test", "MX", f"10 {host}.signed.test.")
        bed.tlsa(f"{host}.signed.test", wrong.tlsa(1, 1, 1), bed.authority.tlsa(0, 0, 1), "3 1 1 00", "77 1 1 " + "00" * 32)
    bed.start()
    bed.arrives("bob@a.signed.test", encrypted)
    bed.waits("bob@b.signed.test", "TLS", servers=[plain])


def test_records_whose_signature_does_not_hold():
    """The certificate is right, but nobody can know: bogus answers defer, and nothing is sent without DANE instead."""
    certificate = self_signed("mx.signed.test")
    bed, mx = bed_of(certificate, certificate.tlsa(3, 1, 1), start=False)
    bed.spoilt = [("_25._tcp.mx.signed.test", "TLSA")]
    bed.start()
    id = bed.waits("bob@signed.test", "TLSA", servers=[mx])
    bed.spoilt = []
    bed.names_again()
    bed.relay.retry_until(mx.messages)
    assert by_dane(bed.relay.trace(id))


def test_no_answer_about_the_records():
    """SERVFAIL is no "there are none" (RFC 7672 2.1.2)."""
    certificate = self_signed("mx.signed.test")
    bed, mx = bed_of(certificate, certificate.tlsa(3, 1, 1), start=False)
    bed.failing = ["_tcp.mx.signed.test"]
    bed.start()
    bed.waits("bob@signed.test", "TLSA", servers=[mx])


def test_records_and_a_server_without_tls():
    bed, mx = bed_of(None, self_signed("mx.signed.test").tlsa(3, 1, 1))
    bed.waits("bob@signed.test", "TLS", servers=[mx])


def test_records_and_a_handshake_that_fails():
    """No clear text afterwards, as there would be without the records."""
    bed, mx = bed_of(self_signed("mx.signed.test"), self_signed("mx.signed.test").tlsa(3, 1, 1), tls="broken")
    bed.waits("bob@signed.test", "TLS", servers=[mx])


def test_another_server_has_the_right_certificate():
    """Each host by itself: the first has a wrong certificate, the second takes the mail in the same attempt."""
    bed = TlsBed()
    good, bad = self_signed("mx2.signed.test"), self_signed("mx1.signed.test")
    first, second = bed.host("mx1.signed.test", bad), bed.host("mx2.signed.test", good)
    bed.add("signed.test", "MX", "10 mx1.signed.test.", "20 mx2.signed.test.")
    bed.tlsa("mx1.signed.test", good.tlsa(3, 1, 1))
    bed.tlsa("mx2.signed.test", good.tlsa(3, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@signed.test", second)) and not first.messages()


# ---- what is not signed, or has no records ----
def test_no_records_in_a_signed_zone():
    """Opportunistic, as without DNSSEC: TLS where it is offered, else clear text."""
    bed = TlsBed()
    encrypted = bed.host("mx1.signed.test", self_signed("wrong.name.example"), domains=["a.signed.test"])
    plain = bed.host("mx2.signed.test", domains=["b.signed.test"])
    bed.add("a.signed.test", "MX", "10 mx1.signed.test.")
    bed.add("b.signed.test", "MX", "10 mx2.signed.test.")
    bed.start()
    bed.arrives("bob@a.signed.test", encrypted)
    bed.arrives("bob@b.signed.test", plain, word=b"ESMTP")


def test_a_secure_host_of_an_insecure_domain():
    """RFC 7672 2.2.1: anybody can have made the MX record, but then nobody else can play the host that it names."""
    bed = TlsBed()
    right = self_signed("mx1.signed.test")
    good, bad = bed.host("mx1.signed.test", right, domains=["a.plain.test"]), bed.host("mx2.signed.test", self_signed("x"), domains=["b.plain.test"])
    clear = bed.host("mx3.signed.test", domains=["c.plain.test"])
    for n, label in enumerate("abc", 1):
        bed.add(f"{label}.plain.test", "MX", f"10 mx{n}.signed.test.")
        bed.tlsa(f"mx{n}.signed.test", right.tlsa(3, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@a.plain.test", good))
    bed.waits("bob@b.plain.test", "TLSA", servers=[bad])
    bed.waits("bob@c.plain.test", "TLS", servers=[clear])


def test_the_domain_is_no_name_when_its_mx_records_are_not_signed():
    """RFC 7672 3.2.2: with an authority's record, only the host's own name is good then."""
    authority = Authority("of the server")
    bed = TlsBed()
    mx = bed.host("mx.signed.test", authority.issue("plain.test", with_root=True), domains=["plain.test"])
    bed.add("plain.test", "MX", "10 mx.signed.test.")
    bed.tlsa("mx.signed.test", authority.tlsa(2, 0, 1))
    bed.start()
    bed.waits("bob@plain.test", "hostname mismatch", servers=[mx])


def test_records_of_a_zone_that_is_not_signed():
    """Nobody uses them: a wrong one does no harm."""
    bed, mx = bed_of(self_signed("mx.plain.test"), "3 1 1 " + "00" * 32, domain="plain.test")
    assert not by_dane(bed.arrives("bob@plain.test", mx))


# ---- other names ----
def test_a_host_that_is_an_alias():
    """RFC 7672 2.2.2: the records are at the name to which the alias leads, when the way there is secure."""
    bed = TlsBed()
    certificate = self_signed("mx.others.test")
    mx = bed.host("mx.others.test", certificate, domains=["signed.test"])
    bed.add("signed.test", "MX", "10 alias.signed.test.")
    bed.add("alias.signed.test", "CNAME", "mx.others.test.")
    bed.tlsa("mx.others.test", certificate.tlsa(3, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@signed.test", mx))


def test_a_host_that_is_an_alias_with_records_of_its_own():
    """There are none where the alias leads to, so those at the name of the MX record count."""
    bed = TlsBed()
    mx = bed.host("mx.others.test", self_signed("mx.others.test"), domains=["signed.test"])
    bed.add("signed.test", "MX", "10 alias.signed.test.")
    bed.add("alias.signed.test", "CNAME", "mx.others.test.")
    bed.tlsa("alias.signed.test", self_signed("x").tlsa(3, 1, 1))
    bed.start()
    bed.waits("bob@signed.test", "TLSA", servers=[mx])


def test_records_that_are_an_alias():
    """Many hosts share one record this way."""
    bed = TlsBed()
    authority = Authority("of the server")
    mx = bed.host("mx.signed.test", authority.issue("mx.signed.test", with_root=True))
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.add("_25._tcp.mx.signed.test", "CNAME", "common.others.test.")
    bed.add("common.others.test", "TLSA", authority.tlsa(2, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@signed.test", mx))


def test_a_domain_without_mx_records():
    certificate = self_signed("signed.test")
    bed = TlsBed()
    mx = bed.host("signed.test", certificate, domains=["signed.test"])
    bed.tlsa("signed.test", certificate.tlsa(3, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@signed.test", mx))


def test_the_server_hears_its_name():
    """SNI is the name where the TLSA records are (RFC 7672 2.3.2): a server with many names chooses the certificate by that."""
    bed = TlsBed()
    certificate, other, asked = self_signed("mx.others.test"), self_signed("default.example"), []
    context, right = other.context(), certificate.context()

    def choose(connection, name, _):
        asked.append(name)
        if name == "mx.others.test":
            connection.context = right
    context.sni_callback = choose
    mx = bed.sink("mx.others.test", other, tls_context=context)
    bed.add("signed.test", "MX", "10 alias.signed.test.")
    bed.add("alias.signed.test", "CNAME", "mx.others.test.")
    bed.tlsa("mx.others.test", certificate.tlsa(3, 1, 1))
    bed.start()
    assert by_dane(bed.arrives("bob@signed.test", mx)) and asked == ["mx.others.test"], asked


def test_through_a_recursive_server():
    """delivery.resolver is unbound, which validates too; the answers are validated here again."""
    certificate = self_signed("mx.signed.test")
    bed, mx = bed_of(certificate, certificate.tlsa(3, 1, 1), unbound=True)
    assert by_dane(bed.arrives("bob@signed.test", mx))
