#!/usr/bin/env python3
"""The smoke test in emulated routers; cross/emulate starts it in a network and process namespace of its own.

usage: smoke.py WORK_DIR KERNEL INITRD ROUTERS LIMIT_SECONDS BINARY_BYTES -- QEMU ARGUMENT...
"""
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections import namedtuple

from capture import Capture, Ping
from vm import Failure, Vm

Machine = namedtuple("Machine", "qemu kernel initrd nic")

VIP = "10.77.0.100"
RUN_DIR = "/var/run/picovrrp"
INTERVAL = 1.0
PRIORITY = {"r1": 150, "r2": 100}
# What an emulated CPU on a busy machine may add to starting a process; the timers themselves get no such allowance.
START_SLACK = 1.0


def skew_time(priority):
    return (256 - priority) / 256 * INTERVAL


def active_down_interval(priority):
    return 3 * INTERVAL + skew_time(priority)


class Results:
    def __init__(self):
        self.passed, self.failed, self.figures = 0, 0, []

    def check(self, what, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if good else 'FAIL'} {what}{': ' if detail else ''}{detail}", flush=True)

    def figure(self, name, value):
        self.figures.append((name, value))


def picovrrp(command):
    return f"picovrrp --run-dir {RUN_DIR} {command}"


def start_daemon(vm):
    """The daemon's pid, and when it was asked for."""
    asked = time.time()
    pid = vm.must(picovrrp("run -f /etc/picovrrp.conf --log-stderr </dev/null >>/tmp/picovrrp.log 2>&1 & echo $!"))
    return int(pid), asked


def has_vip(vm):
    return f"inet {VIP}/" in vm.must("ip -4 addr show dev eth0")


def eventually(condition, timeout):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def instance_status(vm):
    """The only instance in `status --json`; empty while the daemon is not up yet."""
    status, output = vm.run(picovrrp("status --json"))
    return json.loads(output)["instances"][0] if status == 0 else {}


def is_backup_of(vm, master):
    status = instance_status(vm)
    return status.get("state") == "BACKUP" and (status.get("master") or {}).get("address") == master.address


def usage(vm, pid):
    """The guest's uptime, the daemon's CPU time (both in seconds) and its wake-ups."""
    text = vm.must(f"cat /proc/uptime /proc/{pid}/stat; grep ^voluntary_ctxt /proc/{pid}/status")
    uptime, stat, switches = text.strip().split("\n")
    fields = stat.rpartition(")")[2].split()
    return float(uptime.split()[0]), (int(fields[11]) + int(fields[12])) / 100, int(switches.split()[1])


def memory(vm, pid, key):
    return int(vm.must(f"grep ^{key}: /proc/{pid}/status").split()[1])


def check_command(vm, results):
    status, output = vm.run("picovrrp check -f /etc/picovrrp.conf")
    results.check("check accepts the configuration", status == 0, f"exit {status}{' ' + output.strip() if status else ''}")
    status, output = vm.run("picovrrp check -f /etc/broken.conf")
    results.check("check refuses a broken one", status == 1, f"exit {status}; {output.strip()}")


def become_active(vm, capture, results):
    """From the daemon's start to its first advert and its address."""
    pid, asked = start_daemon(vm)
    down = active_down_interval(PRIORITY[vm.name])
    first, = capture.wait("advert", down + START_SLACK + 5, vm.address, asked)
    took = first.time - asked
    results.check(f"{vm.name} is Active after Active_Down_Interval", down - 0.02 <= took <= down + START_SLACK,
                  f"first advert {took:.3f} s after the start was asked for, {down:.3f} s by the RFC")
    results.check(f"{vm.name} has the address on eth0", eventually(lambda: has_vip(vm), 2))
    return pid, first


