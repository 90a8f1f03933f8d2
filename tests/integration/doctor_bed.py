"""doctor_bed.py - a world for `posthouse doctor`: nsd with forward, reverse and list zones, mail servers that are greeted, and a relay
that delivers directly from addresses of the documentation ranges. In the bed as it is every check is silent; a test plants one fault.

    bed = Bed()
    bed.set("relay.example.org", "A", "203.0.113.99")     # in place of the A records of that name; no values: they are removed
    bed.start()
    bed.expect("name.source", "failure", "203.0.113.25")

Names are served at port 53 of a loopback address of its own, where the zones' NS records lead: so the domain's own servers can be asked."""
import base64
import ipaddress
import json
import os
import random
import subprocess

from lib import *
from peers import NameServer, Scripted

V4, V6 = "203.0.113.25", "2001:db8::25"
ZONES = (DOMAIN, "113.0.203.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa", "probe-a.test", "probe-b.test", "gmail.com", "outlook.com", "mailbox.test",
         "org", "zen.spamhaus.org", "dbl.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com")
# RFC 5782 5: what every list answers about its test points
V4_POINT, V6_POINT = "2.0.0.127", ".".join("2000000f7ffff" + "0" * 20).replace("2.0.0.0.0.0.0.f", "2.0.0.0.0.0.f")


def reverse(address):
    return ipaddress.ip_address(address).reverse_pointer


def own_address():
    """A loopback address that no other test has, most likely."""
    return f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"


def txt(text):
    """As strings of 255 bytes."""
    return " ".join('"' + text[i:i + 255].replace('"', '\\"') + '"' for i in range(0, len(text), 255))


# What the bed cannot make right: nobody can be reached at documentation addresses, and the certificate is of nobody's authority.
NOT_SILENT = ("listen.open unknown", "cert.chain warning", "clock.sync ignored", "disk.space ignored", "state.filesystem ignored")
# What depends on the machine that runs the tests, which can be a container without a volume.
OF_THE_MACHINE = 'ignore = [ "clock.sync", "disk.space", "state.filesystem" ];'


