"""Next hops that work, refuse, fail, hang, or demand TLS and a login; reports; retries; nothing lost and the right words."""
import email.policy
import subprocess

from lib import *

UPSTREAM = '{{ name = "next"; host = "{host}"; port = {port}; tls = "{tls}"; {more} }}'


def report_of(m):
    """The parts of an RFC 3464 report: (plain words, per-message fields, recipients' fields, original header)."""
    assert m.sender == "", m.sender
    assert m.message.get_content_type() == "multipart/report" and m.message.get_param("report-type") == "delivery-status"
    parts = list(m.message.iter_parts())
    assert [p.get_content_type() for p in parts] == ["text/plain", "message/delivery-status", "text/rfc822-headers"], [p.get_content_type() for p in parts]
    blocks = list(parts[1].iter_parts()) if parts[1].is_multipart() else parts[1].get_payload()
    return " ".join(parts[0].get_content().split()), blocks[0], blocks[1:], parts[2].get_payload(decode=True).decode()


def test_temporary_answers_are_retried():
    answers = {"rcpt": ["451 4.7.1 Greylisted, come back"], "data": ["452 4.3.1 full"], "mail": ["421 4.3.2 busy"]}
    sink = Sink(mail=lambda a: answers["mail"].pop() if answers["mail"] else None, rcpt=lambda a: answers["rcpt"].pop() if answers["rcpt"] else None,
                data=lambda e: answers["data"].pop() if answers["data"] else None)
    relay = Relay(sink.port)
    id = relay.submit()
    sink.wait(1)
    relay.wait_empty()
    assert len(sink.messages) == 1
    assert not any(answers.values())
    events = [e["event"] for e in relay.trace(id) if "event" in e]
    assert events[0] == "mail.accepted" and events[-1] == "delivery.sent" and "delivery.deferred" in events, events


def test_permanent_refusal_becomes_a_report():
    sink = Sink(rcpt=lambda a: "550 5.1.1 No such user here, sorry" if a.startswith("nobody") else None)
    relay = Relay(sink.port)
    id = relay.submit(to=["nobody@example.net"], message=simple_message("to nobody"))
    report = sink.wait(1)[0]
    assert report.recipients == [f"alice@{DOMAIN}"]
    words, message_fields, recipients, header = report_of(report)
    assert "nobody@example.net" in words and "No such user here, sorry" in words
    assert len(recipients) == 1
    assert recipients[0]["Action"] == "failed" and recipients[0]["Status"] == "5.1.1"
    assert recipients[0]["Final-Recipient"].replace(" ", "") == "rfc822;nobody@example.net"
    assert "550" in recipients[0]["Diagnostic-Code"]
    assert HOST in message_fields["Reporting-MTA"]
    assert "Subject: to nobody" in header
    assert report.message["Auto-Submitted"] == "auto-replied"
    relay.wait_empty()
    shown = json.loads(relay.command("queue", "show", id, "--json").stdout)
    assert shown["recipients"][0]["state"] in ("bounced", "BOUNCED"), shown


def test_recipients_with_different_answers_are_kept_apart():
    tries = {"later": 0}

    def rcpt(address):
        if address.startswith("nobody"):
            return "550 5.1.1 unknown"
        if address.startswith("later"):
            tries["later"] += 1
            return "451 4.2.0 not now" if tries["later"] < 3 else None
    sink = Sink(rcpt=rcpt)
    relay = Relay(sink.port)
    relay.submit(to=["bob@example.net", "nobody@example.net", "later@example.net", "carol@example.com"])
    relay.wait_empty()  # of the mail, and of the report
    delivered = sorted(r for m in sink.messages if m.sender for r in m.recipients)
    assert delivered == ["bob@example.net", "carol@example.com", "later@example.net"], delivered
    reports = [m for m in sink.messages if not m.sender]
    assert len(reports) == 1 and "nobody@example.net" in report_of(reports[0])[0]


def test_a_report_never_causes_a_report():
    sink = Sink(rcpt=lambda a: "550 5.1.1 nobody here")
    relay = Relay(sink.port)
    relay.submit(to=["nobody@example.net"])
    relay.wait_empty()
    relay.wait_log("event=report.discarded")
    assert not sink.messages


def test_expiry_is_a_report_too():
    sink = Sink(rcpt=lambda a: "451 4.2.0 never" if a == "bob@example.net" else None)
    relay = Relay(sink.port, lifetime="3s")
    relay.submit()
    report = sink.wait(1)[0]
    words, _, recipients, _ = report_of(report)
    assert "4.2.0 never" in words or "never" in words
    assert recipients[0]["Action"] == "failed"


def test_next_hop_down_then_up():
    port = free_port()
    relay = Relay(port)
    ids = [relay.submit() for _ in range(3)]
    relay.wait_log("upstream.down")
    assert len(relay.queue()) == 3
    figures = relay.figures("queue")
    assert any("upstream:next" in k for k in figures), figures
    sink = Sink(port=port)
    relay.command("queue", "retry", "--all")
    sink.wait(3)
    relay.wait_empty()
    assert len(sink.messages) == 3
    assert all([e for e in relay.trace(id) if "event" in e][-1]["event"] == "delivery.sent" for id in ids)


