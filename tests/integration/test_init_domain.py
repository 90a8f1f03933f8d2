"""`posthouse init DOMAIN`: the records that it proposes beside those that are there, its forms, its certificate, its questions; and
`init ADDRESS` for people who have no domain."""
import base64

from lib import *
from peers import Names, NameServer
from test_init_profiles import ME, at_terminal, place, to_copy

ADDRESSES = "203.0.113.25,2001:db8::25"
MY = "me@isp.test"


def init(relay, domain, *options, check=True, input=None):
    return relay.command("init", domain, "--yes", "--address", "127.0.0.1", "--port-starttls", str(relay.port), "--port-implicit", str(relay.tls_port),
                         "--state-dir", relay.dir.parent / "new-state", "--control", relay.dir.parent / "control.sock", "--run-as", ME, *options,
                         check=check, input=input)


def again(relay):
    """Nothing of the last init is left."""
    shutil.rmtree(relay.dir, ignore_errors=True)
    shutil.rmtree(relay.dir.parent / "new-state", ignore_errors=True)


def entries(relay, domain, *options):
    """The records as a program gets them: (type, name) -> documents."""
    again(relay)
    said = [json.loads(line) for line in init(relay, domain, "--format", "json", *options).stdout.splitlines()]
    assert said[-1] == {"kind": "end", "n": len(said) - 1, "truncated": False}, said[-1]
    found = {}
    for row in said[:-1]:
        assert row["kind"] == "record", row
        found.setdefault((row["type"], row["name"]), []).append(row)
    return found


def only(found, type, name):
    [row] = found[type, name]
    return row


def test_a_new_domain():
    """Nothing is there: all records are proposed; a name server serves the file as it is, and what it serves are the keys."""
    relay = place()
    names = Names({"com": [("NS", "ns.com.")]})
    said = init(relay, "example.com", "--public-address", ADDRESSES, "--resolver", names.resolver).stdout
    settings = said[said.index("Settings for"):].splitlines()
    assert all(line == line.rstrip() and (len(line) <= 80 or max(map(len, line.split())) > 50) for line in settings), said  # a path is not broken
    zone = (relay.dir / "example.com.zone").read_text()
    assert zone in said and "$ORIGIN example.com.\n" in zone and zone.count("; at the owner of the address, not here:") == 2
    lines = [line for line in zone.splitlines() if line and not line.startswith((";", "$"))]
    assert lines[:4] == ["relay                 A      203.0.113.25", "relay                 AAAA   2001:db8::25",
                         'relay                 TXT    "v=spf1 a -all"      ; our greeting and reports',
                         '@                     TXT    "v=spf1 ip4:203.0.113.25 ip6:2001:db8::25 ~all"'], zone
    assert all(len(string) <= 255 for string in re.findall(r'"([^"]*)"', zone))
    assert relay.command("check").stdout == "configuration is good\n"
    server = NameServer({"example.com": zone.split("$TTL 300", 1)[1]})
    import dns.message
    import dns.query
    for (selector, key), kind in zip(re.findall(r'selector = "([^"]*)"; key = "([^"]*)"', init_text(relay.conf)), ("rsa", "ed25519")):
        assert re.fullmatch(r"p\d{6}" + kind[0], selector) and os.stat(key).st_mode & 0o777 == 0o600
        reply = dns.query.tcp(dns.message.make_query(f"{selector}._domainkey.example.com", "TXT"), "127.0.0.1", port=server.port)
        text = b"".join(reply.answer[0][0].strings).decode()
        der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, stdout=subprocess.PIPE).stdout
        assert text == f"v=DKIM1; k={kind}; p={base64.b64encode(der if kind == 'rsa' else der[-32:]).decode()}", text
        table = said.split("for the forms of a registrar")[1]
        assert f"\nTXT    {selector}._domainkey\n{text}\n       {selector}._domainkey.example.com\n" in table, table
    reply = dns.query.tcp(dns.message.make_query("_submissions._tcp.example.com", "SRV"), "127.0.0.1", port=server.port)
    assert reply.answer[0][0].to_text() == f"0 1 {relay.tls_port} relay.example.com."


