"""Programs of a machine on which posthouse is sendmail: cron, mailx, PHP, git and others hand in mail, with the relay running and without."""
import email.message
import pwd
import stat
import textwrap

from lib import *
from peers import library_path, unpack

ROOT = f"root@{DOMAIN}"
BOB = "bob@example.net"
WEB = f"web@{DOMAIN}"
WEB_USER = "www-data"  # every Debian has this user
MESSAGE = f"From: Root <{ROOT}>\nTo: {BOB}\nSubject: hello\n\nIt works.\n"


class Machine:
    """A relay with a local socket, and a /usr/sbin in which posthouse is sendmail, for programs in a mount namespace of their own. All that
    other users need lies outside of the build directory, whose parents can be closed to them."""

    def __init__(self, start=True, users=f'{{ user = "{WEB_USER}"; login = "web"; }}', **settings):
        if os.geteuid() != 0:
            raise Skip("only root can be several users")
        needs_namespaces("--mount")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-machine-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        end_with_the_test(self)
        self.socket, self.drop = self.dir / "submit.sock", self.dir / "drop"
        self.drop.mkdir()
        self.drop.chmod(0o1733)
        self.sink = Sink()
        local = f'local = {{ socket = "{self.socket}"; drop = "{self.drop}"; users = ( {users} ); }};'
        self.relay = Relay(self.sink.port, start=start, extra=settings.pop("extra", "") + local, **settings)
        self.make_programs()
        self.count = 0

    def make_programs(self):
        """/usr/sbin as it is, with sendmail in it; and mailq, newaliases."""
        (self.dir / "bin").mkdir()
        shutil.copy(self.relay.build / "posthouse", self.dir / "bin/posthouse")
        for name in ("sendmail", "mailq", "newaliases"):
            (self.dir / "bin" / name).symlink_to("posthouse")
        self.mounts = []
        (self.farm("/usr/sbin", "sendmail") / "sendmail").symlink_to(self.dir / "bin/sendmail")

    def farm(self, path, *without):
        """In the namespace, a directory of the machine with all that is in it, but without these names: they can be put there."""
        name = path.strip("/").replace("/", "-")
        farm, real = self.dir / name, self.dir / f"{name}-real"
        farm.mkdir()
        real.mkdir()
        for entry in os.listdir(path):
            if entry not in without:
                (farm / entry).symlink_to(real / entry)
        self.mounts += [f"mount --bind {path} {real}", f"mount --bind {farm} {path}"]
        return farm

    def environment(self):
        return {"POSTHOUSE_LOCAL_SOCKET": str(self.socket), "POSTHOUSE_LOCAL_DROP": str(self.drop), "HOME": str(self.dir), "LC_ALL": "C.UTF-8",
                "PATH": f"{self.dir}/bin:/usr/sbin:/usr/bin:/bin", "LD_LIBRARY_PATH": ""}

    def command(self, arguments, user="root"):
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(self.mounts) + ' && exec "$@"', "sh", *become, *[str(a) for a in arguments]]

    def start(self, arguments):
        """A program that goes on until it is ended."""
        return start_process(self.command(arguments), self.environment())

    def inside(self, arguments, user="root", input="", check=True, timeout=60, **environment):
        """Run a program there as this user. Its output is in .text."""
        done = subprocess.run(self.command(arguments, user), input=input.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=self.dir,
                              env=dict(os.environ, **dict(self.environment(), **environment)))
        done.text = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0 or not check, f"{arguments}: exit {done.returncode}\n{done.text}\n{self.relay.log_tail(30)}"
        return done

    def dropped(self):
        return sorted(f for f in self.drop.iterdir() if f.is_file())

    def expect(self, sender=ROOT, recipients=(BOB,), text="It works."):
        """The next message at the next hop."""
        self.count += 1
        m = self.sink.wait(self.count)[self.count - 1]
        assert m.sender == sender and list(m.recipients) == list(recipients), (m.sender, m.recipients)
        assert text in m.bytes.decode(), m.bytes
        assert verify_dkim(self.relay, m), m.bytes
        return m

    def both_ways(self, hand_in, **expected):
        """What it hands in arrives: at once, and when the relay was down and runs again."""
        hand_in()
        first = self.expect(**expected)
        self.relay.stop()
        hand_in()
        [file] = self.dropped()
        assert stat.S_IMODE(file.stat().st_mode) == 0o744, oct(file.stat().st_mode)
        second = self.after_a_start(lambda: self.expect(**expected)) or first
        assert first.message["Subject"] == second.message["Subject"], (first.bytes, second.bytes)
        return first, second

    def after_a_start(self, wait):
        """What wait() returns, when the drop directory is emptied by the relay; nothing with a build that has no role for it."""
        self.relay.start()
        if not (self.relay.build / "posthouse-pickup").exists():
            for file in self.dropped():
                file.unlink()
            return None
        value = wait()
        wait_for(lambda: not self.dropped(), "an empty drop directory")
        return value

    def end(self, keep=False):
        shutil.rmtree(self.dir, ignore_errors=True)


