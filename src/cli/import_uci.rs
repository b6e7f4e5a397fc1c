//! OpenWrt's `/etc/config/keepalived`: `picovrrp import uci`, and what `run --uci` and `check --uci` read.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use argh::FromArgs;
use picovrrp::config::commands::Commands;
use picovrrp::config::diagnostics::{Diagnostics, Pos};
use picovrrp::config::model::Config;
use picovrrp::config::uci::Mode;
use picovrrp::config::uci_import::{self, Networks, Options, Outcome};
use ufmt::uWrite;

use super::source::UciFile;
use super::{Source, Stdio};

/// The file unless another is named.
const FILE: &str = "/etc/config/keepalived";
/// Where OpenWrt has its logical networks.
const NETWORK: &str = "/etc/config/network";

/// Import OpenWrt's /etc/config/keepalived.
#[derive(FromArgs)]
#[argh(subcommand, name = "uci")]
pub(super) struct Uci {
    /// the file (default /etc/config/keepalived)
    #[argh(positional, default = "PathBuf::from(FILE)")]
    file: PathBuf,
    /// where the logical networks are that it names (default /etc/config/network, if it is there)
    #[argh(option)]
    network: Option<PathBuf>,
    /// go on behind lines that are wrong, as OpenWrt does
    #[argh(switch)]
    lenient: bool,
    /// what cannot be taken over is an error
    #[argh(switch)]
    strict: bool,
}

impl Uci {
    pub(super) fn source(&self) -> Source {
        let (file, network) = (self.file.clone(), self.network.clone());
        Source::Uci(UciFile { file, network, lenient: self.lenient, strict: self.strict }).follow()
    }
}

/// Reads the file.
pub(super) fn read(
    uci: &UciFile,
    config: &mut Config,
    found: &mut Diagnostics,
    commands: Option<&mut Commands>,
) -> io::Result<Outcome> {
    let mut networks = Box::new(Networks::new());
    let path = uci.network.as_deref().unwrap_or(Path::new(NETWORK));
    match File::open(path) {
        Ok(file) => networks.read(&path.to_string_lossy(), &mut Stdio(file))?,
        Err(e) if uci.network.is_none() && e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
    }
    let mode = if uci.lenient { Mode::Lenient } else { Mode::Strict };
    let options = Options { mode, strict: uci.strict, networks: &networks };
    uci_import::import(&mut Stdio(File::open(&uci.file)?), &options, config, found, commands)
}

/// The file that is used in place of this one, and where it is named; one that is not there is none, as
/// for OpenWrt.
pub(super) fn alternative(outcome: &Outcome) -> Option<(Pos, PathBuf)> {
    let (at, path) = outcome.alternative.as_ref().filter(|_| outcome.disabled.is_none())?;
    let path = PathBuf::from(path.as_str());
    path.is_file().then_some((*at, path))
}

/// Says why the file is not to be used at all, if that is so: nothing else in it matters then.
pub(super) fn judge(outcome: &Outcome, found: &mut Diagnostics) {
    if let Some(at) = outcome.disabled {
        *found = Diagnostics::new();
        found.error(at, &mut |t| t.write_str("switched off: 'enabled' is off here, so nothing is to run"));
    } else if let Some((at, path)) = alternative(outcome) {
        // It has come up since the start, when it would have been followed.
        *found = Diagnostics::new();
        let message = format!("'alt_config_file' names {}: start again with it", path.display());
        found.error(at, &mut |t| t.write_str(&message));
    } else if let Some((at, path)) = &outcome.alternative {
        found.warning(*at, &mut |t| {
            t.write_str("'alt_config_file' is not there, and what follows counts: ")?;
            t.write_str(path)
        });
        found.sort();
    }
}
