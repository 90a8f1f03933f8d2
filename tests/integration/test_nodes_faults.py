"""Several nodes and what fails in between: two primaries, no standby, a node that is killed while the limit is reached, versions."""
from nodes_bed import *
from test_cluster import working_in
from test_store_transfer import store

ALIVE = {1: ("up", 1), 2: ("up", 1)}


def settings(databases, durability, patience):
    return f'''store = {{ engine = "postgresql"; durability = "{durability}"; password = "{databases.password}"; node_timeout = "10s"; patience = "{patience}";
connection = "{databases.connection}"; }};'''


def test_two_primaries():
    """The old primary lives on without its standby, which was promoted. Who can reach both goes to the new one; a node that cannot has
    nothing committed, is declared dead, and comes back with its results when it can."""
    databases = Databases()
    databases.sql = lambda statement: databases.admin("primary", statement)
    cable = Cable(databases.ports["db2"])
    store = settings(databases, "local", "5s")  # the old primary waits for its standby all the same
    bed = Bed(2, databases, [store, store.replace(str(cable.to), str(cable.port))])
    load = Load(bed.relays)
    load.wait(30)
    bed.sink.gate.clear()
    wait_for(lambda: bed.flying(2), "mail in flight")
    cable.whole.clear()
    databases.run("promote")
    bed.sink.gate.set()
    bed.wait_state(2, "dead")
    wait_for(lambda: (bed.relays[1], 451) in [(relay, code) for relay, code, _ in load.refused], lambda: f"451: {load.refused[-3:]}")
    assert databases.admin("db1", "SELECT string_agg(number || state || epoch, ' ' ORDER BY number) FROM node") == "1up1 2up1"
    old, new = (set(databases.admin(server, "SELECT id FROM message").split()) for server in ("db1", "db2"))
    assert old <= new, old - new
    accepted = len(load.accepted)
    load.wait(20)
    assert {node_of(id) for id in load.accepted[accepted:]} == {1}
    cable.whole.set()
    bed.wait_state(2, "up")
    assert bed.nodes() == {1: ("up", 1), 2: ("up", 3)}
    bed.wait_balanced(2)
    wait_for(lambda: 2 in {node_of(id) for id in load.accepted[accepted:]}, "mail by both")
    ids = load.stop()
    assert {code for _, code, _ in load.refused} == {451}, load.refused
    assert bed.check(ids) == {}


