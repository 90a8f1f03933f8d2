"""Reports as senders get them (RFC 3461, 3464): who is told of what, what comes back, signatures, the postmaster, deaths meanwhile."""
import json
import socketserver
import threading

from lib import DOMAIN, HOST, Relay, Sink, simple_message, verify_dkim, wait_for

ALICE = f"alice@{DOMAIN}"
POSTMASTER = f"postmaster@{DOMAIN}"


class Report:
    """A multipart/report, taken apart."""

    def __init__(self, received):
        m = received.message
        assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status", m.as_string()
        assert m["Auto-Submitted"] == "auto-replied" and m["MIME-Version"] == "1.0"
        assert "mailer-daemon@" in m["From"] or received.sender == m["From"].addresses[0].addr_spec, m["From"]
        parts = list(m.iter_parts())
        assert len(parts) == 3 and not m.defects, [p.get_content_type() for p in parts]
        assert parts[0].get_content_type() == "text/plain" and parts[1].get_content_type() == "message/delivery-status"
        self.received = received
        self.words = " ".join(parts[0].get_content().split())
        groups = list(parts[1].iter_parts())
        self.message = groups[0]
        self.recipients = {g["Final-Recipient"].split(";")[1].strip(): g for g in groups[1:]}
        self.returned = parts[2]

    def actions(self):
        return {a: g["Action"] for a, g in self.recipients.items()}


def reports_at(sink, to=ALICE):
    """What has arrived for the sender so far."""
    return [Report(m) for m in list(sink.messages) if m.recipients == [to]]


def wait_reports(sink, n=1):
    wait_for(lambda: len(reports_at(sink)) >= n, lambda: f"{n} reports, there are {len(reports_at(sink))}")
    return reports_at(sink)


def submit(relay, recipients, message=None, mail="", sender=ALICE):
    """Submit with parameters; recipients: {address: parameters}. Returns the id."""
    with relay.connect() as client:
        code, text = client.docmd(f"MAIL FROM:<{sender}> {mail}")
        assert code == 250, text
        for address, parameters in recipients.items():
            code, text = client.docmd(f"RCPT TO:<{address}> {parameters}")
            assert code == 250, text
        code, text = client.data(message or simple_message())
        assert code == 250, text
        return text.split()[-1].decode()


def states(relay, id):
    shown = json.loads(relay.command("queue", "show", id, "--json").stdout.splitlines()[0])
    return {r["address"]: r["state"].lower() for r in shown["recipients"]}


def refuse(*names, code="550 5.1.1 no such user here"):
    return lambda address: code if address.split("@")[0] in names else None


def final(relay, id):
    return wait_for(lambda: all(s not in ("waiting", "failed") for s in states(relay, id).values()) and states(relay, id), lambda: f"the end of {id}: {states(relay, id)}")


# ---- RFC 3461: NOTIFY ----
def test_notify_decides_who_is_told_of_failures():
    sink = Sink(rcpt=refuse("never", "plain", "success", "failure"))
    relay = Relay(sink.port)
    id = submit(relay, {"never@example.net": "NOTIFY=NEVER", "plain@example.net": "", "success@example.net": "NOTIFY=SUCCESS,DELAY",
                        "failure@example.net": "NOTIFY=FAILURE", "good@example.net": "NOTIFY=FAILURE,DELAY"})
    report = wait_reports(sink)[0]
    assert report.actions() == {"plain@example.net": "failed", "failure@example.net": "failed"}, report.actions()
    assert "no such user here" in report.words and report.recipients["plain@example.net"]["Status"] == "5.1.1"
    assert "never@" not in report.words and "success@" not in report.words and "good@" not in report.words
    end = final(relay, id)
    assert end == {"never@example.net": "discarded", "plain@example.net": "bounced", "success@example.net": "discarded",
                   "failure@example.net": "bounced", "good@example.net": "delivered"}, end
    assert any("NOTIFY" in json.dumps(e) for e in relay.trace(id)), relay.trace(id)
    silent = submit(relay, {"never@example.net": "NOTIFY=NEVER"})
    assert final(relay, silent) == {"never@example.net": "discarded"}
    relay.wait_empty()
    assert len(reports_at(sink)) == 1
    relay.wait_log("event=report.unwanted")


