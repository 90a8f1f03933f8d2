"""Reports and notices arrive also where a next hop refuses them for their sender, their quote, their 8-bit text or their long lines."""
import os
import re

from lib import DOMAIN, PASSWORD, Relay, Sink, _names, init_text, simple_message, verify_dkim, wait_for
from peers import Scripted
from test_reports import ALICE, POSTMASTER, Report, final, refuse, submit

BOUNCES = f"bounces@{DOMAIN}"


def author(m):
    return m.message["From"].addresses[0].addr_spec


class Picky(Sink):
    """An upstream whose account may only send as itself, in 7 bits and short lines; alice's own mail it takes, but not to nobody."""

    def __init__(self, account, mailboxes=(), **kw):
        self.refused = []
        super().__init__(rcpt=refuse("nobody", *mailboxes), mail=self.judge_sender, data=self.judge_text, **kw)
        self.account = account

    def refuse(self, answer):
        self.refused.append(answer)
        return answer

    def judge_sender(self, address):
        if address in ("", "<>", None):
            return self.refuse("501 Invalid MAIL FROM address provided")
        if address not in (self.account, ALICE):
            return self.refuse("553 5.7.1 Sender address rejected: not owned by the account")

    def judge_text(self, envelope):
        text = envelope.original_content
        found = re.search(rb"^From:.*<(.*)>", text, re.M).group(1).decode()
        if found != envelope.mail_from:
            return self.refuse("550 5.7.60 not allowed to send as this From")
        if any(c > 127 for c in text):
            return self.refuse("554 5.6.1 8-bit text is not taken here")
        if max(map(len, text.split(b"\r\n"))) > 998:
            return self.refuse("500 5.5.2 line too long")
        if b"X-Secret" in text and envelope.rcpt_tos == [ALICE]:
            return self.refuse("554 5.7.1 content rejected")


MESSAGE = simple_message("Größe", "Grüße\r\n", f"List-Unsubscribe: <https://x.example/{'u' * 1200}>\r\n"
                         "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")


def report_at(hop, to=ALICE):
    wait_for(lambda: any(m.recipients == [to] for m in hop.messages), lambda: f"a report; refused: {getattr(hop, 'refused', '')}")
    return [m for m in hop.messages if m.recipients == [to]][0]


def test_everything_is_refused_and_nothing_is_configured():
    """No null sender, no foreign From, no 8 bits, no long lines, no content: the report is written again until it can pass, as the sender to himself."""
    hop = Picky(ALICE)
    relay = Relay(hop.port)
    id = submit(relay, {"nobody@example.net": ""}, MESSAGE.replace(b"\r\nTo:", b"\r\nX-Secret: y\r\nTo:"), mail="RET=FULL BODY=8BITMIME")
    got = report_at(hop)
    assert got.sender == ALICE and author(got) == ALICE and verify_dkim(relay, got), got.bytes
    words = " ".join(got.message.get_payload(0).get_content().split())
    assert "no such user here" in words and "Your message is not returned" in words, (words, hop.refused, got.bytes)
    status = got.message.get_payload(1)
    assert status.get_content_type() == "message/delivery-status" and len(got.message.get_payload()) == 2, got.bytes
    assert got.message["Auto-Submitted"] == "auto-replied" and final(relay, id) == {"nobody@example.net": "bounced"}
    relay.wait_empty()
    log = relay.log_now()
    assert len(hop.messages) == 1 and "told=nobody" not in log and "event=report.again" in log