def measure_adverts(vm, pid, capture, results, count=21):
    """A second is a second: the guest's timers against the host's clock."""
    before = usage(vm, pid)
    since = time.time()
    adverts = capture.wait(f"{count} adverts", count * INTERVAL * 1.5 + 5, vm.address, since, count=count)
    elapsed = time.time() - since
    after = usage(vm, pid)
    gaps = [later.time - earlier.time for earlier, later in zip(adverts, adverts[1:])]
    mean = sum(gaps) / len(gaps)
    results.check("a second is a second", abs(mean / INTERVAL - 1) < 0.01,
                  f"{len(gaps)} intervals, mean {mean:.5f} s, {min(gaps):.3f} to {max(gaps):.3f}; "
                  f"the guest's own clock went {after[0] - before[0]:.2f} s in {elapsed:.2f} s")
    wrong = [advert for advert in adverts if (advert.ttl, advert.version, advert.vrid, advert.priority, advert.interval_ms,
             advert.checksum_ok) != (255, 3, 51, PRIORITY[vm.name], round(INTERVAL * 1000), True)]
    results.check("each advert is as configured, TTL 255, checksum right", not wrong, f"{wrong[0]}" if wrong else "")
    results.figure("CPU as Active at 1 s adverts", f"{(after[1] - before[1]) / (after[0] - before[0]) * 100:.2f} %")
    results.figure("wake-ups per second", f"{(after[2] - before[2]) / (after[0] - before[0]):.1f}")


def one_router(vm, capture, results):
    check_command(vm, results)
    pid, _ = become_active(vm, capture, results)
    ping = subprocess.run(["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", VIP], capture_output=True, text=True, check=False)
    results.check("the host reaches the address", ping.returncode == 0, ping.stdout.strip().rpartition("\n")[2])
    measure_adverts(vm, pid, capture, results)

    status = instance_status(vm)
    seen = [status.get(key) for key in ("name", "state", "effective_priority")]
    results.check("status --json", seen == ["lan", "MASTER", PRIORITY[vm.name]], f"{seen}")
    results.check("one thread", vm.must(f"ls /proc/{pid}/task | wc -l").strip() == "1")
    results.figure("RSS (of it anonymous)", f"{memory(vm, pid, 'VmRSS')} kB ({memory(vm, pid, 'RssAnon')} kB)")

    asked = time.time()
    vm.must(picovrrp("stop"))
    zero, = capture.wait("priority-0 advert", 5, vm.address, asked, lambda advert: advert.priority == 0)
    results.check("stop announces itself with priority 0", True, f"{zero.time - asked:.3f} s after the command")
    # It waits for a successor as long as the slowest one could take (DESIGN §6), at most 5 s.
    results.check("and takes the address off", eventually(lambda: not has_vip(vm), 6))
    results.figure("address off after stop", f"{time.time() - asked:.1f} s")
    results.check("and ends", eventually(lambda: vm.run(f"kill -0 {pid} 2>/dev/null")[0] != 0, 2))
    late = [advert for advert in capture.adverts(vm.address, zero.time) if advert.priority != 0]
    results.check("and sends no advert after it", not late)


