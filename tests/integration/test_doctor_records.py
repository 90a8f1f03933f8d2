"""posthouse doctor and the records of a domain, asked of real name servers: each planted fault of SPF, DKIM, DMARC, MX and the small records.
That a correct world is silent: test_doctor.py. All words and forms: tests/unit/doctor."""
from doctor_bed import *

TXT_SPF = f"v=spf1 ip4:{V4} ip6:{V6}"


def plants(*rows, bed=None, deep=False):
    """Each row is a fault of its own in the same bed: id, result, words, and the records that are set for it. The last finding."""
    bed = bed or Bed()
    if not bed.relay:
        bed.start(running=False)
    found = None
    for id, result, words, *sets in rows:
        good = dict(bed.records)
        for name, kind, *values in sets:
            bed.set(name, kind, *values)
        bed.again()
        found = bed.expect(id, result, words, arguments=("--only", id, *(("--deep",) if deep else ())))
        bed.records = good
    return found


def spf(id, result, words, text, *sets):
    return (id, result, words, (DOMAIN, "TXT", txt(text)), *sets)


def value(finding):
    return finding["remedy"]["records"][0]["value"]


# ---- spf.* ----
def test_spf_record():
    plants(("spf.record", "warning", "has no SPF record", (DOMAIN, "TXT")),
           ("spf.record", "failure", "has 2 SPF records", (DOMAIN, "TXT", txt("v=spf1 mx -all"), txt("v=spf1 a -all"))),
           spf("spf.record", "failure", "character 8", "v=spf1 ip5:1.2.3.4 -all"),
           spf("spf.record", "failure", "a blank has to follow", "v=spf1; mx; -all"),
           spf("spf.record", "failure", "quotes", '"v=spf1 mx -all"'),
           spf("spf.record", "failure", "a blank in front", " v=spf1 mx -all"),
           ("spf.record", "failure", "type SPF (99)", (DOMAIN, "TXT"), (DOMAIN, "SPF", txt("v=spf1 mx -all"))),
           ("spf.record", "failure", f"at spf.{DOMAIN}", (DOMAIN, "TXT"), (f"spf.{DOMAIN}", "TXT", txt("v=spf1 mx -all"))),
           ("spf.record", "failure", 'no blank before \\"-all\\"', (DOMAIN, "TXT", f'"{TXT_SPF} include:mailbox.test" "-all"')))


def test_spf_record_of_a_subdomain():
    bed = Bed(senders=f'senders = ( {{ user = "alice"; addresses = [ "alice@{DOMAIN}", "alice@news.{DOMAIN}" ]; }} );')
    bed.set(f"news.{DOMAIN}", "MX", "10 mx.mailbox.test.")
    plants(("spf.record", "advice", f"news.{DOMAIN}"), bed=bed)


def test_spf_does_not_have_our_address():
    found = plants(spf("spf.pass", "failure", "softfail", f"v=spf1 ip6:{V6} mx ~all"),
                   spf("spf.pass", "failure", "fail", f"v=spf1 ip4:203.0.113.99 ip6:{V6} mx -all"))
    assert value(found) == f"v=spf1 ip4:{V4} ip4:203.0.113.99 ip6:{V6} mx -all", found


def test_spf_needs_too_much():
    eleven = [(f"{i}.{DOMAIN}", "A", "203.0.113.99") for i in range(11)]
    crowd = [(f"crowd.{DOMAIN}", "MX", *(f"10 {i}.{DOMAIN}." for i in range(11)))]
    terms = " ".join(f"include:i{i}.{DOMAIN}" for i in range(11))
    includes = [(f"i{i}.{DOMAIN}", "TXT", txt("v=spf1 ip4:203.0.113.99 -all")) for i in range(11)]
    plants(spf("spf.lookups", "failure", "needs 11 look-ups", f"v=spf1 {terms} {TXT_SPF[7:]} -all", *includes),
           spf("spf.lookups", "warning", "needs 11 look-ups", f"{TXT_SPF} {terms} -all", *includes),
           spf("spf.lookups", "failure", "find nothing", f"v=spf1 a:x.{DOMAIN} a:y.{DOMAIN} a:z.{DOMAIN} {TXT_SPF[7:]} -all"),
           spf("spf.lookups", "failure", "11 mail servers", f"{TXT_SPF} mx:crowd.{DOMAIN} -all", *eleven, *crowd))


def test_spf_include():
    plants(spf("spf.include", "failure", "has no SPF record", f"{TXT_SPF} include:none.mailbox.test -all"),
           spf("spf.include", "failure", "has 2 SPF records", f"{TXT_SPF} include:mailbox.test -all", ("mailbox.test", "TXT", txt("v=spf1 a"), txt("v=spf1 mx"))),
           spf("spf.include", "failure", "circle", f"{TXT_SPF} include:mailbox.test -all", ("mailbox.test", "TXT", txt(f"v=spf1 include:{DOMAIN} -all"))),
           spf("spf.include", "advice", "ignored", f"{TXT_SPF} redirect=mailbox.test -all"),
           spf("spf.include", "advice", "slow", f"{TXT_SPF} ptr -all"))


