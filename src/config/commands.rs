//! Where the commands of a configuration stand, for whoever wants to see whether they can be run.

use super::diagnostics::Pos;
use super::model::{MAX_CHECKS, MAX_GROUPS, MAX_INSTANCES, StrId};
use crate::table::Table;

/// Five hooks of each instance and group and of `defaults`, the checks, startup and shutdown.
const MAX_COMMANDS: usize = 5 * (MAX_INSTANCES + MAX_GROUPS + 1) + MAX_CHECKS + 2;

/// A command, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct CommandAt {
    /// Where.
    pub at: Pos,
    /// What it is the value of: `notify`, say.
    pub what: &'static str,
    /// The command, among the configuration's strings.
    pub command: StrId,
    /// `USER[:GROUP]` that it runs as; empty for `script-user`.
    pub user: StrId,
    /// Where the user stands, if one is named.
    pub user_at: Pos,
}

/// The commands of a file. Of no use if there were errors in it.
#[derive(Default)]
pub struct Commands {
    list: Table<CommandAt, MAX_COMMANDS>,
    /// Where `script-user` names one; line 0 for nowhere.
    pub script_user: Pos,
    /// Where `notify-fifo` names one; line 0 for nowhere.
    pub notify_fifo: Pos,
}

impl Commands {
    /// None yet.
    pub fn new() -> Commands {
        Commands::default()
    }

    /// Those found, in the order of the file.
    pub fn list(&self) -> &[CommandAt] {
        &self.list
    }

    pub(super) fn add(&mut self, command: CommandAt) {
        let same = |c: &CommandAt| (c.what, c.command, c.user) == (command.what, command.command, command.user);
        if !self.list.iter().any(same) {
            // A file whose `defaults` name many more than instances take is the only one that has more.
            let _ = self.list.push(command);
        }
    }
}
