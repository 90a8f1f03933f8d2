"""Reports about TLS (RFC 8460): sessions are counted over kill -9, and after the day those who ask for it get a report by mail and by HTTPS, which
is read here by other programs' eyes: Python's email package, gzip and the fields of RFC 8460 4.4."""
import calendar
import email.policy
import gzip
import ipaddress
import re
import time
import types

import dkim

from test_clock import HOUR, Clock
from tls_bed import *

REPORTER = f"tls-reports@{DOMAIN}"
SETTINGS = f'tls_report = {{ from = "{REPORTER}"; org = "Example \\"Ltd\\""; contact = "postmaster@{DOMAIN}"; }};'
TYPES = {"starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted", "validation-failure", "tlsa-invalid",
         "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"}


def check_report(report, domain, day):
    """RFC 8460 4.4, field by field; nothing else is in it."""
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}, report
    assert report["organization-name"] == 'Example "Ltd"' and report["contact-info"] == f"postmaster@{DOMAIN}"
    assert report["date-range"] == {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}
    assert isinstance(report["report-id"], str) and report["report-id"]
    assert isinstance(report["policies"], list) and report["policies"]
    for entry in report["policies"]:
        assert {"policy", "summary"} <= set(entry) <= {"policy", "summary", "failure-details"}, entry
        policy, summary, failures = entry["policy"], entry["summary"], entry.get("failure-details", [])
        assert {"policy-type", "policy-domain"} <= set(policy) <= {"policy-type", "policy-domain", "policy-string", "mx-host"}, policy
        assert policy["policy-type"] in ("tlsa", "sts", "no-policy-found")
        assert all(isinstance(line, str) for line in policy.get("policy-string", []) + policy.get("mx-host", []))
        assert policy["policy-type"] != "no-policy-found" or (policy["policy-domain"] == domain and "policy-string" not in policy)
        assert set(summary) == {"total-successful-session-count", "total-failure-session-count"} and all(type(n) is int for n in summary.values())
        assert summary["total-failure-session-count"] == sum(f["failed-session-count"] for f in failures), entry
        for failure in failures:
            assert {"result-type", "failed-session-count"} <= set(failure) <= {
                "result-type", "sending-mta-ip", "receiving-mx-hostname", "receiving-mx-helo", "receiving-ip", "failed-session-count",
                "additional-information", "failure-reason-code"}, failure
            assert failure["result-type"] in TYPES and type(failure["failed-session-count"]) is int
            for name in ("sending-mta-ip", "receiving-ip"):
                assert name not in failure or str(ipaddress.ip_address(failure[name])) == failure[name]


