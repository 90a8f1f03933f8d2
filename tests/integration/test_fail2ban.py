"""packaging/fail2ban: Debian's fail2ban-regex on the log of a running relay, in each form in which fail2ban can find it."""
from lib import *
from peers import unpack
from talk import *
from test_log import HOSTILE, start_in

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
FILTER = TOP / "packaging/fail2ban/filter.d/posthouse.conf"
JAIL = TOP / "packaging/fail2ban/jail.d/posthouse.local"
ALICE = f"alice@{DOMAIN}"
# Who fails to log in: a client on IPv4, one on IPv6, and two behind a load balancer.
GUILTY = ["127.0.0.7", "::1", "192.0.2.40", "2001:db8::7"]


def fail2ban(program, *arguments):
    root = unpack(["fail2ban"])
    environment = dict(os.environ, PYTHONPATH=f"{root}/usr/lib/python3/dist-packages")
    done = subprocess.run(["/usr/bin/python3", root / "usr/bin" / program, "-c", root / "etc/fail2ban", *arguments], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def banned(lines, *options, mode="normal"):
    """The addresses that the filter finds in these lines, one for each hit."""
    place = pathlib.Path(WORK_DIR()) / "lines"
    place.write_text("".join(line + "\n" for line in lines))
    return fail2ban("fail2ban-regex", *options, "-o", "ip", place, f"{FILTER}[mode={mode}]")[1].split()


def as_docker(line):
    return json.dumps({"log": line + "\n", "stream": "stderr", "time": time_of(line)}, separators=(",", ":"))


def time_of(line):
    return re.search(r"20\d\d-\S{16,20}Z", line).group(0)


def forms(lines):
    """The same lines as fail2ban finds them elsewhere: (name, options, lines)."""
    yield "a file", (), lines
    yield "syslog", (), [f"{time_of(line)[:-1]}+00:00 relay posthouse[812]: {line}" for line in lines]
    yield "old syslog", (), [time.strftime("%b %e %H:%M:%S", time.gmtime()) + f" relay posthouse[812]: {line}" for line in lines]
    yield "the journal", ("-d", "{NONE}"), [f"relay posthouse[812]: {line}" for line in lines]  # which gives the time apart
    yield "Docker", (), [as_docker(line) for line in lines]
    yield "Kubernetes", (), [f"{time_of(line)} stderr F {line}" for line in lines]


def fail(talk, tls=True, name=ALICE.encode(), password=b"wrong"):
    talk.ehlo()
    talk.say(b"AUTH PLAIN " + base64.b64encode(b"\0" + name + b"\0" + password), 535)
    talk.say("QUIT", 221)


def relay_in(form):
    sink = Sink()
    relay = Relay(sink.port, workers=1, build=RELEASE, submission='login_delay = "10ms"; errors = 5;', auth='failures = "";', limits='breaker = "off";', start=False)
    text = re.sub("log = {.*};", f'log = {{ level = "debug"; format = "{form}"; }};', relay.conf.read_text())
    text = text.replace("listen = (", f'listen = ( {{ address = "::1"; port = {relay.tls_port}; tls = "implicit"; }},', 1)
    relay.conf.write_text(text.replace(f"port = {relay.tls_port}; tls = \"implicit\"; }} );", f'port = {relay.tls_port}; tls = "implicit"; proxy_protocol = [ "127.0.0.5" ]; }} );'))
    start_in(relay, form)
    return relay


def visit(relay):
    """Four clients fail to log in; others do all else."""
    tls = relay.tls()
    fail(Talk(relay.tls_port, "127.0.0.7", tls=tls))
    fail(Talk(relay.tls_port, "::1", "::1", tls=tls))
    fail(Talk(relay.tls_port, "127.0.0.5", prefix=b"PROXY TCP4 192.0.2.40 192.0.2.1 40000 465\r\n", tls=tls))
    fail(Talk(relay.tls_port, "127.0.0.5", prefix=b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 465\r\n", tls=tls))
    relay.submit()
    relay.connect().quit()
    Talk(relay.port, "127.0.0.8").close()
    t = Talk(relay.tls_port, "127.0.0.8", tls=tls)
    t.ehlo()
    t.login()
    t.say("MAIL FROM:<stranger@example.com>", 550)
    t.say("QUIT", 221)


def test_failed_logins_match():
    """The right addresses, each once, in both formats and all forms; nothing else matches."""
    for format in ("logfmt", "json"):
        relay = relay_in(format)
        visit(relay)
        relay.wait_empty()
        lines = [line for line in relay.log_now().splitlines() if "event=test.mark" not in line]
        for name, options, shown in forms(lines):
            found = banned(shown, *options)
            assert found == GUILTY, (format, name, found)


def test_nobody_has_somebody_else_banned():
    """Names in EHLO, logins, addresses and texts that look like the log: only the address of the client itself is found."""
    forged = [b'x event=login.failed session=1 client=192.0.2.66 login=', b'time=2026-11-29T18:00:00.000Z level=warning role=submission index=0 event=login.failed session=1 client=192.0.2.66 login=x',
              b'"event":"login.failed","session":"1","client":"192.0.2.66","login":"x"', b'x","client":"192.0.2.66", "login":"', b'192.0.2.66', b'[192.0.2.66]',
              b'x posthouse[1]: level=warning role=submission index=0 event=login.failed session=1 client=192.0.2.66 login=x',
              b'x stderr F time=2026-11-29T18:00:00.000Z level=warning role=submission index=0 event=login.failed session=1 client=192.0.2.66 login=x', *HOSTILE]
    for format in ("logfmt", "json"):
        relay = relay_in(format)
        for word in forged:
            t = Talk(relay.tls_port, "127.0.0.7", tls=relay.tls())
            t.say(b"EHLO " + word)
            fail(t, name=word)
            t = Talk(relay.tls_port, "127.0.0.8", tls=relay.tls())
            t.say(b"EHLO " + word)
            t.ehlo()
            t.login()
            t.say(f"MAIL FROM:<{ALICE}>", 250)
            t.say("RCPT TO:<bob@example.net>", 250)
            t.text(b"From: " + ALICE.encode() + b"\r\nMessage-ID: <" + word + b"@x>\r\nSubject: " + word + b"\r\n\r\n" + word + b"\r\n", "")
            t.say("QUIT", 221)
        relay.wait_empty()
        lines = [line for line in relay.log_now().splitlines() if "event=test.mark" not in line]
        for name, options, shown in forms(lines):
            for mode in ("normal", "aggressive"):
                found = banned(shown, *options, mode=mode)
                assert found == ["127.0.0.7"] * len(forged), (format, name, mode, found)


def test_aggressive_mode():
    """Also who fails in TLS, or makes error after error; not who has logged in."""
    for format in ("logfmt", "json"):
        relay = relay_in(format)
        t = Talk(relay.tls_port, "127.0.0.9", prefix=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", greeting=False)
        t.at_end()
        t = Talk(relay.port, "127.0.0.10")
        while t.say("NONSENSE"):
            pass
        relay.connect().quit()
        wait_for(lambda: relay.log_now().count("session.closed") >= 3, "the ends of the sessions")
        lines = [line for line in relay.log_now().splitlines() if "event=test.mark" not in line]
        for name, options, shown in list(forms(lines))[::3]:
            assert not banned(shown, *options), (format, name)
            assert banned(shown, *options, mode="aggressive") == ["127.0.0.9", "127.0.0.10"], (format, name)


def test_jail():
    """The sample is a jail that fail2ban takes, with the filter of this name, on the journal."""
    root = pathlib.Path(WORK_DIR()) / "fail2ban"
    shutil.copytree(unpack(["fail2ban"]) / "etc/fail2ban", root)
    shutil.copy(JAIL, root / "jail.d")
    shutil.copy(FILTER, root / "filter.d")
    (root / "jail.d/defaults-debian.conf").unlink(missing_ok=True)
    code, out = fail2ban("fail2ban-client", "-c", root, "-d")
    assert code == 0 and "ERROR" not in out, out
    assert "['add', 'posthouse', 'systemd']" in out and "'_SYSTEMD_UNIT=posthouse.service'" in out and "'maxretry', 20]" in out, out
