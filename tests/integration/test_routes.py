"""Routes: which upstream takes a message, and the next one when it does not; limits of upstreams; hold, release, retry, remove; what a
trace tells; and a message that kills the delivering process."""
import time

from lib import *
from peers import Postfix, Scripted
from test_delivery import report_of


def upstream(name, port, more="", tls="none"):
    return f'{{ name = "{name}"; host = "127.0.0.1"; port = {port}; tls = "{tls}"; {more} }}'


def routes(*rules):
    return "routes = ( " + ", ".join(f"{{ {r} }}" for r in rules) + " );"


def secret(text, name="secret"):
    path = pathlib.Path(WORK_DIR()) / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def mail_from(sender):
    return f"From: {sender}\r\nSubject: from {sender}\r\n\r\nhi\r\n".encode()


def test_the_first_rule_that_matches_decides():
    sinks = {name: Sink() for name in ("corp", "news", "web", "rest")}
    relay = Relay(upstream=", ".join(upstream(name, sink.port) for name, sink in sinks.items()),
                  users=[f"alice@{DOMAIN}", f"web@{DOMAIN}"],
                  senders=f'senders = ( {{ user = "alice@{DOMAIN}"; addresses = [ "*" ]; }}, {{ user = "web@{DOMAIN}"; addresses = [ "*" ]; }} );',
                  extra=routes('recipients = [ "@corp.example", "boss@example.com" ]; via = [ "corp" ];',
                               f'senders = [ "@.news.example" ]; users = [ "alice@{DOMAIN}" ]; via = [ "news" ];',
                               f'users = [ "web@{DOMAIN}" ]; via = [ "web" ];', 'via = [ "rest" ];'))
    cases = [("alice", f"alice@{DOMAIN}", ["bob@corp.example"], "corp"),
             ("alice", f"alice@{DOMAIN}", ["Boss@EXAMPLE.com"], "corp"),
             ("web", f"web@{DOMAIN}", ["bob+tag@CORP.example"], "corp"),
             ("alice", "list@daily.news.example", ["bob@example.net"], "news"),
             ("web", "list@daily.news.example", ["bob@example.net"], "web"),  # conditions of a rule must all hold
             ("alice", "list@news.example", ["bob@example.net"], "rest"),     # @.b: subdomains only
             ("web", f"web@{DOMAIN}", ["bob@example.net"], "web"),
             ("alice", f"alice@{DOMAIN}", ["bob@example.net"], "rest")]
    for user, sender, to, where in cases:
        before = len(sinks[where].messages)
        relay.submit(mail_from(sender), to=to, sender=sender, user=f"{user}@{DOMAIN}")
        wait_for(lambda: len(sinks[where].messages) > before, lambda: f"{user} {sender} {to} at {where}; {[(n, len(s.messages)) for n, s in sinks.items()]}")
    # recipients of one message with different routes: each copy where it belongs
    before = {name: len(s.messages) for name, s in sinks.items()}
    relay.submit(to=["bob@corp.example", "carol@corp.example", "dave@example.net"])
    sinks["corp"].wait(before["corp"] + 1)
    sinks["rest"].wait(before["rest"] + 1)
    assert sinks["corp"].messages[-1].recipients == ["bob@corp.example", "carol@corp.example"]
    assert sinks["rest"].messages[-1].recipients == ["dave@example.net"]
    assert sum(len(s.messages) for s in sinks.values()) == len(cases) + 2


