"""posthouse find, trace and the selectors by Message-ID: what people ask about mail, with mail as programs write it."""
import base64
import re

from lib import *


def mail(subject=None, message_id=None, headers=""):
    lines = f"From: Alice <alice@{DOMAIN}>\r\n" + ("" if subject is None else f"Subject: {subject}\r\n")
    return lines + (f"Message-ID: {message_id}\r\n" if message_id else "") + headers + "\r\nHello.\r\n"


def find(relay, *arguments, code=0):
    """The recipients that are found, and the last document."""
    done = relay.command("find", "--json", *arguments, check=False)
    assert done.returncode == code, done
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents[-1]["kind"] == "end" and documents[-1]["n"] == len(documents) - 1, documents
    assert all(list(d)[0] == "kind" and d["kind"] == "recipient" for d in documents[:-1])
    return documents[:-1]


KEYS = ["kind", "id", "at", "login", "device", "sender", "recipient", "subject", "message_id", "size", "state", "class", "enhanced", "reply", "host",
        "address", "tls", "attempts", "next_at", "node"]


def test_what_became_of_it():
    """One delivered, one that waits, one that failed, one held: in words and as JSON, at once and after a restart."""
    def rcpt(address):
        if address.startswith("slow"):
            return "451 4.7.1 greylisted, come back"
        return "550 5.1.1 no such user here" if address.startswith("gone") else None
    sink = Sink(rcpt=rcpt)
    relay = Relay(sink.port, retry='"1h"')
    id = relay.submit(mail("Invoice 17", "<c1@laptop>"), to=("bob@gmail.test", "slow@corp.test", "gone@corp.test"))
    wait_for(lambda: {r["state"] for r in find(relay, "--user", "alice")} == {"delivered", "waiting", "failed"}, "results")
    relay.command("queue", "hold", id)
    for _ in range(2):
        rows = {r["recipient"]: r for r in find(relay, "--message-id", "c1@laptop")}
        assert all(list(r) == KEYS for r in rows.values()), rows
        bob, slow, gone = rows["bob@gmail.test"], rows["slow@corp.test"], rows["gone@corp.test"]
        assert (bob["state"], slow["state"], gone["state"]) == ("delivered", "held", "failed"), rows
        assert bob["id"] == id and bob["subject"] == "Invoice 17" and bob["message_id"] == "<c1@laptop>" and bob["sender"] == f"alice@{DOMAIN}"
        assert bob["login"] == f"alice@{DOMAIN}" and bob["reply"].startswith("250 ") and bob["address"] == "127.0.0.1" and bob["attempts"] == 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", bob["at"]) and bob["next_at"] is None and bob["size"] > 20
        assert gone["reply"] == "550 5.1.1 no such user here" and gone["enhanced"] == "5.1.1" and slow["reply"] == "451 4.7.1 greylisted, come back"
        relay.stop()
        relay.start()
    said = relay.command("find", "--recipient", "gone").stdout
    assert "failed at" in said and "550 5.1.1 no such user" in said and '"Invoice 17"' in said and id in said, said
    assert said.splitlines()[0].split() == ["time", "from", "to", "result"] and said.splitlines()[-1] == f"1 recipient, 1 failed.   More: posthouse trace {id}"
    said = relay.command("find", "--since", "1d").stdout
    assert max(map(len, said.splitlines())) <= 80, said


def test_by_each_selector():
    relay = Relay(1, users=(f"alice@{DOMAIN}", f"web@{DOMAIN}"))
    one = relay.submit(mail("Invoice 17", "<c1@laptop>"), to=("bob@gmail.test",))
    two = relay.submit(mail("Re: lunch"), to=("bob+list@corp.test", "carol@gmail.test"))

    def ids(*arguments, code=0):
        return {r["id"] for r in find(relay, *arguments, code=code)}
    for selector in (["--recipient", "bob"], ["--recipient=BOB*"], ["--sender", "alice"], ["--sender", f"@{DOMAIN.upper()}"], ["--user=alice"], ["--recipient=@gmail.test"],
                     ["--recipient=gmail.test"], ["--state", "waiting"], ["--since", "1h"], ["--since", "yesterday"], ["--state=waiting,failed", "--until=2099-01-01"]):
        assert ids(*selector) == {one, two}, selector
    for selector in (["--subject", "voice"], ["--subject=INVOICE 17"], ["--message-id", "<c1@laptop>"], ["--recipient", "bob@gmail.test"], ["--recipient", "b*@g*"]):
        assert ids(*selector) == {one}, selector
    for selector in (["--recipient", "nobody"], ["--subject", "nothing"], ["--user", "web"], ["--message-id", "c2@laptop"], ["--state", "delivered"], ["--until", "2020-01-01"],
                     ["--recipient", "bob", "--sender", "carol"]):
        assert ids(*selector, code=65) == set(), selector
        assert relay.command("find", *selector, check=False).returncode == 65
    assert len(find(relay, "--limit", "2")) == 2
    done = relay.command("find", "--limit=2")
    assert "there are more" in done.stdout and "2 recipients, 2 wait." in done.stdout, done.stdout
    for wrong in (["--since", "soon"], ["--state", "lost"], ["--limit", "0"], ["x"], ["--frob"]):
        assert relay.command("find", *wrong, check=False).returncode == 64, wrong


