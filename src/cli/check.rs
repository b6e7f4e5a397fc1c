//! `picovrrp check`: reads a configuration and says what is wrong with it, what it means, or how it
//! is written canonically. `run` reads through it too.

use std::io;
use std::path::PathBuf;

use argh::FromArgs;
use picovrrp::config::commands::Commands;
use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::model::Config;
use picovrrp::config::{explain, line};

use super::scripts::Scripts;
use super::{Exit, Source, Stdio, complain, scripts, source};

/// Check a configuration.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub(super) struct Check {
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
    /// print it in canonical form
    #[argh(switch)]
    print: bool,
    /// say in words what it means
    #[argh(switch)]
    explain: bool,
    /// with --explain: who wins against a router of this priority, 1 to 255, whatever of the things
    /// that are tracked has failed
    #[argh(option)]
    against: Option<u8>,
    /// scripts and their user need not exist here
    #[argh(switch)]
    offline: bool,
}

/// Reads a configuration. `scripts` says what is to be done about commands that cannot be run here.
#[inline(never)]
pub(super) fn read(source: &Source, scripts: Scripts, config: &mut Config, found: &mut Diagnostics) -> io::Result<()> {
    let mut commands = Box::new(Commands::new());
    source.read(config, found, &mut commands)?;
    scripts::verify(config, &commands, scripts, found);
    Ok(())
}

/// Reads a file and reports what is wrong with it on stderr; `None` if it cannot be used.
#[inline(never)]
pub(super) fn load(source: &Source, scripts: Scripts) -> Result<Box<Config>, Exit> {
    let mut config = Box::new(Config::default());
    let mut found = Box::new(Diagnostics::new());
    let file = source.file();
    if let Err(e) = read(source, scripts, &mut config, &mut found) {
        complain(&format!("{}: {e}", file.display()));
        return Err(Exit::Config);
    }
    // stderr that is closed is no reason to go on with a wrong configuration, nor to stop with a right one.
    let _ = found.print(&file.to_string_lossy(), &mut Stdio(io::stderr()));
    if found.errors() > 0 { Err(Exit::Config) } else { Ok(config) }
}

#[inline(never)]
pub(super) fn run(check: &Check) -> Exit {
    if check.against.is_some() && !check.explain {
        complain("--against goes with --explain");
        return Exit::Usage;
    }
    if check.against == Some(0) {
        complain("--against wants a priority from 1 to 255");
        return Exit::Usage;
    }
    let source =
        match Source::from_options(&check.file, &check.keepalived, &check.config_id, &check.uci, &check.network) {
            Ok(source) => source,
            Err(why) => return source::refused(why),
        };
    let config = match load(&source, if check.offline { Scripts::Leave } else { Scripts::Refuse }) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut out = Stdio(io::BufWriter::new(io::stdout()));
    let mut written = Ok(());
    if check.print {
        written = line::print(&config, &mut out);
    }
    if check.explain && written.is_ok() {
        written = explain::explain(&config, check.against, &mut out);
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
