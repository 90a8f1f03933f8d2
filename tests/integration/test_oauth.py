"""Tokens of upstreams (OAuth 2.0): the provider's token server and the upstream are played here."""
import base64
import email.utils
import http.server
import urllib.parse

from lib import *

ALICE = "alice@mail.example"
SECRETS = ("client-secret-1", "refresh-", "access-")


class Provider:
    """A token server. `answer` gets the form as a dict, and returns (status, members of the JSON answer) or (…, …, headers)."""

    def __init__(self, directory, answer=None):
        self.forms = []
        self.answer = answer or self.grant
        self.count = 0
        self.issued = []
        self.lifetime = 3600
        self.release = threading.Event()
        self.release.set()
        self.context, self.certificate = tls_context(directory, "localhost")
        self.port = free_port()
        self.server = None
        end_with_the_test(self)
        self.start()

    def grant(self, form):
        """Each request gets a new token; refresh tokens are rotated."""
        self.count += 1
        token = f"access-{self.count}-" + "x" * 20
        self.issued.append(token)
        members = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        if form.get("grant_type") == "refresh_token":
            members["refresh_token"] = f"refresh-{self.count}-" + "y" * 20
        return 200, members

    def start(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                provider.forms.append((self.path, form))
                provider.release.wait(LIMIT)
                status, members, *headers = provider.answer(form)
                body = members if isinstance(members, bytes) else json.dumps(members).encode()
                self.send_response_only(status)
                for name, value in dict({"Date": email.utils.formatdate(usegmt=True)}, **(headers[0] if headers else {})).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def end(self, keep=False):
        self.release.set()
        self.stop()

    def url(self, path="token"):
        return f"https://localhost:{self.port}/{path}"

    def extra(self):
        return f'https = {{ ca = "{self.certificate}"; }};'


class TokenSink(Sink):
    """An upstream that takes tokens only. It knows those of its providers, and what it refuses it explains as Google does."""

    def __init__(self, directory, *providers):
        self.providers = providers
        self.refused = set()
        self.tokens = []
        context, self.certificate = tls_context(directory)
        super().__init__(tls="starttls", tls_context=context, require_tls=True)

    def start(self):
        self.options.update(auth_required=True, auth_require_tls=True, auth_exclude_mechanism=["PLAIN", "LOGIN"], authenticator=lambda *a: None)
        super().start()

    async def judge(self, server, user, token):
        self.tokens.append(token)
        if user == ALICE and token not in self.refused and any(token in p.issued for p in self.providers):
            return AuthResult(success=True, auth_data=user)
        await server.challenge_auth('{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}')
        return AuthResult(success=False, handled=False)

    async def auth_XOAUTH2(self, server, args):
        text = base64.b64decode(args[1]).decode()
        user, bearer = text.split("\x01")[:2]
        return await self.judge(server, user.removeprefix("user="), bearer.removeprefix("auth=Bearer "))

    async def auth_OAUTHBEARER(self, server, args):
        text = base64.b64decode(args[1]).decode()
        head, *pairs = text.split("\x01")
        pairs = dict(p.split("=", 1) for p in pairs if p)
        return await self.judge(server, head.split(",")[1].removeprefix("a="), pairs["auth"].removeprefix("Bearer "))


def upstream(sink, provider, oauth, name="token"):
    return (f'{{ name = "{name}"; host = "127.0.0.1"; port = {sink.port}; tls = "starttls"; tls_name = "sink.example.net"; ca = "{sink.certificate}"; '
            f'login = "{ALICE}"; oauth = {{ provider = "custom"; token_url = "{provider.url()}"; client_id = "client-1"; {oauth} }}; }}')


def refresh(token="refresh-0", more=""):
    return f'client_secret = "client-secret-1"; scope = "mail"; refresh_token = "{token}"; {more}'


def world(oauth=refresh(), **options):
    directory = WORK_DIR()
    provider = Provider(directory)
    sink = TokenSink(directory, provider)
    relay = Relay(upstream=upstream(sink, provider, oauth), extra=provider.extra(), **options)
    return relay, provider, sink


def stored(relay, name="token"):
    return (relay.dir / "state" / "tokens" / name).read_text().splitlines()[2]


def no_secret_is_told(relay):
    """Not in the log, not in what commands say, not in the arguments of processes."""
    told = relay.log_now() + relay.command("status").stdout + "".join(relay.command("trace", m["id"]).stdout for m in relay.queue())
    for pid in relay.pids():
        told += pathlib.Path(f"/proc/{pid}/cmdline").read_text() + pathlib.Path(f"/proc/{pid}/environ").read_text()
    for secret in SECRETS + (base64.b64encode(b"access-").decode()[:8],):
        assert secret not in told, (secret, [line for line in told.splitlines() if secret in line])


def test_a_refresh_token():
    relay, provider, sink = world()
    relay.submit()
    sink.wait()
    path, form = provider.forms[0]
    assert (path, form) == ("/token", {"grant_type": "refresh_token", "refresh_token": "refresh-0", "client_id": "client-1",
                                       "client_secret": "client-secret-1", "scope": "mail"})
    assert sink.tokens == [provider.issued[0]]
    assert stored(relay).startswith("refresh-1-")
    tokens = relay.dir / "state" / "tokens"
    assert (tokens.stat().st_mode & 0o7777, (tokens / "token").stat().st_mode & 0o7777) == (0o700, 0o600)
    no_secret_is_told(relay)
    relay.stop()
    relay.start()  # what is stored is used, not what the configuration has
    wait_for(lambda: len(provider.forms) == 2, "another token")
    assert provider.forms[1][1]["refresh_token"].startswith("refresh-1-")
    relay.submit()
    sink.wait(2)
    relay.stop()


def test_an_application_by_itself():
    relay, provider, sink = world('grant = "client_credentials"; client_secret = "client-secret-1"; scope = "all";')
    relay.submit()
    sink.wait()
    assert provider.forms[0][1] == {"grant_type": "client_credentials", "client_id": "client-1", "client_secret": "client-secret-1", "scope": "all"}
    no_secret_is_told(relay)
    relay.stop()


def service_account(directory):
    key = pathlib.Path(directory) / "account.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, stderr=subprocess.DEVNULL)
    account = pathlib.Path(directory) / "account.json"
    account.write_text(json.dumps({"type": "service_account", "client_email": "relay@project.example", "private_key": key.read_text()}))
    account.chmod(0o600)
    return account


def claims(form):
    head, body, signature = form["assertion"].split(".")
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_a_service_account_on_a_machine_whose_clock_is_ahead():
    """The provider refuses claims of the future; its Date says what time it is there."""
    directory = WORK_DIR()
    behind = 3600
    provider = Provider(directory)
    sink = TokenSink(directory, provider)

    def answer(form):
        now = time.time() - behind
        headers = {"Date": email.utils.formatdate(now, usegmt=True)}
        if claims(form)["iat"] > now + 60:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT: iat is in the future"}, headers
        return (*provider.grant(form), headers)
    provider.answer = answer
    relay = Relay(upstream=upstream(sink, provider, f'grant = "service_account"; scope = "mail"; key = "{service_account(directory)}";'),
                  extra=provider.extra())
    relay.submit()
    sink.wait()
    claim = claims(provider.forms[1][1])
    assert (claim["iss"], claim["sub"], claim["aud"]) == ("relay@project.example", ALICE, provider.url())
    assert len(provider.forms) == 2 and "event=token.clock" in relay.log_now()
    no_secret_is_told(relay)
    relay.stop()


def test_a_command():
    directory = WORK_DIR()
    provider = Provider(directory)
    sink = TokenSink(directory, provider)
    provider.issued.append("access-of-the-command")
    relay = Relay(upstream=upstream(sink, provider, 'grant = "command"; command = [ "/bin/echo", "access-of-the-command" ];'))
    relay.submit()
    sink.wait()
    assert sink.tokens == ["access-of-the-command"] and not provider.forms
    relay.stop()


def test_a_rotated_token_survives_kill():
    """The provider takes a refresh token once. vault dies when the new one has been stored, before it is used."""
    directory = WORK_DIR()
    provider = Provider(directory)
    sink = TokenSink(directory, provider)
    good = ["refresh-0"]
    up = threading.Event()  # until all roles are, a death of one of them ends the relay

    def once(form):
        up.wait()
        if form["refresh_token"] not in good:
            return 400, {"error": "invalid_grant"}
        status, members = provider.grant(form)
        good[:] = [members["refresh_token"]]
        return status, members
    provider.answer = once
    relay = Relay(upstream=upstream(sink, provider, refresh()), extra=provider.extra(), environment={"POSTHOUSE_CRASH": "token.stored:1"})
    up.set()
    relay.wait_log("event=token.renewed")
    relay.submit()
    sink.wait()
    assert relay.log_now().count("event=role.died dead=vault") == 1
    assert [form["refresh_token"][:9] for _, form in provider.forms] == ["refresh-0", "refresh-1"]
    assert sink.tokens == [provider.issued[1]]
    for _ in range(2):  # and whenever it comes, but between the provider's answer and the store
        n = relay.log_now().count("event=token.renewed")
        relay.kill_role("vault")
        wait_for(lambda: relay.log_since_start().count("event=token.renewed") > n, "another token")
    relay.submit()
    sink.wait(2)
    assert "event=token.refused" not in relay.log_now()
    relay.stop()


def test_a_sign_in_that_is_over_waits_for_a_person():
    relay, provider, sink = world()
    provider.answer = lambda form: (400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
    relay.kill_role("vault")  # the token that it has is lost with it
    relay.wait_log("event=token.refused")
    id = relay.submit()
    relay.wait_log("event=upstream.down")
    log = relay.log_now()
    assert log.count("event=token.refused") == 1 and "posthouse upstream login token" in log and "publish the application" in log
    assert "posthouse upstream login token" in relay.command("status").stdout
    wait_for(lambda: [m["id"] for m in relay.queue()][:1] == [id] and len(relay.queue()) == 2, "the mail, and the notification to the postmaster")
    provider.answer = provider.grant
    relay.command("reload")  # a person has been there
    relay.wait_log("event=token.renewed")
    relay.command("queue", "retry", id)
    sink.wait()
    no_secret_is_told(relay)
    relay.stop()


def test_a_token_server_that_is_slow_or_dead():
    """Mail for its upstream waits, other mail goes."""
    directory = WORK_DIR()
    provider = Provider(directory)
    provider.release.clear()
    sink, other = TokenSink(directory, provider), Sink()
    relay = Relay(upstream=upstream(sink, provider, refresh()) + f', {{ name = "other"; host = "127.0.0.1"; port = {other.port}; tls = "none"; }}',
                  extra=provider.extra() + 'routes = ( { recipients = [ "@other.example" ]; via = [ "other" ]; }, { via = [ "token" ]; } );')
    wait_for(lambda: provider.forms, "the token is asked for")
    relay.submit()
    relay.submit(to=("bob@other.example",))
    other.wait()
    assert not sink.messages
    provider.answer = lambda form: (503, {})
    provider.release.set()
    relay.wait_log("event=token.unavailable")
    provider.stop()
    wait_for(lambda: relay.log_text().count("event=token.unavailable") > 1, "the dead server is asked again")
    relay.submit(to=("bob@other.example",))
    other.wait(2)
    wait_for(lambda: len(relay.queue()) == 1, "the other message is over")  # the next hop has it before queue hears of that
    assert not sink.messages
    provider.answer = provider.grant
    provider.start()
    relay.wait_log("event=token.renewed")
    relay.command("queue", "retry", relay.queue()[0]["id"])
    sink.wait()
    relay.stop()


def test_a_token_that_the_upstream_refuses():
    """Its challenge is in the log; mail waits and comes when the upstream takes the next token."""
    relay, provider, sink = world()
    wait_for(lambda: provider.issued, "a token")
    sink.refused.add(provider.issued[0])
    id = relay.submit()
    relay.wait_log("event=upstream.token_refused")
    line = next(line for line in relay.log_now().splitlines() if "event=upstream.token_refused" in line)
    assert "400" in line and "mail.google.com" in line
    wait_for(lambda: [m["id"] for m in relay.queue()][:1] == [id] and len(relay.queue()) == 2, "the mail, and the notification to the postmaster")
    no_secret_is_told(relay)
    sink.refused.clear()
    relay.command("queue", "retry", id)
    sink.wait()
    relay.stop()


def test_a_token_that_ends_while_mail_goes():
    """Tokens live a minute, the shortest that is believed, and are renewed before: no login is refused."""
    relay, provider, sink = world()
    provider.lifetime = 1
    relay.kill_role("vault")
    wait_for(lambda: len(provider.issued) >= 2, "a short token")
    until = time.monotonic() + 62
    n = 0
    while time.monotonic() < until:
        relay.submit()
        n += 1
        time.sleep(1)
    sink.wait(n)
    assert len(provider.issued) >= 3 and "event=upstream.down" not in relay.log_now()
    relay.stop()


def test_no_other_process_of_the_user_sees_a_token():
    """The roles are not dumpable: no core file has their memory, and no process of the same user can look into it."""
    if os.geteuid() != 0:
        raise Skip("only root can start the roles as another user")
    place = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    try:
        provider = Provider(WORK_DIR())
        relay = Relay(upstream=upstream(TokenSink(WORK_DIR(), provider), provider, refresh()), extra=provider.extra(), users=(), build=RELEASE, start=False)
        relay.conf.write_text(relay.conf.read_text().replace(f"{relay.dir}/state", f"{place}/state").replace('run_as = "root"', 'run_as = "nobody"'))
        relay.start()
        relay.wait_log("event=token.renewed")
        roles = {role["role"]: role["pid"] for role in relay.status()["roles"]}
        nobody = os.stat(place / "state" / "tokens").st_uid
        assert nobody != 0
        for name in ("vault", "fetch", "relay", "queue"):
            assert f"Uid:\t{nobody}" in pathlib.Path(f"/proc/{roles[name]}/status").read_text(), name
            looked = subprocess.run(["setpriv", f"--reuid={nobody}", "--clear-groups", "head", "-c1", f"/proc/{roles[name]}/environ"], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
            assert looked.returncode != 0 and "Permission denied" in looked.stderr, (name, looked)
        mine = subprocess.Popen(["setpriv", f"--reuid={nobody}", "--clear-groups", "sleep", "60"])  # what could be looked into looks otherwise
        wait_for(lambda: "sleep" in pathlib.Path(f"/proc/{mine.pid}/comm").read_text(), "sleep runs")
        subprocess.run(["setpriv", f"--reuid={nobody}", "--clear-groups", "head", "-c1", f"/proc/{mine.pid}/environ"], check=True, stdout=subprocess.PIPE)
        mine.kill()
        mine.wait()
        relay.stop()
    finally:
        shutil.rmtree(place)
