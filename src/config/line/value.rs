//! Values: numbers, choices, durations, names, addresses. A value that is wrong is reported where it
//! stands and not taken, so that a forgotten one does not swallow the property behind it.

use core::net::{IpAddr, Ipv4Addr};

use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::keyword::{Reader, is_property};
use super::lex::Words;
use crate::config::assemble::Reported;
use crate::config::diagnostics::Excerpt;
use crate::config::model::{Family, MAX_IFNAME, StrId};
use crate::vrrp::timing::Micros;

/// What a property wants.
#[derive(Clone, Copy)]
pub(super) enum Expected<'a> {
    Text(&'a str),
    Number(u32, u32),
    OneOf(&'a [&'a str]),
}

impl uDisplay for Expected<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        match *self {
            Expected::Text(s) => f.write_str(s),
            Expected::Number(low, high) => uwrite!(f, "a number from {} to {}", low, high),
            Expected::OneOf(words) => {
                for (i, word) in words.iter().enumerate() {
                    let between = match i {
                        0 => "",
                        _ if i + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    uwrite!(f, "{}'{}'", between, *word)?;
                }
                Ok(())
            }
        }
    }
}

/// A whole number, digits only.
pub(in crate::config) fn digits(s: &str) -> Option<u64> {
    if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    s.bytes().try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add((b - b'0') as u64))
}

/// A duration: digits, perhaps decimals, and `ms`, `cs`, `s` or `m`; seconds if bare. `None` if it is
/// none, or not a whole number of microseconds, or too long to count.
pub fn duration(s: &str) -> Option<Micros> {
    let unit_at = s.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(s.len());
    let (number, unit) = s.split_at(unit_at);
    let unit = match unit {
        "ms" => 1_000u64,
        "cs" => 10_000,
        "s" | "" => 1_000_000,
        "m" => 60_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let mut micros = digits(whole)?.checked_mul(unit)?;
    digits(fraction.get(..1)?)?;
    // Each decimal is worth a tenth of the one before; it must come out whole.
    let (mut sum, mut scale) = (0u64, 1u64);
    for digit in fraction.trim_end_matches('0').bytes() {
        if !digit.is_ascii_digit() || scale > unit {
            return None;
        }
        scale *= 10;
        sum = sum * 10 + (digit - b'0') as u64;
    }
    let product = sum * unit;
    if !product.is_multiple_of(scale) {
        return None;
    }
    micros = micros.checked_add(product / scale)?;
    Some(Micros(micros))
}

impl Reader<'_> {
    /// Reports that the next word is not what `keyword` expects.
    pub(super) fn need(&mut self, w: &Words<'_>, keyword: &str, expected: Expected<'_>) -> Reported {
        self.asm.diag.error(w.pos(), &mut |t| {
            uwrite!(t, "'{}' needs {}", keyword, expected)?;
            match w.peek() {
                Some(word) => uwrite!(t, ", not '{}'", Excerpt(word)),
                None => Ok(()),
            }
        });
        Reported
    }

    /// A number from `low` to `high`.
    pub(super) fn number(&mut self, w: &mut Words<'_>, keyword: &str, low: u32, high: u32) -> Result<u32, Reported> {
        match w.peek().and_then(digits) {
            Some(n) if (low as u64..=high as u64).contains(&n) => {
                w.skip();
                Ok(n as u32)
            }
            _ => Err(self.need(w, keyword, Expected::Number(low, high))),
        }
    }

    /// A number that fits a byte.
    pub(super) fn byte(&mut self, w: &mut Words<'_>, keyword: &str, low: u8) -> Result<u8, Reported> {
        self.number(w, keyword, low as u32, 255).map(|n| n as u8)
    }

    /// Which of `words` is next.
    pub(super) fn choice(&mut self, w: &mut Words<'_>, keyword: &str, words: &[&str]) -> Result<usize, Reported> {
        match words.iter().position(|word| w.peek() == Some(word)) {
            Some(i) => {
                w.skip();
                Ok(i)
            }
            None => Err(self.need(w, keyword, Expected::OneOf(words))),
        }
    }

    /// `on` or `off`.
    pub(super) fn on_off(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<bool, Reported> {
        Ok(self.choice(w, keyword, &["on", "off"])? == 0)
    }

    /// A duration from `low` to `high`, which `expected` tells people.
    pub(super) fn duration(
        &mut self,
        w: &mut Words<'_>,
        keyword: &str,
        low: Micros,
        high: Micros,
        expected: &str,
    ) -> Result<Micros, Reported> {
        match w.peek().and_then(duration) {
            Some(d) if low <= d && d <= high => {
                w.skip();
                Ok(d)
            }
            _ => Err(self.need(w, keyword, Expected::Text(expected))),
        }
    }

    /// A word of the user's own, of at most `max` bytes. One that is a property was likely not meant
    /// as a name; in quotes it is.
    pub(super) fn plain<'l>(
        &mut self,
        w: &mut Words<'l>,
        keyword: &str,
        what: &str,
        max: usize,
    ) -> Result<&'l str, Reported> {
        let Some(word) = w.peek() else { return Err(self.need(w, keyword, Expected::Text(what))) };
        if !w.quoted() && is_property(word) {
            self.asm.diag.error(w.pos(), &mut |t| {
                uwrite!(
                    t,
                    "'{}' needs {}, but '{}' is a property: put it in quotes if it is meant",
                    keyword,
                    what,
                    word
                )
            });
            return Err(Reported);
        }
        if word.is_empty() {
            self.asm.diag.error(w.pos(), &mut |t| uwrite!(t, "'{}' needs {}, not an empty word", keyword, what));
            return Err(Reported);
        }
        if word.len() > max {
            self.asm.diag.error(w.pos(), &mut |t| {
                uwrite!(t, "'{}' is too long for '{}': expected at most {} bytes", Excerpt(word), keyword, max)
            });
            return Err(Reported);
        }
        w.skip();
        Ok(word)
    }

    /// A word of the user's own, kept with the configuration.
    pub(super) fn name(&mut self, w: &mut Words<'_>, keyword: &str, what: &str, max: usize) -> Result<StrId, Reported> {
        let at = w.pos();
        let word = self.plain(w, keyword, what, max)?;
        self.asm.intern(at, word)
    }

    /// The name of a network interface, as the kernel allows it.
    pub(super) fn interface(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        let word = self.plain(w, keyword, "the name of a network interface", MAX_IFNAME)?;
        if matches!(word, "." | "..") || word.contains(['/', ':', ' ', '\t']) {
            self.asm.diag.error(at, &mut |t| {
                uwrite!(t, "'{}' is no interface name: expected one without blanks, '/' and ':'", word)
            });
            return Err(Reported);
        }
        self.asm.intern(at, word)
    }

    /// An address that one host can have, of `family` if given.
    pub(super) fn host(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<IpAddr, Reported> {
        match w.peek().and_then(|s| s.parse().ok()).filter(is_host) {
            Some(ip) => {
                w.skip();
                Ok(ip)
            }
            None => Err(self.need(w, keyword, Expected::Text("the IPv4 or IPv6 address of a host"))),
        }
    }

    /// A host's address, perhaps with a prefix length.
    pub(super) fn prefixed(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<(IpAddr, u8), Reported> {
        let word = w.peek().unwrap_or("");
        let (ip, length) = word.split_once('/').map_or((word, None), |(ip, length)| (ip, Some(length)));
        let Some(ip) = ip.parse().ok().filter(is_host) else {
            return Err(self.need(
                w,
                keyword,
                Expected::Text("the address of a host, such as 192.168.1.1/24 or fe80::1/64"),
            ));
        };
        let bits = Family::of(ip).bits();
        let length = match length {
            None => Some(bits),
            Some(s) => digits(s).filter(|n| (1..=bits as u64).contains(n)).map(|n| n as u8),
        };
        match length {
            Some(length) => {
                w.skip();
                Ok((ip, length))
            }
            None => {
                self.asm.diag.error(w.pos(), &mut |t| {
                    uwrite!(t, "'{}' has a wrong prefix length: expected /1 to /{}", Excerpt(word), bits)
                });
                Err(Reported)
            }
        }
    }

    /// Where a route leads: `default`, or an address with or without a length. Bits behind the length
    /// are left as they are.
    pub(super) fn destination(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<(IpAddr, u8), Reported> {
        let word = w.peek().unwrap_or("");
        let (ip, length) = match word.split_once('/') {
            _ if word == "default" => (Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), Some(0)),
            None => (word.parse().ok(), word.parse().ok().map(|ip| Family::of(ip).bits())),
            Some((ip, length)) => (ip.parse().ok(), digits(length).and_then(|n| u8::try_from(n).ok())),
        };
        match ip.zip(length) {
            Some((ip, length)) if length <= Family::of(ip).bits() => {
                w.skip();
                Ok((ip, length))
            }
            _ => Err(self.need(w, keyword, Expected::Text("a destination, such as 'default', ::/0 or 192.0.2.0/24"))),
        }
    }

    /// An option of the property being read, each at most once; `None` behind the last.
    pub(super) fn option(
        &mut self,
        w: &mut Words<'_>,
        options: &'static [&'static str],
        seen: &mut u16,
    ) -> Result<Option<usize>, Reported> {
        self.options = options;
        let Some(i) = options.iter().position(|o| w.peek() == Some(o) && !w.quoted()) else { return Ok(None) };
        if *seen & 1 << i != 0 {
            self.asm.diag.error(w.pos(), &mut |t| uwrite!(t, "'{}' given twice", options[i]));
            return Err(Reported);
        }
        *seen |= 1 << i;
        w.skip();
        Ok(Some(i))
    }
}