class Bed:
    def __init__(self, upstream="", extra="", routes='routes = ( { via = [ "mx" ]; } );', doctor="", delivery="", **settings):
        self.mail_port = free_port()
        self.ns = own_address()
        self.names_port = 53 if os.geteuid() == 0 else free_port(self.ns)
        self.more_zones, self.serials = [], {}  # zones beside ZONES; serial numbers that are not 1
        self.signer = None  # signed.Signer, of some of the zones
        self.hosts = {"a": own_address(), "b": own_address()}
        self.probes = {}
        self.records = {}  # (name, type): [ value ]
        self.names = None
        self.upstream, self.extra, self.routes, self.doctor_keys, self.delivery, self.settings = upstream, extra, routes, doctor, delivery, settings
        self.relay = None
        self.fill()

    # ---- names ----
    def set(self, name, kind, *values):
        """The records of this name and type are these."""
        self.records[name, kind] = list(values)

    def remove(self, name):
        """The name does not exist."""
        for key in [key for key in self.records if key[0] == name]:
            del self.records[key]

    def fill(self):
        self.set(HOST, "A", V4)
        self.set(HOST, "AAAA", V6)
        self.set(HOST, "TXT", txt("v=spf1 a -all"))
        self.set(reverse(V4), "PTR", HOST + ".")
        self.set(reverse(V6), "PTR", HOST + ".")
        self.set(DOMAIN, "MX", "10 mx.mailbox.test.")
        self.set("mx.mailbox.test", "A", "203.0.113.80")
        self.set(DOMAIN, "TXT", txt(f"v=spf1 ip4:{V4} ip6:{V6} -all"))
        self.set(f"_dmarc.{DOMAIN}", "TXT", txt(f"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"))
        for probe, domain in (("a", "gmail.com"), ("b", "outlook.com")):
            self.set(domain, "MX", f"5 mx.probe-{probe}.test.")
            self.set(f"mx.probe-{probe}.test", "A", self.hosts[probe])
        self.set("mx.probe-a.test", "AAAA", "::1")
        for zone in ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com"):
            self.set(f"{V4_POINT}.{zone}", "A", "127.0.0.2")
            self.set(f"{V6_POINT}.{zone}", "A", "127.0.0.2")
        self.set("test.dbl.spamhaus.org", "A", "127.0.1.2")

    def dkim_record(self):
        der = subprocess.run(["openssl", "pkey", "-in", self.relay.dir / self.relay.dkim_key, "-pubout", "-outform", "DER"], check=True, stdout=subprocess.PIPE).stdout
        return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"

    def zones(self):
        """The text of each zone; every one has its name server at our address."""
        texts = {}
        for zone in (*ZONES, *self.more_zones):
            serial = self.serials.get(zone, 1)
            lines = [f"@ SOA ns.{DOMAIN}. admin.{DOMAIN}. {serial} 3600 600 86400 2", f"@ NS ns.{DOMAIN}."]
            if zone == DOMAIN:
                lines.append(f"ns A {self.ns}")
            for (name, kind), values in self.records.items():
                if self.zone_of(name) == zone:
                    lines += [f"{name}. {kind} {value}" for value in values]
            texts[zone] = "\n".join(lines)
            if self.signer and zone in self.signer.keys:
                texts[zone] = self.signer.sign(zone, texts[zone])
        return texts

    def zone_of(self, name):
        zones = [zone for zone in (*ZONES, *self.more_zones) if name == zone or name.endswith("." + zone)]
        return max(zones, key=len, default=None)

    # ---- a run ----
    def start(self, running=True):
        """The mail servers that are greeted, the relay, and the names. Plants of keys and records come before, or in `plant`."""
        doctor = f'addresses = [ "{V4}", "{V6}" ];' if "addresses" not in self.doctor_keys else ""
        doctor += OF_THE_MACHINE if "ignore" not in self.doctor_keys else ""
        self.relay = Relay(upstream=self.upstream, start=False, delivery=f'port = {self.mail_port}; resolver = "{self.ns}@{self.names_port}"; {self.delivery}',
                           extra=f'{self.routes} doctor = {{ {doctor} {"" if "daily" in self.doctor_keys else "daily = false;"} {self.doctor_keys} }}; {self.extra}', **self.settings)
        if (f"{self.relay.selector}._domainkey.{DOMAIN}", "TXT") not in self.records:
            self.set(f"{self.relay.selector}._domainkey.{DOMAIN}", "TXT", txt(self.dkim_record()))
        if self.probes is not None:
            self.greet()
        if running:
            self.relay.start()
        self.names = NameServer(self.zones(), address=self.ns, port=self.names_port)
        return self

    def greet(self):
        context, _ = tls_context(self.relay.dir, "mx.probe.test")
        for probe in "ab":
            answers = {"GREETING": f"220 mx.probe-{probe}.test ESMTP", **self.probes.get(probe, {})}
            for host in (self.hosts[probe], *(("::1",) if probe == "a" else ())):
                Scripted(host=host, port=self.mail_port, answers=dict(answers), tls_context=None if self.probes.get("no_tls") else context)

    def again(self):
        """The names as they are now."""
        self.names.end()
        self.names = NameServer(self.zones(), address=self.ns, port=self.names_port)

    def cache(self):
        """What doctor remembers: in a directory of the role's own once the relay has been started."""
        state = self.relay.dir / "state"
        return (state / "doctor" if (state / "doctor").is_dir() else state) / "doctor.cache"

    def older(self, days):
        """What has been so since an earlier run has been so for so many days more."""
        cache = self.cache()
        entries = json.loads(cache.read_text())
        for key, entry in entries.items():
            if key.startswith("since "):
                entry["value"]["first"] -= int(days * 86400_000)
        cache.write_text(json.dumps(entries))

    def run(self, *arguments, check=None):
        """The findings, and the summary; self.code and self.output have the rest."""
        done = self.relay.command("doctor", "--json", "--resolver", f"{self.ns}@{self.names_port}", *arguments, check=False)
        self.code, self.output = done.returncode, done.stdout + done.stderr
        documents = [json.loads(line) for line in done.stdout.splitlines()]
        assert documents and documents[-1]["kind"] == "summary", self.output
        self.summary = documents.pop()
        self.findings = documents
        return documents

    def expect(self, id, result, words="", arguments=()):
        """Run, unless that was done, and find the finding."""
        if arguments or not hasattr(self, "findings"):
            self.run(*(arguments or ("--only", id.partition(":")[0])))
        for f in self.findings:
            if f["id"] == id and f["result"] == result and words in json.dumps(f, ensure_ascii=False):
                return f
        raise AssertionError(f"no {result} of {id} with {words!r} in:\n" + "\n".join(
            f"{f['id']} {f['result']} [{f['domain']}] {f['subject']} {f['text']} {f['after']}" for f in self.findings))

    def loud(self):
        """Findings that are not silent."""
        return [(f["id"], f["result"], f["domain"], f["subject"], f["text"]) for f in self.findings
                if f["result"] in ("failure", "warning", "unknown", "ignored") and f"{f['id']} {f['result']}" not in NOT_SILENT]
