"""The small container image, in namespaces of the test: any user with group 0, a read-only root, no capabilities, process 1, secrets that
everybody can read. It is started with the variables and mounts of packaging/container/compose.yaml, and then, on the same volume, with
those of the Kubernetes manifests."""
import http.client
import importlib.machinery
import importlib.util
import re
import tarfile
import time

import yaml

from lib import *
from test_devices import other_network

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = TOP / "packaging/container"
UID = 1000650000
ADDRESS, OURS = "10.77.0.2", "10.77.0.1"  # of the container, and of the application and the next hop
STATE = "/var/lib/posthouse"

# root, then pairs of a source ("tmpfs" or a directory) and a place in the root
MOUNTS = """
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
while [ "$1" != -- ]; do
	case $1 in
	tmpfs) mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root$2" ;;
	*) mount --bind "$1" "$root$2" ;;
	esac
	shift 2
done
shift
mount -o remount,bind,ro "$root"
[ ! -d "$root/run/secrets/unused" ] || mount -o remount,bind,ro "$root/run/secrets"
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start # as Docker has it
exec "$@"
"""
BECOME = f"""
import ctypes, json, os, sys, warnings  # execvpe() imports the last one, which is not in the root
libc = ctypes.CDLL(None)
root, groups, environment = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
os.chroot(root)
os.chdir("/")
for capability in range(64):
    libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
os.setgroups(groups)
os.setgid(0)
os.setuid({UID})
os.execvpe(sys.argv[4], sys.argv[4:], environment)
"""


