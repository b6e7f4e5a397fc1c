//! The statements of the whole file.

use ufmt::{uWrite, uwrite};

use super::{Quoted, named, write_address, write_route};
use crate::config::line::statement::{LEVEL_NAMES, LEVELS};
use crate::config::model::{Config, Lifecycle};
use crate::text::{Duration, Text, Written};
use crate::vrrp::timing::Micros;

/// Writes them; false if there is none to write.
pub(super) fn write(config: &Config, t: &mut Text<'_>) -> Written<bool> {
    let built_in = Config::default();
    let mut any = false;
    let mut line = |differs: bool, write: &mut dyn FnMut(&mut Text<'_>) -> Written| {
        if !differs {
            return Ok(());
        }
        any = true;
        write(t)?;
        t.write_str("\n")
    };
    let word = |id| Quoted(config.str(id));
    line(!config.router_id.is_empty(), &mut |t| uwrite!(t, "router-id {}", word(config.router_id)))?;
    line(config.log_level != built_in.log_level, &mut |t| {
        uwrite!(t, "log {}", named(&config.log_level, &LEVELS, &LEVEL_NAMES))
    })?;
    line(config.log_unknown, &mut |t| t.write_str("log-unknown on"))?;
    line(config.strict, &mut |t| t.write_str("strict on"))?;
    line(config.startup_delay != built_in.startup_delay, &mut |t| {
        uwrite!(t, "startup-delay {}", Duration(config.startup_delay))
    })?;
    line(!config.script_user.is_empty(), &mut |t| uwrite!(t, "script-user {}", word(config.script_user)))?;
    line(!config.script_security, &mut |t| t.write_str("script-security off"))?;
    line(config.max_children != built_in.max_children, &mut |t| uwrite!(t, "max-children {}", config.max_children))?;
    line(config.notify_timeout != built_in.notify_timeout, &mut |t| {
        uwrite!(t, "notify-timeout {}", Duration(config.notify_timeout))
    })?;
    line(!config.notify_fifo.is_empty(), &mut |t| uwrite!(t, "notify-fifo {}", word(config.notify_fifo)))?;
    // Its words need no quotes, and are several.
    line(!config.hotplug.is_empty(), &mut |t| uwrite!(t, "hotplug {}", config.str(config.hotplug)))?;
    for (name, of) in [("startup", &config.startup), ("shutdown", &config.shutdown)] {
        line(!of.command.is_empty(), &mut |t| {
            uwrite!(t, "{} {}", name, word(of.command))?;
            if of.timeout == Lifecycle::default().timeout {
                Ok(())
            } else {
                uwrite!(t, " timeout {}", Duration(of.timeout))
            }
        })?;
    }
    for delay in &config.link_delays {
        any = true;
        uwrite!(t, "interface-delay {}", word(delay.interface))?;
        for (name, time) in [("down", delay.down), ("up", delay.up)] {
            if time > Micros::ZERO {
                uwrite!(t, " {} {}", name, Duration(time))?;
            }
        }
        t.write_str("\n")?;
    }
    for address in config.static_addresses.of(&config.addresses) {
        any = true;
        t.write_str("static-address ")?;
        write_address(config, address, false, t)?;
    }
    for route in config.static_routes.of(&config.routes) {
        any = true;
        t.write_str("static-route ")?;
        write_route(config, route, t)?;
        t.write_str("\n")?;
    }
    Ok(any)
}
