"""Replies: what a next hop's words do to a message, to its sender's other mail, to everybody's; and next hops that offer what they
cannot do."""
from lib import *
from peers import Scripted
from test_delivery import report_of
from test_routes import routes, secret, upstream

ANY_SENDER = f'senders = ( {{ user = "alice@{DOMAIN}"; addresses = [ "*" ]; }} );'
LISTED = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"


def fields(relay, id, event):
    """The fields of the message's last event of this name, as one text."""
    return json.dumps([e for e in relay.events(id) if e["event"] == event][-1])


def test_a_sender_that_the_account_does_not_own_waits_alone():
    refusal = "553 5.7.1 Sender address rejected: not owned by user me"
    hop = Scripted(answers={"MAIL": lambda line: refusal if "shop@" in line else None})
    relay = Relay(hop.port, senders=ANY_SENDER, lifetime="1h")
    shop = f"shop@{DOMAIN}"
    id = relay.submit(f"From: {shop}\r\nSubject: x\r\n\r\nx\r\n".encode(), sender=shop)
    relay.wait_log("sender.paused")
    relay.wait_event(id, "delivery.deferred")
    for word in ("setup", "admin", "sender", "not owned"):
        assert word in fields(relay, id, "delivery.deferred"), fields(relay, id, "delivery.deferred")
    paused = [line for line in relay.log_now().splitlines() if "sender.paused" in line]
    assert len(paused) == 1 and "level=error" in paused[0], paused
    assert f"from {shop}" in relay.status_text()
    relay.submit()
    assert hop.wait(1)[0].sender == f"alice@{DOMAIN}"
    tried = sum("shop@" in c for c in hop.commands)
    assert tried == 1 and "upstream.down" not in relay.log_now()
    hop.answers.clear()
    relay.retry_until(lambda: len(hop.messages) == 2)
    assert hop.messages[1].sender == shop, "a report instead of the message"
    relay.wait_log("sender.resumed")


def test_one_recipients_domain_cannot_close_an_upstream():
    hop = Scripted(answers={"RCPT": lambda line: LISTED if "evil" in line else None})
    relay = Relay(hop.port)
    id = relay.submit(to=["bob@evil.example"])
    relay.wait_event(id, "delivery.deferred")
    assert "reputation" in fields(relay, id, "delivery.deferred")
    assert "but it complains" in relay.status_text()
    relay.submit()
    hop.wait(1)
    assert "upstream.down" not in relay.log_now()
    relay.submit(to=["bob@evil.example.net"])  # the same about another domain
    relay.wait_log("upstream.down")
    hop.answers.clear()
    relay.retry_until(lambda: len(hop.messages) == 3)


def test_words_of_another_server_do_not_count_and_the_report_tells_what_to_do():
    refusal = ["550 5.1.1 host mx.example.com[192.0.2.1] said: 550 5.4.5 daily sending quota exceeded, blocked using zen.spamhaus.org"]
    refusal += [f"550 5.1.1 and so on, line {i}" for i in range(70)]
    hop = Scripted(answers={"RCPT": lambda line: "\n".join(refusal) if "nobody" in line else None})
    relay = Relay(hop.port)
    relay.submit(to=["nobody@example.com"])
    words, _, rcpt, _ = report_of(hop.wait(1)[0])
    assert "The address does not exist there" in words, words
    assert rcpt[0]["Status"] == "5.1.1" and "said: 550" in " ".join(rcpt[0]["Diagnostic-Code"].split())
    assert "upstream.down" not in relay.log_now()


def test_relaying_denied_by_an_upstream_waits_for_its_administrator():
    hop = Scripted(answers={"RCPT": lambda line: "554 5.7.1 Relay access denied"})
    relay = Relay(hop.port)
    id = relay.submit()
    relay.wait_log("upstream.complained")
    relay.wait_log("class=setup")
    assert not any(e["event"] == "delivery.failed" for e in relay.events(id))
    hop.answers.clear()
    relay.retry_until(lambda: hop.messages)
    assert hop.messages[0].sender == f"alice@{DOMAIN}"


def test_the_postmaster_hears_once_of_a_refused_login_by_another_upstream():
    context, cert = tls_context(WORK_DIR())
    first = Sink(tls="starttls", tls_context=context, users={"me@isp.example": "right"}, require_tls=True)
    second = Sink()
    relay = Relay(upstream=upstream("first", first.port, f'login = "me@isp.example"; password_file = "{secret("wrong")}"; ca = "{cert}"; '
                                    'tls_name = "sink.example.net";', "starttls") + ", " + upstream("second", second.port),
                  extra=routes(f'recipients = [ "@{DOMAIN}" ]; via = [ "second" ];', 'via = [ "first" ];'))
    ids = [relay.submit() for _ in range(3)]
    m = second.wait(1)[0]
    assert m.recipients == [f"postmaster@{DOMAIN}"] and "first" in m.message["Subject"], m.bytes
    words = m.message.get_content()
    assert "5.7.8" in words and "posthouse upstream test first" in words and "posthouse upstream login" not in words, words
    # probes and another life of the relay meet the same fault
    told = lambda: [line for line in relay.log_text().splitlines() if "event=upstream.down" in line]
    relay.retry_until(lambda: len(told()) > 1)
    assert ["level=error" in line for line in told()][:2] == [True, False], told()
    assert any("5.7.8" in line for line in relay.status_text().splitlines() if "upstream:first" in line), relay.status_text()
    relay.stop()
    relay.start()
    before = len(told())
    relay.retry_until(lambda: len(told()) > before)
    relay.submit(to=[f"bob@{DOMAIN}"])
    assert second.wait(2)[1].recipients == [f"bob@{DOMAIN}"], "a second notification"
    wait_for(lambda: len(relay.queue()) == 3, "bob's message is over")
    assert not first.messages
    secret("right")
    relay.command("reload")
    first.wait(3)
    relay.wait_empty()
    assert all(m.sender == f"alice@{DOMAIN}" for m in first.messages) and len(second.messages) == 2
    assert all(relay.events(id)[-1]["event"] == "delivery.sent" for id in ids)
    relay.wait_log("event=upstream.up")


def test_a_parameter_that_breaks_a_next_hop_is_left_out():
    hop = Scripted(answers={"MAIL": lambda line: "501 5.5.4 Syntax error" if "BODY=" in line else None})
    relay = Relay(hop.port)
    text = (f"From: alice@{DOMAIN}\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\ngrün\r\n").encode()
    for n in (1, 2):
        client = relay.connect()
        client.mail(f"alice@{DOMAIN}", ["BODY=8BITMIME"])
        client.rcpt("bob@example.net")
        client.data(text)
        client.quit()
        m = hop.wait(n)[n - 1]
        relay.wait_empty()  # so that what the first one has shown is known
        assert m.bytes.isascii() and "grün" in m.message.get_content()
    refused = [c for c in hop.commands if "BODY=" in c]
    assert len(refused) == 1, "it was asked again"
    relay.wait_log("connection.without")
    sent = [line for line in relay.log_now().splitlines() if "delivery.sent" in line]
    assert len(sent) == 2 and all("without=8BITMIME" in line for line in sent), sent