def test_what_is_there_stays():
    relay = place()
    me = "relay.example.com"
    names = Names({"example.com": [("TXT", '"v=spf1 mx include:spf.news.test ~all"'), ("TXT", '"another=text"'), ("MX", "10 mx.mailbox.test.")],
                   "_dmarc.example.com": [("TXT", '"v=DMARC1; p=reject; rua=mailto:x@example.com"')], me: [("A", "203.0.113.25"), ("AAAA", "2001:db8::99")],
                   "_submissions._tcp.example.com": [("SRV", "0 1 465 smtp.mailbox.test.")], "25.113.0.203.in-addr.arpa": [("PTR", f"{me}.")]})
    options = ["--public-address", ADDRESSES, "--resolver", names.resolver]
    found = entries(relay, "example.com", *options)
    spf = only(found, "TXT", "example.com")
    assert spf["state"] == "changed" and spf["was"] == "v=spf1 mx include:spf.news.test ~all"
    assert spf["value"] == "v=spf1 ip4:203.0.113.25 ip6:2001:db8::25 mx include:spf.news.test ~all"
    assert only(found, "TXT", "_dmarc.example.com")["state"] == "good" and "p=reject" in only(found, "TXT", "_dmarc.example.com")["value"]
    assert only(found, "MX", "example.com")["state"] == "good" and only(found, "A", me)["state"] == "good"
    assert (only(found, "AAAA", me)["state"], only(found, "AAAA", me)["was"]) == ("changed", "2001:db8::99")
    other = only(found, "SRV", "_submissions._tcp.example.com")
    assert other["state"] == "advice" and "smtp.mailbox.test" in other["comment"]
    assert only(found, "PTR", "203.0.113.25")["comment"] and not only(found, "PTR", "2001:db8::25")["comment"]
    again(relay)
    zone = init(relay, "example.com", "--format=zone", *options).stdout
    assert ('\n; your record was: "v=spf1 mx include:spf.news.test ~all"; replace it, do not add a second one\n@ ' in zone and
            "\n; good: MX 10 mx.mailbox.test.   (your mailboxes; posthouse takes no mail)\n" in zone and "\n; good: relay A 203.0.113.25" in zone), zone
    # it is published now
    names.records["example.com"][0] = ("TXT", f'"{spf["value"]}"')
    assert only(entries(relay, "example.com", *options), "TXT", "example.com")["state"] == "good"
    # two records are a fault: one of both
    names.records["example.com"][1] = ("TXT", '"v=spf1 a:old.example.com -all"')
    two = only(entries(relay, "example.com", *options), "TXT", "example.com")
    assert two["state"] == "changed" and two["value"].count("v=spf1") == 1 and "a:old.example.com" in two["value"] and two["value"].count("all") == 1, two


def test_a_selector_that_is_taken_is_not_used_again():
    relay = place()
    names = Names({})
    month = time.strftime("p%Y%m", time.gmtime())
    names.records[f"{month}r._domainkey.example.com"] = [("TXT", '"v=DKIM1; p=AAAA"')]
    init(relay, "example.com", "--resolver", names.resolver)
    assert re.findall(r'selector = "([^"]*)"', init_text(relay.conf)) == [time.strftime("p%Y%m%dr", time.gmtime()), time.strftime("p%Y%m%de", time.gmtime())]


def test_no_answer_is_not_an_answer():
    """A resolver that is silent or refuses costs 5 s at most, and nothing is said to be missing or good."""
    for fault in ("silent", "refused"):
        relay = place()
        names = Names({"example.com": [("MX", "10 mx.test.")]}, faults={"com": fault, "arpa": fault})
        found = entries(relay, "example.com", "--public-address", ADDRESSES, "--resolver", names.resolver)
        assert only(found, "TXT", "example.com")["state"] == "missing" and "if there is none" in only(found, "MX", "example.com")["comment"]
    relay = place()
    asked = len(names.asked)
    entries(relay, "example.com", "--public-address", ADDRESSES, "--resolver", names.resolver, "--offline")
    assert len(names.asked) == asked


def test_through_a_provider():
    """The provider's include, no reverse names, no address where none is known; a provider with an envelope of its own needs no SPF."""
    secret = pathlib.Path(WORK_DIR()) / "secret"
    secret.write_text("x\n")
    secret.chmod(0o600)
    login = ["--login", "me@example.com", "--password-file", secret, "--offline"]
    for profile, value in (("mailbox.org", "v=spf1 include:mailbox.org ~all"), ("google-workspace", "v=spf1 include:_spf.google.com ~all"), ("gmail", None)):
        relay = place()
        found = entries(relay, "example.com", "--profile", profile, *login)
        assert not [row for row in found if row[0] in ("PTR", "A", "AAAA")] and ("TXT", "relay.example.com") not in found, found
        assert (found["TXT", "example.com"][0]["value"] if value else None) == value, found
        assert ("TXT", "example.com") in found or not value
    relay = place()
    found = entries(relay, "example.com", "--upstream", "smtp.isp.test", "--offline")
    assert only(found, "TXT", "example.com")["state"] == "advice"
    relay = place()
    init(relay, "example.com", "--profile", "yandex", *login)
    assert "rewrite_from = true;" in relay.conf.read_text() and relay.command("check").stdout


