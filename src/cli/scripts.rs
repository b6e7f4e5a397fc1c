//! Whether the commands of a configuration can be run: each program is there, may be executed by the
//! user it runs as, and, with `script-security on`, can be changed by nobody else.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use picovrrp::config::commands::{CommandAt, Commands};
use picovrrp::config::diagnostics::{Diagnostics, Pos};
use picovrrp::config::model::Config;
use picovrrp::daemon;
use picovrrp::sys::process::{User, find, lookup_user};
use picovrrp::sys::script_security::{Unsafe, Why, check_command};
use ufmt::uWrite;

/// What is to be done about commands that cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scripts {
    /// They are not looked at: they are another machine's.
    Leave,
    /// The configuration is used all the same: a router without a hook is better than none. What cannot
    /// be run is not; a check counts as down.
    Warn,
    /// The configuration is not used.
    Refuse,
}

/// Reports those that cannot, each at its place.
pub(super) fn verify(config: &Config, commands: &Commands, scripts: Scripts, found: &mut Diagnostics) {
    if scripts == Scripts::Leave {
        return;
    }
    let mut report = |at: Pos, message: &str| match scripts {
        Scripts::Warn => found.warning(at, &mut |t| t.write_str(message)),
        _ => found.error(at, &mut |t| t.write_str(message)),
    };
    let ours = daemon::script_user(config).map(|user| user.unwrap_or_else(User::ourselves));
    if let Err(why) = &ours {
        report(commands.script_user, why);
    }
    let ours = ours.unwrap_or_else(|_| User::ourselves());
    for command in commands.list() {
        let spec = config.str(command.user);
        let named = match spec {
            "" => None,
            spec => match lookup_user(spec) {
                Ok(user) => Some(user),
                Err(why) => {
                    report(command.user_at, &format!("'user' {spec}: {why}"));
                    continue;
                }
            },
        };
        if let Err(why) = can_run(config, command, named.as_ref().unwrap_or(&ours)) {
            report(command.at, &format!("'{}': {why}", command.what));
        }
    }
    let fifo = config.str(config.notify_fifo);
    let is_fifo = |path: &str| std::fs::symlink_metadata(path).map(|f| f.file_type().is_fifo());
    if !fifo.is_empty() && matches!(is_fifo(fifo), Ok(false)) {
        report(commands.notify_fifo, &format!("'notify-fifo': {fifo} is there already and is no FIFO"));
    }
    found.sort();
}

fn can_run(config: &Config, command: &CommandAt, user: &User) -> Result<(), Unsafe> {
    let Some(program) = config.str(command.command).split_ascii_whitespace().next() else { return Ok(()) };
    match check_command(program, user) {
        Err(e) if !config.script_security && is_about_safety(e.why) => match is_there(program) {
            true => Ok(()),
            // What is wrong is not what was found first.
            false => {
                let mut component = heapless::String::new();
                let whole = program.chars().try_for_each(|c| component.push(c));
                let found = find(program).is_ok_and(|path| std::fs::metadata(path.as_str()).is_ok());
                let why = if found || whole.is_err() { Why::NotExecutable } else { Why::Missing };
                Err(Unsafe { component, why })
            }
        },
        other => other.map(|_| ()),
    }
}

/// Whether it is only that others could change the program.
fn is_about_safety(why: Why) -> bool {
    matches!(why, Why::Owner | Why::GroupWritable | Why::WorldWritable | Why::InSticky)
}

/// What was found unsafe need not be the program: a directory above it is looked at first.
fn is_there(program: &str) -> bool {
    let found = find(program).ok().and_then(|path| std::fs::metadata(path.as_str()).ok());
    found.is_some_and(|f| f.is_file() && f.permissions().mode() & 0o111 != 0)
}
