"""posthouse store: a queue moves from SQLite into a database that several nodes share, and back."""
import contextlib
import sqlite3

from databases import *
from nodes_bed import number_of
from peers import Daemon
from test_postgresql import refused

USERS = (f"alice@{DOMAIN}", f"alice@{DOMAIN}/phone", f"web@{DOMAIN}")
TABLES = ["message", "recipient", "event", "transcript", "text", "text_chunk", "due", "lane", "open_message", "account", "bucket", "ban", "known"]
LIMITS = 'messages = [ "1000/1d" ]; recipients = [ "1000/1d" ]; new_recipients = [ "500/1d" ];'


def refuse(address):
    if address.startswith("late"):
        return "451 4.7.1 come back later"
    return "550 5.1.1 no such user" if address.startswith("gone") else None


def store(relay, verb, *arguments, code=0, environment=None):
    done = subprocess.run([relay.build / "posthouse", "-c", relay.conf, "store", verb, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, **(environment or {})))
    assert done.returncode == code, f"{verb}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def rows_read(text):
    """Of store --json: what was read, stored and there, by table."""
    return {d["of"]: (d["read"], d["stored"], d["there"]) for d in map(json.loads, text.splitlines()) if d["kind"] == "rows"}


def kept(directory, table):
    """The rows of a table in SQLite, as psql prints rows."""
    with contextlib.closing(sqlite3.connect(directory / "queue.db")) as db:
        return sorted("|".join(map(str, row)) for row in db.execute(f"SELECT * FROM {table}"))


def lines_of_accounts(directory):
    return sorted(line for line in (directory / "login/accounts").read_text().splitlines() if not line.startswith("#"))


