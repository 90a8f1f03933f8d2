"""test_limits.py - limits of logins, failed logins and bans, held mail, breakers; what of it a restart or kill -9 must not change."""
import json
import smtplib
import socket
import threading
import time

from lib import DOMAIN, HOST, LIMIT, PASSWORD, Client, Relay, Sink, rows_of, simple_message, wait_for

ALICE = f"alice@{DOMAIN}"
POSTMASTER = f"postmaster@{DOMAIN}"


class ClientFrom(Client):
    """A client with a source address of its own: all of 127.0.0.0/8 is this machine."""

    def __init__(self, relay, source):
        self.source = source
        super().__init__(relay.port, relay.tls(), False, 60)

    def _get_socket(self, host, port, timeout):
        return socket.create_connection((host, port), timeout, (self.source, 0))


def refused(function, *arguments):
    """The code and text with which it is refused."""
    try:
        function(*arguments)
    except smtplib.SMTPRecipientsRefused as e:
        code, text = next(iter(e.recipients.values()))
    except smtplib.SMTPResponseException as e:
        code, text = e.smtp_code, e.smtp_error
    else:
        raise AssertionError("was not refused")
    return code, text.decode() if isinstance(text, bytes) else text


def greeting(relay, source):
    """The code of the first line."""
    with socket.create_connection(("127.0.0.1", relay.port), 60, (source, 0)) as s:
        return int(s.recv(1000)[:3])


def login(relay, source, user, password):
    """The code that a login gets."""
    client = ClientFrom(relay, source)
    try:
        code, _ = client.docmd("AUTH", "PLAIN " + plain(user, password))
    finally:
        client.close()
    return code


def plain(user, password):
    import base64
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def limits(relay, *who):
    return rows_of(relay.command("limits", "show", *who, "--json").stdout)


def used(relay, rule, of=f"user:{ALICE}"):
    return next((row["used"] for row in limits(relay, ALICE) if row["rule"] == rule and row["of"] == of), None)


def notices(sink, to, words):
    return [m for m in list(sink.messages) if m.recipients == [to] and m.sender == "" and not m.message.is_multipart()
            and words in " ".join(m.message.get_content().split())]


def held(relay):
    return [row for row in relay.queue() if row["held"]]


def test_messages():
    """A burst, then the pace of the window; the time to wait is told; MAIL says so before the text is sent."""
    sink = Sink()
    relay = Relay(sink.port, limits='messages = [ "3/6s" ]; breaker = "off";')
    client = relay.connect()
    for _ in range(3):
        client.submit(ALICE, ["bob@example.net"], simple_message())
    code, text = client.mail(ALICE)
    if code == 250:  # the machine was so busy that one is free again
        client.rset()
    else:
        assert code == 450 and b"4.7.1" in text and b"of 3 messages per 6 seconds are used, try again in" in text, text
    wait_for(lambda: client.mail(ALICE)[0] == 250, "the window moves on")
    client.rset()
    client.submit(ALICE, ["bob@example.net"], simple_message())
    sink.wait(4)
    client.quit()


def test_recipients_and_bytes():
    sink = Sink()
    relay = Relay(sink.port, limits='recipients = [ "3/1d" ]; bytes = [ "20K/1d" ]; new_recipients = [ "2/1d" ]; breaker = "off"; '
                  f'users = ( {{ user = "bob"; recipients = [ "100/1d" ]; new_recipients = [ "100/1d" ]; }} );',
                  users=(ALICE, f"bob@{DOMAIN}"))
    client = relay.connect()
    client.submit(ALICE, ["a@example.net", "b@example.net"], simple_message())
    code, text = refused(client.submit, ALICE, ["c@example.net"], simple_message())
    assert code == 450 and "2 of 2 new recipients per day" in text, (code, text)
    client.submit(ALICE, ["a@example.net"], simple_message())
    code, text = refused(client.submit, ALICE, ["a@example.net"], simple_message())
    assert code == 450 and "3 of 3 recipients per day" in text, (code, text)
    client.quit()
    bob = relay.connect(user=f"bob@{DOMAIN}")
    long = simple_message(body=("x" * 70 + "\r\n") * 150).replace(b"alice@", b"bob@")
    bob.submit(f"bob@{DOMAIN}", ["a@example.net"], long)
    code, text = bob.mail(f"bob@{DOMAIN}", ["SIZE=15000"])
    assert code == 450 and b"of 20 KB per day" in text, text
    code, text = bob.mail(f"bob@{DOMAIN}", ["SIZE=30000"])
    assert code == 552 and b"5.3.4" in text, text
    code, text = refused(bob.submit, f"bob@{DOMAIN}", ["a@example.net"], long)
    assert code == 450, (code, text)
    bob.submit(f"bob@{DOMAIN}", ["a@example.net"], simple_message().replace(b"alice@", b"bob@"))
    bob.quit()
    # a restart in order forgets nothing, neither whom alice knows
    relay.stop()
    relay.start()
    client = relay.connect()
    code, text = refused(client.submit, ALICE, ["a@example.net"], simple_message())
    assert code == 450 and "recipients" in text, (code, text)
    relay.write_config(limits='new_recipients = [ "2/1d" ]; breaker = "off";')
    relay.command("reload")
    client.submit(ALICE, ["B@Example.net"], simple_message())
    code, text = refused(client.submit, ALICE, ["c@example.net"], simple_message())
    assert code == 450 and "new recipients" in text, (code, text)
    client.quit()


