//! `picovrrp run`: everything before the daemon's loop that can fail with a message.

use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::FromArgs;
use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::model::Config;
use picovrrp::daemon::{self, Before, Daemon, Saved, Setup, Takeover};
use picovrrp::sys::files::{Lock, LockError, RunDir};
use picovrrp::sys::syslog::{self, Target};
use picovrrp::sys::{clock, privilege};

use super::scripts::Scripts;
use super::{Exit, Source, check, complain, source};

/// Run the daemon in the foreground.
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub(super) struct Run {
    /// the configuration (default /etc/picovrrp.conf)
    #[argh(option, short = 'f')]
    file: Option<PathBuf>,
    /// a keepalived.conf instead
    #[argh(option)]
    keepalived: Option<PathBuf>,
    /// with --keepalived: read lines that begin with '@NAME' for this name rather than for this host
    #[argh(option)]
    config_id: Option<String>,
    /// the file of OpenWrt's keepalived package instead (/etc/config/keepalived)
    #[argh(option)]
    uci: Option<PathBuf>,
    /// with --uci: where the logical networks are (default /etc/config/network, if it is there)
    #[argh(option)]
    network: Option<PathBuf>,
    /// log to stderr rather than to syslog
    #[argh(switch)]
    log_stderr: bool,
    /// real-time priority, 1 to 99
    #[argh(option)]
    realtime: Option<u8>,
    /// keep the daemon's memory from being paged out
    #[argh(switch)]
    lock_memory: bool,
    /// take over from the daemon that runs here, without an interruption; start if there is none
    #[argh(switch)]
    takeover: bool,
}

/// How often the lock of a daemon that is gone is tried, and how long after each other.
const DYING: u32 = 100;
const AGAIN: Duration = Duration::from_millis(10);

/// Where we begin.
enum Origin {
    Anew,
    /// Where the program before us in this process went.
    Program(Saved),
    /// Where the daemon is that waits for us to be ready.
    Process(Takeover),
}

#[inline(never)]
pub(super) fn run(dir: &Path, run: &Run) -> Exit {
    if run.realtime.is_some_and(|p| !(1..=99).contains(&p)) {
        complain("--realtime wants a priority from 1 to 99");
        return Exit::Usage;
    }
    let source = match Source::from_options(&run.file, &run.keepalived, &run.config_id, &run.uci, &run.network) {
        Ok(source) => source,
        Err(why) => return source::refused(why),
    };
    if let Some(file) = daemon::probed() {
        return probe(&source, &file);
    }
    if let Some(before) = Before::find() {
        match go_on(dir, run, &source, &before) {
            Ok(daemon) => {
                before.done();
                return serve(daemon);
            }
            Err(why) => {
                complain(&format!("cannot go on after an upgrade: {why}"));
                before.fall_back();
                complain("starts afresh");
            }
        }
    }
    let mut origin = Origin::Anew;
    if run.takeover {
        match Takeover::ask(dir) {
            Ok(Some(old)) => origin = Origin::Process(old),
            Ok(None) => complain(&format!("no daemon in {} can be taken over: starts", dir.display())),
            Err(why) => {
                complain(&format!("takeover refused: {why}"));
                return Exit::System;
            }
        }
    }
    let config = match check::load(&source, Scripts::Warn) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match start(dir, run, source, config, origin) {
        Ok(daemon) => serve(daemon),
        Err(why) => {
            complain(&why);
            Exit::System
        }
    }
}

fn serve(mut daemon: Daemon) -> Exit {
    if let Err(e) = daemon.run() {
        complain(&format!("stopped: {e}"));
        return Exit::System;
    }
    daemon.finish();
    Exit::Ok
}

/// Goes on where the program before us in this process went.
fn go_on(dir: &Path, run: &Run, source: &Source, before: &Before) -> Result<Daemon, String> {
    let saved = before.read()?;
    saved.go_on();
    let config = check::load(source, Scripts::Warn).map_err(|_| "the configuration is wrong".to_owned())?;
    start(dir, run, source.clone(), config, Origin::Program(saved))
}

