"""The dialogues of tests/dialog, which the protocol's machine plays alone in tests/unit/smtp, against a live daemon: once as they are,
and once with everything that the client sends cut into single bytes."""
import fnmatch
import re

from lib import *

DIALOGS = pathlib.Path(__file__).resolve().parent.parent / "dialog"
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


def unescape(text):
    return re.sub(rb"\\(.)", lambda m: ESCAPES[m.group(1).decode()], text.encode())


def matches(pattern, line):
    """`*` stands for anything, everything else for itself."""
    return fnmatch.fnmatchcase(line, re.sub(r"([?\[])", r"[\1]", pattern))


def expand(path):
    """(place, text) of each line of a dialogue, and of the files that its INCLUDE lines name."""
    for number, text in enumerate(path.read_text().split("\n"), 1):
        if text.startswith("INCLUDE "):
            included = (path.parent / text[8:]).read_text()
            yield from ((f"{number} ({text[8:]}:{n})", line) for n, line in enumerate(included.split("\n"), 1))
        else:
            yield number, text


class Player:
    def __init__(self, relay, path, bytewise):
        self.relay, self.path, self.bytewise = relay, path, bytewise
        self.socket = socket.create_connection(("127.0.0.1", relay.port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def fail(self, number, what):
        raise AssertionError(f"{self.path.name}:{number}{' byte by byte' if self.bytewise else ''}: {what}\n{self.relay.log_tail(20)}")

    def line(self, number):
        while b"\n" not in self.received:
            piece = self.socket.recv(65536)
            if not piece:
                self.fail(number, f"closed; {self.received!r}")
            self.received += piece
        line, _, self.received = self.received.partition(b"\n")
        if not line.endswith(b"\r"):
            self.fail(number, f"a line without CR: {line!r}")
        return line[:-1].decode("utf-8", "replace")

    def send(self, data):
        """A daemon that has closed for a good reason is seen when its answer is compared."""
        try:
            # what follows STARTTLS in the same packet is what injection.txt is about: later it would be a broken handshake
            whole = not self.bytewise or re.search(rb"STARTTLS\r*\n", data)
            for piece in ([data] if whole else [bytes([b]) for b in data]):
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def check_silence(self, number):
        """All that was to be said has been said: nothing else lies in the pipe."""
        if self.received:
            self.fail(number, f"unexpected: {self.received!r}")

    def play(self):
        asked = False  # the last thing was an answer of the server
        for number, text in expand(self.path):
            if text.startswith("#") or not text.strip():
                continue
            if text.startswith("S: "):
                got = self.line(number)
                if not matches(text[3:], got):
                    self.fail(number, f"expected {text[3:]!r}, got {got!r}")
                asked = True
            elif text.startswith(("C: ", "c: ")):
                if asked:
                    self.check_silence(number)
                asked = False
                self.send(text[3:].encode() + b"\r\n" if text[0] == "C" else unescape(text[3:]))
            elif text == "TLS":
                self.check_silence(number)
                self.socket = self.relay.tls().wrap_socket(self.socket, server_hostname=HOST)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            elif text == "CLOSE":
                rest = self.socket.recv(100)
                if self.received or rest:
                    self.fail(number, f"not closed, but {self.received + rest!r}")
            else:
                self.fail(number, f"no dialogue: {text!r}")
        self.socket.close()


def test_every_dialog_with_a_live_daemon():
    sink = Sink()
    relay = Relay(sink.port, users=(), submission='login_delay = "0s"; commands = 100;', limits='message_size = "1M"; recipients_per_message = 10;',
                  workers=1)
    relay.add_user(f"alice@{DOMAIN}", "secret")
    files = sorted(DIALOGS.glob("*.txt"))
    assert len(files) >= 11
    faults = []
    for path in files:
        for bytewise in (False, True):
            try:
                Player(relay, path, bytewise).play()
            except (AssertionError, OSError) as e:
                faults.append(f"{path.name}: {e}")
    assert not faults, "\n\n".join(faults)
    assert relay.process.poll() is None and "role.died" not in relay.log_now()
