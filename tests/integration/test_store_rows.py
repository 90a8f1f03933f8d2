"""posthouse store import and export, row by row: what SQLite can hold comes back from a database as it was, and nothing comes twice."""
import contextlib
import sqlite3
import stat

from databases import *
from nodes_bed import DIGITS, number_of
from test_store_transfer import rows_read, store

SOURCES = pathlib.Path(__file__).resolve().parent.parent.parent / "src/store"
DAY = 86400000
NOW = int(time.time()) * 1000


def columns_copied():
    """What columns.def says: table to columns, without values that each side keeps in its own way."""
    copied = {}
    for table, column in re.findall(r"^COLUMN\((\w+), (\w+),", (SOURCES / "transfer/columns.def").read_text(), re.M):
        copied.setdefault(table, []).append(column)
    return copied


def id_text(id):
    return "".join(DIGITS[id >> 5 * i & 31] for i in reversed(range(13)))


@contextlib.contextmanager
def opened(directory):
    with contextlib.closing(sqlite3.connect(directory / "queue.db")) as db:
        db.text_factory = bytes
        with db:
            yield db


class Queue:
    """The state_dir of a relay with SQLite that was stopped, to be filled with rows."""

    def __init__(self, **more):
        self.relay = Relay(1, **more)
        self.relay.stop()
        self.directory = self.relay.dir / "state"

    def add(self, db, table, **values):
        texts = ["CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in values.values()]
        db.execute(f"INSERT INTO {table}({','.join(values)}) VALUES({','.join(texts)})",
                   [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in values.values()])

    def message(self, db, id, waiting=1, **values):
        """A message whose recipients wait, with an event and its text."""
        row = dict(id=id, token=id + 1, kind=0, parent=0, received_at=NOW, expires_at=NOW + 5 * DAY, warn_at=0, release_at=None, login="alice",
                   device="", origin="", sender="a@example.org", envid="", ret=0, body=0, utf8=0, options=0, priority=0, deliver_by=None,
                   deliver_by_mode=None, sign_domain="", subject="", message_id="", size=5, header_size=3, place=1, recipients=waiting,
                   open=waiting, held=None, finished_at=None, prefix=b"")
        self.add(db, "message", **(row | values))
        if (row | values)["place"] == 1:
            self.add(db, "text", id=id, bytes=b"a: b\n")
        self.add(db, "event", message=id, seq=1, n=0, at=NOW, name="mail.accepted", fields=f"size_bytes={id}")
        for n in range(1, waiting + 1):
            self.recipient(db, id, n)

    def recipient(self, db, id, n, lane=("example.net", "alice", 0, "", 0), **values):
        row = dict(message=id, n=n, address=f"b{n}@example.net", orcpt="", notify=0, state=1, due_at=NOW + DAY, attempts=0, deaths=0, reported=0,
                   removing=0) | values
        if row["state"] == 1:
            row["lane"] = self.lane(db, *lane)
        self.add(db, "recipient", **(dict(lane=0) | row))

    def lane(self, db, domain, login, priority, via, wish):
        where = "domain = CAST(? AS TEXT) AND login = CAST(? AS TEXT) AND priority = ? AND via = ? AND wish = ?"
        values = domain.encode(), login.encode(), priority, via, wish
        if not db.execute(f"SELECT id FROM lane WHERE {where}", values).fetchone():
            self.add(db, "lane", domain=domain, login=login, priority=priority, via=via, wish=wish, next_at=0)
        return db.execute(f"SELECT id FROM lane WHERE {where}", values).fetchone()[0]


def a_node(database):
    return Relay(1, extra=database.settings(more='node_timeout = "10s";'), users=(), start=False)


def test_columns():
    """Each column of both engines is copied, or is known to follow from others: a new one is not forgotten."""
    queue, database = Queue(), Database()
    node = a_node(database)
    store(node, "migrate")
    copied = {(table, column) for table, columns in columns_copied().items() for column in columns}
    with opened(queue.directory) as db:
        sqlite = {(table.decode(), column.decode()) for table, column in db.execute(
            "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'")}
    base = {tuple(row.split("|")) for row in database.sql(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ '_[0-9]{8}$'").split()}
    follow = {"lane", "counter", "meta"}
    left = {(table, column) for table, column in sqlite - copied if table not in follow | {"unsearched", "word", "block"}}
    assert left == {("recipient", "due_at"), ("recipient", "lane"), ("gate", "rcptmax")}, left
    left = {(table, column) for table, column in base - copied
            if table not in follow | {"open_message", "due", "taken", "marked", "report_due", "node", "shard", "gate_slot", "text_chunk"}}
    assert left == {("recipient", "lane"), ("recipient", "take_no")}, left  # a take is of this database
    assert copied - sqlite == {("account", column) for column in ("name", "device", "line")} and copied <= base


class Chance:
    """Values of all kinds that a column can have."""

    def __init__(self):
        self.seed = random.randrange(2**32)
        print(f"seed {self.seed}")
        self.random = random.Random(self.seed)

    def one_of(self, *values):
        return self.random.choice(values)

    def number(self):
        return self.one_of(0, 1, -1, 2**63 - 1, -2**63, self.random.randrange(-2**63, 2**63))

    def text(self):
        return self.one_of("", "NULL", '{"a",\\b}', "Grüße \U0001f600", "a\0b", b"\xff\xfe \xc3".decode("utf-8", "surrogateescape"), "\n\t\x7f'", "x" * 3000)

    def bytes(self):
        return self.one_of(b"", b"\0\xff\r\n", self.random.randbytes(40), self.random.randbytes(70000))


def fill(queue, chance):
    """Messages of several days, in all states, one with so many recipients that it is a page; all that limits and next hops keep."""
    kinds = dict(received_at=chance.number, expires_at=chance.number, login=chance.text, device=chance.text, origin=chance.text, sender=chance.text,
                 envid=chance.text, sign_domain=chance.text, subject=chance.text, message_id=chance.text, prefix=chance.bytes, token=chance.number)
    states = dict(address=chance.text, orcpt=chance.text, enhanced=chance.text, reply=chance.text, remote=chance.text, route=chance.text, tls=chance.text,
                  last_at=chance.number, meaning=chance.number)
    days = [(NOW - day * DAY << 21) + 1 for day in (0, 1, 400)] + [3]
    with opened(queue.directory) as db:
        for i in range(250):
            id, many = days[i % 4] + (i << 22), 1000 if i % 50 == 0 else i % 4
            place = 2 if i % 10 == 5 else chance.one_of(0, 1, 1)
            queue.message(db, id, 0, **{name: value() for name, value in kinds.items()}, kind=chance.one_of(0, 1, 4), parent=chance.one_of(0, days[0]),
                          warn_at=chance.one_of(0, NOW), release_at=chance.one_of(None, NOW + DAY), ret=i % 3, body=i % 4, utf8=i % 2, options=i % 8,
                          priority=i % 19 - 9, deliver_by=chance.one_of(None, NOW), deliver_by_mode=chance.one_of(None, 1, 2), size=300000 if place == 2 else 5,
                          place=place, recipients=many, open=many, held=chance.one_of(None, chance.text()),
                          finished_at=NOW if place == 0 else None)
            if place == 2:
                (queue.directory / "large").mkdir(exist_ok=True)
                (queue.directory / "large" / id_text(id)).write_bytes(chance.random.randbytes(300000))
            for n in range(1, many + 1):
                queue.recipient(db, id, n, (f"d{n % 7}.example", chance.one_of("alice", "é"), chance.one_of(-9, 0, 9), chance.one_of("", "up"), n % 3),
                                **{name: value() for name, value in states.items()}, state=chance.one_of(3, 5, 6, 7, 8) if place == 0 else n % 8 + 1,
                                due_at=chance.one_of(0, NOW, NOW + DAY), notify=n % 8, attempts=n % 5, deaths=n % 3, reported=chance.one_of(0, 1, 8, 15),
                                removing=chance.one_of(0, 0, 1, 2), via=chance.one_of("", "up"), code=chance.one_of(None, 250, 451),
                                **{"class": chance.one_of(None, 0, 1, 2)})
                if n % 3 == 0:
                    queue.add(db, "transcript", message=id, n=n, at=NOW, lines=chance.text())
            for seq in range(2, 5):
                queue.add(db, "event", message=id, seq=seq, n=seq, at=chance.number(), name=f"event.{seq}", fields=chance.text())
        for i in range(2500):  # more than a page
            queue.add(db, "known", login=f"login {i % 3}", hash=chance.random.randrange(-2**63, 2**63), last_at=NOW)
        for i, text in enumerate(("", "é", '"', "192.0.2.1", "x" * 300)):
            queue.add(db, "bucket", key=text, rule=f"rule {i}", tat_us=chance.number(), warned_at=NOW)
            queue.add(db, "ban", key=text, level=i, until=NOW, reason=chance.text(), length=i)
            queue.add(db, "gate", name=text, down_until=NOW, failures=i, reason=chance.text(), last_ok_at=chance.number(), pause=i, told=chance.number())
        db.execute("UPDATE counter SET lanes=(SELECT count(*) FROM lane),open_messages=(SELECT count(*) FROM message WHERE finished_at IS NULL),"
                   + ",".join(f"{name}=(SELECT count(*) FROM recipient WHERE state={state})" for name, state in (("waiting", 1), ("held", 2), ("failed", 4))))


def everything(directory):
    """All rows, by table, as they are expected behind a database, which has no NUL in a text; and the large texts."""
    with opened(directory) as db:
        found = {}
        for table, columns in columns_copied().items():
            if table == "account":
                continue
            types = dict((name.decode(), type) for _, name, type, *_ in db.execute(f"PRAGMA table_info({table})"))
            rows = db.execute(f"SELECT {','.join(columns)} FROM {table} ORDER BY 1, 2")
            found[table] = [tuple(value.replace(b"\0", b" ") if types[column] == b"TEXT" and value else value for column, value in zip(columns, row))
                            for row in rows]
        found["lanes"] = db.execute("SELECT r.message, r.n, r.due_at, l.domain, l.login, l.priority, l.via, l.wish FROM recipient r"
                                    " LEFT JOIN lane l ON l.id = r.lane WHERE r.state = 1 ORDER BY 1, 2").fetchall()
        found["early"] = db.execute("SELECT l.domain FROM lane l WHERE next_at > (SELECT min(due_at) FROM recipient WHERE state = 1 AND lane = l.id)"
                                    ).fetchall()
        found["counters"] = db.execute("SELECT open_messages, waiting, held, failed FROM counter").fetchall()
    found["large"] = {path.name: path.read_bytes() for path in (directory / "large").iterdir()}
    return found


def test_there_and_back():
    """All rows of all tables, through a database: no value is lost on the way, however odd, also in runs that are killed."""
    queue, database, chance = Queue(), Database(), Chance()
    fill(queue, chance)
    before = everything(queue.directory)
    assert min(map(len, (rows for name, rows in before.items() if name != "early"))) > 0 and len(before["recipient"]) > 5000
    node = a_node(database)
    store(node, "import", "--from", queue.directory, code=-signal.SIGKILL, environment={"POSTHOUSE_CRASH": "transfer.after_commit:2"})
    rows = rows_read(store(node, "import", "--from", queue.directory, "--json"))
    assert rows["message"] == (250, 250, 0) and rows["known"] == (2500, 2500, 0), rows
    waits = "(SELECT count(*) FROM recipient WHERE state = 1)"
    due = database.sql(f"SELECT (SELECT count(*) FROM due) - {waits}, (SELECT sum(waiting) FROM counter) - {waits},"
                       " (SELECT count(*) FROM open_message) - (SELECT count(*) FROM message WHERE finished_at IS NULL),"
                       " (SELECT count(*) FROM report_due WHERE kind = 1) - (SELECT count(*) FROM recipient WHERE state = 4),"
                       " (SELECT count(*) FROM report_due WHERE kind = 3) - (SELECT count(*) FROM recipient WHERE reported & 8 = 8),"
                       " (SELECT count(*) FROM marked) - (SELECT count(*) FROM recipient WHERE removing > 0),"
                       " (SELECT count(*) FROM due d JOIN lane l ON l.id = d.lane WHERE l.next_at > d.due_at)")
    assert due == "0|0|0|0|0|0|0", due
    new = node.dir / "new"
    store(node, "export", "--to", new, code=-signal.SIGKILL, environment={"POSTHOUSE_CRASH": "transfer.after_commit:3"})
    store(node, "export", "--to", new)
    after = everything(new)
    for name, rows in before.items():
        assert len(rows) == len(after[name]), (name, len(rows), len(after[name]))
        different = [(a, b) for a, b in zip(rows, after[name]) if a != b] if name != "large" else rows != after[name]
        assert not different, (name, different[:3])
    assert stat.S_IMODE((new / "queue.db").stat().st_mode) == 0o600


def test_source_that_changed():
    """A relay that was started again after its queue was copied: a second import would leave its new mail out without a word, and is refused."""
    queue, database = Queue(), Database()
    node, ids = a_node(database), [(NOW - DAY << 21) + i for i in range(4)]
    with opened(queue.directory) as db:
        for id in ids[:3]:
            queue.message(db, id)
        db.execute("UPDATE counter SET open_messages = 3, waiting = 3")
    store(node, "import", "--from", queue.directory)
    store(node, "import", "--from", queue.directory)  # nothing has changed
    with opened(queue.directory) as db:
        queue.message(db, ids[3])
    assert "empty database" in refusal(node, "import", "--from", queue.directory)
    with opened(queue.directory) as db:
        for table, column in (("message", "id"), ("event", "message"), ("recipient", "message"), ("text", "id")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (ids[3],))
    store(node, "import", "--from", queue.directory)
    with opened(queue.directory) as db:
        db.execute("UPDATE counter SET waiting = 2")
    assert "empty database" in refusal(node, "import", "--from", queue.directory)
    assert database.sql("SELECT count(*) FROM message") == "3"


def refusal(node, *arguments):
    """Why a command is not carried out."""
    done = subprocess.run([node.build / "posthouse", "-c", node.conf, "store", *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode in (65, 73, 78) and done.stdout == "", (done.returncode, done.stdout, done.stderr)
    return done.stderr


def test_ids_of_others_in_one_page():
    """New ids differ from each other too; a row whose message is gone comes to no other message."""
    first, second, database = Queue(), Queue(), Database()
    node, ids = a_node(database), [(NOW - DAY << 21) + i for i in (0, 1, 2, 7)]
    for queue, other in ((first, 0), (second, 1)):
        with opened(queue.directory) as db:
            for id in ids:
                queue.message(db, id, token=id + other, parent=other)
            queue.add(db, "event", message=ids[2] + 1, seq=1, n=0, at=NOW, name="mail.accepted", fields="of=nothing")
            queue.add(db, "recipient", message=ids[2] + 1, n=1, lane=0, address="nobody@example.net", orcpt="", notify=0, state=3, due_at=0, attempts=0,
                      deaths=0, reported=0, removing=0)
        store(node, "import", "--from", queue.directory)
    expected = "\n".join(map(str, ids))
    assert database.sql("SELECT id FROM message WHERE parent = 0 ORDER BY id") == expected
    others = list(map(int, database.sql("SELECT id FROM message WHERE parent = 1").split()))
    assert len(set(others)) == 4 and not set(others) & set(ids) and {id >> 17 for id in others} == {ids[0] >> 17}, others
    found = database.sql("SELECT m.id, e.fields FROM message m JOIN event e ON e.message = m.id AND e.name = 'mail.accepted'").split()
    assert sorted(field.split("=")[1] for _, field in (row.split("|") for row in found)) == sorted(map(str, 2 * ids)), found
    assert database.sql("SELECT count(*) FROM recipient") == "8"
    before = database.sql("SELECT fields FROM event WHERE name = 'mail.renumbered' ORDER BY fields").split()
    assert before == [f"before={id_text(id)}" for id in ids]


def test_reports_of_messages_with_new_ids():
    """A report names its message by the id that this has now, on another page too, and after a run that was killed between them."""
    first, second, database = Queue(), Queue(), Database()
    node, ids = a_node(database), [(NOW - DAY << 21) + i for i in range(300)]
    message, untouched, gone = ids[0], ids[1], ids[0] - 1
    with opened(first.directory) as db:
        for id in (message, gone, message + 300):  # the first new id of no message of the source is in use too
            first.message(db, id)
    parents = {ids[2]: message, ids[3]: untouched, ids[4]: gone, ids[298]: message, ids[299]: untouched}
    with opened(second.directory) as db:
        for id in ids:
            second.message(db, id, token=id + 7, kind=int(id in parents), parent=parents.get(id, 0))
    store(node, "import", "--from", first.directory)
    store(node, "import", "--from", second.directory, code=-signal.SIGKILL, environment={"POSTHOUSE_CRASH": "transfer.after_commit:1"})
    store(node, "import", "--from", second.directory)
    new = int(database.sql(f"SELECT message FROM event WHERE name = 'mail.renumbered' AND fields = 'before={id_text(message)}'"))
    assert new == message + 301, (new, message)
    found = dict(tuple(map(int, row.split("|"))) for row in database.sql("SELECT id, parent FROM message WHERE parent <> 0").split())
    assert found == parents | {ids[2]: new, ids[298]: new}, found


def test_exported_twice():
    """What was exported is not exported elsewhere, or on to a part of before the database was opened again: its mail would be delivered twice."""
    queue, database = Queue(), Database()
    with opened(queue.directory) as db:
        for i in range(3):
            queue.message(db, (NOW - DAY << 21) + i)
    node = a_node(database)
    store(node, "import", "--from", queue.directory)
    parts = [node.dir / name for name in ("one", "two", "three")]
    store(node, "export", "--to", parts[0], code=-signal.SIGKILL, environment={"POSTHOUSE_CRASH": "transfer.after_commit:1"})
    assert f"exported to {parts[0]}" in refusal(node, "export", "--to", parts[1])
    store(node, "restored")
    assert "another export" in refusal(node, "export", "--to", parts[0])
    assert database.sql("SELECT count(*) FROM meta WHERE key = 'exported'") == "0"
    store(node, "export", "--to", parts[1])
    parts[1].rename(parts[2])
    assert f"exported to {parts[1]}" in refusal(node, "export", "--to", parts[1])
    store(node, "restored")
    shutil.rmtree(parts[1])
    store(node, "export", "--to", parts[1])


def test_export_into_a_directory_of_roles():
    """A link in the directory of the account file leads nowhere."""
    database = Database()
    node = Relay(1, extra=database.settings(more='node_timeout = "10s";'))
    node.stop()
    new, other = node.dir / "new", node.dir / "other"
    (new / "login").mkdir(parents=True)
    other.write_text("not ours")
    for name in ("accounts", "accounts.new"):
        (new / "login" / name).symlink_to(other)
    store(node, "export", "--to", new)
    assert other.read_text() == "not ours" and not (new / "login/accounts").is_symlink()
    assert (new / "login/accounts").read_text().count("alice") == 1


def test_after_a_crash():
    """A relay that was killed: what is only in its write-ahead log is imported too. A large text of which a part is lost is
    counted, and left out as a whole, as one that is not there."""
    relay, database = Relay(1, retry='"1h"'), Database()
    ids = [relay.submit(simple_message("a text", ("x" * 70 + "\r\n") * lines)) for lines in (1, 9000, 9000)]
    relay.kill_all()
    directory = relay.dir / "state"
    assert (directory / "queue.db-wal").stat().st_size > 0
    os.truncate(directory / "large" / ids[1], 300000)
    node = a_node(database)
    documents = [json.loads(line) for line in store(node, "import", "--from", directory, "--json").splitlines()]
    rows = {d["of"]: (d["read"], d["stored"]) for d in documents if d["kind"] == "rows"}
    assert documents[0]["texts_missing"] == 1 and rows["message"] == (3, 3) and rows["large text"] == (2, 1), documents
    assert set(database.sql("SELECT id FROM text_chunk").split()) == {str(number_of(ids[2]))}


def test_other_versions():
    """A queue of an older or a newer version is refused, and nothing of it is changed."""
    queue, node = Queue(), a_node(Database())
    for version in (6, 8):
        with opened(queue.directory) as db:
            db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))
        said = refusal(node, "import", "--from", queue.directory)
        assert f"has schema {version}, and this program copies 7" in said, said
        with opened(queue.directory) as db:
            assert db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (version,)
