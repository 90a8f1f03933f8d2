"""What commands and pages say of several nodes and of a database that is away; next hops and limits that one node changes for all."""
import urllib.error
import urllib.request

from nodes_bed import *


def page(port, name):
    """The status and the text of a page of role web."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_commands_without_database():
    """What is in memory is shown as of then; all else says that the database is away, and nothing looks like a fault of the relay."""
    database, web = Database(), free_port()
    bed = Bed(1, database, stores=[database.settings(more='node_timeout = "10s";') + f'metrics = "127.0.0.1:{web}";'],
              limits='messages = [ "9/1h" ];')
    relay = bed.relays[0]
    id = relay.submit()
    relay.wait_event(id, "delivery.sent")
    lines = relay.command("trace", id).stdout
    assert re.search(r"stored, 250 given \(node 1\)$", lines, re.M) and re.search(r"1st attempt \(node 1\)$", lines, re.M), lines
    assert {e["fields"]["node"] for e in relay.events(id)} == {1}
    assert "of all nodes, as node 1 knows\n" in relay.command("limits", "show", "alice").stdout
    database.stop("immediate")
    away = "the queue takes no mail: the database cannot be reached (store.away in the log)"
    wait_for(lambda: page(web, "readyz") == (503, away + "\n"), lambda: f"the node is not ready: {page(web, 'readyz')}", every=0.3)

    status = relay.command("status", check=False)
    assert status.returncode == 69 and re.search(r"^node 1 of 1, away; database away for .*\nwhat is said .* is as of 20", status.stdout, re.M), status.stdout
    assert re.findall("^FAULT: .*", status.stdout, re.M) == ["FAULT: " + away], status.stdout
    assert re.search(r"^posthouse_queue_database_away_since_timestamp_seconds [1-9]", page(web, "metrics")[1], re.M)

    explained = relay.command("explain", "--user", "alice", "--from", f"alice@{DOMAIN}", "--to", "bob@example.net", check=False)
    assert explained.returncode == 65 and "takes no mail now: the database cannot be reached" in explained.stdout, explained
    shown = relay.command("limits", "show", "alice").stdout
    assert "1 of 9 used" in shown and re.search("^as of 20.*: node 1 has been without the database for ", shown, re.M), shown
    assert all(row["as_of"] for row in rows_of(relay.command("limits", "show", "--json").stdout))
    for command in (["queue", "list"], ["queue", "show", id], ["queue", "summary"], ["queue", "hold", id], ["trace", id], ["find"], ["find", "--json"],
                    ["limits", "reset", "alice"], ["node", "list"], ["node", "drain"]):
        done = relay.command(*command, check=False)
        assert done.returncode == 75 and done.stdout == "", (command, done)
        assert re.fullmatch(r"posthouse: the database cannot be reached by this node, number 1, since 20.* UTC \(store.away in the log\)\n", done.stderr), done

    database.start()
    wait_for(lambda: page(web, "readyz")[0] == 200, "the node is ready")
    assert relay.command("trace", id).stdout == lines


def test_other_configuration():
    """Each node says which others have another configuration, until it is the same again; no restart is needed."""
    bed = Bed(2)
    one, two = bed.relays
    before = two.conf.read_text()

    def differing():
        rows = [row for row in rows_of(one.command("node", "list", "--json").stdout) if row["config_differs"]]
        return [row["number"] for row in rows]

    wait_for(lambda: "" not in bed.database.sql("SELECT config_hash FROM node").splitlines(), "both have said what they have", every=0.5)
    assert differing() == []
    two.conf.write_text(before + 'limits = { messages = [ "7/1h" ]; };\n')
    two.command("reload")
    wait_for(lambda: differing() == [2], "the other configuration", every=0.5)
    one.wait_log("event=node.config_differs node=2 ")
    two.wait_log("event=node.config_differs node=1 ")
    assert re.search(r"^another configuration than here: node 2 \(.*\)$", one.command("status").stdout, re.M)
    assert re.search("^2 .* other configuration$", one.command("node", "list").stdout, re.M)
    two.conf.write_text(before)
    two.command("reload")
    wait_for(lambda: differing() == [], "the same configuration", every=0.5)
    wait_for(lambda: "another configuration" not in one.command("status").stdout, "all is well", every=0.5)
    assert one.log_text().count("node.config_differs") == 1


def test_removed_while_it_runs():
    """It says what has happened to it, and that a restart makes it a new node. The orders can be repeated: nobody knows of a lost answer."""
    database, web = Database(), free_port()
    stores = [database.settings(more='node_timeout = "10s";') + more for more in ("", f'metrics = "127.0.0.1:{web}";')]
    bed = Bed(2, database, stores)
    one, two = bed.relays
    assert two.command("node", "drain").stdout.startswith("node 2 takes no mail any more")
    bed.wait_state(2, "drained")
    assert two.command("node", "drain").stdout == "node 2 is drained already\n"
    assert one.command("node", "remove", "2").stdout == "node 2 is removed\n"
    assert one.command("node", "remove", "2").stdout == "node 2 is removed already\n"
    removed = "this node was removed: restart it to make it a new one"
    two.wait_log(f'event=node.excluded reason="{removed}"')
    wait_for(lambda: page(web, "readyz") == (503, f"the queue takes no mail: {removed}\n"), lambda: f"the reason: {page(web, 'readyz')}", every=0.3)
    status = two.command("status", check=False)
    assert status.returncode == 69 and f"FAULT: the queue takes no mail: {removed}\n" in status.stdout, status.stdout
    assert "node 2 of 2, away; without the database for " in status.stdout and "cannot be reached" not in status.stdout, status.stdout
    for command in (["queue", "list"], ["node", "list"], ["node", "resume"], ["limits", "reset", "alice"]):
        done = two.command(*command, check=False)
        assert done.returncode == 75 and re.fullmatch(f"posthouse: node 2 has not worked with the database since 20.* UTC: {removed}\n", done.stderr), done
    assert 'event=store.away reason="this node is no member any more' in two.log_text()
    two.stop()
    two.start()
    assert bed.nodes() == {1: ("up", 1), 2: ("up", 3)}
    assert two.log_text().count("event=node.excluded") == 1


def test_one_finds_and_all_follow():
    """A next hop that is down, and up again; limits that are used up, shown and reset."""
    bed = Bed(2, limits='messages = [ "6/1h" ];')
    one, two = bed.relays
    bed.sink.stop()
    ids = [one.submit(to=[f"bob@d{n}.example.net"]) for n in range(2)]
    for relay in bed.relays:
        wait_for(lambda: "next " in relay.command("status").stdout and "down, " in relay.command("status").stdout, "the next hop is down", every=0.5)
    finders = [relay for relay in bed.relays if re.search("event=upstream.down .*found_by=\"another node\"", relay.log_now())]
    assert len(finders) == 1, [relay.log_tail() for relay in bed.relays]
    bed.sink.start()
    ids += [two.submit(to=["bob@d5.example.net"])]
    wait_for(lambda: bed.database.sql("SELECT count(*) FROM open_message") == "0", "all delivered")
    assert all(bed.sink.counts()[id] == 1 for id in ids), bed.sink.counts()
    for relay in bed.relays:
        relay.wait_log("event=upstream.up")

    ids += [two.submit() for _ in range(3)]
    for relay in bed.relays:
        assert "6 of 6 used" in relay.command("limits", "show", "alice").stdout, relay.command("limits", "show", "alice").stdout
        client = relay.connect()
        assert client.mail(f"alice@{DOMAIN}")[0] == 450 or client.rcpt("bob@example.net")[0] == 450
    assert re.match("[1-9][0-9]* limits", one.command("limits", "reset", "alice").stdout)

    def accepted():
        try:
            return two.submit()
        except (AssertionError, smtplib.SMTPException):
            return None
    wait_for(accepted, "the reset is seen", every=0.5)
    assert "1 of 6 used" in one.command("limits", "show", "alice").stdout
