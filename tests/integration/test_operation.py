"""Running it: starts that must be refused, restarts, reload, certificates, drain, full disk, accounts, queue commands."""
import smtplib
import stat
import time

from lib import *


def serve(relay):
    return subprocess.run([relay.build / "posthouse", "-c", relay.conf, "serve"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)


def test_a_wrong_configuration_is_refused_with_file_and_line():
    relay = Relay(1, start=False, users=())
    good = relay.conf.read_text()
    for bad, word in ((good + '\nfrobnicate = 1;\n', "frobnicate"), (good.replace('tls = "none"', 'tls = "maybe"'), "tls"),
                      (good + '\nmetrics = "127.0.0.1";\n', "metrics"), (good.replace("hostname = ", "hostname "), "syntax"),
                      (good.replace('key = "', 'key = "missing-'), "missing-")):
        relay.conf.write_text(bad)
        for done in (serve(relay), relay.command("check", check=False)):
            output = done.stdout + (done.stderr or "")
            assert done.returncode == 78, (word, done.returncode, output)
            assert f"{relay.conf}:" in output and word in output.lower(), (word, output)
        assert serve(relay).stdout.splitlines()[:1] == relay.command("check", check=False).stderr.splitlines()[:1]  # in the same words


def test_a_second_instance_waits_then_is_refused():
    relay = Relay(1)
    start = time.monotonic()
    done = serve(relay)
    assert done.returncode == 75 and "in use" in done.stdout, (done.returncode, done.stdout)
    assert time.monotonic() - start > 5
    assert relay.process.poll() is None


def test_a_state_directory_on_tmpfs_is_refused():
    if not os.access("/dev/shm", os.W_OK):
        raise Skip("/dev/shm is not writable")
    relay = Relay(1, start=False, users=())
    place = tempfile.mkdtemp(dir="/dev/shm")
    try:
        relay.conf.write_text(relay.conf.read_text().replace(f'state_dir = "{relay.dir}/state"', f'state_dir = "{place}"'))
        done = serve(relay)
        assert done.returncode == 78 and "tmpfs" in done.stdout, (done.returncode, done.stdout)
    finally:
        shutil.rmtree(place)


def test_a_port_in_use_is_named():
    relay = Relay(1, start=False, users=())
    with socket.create_server(("127.0.0.1", relay.port)):
        done = serve(relay)
    assert done.returncode == 69 and str(relay.port) in done.stdout, (done.returncode, done.stdout)


def test_each_role_that_dies_is_replaced():
    sink = Sink()
    relay = Relay(sink.port)
    count = 0
    for role in ("login", "vault", "queue", "relay", "console", "submission"):
        before = relay.pids(role)
        assert before, role
        relay.kill_role(role)
        wait_for(lambda: relay.pids(role) and not set(relay.pids(role)) & set(before), f"new {role}")
        end = time.monotonic() + LIMIT
        while True:  # until the new life is wired, an honest temporary answer is right
            try:
                relay.submit()
                break
            except (smtplib.SMTPException, OSError) as e:
                code = getattr(e, "smtp_code", 421)
                assert 400 <= code < 500, e
                assert time.monotonic() < end, e
                time.sleep(0.2)
        count += 1
        sink.wait(count)


def test_sigterm_drains_and_ends_with_0():
    sink = Sink(delay=1)
    relay = Relay(sink.port)
    client = relay.connect()
    relay.submit()
    relay.process.send_signal(signal.SIGTERM)
    wait_for(lambda: client.noop()[0] == 421, "421 at the next command")
    assert relay.process.wait(LIMIT) == 0
    wait_for(lambda: not relay.pids(), "all roles ended")
    relay.start()
    sink.wait(1)
    relay.wait_empty()
    assert len(sink.messages) == 1, "delivered again although the drain had finished it"
    assert "event=queue.closed" in relay.log_text(), "the store is closed in order, behind the results of all deliveries"


def test_reload():
    sink, other = Sink(), Sink()
    relay = Relay(sink.port, users=[f"alice@{DOMAIN}", f"web@{DOMAIN}"])
    relay.submit()
    sink.wait(1)
    # upstreams and senders apply
    relay.upstream = relay.upstream.replace(str(sink.port), str(other.port))
    relay.write_config(senders=f'senders = ( {{ user = "web@{DOMAIN}"; addresses = [ "*" ]; }} );')
    relay.command("reload")
    relay.submit()
    relay.submit(sender="any@example.com", user=f"web@{DOMAIN}", message=b"From: any@example.com\r\n\r\nhi\r\n")
    other.wait(2)
    assert len(sink.messages) == 1
    # a faulty file changes nothing
    good = relay.conf.read_text()
    relay.conf.write_text(good + "nonsense = 3;\n")
    done = relay.command("reload", check=False)
    assert done.returncode != 0 and "nonsense" in done.stderr, done
    # a key that needs a restart is named
    relay.conf.write_text(good.replace(f'hostname = "{HOST}"', 'hostname = "other.example.org"').replace(f"port = {relay.port}", f"port = {free_port()}"))
    done = relay.command("reload", check=False)
    assert done.returncode != 0 and "restart" in done.stderr and ("listen" in done.stderr or "hostname" in done.stderr), done
    relay.conf.write_text(good)
    before = relay.log_now().count("config.reloaded")
    relay.process.send_signal(signal.SIGHUP)
    wait_for(lambda: relay.log_since_start().count("config.reloaded") > before, "SIGHUP reloads")
    relay.submit()
    other.wait(3)


def test_a_renewed_certificate_is_taken_up():
    relay = Relay(1)

    def serial():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", relay.tls_port), 60) as s, context.wrap_socket(s) as t:
            return t.getpeercert(True)
    old = serial()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", relay.dir / "new.key",
                    "-out", relay.dir / "new.pem", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True,
                   stderr=subprocess.DEVNULL)
    os.rename(relay.dir / "new.key", relay.dir / relay.key)
    os.rename(relay.dir / "new.pem", relay.dir / relay.certificate)
    wait_for(lambda: serial() != old, "the new certificate")
    relay.connect().quit()