def test_spf_all():
    found = plants(spf("spf.all", "warning", "?all", TXT_SPF + " ?all"), spf("spf.all", "warning", "without an end", TXT_SPF),
                   spf("spf.all", "failure", "everybody", TXT_SPF + " +all"))
    assert value(found) == TXT_SPF + " ~all", found


def test_spf_of_the_greeting():
    found = plants(("spf.helo", "failure", "-all", (HOST, "TXT", txt("v=spf1 -all"))), ("spf.helo", "warning", "has no SPF record", (HOST, "TXT")))
    assert found["remedy"]["records"][0] == {"type": "TXT", "name": HOST, "value": "v=spf1 a -all", "ttl": 300}, found


def test_spf_of_the_upstream():
    bed = Bed(routes="", upstream='{ name = "isp"; profile = "google-workspace"; login = "a@example.org"; password = "x"; }')
    bed.more_zones = ["google.com"]
    bed.set("_spf.google.com", "TXT", txt("v=spf1 ip4:192.0.2.0/24 ~all"))
    found = plants(spf("spf.upstream", "ok", "", "v=spf1 include:_spf.google.com ~all"),
                   ("spf.upstream", "advice", "is not in the SPF record", (DOMAIN, "TXT", txt("v=spf1 mx ~all"))), bed=bed)
    assert value(found) == "v=spf1 mx include:_spf.google.com ~all", found
    good = bed.dkim_record()
    plants(("spf.upstream", "warning", "is not in", (DOMAIN, "TXT", txt("v=spf1 mx ~all")),
            (f"{bed.relay.selector}._domainkey.{DOMAIN}", "TXT", txt(good[:200]))), bed=bed)


# ---- dkim.* ----
def test_dkim_is_not_published():
    bed = Bed().start(running=False)
    name, good = f"{bed.relay.selector}._domainkey.{DOMAIN}", bed.dkim_record()
    plants(("dkim.published", "failure", "is not published", (name, "TXT")),
           ("dkim.match", "skipped", "dkim.published", (name, "TXT")),
           ("dkim.published", "failure", "appended the domain", (name, "TXT"), (f"{name}.{DOMAIN}", "TXT", txt(good))),
           ("dkim.published", "failure", "without", (name, "TXT"), (f"{bed.relay.selector}.{DOMAIN}", "TXT", txt(good))),
           ("dkim.published", "failure", "2 TXT", (name, "TXT", txt(good), txt("v=DKIM1; p="))),
           ("dkim.published", "failure", "wildcard", (name, "TXT"), (f"*._domainkey.{DOMAIN}", "TXT", txt("v=spf1 -all"))),
           ("dkim.published", "failure", "is a CNAME", (name, "TXT"), (name, "CNAME", "nothing.mailbox.test.")),
           ("dkim.published", "ok", "", (name, "TXT"), (name, "CNAME", "key.mailbox.test."), ("key.mailbox.test", "TXT", txt(good))), bed=bed)


