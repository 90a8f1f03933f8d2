"""Logging in at upstreams: Postfix with Cyrus SASL, and aiosmtpd with the mechanisms that Cyrus lacks here: tokens and certificates."""
import base64
import stat

from aiosmtpd.smtp import MISSING

from lib import *
from peers import Postfix

SMTPServer.line_length_limit = 12290  # RFC 4954 section 4

TOKEN = "ya29.a0-very.secret~token" + "x" * 4200  # as long as those of Microsoft


class LoginSink(Sink):
    """Takes mail after AUTH by `mechanism` alone beside LOGIN and PLAIN, which nobody must use. `refuse`: how many logins are refused."""

    def __init__(self, mechanism, context, refuse=0, json=b'{"status":"invalid_token","scope":"https://mail.example/"}'):
        self.mechanism, self.refuse, self.json = mechanism, refuse, json
        self.tries, self.answers = [], []
        super().__init__(users={}, tls="implicit", tls_context=context)
        setattr(self, f"auth_{mechanism}", self.by_mechanism)
        self.stop()
        self.start()

    async def by_mechanism(self, server, args):
        response = await server.challenge_auth("") if len(args) == 1 else base64.b64decode("" if args[1] == "=" else args[1])
        if response is MISSING:
            return AuthResult(success=False)
        self.tries.append(response)
        certificate = server.transport.get_extra_info("ssl_object").getpeercert()
        if self.mechanism == "EXTERNAL":
            return AuthResult(success=bool(certificate), handled=bool(certificate))
        if len(self.tries) > self.refuse:
            return AuthResult(success=True)
        self.answers.append(await server.challenge_auth(self.json, encode_to_b64=True))
        return AuthResult(success=False, handled=False)


def line(relay, event):
    """The first line of this event."""
    relay.wait_log(f"event={event}")
    return next(l for l in relay.log_now().splitlines() if f"event={event}" in l)


def secret(text, name):
    path = pathlib.Path(WORK_DIR()) / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def upstream(port, cert, more, tls="implicit"):
    return f'{{ name = "isp"; host = "127.0.0.1"; port = {port}; tls = "{tls}"; ca = "{cert}"; tls_name = "sink.example.net"; {more} }}'


def by_postfix(mechanism, more=""):
    """Cyrus SASL at the other end. The password is in no log."""
    context, cert = tls_context(WORK_DIR())
    postfix = Postfix(users={"me": "one s3cret"}, tls="encrypt", certificate=(cert, str(cert).replace(".pem", ".key")), mechanisms=mechanism)
    relay = Relay(upstream=upstream(postfix.port, cert, f'login = "me@postfix"; password_file = "{secret("one s3cret", "password")}"; {more}', "starttls"))
    relay.submit()
    assert b"with ESMTPSA" in postfix.wait(1)[0]
    wait_for(lambda: f"sasl_method={mechanism.split()[-1]}" in postfix.log_path.read_text(), "the mechanism in Postfix's log")
    assert "s3cret" not in relay.log_now()


def test_scram_sha_1_at_postfix():
    by_postfix("PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1")


def test_cram_md5_at_postfix():
    by_postfix("PLAIN LOGIN CRAM-MD5", 'mechanisms = [ "CRAM-MD5" ];')


def test_cram_md5_is_not_used_unasked():
    context, cert = tls_context(WORK_DIR())
    postfix = Postfix(users={"me": "s3cret"}, tls="encrypt", certificate=(cert, str(cert).replace(".pem", ".key")), mechanisms="CRAM-MD5")
    relay = Relay(upstream=upstream(postfix.port, cert, f'login = "me@postfix"; password_file = "{secret("s3cret", "password")}";', "starttls"))
    relay.submit()
    assert "no way to log in" in line(relay, "upstream.down")
    assert not postfix.messages()


# ---- tokens, which a command prints ----
def token_relay(sink, cert, more=""):
    program = pathlib.Path(WORK_DIR()) / "token"
    program.write_text(f'#!/bin/sh\necho "{TOKEN}"\n')
    program.chmod(0o755)
    return Relay(upstream=upstream(sink.port, cert, f'login = "me@isp.example"; oauth = {{ provider = "microsoft"; grant = "command"; '
                                   f'command = [ "{program}" ]; }}; {more}'))


