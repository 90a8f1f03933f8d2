"""posthouse doctor --send: a test message of the relay's own that is delivered, refused, or waits."""
import email

from lib import DOMAIN, Relay, Sink, rows_of, verify_dkim


def send(relay, address, code, *options):
    done = relay.command("doctor", "--send", address, *options, check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr, relay.log_tail())
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if not line.startswith(("Message ", "{"))), done.stdout
    return done.stdout + done.stderr


def test_delivered():
    sink = Sink()
    relay = Relay(sink.port, limits='messages = [ "1/1d" ]; breaker = "off";', extra='rewrite = ( { recipient = "root@.lan"; to = "bob@example.net"; } );')
    said = send(relay, "root@nas.lan", 0)
    [got] = sink.wait(1)
    id = said.split()[2]
    assert said.startswith(f"queued as {id}\nMessage {id} ") and "250" in said and said.endswith("posthouse doctor --headers -\n"), said
    assert got.recipients == ["bob@example.net"]
    # written and signed as reports are: aligned, with an empty sender
    message = email.message_from_bytes(got.bytes)
    assert verify_dkim(relay, got)
    assert message["From"].endswith(f"@{DOMAIN}>") and got.sender == "" and message["Auto-Submitted"] == "auto-generated"
    assert "posthouse doctor --headers FILE" in message.get_payload()
    # a program reads the same; no limit counts it
    documents = rows_of(send(relay, "bob@example.net", 0, "--json"))
    assert documents[-1]["kind"] == "test" and documents[-1]["state"] == "delivered" and documents[-1]["recipient"] == "bob@example.net", documents
    assert {d["kind"] for d in documents} >= {"event", "test"} and {d["id"] for d in documents} == {documents[-1]["id"]}
    relay.submit()
    sink.wait(3)


def test_refused():
    sink = Sink(rcpt=lambda address: "550 5.1.1 nobody of that name" if address.startswith("bob@") else None)
    relay = Relay(sink.port)
    said = send(relay, "bob@example.net", 1)
    assert "nobody of that name" in said and said.endswith("    posthouse doctor\n"), said
    assert rows_of(send(relay, "bob@example.net", 1, "--json"))[-1]["state"] == "failed"


def test_waiting():
    sink = Sink(rcpt=lambda address: "451 4.7.1 greylisted")
    relay = Relay(sink.port, retry='"1h"')
    said = send(relay, "bob@example.net", 75)
    id = said.split()[2]
    assert "greylisted" in said and said.endswith(f"    posthouse trace {id}\n"), said
    assert len(rows_of(relay.command("queue", "list", "--json").stdout)) == 1


def test_what_cannot_be_asked():
    sink = Sink()
    relay = Relay(sink.port)
    for address in ("bob", "bob@", "a b@example.net", "<bob@example.net>", "bob@example.net\n"):
        assert "no mail address" in send(relay, address, 65)
    assert "takes no domain" in send(relay, "bob@example.net", 64, "example.org")
    relay.stop()
    assert "no relay is running" in send(relay, "bob@example.net", 69)
    assert not sink.messages
