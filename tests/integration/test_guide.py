"""man/posthouse-guide.7 and man/posthouse-operation.7: their blocks as they stand there. A comment in front of each block says what it
is, and its name: `run` for commands, `conf` for a part of posthouse.conf, `zone` for records, `file` for other files. What names places of
a real machine is put into the directory of the test; systemctl is done by the test, since the relay is its child. The tasks of the second
page are in test_operation_page.py."""
import re

from lib import *
from test_clock import HOUR
from test_dkim import World
from test_incident import ALICE, thief_at_work
from test_login import PLAIN_WAYS, LDAP_CONFIG, LDAP_CONTENT, Wire, auth, needs, plain, try_login, works

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [TOP / "man/posthouse-guide.7", TOP / "man/posthouse-operation.7"]
TEXT = "".join(page.read_text() for page in PAGES)
SOCKET_DIRECTORY = "/run/saslauthd-posthouse"
SBIN = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"


def plain_text(roff):
    return roff.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", '"').replace("\\&", "").replace("\\e", "\\")


BLOCKS = {name: (kind, plain_text(text)) for kind, name, text in re.findall(r'^\.\\" (run|conf|zone|file): (\S+)\n\.EX\n(.*?)^\.EE$', TEXT, flags=re.M | re.S)}


def block(name, kind=None):
    assert kind is None or BLOCKS[name][0] == kind, name
    return BLOCKS[name][1]


class Shell:
    """Runs blocks of commands with the programs of one relay."""

    def __init__(self, relay, places=(), environment=None, on=None):
        self.relay, self.environment, self.on = relay, environment or {}, on or {}
        self.places = {"/var/lib/posthouse": f"{relay.dir}/state", "/etc/posthouse": str(relay.dir), **dict(places)}
        programs = relay.dir / "programs"
        programs.mkdir(exist_ok=True)
        (programs / "posthouse").write_text(f'#!/bin/sh\nexec "{relay.build}/posthouse" -c "{relay.conf}" "$@"\n')
        (programs / "posthouse").chmod(0o755)
        self.path = f"{programs}:{SBIN}"

    def in_place(self, text):
        for place, ours in self.places.items():
            text = text.replace(place, ours)
        return text

    def commands(self, text, code):
        if not text:
            return ""
        done = subprocess.run(["bash", "-ec", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                              cwd=self.relay.dir, env={**os.environ, "PATH": self.path, **self.environment})
        assert done.returncode == code, f"exit {done.returncode}\n{text}\n----\n{done.stdout}"
        return done.stdout

    def run(self, name, code=0):
        said, waiting = "", ""
        for line in block(name, "run").splitlines(keepends=True):
            if not line.startswith("systemctl "):
                waiting += line
                continue
            said += self.commands(self.in_place(waiting), 0)
            waiting = ""
            verb, unit = line.split()[1:]
            stop = (self.relay.stop,) if self.relay.process else ()
            steps = {"stop": stop, "start": (self.relay.start,), "restart": (*stop, self.relay.start)}[verb]
            for step in steps if unit == "posthouse" else (self.on[unit],):
                step()
        return said + self.commands(self.in_place(waiting), code)


def test_every_block_is_tried():
    """And nothing of the pages is a block that no test knows."""
    assert TEXT.count("\n.EX\n") == len(BLOCKS) and "\n.nf\n" not in TEXT
    tests = "".join(pathlib.Path(__file__).with_name(name).read_text() for name in ("test_guide.py", "test_operation_page.py", "test_package.py"))
    assert not [name for name in BLOCKS if f'"{name}"' not in tests]
    assert all(len(line.encode()) <= 80 for line in TEXT.splitlines())
    assert f'```\n{block("service-credential", "file")}```\n' in (TOP / "README.md").read_text()
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", *PAGES], stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0 and not done.stdout, done.stdout


def test_parts_of_the_configuration():
    """Each in a relay's configuration, which is good with it; where it replaces a part, without that one."""
    for name in ("second-senders", "incident-limits", "printer-device", "machines", "off-lifetime"):
        text = block(name, "conf")
        relay = Relay(1, start=False, users=())
        key = text.split()[0]
        relay.conf.write_text(re.sub(rf"^{key} = .*\n", "", relay.conf.read_text(), flags=re.M) + text)
        said = relay.command("check").stdout
        assert "configuration is good" in said, said
        assert f"{key} = " in relay.command("check", "--dump").stdout


def test_certbot():
    """Its links lead to other files after a renewal; that is taken up without a word to the relay."""
    relay = Relay(1, start=False)
    live, archive = relay.dir / "live/relay.example.org", relay.dir / "archive"
    live.mkdir(parents=True)
    archive.mkdir()

    def renew(n):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", archive / f"privkey{n}.pem",
                        "-out", archive / f"fullchain{n}.pem", "-days", "90", "-subj", f"/CN={HOST}", "-set_serial", str(n),
                        "-addext", f"subjectAltName=DNS:{HOST}"], check=True, stderr=subprocess.DEVNULL)
        for name in ("privkey", "fullchain"):
            (live / "new").symlink_to(f"../../archive/{name}{n}.pem")
            (live / "new").rename(live / f"{name}.pem")

    def serial():
        shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.tls_port}", "-servername", HOST], input=b"", stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL).stdout
        said = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        return said.strip()

    renew(1)
    text = block("certbot", "conf").replace("/etc/letsencrypt/live", str(relay.dir / "live"))
    relay.conf.write_text(re.sub(r"^certificates = .*\n", "", relay.conf.read_text(), flags=re.M) + text)
    relay.start()
    wait_for(lambda: serial() == "serial=01", "the first certificate")
    renew(2)
    wait_for(lambda: serial() == "serial=02", "the renewed certificate")


