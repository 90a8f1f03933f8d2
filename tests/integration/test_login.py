"""Logins: every mechanism on both ports with TLS 1.2 and 1.3, by clients that share no code with us; passwords of devices; the
back-ends of Cyrus SASL, each a real one; back-ends that hang."""
import base64
import hashlib
import hmac
import re
import secrets

from lib import *

USER = f"alice@{DOMAIN}"
QUICK = 'login_delay = "50ms";'
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def relay_with(auth="", port=1, users=(), start=True, **kw):
    """A relay whose `auth` has more in it, with {dir} for its directory. Failures are not what is tested here, so they do not ban."""
    relay = Relay(port, users=(), start=False, submission=QUICK, **kw)
    if "mechanisms" not in auth and "saslauthd" not in auth:
        auth += ' mechanisms = [ "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" ];'
    relay.write_config(auth='failures = "100000/1m"; ' + auth.replace("{dir}", str(relay.dir)))
    for user in users:
        relay.add_user(user)
    if start:
        relay.start()
    return relay


# ---- a client that knows its own SCRAM (RFC 5802, RFC 7677) ----
class Wire:
    """Lines over TLS by Python's ssl."""

    def __init__(self, relay, implicit=False, version=TLS13, source=None):
        context = relay.tls()
        context.minimum_version = context.maximum_version = version
        raw = socket.create_connection(("127.0.0.1", relay.tls_port if implicit else relay.port), 60, (source, 0) if source else None)
        if not implicit:
            file = raw.makefile("rwb")
            assert file.readline().startswith(b"220")
            file.write(b"EHLO client.example\r\n")
            file.flush()
            while file.readline()[3:4] == b"-":
                pass
            file.write(b"STARTTLS\r\n")
            file.flush()
            assert file.readline().startswith(b"220")
        self.socket = context.wrap_socket(raw, server_hostname=HOST)
        self.file = self.socket.makefile("rwb")
        if implicit:
            self.answer()
        self.offer = self.say("EHLO client.example")[1]

    def answer(self):
        lines = []
        while True:
            line = self.file.readline().decode()
            assert line, "the relay has closed"
            lines.append(line[4:].rstrip("\r\n"))
            if line[3] == " ":
                return int(line[:3]), "\n".join(lines)

    def say(self, line):
        self.file.write(line.encode() + b"\r\n")
        self.file.flush()
        return self.answer()

    def end_point(self):
        """RFC 5929 section 4: the certificate under SHA-256, which is the hash of its signature here."""
        return hashlib.sha256(self.socket.getpeercert(True)).digest()

    def close(self):
        self.file.close()
        self.socket.close()


class OpensslWire(Wire):
    """Lines over TLS by `openssl s_client`, which tells the keying material (RFC 9266) that Python does not."""

    def __init__(self, relay, implicit=False):
        port = relay.tls_port if implicit else relay.port
        self.process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-tls1_3", "-nocommands",
                                         "-ign_eof", "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32",
                                         *([] if implicit else ["-starttls", "smtp", "-name", "client.example"])],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.exporter = None
        while self.exporter is None:
            line = self.process.stdout.readline().decode(errors="replace")
            assert line, "s_client told no keying material"
            found = re.search(r"Keying material: ([0-9A-F]{64})", line)
            self.exporter = bytes.fromhex(found.group(1)) if found else None
        self.file = self
        if implicit:
            self.answer()
        self.offer = self.say("EHLO client.example")[1]

    def readline(self):
        while True:  # s_client says much else
            line = self.process.stdout.readline()
            if not line or re.match(rb"[2-5]\d\d[ -]", line):
                return line

    def write(self, data):
        self.process.stdin.write(data)

    def flush(self):
        self.process.stdin.flush()

    def close(self):
        self.process.kill()
        self.process.communicate()


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def sha(key, text):
    return hmac.digest(key, text, "sha256")


def fields(message):
    return dict(part.split("=", 1) for part in message.split(","))


def auth(wire, mechanism, initial=None):
    return wire.say(f"AUTH {mechanism}" + ("" if initial is None else f" {b64(initial) or '='}"))


