//! OpenWrt's configuration files (`/etc/config/…`), read as libuci reads them.
//!
//! [`Parser`] takes a file apart into commands, in the memory of one of them whatever the input. It
//! knows the grammar only: what a repeated option, a list or a section of the same name mean is for
//! whoever reads the events.
//!
//! Where libuci's parser drops something without a word the same is dropped here, and reported.

mod source;

#[cfg(test)]
mod tests;

use embedded_io::Read;
use heapless::Vec;

use self::source::Source;
use super::diagnostics::Pos;

/// The longest name or value, in bytes.
pub const MAX_WORD: usize = 512;
/// The longest file: beyond it nobody meant a configuration.
pub const MAX_FILE: usize = 16 << 20;
/// The longest command word, and one byte to see that it is longer.
const MAX_COMMAND: usize = "package".len() + 1;

/// What is wrong with a line, in libuci's words where it has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The line begins with no command.
    InvalidCommand,
    /// The command wants a name or a type.
    InsufficientArguments,
    /// The file ends right behind the command.
    PackageWithoutName,
    /// The file ends right behind the command.
    ConfigWithoutName,
    /// The file ends right behind the command.
    OptionWithoutName,
    /// A type has blanks or bytes that are not printable.
    InvalidType,
    /// A name has other characters than letters, digits and `_`.
    InvalidName,
    /// There is something behind the value.
    TooManyArguments,
    /// An option belongs to no section.
    NoSection,
    /// A `'` that nothing closes.
    UnterminatedSingle,
    /// A `"` that nothing closes.
    UnterminatedDouble,
    /// A word longer than [`MAX_WORD`].
    TooLong,
    /// A byte that no line has.
    Nul,
    /// The file is longer than [`MAX_FILE`].
    TooBig,
    /// A `;` behind an unquoted word: what follows is dropped by libuci.
    SemicolonDrops,
    /// A `;` elsewhere: what follows is a command of its own.
    SemicolonEnds,
}

impl Reason {
    /// The words for it.
    pub const fn text(self) -> &'static str {
        match self {
            Reason::InvalidCommand => {
                "invalid command: expected 'config TYPE [NAME]', 'option NAME VALUE' or 'list NAME VALUE'"
            }
            Reason::InsufficientArguments => "insufficient arguments: expected a name behind the command",
            Reason::PackageWithoutName => "package without name",
            Reason::ConfigWithoutName => "config without name",
            Reason::OptionWithoutName => "option without name",
            Reason::InvalidType => "invalid character in type field: expected printable ones without blanks",
            Reason::InvalidName => "invalid character in name field: expected letters, digits and '_'",
            Reason::TooManyArguments => "too many arguments: a value with blanks stands in quotes",
            Reason::NoSection => "option/list command found before the first section: expected 'config TYPE' above it",
            Reason::UnterminatedSingle => "EOF with unterminated '",
            Reason::UnterminatedDouble => "EOF with unterminated \"",
            Reason::TooLong => "the word is too long: expected at most 512 bytes",
            Reason::Nul => "NUL byte: expected text",
            Reason::TooBig => "the file is longer than 16 MiB: this is no configuration",
            Reason::SemicolonDrops => {
                "';' ends the line here: what follows it is not read; quotes keep it in the value"
            }
            Reason::SemicolonEnds => {
                "';' ends the command: what follows it is read as another; quotes keep it in the value"
            }
        }
    }

    /// Whether the file can be read in spite of it, and means what libuci takes it to mean.
    pub const fn is_warning(self) -> bool {
        matches!(self, Reason::SemicolonDrops | Reason::SemicolonEnds)
    }
}

static_assertions::const_assert!(MAX_WORD == 512 && MAX_FILE == 16 << 20);

/// What to do about a line that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is dropped, and whoever reads the events gives the file up at its end.
    #[default]
    Strict,
    /// As OpenWrt's init scripts have it: it is dropped and reading goes on; of a line with too many
    /// arguments the rest alone is dropped.
    Lenient,
}

