"""packaging/cluster: nodes behind HAProxy, and the databases that they stand on."""
from nodes_bed import *
from test_guide import plain_text


def working_in(place):
    """Processes whose working directory is below this one."""
    found = []
    for link in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        try:
            if pathlib.Path(os.readlink(link)).is_relative_to(place):
                found.append(link.parent.name)
        except OSError:  # it has ended
            continue
    return found


def only_by_verified_tls(db):
    assert db.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"
    other = pathlib.Path(WORK_DIR()) / "other.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=another CA", "-keyout", os.devnull, "-out", other],
                   check=True, stderr=subprocess.DEVNULL)
    for attributes, why in [(f"sslrootcert={other}", "certificate verify failed"), ("sslmode=disable", "no pg_hba.conf entry"),
                            ("hostaddr=127.0.0.1,127.0.0.1 host=db1.example.org,db2.example.org", "does not match host name")]:
        done = db.client("SELECT 1", attributes)
        assert done.returncode and why in done.stdout, (attributes, done.stdout)
    db.password, right = "wrong", db.password
    assert "password authentication failed" in db.client("SELECT 1").stdout
    db.password = right


def test_databases_after_the_loss_of_the_primary():
    db = Databases()
    place = (db.directory / "data").resolve()
    only_by_verified_tls(db)
    assert db.admin("db1", "SHOW synchronous_standby_names") == "db2" and db.admin("db2", "SELECT pg_is_in_recovery()") == "t"
    db.sql("CREATE TABLE word (text text)")
    db.sql("INSERT INTO word VALUES ('acknowledged')")

    db.run("kill-primary")
    assert not can_connect(db.ports["db1"]) and working_in(place / "db1") == [] and working_in(place / "db2") != []
    assert db.client("SELECT 1").returncode and db.client("SELECT text FROM word", "target_session_attrs=standby").stdout == "acknowledged\n"

    db.run("promote")
    assert db.sql("SELECT text FROM word") == "acknowledged"
    assert db.admin("primary", "SELECT pg_walfile_name(pg_current_wal_lsn())").startswith("00000002")
    assert db.admin("primary", "SHOW synchronous_standby_names") == ""  # as after every promotion
    db.sql("INSERT INTO word VALUES ('after it')")
    assert "no standby" in db.command("promote").stdout

    db.run("stop")
    assert not can_connect(db.ports["db2"]) and working_in(place) == []
    assert db.run("start").strip() == db.connection and not can_connect(db.ports["db1"])  # no second primary
    assert db.sql("SELECT text FROM word ORDER BY text").split("\n") == ["acknowledged", "after it"]
    db.run("remove")
    assert not place.exists() and not db.directory.exists() and working_in(place) == []


def test_databases_with_two_primaries():
    """The old primary lives on: it takes connections, and its commits do not return, as nobody acknowledges them."""
    db = Databases()
    db.sql("CREATE TABLE word (text text)")
    db.run("kill-primary")
    assert db.run("start").strip() == db.connection and db.sql("SELECT count(*) FROM word") == "0"  # a crash, and no promotion
    db.run("promote")
    for server in db.ports:
        assert db.admin(server, "SELECT pg_is_in_recovery()") == "f", server
    lost = start_process([CLUSTER, "psql", db.directory, "db1", "-Atqc", "INSERT INTO word VALUES ('never acknowledged')"])
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    wait_for(lambda: db.admin("db1", waits) == "1", "a commit that waits for the standby")
    db.admin("db2", "INSERT INTO word VALUES ('acknowledged')")
    assert lost.poll() is None and db.admin("db1", waits) == "1" and db.admin("db1", "SELECT count(*) FROM word") == "0"
    db.run("stop")
    assert not any(can_connect(port) for port in db.ports.values())


