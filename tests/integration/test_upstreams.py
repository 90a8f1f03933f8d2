"""Upstreams by the command line: `posthouse upstream list|test|login|profiles`, against played servers and a played provider of tokens."""
import base64
import hashlib
import http.server
import urllib.parse
import urllib.request

from lib import *
from peers import BlackHole, Scripted

SINK = "sink.example.net"


def upstream(port, ca=None, name="next", tls="starttls", host="127.0.0.1", extra="", login=True):
    account = 'login = "me@example.net"; password = "pass word";' if login and tls != "none" else ""
    trust = f'ca = "{ca}"; tls_name = "{SINK}";' if ca else ""
    return f'{{ name = "{name}"; host = "{host}"; port = {port}; tls = "{tls}"; {trust} {account} {extra} }}'


def tested(relay, name="next"):
    """The test of an upstream, as its JSON and its exit code; and the words for people."""
    done = relay.command("upstream", "test", name, "--json", check=False)
    return json.loads(done.stdout), done.returncode, relay.command("upstream", "test", name, check=False).stdout


def server(**kw):
    context, cert = tls_context(WORK_DIR())
    return Scripted(extensions=["PIPELINING", "8BITMIME", "AUTH PLAIN LOGIN"], tls_context=context, **kw), cert


def test_an_upstream_that_works():
    """Each step is told; no mail goes, and neither the limit of connections nor the state of the upstream counts."""
    next_hop, cert = server(answers={"AUTH": "235 2.7.0 welcome"})
    relay = Relay(upstream=upstream(next_hop.port, cert, extra='messages = [ "100/1d" ]; connections = 1;'))
    said, code, text = tested(relay)
    assert code == 0 and said["works"] and said["failed_at"] == "", said
    assert said["remote"] == f"127.0.0.1 [127.0.0.1]:{next_hop.port}" and said["tls"].startswith("TLSv1.") and "certificate verified" in said["tls"], said
    assert said["mechanisms"] == ["PLAIN", "LOGIN"] and said["mechanism"] == "PLAIN" and "8BITMIME" in said["extensions"], said
    for words in ("TLSv1.", "certificate verified", "AUTH PLAIN LOGIN", "works: the server has accepted the login"):
        assert words in text, text
    wait_for(lambda: next_hop.commands.count("QUIT") == 2, lambda: f"QUIT after the login: {next_hop.commands}")
    assert not any(c.startswith("MAIL") for c in next_hop.commands), next_hop.commands
    listed = rows_of(relay.command("upstream", "list", "--json").stdout)[0]
    assert listed["name"] == "next" and listed["port"] == next_hop.port and listed["works"] and listed["login"] == "password, as me@example.net", listed
    assert listed["limits"] and listed["limits"][0]["used"] == 0, listed
    text = relay.command("upstream", "list").stdout
    assert "password, as me@example.net" in text and "works" in text and "100/1d" in text and "pass word" not in text, text
    relay.submit()
    next_hop.wait(1)


def test_refused_logins_are_explained():
    """The provider's own words and ours, in test, log, status, list and trace."""
    next_hop, cert = server(answers={"AUTH": "534 5.7.9 Application-specific password required. For more information, go to https://support.google.com/mail/"})
    relay = Relay(upstream=upstream(next_hop.port, cert))
    said, code, text = tested(relay)
    assert code == 69 and not said["works"] and said["failed_at"] == "the login" and said["code"] == 534 and said["who"] == "admin", said
    assert "Application-specific password required" in said["reply"] and "app password" in said["hint"], said
    assert "make an app password" in text and "534 5.7.9" in text and "(credentials)" in text, text
    id = relay.submit()
    relay.wait_log("event=upstream.down")
    assert "make an app password" in relay.log_now()
    wait_for(lambda: "make an app password" in relay.status_text(), "the hint in status")
    listed = wait_for(lambda: (l := rows_of(relay.command("upstream", "list", "--json").stdout)[0]) and not l["works"] and l, "a listed state")
    assert "waits, next attempt in" in listed["state"] and "make an app password" in listed["state"], listed
    assert any("make an app password" in str(e["fields"]) for e in relay.wait_event(id, "delivery.deferred")), relay.events(id)