def test_the_caller_is_known_and_a_stopped_relay_loses_nothing():
    machine = Machine()
    for user, sender in (("root", ROOT), (WEB_USER, WEB)):
        first, second = machine.both_ways(lambda: machine.inside(["/usr/sbin/sendmail", "-i", "-t", "-FThe Name"], user, f"To: {BOB}\nSubject: hi\n\nIt works.\n"),
                                          sender=sender)
        for m in (first, second):
            assert m.message["From"].addresses[0].addr_spec == sender, m.bytes
            assert m.message["From"].addresses[0].display_name == "The Name", m.bytes


def test_many_recipients():
    """More than a message of the relay can have: they get several."""
    machine = Machine(limits="recipients_per_message = 30;")
    everybody = [f"r{i:03}@example.net" for i in range(130)]
    machine.inside(["/usr/sbin/sendmail", "-i", *everybody], input=MESSAGE)
    wait_for(lambda: sorted(r for m in machine.sink.messages for r in m.recipients) == everybody, "all recipients, once")
    assert machine.dropped() == []
    machine.relay.stop()
    machine.inside(["/usr/sbin/sendmail", "-i", *everybody], input=MESSAGE)
    assert [len(re.findall("^to: ", f.read_text(), re.M)) for f in machine.dropped()] in ([100, 30], [30, 100])


# ---- programs that write mail themselves ----
def test_mailx():
    machine = Machine()
    root = unpack(["bsd-mailx", "liblockfile1", "libbsd0"])
    for program in (root / "usr/bin/bsd-mailx", "s-nail"):
        machine.both_ways(lambda: machine.inside([program, "-s", "hello", BOB], input="It works.\n", LD_LIBRARY_PATH=library_path(root)))


def test_php():
    machine = Machine()
    script = f'var_dump(mail("{BOB}", "hello", "It works.", "From: {WEB}\\r\\nBcc: carol@example.net", "-f{WEB}"));'
    first, _ = machine.both_ways(lambda: machine.inside(["php", "-d", "sendmail_path=/usr/sbin/sendmail -t -i", "-r", script], WEB_USER), sender=WEB,
                                 recipients=(BOB, "carol@example.net"))
    assert first.message["Bcc"] is None and first.message["Subject"] == "hello", first.bytes
    refused = machine.inside(["php", "-r", script.replace(WEB, "eve@example.com")], WEB_USER, check=False)
    assert "bool(false)" in refused.text and "550 5.7.1" in refused.text, refused.text


def test_git_send_email():
    machine = Machine()
    patch = machine.dir / "0001.patch"
    patch.write_text(f"From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: Root <{ROOT}>\nDate: Tue, 2 Mar 2027 14:02:11 +0000\n"
                     "Subject: [PATCH] It works.\n\n---\n a | 1 +\n")
    machine.both_ways(lambda: machine.inside(["git", "send-email", "--from", ROOT, "--to", BOB, "--suppress-cc=all", "--confirm=never", patch],
                                             GIT_CONFIG_NOSYSTEM="1", EMAIL=ROOT))


def test_neomutt():
    machine = Machine()
    machine.both_ways(lambda: machine.inside(["neomutt", "-n", "-F", "/dev/null", "-e", f"set from={ROOT}", "-e", "set copy=no", "-s", "hello", BOB], input="It works.\n"))


PYTHON = """
import email.message, subprocess
m = email.message.EmailMessage()
m["From"], m["To"], m["Subject"] = "web@example.org", "bob@example.net", "hello"
m.set_content("It works.")
subprocess.run(["/usr/sbin/sendmail", "-t", "-oi"], input=m.as_bytes(), check=True)
"""
PERL = """
open(my $mail, "|-", "/usr/sbin/sendmail -t -oi -oem") or die;
print $mail "To: bob\\@example.net\\nSubject: hello\\n\\nIt works.\\n";
close $mail or die "sendmail: $?";
"""