def test_databases_refuse_a_directory_of_others():
    directory = pathlib.Path(WORK_DIR()) / "other"
    directory.mkdir()
    (directory / "file").write_text("mine")
    for verb, why in [("start", "was not made by this script"), ("remove", "has no cluster"), ("stop", "has no cluster")]:
        done = subprocess.run([CLUSTER, verb, directory], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 1 and why in done.stdout, done.stdout
    assert [path.name for path in directory.iterdir()] == ["file"]
    assert subprocess.run([CLUSTER, "dance", directory], stderr=subprocess.DEVNULL).returncode == 64


def test_killed_node_behind_a_balancer():
    """Clients come back to the address that they know, and find a node that lives."""
    cluster = Cluster(3)
    load = Load([cluster] * 4)
    load.wait(60)
    assert {node_of(id) for id in load.accepted} == {1, 2, 3}
    for relay in cluster.relays:
        assert "client=127.0.0.1 " in relay.log_text()
    cluster.run("kill-node", 2)
    before = len(load.accepted)
    load.wait(60)
    assert {node_of(id) for id in load.accepted[before + 10:]} == {1, 3}
    assert "node 2    does not run\nnode 3    takes mail\n" in cluster.run("status")
    cluster.wait_state(2, "dead")
    ids = load.stop()
    assert re.search(r"^2 .* dead ", cluster.run("status"), re.M), cluster.run("status")
    cluster.run("freeze-node", 3)
    assert "node 3    is frozen\n" in cluster.run("status")
    cluster.run("thaw-node", 3)
    cluster.run("start")
    assert cluster.run("status").count("takes mail\n") == 3
    ids += [id for id in re.findall("queued as (.*)", cluster.run("send", 3))]
    cluster.check(ids, retry=True)


def connected(cluster):
    """A client, or None: HAProxy looks at nodes once a second, and closes while none is ready."""
    try:
        return cluster.connect(60, implicit=True)
    except (OSError, smtplib.SMTPException):
        return None


def test_cluster_after_the_loss_of_the_primary():
    """Nodes wait for the operator's word on what commits wait for, and go on with the old primary as the standby of the new one."""
    cluster = Cluster(2, RELEASE)
    ids = re.findall("queued as (.*)", cluster.run("send", 3))
    cluster.run("kill-primary")
    cluster.run("promote")
    for relay in cluster.relays:
        relay.wait_log("event=node.not_durable")
    assert "was refused" in cluster.database.command("send").stdout
    cluster.run("rejoin")
    wait_for(lambda: cluster.run("status").count("takes mail\n") == 2, lambda: cluster.run("status"), every=0.5)
    assert "db1       port {db1}, synchronous standby\ndb2       port {db2}, primary\n".format(**cluster.database.ports) in cluster.run("status")
    client = wait_for(lambda: connected(cluster), "a node that HAProxy knows to be ready again", every=0.5)
    cluster.check([*ids, client.submit(f"alice@{DOMAIN}", ["bob@example.net"], simple_message())], retry=True)


def test_settings_of_the_manual():
    text = (CLUSTER.parent.parent / "man/posthouse-cluster.7").read_text()
    blocks = {name: plain_text(body) for name, body in re.findall(r'^\.\\" (?:conf|file|example): (\S+)\n\.EX\n(.*?)^\.EE$', text, re.M | re.S)}
    relay = Relay(1, start=False, users=())
    (relay.dir / "haproxy.cfg").write_text(blocks["haproxy.cfg"])
    subprocess.run(["/usr/sbin/haproxy", "-c", "-q", "-f", relay.dir / "haproxy.cfg"], check=True)
    (relay.dir / "database.password").write_text("secret")
    (relay.dir / "database.password").chmod(0o600)
    shutil.copy(relay.dir / relay.certificate, relay.dir / "database-ca.pem")
    store = re.sub(r"\\+\n *", "", blocks["store"]).replace("/etc/posthouse", str(relay.dir))
    relay.conf.write_text(re.sub(r"^listen = .*\n.*\n", "", relay.conf.read_text(), flags=re.M) + blocks["listen"] + store)
    assert "configuration is good" in relay.command("check").stdout
    shown = relay.command("check", "--dump").stdout
    assert shown.count('"192.0.2.10"') == 2 and "host=db1.example.org,db2.example.org dbname=posthouse user" in shown, shown
