//! Text without `core::fmt`: a buffered [`Text`] over `embedded_io::Write`, and what ufmt has no
//! display for: addresses, MAC addresses, durations.

use core::convert::Infallible;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use embedded_io::Write;
use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use crate::vrrp::timing::Micros;

/// The writer below refused; [`write_to`] keeps its own error and returns that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// The result of writing text: a writer that refused is told of at the end, by [`Text::flush`]. So no piece of text
/// carries code for that.
pub type Written<T = ()> = Result<T, Infallible>;

/// A small buffer in front of any writer. It is one type whatever stands behind it, so that what is
/// rendered through it is compiled once.
pub struct Text<'a> {
    sink: &'a mut dyn FnMut(&[u8]) -> Result<(), Stopped>,
    buffer: heapless::Vec<u8, 128>,
    /// It refused; what follows is left out.
    stopped: bool,
}

impl<'a> Text<'a> {
    /// Text that goes to `sink` in pieces; call [`Text::flush`] at the end.
    pub fn new(sink: &'a mut dyn FnMut(&[u8]) -> Result<(), Stopped>) -> Text<'a> {
        Text { sink, buffer: heapless::Vec::new(), stopped: false }
    }

    /// Hands what is buffered to the writer; an error if it refused that, or something before.
    pub fn flush(&mut self) -> Result<(), Stopped> {
        if !self.buffer.is_empty() && !self.stopped {
            self.stopped = (self.sink)(&self.buffer).is_err();
        }
        self.buffer.clear();
        if self.stopped { Err(Stopped) } else { Ok(()) }
    }
}

impl uWrite for Text<'_> {
    type Error = Infallible;

    fn write_str(&mut self, mut s: &str) -> Written {
        while !s.is_empty() {
            // The writer gets whole characters.
            let mut cut = s.len().min(self.buffer.capacity());
            while !s.is_char_boundary(cut) {
                cut -= 1;
            }
            let (piece, rest) = s.split_at(cut);
            if self.buffer.extend_from_slice(piece.as_bytes()).is_err() {
                // What it refused is told at the end.
                let _ = self.flush();
                // A piece is never longer than the empty buffer.
                let _ = self.buffer.extend_from_slice(piece.as_bytes());
            }
            s = rest;
        }
        Ok(())
    }

    // The provided method reads an uninitialised buffer.
    fn write_char(&mut self, c: char) -> Written {
        self.write_str(c.encode_utf8(&mut [0; 4]))
    }
}