MICROSOFT = (
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "whole organisation", 69),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", "for this mailbox", 69),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "use `oauth`", 69),
    ("550 5.7.30 Basic authentication is not supported for Client Submission.", "use `oauth`", 69),
    ("535 5.7.8 Username and Password not accepted.", "ordinary password", 69),
    ("525 5.7.1 Unauthorized IP address", "authorised IP addresses", 69),
    ("454 4.7.0 Too many login attempts, please try again later.", "too many logins", 75),
    ("421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing", "", 75),
)


def test_words_of_providers():
    next_hop, cert = server()
    relay = Relay(upstream=upstream(next_hop.port, cert, extra='mechanisms = [ "PLAIN" ];'))
    for reply, hint, code in MICROSOFT:
        next_hop.answers["AUTH"] = reply
        said, exit_code, text = tested(relay)
        assert hint in said["hint"] and exit_code == code and reply[4:] in text, (reply, said, exit_code, text)


def failing(line, place, words, hint_words=None, code=69, **kw):
    relay = Relay(upstream=line, **kw)
    said, exit_code, text = tested(relay)
    assert exit_code == code and said["failed_at"] == place and words in said["reply"], (exit_code, said)
    assert (hint_words or words) in said["hint"] and said["hint"] in text and said["reply"] in text and "Traceback" not in text, (said, text)
    return said


def test_no_such_host():
    failing(upstream(587, host="mail.no-such-host.invalid", login=False), "the name", "no such host", "mistake in `host`")


def test_a_closed_port():
    failing(upstream(free_port()), "the connection", "connection refused", "nothing takes connections on this port")


def test_a_blocked_port():
    """As where the provider of the machine drops what goes to this port."""
    port = free_port("127.9.9.9")
    BlackHole("127.9.9.9", port)
    failing(upstream(port, host="127.9.9.9"), "the connection", "not made in time", "block the ports 25, 465 and 587",
            delivery='timeouts = { connect = "1s"; };')


def test_tls_of_the_other_kind():
    clear, _ = server()
    failing(upstream(clear.port, tls="implicit"), "TLS", "wrong version number", 'tls = "starttls" fits it')
    context, cert = tls_context(WORK_DIR())
    implicit = Sink(tls="implicit", tls_context=context)
    failing(upstream(implicit.port, cert), "the connection", "", 'tls = "implicit"', delivery='timeouts = { greeting = "1s"; };')
    bare = Scripted(extensions=["AUTH PLAIN"])
    failing(upstream(bare.port), "TLS", "does not offer STARTTLS", "offers no TLS on this port")


def test_certificates():
    next_hop, cert = server(answers={"AUTH": "235 2.7.0 welcome"})
    failing(upstream(next_hop.port), "TLS", "certificate", "Nobody whom this machine trusts")
    failing(upstream(next_hop.port, cert).replace(f'tls_name = "{SINK}"', 'tls_name = "other.example.net"'), "TLS", "", "certificate is for another host")


def test_no_way_to_log_in():
    context, cert = tls_context(WORK_DIR())
    none = Scripted(extensions=["8BITMIME"], tls_context=context)
    failing(upstream(none.port, cert), "the login", "no way to log in", "offers no login on this port")
    other = Scripted(extensions=["8BITMIME", "AUTH GSSAPI NTLM"], tls_context=context)
    said = failing(upstream(other.port, cert), "the login", "no way to log in", "look at `mechanisms`")
    assert said["mechanisms"] == ["GSSAPI", "NTLM"], said


