"""A user for each kind of role: who is who, what they can do to each other, and what becomes of a state directory of one user."""
import errno
import stat

from lib import *

USERS = {"posthouse": 64001, "posthouse-net": 64002, "posthouse-key": 64003, "posthouse-login": 64004}
BACK_END = 64010  # a group of posthouse-login, as "sasl" would be
ROLES = {"submission": "posthouse-net", "resolver": "posthouse-net", "relay": "posthouse-net", "web": "posthouse-net", "queue": "posthouse", "console": "posthouse", "pickup": "posthouse",
         "vault": "posthouse-key", "login": "posthouse-login"}

# The machine's users, with these; in a mount namespace of its own, so that the machine itself is not changed.
WRAPPER = """#!/bin/sh
exec unshare --mount --propagation private sh -c 'mount --bind {place}/passwd /etc/passwd; mount --bind {place}/group /etc/group; exec "$@"' sh {programs}/posthouse "$@"
"""

# What a process of one user can do to the processes and files that it gets as arguments: all that is not refused is printed.
TRIES = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for word in sys.argv[1:]:
    if word.isdigit():
        pid = int(word)
        for signal in (0, 19):
            try:
                os.kill(pid, signal)
                print("signal", signal, pid)
            except PermissionError:
                pass
        if libc.ptrace(16, pid, None, None) == 0 or ctypes.get_errno() != errno.EPERM:  # PTRACE_ATTACH
            print("ptrace", pid)
        paths = [f"/proc/{pid}/{name}" for name in ("mem", "fd/3", "environ", "maps")]
    else:
        paths = [word]
    for path in paths:
        for flags in (os.O_RDONLY, os.O_RDWR):
            try:
                os.close(os.open(path, flags))
                print("open", flags, path)
            except OSError as e:
                if e.errno not in (errno.EACCES, errno.EPERM):
                    print(path, e)
