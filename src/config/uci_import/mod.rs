//! `/etc/config/keepalived` of OpenWrt's keepalived package, taken over.
//!
//! The file is packed first (see [`image`]), as sections may name others that stand further below, and
//! go on further below themselves; then checks, instances and groups are assembled from it as from any
//! other language. What keepalived would do by default and we would not is said in the configuration.
//! What cannot be taken over is reported with what follows from that; nothing is left out in silence.

mod address;
mod check;
mod global;
mod group;
mod image;
mod instance;
mod network;
mod route;
mod schema;
mod track;
mod value;

#[cfg(test)]
mod tests;

use embedded_io::Read;
use heapless::String;
use ufmt::{uWrite, uwrite};

use self::image::{Full, Image, Section};
pub use self::network::Networks;
use self::schema::{Opt, SCHEMAS, Schema, Type, When, left_out};
use super::assemble::Reported;
use super::commands::Commands;
use super::diagnostics::{Diagnostics, Excerpt, Pos, suggest};
use super::line::Reader;
use super::model::{Config, LinkDelay, MAX_DELAY};
use super::uci::{Event, Item, MAX_WORD, Mode, Parser};
use crate::vrrp::timing::Micros;

/// The longest path of another file.
const MAX_PATH: usize = 255;

/// What else the file says.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Where `enabled` is off: nothing is to run.
    pub disabled: Option<Pos>,
    /// A keepalived.conf to use in its place if it is there, and where it is named.
    pub alternative: Option<(Pos, String<MAX_PATH>)>,
}

/// How a file is read.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// What to do about lines that are none: in lenient mode they are warnings.
    pub mode: Mode,
    /// What cannot be taken over is an error.
    pub strict: bool,
    /// The logical networks that it may name.
    pub networks: &'a Networks,
}

/// Reads a file into `config`, which is emptied first, and what is wrong with it or cannot be taken
/// over into `diag`. `config` is of use only if there were no errors. The result's error is that of
/// reading.
pub fn import<R: Read>(
    input: &mut R,
    options: &Options<'_>,
    config: &mut Config,
    diag: &mut Diagnostics,
    commands: Option<&mut Commands>,
) -> Result<Outcome, R::Error> {
    let mut importer = Importer {
        reader: Reader::new(config, diag, commands),
        options: *options,
        told: Told::default(),
        outcome: Outcome::default(),
    };
    let mut image = Image::default();
    let end = importer.pack(input, &mut image)?;
    importer.assemble(&image, end);
    Ok(importer.outcome)
}

/// What is said once.
#[derive(Default)]
struct Told {
    flag: bool,
    hook: bool,
    full: bool,
    network: bool,
}

/// Fills a configuration from a file of UCI's.
struct Importer<'a> {
    reader: Reader<'a>,
    options: Options<'a>,
    told: Told,
    outcome: Outcome,
}

