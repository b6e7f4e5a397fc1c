//! What an instance or a group tracks.

use ufmt::{uWrite, uwrite};

use super::Importer;
use super::check::weight;
use super::image::{Image, Section, Value};
use super::schema::{Opt, Type, left_out};
use crate::config::diagnostics::{Excerpt, suggest};
use crate::config::model::{MAX_NAME, Tracked};

/// What a section says of whoever tracks it.
fn told(section: Section<'_>) -> (Option<i16>, bool) {
    let reverse = section.get(Opt::Direction).is_some_and(|v| v.text.eq_ignore_ascii_case("reverse"));
    (section.get(Opt::Weight).and_then(|v| weight(v.text)), reverse)
}

impl Importer<'_> {
    /// Reports that there is no section of any of `kinds` that is called as `v` says.
    pub(super) fn unknown(&mut self, image: &Image, v: Value<'_>, kinds: &[Type]) {
        let names = image.sections().filter(|s| kinds.contains(&s.kind));
        let near = suggest(v.text, &mut names.filter_map(|s| s.get(Opt::Name)).map(|v| v.text));
        let kind = kinds.first().map_or("", |k| k.name());
        self.warn(v.at, &mut |t| {
            uwrite!(t, "'{}' names no '{}': there is no '{}'", v.option.name(), kind, Excerpt(v.text))?;
            match near {
                Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                None => t.write_str(", and nothing is done for it"),
            }
        });
    }

    /// All that `section` tracks.
    pub(super) fn tracks(&mut self, image: &Image, section: Section<'_>) {
        for v in section.words(Opt::TrackScript) {
            self.track_script(image, v);
        }
        for v in section.words(Opt::TrackInterface) {
            self.track_interface(image, v);
        }
        for (option, kind) in
            [(Opt::TrackCheck, Type::Check), (Opt::TrackFile, Type::TrackFile), (Opt::TrackProcess, Type::TrackProcess)]
        {
            for v in section.words(option) {
                self.track_ours(image, v, kind);
            }
        }
        for v in section.words(Opt::TrackBfd) {
            if image.named(Type::Bfd, v.text).next().is_some() {
                self.warn(v.at, &mut |t| {
                    uwrite!(t, "'track_bfd' is not supported: '{}' has no effect, {}", v.text, left_out(Type::Bfd))
                });
            } else {
                self.unknown(image, v, &[Type::Bfd]);
            }
        }
    }

    /// A `vrrp_script`, or the older way to it: a `track_script` that names one.
    fn track_script(&mut self, image: &Image, v: Value<'_>) {
        let mut older = image.named(Type::TrackScript, v.text).peekable();
        if older.peek().is_none() {
            match image.named(Type::VrrpScript, v.text).next() {
                Some(script) => self.track_check(v, v, told(script)),
                None => self.unknown(image, v, &[Type::VrrpScript, Type::TrackScript]),
            }
            return;
        }
        for section in older {
            let Some(value) = section.get(Opt::Value) else {
                self.warn(section.at, &mut |t| {
                    t.write_str("'track_script' without 'option value': it names no script, and nothing is done for it")
                });
                continue;
            };
            let Some(script) = image.named(Type::VrrpScript, value.text).next() else {
                self.unknown(image, value, &[Type::VrrpScript]);
                continue;
            };
            // keepalived's init script writes a direction behind a weight only.
            let (weight, reverse) = told(section);
            let (weight, reverse) = if weight.is_some() { (weight, reverse) } else { told(script) };
            self.track_check(v, value, (weight, reverse));
        }
    }

    /// Follows the check that `name` is the name of.
    fn track_check(&mut self, v: Value<'_>, name: Value<'_>, (weight, reverse): (Option<i16>, bool)) {
        // A name that is not printable was reported where it is given to the check.
        if name.text.len() <= MAX_NAME
            && let Ok(id) = self.reader.asm.intern(v.at, name.text)
        {
            self.reader.asm.add_track(v.at, Tracked::Check(id), weight, reverse);
        }
    }

    fn track_interface(&mut self, image: &Image, v: Value<'_>) {
        let mut any = false;
        for section in image.named(Type::TrackInterface, v.text) {
            any = true;
            let Some(value) = section.get(Opt::Value) else {
                self.warn(section.at, &mut |t| {
                    t.write_str(
                        "'track_interface' without 'option value': it names no interface, and nothing is done for it",
                    )
                });
                continue;
            };
            if let Ok(interface) = self.interface(value) {
                let weight = told(section).0;
                self.reader.asm.add_track(v.at, Tracked::Interface(interface), weight, false);
            }
        }
        if !any {
            self.unknown(image, v, &[Type::TrackInterface]);
        }
    }

    /// `NAME`, `NAME:WEIGHT` or `NAME:WEIGHT:reverse`.
    fn track_ours(&mut self, image: &Image, v: Value<'_>, kind: Type) {
        let (rest, reverse) = v.text.strip_suffix(":reverse").map_or((v.text, false), |rest| (rest, true));
        let (name, number) = rest.rsplit_once(':').map_or((rest, None), |(name, number)| (name, Some(number)));
        let name = Value { text: name, ..v };
        let Some(section) = image.named(kind, name.text).next() else {
            return self.unknown(image, name, &[kind]);
        };
        let (mut own, mut turned) = told(section);
        if let Some(number) = number {
            own = weight(number);
            turned = false;
            if own.is_none() {
                self.need(v, "NAME or NAME:WEIGHT, a weight from -253 to 253");
                return;
            }
        }
        self.track_check(v, name, (own, turned || reverse));
    }
}
