"""The role fetch: it runs only while an upstream needs tokens over HTTPS."""
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
