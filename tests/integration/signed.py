"""signed.py - zones that a test signs itself (DNSSEC): one key for each zone, signatures of all its records, and NSEC records that say what
is not there (RFC 4034)."""
import datetime
import pathlib
import tempfile

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from lib import WORK_DIR

ALGORITHM = "ECDSAP256SHA256"


class Signer:
    """`anchor` is a file for delivery.trust_anchor: with it these zones are secure, wherever they are served."""

    def __init__(self, *zones, days=30):
        self.days = days  # that signatures hold
        self.keys = {zone: ec.generate_private_key(ec.SECP256R1()) for zone in zones}
        self.anchor = pathlib.Path(tempfile.mkdtemp(prefix="signed-", dir=WORK_DIR())) / "anchor"
        self.anchor.write_text("".join(f"{zone}. IN DS {dns.dnssec.make_ds(zone + '.', self.dnskey(zone), 'SHA256')}\n" for zone in zones))

    def dnskey(self, zone):
        return dns.dnssec.make_dnskey(self.keys[zone].public_key(), ALGORITHM, flags=257)

    def sign(self, name, text):
        """The text of the zone, signed."""
        zone = dns.zone.from_text(f"$ORIGIN {name}.\n$TTL 2\n{text}\n", origin=name + ".", relativize=False)
        zone.find_rdataset(zone.origin, "DNSKEY", create=True).add(self.dnskey(name), ttl=2)
        names = sorted(zone.nodes)
        for here, after in zip(names, names[1:] + names[:1]):
            node = zone.nodes[here]
            kinds = [dns.rdatatype.to_text(s.rdtype) for s in node] + ["RRSIG", "NSEC"]
            node.find_rdataset(dns.rdataclass.IN, dns.rdatatype.NSEC, create=True).add(
                dns.rdata.from_text("IN", "NSEC", f"{after} {' '.join(kinds)}"), ttl=2)
            for records in list(node):
                self.add_signature(name, node, here, records)
        return zone.to_text(relativize=False)

    def add_signature(self, zone, node, here, records):
        now = datetime.datetime.now(datetime.timezone.utc)
        signature = dns.dnssec.sign((here, records), self.keys[zone], dns.name.from_text(zone), self.dnskey(zone),
                                    inception=now - datetime.timedelta(days=1), expiration=now + datetime.timedelta(days=self.days))
        node.find_rdataset(dns.rdataclass.IN, dns.rdatatype.RRSIG, records.rdtype, create=True).add(signature, ttl=2)