def test_exact_over_kill():
    """Clients that do not give up, a queue that is killed again and again: as many messages are stored as the limit allows, no more, no
    less; and whatever was acknowledged is among them."""
    allowed = 60
    sink = Sink()
    relay = Relay(sink.port, limits=f'messages = [ "{allowed}/1d" ]; breaker = "off";', log="info")
    acknowledged, over, done = [], [0], threading.Event()
    lock = threading.Lock()

    def send():
        while not done.is_set():
            try:
                client = relay.connect(timeout=30)
                while not done.is_set():
                    text = simple_message()
                    number = [line for line in text.split(b"\r\n") if line.startswith(b"X-Number")][0]
                    code, words = client.mail(ALICE)
                    if code == 450:
                        with lock:
                            over[0] += 1
                        time.sleep(0.02)
                        continue
                    if code != 250 or client.rcpt("bob@example.net")[0] != 250:
                        client.rset()
                        continue
                    code, words = client.data(text)
                    with lock:
                        if code == 250:
                            acknowledged.append(number)
                        over[0] += code == 450
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for kill in range(3):
            wait_for(lambda: len(acknowledged) >= allowed // 6 * (kill + 1), "mail is accepted")
            ready = relay.log_since_start().count("event=queue.opened")
            relay.kill_role("queue")
            wait_for(lambda: relay.log_since_start().count("event=queue.opened") > ready, "a new queue")
        wait_for(lambda: len(acknowledged) >= allowed // 6 * 4, "mail is accepted")
        relay.kill_all()
        relay.start()
        before = over[0]
        wait_for(lambda: over[0] > before + 10, "the limit is reached")
        relay.kill_role("queue")
        before = over[0]
        wait_for(lambda: over[0] > before + 10, "it is remembered")
    finally:
        done.set()
    for t in threads:
        t.join(LIMIT)
    assert used(relay, f"messages {allowed}/1d") == allowed
    relay.wait_empty()
    stored = {m.message["X-Number"] for m in sink.messages if m.sender}
    assert len(stored) == allowed, (len(stored), len(acknowledged))
    assert {n.split(b": ")[1].decode() for n in acknowledged} <= stored
    assert len(acknowledged) <= allowed


def charged_once(point):
    """The queue dies with the third message, stored or not: submission offers it again, and it is neither refused nor charged twice."""
    sink = Sink()
    relay = Relay(sink.port, limits='messages = [ "7/1d" ]; bytes = [ "100K/30d" ]; breaker = "off";', workers=1, log="info",
                  environment={"POSTHOUSE_CRASH": f"{point}:3"})
    client = relay.connect()
    for _ in range(7):
        text = simple_message()
        wait_for(lambda: submitted(client, text), "a 250")
    relay.wait_log("event=role.died dead=queue")
    code, text = wait_for(lambda: (lambda answer: answer if answer[1][:5] == b"4.7.1" else None)(client.mail(ALICE)), "the limit")
    assert code == 450 and b"7 of 7 messages per day" in text, (code, text)
    client.close()
    assert used(relay, "messages 7/1d") == 7
    relay.wait_empty()
    stored = [m for m in sink.messages if m.sender]
    assert len({m.message["X-Number"] for m in stored}) == 7
    size = sum(e["fields"]["size_bytes"] for e in accepted_events(relay, stored))
    assert used(relay, "bytes 100K/30d") == size, (used(relay, "bytes 100K/30d"), size)


def accepted_events(relay, messages):
    """The first event of each, by the id in its Received field."""
    ids = {m.message["Received"].split(" id ")[1].split()[0].rstrip(";") for m in messages}
    return [next(e for e in relay.events(id) if e["event"] == "mail.accepted") for id in ids]


def submitted(client, text):
    """Was it taken? A queue that is away is no reason to give up."""
    code, words = client.mail(ALICE)
    if code == 250 and client.rcpt("bob@example.net")[0] == 250:
        code, words = client.data(text)
        return code == 250
    client.rset()
    return False


def test_charged_once_stored():
    charged_once("queue.after_accept")


def test_charged_once_not_stored():
    charged_once("queue.before_accept")


def test_hold_and_release():
    sink = Sink()
    relay = Relay(sink.port, limits='messages = [ "2/1d" ]; over = "hold"; breaker = "off";')
    client = relay.connect()
    for _ in range(5):
        client.submit(ALICE, ["bob@example.net"], simple_message())
    client.quit()
    assert len(held(relay)) == 3 and "2 of 2 messages per day" in held(relay)[0]["held"], relay.queue()
    wait_for(lambda: len(notices(sink, ALICE, "held and not sent")) == 1 and len(notices(sink, POSTMASTER, "queue release --user")) == 1, "the notices")
    wait_for(lambda: len([m for m in sink.messages if m.sender]) == 2, "what the limit allows")
    events = relay.events(held(relay)[0]["id"])
    assert any(e["event"] == "mail.held" for e in events), events
    assert "3 messages released" in relay.command("queue", "release", "--user", ALICE).stdout
    relay.wait_empty()  # held mail goes
    assert len([m for m in sink.messages if m.sender]) == 5
    assert len(notices(sink, ALICE, "held and not sent")) == 1


def test_warning():
    sink = Sink()
    relay = Relay(sink.port, limits='messages = [ "10/1d" ]; breaker = "off";')
    client = relay.connect()
    for _ in range(8):
        client.submit(ALICE, ["bob@example.net"], simple_message())
    wait_for(lambda: len(notices(sink, ALICE, "8 of 10 messages per day")) == 1 and len(notices(sink, POSTMASTER, "limits show")) == 1, "the warnings")
    relay.wait_empty()  # what is under way at the death would be sent again
    relay.kill_all()
    relay.start()
    client = relay.connect()
    client.submit(ALICE, ["bob@example.net"], simple_message())
    client.submit(ALICE, ["bob@example.net"], simple_message())
    assert client.mail(ALICE)[0] == 450
    relay.wait_empty()
    assert len(notices(sink, ALICE, "of 10 messages")) == 1


def breaker_trips(relay, sink, reason):
    """It holds what follows and says so, also after kill -9, until it is reset; held mail is released by hand."""
    wait_for(lambda: "event=breaker.tripped" in relay.log_text(), "the breaker")
    wait_for(lambda: notices(sink, ALICE, reason) and notices(sink, POSTMASTER, f"posthouse limits reset {ALICE}"), "the notices")
    relay.kill_role("queue")
    id = wait_for(lambda: try_submit(relay), "a message is accepted")
    assert any(row["id"] == id and reason in row["held"] for row in relay.queue()), relay.queue()
    assert reason in relay.status_text() and reason in relay.command("limits", "show", "alice").stdout
    assert "stays held" in relay.command("limits", "reset", "alice").stdout
    relay.command("queue", "release", "--user", "Alice")  # the realm is added, as everywhere
    relay.wait_empty()
    relay.submit(to=("bob@example.net",))
    relay.wait_empty()


def try_submit(relay):
    try:
        return relay.submit(to=("bob@example.net",))
    except (OSError, smtplib.SMTPException):
        return None


def test_breaker_new_recipients():
    """A stolen password costs dozens: what waits already is held too."""
    sink = Sink(rcpt=lambda address: "450 4.2.1 later" if address.startswith("later") else None)
    relay = Relay(sink.port, retry='"1h"', extra='breaker = { new_recipients = "5/1d"; };')
    client = relay.connect()
    waiting = client.submit(ALICE, ["later@example.net", "later2@example.net"], simple_message())
    wait_for(lambda: any(row["reply"] for row in relay.queue()), "it waits")
    client.submit(ALICE, [f"a{i}@example.net" for i in range(3)], simple_message())
    client.submit(ALICE, [f"b{i}@example.net" for i in range(3)], simple_message())
    client.quit()
    wait_for(lambda: any(row["id"] == waiting and row["held"] for row in relay.queue()), "what waited is held")
    sink.rcpt = None
    breaker_trips(relay, sink, "more than 5 new recipients per day")


def test_breaker_goes_on_after_a_death():
    """queue dies when it has held the first page of what waited: the next one holds the rest, and tells."""
    sink = Sink(rcpt=lambda address: "450 4.2.1 later" if address.endswith("@example.net") else None)
    relay = Relay(sink.port, retry='"1h"', extra='breaker = { new_recipients = "5/1d"; };', environment={"POSTHOUSE_CRASH": "queue.holding:1"})
    client = relay.connect()
    n = 620  # more than one page
    for i in range(n):
        client.submit(ALICE, ["same@example.net"], simple_message())
    client.submit(ALICE, [f"new{i}@example.net" for i in range(6)], simple_message())
    client.quit()
    relay.wait_log("event=role.died dead=queue")
    relay.wait_log(f"event=breaker.held login={ALICE}")

    def all_held():
        rows = [row for row in relay.queue() if row["login"] == ALICE]
        return len(rows) == n + 1 and all(row["held"] for row in rows)

    wait_for(all_held, "all is held", every=0.5)
    wait_for(lambda: notices(sink, POSTMASTER, f"posthouse limits reset {ALICE}"), "the notice")


def test_breaker_bounces():
    sink = Sink(rcpt=lambda address: "550 5.1.1 no such user" if address.startswith("no") else None)
    relay = Relay(sink.port, extra="breaker = { bounces = 30; };")
    client = relay.connect()
    client.submit(ALICE, [f"yes{i}@example.net" for i in range(14)], simple_message())
    relay.wait_empty()
    client.submit(ALICE, [f"no{i}@example.net" for i in range(8)], simple_message())
    client.quit()
    breaker_trips(relay, sink, "recipients were refused for good")


def test_breaker_networks():
    sink = Sink()
    relay = Relay(sink.port, extra='breaker = { networks = "3/1h"; };')
    for i in (1, 2, 3, 3, 2, 1):
        assert login(relay, f"127.0.1.{i}", ALICE, PASSWORD) == 235
    assert "breaker.tripped" not in relay.log_now()
    assert login(relay, "127.0.1.4", ALICE, PASSWORD) == 235
    breaker_trips(relay, sink, "client networks in")


def test_bans():
    """A network, and a name: banned after too many failures, remembered over kill -9, lifted by an administrator."""
    sink = Sink()
    relay = Relay(sink.port, auth='failures = "3/10m";', submission='login_delay = "0s";', users=(ALICE, f"bob@{DOMAIN}"))
    assert login(relay, "127.0.0.1", ALICE, PASSWORD) == 235
    for i in range(3):
        assert login(relay, "127.0.2.1", ALICE, f"wrong {i}") == 535
    assert login(relay, "127.0.2.1", ALICE, "wrong 2") == 535  # again: that tells nothing new
    code = login(relay, "127.0.2.1", "nobody", "wrong")
    assert code == 421, code
    assert greeting(relay, "127.0.2.1") == 421 and greeting(relay, "127.0.2.2") == 220
    relay.wait_log("event=network.banned client=127.0.2.1")
    # one more wrong password bans the name: for all but those who know it
    assert login(relay, "127.0.2.2", ALICE, "wrong 3") == 454
    assert login(relay, "127.0.2.3", ALICE, PASSWORD) == 454
    assert login(relay, "127.0.0.1", ALICE, PASSWORD) == 235
    assert login(relay, "127.0.2.3", f"bob@{DOMAIN}", PASSWORD) == 235
    # the same for a name that does not exist
    for i in (4, 5):
        assert login(relay, f"127.0.2.{i}", "nobody", f"wrong {i}") == 535
    assert [login(relay, f"127.0.2.{i}", "nobody", f"wrong {i}") for i in (6, 7, 8)][-1] == 454
    wait_for(lambda: "login:" + ALICE in [row["of"] for row in limits(relay) if row["rule"] == "ban"], "it is shown")
    figures = relay.figures("queue")
    assert figures["banned_networks"] == 1 and figures["banned_logins"] == 2, figures
    assert "banned for failed logins" in relay.status_text()
    relay.kill_all()
    relay.start()
    assert greeting(relay, "127.0.2.1") == 421
    assert login(relay, "127.0.2.3", ALICE, PASSWORD) == 454
    assert login(relay, "127.0.0.1", ALICE, PASSWORD) == 235
    relay.command("limits", "reset", "127.0.2.1")
    relay.command("limits", "reset", "alice")
    assert greeting(relay, "127.0.2.1") == 220
    assert login(relay, "127.0.2.3", ALICE, PASSWORD) == 235
    relay.kill_role("queue")
    wait_for(lambda: relay.log_since_start().count("event=queue.opened") == 2, "a new queue")
    wait_for(lambda: login(relay, "127.0.2.1", ALICE, PASSWORD) == 235, "a reset is remembered")


def test_connections_without_a_word_in_the_configuration():
    """One login has 50 of them; one more is told so, and has its turn when another ends."""
    relay = Relay(1)
    inside = [relay.connect(implicit=True) for _ in range(50)]
    more = relay.connect(login=False)
    code, text = more.docmd("AUTH", "PLAIN " + plain(ALICE, PASSWORD))
    assert code == 421 and b"at most 50" in text, (code, text)
    for client in inside:
        client.quit()
    relay.connect().quit()


def test_connections():
    sink = Sink()
    relay = Relay(sink.port, limits="connections = 2; connections_per_network = 3;", workers=2)
    strangers = [socket.create_connection(("127.0.0.1", relay.port), 60, ("127.0.3.1", 0)) for _ in range(3)]
    for s in strangers:
        assert s.recv(1000).startswith(b"220")
    assert greeting(relay, "127.0.3.1") == 421 and greeting(relay, "127.0.3.2") == 220
    strangers.pop().close()
    wait_for(lambda: greeting(relay, "127.0.3.1") == 220, "a place is free")
    inside = [relay.connect() for _ in range(2)]
    third = relay.connect(login=False)
    code, text = third.docmd("AUTH", "PLAIN " + plain(ALICE, PASSWORD))
    assert code == 421 and b"at most 2" in text, (code, text)
    # a new queue knows who is there
    relay.kill_role("queue")
    wait_for(lambda: relay.log_since_start().count("event=queue.opened") == 2, "a new queue")
    wait_for(lambda: relay.figures("queue")["logged_in"] == 2, "both processes have told it")
    fourth = relay.connect(login=False)
    code, text = wait_for(lambda: (lambda answer: answer if answer[0] != 454 else None)(fourth.docmd("AUTH", "PLAIN " + plain(ALICE, PASSWORD))), "an answer")
    assert code == 421, (code, text)
    inside.pop().quit()

    def gets_in():
        client = relay.connect(login=False)
        code, _ = client.docmd("AUTH", "PLAIN " + plain(ALICE, PASSWORD))
        client.close()
        return code == 235

    wait_for(gets_in, "a place is free")
    for s in strangers:
        s.close()


def test_show_and_reset():
    sink = Sink()
    relay = Relay(sink.port, limits=f'messages = [ "3/1d" ]; breaker = "off"; users = ( {{ user = "alice/phone"; messages = [ "1/1d" ]; }} );',
                  users=(ALICE, f"{ALICE}/phone"))
    phone = relay.connect(user=f"{ALICE}/phone")
    phone.submit(ALICE, ["bob@example.net"], simple_message())
    code, text = phone.mail(ALICE)
    assert code == 450 and b"this device" in text, text
    phone.quit()
    assert used(relay, "messages 3/1d") == 1
    assert used(relay, "messages 1/1d", f"device:{ALICE}/phone") == 1
    shown = relay.command("limits", "show", "alice").stdout
    assert "1 of 3 used" in shown and f"{ALICE}/phone" in shown, shown
    assert "1 of 3 used" in relay.command("limits").stdout
    assert json.loads(relay.command("limits", "reset", "alice", "--json").stdout)["reset"] == 2
    relay.kill_all()
    relay.start()
    assert used(relay, "messages 3/1d") == 0
    relay.submit(user=f"{ALICE}/phone")
    assert relay.command("limits", "reset", check=False).returncode == 64
    assert relay.command("limits", "reset", "alice", "--all", check=False).returncode == 64
    relay.command("limits", "reset", "--all")
    assert rows_of(relay.command("limits", "show", "--json").stdout) == []
    sink.wait(2)


def test_kept_back():
    """FUTURERELEASE: it waits, which is shown; it can be removed meanwhile, and no retry sends it early."""
    sink = Sink()
    relay = Relay(sink.port)
    client = relay.connect()
    if not client.has_extn("futurerelease"):
        raise AssertionError("FUTURERELEASE is not offered")

    def keep(seconds):
        code, text = client.mail(ALICE, [f"HOLDFOR={seconds}"])
        assert code == 250, text
        client.rcpt("bob@example.net")
        code, text = client.data(simple_message())
        assert code == 250, text
        return text.split()[-1].decode()

    late, soon, gone = keep(100000), keep(2), keep(100000)
    relay.command("queue", "flush")
    sink.wait(1)
    shown = relay.command("queue", "list").stdout
    assert shown.count("kept back by its sender until") == 2, shown
    assert "kept back until" in relay.command("queue", "show", late).stdout
    assert "its sender asked for that" in relay.command("queue", "show", late).stdout
    relay.command("queue", "remove", gone)
    wait_for(lambda: [row["id"] for row in relay.queue()] == [late], lambda: f"only {late} waits: {relay.queue()}")
    assert len(sink.messages) == 1