class Filled:
    """A relay on SQLite with mail of all kinds, which was stopped."""

    def __init__(self):
        self.sink = Sink(rcpt=refuse)
        self.relay = relay = Relay(self.sink.port, users=USERS, retry='"1h"', limits=LIMITS)
        client = relay.connect()
        self.done = relay.submit(simple_message("delivered"), client=client)
        self.failed = relay.submit(simple_message("fails"), to=("gone@example.net",), client=client)
        self.late = relay.submit(simple_message("deferred"), to=("late1@example.net", "bob@example.net", "late2@example.org"), client=client)
        self.large = relay.submit(simple_message("large", ("x" * 70 + "\r\n") * 9000), to=("late@example.net",), client=client)
        assert client.mail(f"alice@{DOMAIN}", ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        client.command_encoding = "utf-8"
        assert client.rcpt("late.jürgen@bücher.example")[0] == 250
        self.foreign = client.data(simple_message("Grüße"))[1].decode().split()[-1]
        relay.wait_event(self.failed, "mail.reported")
        for id in (self.late, self.large, self.foreign):
            relay.wait_event(id, "delivery.deferred")
        self.held = relay.submit(simple_message("held"), to=("late@example.com",), client=client)
        relay.wait_event(self.held, "delivery.deferred")
        relay.command("queue", "hold", self.held, "--reason", "for the test")
        client.quit()
        wait_for(lambda: len(self.sink.messages) == 3, "two messages and a report")
        self.ids = [self.done, self.failed, self.late, self.large, self.foreign, self.held]
        self.seen = Seen(relay, self.ids)
        relay.stop()
        with sqlite3.connect(relay.dir / "state/queue.db") as db:
            until = int(time.time() + 86400) * 1000
            db.execute("INSERT INTO ban(key, level, until, reason, length) VALUES('192.0.2.7', 1, ?, 'guessed passwords', 86400000)", (until,))
        db.close()


class Seen:
    """What commands say of a queue."""

    def __init__(self, relay, ids):
        self.list = sorted(relay.queue(), key=lambda row: row["id"])
        self.traces = {id: relay.command("trace", id, "--all").stdout for id in ids}
        self.found = [sorted(relay.command("find", "--json", *selector).stdout.splitlines()) for selector in (
            ("--subject", "grüße"), ("--recipient", "late1"), ("--user", "alice"))]

    def agrees(self, other):
        assert self.list == other.list
        assert self.found == other.found and min(map(len, self.found)) == 2, (self.found, other.found)
        assert self.traces == other.traces


def test_import():
    """All of it, in a run that is killed twice and goes on each time; then a node delivers what waited, once."""
    filled = Filled()
    database = Database()
    node = Relay(filled.sink.port, retry='"1h"', limits=LIMITS, extra=database.settings(), users=(), start=False)
    directory = filled.relay.dir / "state"
    for point in ("transfer.before_commit:1", "transfer.after_commit:1"):
        store(node, "import", "--from", directory, code=-signal.SIGKILL, environment={"POSTHOUSE_CRASH": point})
    rows = rows_read(store(node, "import", "--from", directory, "--json"))
    assert rows["message"] == (7, 7, 0) and rows["large text"] == (1, 1, 0) and rows["account"] == (3, 3, 0), rows
    assert all(stored == read > 0 and there == 0 for name, (read, stored, there) in rows.items() if name != "gate"), rows
    count = "SELECT " + ",".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    before = database.sql(count)
    assert rows_read(store(node, "import", "--from", directory, "--json")) == rows and database.sql(count) == before
    for table in ("bucket", "ban", "known"):
        assert sorted(database.sql(f"SELECT * FROM {table}").splitlines()) == kept(directory, table), table
    node.start()
    filled.seen.agrees(Seen(node, filled.ids))
    assert sorted(database.sql("SELECT line FROM account").splitlines()) == lines_of_accounts(directory)
    assert database.sql("SELECT value FROM meta WHERE key = 'accounts'") == "1"
    store(node, "import", "--from", directory)  # also while a node runs
    del filled.sink.messages[:]
    filled.sink.rcpt = None
    node.command("queue", "release", filled.held)
    node.retry_until(lambda: sum(len(m.recipients) for m in filled.sink.messages) >= 5, "all that waited")
    node.wait_empty()
    assert sorted(r for m in filled.sink.messages for r in m.recipients) == sorted(
        ["late1@example.net", "late2@example.org", "late@example.net", "late.jürgen@xn--bcher-kva.example", "late@example.com"]), filled.sink.messages
    assert max(len(m.bytes) for m in filled.sink.messages) > 600000
    node.wait_event(filled.large, "delivery.sent")


def test_import_is_refused():
    """While a relay runs on the directory, of a directory that is none, without a database, and into one that changes what it gets."""
    relay, database = Relay(1), Database()
    node = Relay(1, extra=database.settings(), users=(), start=False)
    relay.submit(simple_message("waits", ("x" * 70 + "\r\n") * 9000))
    store(node, "import", "--from", relay.dir / "state", code=69)
    relay.stop()
    store(node, "import", "--from", node.dir, code=78)
    store(node, "import", code=64)
    store(relay, "import", "--from", relay.dir / "state", code=78)

    store(node, "migrate")
    for table, column in (("message", "device"), ("text_chunk", "bytes"), ("account", "device")):  # what is stored is not what was given
        database.sql("CREATE OR REPLACE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS"
                     f" $$ BEGIN NEW.{column} := NEW.{column} || 'x'; RETURN NEW; END $$")
        database.sql(f"CREATE TRIGGER change BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION change()")
        store(node, "import", "--from", relay.dir / "state", code=65)
        assert database.sql(f"SELECT count(*) FROM {table}") == "0"
        database.sql(f"DROP TRIGGER change ON {table}")
    store(node, "import", "--from", relay.dir / "state")


def test_ids_of_others():
    """A message whose id is another's in the database gets a new one, and its history says so; one that is there is not stored again."""
    sink = Sink(rcpt=refuse)
    relay = Relay(sink.port, retry='"1h"')
    ids = [relay.submit(simple_message(f"number {i}"), to=("late@example.net",)) for i in range(3)]
    relay.stop()
    database = Database()
    node = Relay(sink.port, retry='"1h"', extra=database.settings(), users=())
    copy = node.dir / "copy"
    shutil.copytree(relay.dir / "state", copy)
    store(node, "import", "--from", copy)
    for directory in (copy, relay.dir / "state"):
        with sqlite3.connect(directory / "queue.db") as db:
            db.execute("UPDATE meta SET value = value || ? WHERE key = 'instance'", (directory.name,))  # as if nothing was imported so far
            if directory == copy:
                db.execute("UPDATE message SET token = token / 2 WHERE id = ?", (number_of(ids[1]),))
        db.close()
    rows = rows_read(store(node, "import", "--from", relay.dir / "state", "--json"))
    assert rows["message"] == (3, 0, 3) and rows["recipient"] == (3, 0, 0), rows
    documents = [json.loads(line) for line in store(node, "import", "--from", copy, "--json").splitlines()]
    assert documents[0]["kind"] == "copied" and documents[0]["renumbered"] == 1, documents
    listed = {row["id"] for row in node.queue()}
    [other] = listed - set(ids)
    assert listed > set(ids) and len(listed) == 4
    assert [e["fields"]["before"] for e in node.events(other) if e["event"] == "mail.renumbered"] == [ids[1]], node.events(other)


def test_export():
    """There and back: a relay on SQLite says of all mail what it said before. The database is closed then, until it is opened again."""
    filled, database = Filled(), Database()
    node = Relay(filled.sink.port, retry='"1h"', limits=LIMITS, extra=database.settings(more='node_timeout = "10s";'), users=(), start=False)
    store(node, "import", "--from", filled.relay.dir / "state")
    node.start()
    store(node, "export", "--to", node.dir / "new", code=69)
    node.stop()
    for point in ("transfer.before_commit:1", "transfer.after_commit:1"):
        store(node, "export", "--to", node.dir / "new", code=-signal.SIGKILL, environment={"POSTHOUSE_CRASH": point})
        assert not (node.dir / "new/queue.db").exists()
    rows = rows_read(store(node, "export", "--to", node.dir / "new", "--json"))
    assert rows["message"] == (7, 7, 0) and rows["large text"] == (1, 1, 0) and rows["account"] == (3, 3, 0), rows
    store(node, "export", "--to", node.dir / "new", code=65)
    for table in ("bucket", "ban", "known"):
        assert kept(node.dir / "new", table) == kept(filled.relay.dir / "state", table), table
    assert refused_to_start(node, "exported to")
    store(node, "import", "--from", filled.relay.dir / "state", code=78)

    back = filled.relay
    (back.dir / "state").rename(back.dir / "old")
    (node.dir / "new").rename(back.dir / "state")
    back.start()
    filled.seen.agrees(Seen(back, filled.ids))
    assert lines_of_accounts(back.dir / "state") == lines_of_accounts(back.dir / "old")
    del filled.sink.messages[:]
    filled.sink.rcpt = None
    back.command("queue", "release", filled.held)
    back.retry_until(lambda: sum(len(m.recipients) for m in filled.sink.messages) >= 5, "all that waited")
    back.wait_empty()
    assert sum(len(m.recipients) for m in filled.sink.messages) == 5
    back.submit(simple_message("a new one"))
    assert json.loads(store(node, "restored", "--json"))["exported"] == str(node.dir / "new")
    node.start()


def refused_to_start(node, why):
    node.start(wait=False)
    code = node.process.wait(LIMIT)
    assert code == 78 and why in node.log_since_start(), (code, node.log_tail())
    node.process = None
    return True


def checked(relay, code=0):
    """Of store check: the result and the text of each finding."""
    documents = [json.loads(line) for line in store(relay, "check", "--json", code=code).splitlines()]
    return {d["id"]: (d["result"], d["text"]) for d in documents if d["kind"] == "finding"}


def complaint(relay, verb, code):
    """What a command that fails says."""
    done = subprocess.run([relay.build / "posthouse", "-c", relay.conf, "store", verb], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == code and re.search("^posthouse: ", done.stderr, re.M), done
    return done.stderr


def disguised(port, change):
    """In front of a server: what it says is changed. Gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
            threading.Thread(target=pass_on, args=(server, client, change), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_check():
    """What is well is said to be, and what would lose mail, keeps nodes out or makes them slow is found; also while no commit ends."""
    database = Database()

    def configure(statement, name, value):
        database.sql(f"ALTER SYSTEM {statement}")
        database.sql("SELECT pg_reload_conf()")
        wait_for(lambda: database.sql(f"SHOW {name}") == value, f"{name} = {value}")

    node = Relay(1, extra=database.settings(), users=(), start=False)
    found = checked(node)
    assert found["schema"][0] == "warning" and found["autovacuum"][0] == "warning" and "node" not in found, found
    assert {found[id][0] for id in ("server", "pooler", "durability")} == {"ok"} and str(database.port) in found["server"][1], found
    configure("SET autovacuum_naptime = '15s'", "autovacuum_naptime", "15s")
    migrated = [json.loads(store(node, "migrate", "--json")) for _ in range(2)]
    own = int(database.sql("SELECT value FROM meta WHERE key = 'schema_version'"))
    assert migrated == [{"kind": "migrated", "from": before, "to": own} for before in (0, own)], migrated
    assert "nothing is to be done" in store(node, "migrate")
    assert {result for result, _ in checked(node).values()} == {"ok"}
    database.sql("ALTER ROLE posthouse SET log_statement = 'mod'")
    assert "log_parameter_max_length = 0" in checked(node)["logging"][1]
    database.sql("ALTER ROLE posthouse RESET ALL")
    node.start()
    found = checked(node)
    assert {result for result, _ in found.values()} == {"ok"} and "up, epoch 1" in found["node"][1] and "dead_rows" in found, found
    assert store(node, "check").splitlines()[0].startswith("ok       server      PostgreSQL ")
    node.stop()
    database.sql("INSERT INTO node SELECT number + n, n, 1, 1, 'up', 1, n, 0, 'mx', 0 FROM node, generate_series(1, 2) n")
    assert checked(node)["config"][0] == "warning"
    database.sql("DELETE FROM node WHERE number > 1; UPDATE node SET state = 'dead'")
    assert checked(node)["node"][0] == "warning"

    safe = Relay(1, extra=database.settings(durability="standby"), users=(), start=False)
    assert checked(safe, code=1)["durability"][0] == "error"
    configure("SET synchronous_standby_names = 'nobody'", "synchronous_standby_names", "nobody")
    found = checked(safe, code=1)
    assert found["durability"][0] == "ok" and found["standby"][0] == "error", found
    assert "no standby is connected" in complaint(safe, "migrate", 69) and "no standby is connected" in complaint(safe, "restored", 69)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"
    assert database.sql(waiting) == "0", "a commit was tried"
    configure("RESET synchronous_standby_names", "synchronous_standby_names", "")
    configure("SET fsync = off", "fsync", "off")
    assert "fsync" in checked(node, code=1)["durability"][1]
    configure("RESET fsync", "fsync", "on")

    def behind(change):
        settings = database.settings("127.0.0.1", "sslmode=disable").replace(f"port={database.port}", f"port={disguised(database.port, change)}")
        return Relay(1, extra=settings, users=(), start=False)
    old = behind(lambda data: re.sub(rb"server_version\0\d\d", b"server_version\x0014", data))
    assert "the server is PostgreSQL 14." in complaint(old, "check", 78)
    assert refused_to_start(old, "15 or a newer one is needed")
    database.sql("UPDATE meta SET value = '99'; INSERT INTO meta VALUES('exported', '/there')")
    assert "install a newer version" in checked(node, code=1)["schema"][1]
    store(node, "migrate", code=78)
    database.sql(f"UPDATE meta SET value = '{own}' WHERE key IN ('schema_version', 'compatible_from')")
    assert "/there" in checked(node, code=1)["exported"][1]
    database.stop()
    store(node, "check", code=69)
    store(Relay(1, start=False), "check", code=78)


class Pooler(Daemon):
    """PgBouncer in front of a database."""

    def __init__(self, database, mode):
        super().__init__("pgbouncer")
        self.port = free_port()
        (self.dir / "ini").write_text(f"""[databases]
posthouse = host=127.0.0.1 port={database.port} user=posthouse password='{database.password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
""")
        self.run(["pgbouncer", *(["-u", "postgres"] if os.geteuid() == 0 else []), "ini"])
        self.ready(lambda: "process up" in self.log())


def test_poolers():
    """Nothing works behind one that gives connections to others: a node says so and ends, and so do the commands; check finds it."""
    database = Database()
    for mode in ("transaction", "session"):
        pooler = Pooler(database, mode)
        behind = Relay(1, extra=database.settings("127.0.0.1", "sslmode=disable").replace(f"port={database.port}", f"port={pooler.port}"),
                       users=(), start=False)
        for _ in range(2):  # the second one gets the connection of the first
            found = checked(behind, code=1)
            assert found["server"][0] == "ok" and found["pooler"][0] == "error" and len(found) == 2, found
        store(behind, "migrate", code=78)
        refused(behind, "a pooler is between")
        assert database.sql("SELECT count(*) FROM pg_class WHERE relname = 'meta'") == "0"


def test_tables_of_others():
    """A database that another program uses, or another role: what is wrong is said, and when it is mended all goes on."""
    database = Database()
    node = Relay(1, extra=database.settings(), users=(), start=False)
    for table in ("meta", "message"):
        database.sql(f"CREATE TABLE {table}(a int)")
        found = checked(node, code=1)
        assert found["schema"][0] == "error" and "Posthouse alone" in found["schema"][1], found
        assert "of Posthouse alone" in complaint(node, "migrate", 78 if table == "meta" else 69)
        node.start(wait=False)
        assert node.process.wait(LIMIT) == (78 if table == "meta" else 75) and "of Posthouse alone" in node.log_since_start(), node.log_tail()
        node.process = None
        database.sql(f"DROP TABLE {table}")
    database.sql("ALTER DATABASE posthouse OWNER TO postgres")
    assert "search_path" in checked(node, code=1)["rights"][1]
    assert "permission denied" in complaint(node, "migrate", 69)
    database.sql("ALTER DATABASE posthouse OWNER TO posthouse")
    store(node, "migrate")


def test_restored():
    """A node does not start on a database that is older than what it has seen, or on another one, until an administrator says that it is so."""
    database = Database()
    node = Relay(1, extra=database.settings(more='node_timeout = "10s";'), users=())
    store(node, "restored", code=69)
    backup = database.sql("SELECT epoch FROM node")
    node.stop()
    node.start()
    node.stop()
    database.sql(f"UPDATE node SET epoch = {backup}")  # as a backup of then has it
    assert refused_to_start(node, "posthouse store restored")
    generation = json.loads(store(node, "restored", "--json"))["generation"]
    assert generation > 1
    node.start()
    node.stop()
    assert str(generation) in (node.dir / "state/node").read_text()
    database.sql("UPDATE meta SET value = '1' WHERE key = 'generation'")
    assert refused_to_start(node, "older than what this node has seen")
    store(node, "restored")
    node.start()
    node.stop()
    database.sql("UPDATE meta SET value = 'another' WHERE key = 'history'")
    assert refused_to_start(node, "another database")
    os.unlink(node.dir / "state/node")
    node.start()


def test_restored_under_a_node():
    """A node that was cut off while the database was restored is out, with all that it still has."""
    database = Database()
    node = Relay(1, extra=database.settings(more='node_timeout = "10s";'))
    client = node.connect()
    database.sql("UPDATE meta SET value = '2' WHERE key = 'generation'; UPDATE meta SET value = 'another' WHERE key = 'history';"
                 " UPDATE node SET epoch = epoch + 1, state = 'dead'")
    node.wait_log("event=node.lost")
    wait_for(lambda: client.mail(f"alice@{DOMAIN}")[0] == 451 or client.rset() is None, "451")
    assert database.sql("SELECT state, epoch FROM node") == "dead|2"
    node.stop()
    assert database.sql("SELECT state, epoch FROM node") == "dead|2"
    node.start()
    assert database.sql("SELECT state, epoch FROM node") == "up|3"


def test_check_of_standbys():
    """A standby whose name no commit waits for is found before anything is committed, by a role that sees little of standbys."""
    databases = Databases()
    settings = f'''store = {{ engine = "postgresql"; password = "{databases.password}"; connection = "{databases.connection}"; }};'''
    node = Relay(1, extra=settings, users=(), start=False)

    def standby(names, code=0):
        databases.admin("primary", f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        databases.admin("primary", "SELECT pg_reload_conf()")
        wait_for(lambda: databases.admin("primary", "SHOW synchronous_standby_names") == names, names)
        return checked(node, code=code)["standby"]

    for names in ["DB2", 'ANY 1 ("db2", "db-3")', "*"]:
        assert standby(names) == ("ok", f"1 connected (db2), synchronous_standby_names = '{names}'")
    assert "waits for 2 of these names, and 1 of them follow" in standby("FIRST 2 (db2, db3)", code=1)[1]
    assert "waits for 1 of these names, and 0 of them follow; who follows is called db2" in standby("ANY 1 (db20, walreceiver)", code=1)[1]
    assert "no commit ends" in complaint(node, "migrate", 69)  # no commit was tried
    assert checked(node, code=1)["host"] == ("ok", f"localhost port {databases.ports['db2']}: it is a standby")


def test_check_of_hosts():
    """A host that is of no use is found before the failover to it; a second primary is told of too."""
    databases = Databases()

    def hosts(ports, code):
        connection = databases.connection.replace("localhost,localhost", ",".join(["localhost"] * len(ports)))
        settings = re.sub("port=[0-9,]*", f"port={','.join(map(str, ports))}", connection)
        node = Relay(1, extra=f'''store = {{ engine = "postgresql"; password = "{databases.password}"; connection = "{settings}"; }};''',
                     users=(), start=False)
        done = [json.loads(line) for line in store(node, "check", "--json", code=code).splitlines()]
        return [(d["result"], d["text"]) for d in done if d.get("id") == "host"]

    one, two = databases.ports["db1"], databases.ports["db2"]
    wrong, right = hosts([free_port(), one, two], 0)
    assert wrong[0] == "warning" and "Connection refused" in wrong[1] and right == ("ok", f"localhost port {two}: it is a standby"), (wrong, right)
    databases.run("promote")
    for ports in ([one, two], [two, one]):
        found = hosts(ports, 1)
        assert len(found) == 1 and found[0][0] == "warning" and found[0][1].startswith(f"localhost port {one}: it takes writes too"), found