def test_dkim_record_is_damaged():
    bed = Bed().start(running=False)
    name, good = f"{bed.relay.selector}._domainkey.{DOMAIN}", bed.dkim_record()
    key = good.partition("p=")[2]
    split = lambda n: " ".join('"' + good[i:i + n] + '"' for i in range(0, len(good), n))
    damages = (("failure", "cut after 255", good[:255]), ("failure", "revoked", "v=DKIM1; p="), ("failure", "k=ed25519", good.replace("rsa", "ed25519")),
               ("failure", "another private key", good.replace(key[60:70], key[60:70][::-1])), ("failure", "sha256", "h=sha1; " + good.partition("; ")[2]),
               ("failure", "not for mail", good + "; s=tlsrpt"), ("failure", "backslash", good.replace(";", "\\\\;")), ("failure", "quotes", f'"{good}"'),
               ("failure", "base64", good + "!"), ("failure", "behind another tag", f"k=rsa; v=DKIM1; p={key}"), ("ok", "", f"p={key}; k=rsa"),
               ("advice", "blanks", good[:60] + " " + good[60:]), ("warning", "test mode", good + "; t=y"))
    plants(*(("dkim.match", result, words, (name, "TXT", txt(text))) for result, words, text in damages), bed=bed)
    plants(*(("dkim.match", "ok", "", (name, "TXT", split(n))) for n in (255, 100, len(good) // 3 + 1)), bed=bed)


def test_dkim_keys_that_are_short_or_old():
    bed = Bed().start(running=False)
    key, conf = bed.relay.dir / bed.relay.dkim_key, bed.relay.conf.read_text()
    name, good = f"{bed.relay.selector}._domainkey.{DOMAIN}", bed.dkim_record()
    plants(("dkim.size", "ok", "2048 bits"), ("dkim.rotation", "ok", "is in use"), bed=bed)

    def state(text):
        bed.relay.conf.write_text(conf.replace(f'selector = "{bed.relay.selector}";', f'selector = "{bed.relay.selector}"; {text}'))
    state('since = "2025-01-01T00:00:00Z";')
    plants(("dkim.rotation", "advice", "for more than a year"), bed=bed)
    state('state = "pending"; since = "2026-01-01T00:00:00Z";')
    plants(("dkim.rotation", "warning", "waits for its record", (name, "TXT")), ("dkim.rotation", "advice", "waits for its turn", (name, "TXT", txt(good))), bed=bed)
    state('state = "retired"; since = "2026-01-01T00:00:00Z";')
    found = plants(("dkim.rotation", "ok", "is retired", (name, "TXT", txt("v=DKIM1; p="))), ("dkim.rotation", "advice", "still has the key", (name, "TXT", txt(good))), bed=bed)
    assert value(found) == "v=DKIM1; p=", found
    state("")
    subprocess.run(["openssl", "genrsa", "-out", key, "1024"], check=True, stderr=subprocess.DEVNULL)
    plants(("dkim.size", "warning", "has 1024 bits"), bed=bed)


def test_upstream_that_replaces_authors():
    bed = Bed(routes="", upstream='{ name = "g"; profile = "gmail"; login = "me@gmail.com"; password = "x"; }')
    plants(("upstream.rewrites", "warning", f"can replace authors of {DOMAIN}"), bed=bed)


# ---- dmarc.* ----
def dmarc(id, result, words, *texts):
    return (id, result, words, (f"_dmarc.{DOMAIN}", "TXT", *(txt(text) for text in texts)))


def test_dmarc():
    rua = f"rua=mailto:postmaster@{DOMAIN}"
    plants(dmarc("dmarc.record", "warning", "has no DMARC record"),
           dmarc("dmarc.record", "failure", "2 DMARC records", "v=DMARC1; p=none", "v=DMARC1; p=reject"),
           dmarc("dmarc.record", "failure", "no p=", f"v=DMARC1; {rua}"),
           dmarc("dmarc.record", "failure", "first tag", f"p=none; v=DMARC1; {rua}"),
           dmarc("dmarc.record", "failure", "no name", f"v=DMARC1; p=none; =x; {rua}"),
           dmarc("dmarc.record", "failure", "twice", f"v=DMARC1; p=none; {rua}; {rua}"),
           dmarc("dmarc.record", "ok", "", f"v=DMARC1; p=none; unknown=tag; {rua}"),
           dmarc("dmarc.policy", "advice", "pct=20", f"v=DMARC1; p=reject; pct=20; {rua}"),
           dmarc("dmarc.policy", "advice", "weaker", f"v=DMARC1; p=reject; sp=none; {rua}"),
           dmarc("dmarc.rua", "advice", "no reports", "v=DMARC1; p=none"),
           dmarc("dmarc.rua", "warning", "mailto", f"v=DMARC1; p=none; rua=postmaster@{DOMAIN}"),
           dmarc("dmarc.rua", "warning", "has not agreed", "v=DMARC1; p=none; rua=mailto:a@gmail.com"),
           dmarc("dmarc.rua", "ok", "gmail.com", "v=DMARC1; p=none; rua=mailto:a@gmail.com") + ((f"*._report._dmarc.gmail.com", "TXT", txt("v=DMARC1")),))


def test_dmarc_policy_that_is_never_stricter():
    bed = Bed().start(running=False)
    look = ("--only", "dmarc.policy")
    bed.expect("dmarc.policy", "ok", "p=none", look)
    bed.older(29)
    bed.expect("dmarc.policy", "ok", "p=none", look)
    bed.older(1)
    bed.expect("dmarc.policy", "advice", "p=none for 30 days", look)
    bed.set(f"_dmarc.{DOMAIN}", "TXT", txt(f"v=DMARC1; p=quarantine; rua=mailto:postmaster@{DOMAIN}"))
    bed.again()
    bed.expect("dmarc.policy", "ok", "p=quarantine", look)
    bed.set(f"_dmarc.{DOMAIN}", "TXT", txt(f"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"))
    bed.again()
    bed.expect("dmarc.policy", "ok", "p=none", look)


def test_dmarc_of_a_subdomain_with_the_parents_key():
    bed = Bed(senders=f'senders = ( {{ user = "alice"; addresses = [ "alice@news.{DOMAIN}" ]; }} );')
    bed.set(f"news.{DOMAIN}", "MX", "10 mx.mailbox.test.")
    plants(dmarc("dmarc.align", "ok", f"news.{DOMAIN}", "v=DMARC1; p=reject"),
           dmarc("dmarc.align", "failure", "adkim=s", "v=DMARC1; p=reject; adkim=s"), bed=bed)


def test_dmarc_reports():
    bed = Bed(extra='report_sender = "mailer@mailbox.test";').start(running=False)
    bed.set("_dmarc.mailbox.test", "TXT", txt("v=DMARC1; p=reject"))
    plants(("dmarc.reports", "failure", "p=reject"), ("dmarc.reports", "warning", "nothing proves", ("_dmarc.mailbox.test", "TXT")), bed=bed)


def test_dmarc_rejects_what_is_broken():
    bed = Bed().start(running=False)
    plants(dmarc("dmarc.policy", "failure", "p=reject", "v=DMARC1; p=reject") + ((f"{bed.relay.selector}._domainkey.{DOMAIN}", "TXT"),), bed=bed)


# ---- mx.*, return.callout, notice.address ----
def mx(id, result, words, *values, more=()):
    return (id, result, words, (DOMAIN, "MX", *values), *more)


def test_mx():
    plants(mx("mx.exists", "failure", "no MX record and no address"),
           mx("mx.exists", "advice", "web address", more=((DOMAIN, "A", "203.0.113.90"),)),
           mx("mx.null", "failure", "takes no mail", "0 ."),
           mx("mx.hosts", "failure", "has no address", "10 none.mailbox.test."),
           mx("mx.hosts", "warning", "has no address", "10 none.mailbox.test.", "20 mx.mailbox.test."),
           mx("mx.hosts", "failure", "is a CNAME", "10 c.mailbox.test.", more=(("c.mailbox.test", "CNAME", "mx.mailbox.test."),)),
           mx("mx.hosts", "failure", "nobody outside", "10 p.mailbox.test.", more=(("p.mailbox.test", "A", "192.168.1.1"),)),
           mx("mx.hosts", "advice", "twice", "10 mx.mailbox.test.", "20 b.mailbox.test.", more=(("b.mailbox.test", "A", "203.0.113.80"),)),
           mx("mx.self", "failure", "nothing takes mail", f"10 {HOST}."))


def test_own_mail_server_refuses_a_sender():
    bed = Bed(senders=f'senders = ( {{ user = "alice"; addresses = [ "alice@{DOMAIN}" ]; }} );')
    bed.probes = {"a": {"RCPT": "550 5.1.1 no such mailbox"}}
    plants(mx("return.callout", "failure", "no such mailbox", "10 mx.probe-a.test."), bed=bed, deep=True)


def test_own_mail_server_refuses_reports():
    bed = Bed(senders=f'senders = ( {{ user = "alice"; addresses = [ "alice@{DOMAIN}" ]; }} );')
    bed.probes = {"a": {"MAIL": "550 5.7.1 no"}}
    plants(mx("return.callout", "warning", "without a sender", "10 mx.probe-a.test."), bed=bed, deep=True)


def test_postmaster_without_mail_server():
    bed = Bed().start(running=False)
    bed.relay.conf.write_text(re.sub(r'postmaster = "[^"]*"', 'postmaster = "postmaster@nomx.mailbox.test"', bed.relay.conf.read_text()))
    bed.set("nomx.mailbox.test", "TXT", txt("no mail"))
    plants(("notice.address", "failure", "gets no mail"), bed=bed)


# ---- the small records ----
def test_small_records():
    listen = f"0 1 25 {HOST}."
    plants(("mtasts.record", "advice", "no MTA-STS"),
           ("mtasts.record", "unknown", "is not fetched", (f"_mta-sts.{DOMAIN}", "TXT", txt("v=STSv1; id=1")), (f"mta-sts.{DOMAIN}", "A", "203.0.113.81")),
           ("tlsrpt.record", "warning", "v=TLSRPTv1", (f"_smtp._tls.{DOMAIN}", "TXT", txt("rua=mailto:a@example.org"))),
           ("tlsrpt.record", "advice", "reports", ("_25._tcp.mx.mailbox.test", "TLSA", "3 1 1 " + "00" * 32)),
           ("bimi.record", "advice", "policy is none", (f"default._bimi.{DOMAIN}", "TXT", txt("v=BIMI1; l=https://example.org/l.svg;"))),
           ("srv.submission", "warning", "port 25", (f"_submission._tcp.{DOMAIN}", "SRV", listen)),
           ("srv.submission", "warning", "CNAME", (f"_submission._tcp.{DOMAIN}", "SRV", f"0 1 587 s.{DOMAIN}."), (f"s.{DOMAIN}", "CNAME", HOST + ".")),
           ("dnssec.domain", "advice", "is not signed"))