/// A daemon asks whether we could go on where it is: the last line says so.
fn probe(source: &Source, file: &str) -> Exit {
    // Its directory is ours, should a name on the command line begin there.
    if let Some(daemon) = rustix::process::getppid() {
        let _ = std::env::set_current_dir(format!("/proc/{}/cwd", daemon.as_raw_nonzero()));
    }
    let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
    let why = match check::read(source, Scripts::Leave, &mut config, &mut found) {
        Err(e) => format!("{}: {e}", source.file().display()),
        Ok(()) if found.errors() > 0 => format!("{}: it finds mistakes in it", source.file().display()),
        Ok(()) => match std::fs::read(file).map(Saved::new) {
            Err(e) => format!("{file}: {e}"),
            Ok(Ok(saved)) if saved.is_for(config) => {
                complain(daemon::UNDERSTOOD);
                return Exit::Ok;
            }
            Ok(_) => "the state is of another version, or for another configuration".to_owned(),
        },
    };
    complain(&why);
    Exit::System
}

fn start(dir: &Path, run: &Run, source: Source, config: Box<Config>, origin: Origin) -> Result<Daemon, String> {
    privilege::require().map_err(|missing| missing.to_string())?;
    let run_dir = RunDir::open(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let take_lock = || {
        // A daemon that dies before it hands over may lose its socket first, and its lock a moment later.
        let mut tries = if run.takeover { DYING } else { 0 };
        loop {
            match run_dir.lock() {
                Err(LockError::Held(_)) if tries > 0 => std::thread::sleep(AGAIN),
                taken => return taken.map_err(|e| format!("{}: {e}", dir.display())),
            }
            tries -= 1;
        }
    };
    let lock = matches!(origin, Origin::Anew).then(take_lock).transpose()?;
    syslog::init(if run.log_stderr { Target::Stderr } else { Target::Syslog }, config.log_level);
    // Where it is not permitted the daemon runs all the same.
    let _ = privilege::oom_score_adj(-500);
    let _ = privilege::favour();
    if run.lock_memory {
        privilege::lock_memory().map_err(|e| format!("--lock-memory: {e}"))?;
    }
    if let Some(priority) = run.realtime {
        privilege::realtime(priority).map_err(|e| format!("--realtime: {e}"))?;
    }
    let keep = privilege::Keep { realtime: run.realtime.is_some(), lock_memory: run.lock_memory };
    privilege::drop_unneeded(keep).map_err(|e| format!("cannot drop privileges: {e}"))?;
    // A reload after a change of directory would read another file.
    let source = source.absolute();
    let file = source.file().to_owned();
    let saved = match origin {
        Origin::Anew => None,
        Origin::Program(saved) => Some(saved),
        Origin::Process(old) => {
            let saved = old.receive().map_err(|why| format!("takeover refused: {why}"))?;
            saved.iter().for_each(Saved::go_on);
            saved
        }
    };
    let lock = match (lock, &saved) {
        (Some(lock), _) => lock,
        (None, Some(saved)) => Lock::adopt(saved.lock().map_err(|e| format!("lock: {e}"))?),
        (None, None) => {
            complain("the daemon has ended before it could hand over: starts");
            take_lock()?
        }
    };
    if saved.is_none() {
        // The clock's epoch is the start.
        clock::now();
        log::info!("picovrrp {} starting, {} instances", env!("CARGO_PKG_VERSION"), config.instances.len());
    }
    Daemon::new(Setup {
        config,
        file,
        reader: Box::new(move |config, found| check::read(&source, Scripts::Refuse, config, found)),
        run_dir,
        lock,
        saved,
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
    })
    .map_err(|e| format!("cannot start: {e}"))
}
