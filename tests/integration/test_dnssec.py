"""What validates answers of the DNS: Debian's root key where the name servers pass on signatures, and what is said and done where they do not.
And upstreams whose certificate is named by TLSA records or fingerprints. The root key and the hosts file are those of the test, in a mount
namespace of its own; the root zone is signed by the test."""
import ctypes
import pathlib

import dns.dnssec

from authority import self_signed
from lib import *
from peers import NameServer
from signed import Signer

ROOT_KEY, HOSTS = pathlib.Path("/usr/share/dns/root.key"), pathlib.Path("/etc/hosts")
NEW_MOUNTS = 0x20000  # CLONE_NEWNS
ROUTES = 'routes = ( { via = [ "mx" ]; } );'


def own_files(**contents):
    """These files have these contents for this process, and for all that it starts from now on."""
    needs_namespaces("--mount")
    if os.geteuid() != 0 or not ROOT_KEY.exists() or ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS) != 0:
        raise Skip("only root can have files of its own, where dns-root-data is installed")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for name, text in contents.items():
        place = pathlib.Path(tempfile.mkdtemp(prefix="file-", dir=WORK_DIR())) / name
        place.parent.chmod(0o755)
        place.write_text(text)
        subprocess.run(["mount", "--bind", place, {"root_key": ROOT_KEY, "hosts": HOSTS}[name]], check=True)


class Zones:
    """The root and example., signed; `strip`: as a forwarder passes them on that knows no DNSSEC."""

    def __init__(self, records):
        self.signer = Signer("", "example")
        self.records = records

    def serve(self, strip=False, port=None, inner={}):
        """`inner`: zones of this network, not signed, which the world does not have."""
        ds = dns.dnssec.make_ds("example.", self.signer.dnskey("example"), "SHA256")
        soa = "SOA ns. admin. 1 3600 600 86400 2"
        root = f". {soa}\n. NS ns.\nns. A 127.0.0.1\nexample. NS ns.\nexample. DS {ds}"
        zone = f"@ {soa}\n@ NS ns.\n{self.records}"
        if strip:
            return NameServer({".": root.replace(f"\nexample. DS {ds}", ""), "example": zone}, port=port)
        return NameServer({".": self.signer.sign("", root), "example": self.signer.sign("example", zone)} | inner, port=port)

    def root_key(self):
        return "".join(line + "\n" for line in self.signer.anchor.read_text().splitlines() if line.startswith(". "))


def mail_for_example(*records, port):
    return "bob MX 10 mx.bob\neve MX 10 mx.bob\nmx.bob A 127.0.0.5\n" + "".join(f"_{port}._tcp.mx.bob TLSA {r}\n" for r in records)


def bed(*records, certificate=None, strip=False, delivery="", inner={}):
    """Mail for bob.example goes to a server with TLS at 127.0.0.5: (relay, server, name server, zones)."""
    port = free_port()
    zones = Zones(mail_for_example(*records, port=port))
    own_files(root_key=zones.root_key())
    names = zones.serve(strip, inner=inner)
    server = Sink(host="127.0.0.5", port=port, tls="starttls", tls_context=(certificate or self_signed("mx.bob.example")).context())
    return Relay(upstream="", delivery=f'port = {port}; resolver = "{names.resolver}"; {delivery}', extra=ROUTES), server, names, zones


# ---- the root key ----
def test_dane_without_a_configured_trust_anchor():
    certificate = self_signed("other.name.example")
    relay, server, _, _ = bed(certificate.tlsa(3, 1, 1), certificate=certificate)
    relay.wait_log("event=resolver.validates")
    assert relay.figures("resolver")["validates"] == 1
    relay.submit(to=["alice@bob.example"])
    assert server.wait(1)[0].tls
    relay.wait_empty()
    assert "usable" in [e for e in relay.log_now().splitlines() if "event=connection.tlsa" in e][0]
    assert "event=resolver.unsigned" not in relay.log_now()


def test_another_certificate_than_the_records_say_waits():
    relay, server, _, _ = bed("3 1 1 " + "00" * 32)
    id = relay.submit(to=["alice@bob.example"])
    deferred = json.dumps(relay.wait_event(id, "delivery.deferred"))
    assert "TLSA" in deferred, deferred
    assert not server.messages


def test_name_servers_that_strip_signatures():
    """Mail goes as without DANE, whatever the records say; the log says so once, with the remedy."""
    relay, server, names, zones = bed("3 1 1 " + "00" * 32, strip=True)
    relay.wait_log("event=resolver.unsigned")
    relay.submit(to=["alice@bob.example"])
    server.wait(1)
    relay.wait_empty()
    log = relay.log_now()
    assert log.count("event=resolver.unsigned") == 1, log
    line = [l for l in log.splitlines() if "event=resolver.unsigned" in l][0]
    assert "strip" in line and "recursive" in line, line
    # the name servers are mended: a reload that changes the resolver tries again, and from then on the records count
    other = zones.serve()
    relay.write_config(delivery=relay.settings["delivery"].replace(names.resolver, other.resolver))
    relay.command("reload")
    relay.wait_log("event=resolver.validates")
    id = relay.submit(to=["alice@bob.example"])
    assert "TLSA" in json.dumps(relay.wait_event(id, "delivery.deferred"))
    assert len(server.messages) == 1


