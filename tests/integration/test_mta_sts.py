"""MTA-STS (RFC 8461): policies at hosts of HTTPS (nginx) with certificates of the test's authority, and mail servers that have what the
policies demand, or not. Each row says what comes of a message."""
from tls_bed import *

HOSTS = ("right", "wrong", "expired", "selfmade", "clear")


class Servers:
    """A mail server of each kind: its name is what is right or wrong with it, in plain.test."""

    def __init__(self, *kinds, **options):
        self.bed = TlsBed(**options)
        authority = self.bed.authority
        certificates = {"right": lambda name: authority.issue(name), "wrong": lambda name: authority.issue("mx.another.test"),
                        "expired": lambda name: authority.issue(name, days=(-30, -10)), "selfmade": self_signed, "clear": lambda name: None}
        for kind in kinds or HOSTS:
            setattr(self, kind, self.bed.sink(f"{kind}.plain.test", certificates[kind](f"{kind}.plain.test")))

    def domain(self, label, *kinds, **policy):
        """label.plain.test has these servers, the first is preferred; and a policy, if `text` is given."""
        name = f"{label}.plain.test"
        self.bed.add(name, "MX", *(f"{n}0 {kind}.plain.test." for n, kind in enumerate(kinds, 1)))
        if policy:
            self.bed.policy(name, **policy)
        return f"bob@{name}"


def enforce(*kinds, **options):
    return policy_text(*(f"{kind}.plain.test" for kind in kinds), **options)


def test_a_policy_that_is_kept():
    """Enforced, and the server is as it has to be. explain says who demands it."""
    s = Servers("right")
    bob = s.domain("good", "right", text=enforce("right"))
    s.bed.start()
    assert by_sts(s.bed.arrives(bob, s.right))
    [request] = s.bed.web.requests()
    assert request["uri"] == "/.well-known/mta-sts.txt" and request["host"] == "mta-sts.good.plain.test" and request["method"] == "GET", request
    said = s.bed.explain(bob)
    assert "right.plain.test: verified by mta-sts, certificate must bear right.plain.test" in said, said


def test_a_policy_and_postfix():
    """One that is right; and one whose handshakes fail, which without a policy would mean clear text."""
    bed = TlsBed()
    good = bed.host("mx.plain.test", bed.authority.issue("mx.plain.test"))
    bad = bed.host("broken.plain.test", bed.authority.issue("broken.plain.test"), domains=["broken.plain.test", "free.plain.test"], tls="broken")
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.policy("plain.test", policy_text("mx.plain.test"))
    for label in ("broken", "free"):
        bed.add(f"{label}.plain.test", "MX", "10 broken.plain.test.")
    bed.policy("broken.plain.test", policy_text("broken.plain.test"))
    bed.start()
    assert by_sts(bed.arrives("bob@plain.test", good))
    bed.arrives("bob@free.plain.test", bad, word=b"ESMTP")
    bed.waits("bob@broken.plain.test", servers=[bad])


def test_servers_that_do_not_keep_the_policy():
    """Wrong name, expired, of nobody's authority, no TLS: the mail waits, and none of it is sent."""
    s = Servers()
    names = {kind: s.domain(f"d{kind}", kind, text=enforce(*HOSTS)) for kind in HOSTS if kind != "right"}
    s.bed.start()
    for kind, bob in names.items():
        s.bed.waits(bob, servers=[getattr(s, kind)])


def test_a_server_that_the_policy_does_not_list():
    s = Servers("right")
    bob = s.domain("short", "right", text=policy_text("mx.elsewhere.test"))
    s.bed.start()
    s.bed.waits(bob, "MTA-STS", servers=[s.right])


def test_the_next_server_when_the_first_is_not_as_demanded():
    s = Servers("wrong", "clear", "right")
    first, second = s.domain("one", "wrong", "clear", "right", text=enforce("wrong", "clear", "right")), s.domain("two", "wrong", "right", text=enforce("right"))
    s.bed.start()
    s.bed.arrives(first, s.right)
    s.bed.arrives(second, s.right)
    assert not s.wrong.messages and not s.clear.messages