def test_subjects_as_they_are_written():
    relay = Relay(1)
    cases = (("=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "grüsse", "Grüße aus Köln"), ("=?iso-8859-1?Q?B=FCcher?=", "bücher", "Bücher"),
             ("=?utf-8?b?" + base64.b64encode("請求書の件".encode()).decode() + "?=", "請求書", "請求書の件"),
             ("=?utf-8?q?one?=\r\n =?utf-8?q?_word?=", "one word", "one word"), ("a long one\r\n that is folded", "one that", "a long one that is folded"),
             ("Ärger", "ärger", "Ärger"), ("tabs\tand \x1b[31mred", "red", "tabs and [31mred"))
    for subject, words, shown in cases:
        id = relay.submit(mail(subject).encode())
        found = find(relay, "--subject", words)
        assert [r["id"] for r in found] == [id] and found[0]["subject"] == shown, (subject, found)
    id = relay.submit(mail(None), to=("none@example.net",))
    assert find(relay, "--recipient", "none")[0]["subject"] == "" and "(no subject)" in relay.command("find", "--recipient", "none").stdout
    long = relay.submit(mail("x" * 900 + " end"))
    assert len(find(relay, "--subject", "xxxx")[0]["subject"]) <= 303 and relay.queue(long)[0]["subject"].endswith("...")
    assert find(relay, "--recipient", "none")[0]["message_id"].startswith("<")


def test_aliases_and_reports():
    """An address that a rule has rewritten is found by both names; a report by its own recipient and by its Message-ID."""
    sink = Sink(rcpt=lambda address: "550 5.1.1 no such user" if address.startswith("gone") else None)
    relay = Relay(sink.port, extra='rewrite = ( { recipient = "root@old.test"; to = "admin@corp.test"; } );')
    id = relay.submit(mail("to root"), to=("root@old.test",))
    for name in ("root@old.test", "admin@corp.test", "old.test", "admin"):
        assert [r["id"] for r in find(relay, "--recipient", name)] == [id], name
    failed = relay.submit(mail("returns", "<r@laptop>"), to=("gone@corp.test",))
    wait_for(lambda: relay.command("find", "--sender", "<>", check=False).returncode == 0, "the report")
    report = find(relay, "--sender", "<>")[0]
    assert report["recipient"] == f"alice@{DOMAIN}" and report["id"] != failed and report["login"] == "" and report["subject"], report
    assert [r["id"] for r in find(relay, "--message-id", report["message_id"])] == [report["id"]]


def test_names_of_domains():
    relay = Relay(1)
    id = relay.submit(mail("idn"), to=("info@xn--bcher-kva.example",))
    for name in ("@bücher.example", "info@BÜCHER.example", "xn--bcher-kva.example", "info"):
        assert [r["id"] for r in find(relay, "--recipient", name)] == [id], name


def test_verbs_by_message_id():
    relay = Relay(1)
    one, other = relay.submit(mail("a", "<a@laptop>")), relay.submit(mail("b", "<b@laptop>"))
    assert [m["id"] for m in relay.queue("<a@laptop>")] == [one] == [m["id"] for m in relay.queue("--message-id=a@LAPTOP")]
    assert '"a" <a@laptop>' in relay.command("queue", "list").stdout
    shown = relay.command("queue", "show", "<a@laptop>").stdout
    assert one in shown and "subject   a\n" in shown and "<a@laptop>" in shown, shown
    assert relay.command("queue", "hold", "<b@laptop>").stdout == "1 message held\n"
    assert {m["id"]: bool(m["held"]) for m in relay.queue()} == {one: False, other: True}
    relay.command("queue", "remove", "--message-id", "<a@laptop>")
    assert [m["id"] for m in relay.queue()] == [other]
    for verb in ("hold", "show", "remove"):
        assert relay.command("queue", verb, "<c@laptop>", check=False).returncode == 65, verb


def test_trace_in_words():
    """A delivered message: by its Message-ID, in sentences of at most 80 columns, with the dialogue when that is asked for; as JSON."""
    sink = Sink()
    relay = Relay(sink.port)
    id = relay.submit(mail("Invoice 17", "<c1@laptop>"), to=("bob@gmail.test", "carol@corp.test"))
    relay.wait_empty()
    text = relay.command("trace", "<c1@laptop>").stdout
    lines = text.splitlines()
    assert re.fullmatch(rf'Message {id} "Invoice 17", \d+ bytes, Message-ID <c1@laptop>', lines[0]), text
    assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}}  accepted from alice@{DOMAIN} at 127\.0\.0\.1, TLS 1\.3", lines[1]), text
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  signed by \S+, stored, 250 given", lines[2]), text
    assert re.search(r"bob@gmail\.test: delivered by \S+ to 127\.0\.0\.1 \[127\.0\.0\.1\],\s+without\s+TLS,\s+\d+\.\d s,\s+1st\s+attempt\s+250 ", text), text
    assert max(map(len, lines)) <= 80 and lines[-1] == "The dialogue of the last attempt: --dialogue", text
    # what is long is cut, and the Message-ID has its own line
    for subject, message_id, first, second in (("x" * 40, f"<{'y' * 40}@laptop>", rf'Message \S+ "x{{40}}", \d+ bytes', rf"  Message-ID <y{{40}}@laptop>"),
                                               ("word " * 40, f"<{'y' * 90}@laptop>", r'Message \S+ "word [word ]+…", \d+ bytes', r"  Message-ID <y+…"),
                                               ("word " * 40, None, r'Message \S+ "word [word ]+…", \d+ bytes', None)):
        long = relay.submit(mail(subject.strip(), message_id))
        relay.wait_empty()
        text = relay.command("trace", long).stdout
        lines = text.splitlines()
        assert re.fullmatch(first, lines[0]) and max(map(len, lines)) <= 80, text
        assert second is None or re.fullmatch(second, lines[1]), text
    dialogue = relay.command("trace", id, "--dialogue").stdout
    assert "C: RCPT TO:<bob@gmail.test>" in dialogue and "S: 250" in dialogue and "Hello." not in dialogue, dialogue
    assert "event" not in text and "delivery.sent" in relay.command("trace", id, "--all").stdout
    documents = relay.trace(id)
    kinds = [d["kind"] for d in documents]
    assert kinds.count("event") == 3 and "transcript" in kinds and documents[-1] == {"kind": "end", "n": len(documents) - 1, "truncated": False}, documents
    sent = [d for d in documents if d.get("event") == "delivery.sent"]
    assert {d["recipient"] for d in sent} == {"bob@gmail.test", "carol@corp.test"}
    assert all(list(d) == ["kind", "id", "at", "event", "recipient", "fields"] and d["fields"]["code"] == 250 and d["fields"]["attempts"] == 1 for d in sent), sent
    assert documents[0]["event"] == "mail.accepted" and documents[0]["recipient"] is None and documents[0]["fields"]["recipients"] == 2
    for unknown in ("0000000000001", "<c2@laptop>"):
        assert relay.command("trace", unknown, check=False).returncode == 65


