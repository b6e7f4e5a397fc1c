//! The real binary in a router's namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::lab::Node;
use super::process::{Process, Signal};
use super::wait_for;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_picovrrp");

/// `instance lan on eth0 vrid 51` with these properties and 192.0.2.254/24.
pub(crate) fn lan(properties: &str) -> String {
    format!("instance lan on eth0 vrid 51 {properties}\n  address 192.0.2.254/24\n")
}

/// `instance lan6 on eth0 vrid 51` with these properties, fe80::254/64 and 2001:db8::254/64.
pub(crate) fn lan6(properties: &str) -> String {
    format!(
        "instance lan6 on eth0 vrid 51 family ipv6 {properties}\n  address fe80::254/64\n  address 2001:db8::254/64\n"
    )
}

/// A running picovrrp.
pub(crate) struct Picovrrp {
    pub(crate) process: Process,
    binary: PathBuf,
    run_dir: PathBuf,
    config: PathBuf,
}

impl Picovrrp {
    /// Starts it on `node` with this configuration.
    pub(crate) fn start(node: &Node, config: &str) -> Self {
        Self::start_binary(BINARY.into(), node, config)
    }

    /// Starts it with the file of a keepalived.
    pub(crate) fn start_keepalived(node: &Node, config: &str) -> Self {
        Self::start_keepalived_as(node, config, &[])
    }

    /// The same with further options.
    pub(crate) fn start_keepalived_as(node: &Node, config: &str, options: &[&str]) -> Self {
        Self::start_as(BINARY.into(), node, "--keepalived", config, options)
    }

    /// Starts another build of it.
    pub(crate) fn start_binary(binary: PathBuf, node: &Node, config: &str) -> Self {
        Self::start_as(binary, node, "-f", config, &[])
    }

    /// Starts any build with its file behind `option`, and further options.
    pub(crate) fn start_as(binary: PathBuf, node: &Node, option: &str, config: &str, options: &[&str]) -> Self {
        let (run_dir, file) = (node.dir().join("run"), node.dir().join("picovrrp.conf"));
        fs::write(&file, config).expect("the lab's directory can be written to");
        let mut command = node.ns().command(&binary.to_string_lossy());
        command.arg("--run-dir").arg(&run_dir).args(["run", option]).arg(&file).arg("--log-stderr").args(options);
        let name = format!("picovrrp on {}", node.name());
        let process = Process::start(&name, command, node.dir().join("picovrrp.log"), node.ns());
        Picovrrp { process, binary, run_dir, config: file }
    }

    /// Starts another beside it that takes over from it, with further options.
    pub(crate) fn successor(&self, node: &Node, options: &[&str]) -> Self {
        let mut command = node.ns().command(&self.binary.to_string_lossy());
        command.arg("--run-dir").arg(&self.run_dir).args(["run", "--takeover", "--log-stderr", "-f"]);
        command.arg(&self.config).args(options);
        let log = node.dir().join(format!("after-{}.log", self.process.pid()));
        let process = Process::start(&format!("the next picovrrp on {}", node.name()), command, log, node.ns());
        Picovrrp { process, binary: self.binary.clone(), run_dir: self.run_dir.clone(), config: self.config.clone() }
    }

    /// Another process takes over from it, and it ends.
    #[track_caller]
    pub(crate) fn take_over(&mut self, node: &Node) {
        let next = self.successor(node, &[]);
        let mut old = std::mem::replace(self, next);
        let ended = old.process.wait_exit(Duration::from_secs(20));
        assert!(ended.success(), "{ended}: {}{}", old.process.log(), self.process.log());
        assert_eq!(self.process.log_lines("taken over from process"), 1, "{}", self.process.log());
    }