def test_a_second_domain():
    """From the keys to mail that is signed by them; the list `sign` goes into dkim.conf as the page says."""
    w = World("127.53.7.1")
    relay = w.relay
    # as init leaves it: the list is in the main file
    relay.conf.write_text(relay.conf.read_text().replace('@include "dkim.conf"', f'sign = ( {{ domain = "{DOMAIN}"; selector = "{relay.selector}"; '
                                                         f'key = "{relay.dkim_key}"; }} );'))
    (relay.dir / "dkim.conf").unlink()
    shell = Shell(relay, environment=w.clock.environment())
    said = shell.run("second-keys")
    signing = re.search(r"^sign = \(\n.*?^\);\n", said, flags=re.M | re.S).group(0)
    (relay.dir / "dkim.conf").write_text(signing)
    text = re.sub(r"^sign = .*\n", block("second-include", "conf"), relay.conf.read_text(), flags=re.M)
    relay.conf.write_text(text + block("second-senders", "conf"))
    assert "carol@example.net added" in shell.run("second-user")
    shell.run("reload")
    assert relay.command("user", "list").stdout.count("carol@example.net") == 1

    assert "p=" in shell.run("second-show")
    w.names.records.update({"example.net": [("NS", f"ns.{DOMAIN}."), ("MX", "10 mx.example.net.")], "mx.example.net": [("A", "203.0.113.9")],
                            HOST: [("A", "203.0.113.25")]})
    rotation = BLOCKS["second-rotate"]
    BLOCKS["second-rotate"] = (rotation[0], rotation[1].replace("example.net", f"example.net --resolver {w.names.resolver}"))
    assert "do not have its record" in shell.run("second-rotate", 75)
    for record in rows_of(relay.command("dkim", "show", "example.net", "--offline", "--format", "json").stdout):
        value = record["value"]
        w.names.records[record["name"]] = [("TXT", " ".join(f'"{value[i:i + 255]}"' for i in range(0, len(value), 255)))]
    for line in block("second-direct", "zone").splitlines():
        name, value = re.fullmatch(r'(\S+)\. +TXT  (".*")', line).groups()
        w.names.records.setdefault(name, []).append(("TXT", value))
    shell.run("second-rotate", 75)
    w.clock.set(HOUR + 5000)
    assert shell.run("second-rotate").count("signs from now on") == 2
    relay.submit(simple_message().replace(b"alice@example.org", b"info@example.net"), sender="info@example.net")
    w.sink.wait()
    assert w.sink.messages[0].bytes.count(b"d=example.net;") == 2, w.sink.messages[0].bytes[:3000]
    doctor = block("second-doctor", "run").split()[1:]
    done = relay.command(*doctor, "--json", "--resolver", w.names.resolver, check=False)
    results = {c["id"]: c["result"] for c in map(json.loads, done.stdout.splitlines()) if c.get("domain") == "example.net"}
    assert {results[i] for i in ("dkim.key", "dkim.published", "dkim.match", "spf.record", "dmarc.record")} == {"ok"}, results


