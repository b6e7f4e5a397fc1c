//! The `check` statement.

use core::net::IpAddr;

use ufmt::uwrite;

use super::MAX_LINE;
use super::keyword::{Done, Reader};
use super::lex::Words;
use super::statement::DAY;
use super::value::Expected;
use crate::check::http::MAX_TEXT;
use crate::config::assemble::Reported;
use crate::config::commands::CommandAt;
use crate::config::diagnostics::{Excerpt, Pos, suggest};
use crate::config::draft::{CheckDraft, Part};
use crate::config::model::{CheckKind, Initial, MAIN_TABLE, MAX_NAME, Origin, RECORD_TYPES, RecordType, StrId};
use crate::vrrp::timing::Micros;

/// The initial states in the order of [`INITIALS`].
pub(super) static INITIAL_NAMES: [&str; 3] = ["unknown", "up", "down"];
pub(super) static INITIALS: [Initial; 3] = [Initial::Unknown, Initial::Up, Initial::Down];

/// Where DNS servers listen.
pub(super) const DNS_PORT: u16 = 53;
/// The longest process name, and words of its command line.
const MAX_PROCESS: usize = 255;
/// The shortest interval.
const SHORTEST: Micros = Micros::from_millis(10);

/// A kind of check.
struct Kind {
    word: &'static str,
    /// Reads what it looks at.
    target: fn(&mut Reader<'_>, &mut Words<'_>, &mut CheckDraft) -> Result<CheckKind, Reported>,
    /// The options that every kind has, and behind them its own.
    options: &'static [&'static str],
}

static KINDS: [Kind; 9] = [
    Kind { word: "script", target: script, options: &["every", "timeout", "fall", "rise", "initial", "user"] },
    Kind {
        word: "process",
        target: process,
        options: &[
            "every",
            "timeout",
            "fall",
            "rise",
            "initial",
            "min",
            "max",
            "full-command",
            "params",
            "delay",
            "connector",
        ],
    },
    Kind { word: "file", target: file, options: &["every", "timeout", "fall", "rise", "initial"] },
    Kind { word: "interface", target: interface, options: &["every", "timeout", "fall", "rise", "initial"] },
    Kind { word: "route", target: route, options: &["every", "timeout", "fall", "rise", "initial", "via", "table"] },
    Kind { word: "ping", target: ping, options: &["every", "timeout", "fall", "rise", "initial", "from"] },
    Kind { word: "tcp", target: tcp, options: &["every", "timeout", "fall", "rise", "initial", "from"] },
    Kind {
        word: "http",
        target: http,
        options: &["every", "timeout", "fall", "rise", "initial", "status", "contains"],
    },
    Kind { word: "dns", target: dns, options: &["every", "timeout", "fall", "rise", "initial", "type", "port"] },
];

pub(super) fn check(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let name = match r.name(w, "check", "a name", MAX_NAME) {
        Ok(name) => name,
        Err(reported) => {
            r.asm.add_broken_check(at, None);
            return Err(reported);
        }
    };
    let mut draft = CheckDraft::new(at, name);
    match read(r, w, &mut draft) {
        Ok(()) => {
            if let CheckKind::Script { command, user } = draft.check.kind {
                let (at, user_at) = (draft.place(Part::Target), draft.place(Part::Via));
                r.asm.note_command(CommandAt { at, what: "script", command, user, user_at });
            }
            r.asm.add_check(draft);
        }
        Err(_) => r.asm.add_broken_check(at, Some(name)),
    }
    // What is wrong with the line has been said.
    w.skip_all();
    Ok(())
}

/// Reads a kind, what it looks at, and options.
pub(super) fn read(r: &mut Reader<'_>, w: &mut Words<'_>, draft: &mut CheckDraft) -> Done {
    let words: [&str; KINDS.len()] = core::array::from_fn(|i| KINDS[i].word);
    let kind = &KINDS[r.choice(w, "check", &words)?];
    draft.mark(Part::Target, w.pos());
    draft.check.kind = (kind.target)(r, w, draft)?;
    let (mut seen, mut done) = (0, Ok(()));
    while let Some(word) = w.peek() {
        let at = w.pos();
        let read = match r.option(w, kind.options, &mut seen) {
            Ok(Some(i)) => option(r, w, draft, kind.options[i], at),
            Ok(None) => {
                unknown(r, w, kind, word);
                w.skip();
                Err(Reported)
            }
            Err(reported) => {
                w.skip();
                Err(reported)
            }
        };
        if read.is_err() {
            // One wrong option does not hide the next.
            done = read;
            resume(w, kind);
        }
    }
    done
}

/// Goes on at the next option.
fn resume(w: &mut Words<'_>, kind: &Kind) {
    while w.peek().is_some_and(|word| w.quoted() || !kind.options.contains(&word)) {
        w.skip();
    }
}

fn unknown(r: &mut Reader<'_>, w: &Words<'_>, kind: &Kind, word: &str) {
    let near = suggest(word, &mut kind.options.iter().copied());
    r.asm.diag.error(w.pos(), &mut |t| {
        uwrite!(t, "unknown option '{}' of '{}'", Excerpt(word), kind.word)?;
        match near {
            _ if matches!(word, "weight" | "reverse") => {
                uwrite!(t, ": expected behind 'track NAME' in an instance or group")
            }
            Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
            None => Ok(()),
        }
    });
}

