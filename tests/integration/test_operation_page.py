"""man/posthouse-operation.7: what an administrator does with a relay that works. How its blocks are tried is in test_guide.py."""
import contextlib
import sqlite3

from lib import *
from test_clock import HOUR, Clock
from test_guide import Shell, block
from test_login import plain, try_login


def test_a_day():
    relay = Relay(1, start=False)
    shell = Shell(relay)
    assert "configuration is good" in shell.run("day")
    shell.run("day-stop")
    assert relay.process is None
    relay.start()
    assert "Available" in shell.run("disk") or "Avail" in shell.run("disk")
    assert f"www-data@{DOMAIN}" in shell.run("local")


def two_relays():
    """With a next hop that is not there yet, and mail that waits at the first one."""
    sink = Sink(rcpt=lambda address: "451 4.7.1 later")
    old = Relay(sink.port, retry='"1h"')
    ids = {old.submit() for _ in range(3)}
    for id in ids:
        old.wait_event(id, "delivery.deferred")
    return sink, old, ids


def root_of(relay):
    """Where the blocks have /root; paths of tar stay as they are in there."""
    (relay.dir / "root").mkdir()
    shell = Shell(relay, {"/root/": f"{relay.dir}/root/", "posthouse: ": "root: " if os.geteuid() == 0 else "nobody: ", " -xzpf": " -P -xzpf"})
    shell.places["/etc/posthouse /var/lib/posthouse"] = f"{relay.conf} {relay.dir}/state"
    shell.places = {k: shell.places[k] for k in sorted(shell.places, key=len, reverse=True)}
    return shell


