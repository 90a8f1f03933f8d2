"""What one next hop does, or does not do, delays nobody else: name servers that say nothing, an upstream that takes its time."""
import heapq
import os
import re
import socket
import ssl
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

import lib
from lib import *
from peers import Scripted
from test_mx import DIRECT, direct_relay

BREAKER_OFF = 'breaker = "off";'
DEAD = int(os.environ.get("DEAD_DOMAINS", "400"))  # more, to measure


class MuteNames:
    """A resolver that knows *.good.test, whose mail host is 127.0.0.2, and says nothing about *.dead.test, or SERVFAIL after `late` seconds.
    One thread and a large buffer, so that thousands of questions are no trouble."""

    def __init__(self, late=None, address=("127.0.0.1", 0)):
        self.late, self.asked, self.closing = late, 0, False
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.udp.bind(address)
        self.udp.settimeout(0.05)
        self.resolver = f"127.0.0.1@{self.udp.getsockname()[1]}"
        lib._open.append(self)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        waiting = []
        while not self.closing:
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, packet, peer = heapq.heappop(waiting)
                self.udp.sendto(packet[:2] + b"\x81\x82\0\1\0\0\0\0\0\0" + packet[12:packet.index(b"\0", 12) + 5], peer)
            try:
                packet, peer = self.udp.recvfrom(4096)
            except (TimeoutError, OSError):
                continue
            self.asked += 1
            if b"\4dead\4test\0" in packet.lower():
                if self.late:
                    heapq.heappush(waiting, (time.monotonic() + self.late, self.asked, packet, peer))
                continue
            query = dns.message.from_wire(packet)
            reply = dns.message.make_response(query, recursion_available=True)
            question = query.question[0]
            name = question.name.to_text()
            if not name.lower().endswith("good.test."):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            elif question.rdtype == dns.rdatatype.MX:
                reply.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", "10 mx.good.test."))
            elif question.rdtype == dns.rdatatype.A:
                reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "127.0.0.2"))
            self.udp.sendto(reply.to_wire(), peer)

    def end(self, keep=False):
        self.closing = True
        self.thread.join()
        self.udp.close()


def memory_kb(relay, role):
    return sum(int(line.split()[1]) for pid in relay.pids(role) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS:"))


def good_among_dead(late):
    names = MuteNames(late)
    port = free_port()
    sink = Sink(host="127.0.0.2", port=port)
    relay = direct_relay(names.resolver, port, build=RELEASE, log="info", retry='"5m"', limits=BREAKER_OFF)
    client = relay.connect()
    for i in range(DEAD):
        relay.submit(to=[f"r{n}@d{i}.dead.test" for n in range(10)], client=client)
    for n in range(1, 6):
        # one that nobody knows yet; the second and all later ones to a domain that works
        start = time.monotonic()
        relay.submit(to=["bob@one.good.test" if n > 1 else "bob@new.good.test"], client=client)
        sink.wait(n)
        took = time.monotonic() - start
        print(f"mail {n} behind {DEAD} dead domains took {took:.2f} s")
        assert took < 15, "it has waited for look-ups of dead domains, which end after 30 s"
        time.sleep((0, 1, 1, 2, 3, 0)[n])
    print("memory, KiB:", {role: memory_kb(relay, role) for role in ("relay", "queue")}, "questions:", names.asked)
    assert memory_kb(relay, "relay") < 64 * 1024 and memory_kb(relay, "queue") < 64 * 1024
    relay.wait_log("destination.down")
    assert len(sink.messages) == 5


def test_silent_name_servers_delay_nobody_else():
    good_among_dead(None)


def test_late_servfail_delays_nobody_else():
    good_among_dead(10)


def test_a_slow_upstream_has_no_more_than_its_connections():
    """One connection, two messages a second: who comes later waits for his turn, not for all that another one has in the queue."""
    next_hop = Scripted(answers={"END": lambda line: 0.5})
    relay = Relay(users=(f"alice@{DOMAIN}", f"bob@{DOMAIN}"), log="info", limits=BREAKER_OFF,
                  upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {next_hop.port}; tls = "none"; connections = 1; }}')
    client = relay.connect()
    for i in range(24):
        relay.submit(to=[f"a{i}@example.net"], client=client)
    next_hop.wait(3)
    relay.submit(to=["b@example.net"], sender=f"bob@{DOMAIN}", client=relay.connect(user=f"bob@{DOMAIN}"),
                 message=simple_message("for b").replace(b"alice@", b"bob@"))
    before = len(next_hop.messages)
    wait_for(lambda: any("b@example.net" in str(m.recipients) for m in list(next_hop.messages)), "bob's message")
    passed = [i for i, m in enumerate(next_hop.messages) if "b@example.net" in str(m.recipients)][0] - before
    print(f"{passed} of another login went before it")
    assert passed <= 5, passed
    next_hop.answers.clear()


