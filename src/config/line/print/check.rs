//! The `check` statement.

use ufmt::{uWrite, uwrite};

use super::{Quoted, named};
use crate::config::line::check::{DNS_PORT, INITIAL_NAMES, INITIALS};
use crate::config::model::{Check, CheckKind, Config, Initial, MAIN_TABLE, Origin, RecordType};
use crate::text::{Duration, Ip, Text, Written};
use crate::vrrp::timing::Micros;

pub(super) fn write(config: &Config, check: &Check, t: &mut Text<'_>) -> Written {
    uwrite!(t, "check {} {} ", Quoted(config.str(check.name)), check.kind.word())?;
    write_kind(config, &check.kind, t)?;
    if check.every != Check::EVERY {
        uwrite!(t, " every {}", Duration(check.every))?;
    }
    if check.timeout != check.every {
        uwrite!(t, " timeout {}", Duration(check.timeout))?;
    }
    if check.fall != 1 {
        uwrite!(t, " fall {}", check.fall)?;
    }
    if check.rise != 1 {
        uwrite!(t, " rise {}", check.rise)?;
    }
    if check.initial != Initial::Unknown {
        uwrite!(t, " initial {}", named(&check.initial, &INITIALS, &INITIAL_NAMES))?;
    }
    t.write_str("\n")
}

fn write_kind(config: &Config, kind: &CheckKind, t: &mut Text<'_>) -> Written {
    let word = |id| Quoted(config.str(id));
    match *kind {
        CheckKind::Script { command, user } => {
            uwrite!(t, "{}", word(command))?;
            if !user.is_empty() {
                uwrite!(t, " user {}", word(user))?;
            }
        }
        CheckKind::Process { name, min, max, full_command, params, delay, connector } => {
            uwrite!(t, "{}", word(name))?;
            if min != 1 {
                uwrite!(t, " min {}", min)?;
            }
            if let Some(max) = max {
                uwrite!(t, " max {}", max)?;
            }
            if full_command {
                t.write_str(" full-command")?;
            }
            if !params.is_empty() {
                uwrite!(t, " params {}", word(params))?;
            }
            if delay != Micros::ZERO {
                uwrite!(t, " delay {}", Duration(delay))?;
            }
            if connector {
                t.write_str(" connector")?;
            }
        }
        CheckKind::File { path } => uwrite!(t, "{}", word(path))?,
        CheckKind::Interface { interface } => uwrite!(t, "{}", word(interface))?,
        CheckKind::Route { prefix, length, via, table } => {
            if length == 0 && prefix.is_ipv4() {
                t.write_str("default")?;
            } else {
                uwrite!(t, "{}/{}", Ip(prefix), length)?;
            }
            if let Some(via) = via {
                uwrite!(t, " via {}", Ip(via))?;
            }
            if table != MAIN_TABLE {
                uwrite!(t, " table {}", table)?;
            }
        }
        CheckKind::Ping { target, from } => {
            uwrite!(t, "{}", Ip(target))?;
            write_origin(config, from, t)?;
        }
        CheckKind::Tcp { target, port, from } => {
            uwrite!(t, "{} {}", Ip(target), port)?;
            write_origin(config, from, t)?;
        }
        CheckKind::Http { url, status, contains } => {
            uwrite!(t, "{}", word(url))?;
            if let Some(status) = status {
                uwrite!(t, " status {}", status)?;
            }
            if !contains.is_empty() {
                uwrite!(t, " contains {}", word(contains))?;
            }
        }
        CheckKind::Dns { server, port, name, record } => {
            uwrite!(t, "{} {}", Ip(server), word(name))?;
            if record != RecordType::A {
                uwrite!(t, " type {}", record.name())?;
            }
            if port != DNS_PORT {
                uwrite!(t, " port {}", port)?;
            }
        }
    }
    Ok(())
}

fn write_origin(config: &Config, from: Origin, t: &mut Text<'_>) -> Written {
    match from {
        Origin::Any => Ok(()),
        Origin::Address(ip) => uwrite!(t, " from {}", Ip(ip)),
        Origin::Interface(name) => uwrite!(t, " from {}", Quoted(config.str(name))),
    }
}
