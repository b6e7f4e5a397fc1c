//! Which language a configuration is written in.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use picovrrp::config::commands::Commands;
use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::model::Config;
use picovrrp::config::{keepalived, line};

use super::{CONFIG, Stdio, complain};

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
}

impl Source {
    /// What the options of a command line name; the message says that it names two.
    pub(super) fn from_options(
        file: &Option<PathBuf>,
        keepalived: &Option<PathBuf>,
        config_id: &Option<String>,
    ) -> Result<Source, &'static str> {
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
        }
    }

    /// The same with a path that stays right when the working directory changes.
    pub(super) fn absolute(mut self) -> Source {
        let (Source::Line(file) | Source::Keepalived { file, .. }) = &mut self;
        if let Ok(path) = std::path::absolute(&*file) {
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
        }
    }
}

/// What to do with a command line that names two.
pub(super) fn refused(why: &str) -> super::Exit {
    complain(why);
    super::Exit::Usage
}