def plain(wire, user=USER, password=PASSWORD, late=False):
    message = f"\0{user}\0{password}"
    if not late:
        return auth(wire, "PLAIN", message)
    assert auth(wire, "PLAIN") == (334, "")
    return wire.say(b64(message))


def login(wire, user=USER, password=PASSWORD, late=False):
    if late:
        assert auth(wire, "LOGIN") == (334, b64("Username:"))
        code, text = wire.say(b64(user))
    else:
        code, text = auth(wire, "LOGIN", user)
    assert (code, text) == (334, b64("Password:"))
    return wire.say(b64(password))


def scram(wire, user=USER, password=PASSWORD, late=False, header="n,,", binding=b"", mechanism="SCRAM-SHA-256", seen=None):
    """`seen`: a dict that gets what the server told on the way."""
    seen = {} if seen is None else seen
    nonce = secrets.token_urlsafe(18)
    bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
    if late:
        assert auth(wire, mechanism) == (334, "")
        code, text = wire.say(b64(header + bare))
    else:
        code, text = auth(wire, mechanism, header + bare)
    seen["steps"] = 1
    if code != 334:
        return code, text
    first = base64.b64decode(text).decode()
    server = fields(first)
    seen.update(salt=server["s"], iterations=server["i"])
    assert server["r"].startswith(nonce) and len(server["r"]) > len(nonce)
    without = f"c={b64(header.encode() + binding)},r={server['r']}"
    message = f"{bare},{first},{without}".encode()
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(server["s"]), int(server["i"]))
    key = sha(salted, b"Client Key")
    proof = bytes(a ^ b for a, b in zip(key, sha(hashlib.sha256(key).digest(), message)))
    code, text = wire.say(b64(f"{without},p={b64(proof)}"))
    seen["steps"] = 2
    if code != 334:
        return code, text
    seen["steps"] = 3
    assert base64.b64decode(text).decode() == f"v={b64(sha(sha(salted, b'Server Key'), message))}", "the server has not proved itself"
    return wire.say("")


def scram_plus(wire, user=USER, password=PASSWORD, late=False):
    if isinstance(wire, OpensslWire):
        return scram(wire, user, password, late, "p=tls-exporter,,", wire.exporter, "SCRAM-SHA-256-PLUS")
    return scram(wire, user, password, late, "p=tls-server-end-point,,", wire.end_point(), "SCRAM-SHA-256-PLUS")


WAYS = {"PLAIN": plain, "LOGIN": login, "SCRAM-SHA-256": scram, "SCRAM-SHA-256-PLUS": scram_plus}


def try_login(relay, way=plain, *arguments, **kw):
    """One login on a connection of its own: the code."""
    wire = Wire(relay)
    try:
        return way(wire, *arguments, **kw)[0]
    finally:
        wire.close()


# ---- mechanisms ----
def test_every_mechanism_on_both_ports_and_tls_versions():
    sink = Sink()
    relay = relay_with(port=sink.port, users=[USER])
    count = 0
    for implicit in (False, True):
        for version in (TLS12, TLS13):
            for mechanism, way in WAYS.items():
                for late in (False, True):
                    wire = Wire(relay, implicit, version)
                    assert "AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS" in wire.offer.splitlines()
                    what = f"{mechanism} late={late} implicit={implicit} {version.name}"
                    code, text = way(wire, late=late)
                    assert code == 235, f"{what}: {code} {text}"
                    assert wire.say(f"MAIL FROM:<{USER}>")[0] == 250, what
                    if late:
                        assert wire.say("RCPT TO:<bob@example.net>")[0] == 250
                        assert wire.say("DATA")[0] == 354
                        count += 1
                        code, text = wire.say(f"From: {USER}\r\nSubject: {what}\r\n\r\nhi\r\n.")
                        assert code == 250, text
                    wire.close()
                    relay.wait_log(f"login={USER} device=\"\" client=127.0.0.1 mechanism={mechanism}")
    sink.wait(count)


def test_exporter_by_openssl():
    relay = relay_with(users=[USER])
    for implicit in (False, True):
        wire = OpensslWire(relay, implicit)
        assert scram_plus(wire)[0] == 235
        wire.close()
        wire = OpensslWire(relay, implicit)
        assert scram(wire, header="p=tls-exporter,,", binding=bytes(32), mechanism="SCRAM-SHA-256-PLUS")[0] == 535
        wire.close()


