"""posthouse doctor in a world of its own (doctor_bed.py): silent where all is right, and one test for each planted fault."""
import json

from doctor_bed import *


def planted(id, result, words, *sets, bed=None, arguments=()):
    bed = bed or Bed()
    for name, kind, *values in sets:
        bed.set(name, kind, *values)
    bed.start(running=False)
    return bed.expect(id, result, words, arguments=arguments)


def without_container(text):
    """Where the tests run in a container the first line says so."""
    head, _, rest = text.partition("(doctor.addresses)")
    return head + "(doctor.addresses)" + rest.replace(",\n      in a container", "", 1)


def test_correct_world_is_silent():
    bed = Bed().start()
    bed.run()
    print(bed.summary)
    assert not bed.loud(), bed.loud()
    assert bed.code == 0, bed.output
    text = bed.relay.command("doctor", "--resolver", bed.names.resolver).stdout
    lines = without_container(text).splitlines()
    assert lines[0] == f"{DOMAIN}: direct delivery from {V4}, {V6} (doctor.addresses)", text
    assert any(line.startswith("0 failures, ") for line in lines[-2:]), text
    assert all(len(line) <= 80 or max(map(len, line.split())) > 50 for line in lines), text  # a path is not broken


# ---- name.*, address.* ----
def test_name_form():
    bed = Bed().start(running=False)
    conf = bed.relay.conf
    conf.write_text(conf.read_text().replace(f'hostname = "{HOST}"', 'hostname = "relay.lan"'))
    bed.expect("name.form", "failure", "private networks")
    bed.expect("name.address", "skipped", "name.form", arguments=("--only", "name.*"))


def test_name_without_address():
    planted("name.address", "failure", "has no address", (HOST, "A"), (HOST, "AAAA"))


def test_name_at_loopback():
    planted("name.address", "failure", "127.0.1.1", (HOST, "A", "127.0.1.1"))


def test_name_is_alias():
    bed = Bed()
    bed.remove(HOST)
    planted("name.address", "advice", f"web.{DOMAIN}", (HOST, "CNAME", f"web.{DOMAIN}."), (f"web.{DOMAIN}", "A", V4), (f"web.{DOMAIN}", "AAAA", V6), bed=bed)


def test_name_of_another_machine():
    planted("name.source", "failure", f"does not lead to {V4}", (HOST, "A", "203.0.113.99"))


def test_name_without_one_family():
    f = planted("name.source", "failure", V6, (HOST, "AAAA"))
    assert f["remedy"]["records"] == [{"type": "AAAA", "name": HOST, "value": V6, "ttl": 300}], f


def test_name_is_the_domain():
    bed = Bed()
    bed.set(DOMAIN, "A", V4)
    bed.start(running=False)
    conf = bed.relay.conf
    conf.write_text(conf.read_text().replace(f'hostname = "{HOST}"', f'hostname = "{DOMAIN}"'))
    bed.expect("name.apex", "advice", f"relay.{DOMAIN}")


def test_address_that_changes():
    """What a mail server calls us is where we send from; another one in the next run is a dynamic line."""
    bed = Bed(doctor="addresses = [ ];", delivery="ipv6 = false;")
    bed.probes = {"a": {"EHLO": ["250-mx.probe-a.test Hello [8.8.4.1]\n250 STARTTLS"] * 2}}
    bed.start(running=False)
    bed.run("--only", "address.public")
    if "8.8.4.1" not in bed.summary["situation"]:  # this machine has a public address
        return
    cache = bed.cache()
    cache.write_text(cache.read_text().replace("8.8.4.1", "8.8.4.2"))
    entries = json.loads(cache.read_text())
    entries = {key: value for key, value in entries.items() if not key.startswith("probe")}
    cache.write_text(json.dumps(entries))
    bed.expect("address.public", "warning", "8.8.4.2", arguments=("--only", "address.public"))


# ---- ptr.* ----
def test_address_without_name():
    f = planted("ptr.exists", "failure", f"{V6}", (reverse(V6), "PTR"))
    assert f["remedy"]["config"] == "delivery = { ipv6 = false; };" and f["expected"] == HOST, f


def test_reverse_zone_that_does_not_answer():
    bed = Bed()
    bed.start(running=False)
    bed.names.end()
    zones = bed.zones()
    del zones["113.0.203.in-addr.arpa"]  # nsd refuses what it does not know
    bed.names = NameServer(zones, address=bed.ns, port=bed.names_port)
    bed.expect("ptr.exists", "unknown", V4)


def test_name_that_does_not_lead_back():
    planted("ptr.confirmed", "failure", f"other.{DOMAIN}", (reverse(V4), "PTR", f"other.{DOMAIN}."), (f"other.{DOMAIN}", "A", "203.0.113.7"))


