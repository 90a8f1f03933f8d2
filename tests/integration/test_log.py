"""The log: how many lines a message costs, what they say, that nobody outside can forge one, and the recipes of posthouse-log(7)."""
from lib import *
from peers import *
from talk import *

DIRECT = 'routes = ( { via = [ "mx" ]; } );'
FIVE = [f"bob{i}@example.net" for i in range(5)]
ALICE = f"alice@{DOMAIN}"
PAGE = (pathlib.Path(__file__).resolve().parent.parent.parent / "man/posthouse-log.7").read_text()
ROW = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)')


def parsed(line):
    """A line as a reader of logfmt has it; the whole line is pairs."""
    found = list(ROW.finditer(line))
    assert "".join(m.group(0) for m in found) == line, line
    return {m.group(1): json.loads(m.group(2)) if m.group(2).startswith('"') else m.group(2) for m in found}


def logged(relay, mark=0):
    """The relay's own lines since then, each of which begins with its time."""
    lines = [line for line in relay.log_now()[mark:].splitlines() if "event=test.mark" not in line]
    assert all(re.match(r"(time=|\{\"time\":\")20\d\d-", line) for line in lines), lines
    return lines


def cost(relay, what, act, n):
    """Do it, and expect so many lines."""
    mark = len(relay.log_now())
    act()
    lines = logged(relay, mark)
    print(f"{what}: {len(lines)} lines, {sum(len(line.encode()) + 1 for line in lines)} bytes")
    assert len(lines) == n, lines
    return [parsed(line) for line in lines]


def send(relay, to):
    def act():
        relay.submit(to=to)
        relay.wait_empty()
    return act


def closed(relay, n):
    """So many sessions have come, and all are over."""
    def ask():
        found = [role["figures"] for role in relay.status()["roles"] if role["role"] == "submission"]
        return sum(f["sessions_total"] for f in found) == n and not sum(f["sessions"] for f in found)
    return lambda: wait_for(ask, f"{n} sessions, all over")


def assert_message(lines, n, tls):
    taken, *sent = lines
    assert taken["event"] == "mail.accepted" and taken["level"] == "info" and taken["login"] == ALICE and taken["client"] == "127.0.0.1", taken
    assert taken["mechanism"] == "PLAIN" and taken["tls"].startswith("TLSv1.3/") and taken["sender"] == ALICE and taken["device"] == "", taken
    assert int(taken["recipients"]) == n and taken["to"].split(",") == (FIVE if n == 5 else ["bob@example.net"]) and taken["more"] == "0", taken
    assert int(taken["size_bytes"]) > 100 and taken["message_id"].startswith("<") and taken["sign_domain"] == DOMAIN and int(taken["took_ms"]) >= 0, taken
    assert sorted(line["recipient"] for line in sent) == sorted(taken["to"].split(",")), sent
    for line in sent:
        assert line["event"] == "delivery.sent" and line["level"] == "info", line
        assert all(line[key] == taken[key] for key in ("queue", "login", "sender", "message_id")), line
        assert line["code"] == "250" and line["reply"] == "Ok: taken" and re.search(r" \[127\.0\.0\.\d\]:\d+$", line["remote"]), line
        assert line.get("tls", "").startswith("TLSv1.3/") == tls and line["route"] in ("upstream:next", "mx:example.net") and line["attempts"] == "1", line
        assert int(line["queued_ms"]) + int(line["took_ms"]) <= int(line["age_ms"]) + 1, line


