"""queue body, bounce, reroute, summary, export and import, with a relay that runs and next hops that are played."""
import re

from lib import *


def two_ways(first, second):
    """Mail goes to `first`; "backup" is configured, and in no route."""
    one = "name = \"{}\"; host = \"127.0.0.1\"; port = {}; tls = \"none\";"
    return Relay(upstream=f"{{ {one.format('isp', first)} }}, {{ {one.format('backup', second)} }}", extra='routes = ( { via = [ "isp" ]; } );')


def test_body_is_what_is_sent():
    sink = Sink(rcpt=lambda address: "451 4.7.1 later")
    relay = Relay(sink.port)
    small = relay.submit(simple_message("small"))
    large = relay.submit(simple_message("large", "line of a large text\r\n" * 20000))
    bodies = {id: subprocess.run([relay.build / "posthouse", "-c", relay.conf, "queue", "body", id], stdout=subprocess.PIPE, check=True).stdout
              for id in (small, large)}
    for body in bodies.values():
        assert body.startswith(b"Received: ") and b"\r\nSubject: " in body, body[:200]
    assert len(bodies[large]) > 20000 * 22 and bodies[large].endswith(b"line of a large text\r\n")
    sink.rcpt = None
    relay.retry_until(lambda: len(sink.messages) == 2)
    for received in sink.messages:
        assert received.bytes in bodies.values()
    relay.wait_empty()
    done = relay.command("queue", "body", small, check=False)
    assert done.returncode == 65 and "its text is gone" in done.stderr, done
    assert relay.command("queue", "body", "0000000000001", check=False).returncode == 65


def test_bounce_reports_to_the_sender():
    sink = Sink(rcpt=lambda address: "451 4.7.1 greylisted" if "bob" in address else None)
    relay = Relay(sink.port)
    id = relay.submit()
    relay.wait_event(id, "delivery.deferred")
    assert relay.command("queue", "bounce", check=False).returncode == 64
    relay.command("queue", "bounce", id, "--reason=the address is a trap")
    report = sink.wait()[0]
    text = report.bytes.decode()
    assert report.sender == "" and "Action: failed" in text and "Status: 5.3.0" in text
    assert "the address is a trap; last answer: 451 4.7.1 greylisted" in text.replace("\r\n ", " "), text
    relay.wait_empty()
    assert "mail.bounced" in [e["event"] for e in relay.trace(id) if "event" in e]


def test_reroute_lasts_over_a_restart_and_is_undone():
    isp, backup = Sink(rcpt=lambda address: "451 4.7.1 later"), Sink(rcpt=lambda address: "451 4.7.1 later")
    relay = two_ways(isp.port, backup.port)
    id = relay.submit()
    relay.wait_event(id, "delivery.deferred")
    done = relay.command("queue", "reroute", id, "--via=nowhere", check=False)
    assert done.returncode == 65 and "no upstream of this name" in done.stderr, done
    assert relay.command("queue", "reroute", id, check=False).returncode == 64
    relay.command("queue", "reroute", id, "--via", "backup", "--reason", "isp is slow")
    wait_for(lambda: "upstream:backup" in relay.command("queue", "show", id, "--json").stdout, "an attempt by backup")
    relay.stop()
    relay.start()
    backup.rcpt = None
    relay.retry_until(lambda: backup.messages)
    assert not isp.messages
    second = relay.submit(simple_message("second"))
    relay.command("queue", "reroute", second, "--via", "backup")
    backup.rcpt = lambda address: "451 4.7.1 later"
    isp.rcpt = None
    relay.command("queue", "reroute", "--all", "--via", "default", check=False)
    relay.retry_until(lambda: len(isp.messages) + len(backup.messages) == 2)


def test_summary_counts_by_destination():
    relay = Relay(free_port())
    for to in (["a@one.test", "b@one.test"], ["c@two.test"], ["d@one.test"]):
        relay.submit(to=to)
    rows = [json.loads(line) for line in relay.command("queue", "summary", "--json").stdout.splitlines()]
    assert [(r["destination"], r["recipients"], r["ages"][0]) for r in rows if r["kind"] == "destination"] == [("one.test", 3, 3), ("two.test", 1, 1)]
    assert rows[-1] == {"kind": "end", "n": 2, "truncated": False}
    relay.command("queue", "hold", "--destination", "two.test")
    shown = relay.command("queue", "summary").stdout
    assert "one.test" in shown and "1 of these are held" in shown and "TOTAL" in shown and all(len(line) <= 80 for line in shown.splitlines()), shown