def test_a_stop_with_a_hanging_next_hop_fits_a_container():
    """The next hop says nothing after the text, a client nothing within its own: SIGTERM, and all has ended before a container is killed (10 s).
    What was broken off is tried again."""
    arrived = threading.Event()
    next_hop = Scripted(answers={"END": lambda line: arrived.set() or 60})
    relay = Relay(next_hop.port, start=False)
    relay.conf.write_text(relay.conf.read_text().replace('shutdown_grace = "10s";', ""))
    relay.start()
    client = relay.connect()
    client.mail(f"alice@{DOMAIN}")
    client.rcpt("carol@example.net")
    client.docmd("DATA")
    client.send(b"Subject: never finished\r\n\r\n")
    id = relay.submit(to=["bob@example.net"])
    assert arrived.wait(LIMIT), "the text has not come"
    grace = re.search(r'shutdown_grace = "(\d+)s"', relay.command("check", "--dump").stdout)
    assert int(grace[1]) < 10, "no time is left for the end itself"
    start = time.monotonic()
    relay.stop()
    print(f"stopped in {time.monotonic() - start:.1f} s")
    assert "it did not stop in time" not in relay.log_text(), "a role needed longer than the grace"
    next_hop.answers.clear()
    relay.start()
    relay.wait_empty()
    events = [e["event"] for e in relay.events(id)]
    assert "delivery.deferred" in events and events.count("delivery.sent") == 1, events


def test_old_tls_is_better_than_clear_text():
    """A domain's server that knows TLS 1.0 only gets its mail by that, and the log says so."""
    context, _ = tls_context(WORK_DIR())
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    names = MuteNames()
    port = free_port()
    old = Sink(host="127.0.0.2", port=port, tls="starttls", tls_context=context)
    relay = direct_relay(names.resolver, port)
    relay.submit(to=["bob@old.good.test"])
    old.wait(1)
    relay.wait_log("event=connection.weak")
    relay.wait_log("tls=TLSv1 ")
    relay.wait_empty()
    relay.submit(to=["bob@old.good.test"])
    old.wait(2)


def test_an_upstream_that_begins_otherwise_is_told_of():
    """tls = "implicit" where the server greets in clear text: the log says what fits within seconds, and check warns of the usual ports."""
    clear = Scripted()
    relay = Relay(upstream=f'{{ name = "next"; host = "127.0.0.1"; port = {clear.port}; tls = "implicit"; }}')
    relay.submit()
    relay.wait_log('tls = \\"starttls\\" fits it')
    for port, tls, word in ((465, "starttls", "TLS from the start"), (587, "implicit", "clear text")):
        relay.conf.write_text(relay.conf.read_text().replace(relay.upstream, f'{{ name = "next"; host = "next.example.net"; port = {port}; tls = "{tls}"; }}'))
        relay.upstream = f'{{ name = "next"; host = "next.example.net"; port = {port}; tls = "{tls}"; }}'
        said = relay.command("check", check=False).stderr
        assert "warning" in said and f"port {port}" in said and word in said, said


def test_resolv_conf_is_followed():
    """Direct delivery asks the name servers of /etc/resolv.conf, and other ones when it has changed."""
    if os.geteuid() != 0:
        raise Skip("a resolv.conf of one's own needs a mount namespace")
    place = pathlib.Path(tempfile.mkdtemp(prefix="resolv-", dir=WORK_DIR()))
    conf = place / "resolv.conf"
    addresses = [f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}", f"127.54.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"]  # the port is always 53
    conf.write_text(f"nameserver {addresses[0]}\n")
    program = place / "posthouse"
    program.write_text(f'#!/bin/sh\n[ "$3" = serve ] || exec {RELEASE}/posthouse "$@"\n'
                       f'exec unshare -m sh -c \'mount --bind {conf} /etc/resolv.conf && exec {RELEASE}/posthouse "$@"\' sh "$@"\n')
    program.chmod(0o755)
    port = free_port()
    sink = Sink(host="127.0.0.2", port=port)
    first, second = (MuteNames(address=(address, 53)) for address in addresses)
    relay = Relay(upstream="", delivery=f"port = {port};", extra=DIRECT, build=place, log="info")
    relay.submit(to=["bob@one.good.test"])
    sink.wait(1)
    assert first.asked and not second.asked
    conf.write_text(f"# moved\nnameserver {addresses[1]}\n")
    time.sleep(11)  # it looks at the file every ten seconds, when it has something to ask
    asked = first.asked
    relay.submit(to=["bob@two.good.test"])
    sink.wait(2)
    assert second.asked and first.asked == asked
    relay.wait_log("event=resolver.changed")
