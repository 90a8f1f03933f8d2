#!/usr/bin/python3
"""Clients that misbehave, each kind by its name, and a polite one beside them whose times are taken.

Used by `run --mode abuse`, which prints the figures, and by the integration tests. As a program: abuse.py KIND --port N --tls-port N
--seconds S attacks and ends by itself. All of it stays on loopback: attackers come from 127.66.0.0/16, the polite client from 127.0.0.1."""
import argparse
import base64
import os
import random
import resource
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time

HOST = "127.0.0.1"


def raise_limit(wanted):
    """As many descriptors as are allowed, at most `wanted`; root may allow himself more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((wanted, max(hard, wanted)), (min(wanted, hard), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# ---- attackers ----
class Attack:
    def __init__(self, options):
        self.port, self.tls_port, self.user, self.password = options.port, options.tls_port, options.user, options.password
        self.end = time.monotonic() + options.seconds
        self.opened = 0

    def going(self):
        return time.monotonic() < self.end

    def connect(self, port, timeout=5):
        s = socket.socket()
        s.settimeout(timeout)
        try:
            s.bind((f"127.66.{random.randrange(256)}.{random.randrange(1, 255)}", 0))
            s.connect((HOST, port))
        except OSError:
            s.close()
            return None
        self.opened += 1
        return s

    def in_threads(self, function, n=8):
        def loop():
            while self.going():
                try:
                    function()
                except (OSError, EOFError):
                    pass
        threads = [threading.Thread(target=loop, daemon=True) for _ in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def hold(self, n, tick, ports):
        """Keep n connections, to these ports in turn; all get tick(connection) about four times a second."""
        held = []
        while self.going():
            for s in [s for s in held if not tick(s)]:
                held.remove(s)
                s.close()
            begun = time.monotonic()
            while len(held) < n and time.monotonic() - begun < 0.25:
                s = self.connect(ports[len(held) % len(ports)])
                if s:
                    s.setblocking(False)
                    held.append(s)
            time.sleep(max(0, 0.25 - (time.monotonic() - begun)))
        for s in held:
            s.close()

    def flood(self, n, first, chunk, read=True):
        """n connections that write as fast as they can; what ends is opened again."""
        watch = selectors.DefaultSelector()
        events = selectors.EVENT_WRITE | (selectors.EVENT_READ if read else 0)

        def open_one():
            s = self.connect(self.port)
            if s:
                s.setblocking(False)
                watch.register(s, events, [first or chunk])

        for _ in range(n):
            open_one()
        while self.going():
            for key, mask in watch.select(0.2):
                try:
                    if mask & selectors.EVENT_READ and not key.fileobj.recv(65536):
                        raise OSError
                    if mask & selectors.EVENT_WRITE:
                        sent = key.fileobj.send(key.data[0])
                        key.data[0] = key.data[0][sent:] or chunk
                except BlockingIOError:
                    pass
                except OSError:
                    watch.unregister(key.fileobj)
                    key.fileobj.close()
                    open_one()

    # ---- the kinds ----
    def connections(self):
        """Connect and leave."""
        def one():
            s = self.connect(self.port)
            if s:
                s.close()
        self.in_threads(one)

    def idle(self):
        """Two thousand who never say anything, on both ports."""
        self.hold(2000, lambda s: True, [self.port, self.tls_port])

    def handshakes(self):
        """Say hello by TLS, have the server work, and leave in the middle."""
        hello = client_hello()

        def one():
            s = self.connect(self.tls_port)
            if s:
                s.sendall(hello)
                s.recv(1)
                s.close()
        self.in_threads(one, 16)

    def renegotiation(self):
        """TLS 1.2 renegotiations and TLS 1.3 key updates, thousands in a session."""
        def one():
            for version, letter in (("-tls1_2", "R"), ("-tls1_3", "K")):
                self.opened += 1
                p = subprocess.Popen(["openssl", "s_client", "-connect", f"{HOST}:{self.tls_port}", version], stdin=subprocess.PIPE,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    for _ in range(300):
                        if p.poll() is not None or not self.going():
                            break
                        p.stdin.write(f"{letter}\n".encode())
                        p.stdin.flush()
                        time.sleep(0.002)
                finally:
                    p.kill()
                    p.wait()
        self.in_threads(one, 3)

    def slow_writers(self):
        """A byte now and then, never a line."""
        def byte(s):
            try:
                s.send(b"E")
                return True
            except BlockingIOError:
                return True
            except OSError:
                return False
        self.hold(500, byte, [self.port])

    def slow_readers(self):
        """Ask and ask, and never read an answer."""
        self.flood(100, b"EHLO x\r\n", b"HELP\r\n" * 1000, read=False)

    def garbage(self):
        """Bytes that mean nothing, lines among them, as fast as they go."""
        self.flood(50, None, bytes(random.choice(b"\0\xff ABC<>\r\n\n") for _ in range(65536)))

    def endless_lines(self):
        self.flood(50, None, b"A" * 65536)

    def commands(self):
        """Valid ones, pipelined without end."""
        self.flood(50, b"EHLO x\r\n", b"NOOP\r\nRSET\r\nVRFY a\r\n" * 2000)

    def logins(self):
        """Wrong passwords from everywhere."""
        context = ssl._create_unverified_context()

        def one():
            s = self.connect(self.tls_port, 10)
            if s:
                with context.wrap_socket(s) as t:
                    t.recv(1000)
                    t.sendall(b"EHLO x\r\nAUTH PLAIN " + base64.b64encode(f"\0{self.user}\0wrong{random.random()}".encode()) + b"\r\n")
                    t.recv(1000)
        self.in_threads(one, 12)

    def text(self):
        """A user who sends large messages one after the other, three at a time: that is no crime, but the others have a right too."""
        context = ssl._create_unverified_context()
        line = b"x" * 98 + b"\r\n"

        def one():
            s = self.connect(self.tls_port, 10)
            if not s:
                return
            with context.wrap_socket(s) as t:
                t.recv(1000)
                t.sendall(b"EHLO x\r\nAUTH PLAIN " + base64.b64encode(f"\0{self.user}\0{self.password}".encode()) + b"\r\n")
                time.sleep(0.3)
                t.sendall(f"MAIL FROM:<{self.user}>\r\nRCPT TO:<sink@example.net>\r\nDATA\r\n".encode())
                time.sleep(0.3)
                t.sendall(f"From: {self.user}\r\nSubject: large\r\n\r\n".encode())
                while self.going():
                    t.sendall(line * 1000)  # never ended: 552, or the end of the test
        self.in_threads(one, 3)


KINDS = ("connections", "idle", "handshakes", "renegotiation", "slow_writers", "slow_readers", "garbage", "endless_lines", "commands", "logins", "text")


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = ssl._create_unverified_context().wrap_bio(incoming, outgoing)
    try:
        t.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


# ---- the polite client ----
class Polite:
    """Sends a message each way again and again: over a session that it keeps, and over a new connection with TLS and AUTH."""

    def __init__(self, port, user, password, to="polite@example.net", timeout=60):
        self.port, self.user, self.password, self.to, self.timeout = port, user, password, to, timeout
        self.context = ssl._create_unverified_context()
        self.ids = []
        self.kept, self.fresh = [], []

    def open(self):
        self.socket = socket.create_connection((HOST, self.port), self.timeout)
        self.file = self.socket.makefile("rb")
        self.expect(b"220")
        self.say(b"EHLO polite.example", b"250")
        self.say(b"STARTTLS", b"220")
        self.socket = self.context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        self.say(b"EHLO polite.example", b"250")
        self.say(b"AUTH PLAIN " + base64.b64encode(f"\0{self.user}\0{self.password}".encode()), b"235")

    def expect(self, code):
        while True:
            line = self.file.readline()
            if not line.startswith(code):
                raise AssertionError(f"the polite client was told {line!r}")
            if line[3:4] != b"-":
                return line

    def say(self, line, code):
        self.socket.sendall(line + b"\r\n")
        return self.expect(code)

    def send(self):
        self.say(f"MAIL FROM:<{self.user}>".encode(), b"250")
        self.say(f"RCPT TO:<{self.to}>".encode(), b"250")
        self.say(b"DATA", b"354")
        answer = self.say(f"From: {self.user}\r\nTo: {self.to}\r\nSubject: polite\r\n\r\nHello.\r\n.".encode(), b"250")
        self.ids.append(answer.split()[-1].decode())

    def close(self):
        self.file.close()
        self.socket.close()

    def run(self, seconds, least=3):
        """Take turns for so long, and `least` times in any case."""
        kept = Polite(self.port, self.user, self.password, self.to, self.timeout)
        kept.open()
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(self.fresh) < least:
            begun = time.monotonic()
            kept.send()
            self.kept.append(time.monotonic() - begun)
            begun = time.monotonic()
            self.open()
            self.send()
            self.fresh.append(time.monotonic() - begun)
            self.close()
            time.sleep(0.02)
        kept.close()
        self.ids += kept.ids
        return self.figures()

    def figures(self):
        def ms(times, what):
            return round(what(times) * 1000, 1)
        return {"messages": len(self.ids), "kept_median_ms": ms(self.kept, statistics.median), "kept_worst_ms": ms(self.kept, max),
                "fresh_median_ms": ms(self.fresh, statistics.median), "fresh_worst_ms": ms(self.fresh, max)}


def start_attack(kind, port, tls_port, seconds, user="", password=""):
    """The attackers are a process of their own; wait for it, it ends by itself."""
    return subprocess.Popen([sys.executable, os.path.abspath(__file__), kind, "--port", str(port), "--tls-port", str(tls_port), "--seconds", str(seconds),
                             "--user", user, "--password", password], stdout=subprocess.PIPE, text=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("kind", choices=KINDS)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--tls-port", type=int, required=True)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--user", default="")
    p.add_argument("--password", default="")
    options = p.parse_args()
    raise_limit(20000)
    attack = Attack(options)
    getattr(attack, options.kind)()
    print(f"opened={attack.opened}")


if __name__ == "__main__":
    main()
