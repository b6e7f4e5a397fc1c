//! keepalived.conf: [`parse`] reads what an existing router has, and fills the same
//! [`Config`] as the line language does; docs/keepalived.md says what is taken over.
//!
//! - `files`: where included files come from; `glob`: the patterns that name them.
//! - `source`: lines: included files, conditions, definitions (`define`); `text`: one line.
//! - `words`: a line's words: quotes, escapes, braces.
//! - `reader`: blocks; `keyword` says what may stand in which, and what is only reported.
//! - `global`, `instance`, `address`, `check`, `group`: what the keywords mean.
//! - `finish`: what keepalived decides when it has read everything.
//!
//! What keepalived would do by default and this daemon would not is written into the configuration.
//! What cannot be taken over is reported with its consequence; nothing is dropped silently.

mod address;
mod check;
mod define;
mod delay;
mod files;
mod finish;
mod glob;
mod global;
mod group;
mod instance;
mod keyword;
mod reader;
mod route;
mod source;
mod text;
mod value;
mod words;

#[cfg(test)]
mod tests;

use embedded_io::ErrorType;

pub use self::files::{Disk, DiskFile, Files};
use self::reader::Reader;
use self::source::{Lines, Start};
use super::commands::Commands;
use super::diagnostics::Diagnostics;
use super::model::Config;

/// How a file is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// What cannot be taken over is an error.
    pub strict: bool,
    /// What lines that begin with `@NAME` are for; by default keepalived takes the host's name up to
    /// the first dot.
    pub config_id: &'a str,
}

/// Reads `input`, whose path is `path`, and what it includes from `files` into `config`, which is
/// emptied first, and what is wrong with it or cannot be taken over into `diag`. `config` is of use
/// only if there were no errors. The result's error is that of reading `input`.
pub fn parse<F: Files>(
    input: F::File,
    path: &str,
    files: &mut F,
    options: &Options<'_>,
    config: &mut Config,
    diag: &mut Diagnostics,
    commands: Option<&mut Commands>,
) -> Result<(), <F::File as ErrorType>::Error> {
    let mut lines = Lines::new(Start { input, path, config_id: options.config_id }, files);
    let mut reader = Reader::new(config, diag, commands, options.strict);
    while lines.next(reader.asm.diag)? {
        reader.line(&mut lines.line);
    }
    reader.end(lines.last());
    Ok(())
}