/// A command, or what is wrong with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'p> {
    /// `package NAME`.
    Package {
        /// Its name.
        name: &'p str,
    },
    /// `config TYPE [NAME]`.
    Section {
        /// Its type.
        kind: &'p str,
        /// Its name, if it has one.
        name: Option<&'p str>,
    },
    /// `option NAME [VALUE]`; without a value it is the empty one.
    Option {
        /// Its name.
        name: &'p str,
        /// Its value: any bytes.
        value: &'p [u8],
    },
    /// `list NAME [VALUE]`.
    List {
        /// Its name.
        name: &'p str,
        /// One more value.
        value: &'p [u8],
    },
    /// A line, or some of it, that was dropped.
    Bad(Reason),
}

/// An event and its place.
#[derive(Clone, Copy, Debug)]
pub struct Item<'p> {
    /// Where the name or the type stands, or what is wrong.
    pub at: Pos,
    /// Where the value stands, or the name of a section; else as `at`.
    pub value_at: Pos,
    /// What it is.
    pub event: Event<'p>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Package,
    Config,
    Option,
    List,
}

/// Whether an option has a section to belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Section,
    /// The line that began it was wrong: what belongs to it is dropped with it.
    Lost,
}

/// A command whose words are in the buffer.
#[derive(Clone, Copy)]
struct Held {
    command: Command,
    at: Pos,
    value_at: Pos,
}

/// A word behind a command.
#[derive(Default)]
struct Word {
    bytes: Vec<u8, MAX_WORD>,
    overlong: bool,
}

impl Word {
    fn clear(&mut self) {
        self.bytes.clear();
        self.overlong = false;
    }

    fn put(&mut self, byte: u8) {
        self.overlong |= self.bytes.push(byte).is_err();
    }
}

/// Takes a file apart. It has the memory of one command.
pub struct Parser<'r, R: Read> {
    lexer: Lexer<'r, R>,
    mode: Mode,
    inside: Inside,
    /// The first word behind the command.
    name: Word,
    /// The second.
    value: Word,
    /// One more, which is one too many.
    rest: Word,
    held: Option<Held>,
    finished: bool,
}

impl<'r, R: Read> Parser<'r, R> {
    /// Reads `input`.
    pub fn new(input: &'r mut R, mode: Mode) -> Parser<'r, R> {
        Parser {
            lexer: Lexer { source: Source::new(input, MAX_FILE), remarks: Vec::new() },
            mode,
            inside: Inside::Nothing,
            name: Word::default(),
            value: Word::default(),
            rest: Word::default(),
            held: None,
            finished: false,
        }
    }

    /// Where the file ends, or is read at the moment.
    pub fn pos(&self) -> Pos {
        let place = self.lexer.source.pos();
        Pos { line: place.line.max(1), ..place }
    }

    /// The next command; `None` at the end of the file. The error is that of reading.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, R::Error> {
        loop {
            if !self.lexer.remarks.is_empty() {
                let (at, reason) = self.lexer.remarks.remove(0);
                return Ok(Some(Item { at, value_at: at, event: Event::Bad(reason) }));
            }
            if let Some(held) = self.held.take() {
                return Ok(Some(self.item(held)));
            }
            if self.finished {
                return Ok(None);
            }
            self.advance();
            if let Some(failed) = self.lexer.source.failed.take() {
                self.finished = true;
                self.held = None;
                self.lexer.remarks.clear();
                return Err(failed);
            }
        }
    }

