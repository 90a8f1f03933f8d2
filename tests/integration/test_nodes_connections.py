"""The connections of an upstream over three nodes: all together never more than its limit, and each node gets its turn."""
from nodes_bed import *


class Meter:
    """Passes bytes between the nodes and the next hop, and counts how many connections are open at once."""

    def __init__(self):
        self.port, self.to, self.open, self.most, self.lock = free_port(), None, 0, 0, threading.Lock()
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
                self.open += 1
                self.most = max(self.most, self.open)
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        """Until either side closes."""
        other = socket.create_connection(("127.0.0.1", self.to))
        back = threading.Thread(target=pass_on, args=(other, one), daemon=True)
        back.start()
        pass_on(one, other)
        with self.lock:
            self.open -= 1
        back.join()
        one.close()
        other.close()

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
    held = lambda: bed.database.sql("SELECT coalesce(sum(s.n), 0) FROM gate_slot s JOIN node k ON k.number = s.node AND k.epoch = s.epoch")
    wait_for(lambda: held() == "3", lambda: f"the others have all three, they have {held()}", every=0.5)
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
