"""TLS as clients see it on both ports: testssl.sh's findings, certificates by name, resumption over several processes, reload."""
import json
import re
import smtplib

from lib import *

OTHER = "mail.example.com"
OTHERS = "*.example.net"


class Authority:
    """A CA of our own, so that what testssl.sh says of the chain is known."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ca-", dir=WORK_DIR()))
        self.certificate = self.dir / "ca.pem"
        self.run("req", "-x509", *self.key("ec"), "-keyout", self.dir / "ca.key", "-out", self.certificate, "-days", "90",
                 "-subj", "/O=Test/CN=Test CA", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @staticmethod
    def key(kind):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes") if kind == "ec" else ("-newkey", "rsa:2048", "-nodes")

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def issue(self, relay, file, names, kind="ec"):
        """FILE.pem and FILE.key in the relay's directory; an entry for `certificates`."""
        request, extensions = self.dir / "request", self.dir / "extensions"
        extensions.write_text(f"subjectAltName={','.join('DNS:' + n for n in names)}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
                              "extendedKeyUsage=serverAuth\ncrlDistributionPoints=URI:http://ca.example.org/list\n")
        self.run("req", *self.key(kind), "-keyout", relay.dir / f"{file}.key", "-out", request, "-subj", f"/CN={names[0]}")
        self.run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.dir / "ca.key", "-CAcreateserial", "-days", "90",
                 "-extfile", extensions, "-out", relay.dir / f"{file}.pem")
        return f'{{ chain = "{relay.dir}/{file}.pem"; key = "{relay.dir}/{file}.key"; }}'


def certified_relay(**more):
    """A relay with certificates for three names, the first with two kinds of keys; and their CA."""
    relay = Relay(1, start=False, **more)
    ca = Authority()
    entries = [ca.issue(relay, "ec", [HOST]), ca.issue(relay, "rsa", [HOST], "rsa"), ca.issue(relay, "other", [OTHER]), ca.issue(relay, "others", [OTHERS])]
    conf = relay.conf.read_text()
    conf, n = re.subn(r"certificates = \( .* \);", lambda _: f"certificates = ( {', '.join(entries)} );", conf)
    assert n == 1
    relay.conf.write_text(conf)
    relay.start()
    return relay, ca


# ---- testssl.sh ----

NOT_OFFERED = ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA",
               "cipherlist_AVERAGE")
GOOD = ("TLS1_2", "TLS1_3", "cipherlist_STRONG", "PFS", "PFS_ECDHE_curves", "cipher_order", "heartbleed", "CCS", "ROBOT", "secure_renego",
        "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4")
BAD = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL")


def grade(findings):
    """The SSL Labs rating (2009r) that newer versions of testssl.sh give: 30 % protocols, 30 % key exchange, 40 % ciphers."""
    best, worst = 100, 100 if findings["TLS1_2"]["finding"] == "not offered" else 95
    sizes = {"EC 256 bits": 90, "RSA 2048 bits": 90}  # as RSA 3072; 2048 bits and more
    keys = min(sizes[f["finding"]] for id, f in findings.items() if id.startswith("cert_keySize"))
    ciphers = findings["PFS_ciphers"]["finding"]
    strongest, weakest = 100 if "256" in ciphers else 80, 80 if "AES128" in ciphers or "AES_128" in ciphers else 100
    score = 0.3 * (best + worst) / 2 + 0.3 * keys + 0.4 * (strongest + weakest) / 2
    return "A" if score >= 80 else "B" if score >= 65 else "C"