def test_signatures_that_are_stripped_later_are_forgery():
    certificate = self_signed("mx.bob.example")
    relay, server, names, zones = bed(certificate.tlsa(3, 1, 1), certificate=certificate)
    relay.submit(to=["alice@bob.example"])
    server.wait(1)
    relay.wait_empty()
    names.end()
    zones.serve(strip=True, port=names.port)
    id = relay.submit(to=["carol@eve.example"])  # that the resolver has never heard of
    assert "4.4.3" in json.dumps(relay.wait_event(id, "delivery.deferred"))
    assert len(server.messages) == 1
    assert "event=resolver.unsigned" not in relay.log_now()


def test_a_zone_of_this_network_below_a_signed_one():
    """The name servers here have corp.example, which the signed example says is not there: the reply to the sender names the key."""
    relay, server, _, _ = bed(inner={"corp.example": "@ MX 10 mx\nmx A 127.0.0.5"})
    relay.wait_log("event=resolver.validates")
    id = relay.submit(to=["alice@corp.example"])
    assert "delivery.unsigned_zones" in json.dumps(relay.wait_event(id, "delivery.deferred"))
    assert not server.messages
    relay.write_config(delivery=relay.settings["delivery"] + ' unsigned_zones = [ "corp.example" ];')
    relay.command("reload")
    relay.retry_until(lambda: server.messages)
    relay.wait_empty()


def test_dane_is_switched_off():
    relay, server, _, _ = bed("3 1 1 " + "00" * 32, delivery="dane = false;")
    relay.submit(to=["alice@bob.example"])
    server.wait(1)
    assert "event=resolver.validates" not in relay.log_now() and "event=resolver.unsigned" not in relay.log_now()


# ---- upstreams ----
def upstream_bed(certificate, *records, keys, tls="starttls", implicit=False):
    """An upstream smtp.example at 127.0.0.6 with these keys: (relay, server)."""
    port = free_port()
    zones = Zones("smtp A 127.0.0.6\n" + "".join(f"_{port}._tcp.smtp TLSA {r}\n" for r in records))
    own_files(root_key=zones.root_key(), hosts="127.0.0.1 localhost\n127.0.0.6 smtp.example\n")
    names = zones.serve()
    server = Sink(host="127.0.0.6", port=port, tls=tls, tls_context=certificate.context())
    return Relay(upstream=f'{{ name = "next"; host = "smtp.example"; port = {port}; {keys} }}', delivery=f'resolver = "{names.resolver}";'), server


def test_dane_of_an_upstream():
    certificate = self_signed("other.name.example", days=(-30, -10))
    relay, server = upstream_bed(certificate, certificate.tlsa(3, 1, 1), keys='tls = "dane";')
    relay.submit()
    assert server.wait(1)[0].tls
    said = relay.command("upstream", "test", "next").stdout
    assert "certificate verified" in said, said


def test_dane_of_an_upstream_without_records():
    relay, server = upstream_bed(self_signed("smtp.example"), keys='tls = "dane";')
    id = relay.submit()
    assert "TLSA" in wait_for(lambda: (s := json.dumps(relay.status())) and "TLSA" in s and s, "the upstream is down, and why")
    assert not server.messages
    assert "no TLSA records in a signed zone" in relay.command("upstream", "test", "next", check=False).stdout


def test_fingerprints():
    certificate = self_signed("other.name.example", days=(-30, -10))
    relay, server = upstream_bed(certificate, keys='tls = "starttls"; tls_fingerprints = [ "' + "ab" * 32 + '" ];')
    relay.submit()
    said = wait_for(lambda: (done := relay.command("upstream", "test", "next", check=False)).returncode and done.stdout, "the test fails")
    assert "fingerprint" in said and not server.messages, said
    whole, key = (certificate.tlsa(3, selector, 1).split()[3] for selector in (0, 1))
    assert f"sha256:{whole}" in said and f"sha256:{key}" in said, said  # what was seen can be copied
    for right in (whole, key):
        relay.upstream = re.sub(r"tls_fingerprints = \[[^]]*\]", f'tls_fingerprints = [ "sha256:{right}", "sha256:{"00" * 32}" ]', relay.upstream)
        relay.write_config()
        relay.command("reload")
        assert "works" in relay.command("upstream", "test", "next").stdout
    relay.retry_until(lambda: server.messages)
    relay.wait_empty()
