"""The role fetch: it runs only while an upstream needs tokens over HTTPS; and the two ways by which vault gets tokens through other roles."""
import http.server
import json
import threading

from lib import *

OAUTH = ('{ name = "next"; host = "127.0.0.1"; port = 1; tls = "starttls"; login = "alice@mail.example"; '
         'oauth = { provider = "custom"; client_id = "c"; token_url = "https://127.0.0.1:1/token"; scope = "s"; %s }; }')


def roles(relay):
    return [r["role"] for r in relay.status()["roles"]]


def test_fetch_runs_while_it_is_needed():
    relay = Relay(1, users=())
    without = relay.upstream
    assert not relay.pids("fetch") and "fetch" not in roles(relay)
    relay.upstream = OAUTH % 'grant = "refresh_token"; refresh_token = "r";'
    relay.write_config()
    relay.command("reload")
    wait_for(lambda: relay.pids("fetch"), "fetch was started")
    wait_for(lambda: "fetch" in roles(relay), "fetch in the status")
    relay.kill_role("fetch")
    wait_for(lambda: relay.log_text().count("event=role.ready started=fetch") == 2, "another fetch")
    others = sorted(set(relay.pids()) - set(relay.pids("fetch")))
    relay.upstream = OAUTH % 'grant = "command"; command = [ "/bin/echo", "token" ];'
    relay.write_config()
    relay.command("reload")
    wait_for(lambda: not relay.pids("fetch"), "fetch has ended")
    assert "fetch" not in roles(relay)
    relay.upstream = without
    relay.write_config()
    relay.command("reload")
    assert sorted(relay.pids()) == others
    log = relay.log_now()
    assert log.count("event=role.died dead=fetch") == 1, log  # the one that was killed
    relay.stop()


def test_a_start_with_fetch():
    relay = Relay(1, users=(), start=False)
    relay.upstream = OAUTH % 'grant = "refresh_token"; refresh_token = "r";'
    relay.write_config()
    relay.start()
    assert relay.pids("fetch") and "fetch" in roles(relay)
    relay.stop()


# ---- what it is for: tokens of vault ----
class TokenServer:
    """A provider's token endpoint over HTTPS. `answer` is what it says: status, headers and body."""

    def __init__(self, directory):
        context, self.certificate = tls_context(directory, "localhost")
        outer = self
        self.answer = (200, {}, {"access_token": SECRETS[0], "expires_in": 3600, "refresh_token": SECRETS[1]})
        self.forms = []
        self.hold = threading.Event()  # answers wait until it is set
        self.hold.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.forms.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.hold.wait(LIMIT)
                status, headers, body = outer.answer
                body = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


SECRETS = ("ya29.SecretAccessToken", "SecretNewRefreshToken", "SecretOldRefreshToken")


def assert_no_secret(relay):
    log = relay.log_now()
    for secret in SECRETS:
        assert secret not in log, log


def test_a_token_by_https():
    relay = Relay(1, users=(), start=False)
    server = TokenServer(relay.dir)
    relay.upstream = (OAUTH % f'grant = "refresh_token"; refresh_token = "{SECRETS[2]}";').replace("127.0.0.1:1/", f"localhost:{server.port}/")
    relay.write_config(extra=f'https = {{ ca = "{server.certificate}"; }};')
    relay.start()
    relay.wait_log("event=token.renewed upstream=next expires_s=3600")
    assert f"refresh_token={SECRETS[2]}" in server.forms[0], server.forms
    figures = relay.figures("fetch")
    assert figures["requests"] == 1 and figures["failures"] == 0 and figures["running"] == 0, figures
    assert_no_secret(relay)
    relay.stop()
    server.end()


def test_a_token_by_https_that_does_not_come():
    relay = Relay(1, users=(), start=False)
    server = TokenServer(relay.dir)
    oauth = OAUTH % f'grant = "refresh_token"; refresh_token = "{SECRETS[2]}";'
    relay.upstream = oauth.replace("127.0.0.1:1/", f"localhost:{server.port}/")
    relay.write_config()  # the system's authorities do not know the server's
    relay.start()
    relay.wait_log('event=fetch.failed host=localhost path=/token reason="the certificate of localhost is from no authority')
    relay.wait_log("event=token.unavailable upstream=next")
    assert not server.forms
    server.answer = (503, {"Retry-After": "1"}, {})
    relay.write_config(extra=f'https = {{ ca = "{server.certificate}"; }};')
    relay.command("reload")
    wait_for(lambda: server.forms, "a request", every=0.2)
    server.answer = (200, {}, {"access_token": SECRETS[0], "expires_in": 3600})
    relay.wait_log("event=token.renewed upstream=next")
    assert_no_secret(relay)
    relay.stop()
    server.end()


def test_a_token_by_a_command():
    relay = Relay(1, users=(), start=False)
    program = relay.dir / "token"
    program.write_text(f'#!/bin/sh\necho "$0 $1 in $HOME" >&2\ntest -e "$1" || exit 3\necho {SECRETS[0]}\n')
    program.chmod(0o755)
    relay.upstream = OAUTH % f'grant = "command"; command = [ "{program}", "{relay.dir}/ready" ];'
    relay.write_config()
    relay.start()
    relay.wait_log(f'event=command.complained upstream=next text="{program} {relay.dir}/ready in /"')
    relay.wait_log(f'event=token.unavailable upstream=next reason="the command {program} has ended with exit code 3"')
    (relay.dir / "ready").write_text("")
    relay.command("reload")
    relay.wait_log("event=token.renewed upstream=next")
    assert not relay.pids("fetch")
    assert_no_secret(relay)
    relay.stop()


def test_a_stop_waits_for_a_refresh_token_under_way():
    relay = Relay(1, users=(), start=False)
    server = TokenServer(relay.dir)
    server.hold.clear()
    relay.upstream = (OAUTH % f'grant = "refresh_token"; refresh_token = "{SECRETS[2]}";').replace("127.0.0.1:1/", f"localhost:{server.port}/")
    relay.write_config(extra=f'https = {{ ca = "{server.certificate}"; }};')
    relay.start()
    wait_for(lambda: server.forms, "a request")
    relay.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "role=fetch event=role.stopping" in relay.log_since_start(), "fetch is told to stop")
    server.hold.set()
    assert relay.process.wait(LIMIT) == 0
    relay.process = None
    wait_for(lambda: not relay.pids(), "all roles ended")
    relay.start()
    relay.wait_log("event=token.renewed upstream=next")
    assert f"refresh_token={SECRETS[1]}" in server.forms[1], server.forms
    relay.stop()
    server.end()
