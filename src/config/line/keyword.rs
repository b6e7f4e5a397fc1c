//! The table of keywords, and how a line is read by it.

use ufmt::{uWrite, uwrite};

use super::lex::Words;
use super::{check, group, hook, property, route, statement, track};
use crate::config::assemble::{Assembler, Reported};
use crate::config::commands::Commands;
use crate::config::diagnostics::{Diagnostics, Excerpt, Pos, suggest};
use crate::config::draft::{Draft, Marks, Open, Slot};
use crate::config::model::Config;

pub(super) type Done = Result<(), Reported>;

/// It begins a line.
pub(super) const STATEMENT: u8 = 1;
/// It is a property of an instance.
pub(super) const INSTANCE: u8 = 2;
/// It may stand in `defaults`.
pub(super) const DEFAULTS: u8 = 4;
/// It is a property of a group.
pub(super) const GROUP: u8 = 8;
/// It is a property of an instance or a group, and may stand in `defaults`.
const HOOK: u8 = INSTANCE | GROUP | DEFAULTS;

/// A keyword.
pub(super) struct Keyword {
    pub(super) name: &'static str,
    /// Where it may stand.
    pub(super) places: u8,
    /// For what is given at most once.
    pub(super) once: Option<Slot>,
    /// Reads what follows it.
    pub(super) read: fn(&mut Reader<'_>, &mut Words<'_>) -> Done,
}

const fn statement(
    name: &'static str,
    once: Option<Slot>,
    read: fn(&mut Reader<'_>, &mut Words<'_>) -> Done,
) -> Keyword {
    Keyword { name, places: STATEMENT, once, read }
}

const fn scalar(
    name: &'static str,
    places: u8,
    slot: Slot,
    read: fn(&mut Reader<'_>, &mut Words<'_>) -> Done,
) -> Keyword {
    Keyword { name, places, once: Some(slot), read }
}

/// Every keyword that this version reads.
static KEYWORDS: [Keyword; 50] = [
    statement("router-id", Some(Slot::RouterId), statement::router_id),
    statement("log", Some(Slot::Log), statement::log),
    statement("log-unknown", Some(Slot::LogUnknown), statement::log_unknown),
    statement("strict", Some(Slot::Strict), statement::strict),
    statement("startup-delay", Some(Slot::StartupDelay), statement::startup_delay),
    statement("script-user", Some(Slot::ScriptUser), statement::script_user),
    statement("script-security", Some(Slot::ScriptSecurity), statement::script_security),
    statement("max-children", Some(Slot::MaxChildren), statement::max_children),
    statement("notify-timeout", Some(Slot::NotifyTimeout), statement::notify_timeout),
    statement("notify-fifo", Some(Slot::NotifyFifo), statement::notify_fifo),
    statement("hotplug", Some(Slot::Hotplug), statement::hotplug),
    statement("startup", Some(Slot::Startup), hook::startup),
    statement("shutdown", Some(Slot::Shutdown), hook::shutdown),
    statement("interface-delay", None, statement::interface_delay),
    statement("check", None, check::check),
    statement("static-address", None, route::static_address),
    statement("static-route", None, route::static_route),
    statement("defaults", None, statement::defaults),
    statement("instance", None, statement::instance),
    statement("group", None, group::group),
    scalar("on", INSTANCE, Slot::On, property::on),
    scalar("vrid", INSTANCE, Slot::Vrid, property::vrid),
    scalar("family", INSTANCE | DEFAULTS, Slot::Family, property::family),
    scalar("version", INSTANCE | DEFAULTS, Slot::Version, property::version),
    scalar("priority", INSTANCE | DEFAULTS, Slot::Priority, property::priority),
    scalar("advert", INSTANCE | DEFAULTS, Slot::Advert, property::advert),
    scalar("preempt", INSTANCE | DEFAULTS, Slot::Preempt, property::preempt),
    scalar("start", INSTANCE | DEFAULTS, Slot::Start, property::start),
    scalar("unicast", INSTANCE, Slot::Unicast, property::unicast),
    scalar("source", INSTANCE, Slot::Source, property::source),
    scalar("group4", INSTANCE | DEFAULTS, Slot::Group4, property::group4),
    scalar("group6", INSTANCE | DEFAULTS, Slot::Group6, property::group6),
    scalar("auth", INSTANCE | DEFAULTS, Slot::Auth, property::auth),
    scalar("checksum", INSTANCE | DEFAULTS, Slot::Checksum, property::checksum),
    scalar("vmac", INSTANCE, Slot::Vmac, property::vmac),
    scalar("vmac-base", INSTANCE | DEFAULTS, Slot::VmacBase, property::vmac_base),
    scalar("accept", INSTANCE | DEFAULTS, Slot::Accept, property::accept),
    scalar("track-primary", INSTANCE | DEFAULTS, Slot::TrackPrimary, property::track_primary),
    scalar("notify", HOOK, Slot::Notify, hook::notify),
    scalar("notify-master", HOOK, Slot::NotifyMaster, hook::notify_master),
    scalar("notify-backup", HOOK, Slot::NotifyBackup, hook::notify_backup),
    scalar("notify-fault", HOOK, Slot::NotifyFault, hook::notify_fault),
    scalar("notify-stop", HOOK, Slot::NotifyStop, hook::notify_stop),
    scalar("weights", GROUP, Slot::Weights, group::weights),
    Keyword { name: "garp", places: INSTANCE | DEFAULTS, once: None, read: property::garp },
    Keyword { name: "address", places: INSTANCE, once: None, read: property::address },
    Keyword { name: "route", places: INSTANCE, once: None, read: route::route },
    Keyword { name: "peer", places: INSTANCE, once: None, read: property::peer },
    Keyword { name: "track-interface", places: INSTANCE | GROUP, once: None, read: track::track_interface },
    Keyword { name: "track", places: INSTANCE | GROUP, once: None, read: track::track },
];

