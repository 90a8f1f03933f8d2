"""A relay whose queue is in a PostgreSQL database: mail and commands, deaths, a database that comes and goes, and those that are refused."""
from nodes_bed import *
from test_confinement import NEVER, tried
from test_crash import Load, settle

IN_FLIGHT = 30  # deliveries that can be under way, and so be repeated, when a process dies


def relay_with(database, sink=None, build=SANITIZED, environment=None, start=True, **more):
    return Relay(sink.port if sink else 1, build=build, extra=database.settings(**more), environment=environment, start=start)


def confined(relay):
    """The walls of queue are up, nothing was left out, and no wall has stopped it."""
    log = relay.log_now()
    lines = [line for line in log.splitlines() if "event=role.confined" in line and "confined=queue" in line]
    assert lines and all("seccomp=true" in line and "landlock=0" not in line for line in lines), lines or relay.log_tail()
    assert "role.unconfined" not in log and "FORBIDDEN" not in log and "role.outgrown" not in log, relay.log_tail()


def test_what_queue_can_try():
    """The walls have one hole: TCP to the database's port, or Unix sockets."""
    database, port = Database(), free_port()
    with socket.socket() as listener:  # somebody answers there: only the wall refuses
        listener.bind(("127.0.0.1", port))
        listener.listen()
        for host, holes in [("127.0.0.1", {"socket": {"done"}, "connect": {"EACCES"}, "local_socket": {"EAFNOSUPPORT"}, "bind": {"EACCES"}}),
                            (None, {"socket": {"killed"}, "connect": {"killed"}, "local_socket": {"done"}})]:
            relay = relay_with(database, build=RELEASE, host=host, environment={"POSTHOUSE_TRY": f"{port}:/etc/passwd:/etc/resolv.conf:{database.log}"})
            found = {attempt: results for (role, attempt), results in tried(relay).items() if role == "queue"}
            assert found.keys() > NEVER.keys()
            for attempt, results in found.items():
                expected = holes.get(attempt) or NEVER.get(attempt) or {"EACCES"}  # what is left are files
                assert results <= expected, (host, attempt, results)
            confined(relay)
            relay.stop()


def misleading_home():
    """A home directory with everything that libpq reads in one, all of it wrong; and variables of libpq that are wrong too."""
    home = pathlib.Path(WORK_DIR()) / "home"
    (home / ".postgresql").mkdir(parents=True)
    for name in (".pgpass", ".pg_service.conf", ".postgresql/root.crt", ".postgresql/postgresql.crt", ".postgresql/postgresql.key"):
        (home / name).write_text("*:*:*:*:wrong\n")
        (home / name).chmod(0o600)
    return {"HOME": str(home), "PGOPTIONS": "-c nonsense=1", "PGPASSWORD": "wrong", "PGSERVICE": "wrong", "PGSSLROOTCERT": str(home / "none"),
            "PGSSLMODE": "verify-full", "PGREQUIREPEER": "nobody", "PGTARGETSESSIONATTRS": "standby"}


