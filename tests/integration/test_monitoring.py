"""test_monitoring.py - packaging/monitoring: the dashboard, the alert rules and the sample for Prometheus name metrics that there are,
each rule fires and is silent in promtool, and a real Prometheus scrapes a relay whose troubles make rules fire."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.request

from lib import RELEASE, WORK_DIR, Process, Relay, Skip, free_port, wait_for

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PLACE = TOP / "packaging/monitoring"
RULES = PLACE / "posthouse-alerts.yml"


def needs_prometheus():
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        raise Skip("prometheus is not installed")


def metrics():
    """{name: type} of all rows of metrics.def, as samples are named."""
    found = {}
    text = (TOP / "include/posthouse/metrics.def").read_text().split("/* clang-format off */", 1)[1]
    for kind, name in re.findall(r'^METRIC\(\w+, \w+, (\w+), \w+,\s+"[^"]*",\s+"(\w+)"', text, re.M):
        for end in ("_bucket", "_sum", "_count") if kind == "HISTOGRAM" else ("",):
            found["posthouse_" + name + end] = kind
    assert len(found) > 70
    return found


def expressions():
    """All of the dashboard, with its variables as Grafana would fill them in."""
    dashboard = json.loads((PLACE / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


def test_names_are_those_of_metrics():
    known = metrics()
    texts = [*expressions(), RULES.read_text(), (TOP / "man/posthouse-monitoring.7").read_text().split(".SH METRICS")[0]]
    used = set(re.findall(r"\bposthouse_\w+", " ".join(texts)))
    assert used <= known.keys(), used - known.keys()
    assert len(used) > 40
    page = (TOP / "man/posthouse-monitoring.7").read_text()
    for alert in re.findall(r"- alert: (\w+)", RULES.read_text()):
        assert alert in page, f"{alert} is not in posthouse-monitoring(7)"


def test_the_dashboard():
    """As Grafana's schema wants it: ids are unique, panels are within the 24 columns and do not cover each other."""
    dashboard = json.loads((PLACE / "grafana-dashboard.json").read_text())
    assert dashboard["schemaVersion"] >= 30 and dashboard["uid"] and dashboard["title"] == "Posthouse"
    names = [v["name"] for v in dashboard["templating"]["list"]]
    covered, ids = set(), set()
    for panel in dashboard["panels"]:
        assert panel["id"] not in ids and panel["type"] in ("row", "stat", "timeseries") and panel["title"]
        ids.add(panel["id"])
        g = panel["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        assert g["x"] + g["w"] <= 24 and not cells & covered, panel["title"]
        covered |= cells
        assert (panel["type"] == "row") != bool(panel.get("targets"))
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}" and target["refId"]
            for variable in re.findall(r"\$(\w+)", target["expr"]):
                assert variable in names or variable == "__rate_interval", variable
    needs_prometheus()
    rules = pathlib.Path(WORK_DIR()) / "expressions.yml"
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
        {"record": f"r{i}", "expr": e} for i, e in enumerate(expressions())]}]}))
    promtool("check", "rules", rules)


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


