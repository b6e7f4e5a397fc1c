"""What the tests do on an emulated router, and how they write down what they saw."""
import json
import re
import time

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

    def figure(self, name, value, aim=""):
        """A figure for the table; `aim` is what it should be, which fails nothing."""
        self.figures.append((name, value, aim))

    def table(self):
        return "".join(f"{name:<46} {value:<22} {aim}".rstrip() + "\n" for name, value, aim in self.figures)


def picovrrp(command):
    return f"picovrrp --run-dir {RUN_DIR} {command}"


def start_daemon(vm, config="/etc/picovrrp.conf"):
    """The daemon's pid, and when it was asked for."""
    asked = time.time()
    pid = vm.must(picovrrp(f"run -f {config} --log-stderr </dev/null >>/tmp/picovrrp.log 2>&1 & echo $!"))
    return int(pid), asked


def stop_daemon(vm, pid):
    """A graceful stop, to its end; whether it ended."""
    vm.must(picovrrp("stop"))
    return eventually(lambda: ended(vm, pid), 10)


def ended(vm, pid):
    return vm.run(f"kill -0 {pid} 2>/dev/null")[0] != 0


def has_vip(vm):
    return f"inet {VIP}/" in vm.must("ip -4 addr show dev eth0")


def eventually(condition, timeout):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def full_status(vm):
    """`status --json`; empty while the daemon is not up yet."""
    status, output = vm.run(picovrrp("status --json"))
    return json.loads(output) if status == 0 else {}


def instance_status(vm):
    """The only instance in `status --json`; empty while the daemon is not up yet."""
    return (full_status(vm).get("instances") or [{}])[0]


def is_backup_of(vm, master):
    status = instance_status(vm)
    return status.get("state") == "BACKUP" and (status.get("master") or {}).get("address") == master.address


class Usage:
    """What the daemon has used up to now, by the guest's clock."""

    def __init__(self, vm, pid):
        text = vm.must(f"cat /proc/uptime /proc/{pid}/stat; grep ^voluntary_ctxt /proc/{pid}/status; cat /proc/{pid}/schedstat 2>/dev/null; true")
        uptime, stat, switches, *schedstat = text.strip().split("\n")
        fields = stat.rpartition(")")[2].split()
        self.uptime = float(uptime.split()[0])
        # Nanoseconds where the kernel counts them, else hundredths of a second.
        exact = int(schedstat[0].split()[0]) / 1e9 if schedstat else 0
        self.cpu = exact or (int(fields[11]) + int(fields[12])) / 100
        self.wake_ups = int(switches.split()[1])

    def until(self, later):
        """CPU time in percent, wake-ups a second, seconds."""
        seconds = later.uptime - self.uptime
        return (later.cpu - self.cpu) / seconds * 100, (later.wake_ups - self.wake_ups) / seconds, seconds


def memory(vm, pid):
    """RSS in KiB and how much of it is anonymous, page by page where the kernel tells."""
    text = vm.must(f"cat /proc/{pid}/smaps_rollup 2>/dev/null || cat /proc/{pid}/status")
    sizes = {key: int(size) for key, size in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
    return sizes.get("Rss", sizes.get("VmRSS")), sizes.get("Anonymous", sizes.get("RssAnon"))


def figure_memory(results, what, vm, pid, aim):
    rss, anonymous = memory(vm, pid)
    results.figure(f"RSS {what} (of it anonymous)", f"{rss} ({anonymous}) KiB", f"at most {aim} KiB")
