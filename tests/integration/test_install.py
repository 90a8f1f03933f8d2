"""What `ninja install` brings, compared with the folders of the sources: nothing is forgotten, and nothing else comes."""
import re

from lib import *

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DOC = "share/doc/posthouse"


def wanted():
    """The files below the prefix, and which of them are programs."""
    roles = re.findall(r"^ROLE\([A-Z]+, ([a-z]+), ([0-9]+)", (TOP / "include/posthouse/roles.def").read_text(), flags=re.M)
    programs = {"bin/posthouse"} | {f"libexec/posthouse/posthouse-{name}" for name, start in roles if start != "0"}
    programs |= {f"libexec/posthouse/posthouse-{name}-postgresql" for name in ("queue", "store")}
    files = {f"share/man/man{page.suffix[1:]}/{page.name}" for page in (TOP / "man").iterdir()}
    files |= {f"{DOC}/posthouse.conf", "share/bash-completion/completions/posthouse", "share/zsh/site-functions/_posthouse",
              "share/fish/vendor_completions.d/posthouse.fish", "lib/systemd/system/posthouse.service", "lib/sysusers.d/posthouse.conf",
              "lib/tmpfiles.d/posthouse.conf"} | {f"share/posthouse/systemd/{name}" for name in ("keep-keys", "read-all-keys.conf", "users.conf")}
    for part in ("fail2ban", "monitoring"):
        files |= {f"{DOC}/{path.relative_to(TOP / 'packaging')}" for path in (TOP / "packaging" / part).rglob("*") if path.is_file()}
    return programs, files


def test_an_installation_is_complete():
    to = pathlib.Path(WORK_DIR()) / "installed"
    subprocess.run(["meson", "install", "-C", RELEASE.parent, "--no-rebuild", "--quiet", "--destdir", to], check=True)
    prefix = to / "usr/local"
    found = {str(path.relative_to(prefix)) for path in to.rglob("*") if not path.is_dir()}
    programs, files = wanted()
    assert len(programs) > 8 and found == programs | files, (sorted(found - programs - files), sorted((programs | files) - found))
    for name in found:
        mode = (prefix / name).stat().st_mode & 0o7777
        assert mode == (0o755 if name in programs else 0o644), (name, oct(mode))
    unit = (prefix / "lib/systemd/system/posthouse.service").read_text()
    assert "@" not in re.sub(r"^#.*|@system-service|@privileged|@resources", "", unit, flags=re.M), unit
    assert "ExecStart=/usr/local/bin/posthouse serve\n" in unit and "ExecReload=/usr/local/bin/posthouse reload\n" in unit, unit
    directories = (prefix / "lib/tmpfiles.d/posthouse.conf").read_text()
    for line in ("d /run/posthouse 0755 posthouse posthouse", "d /var/spool/posthouse/drop 1733 posthouse posthouse"):
        assert line in directories, directories
    assert {line.split()[1] for line in (prefix / "lib/sysusers.d/posthouse.conf").read_text().splitlines() if line[0] != "#"} == \
        {"posthouse", "posthouse-net", "posthouse-key", "posthouse-login", "posthouse-admin", "posthouse-secrets"}
