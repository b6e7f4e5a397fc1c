//! What `watch` prints: a line for each thing that happens.

use ufmt::{uWrite, uwrite};

use super::json::string;
use super::table::plain;
use crate::control::{Happening, Kind};
use crate::text::{Text, Written};
use crate::vrrp::timing::Micros;

/// For people.
pub fn happening(h: &Happening<'_>, t: &mut Text<'_>) -> Written {
    time(h.at, t)?;
    t.write_str(" ")?;
    if h.kind == Kind::Now {
        plain(h.name, t)?;
        t.write_str(" is ")?;
        plain(h.to, t)?;
    } else {
        plain(h.text, t)?;
    }
    t.write_str("\n")
}

/// One JSON object on a line.
pub fn happening_json(h: &Happening<'_>, t: &mut Text<'_>) -> Written {
    t.write_str("{\"time\":\"")?;
    time(h.at, t)?;
    uwrite!(t, "\",\"event\":\"{}\"", h.kind.word())?;
    for (key, value) in [("name", h.name), ("from", h.from), ("to", h.to), ("text", h.text)] {
        if !value.is_empty() {
            uwrite!(t, ",\"{}\":", key)?;
            string(value, t)?;
        }
    }
    t.write_str("}\n")
}

/// RFC 3339, in UTC, to the millisecond.
fn time(at: Micros, t: &mut Text<'_>) -> Written {
    let seconds = at.0 / 1_000_000;
    // Years that begin in March: so the odd day is the last of its year, and of its four, 100 and 400 years.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    for (n, digits, behind) in [
        (year, 4, "-"),
        (month, 2, "-"),
        (day, 2, "T"),
        (seconds / 3_600 % 24, 2, ":"),
        (seconds / 60 % 60, 2, ":"),
        (seconds % 60, 2, "."),
        (at.0 / 1_000 % 1_000, 3, "Z"),
    ] {
        for power in (0..digits).rev() {
            uwrite!(t, "{}", n / 10u64.pow(power) % 10)?;
        }
        t.write_str(behind)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::cut_to;

    /// Moments whose dates `date -u` gave.
    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_868_799, "2000-02-29T23:59:59.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            let at = Micros(seconds * 1_000_000 + 7_999);
            assert_eq!(cut_to::<40>(&mut |t| time(at, t)).as_str(), text);
        }
    }

    #[test]
    fn lines() {
        let at = Micros(0);
        let h = Happening { at, kind: Kind::State, name: "a\"", from: "BACKUP", to: "MASTER", text: "x\u{1b}\"" };
        let text = cut_to::<200>(&mut |t| happening(&h, t));
        assert_eq!(text.as_str(), "1970-01-01T00:00:00.000Z x?\"\n");
        let value: serde_json::Value = serde_json::from_str(&cut_to::<200>(&mut |t| happening_json(&h, t))).unwrap();
        let expected = serde_json::json!({"time": "1970-01-01T00:00:00.000Z", "event": "state", "name": "a\"",
            "from": "BACKUP", "to": "MASTER", "text": "x\u{1b}\""});
        assert_eq!(value, expected);
        let now = Happening { kind: Kind::Now, text: "", from: "", ..h };
        assert_eq!(cut_to::<200>(&mut |t| happening(&now, t)).as_str(), "1970-01-01T00:00:00.000Z a\" is MASTER\n");
    }
}
