"""nodes_bed.py - several nodes on one database, a next hop that counts, and load over all nodes."""
import collections

from databases import *

DUE = 300  # s: so much later is due again what a dead node had in flight


class Counting(Sink):
    """A next hop that counts how often each message comes. While `gate` is shut it has them, and keeps its answers back; while `early` is
    shut it keeps those to RCPT back, so that no dot is sent."""

    def __init__(self):
        self.gate, self.early, self.waiting = threading.Event(), threading.Event(), 0
        self.gate.set()
        self.early.set()
        super().__init__()

    async def handle_RCPT(self, *arguments):
        while not self.early.is_set():
            await asyncio.sleep(0.02)
        return await super().handle_RCPT(*arguments)

    async def handle_DATA(self, server, session, envelope):
        answer = await super().handle_DATA(server, session, envelope)
        self.waiting += 1
        try:
            while not self.gate.is_set():
                await asyncio.sleep(0.02)
        finally:
            self.waiting -= 1
        return answer

    def counts(self):
        with self.lock:
            found = [re.search(rb"^Received: .*(?:\r\n[ \t].*)* id ([0-9a-z]{13})", m.bytes, re.M) for m in self.messages]
            return collections.Counter(match.group(1).decode() for match in found if match)  # reports have none

    def end(self, keep=False):
        self.gate.set()
        self.early.set()
        super().end(keep)


DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def number_of(id):
    """An id as the database has it."""
    value = 0
    for digit in id:
        value = value * 32 + DIGITS.index(digit)
    return value


def node_of(id):
    """The number of the node that has accepted a message."""
    return number_of(id) >> 17 & 15


def worker_of(id):
    """The number of the worker that has made the id (id.h)."""
    return number_of(id) >> 11 & 63


class Load:
    """A client for each node, which sends to one address after the other until the end; it comes back when it is refused or cut off."""

    def __init__(self, relays, pause=0.1, to=None):
        self.accepted, self.refused, self.pause, self.over = [], [], pause, threading.Event()
        self.to = to or [f"bob@d{n}.example.net" for n in range(40)]
        self.threads = [threading.Thread(target=self.run, args=(relay,), daemon=True) for relay in relays]
        end_with_the_test(self)
        for thread in self.threads:
            thread.start()

    def run(self, relay):
        client, n = None, 0
        while not self.over.wait(self.pause):
            n += 1
            try:
                client = client or relay.connect(timeout=60)
                self.accepted.append(client.submit(f"alice@{DOMAIN}", [self.to[n % len(self.to)]], simple_message()))
            except smtplib.SMTPResponseException as e:
                self.refused.append((relay, e.smtp_code, e.smtp_error))
                if e.smtp_code == 421:
                    client = None
            except (OSError, smtplib.SMTPException, AssertionError) as e:
                self.refused.append((relay, 0, repr(e)))
                client = None

    def wait(self, more):
        """Until so many messages more were accepted."""
        enough = len(self.accepted) + more
        wait_for(lambda: len(self.accepted) >= enough, lambda: f"{enough} accepted, there are {len(self.accepted)}; {self.refused[-3:]}")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(LIMIT)
        assert not any(thread.is_alive() for thread in self.threads)
        return list(self.accepted)

    def end(self, keep=False):
        self.over.set()
        if keep:
            print(f"{len(self.accepted)} accepted, the last refusals: {self.refused[-5:]}")


class Cable:
    """Passes bytes between a node and its database; when it is cut nobody hears of that, bytes just do not arrive any more."""

    def __init__(self, port):
        self.to, self.port, self.whole = port, free_port(), threading.Event()
        self.whole.set()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        end_with_the_test(self)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                one = self.listener.accept()[0]
                other = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            for a, b in [(one, other), (other, one)]:
                threading.Thread(target=pass_on, args=(a, b, self.when_whole), daemon=True).start()

    def when_whole(self, some):
        self.whole.wait()
        return some

    def end(self, keep=False):
        self.whole.set()
        self.listener.close()


class Frozen:
    """All processes of a node, stopped; go_on() lets them continue."""

    def __init__(self, pids):
        self.stopped = pids
        end_with_the_test(self)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def go_on(self):
        while self.stopped:
            try:
                os.kill(self.stopped.pop(), signal.SIGCONT)
            except ProcessLookupError:
                pass

    def end(self, keep=False):
        self.go_on()


