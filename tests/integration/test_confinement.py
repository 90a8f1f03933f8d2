"""test_confinement.py - the walls around each role: what is tried behind them, what the suite of the kernel lacks, what a reload changes."""
import json
import os
import pathlib
import re
import socket
import subprocess

from lib import DOMAIN, RELEASE, Relay, Sink, end_with_the_test, free_port, needs_namespaces, wait_for

# What is refused to every role, whatever it is for. `killed`: the call ends the process.
NEVER = {"raw_socket": {"killed"}, "trace": {"killed"}, "kill": {"killed"}, "signal_thread": {"killed"}, "read_process": {"killed"},
         "exec": {"killed"}, "fork": {"killed"}, "new_code": {"EACCES"}, "memory_to_code": {"EACCES"}, "new_namespace": {"killed"},
         "become_root": {"killed"}, "limits": {"killed"}, "ring": {"ENOSYS"}, "program_in_kernel": {"killed"}, "control_of_driver": {"ENOTTY"},
         "owner_of_descriptor": {"EINVAL"}, "multipath": {"killed", "EPROTONOSUPPORT"}, "early_data": {"killed", "EOPNOTSUPP"},
         "truncate": {"killed", "EACCES", "ENOENT"}, "chmod": {"killed", "EACCES", "ENOENT"}, "serve": {"killed"}, "local_socket": {"killed", "EAFNOSUPPORT"}, "connect": {"killed", "EACCES"},
         "bind": {"killed", "EACCES"}}
CONNECTS = {"relay", "resolver", "fetch", "doctor"}  # may have a socket; a port that the configuration does not name is refused
ALL = {"submission", "login", "vault", "queue", "relay", "resolver", "console", "fetch", "doctor", "pickup", "web", "tlspolicy"}


def tried(relay):
    """(role, attempt) -> results of all processes of that role."""
    found = {}
    for role, attempt, result in re.findall(r"TRIED role=(\S+) attempt=(\S+) result=(\w+)", relay.log_text()):
        found.setdefault((role, attempt), set()).add(result)
    return found


def relay_with_all_roles(environment, **more):
    """Every role runs: an upstream with a token, a drop directory, metrics, doctor each day."""
    relay = Relay(upstream=f'''{{ name = "next"; host = "127.0.0.1"; port = {free_port()}; tls = "none"; }},
        {{ name = "token"; host = "localhost"; port = {free_port()}; login = "me@example.net"; oauth = {{ provider = "custom"; client_id = "id";
        client_secret = "secret"; grant = "client_credentials"; scope = "s"; token_url = "https://127.0.0.1:{free_port()}/token"; }} }}''',
                  build=RELEASE, start=False, environment=environment, **more)
    drop = relay.dir / "drop"
    drop.mkdir()
    drop.chmod(0o1733)
    relay.write_config(extra=f'metrics = "127.0.0.1:{free_port()}"; local = {{ drop = "{drop}"; }}; doctor = {{ daily = true; }};'
                       ' routes = ( { recipients = [ "@mx.example" ]; via = [ "mx" ]; }, { via = [ "next" ]; } );' + more.get("extra", ""))
    return relay


def test_what_each_role_can_try():
    """Each attempt of each role ends as it should, and none works that is not the role's own work."""
    port = free_port()
    with socket.socket() as listener:  # somebody answers there: only the wall refuses
        listener.bind(("127.0.0.1", port))
        listener.listen()
        relay = relay_with_all_roles({})
        state, drop = relay.dir / "state", relay.dir / "drop"
        relay.start()  # makes the directories
        relay.stop()
        own = {"queue": state / "queue.db", "login": state / "login" / "accounts", "vault": state / "tokens" / "token", "doctor": state / "doctor" / "faults",
               "tlspolicy": state / "tlspolicy" / "policies",
               "pickup": drop / ".tmp-file"}  # vault has its directory open: by a name it reaches nothing, its root directory is empty
        for path in own.values():
            path.parent.mkdir(exist_ok=True)
            path.touch()
        others = [relay.dir / relay.key, relay.dir / relay.dkim_key, relay.conf, pathlib.Path("/etc/shadow"), pathlib.Path("/etc/passwd"),
                  pathlib.Path("/proc/self/environ")]
        paths = [*own.values(), *others]
        relay.environment["POSTHOUSE_TRY"] = ":".join(map(str, [port, *paths]))
        relay.start()
        found = tried(relay)
    roles = {role for role, _ in found}
    assert roles >= ALL - {"resolver"}, roles
    wrong = []
    for role in roles:
        for attempt, expected in NEVER.items():
            if not found[role, attempt] <= expected:
                wrong.append((role, attempt, found[role, attempt]))
        if role in CONNECTS:
            assert found[role, "socket"] == {"done"} and found[role, "connect"] == {"EACCES"}, (role, found[role, "socket"], found[role, "connect"])
        elif found[role, "socket"] != {"killed"}:
            wrong.append((role, "socket", found[role, "socket"]))
        for path in paths:
            for attempt in ("read", "write"):
                result = found[role, f"{attempt}:{path}"]
                mine = own.get(role) == path and role != "vault" or role == "queue" and state in path.parents
                if not result <= ({"done"} if mine else {"EACCES", "ENOENT"}):  # ENOENT: the root directory is empty
                    wrong.append((role, attempt, str(path), result))
    assert not wrong, "\n".join(map(str, wrong))
    relay.stop()


def walls_of(relay):
    return {r["role"]: {name.removeprefix("wall "): n for name, n in r["figures"].items() if name.startswith("wall ")} for r in relay.status()["roles"]}


