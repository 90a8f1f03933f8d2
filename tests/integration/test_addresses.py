"""Addresses in their one form: odd local parts, quotes, the root's dot, internationalised domains; and characters that nobody sees."""
import json
import re

from lib import *
from peers import Scripted
from talk import Talk

ALICE = f"alice@{DOMAIN}"
U, A = "bücher.example", "xn--bcher-kva.example"


def text(sender=ALICE, more=""):
    return f"From: {sender}\r\nTo: bob@example.net\r\n{more}Subject: t\r\n\r\nhello\r\n".encode()


def test_odd_local_parts_pass_as_given():
    sink = Scripted()
    relay = Relay(sink.port, senders=f'senders = ( {{ user = "{ALICE}"; addresses = [ "{ALICE}", "al..ice@docomo.example", ".x.@docomo.example" ]; }} );')
    t = Talk(relay.port).ready(relay.tls())
    odd = ["a..b@docomo.example", ".a@docomo.example", "a.@docomo.example", "...@docomo.example"]
    t.send("al..ice@docomo.example", odd, text("al..ice@docomo.example", "Cc: a..b@docomo.example, .a@x.example\r\n"))
    got = sink.wait(1)[0]
    assert got.sender == "al..ice@docomo.example" and sorted(got.recipients) == sorted(odd), (got.sender, got.recipients)
    assert b"From: al..ice@docomo.example\r\n" in got.bytes and b"Cc: a..b@docomo.example, .a@x.example\r\n" in got.bytes
    t.send('".x."@docomo.example', "bob@example.net", text())
    assert sink.wait(2)[1].sender == '".x."@docomo.example'
    assert t.say("MAIL FROM:<x.@docomo.example>").startswith("550 5.7.1")


def test_one_mailbox_is_written_to_once():
    sink = Scripted(extensions=("8BITMIME", "DSN", "SMTPUTF8"))
    relay = Relay(sink.port, limits='recipients = [ "4/1h" ];')
    t = Talk(relay.port).ready(relay.tls())
    bob = ["bob@example.net", '"bob"@Example.NET', "bob@example.net.", r'"b\ob"@example.net', "bob@EXAMPLE.net ORCPT=rfc822;bob=x NOTIFY=SUCCESS"]
    others = ["Bob@example.net", "a..b@example.net", '"a..b"@example.net', "bob@example.org"]
    t.say(f'MAIL FROM:<"alice"@{DOMAIN.upper()}.>', 250)  # alice, as far as senders goes
    for address in bob + others:
        address, _, parameters = address.partition(" ")
        t.say(f"RCPT TO:<{address}> {parameters}", "250 2.1.5")  # four in truth, so the limit is kept
    t.text(text(f'"alice"@{DOMAIN}.'))
    got = sink.wait(1)[0]
    assert sorted(got.recipients) == ["Bob@example.net", "a..b@example.net", "bob@example.net", "bob@example.org"], got.recipients
    assert got.sender == ALICE and f"From: {ALICE}\r\n".encode() in got.bytes and verify_dkim(relay, got)
    first = [c for c in sink.commands if c.startswith("RCPT TO:<bob@example.net>")]
    assert len(first) == 1 and "NOTIFY=SUCCESS,FAILURE,DELAY" in first[0], sink.commands
    assert len(sink.messages) == 1