def fail_over(break_first, more="", tls="none", mend=None, back=True):
    """The first upstream fails as told: mail takes the second and none bounces; mended, the first has it again."""
    first, second = Scripted(), Sink()
    break_first(first)
    relay = Relay(upstream=upstream("first", first.port, more, tls) + ", " + upstream("second", second.port), extra=routes('via = [ "first", "second" ];'))
    start = time.monotonic()
    id = relay.submit()
    m = second.wait(1)[0]
    print(f"at the second upstream after {time.monotonic() - start:.1f} s")
    assert m.sender == f"alice@{DOMAIN}", "a report instead of the message"
    # while the first is known to be down, it is not asked for each message
    for _ in range(3):
        relay.submit()
    second.wait(4)
    assert not first.messages and all(m.sender for m in second.messages)
    relay.wait_event(id, "delivery.sent")
    events = relay.events(id)
    assert events[-1]["event"] == "delivery.sent" and "second" in json.dumps(events[-1]), events
    relay.wait_log("upstream.down")
    relay.wait_log("first")
    if not back:
        return
    first.answers.clear()
    (mend or (lambda: None))()
    if not first.listener:
        first.start()

    def arrives():
        relay.submit()
        return first.messages
    wait_for(arrives, "mail at the first upstream again", every=1)


def test_failover_when_refused_and_back():
    fail_over(lambda first: first.stop())


def test_failover_when_busy_and_back():
    fail_over(lambda first: first.answers.update(GREETING=lambda line: "421 4.3.2 too many connections"))


def test_failover_when_tls_fails():
    fail_over(lambda first: None, tls="starttls", back=False)


def test_failover_when_the_certificate_is_wrong():
    context, cert = tls_context(WORK_DIR())
    fail_over(lambda first: setattr(first, "tls_context", context), tls="starttls", back=False)


def test_failover_when_the_password_is_wrong():
    context, cert = tls_context(WORK_DIR())
    postfix = Postfix(users={"me": "right"}, tls="may", certificate=(cert, str(cert).replace(".pem", ".key")))
    second = Sink()
    relay = Relay(upstream=upstream("first", postfix.port, f'login = "me@postfix"; password_file = "{secret("wrong")}"; ca = "{cert}"; '
                                    'tls_name = "sink.example.net";', "starttls") + ", " + upstream("second", second.port),
                  extra=routes('via = [ "first", "second" ];'))
    relay.submit()
    assert second.wait(1)[0].sender, "a report"
    relay.wait_log("upstream.down")
    assert "wrong" not in relay.log_now().replace("wrong name", "")
    # the right password by reload: the first is used again
    secret("right")
    relay.command("reload")

    def arrives():
        relay.submit()
        return postfix.messages()
    wait_for(arrives, "mail at the first upstream again", every=1)


def quota(stage, answer):
    fail_over(lambda first: first.answers.update({stage: lambda line: answer}), back=False)


def test_failover_on_gmails_daily_limit():
    quota("MAIL", "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852")


