"""test_start.py - starts that have much to read, to bring forward, or no room; and a database that is taken away."""
import contextlib
import fcntl
import os
import pathlib
import resource
import shutil
import smtplib
import sqlite3
import struct
import subprocess
import termios
import threading
import time

from lib import DOMAIN, PASSWORD, RELEASE, Relay, Sink, wait_for
from talk import Talk
from test_limits import plain


def database(relay):
    """The database of a relay that is stopped; closed at the end of the block."""
    return contextlib.closing(sqlite3.connect(relay.dir / "state" / "queue.db", timeout=30, isolation_level=None))


def test_more_limits_than_it_looks_at():
    """600,000 rows of buckets: the start does not take them one by one out of long lists, and says how many it leaves out."""
    sink = Sink()
    relay = Relay(sink.port, build=RELEASE, workers=1, limits='messages = [ "2/1d" ];')
    client = relay.connect()
    for _ in range(2):
        relay.submit(client=client)
    relay.stop()
    with database(relay) as db:
        db.execute("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<600000) INSERT INTO bucket(key,rule,tat_us)"
                   " SELECT 'user:zz'||i||'@example.org','messages 2/1d',? FROM c", (int(time.time() * 1e6) + 3600 * 10**6,))
    relay.start()
    relay.wait_log("event=limits.crowded")
    relay.wait_log("left_out=10000")
    sink.wait(2)
    code, text = relay.connect().docmd("MAIL", f"FROM:<alice@{DOMAIN}>")
    assert code == 450, (code, text)
    relay.stop()


def test_an_old_queue_on_a_slow_disk_is_brought_forward():
    """However long it takes: longer than any call may. A stop in the middle leaves it as it was."""
    version2 = pathlib.Path(__file__).parent.parent / "unit" / "store" / "sqlite" / "version2.sql"
    sink = Sink()
    relay = Relay(sink.port, workers=1)
    relay.stop()
    version = schema(relay)
    (relay.dir / "state" / "queue.db").unlink()
    with database(relay) as db:
        db.executescript(version2.read_text())
    relay.environment.update(POSTHOUSE_SLOW="500", POSTHOUSE_DEADLINE="2000")
    relay.start(wait=False)
    relay.wait_log("bringing the queue to schema")
    relay.stop()
    assert schema(relay) == 2
    relay.start(wait=False)
    wait_for(relay.is_ready, "ready at last")
    lines = [line for line in relay.log_now().splitlines() if "bringing the queue to schema" in line]
    assert len(lines) > 3 and f"schema {version}, " in lines[-1] and " %" in lines[-1], lines
    assert "event=role.killed" not in relay.log_text()
    assert any(row["held"] for row in relay.queue()), relay.queue()
    relay.stop()
    assert schema(relay) == version


def test_the_state_of_an_older_version_is_taken_over():
    """A directory that version 3 of the schema has left: account, mail that waits, that is held, that is large, that is finished."""
    sink = Sink()
    relay = Relay(sink.port, workers=1, users=(), start=False)
    state = relay.dir / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(mode=0o700)
    archive = pathlib.Path(__file__).parent.parent / "unit" / "store" / "sqlite" / "version3.tar.gz"
    subprocess.run(["tar", "-xzf", archive, "-C", state], check=True)
    relay.start()
    finished, held = "38h6hknay0000", "38h6hknjr0000"
    assert held in {row["id"] for row in relay.queue()}, relay.queue()   # the others are due, and can be on their way
    assert [line["event"] for line in relay.events(finished)] == ["mail.accepted", "delivery.sent"], relay.events(finished)
    relay.command("queue", "release", held)
    relay.command("queue", "retry", "--all")
    def arrived():   # long after the archive was made there are also reports of the delay
        return {str(m.message["subject"]): m for m in sink.messages}

    wait_for(lambda: {"failed", "waiting", "held", "large"} <= set(arrived()), what="all that was in the queue")
    assert arrived()["failed"].recipients == ["later.too@example.com"]
    assert arrived()["large"].bytes.count(b"A line of a large message") == 1500
    new = relay.submit()
    wait_for(lambda: "hello" in arrived(), what="new mail")
    relay.wait_empty()
    assert [line["event"] for line in relay.events(new)] == ["mail.accepted", "delivery.sent"]
    relay.stop()
    assert list((state / "large").iterdir()) == []


def schema(relay):
    with database(relay) as db:
        return int(db.execute("SELECT value FROM meta WHERE key='schema_version'").fetchone()[0])


