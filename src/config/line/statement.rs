//! Statements of the whole file, and those that open a scope.

use super::keyword::{DEFAULTS, Done, INSTANCE, Reader, skip_value};
use super::lex::Words;
use super::value::Expected;
use crate::config::model::{LogLevel, MAX_NAME};
use crate::vrrp::timing::Micros;

/// The levels in the order of [`LEVELS`].
pub(super) static LEVEL_NAMES: [&str; 4] = ["error", "warn", "info", "debug"];
pub(super) static LEVELS: [LogLevel; 4] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];

/// The longest wait that any property takes.
pub(super) const DAY: Micros = Micros::from_secs(24 * 60 * 60);

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
            skip_value(w);
        }
    }
    r.properties(w, INSTANCE, false);
    Ok(())
}