def test_rotation():
    w = World("127.53.7.2")
    w.run("generate", DOMAIN, "--selector", "p202503")
    w.publish()
    shell = Shell(w.relay, environment=w.clock.environment())
    BLOCKS["rotate"] = ("run", block("rotate").replace(DOMAIN, f"{DOMAIN} --resolver {w.names.resolver}"))
    shell.run("rotate", 75)
    w.clock.set(HOUR + 5000)
    shell.run("rotate")
    assert w.selectors()[1] == ["p202503r", "p202503e"]
    assert "v=DKIM1" in shell.run("rotate")
    w.publish()
    shell.run("rotate", 75)
    w.clock.set(3 * HOUR)
    shell.run("rotate")
    new = w.selectors()[1]
    assert len(new) == 2 and "p202503r" not in new
    w.clock.set(9 * 24 * HOUR)
    assert "v=DKIM1; p=" in shell.run("retire") and "p202503r" not in w.keys()


def test_a_stolen_password():
    sink = Sink(rcpt=lambda a: "550 5.1.1 no such user" if "refused" in a else "451 4.7.1 later" if "later" in a else None)
    relay = thief_at_work(sink)
    shell = Shell(relay)
    assert "locked" in shell.run("incident")
    assert try_login(relay, plain, ALICE, PASSWORD) == 535
    shell.run("incident-list")
    assert rows_of((relay.dir / "incident.json").read_text())
    new = re.search(r"^(\w+-\S+)$", shell.run("incident-passwords"), flags=re.M)
    assert "/phone" not in relay.command("user", "list").stdout
    assert relay.queue("--user=alice") != []
    shell.run("incident-queue")
    assert relay.queue("--user=alice") == []
    shell.run("incident-end")
    assert try_login(relay, plain, ALICE, PASSWORD) == 535
    assert new, "a new password was made"
    wait_for(lambda: try_login(relay, plain, ALICE, new.group(1)) == 235, "the owner is in again")


# ---- logins ----
def saslauthd(relay, defaults, more_files):
    """Debian's own start script with the lines of the page, in a mount namespace: /etc is not changed. Returns the function that starts it."""
    needs("saslauthd", "testsaslauthd", "dpkg-statoverride", "start-stop-daemon", "unshare", "mount")
    script = pathlib.Path("/etc/init.d/saslauthd")
    if os.geteuid() != 0 or not script.exists() or not pathlib.Path("/lib/lsb/init-functions").exists():
        raise Skip("Debian's start script of saslauthd is not here")
    needs_namespaces("--mount")
    admin = relay.dir / "dpkg"
    for directory in (admin, admin / "updates", admin / "info"):
        directory.mkdir()
    for name in ("status", "statoverride", "lock"):
        (admin / name).write_text("")
    place = relay.dir / "saslauthd-posthouse"
    wanted = {"/etc/default/saslauthd": pathlib.Path("/etc/default/saslauthd").read_text() + "\n" + defaults.replace(SOCKET_DIRECTORY, str(place)),
              "/etc/group": re.sub(r"^posthouse:.*\n", "", pathlib.Path("/etc/group").read_text(), flags=re.M) + "posthouse:x:64999:\n", **more_files}
    mounts = ""
    for n, (path, text) in enumerate(wanted.items()):
        ours = relay.dir / f"mounted-{n}"
        if isinstance(text, dict):
            ours.mkdir()
            for name, content in text.items():
                (ours / name).write_text(content)
        else:
            ours.write_text(text)
        mounts += f'mount --bind "{ours}" {path}; '
    enter = ["unshare", "-m", "bash", "-ec"]
    environment = {**os.environ, "PATH": SBIN, "DPKG_ADMINDIR": str(admin), "_SYSTEMCTL_SKIP_REDIRECT": "1"}

    class Daemon:
        def end(self, keep=False):
            try:
                os.kill(int((place / "saslauthd.pid").read_text()), signal.SIGTERM)
            except (OSError, ValueError):
                pass

    def start():
        lines = block("saslauthd-start", "run").replace(SOCKET_DIRECTORY, str(place)).replace("systemctl restart saslauthd", f"{script} restart")
        done = subprocess.run([*enter, mounts + lines], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                              env=environment)
        end_with_the_test(Daemon())
        assert done.returncode == 0, done.stdout
        wait_for((place / "mux").exists, what=lambda: "saslauthd's socket: " + done.stdout)
        found = place.stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o710, 0, 64999), found
    return place, start


