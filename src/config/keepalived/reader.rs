//! Blocks: which one a statement stands in, and what it opens.

use heapless::Vec;
use ufmt::{uWrite, uwrite};

use super::check::CheckBlock;
use super::finish::{Globals, Pending};
use super::keyword::{self, Act, Keyword, Place};
use super::route::Static;
use super::text::Line;
use super::words::{self, Kind, MAX_WORDS, Word, Words};
use crate::config::assemble::{Assembler, Reported};
use crate::config::commands::Commands;
use crate::config::diagnostics::{Diagnostics, Excerpt, Pos, suggest};
use crate::config::model::{Config, MAX_CHECKS, MAX_INSTANCES, StrId};
use crate::text::{Text, Written};

pub(super) type Done = Result<(), Reported>;

/// How deep blocks may be nested.
const MAX_DEPTH: usize = 16;

/// Static addresses and routes.
pub(super) const MAX_STATIC: usize = 32;

/// A block that is open.
#[derive(Clone, Copy)]
struct Block {
    place: Place,
    /// Where its keyword stands.
    at: Pos,
}

/// The weight that a check has where it is tracked without one.
#[derive(Clone, Copy)]
pub(super) struct DefaultWeight {
    pub(super) check: StrId,
    pub(super) weight: i16,
    pub(super) reverse: bool,
}