/// Whether a host can have `ip`: not 0.0.0.0, ::, a multicast or the broadcast address.
pub(in crate::config) fn is_host(ip: &IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && !matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (s, us) in [
            ("0", 0),
            ("0ms", 0),
            ("10ms", 10_000),
            ("1cs", 10_000),
            ("2s", 2_000_000),
            ("5m", 300_000_000),
            ("3", 3_000_000),
            ("0.5", 500_000),
            ("1.50s", 1_500_000),
            ("1.5m", 90_000_000),
            ("0.25ms", 250),
            ("0.001ms", 1),
            ("40.95s", 40_950_000),
            ("0.000001", 1),
            ("1.000000000000000000000000000000", 1_000_000),
            ("0.0000005m", 30),
            ("0.00000005m", 3),
            ("18446744073709s", 18_446_744_073_709_000_000),
        ] {
            assert_eq!(duration(s), Some(Micros(us)), "{s}");
        }
        for s in [
            "",
            "s",
            ".",
            ".5",
            "1.",
            "1.s",
            "1..5",
            "1.5.5s",
            "-1",
            "+1",
            "1 s",
            "1h",
            "1S",
            "1us",
            "ms",
            "1mss",
            "0.0001ms",
            "0.0000001",
            "0.00000001m",
            "1.0000000000000000001s",
            "99999999999999999999s",
            "18446744073710s",
            "1e3",
            "0x10",
            "１s",
        ] {
            assert_eq!(duration(s), None, "{s}");
        }
    }
}