def check_with_testssl(port, starttls):
    if not shutil.which("testssl"):
        raise Skip("testssl.sh is not installed")
    relay, ca = certified_relay()
    result = relay.dir / "testssl.json"
    done = subprocess.run(["testssl", "--ip", "127.0.0.1", "--nodns", "none", "--warnings", "batch", "--color", "0", "--quiet", "--jsonfile", result,
                           "--add-ca", ca.certificate, "-p", "-s", "-f", "-P", "-S", "-U", *starttls, f"{HOST}:{port(relay)}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    findings = {f["id"]: f for f in json.loads(result.read_text())}
    assert "TLS1_3" in findings, done.stdout
    for id in NOT_OFFERED:
        assert findings[id]["finding"] == "not offered", findings[id]
    for id in GOOD:
        assert findings[id]["severity"] == "OK", findings[id]
    assert findings["cipher_order"]["finding"] == "server", findings["cipher_order"]
    assert findings["PFS_ECDHE_curves"]["finding"] == "prime256v1 secp384r1 X25519", findings["PFS_ECDHE_curves"]
    trust = [f for id, f in findings.items() if id.startswith(("cert_trust", "cert_chain_of_trust"))]
    assert len(trust) == 4 and all(f["severity"] == "OK" for f in trust), trust  # of both kinds of keys
    bad = [f for f in findings.values() if f["severity"] in BAD]
    assert not bad, bad
    assert grade(findings) == "A"


def test_testssl_starttls():
    check_with_testssl(lambda relay: relay.port, ["--starttls", "smtp"])


def test_testssl_implicit():
    check_with_testssl(lambda relay: relay.tls_port, [])


# ---- one client ----

def context_of(ca, version=None):
    context = ssl.create_default_context(cafile=str(ca.certificate))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Greeted(smtplib.SMTP):
    """A client that asks for the certificate of `name`, perhaps to resume `session`."""

    def __init__(self, relay, context, name=HOST, implicit=False, session=None):
        self._implicit, self._wrap = implicit, lambda s: context.wrap_socket(s, server_hostname=name, session=session)
        super().__init__("127.0.0.1", relay.tls_port if implicit else relay.port, local_hostname="client.example", timeout=60)
        if not implicit:
            assert self.docmd("STARTTLS")[0] == 220
            self.sock = self._wrap(self.sock)
            self.file = None
        self.ehlo()
        assert self.noop()[0] == 250  # what came with the answer, a ticket among it, has been read

    def _get_socket(self, host, port, timeout):
        raw = super()._get_socket(host, port, timeout)
        return self._wrap(raw) if self._implicit else raw

    def names(self):
        return [value for kind, value in self.sock.getpeercert()["subjectAltName"]]


def test_certificates_by_name():
    relay, ca = certified_relay()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for implicit in (False, True):
            for name, names in ((HOST, [HOST]), (OTHER, [OTHER]), ("a.example.net", [OTHERS])):
                client = Greeted(relay, context_of(ca, version), name, implicit)  # verified under this name
                assert client.names() == names, (name, client.names())
                client.quit()
            for name in (None, "unknown.example", "a.b.example.net"):  # the first; a client that verifies would refuse it
                context = context_of(ca, version)
                context.check_hostname = False
                client = Greeted(relay, context, name, implicit)
                assert client.names() == [HOST], (name, client.names())
                client.quit()
    # of two kinds of keys for a name, the one that the client can verify
    for cipher, subject in (("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ec")):
        context = context_of(ca, ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(cipher)
        client = Greeted(relay, context)
        assert client.sock.cipher()[0] == cipher
        assert client.sock.getpeercert(True) == ssl.PEM_cert_to_DER_cert((relay.dir / f"{subject}.pem").read_text())
        client.quit()


def test_certificates_that_share_some_names():
    """RSA and ECDSA certificates of one name are both used though each has other names too; check warns of one that nobody can get."""
    relay, ca = certified_relay()
    entries = [ca.issue(relay, "ec", [HOST, "smtp.example.org"]), ca.issue(relay, "rsa", ["imap.example.org", HOST], "rsa"),
               ca.issue(relay, "late", ["smtp.example.org"])]
    relay.conf.write_text(re.sub(r"certificates = \( .* \);", lambda _: f"certificates = ( {', '.join(entries)} );", relay.conf.read_text()))
    done = relay.command("check")
    assert [line for line in done.stderr.splitlines() if "no client can get" in line and "late.pem" in line], done.stderr
    assert "rsa.pem" not in done.stderr and "ec.pem" not in done.stderr, done.stderr
    relay.command("reload")
    for name, cipher, subject in ((HOST, "ECDHE-RSA-AES128-GCM-SHA256", "rsa"), (HOST, "ECDHE-ECDSA-AES128-GCM-SHA256", "ec"),
                                  ("smtp.example.org", "ECDHE-ECDSA-AES128-GCM-SHA256", "ec"), ("imap.example.org", "ECDHE-RSA-AES128-GCM-SHA256", "rsa")):
        context = context_of(ca, ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(cipher)
        client = Greeted(relay, context, name)
        assert client.sock.getpeercert(True) == ssl.PEM_cert_to_DER_cert((relay.dir / f"{subject}.pem").read_text()), name
        client.quit()


def test_a_renewed_certificate_waits_for_a_role_that_restarts():
    """The change of the files is seen once: a reload that comes in the moment of a role's restart is tried again."""
    build = pathlib.Path(WORK_DIR()) / "programs"
    build.mkdir()
    for file in SANITIZED.glob("posthouse*"):
        if file.is_file() and os.access(file, os.X_OK):
            os.link(file, build / file.name)
    relay, ca = certified_relay(build=build)
    context = context_of(ca)
    before = Greeted(relay, context).sock.getpeercert(True)
    [login] = relay.pids("login")
    os.rename(build / "posthouse-login", build / "away")
    os.kill(login, signal.SIGKILL)
    ca.issue(relay, "ec", [HOST])
    relay.wait_log("event=config.refused")
    os.rename(build / "away", build / "posthouse-login")
    wait_for(lambda: Greeted(relay, context).sock.getpeercert(True) != before, "the new certificate", every=1)


def test_protocols_of_others_are_refused():
    """ALPACA: a client that asks for HTTP by ALPN was led here; one that asks for SMTP, or for nothing, is served."""
    relay, ca = certified_relay()
    for port, starttls in ((relay.tls_port, []), (relay.port, ["-starttls", "smtp"])):
        for protocols, good in (("http/1.1", False), ("h2,http/1.1", False), ("smtp", True), ("http/1.1,smtp", True), (None, True)):
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, *starttls,
                                   *(["-alpn", protocols] if protocols else [])],
                                  input="QUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            assert ("Cipher is (NONE)" not in done.stdout) == good, (port, protocols, done.stdout)
            assert ("no application protocol" in done.stdout) != good, (port, protocols, done.stdout)


def test_old_versions_and_ciphers_are_refused():
    relay, ca = certified_relay()
    for arguments in (["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA256:AES256-GCM-SHA384:@SECLEVEL=0"],
                      ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"]):
        if "-cipher" not in arguments:
            arguments = [*arguments, "-cipher", "ALL:@SECLEVEL=0"]
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.tls_port}", "-servername", HOST, *arguments], input="QUIT\r\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert "alert" in done.stdout and "Cipher is (NONE)" in done.stdout, done.stdout


def test_a_session_is_resumed_by_every_process_on_both_ports():
    relay, ca = certified_relay(workers=2)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = context_of(ca, version)
        first = Greeted(relay, context)
        assert not first.sock.session_reused
        session = first.sock.session
        first.quit()
        before = len(relay.log_since_start())
        served, count = set(), 0
        while served != {"0", "1"} or count < 4:  # until both processes have had one: the kernel deals the connections out
            assert count < 100, served
            client = Greeted(relay, context, implicit=count % 2 == 1, session=session)
            assert client.sock.session_reused, (version, count)
            client.login(f"alice@{DOMAIN}", PASSWORD)
            client.quit()
            count += 1
            served = set(re.findall(r"role=submission index=(\d+) event=session.opened", relay.log_since_start()[before:]))
        # under another name there are other certificates: that is another session
        client = Greeted(relay, context, OTHER, session=session)
        assert not client.sock.session_reused
        client.quit()


def test_a_reload_changes_keys():
    relay, ca = certified_relay()
    context = context_of(ca)
    old = Greeted(relay, context)
    session, before = old.sock.session, old.sock.getpeercert(True)
    ca.issue(relay, "ec", [HOST])
    relay.command("reload")
    assert old.noop()[0] == 250  # who is there stays as he was
    client = Greeted(relay, context, session=session)
    assert not client.sock.session_reused, "a ticket under the old key"
    assert client.sock.getpeercert(True) != before
    again = Greeted(relay, context, session=client.sock.session)
    assert again.sock.session_reused
    for c in (old, client, again):
        c.quit()
