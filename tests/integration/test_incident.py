"""incident: a stolen password, from the lock to the list of what was sent."""
import re

from lib import *
from test_accounts import ALICE, BOB, is_over, let_in, lives
from test_login import Wire, plain


def thief_at_work(sink, **settings):
    """Alice has sent mail, and somebody else sends by her phone's password, until it is noticed."""
    relay = Relay(sink.port, users=[ALICE, BOB], **settings)
    relay.add_user("alice/phone", "rabbit hole")
    relay.submit(simple_message("Re: lunch"), to=("friend@example.net",))
    client = relay.connect(user="alice/phone", password="rabbit hole")
    for i in range(5):
        client.sendmail(ALICE, [f"victim{i}@example.net"], simple_message("Your parcel"))
    client.sendmail(ALICE, ["refused@example.net"], simple_message("Your parcel"))
    client.sendmail(ALICE, ["later@example.net"], simple_message("Your parcel"))
    relay.submit(simple_message("of bob").replace(ALICE.encode(), BOB.encode()), to=("later@example.net",), sender=BOB, client=relay.connect(user=BOB))
    wait_for(lambda: len(sink.messages) >= 7, "what the next hop takes")
    wait_for(lambda: len(relay.queue()) == 2, "only what waits is left")
    return relay


def answers(address):
    return "550 5.1.1 no such user" if "refused" in address else "451 4.7.1 later" if "later" in address else None


def test_all_of_it_in_one_go():
    sink = Sink(rcpt=answers)
    relay = thief_at_work(sink)
    phone, bob = let_in(relay, "alice/phone", "rabbit hole"), let_in(relay, BOB)
    done = relay.command("incident", "alice")
    said = done.stdout
    lines = said.splitlines()
    assert is_over(phone) and lives(bob)
    assert re.fullmatch(r"Login alice@example.org locked; \d sessions? ended; 1 message held.", lines[0]), said
    assert lines[1] == "Its passwords (main, phone) stop working now.", said
    assert "Last 24 h: 8 messages to 8 recipients (8 new), 12 % refused" in lines, said
    assert any(line.startswith('  from 127.0.0.1 (8, password "main", since ') for line in lines), said
    assert '  subjects: "Your parcel" (7), "Re: lunch" (1)' in lines, said
    assert "  already delivered 6, refused 1, waiting or held 1" in lines, said
    assert "Full list:   posthouse find --user alice --since 24h --json > incident.json" in lines
    assert lines[-5].startswith("Next: 1 find out how") and lines[-1].startswith("      5 posthouse doctor") and all(len(line) <= 80 for line in lines), said
    assert plain(Wire(relay), ALICE, PASSWORD)[0] == 535
    held = relay.queue("--user=alice")
    assert [m["held"] for m in held] == ["incident"] and relay.queue("--user=bob")[0]["held"] == ""
    rows = [json.loads(line) for line in relay.command("incident", "alice@example.org", "--json").stdout.splitlines()]
    assert rows[0]["kind"] == "incident" and rows[0]["locked"] and rows[0]["messages"] == 8 and rows[0]["refused"] == 1 and rows[1]["kind"] == "end"
    assert rows[0]["clients"][0]["client"] == "127.0.0.1" and rows[0]["subjects"][0] == {"subject": "Your parcel", "messages": 7}
    relay.command("user", "unlock", "alice")
    let_in(relay, ALICE)


def test_nobody_of_this_name():
    relay = Relay(free_port())
    done = relay.command("incident", "eve", check=False)
    assert done.returncode == 65 and "no login eve@example.org" in done.stderr, done
    assert relay.command("incident", check=False).returncode == 64
    assert relay.command("incident", "a b", check=False).returncode == 64


def test_an_account_that_is_gone():
    """Its mail is held all the same; that there was nothing to lock is said, with 75."""
    sink = Sink(rcpt=answers)
    relay = thief_at_work(sink)
    relay.command("user", "remove", "alice")
    done = relay.command("incident", "alice", check=False)
    assert done.returncode == 75 and "NOT LOCKED" in done.stdout and "1 message held" in done.stdout and "not done: the lock" in done.stderr, done
    assert relay.queue("--user=alice")[0]["held"] == "incident"


def test_accounts_of_another_back_end():
    """They cannot be locked here: it says how, and does the rest."""
    relay = Relay(free_port(), auth='backend = "saslauthd"; options = { saslauthd_path = "/nonexistent/mux"; };', users=())
    done = relay.command("incident", "alice", check=False)
    assert done.returncode == 75 and "NOT LOCKED" in done.stdout and "passwd -l" in done.stdout and "not done: the lock" in done.stderr, done
    assert "user unlock" not in done.stdout and all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
