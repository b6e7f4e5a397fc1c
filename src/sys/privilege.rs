//! Capabilities, scheduling and memory of the daemon itself.

use std::fmt;
use std::io;

use rustix::thread::CapabilitySet;

/// What [`require`] found missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// CAP_NET_ADMIN: addresses.
    pub net_admin: bool,
    /// CAP_NET_RAW: sockets.
    pub net_raw: bool,
}

impl Missing {
    /// The capabilities by name.
    pub const fn names(self) -> &'static str {
        match (self.net_admin, self.net_raw) {
            (true, true) => "CAP_NET_ADMIN and CAP_NET_RAW",
            (true, false) => "CAP_NET_ADMIN",
            _ => "CAP_NET_RAW",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("missing ")?;
        f.write_str(self.names())?;
        f.write_str(": run as root, or grant it")
    }
}

/// Whether this process has the capabilities that a VRRP router cannot do without.
pub fn require() -> Result<(), Missing> {
    // A kernel that does not tell is asked by what it refuses later.
    let Ok(sets) = rustix::thread::capabilities(None) else { return Ok(()) };
    missing_in(sets.effective)
}

fn missing_in(effective: CapabilitySet) -> Result<(), Missing> {
    let missing = Missing {
        net_admin: !effective.contains(CapabilitySet::NET_ADMIN),
        net_raw: !effective.contains(CapabilitySet::NET_RAW),
    };
    if missing.net_admin || missing.net_raw { Err(missing) } else { Ok(()) }
}

/// The nice value of the daemon.
const FAVOURED: i32 = -10;

/// Capabilities that only some configurations need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// CAP_SYS_NICE.
    pub realtime: bool,
    /// CAP_IPC_LOCK.
    pub lock_memory: bool,
}

/// Lowers the effective and permitted capabilities to what running and starting scripts needs.
///
/// The bounding set and no_new_privs stay as they are: hooks restart services and run `su`.
pub fn drop_unneeded(keep: Keep) -> io::Result<()> {
    let mut wanted = CapabilitySet::NET_ADMIN
        | CapabilitySet::NET_RAW
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::KILL
        // Files that checks read, and the directories of scripts, may be closed to all but their owner.
        | CapabilitySet::DAC_READ_SEARCH;
    wanted.set(CapabilitySet::SYS_NICE, keep.realtime);
    wanted.set(CapabilitySet::IPC_LOCK, keep.lock_memory);
    let mut sets = rustix::thread::capabilities(None)?;
    sets.effective &= wanted;
    sets.permitted &= wanted;
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// Makes the kernel's out-of-memory killer prefer others (negative) or us (positive). Children
/// inherit it. Lowering needs CAP_SYS_RESOURCE: call it before [`drop_unneeded`].
pub fn oom_score_adj(value: i16) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", value.to_string())
}

/// Keeps what the process touches in memory, now and later, without touching it all at once.
pub fn lock_memory() -> io::Result<()> {
    use rustix::mm::MlockAllFlags;
    Ok(rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?)
}

/// Prefers this process where processors are scarce: a router that is late looks dead to the others. Scripts
/// and hooks set their own nice value. Lowering needs CAP_SYS_NICE: call it before [`drop_unneeded`].
pub fn favour() -> io::Result<()> {
    // Where the kernel shares processors out by sessions, only the session's value counts.
    let _ = std::fs::write("/proc/self/autogroup", FAVOURED.to_string());
    Ok(rustix::process::setpriority_process(None, FAVOURED)?)
}

/// Real-time scheduling, round robin, at `priority` (1…99). Children do not inherit it.
pub fn realtime(priority: u8) -> io::Result<()> {
    // Not the C library's function: musl's only returns ENOSYS. The kernel's struct is one int.
    let param: libc::c_int = priority.into();
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the third argument points to a struct sched_param of the kernel, one int, that lives
    // through the call; 0 is the calling thread.
    let r = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0 as libc::c_int, policy, &raw const param) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_ones_are_named() {
        let (admin, raw) = (CapabilitySet::NET_ADMIN, CapabilitySet::NET_RAW);
        assert_eq!(missing_in(admin | raw), Ok(()));
        assert_eq!(missing_in(raw).unwrap_err().names(), "CAP_NET_ADMIN");
        assert_eq!(missing_in(admin).unwrap_err().names(), "CAP_NET_RAW");
        let both = missing_in(CapabilitySet::KILL).unwrap_err().to_string();
        assert_eq!(both, "missing CAP_NET_ADMIN and CAP_NET_RAW: run as root, or grant it");
    }

    /// Capabilities belong to a thread: this one's are lowered, the bounding set stays.
    #[test]
    fn dropped() {
        std::thread::spawn(|| {
            require().expect("this test needs root");
            drop_unneeded(Keep { realtime: true, lock_memory: false }).unwrap();
            let sets = rustix::thread::capabilities(None).unwrap();
            for set in [sets.effective, sets.permitted] {
                assert!(set.contains(CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW));
                assert!(set.contains(CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL));
                assert!(set.contains(CapabilitySet::SYS_NICE));
                assert!(
                    !set.intersects(CapabilitySet::SYS_ADMIN | CapabilitySet::IPC_LOCK | CapabilitySet::DAC_OVERRIDE)
                );
            }
            require().unwrap();
            assert!(!rustix::thread::no_new_privs().unwrap());
            drop_unneeded(Keep::default()).unwrap();
            assert!(!rustix::thread::capabilities(None).unwrap().permitted.contains(CapabilitySet::SYS_NICE));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn scheduling() {
        std::thread::spawn(|| {
            realtime(1).expect("this test needs root, and a kernel that lets it schedule in real time");
            // SAFETY: no memory is involved; 0 is the calling thread.
            let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0 as libc::c_int) };
            assert_eq!(policy as i32, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK);
            assert!(realtime(100).is_err());
        })
        .join()
        .unwrap();
    }

    /// In a process of its own, for both hold for the whole process.
    #[test]
    fn of_the_process() {
        const CHILD: &str = "PICOVRRP_TEST_PRIVILEGE";
        if std::env::var_os(CHILD).is_none() {
            let out = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sys::privilege::tests::of_the_process", "--test-threads=1"])
                .env(CHILD, "1")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(out.status.success() && text.contains("1 passed"), "{text}");
            return;
        }
        // Lowering takes a capability that a container's root may lack.
        let sets = rustix::thread::capabilities(None).unwrap();
        let lower = sets.effective.contains(CapabilitySet::SYS_RESOURCE);
        assert_eq!(oom_score_adj(-500).is_ok(), lower);
        oom_score_adj(300).unwrap();
        assert_eq!(std::fs::read_to_string("/proc/self/oom_score_adj").unwrap(), "300\n");
        if sets.effective.contains(CapabilitySet::SYS_NICE) {
            favour().unwrap();
            assert_eq!(rustix::process::getpriority_process(None).unwrap(), FAVOURED);
        }
        lock_memory().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find(|l| l.starts_with("VmLck:")).unwrap();
        assert!(!locked.contains(" 0 kB"), "{locked}");
    }
}
