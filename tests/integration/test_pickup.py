"""Mail in the drop directory: handed over for the user who owns the file, also after the relay was down and whenever a process dies;
what is refused comes back; and what hostile users put there does no harm."""
from nodes_bed import *
from test_local import DAEMON, LocalRelay, TEXT, WEB

ALICE = 1234


class DropRelay(LocalRelay):
    def __init__(self, *arguments, **kw):
        self.drop = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-drop-")) / "drop"
        self.drop.parent.chmod(0o755)
        self.drop.mkdir()
        self.drop.chmod(0o1733)
        atexit.register(shutil.rmtree, self.drop.parent, ignore_errors=True)
        super().__init__(*arguments, **kw)

    def write_config(self, **changes):
        super().write_config(**changes)
        self.conf.write_text(self.conf.read_text().replace('drop = ""', f'drop = "{self.drop}"'))

    def put(self, uid, text, name=None):
        """As `posthouse send` does it."""
        name = name or f"{random.getrandbits(64):016x}"
        with as_user(uid):
            path = self.drop / f".tmp-{name}"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            path.chmod(0o744)  # the mark of the owner
            path.rename(self.drop / name)
        return name

    def message(self, uid, subject="note", to="bob@example.net", head="", name=None):
        return self.put(uid, f"{head}to: <{to}>\n\nSubject: {subject}\n\nThe job is done.\n", name)

    def wait_drop_empty(self):
        wait_for(lambda: not self.dropped(), f"nothing left in the drop directory")

    def dropped(self):
        return [p.name for p in self.drop.iterdir() if p.name not in ("taken", "held")] + [p.name for p in (self.drop / "taken").glob("*")]

    def held(self):
        return [p.name for p in (self.drop / "held").glob("*")]


class as_user:
    def __init__(self, uid):
        self.uid = uid

    def __enter__(self):
        os.seteuid(self.uid)

    def __exit__(self, *ignored):
        os.seteuid(0)


def test_what_is_dropped_is_sent_for_the_owner_of_the_file():
    sink = Sink()
    relay = DropRelay(sink.port)
    relay.message(DAEMON)
    got = sink.wait(1)[0]
    assert got.sender == f"robot@{DOMAIN}" and got.message["From"].addresses[0].addr_spec == f"robot@{DOMAIN}" and verify_dkim(relay, got)
    # it says it is somebody else
    relay.put(WEB, f"from: <robot@{DOMAIN}>\nto: <bob@example.net>\n\nSubject: forged\n\nhi\n")
    report = sink.wait(2)[1]
    assert report.recipients == [f"postmaster@{DOMAIN}"] and report.sender == "" and f"<robot@{DOMAIN}> is not an address of".encode() in report.bytes, report.bytes
    assert len(relay.held()) == 1
    relay.put(0, "from: <shop@elsewhere.example> RET=HDRS ENVID=x1\nto: <root> NOTIFY=NEVER\nto: <bob@example.net>\n\nFrom: shop@elsewhere.example\n"
                 "Subject: root\n\n.dots\n..two\nno end")
    got = sink.wait(3)[2]
    assert got.sender == "shop@elsewhere.example" and sorted(got.recipients) == ["bob@example.net", f"postmaster@{DOMAIN}"], got.recipients
    assert got.bytes.endswith(b"\r\n.dots\r\n..two\r\nno end\r\n"), got.bytes
    relay.wait_drop_empty()
    figures = relay.figures("pickup")
    assert figures["waiting"] == 0 and figures["handed_over"] == 2 and figures["refused"] == 1, figures


def test_mail_waits_while_the_relay_is_down():
    sink = Sink()
    relay = DropRelay(sink.port)
    relay.stop()
    for i in range(5):
        relay.message(ALICE, f"number {i}")
        time.sleep(0.02)
    assert len(relay.dropped()) == 5
    relay.start()
    subjects = [r.message["Subject"] for r in sink.wait(5)]
    assert sorted(subjects) == [f"number {i}" for i in range(5)], subjects
    relay.wait_drop_empty()


