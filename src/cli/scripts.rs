//! Whether the commands of a configuration can be run: each program is there, may be executed by the
//! user it runs as, and, with `script-security on`, can be changed by nobody else.

use std::os::unix::fs::PermissionsExt;

use picovrrp::config::commands::{CommandAt, Commands};
use picovrrp::config::diagnostics::{Diagnostics, Pos};
use picovrrp::config::model::Config;
use picovrrp::daemon;
use picovrrp::sys::process::{User, find, lookup_user};
use picovrrp::sys::script_security::{Unsafe, Why, check_command};
use ufmt::uWrite;

/// Reports those that cannot, each at its place.
pub(super) fn verify(config: &Config, commands: &Commands, found: &mut Diagnostics) {
    let ours = match daemon::script_user(config) {
        Ok(user) => user.unwrap_or_else(User::ourselves),
        Err(why) => {
            error(found, commands.script_user, &why);
            return found.sort();
        }
    };
    for command in commands.list() {
        let spec = config.str(command.user);
        let named = match spec {
            "" => None,
            spec => match lookup_user(spec) {
                Ok(user) => Some(user),
                Err(why) => {
                    error(found, command.user_at, &format!("'user' {spec}: {why}"));
                    continue;
                }
            },
        };
        if let Err(why) = can_run(config, command, named.as_ref().unwrap_or(&ours)) {
            error(found, command.at, &format!("'{}': {why}", command.what));
        }
    }
    found.sort();
}

fn can_run(config: &Config, command: &CommandAt, user: &User) -> Result<(), Unsafe> {
    let Some(program) = config.str(command.command).split_ascii_whitespace().next() else { return Ok(()) };
    match check_command(program, user) {
        Err(e) if !config.script_security && is_about_safety(e.why) && is_there(program) => Ok(()),
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

fn error(found: &mut Diagnostics, at: Pos, message: &str) {
    found.error(at, &mut |t| t.write_str(message));
}
