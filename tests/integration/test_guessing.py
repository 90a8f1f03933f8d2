"""Guessed passwords, and those who are not to suffer for it: an old phone in an office, clients of implicit TLS, half-open dialogues, clients
that never log in."""
import base64

from lib import *
from test_login import Wire, auth, b64, plain, relay_with, scram, try_login

ALICE, BOB, CAROL = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol"))


def strict(failures="3/10m", users=(ALICE, BOB, CAROL), more="", **kw):
    """A relay that bans soon."""
    relay = Relay(1, users=(), start=False, submission='login_delay = "10ms";' + more, auth=f'failures = "{failures}";', **kw)
    for user in users:
        relay.add_user(user)
    relay.start()
    return relay


def attempt(relay, user, password, source, implicit=False):
    wire = Wire(relay, implicit, source=source)
    answer = plain(wire, user, password)
    wire.close()
    return answer


def test_a_stale_phone_bans_nobody():
    relay = strict()
    for _ in range(12):
        assert attempt(relay, ALICE, "last year's", "127.0.2.1")[0] == 535
    for user in (ALICE, BOB, CAROL):
        assert attempt(relay, user, PASSWORD, "127.0.2.1")[0] == 235
    assert "banned" not in relay.log_now()
    # in the office, new wrong passwords are slowed, and right ones are not
    assert attempt(relay, "nobody", "wrong 1", "127.0.2.1")[0] == 535
    begun = time.monotonic()
    assert attempt(relay, "nobody", "wrong 2", "127.0.2.1")[0] == 535
    assert time.monotonic() - begun > 4
    assert attempt(relay, BOB, PASSWORD, "127.0.2.1")[0] == 235
    # among strangers, they are banned
    for i in range(4):
        code, words = attempt(relay, "nobody", f"wrong {i + 10}", "127.0.2.2")
    assert code == 421 and "try again in 10 minutes" in words, (code, words)


def test_an_old_phone_by_scram_at_home():
    """By SCRAM each attempt looks new. Its owner's other programs, in the same network, wait a little, and get in."""
    relay = relay_with(users=[], start=False)
    relay.write_config(auth='failures = "3/10m"; mechanisms = [ "PLAIN", "SCRAM-SHA-256" ];')
    relay.add_user(ALICE)
    relay.start()
    assert attempt(relay, ALICE, PASSWORD, "127.0.2.5")[0] == 235
    for i in range(4):
        wire = Wire(relay, source="127.0.2.5")
        assert scram(wire, ALICE, "last year's")[0] == 535
        wire.close()
    assert attempt(relay, ALICE, PASSWORD, "127.0.2.5")[0] == 235
    assert "banned" not in relay.log_now()


def test_a_banned_client_of_implicit_tls_hears_why():
    relay = strict()
    for i in range(4):
        attempt(relay, "nobody", f"wrong {i}", "127.0.2.3", implicit=True)
    context = relay.tls()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", relay.tls_port), 60, ("127.0.2.3", 0)) as raw, \
                context.wrap_socket(raw, server_hostname=HOST) as s:
            text = s.recv(1000).decode()
            assert text.startswith("421 4.7.0") and "too many failed logins" in text, text
            assert s.recv(100) == b""
    with socket.create_connection(("127.0.0.1", relay.port), 60, ("127.0.2.3", 0)) as s:
        assert s.recv(1000).startswith(b"421 4.7.0")


def test_a_banned_login_hears_the_truth_and_its_phone_goes_on():
    relay = strict()
    relay.add_user("alice/phone", "rabbit hole")
    for i in range(4):
        attempt(relay, ALICE, f"wrong {i}", f"127.0.3.{i + 1}")
    right, wrong = (attempt(relay, ALICE, password, "127.0.4.1") for password in (PASSWORD, "wrong 9"))
    assert right == wrong and right[0] == 454 and "locked for 10 minutes after too many wrong passwords" in right[1], (right, wrong)
    assert attempt(relay, "alice/phone", "rabbit hole", "127.0.4.2")[0] == 235
    assert attempt(relay, ALICE, PASSWORD, "127.0.4.2")[0] == 235  # a network of hers by now
    for _ in range(6):  # a mail program that tries its right password again and again is no guesser
        assert attempt(relay, ALICE, PASSWORD, "127.0.4.1")[0] == 454


def test_what_was_tried_in_a_ban_counts_after_it():
    """Passwords that a ban refused unseen are new when it is over: they bring the next one."""
    relay = strict()
    for i in range(4):
        attempt(relay, ALICE, f"wrong {i}", f"127.0.5.{i + 1}")
    for i in range(4):
        assert attempt(relay, ALICE, f"guess {i}", f"127.0.6.{i + 1}")[0] == 454
    relay.command("limits", "reset", ALICE)
    answers = [attempt(relay, ALICE, f"guess {i}", f"127.0.7.{i + 1}")[0] for i in range(4)]
    assert answers == [535, 535, 535, 454], answers


def test_half_open_dialogues_shut_no_door():
    """More than the login role can have at once, in PLAIN and LOGIN, which it does not hear of, and in SCRAM, whose oldest give way."""
    relay = relay_with(users=[ALICE], build=RELEASE, log="info", limits="connections_per_network = 0; connections_per_site = 0;")
    held = []
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
        for _ in range(20):
            wire = Wire(relay)
            held.append(wire)
            assert auth(wire, mechanism)[0] == 334
            if mechanism == "LOGIN":
                assert wire.say(b64("alice")) == (334, b64("Password:"))

    def open_logins():
        return relay.figures("login")["logins_open"]

    assert open_logins() == 0
    first = Wire(relay)
    assert auth(first, "SCRAM-SHA-256", f"n,,n={ALICE},r=abcdefghijklmnop")[0] == 334
    assert open_logins() == 1
    assert held[0].say(b64(f"\0{ALICE}\0{PASSWORD}"))[0] == 235
    assert held[20].say(b64(PASSWORD))[0] == 235
    assert held[1].say("*")[0] == 501
    assert try_login(relay, plain, ALICE, PASSWORD) == 235
    for wire in [first, *held]:
        wire.close()


def test_who_does_not_log_in_goes():
    relay = strict(more='login_time = "5s";')
    inside = Wire(relay)
    assert plain(inside)[0] == 235
    busy, silent = Wire(relay), Wire(relay, implicit=True)
    begun = time.monotonic()
    code = 250
    while code == 250 and time.monotonic() - begun < LIMIT:
        code, text = busy.say("NOOP")
        time.sleep(0.1)
    assert code == 421 and "login" in text, (code, text)
    assert silent.answer()[0] == 421
    assert auth(inside, "NOOP")[0] == 503 and inside.say("NOOP")[0] == 250
    for port in (relay.port, relay.tls_port):  # before TLS, too
        with socket.create_connection(("127.0.0.1", port), 60) as s:
            while s.recv(1000):
                pass
