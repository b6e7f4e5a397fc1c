//! Network namespaces, removed on drop.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

/// `ip netns add` sets up its mount on first use and must not race with itself.
static ADDING: Mutex<()> = Mutex::new(());

/// What the lab needs and this machine lacks, as one plain sentence.
pub(crate) fn preflight() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER.get_or_init(look).clone()
}

fn look() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("The lab builds network namespaces and needs root: run it as root.".into());
    }
    for (tool, package) in [("ip", "iproute2"), ("nft", "nftables")] {
        if !installed(tool) {
            return Err(format!(
                "The lab needs the command `{tool}` (Debian package {package}), which is not installed."
            ));
        }
    }
    sweep();
    let name = format!("pv{}-probe", std::process::id());
    let _adding = ADDING.lock().unwrap_or_else(PoisonError::into_inner);
    let steps: [&[&str]; 3] = [
        &["netns", "add", &name],
        &["-n", &name, "link", "add", "probe", "type", "veth", "peer", "name", "eborp"],
        &["-n", &name, "link", "add", "br0", "type", "bridge"],
    ];
    let outcome = steps.iter().try_for_each(|step| run(Command::new("ip").args(*step)).map(drop));
    let _ = Command::new("ip").args(["netns", "del", &name]).output();
    outcome.map_err(|e| {
        format!("This machine forbids network namespaces, veth pairs or bridges, and the lab is made of them: {e}")
    })
}

/// Whether a command is on the path or in an sbin directory.
pub(crate) fn installed(tool: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|dir| PathBuf::from(dir).join(tool).is_file())
}

/// Removes namespaces whose process was killed before it could.
fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("pv").and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid.to_string());
        if pid.is_some_and(|p| p.parse::<u32>().is_ok() && !PathBuf::from(format!("/proc/{p}")).exists()) {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// Runs a command; its output, or what it said on failure.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?} does not start: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// A network namespace that lives as long as this does.
#[derive(Debug)]
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    /// A new namespace with loopback up.
    pub(crate) fn create(name: String) -> Self {
        let _adding = ADDING.lock().unwrap_or_else(PoisonError::into_inner);
        run(Command::new("ip").args(["netns", "add", &name])).expect("a new network namespace");
        let ns = Netns { name };
        ns.ip("link set lo up");
        ns
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` with these words inside; panics when it refuses.
    #[track_caller]
    pub(crate) fn ip(&self, words: &str) -> String {
        self.try_ip(words).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Runs `ip` with these words inside.
    pub(crate) fn try_ip(&self, words: &str) -> Result<String, String> {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split_whitespace()))
    }

    /// A command that will run inside; `ip netns exec` becomes it, so its pid is the child's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command inside to its end.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().unwrap_or_else(|e| panic!("{program} does not start: {e}"))
    }

    /// The processes inside, but for the test's own.
    pub(crate) fn pids(&self) -> Vec<Pid> {
        let text = run(Command::new("ip").args(["netns", "pids", &self.name])).unwrap_or_default();
        let pids = text.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?));
        pids.filter(|pid| *pid != rustix::process::getpid()).collect()
    }

    /// Writes a sysctl, given as in `net/ipv4/conf/eth0/accept_local`.
    #[track_caller]
    pub(crate) fn sysctl(&self, key: &str, value: &str) {
        run(self.command("sh").args(["-c", &format!("echo {value} > /proc/sys/{key}")]))
            .unwrap_or_else(|e| panic!("{e}"));
    }

    /// Replaces the namespace's nftables rules.
    #[track_caller]
    pub(crate) fn nft(&self, rules: &str) {
        run(self.command("nft").arg(format!("flush ruleset; {rules}"))).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Moves the calling thread inside, for good: call it from a thread of its own.
    pub(crate) fn enter(&self) {
        let file = fs::File::open(format!("/run/netns/{}", self.name)).expect("the namespace exists");
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)
            .expect("root enters a network namespace");
    }

    /// Runs `work` in a thread inside and hands back its result.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            thread.join().expect("the work inside the namespace succeeds")
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // What scripts have left running.
        for pid in self.pids() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
