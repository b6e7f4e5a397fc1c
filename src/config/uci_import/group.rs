//! `config vrrp_sync_group`.

use ufmt::uwrite;

use super::Importer;
use super::image::{Image, Section};
use super::schema::{Opt, Type};
use crate::config::diagnostics::{Excerpt, Pos};
use crate::config::model::{MAX_NAME, Weights};

impl Importer<'_> {
    /// Assembles the group called `name`, if any instance is left in it.
    pub(super) fn group(&mut self, image: &Image, section: Section<'_>, at: Pos, name: &str) {
        let mut members = 0;
        for v in section.words(Opt::Group) {
            if image.named(Type::Instance, v.text).next().is_some() {
                members += 1;
            } else {
                self.unknown(image, v, &[Type::Instance]);
            }
        }
        if members == 0 {
            return self.warn(at, &mut |t| {
                uwrite!(t, "no instance is left in vrrp_sync_group '{}': the group is left out", Excerpt(name))
            });
        }
        if self.printable(at, "name", name, MAX_NAME).is_err() {
            self.reader.asm.begin_broken_group();
        } else {
            self.reader.asm.begin_group(at, name);
        }
        let known = section.words(Opt::Group).filter(|v| image.named(Type::Instance, v.text).next().is_some());
        let mut strings = [name].into_iter().chain(known.clone().map(|v| v.text));
        // Too long a line is reported.
        let _ = self.one_line(at, "vrrp_sync_group", &mut strings);
        for v in known {
            if let Ok(id) = self.reader.asm.intern(v.at, v.text) {
                self.reader.asm.add_member(v.at, id);
            }
        }
        // keepalived's rule: what one instance tracks with a weight counts for none, unless it is told.
        let own = self.flag(section.get(Opt::TrackingWeight));
        self.reader.asm.draft.weights = if own { Weights::Own } else { Weights::Nobody };
        self.tracks(image, section);
        self.hooks(section);
    }
}