/// Renders with `f` into `out`; the error is the writer's.
pub fn write_to<W: Write>(out: &mut W, f: &mut dyn FnMut(&mut Text<'_>) -> Written) -> Result<(), W::Error> {
    let mut failed = None;
    let mut sink = |bytes: &[u8]| {
        out.write_all(bytes).map_err(|e| {
            failed = Some(e);
            Stopped
        })
    };
    let mut text = Text::new(&mut sink);
    // `Stopped` says no more than `failed`, which is what the caller gets.
    let Ok(()) = f(&mut text);
    let _ = text.flush();
    failed.map_or(Ok(()), Err)
}

/// Renders with `f` into a string of at most `N` bytes; what does not fit is cut off, at a character.
pub fn cut_to<const N: usize>(f: &mut dyn FnMut(&mut Text<'_>) -> Written) -> heapless::String<N> {
    let mut out = heapless::String::new();
    let mut sink = |bytes: &[u8]| {
        // `Text` hands on whole characters.
        let mut characters = core::str::from_utf8(bytes).unwrap_or("?").chars();
        characters.try_for_each(|c| out.push(c)).map_err(|_| Stopped)
    };
    let mut text = Text::new(&mut sink);
    // What was cut is still worth reading.
    let Ok(()) = f(&mut text);
    let _ = text.flush();
    out
}

/// An address in canonical form (IPv6: RFC 5952).
#[derive(Clone, Copy)]
pub struct Ip(pub IpAddr);

impl uDisplay for Ip {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        match self.0 {
            IpAddr::V4(ip) => ipv4(f, ip),
            IpAddr::V6(ip) => ipv6(f, ip),
        }
    }
}

fn ipv4<W: uWrite + ?Sized>(f: &mut Formatter<'_, W>, ip: Ipv4Addr) -> Result<(), W::Error> {
    let [a, b, c, d] = ip.octets();
    uwrite!(f, "{}.{}.{}.{}", a, b, c, d)
}

fn ipv6<W: uWrite + ?Sized>(f: &mut Formatter<'_, W>, ip: Ipv6Addr) -> Result<(), W::Error> {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        f.write_str("::ffff:")?;
        return ipv4(f, mapped);
    }
    let groups = ip.segments();
    // RFC 5952 §4.2: the longest run of at least two zero groups, the first of equals.
    let (mut best, mut best_len, mut run) = (8, 1, 0);
    for (i, group) in groups.iter().enumerate() {
        run = if *group == 0 { run + 1 } else { 0 };
        if run > best_len {
            (best, best_len) = (i + 1 - run, run);
        }
    }
    let mut i = 0;
    while i < 8 {
        if i == best {
            f.write_str("::")?;
            i += best_len;
            continue;
        }
        if i > 0 && i != best + best_len {
            f.write_str(":")?;
        }
        hex(f, groups[i], 1)?;
        i += 1;
    }
    Ok(())
}

/// `value` in lower-case hexadecimal, at least `digits` of them.
fn hex<W: uWrite + ?Sized>(f: &mut Formatter<'_, W>, value: u16, digits: u32) -> Result<(), W::Error> {
    for i in (0..4).rev() {
        if i < digits || value >> (4 * i) != 0 {
            let nibble = (value >> (4 * i)) as u8 & 0xf;
            let digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            f.write_str((digit as char).encode_utf8(&mut [0; 4]))?;
        }
    }
    Ok(())
}

/// A MAC address, `00:00:5e:00:01:33`.
#[derive(Clone, Copy)]
pub struct Mac(pub [u8; 6]);

impl uDisplay for Mac {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            hex(f, *byte as u16, 2)?;
        }
        Ok(())
    }
}

/// `whole.fraction`, the fraction of `digits` digits in units of 10^-digits, without trailing zeros.
fn decimal<W: uWrite + ?Sized>(
    f: &mut Formatter<'_, W>,
    whole: u64,
    mut fraction: u32,
    mut digits: u32,
) -> Result<(), W::Error> {
    uwrite!(f, "{}", whole)?;
    while digits > 0 && fraction.is_multiple_of(10) {
        (fraction, digits) = (fraction / 10, digits - 1);
    }
    if digits == 0 {
        return Ok(());
    }
    f.write_str(".")?;
    let mut unit = 10u32.pow(digits - 1);
    while unit > 1 && fraction < unit {
        f.write_str("0")?;
        unit /= 10;
    }
    uwrite!(f, "{}", fraction)
}

/// A duration as the line language writes it: `5m`, `2s`, `1cs`, `10ms`, in the largest unit of
/// which it is a whole number; below a millisecond with decimals, `0.25ms`.
#[derive(Clone, Copy)]
pub struct Duration(pub Micros);

impl uDisplay for Duration {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let us = self.0.0;
        if us == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [(60_000_000, "m"), (1_000_000, "s"), (10_000, "cs"), (1_000, "ms")] {
            if us.is_multiple_of(unit) {
                return uwrite!(f, "{}{}", us / unit, name);
            }
        }
        decimal(f, us / 1_000, (us % 1_000) as u32, 3)?;
        f.write_str("ms")
    }
}

/// A duration for people: `3.609 s`, `60.938 ms`; from a second up rounded to the millisecond.
#[derive(Clone, Copy)]
pub struct Seconds(pub Micros);

