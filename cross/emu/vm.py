"""One emulated router: qemu, its network tap and its serial console."""
import re
import socket
import subprocess
import time


class Failure(Exception):
    """Something the test cannot go on after."""


def die_with_parent(command):
    """`command` so that the kernel ends it with us, however we end."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] + command


class Vm:
    def __init__(self, name, number, machine, work_dir):
        self.name = name
        self.address = f"10.77.0.{number}"
        self.log = open(work_dir / f"{name}.console", "wb")
        self.buffer = b""
        self.tag = 0
        self.console = None
        # An abstract socket: it is seen in our network namespace alone and leaves no file behind.
        path = f"console-{name}"
        # An empty romfile: the malta board has no use for boot ROMs, and a device that is not on PCI has none.
        rom = ",romfile=" if machine.nic.endswith("-pci") else ""
        self.qemu = subprocess.Popen(die_with_parent(
            machine.qemu + [
                "-display", "none", "-monitor", "none", "-no-reboot", "-kernel", machine.kernel, "-initrd", machine.initrd,
                "-append", f"console={machine.console} quiet panic=-1 rdinit=/init HOSTN={name} IP4={self.address}/24",
                "-chardev", f"socket,id=console,path={path},abstract=on,server=on,wait=off", "-serial", "chardev:console",
                "-netdev", f"tap,id=n0,ifname=tap{number},script=no,downscript=no",
                "-device", f"{machine.nic},netdev=n0,mac=02:00:0a:4d:00:{number:02x}{rom}",
            ]), stdin=subprocess.DEVNULL)
        self.started = time.monotonic()
        self.connect("\0" + path)

    def connect(self, path):
        while self.console is None:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(path)
                self.console = client
            except OSError:
                client.close()
                if self.qemu.poll() is not None:
                    raise Failure(f"{self.name}: qemu ended with status {self.qemu.returncode}") from None
                if time.monotonic() - self.started > 20:
                    raise Failure(f"{self.name}: no console after 20 s") from None
                time.sleep(0.02)

    def read_until(self, pattern, timeout):
        """What the console says up to and with `pattern`, as a match."""
        end = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.buffer, re.S)
            if match:
                self.buffer = self.buffer[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0:
                raise Failure(f"{self.name}: nothing like {pattern!r} within {timeout} s; the console ends: {self.buffer[-300:]!r}")
            self.console.settimeout(left)
            try:
                data = self.console.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise Failure(f"{self.name}: the console closed; it ends: {self.buffer[-300:]!r}")
            self.log.write(data)
            self.log.flush()
            self.buffer += data.replace(b"\r", b"")

    def wait_ready(self, timeout):
        """Seconds from qemu's start to a shell that listens."""
        self.read_until(rb"READY \S+\n", timeout)
        return time.monotonic() - self.started

    def run(self, command, timeout=30):
        """Runs a shell command; its exit status and what it printed."""
        self.tag += 1
        # The line is split by quotes, so that an echo of the command is not taken for its end.
        self.console.sendall(f"{{ {command}\n}}; echo \"end\"-{self.tag}=$?\n".encode())
        match = self.read_until(rb"(.*?)end-%d=(\d+)\n" % self.tag, timeout)
        return int(match.group(2)), match.group(1).decode(errors="replace")

    def must(self, command, timeout=30):
        status, output = self.run(command, timeout)
        if status != 0:
            raise Failure(f"{self.name}: '{command}' exited {status}: {output.strip()}")
        return output

    def kill(self):
        """As if the power went."""
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()