def test_other_name_that_leads_back():
    planted("ptr.name", "warning", f"relay2.{DOMAIN}", (reverse(V4), "PTR", f"relay2.{DOMAIN}."), (f"relay2.{DOMAIN}", "A", V4))


def test_generic_name():
    name = f"25-113-0-203.dyn.{DOMAIN}"
    planted("ptr.generic", "warning", name, (reverse(V4), "PTR", name + "."), (name, "A", V4))


# ---- port25.*, ehlo.accepted ----
def test_port_25_is_blocked():
    bed = Bed()
    bed.probes = None  # nothing listens
    f = planted("port25.open", "failure", "blocked", bed=bed)
    assert "upstreams" in f["remedy"]["config"], f


def test_port_25_is_intercepted():
    bed = Bed()
    bed.probes = {"a": {"GREETING": "220 proxy.isp.test ESMTP"}, "b": {"GREETING": "220 proxy.isp.test ESMTP"}}
    planted("port25.intercepted", "warning", "proxy.isp.test", bed=bed)


def test_starttls_is_lost_on_the_way():
    bed = Bed()
    bed.probes = {"no_tls": True}
    planted("port25.intercepted", "warning", "STARTTLS", bed=bed)


def test_greeting_is_refused():
    bed = Bed()
    bed.probes = {"b": {"EHLO": "550 5.7.1 bad helo"}}
    planted("ehlo.accepted", "failure", "bad helo", bed=bed)


def test_strangers_are_greeted_once():
    bed = Bed()
    planted("port25.open", "ok", "IPv4", bed=bed)
    bed.run("--only", "port25.open")
    bed.probes = None
    bed.expect("port25.open", "ok", "IPv4")


def test_a_delivery_of_today_proves_that_port_25_is_open():
    bed = Bed()
    bed.probes = None  # nobody else answers
    server = Scripted(host=own_address(), port=bed.mail_port)
    bed.set("mx.mailbox.test", "A", server.host)
    bed.set("mailbox.test", "MX", "1 mx.mailbox.test.")
    bed.start()
    bed.expect("port25.open", "failure", "IPv4")
    bed.relay.submit(to=["bob@mailbox.test"])
    server.wait()
    wait_for(lambda: "delivered" in bed.relay.command("find", "--recipient", "bob").stdout, "the result is stored")
    bed.run("--only", "port25.open")
    bed.expect("port25.open", "ok", f"mx.mailbox.test [{server.host}]:{bed.mail_port} has answered")


def test_the_daily_look_knows_of_deliveries_too():
    home = Sink()
    bed = Bed(upstream=f'{{ name = "home"; host = "127.0.0.1"; port = {home.port}; tls = "none"; }}', doctor=f'daily = true; addresses = [ "{V4}" ];',
              routes=f'routes = ( {{ recipients = [ "@{DOMAIN}" ]; via = [ "home" ]; }}, {{ via = [ "mx" ]; }} );', delivery="ipv6 = false;",
              environment={"POSTHOUSE_DOCTOR_DAY_MS": "14400"})
    bed.probes = None  # nobody else answers
    server = Scripted(host=own_address(), port=bed.mail_port)
    bed.set("mx.mailbox.test", "A", server.host)
    bed.set("mailbox.test", "MX", "1 mx.mailbox.test.")
    bed.start()
    [told] = home.wait(1)
    assert "port25.open" in told.message.get_content(), told.message.get_content()
    bed.relay.submit(to=["bob@mailbox.test"])
    mended = home.wait(2)[1]
    assert mended.message["Subject"] == "1 fault is mended" and "IPv4" in mended.message.get_content(), mended.message.get_content()


# ---- domain.* ----
def test_domain_that_does_not_exist():
    planted("domain.exists", "failure", "does not exist", bed=Bed(senders=f'senders = ( {{ user = "alice"; addresses = [ "@nothere.mailbox.test" ]; }} );'))


def test_domain_of_a_provider():
    planted("domain.ours", "failure", "gmail", bed=Bed(senders='senders = ( { user = "alice"; addresses = [ "alice@gmail.com" ]; } );'))


def test_name_servers_that_disagree():
    bed = Bed()
    second = own_address()
    bed.records[DOMAIN, "NS"] = [f"ns2.{DOMAIN}."]
    bed.set(f"ns2.{DOMAIN}", "A", second)
    bed.start(running=False)
    bed.serials = {DOMAIN: 0}
    NameServer(bed.zones(), address=second, port=bed.names_port)
    if bed.names_port == 53:
        bed.expect("domain.servers", "advice", "in an hour")
        bed.older(1 / 24)
        bed.expect("domain.servers", "warning", "version 0", ("--only", "domain.servers"))