def test_u_labels_and_a_labels_are_one_domain():
    """Whichever form the configuration has, and whichever the client."""
    sink, other = (Scripted(extensions=("8BITMIME", "SMTPUTF8")) for _ in range(2))
    upstreams = ", ".join(f'{{ name = "{n}"; host = "127.0.0.1"; port = {s.port}; tls = "none"; }}' for n, s in (("next", sink), ("other", other)))
    relay = Relay(upstream=upstreams, sign=False, start=False)
    for configured, typed in ((U, A), (A, U), (U, U), ("BÜCHER.Example", U), (U, "XN--BCHER-KVA.example")):
        relay.write_config(senders=f'senders = ( {{ user = "{ALICE}"; addresses = [ "@{configured}" ]; }} );', extra=f'''
            sign = ( {{ domain = "{configured}"; selector = "{relay.selector}"; key = "{relay.dkim_key}"; }} );
            rewrite = ( {{ recipient = "old@{configured}"; to = "new@{configured}"; }} );
            routes = ( {{ recipients = [ "@{configured}" ]; via = [ "other" ]; }}, {{ recipients = [ "@.{configured}" ]; via = [ "other" ]; }},
                       {{ via = [ "next" ]; }} );''')
        relay.command("reload") if relay.process else relay.start()
        n, m = len(sink.messages), len(other.messages)
        t = Talk(relay.port).ready(relay.tls())
        t.say(f"MAIL FROM:<joerg@{typed}> SMTPUTF8 BODY=8BITMIME", 250)
        for address in ("b@c.example", f"old@{typed}", f"old@{U}", f"x@shop.{typed}"):
            t.say(f"RCPT TO:<{address}>", 250)
        t.text(text(f"Joerg <joerg@{typed}>"))
        got, routed = sink.wait(n + 1)[n], [x for x in other.wait(m + 1)[m:] for x in x.recipients]
        wait_for(lambda: sum(len(x.recipients) for x in other.messages[m:]) == 2, "both at the other")
        assert got.sender == f"joerg@{A}" and got.recipients == ["b@c.example"]
        assert sorted(r for x in other.messages[m:] for r in x.recipients) == [f"new@{A}", f"x@shop.{A}"], routed
        shown = typed if typed.isascii() else A  # no next hop needs SMTPUTF8 for a domain
        assert f"From: Joerg <joerg@{shown}>\r\n".encode() in got.bytes and verify_dkim(relay, got, A), got.bytes
        answer = t.say("MAIL FROM:<joerg@ｂücher.example> SMTPUTF8")  # another domain to the eye
        assert answer.startswith("550 5.7.1"), answer
        t.close()


ANSWER = b"550 5.1.1 \xe0\x80\x80 \xed\xa0\x80 \xf4\xbf\xbf\xbf \xc2\x9b31m \xe2\x80\xaetxt \xff end\r\n"


def test_nothing_hidden_reaches_log_or_terminal():
    class Raw(Scripted):
        def choose(self, verb, line):
            return ANSWER.decode("latin-1").rstrip() if verb == "RCPT" else super().choose(verb, line)

    import peers
    say = peers.Conversation.say
    peers.Conversation.say = lambda self, t: (self.file.write(ANSWER), self.file.flush()) if t.startswith("550 5.1.1") else say(self, t)
    sink = Raw(extensions=("SMTPUTF8",))
    relay = Relay(sink.port)
    relay.write_config(log='debug"; format = "json')
    relay.stop()
    relay.log_path.unlink()
    relay.start(wait=False)
    wait_for(lambda: b'"master.ready"' in relay.log_path.read_bytes(), "ready")
    t = Talk(relay.port).ready(relay.tls())
    for address in ("\u009bx@next.test", "a\u202eb@next.test", "a@ne\u200bxt.test", "a\ufeff@next.test", "a＠b@next.test"):
        t.say(f"MAIL FROM:<{ALICE}> SMTPUTF8", 250)
        assert t.say(f"RCPT TO:<{address}>").startswith("553 5.1.3"), address
        t.say("RSET", 250)
        assert t.say(f"MAIL FROM:<{address}> SMTPUTF8").startswith("553 5.1.7"), address
    for raw in (b"a\xed\xa0\x80b@next.test", b"a\xc0\xaeb@next.test", b"a\xffb@next.test"):
        assert t.say(b"MAIL FROM:<" + raw + b"> SMTPUTF8").startswith("501 5.1.7"), raw
    t.say("EHLO \u009b31m.example", 250)
    id = t.send(ALICE, "jürgen@next.test", text(), "SMTPUTF8")
    wait_for(lambda: any("550" in json.dumps(e) for e in relay.trace(id)), "the refusal")
    wait_for(lambda: all(text in relay.log_path.read_bytes() for text in (b"31m", b"\\u202etxt", "jürgen@next.test".encode())), "client and answer in the log")
    log = relay.log_path.read_bytes()
    hidden = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
    for line in log[:log.rindex(b"\n")].splitlines():  # one may be about to be written
        shown = line.decode("utf-8")  # strict: no surrogate, nothing overlong
        json.loads(shown)
        assert not hidden.search(shown), shown
    for arguments in (("trace", id), ("trace", id, "--json"), ("queue", "list"), ("queue", "list", "--json"), ("queue", "show", id), ("status",)):
        out = subprocess.run([relay.build / "posthouse", "-c", relay.conf, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
        assert not hidden.search(out.decode("utf-8").replace("\n", "")), (arguments, out)
    relay.command("queue", "remove", "--all", check=False)