def test_a_start_on_a_full_disk_waits_for_room():
    """The disk is played by a limit on the size of files. Clients hear 452, and are served without another start when there is room."""
    sink = Sink()
    relay = Relay(sink.port, workers=1)
    relay.submit()
    sink.wait(1)
    relay.stop()
    start_with_small_files(relay)
    wait_for(relay.is_ready, "ready without room")
    client = relay.connect(login=False)
    code, text = client.docmd("AUTH", "PLAIN " + plain(f"alice@{DOMAIN}", PASSWORD))
    assert code == 454, (code, text)
    assert "no room" in relay.command("status", check=False).stdout
    assert not (relay.dir / "state" / "reserve").exists()
    for pid in relay.pids("queue"):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    relay.wait_log("event=queue.opened")
    relay.wait_takes_mail()
    relay.submit()
    sink.wait(2)
    assert "event=role.died" not in relay.log_now()
    relay.stop()


def start_with_small_files(relay):
    """As Relay.start(), but no process may write a file of more than 3,000 bytes; so the log goes through a pipe."""
    relay.log_start = relay.log_path.stat().st_size
    relay.process = subprocess.Popen([relay.build / "posthouse", "-c", relay.conf, "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT,
                                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY)))

    def copy():
        with open(relay.log_path, "ab", buffering=0) as log:
            for line in relay.process.stdout:
                log.write(line)
    threading.Thread(target=copy, daemon=True).start()


def test_a_database_that_is_taken_away():
    """Unlinked under the relay: within a second nothing more is acknowledged; put back, all goes on, and nothing is lost."""
    sink = Sink()
    relay = Relay(sink.port, workers=1)
    relay.submit()
    sink.wait(1)
    path = relay.dir / "state" / "queue.db"
    os.link(path, relay.dir / "kept")
    path.unlink()
    relay.wait_log("event=store.lost")
    client = relay.connect()
    try:
        relay.submit(client=client)
        raise AssertionError("was acknowledged")
    except smtplib.SMTPDataError as e:
        assert e.smtp_code == 451, e
    status = relay.command("status", check=False)
    assert status.returncode == 69 and "removed or replaced" in status.stdout + status.stderr, status
    os.rename(relay.dir / "kept", path)
    relay.wait_log("event=store.found")
    relay.submit(client=relay.connect())
    sink.wait(2)
    relay.stop()


def is_all_read(sock):
    """Has the relay read all that this socket has sent? What has left our queue is in the kernel's queue of the other end, or was read."""
    if struct.unpack("=i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))) != (0,):
        return False
    ends = [f":{port:04X}" for port in (sock.getpeername()[1], sock.getsockname()[1])]
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = [row[4] for row in rows if [row[1][-5:], row[2][-5:]] == ends]
    assert len(queues) == 1, queues
    return queues[0].endswith(":00000000")


def test_header_sections_of_one_login_are_bounded():
    """Large header sections are held in memory whole: many at once of one login are too much, those of another are not. One after the
    other is read to its end, and none has ended: so the first ones have all the memory, and each later one is too much."""
    sink = Sink()
    relay = Relay(sink.port, build=RELEASE, workers=1, users=(f"alice@{DOMAIN}", f"bob@{DOMAIN}"), limits="connections = 200;")
    part = b"".join(b"X-Part-%d: %s\r\n" % (i, b"x" * 900) for i in range(240))  # 214 KiB: 76 are below the bound, 77 far above
    talks = []
    for _ in range(90):
        t = Talk(relay.port).ready(relay.tls())
        t.say(f"MAIL FROM:<alice@{DOMAIN}>", 250)
        t.say("RCPT TO:<bob@example.net>", 250)
        t.say("DATA", 354)
        t.socket.sendall(part)
        wait_for(lambda: is_all_read(t.socket), "the header section is read", every=0.002)
        talks.append(t)
    other = Talk(relay.port).ready(relay.tls(), user=f"bob@{DOMAIN}")
    other.send(f"bob@{DOMAIN}", "bob@example.net", f"From: bob@{DOMAIN}\r\n".encode() + part + b"\r\nhello\r\n")
    answers = [t.say(f"From: alice@{DOMAIN}\r\n\r\nhello\r\n.")[:9] for t in talks]
    taken = answers.count("250 2.0.0")
    assert answers == ["250 2.0.0"] * taken + ["452 4.3.1"] * (len(talks) - taken), answers
    assert 70 < taken <= 16 * 1024 * 1024 // len(part), taken  # beside the sections there is what else a message holds
    t = Talk(relay.port).ready(relay.tls())
    t.send(f"alice@{DOMAIN}", "bob@example.net", f"From: alice@{DOMAIN}\r\n".encode() + part + b"\r\nhello\r\n")
    relay.stop()
