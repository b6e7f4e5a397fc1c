"""What the host saw on the wire: VRRP adverts from tcpdump's file, replies from ping's output."""
import re
import socket
import struct
import subprocess
import time
from dataclasses import dataclass

from vm import Failure, die_with_parent


@dataclass
class Advert:
    time: float  # the host's clock, seconds
    source: str
    ttl: int
    version: int
    vrid: int
    priority: int
    interval_ms: int
    checksum_ok: bool


def ones_complement(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def parse_advert(stamp, frame):
    """RFC 9568 §5 over IPv4 over Ethernet; None for anything else."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 112:
        return None
    header = (frame[14] & 15) * 4
    length = struct.unpack(">H", frame[16:18])[0]
    vrrp = frame[14 + header:14 + length]
    if len(vrrp) < 8 or len(vrrp) % 2:
        return None
    version = vrrp[0] >> 4
    pseudo = frame[26:34] + struct.pack(">BBH", 0, 112, len(vrrp))
    return Advert(
        time=stamp,
        source=socket.inet_ntoa(frame[26:30]),
        ttl=frame[22],
        version=version,
        vrid=vrrp[1],
        priority=vrrp[2],
        interval_ms=(struct.unpack(">H", vrrp[4:6])[0] & 0xFFF) * 10 if version == 3 else vrrp[5] * 1000,
        # Over the message alone, or for version 3 with the pseudo-header: both are in use on IPv4.
        checksum_ok=ones_complement(vrrp) == 0xFFFF or (version == 3 and ones_complement(pseudo + vrrp) == 0xFFFF),
    )


class Capture:
    def __init__(self, interface, path):
        self.path = path
        # -Z root: otherwise it gives up the right to write into our directory.
        self.tcpdump = subprocess.Popen(
            die_with_parent(["tcpdump", "-n", "-i", interface, "-U", "--immediate-mode", "-Z", "root", "-w", str(path), "ip proto 112"]),
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        first = self.tcpdump.stderr.readline()
        while b"listening on" not in first:
            if not first:
                raise Failure("tcpdump did not start")
            first = self.tcpdump.stderr.readline()

    def adverts(self, source=None, since=0.0):
        data = self.path.read_bytes()
        found, at = [], 24
        if len(data) < 24:
            return found
        order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
        while at + 16 <= len(data):
            seconds, micros, size, _ = struct.unpack(order + "IIII", data[at:at + 16])
            frame = data[at + 16:at + 16 + size]
            at += 16 + size
            if len(frame) < size:
                break  # tcpdump is writing it
            advert = parse_advert(seconds + micros / 1e6, frame)
            if advert and advert.time >= since and source in (None, advert.source):
                found.append(advert)
        return found

    def wait(self, what, timeout, source, since, wanted=lambda advert: True, count=1):
        """The first `count` adverts of `source` after `since` that are `wanted`."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = [advert for advert in self.adverts(source, since) if wanted(advert)]
            if len(found) >= count:
                return found[:count]
            time.sleep(0.05)
        raise Failure(f"no {what} from {source} within {timeout:.1f} s")


class Ping:
    """A host that uses the virtual address, 100 times a second."""

    def __init__(self, address, path):
        self.path = path
        with open(path, "wb") as out:
            self.process = subprocess.Popen(die_with_parent(["ping", "-n", "-D", "-i", "0.01", address]),
                                            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def longest_gap(self, since, until):
        """The longest time without an answer between two moments of the host's clock."""
        text = self.path.read_text(errors="replace")
        answers = [float(stamp) for stamp in re.findall(r"^\[([\d.]+)\] \d+ bytes from", text, re.M)]
        times = [since] + [stamp for stamp in answers if since <= stamp <= until] + [until]
        return max(later - earlier for earlier, later in zip(times, times[1:]))