def test_success_is_reported_as_relayed():
    sink = Sink(rcpt=refuse("refused"))
    relay = Relay(sink.port)
    id = submit(relay, {"bob@example.net": "NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Bold@example.com", "carol@example.net": "",
                        "dan@example.net": "NOTIFY=SUCCESS,FAILURE", "refused@example.net": "NOTIFY=SUCCESS"}, mail="ENVID=QQ+2B314 RET=FULL")
    report = wait_reports(sink)[0]
    assert report.actions() == {"bob@example.net": "relayed", "dan@example.net": "relayed"}, report.actions()
    assert report.message["Original-Envelope-Id"] == "QQ+314"
    bob = report.recipients["bob@example.net"]
    assert bob["Original-Recipient"] == "rfc822; Bob+old@example.com" and bob["Status"].startswith("2."), bob.as_string()
    assert "sink" in bob["Remote-MTA"] or "127.0.0.1" in bob["Remote-MTA"], bob.as_string()
    assert report.returned.get_content_type() == "text/rfc822-headers", "RET is about failures"
    assert final(relay, id)["bob@example.net"] in ("delivered", "relayed")
    relay.wait_empty()
    assert len(reports_at(sink)) == 1, "told once"


class DsnHop(socketserver.ThreadingTCPServer):
    """A next hop that has DSN: keeps the lines of MAIL and RCPT."""
    allow_reuse_address = daemon_threads = True

    class Session(socketserver.StreamRequestHandler):
        def handle(self):
            self.say("220 dsn.example.net")
            for line in self.rfile:
                line = line.decode().strip()
                verb = line.split(" ")[0].upper()
                if verb == "EHLO":
                    self.say("250-dsn.example.net\r\n250-8BITMIME\r\n250 DSN")
                elif verb == "DATA":
                    self.say("354 go on")
                    while self.rfile.readline() not in (b".\r\n", b""):
                        pass
                    self.server.taken += 1
                    self.say("250 2.0.0 Ok")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.server.lines.append(line)
                    self.say("250 2.0.0 Ok")

        def say(self, text):
            self.wfile.write(text.encode() + b"\r\n")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Session)
        self.lines, self.taken = [], 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_next_hop_with_dsn_takes_over():
    hop = DsnHop()
    relay = Relay(hop.server_address[1])
    id = submit(relay, {"bob@example.net": "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bold@example.com", "eve@example.net": "NOTIFY=NEVER"},
                mail="ENVID=QQ+2B314 RET=HDRS")
    wait_for(lambda: hop.taken == 1, "delivered")
    mail = [line for line in hop.lines if line.startswith("MAIL")]
    rcpt = [line for line in hop.lines if line.startswith("RCPT")]
    assert "ENVID=QQ+2B314" in mail[0] and "RET=HDRS" in mail[0], mail
    bob = [line for line in rcpt if "bob@" in line][0]
    assert "ORCPT=rfc822;Bob+2Bold@example.com" in bob and "NOTIFY=" in bob and "SUCCESS" in bob and "FAILURE" in bob, bob
    assert "NOTIFY=NEVER" in [line for line in rcpt if "eve@" in line][0], rcpt
    final(relay, id)
    relay.wait_empty()
    assert hop.taken == 1 and "event=report.queued" not in relay.log_now(), "the next hop has taken NOTIFY over"


# ---- warnings ----
def test_delay_warning_once():
    open_now = threading.Event()
    sink = Sink(rcpt=lambda a: "451 4.7.1 greylisted" if a.endswith("@example.net") and not open_now.is_set() else None)
    relay = Relay(sink.port, queue='warn_after = "2s";', retry='"1s"')
    id = submit(relay, {"plain@example.net": "", "delay@example.net": "NOTIFY=DELAY", "never@example.net": "NOTIFY=NEVER",
                        "failure@example.net": "NOTIFY=FAILURE"}, mail="ENVID=later RET=FULL")
    report = wait_reports(sink)[0]
    assert report.actions() == {"plain@example.net": "delayed", "delay@example.net": "delayed"}, report.actions()
    plain = report.recipients["plain@example.net"]
    assert plain["Status"].startswith("4.") and plain["Will-Retry-Until"], plain.as_string()
    assert "greylisted" in report.words and report.message["Original-Envelope-Id"] == "later"
    assert report.returned.get_content_type() == "text/rfc822-headers"
    assert "later" in report.words or "again" in report.words or "tried" in report.words, report.words
    submit(relay, {"plain@example.net": ""}, mail="ENVID=another")
    told = lambda: [r.message["Original-Envelope-Id"] for r in reports_at(sink)]
    wait_for(lambda: "another" in told(), "the warning of what came later")
    open_now.set()
    end = final(relay, id)
    assert set(end.values()) == {"delivered"}, end
    relay.wait_empty()
    assert told() == ["later", "another"], "a message is warned about once"