def test_forms():
    relay = place()
    options = ["--public-address", ADDRESSES, "--offline"]
    done = init(relay, "example.com", "--format", "route53", *options)
    head, value = re.search(r"^(p\d+r\._domainkey\.example\.com  TXT  300)\n(.*)$", done.stdout, re.M).groups()
    assert re.fullmatch(r'"[^"]{255}" "[^"]{1,255}"', value), value
    assert "password" not in done.stdout and "(shown only now)" in done.stderr
    again(relay)
    assert init(relay, "example.com", "--format", "bind", *options, check=False).returncode == 64 and not relay.dir.exists()


def test_a_certificate_that_is_there():
    relay = place()
    directory = pathlib.Path(WORK_DIR())
    _, chain = tls_context(directory, "relay.example.com")
    key = directory / "relay.example.com.key"
    _, other = tls_context(directory, "other.test")
    said = init(relay, "example.com", "--offline", "--certificate", chain, "--key", key)
    assert f'chain = "{chain}"; key = "{key}"' in relay.conf.read_text() and "certbot needs no hook" in said.stdout and not said.stderr
    assert not (relay.dir / "fullchain.pem").exists() and relay.command("check").returncode == 0
    again(relay)
    assert "does not have the name relay.example.com" in init(relay, "example.com", "--offline", f"--certificate={other}", f"--key={directory / 'other.test.key'}").stderr
    again(relay)
    for options, code, words in ((["--certificate", chain], 64, "belong together"), (["--certificate", chain, "--key", directory / "other.test.key"], 65, "not that of"),
                                 (["--certificate", key, "--key", key], 66, "expected a certificate"), (["--certificate", chain, "--key", chain], 66, "private key"),
                                 (["--public-address", "relay"], 64, "an IPv4 or IPv6 address"), (["--frob"], 64, "--frob"), (["--hostnam", "x"], 64, "--hostname")):
        done = init(relay, "example.com", "--offline", *options, check=False)
        assert done.returncode == code and words in done.stderr and not relay.dir.exists(), (options, done)


def test_certificates_of_both_kinds():
    """Clients of today get the first, whatever they prefer; a device that knows only RSA gets the second. Both bear the name."""
    relay = place()
    said = init(relay, "example.com", "--offline", "--hostname", HOST).stdout
    for name in ("fullchain.pem", "privkey.pem", "fullchain-rsa.pem", "privkey-rsa.pem"):
        path = relay.dir / name
        assert str(path) in said and path.stat().st_mode & 0o777 == (0o600 if "privkey" in name else 0o644), (name, said)
    assert all(len(line) <= 80 or str(relay.dir) in line for line in said.split("DNS records")[0].splitlines()), said
    assert relay.command("check").stderr == ""
    relay.start()
    for ciphers, own, other in (("DEFAULT", "fullchain.pem", "fullchain-rsa.pem"), ("aRSA", "fullchain-rsa.pem", "fullchain.pem"), ("aRSA:aECDSA", "fullchain.pem", "fullchain-rsa.pem")):
        context = ssl.create_default_context(cafile=relay.dir / own)
        context.set_ciphers(ciphers)
        context.maximum_version = ssl.TLSVersion.TLSv1_3 if ciphers == "DEFAULT" else ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", relay.tls_port)) as plain, context.wrap_socket(plain, server_hostname=HOST) as s:
            assert s.getpeercert(True) == ssl.PEM_cert_to_DER_cert((relay.dir / own).read_text()), (ciphers, s.cipher())
    relay.stop()
    # what is there is not replaced
    again(relay)
    relay.dir.mkdir()
    (relay.dir / "privkey-rsa.pem").write_text("mine\n")
    done = init(relay, "example.com", "--offline", check=False)
    assert done.returncode == 73 and "privkey-rsa.pem exists already" in done.stderr and [p.name for p in relay.dir.iterdir()] == ["privkey-rsa.pem"], done


