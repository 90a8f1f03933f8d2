"""test_walls.py - a role that was taken over: what it can do to the others by messages alone."""
import os
import pathlib
import re
import subprocess

import lib


def rogue_build(deed):
    """A directory with the real executables, and a stranger's in the place of vault."""
    place = pathlib.Path(lib.WORK_DIR()) / f"rogue-{deed}"
    place.mkdir()
    for file in lib.SANITIZED.glob("posthouse*"):
        if file.is_file() and os.access(file, os.X_OK):
            os.link(file, place / file.name)
    (place / "posthouse-vault").unlink()
    os.link(lib.SANITIZED.parent / "tests" / "support" / "rogue", place / "posthouse-vault")
    (place / "deed").write_text(deed)
    return place


def kills(relay):
    return re.findall(r"event=role\.killed killed=(\S+) number=\S+ signal=\d+ reason=\"([^\"]*)\"", relay.log_since_start())


def test_a_role_that_names_a_peer_which_it_cannot_have_is_ended_itself():
    """A taken-over role must not have master end others by telling that it has lost them."""
    for deed in ("no-edge", "itself", "no-role", "future"):
        relay = lib.Relay(upstream_port=1, build=rogue_build(deed), sign=False, start=False)
        relay.start()
        lib.wait_for(lambda: kills(relay), f"{deed}: the role that lied is ended")
        assert kills(relay)[0] == ("vault", "it names a peer that it cannot have"), (deed, kills(relay))
        assert all(killed == "vault" for killed, _ in kills(relay)), (deed, kills(relay))
        relay.end()


def test_no_process_holds_the_directory_it_was_started_in():
    """serve goes to / at its start; a configuration that was named by a relative path is found again at a reload."""
    relay = lib.Relay(upstream_port=1, start=False)
    log = open(relay.log_path, "ab")
    relay.log_start = 0
    relay.process = subprocess.Popen([relay.build / "posthouse", "-c", f"{relay.dir.name}/posthouse.conf", "serve"], cwd=relay.dir.parent,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    lib.wait_for(relay.is_ready, "relay ready")
    for pid in [relay.process.pid, *relay.pids()]:
        assert os.readlink(f"/proc/{pid}/cwd") == "/", pid
    relay.command("reload")
    relay.wait_log("event=config.reloaded")
    relay.submit()
