"""powercut.py - build a directory as a power cut would have left it, from the shadow that powercut.c has kept."""
import os
import pathlib
import shutil
import sys


def restore(shadow, directory):
    """Replace `directory` by what is durable of it. No process may use it any more."""
    shadow, directory = pathlib.Path(shadow), pathlib.Path(directory)
    mode = directory.stat().st_mode & 0o7777
    shutil.rmtree(directory)
    _restore_directory(shadow, (shadow / "root").read_text(), directory, mode)


def _restore_directory(shadow, key, directory, mode):
    directory.mkdir()
    os.chmod(directory, mode)
    names = shadow / "names" / key
    for line in names.read_text().splitlines() if names.exists() else ():
        kind, below_mode, below_key, name = line.split(" ", 3)
        if kind == "d":
            _restore_directory(shadow, below_key, directory / name, int(below_mode, 8))
            continue
        data = shadow / "data" / below_key
        (directory / name).write_bytes(data.read_bytes() if data.exists() else b"")  # a name without data: an empty file
        os.chmod(directory / name, int(below_mode, 8))


if __name__ == "__main__":
    restore(*sys.argv[1:])
