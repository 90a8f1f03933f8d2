"""talk.py - an SMTP client that says what a test tells it, from any loopback address, with whatever TLS, by whatever words."""
import base64
import os
import socket
import ssl

from lib import DOMAIN, HOST, PASSWORD


class Talk:
    """A connection; `prefix` goes before everything else, `tls` is a context for TLS from the first byte on."""

    def __init__(self, port, source="127.0.0.1", host="127.0.0.1", prefix=b"", tls=None, name=HOST, timeout=60, greeting=True):
        self.socket = socket.create_connection((host, port), timeout, source_address=(source, 0))
        if prefix:
            self.socket.sendall(prefix)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self.file = self.socket.makefile("rb")
        self.greeting = self.answer() if greeting else None

    def answer(self):
        """All lines of a reply as one text; "" when the connection has ended."""
        text = ""
        while True:
            try:
                line = self.file.readline().decode("utf-8", "replace")
            except (ConnectionError, ssl.SSLError):
                line = ""
            text += line
            if line == "" or line[3:4] != "-":
                return text

    def say(self, line, expect=None):
        self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        text = self.answer()
        if expect is not None and not text.startswith(str(expect)):
            raise AssertionError(f"{line!r} was answered {text!r} instead of {expect}")
        return text

    def starttls(self, context, name=HOST):
        self.say("STARTTLS", 220)
        self.socket = context.wrap_socket(self.socket, server_hostname=name)
        self.file = self.socket.makefile("rb")
        return self

    def ehlo(self):
        return self.say("EHLO client.example", 250)

    def login(self, user=f"alice@{DOMAIN}", password=PASSWORD, expect=235):
        return self.say(b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()), expect)

    def ready(self, context, user=f"alice@{DOMAIN}", password=PASSWORD):
        """EHLO, STARTTLS, EHLO, AUTH."""
        self.ehlo()
        self.starttls(context)
        self.ehlo()
        self.login(user, password)
        return self

    def text(self, message, expect=250):
        self.say("DATA", 354)
        return self.say(message.replace(b"\r\n.", b"\r\n..").removesuffix(b"\r\n") + b"\r\n.", expect)

    def send(self, sender, to, message, parameters="", expect=250):
        """One message; returns its id, or the answer that was expected instead."""
        self.say(f"MAIL FROM:<{sender}>{' ' if parameters else ''}{parameters}", 250)
        for address in [to] if isinstance(to, str) else to:
            self.say(f"RCPT TO:<{address}>", 250)
        answer = self.text(message, expect)
        return answer.split()[-1] if expect == 250 else answer

    def bdat(self, *chunks, expect=250):
        """The message in chunks; returns the last answer."""
        for i, chunk in enumerate(chunks):
            last = " LAST" if i == len(chunks) - 1 else ""
            self.socket.sendall(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            text = self.answer()
            assert text.startswith(str(expect) if last else "250"), text
        return text

    def at_end(self):
        """Has the server closed the connection?"""
        try:
            return self.socket.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self):
        self.file.close()
        self.socket.close()


def configured(relay, *changes):
    """Change the text of a relay's configuration, and start it. Each change is (old, new)."""
    text = relay.conf.read_text()
    for old, new in changes:
        assert old in text, f"not in the configuration: {old}"
        text = text.replace(old, new)
    relay.conf.write_text(text)
    relay.start()
    return relay


class LocalTalk(Talk):
    """On the socket for programs of this machine, as the user with this number: the kernel notes who connects."""

    def __init__(self, path, uid=None, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if uid is not None:
            os.seteuid(uid)
        try:
            self.socket.connect(str(path))
        finally:
            if uid is not None:
                os.seteuid(0)
        self.file = self.socket.makefile("rb")
        self.greeting = self.answer()
