"""The README's commands, as they stand there, on a Debian 12 with nothing in it: a root directory of our own, made by debootstrap."""
import re
import time

from lib import *
from test_init_profiles import at_terminal

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def blocks(text):
    """The code blocks: lines that are indented by four spaces, after an empty line."""
    found = re.findall(r"(?:\n\n)((?:    [^\n]*\n|\n(?=    ))+)", text)
    return [re.sub(r"^    ", "", block, flags=re.M).strip("\n") for block in found]


def mirror():
    """Where this machine has its Debian from."""
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file():
            for uri in re.findall(r"(?:^deb (?:\[[^]]*\] *)?|^URIs: *)(\S+)", path.read_text(), flags=re.M):
                if re.search(r"/debian/?$", uri):
                    return uri
    raise Skip("this machine's package sources name no Debian")


def bare_debian():
    """A fresh root: the base is made once per checkout, and copied."""
    base, root = WORK / "debian-12", pathlib.Path(WORK_DIR()) / "root"
    with open(WORK / "debian-12.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "made").exists():
            shutil.rmtree(base, ignore_errors=True)
            done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", base, mirror()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                unprivileged = subprocess.run(["mknod", WORK / f"node-{os.getpid()}", "c", "1", "3"], stderr=subprocess.DEVNULL).returncode != 0
                shutil.rmtree(base, ignore_errors=True)
                if unprivileged:
                    raise Skip("debootstrap cannot make devices here")
                raise AssertionError(done.stdout[-3000:])
            (base / "made").write_text("")
    subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
    # how this machine reaches its mirror: proxies and the like, and name servers
    acquire = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=True).stdout
    (root / "etc/apt/apt.conf.d/99machine").write_text("".join(line + "\n" for line in acquire.splitlines() if line.startswith(("Acquire::http", "Acquire::https"))))
    (root / "etc/dpkg/dpkg.cfg.d/99quick").write_text("force-unsafe-io\n")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    shutil.copy("/etc/hosts", root / "etc/hosts")
    # the sources as git knows them, with what is new
    files = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard", "-z"], stdout=subprocess.PIPE, check=True).stdout
    (root / "root/posthouse").mkdir()
    present = b"\0".join(f for f in files.split(b"\0") if f and (TOP / os.fsdecode(f)).exists())
    tar = subprocess.run(["tar", "-C", TOP, "--null", "-T", "-", "-c"], input=present, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-C", root / "root/posthouse", "-x", "--no-same-owner"], input=tar, check=True)
    return root


def command_inside(root, script, own_network=False, beside="true"):
    """A shell in that root, with processes of its own: what it leaves behind ends with it. `beside` runs before it, outside of the root."""
    return ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc", *(["--net"] if own_network else []), "sh", "-c",
            'ip link set lo up 2>/dev/null; eval "$2"; cd / && exec chroot "$0" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin '
            'HOME=/root LANG=C.UTF-8 ${http_proxy:+http_proxy=$http_proxy} ${https_proxy:+https_proxy=$https_proxy} bash -euc "cd /root/posthouse\n$1"',
            str(root), script, beside]


def inside(root, script, timeout=1500, **where):
    """Run it; returns what it wrote. It must succeed."""
    command = command_inside(root, script, **where)
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    assert done.returncode == 0, f"exit {done.returncode}\n{script}\n----\n{done.stdout[-6000:]}"
    print(f"{time.monotonic() - start:.0f} s: {script.splitlines()[0]}")
    return done.stdout


