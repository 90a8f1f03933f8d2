"""What the objects of a build define and use, by nm: for the lints that look at a build."""
import collections
import json
import os
import pathlib
import subprocess

SHARED = "store/rows"  # its sources are a part of each folder that compiles them


class Objects:
    """The objects of src in one build directory. An object has the name of its source, such as "queue/intake/judge.c"."""

    def __init__(self, build):
        build = pathlib.Path(build)
        commands = json.loads((build / "compile_commands.json").read_text())
        self.target = {}  # source -> the library or program that it is linked into
        self.defined = {}  # source -> global symbols
        self.undefined = {}  # source -> symbols of others
        self.outside = set()  # symbols that objects which are not below src use: tests, fuzz targets, the bench
        for command in commands:
            output = build / command["output"]
            if not output.exists():
                continue
            source = os.path.normpath(os.path.join(command["directory"], command["file"]))
            # What a test builds of the product's sources by itself counts as a part of the test.
            parts = pathlib.PurePath(command["output"]).parts
            if parts[0] != "src":
                self.outside |= self.symbols(output)[1]
                continue
            name = source[source.rindex("/src/") + 5:]
            if os.path.dirname(name) == SHARED:  # each engine compiles it with headers of its own
                name = f"{'/'.join(parts[1:-2])}/{os.path.basename(SHARED)}:{os.path.basename(name)}"
            self.target[name] = str(pathlib.PurePath(command["output"]).parent)
            self.defined[name], self.undefined[name] = self.symbols(output)

    @staticmethod
    def symbols(path):
        listed = subprocess.run(["nm", path], check=True, stdout=subprocess.PIPE, text=True).stdout
        fields = [line.split() for line in listed.splitlines()]
        defined = {f[2] for f in fields if len(f) == 3 and f[1] in "TDBRVWGC"}
        return defined, {f[1] for f in fields if len(f) == 2 and f[0] in "Uw"}

    def edges(self):
        """source -> { source whose symbols it uses: those symbols }. What a program defines is seen within that program only."""
        owners = collections.defaultdict(list)
        for name, symbols in self.defined.items():
            for symbol in symbols:
                owners[symbol].append(name)
        found = {name: collections.defaultdict(set) for name in self.defined}
        for name, symbols in self.undefined.items():
            for symbol in symbols:
                same = [owner for owner in owners[symbol] if self.target[owner] == self.target[name]]
                libraries = [owner for owner in owners[symbol] if os.path.basename(self.target[owner]).startswith("lib")]
                for owner in same or libraries:
                    found[name][owner].add(symbol)
        return found

    def unused(self):
        """(source, symbol) of each global symbol that no other object of src uses."""
        used = set().union(*self.undefined.values())
        return [(name, s) for name in sorted(self.defined) for s in sorted(self.defined[name]) if s not in used and s != "main"]


def build_of_tests(top):
    """The build directory that lints look at: the one that tests/run makes with gcc, or None where it is not built."""
    build = pathlib.Path(os.environ.get("POSTHOUSE_TEST_BUILD", top / "build-test")) / "gcc"
    return build if (build / "compile_commands.json").exists() else None


def room(name):
    """The folder below src that an object belongs to: "queue/intake"."""
    return os.path.dirname(name)


def circles(edges):
    """The strongly connected sets of more than one node (Tarjan), largest first."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in edges:
        if node not in index:
            visit(node)
    return sorted(found, key=len, reverse=True)
