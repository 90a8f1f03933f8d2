"""The same zones and servers for Posthouse and for Postfix as a sender (smtp_tls_security_level = dane, smtp_dns_support_level = dnssec): what
becomes of a message, row by row. "verified": by TLSA records; "encrypted": with any certificate; "clear"; "waits".

    domain     TLSA records, and server                      Postfix     Posthouse
    match      3 1 1 of the certificate                      verified    verified
    mismatch   3 1 1 of another                              waits       waits
    chain      2 0 1 of the authority, which is sent         verified    verified
    name       2 0 1, and a certificate of another name      waits       waits
    expired    3 0 1 of an expired certificate               verified    verified
    unusable   1 1 1 only                                    encrypted   encrypted
    notls      3 1 1, and no STARTTLS                        waits       waits
    bogus      3 1 1, and the signature does not hold        waits       waits
    servfail   no answer about the records                   waits       waits
    alias      the MX record leads to a CNAME                verified    verified
    none       no records, and a certificate of nobody       encrypted   encrypted
    clear      no records, and no STARTTLS                   clear       clear
    insecure   the MX record is not signed, 3 1 1 matches    encrypted   verified
    unproved   the same, 3 1 1 of another                    waits       waits

The one difference is a word: Postfix calls a server "Trusted" whose certificate is right, but whose name anybody can have put into the MX record
(RFC 7672 2.2.1)."""
from tls_bed import *

ROWS = {"match": "verified", "mismatch": "waits", "chain": "verified", "name": "waits", "expired": "verified", "unusable": "encrypted", "notls": "waits",
        "bogus": "waits", "servfail": "waits", "alias": "verified", "none": "encrypted", "clear": "clear", "insecure": "encrypted",
        "unproved": "waits"}
DIFFERENT = {"insecure": "verified"}
UNSIGNED_MX = ("insecure", "unproved")

SENDER = """inet_protocols = ipv4
default_transport = smtp
virtual_mailbox_domains =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
smtp_host_lookup = dns
smtp_tls_loglevel = 1
smtp_connect_timeout = 5s
myorigin = example.org
"""


class Sender(Postfix):
    """It asks unbound, as /etc/resolv.conf of its own says, and believes its AD bit."""

    def __init__(self):
        super().__init__(host="127.0.0.25", port=2525, settings=SENDER)

    def run(self, arguments, environment=None):
        with open(self.dir / "master.cf", "a") as f:
            f.write("smtp unix - - n - - smtp\n")
        (self.dir / "resolv.conf").write_text(f"nameserver {RECURSIVE}\noptions trust-ad edns0\n")
        super().run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'mount --bind {self.dir}/resolv.conf /etc/resolv.conf; exec "$@"', "sh",
                     *arguments], environment)

    def outcome(self, to):
        """What its log says of this recipient, when it has decided."""
        text = (self.dir / "log").read_text(errors="replace") if (self.dir / "log").exists() else ""
        ends = [line for line in text.splitlines() if f"to=<{to}>" in line and "status=" in line]
        if not ends:
            return None
        if "status=sent" not in ends[0]:
            return "waits"
        client = re.search(r"postfix/smtp\[\d+\]", ends[0]).group(0)
        before = text[:text.index(ends[0])].splitlines()
        host = re.search(r"relay=([^,\[]+)\[", ends[0]).group(1)
        tls = [line for line in before if client in line and f"TLS connection established to {host}[" in line]
        return "clear" if not tls else "verified" if "Verified TLS" in tls[-1] else "encrypted"


def fill(bed):
    """The rows; each domain has a server of its own, whose name begins with mx-."""
    authority = Authority("of some servers")
    certificates = {label: self_signed(f"mx-{label}.signed.test") for label in ROWS}
    certificates["chain"] = authority.issue("mx-chain.signed.test", with_root=True)
    certificates["name"] = authority.issue("mx.another.test", with_root=True)
    certificates["expired"] = self_signed("mx-expired.signed.test", days=(-30, -10))
    certificates["notls"] = certificates["clear"] = None
    right = {label: c.tlsa(3, 1, 1) for label, c in certificates.items() if c}
    records = {"match": right["match"], "mismatch": right["match"], "chain": authority.tlsa(2, 0, 1), "name": authority.tlsa(2, 0, 1),
               "expired": certificates["expired"].tlsa(3, 0, 1), "unusable": certificates["unusable"].tlsa(1, 1, 1), "notls": right["match"],
               "bogus": right["bogus"], "servfail": right["servfail"], "alias": right["alias"], "insecure": right["insecure"],
               "unproved": right["match"]}
    sinks = {}
    for label in ROWS:
        sinks[label] = bed.sink(f"mx-{label}.signed.test", certificates[label])
        bed.add(address(label).partition("@")[2], "MX", f"10 {'name-of-the' if label == 'alias' else f'mx-{label}'}.signed.test.")
        if label in records:
            bed.tlsa(f"mx-{label}.signed.test", records[label])
    bed.add("name-of-the.signed.test", "CNAME", "mx-alias.signed.test.")
    bed.spoilt = [("_25._tcp.mx-bogus.signed.test", "TLSA")]
    bed.failing = ["_tcp.mx-servfail.signed.test"]
    return sinks


def address(label):
    return f"bob@{label}.{'plain' if label in UNSIGNED_MX else 'signed'}.test"


def posthouse_outcome(bed, id, sink):
    """What its transcript says, and what the server has seen."""
    names = [e["event"] for e in bed.relay.events(id)]
    if "delivery.deferred" in names:
        return "waits"
    if "delivery.sent" not in names:
        return None
    if not sink.messages[-1].tls:
        return "clear"
    return "verified" if policy_of(bed.relay.trace(id)) == "dane" else "encrypted"


def test_postfix_decides_the_same():
    bed = TlsBed(unbound=True)
    sinks = fill(bed)
    bed.start()
    sender = Sender()
    with smtplib.SMTP("127.0.0.25", 2525, timeout=LIMIT) as s:
        for label in ROWS:
            s.sendmail(f"alice@{DOMAIN}", [address(label)], simple_message(label).decode())
    theirs = {label: wait_for(lambda: sender.outcome(address(label)), lambda: f"Postfix about {label}\n{sender.log()}") for label in ROWS}
    assert theirs == ROWS, (theirs, sender.log())
    ids = {label: bed.relay.submit(to=[address(label)]) for label in ROWS}
    ours = {label: wait_for(lambda: posthouse_outcome(bed, ids[label], sinks[label]), f"the end of {label}") for label in ROWS}
    other = {label: ours[label] for label, word in {**ROWS, **DIFFERENT}.items() if ours[label] != word}
    assert not other, other