/// Keywords of the language that this version does not read yet; those that begin a line of their own.
static LATER_STATEMENTS: [&str; 1] = ["include"];

/// The same among the properties.
static LATER_PROPERTIES: [&str; 2] = ["rule", "ttl"];

fn find(word: &str, places: u8) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|k| k.places & places != 0 && k.name == word)
}

/// Whether `word` would be taken for a property where a name is expected.
pub(super) fn is_property(word: &str) -> bool {
    find(word, INSTANCE | GROUP).is_some() || LATER_PROPERTIES.contains(&word)
}

/// Goes behind a wrong value, unless it was forgotten and the next word is a property.
pub(super) fn skip_value(w: &mut Words<'_>, place: u8) {
    let is_next = |word: &str| find(word, place).is_some() || LATER_PROPERTIES.contains(&word);
    if w.peek().is_some_and(|word| w.quoted() || !is_next(word)) {
        w.skip();
    }
}

/// Reads lines into a configuration.
pub(in crate::config) struct Reader<'a> {
    pub(in crate::config) asm: Assembler<'a>,
    pub(super) in_defaults: bool,
    globals: Marks,
    /// Options that the property just read would have taken: candidates for a suggestion.
    pub(super) options: &'static [&'static str],
}

impl<'a> Reader<'a> {
    pub(in crate::config) fn new(
        config: &'a mut Config,
        diag: &'a mut Diagnostics,
        commands: Option<&'a mut Commands>,
    ) -> Reader<'a> {
        let asm = Assembler::new(config, diag, commands);
        Reader { asm, in_defaults: false, globals: Marks::default(), options: &[] }
    }

    /// What the property being read belongs to.
    pub(super) fn target(&mut self) -> &mut Draft {
        if self.in_defaults { &mut self.asm.defaults } else { &mut self.asm.draft }
    }

    /// Reads one line.
    pub(super) fn line(&mut self, w: &mut Words<'_>) {
        let Some(first) = w.peek() else { return };
        let at = w.pos();
        self.in_defaults = false;
        self.options = &[];
        if let Some(keyword) = find(first, STATEMENT) {
            w.skip();
            if let Some(slot) = keyword.once
                && let Err(before) = self.globals.give(slot, at)
            {
                self.twice(at, keyword.name, before);
            } else if (keyword.read)(self, w).is_ok() {
                self.nothing_behind(w, keyword.name);
            }
        } else if LATER_STATEMENTS.contains(&first) {
            self.later(at, first);
        } else {
            self.properties(w, if self.asm.open == Open::Group { GROUP } else { INSTANCE }, true);
        }
    }

    /// Reads properties up to the end of the line.
    pub(super) fn properties(&mut self, w: &mut Words<'_>, place: u8, line_start: bool) {
        let mut begins_line = line_start;
        while let Some(word) = w.peek() {
            let at = w.pos();
            w.skip();
            match find(word, place) {
                Some(_) if place == INSTANCE && self.asm.open == Open::Nothing => {
                    self.asm.diag.error(at, &mut |t| {
                        uwrite!(t, "'{}' before any instance: expected 'instance NAME' or 'defaults' above it", word)
                    });
                    w.skip_all();
                }
                Some(keyword) => {
                    self.options = &[];
                    if self.property(w, keyword, at).is_err() {
                        skip_value(w, place);
                        self.resume(w, place, true);
                    }
                }
                None => {
                    self.unknown(at, word, place, begins_line);
                    self.resume(w, place, !LATER_PROPERTIES.contains(&word));
                }
            }
            begins_line = false;
        }
    }

    fn property(&mut self, w: &mut Words<'_>, keyword: &Keyword, at: Pos) -> Done {
        if let Some(slot) = keyword.once {
            self.give(slot, at, keyword.name)?;
        }
        (keyword.read)(self, w)
    }

    /// Marks `slot` of the target as given, or reports that it was before.
    pub(super) fn give(&mut self, slot: Slot, at: Pos, name: &str) -> Done {
        match self.target().marks.give(slot, at) {
            Ok(()) => Ok(()),
            Err(before) => {
                self.twice(at, name, before);
                Err(Reported)
            }
        }
    }

    /// Goes on behind what was wrong: at the next word that is a property or, when `near` is asked
    /// for, looks like one.
    fn resume(&mut self, w: &mut Words<'_>, place: u8, near: bool) {
        while let Some(word) = w.peek() {
            if !w.quoted() {
                let mut names = KEYWORDS.iter().filter(|k| k.places & place != 0).map(|k| k.name);
                let known = find(word, place).is_some() || LATER_PROPERTIES.contains(&word);
                if known || (near && suggest(word, &mut names).is_some()) {
                    return;
                }
            }
            w.skip();
        }
    }

    fn unknown(&mut self, at: Pos, word: &str, place: u8, begins_line: bool) {
        if LATER_PROPERTIES.contains(&word) {
            return self.later(at, word);
        }
        if find(word, STATEMENT).is_some() {
            return self
                .asm
                .diag
                .error(at, &mut |t| uwrite!(t, "'{}' in the middle of a line: expected on a line of its own", word));
        }
        let elsewhere = match place {
            DEFAULTS => "has no default: expected in an instance",
            GROUP => "does not apply to a group: expected in an instance",
            _ => "does not apply to an instance: expected in a group",
        };
        if find(word, INSTANCE | GROUP).is_some() {
            let in_group = place == DEFAULTS && find(word, INSTANCE).is_none();
            let elsewhere = if in_group { "has no default: expected in a group" } else { elsewhere };
            return self.asm.diag.error(at, &mut |t| uwrite!(t, "'{}' {}", word, elsewhere));
        }
        let what = if begins_line && self.asm.open == Open::Nothing { "statement" } else { "property" };
        let places = if begins_line { place | STATEMENT } else { place };
        let names = KEYWORDS.iter().filter(|k| k.places & places != 0).map(|k| k.name);
        let suggested = suggest(word, &mut names.chain(self.options.iter().copied()));
        self.asm.diag.error(at, &mut |t| {
            uwrite!(t, "unknown {} '{}'", what, Excerpt(word))?;
            match suggested {
                Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                None => Ok(()),
            }
        });
    }

    fn later(&mut self, at: Pos, word: &str) {
        self.asm.diag.error(at, &mut |t| uwrite!(t, "'{}' is not supported yet by this version", word));
    }

    fn twice(&mut self, at: Pos, name: &str, before: Pos) {
        self.asm.diag.error(at, &mut |t| uwrite!(t, "'{}' given twice, first at line {}", name, before.line));
    }

    fn nothing_behind(&mut self, w: &Words<'_>, name: &str) {
        if let Some(word) = w.peek() {
            self.asm.diag.error(w.pos(), &mut |t| {
                uwrite!(t, "unexpected '{}' behind '{}': expected the end of the line", Excerpt(word), name)
            });
        }
    }

    /// Reports `word` with a message of its own.
    pub(super) fn refuse(&mut self, at: Pos, message: &str) -> Reported {
        self.asm.diag.error(at, &mut |t| t.write_str(message));
        Reported
    }
}