def test_mail_and_commands():
    """By a Unix socket."""
    database, sink = Database(), Sink()
    relay = relay_with(database, sink, environment=misleading_home())
    assert os.readlink(f"/proc/{relay.pids('queue')[0]}/exe").endswith("/posthouse-queue-postgresql")
    client = relay.connect()
    small = relay.submit(simple_message("a small one"), client=client)
    large = relay.submit(simple_message("a large one", body="0123456789" * 7 + "\r\n" + ("x" * 70 + "\r\n") * 20000), client=client)
    many = relay.submit(simple_message("for many"), to=[f"user{i}@example.net" for i in range(5)], client=client)
    assert client.mail(f"alice@{DOMAIN}", ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
    client.command_encoding = "utf-8"
    assert client.rcpt("jürgen@example.net")[0] == 250 and client.data(simple_message("for Jürgen"))[0] == 250
    sink.wait(4)
    relay.wait_empty()
    by_subject = {m.message["Subject"]: m for m in sink.messages}
    assert len(by_subject["a large one"].bytes) > 1_400_000 and by_subject["for Jürgen"].recipients == ["jürgen@example.net"]
    assert sorted(r for m in sink.messages if m.message["Subject"] == "for many" for r in m.recipients) == [f"user{i}@example.net" for i in range(5)]
    for id in (small, large, many):
        assert {e["event"] for e in relay.events(id)} >= {"mail.accepted", "delivery.sent"}
    assert small in relay.command("find", "--recipient", "bob", "--json").stdout
    assert relay.command("limits", "show", f"alice@{DOMAIN}", "--json").stdout
    sink.stop()
    kept = relay.submit(simple_message("kept back"))
    relay.command("queue", "hold", kept)
    wait_for(lambda: [row["state"] for row in relay.queue()] == ["held"] if "state" in relay.queue()[0] else relay.queue()[0]["held"], "a held message")
    confined(relay)
    relay.stop()
    sink.start()
    relay.start()
    assert [row["id"] for row in relay.queue()] == [kept] and len(sink.messages) == 4
    relay.command("queue", "release", kept)
    sink.wait(5)
    relay.wait_empty()
    confined(relay)
    assert not (relay.dir / "state/queue.db").exists()
    backup = relay.command("queue", "backup", check=False)
    assert backup.returncode != 0 and "copy it with pg_basebackup" in backup.stdout + backup.stderr, backup
    assert not list(relay.dir.glob("state/**/backup/*"))


def test_by_verified_tls_with_a_password():
    """A primary and its standby, by names, and nothing is stored before both have it."""
    database, sink = Databases(), Sink()
    relay = Relay(sink.port, extra=f'''store = {{ engine = "postgresql"; connection = "{database.connection}"; password_file = "{database.directory}/password"; }};''',
                  environment=misleading_home())
    relay.submit()
    sink.wait()
    relay.wait_empty()
    assert database.admin("primary", "SELECT bool_and(ssl), count(*) > 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'posthouse'") == "t|t"
    confined(relay)


def kill(relay, victim):
    """A role, which is started again; or master alone, whose roles must follow; or all."""
    if victim in ("queue", "relay"):
        before = relay.log_since_start().count(f"event=role.died dead={victim}")
        relay.kill_role(victim)
        wait_for(lambda: relay.log_since_start().count(f"event=role.died dead={victim}") > before, f"the death of {victim}")
        return
    if victim == "master":
        relay.process.kill()
        relay.process.wait()
    else:
        relay.kill_all()
    relay.start()


def test_deaths():
    """Repeated are only deliveries that were under way: the next hop has them, and nobody could write that down (RFC 1047). The history
    says of each that its outcome was unknown."""
    database, sink = Database(), Counting()
    relay = relay_with(database, sink, host="127.0.0.1")
    load = Load(relay)
    victims = ["queue", "relay", "master", "all"] * 2
    random.shuffle(victims)
    print("killed:", victims)
    for victim in victims:
        before = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) > before + 5 and relay.pids("relay"), f"messages before the death of {victim}")
        time.sleep(random.uniform(0, 0.5))
        kill(relay, victim)
    before = len(load.acknowledged)
    load.stop_after(before + 5)
    settle(relay, sink, load)
    relay.wait_empty()
    rows = database.sql("SELECT message, count(*) FROM event WHERE name = 'delivery.unknown' OR fields LIKE '%outcome unknown%' GROUP BY 1").split()
    unknown = {int(id): int(n) for id, n in (row.split("|") for row in rows)}
    unexplained = {id: n for id, n in sink.counts().items() if n - 1 > unknown.get(number_of(id), 0)}
    assert not unexplained, (unexplained, unknown)
    confined(relay)


def test_the_database_restarts_under_load():
    """Clients get 250 or 451, and each 250 is delivered."""
    database, sink = Database(), Sink()
    relay = relay_with(database, sink)
    load = Load(relay)
    for mode in ("fast", "immediate", "fast"):
        before = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) > before + 5, f"messages before a {mode} stop")
        database.stop(mode)
        database.start()
    before = len(load.acknowledged)
    load.stop_after(before + 5)
    assert set(load.codes) <= {250, 451}, load.codes
    duplicates = settle(relay, sink, load)
    assert len(duplicates) <= 3 * IN_FLIGHT, duplicates
    relay.wait_empty()
    assert "event=role.died" not in relay.log_now() and "event=store.back" in relay.log_now()
    confined(relay)