def test_report_sender():
    """With the key the first report passes, and it is signed."""
    hop = Picky(BOUNCES)
    for where in ("general", "upstream"):
        own = f'report_sender = "{BOUNCES}";'
        upstream = f'name = "next"; host = "127.0.0.1"; port = {hop.port}; tls = "none";'
        relay = Relay(upstream=f"{{ {upstream} {own if where == 'upstream' else ''} }}", extra=own if where == "general" else "")
        submit(relay, {"nobody@example.net": ""}, simple_message("plain"))
        got = report_at(hop)
        assert got.sender == BOUNCES and author(got) == BOUNCES and verify_dkim(relay, got) and not hop.refused, (got.bytes, hop.refused)
        assert got.message.get_payload(2).get_content_type() == "text/rfc822-headers"
        # 8 bits and a long line: the report that quotes them is written again, with the header in 7 bits
        hop.messages.clear()
        submit(relay, {"nobody@example.net": ""}, MESSAGE, mail="RET=FULL BODY=8BITMIME")
        got = report_at(hop)
        assert got.sender == BOUNCES and verify_dkim(relay, got) and b"=C3=B6=C3=9Fe" in got.bytes, got.bytes
        assert "told=nobody" not in relay.log_now()
        hop.messages.clear()
        hop.refused.clear()
        relay.end()


def test_the_postmaster_is_told_there_too():
    hop = Picky(POSTMASTER, mailboxes=["alice"])
    relay = Relay(hop.port)
    submit(relay, {"nobody@example.net": ""}, simple_message("a double bounce"))
    note = report_at(hop, POSTMASTER)
    assert note.sender == POSTMASTER and author(note) == POSTMASTER and ALICE in note.message.get_content()
    assert "told=nobody" not in relay.log_now()


def test_a_signed_message_and_a_7_bit_host():
    """What cannot be converted for the recipient cannot pass within a report either, so that returns the header only."""
    hop = Scripted(extensions=("PIPELINING",))
    relay = Relay(hop.port)
    message = simple_message("signed", headers='MIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=pgp-sha256; '
                             'protocol="application/pgp-signature"; boundary="=-b1"\r\n', body=(
                                 "--=-b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--=-b1\r\n"
                                 "Content-Type: application/pgp-signature; name=signature.asc\r\n\r\nnone\r\n--=-b1--\r\n"))
    submit(relay, {"bob@example.net": ""}, message, mail="BODY=8BITMIME RET=FULL")
    got = report_at(hop)
    assert got.sender == "" and all(c < 128 for c in got.bytes) and verify_dkim(relay, got), got.bytes
    report = Report(got)
    assert report.returned.get_content_type() == "text/rfc822-headers", got.bytes
    assert "The reason: 554 5.6.3" in report.words and "answered" not in report.words, "these are not the server's words"
    assert "signed part (multipart/signed)" in report.words and "The last one is your message's header." in report.words, report.words


def test_a_relay_set_up_by_init_reports_in_alignment():
    """`init` makes a key for the mail domain, not for the host: From of reports and notices is in that domain, so that DMARC holds."""
    hop = Sink(rcpt=refuse("nobody", "void"))
    relay = Relay(hop.port, start=False)
    relay.dir = relay.dir / "init"
    relay.dir.mkdir()
    relay.conf = relay.dir / "posthouse.conf"
    relay.command("init", DOMAIN, "--user", ALICE, "--password-stdin", "--upstream", f"127.0.0.1:{hop.port}", "--upstream-tls", "none",
                  "--address", "127.0.0.1", "--port-starttls", str(relay.port), "--port-implicit", str(relay.tls_port), "--state-dir",
                  relay.dir / "state", "--control", relay.dir / "control.sock", "--run-as", "root" if os.geteuid() == 0 else "nobody",
                  input=PASSWORD + "\n")
    relay.certificate, relay.key, relay.dkim_key, relay.selector = _names(init_text(relay.conf))
    relay.start()
    submit(relay, {"nobody@example.net": ""})
    submit(relay, {"void@example.net": ""}, sender="")
    for to in (ALICE, POSTMASTER):
        got = report_at(hop, to)
        assert got.sender == "" and author(got) == f"mailer-daemon@{DOMAIN}" and verify_dkim(relay, got), got.bytes
    assert f'hostname = "relay.{DOMAIN}"' in relay.conf.read_text()