def test_python_and_perl():
    machine = Machine()
    machine.both_ways(lambda: machine.inside(["/usr/bin/python3", "-c", PYTHON], WEB_USER), sender=WEB)
    machine.both_ways(lambda: machine.inside(["perl", "-e", PERL], WEB_USER), sender=WEB)


# ---- programs that tell the administrator ----
def test_cron():
    """Debian's cron: the output of jobs, of root and of another user, by its own command line."""
    machine = Machine()
    cron = unpack(["cron"]) / "usr/sbin/cron"
    jobs = machine.farm("/etc", "cron.d") / "cron.d"
    jobs.mkdir()
    (jobs / "job").write_text(f"SHELL=/bin/sh\nMAILTO={BOB}\n@reboot root echo It works.\n@reboot {WEB_USER} echo It works.\n")
    (machine.dir / "spool/cron/crontabs").mkdir(parents=True)
    machine.mounts += [f"mount --bind {machine.dir}/spool /var/spool", "mount -t tmpfs tmpfs /run"]

    def run_jobs(until):
        """All jobs run at the start of a cron that has not run since the boot."""
        process = machine.start([cron, "-f"])
        wait_for(until, "the mail of two jobs")
        process.end()

    run_jobs(lambda: len(machine.sink.messages) >= 2)
    machine.relay.stop()
    run_jobs(lambda: len(machine.dropped()) == 2)
    machine.after_a_start(lambda: machine.sink.wait(4))
    for m in machine.sink.messages:
        assert m.sender in (ROOT, WEB) and m.recipients == [BOB] and b"It works." in m.bytes, m.bytes
        assert "Cron <" in m.message["Subject"] and m.message["From"].addresses[0].addr_spec == m.sender, m.bytes
    assert sorted({m.sender for m in machine.sink.messages}) == [ROOT, WEB] and len(machine.sink.messages) in (2, 4)


# The exact command lines of programs that are too large to be unpacked here, with what they write.
IDIOMS = {
    "mdadm --monitor": (["-t"], "From: mdadm monitoring <root>\nTo: root\nSubject: DegradedArray event on /dev/md0:relay\nX-Mdadm: ping\n\nIt works.\n"),
    "apt-listchanges": (["-oi", "-t"], 'Auto-Submitted: auto-generated\nContent-Type: text/plain; charset="utf-8"\nMIME-Version: 1.0\nSubject: apt-listchanges: news for relay\n'
                                      "To: root\nFrom: root <root>\n\nIt works.\n"),
    "mime-construct of logcheck": (["-oi", "-t"], "To: root\nSubject: relay 2027-03-02 14:02 System Events\nAuto-Submitted: auto-generated\n\nIt works.\n"),
    "fail2ban": (["-f", "fail2ban", "root"], "Subject: [Fail2Ban] sshd: started\nDate: Tue, 2 Mar 2027 14:02:11 +0000\nFrom: Fail2Ban <fail2ban>\nTo: root\n\nIt works.\n"),
    "zed, of ZFS": (["-i", "root"], "Subject: ZFS event\n\nIt works.\n"),
}


def test_programs_that_write_to_root():
    machine = Machine()
    for name, (arguments, text) in IDIOMS.items():
        m = machine.both_ways(lambda: machine.inside(["/usr/sbin/sendmail", *arguments], input=text), sender=f"fail2ban@{DOMAIN}" if name == "fail2ban" else ROOT,
                              recipients=(f"postmaster@{DOMAIN}",))[0]
        assert m.message["From"].addresses[0].domain == DOMAIN, (name, m.bytes)


def test_smartd():
    """Its script that mails a warning, which calls mail."""
    machine = Machine()
    root = unpack(["smartmontools", "bsd-mailx", "liblockfile1", "libbsd0"])
    (machine.farm("/usr/bin", "mail") / "mail").symlink_to(root / "usr/bin/bsd-mailx")
    (machine.dir / "warning").write_text("It works.\n")
    machine.both_ways(lambda: machine.inside(["bash", root / "etc/smartmontools/run.d/10mail", machine.dir / "warning", "-s", "SMART error", BOB],
                                             LD_LIBRARY_PATH=library_path(root)))


