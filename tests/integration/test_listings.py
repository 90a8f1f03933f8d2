"""Listings: titles and widths at a terminal; rows that are whole, one a line, for programs."""
import fcntl
import pty
import re
import struct
import termios

from lib import *


def at_terminal(relay, columns, *arguments):
    """The lines at a terminal of this width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([relay.build / "posthouse", "-c", relay.conf, *arguments], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # the terminal's end
        pass
    os.close(master)
    assert process.wait(LIMIT) == 0, shown
    return shown.decode().replace("\r\n", "\n").splitlines()


def test_accounts():
    reason = "was lost in the bus on the way home, and is of no use until the new one is there"
    long = f"a-person-with-a-long-name@{DOMAIN}"
    relay = Relay(free_port(), users=(f"alice@{DOMAIN}", long))
    relay.command("user", "lock", "alice", "--reason", reason)
    rows = {line.split()[0]: line for line in relay.command("user", "list").stdout.splitlines()}
    assert set(rows) == {f"alice@{DOMAIN}", long} and rows[f"alice@{DOMAIN}"].endswith(f"locked {rows[f'alice@{DOMAIN}'].split('locked ')[1]}")
    assert reason in rows[f"alice@{DOMAIN}"], rows
    wide = at_terminal(relay, 300, "user", "list")
    assert wide[0].split() == ["LOGIN", "MADE", "LOCKED"] and any(line.endswith(reason) for line in wide), wide
    narrow = at_terminal(relay, 72, "user", "list")
    assert narrow[0].split() == ["LOGIN", "MADE", "LOCKED"] and max(map(len, narrow)) == 72, narrow
    assert sum(line.endswith("…") for line in narrow) == 1 and all(len({narrow[0].index("MADE"), line.index(" 20") + 1}) == 1 for line in narrow[1:]), narrow


def aged(row):
    """A second can pass between two commands."""
    return re.sub(r"\d s ", "0 s ", row)


def test_the_queue():
    relay = Relay(free_port())
    to = "a-recipient-with-a-very-long-name-that-no-column-can-hold@a-long-domain.example.net"
    relay.submit(to=[to])
    row = relay.command("queue", "list").stdout.splitlines()[0]
    assert row.endswith(f" -> {to}") and "FROM" not in relay.command("queue", "list").stdout, row
    lines = at_terminal(relay, 60, "queue", "list")
    assert lines[0].split() == ["ID", "AGE", "SIZE", "FROM", "->", "TO"] and lines[1].endswith("…") and len(lines[1]) == 60, lines
    assert aged(lines[1])[:50] == aged(row)[:50] and max(map(len, lines)) <= 60, (lines, row)
    for arguments in (["queue", "summary"], ["limits", "show"], ["session", "list"], ["status"], ["upstream", "list"]):
        lines = [line for line in at_terminal(relay, 60, *arguments) if not line.startswith("More: ")]  # a command to copy
        assert arguments == ["status"] or max(map(len, lines)) <= 60, lines
    assert at_terminal(relay, 100, "queue", "summary")[0].split()[:3] == ["RECIPIENTS", "FOR", "ALL"]


def test_profiles():
    """What is known of providers: in rows that fit a terminal, nothing of it cut; a line for each fact in a file."""
    relay = Relay(free_port(), start=False)
    whole = relay.command("upstream", "profiles").stdout
    assert "VALUE" not in whole and max(map(len, whole.splitlines())) > 100, whole
    lines = at_terminal(relay, 80, "upstream", "profiles")
    assert lines[0].split() == ["SETTING", "VALUE"] and max(map(len, lines)) <= 80 and not any("…" in line for line in lines), lines
    assert " ".join(" ".join(lines[1:]).split()) == " ".join(whole.split())
    value = lines[0].index("VALUE")
    assert all(line[value - 1] == " " != line[value] for line in lines[1:] if line.startswith("    ")), lines
