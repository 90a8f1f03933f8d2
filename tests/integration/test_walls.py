"""test_walls.py - a role that was taken over: what it can do to the others by messages alone."""
import hashlib
import os
import pathlib
import re
import smtplib
import subprocess
import tempfile

import lib


def rogue_build(role, deeds, index=0, key=""):
    """A directory with the real executables, and a stranger's in the place of a role. What master starts again later is honest."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="rogue-", dir=lib.WORK_DIR()))
    place.chmod(0o755)
    for file in lib.SANITIZED.glob("posthouse*"):
        if file.is_file() and os.access(file, os.X_OK):
            os.link(file, place / file.name)
    name = f"posthouse-{role}"
    (place / "honest").mkdir()
    os.rename(place / name, place / "honest" / name)
    os.link(lib.SANITIZED.parent / "tests" / "support" / "rogue", place / name)
    started = 8 + {"tlspolicy": 2}.get(role, role in ("fetch", "doctor", "pickup", "web"))  # processes, of two submission processes and one of each other role
    (place / "deed").write_text(f"{deeds} {index} {started} {key}")
    return place


def taken_over(role, deeds, index=0, key="", **kw):
    """A relay with a stranger in the place of a role, who begins when the relay is complete: before that a role that ends ends the relay."""
    place = rogue_build(role, deeds, index, key)
    relay = lib.Relay(build=place, **kw)
    (place / "complete").touch()
    return relay


def kills(relay):
    return re.findall(r"event=role\.killed killed=(\S+) number=\S+ signal=\d+ reason=\"([^\"]*)\"", relay.log_since_start())


def deaths(relay):
    return re.findall(r"event=role\.died dead=(\S+)", relay.log_since_start())


def told(relay):
    """What the stranger says of its deeds."""
    return re.findall(r"event=role\.complained by=\S+ number=\S+ text=\"rogue: ([^\"]*)\"", relay.log_since_start())


def submit_somehow(relay, **kw):
    """By an honest process: the stranger's clients are sent away, and come again."""
    def attempt():
        try:
            return relay.submit(**kw)
        except (OSError, smtplib.SMTPException):
            return None
    return lib.wait_for(attempt, "a message accepted by an honest process", every=0.1)


def play(role, deeds, index=0, ends=(), key="", upstreams="", **kw):
    """A relay in which a stranger plays the role, until all is done. All others go on, mail is taken and delivered, nothing is lost;
    of the roles only those in `ends` have ended."""
    sink = lib.Sink()
    next_hop = f'{{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; connections = 10; }}'
    relay = taken_over(role, deeds, index, key, upstream=next_hop + upstreams, **kw)
    ids = [] if role == "login" else [submit_somehow(relay)]
    last = deeds.split(",")[-1]
    lib.wait_for(lambda: f"{last} done" in told(relay) or role in deaths(relay), lambda: f"{deeds}: the end, after {told(relay)}")
    if role not in deaths(relay) and role in ("relay", "resolver", "login", "console"):
        relay.kill_role(role)  # the next one is honest
        lib.wait_for(lambda: role in deaths(relay), "the end of the stranger")
        ends = (*ends, role)
    ids.append(submit_somehow(relay))
    relay.retry_until(lambda: relay.queue() == [])  # what a dead relay had in its hands waits for minutes
    sink.wait(len(ids))
    for id in ids:
        assert [e["event"] for e in relay.events(id)][-1] == "delivery.sent", relay.events(id)
    assert set(deaths(relay)) <= set(ends), (deaths(relay), kills(relay))
    said = told(relay)
    assert not any("TAKEN" in line for line in said), said
    return relay, said


def test_a_role_that_names_a_peer_which_it_cannot_have_is_ended_itself():
    """A taken-over role must not have master end others by telling that it has lost them."""
    for deed in ("no-edge", "itself", "no-role", "future"):
        relay = taken_over("vault", deed, upstream_port=1, sign=False)
        lib.wait_for(lambda: kills(relay), f"{deed}: the role that lied is ended")
        assert kills(relay)[0] == ("vault", "it names a peer that it cannot have"), (deed, kills(relay))
        assert all(killed == "vault" for killed, _ in kills(relay)), (deed, kills(relay))
        relay.end()


