"""What reports about TLS (RFC 8460) say of policies that real servers keep or break. How reports are made and where they go: test_tls_reports.py."""
from test_tls_reports import SETTINGS, check_report, show
from tls_bed import *


def of_type(report, kind):
    """The policy of this type: itself, successes, and { result type: failures }."""
    [p] = [p for p in report["policies"] if p["policy"]["policy-type"] == kind]
    failures = {f["result-type"]: f["failed-session-count"] for f in p.get("failure-details", [])}
    return p["policy"], p["summary"]["total-successful-session-count"], failures


def test_policies_in_reports():
    bed = TlsBed()
    own = self_signed("mx.signed.test")
    good, bad = bed.sink("mx.signed.test", own), bed.sink("mx2.signed.test", self_signed("mx2.signed.test"))
    bed.tlsa("mx.signed.test", own.tlsa(3, 1, 1))
    bed.tlsa("mx2.signed.test", own.tlsa(3, 1, 1))
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.add("bad.signed.test", "MX", "10 mx2.signed.test.")
    wrong = bed.sink("mx.plain.test", bed.authority.issue("another.test"))
    for label, mode in (("testing", "testing"), ("enforce", "enforce")):
        bed.add(f"{label}.plain.test", "MX", "10 mx.plain.test.")
        bed.policy(f"{label}.plain.test", policy_text("mx.plain.test", "*.spare.test", mode=mode))
    relay = bed.start("reuse = 1;", SETTINGS, retry='"1h"')
    day = time.strftime("%Y-%m-%d", time.gmtime())
    bed.arrives("bob@signed.test", good)
    bed.arrives("bob@testing.plain.test", wrong)
    bed.waits("bob@bad.signed.test", servers=[bad])
    bed.waits("bob@enforce.plain.test", servers=[wrong])
    reports = {domain: show(relay, domain) for domain in ("signed.test", "bad.signed.test", "testing.plain.test", "enforce.plain.test")}
    for domain, report in reports.items():
        check_report(report, domain, day)
    policy, successes, failures = of_type(reports["signed.test"], "tlsa")
    assert policy["policy-string"] == [own.tlsa(3, 1, 1).upper()] and policy["policy-domain"] == "mx.signed.test" and (successes, failures) == (1, {}), reports
    _, successes, failures = of_type(reports["bad.signed.test"], "tlsa")
    assert successes == 0 and sum(failures.values()) == 1, reports
    for label in ("testing", "enforce"):
        policy, successes, failures = of_type(reports[f"{label}.plain.test"], "sts")
        assert policy["policy-string"] == ["version: STSv1", f"mode: {label}", "mx: mx.plain.test", "mx: *.spare.test", "max_age: 86400"], policy
        assert policy["mx-host"] == ["mx.plain.test", "*.spare.test"] and policy["policy-domain"] == f"{label}.plain.test", policy
        assert (successes, failures) == (0, {"certificate-host-mismatch": 1}), reports