/// Reads statements into a configuration.
pub(super) struct Reader<'a> {
    pub(super) asm: Assembler<'a>,
    strict: bool,
    blocks: Vec<Block, MAX_DEPTH>,
    /// Blocks within the deepest one that is kept: what is in them goes to it.
    excess: u32,
    /// What the next `{` opens.
    announced: Option<Block>,
    pub(super) globals: Globals,
    /// The instance that is open.
    pub(super) instance: Pending,
    /// Those read so far: what `global_defs` says behind them counts for them too.
    pub(super) instances: Vec<Pending, MAX_INSTANCES>,
    /// There were more, which was reported.
    pub(super) too_many: bool,
    /// The check that is open.
    pub(super) check: CheckBlock,
    pub(super) weights: Vec<DefaultWeight, MAX_CHECKS>,
    /// What is there as long as the daemon runs.
    pub(super) statics: Vec<(Pos, Static), MAX_STATIC>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        config: &'a mut Config,
        diag: &'a mut Diagnostics,
        commands: Option<&'a mut Commands>,
        strict: bool,
    ) -> Reader<'a> {
        Reader {
            asm: Assembler::new(config, diag, commands),
            strict,
            blocks: Vec::new(),
            excess: 0,
            announced: None,
            globals: Globals::default(),
            instance: Pending::default(),
            instances: Vec::new(),
            too_many: false,
            check: CheckBlock::default(),
            weights: Vec::new(),
            statics: Vec::new(),
        }
    }

    /// Reads one line.
    pub(super) fn line(&mut self, line: &mut Line) {
        let mut words: Vec<Word, MAX_WORDS> = Vec::new();
        // What stands before the wrong word of a line is of no use without the rest.
        if words::split(line, &mut words, self.asm.diag).is_err() {
            return;
        }
        let mut rest = words.as_slice();
        while let Some(first) = rest.first() {
            let at = Words::new(line, rest).at;
            match first.kind {
                Kind::Word => {
                    let len = rest.iter().position(|w| w.kind != Kind::Word).unwrap_or(rest.len());
                    let opens = rest.get(len).is_some_and(|w| w.kind == Kind::Open);
                    self.statement(&mut Words::new(line, &rest[..len]), opens);
                    rest = &rest[len..];
                }
                Kind::Open => {
                    self.open(at);
                    rest = &rest[1..];
                }
                Kind::Close => {
                    self.close(at);
                    rest = &rest[1..];
                }
            }
        }
    }

    fn place(&self) -> Place {
        self.blocks.last().map_or(Place::Top, |b| b.place)
    }

    /// Reads a statement; `opens` if a brace stands behind it.
    fn statement(&mut self, w: &mut Words<'_>, opens: bool) {
        self.without_block();
        let place = self.place();
        match place {
            Place::Skip => return self.announce(Place::Skip, w.at),
            Place::List(list) => {
                if (list.entry)(self, w).is_ok() {
                    self.nothing_behind(w, list.name);
                }
                return;
            }
            _ => {}
        }
        let Some(word) = w.take() else { return };
        let Some(keyword) = keyword::find(word, place) else {
            self.unknown(w.at, word, place, opens);
            return self.announce(Place::Skip, w.at);
        };
        match keyword.act {
            Act::Read(read) => {
                if read(self, w).is_ok() {
                    self.nothing_behind(w, keyword.name);
                }
                if opens {
                    self.announce(Place::Skip, w.at);
                    self.asm.diag.error(w.at, &mut |t| {
                        uwrite!(t, "'{}' is no block: expected its value and no '{{'", keyword.name)
                    });
                }
            }
            Act::Block(begin, place) => {
                // A block whose beginning is wrong is read for its own errors.
                if begin(self, w).is_ok() {
                    self.nothing_behind(w, keyword.name);
                }
                self.announced = Some(Block { place, at: w.at });
            }
            Act::List(list) => {
                self.nothing_behind(w, keyword.name);
                self.announced = Some(Block { place: Place::List(list), at: w.at });
            }
            Act::Same => {}
            Act::Report(consequence) => {
                self.report(w.at, &mut |t| uwrite!(t, "'{}' is not taken over: {}", keyword.name, consequence));
                self.announce(Place::Skip, w.at);
            }
        }
    }

    fn announce(&mut self, place: Place, at: Pos) {
        self.announced = Some(Block { place, at });
    }

    fn open(&mut self, at: Pos) {
        let block = match self.announced.take() {
            Some(block) => block,
            None if matches!(self.place(), Place::Skip) => Block { place: Place::Skip, at },
            None => {
                self.asm.diag.error(at, &mut |t| t.write_str("'{' behind nothing: expected the keyword of a block"));
                Block { place: Place::Skip, at }
            }
        };
        if self.blocks.push(block).is_err() {
            self.excess += 1;
            if self.excess == 1 {
                self.asm
                    .diag
                    .error(at, &mut |t| uwrite!(t, "blocks are nested more than {} deep: expected '}}'", MAX_DEPTH));
            }
        }
    }

    fn close(&mut self, at: Pos) {
        self.without_block();
        if self.excess > 0 {
            self.excess -= 1;
            return;
        }
        match self.blocks.pop() {
            Some(block) => self.end_block(block),
            None => self.asm.diag.error(at, &mut |t| t.write_str("'}' without '{': no block is open")),
        }
    }

    fn end_block(&mut self, block: Block) {
        match block.place {
            Place::Instance => self.end_instance(),
            Place::Group => self.end_group(),
            Place::Script | Place::Process | Place::File => self.end_check(),
            _ => {}
        }
    }

    /// A block was announced and something else came.
    fn without_block(&mut self) {
        let Some(block) = self.announced.take() else { return };
        if matches!(block.place, Place::Skip) {
            return;
        }
        self.asm.diag.error(block.at, &mut |t| t.write_str("a block without its braces: expected '{' behind it"));
        self.end_block(block);
    }

    /// Ends the configuration, whose last line is at `end`.
    pub(super) fn end(mut self, end: Pos) {
        self.without_block();
        while let Some(block) = self.blocks.pop() {
            self.asm
                .diag
                .error(block.at, &mut |t| t.write_str("block never closed: expected '}' before the end of the file"));
            self.end_block(block);
        }
        self.finish(end);
    }

    /// Reports what is not taken over.
    pub(super) fn report(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        if self.strict {
            self.asm.diag.error(at, message);
        } else {
            self.asm.diag.warning(at, message);
        }
    }

    /// Words that keepalived does not look at either.
    fn nothing_behind(&mut self, w: &Words<'_>, name: &str) {
        if let Some(word) = w.peek() {
            self.asm.diag.warning(w.pos(), &mut |t| {
                uwrite!(t, "'{}' behind '{}' has no effect: expected the end of the line", Excerpt(word), name)
            });
        }
    }

    fn unknown(&mut self, at: Pos, word: &str, place: Place, opens: bool) {
        let near = suggest(word, &mut keyword::names(place));
        let elsewhere = keyword::anywhere(word);
        self.asm.diag.error(at, &mut |t| {
            let what = if opens { "block" } else { "keyword" };
            match (elsewhere, near) {
                (Some(Keyword { .. }), _) => {
                    uwrite!(t, "'{}' does not belong {}", Excerpt(word), place.name())
                }
                (None, Some(meant)) => uwrite!(t, "unknown {} '{}', did you mean '{}'?", what, Excerpt(word), meant),
                (None, None) => uwrite!(t, "unknown {} '{}' {}", what, Excerpt(word), place.name()),
            }
        });
    }
}