def two_routers(r1, r2, capture, results, work_dir):
    """A planned handover, the return of the better router, and a power cut."""
    become_active(r1, capture, results)
    start_daemon(r2)
    results.check("r2 is Backup and knows its master", eventually(lambda: is_backup_of(r2, r1), 5))
    ping = Ping(VIP, work_dir / "ping.log")
    time.sleep(2)

    asked = time.time()
    r1.must(picovrrp("stop"))
    zero, = capture.wait("priority-0 advert", 5, r1.address, asked, lambda advert: advert.priority == 0)
    first, = capture.wait("advert", 5, r2.address, asked)
    took, skew = first.time - zero.time, skew_time(PRIORITY["r2"])
    results.check("handover: r2 follows after Skew_Time", skew - 0.02 <= took <= skew + 0.15, f"{took:.3f} s, {skew:.3f} s by the RFC")
    results.check("handover: r2 has the address, r1 has not", eventually(lambda: has_vip(r2) and not has_vip(r1), 3))
    time.sleep(1)
    gap = ping.longest_gap(asked - 1, time.time())
    results.check("handover: the host hardly notices", gap < 0.3, f"longest gap {gap * 1000:.0f} ms")
    results.figure("outage, planned handover", f"{gap * 1000:.0f} ms")

    _, asked = start_daemon(r1)
    capture.wait("advert", 10, r1.address, asked, lambda advert: advert.priority == PRIORITY["r1"])
    results.check("r1 takes over again", eventually(lambda: has_vip(r1) and not has_vip(r2), 3))
    time.sleep(2)
    gap = ping.longest_gap(asked - 1, time.time())
    results.figure("outage, return of the better router", f"{gap * 1000:.0f} ms")

    cut = time.time()
    r1.kill()
    last = capture.adverts(r1.address)[-1]
    first, = capture.wait("advert", 10, r2.address, cut)
    took, down = first.time - last.time, active_down_interval(PRIORITY["r2"])
    results.check("power cut: r2 follows after Active_Down_Interval", down - 0.02 <= took <= down + 0.15,
                  f"{took:.3f} s after the last advert, {down:.3f} s by the RFC")
    time.sleep(1)
    gap = ping.longest_gap(cut - 1, time.time())
    results.check("power cut: the host is served again", gap < down + 0.3, f"outage {gap:.3f} s")
    results.figure("outage, power cut", f"{gap:.3f} s")
    results.check("power cut: r2 has the address", has_vip(r2))
    r2.must(picovrrp("stop"))


def make_network(routers):
    """A bridge with the host on it and a tap for each router, in this namespace."""
    commands = ["link set lo up", "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                "addr add 10.77.0.254/24 dev br0"]
    for number in range(1, routers + 1):
        commands += [f"tuntap add dev tap{number} mode tap", f"link set tap{number} master br0 up"]
    for command in commands + ["link set br0 up"]:
        subprocess.run(["ip"] + command.split(), check=True)


def out_of_time(_signal, _frame):
    raise Failure("the time limit passed")


def interrupted(number, _frame):
    raise Failure(f"interrupted by {signal.Signals(number).name}")


def main():
    split = sys.argv.index("--")
    work_dir, kernel, initrd, routers, limit, binary_bytes = sys.argv[1:split]
    work_dir, routers = pathlib.Path(work_dir), int(routers)
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    signal.alarm(int(limit))
    machine = Machine(sys.argv[split + 1:], kernel, initrd, "virtio-net-pci")
    results, vms, begun = Results(), [], time.monotonic()
    results.figure("binary", f"{binary_bytes} bytes")
    try:
        make_network(routers)
        capture = Capture("br0", work_dir / "vrrp.pcap")
        for number in range(1, routers + 1):
            vms.append(Vm(f"r{number}", number, machine, work_dir))
        for vm in vms:
            boot = vm.wait_ready(120)
            results.figure(f"{vm.name}: boot to shell", f"{boot:.1f} s")
            print(f"{vm.name} up after {boot:.1f} s: {vm.must('uname -mr').strip()}", flush=True)
        one_router(vms[0], capture, results)
        if routers > 1:
            two_routers(vms[0], vms[1], capture, results, work_dir)
    except Failure as failure:
        results.check("the run", False, str(failure))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, IndexError) as error:
        results.check("the run", False, f"{type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
        if results.failed:
            tell_logs(vms)
        for vm in vms:
            vm.kill()
    # tcpdump and ping end with this process, by setpriv and because it is the first of its pid namespace.
    results.figure("duration", f"{time.monotonic() - begun:.0f} s")
    print()
    for name, value in results.figures:
        print(f"{name:<38} {value}")
    if results.failed:
        print(f"\nconsoles and capture: {work_dir}")
    print(f"\nemulate: {results.passed} passed, {results.failed} failed", flush=True)
    sys.exit(1 if results.failed else 0)


def tell_logs(vms):
    for vm in vms:
        if vm.qemu.poll() is not None:
            continue
        try:
            print(f"--- the daemon's log on {vm.name}:\n{vm.run('tail -n 30 /tmp/picovrrp.log', 5)[1].strip()}")
        except (Failure, OSError) as failure:
            print(f"--- no log from {vm.name}: {failure}")


if __name__ == "__main__":
    main()
