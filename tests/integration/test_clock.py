"""test_clock.py - a clock that was ahead and is set back, over a restart and under a living relay: nothing stays closed for as long as it went back."""
import struct
import tempfile

from lib import DOMAIN, WORK_DIR, Relay, Sink, simple_message, wait_for
from test_limits import greeting, login

ALICE = f"alice@{DOMAIN}"
HOUR = 3600 * 1000
YEAR = 365 * 24 * HOUR


class Clock:
    """By how many ms the relay's clock goes wrong: test builds read this file at each look at the clock."""

    def __init__(self, error_ms):
        self.file = tempfile.NamedTemporaryFile(prefix="clock-", dir=WORK_DIR())
        self.set(error_ms)

    def set(self, error_ms):
        self.file.seek(0)
        self.file.write(struct.pack("=q", error_ms))
        self.file.flush()

    def environment(self):
        return {"POSTHOUSE_CLOCK": self.file.name}


class Setback:
    """A relay whose clock is ahead, with one of each kind of what is stored with a time."""

    def __init__(self, ahead_ms):
        self.clock = Clock(ahead_ms)
        self.later = True
        self.sink = Sink(rcpt=lambda a: "451 4.2.1 come back later" if self.later and a.startswith("later") else None)
        self.relay = Relay(self.sink.port, environment=self.clock.environment(), retry='"1h"', auth='failures = "2/10m";', workers=1,
                           limits='messages = [ "5/1h" ];')
        for to in ("bob@example.net", "later@example.net"):
            self.relay.submit(simple_message(to), to=(to,))
        self.sink.wait(1)
        wait_for(lambda: any("come back later" in row["reply"] for row in self.relay.queue()), what="a retry in an hour")
        for n in range(3):  # the same one again would count once
            login(self.relay, "127.0.0.5", "mallory", f"wrong{n}")
        assert greeting(self.relay, "127.0.0.5") == 421
        self.sink.stop()
        self.relay.submit(simple_message("kept"), to=("kept@example.net",))
        self.relay.wait_log("event=upstream.down")

    def open_the_next_hop(self):
        self.later = False
        self.sink.start()

    def assert_open(self):
        """By the right clock: what waits goes, who was banned comes in, limits have their whole burst but for what was counted since."""
        self.sink.wait(3)
        self.relay.wait_empty()
        assert greeting(self.relay, "127.0.0.5") == 220
        for n in range(4):
            self.relay.submit(simple_message(str(n)), to=(f"more{n}@example.net",))
        self.sink.wait(7)
        assert "event=breaker.tripped" not in self.relay.log_now()
        assert self.relay.command("limits", "show", ALICE).returncode == 0
        self.relay.stop()


def test_restarted_after_a_year():
    s = Setback(YEAR)
    s.relay.stop()
    s.clock.set(0)
    s.open_the_next_hop()
    s.relay.start()
    s.assert_open()
    assert "event=clock.mended" in s.relay.log_text()


def test_set_back_by_two_hours_while_it_runs():
    s = Setback(2 * HOUR)
    s.open_the_next_hop()
    s.clock.set(0)
    s.relay.wait_log("event=clock.set_back")
    s.assert_open()