def test_testing_and_none_stop_no_mail():
    s = Servers("wrong", "clear")
    rows = [(s.domain("t1", "wrong", text=enforce("wrong", mode="testing")), s.wrong, b"ESMTPS"),
            (s.domain("t2", "clear", text=enforce("clear", mode="testing")), s.clear, b"ESMTP"),
            (s.domain("t3", "wrong", text=policy_text("mx.elsewhere.test", mode="testing")), s.wrong, b"ESMTPS"),
            (s.domain("n1", "clear", text="version: STSv1\nmode: none\nmax_age: 86400\n"), s.clear, b"ESMTP")]
    s.bed.start()
    for bob, server, word in rows:
        s.bed.arrives(bob, server, word=word)


def test_patterns():
    """RFC 8461 4.1: a wildcard is one label, the first; letters in any case."""
    s = Servers("right")
    s.bed.add("deep.right.plain.test", "A", s.right.host)
    s.domain("one", "right", text=policy_text("mx.elsewhere.test", "*.PLAIN.test"))
    s.domain("two", "deep.right", text=policy_text("*.plain.test"))
    s.bed.start()
    s.bed.arrives("bob@one.plain.test", s.right)
    s.bed.waits("bob@two.plain.test", "MTA-STS", servers=[s.right])


def test_a_policy_at_a_host_of_many():
    """mta-sts.DOMAIN is an alias of somebody's host, which has a certificate for the alias (RFC 8461 8.2)."""
    s = Servers("clear")
    bob = s.domain("alias", "clear", text=enforce("clear"))
    s.bed.records.pop(("mta-sts.alias.plain.test", "A"))
    s.bed.add("mta-sts.alias.plain.test", "CNAME", "policies.others.test.")
    s.bed.add("policies.others.test", "A", POLICIES)
    s.bed.start()
    s.bed.waits(bob, servers=[s.clear])


def test_policies_that_are_none():
    """Too large, malformed, elsewhere, absent, with a certificate of another: there was none before, so mail goes as without (RFC 8461 5)."""
    s = Servers("clear")
    bed, good = s.bed, enforce("clear")
    rows = {
        "large": dict(text=good + "x: " + "y" * 66000 + "\r\n"),
        "version": dict(text=good.replace("STSv1", "STSv2")),
        "mode": dict(text=good.replace("enforce", "enforced")),
        "age": dict(text=good.replace("86400", "86400x")),
        "nomx": dict(text="version: STSv1\nmode: enforce\nmax_age: 86400\n"),
        "page": dict(text="<html>Welcome to nginx!</html>"),
        "absent": dict(text=None),
        "redirect": dict(text=None, more="location = /.well-known/mta-sts.txt { return 301 https://mta-sts.real.plain.test/.well-known/mta-sts.txt; }"),
        "name": dict(text=good, certificate=bed.authority.issue("plain.test")),
        "nobody": dict(text=good, certificate=self_signed("mta-sts.nobody.plain.test")),
        "old": dict(text=good, certificate=bed.authority.issue("mta-sts.old.plain.test", days=(-30, -10))),
    }
    names = {label: s.domain(label, "clear", **policy) for label, policy in rows.items()}
    real = s.domain("real", "clear", text=good)
    bed.start()
    for bob in names.values():
        bed.arrives(bob, s.clear, word=b"ESMTP")
    assert not [r for r in bed.web.requests() if r["host"] == "mta-sts.real.plain.test"], "the redirect was followed"
    bed.waits(real, servers=[s.clear])  # so the other ones were what was wrong


