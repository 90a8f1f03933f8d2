"""The command line: exit codes as the manual has them, arguments, output that cannot be written, and who is let in."""
import re

from lib import *

ME = "root" if os.geteuid() == 0 else "nobody"  # the directories of the tests are not for everybody


def run(relay, *arguments, **kw):
    done = relay.command(*arguments, check=False, **kw)
    return done.returncode, done.stdout + done.stderr


def test_junk_is_refused():
    """64, with the argument named, before anything is asked or changed."""
    relay = Relay(1)
    before = relay.command("user", "list").stdout
    for arguments in (["status", "now"], ["status", "--jsn"], ["reload", "twice"], ["version", "x"], ["help", "x"], ["check", "x"], ["check", "--dump", "x"],
                      ["serve", "x"], ["queue", "list", "--frob"], ["queue", "list", "--json=1"], ["queue", "flush", "--user"], ["queue", "remove", "--user", "a", "--user=b"], ["queue", "list", "--all"],
                      ["--json", "reload"], ["queue", "remove", "--all", "x"],
                      ["queue", "frob"], ["queue", "show"], ["trace"], ["trace", "x"], ["trace", "0000000000000", "x"], ["limits", "show", "--frob"],
                      ["limits", "reset"], ["limits", "show", "alice", "x"], ["user", "add", "--frob"], ["user", "add", "x", "y"], ["user", "list", "--frob"],
                      ["user", "add", "--generate"], ["user", "passwd", "--expires=90d"], ["user"], ["user", "frob", "x"], ["nonsense"], ["init"],
                      ["init", "example.org", "x"], ["init", "example.org", "--frob=1"], ["--frob"]):
        code, said = run(relay, *arguments, input="password\n")
        assert code == 64 and said.strip(), (arguments, code, said)
    for arguments, word in ((["status", "--jsn"], "did you mean --json?"), (["queue", "lst"], "did you mean list?"), (["statsu"], "did you mean status?"),
                            (["init", "example.org", "--hostnme=x"], "did you mean --hostname?"), (["trace"], "ID is missing")):
        assert word in run(relay, *arguments)[1], (arguments, run(relay, *arguments))
    for arguments in (["-c"], []):
        done = subprocess.run([relay.build / "posthouse", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 64 and done.stdout.strip(), (arguments, done)
    assert relay.command("user", "list").stdout == before


def test_options_take_their_value_either_way():
    relay = Relay(free_port())
    id = relay.submit()
    for selection in (["--user", f"alice@{DOMAIN}"], [f"--user=alice@{DOMAIN}"], ["--user=alice"], ["--recipient=bob@example.net", "--older=0s"],
                      [f"--sender=alice@{DOMAIN}", "--destination=example.net"]):
        assert [m["id"] for m in relay.queue(*selection)] == [id], selection
    assert relay.queue("--user=eve") == []
    relay.command("user", "add", "bob", "--generate", "--expires=90d")
    relay.command("queue", "hold", id, "--reason=by a test")
    assert relay.queue()[0]["held"] == "by a test"
    place = relay.dir / "new"
    done = subprocess.run([relay.build / "posthouse", "-c", place / "posthouse.conf", "init", DOMAIN, "--user=carol", f"--state-dir={place}-state",
                           f"--control={place}.sock", f"--run-as={ME}", "--upstream=127.0.0.1:25", "--upstream-tls=none", "--password-stdin"], input="secret\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and f"carol@{DOMAIN}" in done.stdout, done.stdout


def test_help_is_an_answer():
    """Of every command and verb, with whatever else is wrong, and without a relay: 0, on standard output."""
    def posthouse(*arguments):
        return subprocess.run([RELEASE / "posthouse", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    commands = re.findall(r"^  ([a-z][a-z-]*) ?([A-Z]*)", posthouse("help").stdout, re.M)
    assert len(commands) > 10 and posthouse("--help").stdout == posthouse("help").stdout == posthouse("-h").stdout
    for command, verb in commands:
        done = posthouse(command, "--help")
        assert done.returncode == 0 and done.stderr == "" and f"posthouse {command}" in done.stdout, (command, done)
        assert posthouse("help", command).stdout == done.stdout == posthouse("-h", command).stdout, command
        if command != "sendmail":  # whose options are those of sendmail(8): -h is a number of hops there
            assert posthouse(command, "--frob", "-h").stdout == done.stdout, command
        for name in re.findall(r"^  ([a-z]+)", done.stdout.split("Options")[0], re.M) if verb == "VERB" else []:
            said = posthouse(command, name, "--help")
            assert said.returncode == 0 and f"posthouse {command} {name}" in said.stdout, (command, name, said)
            assert posthouse("help", command, name).stdout == said.stdout
    assert posthouse("--version").stdout == posthouse("version").stdout


def test_shells_complete_the_commands():
    script = subprocess.run([RELEASE / "posthouse", "completion", "bash"], stdout=subprocess.PIPE, text=True, check=True).stdout

    def offers(line):
        words = " ".join(f"'{word}'" for word in line.split(" "))
        program = f'{script}\nCOMP_WORDS=({words}); COMP_CWORD=$(({len(line.split(" "))}-1)); _posthouse; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", program], stdout=subprocess.PIPE, text=True, check=True, cwd="/").stdout.split()
    assert offers("posthouse sta") == ["status"]
    assert {"queue", "user", "init"} < set(offers("posthouse "))
    assert offers("posthouse -c /etc/passwd queue rel") == ["release"]
    assert offers("posthouse queue --user = alice ho") == ["hold"] and offers("posthouse queue --user alice ho") == ["hold"]
    assert "--older" in offers("posthouse queue list --o") and offers("posthouse queue show --o") == []
    assert offers("posthouse queue list --user ") == [] and "etc" in offers("posthouse --config e")
    assert "--hostname" in offers("posthouse init example.org --host") and "--utc" in offers("posthouse status --")
    assert offers("posthouse client thun") == ["thunderbird"] and offers("posthouse help trac") == ["trace"]
    assert offers("posthouse init example.org --profile gm") == ["gmail", "gmx", "gmx.com"] and offers("posthouse find --state = wai") == ["waiting"]
    assert offers("posthouse dkim generate --algorithm ") == ["rsa", "ed25519", "both"] and offers("posthouse dkim show --format ro") == ["route53"]
    assert "starttls" in offers("posthouse init example.org --upstream-tls ")
    for shell in ("zsh", "fish"):
        said = subprocess.run([RELEASE / "posthouse", "completion", shell], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert "hold" in said and "older" in said
        for word in ("thunderbird", "gmail", "waiting", "route53", "ed25519", "opportunistic"):
            assert re.search(rf"[' (]{word}[' ]", said), (shell, word)
        if shutil.which(shell):
            subprocess.run([shell, "-n"], input=said, text=True, check=True)


def test_a_full_device_is_an_error():
    relay = Relay(free_port())
    id = relay.submit()
    for arguments in (["queue", "list"], ["queue", "list", "--json"], ["queue", "show", id], ["trace", id], ["trace", id, "--json"], ["status"], ["status", "--json"],
                      ["limits", "show"], ["user", "list"], ["user", "list", "--json"], ["check"], ["check", "--dump"], ["version"], ["help"], ["queue", "help"],
                      ["reload"], ["queue", "flush"], ["doctor", "--offline"], ["doctor", "--offline", "--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([relay.build / "posthouse", "-c", relay.conf, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 74 and "cannot be written" in done.stderr, (arguments, done)
    # a password that nobody has seen is of no use: nothing stays of such an init
    place = relay.dir / "new"
    with open("/dev/full", "w") as full:
        done = subprocess.run([relay.build / "posthouse", "-c", place / "posthouse.conf", "init", DOMAIN, "--state-dir", f"{place}-state", "--control",
                               f"{place}.sock", "--run-as", ME, "--mx"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 74 and not place.exists() and not (relay.dir / "new-state").exists(), done


def test_exit_codes():
    relay = Relay(free_port())
    good = relay.conf.read_text()
    for arguments, code, word in ((["trace", "0000000000000"], 65, "no such message"), (["queue", "show", "0000000000000"], 65, "no such message"),
                                  (["queue", "remove", "0000000000001"], 65, "no such message"), (["queue", "flush", "0000000000001"], 65, "no such message"),
                                  (["user", "list", "nobody"], 65, "no such account"),
                                  (["user", "passwd", "nobody", "--generate"], 65, "no such"), (["user", "remove", "nobody"], 65, "no such"),
                                  (["user", "add", "alice", "--generate"], 65, "already"), (["init", DOMAIN, "--run-as", ME], 73, "exists already"),
                                  (["init", DOMAIN, "--run-as", ME, "--upstream=x", "--ca=/nowhere"], 66, "/nowhere")):
        got, said = run(relay, *arguments)
        assert got == code and word in said, (arguments, got, said)
    if os.geteuid() == 0:
        assert run(relay, "init", DOMAIN, "--run-as=nobody-of-this-name")[0] == 67
    relay.conf.write_text(good + "nonsense = 3;\nbogus = 4;\n")
    for command in ("reload", "check"):  # all faults, as compilers say them
        code, said = run(relay, command)
        line = good.count("\n") + 1
        assert code == 78 and f"{relay.conf}:{line}: unknown key nonsense\n{relay.conf}:{line + 1}: unknown key bogus\n" in said, said
        assert ("not reloaded" in said) == (command == "reload"), said
    relay.conf.write_text(good.replace('lifetime = "5d";', 'lifetime = "5d"; warn_after = "6d";'))
    code, said = run(relay, "reload")
    assert code == 0 and "warning: queue.warn_after" in said and "was reloaded" in said, said
    relay.conf.write_text(good.replace(f"port = {relay.port}", f"port = {free_port()}"))
    code, said = run(relay, "reload")
    assert code == 78 and "restart" in said, (code, said)
    relay.conf.write_text(good)
    relay.stop()
    for arguments in (["status"], ["queue", "list"], ["reload"], ["limits", "show"], ["trace", "0000000000000"]):
        code, said = run(relay, *arguments)
        assert code == 69 and "no relay is running" in said, (arguments, code, said)


def test_a_syntax_error_disarms_nobody():
    """The file is being edited, and its administrator has to look into the queue, and to lock an account."""
    relay = Relay(free_port(), users=(f"alice@{DOMAIN}", f"eve@{DOMAIN}"))
    id = relay.submit()
    good = relay.conf.read_text()
    for broken in (good + "\n}} half a line\n", "upstreams = ( { name = \n" + good, good.replace('hostname = "', 'hostname = '), good.replace("= (", "=", 1),
                   good.replace('level = "debug"', 'level = "debug'), good + "/* no end",
                   # these can be parsed
                   good.replace('hostname = "', 'hostname = "!'), good.replace("run_as = ", "run_as = 5; x = "), good + "mynetworks = 1;\n"):
        relay.conf.write_text(broken)
        assert run(relay, "check")[0] == 78, broken
        assert relay.status_text()
        assert [m["id"] for m in relay.queue()] == [id]
        assert "eve@" in relay.command("user", "list", "eve").stdout
    relay.command("user", "remove", "eve")
    assert "eve@" not in relay.command("user", "list").stdout
    relay.command("queue", "remove", id)
    relay.stop()
    relay.command("user", "passwd", "alice", input="another one\n")  # without a relay too
    relay.conf.write_text(good)
    relay.start()
    relay.connect(password="another one").quit()


def test_who_administrates():
    """root, the relay's user, and members of posthouse-admin, be it their first group or a further one; others hear 77."""
    if os.geteuid() != 0:
        raise Skip("only root can become others")
    needs_namespaces("--mount")
    place = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        place.chmod(0o755)
        relay = Relay(1, start=False)
        for program in RELEASE.glob("posthouse*"):
            if program.is_file():
                shutil.copy2(program, place)
        relay.build = place
        conf = place / "client.conf"  # what commands need of it
        conf.write_text(f'control = "{place}/run/control.sock";\n')
        relay.conf.write_text(relay.conf.read_text().replace(f'control = "{relay.dir}/control.sock"', f'control = "{place}/run/control.sock"'))
        # a group file of the relay's own: this machine's stays as it is
        groups = place / "group"
        groups.write_text("".join(line for line in open("/etc/group") if not line.startswith("posthouse-admin:")) + "posthouse-admin:x:64123:\n")
        with open(relay.log_path, "wb") as log:
            relay.log_start = 0
            relay.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", f'mount --bind {groups} /etc/group && exec "$@"', "sh", relay.build / "posthouse",
                                              "-c", relay.conf, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(relay.is_ready, "ready")

        def status_as(uid, gid, *groups):
            return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={gid}", f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
                                   place / "posthouse", "-c", conf, "status"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for who in ((0, 0), (54321, 64123), (54321, 54321, 64123), (54321, 54321, 1, 64123, 2)):
            done = status_as(*who)
            assert done.returncode == 0 and "ready" in done.stdout, (who, done)
        for who in ((54321, 54321), (54321, 54321, 64124), (65534, 65534, 0)):
            done = status_as(*who)
            assert done.returncode == 77 and "posthouse-admin" in done.stdout, (who, done)
        # the command hears of its end before its line has come through master; not a line for each try
        wait_for(lambda: re.search(r"event=console.refused uid=65534 .*\n", relay.log_text()), what="the last one's line in the log")
        assert relay.log_text().count("event=console.refused") == 2, relay.log_tail()
        relay.stop()
    finally:
        shutil.rmtree(place)


def test_check_and_serve_judge_alike():
    """Whatever check finds good starts, and what it does not is refused by serve with the same words and 78."""
    if os.geteuid() != 0:
        raise Skip("only root can become others")
    place = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    try:
        for n, (mode, uid, gid, good) in enumerate(((0o700, 65534, 65534, True), (0o2775, 65534, 0, True), (0o2777, 0, 0, True), (0o1777, 0, 0, True),
                                                    (0o2775, 0, 65534, True), (0o700, 0, 0, False), (0o2775, 0, 0, False), (0o500, 65534, 65534, False))):
            relay = Relay(1, start=False, users=(), build=SANITIZED)
            state = place / str(n)
            state.mkdir()
            (state / "lost+found").mkdir(0o700)
            os.chown(state, uid, gid)
            state.chmod(mode)
            relay.conf.write_text(relay.conf.read_text().replace(f'"{relay.dir}/state"', f'"{state}"').replace('run_as = "root"', 'run_as = "nobody"'))
            build = place / f"bin{n}"
            build.mkdir()
            for program in RELEASE.glob("posthouse*"):
                if program.is_file():
                    shutil.copy2(program, build)
            relay.build = build
            code, said = run(relay, "check")
            assert (code == 0) == good and said.count("warning") <= 1, (oct(mode), uid, gid, code, said)
            if good:
                relay.start()
                assert relay.log_text().count("state_dir") <= 1, relay.log_text()
                relay.stop()
            else:
                done = subprocess.run([relay.build / "posthouse", "-c", relay.conf, "serve"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                assert done.returncode == 78 and said.strip() in done.stdout, (oct(mode), said, done.stdout)
    finally:
        shutil.rmtree(place)


def test_a_certificate_is_renewed_beside_an_edited_file():
    relay = Relay(1)

    def serial():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", relay.tls_port), 60) as s, context.wrap_socket(s) as t:
            return t.getpeercert(True)
    old = serial()
    edited = relay.conf.read_text().replace('level = "debug"', 'level = "info"') + "half = \n"
    relay.conf.write_text(edited)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", relay.dir / "new.key",
                    "-out", relay.dir / "new.pem", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True,
                   stderr=subprocess.DEVNULL)
    os.rename(relay.dir / "new.key", relay.dir / relay.key)
    os.rename(relay.dir / "new.pem", relay.dir / relay.certificate)
    wait_for(lambda: serial() != old, "the new certificate", every=0.2)
    before = len(relay.log_now())
    relay.connect().quit()
    assert "level=debug" in relay.log_now()[before:], "the edited file was not to be read"


def test_every_address_of_a_domain():
    """"*@domain" is what people write for "@domain"."""
    sink = Sink()
    relay = Relay(sink.port, senders=f'senders = ( {{ user = "alice"; addresses = [ "*@example.net", "*@.example.com" ]; }} );')
    for sender in ("any@example.net", "b@x.example.com"):
        relay.submit(sender=sender, message=f"From: {sender}\r\n\r\nhi\r\n".encode())
    for sender in (f"alice@{DOMAIN}", "b@example.com", "b@x.example.net"):
        try:
            relay.submit(sender=sender, message=f"From: {sender}\r\n\r\nhi\r\n".encode())
            raise AssertionError(f"{sender} was taken")
        except smtplib.SMTPSenderRefused as e:
            assert e.smtp_code == 553 or e.smtp_code == 550, e
    sink.wait(2)
