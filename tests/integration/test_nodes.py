"""Several nodes on one database: mail goes on whatever happens to one of them, and comes once."""
from nodes_bed import *


def test_any_node_delivers():
    """Mail is delivered by the node that looks after its lane, whoever has accepted it."""
    bed = Bed(2)
    load = Load(bed.relays)
    load.wait(60)
    ids = load.stop()
    assert bed.check(ids) == {}
    assert {node_of(id) for id in ids} == {1, 2} and load.refused == []
    for relay, number in zip(bed.relays, (1, 2)):
        assert {node_of(id) for id in bed.delivered_by(relay)} == {1, 2}, number


def load_with_mail_in_flight(bed):
    """The next hop has messages of the last node, and has not answered: gate.set() makes it answer."""
    load = Load(bed.relays)
    load.wait(30)
    bed.sink.gate.clear()
    load.wait(30)
    wait_for(lambda: any(number_of(id) in bed.flying(len(bed.relays)) for id in bed.sink.counts()), "messages at the next hop without an answer")
    return load


def kill_with_mail_in_flight(bed):
    """Load over all nodes, deliveries under way on the last one, which is killed. Gives the load and what was in flight there."""
    load = load_with_mail_in_flight(bed)
    bed.relays[-1].kill_all()
    flying = bed.flying(len(bed.relays))
    bed.sink.gate.set()
    return load, flying


def test_killed_node():
    """The others go on with its mail; what it had in flight comes later, as nobody knows what became of it."""
    bed = Bed(3)
    load, flying = kill_with_mail_in_flight(bed)
    assert flying
    bed.wait_state(3, "dead")
    assert any("event=node.dead" in relay.log_now() for relay in bed.relays[:2])
    bed.wait_balanced(2)
    load.wait(20)
    ids = load.stop()
    wait_for(lambda: bed.database.sql("SELECT count(*) FROM taken") == "0", "the dead node's mail given back")
    rows = [row.split("|") for row in bed.database.sql("SELECT message, tried, due_at, take_no FROM due").split()]
    later = {int(row[0]): int(row[2]) / 1000 - time.time() for row in rows if int(row[0]) in flying}
    assert later.keys() == flying.keys() and all(DUE - LIMIT < seconds <= DUE for seconds in later.values()), (flying, later)
    assert all(row[1] == "t" and int(row[3]) == flying[int(row[0])] for row in rows if int(row[0]) in flying), (flying, rows)
    wait_for(lambda: int(bed.database.sql("SELECT count(*) FROM due")) == len(flying), "all else delivered")
    twice = bed.check(ids, retry=True)
    assert twice and {number_of(id) for id in twice} <= flying.keys()


def test_killed_node_is_restarted():
    """With its own state_dir nobody has to guess: its mail is due at once, and it has the same number."""
    bed = Bed(2)
    load, flying = kill_with_mail_in_flight(bed)
    before = bed.nodes()[2]
    bed.relays[1].start()
    assert before == ("up", 1) and bed.nodes()[2] == ("up", 2), bed.nodes()
    ids = load.stop()
    twice = bed.check(ids)
    assert twice and {number_of(id) for id in twice} <= flying.keys()


def test_frozen_node():
    """It comes back when others have gone on: what the next hop has answered meanwhile it tells, and so nothing is delivered twice."""
    bed = Bed(2)
    load = load_with_mail_in_flight(bed)
    frozen = Frozen([bed.relays[1].process.pid, *bed.relays[1].pids()])
    flying = bed.flying(2)
    bed.sink.gate.set()
    bed.wait_state(2, "dead")
    wait_for(lambda: bed.database.sql("SELECT count(*) FROM taken WHERE node = 2") == "0", "given back")
    bed.wait_balanced(1)
    load.wait(20)
    frozen.go_on()
    bed.wait_state(2, "up")
    bed.wait_balanced(2)
    assert bed.nodes()[2] == ("up", 3)
    bed.relays[1].wait_log("event=node.lost")
    load.wait(20)
    ids = load.stop()
    assert flying and bed.check(ids) == {}
    unknown = [id for id, names in bed.events_of(ids).items() if "delivery.unknown" in names]
    assert {number_of(id) for id in unknown} <= flying.keys() and len(unknown) > 0, (unknown, flying)


def test_drained_node():
    """Its clients go elsewhere, its mail goes to the others, and what was under way there ends well."""
    bed = Bed(2)
    load = load_with_mail_in_flight(bed)
    bed.database.sql("UPDATE node SET state = 'draining' WHERE number = 2")
    bed.wait_balanced(1)
    wait_for(lambda: (bed.relays[1], 421) in [(relay, code) for relay, code, _ in load.refused], lambda: f"421: {load.refused[-3:]}")
    assert bed.flying(2) and bed.state(2) == "draining"
    bed.sink.gate.set()
    bed.wait_state(2, "drained")
    bed.relays[1].wait_log("event=node.drained")
    load.wait(20)
    assert bed.check(load.stop()) == {}


