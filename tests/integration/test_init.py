"""The relay as the first process of a container, and what it tells a service manager."""
from lib import *


def in_container(relay):
    """`serve` as process 1 of a namespace of its own; returns (the process of unshare, the pid of process 1 as we see it)."""
    if os.geteuid() != 0:
        raise Skip("a PID namespace takes root")
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("this kernel or container gives no PID namespace")
    with open(relay.log_path, "ab") as log:
        outer = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", relay.build / "posthouse", "-c", relay.conf, "serve"],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    relay.log_start = 0
    relay.process = outer
    wait_for(relay.is_ready, "ready as process 1")
    [inner] = children(outer.pid)
    return outer, inner


def children(pid):
    return [int(n) for n in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def run_in(pid, *command):
    """A command in the namespace of that process."""
    return subprocess.run(["nsenter", "--target", str(pid), "--pid", "--mount", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_process_1_reaps_orphans_and_ends_with_0():
    sink = Sink()
    relay = Relay(sink.port, start=False)
    outer, inner = in_container(relay)
    status = pathlib.Path(f"/proc/{inner}/status").read_text()
    assert "\nNSpid:\t" in status and status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1", status
    relay.submit()
    sink.wait(1)
    # orphans: the shell ends at once, its children belong to process 1 and end some time later
    run_in(inner, "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.3 &) ; done")
    others = lambda: [(p, comm_of(p), state_of(p)) for p in children(inner) if not (comm_of(p) or "").startswith("posthouse")]  # zombies have no program
    wait_for(lambda: not others(), lambda: f"the orphans end, and are reaped: {others()}")
    # a role that dies is reaped and replaced
    roles = [p for p in children(inner) if comm_of(p) == "posthouse-relay"]
    assert len(roles) == 1, [comm_of(p) for p in children(inner)]
    os.kill(roles[0], signal.SIGKILL)
    wait_for(lambda: [p for p in children(inner) if comm_of(p) == "posthouse-relay" and p != roles[0]], "another relay")
    relay.submit()
    sink.wait(2)
    wait_for(lambda: not [p for p in children(inner) if state_of(p) == "Z"], "the dead role is reaped")
    os.kill(inner, signal.SIGTERM)
    assert outer.wait(LIMIT) == 0, f"{outer.returncode}\n{relay.log_tail()}"
    assert state_of(inner) is None
    assert "event=master.ended" in relay.log_text()


def comm_of(pid):
    try:
        return pathlib.Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return None


def test_process_1_dies_alone_when_killed():
    """kill -9 of process 1 takes all with it: the kernel sees to that, and the next start finds the mail."""
    port = free_port()
    relay = Relay(port, start=False)
    outer, inner = in_container(relay)
    id = relay.submit()
    os.kill(inner, signal.SIGKILL)
    assert outer.wait(LIMIT) != 0
    wait_for(lambda: not relay.pids(), "all roles gone")
    sink = Sink(port=port)
    relay.start()
    sink.wait(1)
    assert relay.trace(id)


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if abstract:
            self.name = f"@posthouse-test-{os.getpid()}"
            self.socket.bind("\0" + self.name[1:])
        else:
            directory = tempfile.mkdtemp(prefix="notify-", dir="/tmp")  # short: a socket's path has 107 bytes
            self.name = f"{directory}/socket"
            self.socket.bind(self.name)
        self.socket.settimeout(0.2)
        self.said = []

    def hear(self):
        try:
            while True:
                self.said.append(self.socket.recv(4096).decode())
        except TimeoutError:
            pass
        return "\n".join(self.said)

    def wait(self, word):
        wait_for(lambda: word in self.hear().split("\n"), lambda: f"{word} said to the service manager; it was {self.said}")

    def close(self):
        self.socket.close()
        if not self.name.startswith("@"):
            shutil.rmtree(os.path.dirname(self.name))


def test_the_service_manager_is_told():
    for abstract in (False, True):
        manager = Manager(abstract)
        relay = Relay(1, environment={"NOTIFY_SOCKET": manager.name})
        manager.wait("READY=1")
        assert "RELOADING=1" not in manager.hear() and "STOPPING=1" not in manager.hear()
        relay.command("reload")
        manager.wait("RELOADING=1")
        reloading = [m for m in manager.said if "RELOADING=1" in m][0]
        stamp = [line for line in reloading.split("\n") if line.startswith("MONOTONIC_USEC=")]
        assert stamp and abs(int(stamp[0].split("=")[1]) / 1e6 - time.monotonic()) < 60, reloading  # systemd wants it since Type=notify-reload
        wait_for(lambda: manager.hear().count("READY=1") == 2, "READY=1 after the reload")
        relay.stop()
        manager.wait("STOPPING=1")
        stopping = [m for m in manager.said if "STOPPING=1" in m][0]  # a slow start asks for more time too
        extended = [line for line in stopping.split("\n") if line.startswith("EXTEND_TIMEOUT_USEC=")]
        assert extended and 10_000_000 < int(extended[0].split("=")[1]) < 30_000_000, extended  # the tests' shutdown_grace is 10 s
        everything = "\n".join(manager.said)
        assert everything.index("READY=1") < everything.index("RELOADING=1") < everything.rindex("READY=1") < everything.index("STOPPING=1")
        manager.close()


def test_the_service_manager_hears_that_master_lives():
    for asked, heard in (({}, False), ({"WATCHDOG_USEC": "1000000"}, True), ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, False)):
        manager = Manager()
        relay = Relay(1, environment={"NOTIFY_SOCKET": manager.name, **asked})
        manager.wait("READY=1")
        if heard:
            wait_for(lambda: manager.hear().count("WATCHDOG=1") >= 3, "signs of life", every=0.3)
            os.kill(relay.process.pid, signal.SIGSTOP)
            wait_for(lambda: pathlib.Path(f"/proc/{relay.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", "it has stopped")
            before = manager.hear().count("WATCHDOG=1")
            time.sleep(1.2)
            assert manager.hear().count("WATCHDOG=1") == before, manager.said
            os.kill(relay.process.pid, signal.SIGCONT)
        else:
            time.sleep(1.2)  # it would have been said twice
            assert "WATCHDOG=1" not in manager.hear(), manager.said
        relay.stop()
        manager.close()


def test_a_refused_reload_is_ready_again_too():
    manager = Manager()
    relay = Relay(1, environment={"NOTIFY_SOCKET": manager.name})
    manager.wait("READY=1")
    relay.conf.write_text(relay.conf.read_text() + "nonsense = 1;\n")
    assert relay.command("reload", check=False).returncode != 0
    if "RELOADING=1" in manager.hear():
        wait_for(lambda: manager.hear().rfind("READY=1") > manager.hear().rfind("RELOADING=1"), lambda: f"READY=1 after a refused reload: {manager.said}")
    manager.close()