# ---- whose answer counts, and what is said ----
def test_mended_record_is_seen_at_once():
    """The resolver has the old record; the domain's own servers have the right one."""
    bed = Bed()
    bed.start(running=False)
    if bed.names_port != 53:
        return
    old = Bed()
    old.records = dict(bed.records)
    old.ns = bed.ns
    old.set(HOST, "A", "203.0.113.99")
    stale = NameServer(old.zones())
    done = bed.relay.command("doctor", "--json", "--resolver", stale.resolver, "--only", "name.source", check=False)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(f["kind"] == "check" and f["result"] == "ok" and "seen everywhere" in f["text"] for f in findings), done.stdout


def test_exit_codes_and_ignored():
    bed = Bed(doctor='ignore = [ "ptr.exists" ];')
    bed.set(reverse(V6), "PTR")
    bed.start(running=False)
    bed.run("--only", "ptr.exists")
    bed.expect("ptr.exists", "ignored", V6)
    assert bed.code == 0, bed.output
    bed.relay.conf.write_text(bed.relay.conf.read_text().replace('ignore = [ "ptr.exists" ];', ""))
    bed.run("--only", "ptr.exists")
    assert bed.code == 1, bed.output
    command = lambda *a: bed.relay.command("doctor", *a, check=False).returncode
    assert command("--only", "nothing") == 64
    assert command("--resolver", "nonsense") == 64
    assert command("--nothing") == 64
    assert command("...") == 64 and command("a..b") == 64
    assert command("--offline", "--only", "name.form") == 0
    bed.names.end()
    assert command("--resolver", bed.names.resolver, "--only", "domain.exists") == 75
    bed.relay.conf.write_text("hostname = 1;")
    assert command() == 78


def test_human_form():
    bed = Bed()
    bed.set(reverse(V6), "PTR")
    bed.start(running=False)
    done = bed.relay.command("doctor", "--resolver", bed.names.resolver, "--only", "ptr.exists", check=False)
    assert without_container(done.stdout) == f"""{DOMAIN}: direct delivery from {V4}, {V6} (doctor.addresses)
FAIL  ptr.exists    {V6} has no reverse name
      Gmail and others refuse IPv6 mail from addresses without one.
      Ask the owner of the address (your host's panel, "reverse DNS") for
          {V6} -> {HOST}
      or send by IPv4 only:
          delivery = {{ ipv6 = false; }};  posthouse reload
1 failure, 0 warnings, 1 good
""", done.stdout


# ---- every day ----
def test_postmaster_is_told_once_a_fault_and_once_when_it_is_mended():
    home = Sink()
    bed = Bed(upstream=f'{{ name = "home"; host = "127.0.0.1"; port = {home.port}; tls = "none"; }}', doctor="daily = true;",
              routes=f'routes = ( {{ recipients = [ "@{DOMAIN}" ]; via = [ "home" ]; }}, {{ via = [ "mx" ]; }} );',
              environment={"POSTHOUSE_DOCTOR_DAY_MS": "14400"})
    bed.set(reverse(V6), "PTR")
    bed.start()
    [first] = home.wait(1)
    words = first.message.get_content()
    assert first.message["Subject"] == "Doctor has found 1 fault", words
    assert f"ptr.exists: {V6} has no reverse name" in words and f"{V6} -> {HOST}" in words, words
    faults = bed.relay.dir / "state/doctor/doctor.faults"
    wait_for(lambda: faults.exists() and '"told":true' in faults.read_text(), "what was told is kept")
    bed.relay.kill_role("doctor")
    bed.set(reverse(V6), "PTR", HOST + ".")
    bed.again()
    mended = home.wait(2)[1]
    assert mended.message["Subject"] == "1 fault is mended", mended.message["Subject"]
    assert f"{V6} has no reverse name" in mended.message.get_content()
    assert len(home.messages) == 2
    # the role has no key, but knows which record is ours
    record = bed.dkim_record()
    bed.set(f"{bed.relay.selector}._domainkey.{DOMAIN}", "TXT", txt(record[:100] + ("B" if record[100] == "A" else "A") + record[101:]))
    bed.again()
    words = home.wait(3)[2].message.get_content()
    assert f"dkim.match: {bed.relay.selector} " in words and "posthouse doctor" in words, words
    [role] = [role for role in json.loads(bed.relay.command("status", "--json").stdout)["roles"] if role["role"] == "doctor"]
    assert role["answers"] and role["figures"]["looks"] > 0 and role["figures"]["faults"] == 1, role
    faults.with_suffix(".faults.new").mkdir()
    bed.relay.wait_log(f"event=doctor.unsaved path={faults} reason=")
