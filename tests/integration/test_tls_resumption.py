"""Relay resumes the TLS of earlier sessions with a next hop: with Python's ssl and Postfix; what a reload forgets, and a server that does
not get on with it."""
import ssl
import struct

from lib import *
from peers import Postfix


def upstream(port, cert, more=""):
    return f'{{ name = "next"; host = "127.0.0.1"; port = {port}; ca = "{cert}"; tls_name = "sink.example.net"; connections = 1; {more} }}'


def sink_and_relay(version=None, more="", port=None):
    context, cert = tls_context(WORK_DIR())
    if version:
        context.maximum_version = version
    sink = Sink(tls="implicit", tls_context=context)
    relay = Relay(upstream=upstream(port(sink) if port else sink.port, cert, 'tls = "implicit"; ' + more), delivery="reuse = 1;")
    return sink, relay, context


def resumed(relay):
    return relay.figures("relay")["tls_resumed"]


def test_sessions_are_resumed_and_a_reload_forgets_them():
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        sink, relay, context = sink_and_relay(version)
        for n in range(1, 4):
            relay.submit()
            sink.wait(n)
        assert context.session_stats()["hits"] == 2 == resumed(relay)
        relay.command("reload")
        relay.submit()
        sink.wait(4)
        assert context.session_stats()["hits"] == 2 == resumed(relay)
        relay.submit()
        sink.wait(5)
        assert resumed(relay) == 3


def test_sessions_with_postfix():
    context, cert = tls_context(WORK_DIR())
    postfix = Postfix(tls="encrypt", certificate=(cert, str(cert).replace(".pem", ".key")))
    relay = Relay(upstream=upstream(postfix.port, cert, 'tls = "starttls";'), delivery="reuse = 1;")
    for n in range(1, 4):
        relay.submit()
        wait_for(lambda: len(postfix.messages()) >= n, f"{n} messages at Postfix")
    assert resumed(relay) >= 1


def offers_session(record):
    """RFC 8446 4.2.11: is there a pre_shared_key in this client hello?"""
    at = 5 + 4 + 2 + 32
    at += 1 + record[at]
    at += 2 + int.from_bytes(record[at:at + 2], "big")
    at += 1 + record[at] + 2
    while at < len(record):
        kind, size = struct.unpack_from("!HH", record, at)
        if kind == 41:
            return True
        at += 4 + size
    return False


class Picky:
    """In front of a server: it breaks each connection whose client offers a session."""

    def __init__(self, server):
        self.server, self.offered, self.plain = server, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client = self.listener.accept()[0]
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        hello = client.recv(5, socket.MSG_WAITALL)
        hello += client.recv(int.from_bytes(hello[3:5], "big"), socket.MSG_WAITALL)
        if offers_session(hello):
            self.offered += 1
            client.close()
            return
        self.plain += 1
        server = socket.create_connection(("127.0.0.1", self.server))
        server.sendall(hello)
        threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
        pass_on(client, server)


def test_a_server_that_breaks_when_a_session_is_offered():
    """The same address gets a whole handshake at once: nothing is deferred, and nothing goes in clear text."""
    picky = []
    sink, relay, _ = sink_and_relay(port=lambda sink: picky.append(Picky(sink.port)) or picky[0].port)
    for n in range(1, 5):
        relay.submit()
        sink.wait(n)
    assert picky[0].offered == 2 and picky[0].plain == 4, vars(picky[0])
    assert resumed(relay) == 0
    assert "event=delivery.deferred" not in relay.log_now()