def test_lines_of_a_message():
    """At info a message is one line, and each recipient one; sessions and logins that end well are none."""
    context, _ = tls_context(WORK_DIR())
    names = NameServer({"example.net": "@ MX 10 mx\nmx A 127.0.0.2"})
    port = free_port()
    Sink(host="127.0.0.2", port=port, tls="starttls", tls_context=context)
    relay = Relay(Sink().port, log="info", workers=1)
    assert_message(cost(relay, "by an upstream, one recipient", send(relay, ["bob@example.net"]), 2), 1, False)
    assert_message(cost(relay, "by an upstream, five recipients", send(relay, FIVE), 6), 5, False)
    relay = Relay(upstream="", delivery=f'port = {port}; resolver = "{names.resolver}";', extra=DIRECT, log="info", workers=1)
    assert_message(cost(relay, "direct with TLS, one recipient", send(relay, ["bob@example.net"]), 2), 1, True)
    assert_message(cost(relay, "direct with TLS, five recipients", send(relay, FIVE), 6), 5, True)
    relay.write_config(log="debug")
    relay.command("reload")
    relay.wait_log("event=config.reloaded")
    mark = len(relay.log_now())
    send(relay, ["bob@example.net"])()
    lines = logged(relay, mark)
    print(f"at debug: {len(lines)} lines, {sum(len(line.encode()) + 1 for line in lines)} bytes")
    events = [parsed(line)["event"] for line in lines]
    assert {"session.opened", "session.tls", "login.accepted", "session.closed", "connection.moved", "mail.accepted", "delivery.sent"} <= set(events), events


def test_lines_of_refused_mail():
    """What the SMTP machine refuses by itself is a line and a count, for a client that is logged in."""
    relay = Relay(1, log="info", workers=1, build=RELEASE, limits='message_size = "100K"; recipients_per_message = 2;')
    client = relay.connect()
    client.ehlo()
    assert client.docmd(f"MAIL FROM:<{ALICE}> SIZE=999999")[0] == 552
    line = parsed(wait_for(lambda: [l for l in relay.log_now().splitlines() if "event=mail.refused" in l], "the line")[0])
    assert line["code"] == "552" and line["enhanced"] == "5.3.4" and line["sender"] == ALICE and line["login"] == ALICE, line
    assert line["client"] == "127.0.0.1" and line["level"] == "warning" and "SIZE" in line["reason"], line
    assert relay.figures("submission")["refusals 5.3.4"] == 1
    client.mail(ALICE)
    assert [client.rcpt(f"user{i}@example.net")[0] for i in range(4)] == [250, 250, 452, 452]
    assert client.data("x" * 200000 + "\r\n")[0] == 552
    wait_for(lambda: "event=mail.malformed" in relay.log_now(), "the line about the text")
    lines = [parsed(l) for l in relay.log_now().splitlines() if "event=mail." in l]
    assert [(l["event"], l["code"], l["enhanced"]) for l in lines[1:]] == [("mail.refused", "452", "4.5.3"), ("mail.malformed", "552", "5.3.4")], lines
    assert lines[1]["to"] == "user2@example.net" and lines[2]["sender"] == ALICE, lines
    assert relay.figures("submission")["refusals 5.3.4"] == 2 and relay.figures("submission")["refusals 4.5.3"] == 2