impl uDisplay for Seconds {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let us = self.0.0;
        if us == 0 || us >= 1_000_000 {
            let ms = us.saturating_add(500) / 1_000;
            decimal(f, ms / 1_000, (ms % 1_000) as u32, 3)?;
            f.write_str(" s")
        } else {
            decimal(f, us / 1_000, (us % 1_000) as u32, 3)?;
            f.write_str(" ms")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(f: &mut dyn FnMut(&mut Text<'_>) -> Written) -> String {
        let mut out = Vec::new();
        write_to(&mut out, f).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn ip(s: &str) -> String {
        shown(&mut |t| uwrite!(t, "{}", Ip(s.parse().unwrap())))
    }

    /// The examples of RFC 5952 §4 and §5.
    #[test]
    fn rfc5952() {
        for (given, canonical) in [
            ("2001:db8::1", "2001:db8::1"),
            ("2001:0db8:0:0:0:0:2:1", "2001:db8::2:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:DB8::ABCD", "2001:db8::abcd"),
            ("::", "::"),
            ("::1", "::1"),
            ("fe80::", "fe80::"),
            ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),
            ("0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"),
            ("0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("192.0.2.255", "192.0.2.255"),
        ] {
            assert_eq!(ip(given), canonical);
        }
    }

    proptest::proptest! {
        /// Whatever the address, ours is what the standard library writes.
        #[test]
        fn as_the_standard_library(groups: [u16; 8], keep: u8) {
            let mut groups = groups;
            for (i, g) in groups.iter_mut().enumerate() {
                if keep >> i & 1 == 0 {
                    *g = 0;
                }
            }
            let v6 = IpAddr::V6(groups.into());
            proptest::prop_assert_eq!(shown(&mut |t| uwrite!(t, "{}", Ip(v6))), v6.to_string());
        }
    }

    #[test]
    fn mac() {
        assert_eq!(shown(&mut |t| uwrite!(t, "{}", Mac([0, 0, 0x5e, 0, 1, 0xf3]))), "00:00:5e:00:01:f3");
    }

    #[test]
    fn durations() {
        for (us, exact, people) in [
            (0, "0s", "0 s"),
            (1, "0.001ms", "0.001 ms"),
            (250, "0.25ms", "0.25 ms"),
            (10_000, "1cs", "10 ms"),
            (15_000, "15ms", "15 ms"),
            (60_938, "60.938ms", "60.938 ms"),
            (1_000_000, "1s", "1 s"),
            (1_500_000, "150cs", "1.5 s"),
            (3_609_375, "3609.375ms", "3.609 s"),
            (59_999_600, "59999.6ms", "60 s"),
            (90_000_000, "90s", "90 s"),
            (300_000_000, "5m", "300 s"),
        ] {
            assert_eq!(shown(&mut |t| uwrite!(t, "{}", Duration(Micros(us)))), exact);
            assert_eq!(shown(&mut |t| uwrite!(t, "{}", Seconds(Micros(us)))), people);
        }
    }

    /// What is too long is cut, and not inside a character.
    #[test]
    fn cut() {
        assert_eq!(cut_to::<8>(&mut |t| t.write_str("short")).as_str(), "short");
        assert_eq!(cut_to::<8>(&mut |t| t.write_str("1234567é")).as_str(), "1234567");
        assert_eq!(cut_to::<200>(&mut |t| t.write_str(&"x".repeat(500))).len(), 200);
    }

    /// Text longer than the buffer arrives whole; a full writer's error comes back.
    #[test]
    fn long_text_and_a_full_writer() {
        let long = "äbc".repeat(500);
        assert_eq!(
            shown(&mut |t| t.write_str("x").and_then(|()| t.write_str(&long)).and_then(|()| t.write_char('é'))),
            format!("x{long}é")
        );
        let mut small = [0u8; 16];
        assert!(write_to(&mut &mut small[..], &mut |t| t.write_str(&long)).is_err());
    }
}