def test_trace_of_trouble():
    """What waits, failed or was touched by an administrator, in sentences too."""
    def rcpt(address):
        return {"slow": "451 4.7.1 greylisted", "gone": "550 5.1.1 no such user"}.get(address.split("@")[0])
    sink = Sink(rcpt=rcpt)
    relay = Relay(sink.port, retry='"1h"')
    id = relay.submit(mail("trouble"), to=("slow@corp.test", "gone@corp.test"))
    relay.wait_event(id, "mail.reported")
    relay.command("queue", "hold", id, "--reason", "for a test")
    text = " ".join(relay.command("trace", id).stdout.split())
    for words in ("slow@corp.test: not yet by ", "451 4.7.1 greylisted", "Next attempt in ", "gone@corp.test: failed by ", "550 5.1.1 no such user",
                  f"its sender is told by the report", "held: for a test"):
        assert words in text, (words, text)


def test_one_line_says_what_happened():
    sink = Sink(rcpt=lambda address: "550 5.1.1 no such user" if address.startswith("gone") else None)
    relay = Relay(sink.port)
    id = relay.submit(mail("x", "<c1@laptop>"), to=[f"r{i}@corp.test" for i in range(11)] + ["gone@corp.test"])
    relay.wait_empty()
    log = [line for line in relay.log_now().splitlines() if f"queue={id}" in line]
    accepted = next(line for line in log if "event=mail.accepted" in line)
    for words in ("message_id=<c1@laptop>", "recipients=12", "to=r0@corp.test,r1@corp.test,", "more=2", f"login=alice@{DOMAIN}"):
        assert words in accepted, (words, accepted)
    for event, recipient in (("delivery.sent", "r10@corp.test"), ("delivery.failed", "gone@corp.test")):
        line = next(line for line in log if f"event={event}" in line and f"recipient={recipient}" in line)
        for words in (f"login=alice@{DOMAIN}", f"sender=alice@{DOMAIN}", "message_id=<c1@laptop>", "remote=", "reply=", "took_ms="):
            assert words in line, (words, line)
