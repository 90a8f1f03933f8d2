"""What users of the sources can verify: two `meson dist` make the same bytes, and tests/audit knows the libraries and their faults."""
import re

from lib import *

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def dist(name, umask):
    """The archive that `meson dist` makes in a clone of its own, at another time than the next one."""
    clone = pathlib.Path(WORK_DIR()) / name
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", f"file://{TOP}", clone], check=True)
    subprocess.run(f"umask {umask}; meson setup build -Dtests=disabled >/dev/null && meson dist -C build --no-tests >/dev/null", shell=True, cwd=clone, check=True)
    archive, = (clone / "build/meson-dist").glob("*.tar.xz")
    return archive


def test_meson_dist_makes_the_same_bytes():
    one = dist("one", "022")
    names = subprocess.run(["tar", "-tvf", one], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "SECURITY.md" in names and str(TOP) not in names, names
    assert one.read_bytes() == dist("another", "077").read_bytes()


def audit(*words):
    done = subprocess.run([TOP / "tests/audit", *words], stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


def test_audit_lists_what_is_linked():
    status, said = audit(RELEASE)
    assert status in (0, 1), said  # this machine's updates are not our fault
    for library in ("libssl.so", "libsasl2.so", "libuv.so", "libsqlite3.so", "libconfig.so", "libunbound.so", "libcurl.so", "libjansson.so",
                    "libmicrohttpd.so", "libidn2.so", "libpsl.so", "libidn.so", "libunistring.so", "libc.so"):
        assert re.search(rf"^{re.escape(library)}\.\d+ +lib\S+ \d\S*$", said, flags=re.M), (library, said)
    assert (status == 1) == ("open, and concerns us" in said), said


def test_audit_judges_versions():
    versions = pathlib.Path(WORK_DIR()) / "versions"
    versions.write_text("openssl 3.0.14-1~deb12u1\nlibuv1 1.44.2-1+deb12u1\n")
    status, said = audit("--versions", versions)
    assert status == 1 and "open, and concerns us: CVE-2024-6119 of openssl 3.0.14-1~deb12u1, mended in 3.0.14-1~deb12u2: " in said, said
    assert "CVE-2024-2511" not in said and "CVE-2024-24806" not in said, "mended already"
    versions.write_text("curl 7.88.1-10+deb12u10\n")
    status, said = audit("--versions", versions)
    assert status == 1 and "not reached by us: CVE-2025-0167 of curl" in said, said
    versions.write_text("nghttp2 1.52.0-1+deb12u2\nopenssl 3.0.99-1\n")
    status, said = audit("--versions", versions)
    assert status == 0 and "not reached by us: CVE-2026-27135" in said and "nothing open that concerns us is known" in said, said
