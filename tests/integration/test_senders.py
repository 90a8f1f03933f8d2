"""Upstreams of senders: each sender by an upstream of its own, without routes."""
from lib import *
from peers import Scripted
from test_routes import mail_from, upstream


def test_one_upstream_for_each_sender():
    """upstreams.senders without routes: each sender's own upstream, also for reports to this sender; mail of others waits."""
    refuse = {"RCPT": lambda line: "550 5.1.1 no such user" if "nobody" in line else None}
    one, two = Scripted(answers=refuse), Sink()
    relay = Relay(upstream=upstream("one", one.port, f'senders = [ "alice@{DOMAIN}" ];') + ", " + upstream("two", two.port, 'senders = [ "@second.example" ];'),
                  senders=f'senders = ( {{ user = "alice@{DOMAIN}"; addresses = [ "*" ]; }} );')
    assert "mail of other senders" in relay.command("check").stderr
    other = relay.submit(mail_from("me@other.example"), sender="me@other.example")
    relay.submit(to=["bob@example.net", "nobody@example.net"])
    relay.submit(mail_from("me@second.example"), sender="me@second.example")
    assert two.wait(1)[0].sender == "me@second.example"
    mail, report = one.wait(2)
    assert (mail.sender, mail.recipients) == (f"alice@{DOMAIN}", ["bob@example.net"])
    assert (report.sender, report.recipients) == ("", [f"alice@{DOMAIN}"])
    # a reload with an upstream for the others applies to what waits
    three = Sink()
    text = relay.conf.read_text()
    relay.conf.write_text(text.replace('{ name = "two"', upstream("three", three.port) + ', { name = "two"', 1))
    relay.command("reload")
    assert three.wait(1)[0].sender == "me@other.example"
    relay.wait_event(other, "delivery.sent")
    assert (len(one.messages), len(two.messages)) == (2, 1)