    fn item(&self, held: Held) -> Item<'_> {
        // Names were checked; they are ASCII.
        let (first, second) = (&self.name.bytes, &self.value.bytes);
        let first = core::str::from_utf8(first).unwrap_or("");
        let event = match held.command {
            Command::Package => Event::Package { name: first },
            Command::Config => {
                let name = core::str::from_utf8(second).unwrap_or("");
                Event::Section { kind: first, name: Some(name).filter(|name| !name.is_empty()) }
            }
            Command::Option => Event::Option { name: first, value: second },
            Command::List => Event::List { name: first, value: second },
        };
        Item { at: held.at, value_at: held.value_at, event }
    }

    /// Drops the line for `reason`.
    fn refuse(&mut self, at: Pos, reason: Reason) {
        self.lexer.source.cut();
        self.lexer.remark(at, reason);
    }

    /// Reads one command, or goes to the next line.
    fn advance(&mut self) {
        let source = &mut self.lexer.source;
        while matches!(source.peek(), Some(b' ' | b'\t')) {
            source.bump();
        }
        match source.peek() {
            None => self.next_line(),
            Some(b'#') => source.cut(),
            Some(_) => {
                let (at, command) = self.lexer.command();
                let Some(command) = command else { return self.refuse(at, Reason::InvalidCommand) };
                if let Err((at, reason)) = self.arguments(command, at) {
                    self.lose(command);
                    self.refuse(at, reason);
                }
                if let Some(at) = self.lexer.source.take_nul() {
                    self.held = None;
                    self.lose(command);
                    self.refuse(at, Reason::Nul);
                }
            }
        }
    }

    fn next_line(&mut self) {
        let there = self.lexer.source.next_line();
        if let Some(at) = self.lexer.source.take_nul() {
            self.lexer.remark(at, Reason::Nul);
        }
        if !there {
            self.finished = true;
            if self.lexer.source.too_long() {
                self.lexer.remark(self.pos(), Reason::TooBig);
            }
        }
        self.lexer.skip_blanks();
    }

    /// The section that `command` was to begin is lost.
    fn lose(&mut self, command: Command) {
        if command == Command::Config {
            self.inside = Inside::Lost;
        }
    }

    fn arguments(&mut self, command: Command, at: Pos) -> Result<(), (Pos, Reason)> {
        let of_section = matches!(command, Command::Option | Command::List);
        if of_section && self.inside == Inside::Nothing {
            return Err((at, Reason::NoSection));
        }
        if self.lexer.source.peek().is_none() {
            let reason = match command {
                Command::Package => Reason::PackageWithoutName,
                Command::Config => Reason::ConfigWithoutName,
                Command::Option | Command::List => Reason::OptionWithoutName,
            };
            return Err((at, reason));
        }
        self.lexer.source.bump();
        let at = self.lexer.word(&mut self.name)?;
        let first = &self.name.bytes;
        if first.is_empty() {
            return Err((at, Reason::InsufficientArguments));
        }
        let valid = match command {
            Command::Config => first.iter().all(u8::is_ascii_graphic),
            Command::Package => first.iter().all(|b| is_name(*b) || *b == b'-'),
            Command::Option | Command::List => first.iter().all(|b| is_name(*b)),
        };
        if !valid {
            return Err((at, if command == Command::Config { Reason::InvalidType } else { Reason::InvalidName }));
        }
        let mut value_at = at;
        self.value.clear();
        if command != Command::Package {
            value_at = self.lexer.word(&mut self.value)?;
            if command == Command::Config && !self.value.bytes.iter().all(|b| is_name(*b)) {
                return Err((value_at, Reason::InvalidName));
            }
        }
        let rest_at = self.lexer.word(&mut self.rest)?;
        if !self.rest.bytes.is_empty() {
            if self.mode == Mode::Strict {
                return Err((rest_at, Reason::TooManyArguments));
            }
            self.lexer.remark(rest_at, Reason::TooManyArguments);
        }
        for (word, at) in [(&self.name, at), (&self.value, value_at)] {
            if word.overlong {
                return Err((at, Reason::TooLong));
            }
        }
        if of_section && self.inside == Inside::Lost {
            return Ok(());
        }
        if command == Command::Config {
            self.inside = Inside::Section;
        }
        self.held = Some(Held { command, at, value_at });
        Ok(())
    }
}

