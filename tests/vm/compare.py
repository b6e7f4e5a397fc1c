#!/usr/bin/env python3
"""Boots the two machines at once and compares what they tell; tests/vm/run starts it in namespaces of its own.

usage: compare.py DIR KERNEL INITRD
"""
import base64
import pathlib
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "cross/emu"))
from capture import parse_advert
from vm import die_with_parent

LIMIT = 240  # seconds for both; a machine takes about 70
# What a busy machine may add to a moment of either.
SLACK = 0.8
# Of the tracker `pair` in router.conf, and the steps in which it comes to what it wants.
DELAY = 1.0
GAINS = ["the other begins", "it is back"]
# The step in which the router starts.
FIRST = "nothing that it needs runs"


def boot(directory, kernel, initrd, daemon):
    out = directory / daemon
    return subprocess.Popen(die_with_parent([
        # Without KVM, which is not everywhere, nor always what it seems: the machines mostly wait.
        "qemu-system-x86_64", "-accel", "tcg", "-m", "320", "-nodefaults", "-display", "none",
        "-no-reboot", "-kernel", kernel, "-initrd", initrd,
        "-append", f"console=ttyS0 quiet panic=-1 random.trust_cpu=on DAEMON={daemon}",
        "-serial", f"file:{out}.console", "-serial", f"file:{out}.story",
    ]), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def frames(pcap):
    order = "<" if pcap[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    at = 24
    while at + 16 <= len(pcap):
        seconds, micros, size, _ = struct.unpack(order + "IIII", pcap[at:at + 16])
        yield seconds + micros / 1e6, pcap[at + 16:at + 16 + size]
        at += 16 + size


def story(directory, daemon):
    """The steps: (name, [(offset, new advert)], [(offset, call)], last advert)."""
    text = (directory / f"{daemon}.story").read_text(errors="replace").replace("\r", "")
    told, _, wire = text.partition("== wire\n")
    if "== end" not in wire or " end\n" not in told:
        sys.exit(f"FAIL the machine with {daemon} told no whole story; its console ends:\n"
                 + (directory / f"{daemon}.console").read_text(errors="replace")[-4000:])
    adverts = []
    for moment, frame in frames(base64.b64decode(wire.partition("== end")[0])):
        advert = parse_advert(moment, frame)
        if advert is None:
            sys.exit(f"FAIL no VRRP on the wire of {daemon}: {frame.hex()}")
        # The whole message, and of the header what a receiver looks at.
        adverts.append((moment, f"{advert.source} priority {advert.priority} ttl {advert.ttl} {frame[34:34 + 12].hex()}"))
    steps = []
    for line in told.splitlines():
        moment, _, what = line.partition(" ")
        moment, (kind, _, rest) = float(moment), what.partition(" ")
        if kind == "step":
            steps.append((rest, moment, []))
        elif kind == "told":
            steps[-1][2].append((moment - steps[-1][1], rest))
        elif kind != "end":
            sys.exit(f"FAIL {daemon}: {what}")
    result, last = [], ""
    for number, (name, begin, calls) in enumerate(steps):
        until = steps[number + 1][1] if number + 1 < len(steps) else begin + 4
        changes = []
        for moment, what in adverts:
            # The same again is no news, nor is what was said last in the step before.
            if begin <= moment < until and what != last:
                changes.append((moment - begin, what))
                last = what
        result.append((name, changes, calls, last))
    return result


def main():
    directory, kernel, initrd = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    daemons = ["keepalived", "picovrrp"]
    machines = [boot(directory, kernel, initrd, daemon) for daemon in daemons]
    until = time.monotonic() + LIMIT
    for machine in machines:
        try:
            machine.wait(max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            machine.kill()  # What it told ends early, and that is reported with its console.
    theirs, ours = (story(directory, daemon) for daemon in daemons)
    failed = len(theirs) != len(ours)
    # Two that tell nothing would tell the same.
    told = " ".join(call for _, _, calls, _ in theirs for _, call in calls)
    spoke = {what.split(" ttl")[0] for _, adverts, _, _ in theirs for _, what in adverts}
    for state in ["MASTER", "BACKUP", "FAULT"]:
        if state not in told:
            sys.exit(f"FAIL keepalived never told {state}: nothing was compared that counts")
    if len(spoke) < 4:
        sys.exit(f"FAIL too little was said on the wire: {sorted(spoke)}")
    for (name, adverts, calls, _), (_, our_adverts, our_calls, last) in zip(theirs, ours):
        # keepalived waits only where a process that it counts forks; we wait for each that comes.
        late = DELAY if name in GAINS else 0
        adverts, calls = ([(moment + late, event) for moment, event in events] for events in (adverts, calls))
        if name == FIRST:
            # keepalived looks at all processes before it says anything, we say what the first look shows.
            calls, our_calls = ([(moment, call.rpartition(" ")[0]) for moment, call in c] for c in (calls, our_calls))
        wrong = []
        for what, them, us in [("adverts", adverts, our_adverts), ("calls", calls, our_calls)]:
            if [event for _, event in them] != [event for _, event in us]:
                wrong.append(f"other {what}")
            elif any(abs(a - b) > SLACK for (a, _), (b, _) in zip(them, us)):
                wrong.append(f"{what} at other times")
        speaker = last.split(" ttl")[0] or "nobody"
        told = ", ".join(call for _, call in our_calls) or "nothing"
        print(f"{'FAIL' if wrong else 'ok  '} {name}: {speaker} at the end; told {told}", flush=True)
        if wrong:
            failed = True
            print("     " + "; ".join(wrong))
            for who, a, c in [("keepalived", adverts, calls), ("picovrrp", our_adverts, our_calls)]:
                for offset, event in sorted(a + c):
                    print(f"     {who:10} {offset:6.3f} {event}")
    if failed:
        for daemon in daemons:
            print(f"--- the console of {daemon}:\n" + (directory / f"{daemon}.console").read_text(errors="replace")[-6000:])
        sys.exit(1)


if __name__ == "__main__":
    main()