def test_status_shows_what_holds():
    relay = relay_with_all_roles({})
    relay.start()
    for role, walls in walls_of(relay).items():
        assert walls.get("seccomp") == 1 or role == "master", (role, walls)
        assert walls.get("landlock", 0) > 0 or role == "master", (role, walls)
        assert walls.get("chroot") == (role in ("submission", "console", "web", "vault") and os.geteuid() == 0), (role, walls)
    assert "walls: seccomp, landlock" in relay.status_text()
    assert "sandbox." not in relay.log_now()
    for role in ALL - {"resolver"}:
        for pid in relay.pids(role):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"^Seccomp:\s+2$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M), (role, status)
            for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                assert re.search(rf"^{name}:\s+0+$", status, re.M), (role, status)


def test_off_is_off_and_said_once():
    sink = Sink()
    relay = Relay(sink.port, extra='sandbox = "off";')
    relay.submit()
    sink.wait(1)
    assert relay.log_now().count("event=sandbox.off") == 1
    assert all(not walls.get("seccomp") and not walls.get("landlock") for walls in walls_of(relay).values())
    found = advice(relay)
    assert len(found) == 1 and found[0]["remedy"]["config"] == 'sandbox = "on";' and "seccomp, landlock" in found[0]["text"], found
    assert all(role in found[0]["text"] for role in ("login", "queue", "relay", "submission")), found


def advice(relay):
    """What `posthouse doctor` says of the walls."""
    done = subprocess.run([relay.build / "posthouse", "-c", relay.conf, "doctor", "--offline", "--json", "--only", "sandbox.walls"], text=True,
                          stdout=subprocess.PIPE, check=True, timeout=100)
    return [f for f in map(json.loads, done.stdout.splitlines()) if f.get("result") == "advice"]


def lacking(relay, *calls):
    """Start the relay under a filter that makes the kernel one without these calls, as some containers do."""
    wrapper = pathlib.Path(__file__).parent.parent / "support" / "without.py"
    log = open(relay.log_path, "ab")
    relay.log_start = relay.log_path.stat().st_size
    relay.process = subprocess.Popen(["/usr/bin/python3", wrapper, *calls, "--", relay.build / "posthouse", "-c", relay.conf, "serve"],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_for(relay.is_ready, "relay ready")


def works_without(missing, *calls):
    sink = Sink()
    relay = Relay(sink.port, start=False, build=RELEASE)
    lacking(relay, *calls)
    relay.submit()
    sink.wait(1)
    relay.command("reload")
    relay.submit()
    sink.wait(2)
    lines = [line for line in relay.log_now().splitlines() if "event=sandbox.incomplete" in line]
    assert len(lines) == 1 and f"walls={missing}" in lines[0].replace('"', "") and "level=warning" in lines[0], lines
    walls = walls_of(relay)
    found = advice(relay)
    assert len(found) == 1 and set(found[0]["found"].split(", ")) == set(missing.split(", ")), found
    relay.stop()
    return walls


def test_a_kernel_without_landlock():
    walls = works_without("landlock", "landlock")
    assert all(w.get("seccomp") == 1 and w.get("landlock") == 0 for role, w in walls.items() if w), walls


def test_a_container_that_forbids_seccomp():
    walls = works_without("seccomp", "seccomp")
    assert all(w.get("seccomp") == 0 and w.get("landlock") > 0 for role, w in walls.items() if w), walls


def test_neither():
    walls = works_without("seccomp, landlock", "seccomp", "landlock")
    assert all(w.get("seccomp") == 0 and w.get("landlock") == 0 for role, w in walls.items() if w), walls


def test_a_reload_to_another_port_starts_relay_again():
    """The wall of relay has the ports of the configuration that it was started with."""
    first, second = Sink(), Sink()
    relay = Relay(first.port)
    relay.submit()
    first.wait(1)
    before = relay.pids("relay")
    relay.write_config()
    relay.conf.write_text(relay.conf.read_text().replace(f"port = {first.port};", f"port = {second.port};"))
    relay.command("reload")
    relay.wait_log("event=role.outgrown")
    wait_for(lambda: relay.pids("relay") and relay.pids("relay") != before, "another relay")
    relay.submit()
    relay.retry_until(lambda: second.messages, "mail at the new port")
    log = relay.log_now()
    assert "event=role.died" not in log and f"port {second.port}" in log, log
    assert len([line for line in log.splitlines() if "event=role.outgrown" in line]) == 1


def test_reloads_that_follow_closely():
    """Each changes the port, so relay is being started again when the next one comes: that one goes past it."""
    sinks = [Sink(), Sink()]
    relay = Relay(sinks[0].port)
    text = relay.conf.read_text()
    for n in range(1, 10):
        relay.conf.write_text(text.replace(f"port = {sinks[0].port};", f"port = {sinks[n % 2].port};"))
        relay.command("reload")
    relay.submit()
    relay.retry_until(lambda: sinks[1].messages, "mail at the port of the last reload")
    log = relay.log_now()
    assert "event=role.outgrown" in log and "event=role.died" not in log and "event=role.killed" not in log, log


def test_a_reload_that_needs_no_more_starts_nothing():
    sink = Sink()
    relay = Relay(sink.port)
    before = sorted(relay.pids())
    relay.command("reload")
    relay.wait_log("event=config.reloaded")
    relay.submit()
    sink.wait(1)
    assert sorted(relay.pids()) == before and "event=role.outgrown" not in relay.log_now()
    assert not advice(relay)
