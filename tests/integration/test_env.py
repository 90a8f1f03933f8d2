"""test_env.py - the configuration from variables, as in a container: a user that nobody knows with group 0, a read-only root, secrets with
mode 0444, a volume that stays over restarts. The machine's own root directory is made read-only in a mount namespace."""
import os
import pathlib
import signal
import smtplib
import ssl
import subprocess

from lib import (DOMAIN, LIMIT, SANITIZED, Sink, Skip, WORK_DIR, end_with_the_test, free_port, needs_namespaces, rows_of, simple_message, time_limit,
                 tls_context, wait_for)

UID = "1000670000"
# volume, secrets, and the program with its arguments; `pid` is that of the relay, since each step replaces the one before
CONTAINER = """
mount --bind "$1" "$1"
mount -t tmpfs -o mode=1777 tmpfs /run
mkdir /run/secrets
cp "$2"/* /run/secrets
chmod 0444 /run/secrets/*
mount -o remount,bind,ro /
shift 2
exec setpriv --reuid %s --regid 0 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
""" % UID


class Container:
    def __init__(self, **variables):
        if os.geteuid() != 0:
            raise Skip("only root can become another user and change mounts")
        needs_namespaces("--mount")
        self.top = pathlib.Path(WORK_DIR())
        self.top.chmod(0o755)
        self.volume, self.secrets, self.log_path = self.top / "volume", self.top / "secrets", self.top / "log"
        self.volume.mkdir()
        self.volume.chmod(0o770)  # of root and group 0, as orchestrators have it
        self.secrets.mkdir()
        (self.secrets / "unused").write_text("")
        self.port, self.process = free_port(), None
        self.variables = dict(POSTHOUSE_ENV="yes", POSTHOUSE_STATE_DIR=str(self.volume), POSTHOUSE_STARTTLS_PORT=str(self.port), POSTHOUSE_TLS_PORT="none",
                              POSTHOUSE_ADDRESS="127.0.0.1", POSTHOUSE_WORKERS="1", POSTHOUSE_SET_doctor__daily="no",
                              POSTHOUSE_QUEUE_RETRY="1s", HOSTNAME="f73792d540a5", **variables)
        end_with_the_test(self)

    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "LSAN_OPTIONS", "ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ}
        return dict(kept, **self.variables)

    def start(self, ready=True):
        log = open(self.log_path, "ab")
        self.log_start = self.log_path.stat().st_size
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-ec", CONTAINER, "sh", self.volume, self.secrets,
                                         SANITIZED / "posthouse", "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(),
                                        cwd="/")
        log.close()
        if ready:
            wait_for(self.is_ready, "relay ready")

    def log(self):
        return self.log_path.read_bytes()[self.log_start:].decode(errors="replace")

    def is_ready(self):
        assert self.process.poll() is None, f"relay ended with {self.process.returncode}\n{self.log()}"
        return "event=master.ready" in self.log()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code, self.process = self.process.wait(LIMIT), None
        assert code == 0, self.log()

    def restart(self, **variables):
        self.stop()
        self.variables.update(variables)
        self.variables = {name: value for name, value in self.variables.items() if value is not None}
        self.start()

    def command(self, *arguments, check=True, user=UID, input=None):
        """As `docker exec` does it: in the container, with its variables."""
        done = subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", "setpriv", "--reuid", user, "--regid", "0", "--clear-groups",
                               SANITIZED / "posthouse", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=input,
                              env=self.environment(), timeout=LIMIT)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def check(self, **variables):
        """`posthouse check`, without a container: exit code and what it says."""
        done = subprocess.run([SANITIZED / "posthouse", "check", "--dump"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=dict(self.environment(), POSTHOUSE_RUN_AS="root", **variables), timeout=LIMIT)
        return done.returncode, done.stdout

    def login(self, user, password):
        client = smtplib.SMTP("127.0.0.1", self.port, timeout=LIMIT)
        client.starttls(context=ssl._create_unverified_context())
        client.login(user, password)
        return client

    def fits(self, user, password):
        try:
            self.login(user, password).quit()
            return True
        except smtplib.SMTPAuthenticationError:
            return False

    def send(self, user, password, sender=f"alice@{DOMAIN}"):
        client = self.login(user, password)
        client.sendmail(sender, ["bob@example.net"], simple_message())
        client.quit()

    def files(self):
        """The files of keys and certificates, with what is in them."""
        return {p.name: p.read_bytes() for p in self.volume.rglob("*") if p.exists() and p.suffix in (".key", ".pem", ".conf")}

    def end(self, keep=False):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(LIMIT)
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        if keep or "Sanitizer" in text or "runtime error:" in text:
            print(text[-6000:])
        assert "Sanitizer" not in text and "runtime error:" not in text


@time_limit(180)
def test_names_of_another_image():
    """A compose file of boky/postfix, with the address of this relay's port as the only addition."""
    context, certificate = tls_context(WORK_DIR(), "localhost")
    sink = Sink(tls="starttls", tls_context=context, users={"me": "se,cret"})
    relay = Container(ALLOWED_SENDER_DOMAINS=f"{DOMAIN} example.net", RELAYHOST=f"[localhost]:{sink.port}", RELAYHOST_USERNAME="me",
                      RELAYHOST_PASSWORD_FILE="/run/secrets/relay", POSTFIX_smtp_tls_security_level="encrypt",
                      POSTFIX_smtp_tls_CAfile=str(certificate), SMTPD_SASL_USERS=f"app:one,bob@{DOMAIN}:two", POSTFIX_myhostname=f"mx.{DOMAIN}",
                      MYNETWORKS="172.16.0.0/12", DKIM_AUTOGENERATE="1")
    certificate.chmod(0o644)
    (relay.secrets / "relay").write_text("se,cret\n")
    relay.start()
    assert "everybody can read" not in relay.log() and "MYNETWORKS: warning: not used" in relay.log(), relay.log()
    assert "others than the relay's user" not in relay.log(), relay.log()

    relay.send("app", "one")
    message = sink.wait()[0]
    assert sink.logins == [("PLAIN", "me")] and message.tls
    assert len(message.message.get_all("DKIM-Signature")) == 2 and f"by mx.{DOMAIN}" in message.message["Received"]
    relay.send(f"bob@{DOMAIN}", "two", sender="any@example.net")
    sink.wait(2)

    # commands without options, of the relay's user and of root
    assert rows_of(relay.command("queue", "list", "--json").stdout) == []
    assert "submission" in relay.command("status", user="0").stdout
    dump = relay.command("check", "--dump").stdout
    assert "se,cret" not in dump and 'host = "localhost"' in dump and f'"@{DOMAIN}", "@example.net"' in dump
    assert f"_domainkey.{DOMAIN}" in relay.command("dkim", "show", "--offline", DOMAIN).stdout


@time_limit(180)
def test_secret_is_read_again():
    """A reload reads the files of secrets again, of a path and of the service manager's credentials."""
    context, certificate = tls_context(WORK_DIR(), "localhost")
    sink = Sink(tls="starttls", tls_context=context, users={"me": "new"})
    relay = Container(POSTHOUSE_DOMAINS=DOMAIN, POSTHOUSE_UPSTREAM=f"localhost:{sink.port}", POSTHOUSE_UPSTREAM_LOGIN="me",
                      POSTHOUSE_UPSTREAM_PASSWORD_FILE="credential:isp", POSTHOUSE_UPSTREAM_CA=str(certificate), POSTHOUSE_USERS="alice:one")
    certificate.chmod(0o644)
    credentials = relay.top / "credentials"
    credentials.mkdir()
    (credentials / "isp").write_text("old\n")
    relay.variables["CREDENTIALS_DIRECTORY"] = str(credentials)
    relay.start()
    relay.send("alice", "one")
    wait_for(lambda: sink.logins, "a login that is refused")
    assert not sink.messages
    (credentials / "isp").write_text("new\n")
    relay.command("reload")
    relay.command("queue", "flush", "--all")
    sink.wait()


@time_limit(240)
def test_restarts():
    """Mail, keys and what people have changed stay; what variables say otherwise takes effect."""
    sink = Sink()
    relay = Container(POSTHOUSE_DOMAINS=DOMAIN, POSTHOUSE_UPSTREAM=f"127.0.0.1:{sink.port}", POSTHOUSE_UPSTREAM_TLS="none",
                      POSTHOUSE_USERS="alice:one\nbob:two")
    relay.start()
    first = relay.files()
    assert {"fullchain.pem", "privkey.pem", "dkim.conf"} < first.keys() and len([f for f in first if f.startswith("dkim-")]) == 2, first.keys()
    sink.stop()
    relay.send("alice", "one")
    relay.command("user", "add", "carol", "--stdin", input="three\n")
    relay.command("user", "passwd", "bob", "--stdin", input="by hand\n")
    relay.restart()
    assert relay.files() == first
    assert relay.fits("carol", "three") and relay.fits("bob", "by hand") and not relay.fits("bob", "two") and relay.fits("alice", "one")

    # a changed password, another domain, another size, and a user who is named no more
    relay.restart(POSTHOUSE_USERS="alice:other", POSTHOUSE_DOMAINS=f"{DOMAIN},example.net", POSTHOUSE_MESSAGE_SIZE="1M")
    assert relay.fits("alice", "other") and not relay.fits("alice", "one") and relay.fits("carol", "three")
    assert not relay.fits("bob", "by hand") and "no variable names it any more" in relay.command("user", "list").stdout
    after = relay.files()
    assert {name: after[name] for name in first if name != "dkim.conf"} == {name: first[name] for name in first if name != "dkim.conf"}
    assert len([f for f in after if "example.net" in f]) == 2
    assert 'message_size = "1M"' in relay.command("check", "--dump").stdout

    # he is back, with the password that he had
    relay.restart(POSTHOUSE_USERS="alice:other\nbob:two")
    assert relay.fits("bob", "by hand")
    # another name, so another certificate of our own
    relay.restart(POSTHOUSE_HOSTNAME=f"new.{DOMAIN}")
    assert relay.files()["fullchain.pem"] != first["fullchain.pem"]
    sink.start()
    sink.wait()
    relay.stop()


@time_limit(120)
def test_what_somebody_has_put_there_is_not_replaced():
    """A certificate of the administrator, also a self-signed one for another name; and what cannot be read ends the start."""
    relay = Container(POSTHOUSE_DOMAINS=DOMAIN, POSTHOUSE_HOSTNAME=f"mx.{DOMAIN}", POSTHOUSE_USERS="alice:one")
    tls = relay.volume / "tls"
    tls.mkdir()
    chain, key = tls / "fullchain.pem", tls / "privkey.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", chain,
                    "-days", "2", "-subj", "/CN=other.example", "-addext", "subjectAltName=DNS:other.example"], check=True, stderr=subprocess.DEVNULL)
    for path in (tls, chain, key):
        os.chown(path, int(UID), 0)
    before = chain.read_bytes(), key.read_bytes()
    relay.start()
    relay.stop()
    assert (chain.read_bytes(), key.read_bytes()) == before

    def refused(path, reason):
        files = relay.files()
        relay.start(ready=False)
        code, relay.process = relay.process.wait(LIMIT), None
        assert code == 78 and f"{path}" in relay.log() and reason in relay.log(), (code, relay.log())
        assert relay.files() == files

    os.chown(chain, 0, 0)
    chain.chmod(0o600)
    refused(chain, "Permission denied")
    chain.write_text("not here yet\n")
    chain.chmod(0o644)
    refused(chain, "no certificate in PEM")
    chain.unlink()
    chain.symlink_to("/nowhere/fullchain.pem")
    refused(chain, "No such file")
    chain.unlink()
    text = key.read_bytes()
    key.write_text("nor here\n")
    refused(key, "no private key in PEM")
    # a start that was killed had made the key only
    key.write_bytes(text)
    relay.start()
    relay.stop()
    assert key.read_bytes() == text and chain.read_bytes() != before[0]