def test_gsasl():
    if not shutil.which("gsasl"):
        raise Skip("gsasl is not installed")
    relay = relay_with(users=[USER])
    # told to use the form without channel binding while it has one, it gives up by itself
    for mechanism, more in (("PLAIN", []), ("LOGIN", []), ("SCRAM-SHA-256", ["--no-cb"]), ("SCRAM-SHA-256-PLUS", [])):
        for password, good in ((PASSWORD, True), ("wrong", False)):
            done = subprocess.run(["gsasl", "--smtp", "--connect", f"127.0.0.1:{relay.port}", "--hostname", HOST, "--x509-ca-file",
                                   relay.dir / relay.certificate, "-m", mechanism, "-a", USER, "-z", "", "-p", password, *more],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            if good:
                assert done.returncode == 0, f"{mechanism}: {done.stdout}"
                relay.wait_log(f"login={USER} device=\"\" client=127.0.0.1 mechanism={mechanism}")
            else:
                assert done.returncode != 0, f"{mechanism}: {done.stdout}"


def test_swaks_with_a_device_password():
    relay = relay_with(users=[USER])
    relay.add_user("alice/phone", "rabbit hole")
    for implicit in (False, True):
        for mechanism in ("PLAIN", "LOGIN"):
            done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(relay.tls_port if implicit else relay.port),
                                   "--tls-on-connect" if implicit else "--tls", "--auth", mechanism, "--auth-user", "alice/phone", "--auth-password",
                                   "rabbit hole", "--quit-after", "AUTH"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout
    relay.wait_log(f"event=login.accepted")
    relay.wait_log(f"login={USER} device=phone")


def test_downgrades_and_false_bindings_are_refused():
    relay = relay_with(users=[USER])
    assert try_login(relay, scram, header="y,,") == 535
    relay.wait_log("event=login.misbound")
    assert try_login(relay, scram, header="p=tls-server-end-point,,", binding=bytes(32), mechanism="SCRAM-SHA-256-PLUS") == 535
    assert try_login(relay, scram, header="p=tls-unique,,", binding=bytes(12), mechanism="SCRAM-SHA-256-PLUS") == 535
    assert try_login(relay, scram, header="p=tls-server-end-point,,", binding=bytes(32)) in (501, 535)
    assert try_login(relay, scram, header="n,,", mechanism="SCRAM-SHA-256-PLUS") in (501, 535)
    assert try_login(relay, scram) == 235
    other = relay_with('mechanisms = [ "SCRAM-SHA-256" ];', users=[USER])
    assert try_login(other, scram, header="y,,") == 235  # nothing else was offered: the client is right
    assert try_login(other) == 504


def test_cancel_and_begin_again():
    relay = relay_with(users=[USER])
    wire = Wire(relay)
    for mechanism in WAYS:
        assert auth(wire, mechanism)[0] == 334
        assert wire.say("*")[0] == 501
    code, text = auth(wire, "SCRAM-SHA-256", f"n,,n={USER},r=abcdefghijklmnop")
    assert code == 334
    assert wire.say("*")[0] == 501
    assert auth(wire, "SCRAM-SHA-256")[0] == 334
    assert wire.say("!")[0] == 501
    assert auth(wire, "CRAM-MD5")[0] == 504
    assert login(wire, password="wrong")[0] == 535
    assert scram_plus(wire)[0] == 235
    assert auth(wire, "PLAIN")[0] == 503
    wire.close()


def same_for_known_and_unknown(relay, known, ways, unknown="nobody"):
    """Words, steps, salts and iterations say nothing of whether a name exists."""
    for mechanism, way in ways.items():
        wire = Wire(relay)
        answers = way(wire, known, "wrong"), way(wire, unknown, "wrong")
        assert answers[0] == answers[1] and answers[0][0] == 535, f"{mechanism}: {answers}\n{relay.log_tail()}"
        if way is scram:
            seen = [{}, {}, {}]
            for user, told in zip((known, unknown, unknown), seen):
                assert scram(wire, user, "wrong", seen=told)[0] == 535
            assert seen[1] == seen[2], "a new salt each time is a name that does not exist"
            assert seen[0]["steps"] == seen[1]["steps"] and seen[0]["iterations"] == seen[1]["iterations"]
            assert len(seen[0]["salt"]) == len(seen[1]["salt"])
        wire.close()


def test_names_that_exist_look_like_those_that_do_not():
    relay = relay_with(users=[USER])
    relay.add_user("alice/phone", "rabbit hole")
    same_for_known_and_unknown(relay, "alice", WAYS)
    same_for_known_and_unknown(relay, "alice/phone", WAYS, "alice/printer")
    seen = [{}, {}]
    wire = Wire(relay)
    for name, told in zip(("alice", "alice/printer"), seen):
        scram(wire, name, "wrong", seen=told)
    assert seen[0] == seen[1]
    wire.close()


# ---- passwords of devices ----
def test_the_last_use_of_a_password_is_kept():
    relay = relay_with(users=[USER])
    used = relay.dir / "state/login/accounts.used"

    def use():
        return rows_of(relay.command("user", "list", "--json").stdout)[0]["used_at"]

    assert use() is None
    assert try_login(relay, plain, "alice", "wrong") == 535 and use() is None
    assert try_login(relay, plain, "alice", PASSWORD) == 235
    first = use()
    wait_for(lambda: used.exists() and f"{USER} - " in used.read_text(), what="the file of uses")
    wait_for(lambda: try_login(relay, plain, "alice", PASSWORD) == 235 and use() > first, what="a later use")  # known, without a write
    last = use()
    relay.stop()
    assert use() == last  # without the relay
    relay.start()
    assert use() == last and re.match(rf"{USER} .* used \d{{4}}-", relay.command("user", "list").stdout)


def test_device_passwords_and_their_expiry():
    relay = relay_with(users=[USER])
    relay.command("user", "add", "alice/phone", "--expires", "90d", input="rabbit hole\n")
    made = relay.command("user", "add", "alice/printer", "--generate").stdout.strip()

    def rows():
        return {row["login"]: row for row in rows_of(relay.command("user", "list", "--json").stdout)}

    for way in WAYS.values():
        for name in ("alice/phone", f"{USER}/phone"):
            assert try_login(relay, way, name, "rabbit hole") == 235
        assert try_login(relay, way, "alice/printer", made) == 235
        assert try_login(relay, way, "alice/phone", PASSWORD) == 535
        assert try_login(relay, way, "alice", "rabbit hole") == 535
    assert abs(seconds_of(rows()[f"{USER}/phone"]["expires_at"]) - time.time() - 90 * 86400) < 600
    assert rows()[f"{USER}/printer"]["expires_at"] is None and rows()[USER]["expires_at"] is None
    assert all(abs(seconds_of(rows()[name]["used_at"]) - time.time()) < 600 for name in (f"{USER}/phone", f"{USER}/printer")), rows()
    assert rows()[USER]["used_at"] is None, rows()
    assert re.search(rf"{USER}/phone .* expires \d{{4}}-", relay.command("user", "list").stdout)

    relay.command("user", "passwd", "alice/phone", "--expires", "1s", input="red queen\n")
    assert try_login(relay, plain, "alice/phone", "red queen") in (235, 535)  # into the cache, if it came in time
    wait_for(lambda: "expired" in relay.command("user", "list").stdout, what="expired in the list")
    for way in WAYS.values():
        assert try_login(relay, way, "alice/phone", "red queen") == 535
    relay.wait_log(f"event=login.expired")
    wait_for(lambda: f"login={USER} device=phone" in relay.log_since_start().split("event=login.expired", 1)[1], "whose password it was")
    assert try_login(relay, plain, "alice", PASSWORD) == 235
    same_for_known_and_unknown(relay, "alice/phone", WAYS, "alice/other")

    done = relay.command("user", "passwd", "alice/phone", input="white queen\n", check=False)
    assert done.returncode == 65 and "--expires" in done.stderr, done.stderr
    relay.command("user", "passwd", "alice/phone", "--expires", "1h", input="white queen\n")
    relay.command("user", "passwd", "alice/phone", input="red king\n")
    assert rows()[f"{USER}/phone"]["expires_at"] is not None
    assert try_login(relay, scram, "alice/phone", "red king") == 235
    relay.command("user", "passwd", "alice/phone", "--expires", "never", input="red king\n")
    assert rows()[f"{USER}/phone"]["expires_at"] is None
    relay.command("user", "remove", "alice/phone")
    assert try_login(relay, plain, "alice/phone", "red king") == 535
    assert try_login(relay, plain, "alice/printer", made) == 235
    for bad in ("90", "0d", "-1d", "d", "1y", "never ever", "999999999w"):
        assert relay.command("user", "passwd", "alice", "--expires", bad, input="x\n", check=False).returncode == 64, bad
    assert relay.command("user", "remove", "alice/printer", "--expires", "1d", check=False).returncode == 64


# ---- back-ends ----
def needs(*programs):
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise Skip(f"{program} is not installed")


def works(relay, known, password, ways=WAYS):
    """Both ports, both TLS versions, each mechanism; wrong is wrong; only our realm; no devices."""
    for implicit, version in ((False, TLS12), (True, TLS13)):
        for mechanism, way in ways.items():
            for name in (known, f"{known}@{DOMAIN}"):
                wire = Wire(relay, implicit, version)
                code, text = way(wire, name, password)
                assert code == 235, f"{mechanism} {name}: {code} {text}\n{relay.log_tail()}"
                assert wire.say(f"MAIL FROM:<{known}@{DOMAIN}>")[0] == 250
                wire.close()
            assert try_login(relay, way, known, "wrong") == 535
            assert try_login(relay, way, f"{known}@example.com", password) == 535
            assert try_login(relay, way, f"{known}/phone", password) == 535
    same_for_known_and_unknown(relay, known, ways)


PLAIN_WAYS = {"PLAIN": plain, "LOGIN": login}


def test_sasldb():
    needs("saslpasswd2")
    relay = relay_with('backend = "sasldb"; options = { sasldb_path = "{dir}/sasldb"; };', start=False)
    path = relay.dir / "sasldb"
    subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-f", path, "-u", DOMAIN, "carol"], input="looking glass", text=True, check=True,
                   env={"SASL_CONF_PATH": "/dev/null"})
    relay.start()
    works(relay, "carol", "looking glass")
    path.rename(path.with_suffix(".aside"))
    for name in ("carol", "nobody"):
        assert try_login(relay, plain, name, "looking glass") == 454
        assert try_login(relay, scram, name, "looking glass") == 454
    relay.wait_log("event=login.faulted")
    path.with_suffix(".aside").rename(path)
    assert try_login(relay, scram, "carol", "looking glass") == 235


