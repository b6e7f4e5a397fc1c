//! Time in types: `Instant` and `Micros` for the router's clock, `Centis` for what the protocol
//! carries, and the two derived intervals of RFC 9568 §6.1.
//!
//! Read first: RFC 9568 §6.1 (Skew_Time, Active_Down_Interval), RFC 3768 §6.1 (Skew_Time of v2).
//! Nothing here reads a clock.

use core::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Micros(pub u64);

impl Micros {
    /// No time at all.
    pub const ZERO: Micros = Micros(0);

    /// From milliseconds.
    pub const fn from_millis(ms: u64) -> Micros {
        Micros(ms * 1_000)
    }

    /// From seconds.
    pub const fn from_secs(s: u64) -> Micros {
        Micros(s * 1_000_000)
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }
}

impl Add for Micros {
    type Output = Micros;
    fn add(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }
}

/// A moment on the monotonic clock, in microseconds since an epoch of the driver's choice.
///
/// The router compares moments and adds lengths to them; it never asks for the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(pub u64);

impl Instant {
    /// The length from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Micros> for Instant {
    type Output = Instant;
    fn add(self, d: Micros) -> Instant {
        Instant(self.0.saturating_add(d.0))
    }
}

impl Sub<Micros> for Instant {
    type Output = Instant;
    fn sub(self, d: Micros) -> Instant {
        Instant(self.0.saturating_sub(d.0))
    }
}

/// An advertisement interval in centiseconds, the unit of VRRPv3 (RFC 9568 §5.2.7).
///
/// VRRPv2 carries whole seconds (RFC 3768 §5.3.7); they are held here as multiples of 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Centis(u16);

impl Centis {
    /// The default interval of both versions, one second.
    pub const SECOND: Centis = Centis(100);
    /// The longest interval that VRRPv3 can carry: 12 bits.
    pub const MAX_V3: Centis = Centis(4095);
    /// The longest interval that VRRPv2 can carry: 255 s.
    pub const MAX_V2: Centis = Centis(25_500);

    /// An interval of `cs` centiseconds; `None` for 0 and for more than VRRPv2's 255 s.
    pub const fn new(cs: u16) -> Option<Centis> {
        if cs == 0 || cs > Self::MAX_V2.0 { None } else { Some(Centis(cs)) }
    }

    /// An interval of `s` whole seconds, as VRRPv2 carries it; `None` for 0.
    pub const fn from_secs(s: u8) -> Option<Centis> {
        Self::new(s as u16 * 100)
    }

    /// The number of centiseconds, 1…25500.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As whole seconds, if it is a multiple of one and fits VRRPv2's byte.
    pub const fn whole_secs(self) -> Option<u8> {
        if self.0.is_multiple_of(100) { Some((self.0 / 100) as u8) } else { None }
    }

    /// The same length in microseconds.
    pub const fn micros(self) -> Micros {
        Micros(self.0 as u64 * 10_000)
    }
}

/// Which rule gives Skew_Time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Version {
    /// VRRPv2, RFC 3768 (and the authentication field of RFC 2338).
    V2,
    /// VRRPv3, RFC 9568.
    V3,
}

impl Version {
    /// The number in the packet's first nibble.
    pub const fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// Skew_Time, rounded up to the next microsecond.
///
/// v3 (RFC 9568 §6.1): `(256 - Priority) * Active_Adver_Interval / 256`;
/// v2 (RFC 3768 §6.1): `(256 - Priority) / 256` seconds, whatever the interval.
/// At 1 cs one point of priority is 39 µs, so rounding never makes two priorities equal.
pub const fn skew_time(version: Version, priority: u8, active_adver_interval: Centis) -> Micros {
    let p = 256 - priority as u32;
    match version {
        // 1 cs = 10 000 µs; 10 000 / 256 = 625 / 16. 255 * 4095 * 625 fits u32.
        Version::V3 => Micros((p * active_adver_interval.0 as u32 * 625).div_ceil(16) as u64),
        // 1 000 000 / 256 = 15 625 / 4.
        Version::V2 => Micros((p * 15_625).div_ceil(4) as u64),
    }
}

/// Active_Down_Interval: `3 * Active_Adver_Interval + Skew_Time` (RFC 9568 §6.1).
pub const fn active_down_interval(version: Version, priority: u8, active_adver_interval: Centis) -> Micros {
    Micros(3 * active_adver_interval.micros().0 + skew_time(version, priority, active_adver_interval).0)
}

// The product in `skew_time` for the largest interval that a v3 packet can carry.
static_assertions::const_assert!(255u64 * 4095 * 625 <= u32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    /// Input: the priorities of RFC practice at 1 s. Output: (256-p)/256 s and 3 s more, by hand.
    #[test]
    fn one_second() {
        for (p, skew_ns, down_ns) in [
            (1u8, 996_093_750u64, 3_996_093_750u64),
            (100, 609_375_000, 3_609_375_000),
            (254, 7_812_500, 3_007_812_500),
            (255, 3_906_250, 3_003_906_250),
        ] {
            for v in [Version::V2, Version::V3] {
                assert_eq!(skew_time(v, p, Centis::SECOND).0, skew_ns.div_ceil(1000));
                assert_eq!(active_down_interval(v, p, Centis::SECOND).0, down_ns.div_ceil(1000));
            }
        }
    }

    /// v3 at 10 cs, priority 100: 156 * 100 ms / 256 = 60.9375 ms.
    #[test]
    fn ten_centiseconds() {
        let t = Centis::new(10).unwrap();
        assert_eq!(skew_time(Version::V3, 100, t), Micros(60_938));
        assert_eq!(active_down_interval(Version::V3, 100, t), Micros(360_938));
    }

    /// v2 skew does not follow the interval; v3 skew does.
    #[test]
    fn skew_and_interval() {
        let t = Centis::from_secs(5).unwrap();
        assert_eq!(skew_time(Version::V2, 100, t), Micros(609_375));
        assert_eq!(skew_time(Version::V3, 100, t), Micros(5 * 609_375));
        assert_eq!(active_down_interval(Version::V2, 100, t), Micros(15_609_375));
    }

    /// Every pair of neighbouring priorities differs, at the shortest interval too, and never early.
    #[test]
    fn strictly_ordered() {
        for cs in [1u16, 2, 3, 7, 10, 99, 100, 4095] {
            let t = Centis::new(cs).unwrap();
            for p in 1..255u8 {
                assert!(skew_time(Version::V3, p, t) > skew_time(Version::V3, p + 1, t));
                let exact_16th = (256 - p as u64) * cs as u64 * 625;
                let got = skew_time(Version::V3, p, t).0 * 16;
                assert!(got >= exact_16th && got < exact_16th + 16);
            }
        }
    }

    #[test]
    fn centis_range() {
        assert_eq!(Centis::new(0), None);
        assert_eq!(Centis::new(25_501), None);
        assert_eq!(Centis::from_secs(0), None);
        assert_eq!(Centis::from_secs(255), Some(Centis::MAX_V2));
        assert_eq!(Centis::new(150).unwrap().whole_secs(), None);
        assert_eq!(Centis::new(300).unwrap().whole_secs(), Some(3));
        assert_eq!(Centis::MAX_V3.micros(), Micros(40_950_000));
    }
}