def by_saslauthd(defaults, more_files=lambda relay: {}):
    """The recipe from its first file to logins at the relay."""
    relay = Relay(1, users=(), start=False, submission='login_delay = "50ms";')
    place, start = saslauthd(relay, defaults, more_files(relay))
    relay.start()
    start()
    shell = Shell(relay, {SOCKET_DIRECTORY: str(place)})
    assert '0: OK "Success."' in shell.run("testsaslauthd")
    text = shell.in_place(block("pam-auth", "conf")).replace('realm =', 'failures = "100000/1m"; timeout = "20s"; realm =')
    relay.conf.write_text(re.sub(r"^auth = .*\n", "", relay.conf.read_text(), flags=re.M) + text)
    assert "FAULT" not in shell.run("auth-restart")
    wire = Wire(relay)
    assert "AUTH PLAIN LOGIN" in wire.offer.splitlines(), wire.offer
    assert auth(wire, "SCRAM-SHA-256")[0] == 504
    wire.close()
    works(relay, "carol", "looking glass", PLAIN_WAYS)


def test_logins_by_pam():
    found = [p for top in ("/usr/lib", "/lib") for p in pathlib.Path(top).glob("*/security/pam_pwdfile.so")]
    if not found:
        raise Skip("pam_pwdfile, which takes the place of the machine's users, is not installed")
    hashed = subprocess.run(["openssl", "passwd", "-6", "looking glass"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def files(relay):
        (relay.dir / "passwords").write_text(f"carol:{hashed}\n")
        return {"/etc/pam.d": {"smtp": block("pam", "file"), "common-auth": f"auth required pam_pwdfile.so nodelay pwdfile={relay.dir}/passwords\n",
                               "common-account": "account required pam_permit.so\n", "other": "auth required pam_deny.so\n"}}
    by_saslauthd(block("saslauthd-pam", "file"), files)


class Directory:
    """slapd with the lines of the page, and TLS by a certificate of its own. Passwords as the store wants them: in clear text, or hashed."""

    def __init__(self, place, hashed):
        needs("slapd", "slapadd", "slappasswd")
        self.port, self.certificate = free_port(), place / "slapd.pem"
        (place / "data").mkdir(parents=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "slapd.key", "-out", self.certificate, "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        config = LDAP_CONFIG.format(dir=place)
        config = re.sub(r"^authz-.*\n", "", config, flags=re.M).replace("password-hash", block("ldapdb-slapd", "file") + "password-hash")
        tls = f"TLSCertificateFile {self.certificate}\nTLSCertificateKeyFile {place}/slapd.key\n"
        (place / "slapd.conf").write_text(config.replace("authz-policy", tls + "authz-policy"))
        content = re.sub(r"^dn: uid=proxy.*?\n\n", lambda _: block("ldapdb-proxy", "file") + "\n", LDAP_CONTENT, flags=re.M | re.S)
        if hashed:
            made = subprocess.run(["/usr/sbin/slappasswd", "-s", "looking glass"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            content = content.replace("looking glass", made)
        (place / "content").write_text(content)
        subprocess.run(["/usr/sbin/slapadd", "-f", place / "slapd.conf", "-l", place / "content"], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        start_process(["/usr/sbin/slapd", "-f", place / "slapd.conf", "-h", f"ldap://127.0.0.1:{self.port}", "-d", "0"], {"SASL_CONF_PATH": "/dev/null"})
        wait_for(lambda: can_connect(self.port), what="slapd")

    def in_place(self, text):
        return text.replace("ldap://ldap.example.org", f"ldap://127.0.0.1:{self.port}").replace("/etc/ssl/certs/ca-certificates.crt", str(self.certificate))


def test_logins_by_ldap_and_saslauthd():
    defaults = block("saslauthd-ldap", "file")
    directory = Directory(pathlib.Path(WORK_DIR()) / "ldap", hashed=True)
    settings = pathlib.Path(WORK_DIR()) / "saslauthd.conf"  # in place of /etc/saslauthd.conf, which is not there to be mounted over
    settings.write_text(directory.in_place(block("ldap", "file")))
    by_saslauthd(defaults + f'MECH_OPTIONS="{settings}"\n')


def test_logins_by_ldapdb():
    if not list(pathlib.Path("/usr/lib").glob("*/sasl2/libldapdb.so")):
        raise Skip("libsasl2-modules-ldap is not installed")
    directory = Directory(pathlib.Path(WORK_DIR()) / "ldap", hashed=False)
    relay = Relay(1, users=(), start=False, submission='login_delay = "50ms";')
    (relay.dir / "ldap.password").write_text("go between\n")
    (relay.dir / "ldap.password").chmod(0o600)
    text = directory.in_place(block("ldapdb-auth", "conf")).replace(
        "realm =", 'failures = "100000/1m"; timeout = "20s"; mechanisms = [ "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" ]; realm =')
    relay.conf.write_text(re.sub(r"^auth = .*\n", "", relay.conf.read_text(), flags=re.M) + text)
    # TLS_CACERT of /etc/ldap/ldap.conf, for the relay alone: it takes no such thing from its environment
    needs_namespaces("--mount")
    programs = relay.dir / "programs"
    programs.mkdir()
    (relay.dir / "ldap.conf").write_text(f"TLS_CACERT {directory.certificate}\n")
    (programs / "posthouse").write_text(f"""#!/bin/sh
exec unshare -m sh -c 'mount --bind "{relay.dir}/ldap.conf" /etc/ldap/ldap.conf && exec "{relay.build}/posthouse" "$@"' sh "$@"
""")
    (programs / "posthouse").chmod(0o755)
    relay.build = programs
    relay.start()
    works(relay, "carol", "looking glass")


# ---- printers, other machines ----
def test_a_printer_and_another_machine():
    sink = Sink()
    relay = Relay(sink.port)
    shell = Shell(relay)
    said = shell.run("printer")
    assert "alice@example.org/printer" in said and HOST in said, said
    made = re.search(r"\b(\w{5}-\S+)", shell.run("machine-user")).group(1)
    relay.conf.write_text(relay.conf.read_text() + block("machines", "conf"))
    relay.command("reload")
    needs("msmtp")
    (relay.dir / "msmtp.password").write_text(made + "\n")
    text = block("msmtprc", "file").replace("host relay.example.org", f"host 127.0.0.1\ntls_host_override {HOST}").replace("port 465", f"port {relay.tls_port}")
    (relay.dir / "msmtprc").write_text(text.replace("/etc/msmtp.password", str(relay.dir / "msmtp.password")) + f"tls_trust_file {relay.dir / relay.certificate}\n")
    (relay.dir / "msmtprc").chmod(0o600)
    shell.places["| msmtp "] = f"| msmtp -C {relay.dir}/msmtprc "
    shell.run("machine-try")
    received = sink.wait()[0]
    assert received.sender == "alerts@example.org" and b"From: alerts@example.org" in received.bytes and b"Subject: a test of web1" in received.bytes
