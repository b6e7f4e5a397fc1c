//! `vrrp_sync_group`.

use super::reader::{Done, Reader};
use super::value::written_len;
use super::words::Words;
use crate::config::draft::Slot;
use crate::config::model::{MAX_NAME, Weights};

pub(super) fn begin(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    match r.text(w, "vrrp_sync_group", "a name", MAX_NAME) {
        Ok(name) => r.asm.begin_group(at, name),
        Err(reported) => {
            r.asm.begin_broken_group();
            w.skip();
            return Err(reported);
        }
    }
    // keepalived's rule.
    r.asm.draft.weights = Weights::Nobody;
    Ok(())
}

pub(super) fn members(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    while w.peek().is_some() {
        let at = w.pos();
        let name = r.name(w, "group", "the name of an instance")?;
        r.asm.add_member(at, name);
    }
    Ok(())
}

pub(super) fn weights(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Weights, w.at, "sync_group_tracking_weight");
    r.asm.draft.weights = Weights::Own;
    Ok(())
}

impl Reader<'_> {
    /// The group is complete.
    pub(super) fn end_group(&mut self) {
        let at = self.asm.draft.at;
        let from = self.asm.draft.members.start as usize;
        let members = self.asm.config.members.get(from..).unwrap_or(&[]);
        if members.is_empty() && at.line != 0 {
            self.asm
                .diag
                .error(at, &mut |t| ufmt::uWrite::write_str(t, "vrrp_sync_group without a 'group' of instances"));
        }
        let config = &*self.asm.config;
        let len: usize = members.iter().map(|m| 1 + written_len(config.str(*m))).sum();
        if len > super::value::MAX_TOGETHER {
            self.asm.diag.error(at, &mut |t| {
                ufmt::uwrite!(t, "the names of the group's instances are {} bytes: expected at most ", len)?;
                ufmt::uwrite!(t, "{}", super::value::MAX_TOGETHER)
            });
        }
        self.asm.end_open();
    }
}
