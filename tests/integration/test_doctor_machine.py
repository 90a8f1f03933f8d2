"""`posthouse doctor` on this machine: its own listeners, certificates, upstreams, logins, disk and queue. Each planted fault is found, and
without it the check is silent. Names and records are test_doctor*.py's: here nothing is asked of the DNS."""
from lib import *
from peers import BlackHole, Scripted

GOOD = ("ok", "advice", "skipped")


def doctor(relay, *arguments, prefix=()):
    """The findings, as documents."""
    done = subprocess.run([*prefix, relay.build / "posthouse", "-c", relay.conf, "doctor", "--json", *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    assert done.returncode in (0, 1), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found and found[-1]["kind"] == "summary", done.stdout
    checks = [f for f in found if f["kind"] == "check"]
    assert (done.returncode == 1) == any(f["result"] == "failure" for f in checks), done.stdout
    return checks


def look(relay, id, *arguments, prefix=()):
    return [f for f in doctor(relay, "--offline", "--only", id, *arguments, prefix=prefix) if f["id"] == id]


def expect(found, result, words):
    """A finding with that result and those words in what is said, or what mends it."""
    for f in found:
        said = " ".join([f["subject"] or "", f["text"] or "", f["why"] or "", f["after"] or "", json.dumps(f["remedy"] or {})]).replace('\\"', '"')
        if f["result"] == result and words in said:
            return f
    raise AssertionError(f"no {result} with {words!r} in\n" + "\n".join(map(json.dumps, found)))


def expect_good(found):
    bad = [f for f in found if f["result"] not in GOOD]
    assert not bad, "\n".join(map(json.dumps, bad))


def server(**kw):
    context, cert = tls_context(WORK_DIR())
    return Scripted(extensions=["PIPELINING", "8BITMIME", "SIZE 52428800", "AUTH PLAIN LOGIN"], tls_context=context, **kw), cert


def upstream(port, cert=None, tls="starttls", extra=""):
    trust = f'ca = "{cert}"; tls_name = "sink.example.net";' if cert else ""
    login = 'login = "me@example.net"; password = "pass word";' if tls != "none" else ""
    return f'{{ name = "next"; host = "127.0.0.1"; port = {port}; tls = "{tls}"; {trust} {login} {extra} }}'


def test_what_runs_and_what_is_on_the_disk():
    relay = Relay(upstream_port=1)
    expect(look(relay, "relay.running"), "ok", "")
    expect_good(look(relay, "listen.open"))
    expect_good(look(relay, "relay.open"))
    with open(relay.conf, "a") as conf:
        conf.write("# a change\n")
    found = expect(look(relay, "relay.running"), "warning", "is not the one that is in force")
    assert found["remedy"]["command"] == "posthouse reload", found
    relay.command("reload")
    expect(look(relay, "relay.running"), "ok", "")
    relay.stop()
    expect(look(relay, "relay.running"), "failure", "no relay is running")
    # one cause, one failure
    expect(look(relay, "listen.open"), "skipped", "relay.running")
    with socket.create_server(("127.0.0.1", relay.port)) as other:
        def answer():
            while True:
                try:
                    client, _ = other.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"220 another.example ESMTP Postfix\r\n")
                    client.recv(1000)
        threading.Thread(target=answer, daemon=True).start()
        expect(look(relay, "listen.open"), "failure", "another program has this port: 220 another.example ESMTP Postfix")
        other.shutdown(socket.SHUT_RDWR)


def test_certificates_that_clients_get():
    relay = Relay(upstream_port=1)
    expect(look(relay, "cert.chain"), "warning", "self-signed")
    expect(look(relay, "cert.names"), "ok", HOST)
    expect_good(look(relay, "cert.expiry"))
    expect_good(look(relay, "cert.staple"))

    def serve(name, *extensions, days=90):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", relay.dir / relay.key, "-out", relay.dir / "new.pem",
                        "-days", str(days), "-subj", f"/CN={name}", *[a for e in extensions for a in ("-addext", e)]], check=True,
                       stderr=subprocess.DEVNULL)
        os.rename(relay.dir / "new.pem", relay.dir / relay.certificate)
        relay.command("reload")
    serve(HOST, "subjectAltName=DNS:mail.example.org")
    expect(look(relay, "cert.names"), "failure", "mail.example.org")
    serve(HOST)
    expect(look(relay, "cert.names"), "failure", "only the certificate's CN")
    serve("x", "subjectAltName=DNS:*.example.org", "1.3.6.1.5.5.7.1.24=DER:30:03:02:01:05")
    expect(look(relay, "cert.names"), "ok", HOST)
    expect(look(relay, "cert.staple"), "failure", "OCSP")
    serve("x", f"subjectAltName=DNS:{HOST}", days=5)
    expect_good([f for f in look(relay, "cert.expiry") if f["result"] == "ok"])
    # without the relay the file is judged
    relay.stop()
    expect(look(relay, "cert.names"), "ok", HOST)


