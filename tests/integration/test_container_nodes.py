"""packaging/container/nodes: three relays, HAProxy and two databases in containers. There is no engine here, so what they run is run without."""
import yaml

from databases import *

HERE = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging/container/nodes"
RELAYS = ["relay1", "relay2", "relay3"]


def compose():
    return yaml.safe_load((HERE / "compose.yaml").read_text())


class Secrets:
    """Those of the compose file, as its comment makes them."""

    def __init__(self):
        text = (HERE / "compose.yaml").read_text()
        commands = "".join(line[1:] for line in text[text.index("#   mkdir"):text.index("# All on one")].splitlines(True))
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-secrets-"))
        end_with_the_test(self, last=True)
        self.top.chmod(0o755)  # for the user postgres
        subprocess.run(["bash", "-euc", commands], cwd=self.top, check=True, stderr=subprocess.DEVNULL)
        self.place = self.top / "secrets"

    def end(self, keep=False):
        shutil.rmtree(self.top)


def test_compose_agrees_with_itself():
    whole, haproxy = compose(), (HERE / "haproxy.cfg").read_text()
    services, place = whole["services"], Secrets().place
    assert {path["file"] for path in whole["secrets"].values()} == {f"./secrets/{name}" for name in whole["secrets"]}
    assert {path.name for path in place.iterdir()} == set(whole["secrets"]), list(place.iterdir())
    assert {name for service in services.values() for name in service.get("secrets", [])} == set(whole["secrets"])
    assert {v.split(":")[0] for s in services.values() for v in s["volumes"] if v[0] != "."} == set(whole["volumes"]) == {"db1", "db2", *RELAYS}
    for name in RELAYS:  # no two are the same node
        assert services[name]["volumes"] == [f"{name}:/var/lib/posthouse"] and services[name]["environment"] == services["relay1"]["environment"]
    variables = services["relay1"]["environment"]
    assert {v.removeprefix("/run/secrets/") for v in variables.values() if v.startswith("/run/")} <= set(services["relay1"]["secrets"])
    for port in (587, 465):
        assert re.findall(rf"^  server (\S+) \1:{port}$", haproxy, re.M) == RELAYS and f"{port}:{port}" in services["haproxy"]["ports"]
    assert services["haproxy"]["networks"]["default"]["ipv4_address"] == variables["POSTHOUSE_PROXIES"]
    assert f" check port {variables['POSTHOUSE_METRICS'].rpartition(':')[2]} " in haproxy
    subprocess.run(["/usr/sbin/haproxy", "-c", "-q", "-f", HERE / "haproxy.cfg"], check=True, stderr=subprocess.DEVNULL)

    own = {name: value.replace("/run/secrets", str(place)) for name, value in variables.items()}
    state = pathlib.Path(WORK_DIR()) / "state"
    own |= {"POSTHOUSE_ENV": "yes", "POSTHOUSE_STATE_DIR": str(state), "POSTHOUSE_RUN_AS": "root" if os.geteuid() == 0 else "nobody"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POSTHOUSE_")} | own
    for command in (["init", "--env"], ["check", "--env", "--dump"]):
        done = subprocess.run([SANITIZED / "posthouse", *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
    for words in ('engine = "postgresql"', "host=db1,db2 dbname=posthouse user=posthouse sslmode=verify-full", 'selector = "nodes"', "172.30.0.10", ":9587"):
        assert words in done.stdout, (words, done.stdout)


class Server:
    """A database of the compose file, by its command; all have the same port, each at its own address."""

    def __init__(self, name, address, port, place):
        volume, self.sockets = place.parent / name, place.parent / f"{name}.sockets"
        self.data = volume / pathlib.Path(compose()["services"][name]["environment"]["PGDATA"]).name
        for directory in (volume, self.sockets):
            directory.mkdir(exist_ok=True)
            shutil.chown(directory, "postgres", "postgres")
        [*programs] = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.environment = {"PATH": f"{programs[-1]}:/usr/bin:/bin", "PGDATA": str(self.data), "PGPORT": str(port), "PGHOSTADDR": "127.0.0.1", "HOME": "/",
                            "SECRETS": str(place)}
        words = compose()["services"][name]["command"]
        assert words[0] == "/database"
        self.process = start_process(["/usr/bin/setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", HERE / "database", *words[1:],
                                      "-c", f"listen_addresses={address}", "-c", f"unix_socket_directories={self.sockets}"], env=self.environment)

    def sql(self, statement):
        done = subprocess.run(["psql", "-XAtq", "-h", self.sockets, "-U", "postgres", "-c", statement], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=self.environment | {"PGHOSTADDR": ""})
        return done.stdout.strip()


def test_databases_of_the_compose_file():
    """db2 copies db1 by verified TLS, and is what commits wait for."""
    if os.geteuid() != 0:
        raise Skip("only root becomes postgres")
    place, port = Secrets().place, free_port()
    (place / "database.crt").rename(place / "aside")
    broken = Server("db1", "127.0.0.1", port, place)  # it fails when all roles are made
    assert broken.process.process.wait(LIMIT) != 0 and not broken.data.exists()
    (place / "aside").rename(place / "database.crt")
    primary = Server("db1", "127.0.0.1", port, place)
    standby = Server("db2", "127.0.0.2", port, place)
    state = "SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'"
    wait_for(lambda: primary.sql(state) == "db2|quorum", lambda: primary.sql(state), every=0.3)
    assert standby.sql("SELECT pg_is_in_recovery()") == "t"
    done = subprocess.run(["psql", "-XAtq", "-d", f"host=db1 port={port} dbname=posthouse user=posthouse sslmode=verify-full sslrootcert={place}/database.crt",
                           "-c", "CREATE TABLE word (text text); SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=primary.environment | {"PGPASSWORD": (place / "database").read_text().strip()})
    assert done.stdout == "t\n", done.stdout
