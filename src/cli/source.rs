//! Which language a configuration is written in.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use picovrrp::config::commands::Commands;
use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::model::Config;
use picovrrp::config::{keepalived, line};

use super::{CONFIG, Stdio, complain, import_uci};

/// A configuration, by its language.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The line language.
    Line(PathBuf),
    /// keepalived.conf.
    Keepalived {
        /// The file.
        file: PathBuf,
        /// What its `@NAME` lines are for.
        config_id: String,
        /// Whether what is not taken over is an error.
        strict: bool,
    },
    /// OpenWrt's `/etc/config/keepalived`.
    Uci(UciFile),
}

/// A file of UCI's, and how to read it.
#[derive(Clone, Debug)]
pub(super) struct UciFile {
    /// The file.
    pub(super) file: PathBuf,
    /// Where logical networks are; by default where OpenWrt has them, if it has.
    pub(super) network: Option<PathBuf>,
    /// Lines that are none are warnings.
    pub(super) lenient: bool,
    /// What is not taken over is an error.
    pub(super) strict: bool,
}

impl Source {
    /// What the options of a command line name; the message says that it names two.
    pub(super) fn from_options(
        file: &Option<PathBuf>,
        keepalived: &Option<PathBuf>,
        config_id: &Option<String>,
        uci: &Option<PathBuf>,
        network: &Option<PathBuf>,
    ) -> Result<Source, &'static str> {
        if let Some(uci) = uci {
            if file.is_some() || keepalived.is_some() || config_id.is_some() {
                return Err("--uci excludes --file, --keepalived and --config-id");
            }
            let uci = UciFile { file: uci.clone(), network: network.clone(), lenient: false, strict: false };
            return Ok(Source::Uci(uci).follow());
        }
        if network.is_some() {
            return Err("--network goes with --uci");
        }
        match (file, keepalived) {
            (Some(_), Some(_)) => Err("--file and --keepalived exclude each other"),
            (_, Some(file)) => Ok(Source::keepalived(file, config_id, false)),
            _ if config_id.is_some() => Err("--config-id goes with --keepalived"),
            (file, None) => Ok(Source::Line(file.clone().unwrap_or_else(|| PathBuf::from(CONFIG)))),
        }
    }

    /// A keepalived.conf; by default it is read for this host.
    pub(super) fn keepalived(file: &Path, config_id: &Option<String>, strict: bool) -> Source {
        let config_id = config_id.clone().unwrap_or_else(|| {
            let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
            name.split('.').next().unwrap_or_default().to_owned()
        });
        Source::Keepalived { file: file.to_owned(), config_id, strict }
    }

    /// Its file.
    pub(super) fn file(&self) -> &Path {
        match self {
            Source::Line(file) | Source::Keepalived { file, .. } => file,
            Source::Uci(uci) => &uci.file,
        }
    }

    /// The keepalived.conf that a file of UCI's names in its own place, if that is there.
    pub(super) fn follow(self) -> Source {
        let Source::Uci(uci) = &self else { return self };
        let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
        let read = import_uci::read(uci, &mut config, &mut found, None);
        match read.ok().and_then(|outcome| import_uci::alternative(&outcome)) {
            Some((_, file)) => Source::keepalived(&file, &None, uci.strict),
            None => self,
        }
    }

    /// The same with a path that stays right when the working directory changes.
    pub(super) fn absolute(mut self) -> Source {
        let (Source::Line(file) | Source::Keepalived { file, .. } | Source::Uci(UciFile { file, .. })) = &mut self;
        if let Ok(path) = std::path::absolute(&*file) {
            *file = path;
        }
        if let Source::Uci(UciFile { network: Some(file), .. }) = &mut self
            && let Ok(path) = std::path::absolute(&*file)
        {
            *file = path;
        }
        self
    }

    /// Reads it, and says where the commands stand.
    pub(super) fn read(&self, config: &mut Config, found: &mut Diagnostics, commands: &mut Commands) -> io::Result<()> {
        match self {
            Source::Line(file) => line::parse_with_commands(&mut Stdio(File::open(file)?), config, found, commands),
            Source::Keepalived { file, config_id, strict } => {
                let options = keepalived::Options { strict: *strict, config_id };
                let input = keepalived::DiskFile(File::open(file)?);
                let path = file.to_string_lossy();
                keepalived::parse(input, &path, &mut keepalived::Disk, &options, config, found, Some(commands))
            }
            Source::Uci(uci) => {
                let outcome = import_uci::read(uci, config, found, Some(commands))?;
                import_uci::judge(&outcome, found);
                Ok(())
            }
        }
    }
}

/// What to do with a command line that names two.
pub(super) fn refused(why: &str) -> super::Exit {
    complain(why);
    super::Exit::Usage
}
