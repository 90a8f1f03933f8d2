"""databases.py - a PostgreSQL primary with a synchronous standby, by packaging/cluster."""
from lib import *

CLUSTER = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging/cluster"


class Databases:
    """Started at once, on ports that no other test gets; removed with the test."""

    def __init__(self, name="databases"):
        self.directory = pathlib.Path(WORK_DIR()) / name
        self.ports = {"db1": free_port(), "db2": free_port()}
        end_with_the_test(self, last=True)
        self.connection = self.run("start", *self.ports.values()).strip()
        self.password = (self.directory / "password").read_text().strip()

    def command(self, verb, *arguments):
        return subprocess.run([CLUSTER, "databases", verb, self.directory, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
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
        if not (self.directory / ".databases").exists():
            return
        for server in self.ports:
            log = self.directory / "data" / f"{server}.log"
            if keep and log.exists():
                print(f"{server}:\n{log.read_text(errors='replace')[-3000:]}")
        self.run("remove")