def image_settings():
    """What the image says of itself, as packaging/container/oci-archive reads it from the Containerfile."""
    loader = importlib.machinery.SourceFileLoader("oci_archive", str(HERE / "oci-archive"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("oci_archive", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module.settings((HERE / "Containerfile").read_text(), "small")


def documents(path):
    return list(yaml.safe_load_all((HERE / path).read_text()))


def manifests():
    """{kind: its document}"""
    names = documents("kubernetes/kustomization.yaml")[0]["resources"]
    assert sorted(names) == sorted(p.name for p in (HERE / "kubernetes").iterdir() if p.name != "kustomization.yaml")
    return {d["kind"]: d for name in names for d in documents(f"kubernetes/{name}")}


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def small_root():
    """The root directory of the small image, from the release build."""
    top = pathlib.Path(WORK_DIR())
    top.chmod(0o755)
    subprocess.run(["meson", "install", "-C", RELEASE.parent, "--no-rebuild", "--quiet", "--strip", "--destdir", top / "installed"], check=True)
    subprocess.run([HERE / "rootfs", top / "installed", top / "root"], check=True)
    return top / "root"


def looked_at(root):
    """No shell and no other program; nothing that another user than root can change but what is to be written."""
    roles = re.findall(r"^ROLE\([A-Z]+, ([a-z]+), ([0-9]+)", (TOP / "include/posthouse/roles.def").read_text(), flags=re.M)
    programs = {"posthouse", "posthouse-queue-postgresql", "posthouse-store-postgresql",
                *(f"posthouse-{name}" for name, start in roles if start != "0")}
    found = {p.name for p in root.rglob("*") if p.is_file() and not p.is_symlink() and p.stat().st_mode & 0o111 and ".so" not in p.name}
    assert found == programs, found ^ programs
    done = subprocess.run([TOP / "tests/lint-built/hardening", root], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    for path in root.rglob("*"):
        if path.is_symlink():
            continue
        status, name = path.stat(), str(path.relative_to(root))
        assert not status.st_mode & 0o6000 and (not status.st_mode & 0o002 or name == "tmp"), (name, oct(status.st_mode))
        assert status.st_gid == 0 and status.st_uid == (65532 if name in ("run/posthouse", STATE[1:]) else 0), name
        if status.st_uid:
            assert status.st_mode & 0o777 == 0o770, "the group can do what the owner can"
    unpacked = sum(p.stat().st_size for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    archive = root.parent / "image.tar"
    said = subprocess.run([HERE / "oci-archive", root, "small", "posthouse:test", archive], check=True, stdout=subprocess.PIPE, text=True).stdout
    first = archive.read_bytes()
    subprocess.run([HERE / "oci-archive", root, "small", "posthouse:test", archive], check=True, stdout=subprocess.PIPE)
    assert archive.read_bytes() == first, "the same root makes the same bytes"
    print(f"{said.strip()}; files {unpacked / 1e6:.1f} MB")


class Container:
    def __init__(self, root, inside):
        self.root, self.inside, self.process = root, inside, None
        self.settings = image_settings()
        self.volume, self.secrets, self.log_path = root.parent / "volume", root.parent / "secrets", root.parent / "log"
        self.volume.mkdir()
        os.chown(self.volume, 4711, 0)  # of somebody else
        self.volume.chmod(0o770)
        self.secrets.mkdir()
        self.secret("unused", "")
        for name, text in (("hosts", "127.0.0.1 localhost\n"), ("resolv.conf", "nameserver 127.0.0.1\n")):  # engines do that
            (root / "etc" / name).write_text(text)
        end_with_the_test(self)

    def secret(self, name, text):
        (self.secrets / name).write_text(text)
        (self.secrets / name).chmod(0o444)

    def start(self, variables, mounts, groups=()):
        """With mounts: [(source, place)]. Returns the seconds until it is ready."""
        self.environment = dict(entry.split("=", 1) for entry in self.settings["Env"]) | variables
        for _, place in mounts:
            (self.root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "sh", "-ec", MOUNTS, "sh", self.root,
                 *(str(part) for mount in mounts for part in mount), "--", sys.executable, "-c", BECOME, self.root, json.dumps(list(groups)),
                 json.dumps(self.environment), *self.settings["Entrypoint"], *self.settings["Cmd"]], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        wait_for(self.is_ready, self.log)
        return time.monotonic() - started

    def log(self):
        return self.log_path.read_bytes()[self.log_start:].decode(errors="replace")

    def is_ready(self):
        assert self.process.poll() is None, f"it ended with {self.process.returncode}\n{self.log()}"
        return "event=master.ready" in self.log() or '"event":"master.ready"' in self.log()

    def pid(self):
        return pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]

    def execute(self, *command, user=UID, check=True):
        """As `docker exec` does it. Returns (exit code, what it printed)."""
        done = subprocess.run(["nsenter", "--target", self.pid(), "--mount", "--pid", "--net", "--ipc", "--root", "--setuid", str(user), "--setgid", "0", *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment, timeout=LIMIT)
        assert not check or done.returncode == 0, (command, done.stdout)
        return done.returncode, done.stdout

    def stop(self):
        """Returns the seconds until it has ended."""
        start = time.monotonic()
        os.kill(int(self.pid()), signal.SIGTERM)
        code, self.process = self.process.wait(LIMIT), None
        assert code == 0, self.log()
        return time.monotonic() - start

    def end(self, keep=False):
        if self.process and self.process.poll() is None:
            self.process.kill()  # --kill-child takes process 1 with it
            self.process.wait(LIMIT)
        if keep and self.log_path.exists():
            print(self.log_path.read_text(errors="replace")[-6000:])


def is_confined(container):
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{container.pid()}/status").read_text().splitlines() if ":\t" in line)
    assert status["NSpid"].split()[-1] == "1" and status["Uid"].split() == [str(UID)] * 4 and status["NoNewPrivs"] == "1", status
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0, status
    shell, said = container.execute("sh", "-c", "true", check=False)
    assert shell == 127, (shell, said)


def complaints(container):
    """Of modes, owners and places nothing is to be said, and no other warning but that the next hop is down."""
    return [line for line in container.log().splitlines() if re.search(r"level(?:=|\":\")(?:warning|error)|warning:|everybody can read|others than", line)
            and not re.search(r"event(?:=|\":\")upstream\.", line)]


def send(port, subject, password, tls):
    """From the application's network."""
    context = ssl._create_unverified_context()
    with (smtplib.SMTP_SSL(ADDRESS, port, timeout=LIMIT, context=context) if tls else smtplib.SMTP(ADDRESS, port, timeout=LIMIT)) as client:
        if not tls:
            client.starttls(context=context)
        client.login("shop", password)
        client.sendmail(f"shop@{DOMAIN}", ["bob@example.net"], simple_message(subject).replace(b"alice@", b"shop@"))


def answers(path):
    connection = http.client.HTTPConnection(ADDRESS, 9587, timeout=LIMIT)
    connection.request("GET", path, headers={"Accept": "application/openmetrics-text"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def subjects(sink):
    return [m.message["Subject"] for m in sink.messages]


def by_compose(container, variables_of_next_hop, sink):
    relay = documents("compose.yaml")[0]["services"]["relay"]
    mounts = [(container.volume, STATE), (container.secrets, "/run/secrets"), *(("tmpfs", place) for place in relay["tmpfs"])]
    took = container.start(relay["environment"] | variables_of_next_hop, mounts)
    print(f"ready {took:.2f} s after the start, with keys and a certificate to make")
    is_confined(container)
    health = container.settings["Healthcheck"]["Test"]
    assert health == relay["healthcheck"]["test"]
    assert container.execute(*health[1:])[1] == "healthy\n" and container.execute(*health[1:], user=0)[1] == "healthy\n"
    send(587, "one", "a password", tls=False)
    send(465, "two", "a password", tls=True)
    sink.wait(2)
    assert sorted(subjects(sink)) == ["one", "two"] and {login for _, login in sink.logins} == {"me@isp.example"}
    sink.stop()
    send(587, "kept", "a password", tls=False)
    assert len(rows_of(container.execute("posthouse", "queue", "list", "--json")[1])) == 1
    assert not complaints(container), container.log()
    print(f"stopped within {container.stop():.2f} s")


def by_kubernetes(container, variables_of_next_hop, sink):
    kinds = manifests()
    pod = kinds["StatefulSet"]["spec"]["template"]["spec"]
    group, relay = pod["securityContext"]["fsGroup"], pod["containers"][0]
    sources = {v["name"]: "tmpfs" if "emptyDir" in v else container.secrets for v in pod["volumes"]} | {"mail": container.volume}
    mounts = [(sources[m["name"]], m["mountPath"]) for m in relay["volumeMounts"]]
    os.chown(container.volume, -1, group)  # what fsGroup does with a volume
    container.volume.chmod(0o2775)
    took = container.start(kinds["ConfigMap"]["data"] | variables_of_next_hop, mounts, groups=[group])
    print(f"ready {took:.2f} s after the second start")
    assert answers("/healthz")[0] == 200 and answers("/readyz")[0] == 200
    status, metrics = answers("/metrics")
    assert status == 200 and metrics.endswith("# EOF\n"), metrics[-500:]
    assert container.execute("posthouse", "health")[1] == "healthy\n"
    sink.start()
    container.execute("posthouse", "queue", "flush")
    sink.wait(3)
    send(1465, "last", "a password", tls=True)
    sink.wait(4)
    assert subjects(sink)[2:] == ["kept", "last"], subjects(sink)
    assert not complaints(container), container.log()
    container.stop()


@time_limit(600)
def test_small_image():
    inside = other_network()
    needs_namespaces("--mount", "--pid", "--ipc", "--uts", "--fork")
    root = small_root()
    looked_at(root)
    context, certificate = tls_context(WORK_DIR(), "sink.example.net")
    sink = Sink(host=OURS, tls="starttls", tls_context=context, require_tls=True, users={"me@isp.example": "se,cret"})
    container = Container(root, inside)
    _, own = tls_context(WORK_DIR(), documents("compose.yaml")[0]["services"]["relay"]["environment"]["POSTHOUSE_HOSTNAME"], days=90)
    for name, text in (("shop", "a password\n"), ("users", "shop:a password\n"), ("upstream", "se,cret\n"), ("ca", certificate.read_text()),
                       ("tls.crt", own.read_text()), ("tls.key", own.with_suffix(".key").read_text())):
        container.secret(name, text)
    to_sink = {"POSTHOUSE_UPSTREAM": f"{OURS}:{sink.port}", "POSTHOUSE_UPSTREAM_TLS_NAME": "sink.example.net", "POSTHOUSE_SET_doctor__daily": "no"}
    by_compose(container, to_sink | {"POSTHOUSE_UPSTREAM_CA": "/run/secrets/ca"}, sink)
    by_kubernetes(container, to_sink | {"POSTHOUSE_UPSTREAM_CA": "/run/secrets/posthouse/ca"}, sink)


def test_compose_agrees_with_itself():
    compose, settings = documents("compose.yaml")[0], image_settings()
    relay, application = compose["services"]["relay"], compose["services"]["application"]
    variables = relay["environment"]
    in_files = {v for v in variables.values() if v.startswith("/run/secrets/")}
    assert {v.removeprefix("/run/secrets/") for v in in_files} == set(relay["secrets"]) == set(compose["secrets"])
    assert in_files == {v for name, v in variables.items() if name.endswith("_FILE") or name in ("POSTHOUSE_CERTIFICATE", "POSTHOUSE_KEY")}
    # the application trusts the certificate of the name that it connects to
    assert [application["environment"]["SMTP_HOST"]] == relay["networks"]["default"]["aliases"] == [variables["POSTHOUSE_HOSTNAME"]]
    assert application["environment"]["SSL_CERT_FILE"] == variables["POSTHOUSE_CERTIFICATE"]
    assert {v.removeprefix("/run/secrets/") for v in application["environment"].values() if v.startswith("/run/")} == set(application["secrets"])
    assert application["environment"]["SMTP_USER"] == variables["POSTHOUSE_USER"]
    assert application["environment"]["SMTP_PASSWORD_FILE"] == variables["POSTHOUSE_PASSWORD_FILE"]
    assert f"{application['environment']['SMTP_PORT']}/tcp" in settings["ExposedPorts"]
    [(volume, place)] = [v.split(":") for v in relay["volumes"]]
    assert volume in compose["volumes"] and list(settings["Volumes"]) == [place]
    assert relay["read_only"] is True and relay["cap_drop"] == ["ALL"] and relay["user"] == settings["User"]
    assert seconds(variables["POSTHOUSE_SHUTDOWN_GRACE"]) < seconds(relay["stop_grace_period"])
    assert application["depends_on"] == {"relay": {"condition": "service_healthy"}}
    version = re.search(r"^  version : '(.*)',$", (TOP / "meson.build").read_text(), flags=re.M)[1]
    assert relay["image"] == f"posthouse:{version}" and settings["Labels"]["org.opencontainers.image.version"] == version


def test_manifests_agree():
    kinds = manifests()
    stateful = kinds["StatefulSet"]["spec"]
    pod = stateful["template"]["spec"]
    relay, labels = pod["containers"][0], stateful["template"]["metadata"]["labels"]
    variables, secret = kinds["ConfigMap"]["data"], kinds["Secret"]
    # names
    assert stateful["selector"]["matchLabels"] == labels == kinds["Service"]["spec"]["selector"] == kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert stateful["serviceName"] == kinds["Service"]["metadata"]["name"]
    assert relay["envFrom"] == [{"configMapRef": {"name": kinds["ConfigMap"]["metadata"]["name"]}}]
    assert all(isinstance(v, str) for v in variables.values())
    assert relay["image"] == documents("compose.yaml")[0]["services"]["relay"]["image"]
    # ports
    ports = {p["name"]: p["containerPort"] for p in relay["ports"]}
    assert ports == {"submission": int(variables["POSTHOUSE_STARTTLS_PORT"]), "submissions": int(variables["POSTHOUSE_TLS_PORT"]),
                     "metrics": int(variables["POSTHOUSE_METRICS"].rpartition(":")[2])} and min(ports.values()) > 1023
    assert {p["targetPort"] for p in kinds["Service"]["spec"]["ports"]} == set(ports)
    assert {p["port"] for rule in kinds["NetworkPolicy"]["spec"]["ingress"] for p in rule["ports"]} == set(ports)
    assert {relay[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {"metrics"}
    # volumes and secrets
    volumes = {v["name"]: v for v in pod["volumes"] + [{"name": c["metadata"]["name"]} for c in stateful["volumeClaimTemplates"]]}
    mounts = {m["name"]: m["mountPath"] for m in relay["volumeMounts"]}
    assert set(volumes) == set(mounts) and mounts["mail"] in image_settings()["Volumes"]
    assert volumes["secrets"]["secret"] == {"secretName": secret["metadata"]["name"], "defaultMode": 0o444}
    files = {v for name, v in variables.items() if name.endswith("_FILE")}
    assert files == {f"{mounts['secrets']}/{name}" for name in secret["stringData"]}
    # confinement, and the time to stop
    of_pod, own = pod["securityContext"], relay["securityContext"]
    assert of_pod["runAsNonRoot"] and of_pod["seccompProfile"] == {"type": "RuntimeDefault"} and own["readOnlyRootFilesystem"]
    assert f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}" == image_settings()["User"]
    assert own["capabilities"] == {"drop": ["ALL"]} and own["allowPrivilegeEscalation"] is False
    assert seconds(variables["POSTHOUSE_SHUTDOWN_GRACE"]) < pod["terminationGracePeriodSeconds"]


def test_packages_of_the_debian_image():
    """The packages of the libraries that the programs name are those of the list."""
    programs = [p for p in RELEASE.glob("posthouse*") if p.is_file() and os.access(p, os.X_OK)]
    named = subprocess.run(["objdump", "-p", *programs], stdout=subprocess.PIPE, text=True, check=True).stdout
    packages = set()
    for library in set(re.findall(r"NEEDED +(\S+)", named)):
        found = subprocess.run(["dpkg", "-S", f"*-linux-gnu/{library}"], stdout=subprocess.PIPE, text=True, check=True).stdout
        packages.add(found.split(":")[0])
    listed = set(re.sub("#.*", "", (HERE / "packages-run").read_text()).split())
    data = {"ca-certificates", "dns-root-data", "libsasl2-modules", "tzdata"}
    assert listed == packages - {"libc6"} | data, listed ^ packages


@time_limit(3000)
def test_containerfile():
    """Where buildah is installed (tests/packages does not have it: it builds the relay once more). The base is made by debootstrap."""
    if os.geteuid() != 0 or not shutil.which("buildah"):
        raise Skip("buildah is not installed, or this is not root")
    to, store = pathlib.Path(WORK_DIR()) / "images", pathlib.Path(WORK_DIR()) / "storage"
    (store / "storage.conf").parent.mkdir()
    (store / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{store}/images"\nrunroot = "{store}/run"\n')
    done = subprocess.run([HERE / "build", to], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, TOOL="buildah", CONTAINERS_STORAGE_CONF=str(store / "storage.conf")))
    assert done.returncode == 0, done.stdout
    print(done.stdout)
    for stage in ("small", "debian"):
        with tarfile.open(to / f"{stage}.tar") as archive:
            manifest = json.load(archive.extractfile("manifest.json"))[0]
            built = json.load(archive.extractfile(manifest["Config"]))["config"]
        wanted = image_settings()
        assert wanted["Labels"].items() <= built["Labels"].items(), built
        assert all(built[key] == wanted[key] for key in wanted if key != "Labels"), built
    shutil.rmtree(store)
