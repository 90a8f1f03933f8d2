"""explain: which rules decide about a message, with their lines; it says what the relay then does."""
import smtplib
from doctor_bed import Bed
from lib import *

ALICE = f"alice@{DOMAIN}"


def explain(relay, *arguments, user="alice", sender=ALICE, to="bob@example.net", offline=True):
    done = relay.command("explain", *(["--offline"] if offline else []), "--user", user, "--from", sender, "--to", to, *arguments, check=False)
    return done.returncode, done.stdout, done.stderr


def steps(relay, *arguments, **kw):
    """The exit code, and the steps by their name."""
    code, out, _ = explain(relay, "--json", *arguments, **kw)
    found = rows_of(out)
    assert all(s["kind"] == "step" and s["of"] == "explain" for s in found), found
    return code, {s["step"]: s for s in found}


def line_of(relay, words):
    return next(i for i, line in enumerate(relay.conf.read_text().splitlines(), 1) if words in line)


def test_each_step_names_its_rule():
    relay = Relay(free_port(), users=(ALICE, f"web@{DOMAIN}"), limits='messages = [ "50/1h" ]; new_recipients = [ "20/1d" ];', start=False,
                  senders=f'''senders = ( {{ user = "alice"; addresses = [ "{ALICE}" ]; }},
  {{ user = "web"; addresses = [ "@shop.test" ]; }} );''',
                  extra='''rewrite = ( { sender = "old@shop.test"; to = "new@shop.test"; headers = true; },
  { recipient = "boss@corp.test"; to = "chief@corp.test"; } );
routes = ( { recipients = [ "@corp.test" ]; via = [ "mx" ]; },
  { senders = [ "@other.test" ]; via = [ "mx" ]; },
  { via = [ "next", "mx" ]; } );''')
    # without a relay what can be known
    code, s = steps(relay)
    assert code == 0 and s["login"]["verdict"] == "ok" and s["limits"]["verdict"] == "unknown" and s["route"]["rule"] == "routes[3]", s
    relay.start()
    code, s = steps(relay)
    assert code == 0 and s["result"]["verdict"] == "ok", s
    assert "known" in s["login"]["reason"] and "0 of 50 messages in 1h" in s["login"]["reason"], s
    assert s["sender"]["rule"] == "senders[1]" and s["sender"]["line"] == line_of(relay, 'user = "alice"') and s["sender"]["file"] == str(relay.conf), s
    assert s["route"]["rule"] == "routes[3]" and s["route"]["line"] == line_of(relay, 'via = [ "next", "mx" ]'), s
    assert "next, then mx\nroutes[1] not: recipients; routes[2] not: senders" in s["route"]["reason"], s
    assert s["signature"]["verdict"] == "ok" and f"{DOMAIN} by {relay.selector} (RSA)" in s["signature"]["reason"], s
    assert "up" in s["next hop"]["reason"] and s["TLS"]["verdict"] == "none" and "aligned" in s["receiver"]["reason"], s
    text = explain(relay)[1]
    assert f"posthouse.conf:{s['route']['line']}" in text and text.endswith("Would be accepted and sent now.\n"), text
    assert all(len(line) <= 80 for line in text.splitlines()), text
    # rewriting and another route
    code, s = steps(relay, user="web", sender="old@shop.test", to="boss@corp.test")
    assert code == 0 and "becomes new@shop.test" in s["rewrite"]["reason"] and s["rewrite"]["rule"] == "rewrite[1]", s
    assert s["sender"]["rule"] == "senders[2]" and "@shop.test" in s["sender"]["reason"] and "chief@corp.test" in s["recipient"]["reason"], s
    assert s["route"]["rule"] == "routes[1]" and "corp.test" in s["next hop"]["reason"] and s["signature"]["verdict"] == "none", s
    # what the relay refuses
    code, s = steps(relay, sender="web@shop.test")
    assert code == 65 and s["sender"]["verdict"] == s["result"]["verdict"] == "refused" and "is not an address of" in s["sender"]["reason"], s
    client = relay.connect()
    assert client.mail("web@shop.test")[0] == 550
    client.quit()
    assert steps(relay, "--header-from", "web@shop.test")[0] == 65
    assert steps(relay, user="nobody")[1]["login"]["verdict"] == "refused"
    assert steps(relay, "--size", "1000M")[1]["limits"]["verdict"] == "refused"


