//! The commands that talk to a running daemon.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argh::FromArgs;
use picovrrp::control::{self, Bad, MAX_FRAME, Reply, Request};
use picovrrp::status::{self, Frames, Json, Render, Table};
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

/// Hand over and stop the daemon.
#[derive(FromArgs)]
#[argh(subcommand, name = "stop")]
pub(super) struct Stop {}

/// How long the daemon may take over a frame; a stop takes as long as a hand-over.
const PATIENCE: Duration = Duration::from_secs(10);

struct Connection(Stdio<UnixStream>);

impl Connection {
    fn open(dir: &Path, request: Request) -> Result<Connection, Exit> {
        let no_daemon = |e: io::Error| {
            complain(&format!("no daemon answers in {}: {e}", dir.display()));
            if e.kind() == io::ErrorKind::PermissionDenied { Exit::System } else { Exit::NoDaemon }
        };
        let mut stream = Stdio(control_socket::connect(dir).map_err(no_daemon)?);
        stream.0.set_read_timeout(Some(PATIENCE)).map_err(no_daemon)?;
        let mut buf = [0; MAX_FRAME];
        // A request is a few bytes.
        let frame = control::encode(&mut buf, &request).unwrap_or(&[]);
        embedded_io::Write::write_all(&mut stream, frame).map_err(no_daemon)?;
        Ok(Connection(stream))
    }

    /// The next frame's reply goes to `f`; `Ok(false)` when it was the last.
    fn next(&mut self, f: &mut dyn FnMut(&Reply<'_>)) -> Result<bool, Exit> {
        let mut buf = [0; MAX_FRAME];
        let reply = match control::read_frame(&mut self.0, &mut buf) {
            Ok(Some(frame)) => control::decode::<Reply<'_>>(frame),
            Ok(None) => Err(Bad::Cut),
            Err(bad) => Err(bad),
        };
        match reply {
            Ok(Reply::Refused(why)) => {
                complain(why);
                Err(Exit::Config)
            }
            Ok(reply) => {
                f(&reply);
                Ok(reply != Reply::End)
            }
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

pub(super) fn reload(dir: &Path) -> Exit {
    match Connection::open(dir, Request::Reload).and_then(|mut c| c.next(&mut |_| {})) {
        Ok(_) => Exit::Ok,
        Err(exit) => exit,
    }
}

/// Returns when the daemon is gone, its addresses handed over.
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