def test_a_death_loses_nothing_and_sends_nothing_twice():
    sink = Sink()
    relay = DropRelay(sink.port)
    big = "x" * 70 + "\n"
    for i in range(30):
        relay.put(ALICE, f"to: <bob@example.net>\n\nSubject: number {i}\n\n" + (big * 2000 if i % 5 == 0 else "small\n"))
        if i % 6 == 3:
            relay.kill_role("pickup")
        if i % 10 == 7:
            relay.kill_role("submission")
    relay.kill_all()
    relay.start()
    wait_for(lambda: len({r.message["Subject"] for r in sink.messages}) == 30, "all messages", every=0.2)
    relay.wait_drop_empty()
    relay.wait_empty()
    assert len(sink.messages) == 30 or len({r.message["Message-ID"] for r in sink.messages}) == 30, [r.message["Subject"] for r in sink.messages]


def test_what_is_stored_and_not_removed_is_recognised():
    sink = Sink()
    relay = DropRelay(sink.port)
    relay.message(ALICE, "once")
    sink.wait(1)
    relay.wait_drop_empty()
    id = [line for line in relay.log_now().splitlines() if "event=pickup.done" in line][0].split("queue=")[1].split()[0]
    relay.stop()
    # as it was when the role died between the answer and the removal
    path = relay.drop / "taken" / f"{id}-0000000000000001"
    path.write_text("to: <bob@example.net>\n\nSubject: once\n\nThe job is done.\n")
    path.chmod(0o744)
    relay.start()
    relay.wait_drop_empty()
    relay.message(ALICE, "more")
    assert [r.message["Subject"] for r in sink.wait(2)] == ["once", "more"]


def test_one_user_over_a_limit_waits_alone():
    sink = Sink()
    relay = DropRelay(sink.port, limits='messages = [ "1/1h" ];')
    relay.message(ALICE, "first")
    sink.wait(1)
    relay.message(ALICE, "second")
    relay.wait_log("event=pickup.delayed")
    relay.message(WEB, "other")
    assert [r.message["Subject"] for r in sink.wait(2)] == ["first", "other"]
    wait_for(lambda: len(relay.dropped()) == 1, "the other file is removed")
    assert relay.figures("pickup")["waiting"] == 1
    (relay.drop / "held" / "0000000000001-0000000000000001").write_text("to: <carol@example.net>\n\nSubject: kept\n\nhi\n")
    listed = relay.command("sendmail", "-bp").stdout
    assert "bob@example.net" in listed and "until the relay has stored it" in listed, listed
    assert re.search(r"^\w+! +\d+ .*\n\(was refused, .*\n +carol@example.net", listed, re.M) and "2 Requests" in listed, listed


def test_refused_recipients_are_reported():
    sink = Sink()
    relay = DropRelay(sink.port)
    relay.put(ALICE, "to: <bob@example.net>\nto: <no address>\nto: <carol@[300.1.1.1]>\n\nSubject: some\n\nhi\n")
    got = sink.wait(2)
    report = [r for r in got if r.sender == ""][0]
    assert report.recipients == [f"{ALICE}@{DOMAIN}"] and b"no address" in report.bytes and b"bob@example.net" not in report.bytes, report.bytes
    relay.wait_drop_empty()
    assert relay.held() == [], "it was stored for the others"
    relay.put(ALICE, "nonsense\n")
    report = sink.wait(3)[2]
    assert b"line 1 of the file" in report.bytes, report.bytes
    relay.wait_drop_empty()
    assert len(relay.held()) == 1
    told = relay.command("status").stdout
    assert "refused mail of programs on this machine: 1 files" in told and "has been waiting" not in told, told


