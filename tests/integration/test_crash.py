"""Deaths: named crash points and random kill -9 of a role, of all, of master, under load. Every message that was answered with 250
arrives; a duplicate is allowed only where DESIGN 3.1 has it, and is counted."""
import collections
import random
import signal
import smtplib
import threading
import time

from lib import *
from talk import Talk


class Load:
    """Clients that send numbered messages all the time, and remember which were acknowledged."""

    def __init__(self, relay, clients=4, size=2000, to=("bob@example.net",)):
        self.relay, self.size, self.to = relay, size, to
        self.acknowledged, self.unsure = set(), set()
        self.codes = collections.Counter()  # of the answers to what was sent to its end
        self.running = True
        self.lock = threading.Lock()
        self.count = 0
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)]
        [t.start() for t in self.threads]

    def run(self, n):
        client, i = None, 0
        while self.running:
            number = f"{n}-{i}"
            i += 1
            sent = False
            try:
                if client is None:
                    client = self.relay.connect(timeout=30)
                client.mail(f"alice@{DOMAIN}")
                for to in self.to:
                    client.rcpt(to)
                if client.docmd("DATA")[0] != 354:
                    raise smtplib.SMTPException("no 354")
                body = ("x" * 70 + "\r\n") * (self.size // 72)
                client.send(f"From: alice@{DOMAIN}\r\nX-Load: {number}\r\n\r\n{body}\r\n.\r\n".encode())
                sent = True
                code, text = client.getreply()
                with self.lock:
                    self.codes[code] += 1
                    if code == 250:
                        self.acknowledged.add(number)
                    elif code >= 500:
                        raise AssertionError(f"{number}: {code} {text}")
                    else:
                        self.unsure.add(number)
            except AssertionError:
                raise
            except (OSError, smtplib.SMTPException, EOFError, ValueError):
                if sent:
                    with self.lock:
                        self.unsure.add(number)
                if client:
                    client.close()
                client = None
                time.sleep(0.05)

    def stop(self):
        self.running = False
        [t.join(LIMIT) for t in self.threads]

    def stop_after(self, n):
        """When more than so many have been acknowledged: how many there are by now depends on the machine."""
        wait_for(lambda: len(self.acknowledged) > n, f"more than {n} acknowledged messages")
        self.stop()


def arrived(sink):
    return collections.Counter(m.message["X-Load"].strip() for m in list(sink.messages) if m.message["X-Load"])


def settle(relay, sink, load):
    """Everything that waits is pushed out, then all that was acknowledged must have arrived."""
    end = time.monotonic() + 2 * LIMIT
    while time.monotonic() < end:
        try:
            relay.command("queue", "retry", "--all")
            if relay.queue() == [] and not load.acknowledged - set(arrived(sink)):
                break
        except AssertionError:
            pass  # the relay is just being restarted: ask again
        time.sleep(0.5)
    lost = load.acknowledged - set(arrived(sink))
    assert not lost, f"{len(lost)} acknowledged messages are lost: {sorted(lost)[:10]}\n{relay.log_tail()}"
    strangers = set(arrived(sink)) - load.acknowledged - load.unsure
    assert not strangers, f"arrived, but never sent to its end: {strangers}"
    duplicates = {k: n for k, n in arrived(sink).items() if n > 1}
    print(f"{len(load.acknowledged)} acknowledged, {len(load.unsure)} unsure, {len(duplicates)} arrived more than once")
    return duplicates


def crash_at(point, n, role, large=False, expect_duplicates=0):
    """One named death while messages pass; each crash happens once, the next life of the role shows that it recovers."""
    sink = Sink()
    relay = Relay(sink.port, environment={"POSTHOUSE_CRASH": f"{point}:{n}"}, workers=1)
    load = Load(relay, clients=2, size=100000 if large else 2000)
    try:
        wait_for(lambda: "event=role.died dead=" + role in relay.log_since_start(), f"death at {point}")
        before = len(load.acknowledged)
        # a death at the first logins makes both clients wait for the delay of a failed login
        wait_for(lambda: len(load.acknowledged) > before + 2, f"messages after the death at {point}")
    finally:
        load.stop()
    assert relay.process.poll() is None, "master has ended"
    duplicates = settle(relay, sink, load)
    assert len(duplicates) <= expect_duplicates, f"{point}: duplicates {duplicates}"
    assert load.acknowledged
    # in service again
    assert relay.submit()


def _point(point, role, n=5, large=False, expect_duplicates=0):
    def test():
        crash_at(point, n, role, large, expect_duplicates)
    return test


# A death of submission or queue before the client has its answer: the client may have sent it again elsewhere, we send what is durable
# once. A death of queue ends relay too: up to the number of deliveries in flight may be repeated (the next hop had them, we had not
# written it down). A death of relay repeats nothing by itself: its leases end as "outcome unknown" and are repeated after the pause,
# which `queue retry` shortens here.
IN_FLIGHT = 30
POINTS = [
    ("submission.before_submit", "submission", 0),
    ("submission.after_submitted", "submission", 0),
    ("submission.after_reply", "submission", 0),
    ("queue.before_accept", "queue", IN_FLIGHT),
    ("queue.after_accept", "queue", IN_FLIGHT),
    ("queue.before_settle", "queue", IN_FLIGHT),
    ("queue.after_settle", "queue", IN_FLIGHT),
    ("store.before_commit", "queue", IN_FLIGHT),
    ("store.after_commit", "queue", IN_FLIGHT),
    ("relay.before_text_end", "relay", IN_FLIGHT),
    ("relay.after_accept", "relay", IN_FLIGHT),
    ("relay.after_result", "relay", IN_FLIGHT),
]
for _name, _role, _duplicates in POINTS:
    _test = _point(_name, _role, expect_duplicates=_duplicates)
    _test.__module__ = __name__
    globals()["test_at_" + _name.replace(".", "_")] = _test
for _name, _role, _duplicates in [p for p in POINTS if p[0] in ("submission.before_submit", "queue.after_accept", "store.after_commit")]:
    _test = _point(_name, _role, large=True, n=3, expect_duplicates=_duplicates)
    _test.__module__ = __name__
    globals()["test_large_at_" + _name.replace(".", "_")] = _test


def test_a_login_waits_for_the_next_queue():
    """queue dies with two logins before it: the next one judges them, and nobody was told anything before."""
    relay = Relay(1)
    [queue] = relay.pids("queue")
    clients, answers = [Talk(relay.port) for _ in range(2)], {}
    for t in clients:
        t.ehlo()
        t.starttls(relay.tls()).ehlo()
    os.kill(queue, signal.SIGSTOP)
    ways = [threading.Thread(target=lambda t=t, p=p: answers.update({p: t.login(password=p, expect="")})) for t, p in zip(clients, (PASSWORD, "wrong"))]
    for way in ways:
        way.start()
    wait_for(lambda: relay.log_since_start().count("state=judged") == 2, "both passwords are checked")
    assert not answers
    relay.kill_role("queue")
    for way in ways:
        way.join()
    assert answers[PASSWORD].startswith("235") and answers["wrong"].startswith("535"), answers
    clients[0].send(f"alice@{DOMAIN}", "bob@example.net", f"From: alice@{DOMAIN}\r\n\r\nhello\r\n".encode())


def test_random_kills_of_a_role():
    sink = Sink()
    relay = Relay(sink.port)
    load = Load(relay)
    random.seed(int(os.environ.get("POSTHOUSE_SEED", time.time_ns())))
    for round in range(8):
        time.sleep(random.uniform(0.3, 1.5))
        role = random.choice(["submission", "queue", "relay", "login", "vault"])
        pids = relay.pids(role)
        if pids:
            os.kill(random.choice(pids), signal.SIGKILL)
        print("killed", role, pids)
    load.stop_after(20)
    settle(relay, sink, load)


def test_random_kills_of_everything():
    """kill -9 of all processes, or of master alone (the roles must follow), then a new start: six rounds."""
    sink = Sink()
    relay = Relay(sink.port)
    load = Load(relay)
    for round in range(6):
        time.sleep(random.uniform(0.5, 1.5))
        if round % 2:
            relay.kill_all()
        else:
            relay.process.kill()
            relay.process.wait()
        relay.start()  # waits for the lock until the last role of the old life has gone
    load.stop_after(20)
    settle(relay, sink, load)
