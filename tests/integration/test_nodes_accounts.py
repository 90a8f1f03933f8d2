"""Accounts of several nodes: what `posthouse user` changes on one is true on all, with or without the database."""
import concurrent.futures

from nodes_bed import *
from test_accounts import is_over, let_in
from test_login import Wire, plain

ALICE, CAROL = f"alice@{DOMAIN}", f"carol@{DOMAIN}"


def code(relay, user, password=PASSWORD):
    """The reply to a login."""
    return plain(Wire(relay), user, password)[0]


def wait_login(relay, user, password, expected=235):
    wait_for(lambda: code(relay, user, password) == expected, lambda: f"{expected} for {user}", every=0.3)


def listed(relay, *arguments):
    return relay.command("user", "list", *arguments).stdout


def file_of(relay):
    return relay.dir / "state/login/accounts"


def in_step(bed):
    """All nodes have what the table has."""
    def lines():
        table = sorted(bed.database.sql("SELECT line FROM account").splitlines())
        return table, *(sorted(line for line in file_of(relay).read_text().splitlines() if line[0] != "#") for relay in bed.relays)
    wait_for(lambda: len(set(map(tuple, lines()))) == 1, lambda: f"the same accounts everywhere: {lines()}", every=0.2)
    return lines()[0]


def test_first_fill():
    """The first node brings its accounts; another one's own file is kept where it has what these lack."""
    database = Database()
    store = database.settings(more='node_timeout = "10s";')
    relays = [Relay(1, extra=store, workers=1, start=False, users=users) for users in ([ALICE], [CAROL], [])]
    for relay in relays:
        relay.start()
        wait_for(lambda: file_of(relay).exists() and "A copy of the accounts" in file_of(relay).read_text(), "a copy")
    first, second, third = relays
    assert database.sql("SELECT name FROM account") == ALICE
    assert "event=accounts.filled" in first.log_now() and "event=accounts.set_aside passwords=1" in second.log_now()
    assert CAROL in (second.dir / "state/login/accounts.before-cluster").read_text()
    assert not any((relay.dir / "state/login/accounts.before-cluster").exists() for relay in (first, third))
    assert [code(relay, ALICE) for relay in relays] == [235] * 3 and code(second, CAROL) == 535
    # stopped, it changes nothing alone
    third.stop()
    refused = third.command("user", "add", "dave", input="x\n", check=False)
    assert refused.returncode == 75 and "start the relay" in refused.stderr, refused.stderr
    assert ALICE in listed(third) and database.sql("SELECT count(*) FROM account") == "1"


def test_changes_are_everywhere():
    bed = Bed(2)
    one, other = bed.relays
    in_step(bed)
    one.add_user(CAROL, "first")
    assert code(one, CAROL, "first") == 235
    wait_login(other, CAROL, "first")
    assert CAROL in listed(other) and f'"{CAROL}"' in listed(other, "--json")
    assert other.command("user", "add", CAROL, input="x\n", check=False).returncode == 65
    # a device shares the salt, whichever node adds it
    other.add_user(f"{CAROL}/phone", "of the phone")
    wait_login(one, f"{CAROL}/phone", "of the phone")
    # sessions on other nodes end too
    there, phone = let_in(one, CAROL, "first"), let_in(one, f"{CAROL}/phone", "of the phone")
    other.command("user", "passwd", CAROL, input="second\n")
    assert is_over(there) and phone.say("NOOP")[0] == 250
    assert code(other, CAROL, "first") == 535 and code(one, CAROL, "second") == 235
    there = let_in(one, CAROL, "second")
    other.command("user", "lock", CAROL, "--reason", "stolen")
    assert is_over(there) and is_over(phone)
    wait_for(lambda: "stolen" in listed(one, CAROL), "a lock")
    one.command("user", "unlock", CAROL)
    wait_login(other, CAROL, "second")
    one.command("user", "remove", CAROL)
    wait_login(other, CAROL, "second", 535)
    assert in_step(bed)[0].startswith(ALICE)
    assert "secret" not in bed.relays[0].log_text() and "SCRAM-SHA-256$" not in one.log_text() + other.log_text()


def test_without_the_database():
    """Logins go on by the file, also after a restart; a change is refused, and no node has it."""
    bed = Bed(2)
    one, other = bed.relays
    one.add_user(CAROL, "first")
    in_step(bed)
    bed.database.stop()
    wait_for(lambda: "the database cannot be reached" in one.command("node", "list", check=False).stderr, "the outage")
    assert code(one, CAROL, "first") == 235
    refused = one.command("user", "passwd", CAROL, input="second\n", check=False)
    assert refused.returncode == 75 and "the database cannot be reached" in refused.stderr, refused
    one.kill_role("login")
    wait_login(one, CAROL, "first")
    assert CAROL in listed(one)
    bed.database.start()
    wait_for(lambda: one.command("user", "passwd", CAROL, input="third\n", check=False).returncode == 0, "a change", every=0.5)
    wait_login(other, CAROL, "third")
    in_step(bed)


def test_changes_at_the_same_time():
    bed = Bed(2)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = [pool.submit(relay.add_user, f"user{i}-{n}@{DOMAIN}") for n, relay in enumerate(bed.relays) for i in range(5)]
        for one in done:
            one.result()
    assert len(in_step(bed)) == 11
    assert bed.database.sql("SELECT value FROM meta WHERE key = 'accounts'") == "11"
