"""What a database can do to its nodes: it is full, slow, copied, or does not know the time. No mail is lost or doubled, no node is declared dead."""
import ctypes

from nodes_bed import *

MB = 1 << 20
ALIVE = {1: ("up", 1), 2: ("up", 1)}


def own_mounts():
    """What this test mounts, only it and its children have, and it ends with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise Skip("no file system can be mounted here")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Volume:
    """A small file system, which belongs to the user of the database."""

    def __init__(self, mb):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-volume-"))
        end_with_the_test(self, last=True)
        os.chmod(self.path, 0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=700", "volume", self.path], check=True)
        shutil.chown(self.path, "postgres", "postgres")

    def fill(self):
        with open(self.path / "filler", "ab", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError as e:
                assert e.errno == 28, e  # ENOSPC

    def relieve(self):
        (self.path / "filler").unlink()

    def end(self, keep=False):
        subprocess.run(["umount", self.path], check=True)
        self.path.rmdir()


def codes(load, since):
    return {code for _, code, _ in load.refused[since:]}


def test_full_disks():
    """The tables find no room: clients hear that the disk is full. The log of the server finds none: it stops, and clients hear that the
    database is away. All is delivered when there is room again."""
    own_mounts()
    tables, log = Volume(48), Volume(32)
    database = Database(arguments=["--wal-segsize=1", f"--waldir={log.path}/wal"], settings="max_wal_size = 8MB\nmin_wal_size = 2MB",
                        tablespace=tables.path)
    bed = Bed(2, database)
    load = Load(bed.relays)
    load.wait(30)

    tables.fill()
    refused = len(load.refused)
    wait_for(lambda: 452 in codes(load, refused), lambda: f"452: {load.refused[refused:]}")
    assert any(b"4.3.1" in text for _, code, text in load.refused if code == 452), load.refused
    tables.relieve()
    load.wait(30)

    log.fill()
    refused = len(load.refused)
    writes = "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))"
    wait_for(lambda: database.ask(writes).returncode, "a log without room")
    wait_for(lambda: 451 in codes(load, refused), lambda: f"451: {load.refused[refused:]}")
    wait_for(lambda: not database.runs(), "the end of the server")
    log.relieve()
    database.start()
    load.wait(30)
    ids = load.stop()
    assert codes(load, 0) <= {451, 452}, load.refused
    assert bed.check(ids) == {}
    assert bed.nodes() == ALIVE


SLOW = """
CREATE TABLE pause (seconds float8);
INSERT INTO pause VALUES (0);
GRANT SELECT ON pause TO posthouse;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('test.slept', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM set_config('test.slept', txid_current()::text, true), pg_sleep(seconds) FROM pause;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON taken DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON node DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
"""


def test_slow_database():
    """Each commit of a message, a take, a result or a beat needs a second: as many messages as wait are stored by one of them."""
    bed = Bed(2)
    bed.database.sql(SLOW)
    load = Load(bed.relays * 6, pause=0)
    load.wait(30)
    bed.database.sql("UPDATE pause SET seconds = 1")
    highest = bed.database.sql("SELECT max(id) FROM message")
    bed.wait_beats(3)
    load.wait(50)
    ids = load.stop()
    sizes = [int(n) for n in bed.database.sql(f"SELECT count(*) FROM message WHERE id > {highest} GROUP BY xmin::text ORDER BY 1").split()]
    assert max(sizes) >= 4, sizes  # of six clients of a node
    assert load.refused == [] and bed.nodes() == ALIVE
    bed.database.sql("UPDATE pause SET seconds = 0")
    assert bed.check(ids) == {}
    assert bed.nodes() == ALIVE


class Session:
    """A connection by psql that stays open, with what was sent to it."""

    def __init__(self, database, *statements):
        self.process = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", database.directory, "-p", str(database.port), "-U", "postgres",
                                         "-d", "posthouse"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        end_with_the_test(self)
        self.ask(*statements)

    def ask(self, *statements):
        self.process.stdin.write("\n".join([*statements, ";\\echo done\n"]))
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline().strip()) != "done":
            assert self.process.poll() is None, line
            lines.append(line)
        return lines

    def end(self, keep=False):
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()


def test_copied_under_load():
    """pg_dump, and a snapshot that is as old: accepts, takes and results go on, and the copy is of one moment."""
    bed = Bed(2)
    load = Load(bed.relays)
    load.wait(30)
    old = Session(bed.database, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "SELECT count(*) FROM message;")
    [exported] = old.ask("SELECT pg_export_snapshot();")
    dump = subprocess.Popen(["pg_dump", "-h", bed.database.directory, "-p", str(bed.database.port), "-U", "postgres", f"--snapshot={exported}", "posthouse"],
                            stdout=subprocess.PIPE, text=True)
    fcntl.fcntl(dump.stdout, fcntl.F_SETPIPE_SZ, 4096)
    first = dump.stdout.readline()  # what follows waits in the pipe, and with it pg_dump and its locks
    delivered = len(bed.sink.messages)
    load.wait(60)
    wait_for(lambda: len(bed.sink.messages) >= delivered + 60, "deliveries")
    assert dump.poll() is None
    [counted] = old.ask("SELECT count(*) FROM message;")
    text = first + dump.stdout.read()
    assert dump.wait(LIMIT) == 0
    rows = [line for block in re.findall(r"^COPY public\.message_\S+ \([^)]*\) FROM stdin;\n(.*?)^\\\.$", text, re.M | re.S) for line in block.splitlines()]
    assert len(rows) == int(counted) >= 30, (len(rows), counted)
    ids = load.stop()
    assert load.refused == [] and bed.check(ids) == {}
    old.ask("COMMIT;")
    assert bed.nodes() == ALIVE


WRONG = """
CREATE TABLE wrong (ahead interval);
INSERT INTO wrong VALUES ('0');
GRANT SELECT ON wrong TO posthouse;
SET allow_system_table_mods = on;
ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO right_timestamp;
CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT right_timestamp() + ahead FROM public.wrong';
"""


def test_wrong_clock_of_the_database():
    """An hour ahead, then an hour behind: the nodes tell that, and go on by their own clocks."""
    bed = Bed(2)
    bed.database.sql(WRONG)
    bed.database.sql("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'posthouse'")
    bed.wait_beats(2)  # they are back, and ask for the time by its name
    load = Load(bed.relays)
    for ahead in ["1 hour", "-1 hour", "0"]:
        bed.database.sql(f"UPDATE wrong SET ahead = '{ahead}'")
        bed.wait_beats(3)
        load.wait(20)
    for relay in bed.relays:
        lines = [line for line in relay.log_now().splitlines() if "event=node.clock" in line]
        assert len(lines) == 1 and "level=error" in lines[0] and "so this one goes on" in lines[0], lines
    ids = load.stop()
    assert load.refused == [] and bed.nodes() == ALIVE
    assert bed.check(ids) == {}