def test_faults():
    relay = Container(POSTHOUSE_DOMAINS=DOMAIN, POSTHOUSE_CERTIFICATE="/nowhere.pem")
    code, said = relay.check()
    assert code == 78 and "POSTHOUSE_CERTIFICATE: certificates.chain: /nowhere.pem cannot be read" in said, said
    for variable, value, words in (("POSTHOUSE_HOSTNMAE", "x", "did you mean POSTHOUSE_HOSTNAME?"), ("POSTHOUSE_SET_queue__lifetime", "long", "a duration"),
                                   ("RELAYHOST_PASSWORD_FILE", "/none", "No such file"), ("POSTHOUSE_CONFIG_EXTRA", "\n\nlog = 3;", ":3: log: expected a group")):
        code, said = relay.check(**{variable: value})
        assert code == 78 and f"{variable}:" in said and words in said, said
    for users, words in (("a@b@c:x", "a@b@c"), (f"alice:x,alice@{DOMAIN}:y", "twice")):
        code, said = relay.check(POSTHOUSE_CERTIFICATE="", POSTHOUSE_USERS=users)
        assert code == 78 and "POSTHOUSE_USERS:" in said and words in said, said
    # the first start makes the certificate
    code, said = relay.check(POSTHOUSE_CERTIFICATE="")
    assert code == 0 and "made at the start" in said, said
    # a fault changes nothing: nobody is locked, nothing is made but the directory
    relay.variables.update(POSTHOUSE_HOSTNMAE="x")
    relay.start(ready=False)
    assert relay.process.wait(LIMIT) == 78
    relay.process = None
    assert "POSTHOUSE_HOSTNMAE: there is no such variable" in relay.log() and not list(relay.volume.iterdir()), list(relay.volume.iterdir())


def test_file_and_variables():
    """The variables of --config, over a file with parts."""
    relay = Container(POSTHOUSE_LOG_LEVEL="debug", POSTHOUSE_SET_senders='( { user = "v"; addresses = [ "*" ]; } )')
    parts = relay.top / "conf.d"
    parts.mkdir()
    (parts / "1.conf").write_text(f'hostname = "file.{DOMAIN}"; log = {{ level = "error"; format = "json"; }};\n')
    (parts / "2.conf").write_text(f'postmaster = "p@{DOMAIN}"; senders = ( {{ user = "f"; addresses = [ "*" ]; }} );\n')
    conf = relay.top / "posthouse.conf"
    conf.write_text('@include "conf.d"\n')
    subprocess.run([SANITIZED / "posthouse", "init"], env=dict(relay.environment(), POSTHOUSE_RUN_AS="root", POSTHOUSE_CONFIG=str(conf)), check=True,
                   stdout=subprocess.PIPE)
    code, said = relay.check(POSTHOUSE_CONFIG=str(conf))
    assert code == 0 and f'hostname = "file.{DOMAIN}"' in said and 'level = "debug"' in said and 'format = "json"' in said, said
    assert 'user = "v"' in said and 'user = "f"' not in said, said