"""


class Bed:
    """A relay that root starts, with programs and files that every user can reach."""

    def __init__(self, users=USERS):
        if os.geteuid() != 0:
            raise Skip("only root can become others")
        needs_namespaces("--mount")
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-test-", dir="/var/tmp"))
        self.place.chmod(0o755)
        end_with_the_test(self, last=True)
        self.sink = Sink()
        first = Relay(self.sink.port, start=False, users=(), build=RELEASE,
                      extra=f'metrics = "127.0.0.1:{free_port()}"; local = {{ drop = "{self.place}/drop"; socket = "{self.place}/local.sock"; }};')
        self.home = self.place / "home"
        shutil.copytree(first.dir, self.home)
        self.home.chmod(0o755)
        programs = self.place / "bin"
        programs.mkdir()
        for program in RELEASE.iterdir():
            if program.is_file() and program.name.startswith("posthouse"):
                shutil.copy2(program, programs)
        wrapper = self.place / "wrapper/posthouse"
        wrapper.parent.mkdir()
        wrapper.write_text(WRAPPER.format(place=self.place, programs=programs))
        wrapper.chmod(0o755)
        self.relay = first
        self.relay.conf = self.home / "posthouse.conf"
        self.relay.conf.write_text((first.dir / "posthouse.conf").read_text().replace(str(first.dir), str(self.home)).replace('run_as = "root"', 'run_as = "posthouse"'))
        self.relay.dir, self.relay.build, self.relay.log_path = self.home, wrapper.parent, self.home / "log"
        self.state = self.home / "state"
        self.set_users(users)
        for name, mode in (("state", 0o700), ("../drop", 0o1733)):
            (self.home / name).mkdir(exist_ok=True)
            (self.home / name).chmod(mode)
            os.chown(self.home / name, USERS["posthouse"], USERS["posthouse"])

    def set_users(self, users):
        others = [line for line in open("/etc/passwd") if not line.startswith("posthouse")]
        (self.place / "passwd").write_text("".join(others) + "".join(f"{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n" for name, uid in users.items()))
        groups = [line for line in open("/etc/group") if not line.startswith("posthouse")]
        (self.place / "group").write_text("".join(groups) + "".join(f"{name}:x:{uid}:\n" for name, uid in users.items()) +
                                          f"posthouse-backend:x:{BACK_END}:posthouse-login\n")

    def run(self):
        self.relay.start()
        self.relay.submit()

    def end(self, keep=False):
        shutil.rmtree(self.place, ignore_errors=True)


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def uids_of(relay):
    return {role: {int(uid) for pid in relay.pids(role) for uid in status_of(pid)["Uid"].split()} for role in ROLES}


def tries_as(uid, *targets):
    return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable, "-c", TRIES, *map(str, targets)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/").stdout


def files_below(directory):
    return [p for p in directory.rglob("*") if p.is_file() or p.is_dir()]


def test_each_role_has_its_user_and_can_do_nothing_to_the_others():
    bed = Bed()
    relay = bed.relay
    relay.add_user(f"alice@{DOMAIN}")  # while no relay runs, in a directory of before
    (bed.state / "tokens").mkdir(mode=0o700)
    (bed.state / "tokens/some").write_text("a token")
    for path in (bed.state / "tokens", bed.state / "tokens/some"):
        os.chown(path, USERS["posthouse"], USERS["posthouse"])
    bed.run()
    bed.sink.wait(1)
    assert "event=users.missing" not in relay.log_text(), relay.log_tail()
    assert uids_of(relay) == {role: {USERS[name]} for role, name in ROLES.items()}, uids_of(relay)
    for role in ROLES:
        for pid in relay.pids(role):
            said = status_of(pid)
            assert said["Groups"].split() == ([str(g) for g in (USERS["posthouse-login"], BACK_END)] if role == "login" else []), (role, said["Groups"])
            assert all(int(said[c], 16) == 0 for c in ("CapPrm", "CapEff", "CapAmb")), (role, said)
    # whose the files are
    owners = {path: USERS[uid] for name, uid in (("login", "posthouse-login"), ("tokens", "posthouse-key"), ("doctor", "posthouse-net"),
                                                 ("tlspolicy", "posthouse-net"))
              for path in [bed.state / name, *files_below(bed.state / name)]}
    assert {path: path.stat().st_uid for path in owners} == owners
    assert bed.state / "login/accounts" in owners and bed.state / "tokens/some" in owners
    rest = [path for path in files_below(bed.state) if path not in owners]
    assert all(path.stat().st_uid == USERS["posthouse"] for path in rest) and bed.state / "queue.db" in rest, rest
    root = bed.state.stat()
    assert (root.st_uid, root.st_gid, stat.S_IMODE(root.st_mode)) == (0, USERS["posthouse"], 0o1771), root
    # what one can do to another: nothing
    files = [path for path in files_below(bed.state) if path.is_file()]
    for name, uid in USERS.items():
        pids = [pid for role, of in ROLES.items() if of != name for pid in relay.pids(role)] + [relay.process.pid]
        others = [path for path in files if path.stat().st_uid != uid]
        assert len(pids) > 3 and others, (name, pids, others)
        assert tries_as(uid, *pids, *others) == "", (name, tries_as(uid, *pids, *others))
        # nobody exchanges what another user has in state_dir
        for path in (bed.state / "login", bed.state / "tokens", bed.state / "doctor", bed.state / "queue.db"):
            if path.stat().st_uid != uid:
                moved = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "mv", path, f"{path}.gone"], stderr=subprocess.DEVNULL)
                assert moved.returncode != 0 and path.exists(), (name, path)
    # the commands know them
    text = relay.command("status").stdout
    assert "all roles run as" not in text and all(name in text for name in USERS), text
    said = json.loads(relay.command("status", "--json").stdout)
    assert {r["role"]: r["user"] for r in said["roles"]} == ROLES, said["roles"]
    relay.command("check")
    relay.add_user(f"bob@{DOMAIN}")
    relay.command("reload")
    assert f"bob@{DOMAIN}" in relay.command("user", "list").stdout
    dropped = bed.place / "drop"
    done = subprocess.run([bed.place / "wrapper/posthouse", "-c", relay.conf, "queue", "list", "--json"], stdout=subprocess.PIPE, check=True)
    assert done.stdout and dropped.stat().st_uid == USERS["posthouse"]
    # without the relay, and with it again
    relay.stop()
    relay.command("user", "remove", f"bob@{DOMAIN}", "--yes", check=False)
    relay.add_user(f"carol@{DOMAIN}")
    assert (bed.state / "login/accounts").stat().st_uid == USERS["posthouse-login"] and not (bed.state / "accounts").exists()
    bed.run()
    bed.sink.wait(2)


def test_a_machine_without_these_users_has_one_for_all():
    bed = Bed(users={"posthouse": USERS["posthouse"]})
    relay = bed.relay
    relay.add_user(f"alice@{DOMAIN}")
    bed.run()
    assert 'event=users.missing missing="posthouse-net posthouse-key posthouse-login" instead=posthouse' in relay.log_text(), relay.log_tail()
    assert set().union(*uids_of(relay).values()) == {USERS["posthouse"]}, uids_of(relay)
    assert "all roles run as posthouse" in relay.command("status").stdout
    assert all(path.stat().st_uid == USERS["posthouse"] for path in [bed.state, *files_below(bed.state)])
    assert stat.S_IMODE(bed.state.stat().st_mode) == 0o700
    relay.command("check")


def test_a_state_directory_of_one_user_becomes_that_of_several_and_the_reverse():
    """As an earlier version left it, also when the start that moves its files is broken off."""
    bed = Bed(users={"posthouse": USERS["posthouse"]})
    relay = bed.relay
    relay.add_user(f"alice@{DOMAIN}")
    bed.run()
    bed.sink.wait(1)
    relay.stop()
    for path in (bed.state / "login").iterdir():
        path.rename(bed.state / path.name)
    for name in ("login", "tokens", "doctor", "tlspolicy"):
        (bed.state / name).rmdir()
    (bed.state / "doctor.faults").write_text("{}")
    os.chown(bed.state / "doctor.faults", USERS["posthouse"], USERS["posthouse"])
    # broken off after the first file
    (bed.state / "login.new").mkdir(mode=0o700)
    (bed.state / "login.key").rename(bed.state / "login.new/login.key")
    key = (bed.state / "login.new/login.key").read_bytes()
    bed.set_users(USERS)
    bed.run()
    bed.sink.wait(2)
    assert uids_of(relay) == {role: {USERS[name]} for role, name in ROLES.items()}, uids_of(relay)
    assert {p.name for p in (bed.state / "login").iterdir()} >= {"accounts", "login.key"} and (bed.state / "login/login.key").read_bytes() == key
    assert (bed.state / "doctor/doctor.faults").stat().st_uid == USERS["posthouse-net"]
    assert not any((bed.state / name).exists() for name in ("accounts", "login.key", "doctor.faults", "login.new"))
    relay.stop()
    # a file of root's that somebody has linked into the directory stays root's
    (bed.place / "root").write_text("root's own")
    os.link(bed.place / "root", bed.state / "login/linked")
    bed.set_users({"posthouse": USERS["posthouse"]})
    bed.run()
    bed.sink.wait(3)
    rest = [path for path in [bed.state, *files_below(bed.state)] if path.name != "linked"]
    assert all(path.stat().st_uid == USERS["posthouse"] for path in rest), [(p, p.stat().st_uid) for p in rest]
    assert (bed.place / "root").stat().st_uid == 0 and stat.S_IMODE(bed.state.stat().st_mode) == 0o700
    relay.command("check")
    relay.stop()
    # once the accounts have their directory, a file that somebody puts where they were is not taken for them
    (bed.state / "accounts").write_text("")
    os.chown(bed.state / "accounts", USERS["posthouse"], USERS["posthouse"])
    bed.set_users(USERS)
    bed.run()
    bed.sink.wait(4)
    assert (bed.state / "login/accounts").stat().st_size > 0
    relay.wait_log("event=master.left_over")
