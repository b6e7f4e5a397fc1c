//! The commands that talk to a running daemon.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argh::FromArgs;
use picovrrp::config::line::duration;
use picovrrp::control::{self, Bad, MAX_FRAME, Reply, Request};
use picovrrp::status::{self, Frames, Json, Render, Table, happening, happening_json};
use picovrrp::sys::control_socket;
use picovrrp::text::{self, Text, Written};
use picovrrp::vrrp::timing::Micros;

use super::{Exit, Stdio, complain};

/// Show the state of all instances, groups and checks, or of one.
#[derive(FromArgs)]
#[argh(subcommand, name = "status")]
pub(super) struct Status {
    /// as JSON
    #[argh(switch)]
    json: bool,
    /// as metrics for Prometheus
    #[argh(switch)]
    prometheus: bool,
    /// as the JSON of keepalived that LuCI reads
    #[argh(switch)]
    keepalived_json: bool,
    /// the instance, group or check to show
    #[argh(positional)]
    name: Option<String>,
}

/// Make the daemon read its configuration again.
#[derive(FromArgs)]
#[argh(subcommand, name = "reload")]
pub(super) struct Reload {}

/// Replace the running daemon's program without an interruption.
#[derive(FromArgs)]
#[argh(subcommand, name = "upgrade")]
pub(super) struct Upgrade {
    /// the new program (default: what is now in the place of the running one)
    #[argh(positional)]
    binary: Option<std::path::PathBuf>,
}

/// Hand over and stop the daemon.
#[derive(FromArgs)]
#[argh(subcommand, name = "stop")]
pub(super) struct Stop {}

/// Hand an instance or a group over to another router, and stay backup until it is resumed.
#[derive(FromArgs)]
#[argh(subcommand, name = "yield")]
pub(super) struct Yield {
    /// the instance or group
    #[argh(positional)]
    name: String,
    /// the word for, and how long (30s, 10m); without them until 'resume'
    #[argh(positional)]
    length: Vec<String>,
}

/// Print what happens, as it happens.
#[derive(FromArgs)]
#[argh(subcommand, name = "watch")]
pub(super) struct Watch {
    /// as JSON, an object a line
    #[argh(switch)]
    json: bool,
    /// wait for the daemon, and for another when it is gone
    #[argh(switch)]
    reconnect: bool,
    /// the instance, group or check to watch
    #[argh(positional)]
    name: Option<String>,
}

/// Let an instance or a group that was told to yield take part again.
#[derive(FromArgs)]
#[argh(subcommand, name = "resume")]
pub(super) struct Resume {
    /// the instance or group
    #[argh(positional)]
    name: String,
}

/// Between two attempts to reach a daemon that is gone.
const AGAIN: Duration = Duration::from_millis(200);

/// How long the daemon may take over a frame; a stop takes as long as a hand-over.
const PATIENCE: Duration = Duration::from_secs(10);

struct Connection(Stdio<UnixStream>);

impl Connection {
    fn try_open(dir: &Path, request: Request<'_>) -> io::Result<Connection> {
        let mut stream = Stdio(control_socket::connect(dir)?);
        stream.0.set_read_timeout(Some(PATIENCE))?;
        let mut buf = [0; MAX_FRAME];
        // What people name is short; what is not is no request.
        let frame = control::encode(&mut buf, &request).unwrap_or(&[]);
        embedded_io::Write::write_all(&mut stream, frame)?;
        Ok(Connection(stream))
    }

    fn open(dir: &Path, request: Request<'_>) -> Result<Connection, Exit> {
        Connection::try_open(dir, request).map_err(|e| {
            complain(&format!("no daemon answers in {}: {e}", dir.display()));
            if e.kind() == io::ErrorKind::PermissionDenied { Exit::System } else { Exit::NoDaemon }
        })
    }