class Booted:
    """A systemd that runs in that root, if this machine lets one."""

    def __init__(self, root):
        self.name = f"posthouse-test-{os.getpid()}"
        self.log = pathlib.Path(WORK_DIR()) / "systemd.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([TOP / "tests/integration/boot.sh", root, self.name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end_with_the_test(self)

    def pid(self):
        """Process 1, as we see it."""
        found = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return found[0] if found else "0"

    def run(self, command, check=True):
        done = subprocess.run(["nsenter", "--all", f"--target={self.pid()}", "/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                               "bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        assert done.returncode == 0 or not check, f"exit {done.returncode}\n{command}\n----\n{done.stdout[-6000:]}\n{self.journal()}"
        return done.stdout

    def journal(self):
        return self.run("journalctl -u posthouse -n 60 --no-pager -o cat", check=False)

    def is_up(self, seconds=2 * LIMIT):
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            if self.run("systemctl is-system-running", check=False).strip() in ("running", "degraded"):
                return True
            time.sleep(0.3)
        return False

    def end(self, keep=False):
        self.process.kill()  # --kill-child takes process 1 with it, and that one all others
        self.process.wait()
        time.sleep(0.2)
        for top in pathlib.Path("/sys/fs/cgroup").glob("**/" + self.name):
            subprocess.run(["find", top, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], stderr=subprocess.DEVNULL)


def systemd_runs_it(root):
    """The unit that `ninja install` brought, under systemd itself; False: none boots here."""
    (root / "made").unlink()
    systemd = Booted(root)
    if not systemd.is_up():
        print("systemd does not boot here:", systemd.log.read_text(errors="replace")[-2000:])
        return False
    systemd.run("systemctl enable --now posthouse")
    properties = systemd.run("systemctl show --property=User,Restart,StartLimitIntervalUSec posthouse").split()
    assert {"User=posthouse", "Restart=always", "StartLimitIntervalUSec=0"} <= set(properties), properties
    systemd.run("posthouse status && posthouse user list | grep bob@example.org")  # the state is still there
    systemd.run("echo secret | posthouse user passwd bob --stdin")
    systemd.run("printf 'From: bob@example.org\r\n\r\nhi\r\n' | curl -sS --url smtp://relay.example.org:587 --resolve relay.example.org:587:127.0.0.1 --ssl-reqd "
                "--cacert /etc/posthouse/fullchain.pem --user bob:secret --mail-from bob@example.org --mail-rcpt x@example.net --upload-file -")
    waiting = {row["id"]: row["recipient"] for row in rows_of(systemd.run("posthouse queue list --json"))}
    assert sorted(waiting.values()) == ["carol@example.net", "x@example.net"], waiting  # the first was sent by a block of the README
    systemd.run("systemctl reload posthouse")
    main = systemd.run("systemctl show --property=MainPID --value posthouse").strip()
    systemd.run(f"kill -9 {main}")
    wait_for(lambda: systemd.run("posthouse status >/dev/null 2>&1 && systemctl show --property=MainPID --value posthouse", check=False).strip() not in ("", "0", main),
             "started again", every=0.5)
    assert {row["id"] for row in rows_of(systemd.run("posthouse queue list --json"))} == set(waiting)
    systemd.run("systemctl stop posthouse; systemctl show --property=Result --value posthouse | grep success")
    systemd.run("systemctl start posthouse && posthouse status && posthouse queue list --json | grep " + max(waiting))
    return True


def session(text):
    """The commands of the session in the README that begins with nothing: lines with a # prompt in a fenced block."""
    fenced = re.findall(r"^```\n(.*?)^```", text, flags=re.M | re.S)
    return [line[2:] for block in fenced for line in block.splitlines() if line.startswith("# ")]


def played_gmail(root):
    """What runs beside the root, on a machine of its own behind a cable: a server that is smtp.gmail.com in there. Mail goes to files of a directory."""
    directory = pathlib.Path(WORK_DIR())
    _, certificate = tls_context(directory, "smtp.gmail.com")
    (directory / "arrived").mkdir()
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n203.0.113.2 smtp.gmail.com\n")
    with open(root / "etc/ssl/certs/ca-certificates.crt", "a") as authorities:
        authorities.write(certificate.read_text())
    (directory / "gmail.py").write_text(f"""import sys, time
sys.path.insert(0, {str(TOP / "tests/integration")!r})
from lib import *
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain({str(certificate)!r}, {str(directory / "smtp.gmail.com.key")!r})
def keep(envelope):
    pathlib.Path({str(directory / "arrived")!r}, str(time.monotonic_ns())).write_bytes(envelope.original_content)
Sink(host="203.0.113.2", port=587, tls="starttls", tls_context=context, users={{"me@gmail.com": "abcd efgh ijkl mnop"}}, data=keep)
time.sleep(3600)
""")
    (directory / "gmail.sh").write_text(f"""touch {directory}/apart; until ip link show there >/dev/null 2>&1; do sleep 0.1; done
ip link set lo up; ip address add 203.0.113.2/30 dev there; ip link set there up
exec /usr/bin/python3 {directory}/gmail.py >{directory}/gmail.log 2>&1
""")
    return (f"rm -f {directory}/apart; unshare --net sh {directory}/gmail.sh & until [ -e {directory}/apart ]; do sleep 0.1; done; ip link add here type veth peer name there; ip link set there netns $!; "
            "ip address add 203.0.113.1/30 dev here; ip link set here up; "
            "until bash -c '</dev/tcp/203.0.113.2/587' 2>/dev/null; do sleep 0.2; done", directory / "arrived")


def one_submission(login, password):
    """Commands that hand the relay one message."""
    return (f"printf 'From: {login}\\r\\nSubject: first\\r\\n\\r\\nhi\\r\\n' | curl -sS --url smtp://relay.example.org:587 --resolve relay.example.org:587:127.0.0.1 "
            f"--ssl-reqd --cacert /etc/posthouse/fullchain.pem --user '{login}:{password}' --mail-from {login} --mail-rcpt x@example.net --upload-file -\n")


# How commands of the README end where there is neither a name server nor mail to bob; all others end with 0.
ENDS = {"posthouse doctor": (1, 75), "posthouse find --recipient bob --since 2d": (65,)}


def as_typed(block):
    """The block, whose commands must end as they have to in there."""
    lines = []
    for line in block.splitlines():
        if line in ENDS:
            codes = "|".join(str(code) for code in ENDS[line])
            line = f'code=0; {line} || code=$?; case $code in {codes}) ;; *) echo "ended with $code: {line}"; exit 1;; esac'
        lines.append(line)
    return "\n".join(lines)


def forget(root):
    """For another reader, who begins at the same place."""
    shutil.rmtree(root / "etc" / "posthouse")
    shutil.rmtree(root / "var/lib" / "posthouse")


def init_and_one_submission(root, block):
    """`posthouse init DOMAIN --yes` and nothing else: the relay takes mail of the first user."""
    said = inside(root, block + "\nposthouse check\n", own_network=True)
    assert "configuration is good" in said, said
    password = re.search(r"password +(\S+)", said)[1]
    said = inside(root, "posthouse serve & sleep 3; posthouse status\n" + one_submission("user@example.org", password) +
                  "posthouse find --user user@example.org\nkill -TERM $! && wait $! && echo ended in order", own_network=True)
    assert "x@example.net" in said and "first" in said and "ended in order" in said, said
    forget(root)


def session_without_a_domain(root, commands):
    """Behind a mailbox at Gmail: the session of the README, with a Gmail of our own."""
    assert [c.split()[:2] for c in commands] == [["posthouse", "init"], ["systemctl", "enable"], ["posthouse", "doctor"], ["posthouse", "doctor"],
                                                 ["posthouse", "client"]], commands
    beside, arrived = played_gmail(root)
    shown, code = at_terminal(command_inside(root, commands[0], own_network=True, beside=beside), [("(app password): ", "abcd efgh ijkl mnop")])
    assert code == 0 and "TLS 1.3 good, login good" in shown and "abcd" not in shown, shown
    # systemd itself is tried at the end
    said = inside(root, "posthouse serve & sleep 3; relay=$!\n" + f"{commands[2]} || test $? = 75\n" + "\n".join(commands[3:]) +
                  "\nkill -TERM $relay && wait $relay && echo ended in order", own_network=True, beside=beside)
    assert "through smtp.gmail.com" in said and "0 failures" in said and "ended in order" in said, said
    assert "250 2.0.0 Ok" in said and len(list(arrived.iterdir())) == 1, said
    forget(root)


@time_limit(3600)
def test_every_command_works_on_a_bare_debian():
    if os.geteuid() != 0:
        raise Skip("only root can change its root directory")
    needs_namespaces("--mount", "--pid", "--net", "--fork")
    readme = (TOP / "README.md").read_text()
    found = blocks(readme)
    assert found[:2] == ["packaging/install", "posthouse init example.org --yes"] and any("posthouse serve" in b for b in found), found
    found.remove("tests/run")  # that is who runs this
    root = bare_debian()
    try:
        assert not (root / "usr/bin/gcc").exists() and not (root / "usr/bin/python3").exists(), "this root is not bare"
        for block in ("packaging/install", "packaging/quickstart", "packaging/install-packages packaging/packages-cluster"):  # they need the network
            inside(root, block)
            found.remove(block)
        for path in ("bin/posthouse", "libexec/posthouse/posthouse-queue", "share/man/man8/posthouse.8", "share/man/man5/posthouse.conf.5",
                     "share/man/man7/posthouse-guide.7", "share/man/man7/posthouse-operation.7", "share/man/man7/posthouse-log.7", "share/doc/posthouse/posthouse.conf", "lib/systemd/system/posthouse.service"):
            assert (root / "usr/local" / path).is_file(), path
        assert "ExecStart=/usr/local/bin/posthouse serve\n" in (root / "usr/local/lib/systemd/system/posthouse.service").read_text()
        # without cmocka there are no unit tests to build, and that is all
        inside(root, "meson setup build-2 && ! ninja -C build-2 -t targets all | grep tests/unit && rm -r build-2")
        init_and_one_submission(root, found.pop(0))
        session_without_a_domain(root, session(readme))
        # the rest in one shell, as a reader would type it
        assert all(any(line in b.splitlines() for b in found) for line in ENDS), found
        rest = "".join(f"echo '== block'\n{as_typed(b)}\n" for b in found)
        output = inside(root, rest + "kill -TERM $! && wait $! && echo ended in order", own_network=True)
        assert "configuration is good" in output and "bob@example.org added" in output and "alice@example.org/phone" in output, output
        assert "node 2    does not run\n" in output and output.count("Ok: queued as") >= 20 and output.count("bob@example.net") >= 20, output
        assert "the configuration was reloaded" in output and "ended in order" in output and "FAULT" not in output, output
        inside(root, "apt-get install -y -qq --no-install-recommends systemd systemd-sysv >/dev/null 2>&1")
        if not systemd_runs_it(root):
            raise Skip("all commands work, but systemd, which is to run the unit, does not boot here")
    finally:
        shutil.rmtree(root, ignore_errors=True)