/// Reads what follows the option `word`, which stands at `at`.
fn option(r: &mut Reader<'_>, w: &mut Words<'_>, draft: &mut CheckDraft, word: &'static str, at: Pos) -> Done {
    const INTERVAL: &str = "a duration from 10ms to 1440m";
    let value_at = w.pos();
    match word {
        "every" => draft.check.every = r.duration(w, word, SHORTEST, DAY, INTERVAL)?,
        "timeout" => {
            draft.mark(Part::Timeout, at);
            draft.check.timeout = r.duration(w, word, SHORTEST, DAY, INTERVAL)?;
        }
        "fall" => {
            draft.mark(Part::Fall, at);
            draft.check.fall = r.byte(w, word, 1)?;
        }
        "rise" => {
            draft.mark(Part::Rise, at);
            draft.check.rise = r.byte(w, word, 1)?;
        }
        "initial" => {
            draft.mark(Part::Initial, at);
            draft.check.initial = INITIALS[r.choice(w, word, &INITIAL_NAMES)?];
        }
        "min" => draft.mark(Part::Min, value_at),
        "max" => draft.mark(Part::Max, value_at),
        _ => draft.mark(Part::Via, value_at),
    }
    match (&mut draft.check.kind, word) {
        (CheckKind::Script { user, .. }, "user") => *user = r.name(w, word, "USER or USER:GROUP", MAX_NAME)?,
        (CheckKind::Process { min, .. }, "min") => *min = r.number(w, word, 0, 65535)? as u16,
        (CheckKind::Process { max, .. }, "max") => *max = Some(r.number(w, word, 0, 65535)? as u16),
        (CheckKind::Process { full_command, .. }, "full-command") => *full_command = true,
        (CheckKind::Process { params, .. }, "params") => {
            *params = r.name(w, word, "the words behind the program's name", MAX_PROCESS)?;
        }
        (CheckKind::Process { delay, .. }, "delay") => {
            *delay = r.duration(w, word, Micros::ZERO, DAY, "a duration from 0s to 1440m")?;
        }
        (CheckKind::Process { connector, .. }, "connector") => *connector = true,
        (CheckKind::Route { via, .. }, "via") => *via = Some(r.host(w, word)?),
        (CheckKind::Route { table, .. }, "table") => *table = r.number(w, word, 1, u32::MAX)?,
        (CheckKind::Ping { from, .. } | CheckKind::Tcp { from, .. }, "from") => *from = origin(r, w)?,
        (CheckKind::Http { status, .. }, "status") => *status = Some(r.number(w, word, 100, 599)? as u16),
        (CheckKind::Http { contains, .. }, "contains") => *contains = r.name(w, word, "a text", MAX_TEXT)?,
        (CheckKind::Dns { record, .. }, "type") => {
            let Some(named) = w.peek().and_then(RecordType::parse) else {
                let names: [&str; RECORD_TYPES.len()] = core::array::from_fn(|i| RECORD_TYPES[i].0);
                return Err(r.need(w, word, Expected::OneOf(&names)));
            };
            *record = named;
            w.skip();
        }
        (CheckKind::Dns { port, .. }, "port") => *port = r.number(w, word, 1, 65535)? as u16,
        _ => {}
    }
    Ok(())
}

/// An address of ours, or else the name of an interface.
fn origin(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<Origin, Reported> {
    match w.peek() {
        None => Err(r.need(w, "from", Expected::Text("an address or an interface of this router"))),
        Some(word) if word.parse::<IpAddr>().is_ok() => r.host(w, "from").map(Origin::Address),
        Some(_) => r.interface(w, "from").map(Origin::Interface),
    }
}

fn script(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    Ok(CheckKind::Script { command: r.command(w, "script")?, user: StrId::default() })
}

fn process(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    Ok(CheckKind::Process {
        name: r.name(w, "process", "the name of a process", MAX_PROCESS)?,
        min: 1,
        max: None,
        full_command: false,
        params: StrId::default(),
        delay: Micros::ZERO,
        connector: false,
    })
}

fn file(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    Ok(CheckKind::File { path: r.path(w, "file")? })
}

fn interface(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    Ok(CheckKind::Interface { interface: r.interface(w, "interface")? })
}

fn route(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    let (prefix, length) = r.destination(w, "route")?;
    Ok(CheckKind::Route { prefix, length, via: None, table: MAIN_TABLE })
}

fn ping(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    Ok(CheckKind::Ping { target: r.host(w, "ping")?, from: Origin::Any })
}

fn tcp(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    let target = r.host(w, "tcp")?;
    Ok(CheckKind::Tcp { target, port: r.number(w, "tcp", 1, 65535)? as u16, from: Origin::Any })
}

fn http(r: &mut Reader<'_>, w: &mut Words<'_>, _: &mut CheckDraft) -> Result<CheckKind, Reported> {
    let url = r.name(w, "http", "a URL, such as http://192.0.2.1/", MAX_LINE)?;
    Ok(CheckKind::Http { url, status: None, contains: StrId::default() })
}

fn dns(r: &mut Reader<'_>, w: &mut Words<'_>, draft: &mut CheckDraft) -> Result<CheckKind, Reported> {
    let server = r.host(w, "dns")?;
    draft.mark(Part::Name, w.pos());
    let name = r.name(w, "dns", "a server and the name to ask for", MAX_LINE)?;
    Ok(CheckKind::Dns { server, port: DNS_PORT, name, record: RecordType::A })
}
