"""posthouse doctor and block lists, in a world of its own (doctor_bed.py): listings, and answers that only look like one."""
from doctor_bed import *

ZEN = "zen.spamhaus.org"


def listed(address, zone):
    """The name that is asked for an address."""
    return reverse(address).removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa") + "." + zone


def planted(id, result, words, *sets):
    bed = Bed()
    for name, *values in sets:
        bed.set(name, "A", *values)
    bed.start(running=False)
    return bed.expect(id, result, words, arguments=("--only", "dnsbl.*"))


def test_address_is_listed():
    f = planted("dnsbl.address", "failure", f"lists {V4} (127.0.0.4, XBL", (listed(V4, ZEN), "127.0.0.4"))
    assert "https://check.spamhaus.org/" in f["remedy"]["text"] and f["subject"] == ZEN, f


def test_ipv6_address_is_listed():
    planted("dnsbl.address", "failure", "by /64", (listed(V6, ZEN), "127.0.0.3"))


def test_list_that_only_warns():
    planted("dnsbl.address", "warning", "psbl.surriel.com", (listed(V4, "psbl.surriel.com"), "127.0.0.2"))


def test_range_without_direct_mail():
    f = planted("dnsbl.policy", "failure", "127.0.0.10", (listed(V4, ZEN), "127.0.0.10"))
    assert "upstreams" in f["remedy"]["config"], f


def test_domain_is_listed():
    f = planted("dnsbl.domain", "failure", "a domain of spam", (f"{DOMAIN}.dbl.spamhaus.org", "127.0.1.2"))
    assert f["domain"] == DOMAIN, f


def test_list_that_refuses():
    f = planted("dnsbl.address", "unknown", "refused our query (127.255.255.254)", (f"{V4_POINT}.{ZEN}", "127.255.255.254"),
                (listed(V4, ZEN), "127.255.255.254"))
    assert f["why"].startswith("Not a listing"), f


def test_list_that_is_dead():
    planted("dnsbl.address", "unknown", "does not have its own test entry", (f"{V4_POINT}.{ZEN}",))


def test_list_that_lists_everything():
    planted("dnsbl.address", "unknown", "lists even what no list has", (f"1.0.0.127.{ZEN}", "127.0.0.2"), (listed(V4, ZEN), "127.0.0.2"))


def test_resolver_that_invents():
    planted("dnsbl.address", "unknown", "which is none of its codes", (listed(V4, ZEN), "198.51.100.7"))


def test_no_lists():
    bed = Bed(doctor="lists = [ ];").start(running=False)
    assert not bed.run("--only", "dnsbl.*"), bed.findings
    assert bed.code == 0, bed.output


def test_key_of_a_customer():
    """The lists of Spamhaus are asked by it, and nobody sees it."""
    key = "abcd1234efgh"
    secret = pathlib.Path(WORK_DIR()) / "spamhaus.key"
    secret.write_text(key.upper() + "\n")
    secret.chmod(0o600)
    bed = Bed(doctor=f'spamhaus_key_file = "{secret}";')
    bed.more_zones = ["dq.spamhaus.net"]
    zen = f"{key}.zen.dq.spamhaus.net"
    for name in (f"{V4_POINT}.{zen}", f"{V6_POINT}.{zen}"):
        bed.set(name, "A", "127.0.0.2")
    bed.set(listed(V4, zen), "A", "127.0.0.4")
    bed.start(running=False)
    f = bed.expect("dnsbl.address", "failure", f"lists {V4} (127.0.0.4, XBL", arguments=("--only", "dnsbl.*"))
    assert f["subject"] == ZEN and any(".KEY.zen.dq.spamhaus.net" in e["question"] for e in f["evidence"]), f
    bed.expect("dnsbl.domain", "unknown", "does not have its own test entry")
    cache = bed.cache().read_text()
    assert "KEY.zen.dq.spamhaus.net" in cache
    for text in (bed.output, cache, bed.relay.command("check", "--dump").stdout):
        assert key not in text.lower(), text