def test_a_full_disk_is_a_temporary_refusal_and_passes():
    sink = Sink()
    relay = Relay(sink.port, queue="max_messages = 1000000;")
    relay.submit()
    sink.wait(1)
    free = os.statvfs(relay.dir).f_bavail * os.statvfs(relay.dir).f_frsize
    relay.conf.write_text(relay.conf.read_text().replace('min_free = "10M"', f'min_free = "{free // (1 << 30) + 50}G"'))
    relay.command("reload")

    def refused():
        try:
            relay.submit()
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 452 and e.smtp_error.startswith(b"4.3.1"), e
            return True
        except smtplib.SMTPSenderRefused as e:
            assert e.smtp_code == 452 and e.smtp_error.startswith(b"4.3.1"), e
            return True
    wait_for(refused, "452 4.3.1", every=0.5)
    relay.write_config()
    relay.command("reload")

    def taken():
        try:
            return relay.submit()
        except smtplib.SMTPException:
            return False
    wait_for(taken, "in service again", every=0.5)


def test_a_really_full_file_system():
    """A small ext4 of our own, filled to the brim: 452, nothing lost, in service again when there is room."""
    if os.geteuid() != 0:
        raise Skip("only root can mount")
    image, place = pathlib.Path(WORK_DIR()) / "image", pathlib.Path(WORK_DIR()) / "mount"
    place.mkdir()
    with open(image, "wb") as f:
        f.truncate(96 << 20)
    if subprocess.run(["mkfs.ext4", "-q", "-F", image]).returncode or subprocess.run(["mount", "-o", "loop", image, place], stderr=subprocess.DEVNULL).returncode:
        raise Skip("no loop mount here")
    try:
        port = free_port()  # nobody there: mail piles up
        relay = Relay(port, start=False, users=())
        relay.conf.write_text(relay.conf.read_text().replace(f'"{relay.dir}/state"', f'"{place}/state"').replace('min_free = "10M"', 'min_free = "0"'))
        relay.add_user(f"alice@{DOMAIN}")
        relay.start()
        big = simple_message("big", "z" * 70 + ("\r\n" + "z" * 70) * 40000 + "\r\n")
        ids, refused = [], 0
        for _ in range(60):
            try:
                ids.append(relay.submit(big))
            except smtplib.SMTPResponseException as e:
                assert e.smtp_code in (452, 451), e
                refused += 1
                if refused >= 3:
                    break
        assert refused >= 3 and ids, (refused, len(ids))
        assert len(relay.queue()) == len(ids)
        sink = Sink(port=port)
        relay.retry_until(lambda: len(sink.messages) >= len(ids), "all accepted ones arrive")
        relay.wait_empty()
        assert len(sink.messages) == len(ids)
        wait_for(lambda: _accepts(relay), "in service again", every=0.5)
        relay.end()
    finally:
        subprocess.run(["umount", place])


def _accepts(relay):
    try:
        return relay.submit()
    except smtplib.SMTPException:
        return None


def test_accounts_with_and_without_a_daemon():
    relay = Relay(1, start=False, users=())
    relay.add_user(f"carol@{DOMAIN}")
    relay.start()
    relay.connect(user=f"carol@{DOMAIN}").quit()
    relay.add_user(f"dave@{DOMAIN}", "s3cret one")
    relay.connect(user=f"dave@{DOMAIN}", password="s3cret one").quit()
    relay.command("user", "passwd", f"dave@{DOMAIN}", input="another\n")
    relay.connect(user=f"dave@{DOMAIN}", password="another").quit()
    try:
        relay.connect(user=f"dave@{DOMAIN}", password="s3cret one")
        raise AssertionError("the old password still works")
    except smtplib.SMTPAuthenticationError:
        pass
    names = relay.command("user", "list").stdout
    assert f"carol@{DOMAIN}" in names and f"dave@{DOMAIN}" in names
    assert relay.command("user", "add", f"dave@{DOMAIN}", input="x\n", check=False).returncode != 0
    relay.command("user", "remove", f"dave@{DOMAIN}")
    try:
        relay.connect(user=f"dave@{DOMAIN}", password="another")
        raise AssertionError("a removed account logs in")
    except smtplib.SMTPAuthenticationError:
        pass
    file = relay.dir / "state" / "login/accounts"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "SCRAM-SHA-256$" in file.read_text() and PASSWORD not in file.read_text()
    log = relay.log_now()
    assert PASSWORD not in log and "another" not in log