def test_database_restarts():
    """Clients are refused while it is away, and all goes on when it is back: after a restart, and after a crash."""
    bed = Bed(2)
    load = Load(bed.relays)
    for mode in ["fast", "immediate"]:
        load.wait(30)
        refused = len(load.refused)
        bed.database.stop(mode)
        wait_for(lambda: 451 in [code for _, code, _ in load.refused[refused:]], lambda: f"451: {load.refused[refused:]}")
        bed.database.start()
    load.wait(30)
    ids = load.stop()
    assert {code for _, code, _ in load.refused} == {451}, load.refused
    assert bed.check(ids) == {}
    assert bed.nodes() == {1: ("up", 1), 2: ("up", 1)}


def test_promoted_standby():
    """The primary dies. Nothing that was acknowledged is lost, and until the operator has decided what is to be waited for nothing is taken."""
    databases = Databases()
    store = f'''store = {{ engine = "postgresql"; durability = "standby"; password = "{databases.password}"; node_timeout = "10s"; patience = "3s";
connection = "{databases.connection}"; }};'''
    bed = Bed(2, databases, [store] * 2)
    load = Load(bed.relays)
    load.wait(60)
    databases.run("kill-primary")
    refused = len(load.refused)
    wait_for(lambda: len(load.refused) > refused, "refusals")
    databases.run("promote")
    lose = "the database would lose mail: synchronous_standby_names is empty"
    for relay in bed.relays:
        relay.wait_log("event=node.not_durable")
        wait_for(lambda: f"FAULT: the queue takes no mail: {lose}" in relay.command("status", check=False).stdout, "the reason in status", every=0.5)
        done = relay.command("queue", "list", check=False)
        assert done.returncode == 75 and lose in done.stderr, done
    for _ in range(2):  # in the first round there can still be answers on their way
        accepted, refused = len(load.accepted), len(load.refused)
        wait_for(lambda: {relay.port for relay, code, _ in load.refused[refused:] if code == 451} == {relay.port for relay in bed.relays},
                 lambda: f"451 at both: {load.refused[refused:]}")
    assert len(load.accepted) == accepted
    ids = load.stop()
    assert {code for _, code, _ in load.refused} == {451}, load.refused
    for relay in bed.relays:
        relay.stop()
        relay.write_config(extra=store.replace('"standby"', '"local"'))
        relay.start()
    assert bed.check([*ids, bed.relays[0].submit()]) == {}


def test_node_without_database():
    """It cannot know whether it still has its mail: no dot is sent past the horizon, and the other node delivers it."""
    database = Database()
    cable = Cable(database.port)
    near = database.settings(more='node_timeout = "10s";')
    bed = Bed(2, database, [near, database.settings("127.0.0.1", more='node_timeout = "10s";').replace(str(database.port), str(cable.port))])
    load = Load(bed.relays)
    load.wait(30)
    bed.sink.early.clear()
    load.wait(30)
    wait_for(lambda: bed.flying(2), "mail in flight")
    cable.whole.clear()
    bed.wait_state(2, "dead")
    wait_for(lambda: (bed.relays[1], 451) in [(relay, code) for relay, code, _ in load.refused], lambda: f"451: {load.refused[-3:]}")
    wait_for(lambda: not bed.flying(2), "given back")
    bed.sink.early.set()
    bed.relays[1].wait_log("event=delivery.past_horizon")
    bed.wait_balanced(1)
    bed.relays[0].retry_until(lambda: database.sql("SELECT count(*) FROM due WHERE tried") == "0", "all delivered by the other")
    cable.whole.set()
    bed.wait_state(2, "up")
    load.wait(20)
    assert bed.check(load.stop(), retry=True) == {}


def freeze_in_a_transaction(bed, relay, name):
    """Stop a node while the server has a transaction of its, which waits for its next words. Others hold a lock until it is stopped."""
    holds = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND xact_start IS NOT NULL AND wait_event_type = "
    while True:
        other = start_process(["psql", "-XAtq", "-h", bed.database.directory, "-p", bed.database.port, "-U", "postgres", "-d", "posthouse", "-c",
                               "SET application_name = 'test'; BEGIN; LOCK TABLE taken IN EXCLUSIVE MODE; SELECT pg_sleep(600)"])
        wait_for(lambda: bed.database.sql(holds + "'Lock'") != "0", "a transaction that waits for a lock")
        frozen = Frozen([relay.process.pid, *relay.pids()])
        bed.database.sql("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'test'")
        other.end()
        wait_for(lambda: bed.database.sql(holds + "'Lock'") == "0", "the end of the waiting")
        if bed.database.sql(holds + "'Client'") != "0":
            return frozen
        frozen.go_on()


def test_node_frozen_with_locks():
    """A transaction that nobody goes on with holds the node's row: the others have its connections ended, and then go on."""
    bed = Bed(2)
    load = Load(bed.relays)
    load.wait(30)
    frozen = freeze_in_a_transaction(bed, bed.relays[1], "posthouse/2/1")
    bed.wait_state(2, "dead")
    bed.relays[0].wait_log("event=node.terminated")
    bed.wait_balanced(1)
    load.wait(20)
    frozen.go_on()
    bed.wait_state(2, "up")
    assert bed.nodes()[2] == ("up", 3)
    load.wait(20)
    assert bed.check(load.stop(), retry=True) == {}
