"""Debian's own programs that write to an administrator, unpacked and not installed, on a machine on which posthouse is sendmail."""
from lib import *
from peers import unpack
from test_sendmail import BOB, Machine, WEB, WEB_USER


def test_logcheck():
    """As its cron job runs it: as a user of its own, with a log in which something happened."""
    root = unpack(["logcheck", "logtail", "mime-construct", "libmime-types-perl", "libproc-waitstat-perl", "libipc-signal-perl", "lockfile-progs", "liblockfile1"])
    machine = Machine()
    parts = machine.dir / "debian"  # what other users can reach
    shutil.copytree(root / "usr/share/perl5", parts / "perl5")
    for library in root.glob("usr/lib/*/liblockfile.so*"):
        shutil.copy(library, parts)
    programs = ("lockfile-create", "lockfile-remove", "lockfile-touch", "mime-construct")
    farm = machine.farm("/usr/bin", *programs)
    for name in programs:
        shutil.copy(root / "usr/bin" / name, farm)
    for name in ("logcheck", "logtail", "logtail2"):
        shutil.copy(root / "usr/sbin" / name, machine.dir / "usr-sbin")
    config, state = machine.dir / "logcheck.conf", machine.dir / "state"
    config.write_text(f'REPORTLEVEL="server"\nSENDMAILTO="{BOB}"\nMAILASATTACH=0\nTMP="{machine.dir}/tmp"\nLOCKDIR="{state}"\n')
    log = machine.dir / "auth.log"
    for place in (state, machine.dir / "tmp", machine.dir / "rules"):
        place.mkdir()
        shutil.chown(place, WEB_USER)
    for rules in ("cracking.d", "cracking.ignore.d", "violations.d", "violations.ignore.d", "ignore.d.server"):
        (machine.dir / "rules" / rules).mkdir()
        (machine.dir / "rules" / rules / "local").write_text("^that is nowhere$\n")
    log.write_text("")
    log.chmod(0o666)

    def hand_in():
        with open(log, "a") as f:
            f.write("Mar  2 14:02:11 relay kernel: It works.\n")
        machine.inside(["bash", "/usr/sbin/logcheck", "-c", config, "-l", log, "-S", state, "-r", machine.dir / "rules"], WEB_USER,
                       PERL5LIB=str(parts / "perl5"), LD_LIBRARY_PATH=str(parts), LOGNAME=WEB_USER, USER=WEB_USER)

    hand_in()
    first = machine.expect(sender=WEB)
    assert "System Events" in first.message["Subject"] and first.message["To"] == BOB, first.bytes
    machine.relay.stop()
    hand_in()
    assert len(machine.dropped()) == 1
    machine.after_a_start(lambda: machine.expect(sender=WEB))


def package_with_news(path):
    """A .deb with one entry in its NEWS.Debian."""
    tree = path.parent / "tree"
    documents = tree / "usr/share/doc/mailnews"
    (tree / "DEBIAN").mkdir(parents=True)
    documents.mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: mailnews\nVersion: 2.0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: news\n")
    news = "mailnews (2.0) unstable; urgency=medium\n\n  * It works.\n\n -- A <a@example.org>  Tue, 02 Mar 2027 14:02:11 +0000\n"
    subprocess.run(["gzip", "-n"], input=news.encode(), stdout=open(documents / "NEWS.Debian.gz", "wb"), check=True)
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", tree, path], check=True, stdout=subprocess.DEVNULL)
    return path


def test_apt_listchanges():
    root = unpack(["apt-listchanges", "python3-apt", "python-apt-common", "python3-debconf"])
    machine = Machine()
    package = package_with_news(machine.dir / "mailnews.deb")

    def hand_in():
        machine.inside(["/usr/bin/python3", root / "usr/bin/apt-listchanges", "--profile=none", "--frontend=mail", f"--email-address={BOB}",
                        "--which=news", "--show-all", package],
                       PYTHONPATH=f"{root}/usr/share/apt-listchanges:{root}/usr/lib/python3/dist-packages", APT_LISTCHANGES_FRONTEND="mail")

    machine.both_ways(hand_in)
