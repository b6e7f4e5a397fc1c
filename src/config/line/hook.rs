//! Commands: the hooks of an instance or a group, and what every command is.

use ufmt::uwrite;

use super::keyword::{Done, Reader};
use super::lex::Words;
use super::statement::{DAY, SECOND};
use crate::config::assemble::Reported;
use crate::config::commands::CommandAt;
use crate::config::model::{Lifecycle, StrId};

/// The longest command, in bytes, and its words with the program's name.
const MAX_COMMAND: usize = 400;
const MAX_ARGUMENTS: usize = 16;

impl Reader<'_> {
    /// A command: one word, quoted if it has arguments, whose first part names the program.
    pub(super) fn command(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        let words = self.plain(w, keyword, "a command, such as \"/etc/picovrrp/notify\"", MAX_COMMAND)?;
        let count = words.split([' ', '\t']).filter(|s| !s.is_empty()).count();
        if count == 0 || count > MAX_ARGUMENTS {
            self.asm.diag.error(at, &mut |t| {
                uwrite!(
                    t,
                    "'{}' has {} words: expected a program and at most {} arguments",
                    keyword,
                    count,
                    MAX_ARGUMENTS - 1
                )
            });
            return Err(Reported);
        }
        if words.contains(|c: char| c.is_control() && c != '\t') {
            return Err(self.refuse(at, "a control character in a command: expected printable text"));
        }
        let shells = ["|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1", ">/dev/null"];
        if let Some(word) = words.split([' ', '\t']).find(|word| shells.contains(word)) {
            self.asm.diag.warning(at, &mut |t| {
                uwrite!(
                    t,
                    "'{}' runs without a shell, so '{}' is a plain argument: put it into a script",
                    keyword,
                    word
                )
            });
        }
        self.asm.intern(at, words)
    }

    fn hook(&mut self, w: &mut Words<'_>, keyword: &'static str) -> Result<StrId, Reported> {
        let at = w.pos();
        let command = self.command(w, keyword)?;
        self.asm.note_command(CommandAt { at, what: keyword, command, user: StrId::default(), user_at: at });
        Ok(command)
    }
}

pub(super) fn notify(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.hooks.any = r.hook(w, "notify")?;
    Ok(())
}

pub(super) fn notify_master(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.hooks.master = r.hook(w, "notify-master")?;
    Ok(())
}

pub(super) fn notify_backup(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.hooks.backup = r.hook(w, "notify-backup")?;
    Ok(())
}

pub(super) fn notify_fault(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.hooks.fault = r.hook(w, "notify-fault")?;
    Ok(())
}

pub(super) fn notify_stop(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.hooks.stop = r.hook(w, "notify-stop")?;
    Ok(())
}

pub(super) fn startup(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.startup = lifecycle(r, w, "startup")?;
    Ok(())
}

pub(super) fn shutdown(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.shutdown = lifecycle(r, w, "shutdown")?;
    Ok(())
}

fn lifecycle(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &'static str) -> Result<Lifecycle, Reported> {
    let mut lifecycle = Lifecycle { command: r.hook(w, keyword)?, ..Lifecycle::default() };
    let mut seen = 0;
    while r.option(w, &["timeout"], &mut seen)?.is_some() {
        lifecycle.timeout = r.duration(w, "timeout", SECOND, DAY, "a duration from 1s to 1440m, such as 10s")?;
    }
    Ok(lifecycle)
}