def test_started_beside_an_old_primary():
    """The old primary lives on, and a node that has seen the new one starts while only the old one can be reached: it waits for the new
    one. When an administrator goes on with the old one all the same, `posthouse store restored` says so."""
    databases = Databases()
    databases.sql = lambda statement: databases.admin("primary", statement)
    cable = Cable(databases.ports["db2"])
    bed = Bed(1, databases, [settings(databases, "local", "5s").replace(str(databases.ports["db2"]), str(cable.port))])
    [node] = bed.relays
    timeline = lambda: (node.dir / "state/node").read_text().split()[-1]
    ids = [node.submit()]
    assert bed.check(ids) == {} and timeline() == "1"
    databases.run("promote")
    wait_for(lambda: timeline() == "2", timeline)
    node.stop()
    cable.whole.clear()
    waiting = databases.admin("db1", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")  # since the promotion
    node.start()
    node.wait_log(f"port {databases.ports['db1']}: it is on timeline 1, and 2 was seen")
    assert databases.admin("db1", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == waiting
    cable.whole.set()
    wait_for(lambda: bed.nodes() == {1: ("up", 2)}, bed.nodes)
    client = node.connect()
    wait_for(lambda: client.mail(f"alice@{DOMAIN}")[0] == 250 or not client.rset(), "250 for MAIL")
    ids.append(node.submit())
    assert bed.check(ids) == {}

    client.close()
    node.stop()
    cable.whole.clear()
    databases.admin("db1", "ALTER SYSTEM RESET synchronous_standby_names")
    databases.admin("db1", "SELECT pg_reload_conf()")
    store(node, "restored")
    cable.whole.set()
    node.start()
    wait_for(lambda: databases.admin("db1", "SELECT state FROM node") == "up", "a node at the old one")
    assert timeline() == "1"


def test_lost_standby():
    """The standby is lost while a node is frozen: what was not acknowledged is refused, and nobody can say that the node is dead, also not
    at once when the standby is back."""
    databases = Databases()
    store = settings(databases, "standby", "4s")
    bed = Bed(2, databases, [store] * 2)
    load = Load(bed.relays)
    load.wait(30)
    node = Frozen([bed.relays[1].process.pid, *bed.relays[1].pids()])
    since = time.monotonic()
    bed.wait_beats(2, 1)  # so long the other one has watched
    standby = Frozen([int(pid) for pid in working_in((databases.directory / "data").resolve() / "db2")])
    beats, refused = bed.beats(), len(load.refused)
    wait_for(lambda: (bed.relays[0], 451) in [(relay, code) for relay, code, _ in load.refused[refused:]], lambda: f"451: {load.refused[refused:]}")
    wait_for(lambda: time.monotonic() > since + 12, "more than node_timeout")
    assert bed.nodes() == ALIVE and bed.beats()[2] == beats[2]
    standby.go_on()
    bed.wait_beats(2, 1)
    node.go_on()
    bed.wait_beats(2, 2)
    load.wait(20)
    ids = load.stop()
    assert bed.nodes() == ALIVE and {code for _, code, _ in load.refused} == {451}, (bed.nodes(), load.refused)
    assert bed.check(ids) == {}


class Attempts:
    """What a next hop says to the end of a text: the first time "later" to every third domain, and always no to every tenth; and how
    often it was asked by each message of a login."""

    def __init__(self, sink):
        self.count, sink.data = collections.Counter(), self.answer

    def answer(self, envelope):
        to = re.search(r"@d(\d+)\.", envelope.rcpt_tos[0])
        if not to:  # a report or a notice
            return None
        id = re.search(rb"^Received: .*(?:\r\n[ \t].*)* id ([0-9a-z]{13})", envelope.content, re.M).group(1).decode()
        domain = int(to.group(1))
        self.count[id] += 1
        if domain % 10 == 0:
            return "550 5.7.1 never"
        return "451 4.7.1 later" if domain % 3 == 0 and self.count[id] == 1 else None


def test_limit_and_history_over_a_killed_node():
    """One login at three nodes, of which one is killed: the next hop gets as many messages as the limit allows. Each has its whole history."""
    allowed = 120
    bed = Bed(3, limits=f'messages = [ "{allowed}/1d" ]; breaker = "off";')
    attempts = Attempts(bed.sink)
    load = Load(bed.relays)
    load.wait(30)
    bed.sink.gate.clear()
    wait_for(lambda: any(number_of(id) in bed.flying(3) for id in bed.sink.counts()), "messages at the next hop without an answer")
    bed.relays[2].kill_all()
    bed.sink.gate.set()
    bed.wait_state(3, "dead")
    over = lambda: {relay.port for relay, code, _ in load.refused if code == 450}
    wait_for(lambda: over() >= {relay.port for relay in bed.relays[:2]}, lambda: f"450 at both: {load.refused[-3:]}")
    ids = load.stop()
    bed.relays[0].retry_until(lambda: bed.database.sql("SELECT count(*) FROM open_message") == "0", "an empty queue")
    assert len(attempts.count) == allowed and attempts.count.keys() >= set(ids), (len(attempts.count), set(ids) - attempts.count.keys())
    for id, names in bed.events_of(attempts.count).items():
        said = collections.Counter(names)
        known, unknown = said["delivery.sent"] + said["delivery.deferred"] + said["delivery.failed"], said["delivery.unknown"]
        assert names[0] == "mail.accepted" and said["mail.accepted"] == 1, (id, names)
        assert names[-1] in ("delivery.sent", "mail.reported") and said["delivery.sent"] + said["mail.reported"] == 1, (id, names)
        assert known <= attempts.count[id] <= known + unknown, (id, attempts.count[id], names)
        assert said["mail.reported"] == said["delivery.failed"], (id, names)
    for id in ids[:1] + ids[-1:]:
        assert [e["event"] for e in bed.relays[1].events(id)] == bed.events_of([id])[id]


def refuses(relay, *words):
    relay.start(wait=False)
    code = relay.process.wait(LIMIT)
    relay.process = None
    assert code == 78, (code, relay.log_tail())
    for word in words:
        assert word in relay.log_since_start(), (word, relay.log_tail())


def test_two_versions():
    """A node starts beside others when it knows the tables well enough; else it ends with 78 and says who has which version."""
    bed = Bed(1)
    sql, other = bed.database.sql, Relay(bed.sink.port, extra=bed.store(), workers=1, start=False)
    own = sql("SELECT value FROM meta WHERE key = 'schema_version'")
    sql("UPDATE node SET schema = 99, host = 'elsewhere'; UPDATE meta SET value = '99' WHERE key IN ('schema_version', 'compatible_from')")
    refuses(other, f"schema {own}", "has 99 and needs 99 at least", "install a newer version", "1 (elsewhere, schema 99)")
    sql("UPDATE meta SET value = '0' WHERE key IN ('schema_version', 'compatible_from')")
    refuses(other, f"schema {own}", "has 0 and needs 0 at least", "posthouse store migrate", "1 (elsewhere, schema 99)")
    assert bed.nodes() == {1: ("up", 1)}  # the refused ones have changed nothing
    sql("UPDATE meta SET value = CASE key WHEN 'schema_version' THEN '99' ELSE '1' END WHERE key IN ('schema_version', 'compatible_from')")
    other.start()
    bed.relays.append(other)
    assert bed.nodes() == ALIVE
    ids = [relay.submit() for relay in bed.relays]
    assert bed.check(ids) == {}
    # a migration that an older node does not know ends the epochs of all nodes
    sql("UPDATE meta SET value = '99' WHERE key = 'compatible_from'; UPDATE node SET epoch = epoch + 1, state = 'dead' WHERE number = 2")
    other.wait_log("needs 99 at least")
    assert sql("SELECT state FROM node WHERE number = 2") == "dead"
    other.stop()
    assert bed.check([bed.relays[0].submit()]) == {}