def test_names_usage_and_no_relay():
    relay = Relay(upstream=upstream(free_port()))
    done = relay.command("upstream", "test", "nobody", check=False)
    assert done.returncode == 69 and "no such upstream" in done.stderr, done
    assert relay.command("upstream", "test", check=False).returncode == 64
    assert relay.command("upstream", "frobnicate", check=False).returncode == 64
    assert relay.command("upstream", "login", "next", "--port", "x", check=False).returncode == 64
    assert "login NAME" in relay.command("upstream", "help").stdout
    done = relay.command("upstream", "login", "next", check=False)
    assert done.returncode == 69 and "no oauth" in done.stderr, done
    relay.stop()
    for verb in (["list"], ["test", "next"], ["login", "next"]):
        done = relay.command("upstream", *verb, check=False)
        assert done.returncode == 69 and "no relay is running here" in done.stderr, done
    profiles = rows_of(relay.command("upstream", "profiles", "--json").stdout)
    gmail = next(p for p in profiles if p["name"] == "gmail")
    assert gmail["note"] and "smtp.gmail.com" in json.dumps(gmail), gmail
    text = relay.command("upstream", "profiles").stdout
    assert all(p["name"] in text and p["host"] in text for p in profiles), text


# ---- signing in ----
class Provider(http.server.ThreadingHTTPServer):
    """An authorization server (RFC 6749, 7636, 8628): HTTPS, with a certificate of its own."""

    def __init__(self):
        provider = self
        self.requests, self.challenge, self.polls, self.answer = [], None, 0, None
        context, self.ca = tls_context(WORK_DIR(), "localhost")

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                provider.requests.append((self.path, form))
                status, body = provider.reply(self.path, form)
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", free_port()), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        end_with_the_test(self)

    def url(self, path):
        return f"https://localhost:{self.server_address[1]}/{path}"

    def end(self, keep=False):
        self.shutdown()
        self.server_close()

    def reply(self, path, form):
        if path == "/device":
            return 200, {"device_code": "dev-1", "user_code": "WDJB-MJHT", "verification_uri": "https://example.net/device", "expires_in": 300, "interval": 1}
        granted = {"access_token": "access-SECRET-1", "refresh_token": "refresh-SECRET-1", "token_type": "Bearer", "expires_in": 3600}
        if form["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code":
            self.polls += 1
            if self.answer:
                return 400, {"error": self.answer}
            return (400, {"error": "authorization_pending"}) if self.polls < 2 else (200, granted)
        if form["grant_type"] == "authorization_code":
            verifier = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            return (200, granted) if form["code"] == "code/1" and verifier == self.challenge else (400, {"error": "invalid_grant"})
        return 400, {"error": "invalid_grant"}


def signed_in_relay(provider, device):
    context, cert = tls_context(WORK_DIR())
    next_hop = Scripted(extensions=["8BITMIME", "AUTH PLAIN XOAUTH2"], tls_context=context, answers={"AUTH": "235 2.7.0 welcome"})
    way = f'device_url = "{provider.url("device")}";' if device else f'authorization_url = "{provider.url("authorize")}";'
    line = (f'{{ name = "next"; host = "127.0.0.1"; port = {next_hop.port}; tls = "starttls"; ca = "{cert}"; tls_name = "{SINK}"; login = "me@example.net"; '
            f'oauth = {{ provider = "custom"; client_id = "client-1"; scope = "mail"; token_url = "{provider.url("token")}"; {way} }}; }}')
    return Relay(upstream=line, extra=f'https = {{ ca = "{provider.ca}"; }};'), next_hop


class Login:
    """`posthouse upstream login` while it runs."""

    def __init__(self, relay, *arguments):
        self.process = subprocess.Popen([relay.build / "posthouse", "-c", relay.conf, "upstream", "login", "next", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        end_with_the_test(self)

    def read_until(self, words):
        text = ""
        while words not in text:
            line = self.process.stdout.readline()
            assert line, f"ended before {words!r}: {text}"
            text += line
        return text

    def end(self, keep=False):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def secrets_stay_inside(relay, said):
    for secret in ("SECRET", "dev-1"):
        assert secret not in relay.log_text() and secret not in said, secret


def test_signing_in_by_any_device():
    provider = Provider()
    relay, next_hop = signed_in_relay(provider, device=True)
    state = rows_of(relay.command("upstream", "list", "--json").stdout)[0]
    assert not state["works"] and state["login"].startswith("token (custom)"), state
    assert state["state"].startswith("a person must act: ") and "posthouse upstream login next" in state["state"], state
    login = Login(relay)
    said = login.read_until("waiting")
    assert "https://example.net/device" in said and "WDJB-MJHT" in said, said
    said += login.process.stdout.read()
    assert login.process.wait(LIMIT) == 0, said
    assert "signed in; the token is stored" in said and "works: the server has accepted the login" in said, said
    assert provider.polls >= 2 and any(c.startswith("AUTH XOAUTH2") for c in next_hop.commands), (provider.polls, next_hop.commands)
    state = rows_of(relay.command("upstream", "list", "--json").stdout)[0]
    assert state["works"] and state["token_valid_s"] > 3000, state
    relay.submit()
    next_hop.wait(1)
    secrets_stay_inside(relay, said)


def test_a_refused_or_interrupted_sign_in():
    provider = Provider()
    provider.answer = "access_denied"
    relay, _ = signed_in_relay(provider, device=True)
    login = Login(relay)
    said = login.process.stdout.read()
    assert login.process.wait(LIMIT) == 69 and "refused" in said, said
    provider.answer = "authorization_pending"
    login = Login(relay)
    login.read_until("waiting")
    login.process.send_signal(signal.SIGINT)
    said = login.process.stdout.read()
    assert login.process.wait(LIMIT) == 130 and "not signed in" in said, said


def test_signing_in_by_a_browser():
    """PKCE on a loopback redirect; other requests to that port get 404 and change nothing."""
    provider = Provider()
    relay, next_hop = signed_in_relay(provider, device=False)
    port = free_port()
    login = Login(relay, "--port", str(port))
    said = login.read_until("Waiting")
    assert f"ssh -L {port}:127.0.0.1:{port} HOST" in said, said
    url = urllib.parse.urlsplit(re.search(r"https://localhost\S+", said).group())
    query = dict(urllib.parse.parse_qsl(url.query))
    assert query["redirect_uri"] == f"http://127.0.0.1:{port}/" and query["response_type"] == "code" and query["code_challenge_method"] == "S256", query
    assert query["client_id"] == "client-1", query
    provider.challenge = query["code_challenge"]

    def get(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, ""
    idle = socket.create_connection(("127.0.0.1", port))  # a browser opens some that it never uses
    for path in ("/favicon.ico", "/", "/?code=code%2F1", "/?code=code%2F1&state=wrong", "/?error=access_denied"):
        assert get(path)[0] == 404, path
    status, page = get(f"/?code=code%2F1&state={urllib.parse.quote(query['state'])}")
    assert status == 200 and "close this window" in page, page
    idle.close()
    said += login.process.stdout.read()
    assert login.process.wait(LIMIT) == 0 and "signed in; the token is stored" in said and "works:" in said, said
    assert any(c.startswith("AUTH XOAUTH2") for c in next_hop.commands), next_hop.commands
    secrets_stay_inside(relay, said)


def test_a_browser_that_brings_a_refusal():
    provider = Provider()
    relay, _ = signed_in_relay(provider, device=False)
    login = Login(relay)
    said = login.read_until("Waiting")
    port = int(re.search(r"127.0.0.1 port (\d+)", said).group(1))
    state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(re.search(r"https://localhost\S+", said).group()).query))["state"]
    urllib.request.urlopen(f"http://127.0.0.1:{port}/?error=access_denied&state={urllib.parse.quote(state)}", timeout=30).read()
    said = login.process.stdout.read()
    assert login.process.wait(LIMIT) == 77 and "refused in the browser" in said, said
    assert provider.requests == [], provider.requests