def test_https_that_is_blocked():
    """Without a cached policy mail goes as without one; with one, nobody gets rid of it by blocking HTTPS, or by taking the record away."""
    s = Servers("clear")
    known, unknown = s.domain("known", "clear", text=enforce("clear")), s.domain("unknown", "clear", text=enforce("clear"))
    s.bed.start()
    s.bed.waits(known, servers=[s.clear])
    s.bed.web.stop()
    s.bed.arrives(unknown, s.clear, word=b"ESMTP")
    s.bed.set("_mta-sts.known.plain.test", "TXT", '"v=STSv1; id=2;"')
    s.bed.names_again()
    time.sleep(2.1)  # as long as the old record can be remembered
    s.bed.waits("eve@known.plain.test", servers=[s.clear])
    s.bed.set("_mta-sts.known.plain.test", "TXT")
    s.bed.names_again()
    time.sleep(2.1)
    s.bed.waits("mallory@known.plain.test", servers=[s.clear])


def test_a_policy_that_was_changed():
    """A new id in the record: the new policy counts (RFC 8461 5.1)."""
    s = Servers("clear")
    bob = s.domain("change", "clear", text=enforce("clear"))
    s.bed.start()
    s.bed.waits(bob, servers=[s.clear])
    s.bed.policy("change.plain.test", "version: STSv1\nmode: none\nmax_age: 86400\n", id="2")
    s.bed.web.write(s.bed.sites)
    s.bed.names_again()
    s.bed.relay.retry_until(lambda: s.clear.messages)
    s.bed.arrived(bob, s.clear, word=b"ESMTP")


def test_policies_outlive_kill_9():
    s = Servers("clear", "right")
    bad, good = s.domain("bad", "clear", text=enforce("clear")), s.domain("good", "right", text=enforce("right"))
    s.bed.start()
    s.bed.waits(bad, servers=[s.clear])
    s.bed.arrives(good, s.right)
    s.bed.relay.kill_all()
    s.bed.web.stop()
    s.bed.relay.start()
    s.bed.waits("eve@bad.plain.test", servers=[s.clear])
    assert by_sts(s.bed.arrives("eve@good.plain.test", s.right))


def test_fetch_that_is_stopped_stops_nobody_else():
    """Mail for a domain without a policy goes while fetch does nothing at all, and while it dies again and again."""
    s = Servers("clear", "right")
    without, other, good = s.domain("without", "clear"), s.domain("other", "clear"), s.domain("good", "right", text=enforce("right"))
    s.bed.start()
    [fetch] = s.bed.relay.pids("fetch")
    os.kill(fetch, signal.SIGSTOP)
    try:
        s.bed.relay.submit(to=[good])
        s.bed.arrives(without, s.clear, word=b"ESMTP")
    finally:
        os.kill(fetch, signal.SIGKILL)
    s.bed.arrives(other, s.clear, word=b"ESMTP")
    s.bed.arrived(good, s.right)


# ---- beside DANE ----
def test_dane_comes_first():
    """RFC 8461 2: records that a certificate fits are enough, whatever the policy says of it; and the policy is no help where they do not."""
    bed = TlsBed()
    own, trusted = self_signed("mx1.signed.test"), bed.authority.issue("mx2.signed.test")
    one, two = bed.sink("mx1.signed.test", own), bed.sink("mx2.signed.test", trusted)
    bed.tlsa("mx1.signed.test", own.tlsa(3, 1, 1))
    bed.tlsa("mx2.signed.test", own.tlsa(3, 1, 1))
    for label, host in (("one", "mx1"), ("two", "mx2")):
        bed.add(f"{label}.signed.test", "MX", f"10 {host}.signed.test.")
        bed.policy(f"{label}.signed.test", policy_text("*.signed.test"))
    bed.start()
    assert by_dane(bed.arrives("bob@one.signed.test", one))
    bed.waits("bob@two.signed.test", servers=[two])


def test_a_policy_where_dane_says_nothing():
    """Signed zones without TLSA records: MTA-STS decides."""
    bed = TlsBed()
    mx = bed.sink("mx.signed.test", self_signed("mx.signed.test"))
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.policy("signed.test", policy_text("mx.signed.test"))
    bed.start()
    bed.waits("bob@signed.test", servers=[mx])