# alert: series in trouble, the same in health, and which others fire too. In promtool time begins at 0.
STEADY = "x400"
CASES = {
    "PosthouseNotScraped": ({'up{job="posthouse"}': "0+0"}, {'up{job="posthouse"}': "1+0"}),
    "PosthouseRoleAway": ({'posthouse_role_up{role="login",worker="0"}': "0+0"}, {'posthouse_role_up{role="login",worker="0"}': "1+0"}),
    "PosthouseRoleDied": ({'posthouse_master_role_deaths_total{dead="relay"}': "0+1"},
                          {'posthouse_master_role_deaths_total{dead="relay"}': "5+0"}),
    "PosthouseTakesNoMail": ({"posthouse_queue_takes_mail": "0+0"}, {"posthouse_queue_takes_mail": "1+0"}),
    "PosthouseNoListener": ({'posthouse_submission_listeners{worker="0"}': "0+0", 'posthouse_submission_listeners{worker="1"}': "0+0"},
                            {'posthouse_submission_listeners{worker="0"}': "0+0", 'posthouse_submission_listeners{worker="1"}': "2+0"}),
    "PosthouseNoListener hang": ({'posthouse_role_up{role="submission",worker="0"}': "0+0", 'posthouse_role_up{role="submission",worker="1"}': "0+0"},
                                 {'posthouse_role_up{role="submission",worker="0"}': "1+0"}, {"PosthouseRoleAway": 2}),
    "PosthouseQueueOld": ({"posthouse_queue_oldest_timestamp_seconds": "1+0"}, {"posthouse_queue_oldest_timestamp_seconds": "0+0"}),
    "PosthouseUpstreamDown": ({'posthouse_queue_nexthop_down_until_timestamp_seconds{nexthop="upstream:isp"}': "100+60"},
                              {'posthouse_queue_nexthop_down_until_timestamp_seconds{nexthop="upstream:isp"}': "0+0",
                               'posthouse_queue_nexthop_down_until_timestamp_seconds{nexthop="mx:example.org"}': "100+60"}),
    "PosthouseTokenInvalid": ({'posthouse_vault_token_valid_seconds{upstream="gmail"}': "0+0"},
                              {'posthouse_vault_token_valid_seconds{upstream="gmail"}': "3000+0"}),
    "PosthouseCertificateEnds": ({'posthouse_submission_certificate_expires_timestamp_seconds{worker="0",certificate="a"}': "1000000+0"},
                                 {'posthouse_submission_certificate_expires_timestamp_seconds{worker="0",certificate="a"}': "9000000+0"}),
    "PosthouseDiskFull": ({"posthouse_queue_full": "1+0"}, {"posthouse_queue_full": "0+0"}),
    "PosthouseDiskNearlyFull": ({"posthouse_queue_disk_free_bytes": "100000000+0"}, {"posthouse_queue_disk_free_bytes": "2000000000+0"}),
    "PosthouseDiskSlow": ({'posthouse_queue_commit_seconds_bucket{le="1"}': "0+0", 'posthouse_queue_commit_seconds_bucket{le="2.5"}': "0+9",
                           'posthouse_queue_commit_seconds_bucket{le="+Inf"}': "0+9"},
                          {'posthouse_queue_commit_seconds_bucket{le="1"}': "0+9", 'posthouse_queue_commit_seconds_bucket{le="2.5"}': "0+9",
                           'posthouse_queue_commit_seconds_bucket{le="+Inf"}': "0+9"}),
    "PosthouseManyFailures": ({'posthouse_queue_results_total{outcome="failed",code="5.7.1"}': "0+5",
                               'posthouse_queue_results_total{outcome="sent",code="2.0.0"}': "0+10"},
                              {'posthouse_queue_results_total{outcome="failed",code="5.7.1"}': "0+5",
                               'posthouse_queue_results_total{outcome="sent",code="2.0.0"}': "0+100"}),
    "PosthouseManyRefusals": ({'posthouse_submission_refusals_total{worker="0",code="5.7.1"}': "0+9"},
                              {'posthouse_submission_refusals_total{worker="0",code="5.7.1"}': "0+1"}),
    "PosthouseLoginFailures": ({'posthouse_submission_logins_failed_total{worker="0"}': "0+9"},
                               {'posthouse_submission_logins_failed_total{worker="0"}': "0+1"}),
    "PosthouseLoginBackend": ({"posthouse_login_failed_total": "0+1"}, {"posthouse_login_failed_total": "7+0", "posthouse_login_stuck": "0+0"}),
    "PosthouseMailHeld": ({"posthouse_queue_held": "3+0"}, {"posthouse_queue_held": "0+0"}),
    "PosthouseDroppedMailWaits": ({"posthouse_pickup_oldest_timestamp_seconds": "1+0"}, {"posthouse_pickup_oldest_timestamp_seconds": "0+0"}),
    "PosthouseDroppedMailRefused": ({"posthouse_pickup_refused_total": "0+1"}, {"posthouse_pickup_refused_total": "7+0"}),
    "PosthouseSigningFails": ({"posthouse_vault_signatures_failed_total": "0+1"}, {"posthouse_vault_signatures_failed_total": "7+0"}),
    "PosthouseDoctorFaults": ({"posthouse_doctor_faults": "2+0"}, {"posthouse_doctor_faults": "0+0"}),
    "PosthouseDatabaseAway": ({"posthouse_queue_database_away_since_timestamp_seconds": "100+0"},
                              {"posthouse_queue_database_away_since_timestamp_seconds": "0+0"}),
    "PosthouseNodeDead": ({'posthouse_queue_nodes{state="dead"}': "1+0"}, {'posthouse_queue_nodes{state="dead"}': "0+0"}),
    "PosthouseNodesDiffer": ({"posthouse_queue_nodes_config_differs": "1+0"}, {"posthouse_queue_nodes_config_differs": "0+0"}),
    "PosthouseDeadRows": ({"posthouse_queue_database_dead_rows": "2000000+0"}, {"posthouse_queue_database_dead_rows": "20000+0"}),
}


