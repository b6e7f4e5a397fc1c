"""Checks and hooks on two emulated routers: what fails hands over, what is mended returns, and the hooks are told in order."""
import time

from router import (PRIORITY, eventually, full_status, has_vip, instance_status, is_backup_of, start_daemon, stop_daemon)

# What r1's hooks are told from start to stop; `notify-…` comes before `notify`.
TOLD_R1 = [
    ("backup", "told INSTANCE lan BACKUP 150"),  # the start
    ("master", "told INSTANCE lan MASTER 150"),
    ("backup", "told INSTANCE lan BACKUP 90"),  # the script fails: its weight counts
    ("master", "told INSTANCE lan MASTER 150"),  # and succeeds again
    ("fault", "told INSTANCE lan FAULT 150"),  # the service is gone
    ("backup", "told INSTANCE lan BACKUP 150"),  # and back
    ("master", "told INSTANCE lan MASTER 150"),
    ("stop", "told INSTANCE lan STOP 150"),
]
TOLD_R2 = [f"told INSTANCE lan {state} 100" for state in ["BACKUP", "MASTER", "BACKUP", "MASTER", "BACKUP", "MASTER", "STOP"]]
SERVICE = "httpd -f -p 127.0.0.1:8080 -h /tmp </dev/null >/dev/null 2>&1 & echo $! >/tmp/service.pid"


def told(vm):
    return vm.must("cat /tmp/notify.log 2>/dev/null; true").split("\n")[:-1]


def holds(vm, other):
    return eventually(lambda: has_vip(vm) and not has_vip(other), 12)


def checks_and_hooks(r1, r2, ping, results):
    """Ends with both daemons stopped."""
    for vm in (r1, r2):
        vm.must("rm -f /tmp/notify.log /tmp/health.log")
    r1.must(f"touch /tmp/healthy; {SERVICE}")
    begun = time.time()
    pid1, _ = start_daemon(r1, "/etc/picovrrp/r1-checks.conf")
    pid2, _ = start_daemon(r2, "/etc/picovrrp/r2-checks.conf")
    results.check("checks: r1 holds the address while they succeed", holds(r1, r2) and is_backup_of(r2, r1))
    measure_checks(r1, results)

    def handover(what, command, to, other):
        asked = time.time()
        r1.must(command)
        moved = holds(to, other)
        took = time.time() - asked
        time.sleep(1)
        gap = ping.longest_gap(asked, time.time())
        results.check(f"checks: {what}", moved and gap < 0.3, f"{to.name} holds the address after {took:.1f} s, longest gap {gap * 1000:.0f} ms")
        results.figure(f"outage, {what}", f"{gap * 1000:.0f} ms")

    handover("a script check fails", "rm /tmp/healthy", r2, r1)
    results.check("checks: its weight counts", instance_status(r1).get("effective_priority") == 90)
    handover("a script check succeeds again", "touch /tmp/healthy", r1, r2)
    handover("a service ends (built-in check)", "kill $(cat /tmp/service.pid)", r2, r1)
    results.check("checks: r1 is in FAULT", instance_status(r1).get("state") == "FAULT")
    handover("a service is back", SERVICE, r1, r2)

    stopped = stop_daemon(r1, pid1)
    results.check("stop: r2 takes over", stopped and eventually(lambda: has_vip(r2), 5))
    results.check("stop: both daemons end", stop_daemon(r2, pid2) and stopped)
    r1.must("kill $(cat /tmp/service.pid)")
    wanted = [line for pair in TOLD_R1 for line in pair]
    seen = told(r1)
    results.check("hooks: r1's are told each state, in order", seen == wanted, f"{len(seen)} calls in {time.time() - begun:.0f} s" if seen == wanted else f"{seen}")
    seen = told(r2)
    results.check("hooks: r2's too", seen == TOLD_R2, f"{len(seen)} calls" if seen == TOLD_R2 else f"{seen}")


def measure_checks(vm, results, seconds=10):
    """A check's second is a second too: its runs, against the host's clock."""
    def runs():
        return {check["name"]: check["runs"] for check in full_status(vm)["checks"]}
    before, since = runs(), time.monotonic()
    time.sleep(seconds)
    after, elapsed = runs(), time.monotonic() - since
    ran = {name: after[name] - before[name] for name in after}
    good = abs(ran["health"] - elapsed) <= 1.5 and abs(ran["service"] - 2 * elapsed) <= 2
    results.check("checks: they run when they should", good, f"{ran['health']} (every 1s) and {ran['service']} (every 500ms) in {elapsed:.1f} s")
    results.check("checks: each run of the script left its line", int(vm.must("wc -l </tmp/health.log")) >= ran["health"])
    results.check("checks: no weight counts while all is well", instance_status(vm).get("effective_priority") == PRIORITY[vm.name])
