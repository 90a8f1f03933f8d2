"""The Debian packages: built, looked at by lintian, installed on a Debian 12 with nothing in it, and used there under systemd as process 1."""
import configparser
import re
import shlex
import time

from lib import *
from test_guide import block
from test_readme import Booted, bare_debian, inside
from test_service import as_the_unit_says

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PORT = 2525  # of the next hop, in the network of the root
PASSWORD_OF_ALICE = "correct horse"


def made():
    """The packages: {name: path}."""
    to, start = pathlib.Path(WORK_DIR()) / "packages", time.monotonic()
    done = subprocess.run([TOP / "packaging/make-deb", to], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=2"))
    assert done.returncode == 0, done.stdout
    print(f"{time.monotonic() - start:.0f} s: packaging/make-deb")
    packages = {path.name.split("_")[0]: path for path in to.glob("*.deb")}
    assert set(packages) == {"posthouse", "posthouse-mta", "posthouse-postgresql"} and all(str(p) in done.stdout for p in packages.values()), done.stdout
    return packages


def field(package, name):
    return subprocess.run(["dpkg-deb", "--field", package, name], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def looked_at(packages):
    """lintian, sizes, and what else can be seen without an installation."""
    done = subprocess.run(["lintian", "--allow-root", *packages.values()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout
    for name, path in packages.items():
        print(f"{name}: {path.stat().st_size // 1024} KiB, installed {field(path, 'Installed-Size')} KiB")
    version = re.search(r"^  version : '(.*)',$", (TOP / "meson.build").read_text(), flags=re.M)[1]
    assert field(packages["posthouse"], "Version").split("~")[0] == version
    unpacked = pathlib.Path(WORK_DIR()) / "unpacked"
    subprocess.run(["dpkg-deb", "--extract", packages["posthouse"], unpacked], check=True)
    done = subprocess.run([TOP / "tests/lint-built/hardening", unpacked], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    programs = {name: subprocess.run(["dpkg-deb", "--contents", path], stdout=subprocess.PIPE, text=True, check=True).stdout.count("/posthouse-queue")
                for name, path in packages.items()}
    assert programs == {"posthouse": 1, "posthouse-postgresql": 1, "posthouse-mta": 0}, programs
    assert "libpq5" in field(packages["posthouse-postgresql"], "Depends") and "libpq5" not in field(packages["posthouse"], "Depends")
    mta = packages["posthouse-mta"]
    assert field(mta, "Provides") == field(mta, "Conflicts") == field(mta, "Replaces") == "mail-transport-agent"


def installed(root, packages):
    """First without systemd, as in a container, and then with it. Nothing is started."""
    (root / "root/packages").mkdir()
    for path in packages.values():
        shutil.copy(path, root / "root/packages")
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends install"
    said = inside(root, f"apt-get -qq update\n{apt} cron curl /root/packages/posthouse_*.deb 2>&1")
    assert "posthouse init" in said and "posthouse.service is a disabled" not in said, said
    assert not (root / "lib/systemd/systemd").exists() and not (root / "usr/sbin/sendmail").exists()
    found = inside(root, "posthouse version; id posthouse posthouse-net posthouse-key posthouse-login; getent group posthouse-secrets | grep -q posthouse; getent group posthouse-admin; stat -c '%U %a' /var/lib/posthouse /var/spool/posthouse /var/spool/posthouse/drop\n"
                   "ls -l /etc/systemd/system/multi-user.target.wants")
    assert "posthouse-admin:" in found and re.search(r"posthouse 700\nroot 755\nposthouse 1733\n", found), found
    assert "multi-user.target.wants" not in found and "posthouse.service -> " in found, found
    inside(root, f"{apt} systemd systemd-sysv >/dev/null 2>&1\nposthouse version")
    value = inside(root, "systemd-analyze security --offline=true --threshold=13 /lib/systemd/system/posthouse.service | tail -n 1")
    print(value.strip())


class NextHop:
    """A server in another network namespace, which keeps what arrives in a directory."""

    def __init__(self):
        self.directory = pathlib.Path(WORK_DIR())
        self.arrived = self.directory / "arrived"
        self.arrived.mkdir(exist_ok=True)
        self.script = self.directory / "next_hop.py"
        self.script.write_text(f"""import sys, time
sys.path.insert(0, {str(TOP / "tests/integration")!r})
from lib import *
def keep(envelope):
    pathlib.Path({str(self.arrived)!r}, str(time.monotonic_ns())).write_bytes(envelope.original_content)
Sink(port={PORT}, data=keep)
time.sleep(3600)
""")

    def start(self, systemd):
        self.process = start_process(["nsenter", f"--net=/proc/{systemd.pid()}/ns/net", sys.executable, self.script])

    def subjects(self):
        return {re.search(rb"^Subject: (.*?)\r?$", path.read_bytes(), flags=re.M)[1].decode() for path in self.arrived.iterdir()}

    def wait(self, *subjects):
        wait_for(lambda: set(subjects) <= self.subjects(), lambda: f"{subjects} at the next hop; it has {self.subjects()}", seconds=3 * LIMIT, every=0.2)

    def stop(self):
        self.process.end()


INIT = (f"echo '{PASSWORD_OF_ALICE}' | posthouse init example.org --hostname relay.example.org --user alice@example.org --password-stdin --yes "
        f"--upstream 127.0.0.1:{PORT} --upstream-tls none")


def submission(subject):
    return (f"printf 'From: alice@example.org\\r\\nSubject: {subject}\\r\\n\\r\\nhi\\r\\n' | curl -sS --url smtp://relay.example.org:587 "
            f"--resolve relay.example.org:587:127.0.0.1 --ssl-reqd --cacert /etc/posthouse/fullchain.pem --user 'alice@example.org:{PASSWORD_OF_ALICE}' "
            "--mail-from alice@example.org --mail-rcpt bob@example.net --upload-file -")


def main_pid(systemd):
    return systemd.run("systemctl show --property=MainPID --value posthouse").strip()


def waiting(systemd):
    return [row["id"] for row in rows_of(systemd.run("posthouse queue list --json"))]


def all_well(systemd):
    wait_for(lambda: systemd.run("posthouse status >/dev/null 2>&1 && echo well", check=False) == "well\n", "all roles answer", seconds=3 * LIMIT, every=0.3)


def first_mail(systemd, next_hop):
    """Nothing runs before there is a configuration; then a mail is taken and delivered."""
    assert systemd.run("systemctl is-enabled posthouse").strip() == "enabled"
    systemd.run("systemctl start posthouse && ! systemctl is-active posthouse")
    systemd.run(INIT)
    systemd.run("systemctl start posthouse")
    all_well(systemd)
    print("ready after", systemd.run("journalctl -u posthouse -o cat | grep -o 'event=master.ready.*' | grep -o 'took_ms=.*'", check=False).strip())
    systemd.run(submission("first"))
    next_hop.wait("first")


def sendmail_of_the_machine(systemd, next_hop):
    """By the package beside it: sendmail for all users, also while the relay is down. cron has a minute from here on."""
    systemd.run("apt-get -y -qq install /root/packages/posthouse-mta_*.deb 2>&1")
    for name in ("/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases"):
        assert systemd.run(f"readlink -f {name}") == "/usr/bin/posthouse\n"
    assert "Remv posthouse-mta " in systemd.run("apt-get -s install nullmailer") and "posthouse/" not in systemd.run("apt-get -s install nullmailer | grep Remv")
    message = "printf 'To: bob@example.net\\nSubject: %s\\n\\nhi\\n' | runuser -u www-data -- sendmail -t"
    systemd.run(message % "by sendmail")
    next_hop.wait("by sendmail")
    systemd.run(f"systemctl stop posthouse; {message % 'while it was down'}; ls /var/spool/posthouse/drop | grep . && systemctl start posthouse")
    next_hop.wait("while it was down")
    systemd.run("printf 'MAILTO=bob@example.net\\n* * * * * root echo by cron\\n' >/etc/cron.d/test; systemctl is-active cron")


def mail_of_cron(systemd, next_hop):
    wait_for(lambda: any(subject.startswith("Cron <root@") for subject in next_hop.subjects()), lambda: f"cron's mail; there are {next_hop.subjects()}",
             seconds=6 * LIMIT, every=0.5)
    systemd.run("rm /etc/cron.d/test")
    wait_for(lambda: not waiting(systemd), "an empty queue", every=0.3)


def is_confined(systemd):
    """Each process of the service has the filter of the unit, and the roles have no capabilities."""
    for pid in systemd.run("cat $(find /sys/fs/cgroup -path '*/posthouse.service/cgroup.procs' | head -n 1)").split():
        status = dict(line.split(":\t", 1) for line in systemd.run(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", status
        assert pid == main_pid(systemd) or int(status["CapEff"], 16) == 0, status
    assert systemd.run("stat -c '%U %a' /run/posthouse") == "posthouse 755\n"


def add_to_the_unit(systemd, text):
    systemd.run(f"mkdir -p /run/systemd/system/posthouse.service.d; echo '{text}' >/run/systemd/system/posthouse.service.d/test.conf; systemctl daemon-reload")


def secret_of_systemd(systemd):
    """As the guide has it, but for the key of the certificate."""
    addition = block("service-credential", "file").replace("isp:/root/isp.password", "tls:/root/tls.key")
    add_to_the_unit(systemd, addition)
    systemd.run("mv /etc/posthouse/privkey.pem /root/tls.key; sed -i 's,\"[^\"]*privkey.pem\",\"credential:tls\",' /etc/posthouse/posthouse.conf; "
                "grep -q credential:tls /etc/posthouse/posthouse.conf; systemctl restart posthouse")
    all_well(systemd)
    systemd.run(submission("by a credential"))
    systemd.run("posthouse check && systemctl reload posthouse")
    systemd.run("mv /root/tls.key /etc/posthouse/privkey.pem; sed -i 's,credential:tls,privkey.pem,' /etc/posthouse/posthouse.conf")


def reload_and_watchdog(systemd):
    """A reload is one of the same process. A master that hangs is replaced."""
    before = main_pid(systemd)
    systemd.run("systemctl reload posthouse")
    assert main_pid(systemd) == before
    add_to_the_unit(systemd, "[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\nRestartSec=1")
    systemd.run("systemctl restart posthouse")
    all_well(systemd)
    before = main_pid(systemd)
    time.sleep(4)
    assert main_pid(systemd) == before, "a master that is well was replaced"
    systemd.run(f"kill -STOP {before}")
    wait_for(lambda: main_pid(systemd) not in ("0", before), "another master", seconds=3 * LIMIT, every=0.3)
    systemd.run("rm -r /run/systemd/system/posthouse.service.d; systemctl daemon-reload; systemctl restart posthouse")
    all_well(systemd)


def users_of_their_own(systemd, next_hop):
    """As the manual has it: the first process is root, and each kind of role is a user; and back to one user."""
    systemd.run(block("unit-users", "run"))
    all_well(systemd)
    status = systemd.run("posthouse status")
    for role, user in (("queue", "posthouse"), ("vault", "posthouse-key"), ("login", "posthouse-login"), ("submission", "posthouse-net"), ("resolver", "posthouse-net")):
        assert re.search(rf"^{role} .* {user} +ready", status, flags=re.M), status
    systemd.run(submission("by users of their own"))
    next_hop.wait("by users of their own")
    systemd.run("rm /etc/systemd/system/posthouse.service.d/users.conf; systemctl daemon-reload; systemctl restart posthouse")
    all_well(systemd)
    assert "all roles run as posthouse" in systemd.run("posthouse status")


def upgrade_purge_and_reinstallation(systemd, packages, next_hop):
    """The queue, with a message that waits, is there after each of them."""
    next_hop.stop()
    systemd.run(submission("kept"))
    [id] = waiting(systemd)
    before = main_pid(systemd)
    systemd.run("cd /root/packages; dpkg-deb -R posthouse_*.deb newer; sed -i 's/^Version: .*/&.1/' newer/DEBIAN/control; dpkg-deb -b newer newer.deb; "
                "apt-get -y -qq install ./newer.deb 2>&1")
    all_well(systemd)
    assert main_pid(systemd) not in ("0", before) and waiting(systemd) == [id], "the service was not restarted by the upgrade"
    systemd.run("apt-get -y -qq purge posthouse 2>&1")
    left = systemd.run("grep -ls posthouse /proc/[0-9]*/comm; test -e /usr/bin/posthouse && echo program; systemctl is-active posthouse", check=False)
    assert left.strip() in ("inactive", "failed", "unknown"), left
    systemd.run("test -e /etc/posthouse/posthouse.conf && ls /var/lib/posthouse/login/accounts")
    systemd.run("apt-get -y -qq install /root/packages/posthouse_*.deb 2>&1")
    all_well(systemd)
    assert waiting(systemd) == [id]
    next_hop.start(systemd)
    systemd.run("posthouse queue flush")
    next_hop.wait("kept")


def stop(systemd):
    start = time.monotonic()
    systemd.run("systemctl stop posthouse")
    assert systemd.run("systemctl show --property=Result --value posthouse") == "success\n" and time.monotonic() - start < 40
    print(f"stopped within {time.monotonic() - start:.1f} s")


def without_systemd(root):
    """What can be seen where systemd does not boot: the unit's command with its user and capabilities, and the queue after a purge."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string((root / "lib/systemd/system/posthouse.service").read_text())
    start = shlex.join(as_the_unit_says(parser, "posthouse", *parser["Service"]["ExecStart"].split()))
    next_hop = NextHop()
    inside(root, f"""serve() {{ install -d -o posthouse /run/posthouse; {start} & relay=$!; until posthouse status >/dev/null 2>&1; do sleep 0.3; done; }}
stop() {{ kill -TERM $relay; wait $relay; }}
{INIT}
serve; {submission("kept")}; posthouse queue list | grep bob@example.net; stop
apt-get -y -qq purge posthouse; apt-get -y -qq install /root/packages/posthouse_*.deb
serve; touch /root/deliver; posthouse queue flush
while posthouse queue list | grep -q bob@example.net; do sleep 1; posthouse queue flush; done
stop""", timeout=300, own_network=True, beside=f"{{ until [ -e {root}/root/deliver ]; do sleep 0.2; done; exec {sys.executable} {next_hop.script}; }} &")
    assert next_hop.subjects() == {"kept"}, next_hop.subjects()


@time_limit(1800)
def test_packages_on_a_bare_debian():
    if os.geteuid() != 0:
        raise Skip("only root can change its root directory")
    needs_namespaces("--mount", "--pid", "--net", "--fork")
    packages = made()
    looked_at(packages)
    root = bare_debian()
    try:
        installed(root, packages)
        (root / "made").unlink()
        systemd = Booted(root)
        if not systemd.is_up():
            print(systemd.log.read_text(errors="replace")[-2000:])
            without_systemd(root)
            raise Skip("the packages work, but systemd, which is to run the unit, does not boot here")
        next_hop = NextHop()
        next_hop.start(systemd)
        first_mail(systemd, next_hop)
        sendmail_of_the_machine(systemd, next_hop)
        is_confined(systemd)
        secret_of_systemd(systemd)
        reload_and_watchdog(systemd)
        users_of_their_own(systemd, next_hop)
        mail_of_cron(systemd, next_hop)
        upgrade_purge_and_reinstallation(systemd, packages, next_hop)
        stop(systemd)
    finally:
        shutil.rmtree(root, ignore_errors=True)