    /// The next frame's reply goes to `f`; `Ok(false)` when it was the last.
    fn next_quietly(&mut self, f: &mut dyn FnMut(&Reply<'_>)) -> Result<bool, Bad> {
        let mut buf = [0; MAX_FRAME];
        let frame = control::read_frame(&mut self.0, &mut buf)?.ok_or(Bad::Cut)?;
        let reply = control::decode::<Reply<'_>>(frame)?;
        f(&reply);
        Ok(!matches!(reply, Reply::End | Reply::Refused(_)))
    }

    /// The same; what keeps it from being done is told.
    fn next(&mut self, f: &mut dyn FnMut(&Reply<'_>)) -> Result<bool, Exit> {
        let mut refused = false;
        let more = self.next_quietly(&mut |reply| match reply {
            Reply::Refused(why) => {
                complain(why);
                refused = true;
            }
            reply => f(reply),
        });
        match more {
            Ok(_) if refused => Err(Exit::Config),
            Ok(more) => Ok(more),
            Err(bad) => {
                complain(match bad {
                    Bad::Cut => "the daemon closed the connection",
                    Bad::Version(_) => "the daemon is of another version than this command",
                    Bad::Length(_) | Bad::Value => "the daemon's answer cannot be read",
                });
                Err(Exit::System)
            }
        }
    }
}

#[inline(never)]
pub(super) fn status(dir: &Path, status: &Status) -> Exit {
    if status.json as u8 + status.prometheus as u8 + status.keepalived_json as u8 > 1 {
        complain("--json, --prometheus and --keepalived-json exclude each other");
        return Exit::Usage;
    }
    let only = status.name.as_deref();
    let mut connection = match Connection::open(dir, Request::Status) {
        Ok(c) => c,
        Err(exit) => return exit,
    };
    let mut out = Stdio(io::BufWriter::new(io::stdout()));
    let shown = if status.prometheus || status.keepalived_json {
        kept(&mut connection, status, only, &mut out)
    } else {
        streamed(&mut connection, status, only, &mut out)
    };
    let (any, written) = match shown {
        Ok(shown) => shown,
        Err(exit) => return exit,
    };
    match written.and_then(|()| io::Write::flush(&mut out.0)) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("stdout: {e}"));
            return Exit::System;
        }
        _ => {}
    }
    match only {
        Some(name) if !any => {
            complain(&format!("no instance, group or check is called '{name}'"));
            Exit::NoDaemon
        }
        _ => Exit::Ok,
    }
}

type Out = Stdio<io::BufWriter<io::Stdout>>;
/// Whether something was shown, and how the writing went.
type Shown = Result<(bool, io::Result<()>), Exit>;

/// Writes as the frames come.
fn streamed(connection: &mut Connection, status: &Status, only: Option<&str>, out: &mut Out) -> Shown {
    let mut json = Json::new(only);
    let mut table = Table::new(only);
    let render: &mut dyn Render = if status.json { &mut json } else { &mut table };
    let mut written = Ok(());
    while connection.next(&mut |reply| {
        if written.is_ok() {
            written = text::write_to(out, &mut |t| render.frame(reply, t));
        }
    })? {}
    Ok((render.any(), written))
}

/// Writes when all frames have come.
fn kept(connection: &mut Connection, status: &Status, only: Option<&str>, out: &mut Out) -> Shown {
    let (mut frames, mut room) = (Frames::default(), true);
    while connection.next(&mut |reply| room = room && frames.add(reply))? {}
    if !room {
        complain("the daemon's answer is too long");
        return Err(Exit::System);
    }
    // A clock before 1970 counts as 1970.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64);
    let render: &mut dyn FnMut(&mut Text<'_>) -> Written = if status.prometheus {
        &mut |t| status::prometheus(&frames, only, t)
    } else {
        &mut |t| status::keepalived(&frames, only, Micros(now), t)
    };
    Ok((only.is_some_and(|name| frames.any(name)), text::write_to(out, render)))
}

#[inline(never)]
pub(super) fn reload(dir: &Path) -> Exit {
    ask(dir, Request::Reload)
}