def test_upstreams():
    next_hop, cert = server(answers={"AUTH": "235 2.7.0 welcome"})
    relay = Relay(upstream=upstream(next_hop.port, cert, extra='messages = [ "100/1d" ];'), limits='message_size = "10M";')

    def reach(*arguments):
        return [f for f in doctor(relay, "--only", "upstream.*", *arguments) if f["id"].startswith("upstream.")]
    expect_good(reach())
    expect(reach(), "ok", "next takes our login")
    assert not any(c.startswith("MAIL") for c in next_hop.commands), next_hop.commands
    # without a relay: as far as it goes, and it is said
    relay.stop()
    expect(reach(), "ok", "the login was not tried")
    # mail larger than it takes
    relay.write_config(limits='message_size = "60M";')
    relay.start()
    found = expect(reach(), "warning", "takes messages of 52428800 bytes at most")
    assert found["id"] == "upstream.fits", found
    # a port on which nothing is
    relay.upstream = upstream(free_port(), cert)
    relay.write_config()
    relay.command("reload")
    expect(reach(), "failure", "refused")
    # mail in clear text, which does not leave this machine
    relay.upstream = upstream(next_hop.port, tls="none")
    relay.write_config()
    relay.command("reload")
    expect([f for f in reach() if f["id"] == "upstream.clear"], "ok", "in this network")
    relay.upstream = upstream(next_hop.port, cert, tls="opportunistic")
    relay.write_config()
    relay.command("reload")
    expect(reach(), "warning", "hides its TLS")
    # a certificate that nobody knows
    relay.upstream = f'{{ name = "next"; host = "127.0.0.1"; port = {next_hop.port}; tls = "starttls"; tls_name = "sink.example.net"; }}'
    relay.write_config()
    relay.command("reload")
    expect(reach(), "failure", "issued by CN=sink.example.net")


def test_a_refused_login_is_tried_once():
    """A provider locks who guesses: the answer is repeated for an hour, until something is reloaded."""
    next_hop, cert = server(answers={"AUTH": "535 5.7.8 bad credentials"})
    relay = Relay(upstream=upstream(next_hop.port, cert))

    def logins():
        return sum(c.startswith("AUTH") for c in next_hop.commands)

    def reach():
        return [f for f in doctor(relay, "--only", "upstream.reach") if f["id"] == "upstream.reach"]
    found = expect(reach(), "failure", "the login is refused at 127.0.0.1")
    assert "535 5.7.8 bad credentials" in found["text"] and "password_file" in found["remedy"]["config"], found
    n = logins()
    assert n > 0, next_hop.commands
    expect(reach(), "failure", "535 5.7.8 bad credentials")
    assert logins() == n, next_hop.commands
    relay.command("reload")
    expect(reach(), "failure", "535 5.7.8 bad credentials")
    assert logins() > n, next_hop.commands
    n = logins()
    relay.command("upstream", "test", "next", check=False)  # a person who asks for it gets it
    assert logins() > n, next_hop.commands


def test_a_sender_that_the_upstream_refuses():
    next_hop, cert = server(answers={"AUTH": "235 2.7.0 welcome", "MAIL": lambda line: "550 5.7.1 not yours" if "bob@" in line else None})
    relay = Relay(upstream=upstream(next_hop.port, cert),
                  senders='senders = ( { user = "alice"; addresses = [ "alice@example.org", "bob@example.org" ]; } );')
    found = [f for f in doctor(relay, "--only", "upstream.sender", "--deep") if f["id"] == "upstream.sender"]
    expect(found, "ok", "takes mail of alice@example.org")
    expect(found, "failure", "refuses mail of bob@example.org: 550 5.7.1 not yours")
    assert not any(c.startswith(("RCPT", "DATA", "BDAT")) for c in next_hop.commands), next_hop.commands
    assert "RSET" in next_hop.commands, next_hop.commands
    done = relay.command("upstream", "test", "next", "--sender", "bob@example.org", check=False)
    assert done.returncode == 69 and "failed at the sender: 550 5.7.1 not yours" in done.stdout, done.stdout
    done = relay.command("upstream", "test", "next", "--sender", "alice@example.org")
    assert "works: the server has accepted the login" in done.stdout, done.stdout


def test_logins():
    relay = Relay(upstream_port=1)
    for id in ("login.senders", "login.limits", "login.passwords", "login.devices"):
        expect_good(look(relay, id))
    relay.command("user", "add", "carol/phone", "--expires", "1d", input=PASSWORD + "\n")
    expect(look(relay, "login.passwords"), "advice", "carol@example.org/phone its password ends")
    relay.command("user", "add", "dave", "--expires", "1s", input=PASSWORD + "\n")
    wait_for(lambda: "expired" in relay.command("user", "list", "dave").stdout, "the password has expired")
    expect(look(relay, "login.passwords"), "advice", "dave@example.org its password has ended")
    try:
        relay.connect(user="dave")
        raise AssertionError("an expired password fits")
    except smtplib.SMTPAuthenticationError:
        pass
    expect(look(relay, "login.passwords"), "warning", "dave@example.org its password has ended on")
    relay.write_config(senders='senders = ( { user = "alice"; addresses = [ "*" ]; } );', limits='breaker = "off";', auth='failures = "";',
                       extra='devices = ( { networks = [ "127.0.0.0/8" ]; user = "printer"; sender = "p@example.org"; '
                             'recipients = [ "*" ]; tls = "legacy"; i_know = true; } );')
    relay.command("reload")
    expect(look(relay, "login.senders"), "warning", "everybody")
    expect(look(relay, "login.limits"), "warning", "the breaker is off")
    expect(look(relay, "login.limits"), "warning", "auth.failures")
    expect(look(relay, "login.devices"), "warning", "send to everybody")
    expect(look(relay, "relay.open"), "failure", "127.0.0.0/8 in devices")
    expect(look(relay, "login.devices"), "skipped", "relay.open")


