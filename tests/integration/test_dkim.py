"""posthouse dkim: keys from the first to the last day; a name server of the domain's own at port 53 of an address of this test, and a
clock that the test moves. And mail of every MIME shape through the relay, whose signatures others verify."""
import email
import json
import os
import pathlib
import re
import subprocess
import sys

import dkim

from lib import DOMAIN, Relay, Sink, rows_of, wait_for
from peers import Names
from test_clock import HOUR, Clock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import mime_shapes

DAY = 24 * HOUR


class World:
    """A relay without keys, whose configuration includes an empty dkim.conf, and the domain's own name server."""

    def __init__(self, address):
        self.names = Names({DOMAIN: [("NS", f"ns.{DOMAIN}."), ("MX", "10 mx.example.net.")], f"ns.{DOMAIN}": [("A", address)]}, address=address,
                           port=53)
        self.clock = Clock(0)
        self.sink = Sink()
        self.relay = Relay(self.sink.port, sign=False, extra='\n@include "dkim.conf"\n', start=False, users=(),
                           delivery=f'resolver = "{address}@53";', environment=self.clock.environment())
        (self.relay.dir / "dkim.conf").write_text("sign = ( );\n")
        self.relay.add_user(f"alice@{DOMAIN}")
        self.relay.start()

    def run(self, *arguments, code=0, environment=None):
        if arguments[0] in ("rotate", "check") or arguments[0] == "show" and "--offline" not in arguments:
            arguments += ("--resolver", self.names.resolver)  # else doctor asks the world's own servers where it can
        done = subprocess.run([self.relay.build / "posthouse", "-c", self.relay.conf, "dkim", *arguments], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, **self.clock.environment(), **(environment or {})}, timeout=90)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def keys(self):
        return {k["selector"]: k for k in rows_of(self.run("list", "--json"))}

    def publish(self):
        """All records that `dkim show` has, as a person would."""
        for record in rows_of(self.run("show", DOMAIN, "--offline", "--format", "json")):
            value = record["value"]
            self.names.records[record["name"]] = [("TXT", " ".join(f'"{value[i:i + 255]}"' for i in range(0, len(value), 255)))]

    def selectors(self):
        """Of the signatures of the next mail."""
        n = len(self.sink.messages)
        self.relay.submit()
        self.sink.wait(n + 1)
        text = self.sink.messages[n].bytes
        return text, [re.search(r"s=([^;]+);", s).group(1) for s in email.message_from_bytes(text).get_all("DKIM-Signature", [])]

    def record(self, name):
        rows = self.names.records.get(name.decode().rstrip("."))
        return rows and re.sub(r'"\s*"', "", rows[0][1]).strip('"').encode()

    def verifies(self, text):
        return [dkim.DKIM(text).verify(idx=i, dnsfunc=lambda name, timeout=5: self.record(name)) for i in range(2)]


def test_a_key_from_the_first_to_the_last_day():
    w = World("127.53.1.1")
    said = w.run("generate", DOMAIN, "--selector", "a")
    assert "ar._domainkey" in said and "v=DKIM1; k=ed25519; p=" in said and f"posthouse dkim rotate {DOMAIN}" in said, said
    assert {s: k["state"] for s, k in w.keys().items()} == {"ar": "pending", "ae": "pending"}
    for key in w.keys().values():
        assert pathlib.Path(key["key"]).stat().st_mode & 0o7777 == 0o600
    w.relay.command("reload")
    assert w.selectors()[1] == []
    assert "do not have its record" in w.run("rotate", DOMAIN, code=75)

    w.publish()
    assert w.run("rotate", DOMAIN, code=75).count("One more look") == 2
    assert w.selectors()[1] == []
    w.clock.set(59 * 60 * 1000)
    assert "One more look" in w.run("rotate", DOMAIN, code=75)
    w.clock.set(HOUR + 5000)
    assert w.run("rotate", DOMAIN).count("signs from now on") == 2
    text, selectors = w.selectors()
    assert selectors == ["ar", "ae"] and w.verifies(text) == [True, True]

    said = w.run("rotate", DOMAIN)  # begins the next one
    assert all(re.fullmatch(r"[-0-9]{10}T[:0-9]{8}\.\d{3}Z", k["since"]) for k in w.keys().values() if k["since"]) and w.keys()["ar"]["since"]
    new = [s for s, k in w.keys().items() if k["state"] == "pending"]
    assert len(new) == 2 and all(f"{s}._domainkey" in said for s in new) and w.selectors()[1] == ["ar", "ae"]
    w.publish()
    w.run("rotate", DOMAIN, code=75)
    w.names.records.pop(f"{new[0]}._domainkey.{DOMAIN}")  # it goes away: counting begins again
    w.clock.set(3 * HOUR)
    said = w.run("rotate", DOMAIN, code=75)
    assert f"{new[1]}: signs from now on" in said and "do not have its record" in said, said
    w.publish()
    w.run("rotate", DOMAIN, code=75)
    w.clock.set(5 * HOUR)
    assert f"{new[0]}: signs from now on" in w.run("rotate", DOMAIN)
    text, selectors = w.selectors()
    assert sorted(selectors) == sorted(new) and w.verifies(text) == [True, True]

    assert {s: k["state"] for s, k in w.keys().items()} == {"ar": "retired", "ae": "retired", new[0]: "active", new[1]: "active"}
    assert "on its way" in w.keys()["ar"]["next"]
    assert "still needed" in w.run("retire", DOMAIN, "ar", code=75)
    assert "signs" in w.run("retire", DOMAIN, new[0], code=65)
    w.clock.set(9 * DAY)
    assert "of no use any more" in w.keys()["ar"]["next"]
    key = pathlib.Path(w.keys()["ar"]["key"])
    assert 'v=DKIM1; p=' in w.run("retire", DOMAIN, "ar")
    assert not key.exists() and "ar" not in w.keys()
    assert sorted(w.selectors()[1]) == sorted(new)
    w.relay.command("check")


