"""A relay whose queue is in a PostgreSQL database: serve, commands, deaths, and a database that comes and goes."""
from databases import *


def relay_with(database, sink=None, **more):
    return Relay(sink.port if sink else 1, extra=database.settings(**more))


def confined(relay):
    """The walls are up, nothing was left out, and the role was never stopped by one."""
    log = relay.log_now()
    assert "confined=queue" in log and "role.unconfined" not in log and "FORBIDDEN" not in log, relay.log_tail()
    [line] = [line for line in log.splitlines() if "event=role.confined" in line and "confined=queue" in line]
    return line


def test_messages_pass():
    database, sink = Database(), Sink()
    relay = relay_with(database, sink)
    assert [os.readlink(f"/proc/{pid}/exe") for pid in relay.pids("queue")][0].endswith("/posthouse-queue-postgresql")
    relay.submit()
    sink.wait()
    relay.wait_empty()
    print(confined(relay))