def test_the_postmaster_hears_when_there_are_too_many_reports():
    sink = Sink()
    relay = DropRelay(sink.port)
    for i in range(70):
        relay.put(ALICE, "nonsense\n")
    notices = lambda: [r for r in sink.messages if "program on this machine could not be sent" in str(r.message["Subject"])]
    wait_for(lambda: len(relay.held()) == 70, "all files held", every=0.2)
    wait_for(notices, "the notice", every=0.2)
    relay.wait_empty()
    assert len(notices()) == 1 and notices()[0].recipients == [f"postmaster@{DOMAIN}"], notices()
    assert 60 <= len([r for r in sink.messages if r.recipients == [f"{ALICE}@{DOMAIN}"]]) <= 62


def test_status_tells_of_files_that_wait():
    sink = Sink()
    relay = DropRelay(sink.port, limits='messages = [ "1/1h" ];')
    relay.message(ALICE, "first")
    sink.wait(1)
    os.utime(relay.drop / relay.message(ALICE, "second", name=".tmp-old"), (time.time() - 3600,) * 2)
    os.rename(relay.drop / ".tmp-old", relay.drop / "old")
    relay.wait_log("event=pickup.delayed")
    told = relay.command("status").stdout
    assert "the oldest file in the drop directory has been waiting for 60 m" in told, told


def test_users_whose_mail_is_put_off_do_not_block_others():
    sink = Sink()
    relay = DropRelay(sink.port, limits='messages = [ "1/1h" ];')
    relay.stop()
    users = range(2000, 2018)
    for uid in users:
        for i in range(33):
            relay.message(uid, f"{uid} {i}")
    relay.start()
    wait_for(lambda: len(sink.messages) >= len(users), "one of each", every=0.2)
    relay.message(ALICE, "a new user")
    relay.message(WEB, "a program")
    wait_for(lambda: {"a new user", "a program"} <= {r.message["Subject"] for r in sink.messages}, "both", every=0.2)


def test_many_recipients_are_divided():
    sink = Sink()
    relay = DropRelay(sink.port, limits="recipients_per_message = 4;")
    people = [f"p{i}@example.net" for i in range(30)]
    head = "".join(f"to: <{a}>\n" for a in people[:9] + ["no address"] + people[9:])
    relay.put(ALICE, f"{head}\nSubject: many\n\nhi\n")
    for i in range(3):
        time.sleep(0.1)
        relay.kill_role("pickup")
    got = lambda: sorted(a for r in sink.messages if r.sender for a in r.recipients)
    wait_for(lambda: len(got()) >= len(people), "all recipients", every=0.2)
    relay.wait_drop_empty()
    relay.wait_empty()
    assert got() == sorted(people), got()
    reports = [r for r in sink.messages if not r.sender]
    assert reports and all(b"no address" in r.bytes and b"p3@" not in r.bytes for r in reports), reports
    assert relay.held() == []


def test_refusals_are_reported_when_the_role_died_before():
    sink = Sink()
    relay = DropRelay(sink.port)
    text = "to: <bob@example.net>\nto: <no address>\n\nSubject: some\n\nhi\n"
    relay.put(ALICE, text)
    sink.wait(2)
    relay.wait_drop_empty()
    id = [line for line in relay.log_now().splitlines() if "event=pickup.refused" in line][0].split("queue=")[1].split()[0]
    relay.stop()
    # as it was when the role died between the answer and the report
    path = relay.drop / "taken" / f"{id}-0000000000000001"
    path.write_text(text)
    path.chmod(0o744)
    os.chown(path, ALICE, ALICE)
    relay.start()
    report = sink.wait(3)[2]
    assert report.sender == "" and report.recipients == [f"{ALICE}@{DOMAIN}"] and b"no address" in report.bytes, report.bytes
    assert b"bob@example.net" not in report.bytes, report.bytes
    relay.wait_drop_empty()
    assert len(sink.messages) == 3


