//! `picovrrp check`: reads a configuration and says what is wrong with it, what it means, or how it
//! is written canonically. `run` reads through it too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use argh::FromArgs;
use picovrrp::command::Command;
use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::model::Config;
use picovrrp::config::{explain, line};
use picovrrp::daemon;

use super::{CONFIG, Exit, Stdio, complain};

/// Check a configuration.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub(super) struct Check {
    /// the configuration (default /etc/picovrrp.conf)
    #[argh(option, short = 'f', default = "PathBuf::from(CONFIG)")]
    file: PathBuf,
    /// print it in canonical form
    #[argh(switch)]
    print: bool,
    /// say in words what it means
    #[argh(switch)]
    explain: bool,
    /// scripts and their user need not exist here
    #[argh(switch)]
    offline: bool,
}

/// Reads a file in the line language.
pub(super) fn read(file: &Path, config: &mut Config, found: &mut Diagnostics) -> io::Result<()> {
    line::parse(&mut Stdio(File::open(file)?), config, found)
}

/// Reads a file and reports what is wrong with it on stderr; `None` if it cannot be used.
pub(super) fn load(file: &Path) -> Result<Box<Config>, Exit> {
    let mut config = Box::new(Config::default());
    let mut found = Box::new(Diagnostics::new());
    if let Err(e) = read(file, &mut config, &mut found) {
        complain(&format!("{}: {e}", file.display()));
        return Err(Exit::Config);
    }
    // stderr that is closed is no reason to go on with a wrong configuration, nor to stop with a right one.
    let _ = found.print(&file.to_string_lossy(), &mut Stdio(io::stderr()));
    if found.errors() > 0 { Err(Exit::Config) } else { Ok(config) }
}

/// Whether every hook can be run: its program is there, and only root and its user can change it.
fn hooks_are_safe(file: &Path, config: &Config) -> bool {
    let user = match daemon::script_user(config) {
        Ok(user) => user,
        Err(why) => {
            complain(&format!("{}: {why}", file.display()));
            return false;
        }
    };
    let mut safe = true;
    for instance in &config.instances {
        let h = &instance.hooks;
        for (name, id) in [
            ("notify", h.any),
            ("notify-master", h.master),
            ("notify-backup", h.backup),
            ("notify-fault", h.fault),
            ("notify-stop", h.stop),
        ] {
            let line = config.str(id);
            if line.is_empty() {
                continue;
            }
            let command = Command { line, extra: &[], env: &[], user: user.as_ref(), secure: config.script_security };
            if let Err(why) = command.check() {
                complain(&format!("{}: instance '{}': {name}: {why}", file.display(), config.str(instance.name)));
                safe = false;
            }
        }
    }
    safe
}

pub(super) fn run(check: &Check) -> Exit {
    let config = match load(&check.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if !check.offline && !hooks_are_safe(&check.file, &config) {
        return Exit::Config;
    }
    let mut out = Stdio(io::BufWriter::new(io::stdout()));
    let mut written = Ok(());
    if check.print {
        written = line::print(&config, &mut out);
    }
    if check.explain && written.is_ok() {
        written = explain::explain(&config, &mut out);
    }
    match written.and_then(|()| io::Write::flush(&mut out.0)) {
        Ok(()) => Exit::Ok,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(e) => {
            complain(&format!("stdout: {e}"));
            Exit::System
        }
    }
}