def test_questions():
    """Three at most; Enter takes what is proposed."""
    relay = place()
    command = [relay.build / "posthouse", "-c", relay.conf, "init", DOMAIN, "--offline", "--state-dir", relay.dir.parent / "new-state", "--control",
               relay.dir.parent / "control.sock", "--run-as", ME]
    shown, code = at_terminal(command, [(f"Name of this relay [relay.{DOMAIN}]: ", ""), ("recipients' servers: ", "smtp.isp.test:2525"),
                                        ("Login at smtp.isp.test [none]: ", MY), ("Password there: ", "secret words"), ("First user [user]: ", "alice")])
    conf = relay.conf.read_text()
    assert code == 0 and "secret words" not in shown and f"alice@{DOMAIN}" in shown, shown
    assert 'host = "smtp.isp.test"; port = 2525; tls = "starttls";' in conf and f'login = "{MY}"; password_file = "{relay.dir}/smarthost.password";' in conf, conf
    assert relay.command("check").stdout == "configuration is good\n"
    again(relay)
    shown, code = at_terminal(command, [("[relay.", "mail.example.net"), ("servers: ", ""), ("First user", ""), ("? [no]: ", "y")])
    assert code == 0 and 'hostname = "mail.example.net"' in relay.conf.read_text() and "//upstreams" in relay.conf.read_text(), shown
    assert f'tls_report = {{ from = "tls-reports@{DOMAIN}"; }};' in relay.conf.read_text(), shown
    assert "; advice: mail.example.net. " in (relay.dir / f"{DOMAIN}.zone").read_text()  # another zone
    again(relay)
    shown, code = at_terminal([*command, "--yes"], [])
    assert code == 0 and "Name of this relay" not in shown, shown


