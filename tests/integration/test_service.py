"""The relay as a service: its unit, its health as a monitor sees it, roles that hang, upgrades, and what root does where others write."""
import configparser
import stat
import time

from lib import *
from nodes_bed import Frozen

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
UNIT = TOP / "packaging/systemd/posthouse.service.in"
SOMEBODY = 54321  # a UID that is nobody in particular
SECRETS = 54322   # a group, as posthouse-secrets is one of the user posthouse


def only_root():
    if os.geteuid() != 0:
        raise Skip("only root can become others")


def elsewhere():
    """A directory that every user can reach, and its removal at the end."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-test-", dir="/var/tmp"))
    place.chmod(0o755)
    return Removal(place).path


class Removal:
    def __init__(self, path):
        self.path = path
        end_with_the_test(self, last=True)

    def end(self, keep=False):
        shutil.rmtree(self.path, ignore_errors=True)


def copy_programs(build, place):
    place.mkdir()
    for program in build.iterdir():
        if program.is_file() and program.name.startswith("posthouse"):
            shutil.copy2(program, place)
    return place


# ---- the unit ----
def unit():
    """The unit of the tree, as a service manager reads it; of a key that comes twice the last one."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser


def test_the_unit_is_a_good_one():
    u = unit()
    service = u["Service"]
    assert service["User"] != "root" and service["Restart"] == "always" and int(service["RestartSec"]) > 0, dict(service)
    assert u["Unit"]["StartLimitIntervalSec"] == "0"  # whatever keeps it from working can pass
    assert service["TimeoutStartSec"] == "infinity"   # an upgrade may convert a large queue
    verifier = shutil.which("systemd-analyze")
    if not verifier:
        return
    directory = elsewhere()
    text = UNIT.read_text().replace("@bindir@/posthouse", str(RELEASE / "posthouse"))
    (directory / "posthouse.service").write_text(text)
    done = subprocess.run([verifier, "verify", "--man=no", directory / "posthouse.service"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    complaints = [line for line in done.stdout.splitlines() if "posthouse.service" in line]
    assert not complaints, done.stdout


def test_what_systemd_thinks_of_the_unit():
    """Of the unit alone; with each of the files that can go beside it, more is allowed, which is written down in HACKING."""
    analyzer = shutil.which("systemd-analyze")
    if not analyzer:
        raise Skip("there is no systemd-analyze")
    directory = elsewhere()
    for drop_in, most in ((None, 13), ("read-all-keys.conf", 15), ("users.conf", 26)):
        text = UNIT.read_text().replace("@bindir@/posthouse", str(RELEASE / "posthouse"))
        if drop_in:
            text += (UNIT.parent / drop_in).read_text()
        (directory / "posthouse.service").write_text(text)
        done = subprocess.run([analyzer, "security", "--offline=true", f"--threshold={most}", directory / "posthouse.service"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, (drop_in, done.stdout)


def as_the_unit_says(u, uid, *command):
    """setpriv with the user, the capabilities and the limits of the unit."""
    service = u["Service"]
    capabilities = ",".join("+" + c.removeprefix("CAP_").lower() for c in service["AmbientCapabilities"].split())
    bounding = ",".join("+" + c.removeprefix("CAP_").lower() for c in service["CapabilityBoundingSet"].split())
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={SECRETS}", f"--inh-caps=-all,{capabilities}", f"--ambient-caps=-all,{capabilities}",
            f"--bounding-set=-all,{bounding}", *(["--no-new-privs"] if service["NoNewPrivileges"] == "yes" else []), *map(str, command)]


SUBMIT = """
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
client = smtplib.SMTP("127.0.0.1", 587)
client._host = "relay.example.org"
client.starttls(context=context)
client.login("alice@example.org", sys.argv[2])
client.sendmail("alice@example.org", ["bob@example.net"], "From: alice@example.org\\r\\n\\r\\nhi\\r\\n")
print("taken")
"""


def test_the_unit_starts_and_keeps_its_state():
    """As systemd would: the user and capabilities of the unit, its directories, keys of root and a group, ports 587 and 465."""
    only_root()
    needs_namespaces("--net")
    u, place = unit(), elsewhere()
    programs, home = copy_programs(RELEASE, place / "bin"), place / "home"
    relay = Relay(1, start=False, users=(), build=RELEASE)
    shutil.copytree(relay.dir, home)
    home.chmod(0o755)
    conf = home / "posthouse.conf"
    conf.write_text(re_listen((home / "posthouse.conf").read_text().replace(str(relay.dir), str(home)).replace('run_as = "root"', 'run_as = "posthouse"'))
                    .replace(f'"{home}/state"', f'"{place}/state"').replace(f'"{home}/control.sock"', f'"{place}/run/control.sock"'))
    for name, mode in (("state", int(u["Service"]["StateDirectoryMode"], 8)), ("run", 0o755)):  # StateDirectory, RuntimeDirectory
        (place / name).mkdir()
        (place / name).chmod(mode)
        os.chown(place / name, SOMEBODY, SOMEBODY)
    for path in [p for p in home.iterdir() if p.is_file() and p.stat().st_mode & 0o77 == 0]:
        os.chown(path, 0, SECRETS)
        path.chmod(0o640)
    assert any(home.glob("*.key")) and all(p.stat().st_uid == 0 and p.stat().st_mode & 0o77 == 0o40 for p in home.glob("*.key")), "keys of the group"
    command = [programs / "posthouse", "-c", conf]
    subprocess.run(as_the_unit_says(u, SOMEBODY, *command, "user", "add", f"alice@{DOMAIN}"), input=PASSWORD + "\n", text=True, check=True)
    ids = []
    for life in range(2):
        log = open(place / f"log{life}", "wb")
        outer = subprocess.Popen(["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *as_the_unit_says(u, SOMEBODY, *command, "serve")],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        text = lambda: (place / f"log{life}").read_text(errors="replace")
        try:
            wait_for(lambda: "event=master.ready" in text() or outer.poll() is not None, "ready")
            assert outer.poll() is None, text()
            done = subprocess.run(["nsenter", "--net", "--target", str(outer.pid), sys.executable, "-c", SUBMIT, home / relay.certificate, PASSWORD],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert "taken" in done.stdout, done.stdout + text()
            roles = [int(n) for n in pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()]
            assert len(roles) >= 6, roles
            for pid in roles:
                status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
                assert status["Uid"].split() == [str(SOMEBODY)] * 4, status
                assert all(int(status[c], 16) == 0 for c in ("CapPrm", "CapEff", "CapAmb")), f"a role has kept capabilities: {status}"
            listing = subprocess.run(as_the_unit_says(u, SOMEBODY, *command, "queue", "list", "--json"), stdout=subprocess.PIPE, text=True, check=True)
            ids.append([row["id"] for row in rows_of(listing.stdout)])
        finally:
            outer.terminate()
        assert outer.wait(LIMIT) == 0, text()
    assert len(ids[0]) == 1 and len(ids[1]) == 2 and ids[0][0] in ids[1], ids


def re_listen(text):
    import re
    return re.sub(r"(port = )\d+(; tls = \"(starttls|implicit)\")", lambda m: m.group(1) + ("587" if m.group(3) == "starttls" else "465") + m.group(2), text)


# ---- health ----
def looked(relay):
    """`status --json` as a monitor runs it: (exit code, what it says, seconds)."""
    start = time.monotonic()
    done = relay.command("status", "--json", check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr, time.monotonic() - start


def well(relay):
    """What it says when all is well, which a busy machine can need some tries for."""
    return wait_for(lambda: (lambda code, said, _: code == 0 and said)(*looked(relay)), "all is well")


def test_status_fails_when_a_role_hangs_and_the_role_is_replaced():
    relay = Relay(1, build=RELEASE)
    said = well(relay)
    assert said["faults"] == [] and said["oldest_at"] is None, said
    frozen = Frozen([relay.process.pid, relay.pids("console")[0]])
    assert "no answer" in relay.command("queue", "list", check=False).stderr  # it was two minutes
    frozen.go_on()
    # whoever answers for all: master and console
    for pid in (relay.process.pid, relay.pids("console")[0]):
        os.kill(pid, signal.SIGSTOP)
        try:
            code, said, seconds = looked(relay)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert code == 69 and "no answer" in said and seconds < 30, (code, said, seconds)  # it was a minute
    hanging = {role: relay.pids(role)[0] for role in ("vault", "queue", "login")}  # in the order of their start
    for pid in hanging.values():
        os.kill(pid, signal.SIGSTOP)
    code, said, seconds = looked(relay)
    assert code == 69 and seconds < 30, (code, seconds)
    assert set(said["faults"]) == {f"{role} 0 does not answer" for role in hanging}, said["faults"]
    assert [r["role"] for r in said["roles"] if not r["answers"]] == list(hanging), said
    text = relay.command("status", check=False).stdout
    assert "FAULT: vault 0 does not answer" in text, text
    # SIGABRT does nothing to a process that is stopped: SIGKILL has to follow
    for role, pid in hanging.items():
        wait_for(lambda: relay.pids(role) and pid not in relay.pids(role), f"another {role}", seconds=2 * LIMIT, every=0.5)
    assert "did not end by SIGABRT" in relay.log_text()
    well(relay)
    relay.submit()


def test_status_fails_when_the_queue_takes_no_mail():
    relay = Relay(free_port(), queue="max_messages = 2;")
    relay.submit()
    said = well(relay)
    assert abs(seconds_of(said["oldest_at"]) - time.time()) < LIMIT, said
    relay.submit()
    code, said, _ = looked(relay)
    assert code == 69 and any("max_messages" in f for f in said["faults"]), said
    assert relay.figures("queue")["full"] == 1
    time.sleep(1.2)  # so that there is a time to tell
    text = relay.command("status", check=False).stdout
    assert "FAULT: the queue takes no mail" in text and "the oldest message has been waiting for" in text, text
    relay.command("queue", "remove", "--all")
    well(relay)
    # the disk is full, as nobody has noticed yet: no mail comes
    free = os.statvfs(relay.dir).f_bavail * os.statvfs(relay.dir).f_frsize
    relay.conf.write_text(relay.conf.read_text().replace('min_free = "10M"', f'min_free = "{free // (1 << 30) + 50}G"'))
    relay.command("reload")
    code, said, _ = looked(relay)
    assert code == 69 and any("min_free" in f for f in said["faults"]), said


# ---- upgrades ----
OTHER_BUILD = """#!/usr/bin/python3
import socket, sys
channel = socket.socket(fileno=3)
channel.setblocking(True)
hello = channel.recv(65536)
channel.send(hello[:-8] + bytes(b ^ 0x55 for b in hello[-8:]))  # our hello is like theirs, with another table
channel.recv(65536)
"""


VAULT = 3  # of enum role_id
OTHER_KEYS = """#!/usr/bin/python3
import socket, struct
channel = socket.socket(fileno=3)
channel.setblocking(True)
kind, call, role, index, incarnation, table = struct.unpack("=IQQQQQ", channel.recv(65536))
channel.send(struct.pack("=IQQQQQ", kind, 0, %d, 0, 1, table))
kind, call, generation = struct.unpack("=IQQ", channel.recv(65536))  # configure, with a slice that has other keys
channel.send(struct.pack("=IQQQII", kind + 1, call, generation, 2 << 16 | 1, 0, 4) + b"keys")  # configured: PERM, CONFIGURED_OTHER_BUILD
channel.recv(65536)
"""


def replace_program(path, text):
    new = path.with_name("new")
    new.write_text(text)
    new.chmod(0o755)
    os.rename(new, path)


def upgraded(programs, relay):
    """The relay with programs of its own."""
    relay.build = copy_programs(RELEASE, programs)
    relay.start()
    return relay


def test_a_new_build_under_a_running_relay_ends_it_with_75():
    place = elsewhere()
    relay = upgraded(place / "bin", Relay(1, start=False, users=()))
    [pid] = relay.pids("vault")  # by the name of its program, which is about to change
    replace_program(relay.build / "posthouse-vault", OTHER_BUILD)
    os.kill(pid, signal.SIGKILL)
    assert relay.process.wait(LIMIT) == 75, relay.log_tail()
    assert "event=master.outdated" in relay.log_text() and "another build" in relay.log_text(), relay.log_tail()
    relay.process = None
    # the same messages, but other keys in the configuration
    relay = upgraded(place / "bin1", Relay(1, start=False, users=()))
    [pid] = relay.pids("vault")
    replace_program(relay.build / "posthouse-vault", OTHER_KEYS % VAULT)
    os.kill(pid, signal.SIGKILL)
    assert relay.process.wait(LIMIT) == 75, relay.log_tail()
    assert "event=master.outdated" in relay.log_text() and "keys are those of another build" in relay.log_text(), relay.log_tail()
    relay.process = None
    # a program that does not even get so far as to speak, when ours was replaced too; it is not at fault otherwise
    relay = upgraded(place / "bin2", Relay(1, start=False, users=()))
    [pid] = relay.pids("login")
    replace_program(relay.build / "posthouse-login", "#!/bin/sh\nexit 127\n")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: relay.log_text().count("event=role.died") >= 5, "some short lives")
    assert relay.process.poll() is None, "nothing else was replaced"
    (relay.build / "posthouse").unlink()
    assert relay.process.wait(LIMIT) == 75, relay.log_tail()
    assert "event=master.outdated" in relay.log_text(), relay.log_tail()
    relay.process = None


def test_programs_that_are_away_for_a_moment():
    place = elsewhere()
    sink = Sink()
    relay = upgraded(place / "bin", Relay(sink.port, start=False))
    away = place / "away"
    away.mkdir()
    pids = [pid for role in ("vault", "queue") for pid in relay.pids(role)]
    for role in ("vault", "queue"):
        (relay.build / f"posthouse-{role}").rename(away / role)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: relay.log_text().count("event=role.start_failed") >= 2, "tried in vain")
    assert relay.process.poll() is None
    for role in ("vault", "queue"):
        (away / role).rename(relay.build / f"posthouse-{role}")
    wait_for(lambda: relay.command("status", check=False).returncode == 0, "all roles are back", every=0.2)
    relay.submit()
    sink.wait(1)


def test_a_first_start_without_its_programs_ends():
    place = elsewhere()
    relay = Relay(1, start=False, users=())
    programs = copy_programs(RELEASE, place / "bin")
    for name in ("posthouse-vault", "posthouse-relay"):
        shutil.rmtree(place / "some", ignore_errors=True)
        shutil.copytree(programs, place / "some")
        (place / "some" / name).unlink()
        done = subprocess.run([place / "some/posthouse", "-c", relay.conf, "serve"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == 71 and "event=role.start_failed" in done.stdout, (done.returncode, done.stdout)


# ---- where others write ----
def test_a_racer_gets_nothing_of_root():
    """A thousand starts as root beside the roles' user, who exchanges the names that root works with for links to a file of root's."""
    only_root()
    place = elsewhere()
    racer = place / "racer"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", racer, TOP / "tests/integration/racer.c"], check=True)
    relay = Relay(1, start=False, users=(), build=RELEASE)
    home, nobody = place / "home", 65534
    shutil.copytree(relay.dir, home)
    programs = place / "bin"
    programs.mkdir()
    shutil.copy2(RELEASE / "posthouse", programs)  # alone: each start ends by itself when there is no role to start
    (home / "posthouse.conf").write_text(relay.conf.read_text().replace(str(relay.dir), str(home)).replace('run_as = "root"', 'run_as = "nobody"'))
    secret, directory = place / "secret", place / "directory"
    secret.write_text("root's own\n")
    secret.chmod(0o600)
    directory.mkdir(0o700)
    state = home / "state"
    state.mkdir(exist_ok=True)
    links = (home / "link", state / "link")
    for link in links:
        link.symlink_to(secret)
    os.link(secret, state / "hard")
    for path in (home, state):
        os.chown(path, nobody, nobody)
    (home / "there").symlink_to(directory)
    pairs = [home / "control.sock", home / "link", state / "lock", state / "hard", state / "lock", state / "link", state, home / "there"]
    process = start_process(["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups", racer, *pairs])
    before = secret.stat(), directory.stat()
    codes = {}
    for _ in range(1000):
        code = subprocess.run([programs / "posthouse", "-c", home / "posthouse.conf", "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60).returncode
        codes[code] = codes.get(code, 0) + 1
        if not os.path.lexists(links[0]):  # a start removes what it takes for an old socket
            links[0].symlink_to(secret)
        for path, was in zip((secret, directory), before):
            now = path.stat()
            assert (now.st_uid, now.st_gid, now.st_mode, now.st_size) == (was.st_uid, was.st_gid, was.st_mode, was.st_size), (path, now, codes)
    assert process.poll() is None, "the racer has not run"
    assert codes.get(71, 0) > 10, f"too few starts came as far as the roles: {codes}"
    assert list(directory.iterdir()) == [], list(directory.iterdir())