def test_a_role_that_asks_master_for_what_is_not_its_own_is_ended_itself():
    relay, _ = play("submission", "storm", index=1, ends=["submission"])
    assert kills(relay) == [("submission", "too many messages")], kills(relay)
    relay, _ = play("submission", "reload", index=1, ends=["submission"])
    assert kills(relay) == [("submission", "the peer sent what the table forbids")], kills(relay)
    assert "event=config.reloading" not in relay.log_since_start()


def test_a_role_that_accuses_another_is_ended_itself():
    """submission says again and again that its channel to queue is lost. Queue goes on."""
    relay, _ = play("submission", "accuse", index=1, ends=["submission"])
    assert kills(relay) == [("submission", "its channels close again and again")], kills(relay)


def test_vault_can_have_queue_started_again():
    """Of the two queue is nearer to strangers, so master believes vault; relay goes with queue. No mail is lost."""
    relay, _ = play("vault", "accuse-once", ends=["queue", "relay"], sign=False)
    assert kills(relay)[0] == ("queue", "its channels close again and again") and "vault" not in deaths(relay), kills(relay)


def test_a_role_writes_log_lines_in_its_own_name_only():
    """Others lose no line by a flood, and none of theirs is forged."""
    relay, _ = play("submission", "log", index=1)
    log = relay.log_now()
    for forged in ("logfmt", "twice", "json", "priority", "after"):
        assert f"forged.{forged}" in log, forged
        assert not re.search(rf"^[^\"]*event=forged\.{forged}", log, re.M), forged
    assert "\x1b" not in log and '\n{"time' not in log
    lines = [line for line in log.splitlines() if "role=queue" in line.split("event=")[0]]
    assert sum("event=mail.accepted" in line for line in log.splitlines()) == 2 and lines


def test_submission_cannot_make_queue_and_login_grow():
    _, said = play("submission", "transactions,recipients,sessions,reads-nothing", index=1)
    assert sum("closed" in line for line in said) == 4, said


def test_submission_cannot_send_what_no_client_can_say():
    _, said = play("submission", "envelopes,for-others,nonsense", index=1)
    assert sum("closed" in line for line in said) == 12, said


def test_submission_sends_only_as_those_who_are_logged_in():
    relay, said = play("submission", "others,logins", index=1, users=("alice@example.org", "bob@example.org"))
    assert "bob: logged in" in said and "bob as bob: sent" in said and "a false ticket: closed" in said, said
    assert sum("refused" in line for line in said) == 6, said


def test_submission_cannot_change_a_text_after_its_acceptance():
    """Queue makes a copy of a large text that somebody can still write, by a descriptor or a duplicate of one."""
    relay, said = play("submission", "texts", index=1, users=("alice@example.org", "bob@example.org"))
    assert sum("copied" in line for line in said) == 2 and "a text with a mapping left: refused" in said, said
    assert "a text with nothing left: sent" in said and relay.log_now().count("event=store.still_open") == 2, said


def test_relay_answers_for_its_own_deliveries_only():
    relay, said = play("relay", "results", ends=["relay"])
    assert "results of no delivery: ignored" in said, said


def test_relay_cannot_lose_mail_by_absurd_results():
    """The message is due again by queue's own schedule."""
    relay, said = play("relay", "absurd", ends=["relay"])
    assert "event=forged" not in re.sub(r'"[^"\\]*(\\.[^"\\]*)*"', '""', relay.log_now())


def test_relay_gets_no_other_signatures():
    _, said = play("relay", "signatures,upstreams", ends=["relay"])
    [asked] = [int(line.split()[2]) for line in said if line.startswith("asked vault")]
    assert asked <= 16, said
    assert "sign: closed" in said and "logins at upstreams: closed" in said, said


def test_relay_gets_signatures_of_a_tls_client_only():
    """The key of our certificate at an upstream is vault's; relay says what is to be signed with it."""
    _, cert = lib.tls_context(lib.WORK_DIR(), "relay.example.org")
    key = pathlib.Path(str(cert).replace(".pem", ".key"))
    key.chmod(0o600)
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, stdout=subprocess.PIPE).stdout
    _, said = play("relay", "handshakes", key=hashlib.sha256(public).hexdigest(), upstreams=", { name = \"isp\"; host = \"127.0.0.1\"; port = 1; "
                   f'tls = "implicit"; certificate = "{cert}"; certificate_key = "{key}"; }}', extra='routes = ( { via = [ "next" ]; } );')
    assert [line for line in said if line.endswith((": signed", ": refused"))] == \
        ["client: signed", "server: refused", "document: refused", "digest: refused", "certificate: refused", "hello: refused"], said