def test_on_a_bare_machine():
    """One command, no option that is needed: the user is made, and the relay takes mail by what was printed."""
    if os.geteuid() != 0:
        raise Skip("only root makes users")
    needs_namespaces("--mount", "--net")
    place = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    try:
        shutil.copytree(SANITIZED, place / "bin", ignore=lambda d, names: [n for n in names if not n.startswith("posthouse") or n.endswith(".p")])
        script = f"""set -e
            for d in etc run var/lib; do mkdir -p {place}/$d; done
            cp -a /etc/. {place}/etc; mount --bind {place}/etc /etc; mount --bind {place}/run /run; mount --bind {place}/var/lib /var/lib
            rm -rf /etc/posthouse; for f in passwd shadow group gshadow; do sed -i '/^posthouse:/d' /etc/$f; done; ip link set lo up
            {place}/bin/posthouse init example.test --yes >/run/said
            id posthouse >/dev/null; cat /run/said
            {place}/bin/posthouse serve 2>/run/log & relay=$!
            for i in $(seq 300); do grep -q master.ready /run/log && break; sleep 0.2; done
            password=$(sed -n 's/^  password *//p' /run/said | cut -d' ' -f1)
            printf 'From: user@example.test\\r\\nSubject: hi\\r\\n\\r\\nhi\\r\\n' | curl -sS --url smtps://relay.example.test:465 \
                --resolve relay.example.test:465:127.0.0.1 --cacert /etc/posthouse/fullchain.pem --user "user@example.test:$password" \
                --mail-from user@example.test --mail-rcpt bob@example.net --upload-file - || (cat /run/log; exit 1)
            {place}/bin/posthouse queue list --json
            kill $relay; wait $relay"""
        done = subprocess.run(["unshare", "--mount", "--net", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=300)
        assert done.returncode == 0 and "Made the system user posthouse" in done.stdout and "bob@example.net" in done.stdout, done.stdout
    finally:
        shutil.rmtree(place, ignore_errors=True)


# ---- people without a domain ----

def provider(**options):
    context, certificate = tls_context(WORK_DIR(), "localhost")
    sink = Sink(tls="starttls", tls_context=context, require_tls=True, users={MY: "app password"}, **options)
    secret = pathlib.Path(WORK_DIR()) / "secret"
    secret.write_text("app password\n")
    secret.chmod(0o600)
    return sink, secret, ["--upstream", f"localhost:{sink.port}", "--ca", certificate, "--password-file", secret]


def test_a_mailbox_and_nothing_else():
    """From `init ADDRESS` to mail that its provider takes, whoever sends it: users, a second login, reports."""
    relay = place()
    sink, secret, options = provider(rcpt=lambda address: "550 5.1.1 No such user" if address.startswith("nobody") else None)
    said = init(relay, MY, "--hostname", HOST, "--password-stdin", *options, input=PASSWORD + "\n").stdout
    assert f"Tried: localhost:{sink.port}, TLS 1.3 good, login good." in said and sink.logins == [("PLAIN", MY)], said
    assert f"home@{HOST}" in said and "_domainkey" not in said and f"Mail leaves as {MY}." in said
    assert [line.split("posthouse.conf ")[1] for line in to_copy(said)] == ["check", "serve"]  # the login was tried already
    conf = relay.conf.read_text()
    assert f'rewrite = ( {{ sender = "*"; to = "{MY}"; headers = true; }} );' in conf and f'postmaster = "{MY}"' in conf and "sign =" not in conf
    assert not list(relay.dir.glob("*.zone")) and not list(relay.dir.glob("dkim*"))
    relay.conf.write_text(conf + f"delivery = {{ {LOOPBACK} }};\n")
    relay.command("user", "add", "printer", input=PASSWORD + "\n")
    relay.start()
    for user in (f"home@{HOST}", f"printer@{HOST}"):
        client = relay.connect(user=user, password=PASSWORD)
        relay.submit(client=client, sender=user, message=f"From: A device <{user}>\r\nTo: bob@example.net\r\nSubject: hi\r\n\r\nhi\r\n".encode())
    relay.submit(client=client, sender=f"root@{HOST}", to=["nobody@example.net"])
    got = sink.wait(3)
    for m in got[:2]:
        assert m.sender == MY and m.message["From"] == f"A device <{MY}>", m.bytes
    report = next(m for m in got if m.recipients == [MY])  # to the sender, which all mail has
    assert report.sender == MY and MY in report.message["From"] and report.message.get_content_type() == "multipart/report", report.bytes
    relay.stop()


def test_a_login_that_fails_leaves_nothing():
    relay = place()
    sink, secret, options = provider()
    secret.write_text("a wrong one\n")
    done = init(relay, MY, *options, check=False)
    assert done.returncode == 69 and "failed at the login: 535 5.7.8" in done.stderr and "Nothing was written" in done.stderr, done
    assert not relay.dir.exists() and not (relay.dir.parent / "new-state").exists()
    done = init(relay, MY, *options[:2], *options[4:], check=False)  # without the authority
    assert done.returncode != 0 and "failed at TLS" in done.stderr and not relay.dir.exists(), done
    sink.stop()
    done = init(relay, MY, *options, check=False)
    assert done.returncode == 75 and "failed at the connection" in done.stderr and not relay.dir.exists(), done
    shown, code = at_terminal([relay.build / "posthouse", "-c", relay.conf, "init", MY, *options[:4], "--state-dir", relay.dir.parent / "new-state"],
                              [(f"Password of {MY} at localhost [none is needed]: ", "app password")])
    assert code == 75 and "app password" not in shown and not relay.dir.exists(), shown
    assert init(relay, MY, "--no-try", *options).returncode == 0 and relay.command("check").returncode == 0


def test_addresses_of_providers():
    """Who the provider is follows from the address; what is not known is not guessed."""
    file = pathlib.Path(WORK_DIR()) / "secret"
    file.write_text("x\n")
    file.chmod(0o600)
    for address, profile in (("me@gmail.com", "gmail"), ("me@GMX.net", "gmx"), ("me@gmx.com", "gmx.com"), ("me@yahoo.co.uk", "yahoo"), ("me@web.de", "web.de"),
                             ("me@hotmail.com", "outlook.com"), ("me@yandex.ru", "yandex"), ("me@icloud.com", "icloud")):
        relay = place()
        way = ["--client-id", "id-1"] if profile == "outlook.com" else ["--password-file", file]
        init(relay, address, "--no-try", *way)
        conf = relay.conf.read_text()
        assert f'name = "{profile}"; profile = "{profile}"; login = "{address.replace("GMX", "gmx")}"' in conf, conf
        assert relay.command("check").stdout == "configuration is good\n"
        assert ("rewrite_from" in conf) == (profile == "yandex")
    relay = place()
    done = init(relay, "me@corp.example", "--password-file", file, check=False)
    assert done.returncode == 64 and "--profile" in done.stderr and "posthouse init corp.example" in done.stderr, done
    done = init(relay, "me@gmail.com", check=False)
    assert done.returncode == 64 and "app password" in done.stderr and not relay.dir.exists(), done
    for bad in ("@gmail.com", "me@", "me@bad_domain"):
        assert init(relay, bad, check=False).returncode == 64, bad


def test_a_provider_by_its_name_for_a_custom_address():
    relay = place()
    file = pathlib.Path(WORK_DIR()) / "secret"
    file.write_text("x\n")
    file.chmod(0o600)
    init(relay, "me@corp.example", "--profile", "google-workspace", "--password-file", file, "--no-try")
    assert 'profile = "google-workspace"; login = "me@corp.example"' in relay.conf.read_text()
    assert [line.split("posthouse.conf ")[1] for line in to_copy(init_again(relay, file))] == ["check", "serve", "upstream test google-workspace"]


def init_again(relay, file):
    again(relay)
    return init(relay, "me@corp.example", "--profile", "google-workspace", "--password-file", file, "--no-try").stdout