def test_limits_next_hops_and_files_as_they_are():
    relay = Relay(free_port(), retry='"1h"', limits='messages = [ "2/1d" ]; over = "hold";')
    relay.submit()
    wait_for(lambda: steps(relay)[1]["next hop"]["verdict"] == "waits", "the next hop is down")
    code, out, _ = explain(relay)
    assert code == 0 and "Would be accepted, and waits: " in out and "is down, next attempt in" in out, out
    relay.submit()
    code, s = steps(relay)
    assert code == 0 and s["limits"]["verdict"] == s["result"]["verdict"] == "held" and "2 of 2 used" in s["limits"]["reason"], s
    assert "file" not in s, s
    relay.conf.write_text(relay.conf.read_text() + "\n# edited\n")
    assert "was changed since" in steps(relay)[1]["file"]["reason"]
    relay.command("reload")
    assert "file" not in steps(relay)[1]
    to_bob = ("--user", "alice", "--to", "bob@example.net")
    for arguments in ((), ("--user", "alice"), (*to_bob, "--from", "x"), (*to_bob, "--from", "a b@example.org"), (*to_bob, "--from", "<>"),
                      ("--user", "alice", "--from", "alice@example.org", "--to", "")):
        assert relay.command("explain", *arguments, check=False).returncode == 64, arguments
    assert "alice@example.org is the login itself" in relay.command("explain", *to_bob, "--from", "<alice@example.org>").stdout
    relay.conf.write_text("bogus = 1;\n")
    assert explain(relay)[0] == 78


def test_weights_and_alignment():
    """Entries with weights are one step: each that is open can be chosen. SPF aligns by the organisation, not by the name."""
    sink, closed = Sink(), free_port()
    relay = Relay(sink.port, users=(ALICE,), retry='"1h"', senders=f'''senders = ( {{ user = "alice"; addresses = [ "{ALICE}", "@mail.other.co.uk", "@lists.other.co.uk",
                  "@else.co.uk" ]; }} );''', upstream=f'''{{ name = "one"; host = "127.0.0.1"; port = {sink.port}; tls = "none"; }},
  {{ name = "two"; host = "localhost"; port = {sink.port}; tls = "opportunistic"; }}, {{ name = "gone"; host = "127.0.0.1"; port = {closed}; tls = "none"; }}''',
                  extra='routes = ( { recipients = [ "@corp.test" ]; via = [ "gone:1", "one:1" ]; }, { via = [ "one:3", "two:1", "mx" ]; } );')
    code, out, _ = explain(relay, "--json")
    found = rows_of(out)
    hop = next(s for s in found if s["step"] == "next hop")
    assert code == 0 and hop["reason"].splitlines() == [f"3 of 4 by one: 127.0.0.1:{sink.port}, up", f"1 of 4 by two: localhost:{sink.port}, up"], hop
    assert [s["rule"] for s in found if s["step"] == "TLS"] == ["upstreams[1]", "upstreams[2]"], found
    for to in ("a@corp.test", "b@corp.test", "c@corp.test"):
        relay.submit(to=[to])
    wait_for(lambda: "is down" in steps(relay, to="a@corp.test")[1]["next hop"]["reason"], "one of them is down")
    _, s = steps(relay, to="a@corp.test")
    assert s["next hop"]["verdict"] == "ok" and s["next hop"]["reason"].startswith(f"1 of 2 by one: 127.0.0.1:{sink.port}, up\n1 of 2 by gone: "), s
    aligned = steps(relay, "--header-from", "a@lists.other.co.uk", sender="b@mail.other.co.uk")[1]["receiver"]["reason"]
    assert "DMARC needs SPF" in aligned and "not aligned" not in aligned, aligned
    assert "not aligned" in steps(relay, "--header-from", "a@else.co.uk", sender="b@mail.other.co.uk")[1]["receiver"]["reason"]


def test_new_recipients_and_keys_in_the_dns():
    """Whether the login has written to the recipient before, and whether receivers find the keys."""
    bed = Bed()
    bed.start()
    relay = bed.relay
    _, s = steps(relay, offline=False)
    assert s["signature"]["reason"].endswith(f"by {relay.selector} (RSA), in DNS") and "passes DMARC" in s["receiver"]["reason"], s
    del bed.records[f"{relay.selector}._domainkey.{DOMAIN}", "TXT"]
    bed.again()
    _, s = steps(relay, offline=False)
    assert s["signature"]["reason"].endswith(", not in DNS") and "that can be verified: DMARC needs SPF" in s["receiver"]["reason"], s
    relay = Relay(Sink().port, limits='new_recipients = [ "1/1d" ];')
    assert "bob@example.net is new, as far as the history" in steps(relay)[1]["limits"]["reason"]
    relay.submit(to=["bob@example.net"])
    relay.wait_empty()
    wait_for(lambda: "bob@example.net was written to before" in steps(relay)[1]["limits"]["reason"], "it is known now")
    assert "rob@example.net is new" in steps(relay, to="rob@example.net")[1]["limits"]["reason"]
    # when the limit is used up, whom the login knows still gets mail, in what explain says as in what the relay does
    assert steps(relay)[0] == 0
    code, s = steps(relay, to="rob@example.net")
    assert code == 65 and s["limits"]["verdict"] == "refused" and "1 of 1 used, and 1 would be new" in s["limits"]["reason"], s
    client = relay.connect()
    client.submit(ALICE, ["bob@example.net"], simple_message())
    try:
        client.submit(ALICE, ["rob@example.net"], simple_message())
    except smtplib.SMTPException as e:
        assert "new recipients" in str(e), e
    else:
        raise AssertionError("the relay took what explain says it refuses")
    client.quit()