def assert_kept_secret(relay, sink):
    text = relay.log_now() + relay.command("trace", check=False).stdout
    assert TOKEN not in text and TOKEN[:25] not in text
    for response in sink.tries:
        assert base64.b64encode(response).decode()[:60] not in text


def by_token(mechanism, expected, answer):
    context, cert = tls_context(WORK_DIR())
    sink = LoginSink(mechanism, context, refuse=1)
    relay = token_relay(sink, cert)
    relay.submit()
    sink.wait(1)
    assert sink.tries == [expected(sink.port)] * 2 and sink.answers == [answer], (sink.tries, sink.answers)
    assert "invalid_token" in line(relay, "upstream.token_refused")
    line(relay, "upstream.renewing")
    assert not sink.logins
    assert_kept_secret(relay, sink)


def test_xoauth2():
    by_token("XOAUTH2", lambda port: f"user=me@isp.example\1auth=Bearer {TOKEN}\1\1".encode(), b"")


def test_oauthbearer():
    by_token("OAUTHBEARER", lambda port: f"n,a=me@isp.example,\1host=127.0.0.1\1port={port}\1auth=Bearer {TOKEN}\1\1".encode(), b"\1")


def test_a_token_that_is_refused_for_good():
    """Mail waits, and no other mechanism gets anything."""
    context, cert = tls_context(WORK_DIR())
    sink = LoginSink("XOAUTH2", context, refuse=1000, json=f'{{"token":"{TOKEN}"}}'.encode())
    relay = token_relay(sink, cert)
    relay.submit()
    assert "fault=ours" in line(relay, "upstream.down")
    assert len(sink.tries) >= 2 and not sink.logins and not sink.messages
    assert "(left out)" in line(relay, "upstream.token_refused")
    assert_kept_secret(relay, sink)
    assert "bob@example.net" in relay.command("queue", "list").stdout  # it waits


def test_an_upstream_without_a_mechanism_for_tokens():
    context, cert = tls_context(WORK_DIR())
    sink = Sink(users={"me@isp.example": TOKEN}, tls="implicit", tls_context=context)
    relay = token_relay(sink, cert)
    relay.submit()
    assert "no way to log in" in line(relay, "upstream.down")
    assert not sink.logins and not sink.messages


# ---- certificates ----
def with_certificate(sink_of, more="", version=None, **options):
    context, cert = tls_context(WORK_DIR())
    if version:
        context.maximum_version = version
    _, own = tls_context(WORK_DIR(), "relay.example.org")
    context.load_verify_locations(own)
    sink = sink_of(context)
    context.verify_mode = ssl.CERT_REQUIRED  # of connections from now on: the sink's own first one has no certificate
    key = pathlib.Path(str(own).replace(".pem", ".key"))
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    relay = Relay(upstream=upstream(sink.port, cert, f'certificate = "{own}"; certificate_key = "{key}"; {more}'), **options)
    relay.submit()
    sink.wait(1)
    return sink, relay


def test_external_by_certificate():
    sink, _ = with_certificate(lambda context: LoginSink("EXTERNAL", context))
    assert sink.tries == [b""]


def test_external_with_an_identity():
    sink, _ = with_certificate(lambda context: LoginSink("EXTERNAL", context), 'login = "me@isp.example";')
    assert sink.tries == [b"me@isp.example"]


def test_a_certificate_without_a_login():
    """TLS alone admits the relay: the server offers no AUTH."""
    with_certificate(lambda context: Sink(tls="implicit", tls_context=context))


def test_the_key_of_a_certificate_is_vaults_alone():
    """Relay shows the certificate and lacks its key, in both versions of TLS; a vault that dies is waited for."""
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        sink, relay = with_certificate(lambda context: Sink(tls="implicit", tls_context=context), version=version, sign=False)
        assert version.name.replace("_", ".") in line(relay, "delivery.sent")
        assert relay.figures("vault")["handshakes"] == 1
        relay.kill_role("vault")
        relay.submit()
        sink.wait(2)