def test_upstream_with_tls_and_login():
    for tls, mechanisms in (("starttls", ["PLAIN"]), ("starttls", ["LOGIN"]), ("implicit", ["PLAIN", "LOGIN"])):
        context, cert = tls_context(WORK_DIR())
        sink = Sink(tls=tls, tls_context=context, users={"me@isp.example": "pass word"}, mechanisms=mechanisms, require_tls=True)
        secret = pathlib.Path(WORK_DIR()) / "secret"
        secret.write_text("pass word\n")
        secret.chmod(0o600)
        more = f'login = "me@isp.example"; password_file = "{secret}"; ca = "{cert}"; tls_name = "sink.example.net";'
        relay = Relay(upstream=UPSTREAM.format(host="localhost", port=sink.port, tls=tls, more=more), delivery="ipv6 = false;")
        relay.submit()
        m = sink.wait(1)[0]
        assert m.tls and sink.logins[0] == (mechanisms[0], "me@isp.example"), (m.tls, sink.logins)
        assert "pass word" not in relay.log_now()
        relay.end()
        sink.end()


def test_upstream_at_fault_bounces_nothing():
    """Wrong password, wrong certificate, no TLS where it is demanded: ours to mend; mail stays, log and status shout."""
    context, cert = tls_context(WORK_DIR())
    wrong = pathlib.Path(WORK_DIR()) / "wrong"
    wrong.write_text("wrong\n")
    cases = [
        (dict(tls="starttls", tls_context=context, users={"me": "right"}), f'login = "me"; password_file = "{wrong}"; ca = "{cert}"; tls_name = "sink.example.net";', "starttls"),
        (dict(tls="starttls", tls_context=context), f'ca = "{cert}"; tls_name = "other.example.net";', "starttls"),
        (dict(tls="starttls", tls_context=context), "", "starttls"),
        (dict(), "", "starttls"),
    ]
    for options, more, tls in cases:
        sink = Sink(**options)
        relay = Relay(upstream=UPSTREAM.format(host="127.0.0.1", port=sink.port, tls=tls, more=more))
        id = relay.submit()
        relay.wait_log("upstream.")
        wait_for(lambda: any(e["event"] == "delivery.deferred" for e in relay.trace(id) if "event" in e) or "upstream.down" in relay.log_text(), "shout")
        assert not sink.messages, "mail went out"
        expected = 2 if "login" in more else 1
        wait_for(lambda: len(relay.queue()) == expected, "the mail, and of a refused login the notification to the postmaster")
        queue = relay.queue()
        assert queue[0]["id"] == id and all(m["open"] == 1 for m in queue)
        figures = relay.figures("queue")
        assert any("upstream:next" in k for k in figures), figures
        relay.end()
        sink.end()


def test_opportunistic_tls():
    context, cert = tls_context(WORK_DIR())
    for options, encrypted in ((dict(tls="starttls", tls_context=context), True), (dict(), False)):
        sink = Sink(**options)
        relay = Relay(upstream=UPSTREAM.format(host="127.0.0.1", port=sink.port, tls="opportunistic", more=""))
        relay.submit()
        assert sink.wait(1)[0].tls == encrypted
        relay.end()
        sink.end()


def test_all_addresses_of_a_host_are_tried():
    sink = Sink(host="127.0.0.1")
    relay = Relay(upstream=UPSTREAM.format(host="localhost", port=sink.port, tls="none", more=""))
    relay.submit()  # ::1 refuses the connection, 127.0.0.1 takes it (or the other order: both are fine)
    sink.wait(1)


def test_drop_after_the_final_dot_is_retried():
    """RFC 1047: the next hop may have taken it; we must assume that it has not."""
    state = {"drops": 1, "taken": 0}
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve():
        while True:
            s, _ = listener.accept()
            f = s.makefile("rwb")

            def say(text):
                f.write(text.encode() + b"\r\n")
                f.flush()
            say("220 dropper")
            try:
                while True:
                    line = f.readline()
                    if not line:
                        break
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        say("354 go on")
                        while f.readline() != b".\r\n":
                            pass
                        if state["drops"]:
                            state["drops"] -= 1
                            break
                        state["taken"] += 1
                    say("250 ok")
            except OSError:
                pass
            f.close()
            s.close()
    threading.Thread(target=serve, daemon=True).start()
    relay = Relay(port)
    id = relay.submit()
    wait_for(lambda: state["taken"] == 1, "second attempt")
    relay.wait_empty()
    assert "unknown" in json.dumps(relay.trace(id))


def test_postfix_smtp_sink_takes_a_crowd():
    """Postfix's own sink, with pipelining, many connections and one message each or many."""
    binary = smtp_sink_binary()
    port = free_port()
    directory = pathlib.Path(WORK_DIR()) / "sink"
    directory.mkdir()
    directory.chmod(0o777)
    sink = start_process([binary, "-u", "nobody", "-R", directory, "-d", "%M.", f"127.0.0.1:{port}", "100"] if os.geteuid() == 0 else
                         [binary, "-d", f"{directory}/%M.", f"127.0.0.1:{port}", "100"], env=sink_environment(binary))
    wait_for(lambda: can_connect(port), "smtp-sink")
    relay = Relay(port)
    def send(n):
        client = relay.connect()
        for i in range(10):
            client.submit(f"alice@{DOMAIN}", [f"r{i}@d{n}.example.net"], simple_message(f"crowd {n} {i}"))
        client.quit()
    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    wait_for(lambda: len(list(directory.iterdir())) >= 80, "80 messages")
    relay.wait_empty()
    subjects = lambda: [l for p in directory.iterdir() for l in p.read_text(errors="replace").splitlines() if l.startswith("Subject: crowd")]
    wait_for(lambda: len(subjects()) >= 80, "the texts in the sink's files")
    assert len(subjects()) == 80 and len(set(subjects())) == 80, subjects()
    assert sink.poll() is None