class Bed:
    """Nodes 1 to n, each with a directory of its own. `database` has sql() and gives the setting `store` as text."""

    def __init__(self, n=2, database=None, stores=None, **more):
        self.database, self.sink = database or Database(), Counting()
        self.relays = []
        for i in range(n):
            self.relays.append(Relay(self.sink.port, extra=stores[i] if stores else self.store(), workers=1, **more))
            assert (self.relays[i].dir / "state/node").exists()
            self.relays[i].wait_log("event=accounts.followed")  # which ends sessions with the node's own password of before
        self.wait_balanced(n)

    def store(self):
        return self.database.settings(more='node_timeout = "10s";')

    def nodes(self):
        """The rows of nodes: number to (state, epoch)."""
        rows = self.database.sql("SELECT number, state, epoch FROM node ORDER BY number").split()
        return {int(n): (state, int(epoch)) for n, state, epoch in (row.split("|") for row in rows)}

    def state(self, number):
        return self.nodes()[number][0]

    def wait_state(self, number, state):
        wait_for(lambda: self.state(number) == state, lambda: f"node {number} {state}: {self.nodes()}", every=0.2)

    def beats(self):
        rows = self.database.sql("SELECT number, beat FROM node ORDER BY number").split()
        return dict(map(int, row.split("|")) for row in rows)

    def wait_beats(self, n, *nodes):
        """Until these nodes, or all, have shown so many times that they live."""
        before = self.beats()
        wait_for(lambda: all(self.beats()[node] >= before[node] + n for node in nodes or before), lambda: f"beats after {before}: {self.beats()}")

    def shards(self):
        """How many shards each living node has."""
        rows = self.database.sql("SELECT k.number, count(*) FROM shard s JOIN node k ON k.number = s.node AND k.epoch = s.epoch GROUP BY 1").split()
        return {int(n): int(count) for n, count in (row.split("|") for row in rows)}

    def wait_balanced(self, n):
        part = -(-64 // n)
        wait_for(lambda: sum(self.shards().values()) == 64 and len(self.shards()) == n and max(self.shards().values()) <= part,
                 lambda: f"64 shards at {n} nodes: {self.shards()}", every=0.2)

    def delivered_by(self, relay):
        """The messages that this node has delivered, by its log."""
        return set(re.findall(r"event=delivery\.sent queue=([0-9a-z]{13})", relay.log_text()))

    def flying(self, number):
        """What a node has in flight: numbers of messages, and of their takes."""
        rows = self.database.sql(f"SELECT message, take_no FROM taken WHERE node = {number}").split()
        return dict(map(int, row.split("|")) for row in rows)

    def events_of(self, ids):
        """What happened to messages: number of the id to names of events."""
        found = collections.defaultdict(list)
        for row in self.database.sql("SELECT message, name FROM event ORDER BY message, seq").split():
            number, name = row.split("|")
            found[int(number)].append(name)
        return {id: found[number_of(id)] for id in ids}

    def check(self, ids, retry=False):
        """All these messages were delivered, each once unless its history explains more; nothing is left anywhere. Gives the duplicates."""
        assert ids
        open_rows = "SELECT (SELECT count(*) FROM open_message) + (SELECT count(*) FROM due) + (SELECT count(*) FROM taken)"

        def over():
            if retry:
                self.relays[0].command("queue", "retry", "--all", check=False)
            return self.database.sql(open_rows) == "0"
        wait_for(over, lambda: "an empty queue: " + self.database.sql("SELECT * FROM due LIMIT 5") + self.database.sql("SELECT * FROM taken LIMIT 5"),
                 every=0.5)
        counts, events = self.sink.counts(), self.events_of(ids)
        assert len(set(ids)) == len(ids) and not [id for id in ids if counts[id] == 0], [events[id] for id in ids if counts[id] == 0]
        twice = {id: events[id] for id in ids if counts[id] > 1}
        for id, names in twice.items():
            assert names.count("delivery.unknown") >= counts[id] - 1, (id, counts[id], names)
        for id, names in events.items():
            assert names[0] == "mail.accepted" and names.count("delivery.sent") == 1, (id, names)
        for relay in self.relays:
            if relay.process:
                assert relay.queue() == []
                assert "mail.accepted" in [e["event"] for e in relay.events(ids[0])]
        print(f"{len(ids)} messages, {len(twice)} came twice")
        return twice


class Node(Relay):
    """A relay that packaging/cluster has made and runs."""

    def __init__(self, build, place):
        self.build, self.conf, self.log_path, self.log_start = build, place / "posthouse.conf", place / "log", 0
        self.process = True


class Cluster(Bed):
    """All of packaging/cluster: nodes 1 to n, a primary with a synchronous standby, and HAProxy, to which clients connect."""

    def __init__(self, n=3, build=SANITIZED):
        self.sink = Counting()
        self.database = Databases("--posthouse", build / "posthouse", "--next-hop", f"127.0.0.1:{self.sink.port}", "--store",
                                  'node_timeout = "10s"; patience = "1s";', nodes=n)
        self.run, self.place = self.database.run, (self.database.directory / "data").resolve()
        self.relays = [Node(build, self.place / f"node{i + 1}") for i in range(n)]
        end_with_the_test(self)
        self.wait_balanced(n)

    def connect(self, timeout, implicit=False):
        port = int((self.place / f"haproxy.{'implicit' if implicit else 'starttls'}.port").read_text())
        client = Client(port, ssl.create_default_context(cafile=self.place / "common/fullchain.pem"), implicit, timeout)
        client.login(f"alice@{DOMAIN}", (self.database.directory / "account").read_text().strip())
        return client

    def end(self, keep=False):
        self.run("stop")
        reports = [line for relay in self.relays for line in relay.sanitizer_reports()]
        for relay in self.relays:
            if keep or reports:
                print(f"---- {relay.log_path} ----\n{relay.log_tail()}")
        if reports:
            print("SANITIZER:", *reports, sep="\n")
            sys.stdout.flush()
            os._exit(1)