def test_login_answers_what_it_was_asked_only():
    _, said = play("login", "answers", ends=["login"])
    assert "answers: ignored" in said and "submitted: closed" in said, said


def test_console_brings_descriptors_that_are_no_files():
    _, said = play("console", "imports,submits,questions", ends=["console"])
    assert sum("refused" in line for line in said) == 9, said


def test_console_reloads_now_and_then_only():
    relay, _ = play("console", "reloads", ends=["console"])
    assert 1 <= relay.log_now().count("event=config.reloaded") <= 80


def test_pickup_brings_clients_that_are_no_sockets():
    drop = pathlib.Path(tempfile.mkdtemp(prefix="drop-", dir=lib.WORK_DIR()))
    _, said = play("pickup", "clients", extra=f'local = {{ drop = "{drop}"; }};')
    assert sum("closed" in line for line in said) == 9, said


def test_doctor_writes_few_letters():
    sink = lib.Sink()
    relay = taken_over("doctor", "letters", upstream_port=sink.port, extra="doctor = { daily = true; };")
    lib.wait_for(lambda: "letters done" in told(relay), lambda: f"all letters, after {told(relay)}")
    assert "a letter with a field: refused" in told(relay) and "letters: 50" in told(relay) and "queue_alter: closed" in told(relay), told(relay)
    assert deaths(relay) == []
    relay.submit()


def test_vault_signs_only_when_it_is_asked():
    _, said = play("vault", "signs", ends=["vault"], sign=False)
    assert "signatures: ignored" in said and "envelope: closed" in said, said


def test_web_sees_figures_only():
    _, said = play("web", "monitors", extra=f'metrics = "127.0.0.1:{lib.free_port()}";')
    assert sum("closed" in line for line in said) == 3, said


def test_fetch_brings_no_token_that_vault_did_not_ask_for():
    oauth = 'oauth = { provider = "custom"; token_url = "https://127.0.0.1:1/token"; client_id = "c"; refresh_token = "r"; };'
    sink = lib.Sink()
    relay = taken_over("fetch", "tokens", extra='routes = ( { via = [ "next" ]; } );', upstream=f'''
        {{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; }},
        {{ name = "other"; host = "127.0.0.1"; port = 1; tls = "starttls"; login = "x"; {oauth} }}''')
    lib.wait_for(lambda: "tokens done" in told(relay), lambda: f"the deed, after {told(relay)}")
    assert "tokens: ignored" in told(relay) and "upstream_step: closed" in told(relay), told(relay)
    relay.submit()
    sink.wait(1)
    assert deaths(relay) == [] and "of the stranger" not in relay.log_now()


def test_tlspolicy_answers_what_it_was_asked_only():
    """It has fetch read texts by HTTPS alone."""
    _, said = play("tlspolicy", "policies", extra='routes = ( { recipients = [ "@mx.example" ]; via = [ "mx" ]; }, { via = [ "next" ]; } );')
    assert "policies: ignored" in said and "a file: refused" in said and "envelope: closed" in said, said


def test_resolver_answers_what_it_was_asked_only():
    _, said = play("resolver", "names", ends=["resolver"])
    assert "packets: ignored" in said and "deliver: closed" in said, said


def test_no_process_holds_the_directory_it_was_started_in():
    """serve goes to / at its start; a configuration that was named by a relative path is found again at a reload."""
    relay = lib.Relay(upstream_port=1, start=False)
    log = open(relay.log_path, "ab")
    relay.log_start = 0
    relay.process = subprocess.Popen([relay.build / "posthouse", "-c", f"{relay.dir.name}/posthouse.conf", "serve"], cwd=relay.dir.parent,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    lib.wait_for(relay.is_ready, "relay ready")
    for pid in [relay.process.pid, *relay.pids()]:
        here = os.readlink(f"/proc/{pid}/cwd")  # the root directory of some roles is an empty one that has no name any more
        assert here == "/" or here.endswith(" (deleted)") and here == os.readlink(f"/proc/{pid}/root"), (pid, here)
    relay.command("reload")
    relay.wait_log("event=config.reloaded")
    relay.submit()
