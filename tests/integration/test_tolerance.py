"""What clients get wrong at EHLO, AUTH and RCPT, and is clear all the same."""
from lib import *
from test_login import USER, login, plain, relay_with, scram, try_login


def test_blanks_around_a_login():
    """They come from the clipboard. Within a name they are another name."""
    relay = relay_with(users=[USER])
    for way in (plain, login, scram):
        for user in (f" {USER}", f"{USER}  ", f"  {USER} ", f"{USER.split('@')[0]} "):
            assert try_login(relay, way, user) == 235, (way, user)
    for way in (plain, login):
        assert try_login(relay, way, f"\t{USER}\r\n") == 235, way
        assert try_login(relay, way, USER.replace("@", " @")) == 535, way
    lines = [line for line in relay.log_now().splitlines() if "event=login.accepted" in line]
    assert lines and all(f"login={USER} " in line + " " for line in lines), lines


def test_a_list_server_goes_on():
    """smtplib with lists in which some recipients are malformed: every message goes to the others, over one connection."""
    sink = Sink()
    relay = Relay(sink.port, submission="errors = 4;")
    client = relay.connect()
    for n in range(12):
        bad = [f"bad{i}@x..example" for i in range(n % 5 + 1)]
        refused = client.sendmail(f"alice@{DOMAIN}", bad + [f"good{n}@example.net"] + bad, simple_message())
        assert set(refused) == set(bad) and all(code == 501 for code, _ in refused.values()), refused
    sink.wait(12)
    assert sorted(m.recipients[0] for m in sink.messages) == sorted(f"good{n}@example.net" for n in range(12))
