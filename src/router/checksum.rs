//! Which form of checksum each source of v3 IPv4 adverts uses.
//!
//! Two forms double the chance that a corrupted packet passes, so the form is learned per source:
//! what a source has used is accepted at once, the other only after three in a row.

use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};

use crate::config::model::ChecksumForm;
use crate::vrrp::packet::Checksum;

/// Sources remembered per instance; the oldest gives way.
const SOURCES: usize = 4;
/// Adverts of the other form in a row after which a source is believed to have changed.
const CHANGE_AFTER: u8 = 3;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Learned {
    source: Ipv4Addr,
    form: ChecksumForm,
    other_in_a_row: u8,
}

/// The learned forms of one instance's peers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Forms {
    learned: [Option<Learned>; SOURCES],
    next: u8,
}

/// What to do with an advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Accept it.
    Accept(ChecksumForm),
    /// Accept it; the form of this source is new.
    Learned(ChecksumForm),
    /// Neither form holds, or the one that this source does not use.
    Wrong,
}

impl Forms {
    pub(super) fn judge(&mut self, source: Ipv4Addr, sum: Checksum) -> Verdict {
        let known = self.learned.iter_mut().flatten().find(|l| l.source == source);
        let form = match (sum.plain, sum.pseudo) {
            (false, false) => return Verdict::Wrong,
            (true, false) => ChecksumForm::Plain,
            (false, true) => ChecksumForm::Pseudo,
            // The pseudo-header happens to sum to nothing: it proves neither.
            (true, true) => return Verdict::Accept(known.map_or(ChecksumForm::Plain, |l| l.form)),
        };
        match known {
            Some(l) if l.form == form => {
                l.other_in_a_row = 0;
                Verdict::Accept(form)
            }
            Some(l) => {
                l.other_in_a_row += 1;
                if l.other_in_a_row < CHANGE_AFTER {
                    return Verdict::Wrong;
                }
                (l.form, l.other_in_a_row) = (form, 0);
                Verdict::Learned(form)
            }
            None => {
                self.learned[self.next as usize] = Some(Learned { source, form, other_in_a_row: 0 });
                self.next = (self.next + 1) % SOURCES as u8;
                Verdict::Learned(form)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Checksum = Checksum { plain: true, pseudo: false };
    const PSEUDO: Checksum = Checksum { plain: false, pseudo: true };
    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    #[test]
    fn learns_and_relearns() {
        let mut f = Forms::default();
        assert_eq!(f.judge(A, Checksum { plain: false, pseudo: false }), Verdict::Wrong);
        assert_eq!(f.judge(A, PSEUDO), Verdict::Learned(ChecksumForm::Pseudo));
        assert_eq!(f.judge(A, PSEUDO), Verdict::Accept(ChecksumForm::Pseudo));
        assert_eq!(f.judge(A, PLAIN), Verdict::Wrong);
        assert_eq!(f.judge(A, PSEUDO), Verdict::Accept(ChecksumForm::Pseudo));
        assert_eq!(f.judge(A, PLAIN), Verdict::Wrong);
        assert_eq!(f.judge(A, PLAIN), Verdict::Wrong);
        assert_eq!(f.judge(A, PLAIN), Verdict::Learned(ChecksumForm::Plain));
        assert_eq!(f.judge(A, PLAIN), Verdict::Accept(ChecksumForm::Plain));
    }

    /// Each source by itself; both forms at once prove nothing.
    #[test]
    fn per_source() {
        let mut f = Forms::default();
        let b = Ipv4Addr::new(192, 0, 2, 2);
        assert_eq!(f.judge(A, PSEUDO), Verdict::Learned(ChecksumForm::Pseudo));
        assert_eq!(f.judge(b, PLAIN), Verdict::Learned(ChecksumForm::Plain));
        assert_eq!(f.judge(A, Checksum { plain: true, pseudo: true }), Verdict::Accept(ChecksumForm::Pseudo));
    }
}