class OpenPlace:
    """A directory that everybody can come to, on a disk."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-test-", dir="/var/tmp"))
        os.chmod(self.path, 0o755)
        end_with_the_test(self)

    def end(self, keep=False):
        shutil.rmtree(self.path, ignore_errors=True)


def test_secrets():
    relay = Relay(upstream_port=1)
    key = OpenPlace().path / "dkim.key"
    shutil.copy(relay.dir / relay.dkim_key, key)
    relay.dkim_key = key
    relay.write_config()
    os.chmod(key, 0o600)
    expect_good(look(relay, "files.secrets"))
    os.chmod(key, 0o644)
    expect(look(relay, "files.secrets"), "warning", f"chmod 600 {key}")
    os.chmod(key.parent, 0o700)  # nobody can come to it
    expect_good(look(relay, "files.secrets"))


def in_namespace(script):
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{script}; exec "$@"', "sh"]


def test_the_state_directory():
    """What a namespace can make of it: memory, a small disk, a container's own layer."""
    needs_namespaces("--mount")
    relay = Relay(upstream_port=1)
    state = relay.dir / "state"
    relay.stop()
    found = expect(look(relay, "state.filesystem", prefix=in_namespace(f"mount -t tmpfs none {state}")), "failure", "is on tmpfs")
    assert found["subject"] == str(state), found
    expect(look(relay, "state.access"), "ok", "")
    small = relay.dir / "small"
    with open(small, "wb") as image:
        image.truncate(16 << 20)
    if subprocess.run(["mkfs.ext4", "-q", "-N", "16", small], stderr=subprocess.DEVNULL).returncode == 0 and \
            subprocess.run([*in_namespace(f"mount -o loop {small} {state}"), "true"], stderr=subprocess.DEVNULL).returncode == 0:
        expect(look(relay, "disk.space", prefix=in_namespace(f"mount -o loop {small} {state}")), "warning", "free; mail is refused below")
        fill = f"mount -o loop {small} {state}; head -c 9M /dev/zero >{state}/full || true"
        expect(look(relay, "disk.space", prefix=in_namespace(fill)), "failure", "less than queue.min_free")
        many = f"mount -o loop {small} {state}; rm {state}/full; i=0; while [ $i -lt 20 ]; do touch {state}/$i 2>/dev/null || break; i=$((i + 1)); done"
        relay.write_config(queue="")
        found = look(relay, "disk.space", prefix=in_namespace(many))
        expect(found, "failure", "inodes")
    layers = f"mount -t tmpfs none /mnt; mkdir /mnt/up /mnt/work; mount -t overlay -o lowerdir={state},upperdir=/mnt/up,workdir=/mnt/work none {state}"
    if subprocess.run([*in_namespace(layers), "true"], stderr=subprocess.DEVNULL).returncode == 0:
        box = f"{layers}; mount -t tmpfs none /run; touch /run/.containerenv"
        expect(look(relay, "state.filesystem", prefix=in_namespace(box)), "failure", "the queue goes with the container")


def test_files_of_another_user():
    """A command that root ran has left files of root: the relay could not write them."""
    if os.geteuid() != 0:
        raise Skip("only root can give files to others")
    relay = Relay(upstream_port=1, start=False)
    state = OpenPlace().path / "state"
    shutil.copytree(relay.dir / "state", state)
    relay.conf.write_text(relay.conf.read_text().replace('run_as = "root"', 'run_as = "nobody"').replace(f"{relay.dir}/state", str(state)))
    subprocess.run(["chown", "-R", "nobody", state], check=True)
    expect(look(relay, "state.access"), "ok", "can be used by nobody")
    os.chown(state / "accounts", 0, 0)
    found = expect(look(relay, "state.access"), "failure", "cannot be read and written")
    assert found["remedy"]["command"] == f"chown -R nobody: {state / 'accounts'}", found


def test_mail_that_waits():
    sink = Sink(rcpt=lambda address: "451 4.7.1 greylisted")
    relay = Relay(upstream_port=sink.port, queue='warn_after = "1s";', retry='"1m"')
    expect_good(look(relay, "queue.waits"))
    relay.submit(to=["bob@corp.example"])
    wait_for(lambda: any("greylisted" in row["reply"] for row in relay.queue()), "the refusal")
    found = wait_for(lambda: [f for f in look(relay, "queue.waits") if f["result"] == "warning"], "mail that waits for long")
    expect(found, "warning", "corp.example 1 message waits, the oldest for 0 hours: 451 4.7.1 greylisted")