def test_hostile_users_do_no_harm():
    sink = Sink()
    relay = DropRelay(sink.port, limits='message_size = "1M";')
    secret = relay.drop.parent / "secret"
    secret.write_text("to: <eve@example.net>\n\nSubject: secret\n\nhi\n")
    secret.chmod(0o644)
    with as_user(ALICE):
        os.symlink(secret, relay.drop / "link")
        os.mkfifo(relay.drop / "pipe")
        os.mkdir(relay.drop / "directory")
        os.mkdir(relay.drop / "directory" / "within")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(relay.drop / "socket"))
    os.link(secret, relay.drop / "hard")
    relay.put(ALICE, "to: <bob@example.net>\n\n" + "x" * 3_000_000)
    relay.put(ALICE, b"to: <bob@example.net>\n\nSubject: nul\n\n\0\n")
    for i in range(300):
        relay.put(ALICE, f"to: <bob@example.net>\n\nSubject: flood {i}\n\nhi\n")
    relay.message(WEB, "not lost in the flood")
    subjects = lambda: [r.message["Subject"] for r in sink.messages]
    wait_for(lambda: "not lost in the flood" in subjects(), "the other user's mail")
    wait_for(lambda: sum("flood" in str(s) for s in subjects()) >= 300, "the flood", every=0.2)
    wait_for(lambda: relay.dropped() == ["directory"], "only what nobody but its owner can move is left")
    relay.wait_log("event=pickup.left")
    assert "secret" not in subjects() and secret.exists()
    assert not (relay.drop / "link").is_symlink() and not (relay.drop / "pipe").exists()
    relay.wait_log("event=pickup.discarded")
    assert relay.process.poll() is None and len(relay.held()) >= 3, relay.held()


def test_a_file_that_somebody_else_moves_there_is_not_sent():
    """Root has copied a user's text into that user's directory, on the same file system: who owns the directory can move it."""
    sink = Sink()
    relay = DropRelay(sink.port)
    home = relay.drop.parent / "home"
    home.mkdir()
    os.chown(home, ALICE, ALICE)
    for i, mode in enumerate((0o644, 0o666, 0o655)):
        (home / f"copy{i}").write_text(f"from: <ceo@{DOMAIN}>\nto: <bob@example.net>\n\nSubject: forged\n\nhi\n")
        (home / f"copy{i}").chmod(mode)
        with as_user(ALICE):
            (home / f"copy{i}").rename(relay.drop / f"{random.getrandbits(64):016x}")
    wait_for(lambda: len(relay.held()) == 3, "three files aside")
    relay.message(ALICE, "mine")
    wait_for(lambda: any(r.message["Subject"] == "mine" for r in sink.messages), "the user's own mail")
    reports = [r for r in sink.messages if r.sender == ""]
    assert len(sink.messages) == len(reports) + 1 and all(r.recipients == [f"postmaster@{DOMAIN}"] for r in reports), sink.messages
    assert all(b"the mark that its owner sends it" in r.bytes for r in reports)
    assert "event=pickup.refused" in relay.log_now()


def test_without_a_directory_of_its_own_the_role_does_not_run():
    sink = Sink()
    relay = DropRelay(sink.port, start=False)
    os.chown(relay.drop, ALICE, ALICE)
    relay.start()
    assert not relay.pids("pickup")
    relay.wait_log("event=pickup.unusable")
    os.chown(relay.drop, 0, 0)
    wait_for(lambda: relay.pids("pickup"), "the role runs", seconds=30)
    relay.message(ALICE)
    sink.wait(1)


def test_ids_wait_for_the_number_of_the_node():
    """The database is away at the start: nobody knows which node this is, and so the file is left where it is."""
    database, sink = Database(), Sink()
    database.stop()
    relay = DropRelay(sink.port, extra=database.settings())
    relay.message(DAEMON)
    relay.wait_log("event=store.away")
    wait_for(lambda: relay.pids("pickup"), "the role runs")
    assert relay.command("status", check=False) is not None and len(relay.dropped()) == 1 and not list(relay.drop.glob("taken/*"))
    database.start()
    received = re.search(rb" id ([0-9a-z]{13})", sink.wait(1)[0].bytes).group(1).decode()
    assert node_of(received) == 1 and worker_of(received) == 62, received
    relay.wait_drop_empty()
