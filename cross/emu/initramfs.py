#!/usr/bin/env python3
"""Packs an initramfs: busybox, the files named, kernel modules with what they depend on.

usage: initramfs.py OUT BUSYBOX MODULE_DIR "MODULE..." [SOURCE=/path/in/guest...]

Modules may be compressed (.ko.xz, .ko.zst, .ko.gz); in the initramfs they are not, for busybox's insmod.

Needs neither root nor cpio, and the same input gives the same bytes.
"""
import gzip
import lzma
import pathlib
import re
import shutil
import subprocess
import sys


class Archive:
    """A cpio archive in the "newc" form that the kernel unpacks."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0
        self.directories = {""}

    def entry(self, name, mode, content=b""):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.pad()
        self.data += content
        self.pad()

    def pad(self):
        self.data += b"\0" * (-len(self.data) % 4)

    def directory(self, name):
        if name not in self.directories:
            self.directory(name.rpartition("/")[0])
            self.directories.add(name)
            self.entry(name, 0o040755)

    def file(self, name, content, mode):
        self.directory(name.rpartition("/")[0])
        self.entry(name, 0o100000 | mode, content)

    def link(self, name, target):
        self.entry(name, 0o120777, target.encode())

    def finish(self):
        self.entry("TRAILER!!!", 0)
        return gzip.compress(bytes(self.data), 6, mtime=0)


def unpacked(path):
    """What is in a module's file, however that is compressed."""
    if path.suffix == ".zst":
        if not shutil.which("zstd"):
            sys.exit(f"initramfs: no zstd to unpack {path.name} with; 'apt-get install zstd'")
        return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    return {".xz": lzma.decompress, ".gz": gzip.decompress}.get(path.suffix, bytes)(path.read_bytes())


def with_dependencies(module_dir, names):
    """Name and content of the module files for `names`, each after those it needs, as their own .modinfo says."""
    paths = [path for path in pathlib.Path(module_dir).rglob("*.ko*") if re.search(r"\.ko(\.(xz|zst|gz))?$", path.name)]
    files = {path.name.partition(".ko")[0].replace("-", "_"): path for path in paths}
    ordered = {}

    def add(name):
        name = name.replace("-", "_")
        if name in ordered:
            return
        if name not in files:
            sys.exit(f"initramfs: no module '{name}' in {module_dir}")
        content = unpacked(files[name])
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in filter(None, (depends.group(1) if depends else b"").decode().split(",")):
            add(needed)
        ordered[name] = (files[name].name.partition(".ko")[0] + ".ko", content)

    for name in names:
        add(name)
    return ordered.values()


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    out, busybox, module_dir, modules, *files = sys.argv[1:]
    archive = Archive()
    for name in ["bin", "dev", "etc", "lib", "proc", "root", "sys", "tmp"]:
        archive.directory(name)
    archive.file("bin/busybox", pathlib.Path(busybox).read_bytes(), 0o755)
    archive.link("bin/sh", "busybox")
    wanted = with_dependencies(module_dir, modules.split())
    for name, content in wanted:
        archive.file("lib/modules/" + name, content, 0o644)
    archive.file("etc/modules", "".join(name + "\n" for name, _ in wanted).encode(), 0o644)
    for item in files:
        source, _, destination = item.partition("=")
        path = pathlib.Path(source)
        archive.file(destination.lstrip("/"), path.read_bytes(), path.stat().st_mode & 0o777)
    pathlib.Path(out).write_bytes(archive.finish())


if __name__ == "__main__":
    main()