def test_what_is_exported_comes_back_elsewhere():
    """Envelope, recipients and text stay; a message that is here is not taken twice; limits are not charged; what is malformed is named."""
    sink = Sink()
    relay = Relay(free_port(), limits='messages = [ "3/1h" ];')
    client = relay.connect()
    client.mail(f"alice@{DOMAIN}", ["RET=HDRS", "ENVID=QQ314159"])
    client.rcpt("bob@example.net", ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;bob+2Bx@example.net"])
    client.rcpt("carol@example.net")
    id = re.search(r"queued as (\w+)", client.data(simple_message("exported"))[1].decode()).group(1)
    large = relay.submit(simple_message("large", "a line\r\n" * 20000))
    relay.command("queue", "hold", "--recipient", "carol@example.net")
    place = relay.dir / "exported"
    place.mkdir()
    relay.command("queue", "export", "--all", place)
    assert sorted(p.name for p in place.iterdir()) == sorted([f"{id}.eml", f"{large}.eml"])
    head = (place / f"{id}.eml").read_bytes().split(b"Received: ")[0].decode()
    assert "Posthouse-envid: QQ314159" in head and "orcpt=rfc822;bob+2Bx@example.net" in head and "carol@example.net notify=0 held" in head.lower(), head
    again = relay.command("queue", "import", place).stdout
    assert "0 imported, 2 here already, 0 refused" in again and f"{id}  is here already" in again, again
    both = subprocess.run([relay.build / "posthouse", "-c", relay.conf, "queue", "export", "--all"], stdout=subprocess.PIPE, check=True).stdout
    other = Relay(sink.port, limits='messages = [ "1/1h" ];')
    broken = other.dir / "broken.eml"
    broken.write_bytes((place / f"{id}.eml").read_bytes().replace(b"Posthouse-envid", b"Posthouse-color"))
    done = other.command("queue", "import", broken, check=False)
    assert done.returncode == 65 and "broken.eml" in done.stderr and "line " in done.stderr, done
    broken.write_bytes((place / f"{id}.eml").read_bytes()[:-5])
    assert "ends before" in other.command("queue", "import", broken, check=False).stderr
    assert other.queue() == []
    done = subprocess.run([other.build / "posthouse", "-c", other.conf, "queue", "import", "-"], input=both, stdout=subprocess.PIPE)
    assert done.returncode == 0 and b"2 imported" in done.stdout, done
    received = sink.wait(2)
    texts = {r.bytes for r in received}
    for name in (id, large):
        assert (place / f"{name}.eml").read_bytes().split(b"\r\nReceived: ", 1)[1] in [t.split(b"Received: ", 1)[1] for t in texts]
    wait_for(lambda: [m["id"] for m in other.queue()] == [id], "carol alone, who is held")
    other.submit(simple_message("the one that the limit allows"))
    other.command("queue", "release", "--all")
    sink.wait(4)


def test_what_is_finished_is_not_imported_again():
    """Its fate is said: delivered is good, removed is not what who imports it wants."""
    sink = Sink()
    relay = Relay(sink.port)
    place = relay.dir / "exported"
    place.mkdir()
    sink.rcpt = lambda address: "451 4.7.1 later"
    sent, removed = (relay.submit(simple_message(subject)) for subject in ("sent", "removed"))
    for id in (sent, removed):
        relay.wait_event(id, "delivery.deferred")
    relay.command("queue", "export", "--all", place)
    relay.command("queue", "remove", removed)
    sink.rcpt = None
    relay.retry_until(lambda: sink.messages)
    relay.wait_empty()
    done = relay.command("queue", "import", place, check=False)
    assert done.returncode == 65 and f"{sent}  was delivered here already" in done.stdout and "0 imported, 1 here already, 1 refused" in done.stdout, done
    assert f"{removed}: it is finished here, and was not imported again: 0 delivered, 0 failed, 1 removed" in done.stderr, done
    assert relay.command("queue", "import", place / f"{sent}.eml").returncode == 0
    assert relay.queue() == [] and len(sink.messages) == 1


def exported_copies(relay, n):
    """The one waiting message of the relay, exported, as so many messages: each has an id, a token and a subject of its own."""
    text = subprocess.run([relay.build / "posthouse", "-c", relay.conf, "queue", "export", "--all"], stdout=subprocess.PIPE, check=True).stdout
    id = re.search(rb"^Posthouse-id: (\w+)\r$", text, re.M | re.I).group(1)
    copies = {}
    for i in range(n):
        name = id[:-3] + b"%03d" % i
        copy = text.replace(id, name).replace(b"Subject: number 000", b"Subject: number %03d" % i)
        copies[name.decode()] = re.sub(rb"(?im)^(Posthouse-token: )(\d+)", lambda m: m.group(1) + b"%d" % (int(m.group(2)) ^ (i + 1)), copy)
    return copies


def test_an_import_goes_on_after_a_crash():
    """kill -9 of all while some hundred messages are imported, again and again: in the end each is there once, and is sent once."""
    source, sink = Relay(free_port()), Sink(rcpt=lambda address: "451 4.7.1 later")
    source.submit(simple_message("number 000"))
    copies = exported_copies(source, 300)
    relay = Relay(sink.port)
    place = relay.dir / "exported"
    place.mkdir()
    for name, text in copies.items():
        (place / f"{name}.eml").write_bytes(text)
    said = set()
    for least in (20, 60, 120):
        queue = relay.pids("queue")[0]
        command = subprocess.Popen([relay.build / "posthouse", "-c", relay.conf, "queue", "import", place, "--json"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        rows = [json.loads(command.stdout.readline()) for _ in range(least)]
        os.kill(queue, signal.SIGSTOP)  # it is in the middle, and does not go on while all processes are looked for
        relay.kill_all()
        rows += [json.loads(line) for line in command.stdout]
        assert command.wait() == 69, command.returncode
        said |= {row["id"] for row in rows if row["kind"] == "imported"}
        assert len(said) < len(copies)
        relay.start()
        waiting = [row["id"] for row in relay.queue()]
        assert said <= set(waiting) and len(waiting) == len(set(waiting)), said - set(waiting)
    done = relay.command("queue", "import", place).stdout
    assert re.search(r"(\d+) imported, (\d+) here already, 0 refused", done).groups() == (str(300 - len(waiting)), str(len(waiting))), done
    assert {row["id"] for row in relay.queue()} == set(copies)
    sink.rcpt = None
    relay.retry_until(lambda: len(sink.messages) >= len(copies))
    relay.wait_empty()
    assert sorted(re.search(rb"number (\d+)", m.bytes).group(1) for m in sink.messages) == [b"%03d" % i for i in range(300)]
