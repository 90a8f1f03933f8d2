"""databases.py - PostgreSQL for a relay: one server, or, by packaging/cluster, a primary with a synchronous standby."""
from lib import *

CLUSTER = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging/cluster"


class Databases:
    """Started at once, on ports that no other test gets; removed with the test. With nodes: see Cluster in nodes_bed.py."""

    def __init__(self, *options, nodes=0):
        self.directory = pathlib.Path(WORK_DIR()) / "cluster"
        self.ports = {"db1": free_port(), "db2": free_port()}
        ports = [*self.ports.values(), *(free_port() for _ in range(3 * nodes + 2 if nodes else 0))]
        end_with_the_test(self, last=True)
        self.connection = self.run("start", "--nodes", nodes, "--ports", " ".join(map(str, ports)), *options).strip()
        self.password = (self.directory / "password").read_text().strip()

    def command(self, verb, *arguments):
        return subprocess.run([CLUSTER, verb, self.directory, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True)

    def run(self, verb, *arguments):
        done = self.command(verb, *arguments)
        assert done.returncode == 0, f"{verb}: {done.stdout}"
        return done.stdout

    def admin(self, server, statement):
        """By the superuser, on "db1", "db2" or "primary"."""
        return self.run("psql", server, "-Atqc", statement).strip()

    def client(self, statement, attributes="target_session_attrs=primary"):
        """As the relay comes: over TLS, with the password. Gives the finished process."""
        return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"{self.connection} {attributes}", "-c", statement],
                              env=dict(os.environ, PGPASSWORD=self.password), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sql(self, statement):
        done = self.client(statement)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def end(self, keep):
        if not (self.directory / ".cluster").exists():
            return
        for server in self.ports:
            log = self.directory / "data" / f"{server}.log"
            if keep and log.exists():
                print(f"{server}:\n{log.read_text(errors='replace')[-3000:]}")
        self.run("remove")


class Database:
    """One server with an empty database `posthouse`: on a Unix socket without a password, on 127.0.0.1 with one."""

    def __init__(self, settings="", encoding="SQL_ASCII", arguments=(), tablespace=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-database-"))
        self.port, self.password = free_port(), "of the database"
        self.log = self.directory / "log"
        os.chmod(self.directory, 0o755)
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        end_with_the_test(self, last=True)
        self.as_owner("initdb", "-D", self.directory / "data", "-U", "postgres", "--auth=trust", "--encoding=SQL_ASCII", "--locale=C",
                      *arguments)
        with open(self.directory / "data/postgresql.conf", "a") as f:
            f.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{self.directory}'\n{settings}\n")
        (self.directory / "data/pg_hba.conf").write_text("local all all trust\nhost posthouse posthouse 127.0.0.1/32 scram-sha-256\n")
        self.start()
        self.sql(f"CREATE ROLE posthouse LOGIN PASSWORD '{self.password}'", "postgres")
        if tablespace:
            self.sql(f"CREATE TABLESPACE apart LOCATION '{tablespace}'", "postgres")
        self.sql(f"CREATE DATABASE posthouse OWNER posthouse TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
                 f" {'TABLESPACE apart' if tablespace else ''}", "postgres")

    def as_owner(self, program, *arguments):
        """PostgreSQL refuses to be root."""
        [*programs] = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        start = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*start, programs[-1] if programs else program, *arguments], cwd="/", stdin=subprocess.DEVNULL,
                              stdout=open(self.directory / "commands", "a+"), stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{program}: {(self.directory / 'commands').read_text()}"

    def start(self):
        self.as_owner("pg_ctl", "-s", "-w", "-D", self.directory / "data", "-l", self.log, "start")

    def stop(self, mode="fast"):
        self.as_owner("pg_ctl", "-s", "-w", "-D", self.directory / "data", "-m", mode, "stop")

    def runs(self):
        return (self.directory / "data/postmaster.pid").exists()

    def ask(self, statement, database="posthouse"):
        """The finished process."""
        return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p", str(self.port), "-U", "postgres", "-d", database,
                               "-c", statement], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sql(self, statement, database="posthouse"):
        done = self.ask(statement, database)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def settings(self, host=None, words="", durability="local", more=""):
        """`store` of a relay, by the socket or by a host."""
        return f'''store = {{ engine = "postgresql"; durability = "{durability}"; password = "{self.password}"; {more}
connection = "host={host or self.directory} port={self.port} dbname=posthouse user=posthouse {words}"; }};'''

    def end(self, keep):
        if self.runs():
            self.stop("immediate")
        if keep and self.log.exists():
            print(f"the database:\n{self.log.read_text(errors='replace')[-3000:]}")
        shutil.rmtree(self.directory)