# ---- what sendmail does besides ----
def test_smtp_on_standard_input():
    machine = Machine()
    dialogue = f"EHLO here\nMAIL FROM:<{WEB}>\nRCPT TO:<{BOB}>\nDATA\nFrom: {WEB}\nSubject: hello\n\nIt works.\n.\nQUIT\n".replace("\n", "\r\n")
    done = machine.inside(["/usr/sbin/sendmail", "-bs"], WEB_USER, dialogue)
    assert done.text.startswith("220 ") and "queued as" in done.text and "AUTH" not in done.text, done.text
    machine.expect(sender=WEB)
    machine.relay.stop()
    done = machine.inside(["/usr/sbin/sendmail", "-bs"], WEB_USER, dialogue, check=False)
    assert done.returncode == 75 and done.text.startswith("421 4.3.2 "), done.text


def test_aliases():
    machine = Machine()
    (machine.farm("/etc", "aliases") / "aliases").write_text("root: bob@example.net, ops\nops: carol@example.net, |/bin/pager\n")
    done = machine.inside(["/usr/sbin/sendmail", "-v", "-i", "root"], input=MESSAGE)
    assert "/bin/pager is not supported" in done.text and f"C: RCPT TO:<{BOB}>" in done.text and "queued as" in done.text, done.text
    machine.expect(recipients=(BOB, "carol@example.net"))
    machine.inside(["/usr/sbin/sendmail", "-n", "-i", "root"], input=MESSAGE)
    machine.expect(recipients=(f"postmaster@{DOMAIN}",))


def test_the_queue_and_other_names():
    machine = Machine()
    machine.sink.stop()
    machine.inside(["/usr/sbin/sendmail", "-i", BOB, "carol@example.net"], input=MESSAGE)
    [row] = wait_for(lambda: [r for r in machine.relay.queue() if r["reply"]], "an attempt")
    sendmail = [machine.relay.build / "posthouse", "-c", machine.relay.conf, "sendmail"]
    listed = machine.inside([*sendmail, "-bp"]).text
    assert re.search(rf"^{row['id']}  +\d+ \w{{3}} \w{{3}} [ \d]\d \d\d:\d\d:\d\d  {ROOT}\n\(.*refused.*\)\n +{BOB}\n +carol@example.net\n\n-- 1 Kbytes in 1 Request\.$",
                     listed, re.M | re.I), listed
    machine.sink.start()
    machine.inside([*sendmail, "-q"])
    machine.expect(recipients=(BOB, "carol@example.net"))
    machine.relay.wait_empty()
    assert machine.inside([*sendmail, "-bp"]).text == "Mail queue is empty\n"
    assert machine.inside([machine.dir / "bin/newaliases"]).text == ""
    machine.relay.stop()
    machine.inside(["/usr/sbin/sendmail", "-i", BOB], WEB_USER, f"From: {WEB}\n\nIt works.\n")
    waiting = machine.inside([*sendmail, "-bp"], check=False)
    assert waiting.returncode == 69 and "no relay is running" in waiting.text and f"  {WEB_USER}\n(waits until the relay takes it" in waiting.text, waiting.text
    [file] = machine.dropped()
    file.rename(machine.drop / "\033]0;x\a")  # its owner chooses the name, which comes to an administrator's terminal
    listed = machine.inside([*sendmail, "-bp"], check=False).text
    assert "waits until the relay takes it" in listed and "\033" not in listed and "\a" not in listed, listed
    (machine.drop / "\033]0;x\a").rename(file)
    machine.after_a_start(lambda: machine.expect(sender=WEB))


def test_a_user_namespace_has_other_numbers():
    """The client is root there, and a user of programs for the relay: the kernel knows, and nothing that the client says is compared."""
    needs_namespaces("--user")
    machine = Machine()
    within = ["unshare", "--user", "--map-root-user", "/usr/sbin/sendmail", "-i", BOB]
    for arguments in (within, [*within[:-1], "-N", "never", BOB]):  # with parameters, which need an address in a drop file
        machine.both_ways(lambda: machine.inside(arguments, WEB_USER, "Subject: hi\n\nIt works.\n"), sender=WEB)


def test_more_recipients_than_there_can_be():
    machine = Machine()
    everybody = ", ".join(f"r{i}@example.net" for i in range(10001))
    done = machine.inside(["/usr/sbin/sendmail", "-i", "-t"], input=f"To: {BOB}\nBcc: {everybody}\n\nIt works.\n".replace(", ", ",\n "), check=False)
    assert done.returncode == 65 and "more than 10000 recipients" in done.text, done.text
    assert machine.dropped() == [] and machine.sink.messages == []
