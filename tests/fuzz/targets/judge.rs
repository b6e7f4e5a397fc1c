//! What must hold of whatever was said of a configuration, and of one that was accepted.

use picovrrp::config::commands::Commands;
use picovrrp::config::diagnostics::{Diagnostics, MAX_DIAGNOSTICS, Pos};
use picovrrp::config::line;
use picovrrp::config::model::Config;

use super::input::{Input, sure};
use super::meaning::meaning;

/// What reading comes to.
pub(super) struct Reading {
    pub(super) config: Box<Config>,
    pub(super) found: Box<Diagnostics>,
    pub(super) commands: Box<Commands>,
}

impl Reading {
    /// Nothing yet. It is made before the heap is watched.
    pub(super) fn new() -> Reading {
        Reading { config: Box::default(), found: Box::default(), commands: Box::default() }
    }

    /// Whether the configuration may be used.
    pub(super) fn accepted(&self) -> bool {
        self.found.errors() == 0
    }

    /// What `check` would print.
    pub(super) fn said(&self) -> String {
        let mut out = Vec::new();
        self.found.print("f", &mut out).expect("a Vec takes everything");
        text(out)
    }

    /// Looks at the places and the words of everything that was said.
    pub(super) fn judge(&self, files: &[&[u8]]) {
        let entries = self.found.entries();
        let all = self.found.errors() as usize + self.found.warnings() as usize;
        assert!(entries.len() <= all.min(MAX_DIAGNOSTICS), "{all}");
        assert!(entries.is_sorted_by_key(|d| d.at), "{}", self.said());
        for d in entries {
            assert!(is_within(d.at, files), "{:?} is nowhere: {}", d.at, self.found.message(d));
            let message = self.found.message(d);
            assert!(!message.is_empty() && !message.contains(char::is_control), "{message:?}");
        }
        let more = usize::from(all > entries.len());
        assert_eq!(self.said().lines().count(), entries.len() + more);
        if self.accepted() {
            for command in self.commands.list() {
                assert!(is_within(command.at, files), "{command:?}");
                assert!(!self.config.str(command.command).is_empty(), "{command:?}");
            }
            assert!(!self.config.instances.is_empty(), "nothing to do");
            comes_back(&self.config);
        }
    }

    /// Both came to the same.
    pub(super) fn same_as(&self, other: &Reading) {
        assert_eq!(self.said(), other.said());
        if self.accepted() {
            assert_eq!(meaning(&self.config), meaning(&other.config));
        }
    }
}

/// Whether a place is one of a byte, or the end of a line.
fn is_within(at: Pos, files: &[&[u8]]) -> bool {
    let Some(file) = files.get(at.file as usize) else { return false };
    let Some(above) = (at.line as usize).checked_sub(1) else { return false };
    let Some(line) = file.split(|b| *b == b'\n').nth(above) else { return false };
    let characters = line.iter().filter(|b| *b & 0xc0 != 0x80).count();
    (1..=characters + 1).contains(&(at.column as usize)) || at.column == u16::MAX
}

/// A configuration that was accepted is the same when it is printed and read as the line language.
fn comes_back(config: &Config) {
    let first = printed(config);
    let mut again = Reading::new();
    sure(line::parse(&mut Input::whole(first.as_bytes()), &mut again.config, &mut again.found));
    assert!(again.accepted(), "{}\nin:\n{first}", again.said());
    assert_eq!(printed(&again.config), first);
    assert_eq!(meaning(&again.config), meaning(config), "in:\n{first}");
}

/// The line configuration.
fn printed(config: &Config) -> String {
    let mut out = Vec::new();
    line::print(config, &mut out).expect("a Vec takes everything");
    text(out)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what we print is text")
}
