//! The commands. Each returns how the process ends; what it says goes to stdout, complaints to stderr.

mod check;
mod client;
mod daemon;
mod import;
mod import_uci;
mod scripts;
mod source;
mod stdio;

use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;

use source::Source;
use stdio::Stdio;

/// Where everything of a running daemon lies unless told otherwise.
const RUN_DIR: &str = "/var/run/picovrrp";
/// The configuration unless told otherwise.
const CONFIG: &str = "/etc/picovrrp.conf";

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0.
    Ok,
    /// 1: the configuration is wrong; a refused reload too.
    Config,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the system refused: permissions, another daemon, a missing file.
    System,
    /// 4: no daemon, or no such instance.
    NoDaemon,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Config => 1,
            Exit::Usage => 2,
            Exit::System => 3,
            Exit::NoDaemon => 4,
        })
    }
}

/// A VRRP daemon for small routers.
#[derive(FromArgs)]
struct Arguments {
    /// directory of control socket, lock and state (default /var/run/picovrrp)
    #[argh(option, default = "PathBuf::from(RUN_DIR)")]
    run_dir: PathBuf,
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Run(daemon::Run),
    Check(check::Check),
    Import(import::Import),
    Status(client::Status),
    Reload(client::Reload),
    Upgrade(client::Upgrade),
    Watch(client::Watch),
    Yield(client::Yield),
    Resume(client::Resume),
    Stop(client::Stop),
}

/// Runs the command line `words`, the program's own name first.
pub(crate) fn run(words: &[&str]) -> Exit {
    let (name, rest) = words.split_first().map_or(("picovrrp", &[][..]), |(n, r)| (*n, r));
    let name = name.rsplit('/').next().unwrap_or(name);
    let arguments = match Arguments::from_args(&[name], rest) {
        Ok(arguments) => arguments,
        Err(early) if early.status.is_ok() => {
            print(&early.output);
            return Exit::Ok;
        }
        Err(early) => {
            complain(early.output.trim_end());
            return Exit::Usage;
        }
    };
    if arguments.version {
        print(concat!("picovrrp ", env!("CARGO_PKG_VERSION"), "\n"));
        return Exit::Ok;
    }
    let dir = &arguments.run_dir;
    match arguments.command {
        None => {
            complain("no command given; picovrrp --help lists them");
            Exit::Usage
        }
        Some(Command::Run(c)) => daemon::run(dir, &c),
        Some(Command::Check(c)) => check::run(&c),
        Some(Command::Import(c)) => import::run(&c),
        Some(Command::Status(c)) => client::status(dir, &c),
        Some(Command::Reload(_)) => client::reload(dir),
        Some(Command::Upgrade(c)) => client::upgrade(dir, &c),
        Some(Command::Watch(c)) => client::watch(dir, &c),
        Some(Command::Yield(c)) => client::yield_to_others(dir, &c),
        Some(Command::Resume(c)) => client::resume(dir, &c),
        Some(Command::Stop(_)) => client::stop(dir),
    }
}

/// Writes to stdout; a reader that went away is no matter.
fn print(text: &str) {
    use embedded_io::Write;
    let _ = Stdio(std::io::stdout()).write_all(text.as_bytes());
}

/// One line on stderr.
pub(crate) fn complain(text: &str) {
    use embedded_io::Write;
    let mut err = Stdio(std::io::stderr());
    for piece in ["picovrrp: ", text, "\n"] {
        // There is nobody left to tell.
        let _ = err.write_all(piece.as_bytes());
    }
}
