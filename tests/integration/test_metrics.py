"""test_metrics.py - /metrics, /healthz, /readyz and `posthouse health`: what monitors see of a relay, also of one in trouble."""
import http.client
import json
import re
import signal
import socket
import subprocess
import time

from lib import Relay, Sink, free_port, wait_for

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def relay_with_metrics(upstream_port=1, **more):
    port = free_port()
    relay = Relay(upstream_port, extra=f'metrics = "127.0.0.1:{port}";', **more)
    relay.metrics_port = port
    return relay


def get(relay, path="/metrics", method="GET", accept=OPENMETRICS):
    connection = http.client.HTTPConnection("127.0.0.1", relay.metrics_port, timeout=60)
    connection.request(method, path, headers={"Accept": accept} if accept else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def numbers(relay):
    """{'name{labels}': value}, as the official client's parser of OpenMetrics reads it."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    _, text = get(relay)
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def total(found, name):
    return sum(value for key, value in found.items() if key.split("{")[0] == name)


def test_numbers_of_mail_that_goes_through():
    sink = Sink()
    relay = relay_with_metrics(sink.port)
    before = numbers(relay)
    assert before['posthouse_role_up{role="queue",worker="0"}'] == 1 and before["posthouse_queue_walk_complete"] == 1, before
    for i in range(3):
        relay.submit(to=[f"bob@example.{i}.test", "carol@example.org"])
    relay.wait_empty()
    after = numbers(relay)
    assert total(after, "posthouse_submission_accepted_total") == 3
    assert total(after, "posthouse_submission_accepted_bytes_total") > 300
    assert total(after, "posthouse_submission_accept_seconds_count") == 3
    assert total(after, "posthouse_submission_tls_total") >= 1
    assert sum(v for k, v in after.items() if k.startswith("posthouse_queue_results_total") and 'outcome="sent"' in k) == 6, after
    assert after["posthouse_queue_delivery_seconds_count"] == 6 and after['posthouse_queue_delivery_seconds_bucket{le="+Inf"}'] == 6
    assert after["posthouse_queue_attempt_seconds_count"] >= 3 and after["posthouse_queue_commit_seconds_count"] >= 1
    assert after["posthouse_queue_operations_total"] > before["posthouse_queue_operations_total"]
    assert after["posthouse_queue_disk_free_bytes"] > 0 and after["posthouse_queue_database_bytes"] > 0
    assert after['posthouse_relay_tls_total{version="none"}'] >= 1
    assert total(after, "posthouse_submission_certificate_expires_timestamp_seconds") / 2 > time.time()
    for role in ("master", "queue", "relay", "login", "vault", "console", "web", "submission"):
        labels = f'{{role="{role}",worker="0"}}'
        assert after["posthouse_process_resident_memory_bytes" + labels] > 1e6
        assert after["posthouse_process_open_fds" + labels] > 5
        assert time.time() - 3600 < after["posthouse_process_start_time_seconds" + labels] <= time.time() + 1
    assert "posthouse_build_info{" in "".join(after)


def test_both_formats():
    relay = relay_with_metrics()
    answer, newer = get(relay)
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert newer.endswith("# EOF\n")
    answer, older = get(relay, accept=None)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    from prometheus_client.parser import text_string_to_metric_families
    assert len(list(text_string_to_metric_families(older))) > 60
    checked = subprocess.run(["promtool", "check", "metrics"], input=older, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def test_what_waits_by_destination_and_age():
    relay = relay_with_metrics()
    for i in range(25):
        relay.submit(to=[f"bob@d{i}.example.net"] + [f"r{k}@big.example.net" for k in range(2)])
    found = numbers(relay)
    destinations = {k: v for k, v in found.items() if k.startswith("posthouse_queue_destination_recipients")}
    assert destinations['posthouse_queue_destination_recipients{destination="big.example.net"}'] == 50, destinations
    assert len(destinations) == 21 and destinations['posthouse_queue_destination_recipients{destination="other"}'] == 6, destinations
    assert found['posthouse_queue_age_recipients{age="0-5m"}'] == 75
    assert time.time() - 600 < found["posthouse_queue_oldest_timestamp_seconds"] <= time.time()


def test_refusals_and_limits_are_counted():
    relay = relay_with_metrics(limits='messages = [ "2/1h" ];')
    client = relay.connect()
    assert client.mail("mallory@example.com")[0] == 550
    for _ in range(2):
        relay.submit(client=client)
    assert client.mail("alice@example.org")[0] == 450
    client.quit()
    found = numbers(relay)

    def refusals(code):
        return sum(v for k, v in found.items() if k.startswith("posthouse_submission_refusals_total") and f'code="{code}"' in k)
    assert refusals("5.7.1") == 1 and refusals("4.7.1") == 1, found
    assert found['posthouse_queue_limited_total{limit="messages 2/1h"}'] == 1, found


def test_only_get_and_head_of_pages():
    relay = relay_with_metrics()
    for path in ("/metrics", "/healthz", "/readyz"):
        answer, text = get(relay, path, "HEAD")
        assert answer.status == 200 and text == "" and int(answer.headers["Content-Length"]) > 3
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer, _ = get(relay, "/metrics", method)
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD", answer.status
    assert get(relay, "/metrics/../etc")[0].status == 404
    with socket.create_connection(("127.0.0.1", relay.metrics_port)) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n")
        head = s.recv(100)
        assert re.match(rb"HTTP/1\.[01] (4|5)\d\d ", head) or head == b"", head
    with socket.create_connection(("127.0.0.1", relay.metrics_port)) as s:
        s.sendall(b"\x16\x03\x01\x00\xff" * 10 + b"\r\n\r\n")
        s.recv(100)
    assert total(numbers(relay), "posthouse_web_refused_total") >= 5


def test_connections_are_bounded_in_number_and_time():
    relay = relay_with_metrics()
    idle = [socket.create_connection(("127.0.0.1", relay.metrics_port)) for _ in range(40)]
    for s in idle[:32]:
        s.sendall(b"GET ")
    wait_for(lambda: sum(is_closed(s) for s in idle) >= 8, "no more than 32 are left")
    assert any(is_closed(s) for s in idle[:32]), "the oldest ones are closed"
    for path in ("/healthz", "/readyz"):  # a probe is heard all the same
        assert get(relay, path)[0].status == 200
    assert sum(not is_closed(s) for s in idle) > 20, "the others have their time"
    end = time.monotonic() + 60
    while not all(is_closed(s) for s in idle):  # also those whose client goes on sending a byte now and then
        for s in idle[:16]:
            try:
                s.send(b"x")
            except OSError:
                pass
        assert time.monotonic() < end, "connections stay open"
        time.sleep(0.5)
    assert get(relay, "/healthz")[0].status == 200


def is_quick(ask):
    begin = time.monotonic()
    return ask() and time.monotonic() - begin < 1


def is_closed(s):
    s.setblocking(False)
    try:
        return s.recv(1000) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_role_that_is_silent():
    """A stopped process: each answer comes in time, with what there is, and says who is missing."""
    relay = relay_with_metrics()
    pid = relay.pids("vault")[0]
    assert "ready" == get(relay, "/readyz")[1].strip()
    text = relay.status_text()
    assert re.search(r"oldest_at_ms +none", text) and not re.search(r"(up|age|destination) \S+ ", text[text.index("\nweb "):].split("build")[1].split("\nresolver")[0]), text
    assert json.loads(relay.command("health", "--ready", "--json").stdout)["ready"] is True
    assert relay.command("health").stdout == "healthy\n" and relay.command("health", "--ready").stdout == "ready\n"
    send(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        found = numbers(relay)
        assert found['posthouse_role_up{role="vault",worker="0"}'] == 0 and found['posthouse_role_up{role="queue",worker="0"}'] == 1
        answer, text = get(relay, "/readyz")
        assert answer.status == 503 and text == "vault 0 does not answer\n", text
        wait_for(lambda: is_quick(lambda: get(relay, "/healthz")[0].status == 200), "an answer that waits for master alone")
        done = relay.command("health", "--json", check=False)
        said = json.loads(done.stdout)
        assert done.returncode == 69 and said["kind"] == "health" and said["healthy"] is False and said["faults"] == ["vault 0 does not answer"], said
        for arguments in (["health"], ["health", "--ready"]):
            done = relay.command(*arguments, check=False)
            assert done.returncode == 69 and "vault 0 does not answer" in done.stderr, done
        assert time.monotonic() - begin < 30, "five answers, each within two seconds where the machine is not busy"
    finally:
        send(pid, signal.SIGCONT)
    wait_for(lambda: get(relay, "/readyz")[0].status == 200, "ready again")


def test_a_role_that_dies():
    relay = relay_with_metrics()
    before = numbers(relay)['posthouse_master_role_deaths_total{dead="relay"}']
    relay.kill_role("relay")
    wait_for(lambda: numbers(relay)['posthouse_master_role_deaths_total{dead="relay"}'] == before + 1, "a death is counted")
    wait_for(lambda: get(relay, "/readyz")[0].status == 200, "ready again")


def test_health_without_metrics():
    relay = Relay(1)
    assert relay.command("health").stdout == "healthy\n"
    assert not relay.pids("web")
    relay.stop()
    done = relay.command("health", check=False)
    assert done.returncode == 69 and "no relay is running" in done.stderr, done


def send(pid, number):
    subprocess.run(["kill", f"-{int(number)}", str(pid)], check=True)