def test_failover_on_microsofts_quota():
    quota("MAIL", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a permanent exception")


def test_failover_on_a_temporary_rate_limit():
    quota("MAIL", "451 4.7.1 Rate limit exceeded, too many messages; try again later")


def test_failover_on_quota_at_the_end_of_data():
    quota("END", "550 5.4.5 Daily user sending limit exceeded")


def test_no_failover_for_what_is_the_messages_own():
    """550 5.1.1 of the first upstream is the recipient's: it is reported and the second is not asked."""
    first, second = Scripted(answers={"RCPT": lambda line: "550 5.1.1 no such user" if "nobody" in line else None}), Sink()
    relay = Relay(upstream=upstream("first", first.port) + ", " + upstream("second", second.port), extra=routes('via = [ "first", "second" ];'))
    relay.submit(to=["nobody@example.net"])
    report = first.wait(1)[0]
    assert report.sender == "" and report.recipients == [f"alice@{DOMAIN}"]
    relay.wait_empty()
    assert not second.messages


def test_each_upstream_has_its_own_login():
    """Two Postfix, one with PLAIN and LOGIN, one with SCRAM-SHA-256 alone; by sender's domain."""
    context, cert = tls_context(WORK_DIR())
    pair = (cert, str(cert).replace(".pem", ".key"))
    one = Postfix(users={"one": "first secret"}, tls="encrypt", certificate=pair)
    two = Postfix(users={"two": "second secret"}, tls="encrypt", certificate=pair, mechanisms="SCRAM-SHA-256")
    more = 'login = "{}@postfix"; password_file = "{}"; ca = "{}"; tls_name = "sink.example.net";'
    relay = Relay(upstream=upstream("one", one.port, more.format("one", secret("first secret", "s1"), cert), "starttls") + ", "
                  + upstream("two", two.port, more.format("two", secret("second secret", "s2"), cert), "starttls"),
                  senders=f'senders = ( {{ user = "alice@{DOMAIN}"; addresses = [ "*" ]; }} );',
                  extra=routes('senders = [ "@second.example" ]; via = [ "two" ];', 'via = [ "one" ];'))
    relay.submit()
    relay.submit(mail_from("me@second.example"), sender="me@second.example")
    a, b = one.wait(1)[0], two.wait(1)[0]
    assert f"Return-Path: <alice@{DOMAIN}>".encode() in a and b"Return-Path: <me@second.example>" in b
    assert b"with ESMTPSA" in a and b"with ESMTPSA" in b
    for server, word in ((one, "sasl_username=one@postfix"), (two, "sasl_username=two@postfix"), (two, "sasl_method=SCRAM-SHA-256")):
        wait_for(lambda: word in server.log_path.read_text(), f"{word} in the server's log")
    assert "secret" not in relay.log_now().replace(str(WORK_DIR()), "").replace("password_file", "")


def test_an_upstream_limit_sends_the_rest_to_the_next():
    """3 in ten minutes: the fourth takes the second upstream; so after a restart, and after kill -9 of everything."""
    first, second = Sink(), Sink()
    relay = Relay(upstream=upstream("first", first.port, 'messages = [ "3/10m" ];') + ", " + upstream("second", second.port),
                  extra=routes('via = [ "first", "second" ];'))
    for _ in range(5):
        relay.submit()
    first.wait(3)
    second.wait(2)
    relay.wait_empty()
    assert (len(first.messages), len(second.messages)) == (3, 2)
    relay.stop()
    relay.start()
    relay.submit()
    second.wait(3)
    relay.wait_empty()  # what is under way at the death would be sent again
    relay.kill_all()
    relay.start()
    relay.submit()
    second.wait(4)
    relay.wait_empty()
    assert (len(first.messages), len(second.messages)) == (3, 4)


def test_an_upstream_limit_makes_mail_wait():
    """3 in six seconds, no other upstream: the fourth goes two seconds later, the fifth four; nothing is refused or bounced."""
    sink = Scripted()
    relay = Relay(upstream=upstream("only", sink.port, 'messages = [ "3/6s" ];'))
    client = relay.connect()
    begun = time.monotonic()
    ids = [relay.submit(client=client) for _ in range(6)]
    sink.wait(6)
    at = [m.arrived - begun for m in sink.messages]
    print("arrivals:", " ".join(f"{t:.1f}" for t in at))
    assert all(at[i] > 2 * (i - 2) - 0.1 for i in range(3, 6)), at
    relay.wait_empty()
    at_once = [id for id in ids if [e["event"] for e in relay.events(id)] == ["mail.accepted", "delivery.sent"]]
    assert len(at_once) >= 3, at_once
    assert sink.connections <= 6 and all(m.sender for m in sink.messages)


SIX = [f"r{i}@d{i % 3}.example.net" for i in range(6)]


def recipients_at(sink):
    return [len(m.recipients) for m in sink.messages]


def test_an_upstream_that_counts_recipients():
    """Eight recipients in ten minutes: the third message reaches two there, and the others by the second upstream; so after a restart, and
    after kill -9 of everything."""
    first, second = Sink(), Sink()
    relay = Relay(upstream=upstream("first", first.port, 'recipients = [ "8/10m" ]; messages = [ "100/1d" ];') + ", " +
                  upstream("second", second.port), extra=routes('via = [ "first", "second" ];'))
    relay.submit(to=SIX[:3])
    first.wait(1)
    relay.submit(to=SIX[:3])
    first.wait(2)
    relay.submit(to=SIX[:4])
    second.wait(1)
    first.wait(3)
    assert sum(recipients_at(first)) == 8 and sum(recipients_at(second)) == 2, (recipients_at(first), recipients_at(second))
    relay.stop()
    relay.start()
    relay.submit(to=SIX[:2])
    wait_for(lambda: sum(recipients_at(second)) == 4, "after a restart")
    relay.kill_all()
    relay.start()
    relay.submit(to=SIX[:2])
    wait_for(lambda: sum(recipients_at(second)) == 6, "after kill -9")
    assert sum(recipients_at(first)) == 8


def test_recipients_per_message_splits():
    sink = Sink()
    relay = Relay(upstream=upstream("only", sink.port, 'recipients_per_message = 4; messages = [ "2/10m" ];'))
    relay.submit(to=SIX)
    sink.wait(2)
    assert sorted(recipients_at(sink)) == [2, 4] and sorted(r for m in sink.messages for r in m.recipients) == sorted(SIX)
    relay.submit()  # both parts have counted
    wait_for(lambda: "upstream.exhausted" in relay.log_text(), "exhausted")
    time.sleep(1)
    assert len(sink.messages) == 2


def test_message_size_of_an_upstream():
    """What is too large for the first takes the second. Where some recipients have the first alone, the sender gets a report that names the
    limit; where all have, the message is refused."""
    first, second = Sink(), Sink()
    large = simple_message() + b"0123456789" * 7 + b"\r\n" + (b"x" * 70 + b"\r\n") * 1000
    small = upstream("first", first.port, 'message_size = "20K";')
    relay = Relay(upstream=small + ", " + upstream("second", second.port), extra=routes('via = [ "first", "second" ];'))
    relay.submit(large)
    relay.submit()
    second.wait(1)
    first.wait(1)
    assert len(second.messages[0].bytes) > 20480 and (len(first.messages), len(second.messages)) == (1, 1)
    relay = Relay(upstream=small + ", " + upstream("second", second.port),
                  extra=routes('recipients = [ "bob@example.net" ]; via = [ "second" ];', 'via = [ "first" ];'))
    try:
        relay.submit(large, to=["carol@other.example", "dave@other.example"])
        assert False, "accepted"
    except smtplib.SMTPDataError as refusal:
        assert refusal.smtp_code == 552 and b"5.3.4" in refusal.smtp_error and b"20480" in refusal.smtp_error, refusal
    id = relay.submit(large, to=["bob@example.net", "carol@other.example", "dave@other.example"])
    first.wait(2)
    words, _, recipients, _ = report_of(first.messages[1])
    assert len(recipients) == 2 and "20480 bytes that upstream:first takes" in words and recipients[0]["Status"] == "5.3.4", words
    assert "552" in relay.command("trace", id).stdout


def test_messages_per_connection():
    sink = Scripted()
    relay = Relay(upstream=upstream("only", sink.port, "connections = 1; messages_per_connection = 2;"))
    client = relay.connect()
    for _ in range(7):
        relay.submit(client=client)
    sink.wait(7)
    assert sink.connections == 4, sink.connections


def test_connections_of_an_upstream_are_limited():
    all_wait = threading.Event()
    sink = Scripted(answers={"END": lambda line: all_wait.wait(LIMIT) and None})
    relay = Relay(upstream=upstream("only", sink.port, "connections = 2;"))
    client = relay.connect()
    for i in range(12):
        relay.submit(client=client, to=[f"bob@d{i}.example.net"])
    wait_for(lambda: sink.peak == 2, "two connections")
    all_wait.set()
    sink.wait(12)
    assert sink.peak == 2, sink.peak


def test_provider_profiles():
    relay = Relay(1, start=False, users=())
    good = relay.conf.read_text()
    relay.conf.write_text(good.replace("connections = 10;", 'profile = "gmail";'))
    relay.command("check")
    relay.conf.write_text(good.replace("connections = 10;", 'profile = "no-such-provider";'))
    done = relay.command("check", check=False)
    assert done.returncode == 78 and "profile" in done.stdout + done.stderr, done


def test_a_profile_end_to_end():
    """SendGrid's host played by a sink: the word apikey is the login, host and port of the file go before those of the profile. What does
    not fit is a warning of `check`."""
    context, cert = tls_context(WORK_DIR(), "smtp.sendgrid.net")
    sink = Sink(tls="starttls", tls_context=context, users={"apikey": "the key"})
    profiled = (f'{{ name = "grid"; profile = "sendgrid"; host = "127.0.0.1"; port = {sink.port}; tls_name = "smtp.sendgrid.net"; '
                f'ca = "{cert}"; password_file = "{secret("the key")}"; }}')
    relay = Relay(upstream=profiled)
    relay.submit(to=SIX)
    sink.wait(1)
    assert sink.logins and sink.logins[0][1] == "apikey", sink.logins
    done = relay.command("check")
    assert "expected another login" not in done.stdout + done.stderr
    relay.conf.write_text(relay.conf.read_text().replace('profile = "sendgrid";', 'profile = "sendgrid"; login = "me@example.org";'))
    done = relay.command("check")
    assert "expected another login for sendgrid: the word apikey" in done.stdout + done.stderr, done


def test_reload_changes_the_way_of_queued_mail():
    other = Sink()
    relay = Relay(upstream=upstream("dead", free_port()) + ", " + upstream("alive", other.port), extra=routes('via = [ "dead" ];'))
    ids = [relay.submit() for _ in range(3)]
    relay.wait_log("upstream.down")
    assert not other.messages and len(relay.queue()) == 3
    relay.write_config(extra=routes('recipients = [ "@example.net" ]; via = [ "alive" ];', 'via = [ "dead" ];'))
    relay.command("reload")
    relay.retry_until(lambda: len(other.messages) >= 3)
    relay.wait_empty()
    assert all(relay.events(id)[-1]["event"] == "delivery.sent" for id in ids)
    assert len(other.messages) == 3


def test_a_message_that_kills_relay_three_times_is_held():
    """relay dies (kill -9) each time while the next hop has this message between the final dot and the answer."""
    def end(line):
        poison["taken"] += 1
        return "silent" if poison["on"] else None
    poison = {"on": True, "taken": 0}
    sink = Scripted(answers={"END": end, "MAIL": lambda line: None})
    other = Sink()
    relay = Relay(upstream=upstream("first", sink.port) + ", " + upstream("other", other.port),
                  extra=routes('recipients = [ "@poison.example" ]; via = [ "first" ];', 'via = [ "other" ];'))
    id = relay.submit(to=["bob@poison.example"])
    for death in range(1, 4):
        wait_for(lambda: poison["taken"] >= death, f"the final dot of attempt {death}")
        before = relay.pids("relay")
        relay.kill_role("relay")
        wait_for(lambda: relay.pids("relay") and not set(relay.pids("relay")) & set(before), "another relay")
        wait_for(lambda: relay.log_text().count("outcome unknown") >= death or "event=delivery.held" in relay.log_text(), "the loss is written down")
        if death < 3:  # otherwise it waits five minutes
            relay.retry_until(lambda: sum(c == "DATA" for c in sink.commands) > death)
    relay.wait_log("event=delivery.held")
    shown = json.loads(relay.command("queue", "show", id, "--json").stdout)
    assert shown["recipients"][0]["state"] == "held" and "three times" in json.dumps(shown), shown
    relay.command("queue", "retry", "--all")
    relay.submit()  # others pass
    other.wait(1)
    wait_for(lambda: [row["id"] for row in relay.queue()] == [id], "only the held one is left")
    assert sum(c == "DATA" for c in sink.commands) == 3
    poison["on"] = False
    relay.command("queue", "release", id)
    relay.retry_until(lambda: sink.messages)
    relay.wait_empty()
    assert len(sink.messages) == 1


def test_hold_release_retry_and_remove_by_selector():
    port = free_port()
    relay = Relay(port, users=[f"alice@{DOMAIN}", f"web@{DOMAIN}"], retry='"1h"')
    def submit(user, to):
        return relay.submit(mail_from(f"{user}@{DOMAIN}"), to=to, sender=f"{user}@{DOMAIN}", user=f"{user}@{DOMAIN}")
    a = submit("alice", ["bob@example.net"])
    b = submit("alice", ["bob@example.com"])
    c = submit("web", ["bob@example.net"])
    d = submit("web", ["dave@example.net"])
    relay.wait_log("upstream.down")
    held = lambda: sorted(m["id"] for m in relay.queue() if m["held"])
    relay.command("queue", "hold", "--user", f"web@{DOMAIN}")
    wait_for(lambda: held() == sorted([c, d]), lambda: f"held: {relay.queue()}")
    relay.command("queue", "hold", "--destination", "example.com")
    wait_for(lambda: b in held(), lambda: f"held by destination: {relay.queue()}")
    sink = Sink(port=port)
    relay.retry_until(lambda: sink.messages, what="what is not held")
    relay.wait_event(a, "delivery.sent")
    assert len(sink.messages) == 1 and relay.events(a)[-1]["event"] == "delivery.sent", [m.recipients for m in sink.messages]
    relay.command("queue", "release", b)
    relay.retry_until(lambda: any("bob@example.com" in m.recipients for m in sink.messages), what="the released one")
    relay.command("queue", "remove", "--recipient", "dave@example.net")
    wait_for(lambda: d not in [m["id"] for m in relay.queue()], "removed")
    relay.command("queue", "release", "--sender", f"web@{DOMAIN}")
    relay.retry_until(lambda: any(m.sender == f"web@{DOMAIN}" for m in sink.messages), what="the last")
    relay.command("queue", "release", "--all")
    relay.retry_until(lambda: relay.queue() == [], what="empty queue")
    assert sorted(r for m in sink.messages for r in m.recipients) == sorted(["bob@example.net", "bob@example.com", "bob@example.net"])
    assert any("held" in e["event"] for e in relay.events(b)) and any("released" in e["event"] for e in relay.events(b))
    assert any("removed" in e["event"] for e in relay.events(d))


def test_a_trace_tells_the_last_attempt_word_by_word():
    sink = Scripted(answers={"RCPT": lambda line: "452 4.2.2 mailbox of bob is full" if "bob" in line else None})
    relay = Relay(sink.port, retry='"1h"')
    id = relay.submit(to=["bob@example.net", "carol@example.net"])
    relay.wait_event(id, "delivery.deferred")
    text = relay.command("trace", id, "--dialogue").stdout
    for words in ("MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.net>", "452 4.2.2 mailbox of bob is full", "127.0.0.1", "carol@example.net"):
        assert words in text, (words, text)
    assert "Hello, Bob" not in text, "the message's text is nobody's business"
    assert "452 4.2.2 mailbox of bob is full" in json.dumps(relay.trace(id))


def test_reports_to_an_upstream_that_refuses_the_null_sender():
    sink = Scripted(answers={"MAIL": lambda line: "550 5.7.1 null sender not allowed" if "<>" in line else None,
                             "RCPT": lambda line: "550 5.1.1 no such user" if "nobody" in line else None})
    relay = Relay(upstream=upstream("next", sink.port, f'report_sender = "postmaster@{DOMAIN}";'))
    relay.submit(to=["nobody@example.net"])
    report = sink.wait(1)[0]
    assert report.sender == f"postmaster@{DOMAIN}" and report.recipients == [f"alice@{DOMAIN}"], (report.sender, report.recipients)
    assert report.message.get_content_type() == "multipart/report"