def test_sql():
    needs("sqlite3")
    relay = relay_with('backend = "sql"; options = { sql_engine = "sqlite3"; sql_database = "{dir}/users.db"; '
                       """sql_select = "SELECT %p FROM users WHERE name = '%u' AND realm = '%r'"; };""", start=False)
    path = relay.dir / "users.db"
    subprocess.run(["sqlite3", path, f"CREATE TABLE users (name, realm, userPassword); INSERT INTO users VALUES ('carol', '{DOMAIN}', 'looking glass')"],
                   check=True)
    relay.start()
    works(relay, "carol", "looking glass")
    for name in ("x'or'1'='1", "carol'--", "carol\\"):
        assert try_login(relay, plain, name, "looking glass") == 535
    path.rename(path.with_suffix(".aside"))
    for name in ("carol", "nobody"):
        assert try_login(relay, plain, name, "looking glass") == 454
        assert try_login(relay, scram, name, "looking glass") == 454
    path.with_suffix(".aside").rename(path)
    assert try_login(relay, scram, "carol", "looking glass") == 235


def test_saslauthd_with_pam():
    needs("saslauthd", "unshare", "mount")
    if not list(pathlib.Path("/").glob("usr/lib/*/security/pam_pwdfile.so")) + list(pathlib.Path("/").glob("lib/*/security/pam_pwdfile.so")):
        raise Skip("pam_pwdfile is not installed")
    relay = relay_with('backend = "saslauthd"; options = { saslauthd_path = "{dir}/mux"; }; timeout = "20s";', start=False)
    pam = relay.dir / "pam.d"
    pam.mkdir()
    hashed = subprocess.run(["openssl", "passwd", "-6", "looking glass"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    (relay.dir / "passwords").write_text(f"carol:{hashed}\n")
    (pam / "smtp").write_text(f"auth required pam_pwdfile.so nodelay pwdfile={relay.dir}/passwords\naccount required pam_permit.so\n")
    # a mount namespace of its own: nobody else sees this /etc/pam.d; and a session, since saslauthd ends with all of its process group
    if subprocess.run(["unshare", "-m", "mount", "--bind", pam, "/etc/pam.d"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("no mount namespace may be made here")
    start_process(["setsid", "unshare", "-m", "sh", "-c", f'mount --bind "{pam}" /etc/pam.d && exec saslauthd -a pam -m "{relay.dir}" -n 2 -d'],
                  {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    wait_for((relay.dir / "mux").exists, what="saslauthd's socket")
    relay.start()
    wire = Wire(relay)
    assert "AUTH PLAIN LOGIN" in wire.offer.splitlines(), wire.offer
    assert auth(wire, "SCRAM-SHA-256")[0] == 504
    wire.close()
    works(relay, "carol", "looking glass", PLAIN_WAYS)


LDAP_CONFIG = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {dir}/slapd.pid
authz-policy to
authz-regexp "^uid=proxy,.*cn=auth$" "uid=proxy,dc=example,dc=org"
authz-regexp "^uid=([^,@]+)@example.org,.*cn=auth$" "uid=$1,ou=people,dc=example,dc=org"
authz-regexp "^uid=([^,@]+),cn=example.org,.*cn=auth$" "uid=$1,ou=people,dc=example,dc=org"
password-hash {{CLEARTEXT}}
database mdb
suffix "dc=example,dc=org"
directory {dir}/data
access to attrs=userPassword by self read by anonymous auth by * none
access to * by * read
"""
LDAP_CONTENT = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=proxy,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: proxy
userPassword: go between
authzTo: ldap:///ou=people,dc=example,dc=org??one?(objectClass=inetOrgPerson)

dn: uid=carol,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Carol
userPassword: looking glass
"""


def test_ldapdb():
    needs("slapd", "slapadd")
    if not list(pathlib.Path("/usr/lib").glob("*/sasl2/libldapdb.so")):
        raise Skip("libsasl2-modules-ldap is not installed")
    port = free_port()
    relay = relay_with(f'backend = "ldapdb"; timeout = "20s"; options = {{ ldapdb_uri = "ldap://127.0.0.1:{port}"; ldapdb_id = "proxy"; '
                       'ldapdb_pw = "go between"; ldapdb_mech = "SCRAM-SHA-256"; };', start=False)
    place = relay.dir / "ldap"
    (place / "data").mkdir(parents=True)
    (place / "slapd.conf").write_text(LDAP_CONFIG.format(dir=place))
    (place / "content").write_text(LDAP_CONTENT)
    subprocess.run(["/usr/sbin/slapadd", "-f", place / "slapd.conf", "-l", place / "content"], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    slapd = start_process(["/usr/sbin/slapd", "-f", place / "slapd.conf", "-h", f"ldap://127.0.0.1:{port}", "-d", "0"], {"SASL_CONF_PATH": "/dev/null"})
    wait_for(lambda: can_connect(port), what="slapd")
    relay.start()
    works(relay, "carol", "looking glass")
    slapd.end()
    for name in ("carol", "nobody"):
        assert try_login(relay, plain, name, "looking glass") == 454
        assert try_login(relay, scram, name, "looking glass") == 454


def test_a_configuration_that_cannot_work_is_refused():
    def faults(auth):
        relay = relay_with(auth, start=False)
        done = relay.command("check", check=False)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    assert "SCRAM-SHA-256" in faults('backend = "saslauthd"; mechanisms = [ "PLAIN", "SCRAM-SHA-256" ];')
    assert "ldapdb_uri" in faults('backend = "ldapdb";')
    assert "sql_select" in faults('backend = "sql"; options = { sql_engine = "sqlite3"; sql_database = "x"; };')


# ---- back-ends that hang ----
class Mux:
    """A saslauthd that does not answer for names that begin with `hang`, and takes the password `yes` of all others."""

    def __init__(self, path):
        self.path, self.hanging, self.healed = str(path), [], False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1000)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            request = connection.recv(2000)  # it comes in one piece
            n = int.from_bytes(request[:2], "big")
            user = request[2:2 + n]
            rest = request[2 + n:]
            password = rest[2:2 + int.from_bytes(rest[:2], "big")]
            if user.startswith(b"hang") and not self.healed:
                self.hanging.append(connection)
                continue
            connection.sendall(b"\0\2OK" if password == b"yes" else b"\0\2NO")
            connection.close()


def hanging_relay(timeout):
    relay = relay_with(f'backend = "saslauthd"; timeout = "{timeout}"; ' 'options = { saslauthd_path = "{dir}/mux"; };', start=False)
    mux = Mux(relay.dir / "mux")
    relay.start()
    return relay, mux


def begin_hanging(relay, n):
    """So many clients who wait for their answer."""
    wires = [Wire(relay) for _ in range(n)]
    for wire in wires:
        wire.file.write(f"AUTH PLAIN {b64(chr(0) + 'hang' + chr(0) + 'x')}\r\n".encode())
        wire.file.flush()
    return wires


def test_a_back_end_that_hangs_for_some_is_there_for_the_others():
    relay, mux = hanging_relay("15s")  # longer than a busy machine takes for what follows
    wires = begin_hanging(relay, 20)
    wait_for(lambda: len(mux.hanging) == 20, what="all of them are being asked for at once")
    assert try_login(relay, plain, "bob", "yes") == 235
    assert try_login(relay, login, "bob", "no") == 535
    assert "event=login.faulted" not in relay.log_now(), "the others had to wait for those"
    for wire in wires:
        code, text = wire.answer()
        assert code == 454 and "4.7.0" in text, (code, text)
    for connection in mux.hanging:
        connection.close()
    assert try_login(relay, plain, "bob", "yes") == 235


def test_a_back_end_that_hangs_for_all_has_the_role_started_anew():
    relay, mux = hanging_relay("300ms")
    before = relay.pids("login")
    for wire in begin_hanging(relay, 70):
        assert wire.answer()[0] == 454
        wire.close()

    def ended():  # by somebody who asks when they have been stuck for long
        try_login(relay, plain, "bob", "yes")
        return "event=login.stuck" in relay.log_since_start()

    wait_for(ended, "the role ends itself")
    mux.healed = True
    wait_for(lambda: try_login(relay, plain, "hang", "yes") == 235, "logins after the new start", every=0.3)
    assert relay.pids("login") != before


def test_a_banned_login_does_not_tell_by_scram_whether_the_password_is_right():
    """The server's last words prove that it knew the password, so they wait until queue has said yes."""
    relay = Relay(1, users=[USER], auth='failures = "3/10m";', submission=QUICK)
    for i in range(4):
        wire = Wire(relay, source=f"127.0.2.{i + 1}")
        code = scram(wire, password="wrong")[0]
        assert code == (535 if i < 3 else 454), code
    for i, password in enumerate((PASSWORD, "wrong")):
        seen = {}
        code = scram(Wire(relay, source=f"127.0.3.{i + 1}"), password=password, seen=seen)[0]
        assert (code, seen["steps"]) == (454, 2), (code, seen)
    # guessing goes on for a while, then its network is banned too
    codes = [scram(Wire(relay, source="127.0.4.1"), password="wrong")[0] for _ in range(4)]
    assert codes == [454, 454, 454, 421], codes


def test_names_that_do_not_exist_keep_their_salt_over_a_restart():
    relay = Relay(1, users=[USER], auth='failures = "1000/1m";', submission=QUICK)

    def salt(user):
        seen = {}
        assert scram(Wire(relay), user, "wrong", seen=seen)[0] == 535
        return seen["salt"]

    before = salt(USER), salt(f"nobody@{DOMAIN}")
    relay.stop()
    relay.start()
    assert (salt(USER), salt(f"nobody@{DOMAIN}")) == before and before[0] != before[1]