def test_what_show_and_check_see():
    w = World("127.53.1.2")
    w.run("generate", DOMAIN, "--selector", "b", "--algorithm", "rsa", "--now", code=64)
    w.run("generate", DOMAIN, "--selector", "b", "--algorithm", "rsa")
    assert "waits for its record already" in w.run("generate", DOMAIN, "--algorithm", "rsa", code=65)
    shown = w.run("show", DOMAIN)
    assert "pending since" in shown and f"b._domainkey.{DOMAIN}" in shown, shown
    assert "warning" in w.run("rotate", DOMAIN, "--now") and w.selectors()[1] == ["b"]
    checks = [json.loads(line) for line in w.run("check", DOMAIN, "--json", code=1).splitlines()]
    assert [c["result"] for c in checks if c.get("id") == "dkim.published"] == ["failure"], checks
    w.publish()
    checks = [json.loads(line) for line in w.run("check", DOMAIN, "--json").splitlines()]
    results = {c["id"]: c["result"] for c in checks if "id" in c}
    assert results["dkim.key"] == results["dkim.published"] == results["dkim.match"] == results["dkim.works"] == "ok", results
    assert [r["state"] for r in rows_of(w.run("show", DOMAIN, "--json"))] == ["good"]
    # the file is another one than the relay has loaded
    key = pathlib.Path(w.keys()["b"]["key"])
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, stderr=subprocess.DEVNULL)
    w.publish()
    checks = [json.loads(line) for line in w.run("check", DOMAIN, "--json", code=1).splitlines()]
    assert [c["result"] for c in checks if c.get("id") == "dkim.works"] == ["failure"], checks
    w.names.records.clear()  # the cause of all is told, and counts
    said = w.run("check", DOMAIN, code=1)
    assert f"{DOMAIN} does not exist" in said and "after domain.exists" in said, said
    assert "has no key" in w.run("show", "example.com", code=65) and "no domain" in w.run("generate", "no_domain", code=64)


def test_a_list_that_is_kept_by_hand_stays():
    relay = Relay(1, start=False)
    before, unused = relay.conf.read_text(), (relay.dir / "dkim.conf").read_text()
    done = relay.command("dkim", "generate", DOMAIN, "--selector", "c")
    assert "kept by hand" in done.stdout and 'selector = "cr"' in done.stdout and 'state = "pending"' in done.stdout, done.stdout
    assert relay.conf.read_text() == before and (relay.dir / "dkim.conf").read_text() == unused
    written = re.search(r"sign = \(.*?\n\);", done.stdout, re.S).group(0)
    relay.conf.write_text(re.sub(r"sign = \(.*?\);\n", lambda m: written + "\n", before))
    relay.command("check")
    assert len(rows_of(relay.command("dkim", "list", "--json").stdout)) == 3


def test_a_kill_at_any_step_leaves_what_loads():
    w = World("127.53.1.3")
    for point in ("file.made", "file.written", "file.replaced"):
        for n in range(1, 4):
            w.run("generate", f"d{n}.{point[5:]}.test", code=-9, environment={"POSTHOUSE_CRASH": f"{point}:{n}"})
            w.relay.command("check")
    w.run("generate", "d1.made.test")
    w.run("rotate", "d1.made.test", "--now", code=-9, environment={"POSTHOUSE_CRASH": "file.written:1"})
    assert {k["state"] for k in w.keys().values() if k["domain"] == "d1.made.test"} == {"pending"}
    w.run("rotate", "d1.made.test", "--now", code=-9, environment={"POSTHOUSE_CRASH": "file.replaced:1"})
    assert {k["state"] for k in w.keys().values() if k["domain"] == "d1.made.test"} == {"active"}
    w.relay.command("check")


def test_mail_of_every_shape_through_the_relay():
    w = World("127.53.1.4")
    w.run("generate", DOMAIN)
    w.publish()
    w.run("rotate", DOMAIN, "--now")
    client = w.relay.connect()
    n = 0
    for name, text in list(mime_shapes.shapes(7, 40)):
        text = text.replace(b"alice@example.org", f"alice@{DOMAIN}".encode())
        w.relay.submit(text, client=client)
        n += 1
    w.sink.wait(n)
    for m in w.sink.messages:
        assert w.verifies(m.bytes) == [True, True], m.bytes[:3000]