/// Makes words of lines.
struct Lexer<'r, R: Read> {
    source: Source<'r, R>,
    /// What is to be told before the command that was read.
    remarks: Vec<(Pos, Reason), 4>,
}

impl<R: Read> Lexer<'_, R> {
    fn remark(&mut self, at: Pos, reason: Reason) {
        // There is room: a command says three things at most.
        let _ = self.remarks.push((at, reason));
    }

    /// The word that says what the line is. It ends at a blank or a tab only, as in libuci.
    fn command(&mut self) -> (Pos, Option<Command>) {
        let at = self.source.pos();
        let mut word: Vec<u8, MAX_COMMAND> = Vec::new();
        while let Some(byte) = self.source.peek().filter(|b| !matches!(b, b' ' | b'\t')) {
            // A longer word is no command either way.
            let _ = word.push(byte);
            self.source.bump();
        }
        let command = match &word[..] {
            b"package" | b"p" => Some(Command::Package),
            b"config" | b"c" => Some(Command::Config),
            b"option" | b"o" => Some(Command::Option),
            b"list" | b"l" => Some(Command::List),
            _ => None,
        };
        (at, command)
    }

    fn skip_blanks(&mut self) {
        while self.source.peek().is_some_and(is_space) {
            self.source.bump();
        }
    }

    /// Reads the next word, which may be empty; where it begins.
    fn word(&mut self, word: &mut Word) -> Result<Pos, (Pos, Reason)> {
        word.clear();
        self.skip_blanks();
        let at = self.source.pos();
        if self.source.peek() == Some(b';') {
            self.source.bump();
            self.remark(at, Reason::SemicolonEnds);
            return Ok(at);
        }
        // A word that is written longer than it is leaves room for its end before a `;`.
        let mut shorter = false;
        loop {
            match self.source.peek() {
                None => break,
                Some(b'#') => {
                    self.source.cut();
                    break;
                }
                Some(b';') => {
                    if !shorter {
                        self.remark(self.source.pos(), Reason::SemicolonDrops);
                        self.source.cut();
                    }
                    return Ok(at);
                }
                Some(quote @ (b'\'' | b'"')) => {
                    shorter = true;
                    self.quoted(quote, word)?;
                }
                Some(b'\\') => {
                    shorter = true;
                    self.escaped(word);
                }
                Some(byte) => {
                    word.put(byte);
                    self.source.bump();
                }
            }
            if self.source.peek().is_none_or(is_space) {
                break;
            }
        }
        if self.source.peek().is_some() {
            self.source.bump();
        }
        Ok(at)
    }

    /// The text between two quotes, which may go over several lines.
    fn quoted(&mut self, quote: u8, word: &mut Word) -> Result<(), (Pos, Reason)> {
        let at = self.source.pos();
        self.source.bump();
        loop {
            match self.source.peek() {
                None if self.source.next_line() => {}
                None if quote == b'"' => return Err((at, Reason::UnterminatedDouble)),
                None => return Err((at, Reason::UnterminatedSingle)),
                Some(byte) if byte == quote => {
                    self.source.bump();
                    return Ok(());
                }
                Some(b'\\') if quote == b'"' => self.escaped(word),
                Some(byte) => {
                    word.put(byte);
                    self.source.bump();
                }
            }
        }
    }

    /// A backslash: it joins lines, or takes the next byte as it is.
    fn escaped(&mut self, word: &mut Word) {
        self.source.bump();
        match self.source.peek() {
            None => {
                self.source.next_line();
            }
            Some(b'\n') => {
                self.source.bump();
                self.source.next_line();
            }
            Some(b'\r') if self.source.peek_second() == Some(b'\n') => {
                self.source.bump();
                self.source.bump();
                self.source.next_line();
            }
            Some(byte) => {
                word.put(byte);
                self.source.bump();
            }
        }
    }
}

/// C's `isspace`.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
