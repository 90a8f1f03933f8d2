"""Accounts that change under their sessions: a password that was changed, removed or has expired ends what came in by it, and nothing else;
an account file that is away is nobody's wrong password."""
import re

from lib import *
from test_login import Wire, login, plain, relay_with, scram, try_login

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"


def let_in(relay, user, password=PASSWORD, way=plain, implicit=False):
    wire = Wire(relay, implicit)
    assert way(wire, user, password)[0] == 235
    return wire


def is_over(wire):
    """It hears 421 without saying a word."""
    wire.socket.settimeout(60)
    code, text = wire.answer()
    assert code == 421 and "password" in text, (code, text)
    assert wire.file.readline() == b""
    return True


def lives(wire):
    return wire.say("NOOP")[0] == 250


def test_changed_removed_and_expired_passwords_end_sessions():
    relay = relay_with(users=[ALICE, BOB])
    relay.add_user("alice/phone", "rabbit hole")
    relay.add_user("alice/pad", "red queen")
    bob = let_in(relay, BOB)
    phone = let_in(relay, "alice/phone", "rabbit hole", login)
    pad = let_in(relay, "alice/pad", "red queen", scram)
    main = [let_in(relay, ALICE, way=way, implicit=implicit) for way in (plain, scram) for implicit in (False, True)]
    relay.command("user", "passwd", ALICE, input="white queen\n")
    assert all(is_over(wire) for wire in main) and all(map(lives, (bob, phone, pad)))
    relay.wait_log(f"event=session.expelled")
    relay.command("user", "remove", "alice/phone")
    assert is_over(phone) and lives(pad) and lives(bob)
    again = let_in(relay, ALICE, "white queen")
    # by an editor: bob is gone
    path = relay.dir / "state/login/accounts"
    lines = [line for line in path.read_text().splitlines(True) if not line.startswith(BOB)]
    edited = path.with_name("edited")  # which takes its place: half a file would be without others too
    shutil.copy2(path, edited)
    edited.write_text("".join(lines))
    edited.rename(path)
    assert is_over(bob) and lives(again)
    # its time comes, after the login, which takes a busy machine a while
    for seconds in (2, 10, 50):
        relay.command("user", "passwd", "alice/pad", "--expires", f"{seconds}s", input="red king\n")
        assert seconds != 2 or is_over(pad)
        pad = Wire(relay)
        if plain(pad, "alice/pad", "red king")[0] == 235:
            break
    assert is_over(pad) and lives(again)
    # the same password again is another verifier, but nothing else of the file's is
    relay.command("user", "add", "carol", input="x\n")
    assert lives(again)
    relay.command("user", "remove", ALICE)
    assert is_over(again)


def test_in_the_middle():
    """In a command, in the text, and behind the end of the text, which is finished first."""
    sink = Sink()
    relay = relay_with(users=[ALICE], port=sink.port)
    transaction, text, ended = (let_in(relay, ALICE) for _ in range(3))
    for wire in (transaction, text, ended):
        assert wire.say(f"MAIL FROM:<{ALICE}>")[0] == 250 and wire.say("RCPT TO:<bob@example.net>")[0] == 250
    for wire in (text, ended):
        assert wire.say("DATA")[0] == 354
        wire.file.write(f"From: {ALICE}\r\nSubject: hi\r\n\r\nhello\r\n".encode())
        wire.file.flush()
    vault = relay.pids("vault")[0]
    os.kill(vault, 19)  # queue has no signature for a while
    try:
        ended.file.write(b".\r\n")
        ended.file.flush()
        wait_for(lambda: re.search(r"event=session.entered session=\S+ state=waiting", relay.log_since_start()), "the end of the text is there")
        relay.command("user", "passwd", ALICE, input="white queen\n")
        assert is_over(transaction) and is_over(text)
    finally:
        os.kill(vault, 18)
    assert ended.answer()[0] == 250
    assert is_over(ended)
    sink.wait(1)


def test_a_new_login_role_looks_at_who_is_in():
    relay = relay_with(users=[ALICE, BOB])
    alice, bob = let_in(relay, ALICE), let_in(relay, BOB)
    relay.kill_role("login")
    wait_for(lambda: try_login(relay, plain, BOB, PASSWORD) == 235, "a new login role")
    relay.command("user", "passwd", ALICE, input="white queen\n")
    assert is_over(alice) and lives(bob)


def test_no_account_file_is_no_wrong_password():
    relay = Relay(1, submission='login_delay = "10ms";', auth='failures = "3/10m";', users=(ALICE,))
    path, away = relay.dir / "state/login/accounts", relay.dir / "state/login/away"
    inside = let_in(relay, ALICE)
    path.rename(away)
    for way in (plain, login):
        for password in (PASSWORD, "wrong", "wrong 2", "wrong 3"):
            wire = Wire(relay)
            code, text = way(wire, ALICE, password)
            assert code == 454, (code, text)
            wire.close()
    wait_for(lambda: re.search(rf"level=error .*event=accounts.unreadable file={path} ", relay.log_since_start()), what="the error in the log")
    log = relay.log_now()
    assert lives(inside) and "banned" not in log and "login.failed" not in log
    away.rename(path)
    assert try_login(relay, plain, ALICE, PASSWORD) == 235 and lives(inside)
    # and at the start
    relay.stop()
    path.rename(away)
    relay.start()
    relay.wait_log("event=accounts.unreadable")
    assert try_login(relay, plain, ALICE, PASSWORD) == 454
    away.rename(path)
    assert try_login(relay, plain, ALICE, PASSWORD) == 235
    inside.close()
