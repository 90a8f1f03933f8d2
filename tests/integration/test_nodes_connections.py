"""The connections of an upstream over three nodes: all together never more than its limit, and each node gets its turn."""
from nodes_bed import *


def is_open(end):
    """Has the other side not closed it? The thread that passes its bytes on can hear of that later than of a new connection."""
    return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # TCP_ESTABLISHED


class Meter:
    """Passes bytes between the nodes and the next hop, and counts how many connections are open at once, without those that are aside."""

    def __init__(self):
        self.port, self.to, self.open, self.aside, self.most, self.lock = free_port(), None, set(), set(), 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        end_with_the_test(self)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                one = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                self.open.add(one)
                self.most = max(self.most, sum(map(is_open, self.open)))
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        """Until either side closes."""
        other = socket.create_connection(("127.0.0.1", self.to))
        back = threading.Thread(target=pass_on, args=(other, one), daemon=True)
        back.start()
        pass_on(one, other)
        with self.lock:
            self.open.discard(one)
            self.aside.discard(one)
        back.join()
        one.close()
        other.close()

    def set_aside(self):
        """All that are open now."""
        with self.lock:
            self.aside, self.open, self.most = self.open, set(), 0

    def end(self, keep=False):
        self.listener.close()
        print(f"at most {self.most} connections at once")


def bed_with(limit, **more):
    meter = Meter()
    bed = Bed(3, upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {meter.port}; tls = "none"; connections = {limit}; }}', **more)
    meter.to = bed.sink.port
    return bed, meter


def deliverers(bed, since):
    """How many of the messages that have come since the first `since` each node has delivered."""
    rows = bed.database.sql("SELECT substring(fields from 'node=([0-9]+)') FROM event WHERE name = 'delivery.sent' ORDER BY at").split()
    return collections.Counter(map(int, rows[since:]))


def held(bed):
    """By the epochs that are not over, as text."""
    return bed.database.sql("SELECT coalesce(sum(s.n), 0) FROM gate_slot s JOIN node k ON k.number = s.node AND k.epoch = s.epoch")


def domains(bed):
    """Those that each node looks after, once they have had mail."""
    client = bed.relays[0].connect()
    for n in range(40):
        client.submit(f"alice@{DOMAIN}", [f"bob@d{n}.example.net"], simple_message())
    wait_for(lambda: len(bed.sink.counts()) == 40, "the mail of all domains")
    found = collections.defaultdict(list)
    for row in bed.database.sql("SELECT s.node, l.domain FROM lane l JOIN shard s ON s.n = l.shard ORDER BY 2").split():
        node, domain = row.split("|")
        found[int(node)].append(domain)
    return found


def test_three_connections_and_a_killed_node():
    """Three nodes share three connections; one is killed while it has one, is declared dead, and comes back."""
    bed, meter = bed_with(3)
    bed.sink.delay = 0.1
    load = Load(bed.relays)
    wait_for(lambda: set(deliverers(bed, 0)) == {1, 2, 3}, lambda: f"deliveries by all: {deliverers(bed, 0)}", every=0.5)
    wait_for(lambda: meter.most == 3, lambda: f"three connections at once, there were {meter.most}")
    load.wait(60)
    bed.sink.gate.clear()
    wait_for(lambda: bed.flying(3), "mail of the third in flight")
    bed.relays[2].kill_all()
    bed.sink.gate.set()
    bed.wait_state(3, "dead")
    wait_for(lambda: held(bed) == "3", lambda: f"the others have all three, they have {held(bed)}", every=0.5)
    bed.relays[2].start()
    bed.wait_state(3, "up")
    load.wait(60)
    ids = load.stop()
    bed.relays[0].retry_until(lambda: bed.database.sql("SELECT count(*) FROM open_message") == "0", "an empty queue")
    bed.check(ids)
    assert meter.most == 3, meter.most
    wait_for(lambda: bed.database.sql("SELECT count(*) FROM gate_slot s JOIN node k ON k.number = s.node AND k.epoch = s.epoch") == "0",
             "nobody holds anything without work", every=0.5)


