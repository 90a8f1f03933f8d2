"""session list and close; user lock and unlock: what ends, what stays, and what a client that is cut off has heard."""
from lib import *
from test_accounts import ALICE, BOB, is_over, let_in, lives
from test_login import Wire, login, plain, relay_with, scram


def sessions(relay, *arguments):
    rows = [json.loads(line) for line in relay.command("session", "list", "--json", *arguments).stdout.splitlines()]
    assert rows[-1] == {"kind": "end", "n": len(rows) - 1, "truncated": False}
    return rows[:-1]


def is_dismissed(wire):
    wire.socket.settimeout(60)
    code, text = wire.answer()
    assert code == 421 and "administrator" in text, (code, text)
    assert wire.file.readline() == b""
    return True


def test_sessions_are_listed_and_closed():
    relay = relay_with(users=[ALICE, BOB])
    relay.add_user("alice/phone", "rabbit hole")
    assert relay.command("session").stdout == "no session\n"
    alice, bob = let_in(relay, ALICE, implicit=True), let_in(relay, BOB)
    phone = let_in(relay, "alice/phone", "rabbit hole", login)
    stranger = Wire(relay)
    rows = sessions(relay)
    assert len(rows) == 4 and {(r["login"], r["device"]) for r in rows} == {(ALICE, ""), (BOB, ""), (ALICE, "phone"), ("", "")}
    row = next(r for r in rows if r["login"] == BOB)
    assert row["kind"] == "session" and row["client"] == "127.0.0.1" and row["tls"].startswith("TLSv1.") and row["state"] == "idle"
    assert row["messages"] == 0 and row["since"].endswith("Z")
    assert len(sessions(relay, "--user", "alice")) == 2 and len(sessions(relay, "--user=alice/phone")) == 1
    shown = relay.command("session", "list").stdout
    assert "alice@example.org/phone" in shown and "4 sessions" in shown
    for wrong in ([], ["--all", "--user=alice"], ["xyz"]):
        assert relay.command("session", "close", *wrong, check=False).returncode == 64
    relay.command("session", "close", row["session"], "--reason", "a test")
    assert is_dismissed(bob) and lives(alice)
    relay.wait_log('event=session.dismissed')
    assert relay.command("session", "close", row["session"], check=False).returncode == 65
    relay.command("session", "close", "--user", "alice/phone")
    assert is_dismissed(phone) and lives(alice)
    assert relay.command("session", "close", "--all").stdout == "2 sessions closed\n"
    assert is_dismissed(alice) and is_dismissed(stranger)
    let_in(relay, ALICE)


def test_an_accepted_text_is_answered_first():
    sink = Sink()
    relay = relay_with(users=[ALICE], port=sink.port)
    wire = let_in(relay, ALICE)
    assert wire.say(f"MAIL FROM:<{ALICE}>")[0] == 250 and wire.say("RCPT TO:<bob@example.net>")[0] == 250 and wire.say("DATA")[0] == 354
    queue = relay.pids("queue")[0]
    os.kill(queue, 19)
    try:
        wire.file.write(f"From: {ALICE}\r\nSubject: hi\r\n\r\nhello\r\n.\r\n".encode())
        wire.file.flush()
        wait_for(lambda: any(r["state"] == "waits for an answer" for r in sessions(relay)), "the message is with queue")
        relay.command("session", "close", "--user", "alice")
    finally:
        os.kill(queue, 18)
    assert wire.answer()[0] == 250 and is_dismissed(wire)
    assert len(sink.wait(1)) == 1


def test_a_lock_ends_sessions_and_keeps_passwords():
    relay = relay_with(users=[ALICE, BOB])
    relay.add_user("alice/phone", "rabbit hole")
    alice, bob = let_in(relay, ALICE), let_in(relay, BOB)
    phone = let_in(relay, "alice/phone", "rabbit hole", scram)
    relay.command("user", "lock", "alice/phone", "--reason=lost in the bus")
    assert is_over(phone) and lives(alice) and lives(bob)
    assert "lost in the bus" in relay.command("user", "list", "alice").stdout
    relay.command("user", "lock", ALICE)
    assert is_over(alice) and lives(bob)
    for way in (plain, login, scram):
        assert way(Wire(relay), ALICE, PASSWORD)[0] == 535
    relay.wait_log("event=login.locked")
    relay.command("user", "passwd", ALICE, input="white queen\n")
    assert plain(Wire(relay), ALICE, "white queen")[0] == 535
    rows = [json.loads(line) for line in relay.command("user", "list", "alice", "--json").stdout.splitlines()]
    assert all(r["locked_at"] for r in rows if r["kind"] == "account"), rows
    relay.stop()
    relay.command("user", "unlock", ALICE)  # also without a relay
    relay.command("user", "lock", BOB)
    relay.start()
    relay.command("limits", "reset", "--all")
    let_in(relay, ALICE, "white queen")
    let_in(relay, "alice/phone", "rabbit hole")
    assert plain(Wire(relay), BOB, PASSWORD)[0] == 535
    assert relay.command("user", "lock", "nobody", check=False).returncode == 65


def test_no_text_is_taken_after_a_lock():
    """Who has locked a login can rely on it: a text that was on its way ends with the session, unless its last line had come."""
    relay = relay_with(users=[ALICE])
    passwords = [PASSWORD]
    for i in range(20):
        wire = let_in(relay, ALICE, passwords[-1])
        assert wire.say(f"MAIL FROM:<{ALICE}>")[0] == 250 and wire.say("RCPT TO:<bob@example.net>")[0] == 250 and wire.say("DATA")[0] == 354
        wire.file.write(f"From: {ALICE}\r\nSubject: hi\r\n\r\n".encode())
        wire.file.flush()
        if i % 2:
            relay.command("user", "lock", ALICE)
        else:
            passwords.append(f"white queen {i}")
            relay.command("user", "passwd", ALICE, input=passwords[-1] + "\n")
        wire.socket.settimeout(60)
        try:
            wire.file.write(b"hello\r\n.\r\n")
            wire.file.flush()
            assert wire.answer()[0] == 421, i
        except OSError:  # the connection has ended already
            pass
        relay.command("user", "unlock", ALICE, check=False)
    assert relay.command("queue", "list").stdout.startswith("no ")
