//! Statements of the whole file, and those that open a scope.

use ufmt::uwrite;

use super::keyword::{DEFAULTS, Done, INSTANCE, Reader, skip_value};
use super::lex::Words;
use super::value::Expected;
use crate::config::assemble::Reported;
use crate::config::diagnostics::Excerpt;
use crate::config::model::{LinkDelay, LogLevel, MAX_DELAY, MAX_NAME, StrId};
use crate::vrrp::timing::Micros;

/// The levels in the order of [`LEVELS`].
pub(super) static LEVEL_NAMES: [&str; 4] = ["error", "warn", "info", "debug"];
pub(super) static LEVELS: [LogLevel; 4] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];

/// The longest wait that any property takes.
pub(super) const DAY: Micros = Micros::from_secs(24 * 60 * 60);
/// The least that a command is given.
pub(super) const SECOND: Micros = Micros::from_secs(1);
/// The longest path.
const MAX_PATH: usize = 255;
/// The hotplug types together, with a blank between each two.
const MAX_HOTPLUG: usize = 128;

pub(super) fn router_id(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.router_id = r.name(w, "router-id", "the name of this router", MAX_NAME)?;
    Ok(())
}

pub(super) fn log(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let level = r.choice(w, "log", &LEVEL_NAMES)?;
    r.asm.config.log_level = LEVELS[level];
    Ok(())
}

pub(super) fn log_unknown(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.log_unknown = r.on_off(w, "log-unknown")?;
    Ok(())
}

pub(super) fn strict(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.strict = r.on_off(w, "strict")?;
    Ok(())
}

pub(super) fn script_user(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    if let Some(commands) = &mut r.asm.commands {
        commands.script_user = w.pos();
    }
    r.asm.config.script_user = r.name(w, "script-user", "USER or USER:GROUP", MAX_NAME)?;
    Ok(())
}

pub(super) fn script_security(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.script_security = r.on_off(w, "script-security")?;
    Ok(())
}

pub(super) fn startup_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.startup_delay =
        r.duration(w, "startup-delay", Micros::ZERO, DAY, "a duration from 0s to 1440m, such as 10s")?;
    Ok(())
}

pub(super) fn interface_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let interface = r.interface(w, "interface-delay")?;
    let (mut delay, mut seen) = (LinkDelay { interface, down: Micros::ZERO, up: Micros::ZERO }, 0);
    while let Some(option) = r.option(w, &["down", "up"], &mut seen)? {
        let (keyword, time) = if option == 0 { ("down", &mut delay.down) } else { ("up", &mut delay.up) };
        *time = r.duration(w, keyword, Micros(1), MAX_DELAY, "a duration up to 255s, such as 2s")?;
    }
    if seen == 0 {
        return Err(r.need(w, "interface-delay", Expected::Text("'down DURATION' or 'up DURATION', or both")));
    }
    r.asm.add_delay(at, delay);
    Ok(())
}

pub(super) fn max_children(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.max_children = r.number(w, "max-children", 1, 32)? as u8;
    Ok(())
}

pub(super) fn notify_timeout(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.config.notify_timeout =
        r.duration(w, "notify-timeout", SECOND, DAY, "a duration from 1s to 1440m, such as 60s")?;
    Ok(())
}

pub(super) fn notify_fifo(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    if let Some(commands) = &mut r.asm.commands {
        commands.notify_fifo = w.pos();
    }
    r.asm.config.notify_fifo = r.path(w, "notify-fifo")?;
    Ok(())
}

pub(super) fn hotplug(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    const EXPECTED: Expected<'_> = Expected::Text("'off' or hotplug types, such as 'keepalived'");
    let at = w.pos();
    if w.peek() == Some("off") {
        w.skip();
        return Ok(());
    }
    let mut types: heapless::String<MAX_HOTPLUG> = heapless::String::new();
    if w.peek().is_none() {
        return Err(r.need(w, "hotplug", EXPECTED));
    }
    while let Some(word) = w.peek() {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if word.is_empty() || !word.bytes().all(plain) || matches!(word, "." | ".." | "off") {
            return Err(r.need(w, "hotplug", EXPECTED));
        }
        if types.split(' ').any(|other| other == word) {
            r.asm.diag.error(w.pos(), &mut |t| uwrite!(t, "'hotplug' names '{}' twice", Excerpt(word)));
            return Err(Reported);
        }
        let blank = if types.is_empty() { "" } else { " " };
        if types.push_str(blank).and_then(|()| types.push_str(word)).is_err() {
            r.asm.diag.error(w.pos(), &mut |t| {
                uwrite!(t, "the types of 'hotplug' are too long: expected at most {} bytes", MAX_HOTPLUG)
            });
            return Err(Reported);
        }
        w.skip();
    }
    r.asm.config.hotplug = r.asm.intern(at, &types)?;
    Ok(())
}

impl Reader<'_> {
    /// A path from the root.
    pub(super) fn path(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        if w.peek().is_some_and(|word| !word.starts_with('/')) {
            return Err(self.need(w, keyword, Expected::Text("a path that begins with '/'")));
        }
        let path = self.plain(w, keyword, "a path that begins with '/'", MAX_PATH)?;
        self.asm.intern(at, path)
    }
}

pub(super) fn defaults(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    if w.peek().is_none() {
        return Err(r.need(w, "defaults", Expected::Text("a property and its value, such as 'advert 1s'")));
    }
    r.in_defaults = true;
    // A later `defaults` line may say otherwise for what follows it.
    r.asm.defaults.marks.renew();
    r.properties(w, DEFAULTS, false);
    Ok(())
}

pub(super) fn instance(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    match r.plain(w, "instance", "a name", MAX_NAME) {
        Ok(name) => r.asm.begin(at, name),
        Err(_) => {
            // The properties behind it are worth reading for their own errors.
            r.asm.begin_broken();
            skip_value(w, INSTANCE);
        }
    }
    r.properties(w, INSTANCE, false);
    Ok(())
}
