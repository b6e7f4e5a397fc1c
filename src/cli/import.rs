//! `picovrrp import`: the line configuration for what another daemon's file says.

use std::io;
use std::path::PathBuf;

use argh::FromArgs;
use picovrrp::config::line;

use super::scripts::Scripts;
use super::{Exit, Source, Stdio, check, complain, import_uci};

/// Print the line configuration that another daemon's file amounts to.
#[derive(FromArgs)]
#[argh(subcommand, name = "import")]
pub(super) struct Import {
    #[argh(subcommand)]
    language: Language,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Language {
    Keepalived(Keepalived),
    Uci(import_uci::Uci),
}

/// Import a keepalived.conf.
#[derive(FromArgs)]
#[argh(subcommand, name = "keepalived")]
struct Keepalived {
    /// the file
    #[argh(positional)]
    file: PathBuf,
    /// what cannot be taken over is an error
    #[argh(switch)]
    strict: bool,
    /// read lines that begin with '@NAME' for this name rather than for this host
    #[argh(option)]
    config_id: Option<String>,
}

#[inline(never)]
pub(super) fn run(import: &Import) -> Exit {
    let source = match &import.language {
        Language::Keepalived(k) => Source::keepalived(&k.file, &k.config_id, k.strict),
        Language::Uci(u) => u.source(),
    };
    let config = match check::load(&source, Scripts::Leave) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut out = Stdio(io::BufWriter::new(io::stdout()));
    match line::print(&config, &mut out).and_then(|()| io::Write::flush(&mut out.0)) {
        Ok(()) => Exit::Ok,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(e) => {
            complain(&format!("stdout: {e}"));
            Exit::System
        }
    }
}