def files_of(archive):
    listing = subprocess.run(["tar", "-tzf", archive], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {os.path.basename(line.rstrip("/")) for line in listing.splitlines()}


def lose_the_disk(relay):
    relay.stop()
    shutil.rmtree(relay.dir / "state")
    relay.conf.unlink()


def test_backup_and_restore():
    sink, relay, ids = two_relays()
    shell = root_of(relay)
    shell.run("backup")
    names = files_of(relay.dir / "root/posthouse.tgz")
    assert {"posthouse.conf", "accounts", "login.key"} <= names and not names & {"queue.db", "queue.db-wal", "large", "reserve", "lock"}, names
    shell.run("backup-queue")
    assert {p.stem for p in (relay.dir / "root/queue").iterdir()} == ids
    lose_the_disk(relay)
    shell.run("restore")
    assert relay.queue() == [] and try_login(relay, plain) == 235
    sink.rcpt = None
    shell.run("restore-queue")
    sink.wait(3)
    relay.wait_empty()


def said_by_check(relay):
    done = relay.command("check")
    return done.stdout + done.stderr


def test_accounts_of_an_older_version():
    """An old backup has them beside the directory login; and on the way back to such a version they are moved there."""
    relay = Relay(1)
    shell = root_of(relay)
    state = relay.dir / "state"
    relay.stop()
    for name in ("accounts", "login.key"):
        shutil.copy(state / "login" / name, state)
    (state / "login/accounts").write_text("")
    relay.start()
    relay.wait_log("event=master.left_over")
    assert f"{state}/login.key, {state}/accounts: not used" in said_by_check(relay)
    code = try_login(relay, plain)
    assert code != 235, (code, relay.log_now())
    shell.run("restore-login")
    assert try_login(relay, plain) == 235 and "not used, since" not in said_by_check(relay)
    shell.run("downgrade-login")
    assert (state / "accounts").stat().st_size > 0 and (state / "login.key").exists() and not (state / "login").exists()
    relay.start()
    assert try_login(relay, plain) == 235 and (state / "login/accounts").exists() and "master.left_over" not in relay.log_now()


def test_an_old_queue_is_restored():
    """A message that was delivered after the copy was made does not go out again."""
    needs_namespaces("--net")
    sink, relay, ids = two_relays()
    shell = root_of(relay)
    shell.run("backup-all")
    assert {m["id"] for m in relay.queue()} == ids and {"queue.db", "accounts"} <= files_of(relay.dir / "root/posthouse-all.tgz")
    sink.rcpt = None
    delivered = sorted(ids)[0]
    relay.command("queue", "retry", delivered)
    relay.wait_event(delivered, "delivery.sent")
    relay.wait_log(f"event=delivery.sent queue={delivered}")
    journal = pathlib.Path(WORK_DIR()) / "journal"
    shutil.copy(relay.log_path, journal)
    lose_the_disk(relay)
    text = block("restore", "run").replace("posthouse.tgz", "posthouse-all.tgz").replace("systemctl start posthouse\n", "")
    shell.commands(shell.in_place(text), 0)
    shell.run("alone")
    relay.start()
    assert {m["id"] for m in relay.queue() if m["held"]} == ids and len(sink.messages) == 1
    (relay.dir / "programs/journalctl").write_text(f'#!/bin/sh\n[ "$*" = "-u posthouse -o cat --since 2026-11-29 03:00" ] && cat {journal}\n')
    (relay.dir / "programs/journalctl").chmod(0o755)
    shell.run("restore-sent")
    assert {m["id"] for m in relay.queue()} == ids - {delivered}
    shell.run("restore-release")
    sink.wait(3)
    relay.wait_empty()
    assert len(sink.messages) == 3


def test_a_copy_of_the_queue_is_restored():
    needs_namespaces("--net")
    sink, relay, ids = two_relays()
    large = relay.submit(simple_message("large", "a line of a large text\r\n" * 20000))
    relay.wait_event(large, "delivery.deferred")
    shell = root_of(relay)
    assert "4 messages that wait, 1 file of large messages" in shell.run("backup-copy")
    assert {"queue.db", large} <= files_of(relay.dir / "root/night.tgz") and not list((relay.dir / "state/backup").iterdir())
    relay.submit()
    shell.run("restore-copy")
    shell.run("alone")
    relay.start()
    assert {m["id"] for m in relay.queue() if m["held"]} == ids | {large} and not sink.messages
    sink.rcpt = None
    shell.run("restore-release")
    sink.wait(4)
    relay.wait_empty()
    assert any(m.bytes.endswith(b"a line of a large text\r\n" * 20000) for m in sink.messages)


def test_another_machine():
    sink, old, ids = two_relays()
    new = Relay(sink.port)
    shared = pathlib.Path(WORK_DIR()) / "root"
    shared.mkdir()
    here, there = (Shell(r, {"/root/": f"{shared}/"}) for r in (old, new))
    here.run("move-old")
    sink.rcpt = None
    said = there.run("move-new")
    assert "imported" in said, said
    here.run("move-end")
    assert [m["id"] for m in new.queue() if m["held"]] and not sink.messages, "held mail is held there too"
    there.run("move-release")
    new.retry_until(lambda: len(sink.messages) == 3, "all mail by the new machine")
    new.wait_empty()
    assert len({m.bytes for m in sink.messages}) == 3 and old.process is None


def test_a_machine_that_was_off_for_days():
    """Mail that is older than its lifetime is tried once more; one message is taken then, the other is returned to its sender."""
    clock = Clock(0)
    sink = Sink(rcpt=lambda address: "451 4.7.1 later" if "bob" in address else None)
    relay = Relay(sink.port, retry='"1h"', environment=clock.environment())
    sink.rcpt, later = lambda address: "451 4.7.1 later", sink.rcpt
    for to in ("bob@example.net", "carol@example.net"):
        relay.wait_event(relay.submit(to=(to,)), "delivery.deferred")
    relay.stop()
    sink.rcpt = later
    clock.set(10 * 24 * HOUR)
    relay.start()
    received = {r for m in sink.wait(2) for r in m.recipients}
    assert received == {"carol@example.net", "alice@example.org"}, received
    relay.wait_empty()


def test_an_upgrade():
    relay = Relay(1, retry='"1h"')
    id = relay.submit()
    said = Shell(relay).run("upgrade")
    assert "configuration is good" in said and relay.queue()[0]["id"] == id, said


def test_a_downgrade():
    """The words are those of this version about a queue of a newer one; the older one of the way back is this version again."""
    needs_namespaces("--net")
    sink, relay, ids = two_relays()
    relay.stop()
    sink.rcpt = None
    words = block("downgrade-words", "file").strip()
    schema = set_schema(relay, 99)
    relay.start(wait=False)
    assert relay.process.wait(60) == 78 and f'{words} (schema 99; this one knows {schema})"' in relay.log_now(), relay.log_now()
    relay.process = None
    assert set_schema(relay, schema) == 99

    shell = root_of(relay)
    shell.run("alone")
    shell.run("downgrade")
    assert {p.stem for p in (relay.dir / "root/queue").iterdir()} == ids and not sink.messages
    assert {"queue.db", "large"} <= {p.name for p in (relay.dir / "root/newer").iterdir()}
    shell.run("downgrade-import")
    sink.wait(3)
    relay.wait_empty()
    assert len(sink.messages) == 3


def set_schema(relay, version):
    """Returns what it was."""
    with contextlib.closing(sqlite3.connect(relay.dir / "state/queue.db", isolation_level=None)) as db:
        old = db.execute("SELECT value FROM meta WHERE key='schema_version'").fetchone()[0]
        db.execute("UPDATE meta SET value=? WHERE key='schema_version'", (version,))
    return int(old)