def test_no_warning_about_mail_without_a_sender():
    sink = Sink(rcpt=lambda a: "451 4.7.1 not now" if a.endswith("@example.net") else None)
    relay = Relay(sink.port, queue='warn_after = "1s";', retry='"1s"')
    submit(relay, {"bob@example.net": ""}, sender="")
    submit(relay, {"carol@example.net": ""})
    assert wait_reports(sink)[0].actions() == {"carol@example.net": "delayed"}  # and of the one before it is nothing to tell
    assert len(sink.messages) == 1 and relay.log_now().count("event=report.queued") == 1


# ---- what comes back ----
def returned_message(report):
    return report.returned.get_content()


def test_ret_full_returns_the_message():
    sink = Sink(rcpt=refuse("nobody"))
    relay = Relay(sink.port)
    body = "Grüße aus Köln\r\n" + "".join(f"line {i}\r\n" for i in range(200))
    message = simple_message("the whole", body, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
    submit(relay, {"nobody@example.net": ""}, message, mail="RET=FULL BODY=8BITMIME")
    report = wait_reports(sink)[0]
    assert report.returned.get_content_type() == "message/rfc822"
    original = returned_message(report)
    assert original["Subject"] == "the whole" and original.get_content().replace("\n", "\r\n").replace("\r\r", "\r") == body, original.as_string()
    assert any(o.upper() == "BODY=8BITMIME" for o in report.received.mail_options), report.received.mail_options


def test_ret_hdrs_and_none_return_the_header():
    sink = Sink(rcpt=refuse("nobody"))
    relay = Relay(sink.port)
    for n, ret in enumerate(("RET=HDRS", "")):
        submit(relay, {"nobody@example.net": ""}, simple_message(f"header {n}", "SECRET BODY\r\n"), mail=ret)
        report = wait_reports(sink, n + 1)[n]
        assert report.returned.get_content_type() == "text/rfc822-headers"
        assert f"Subject: header {n}" in report.returned.get_content() and b"SECRET BODY" not in report.received.bytes


def test_ret_full_of_a_large_message_returns_the_header():
    sink = Sink(rcpt=refuse("nobody"))
    relay = Relay(sink.port)
    for n, size in enumerate((62 * 1024, 400 * 1024)):
        submit(relay, {"nobody@example.net": ""}, simple_message(f"large {n}", ("SECRET BODY " * 5 + "\r\n") * (size // 62)), mail="RET=FULL")
        report = wait_reports(sink, n + 1)[n]
        assert len(report.received.bytes) < 70000
        if n == 1:
            assert report.returned.get_content_type() == "text/rfc822-headers" and b"SECRET BODY" not in report.received.bytes
        assert f"Subject: large {n}".encode() in report.received.bytes


def test_originals_with_8bit_headers():
    sink = Sink(rcpt=refuse("nobody"))
    relay = Relay(sink.port)
    for n, (subject, ret) in enumerate((("Größe", "RET=HDRS"), ("Größe", "RET=FULL"))):
        submit(relay, {"nobody@example.net": ""}, simple_message("X").replace(b"Subject: X", b"Subject: " + subject.encode()), mail=ret)
        report = wait_reports(sink, n + 1)[n]
        assert subject in report.words, report.words
        assert b"Subject: " + subject.encode() in report.received.bytes
    submit(relay, {"nobody@example.net": ""}, simple_message("X").replace(b"Subject: X", b"Subject: caf\xe9"), mail="RET=FULL")
    report = wait_reports(sink, 3)[2]
    assert b"Subject: caf\xe9" in report.received.bytes, "returned as it was"
    report.words.encode()


def test_one_report_for_several_recipients():
    answers = {"a": "550 5.1.1 unknown here", "b": "552 5.2.2 mailbox full", "c": "554 5.7.1 go away"}
    sink = Sink(rcpt=lambda address: answers.get(address.split("@")[0]))
    relay = Relay(sink.port)
    submit(relay, {"a@example.net": "ORCPT=rfc822;a+2Bx@example.com", "b@example.net": "", "c@example.net": "NOTIFY=FAILURE", "d@example.net": ""},
           mail="ENVID=three")
    report = wait_reports(sink)[0]
    assert set(report.actions().values()) == {"failed"} and len(report.recipients) == 3
    for name, answer in answers.items():
        group = report.recipients[f"{name}@example.net"]
        assert group["Status"] == answer.split()[1] and answer.split(" ", 2)[2] in group["Diagnostic-Code"], group.as_string()
        assert answer.split(" ", 2)[2] in report.words
    assert report.recipients["a@example.net"]["Original-Recipient"] == "rfc822; a+x@example.com"
    assert report.recipients["b@example.net"]["Original-Recipient"] is None
    assert report.message["Original-Envelope-Id"] == "three" and HOST in report.message["Reporting-MTA"]
    relay.wait_empty()
    assert len(reports_at(sink)) == 1


def test_reports_are_signed():
    sink = Sink(rcpt=refuse("nobody"))
    relay = Relay(sink.port, sign=False, start=False)
    relay.write_config(extra="sign = ( " + ", ".join(f'{{ domain = "{d}"; selector = "{relay.selector}"; key = "{relay.dkim_key}"; }}'
                                                     for d in (DOMAIN, HOST)) + " );")
    relay.start()
    submit(relay, {"nobody@example.net": ""}, simple_message("signed", "Grüße\r\n"), mail="RET=FULL")
    assert verify_dkim(relay, wait_reports(sink)[0].received, HOST)


# ---- mail without a sender ----
def test_double_bounce_is_noted_to_the_postmaster():
    sink = Sink(rcpt=refuse("alice", "nobody"))
    relay = Relay(sink.port)
    submit(relay, {"nobody@example.net": ""}, simple_message("a double bounce"))
    wait_for(lambda: sink.messages, "a note")
    note = sink.messages[0]
    assert note.recipients == [POSTMASTER] and note.sender == ""
    text = note.message.get_content()
    assert ALICE in text and "no such user here" in text, text
    assert note.message["Subject"] and note.message["Auto-Submitted"].startswith("auto-") and note.message["Message-ID"], note.message.as_string()
    relay.wait_empty()
    assert len(sink.messages) == 1


def test_failed_note_is_only_logged():
    sink = Sink(rcpt=refuse("alice", "nobody", "postmaster"))
    relay = Relay(sink.port)
    submit(relay, {"nobody@example.net": ""})
    relay.wait_log("a notice of the relay's own")
    relay.wait_empty()
    assert sink.messages == []
    assert relay.log_now().count("event=report.queued") == 2, "a report and a note"


def test_users_mail_without_a_sender():
    sink = Sink(rcpt=refuse("nobody"))
    relay = Relay(sink.port)
    id = submit(relay, {"nobody@example.net": "NOTIFY=NEVER"}, sender="")
    wait_for(lambda: sink.messages, "a note")
    assert sink.messages[0].recipients == [POSTMASTER] and id in sink.messages[0].message.get_content()


def test_upstream_that_refuses_the_null_sender():
    sink = Sink(rcpt=refuse("nobody"), mail=lambda a: "550 5.7.1 the null sender is not welcome" if a in ("", "<>", None) else None)
    relay = Relay(upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; report_sender = "bounces@{DOMAIN}"; }}')
    submit(relay, {"nobody@example.net": ""})
    report = wait_reports(sink)[0]
    assert report.received.sender == f"bounces@{DOMAIN}"
    relay.wait_empty()
    assert len(sink.messages) == 1


# ---- deaths while reports are written ----
def one_death(point, n=1):
    """queue dies at its nth report; whatever it was, it is told exactly once in the end."""
    sink = Sink(rcpt=lambda a: refuse("nobody")(a) or ("451 4.7.1 later" if a.startswith("slow") else None))
    relay = Relay(sink.port, environment={"POSTHOUSE_CRASH": f"{point}:{n}"}, queue='warn_after = "3s";', retry='"1s"')
    submit(relay, {"nobody@example.net": "ORCPT=rfc822;failure@example.com", "never@example.net": "NOTIFY=NEVER"})
    submit(relay, {"good@example.net": "NOTIFY=SUCCESS"})
    slow = submit(relay, {"slow@example.net": ""})
    relay.wait_log("event=role.died dead=queue")
    want = [{"nobody@example.net": "failed"}, {"good@example.net": "relayed"}, {"slow@example.net": "delayed"}]
    # a death of queue is one of relay too: a report may be sent twice then, but never be written twice
    seen = lambda: {r.received.message["Message-ID"]: r.actions() for r in reports_at(sink)}
    wait_for(lambda: all(w in seen().values() for w in want), lambda: f"three reports: {seen()}")
    wait_for(lambda: [row["id"] for row in relay.queue()] == [slow], lambda: f"all but {slow} has gone: {relay.queue()}")
    assert sorted(map(str, seen().values())) == sorted(map(str, want)), seen()


def test_death_before_a_report():
    one_death("queue.before_report")


def test_death_after_a_report():
    one_death("queue.after_report")


def test_death_after_a_later_report():
    one_death("queue.after_report", 3)
