"""posthouse doctor in places that a test makes: networks of their own, containers, certificates of other times and authorities."""
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from doctor_bed import *
from test_devices import other_network

GREET = """
import socket, sys
for _ in range(25):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
    assert s.recv(500).startswith(b"220 ")
    s.sendall(b"QUIT\\r\\n")
    while s.recv(500):
        pass
"""


def findings(relay, *arguments, prefix=()):
    done = subprocess.run([*prefix, relay.build / "posthouse", "-c", relay.conf, "doctor", "--json", *arguments], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100)
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents and documents[-1]["kind"] == "summary", done.stdout + done.stderr
    return documents[:-1]


def expect(found, result, words):
    for f in found:
        if f["result"] == result and words in json.dumps(f, ensure_ascii=False):
            return f
    raise AssertionError(f"no {result} with {words!r} in\n" + "\n".join(map(json.dumps, found)))


# ---- address.temporary ----
# Not a container, whatever the tests run in; and a network whose only global address is not to be used for long.
OUTSIDE = r"""
mount -t tmpfs none /mnt
for d in /*; do
    if [ -L "$d" ]; then cp -P "$d" /mnt/
    elif [ "$d" = /run ]; then mkdir /mnt/run
    elif [ -d "$d" ] && [ "$d" != /mnt ]; then mkdir "/mnt$d" && mount --rbind "$d" "/mnt$d"
    fi
done
ip link set lo up
ip link add away type veth peer name far
ip link set far up
ip link set away up
ip -6 addr add 2a00:1450:4001::19/64 dev away nodad LIFE
ip -6 route add default dev away
exec chroot /mnt "$@"
"""


def outside(life):
    return ["unshare", "--mount", "--propagation", "private", "--net", "sh", "-ec", OUTSIDE.replace("LIFE", life), "sh"]


def test_address_that_is_not_for_long():
    needs_namespaces("--mount", "--net")
    tried = subprocess.run([*outside(""), "true"], stderr=subprocess.PIPE, text=True)
    if tried.returncode != 0:
        raise Skip(f"no network with IPv6 can be made here: {tried.stderr.strip()}")
    relay = Relay(upstream="", start=False, extra='routes = ( { via = [ "mx" ]; } );')
    look = ("--only", "address.temporary")
    expect(findings(relay, *look, prefix=outside("")), "ok", "is not temporary")
    f = expect(findings(relay, *look, prefix=outside("valid_lft 3600 preferred_lft 0")), "warning", "2a00:1450:4001::19")
    assert f["id"] == "address.temporary" and "ipv6 = false" in f["remedy"]["config"], f


# ---- container.clients ----
def test_clients_that_seem_to_be_the_gateway():
    needs_namespaces("--mount")
    inside = other_network()
    done = subprocess.run(["ip", "route", "add", "default", "via", "10.77.0.2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Skip(f"no default route can be made: {done.stdout.strip()}")
    relay = Relay(upstream_port=1, listen_address="*", limits="connections_per_network = 0;")
    box = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", 'mount -t tmpfs none /run; touch /run/.containerenv; exec "$@"', "sh"]
    look = ("--offline", "--only", "container.clients")

    def greet(address):
        subprocess.run([*inside, "/usr/bin/python3", "-c", GREET.replace("create_connection((sys.argv[1], int(sys.argv[2])), 20)",
                                                                       f"create_connection((sys.argv[1], int(sys.argv[2])), 20, ('{address}', 0))"),
                        "10.77.0.1", str(relay.port)], check=True, timeout=60)
    assert not findings(relay, *look, prefix=box)
    greet("10.77.0.2")
    f = expect(findings(relay, *look, prefix=box), "warning", "25 of 25 client connections since the relay's start on")
    assert f["id"] == "container.clients" and f["found"] == "10.77.0.2" and "PROXY protocol" in f["remedy"]["text"], f
    greet("10.77.0.3")
    expect(findings(relay, *look, prefix=box), "ok", "their own addresses")


# ---- cert.*, caa.issuer ----
def write_certificate(relay, days=(-1, 90), issuer=None, key=None):
    """The relay's certificate: valid from .. to, in days from now; issued by an authority of this name, or by itself."""
    above = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(x509.Name.from_rfc4514_string(issuer) if issuer else subject)
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now + datetime.timedelta(days=days[0])).not_valid_after(now + datetime.timedelta(days=days[1]))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    chain = made.sign(above if issuer else key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (relay.dir / relay.certificate).write_bytes(chain)
    (relay.dir / relay.key).write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def test_times_of_the_certificate():
    relay = Relay(upstream_port=1, start=False)
    for days, result, words in (((-90, -1), "failure", "expired"), ((1, 90), "failure", "not valid"), ((-85, 5), "failure", "expires"),
                                ((-75, 15), "warning", "expires"), ((-1, 89), "ok", "")):
        write_certificate(relay, days)
        expect(findings(relay, "--offline", "--only", "cert.expiry"), result, words)


def test_keys_of_the_certificate():
    relay = Relay(upstream_port=1, start=False)
    write_certificate(relay)
    expect(findings(relay, "--offline", "--only", "cert.keys"), "advice", "there is an RSA certificate only")
    write_certificate(relay, key=ec.generate_private_key(ec.SECP256R1()))
    expect(findings(relay, "--offline", "--only", "cert.keys"), "advice", "there is no RSA certificate")
    relay.write_config(extra='devices = ( { networks = [ "192.0.2.7" ]; user = "printer"; sender = "p@example.org"; recipients = [ "@example.org" ]; '
                             'tls = "legacy"; } );')
    expect(findings(relay, "--offline", "--only", "cert.keys"), "warning", 'devices has an entry with tls = \\"legacy\\"')


def test_authority_that_the_domain_does_not_allow():
    bed = Bed().start(running=False)
    write_certificate(bed.relay, issuer="CN=R11,O=Let's Encrypt,C=US")
    bed.expect("caa.issuer", "ok", "allows the authority")
    bed.set(DOMAIN, "CAA", '0 issue "pki.goog"')
    bed.again()
    f = bed.expect("caa.issuer", "warning", f"at {DOMAIN} that allows pki.goog, not Let's Encrypt", arguments=("--only", "caa.issuer"))
    assert f["remedy"]["records"] == [{"type": "CAA", "name": HOST, "value": '0 issue "letsencrypt.org"', "ttl": 300}], f
    bed.set(HOST, "CAA", '0 issue "letsencrypt.org"')  # nearer
    bed.again()
    bed.expect("caa.issuer", "ok", "allows the authority", arguments=("--only", "caa.issuer"))