def test_each_rule_fires_and_is_silent():
    needs_prometheus()
    promtool("check", "config", PLACE / "prometheus.yml")
    assert {name.split()[0] for name in CASES} == set(re.findall(r"- alert: (\w+)", RULES.read_text())), "each rule has a case"

    def case(series, expected):
        return {"interval": "1m", "input_series": [{"series": name, "values": values + STEADY} for name, values in series.items()],
                "promql_expr_test": [{"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": "5h" if "oldest" in str(series) else "80m", "exp_samples": expected}]}
    tests = []
    for alert, (bad, good, *others) in CASES.items():
        firing = {alert.split()[0]: 1, **(others[0] if others else {})}
        tests += [case(bad, [{"labels": f'{{alertname="{name}"}}', "value": n} for name, n in firing.items()]), case(good, [])]
    path = pathlib.Path(WORK_DIR()) / "rules-test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", path)


class Prometheus:
    """A real one that scrapes every two seconds, with the alert rules as they are, but for the durations."""

    def __init__(self, target):
        place = pathlib.Path(WORK_DIR()) / "prometheus"
        place.mkdir()
        rules = re.sub(r"\[\d+m\]", "[30s]", re.sub(r"\bfor: \w+", "for: 1s", RULES.read_text()))
        (place / RULES.name).write_text(rules)
        config = (PLACE / "prometheus.yml").read_text().replace("127.0.0.1:9587", f"127.0.0.1:{target}")
        config = config.replace("scrape_interval: 15s", "scrape_interval: 2s").replace("scrape_timeout: 5s", "scrape_timeout: 2s")
        (place / "prometheus.yml").write_text("global: { evaluation_interval: 1s }\n" + config)
        self.port = free_port()
        self.process = Process(["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data",
                                f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"])

    def ask(self, what):
        assert self.process.poll() is None, "prometheus has ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{what}", timeout=30) as answer:
                return json.load(answer)["data"]
        except OSError:
            return {}

    def firing(self):
        return {a["labels"]["alertname"] for a in self.ask("alerts").get("alerts", []) if a["state"] == "firing"}

    def value(self, name):
        result = self.ask(f"query?query={name}").get("result", [])
        return float(result[0]["value"][1]) if result else None


def test_a_real_prometheus():
    needs_prometheus()
    port = free_port()
    relay = Relay(1, build=RELEASE, extra=f'metrics = "127.0.0.1:{port}";')
    prometheus = Prometheus(port)
    wait_for(lambda: prometheus.value("sum(posthouse_role_up)") == 9, "all processes are seen")
    targets = prometheus.ask("targets")["activeTargets"]
    assert [t["health"] for t in targets] == ["up"] and targets[0]["lastError"] == "", targets
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert len(rules) == len({name.split()[0] for name in CASES})
    wait_for(lambda: all(r["health"] == "ok" for r in prometheus.ask("rules")["groups"][0]["rules"]), "the rules work")
    assert prometheus.firing() == set(), prometheus.firing()

    relay.submit()  # to a next hop where nobody listens
    wait_for(lambda: "PosthouseUpstreamDown" in prometheus.firing(), "the alert about the upstream")
    assert prometheus.value("posthouse_queue_waiting") == 1

    pid = relay.pids("login")[0]
    subprocess.run(["kill", f"-{int(signal.SIGSTOP)}", str(pid)], check=True)
    wait_for(lambda: "PosthouseRoleAway" in prometheus.firing(), "the alert about the silent process")
    subprocess.run(["kill", f"-{int(signal.SIGCONT)}", str(pid)], check=True)
    wait_for(lambda: "PosthouseRoleAway" not in prometheus.firing(), "the end of that alert")

    relay.kill_role("vault")
    wait_for(lambda: "PosthouseRoleDied" in prometheus.firing(), "the alert about the death")

    relay.stop()
    wait_for(lambda: "PosthouseNotScraped" in prometheus.firing(), "the alert about the relay as a whole")