    /// Its run directory.
    pub(crate) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Starts it beneath a supervisor, a script whose arguments are its own directory and the command. Signals go to the
    /// supervisor.
    pub(crate) fn start_beneath(supervisor: &Path, node: &Node, config: &str) -> Self {
        let (run_dir, file) = (node.dir().join("run"), node.dir().join("picovrrp.conf"));
        fs::write(&file, config).expect("the lab's directory can be written to");
        let mut command = node.ns().command("env");
        // A shell never hears a signal that was ignored when it began, as it is beneath nohup.
        command.arg("--default-signal=HUP").arg(supervisor);
        command.args([supervisor.parent().expect("it is in a directory"), Path::new(BINARY)]);
        command.arg("--run-dir").arg(&run_dir).args(["run", "-f"]).arg(&file).arg("--log-stderr");
        let name = format!("supervisor on {}", node.name());
        let process = Process::start(&name, command, node.dir().join("supervisor.log"), node.ns()).gently();
        Picovrrp { process, binary: BINARY.into(), run_dir, config: file }
    }

    /// Starts it and waits until its only instance is in `state`.
    #[track_caller]
    pub(crate) fn start_until(node: &Node, config: &str, state: &str) -> Self {
        let mut daemon = Self::start(node, config);
        daemon.wait_state(state, Duration::from_secs(20));
        daemon
    }

    /// Writes a new configuration, without telling the daemon.
    pub(crate) fn write_config(&self, config: &str) {
        fs::write(&self.config, config).expect("the lab's directory can be written to");
    }

    /// Runs a client command such as `status` against this daemon.
    pub(crate) fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.arg("--run-dir").arg(&self.run_dir).args(args);
        command.output().unwrap_or_else(|e| panic!("{} does not start: {e}", self.binary.display()))
    }

    /// `status --json`, when the daemon answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--json"]);
        if !output.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("`status --json` is no JSON ({e}):\n{text}")))
    }

    /// The first instance in `status --json`.
    #[track_caller]
    pub(crate) fn instance(&self) -> Value {
        let status = self.status().expect("the daemon answers `status --json`");
        status["instances"][0].clone()
    }

    /// A counter of the first instance.
    #[track_caller]
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let instance = self.instance();
        instance["stats"][name].as_u64().unwrap_or_else(|| panic!("no counter `{name}` in {instance:#}"))
    }

    /// A counter of errors that belong to no instance.
    #[track_caller]
    pub(crate) fn error_count(&self, name: &str) -> u64 {
        let status = self.status().expect("the daemon answers `status --json`");
        status["errors"][name].as_u64().unwrap_or_else(|| panic!("no counter `{name}` in {:#}", status["errors"]))
    }

    /// The state of the first instance; `None` while the daemon does not answer.
    pub(crate) fn state(&self) -> Option<String> {
        self.status()?["instances"][0]["state"].as_str().map(str::to_string)
    }

    /// Waits until every instance is in `state`.
    #[track_caller]
    pub(crate) fn wait_state(&mut self, state: &str, timeout: Duration) {
        wait_for(&format!("picovrrp is {state}"), timeout, || {
            assert!(self.process.running(), "picovrrp ended; it said:\n{}", self.process.log());
            let status = self.status()?;
            let instances = status["instances"].as_array()?;
            (!instances.is_empty() && instances.iter().all(|i| i["state"] == state)).then_some(())
        });
    }

    /// Waits until the instance called `name` is in `state`.
    #[track_caller]
    pub(crate) fn wait_state_of(&self, name: &str, state: &str, timeout: Duration) {
        wait_for(&format!("{name} is {state}"), timeout, || {
            let status = self.status()?;
            let found = status["instances"].as_array()?.iter().find(|i| i["name"] == name)?;
            (found["state"] == state).then_some(())
        });
    }

    /// Asks for a clean stop by signal.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Names of entries in its /proc directory's `task`.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.process.pid())).map(Iterator::count).unwrap_or(0)
    }

    /// How often it has gone to sleep of its own accord: one for each wake-up.
    #[track_caller]
    pub(crate) fn wake_ups(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).expect("the daemon runs");
        let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|n| n.trim().parse().ok()).expect("/proc/PID/status counts context switches")
    }
}