def test_mail_waits_for_the_database():
    """A message at its end of data, for less than store.patience: the first one, which is looked for before it is stored, and one to
    somebody new, of whom the database is asked."""
    database, sink = Database(), Sink()
    relay = relay_with(database, sink)
    client = relay.connect()
    for n, to in enumerate(["bob@example.net", "carol@example.net"], 1):
        assert client.mail(f"alice@{DOMAIN}")[0] == 250 and client.rcpt(to)[0] == 250 and client.docmd("DATA")[0] == 354
        database.stop()
        client.send(simple_message(to) + b"\r\n.\r\n")
        wait_for(lambda: relay.log_since_start().count("event=store.away") == n, "the outage is noticed")
        time.sleep(5)  # for so long the database is away
        database.start()
        code, text = client.getreply()
        assert code == 250, (code, text)
        sink.wait(n)
        relay.wait_empty()
    assert [m.message["Subject"] for m in sink.messages] == ["bob@example.net", "carol@example.net"]
    assert relay.log_now().count("event=store.back") == 2


def test_a_database_that_says_nothing():
    """Its processes are stopped: clients and administrators hear of it long before its connections are given up."""
    database, sink = Database(), Sink()
    relay = relay_with(database, sink)
    client = relay.connect()
    server = int((database.directory / "data/postmaster.pid").read_text().split()[0])
    frozen = Frozen([server, *map(int, database.sql("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").split())])
    wait_for(lambda: client.answer_to_mail() == 451, "451 for MAIL")
    assert "cannot be reached" in relay.command("node", "list", check=False).stderr
    assert "event=store.away" not in relay.log_now()  # no connection was given up so far
    frozen.go_on()
    wait_for(lambda: client.answer_to_mail() == 250, "250 for MAIL")
    relay.submit()
    sink.wait()
    relay.wait_empty()


def test_a_start_without_the_database():
    """The relay is ready and says 451 until the database is there."""
    database, sink = Database(), Sink()
    database.stop()
    relay = relay_with(database, sink)
    client = relay.connect(login=False)
    try:
        client.login(f"alice@{DOMAIN}", PASSWORD)
        code, text = client.mail(f"alice@{DOMAIN}")
        assert code == 451, (code, text)
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 454, e  # limits and bans are in the database too
    time.sleep(4)  # for some tries more
    assert relay.log_now().count("event=store.away") == 1, relay.log_tail()
    database.start()
    relay.wait_log("event=queue.opened")
    relay.wait_log("event=accounts.followed")
    relay.wait_takes_mail()
    relay.submit()
    sink.wait()
    relay.wait_empty()
    confined(relay)


def test_settings_of_the_role():
    """Time limits and an isolation that somebody has set do no harm; a database that takes no writes is away, until it does."""
    database, sink = Database(), Sink()
    database.sql("ALTER ROLE posthouse SET statement_timeout = '200ms'; ALTER ROLE posthouse SET default_transaction_isolation = 'serializable'")
    relay = relay_with(database, sink)
    relay.submit()
    sink.wait()
    database.sql("ALTER ROLE posthouse SET default_transaction_read_only = on")
    database.sql("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'posthouse'")
    wait_for(lambda: "the database cannot be reached" in relay.command("status", check=False).stdout, "the outage", every=0.5)
    database.sql("ALTER ROLE posthouse SET default_transaction_read_only = off")
    relay.wait_log("event=store.back")
    relay.wait_takes_mail()
    relay.submit()
    sink.wait(2)


def refused(relay, words):
    relay.start(wait=False)
    assert relay.process.wait(LIMIT) != 0
    relay.process = None
    assert words in relay.log_since_start(), (words, relay.log_tail())


def test_databases_that_are_refused():
    """Those that would lose mail, and those that cannot keep it as it is; and an installation without the program."""
    database = Database()
    refused(relay_with(database, start=False, durability="standby"), "synchronous_standby_names is empty")
    database.sql("ALTER SYSTEM SET fsync = off", "postgres")
    database.sql("SELECT pg_reload_conf()", "postgres")
    wait_for(lambda: database.sql("SHOW fsync") == "off", "the setting")
    refused(relay_with(database, start=False), "fsync is off")
    database.sql("ALTER SYSTEM RESET fsync", "postgres")
    database.sql("SELECT pg_reload_conf()", "postgres")
    database.sql("CREATE DATABASE other OWNER posthouse TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'", "postgres")
    refused(Relay(1, start=False, extra=database.settings().replace("dbname=posthouse", "dbname=other")), "encoding UTF8")
    part = pathlib.Path(WORK_DIR()) / "part"
    part.mkdir()
    for program in SANITIZED.glob("posthouse*"):
        if program.is_file() and not program.name.endswith("-postgresql"):
            shutil.copy2(program, part / program.name)
    refused(relay_with(database, build=part, start=False), "it is in the package posthouse-postgresql")