impl Importer<'_> {
    /// Packs the file; where it ends.
    fn pack<R: Read>(&mut self, input: &mut R, image: &mut Image) -> Result<Pos, R::Error> {
        let mut parser = Parser::new(input, self.options.mode);
        // The section that options belong to.
        let mut open: Option<&'static Schema> = None;
        while let Some(Item { at, value_at, event }) = parser.next_item()? {
            match event {
                Event::Package { .. } => {}
                Event::Bad(reason) => {
                    let warning = reason.is_warning() || self.options.mode == Mode::Lenient;
                    let diag = &mut *self.reader.asm.diag;
                    let say = if warning { Diagnostics::warning } else { Diagnostics::error };
                    say(diag, at, &mut |t| t.write_str(reason.text()));
                }
                Event::Section { kind, name } => open = self.section(image, at, value_at, kind, name),
                Event::Option { name, value } => self.option(image, open, (at, value_at), name, value, false),
                Event::List { name, value } => self.option(image, open, (at, value_at), name, value, true),
            }
        }
        Ok(parser.pos())
    }

    /// Begins a section of type `word`; what its options are read by, if they are kept.
    fn section(
        &mut self,
        image: &mut Image,
        at: Pos,
        name_at: Pos,
        word: &str,
        name: Option<&str>,
    ) -> Option<&'static Schema> {
        let Some(schema) = SCHEMAS.iter().find(|s| s.names.contains(&word)) else {
            let near = suggest(word, &mut SCHEMAS.iter().flat_map(|s| s.names).copied());
            self.warn(at, &mut |t| {
                uwrite!(t, "unknown section type '{}'", Excerpt(word))?;
                match near {
                    Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                    None => t.write_str(": the section is left out"),
                }
            });
            return None;
        };
        let consequence = left_out(schema.kind);
        if !consequence.is_empty() {
            self.warn(at, &mut |t| uwrite!(t, "'{}' is not supported: {}", word, consequence));
        }
        if schema.kind == Type::Lvs {
            return None;
        }
        if let Some(name) = name {
            if !Image::name_fits(name) {
                self.error(name_at, &mut |t| uwrite!(t, "the section's name '{}' is too long", Excerpt(name)));
                return None;
            }
            let before = image.sections().find(|s| s.uci_name == name);
            if let Some(before) = before.filter(|s| s.kind != schema.kind) {
                let say = if self.options.mode == Mode::Lenient { Diagnostics::warning } else { Diagnostics::error };
                say(self.reader.asm.diag, at, &mut |t| {
                    uwrite!(
                        t,
                        "section of different type overwrites prior section with same name '{}', a '{}' at line {}",
                        name,
                        before.kind.name(),
                        before.at.line
                    )
                });
                return None;
            }
        }
        let begun = image.begin(schema.kind, name, at);
        self.room(begun, at).then_some(schema)
    }

    /// Whether there was room; the first time there was not, it is reported.
    fn room(&mut self, done: Result<(), Full>, at: Pos) -> bool {
        if done.is_err() && !self.told.full {
            self.told.full = true;
            self.reader.asm.diag.error(at, &mut |t| {
                t.write_str("more sections and options than are kept (48 KiB without comments and blanks)")
            });
        }
        done.is_ok()
    }

    /// Keeps an option for when its section is read, or says what becomes of it.
    fn option(
        &mut self,
        image: &mut Image,
        open: Option<&'static Schema>,
        (at, value_at): (Pos, Pos),
        name: &str,
        value: &[u8],
        list: bool,
    ) {
        let Some(schema) = open else { return };
        let known = schema.options.iter().copied().find(|o| o.name() == name);
        // For UCI an option without a value is not there, and changes nothing that is.
        if value.is_empty() && !list {
            if known.is_none() && schema.foreign.iter().all(|f| f.name != name) {
                self.unknown_option(schema, at, name);
            }
            return;
        }
        let Ok(value) = core::str::from_utf8(value) else {
            return self.error(value_at, &mut |t| uwrite!(t, "'{}' is not UTF-8: expected text in UTF-8", name));
        };
        if let Some(option) = known {
            let added = image.add(option, list, value_at, value);
            self.room(added, at);
            return;
        }
        match schema.foreign.iter().find(|f| f.name == name) {
            None => self.unknown_option(schema, at, name),
            Some(foreign) => {
                let matters = match foreign.when {
                    When::Always => true,
                    When::On => self.truth(value_at, name, value),
                    When::Never => false,
                };
                if matters {
                    self.warn(at, &mut |t| uwrite!(t, "'{}' is not supported: {}", name, foreign.consequence));
                }
            }
        }
    }

    fn unknown_option(&mut self, schema: &Schema, at: Pos, name: &str) {
        let foreign = schema.foreign.iter().map(|f| f.name);
        let near = suggest(name, &mut schema.options.iter().map(|o| o.name()).chain(foreign));
        self.warn(at, &mut |t| {
            uwrite!(t, "unknown option '{}' of '{}'", Excerpt(name), schema.kind.name())?;
            match near {
                Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                None => t.write_str(": it is left out"),
            }
        });
    }

    /// Makes a configuration of what was packed.
    fn assemble(&mut self, image: &Image, end: Pos) {
        self.globals(image);
        self.checks(image);
        let mut any = false;
        for section in image.of_type(Type::Instance) {
            if let Some((at, name)) = self.named(section) {
                any = true;
                self.instance(image, section, at, name);
            }
        }
        for section in image.of_type(Type::SyncGroup) {
            if let Some((at, name)) = self.named(section) {
                self.group(image, section, at, name);
            }
        }
        self.statics(image);
        self.delays(image);
        if !any && self.reader.asm.diag.errors() == 0 {
            self.error(end, &mut |t| {
                t.write_str("no instance: expected at least one 'config vrrp_instance' with a name")
            });
        }
        self.script_user();
        self.reader.asm.end(end);
    }

    /// The name of a section that needs one, and where it stands.
    fn named<'i>(&mut self, section: Section<'i>) -> Option<(Pos, &'i str)> {
        if let Some(name) = section.get(Opt::Name) {
            return Some((name.at, name.text));
        }
        self.warn(section.at, &mut |t| {
            uwrite!(t, "'{}' without 'option name': the section is left out", section.kind.name())
        });
        None
    }

    /// Changes of links that count after a while. As with keepalived a link that comes up counts at once
    /// where `up_delay` is not there.
    fn delays(&mut self, image: &Image) {
        for section in image.of_type(Type::Delays) {
            let (Some(device), Some(down)) = (section.get(Opt::Device), section.get(Opt::DownDelay)) else {
                self.warn(section.at, &mut |t| {
                    t.write_str("'interface_up_down_delays' without 'device' or 'down_delay': the section is left out")
                });
                continue;
            };
            let expected = "seconds from 0 to 255";
            let mut seconds = |v| self.time(v, Micros::ZERO, MAX_DELAY, expected);
            let up = section.get(Opt::UpDelay).map_or(Ok(Micros::ZERO), &mut seconds);
            let (Ok(down), Ok(up)) = (seconds(down), up) else { continue };
            let Ok(interface) = self.interface(device) else { continue };
            self.reader.asm.replace_delay(device.at, LinkDelay { interface, down, up });
        }
        self.reader.asm.shorten_delays();
    }
}

/// Text of one option, before it is read as words of the line language.
type Line = heapless::Vec<u8, { MAX_WORD + 32 }>;

/// The result of reading one option.
type Done<T = ()> = Result<T, Reported>;