def test_queue_commands():
    relay = Relay(free_port())
    ids = [relay.submit(to=[f"r{i}@example.net", f"s{i}@example.com"]) for i in range(3)]
    assert sorted(m["id"] for m in relay.queue()) == sorted(ids)
    assert [m["id"] for m in relay.queue(ids[1])] == [ids[1]]
    assert len(relay.queue("--recipient", "r2@example.net")) == 1
    assert len(relay.queue("--user", f"alice@{DOMAIN}")) == 3 and relay.queue("--user", "eve") == []
    assert len(relay.queue("--older", "1h")) == 0
    shown = json.loads(relay.command("queue", "show", ids[0], "--json").stdout)
    assert [r["address"] for r in shown["recipients"]] == ["r0@example.net", "s0@example.com"]
    relay.command("queue", "remove", ids[0])
    wait_for(lambda: len(relay.queue()) == 2, "removed")
    assert relay.command("queue", "show", "0000000000000", check=False).returncode != 0
    assert relay.command("queue", "remove", check=False).returncode == 64
    text = relay.command("queue", "list").stdout
    assert ids[1] in text and "2 messages" in text
    relay.command("queue", "remove", "--all")
    relay.wait_empty()
    assert any("removed" in e.get("event", "") for e in relay.trace(ids[0])), relay.trace(ids[0])


def test_commands_without_a_relay():
    relay = Relay(1, start=False)
    for command in (["status"], ["queue", "list"], ["trace", "0000000000000"], ["reload"]):
        done = relay.command(*command, check=False)
        assert done.returncode == 69 and "no relay is running" in done.stderr, (command, done)
    assert relay.command("nonsense", check=False).returncode == 64
    assert "posthouse" in relay.command("version").stdout
    assert "serve" in relay.command("help").stdout


def test_init_never_overwrites():
    relay = Relay(1, start=False, users=())
    before = {p: p.read_bytes() for p in relay.dir.iterdir() if p.is_file()}
    done = relay.command("init", DOMAIN, "--hostname", HOST, "--user", "alice", "--password-stdin", "--run-as", "nobody", input="x\n", check=False)
    assert done.returncode == 73, done
    assert before == {p: p.read_bytes() for p in relay.dir.iterdir() if p.is_file()}


def test_as_an_ordinary_user():
    """The whole relay under a UID that is nobody in particular, and roles under run_as when root starts it."""
    if os.geteuid() != 0:
        raise Skip("only root can become others")
    place = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    try:
        for user, run_as in ((54321, "nobody"), (0, "nobody")):
            sink = Sink()
            relay = Relay(sink.port, start=False, users=())
            home = place / str(user)
            shutil.copytree(relay.dir, home)
            shutil.copytree(SANITIZED, place / f"bin{user}", ignore=lambda d, names: [n for n in names if not n.startswith("posthouse") or n.endswith(".p")])
            relay.conf = home / "posthouse.conf"
            relay.build = place / f"bin{user}"
            relay.conf.write_text((relay.dir / "posthouse.conf").read_text().replace(str(relay.dir), str(home)).replace('run_as = "root"', f'run_as = "{run_as}"'))
            (home / "state").mkdir(exist_ok=True)
            for p in [home, *home.rglob("*")]:
                os.chown(p, user or 65534, user or 65534)
            command = lambda *a, **k: subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", relay.build / "posthouse", "-c", relay.conf, *a], **k)
            command("user", "add", f"alice@{DOMAIN}", input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.DEVNULL)
            process = start_process(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", relay.build / "posthouse", "-c", relay.conf, "serve"])
            wait_for(lambda: can_connect(relay.port), "listening")
            relay.submit()
            sink.wait(1)
            owners = set()
            for p in pathlib.Path("/proc").iterdir():
                try:
                    if p.name.isdigit() and os.readlink(p / "fd" / "4") == str(home / "state" / "lock") and "posthouse-" in os.readlink(p / "exe"):
                        owners.add(int((p / "status").read_text().split("Uid:")[1].split()[1]))
                except OSError:
                    pass
            assert owners == {user or 65534}, owners
            assert all(p.stat().st_uid != 0 for p in (home / "state").rglob("*")), "root-owned files in the state directory"
            process.end()
            assert process.process.returncode == 0, process.process.returncode
            relay.end()
            sink.end()
    finally:
        shutil.rmtree(place)