def test_one_connection_goes_round():
    """One connection, and mail on all nodes: never two, and each node has its turn again and again."""
    bed, meter = bed_with(1)
    bed.sink.delay = 0.05
    load = Load(bed.relays, pause=0.3)
    wait_for(lambda: set(deliverers(bed, 0)) == {1, 2, 3}, lambda: f"deliveries by all: {deliverers(bed, 0)}", every=0.5)
    so_far = sum(deliverers(bed, 0).values())
    wait_for(lambda: set(deliverers(bed, so_far)) == {1, 2, 3}, lambda: f"and again: {deliverers(bed, so_far)}", every=0.5)
    ids = load.stop()
    bed.check(ids)
    assert meter.most == 1, meter.most


def test_frozen_with_all_connections():
    """A node is frozen while it has all connections. Others have them when it is dead, and the next hop sees both; when it comes back it
    ends its own, tells what was answered meanwhile, and has its part again."""
    bed, meter = bed_with(3)
    of = domains(bed)
    bed.sink.gate.clear()
    client = bed.relays[2].connect(timeout=60)
    ids = [client.submit(f"alice@{DOMAIN}", [f"bob@{of[3][n % len(of[3])]}"], simple_message()) for n in range(12)]
    wait_for(lambda: bed.sink.waiting == 3, "three texts whose answers are kept back")
    frozen = Frozen([bed.relays[2].process.pid, *bed.relays[2].pids()])
    flying = bed.flying(3)
    meter.set_aside()
    bed.sink.gate.set()
    load = Load(bed.relays[:2])
    bed.wait_state(3, "dead")
    wait_for(lambda: held(bed) == "3" and meter.most == 3, lambda: f"the others have all three: {held(bed)}, {meter.most} at once", every=0.5)
    load.wait(30)
    assert len(meter.aside) == 3 and meter.most == 3, (meter.aside, meter.most)
    frozen.go_on()
    wait_for(lambda: not meter.aside, "the end of what the frozen node had")
    bed.wait_state(3, "up")
    bed.wait_balanced(3)
    so_far = sum(deliverers(bed, 0).values())
    wait_for(lambda: set(deliverers(bed, so_far)) == {1, 2, 3}, lambda: f"deliveries by all: {deliverers(bed, so_far)}", every=0.5)
    ids += load.stop()
    assert bed.check(ids) == {}
    unknown = {number_of(id) for id, names in bed.events_of(ids).items() if "delivery.unknown" in names}
    assert len(unknown) >= 3 and unknown <= flying.keys(), (unknown, flying)
    assert meter.most == 3, meter.most


def test_first_mail_of_a_node():
    """One node has all connections and work for more; a single message of another one has one of them as soon as it is free. Says after
    how many ms the next hop had it."""
    bed, meter = bed_with(10)
    of, arrived, took = domains(bed), {}, []
    bed.sink.delay, bed.sink.data = 0.1, lambda envelope: arrived.setdefault(envelope.rcpt_tos[0], time.monotonic()) and None
    load = Load([bed.relays[0]] * 3, pause=0.02, to=[f"bob@{domain}" for domain in of[1]])
    client = bed.relays[1].connect(timeout=60)
    row = lambda node: bed.database.sql(f"SELECT n FROM gate_slot WHERE node = {node}")
    for n in range(5):
        wait_for(lambda: (row(1), row(2)) == ("10", ""), lambda: f"all connections at one node: {row(1)} and {row(2)}", every=0.1)
        to = f"{n}@{of[2][n % len(of[2])]}"
        client.submit(f"alice@{DOMAIN}", [to], simple_message())
        since = time.monotonic()
        wait_for(lambda: to in arrived, "the message")
        took.append(round(1000 * (arrived[to] - since)))
    bed.check(load.stop())
    print(f"ms until a first message was there: {sorted(took)}")
    assert meter.most == 10, meter.most
