"""The text by BDAT (RFC 3030) to next hops that offer CHUNKING: Postfix, and scripted ones that refuse it early, late or altogether."""
import re

import peers
from lib import *
from peers import Conversation, Postfix, Scripted
from test_delivery import report_of


class Chunked(Scripted):
    """A scripted server that takes BDAT. Answers for "BDAT" belong to all chunks but the last, those for "END" to that one."""

    def __init__(self, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"), **kw):
        super().__init__(extensions=extensions, **kw)

    def session(self, s):
        try:
            ChunkedConversation(self, s).run()
        except (OSError, EOFError):
            pass
        finally:
            s.close()
            with self.lock:
                self.open -= 1

    def chunks(self):
        return [c for c in self.commands if c.startswith("BDAT")]


class ChunkedConversation(Conversation):
    def command(self, verb, line):
        if verb == "MAIL":
            self.text, self.failed = b"", False
        if verb != "BDAT":
            return super().command(verb, line)
        _, size, *last = line.split()
        piece = self.file.read(int(size))
        if len(piece) < int(size):
            raise EOFError
        self.text += piece
        if self.sender is None or not self.recipients or self.failed:
            self.say("503 5.5.1 no transaction")
        elif not last:
            self.failed = not self.answer(verb, line, "250 2.0.0 taken so far").startswith("250")
        elif self.answer("END", line, "250 2.0.0 Ok: taken").startswith("250"):
            with self.server.lock:
                self.server.messages.append(peers.Message(self.server.host, self.sender, list(self.recipients), self.options, self.text))
            self.sender, self.recipients = None, []
        return True


def large(subject, size=500_000):
    return simple_message(subject, "".join(f".line {n} of a text that takes several chunks\r\n..\r\n.\r\n" for n in range(size // 52)))


def body(message):
    return message.split(b"\r\n\r\n", 1)[1]


def test_postfix_gets_chunks():
    """Small and large, two recipients of which one is refused; every byte arrives, and Postfix has counted BDAT and no DATA."""
    postfix = Postfix(settings="smtpd_recipient_restrictions = check_recipient_access inline:{nobody@example.net=reject} permit")
    relay = Relay(postfix.port)
    small = simple_message("small", ".one dot\r\n..\r\n.\r\nthe end\r\n")
    relay.submit(small, to=["bob@example.net", "nobody@example.net"])
    texts = postfix.wait(1)
    assert texts[0].endswith(body(small)) and verify_dkim(relay, type("Stored", (), {"bytes": texts[0]}))
    message = large("large")
    relay.submit(message)
    wait_for(lambda: any(b"Subject: large" in t for t in postfix.messages()), "the large message")
    text = [t for t in postfix.messages() if b"Subject: large" in t][0]
    assert text.endswith(body(message))
    relay.stop()

    def sessions():
        """The last line of each, when all are over."""
        text = (postfix.dir / "log").read_text()
        ends = re.findall(r"disconnect from .*\n", text)
        return ends if len(ends) == len(re.findall(r"[^s]connect from ", text)) and " bdat=" in " ".join(ends) else None
    assert not [end for end in wait_for(sessions, "the sessions' ends in Postfix's log") if " data=" in end], sessions()


def test_8_bit_text_and_no_8bitmime():
    """CHUNKING alone does not make a text fit: without 8BITMIME it is converted, and what is converted goes in chunks too."""
    sink = Chunked(extensions=("CHUNKING",))
    relay = Relay(sink.port)
    client = relay.connect()
    client.mail(f"alice@{DOMAIN}", ["BODY=8BITMIME"])
    client.rcpt("bob@example.net")
    text = "Grüße, Łódź\r\n" * 20000
    assert client.data(simple_message("eight", text, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n").decode("utf-8")
                       .encode())[0] == 250
    got = sink.wait(1)[0]
    assert all(c < 128 for c in got.bytes) and got.message.get_content().replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert verify_dkim(relay, got) and len(sink.chunks()) > 2 and "DATA" not in sink.commands, sink.commands


def test_a_refused_chunk_ends_the_transaction():
    """In the middle: 4xx is tried again, 5xx is reported; nothing of that text becomes a message, and no last chunk follows."""
    sink = Chunked(answers={"BDAT": [None, "452 4.3.1 no room", None, None, "552 5.3.4 enough of it"]})
    relay = Relay(sink.port)
    relay.submit(large("first", 3_000_000))
    wait_for(lambda: any(m.sender == "" for m in sink.messages), "a report")
    report = [m for m in sink.messages if m.sender == ""][0]
    assert len(sink.messages) == 1
    _, _, recipients, _ = report_of(report)
    assert recipients[0]["Status"] == "5.3.4" and "552" in recipients[0]["Diagnostic-Code"], recipients
    assert sum(c.endswith("LAST") for c in sink.chunks()) == 1, sink.chunks()
    relay.submit(large("second"))
    sink.wait(2)
    relay.wait_empty()


def test_recipients_refused():
    sink = Chunked(answers={"RCPT": lambda line: "550 5.1.1 no such user" if "nobody" in line else None, "END": ["451 4.3.0 later"]})
    relay = Relay(sink.port)
    relay.submit(to=["nobody@example.net"])
    report = sink.wait(1)[0]
    assert report.sender == ""
    wait_for(lambda: "RSET" in sink.commands, "RSET after the refusal")
    relay.submit(to=["nobody@example.net", "bob@example.net"])
    sink.wait(3)
    assert sorted(m.recipients for m in sink.messages if m.sender) == [["bob@example.net"]]
    assert sink.commands[0].startswith("EHLO") and "DATA" not in sink.commands


def test_who_does_not_know_bdat_gets_data():
    """It offers CHUNKING and says 502 to BDAT: the message goes by DATA at once, and so does the next one, without another try."""
    sink = Scripted(extensions=("PIPELINING", "8BITMIME", "CHUNKING"))
    relay = Relay(sink.port)
    ids = []
    for n, message in enumerate((None, large("next")), 1):
        ids.append(relay.submit(message))
        sink.wait(n)
        relay.wait_empty()  # so that what the first one has shown is known
    assert not [e for id in ids for e in relay.events(id) if e["event"] == "delivery.deferred"]
    assert sum(c.startswith("BDAT") for c in sink.commands) == 1 and sink.commands.count("DATA") == 2, sink.commands
    relay.wait_log("event=connection.without")
    assert not [m for m in sink.messages if m.sender == ""]


def test_lost_after_the_last_chunk():
    """Nobody knows whether it was taken: it is sent again, as after the final dot, and without what may have broken."""
    sink = Chunked(answers={"END": ["close"]})
    relay = Relay(sink.port)
    id = relay.submit()
    got = sink.wait(1)
    assert len(got) == 1 and sum(c.endswith("LAST") for c in sink.chunks()) == 1 and sink.commands.count("DATA") == 1, sink.commands
    assert "outcome unknown" in str(relay.trace(id)), relay.trace(id)


def test_silence_after_a_chunk():
    """A server that takes a chunk and never answers costs the time limit for text, not more; then the text goes without chunks."""
    sink = Chunked(extensions=("CHUNKING",), answers={"BDAT": ["silent"]})
    relay = Relay(sink.port, delivery='timeouts = { data = "2s"; };')
    id = relay.submit(large("slow"))
    sink.wait(1)
    relay.wait_log("event=connection.without")
    assert [line for line in relay.log_text().splitlines() if "connection.without" in line and "no answer in time at BDAT" in line], relay.log_tail()
    relay.wait_empty()
    assert "'without': 'CHUNKING" in str(relay.trace(id)), relay.trace(id)
