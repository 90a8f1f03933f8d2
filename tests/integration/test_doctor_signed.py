"""posthouse doctor and signed zones: DNSSEC and DANE, in a world (doctor_bed.py) whose zones the test signs itself.

That a resolver strips signatures (dnssec.resolver) shows only beside a recursion from the root, whose key is not ours to sign with: that is a
unit test's."""
import re

from doctor_bed import *
from signed import Signer


def bed_with(*zones, days=30):
    signer = Signer(*zones, days=days)
    bed = Bed(delivery=f'trust_anchor = "{signer.anchor}";')
    bed.signer = signer
    return bed


def test_signed_zones():
    bed = bed_with(DOMAIN, "org").start(running=False)
    bed.run("--only", "dnssec.*")
    bed.expect("dnssec.domain", "ok", "is signed")
    bed.expect("dnssec.domain", "ok", HOST)
    bed.expect("dnssec.resolver", "ok", "validated answers")
    assert not bed.loud(), bed.loud()


def test_signature_that_ends_soon():
    bed_with(DOMAIN, days=1).start(running=False).expect("dnssec.domain", "warning", "ends within 2 days")


def test_signature_of_another_key():
    bed = bed_with(DOMAIN)
    bed.start(running=False)
    bed.signer.keys[DOMAIN] = Signer(DOMAIN).keys[DOMAIN]  # the anchor has the key from before
    bed.again()
    bed.expect("dnssec.domain", "failure", "do not hold")


def test_record_that_was_changed_after_it_was_signed():
    bed = bed_with(DOMAIN).start(running=False)
    zones = bed.zones()
    zones[DOMAIN] = re.sub(rf"^{HOST}\. (.*)\bA {V4}", rf"{HOST}. \1A 203.0.113.99", zones[DOMAIN], flags=re.M)
    assert "203.0.113.99" in zones[DOMAIN], zones[DOMAIN]
    bed.names.end()
    bed.names = NameServer(zones, address=bed.ns, port=bed.names_port)
    f = bed.expect("dnssec.domain", "failure", "do not hold")
    assert f["subject"] == HOST, f


# ---- dane.mx ----
def test_tlsa_of_the_mail_server():
    bed = bed_with("probe-a.test")
    bed.set(DOMAIN, "MX", "10 mx.probe-a.test.")
    bed.set("_25._tcp.mx.probe-a.test", "TLSA", "3 1 1 " + "00" * 32)
    bed.start(running=False)
    f = bed.expect("dane.mx", "failure", "fits none of its TLSA records", arguments=("--deep", "--only", "dane.mx"))
    [record] = f["remedy"]["records"]
    assert record["type"] == "TLSA" and record["name"] == "_25._tcp.mx.probe-a.test", f
    # what doctor proposes is right
    bed.cache().unlink(missing_ok=True)
    bed.set("_25._tcp.mx.probe-a.test", "TLSA", record["value"])
    bed.again()
    bed.expect("dane.mx", "ok", "fits its TLSA record", arguments=("--deep", "--only", "dane.mx"))
    # a zone that nobody can trust
    bed.signer = None
    bed.relay.conf.write_text(re.sub(r'trust_anchor = "[^"]*";', "", bed.relay.conf.read_text()))
    bed.again()
    bed.expect("dane.mx", "advice", "nobody uses them", arguments=("--deep", "--only", "dane.mx"))