/// Asks for something that is done or not.
fn ask(dir: &Path, request: Request<'_>) -> Exit {
    let mut unknown = false;
    match Connection::open(dir, request).and_then(|mut c| c.next(&mut |reply| unknown = *reply == Reply::Unknown)) {
        Ok(_) if unknown => {
            complain("no instance or group is called that");
            Exit::NoDaemon
        }
        Ok(_) => Exit::Ok,
        Err(exit) => exit,
    }
}

/// How long an upgrade may take: hooks are waited for, and the new program is asked first.
const UPGRADE: Duration = Duration::from_secs(40);

/// Returns when the new program runs.
pub(super) fn upgrade(dir: &Path, args: &Upgrade) -> Exit {
    let binary = args.binary.as_ref().and_then(|path| std::path::absolute(path).ok());
    let binary = binary.as_ref().map(|path| path.to_string_lossy());
    let mut connection = match Connection::open(dir, Request::Upgrade(binary.as_deref())) {
        Ok(c) => c,
        Err(exit) => return exit,
    };
    let _ = connection.0.0.set_read_timeout(Some(UPGRADE));
    match connection.next(&mut |_| {}) {
        Ok(_) => Exit::Ok,
        Err(_) => Exit::System,
    }
}

pub(super) fn yield_to_others(dir: &Path, args: &Yield) -> Exit {
    let words: Vec<&str> = args.length.iter().map(String::as_str).collect();
    let length = match words[..] {
        [] => None,
        ["for", length] => match duration(length) {
            Some(length) => Some(length),
            None => {
                complain(&format!("'{length}' is no length of time: 30s, 10m"));
                return Exit::Usage;
            }
        },
        _ => {
            complain("yield NAME [for LENGTH]");
            return Exit::Usage;
        }
    };
    ask(dir, Request::Yield { name: &args.name, length })
}

pub(super) fn resume(dir: &Path, args: &Resume) -> Exit {
    ask(dir, Request::Resume(&args.name))
}

/// Returns when the daemon is gone, or nobody reads any more.
pub(super) fn watch(dir: &Path, watch: &Watch) -> Exit {
    let mut out = Stdio(io::BufWriter::new(io::stdout()));
    let mut told = false;
    loop {
        let mut done = None;
        let ended = Connection::try_open(dir, Request::Watch).map(|mut connection| {
            told = false;
            // It may be long until something happens.
            let _ = connection.0.0.set_read_timeout(None);
            while done.is_none() {
                let more = connection.next_quietly(&mut |reply| match reply {
                    Reply::Happened(h) if watch.name.as_deref().is_none_or(|name| name == h.name) => {
                        let line = if watch.json { happening_json } else { happening };
                        let written = text::write_to(&mut out, &mut |t| line(h, t));
                        if written.and_then(|()| io::Write::flush(&mut out.0)).is_err() {
                            done = Some(Exit::Ok);
                        }
                    }
                    Reply::Refused(why) => {
                        complain(why);
                        done = Some(Exit::System);
                    }
                    _ => {}
                });
                if more.is_err() {
                    break;
                }
            }
        });
        if let Some(exit) = done {
            return exit;
        }
        let why = match ended {
            Ok(()) => "the daemon is gone".to_owned(),
            Err(e) => format!("no daemon answers in {}: {e}", dir.display()),
        };
        if !told {
            complain(&why);
        }
        if !watch.reconnect {
            return Exit::NoDaemon;
        }
        told = true;
        std::thread::sleep(AGAIN);
    }
}

/// Returns when the daemon is gone, its addresses handed over.
#[inline(never)]
pub(super) fn stop(dir: &Path) -> Exit {
    let mut connection = match Connection::open(dir, Request::Stop) {
        Ok(c) => c,
        Err(exit) => return exit,
    };
    if let Err(exit) = connection.next(&mut |_| {}) {
        return exit;
    }
    let mut buf = [0; MAX_FRAME];
    match control::read_frame(&mut connection.0, &mut buf) {
        Ok(None) | Err(Bad::Cut) => Exit::Ok,
        _ => {
            complain("the daemon has not stopped");
            Exit::System
        }
    }
}
