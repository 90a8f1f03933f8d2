"""test_start.py - starts that have much to read, to bring forward, or no room; and a database that is taken away."""
import sqlite3
import time

from lib import DOMAIN, RELEASE, Relay, Sink, simple_message, time_limit, wait_for


def database(relay):
    return sqlite3.connect(relay.dir / "state" / "queue.db", timeout=30)


@time_limit(120)
def test_more_limits_than_it_looks_at():
    """600,000 rows of buckets: the start does not take them one by one out of long lists, and says how many it leaves out."""
    sink = Sink()
    relay = Relay(sink.port, build=RELEASE, workers=1, limits='messages = [ "2/1d" ];')
    client = relay.connect()
    for _ in range(2):
        relay.submit(client=client)
    relay.stop()
    with database(relay) as db:
        db.execute("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<600000) INSERT INTO bucket(key,rule,tat_us)"
                   " SELECT 'user:zz'||i||'@example.org','messages 2/1d',? FROM c", (int(time.time() * 1e6) + 3600 * 10**6,))
    relay.start()
    relay.wait_log("event=limits.crowded")
    assert "left_out=10000" in relay.log_since_start()
    sink.wait(2)
    code, text = relay.connect().docmd("MAIL", f"FROM:<alice@{DOMAIN}>")
    assert code == 450, (code, text)
    relay.stop()
