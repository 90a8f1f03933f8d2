"""Power cuts: no 250 before the data, the name and the row are synced. The relay runs with a library that keeps apart what was synced
(tests/support/powercut); a cut ends all processes and leaves only that. What was acknowledged must arrive all the same, inline or large,
and so must the reports. That the instrument would notice a missing sync is shown by leaving some out."""
import os
import random
import re
import sys
import time

from lib import *
from test_crash import Load, arrived, settle

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support" / "powercut"
sys.path.insert(0, str(SUPPORT))
import powercut  # noqa: E402

LIBRARY = RELEASE.parent / "tests" / "unit" / "store" / "libpowercut.so"
LARGE = 100000


class MixedLoad(Load):
    """Every third message is too large for a row."""
    size = property(lambda self: random.choice([2000, 2000, LARGE]), lambda self, value: None)


class Machine:
    """A relay on a disk that forgets what was not synced."""

    def __init__(self, sink, **settings):
        # A third of this load is refused, on purpose: no login is to be held for it. The library works within the roles, and writes
        # where they have no right to: so there are no walls.
        self.relay = Relay(sink.port, build=RELEASE, start=False,
                           **{"limits": 'breaker = "off";', **settings, "extra": settings.get("extra", "") + 'sandbox = "off";'})
        self.lives = 0
        self.shadow = None

    def power_on(self, at=None, broken=None):
        """A new life under the library."""
        relay = self.relay
        self.lives += 1
        self.shadow = relay.dir / f"shadow-{self.lives}"
        self.shadow.mkdir()
        relay.environment = {"LD_PRELOAD": str(LIBRARY), "POWERCUT_DIR": str(relay.dir / "state"), "POWERCUT_SHADOW": str(self.shadow)}
        if at:
            relay.environment["POWERCUT_AT"] = str(at)
        if broken is not None:
            relay.environment["POWERCUT_BREAK"] = broken
        relay.start(wait=at is None)  # a cut may come before it is ready

    def power_off(self):
        """The power goes now, if it has not gone yet; what is left is what the next life finds."""
        (self.shadow / "cut").touch()
        assert self.syncs() > 0, "no sync was seen: the roles do not run with the library (a build without -Dcrash_points=true?)"
        self.relay.kill_all()
        powercut.restore(self.shadow, self.relay.dir / "state")
        shutil.rmtree(self.shadow)

    def is_cut(self):
        """Has the power gone? A relay that ends by itself before that will not come to it."""
        if (self.shadow / "cut").exists():
            return True
        assert self.relay.process.poll() is None, f"relay ended with {self.relay.process.returncode}\n{self.relay.log_tail()}"
        return False

    def syncs(self):
        count = self.shadow / "count"
        return int(count.read_text() or 0) if count.exists() else 0

    def last_life(self):
        self.relay.environment = {}
        self.relay.start()


def reported(sink):
    """Numbers of the messages that a report at the next hop speaks of."""
    return {n for m in list(sink.messages) if m.sender == "" for n in re.findall(r"X-Load: (\S+)", m.bytes.decode("utf-8", "replace"))}


def refuse_gone(address):
    return "550 5.1.1 there is nobody of this name" if address.startswith("gone@") else None


def settle_with_reports(machine, sink, load):
    duplicates = settle(machine.relay, sink, load)
    try:
        wait_for(lambda: load.acknowledged <= reported(sink), every=0.5)
    except AssertionError:
        missing = sorted(load.acknowledged - reported(sink))
        raise AssertionError(f"no report of {len(missing)}: {missing[:10]}\n{machine.relay.log_tail()}") from None
    return duplicates


def test_cuts_at_random():
    sink = Sink(rcpt=refuse_gone)
    machine = Machine(sink)
    random.seed(int(os.environ.get("POSTHOUSE_SEED", time.time_ns())))
    machine.power_on()
    load = MixedLoad(machine.relay, clients=3, to=("bob@example.net", "gone@example.net"))
    for _ in range(5):
        time.sleep(random.uniform(0.5, 2))
        print("cut after", machine.syncs(), "syncs,", len(load.acknowledged), "acknowledged so far")
        machine.power_off()
        machine.power_on()
    load.stop_after(20)
    machine.power_off()
    machine.last_life()
    settle_with_reports(machine, sink, load)
    assert "event=store.file_missing" not in machine.relay.log_now()


def test_cuts_at_each_sync():
    """The power goes at the n-th sync: while the database is made, within the first messages, in the midst of work."""
    sink = Sink(rcpt=refuse_gone)
    machine = Machine(sink)
    machine.power_on(at=1)
    load = MixedLoad(machine.relay, clients=3, to=("bob@example.net", "gone@example.net"))
    random.seed(int(os.environ.get("POSTHOUSE_SEED", time.time_ns())))
    for at in (*range(2, 18), *random.sample(range(18, 400), 8), None):
        wait_for(machine.is_cut, lambda: f"the cut of life {machine.lives}, after {machine.syncs()} syncs\n{machine.relay.log_tail()}", every=0.02)
        time.sleep(0.05)  # answers that are under way rest on syncs before
        machine.power_off()
        if at:
            print("the power goes at sync", at, "of life", machine.lives + 1)
            machine.power_on(at=at)
    machine.last_life()
    load.stop_after(20)
    settle_with_reports(machine, sink, load)
    assert "event=store.file_missing" not in machine.relay.log_now()


def lose(broken, sizes):
    """Acknowledged messages of these sizes, none delivered, then a cut without the syncs of `broken`: how many of each are lost?"""
    later = [True]
    sink = Sink(rcpt=lambda address: "451 4.3.0 later" if later[0] else None)
    machine = Machine(sink)
    machine.power_on(broken=broken)
    acknowledged = {}
    for i, size in enumerate(sizes):
        message = simple_message(headers=f"X-Load: {i}\r\n", body=("x" * 70 + "\r\n") * (size // 72))
        machine.relay.submit(message)
        acknowledged[str(i)] = size
    machine.power_off()
    later[0] = False
    machine.last_life()
    machine.relay.retry_until(lambda: all(row.get("held") for row in machine.relay.queue()), "what is left has gone, or is held")
    lost = [size for i, size in acknowledged.items() if i not in arrived(sink)]
    return lost, machine.relay


SIZES = [2000, LARGE, 2000, LARGE]


def test_nothing_is_lost_with_all_syncs():
    lost, relay = lose(None, SIZES)
    assert lost == [], lost


def test_a_missing_sync_of_everything_is_noticed():
    lost, relay = lose("*", SIZES)
    assert lost == SIZES, lost


def test_a_missing_sync_of_the_log_is_noticed():
    lost, relay = lose("queue.db-wal", SIZES)
    assert lost == SIZES, lost


def test_a_missing_sync_of_a_large_file_is_noticed():
    lost, relay = lose("large/*", SIZES)
    assert lost == [LARGE, LARGE], lost
    relay.wait_log("event=store.file_missing")  # held and shouted about, not sent by half


def test_a_missing_sync_of_the_directory_is_noticed():
    lost, relay = lose("large", SIZES)
    assert lost == [LARGE, LARGE], lost
    relay.wait_log("event=store.file_missing")
