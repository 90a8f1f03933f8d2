"""queue backup: a copy of the queue while the relay works, and what a relay makes of it."""
import threading

from lib import *


def is_late(address):
    return "451 4.7.1 later" if address.startswith("late") else None


class Senders:
    """Small and large messages, to recipients that wait and to others, until they are stopped. `waiting`: the body of each message that
    waits, by its id."""

    def __init__(self, relay, n=2):
        self.relay, self.waiting, self.stopped = relay, {}, threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(i,)) for i in range(n)]
        for thread in self.threads:
            thread.start()

    def send(self, sender):
        client, n = self.relay.connect(), 0
        while not self.stopped.is_set():
            n += 1
            body = f"{sender}.{n} is a line of it\r\n" * (8000 if n % 2 else 3)
            late = n % 4 < 2
            id = client.submit(f"alice@{DOMAIN}", (f"{'late' if late else 'now'}{n}@example.net",), simple_message(f"{sender}.{n}", body))
            if late:
                self.waiting[id] = body.encode()
        client.quit()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def restore(relay, directory):
    state = relay.dir / "state"
    for path in state.glob("queue.db*"):
        path.unlink()
    shutil.rmtree(state / "large")
    shutil.copytree(directory, state, dirs_exist_ok=True)


def back_up(relay, *arguments):
    document = json.loads(relay.command("queue", "backup", *arguments, "--json").stdout)
    assert document.pop("kind") == "backup"
    return document


def test_what_waited_under_load_is_in_the_copy():
    sink = Sink(rcpt=is_late)
    relay = Relay(sink.port, retry='"1h"')
    senders = Senders(relay)
    try:
        for name in ("one", "two", "three"):
            wanted = len(senders.waiting) + 10
            wait_for(lambda: len(senders.waiting) >= wanted, "messages that wait")
            expected = dict(senders.waiting)
            made = back_up(relay, name)
            assert made["messages"] >= len(expected) and made["missing"] == 0 and made["files"] > 0, made
            assert made["directory"] == f"{relay.dir}/state/backup/{name}"
        wanted = len(senders.waiting) + 10
        wait_for(lambda: len(senders.waiting) >= wanted, "messages that are sent after the copy")
    finally:
        senders.stop()
    assert "event=store.backup_made" in relay.log_now()
    relay.stop()
    restore(relay, made["directory"])
    sink.rcpt = None
    del sink.messages[:]
    relay.start()
    relay.retry_until(lambda: sum(m.recipients[0].startswith("late") for m in sink.messages) >= len(expected), "all that waited")
    relay.wait_empty()
    arrived = [m.bytes.partition(b"\r\n\r\n")[2] for m in sink.messages]
    assert not set(expected.values()) - set(arrived)
    assert "store.file_missing" not in relay.log_now()


def test_a_queue_that_is_killed_within_a_copy():
    sink = Sink(rcpt=is_late)
    relay = Relay(sink.port, retry='"1h"', environment={"POSTHOUSE_CRASH": "store.before_backup:1"})
    id = relay.submit(to=("late@example.net",))
    relay.wait_event(id, "delivery.deferred")
    failed = relay.command("queue", "backup", "one", check=False)
    assert failed.returncode in (69, 75) and not failed.stdout, failed
    relay.wait_log("event=role.died dead=queue")
    wait_for(lambda: not list((relay.dir / "state/backup").iterdir()), "the part of a copy is removed")
    wait_for(lambda: relay.command("queue", "list", check=False).returncode == 0, "the next queue")
    assert [m["id"] for m in relay.queue()] == [id]
    assert back_up(relay, "one")["messages"] == 1
    relay.stop()
    restore(relay, relay.dir / "state/backup/one")
    sink.rcpt = None
    relay.start()
    relay.retry_until(lambda: sink.messages)
    relay.wait_empty()


def test_names_and_words():
    relay = Relay(1)
    said = relay.command("queue", "backup").stdout.splitlines()
    assert pathlib.Path(said[0]).parent == relay.dir / "state/backup" and "0 messages that wait, 0 files" in said[1], said
    assert "RESTORE in posthouse-operation(7)" in said[2]
    relay.command("queue", "backup", "night")
    for name, words in (("night", "is there already"), ("a/b", "can have a name of"), ("..", "can have a name of")):
        refused = relay.command("queue", "backup", name, check=False)
        assert refused.returncode == 65 and words in refused.stderr, refused
    assert "event=store.backup_failed" in relay.log_now()


def test_without_room():
    if shutil.disk_usage(WORK_DIR()).free > 1 << 40:
        raise Skip("more is free on this disk than queue.min_free can be")
    relay = Relay(1, start=False)
    relay.conf.write_text(relay.conf.read_text().replace('min_free = "10M"', 'min_free = "1T"'))
    relay.start()
    refused = relay.command("queue", "backup", check=False)
    assert refused.returncode == 75 and "queue.min_free" in refused.stderr, refused