def show(relay, domain, *day, check=True):
    done = relay.command("tls-report", "show", domain, *(["--day", *day] if day else []), check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done.returncode


def counts(report):
    return [(p["policy"]["policy-type"], *p["summary"].values()) for p in report["policies"]]


def day_after(clock):
    """The clock goes to the end of the next night: the hours in which reports go out are over."""
    now = int(time.time() * 1000) + clock.error
    clock.error += 24 * HOUR - now % (24 * HOUR) + 5 * HOUR
    clock.set(clock.error)


class Reports:
    """A relay that reports, and plain.test, whose one server has TLS, and whose other one has none."""

    def __init__(self, record="v=TLSRPTv1; rua=mailto:reports@plain.test,https://reports.plain.test/report/here", more="", **settings):
        self.clock = Clock(0)
        self.clock.error = 0
        self.bed = TlsBed()
        self.mx = self.bed.sink("mx.plain.test", self_signed("any.example"))
        self.clear = self.bed.sink("mx.others.plain.test")
        self.bed.add("plain.test", "MX", "10 mx.plain.test.")
        self.bed.add("others.plain.test", "MX", "10 mx.others.plain.test.")
        if record:
            self.bed.add("_smtp._tls.plain.test", "TXT", f'"{record}"')
            self.bed.add("_smtp._tls.others.plain.test", "TXT", '"v=TLSRPTv1; rua=mailto:reports@plain.test"')
        self.bed.set("reports.plain.test", "A", POLICIES)
        self.bed.sites["reports.plain.test"] = Site(self.bed.authority.issue("reports.plain.test"), more=more)
        trusted = {"SSL_CERT_FILE": str(self.bed.authority.alone)}
        self.relay = self.bed.start("reuse = 1;", SETTINGS, environment={**self.clock.environment(), **trusted}, **settings)
        self.day = time.strftime("%Y-%m-%d", time.gmtime(time.time()))

    def send(self, to, server, n):
        for i in range(n):
            self.relay.submit(to=[to])
            server.wait(i + 1)
        self.relay.wait_empty()


def report_in(message):
    """The file of a report, its words for people, and the message."""
    parsed = email.message_from_bytes(message.bytes, policy=email.policy.default)
    words, attached = parsed.iter_parts()
    assert parsed.get_content_type() == "multipart/report" and parsed["content-type"].params["report-type"] == "tlsrpt"
    assert words.get_content_type() == "text/plain" and attached.get_content_type() == "application/tlsrpt+gzip"
    return attached.get_filename(), json.loads(gzip.decompress(attached.get_content())), parsed


def test_reports_by_mail_and_by_https():
    r = Reports()
    r.send("bob@plain.test", r.mx, 3)
    r.send("bob@others.plain.test", r.clear, 2)
    assert counts(show(r.relay, "plain.test")) == [("no-policy-found", 3, 0)]
    before = show(r.relay, "others.plain.test")
    assert counts(before) == [("no-policy-found", 0, 2)]
    assert before["policies"][0]["failure-details"][0]["result-type"] == "starttls-not-supported"
    assert before["policies"][0]["failure-details"][0]["receiving-mx-hostname"] == "mx.others.plain.test"
    r.relay.kill_all()  # what was shown is durable
    r.relay.start()
    assert show(r.relay, "others.plain.test") == before
    day_after(r.clock)
    r.mx.wait(5)
    reports = {report["policies"][0]["policy"]["policy-domain"]: (name, report, parsed) for name, report, parsed in map(report_in, r.mx.messages[3:])}
    for domain, (name, report, parsed) in reports.items():
        check_report(report, domain, r.day)
        seconds = calendar.timegm(time.strptime(r.day, "%Y-%m-%d"))
        assert name == f"{DOMAIN}!{domain}!{seconds}!{seconds + 86399}.json.gz"
        assert parsed["TLS-Report-Domain"] == domain and parsed["TLS-Report-Submitter"] == DOMAIN and parsed["From"].addresses[0].addr_spec == REPORTER
        assert re.fullmatch(rf"Report Domain: {domain}\s+Submitter: {DOMAIN}\s+Report-ID: <{re.escape(report['report-id'])}>", parsed["Subject"])
        assert parsed["To"].addresses[0].addr_spec == "reports@plain.test" and parsed["Auto-Submitted"] == "auto-generated"
    dkim.time = types.SimpleNamespace(time=lambda: time.time() + r.clock.error / 1000)  # a signature of tomorrow is not valid today
    for message in r.mx.messages[3:]:
        assert verify_dkim(r.relay, message)
        signed = re.search(rb"h=([^;]*);", message.bytes).group(1).lower()
        assert b"tls-report-domain" in signed and b"tls-report-submitter" in signed and b" l=" not in signed
    assert reports["others.plain.test"][1] == before
    wait_for(lambda: [q for q in r.bed.web.requests() if q["uri"] == "/report/here"], "the report by HTTPS")
    post = [q for q in r.bed.web.requests() if q["uri"] == "/report/here"][0]
    assert post["method"] == "POST" and post["type"] == "application/tlsrpt+gzip" and post["status"] == 201, post
    assert json.loads(gzip.decompress(open(post["body"], "rb").read())) == reports["plain.test"][1]
    r.relay.wait_log("to=https://reports.plain.test/report/here")
    listed = r.relay.command("tls-report", "list", "--day", r.day).stdout
    assert re.search(r"plain\.test +3 +0 +sent", listed), listed
    # once is enough, over a restart too, and there is no report on reports
    r.relay.kill_all()
    r.relay.start()
    assert show(r.relay, "plain.test", time.strftime("%Y-%m-%d", time.gmtime(time.time() + r.clock.error / 1000)), check=False) == 65
    day_after(r.clock)
    r.relay.submit(to=["bob@others.plain.test"])
    r.clear.wait(3)
    assert len(r.mx.messages) == 5 and len([q for q in r.bed.web.requests() if q["uri"] == "/report/here"]) == 1
    r.relay.stop()


def test_a_server_that_refuses_is_asked_again():
    """RFC 8460 5.5: with pauses, for a day; then the report is given up."""
    r = Reports("v=TLSRPTv1; rua=https://reports.plain.test/refused", more="location /refused { return 503; }")
    r.send("bob@plain.test", r.mx, 1)
    assert counts(show(r.relay, "plain.test")) == [("no-policy-found", 1, 0)]
    day_after(r.clock)
    for n in range(1, 4):
        wait_for(lambda: len([q for q in r.bed.web.requests() if q["uri"] == "/refused"]) >= n, f"request {n}")
        r.clock.error += 4 * HOUR
        r.clock.set(r.clock.error)
    r.clock.error += 24 * HOUR
    r.clock.set(r.clock.error)
    r.relay.wait_log("event=tlsreport.abandoned")
    assert "HTTP status 503" in r.relay.log_now()
    r.relay.stop()


def test_a_policy_that_is_only_tested():
    """Mail goes on, and the report says what would have stopped it (RFC 8461 5)."""
    bed = TlsBed()
    mx = bed.sink("mx.plain.test", self_signed("mx.plain.test"))
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    bed.policy("plain.test", policy_text("mx.plain.test", mode="testing"))
    bed.start("", SETTINGS)
    bed.relay.submit(to=["bob@plain.test"])
    mx.wait(1)
    report = wait_for(lambda: show(bed.relay, "plain.test", check=False) not in (65, None) and show(bed.relay, "plain.test"), "a session")
    check_report(report, "plain.test", time.strftime("%Y-%m-%d", time.gmtime()))
    assert counts(report) == [("sts", 0, 1)]
    assert report["policies"][0]["policy"]["policy-string"] == ["version: STSv1", "mode: testing", "mx: mx.plain.test", "max_age: 86400"]
    assert report["policies"][0]["policy"]["mx-host"] == ["mx.plain.test"]
    assert report["policies"][0]["failure-details"][0]["result-type"] == "certificate-not-trusted"
    bed.relay.stop()


def test_nothing_is_counted_until_it_is_asked_for():
    bed = TlsBed()
    mx = bed.sink("mx.plain.test", self_signed("any.example"))
    bed.add("plain.test", "MX", "10 mx.plain.test.")
    relay = bed.start()
    relay.submit(to=["bob@plain.test"])
    mx.wait(1)
    done = relay.command("tls-report", "show", "plain.test", check=False)
    assert done.returncode == 65 and "tls_report.from" in done.stderr, done
    relay.stop()