def test_lines_of_sessions():
    """Who only looks is no line; who fails, or has found a password, is one."""
    relay = Relay(1, log="info", workers=1, build=RELEASE, submission='login_delay = "100ms";')

    def connects():
        Talk(relay.port).close()
        closed(relay, 1)()

    def quits():
        t = Talk(relay.tls_port, tls=relay.tls())
        t.ehlo()
        t.say("QUIT", 221)
        closed(relay, 2)()

    def fails():
        t = Talk(relay.tls_port, tls=relay.tls())
        t.ehlo()
        t.login(password="wrong", expect=535)
        t.say("QUIT", 221)
        closed(relay, 3)()

    def logs_in():
        t = Talk(relay.tls_port, tls=relay.tls())
        t.ehlo()
        t.login()
        t.say("QUIT", 221)
        closed(relay, 4)()

    def speaks_http():
        t = Talk(relay.tls_port, prefix=b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", greeting=False)
        t.at_end()
        closed(relay, 5)()

    cost(relay, "connects and leaves", connects, 0)
    cost(relay, "EHLO and QUIT", quits, 0)
    [line] = cost(relay, "a failed login", fails, 1)
    assert line["event"] == "login.failed" and line["level"] == "warning" and line["client"] == "127.0.0.1" and line["login"] == ALICE, line
    assert list(line).index("client") < list(line).index("login") and line["mechanism"] == "PLAIN" and line["reply"], line
    [line] = cost(relay, "a login without a message", logs_in, 1)
    assert line["event"] == "session.closed" and line["login"] == ALICE and line["client"] == "127.0.0.1" and line["messages"] == "0", line
    assert line["mechanism"] == "PLAIN" and line["tls"] == "TLSv1.3" and line["reason"] == "quit" and line["level"] == "info", line
    [line] = cost(relay, "no TLS on the port for it", speaks_http, 1)
    assert line["event"] == "session.closed" and line["login"] == "" and line["reason"] and line["client"] == "127.0.0.1", line


HOSTILE = [b"x\tlevel=error", b"x event=login.failed client=192.0.2.66 login=y", b'x" event=login.failed client="192.0.2.66', b'x\\" client=192.0.2.66 "',
           "x\u202e\u2028\u0085time=2026-01-01T00:00:00.000Z".encode(), b"x\xff\xc3\x1b[2J"]


def test_nobody_forges_a_line():
    """What clients choose (EHLO, login, sender, recipient, text) and what a next hop answers stays within its value, in both formats."""
    answers = iter(["550 5.1.1 no\r\ntime=2026-01-01T00:00:00.000Z level=error event=forged.one", '550 5.1.1 no" event="forged.two'])
    sink = Sink(rcpt=lambda address: next(answers, "550 no"))
    relay = Relay(sink.port, workers=1, submission='login_delay = "10ms"; errors = 1000;', limits='breaker = "off";', auth='failures = "";')
    for form in ("logfmt", "json"):
        text = re.sub('log = {.*};', f'log = {{ level = "debug"; format = "{form}"; }};', relay.conf.read_text())
        relay.conf.write_text(text)
        mark = len(relay.log_now())
        relay.command("reload")
        wait_for(lambda: "config.reloaded" in relay.log_now()[mark:], "the format")
        mark = len(relay.log_now())
        for word in HOSTILE:
            t = Talk(relay.tls_port, tls=relay.tls())
            t.say(b"EHLO " + word.replace(b" ", b"_"))
            t.say(b"EHLO " + word)
            t.ehlo()
            t.say(b"AUTH PLAIN " + base64.b64encode(b"\0" + word + b"\0wrong"))
            t.login()
            t.say(b'MAIL FROM:<"' + word.replace(b'"', b'\\"') + b'"@example.org>')
            t.say(f"MAIL FROM:<{ALICE}>", 250)
            t.say(b'RCPT TO:<"' + word.replace(b'"', b'\\"') + b'"@example.net>')
            t.say("RCPT TO:<bob@example.net>", 250)
            t.text(b"From: " + ALICE.encode() + b"\r\nMessage-ID: <" + word + b"@x>\r\nSubject: x event=login.failed\r\n\r\ntime=2026 event=login.failed\r\n", "")
            t.close()
        relay.wait_empty()
        lines = logged(relay, mark)
        rows = [json.loads(line, object_pairs_hook=pairs_once) if form == "json" else parsed(line) for line in lines]
        events = {row["event"] for row in rows}
        assert events >= {"session.named", "login.failed", "mail.accepted", "sender.refused", "delivery.failed"}, events
        assert not events & {"forged.one", "forged.two"}
        assert {row.get("client", "127.0.0.1") for row in rows} == {"127.0.0.1"}, lines
        for line in lines:
            assert line.isprintable(), repr(line)


def pairs_once(pairs):
    keys = [key for key, _ in pairs]
    assert len(set(keys)) == len(keys), keys
    return dict(pairs)


def recipe(name, relay, id=None):
    """A block of the page as it stands there, with a journal that is the relay's log."""
    text = re.search(rf'^\.\\" run: {name}\n\.EX\n(.*?)^\.EE$', PAGE, flags=re.M | re.S).group(1).replace("\\-", "-").replace("\\e", "\\").replace("\\\\", "\\")
    text = text.replace("38h8fm10g0000", id or "none").replace("aeeb001", "none")
    text = f'journalctl() {{ test "$*" = "-u posthouse -o cat" && cat {relay.log_path}; }}\n{text}'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and not done.stderr, (text, done.stdout, done.stderr)
    return done.stdout.splitlines()


def test_recipes():
    """Each recipe of the page on a real log, in the formats that it is for."""
    if not shutil.which("jq"):
        raise Skip("no jq")
    names = re.findall(r'^\.\\" run: (\S+)$', PAGE, flags=re.M)
    seen = {"session"}
    for form in ("logfmt", "json"):
        sink = Sink(rcpt=lambda address: "550 5.1.1 unknown" if address.startswith("nobody") else None)
        relay = Relay(sink.port, log="info", users=(ALICE, f"carol@{DOMAIN}"), submission='login_delay = "10ms";', start=False)
        relay.conf.write_text(relay.conf.read_text().replace('level = "info"', f'level = "info"; format = "{form}"'))
        start_in(relay, form)
        id = relay.submit(to=FIVE)
        for _ in range(2):
            relay.submit(f"From: carol@{DOMAIN}\r\n\r\nHello.\r\n".encode(), ["bob@example.net", "nobody@example.net"], f"carol@{DOMAIN}", user=f"carol@{DOMAIN}")
        t = Talk(relay.tls_port, tls=relay.tls())
        t.ehlo()
        t.login(password="wrong", expect=535)
        t.say("QUIT", 221)
        relay.connect(user=f"carol@{DOMAIN}").quit()
        relay.wait_empty()
        relay.log_now()

        def run(name, *arguments):
            seen.add(name)
            return recipe(name, relay, *arguments)
        assert len(run("follow", id)) == 6
        if form == "logfmt":
            assert len(run("recipient")) == 2
            assert [line.split() for line in run("senders")] == [["2", f"carol@{DOMAIN}"], ["1", ALICE]]
            assert [line.split() for line in run("failed")] == [["1", "127.0.0.1"]]
            continue
        assert run("senders-json") == [f"5\t{ALICE}", f"4\tcarol@{DOMAIN}"]
        assert [line.split() for line in run("failed-json")] == [["1", "127.0.0.1", ALICE]]
        [line] = run("tried")
        assert json.loads(line)[1:] == ["127.0.0.1", f"carol@{DOMAIN}"]
        assert [line.split() for line in run("refused")][0][:4] == ["2", "example.net", "550", "5.1.1"]
        slow = [line.split("\t") for line in run("slow")]
        assert len(slow) >= 7 and slow == sorted(slow, key=lambda row: -int(row[2])), slow
        assert {"login.failed", "delivery.failed"} <= {json.loads(line)["event"] for line in run("warnings")}
    assert seen == set(names), set(names) ^ seen


def start_in(relay, form):
    relay.start(wait=False)
    ready = "event=master.ready" if form == "logfmt" else '"event":"master.ready"'
    wait_for(lambda: ready in relay.log_since_start(), "relay ready")


def test_priorities_for_the_journal():
    """Lines begin with <N> where JOURNAL_STREAM names what standard error is, and nowhere else."""
    for names_it in (True, False):
        relay = Relay(1, start=False, workers=1)
        with open(relay.log_path, "ab") as log:
            s = os.fstat(log.fileno())
        relay.environment = {"JOURNAL_STREAM": f"{s.st_dev}:{s.st_ino + (not names_it)}"}
        relay.start()
        Talk(relay.port).close()
        relay.wait_log("event=session.closed")
        relay.stop()
        lines = [line for line in relay.log_text().splitlines() if line]
        digits = {"debug": 7, "info": 6, "warning": 4, "error": 3}
        for line in lines:
            level = re.search(r"time=\S+ level=(\w+) role=", line)
            assert line.startswith(f"<{digits[level.group(1)]}>time=" if names_it else "time="), line
        assert {"role=master", "role=submission", "role=queue"} <= {word for line in lines for word in line.split()}
    place = relay.dir / "nothing.conf"
    log = open(relay.dir / "last-words", "w+b")
    s = os.fstat(log.fileno())
    subprocess.run([relay.build / "posthouse", "-c", place, "serve"], stdout=log, stderr=log, env=dict(os.environ, JOURNAL_STREAM=f"{s.st_dev}:{s.st_ino}"))
    log.seek(0)
    words = log.read().decode().splitlines()
    assert words and all(line.startswith("<3>") for line in words), words
