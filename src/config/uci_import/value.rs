//! Values of options: numbers, times, flags, names, addresses and interfaces.

use core::net::IpAddr;

use ufmt::uwrite;

use super::image::Value;
use super::{Done, Importer};
use crate::config::assemble::Reported;
use crate::config::diagnostics::{Diagnostics, Excerpt, Pos};
use crate::config::line::value::{digits, duration, is_host};
use crate::config::model::{Family, MAX_IFNAME, StrId};
use crate::text::{Text, Written};
use crate::vrrp::timing::Micros;

/// What a line of the line language has room for besides a string.
pub(super) const LINE: usize = 440;

/// How a boolean may be written; the first is off.
static BOOLEANS: [[&str; 4]; 2] = [["0", "off", "false", "no"], ["1", "on", "true", "yes"]];

/// What `text` says as a boolean.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "disabled" => Some(false),
        "enabled" => Some(true),
        _ => BOOLEANS.iter().position(|words| words.contains(&text)).map(|i| i == 1),
    }
}

/// Bytes of `text` between quotes.
pub(super) fn written_len(text: &str) -> usize {
    text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count()
}

impl Importer<'_> {
    pub(super) fn error(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        self.reader.asm.diag.error(at, message);
    }

    /// Reports what is not taken over, or otherwise than it is written.
    pub(super) fn warn(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        let say = if self.options.strict { Diagnostics::error } else { Diagnostics::warning };
        say(self.reader.asm.diag, at, message);
    }

    /// Reports how something was understood.
    pub(super) fn note(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        self.reader.asm.diag.warning(at, message);
    }

    /// Reports that `v` is not what its option wants.
    pub(super) fn need(&mut self, v: Value<'_>, expected: &str) -> Reported {
        self.error(v.at, &mut |t| uwrite!(t, "'{}' needs {}, not '{}'", v.option.name(), expected, Excerpt(v.text)));
        Reported
    }

    /// A number from `low` to `high`.
    pub(super) fn number(&mut self, v: Value<'_>, low: u32, high: u32) -> Done<u32> {
        match digits(v.text).and_then(|n| u32::try_from(n).ok()).filter(|n| (low..=high).contains(n)) {
            Some(n) => Ok(n),
            None => {
                self.error(v.at, &mut |t| {
                    uwrite!(
                        t,
                        "'{}' needs a number from {} to {}, not '{}'",
                        v.option.name(),
                        low,
                        high,
                        Excerpt(v.text)
                    )
                });
                Err(Reported)
            }
        }
    }

    /// A number that fits a byte.
    pub(super) fn byte(&mut self, v: Value<'_>, low: u32) -> Done<u8> {
        self.number(v, low, 255).map(|n| n as u8)
    }

    /// Seconds, perhaps with decimals or a unit, up to `high`.
    pub(super) fn time(&mut self, v: Value<'_>, low: Micros, high: Micros, expected: &str) -> Done<Micros> {
        match duration(v.text) {
            Some(time) if low <= time && time <= high => Ok(time),
            _ => Err(self.need(v, expected)),
        }
    }

    /// Which of `words`.
    pub(super) fn choice(&mut self, v: Value<'_>, words: &[&str]) -> Done<usize> {
        if let Some(i) = words.iter().position(|w| w.eq_ignore_ascii_case(v.text)) {
            return Ok(i);
        }
        self.error(v.at, &mut |t| {
            uwrite!(t, "'{}' needs ", v.option.name())?;
            for (i, word) in words.iter().enumerate() {
                uwrite!(t, "{}'{}'", if i == 0 { "" } else { " or " }, *word)?;
            }
            uwrite!(t, ", not '{}'", Excerpt(v.text))
        });
        Err(Reported)
    }

    /// A boolean that keepalived's init script reads as one.
    pub(super) fn switch(&mut self, v: Value<'_>) -> Done<bool> {
        match boolean(v.text) {
            Some(on) => Ok(on),
            None => Err(self.need(v, "'1' or '0'")),
        }
    }

    /// A flag, which keepalived's init script takes to be on whatever its value.
    pub(super) fn flag(&mut self, v: Option<Value<'_>>) -> bool {
        v.is_some_and(|v| self.truth(v.at, v.option.name(), v.text))
    }

    /// The same of an option that is not kept.
    pub(super) fn truth(&mut self, at: Pos, name: &str, text: &str) -> bool {
        let Some(on) = boolean(text) else {
            self.note(at, &mut |t| {
                uwrite!(
                    t,
                    "'{}' is '1' or '0': '{}' is taken as on, as keepalived's init script takes it",
                    name,
                    Excerpt(text)
                )
            });
            return true;
        };
        if !on && !self.told.flag {
            self.told.flag = true;
            self.note(at, &mut |t| {
                uwrite!(t, "'{}' is off, as it says; keepalived's init script takes any value as on", name)
            });
        }
        on
    }

    /// Text that the configuration can hold: printable, of at most `max` bytes.
    pub(super) fn text(&mut self, v: Value<'_>, max: usize) -> Done<StrId> {
        self.printable(v.at, v.option.name(), v.text, max)?;
        self.reader.asm.intern(v.at, v.text)
    }

    /// Whether `text` is such text.
    pub(super) fn printable(&mut self, at: Pos, what: &str, text: &str, max: usize) -> Done {
        if text.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            self.error(at, &mut |t| {
                uwrite!(t, "a control character or a line's end in '{}': expected printable text", what)
            });
            return Err(Reported);
        }
        let len = text.len().max(if written_len(text) > LINE { written_len(text) } else { 0 });
        if len > max {
            self.error(at, &mut |t| {
                uwrite!(t, "'{}' is too long for '{}': expected at most {} bytes", Excerpt(text), what, max)
            });
            return Err(Reported);
        }
        Ok(())
    }

    /// Whether strings fit one line of the line language together.
    pub(super) fn one_line(&mut self, at: Pos, what: &str, strings: &mut dyn Iterator<Item = &str>) -> Done {
        // A blank and two quotes for each.
        if strings.map(|s| written_len(s) + 3).sum::<usize>() <= LINE {
            return Ok(());
        }
        self.error(at, &mut |t| {
            uwrite!(t, "the names and texts of '{}' are too long together: expected at most {} bytes", what, LINE)
        });
        Err(Reported)
    }

    /// An address that one host can have.
    pub(super) fn host(&mut self, v: Value<'_>) -> Done<IpAddr> {
        match v.text.parse().ok().filter(is_host) {
            Some(ip) => Ok(ip),
            None => Err(self.need(v, "the IPv4 or IPv6 address of a host")),
        }
    }

    /// A host's address, perhaps with a prefix length; without, that of one host.
    pub(super) fn prefixed(&mut self, v: Value<'_>) -> Done<(IpAddr, u8)> {
        let (ip, length) = v.text.split_once('/').map_or((v.text, None), |(ip, length)| (ip, Some(length)));
        let Some(ip) = ip.parse::<IpAddr>().ok().filter(is_host) else {
            return Err(self.need(v, "the address of a host, such as 192.168.1.1/24 or fe80::1/64"));
        };
        let bits = Family::of(ip).bits();
        let length = length.map_or(Some(bits.into()), digits).filter(|n| (1..=u64::from(bits)).contains(n));
        match length {
            Some(length) => Ok((ip, length as u8)),
            None => {
                self.error(v.at, &mut |t| {
                    uwrite!(t, "'{}' has a wrong prefix length: expected /1 to /{}", Excerpt(v.text), bits)
                });
                Err(Reported)
            }
        }
    }

    /// A network interface, or the logical network that it is of.
    pub(super) fn interface(&mut self, v: Value<'_>) -> Done<StrId> {
        let networks = self.options.networks;
        if let Some((at, reason)) = networks.wrong()
            && !self.told.network
        {
            self.told.network = true;
            self.note(v.at, &mut |t| {
                uwrite!(
                    t,
                    "names of networks may be missing: {} is wrong at line {}: {}",
                    networks.path(),
                    at.line,
                    reason.text()
                )
            });
        }
        let mut device = heapless::String::<{ MAX_IFNAME + 1 }>::new();
        let mut name = v.text;
        if networks.knows(v.text) {
            if networks.device(v.text, &mut device) {
                name = &device;
                if name != v.text {
                    self.note(v.at, &mut |t| {
                        uwrite!(t, "'{}' is a network of {}: taken as its device {}", v.text, networks.path(), name)
                    });
                }
            } else {
                self.warn(v.at, &mut |t| {
                    uwrite!(
                        t,
                        "'{}' is a network of {} without a device: taken as the name of one",
                        v.text,
                        networks.path()
                    )
                });
            }
        }
        let wrong = name.is_empty() || matches!(name, "." | "..") || name.contains(['/', ':', ' ', '\t']);
        if wrong || name.len() > MAX_IFNAME {
            return Err(
                self.need(v, "the name of a network interface, of at most 15 bytes without blanks, '/' and ':'")
            );
        }
        self.printable(v.at, v.option.name(), name, MAX_IFNAME)?;
        self.reader.asm.intern(v.at, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        for word in ["1", "on", "true", "yes", "enabled"] {
            assert_eq!(boolean(word), Some(true));
        }
        for word in ["0", "off", "false", "no", "disabled"] {
            assert_eq!(boolean(word), Some(false));
        }
        for word in ["", "2", "On", "eth0"] {
            assert_eq!(boolean(word), None);
        }
    }
}
