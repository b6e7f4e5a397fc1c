//! Values: numbers, durations, names, addresses, commands. What is wrong is reported where it stands.

use core::net::IpAddr;

use heapless::String;
use ufmt::{uWrite, uwrite};

use super::reader::{Done, Reader};
use super::words::Words;
use crate::config::assemble::Reported;
use crate::config::commands::CommandAt;
use crate::config::diagnostics::{Excerpt, Pos};
use crate::config::draft::Slot;
use crate::config::line::value::{digits, duration, is_host};
use crate::config::model::{Family, MAX_IFNAME, MAX_NAME, StrId};
use crate::vrrp::timing::Micros;

/// The longest command, in bytes, and its words with the program's name: as in the line language.
const MAX_COMMAND: usize = 400;
const MAX_ARGUMENTS: usize = 16;
/// The longest path.
const MAX_PATH: usize = 255;
/// What a line of the line language has room for, besides the keywords.
pub(super) const MAX_TOGETHER: usize = 430;

/// The bytes that `word` takes in the line language.
pub(super) fn written_len(word: &str) -> usize {
    2 + word.len() + word.bytes().filter(|b| matches!(b, b'"' | b'\\')).count()
}

impl Reader<'_> {
    /// Reports that the next word is not what `keyword` wants.
    pub(super) fn need(&mut self, w: &Words<'_>, keyword: &str, expected: &str) -> Reported {
        self.asm.diag.error(w.pos(), &mut |t| {
            uwrite!(t, "'{}' needs {}", keyword, expected)?;
            match w.peek() {
                Some(word) => uwrite!(t, ", not '{}'", Excerpt(word)),
                None => Ok(()),
            }
        });
        Reported
    }

    pub(super) fn number(&mut self, w: &mut Words<'_>, keyword: &str, low: u32, high: u32) -> Result<u32, Reported> {
        match w.peek().and_then(digits) {
            Some(n) if (low as u64..=high as u64).contains(&n) => {
                w.skip();
                Ok(n as u32)
            }
            _ => {
                self.asm.diag.error(w.pos(), &mut |t| {
                    uwrite!(t, "'{}' needs a number from {} to {}", keyword, low, high)?;
                    match w.peek() {
                        Some(word) => uwrite!(t, ", not '{}'", Excerpt(word)),
                        None => Ok(()),
                    }
                });
                Err(Reported)
            }
        }
    }

    /// Seconds, with decimals.
    pub(super) fn seconds(
        &mut self,
        w: &mut Words<'_>,
        keyword: &str,
        low: Micros,
        high: Micros,
        expected: &str,
    ) -> Result<Micros, Reported> {
        let plain = w.peek().filter(|s| s.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        match plain.and_then(duration) {
            Some(d) if low <= d && d <= high => {
                w.skip();
                Ok(d)
            }
            _ => Err(self.need(w, keyword, expected)),
        }
    }

    /// `on`, `true`, `yes` or nothing; `off`, `false`, `no`.
    pub(super) fn boolean(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<bool, Reported> {
        let value = match w.peek() {
            None => return Ok(true),
            Some("on" | "true" | "yes") => true,
            Some("off" | "false" | "no") => false,
            Some(_) => return Err(self.need(w, keyword, "on or off")),
        };
        w.skip();
        Ok(value)
    }

    /// A word of the user's own.
    pub(super) fn name(&mut self, w: &mut Words<'_>, keyword: &str, what: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        let word = self.text(w, keyword, what, MAX_NAME)?;
        self.asm.intern(at, word)
    }

    /// The same, not yet kept.
    pub(super) fn text<'l>(
        &mut self,
        w: &mut Words<'l>,
        keyword: &str,
        what: &str,
        max: usize,
    ) -> Result<&'l str, Reported> {
        match w.peek() {
            Some(word) if !word.is_empty() && word.len() <= max && !word.contains('\t') => {
                w.skip();
                Ok(word)
            }
            Some(word) if word.len() > max => {
                self.asm.diag.error(w.pos(), &mut |t| {
                    uwrite!(t, "'{}' is too long for '{}': expected at most {} bytes", Excerpt(word), keyword, max)
                });
                Err(Reported)
            }
            _ => Err(self.need(w, keyword, what)),
        }
    }

    pub(super) fn interface(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        let fits = |word: &str| !matches!(word, "." | "..") && !word.contains(['/', ':', ' ', '\t']);
        if w.peek().is_some_and(|word| !fits(word)) {
            return Err(self.need(w, keyword, "the name of a network interface"));
        }
        let word = self.text(w, keyword, "the name of a network interface", MAX_IFNAME)?;
        self.asm.intern(at, word)
    }

    pub(super) fn path(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        if w.peek().is_some_and(|word| !word.starts_with('/')) {
            return Err(self.need(w, keyword, "a path that begins with '/'"));
        }
        let path = self.text(w, keyword, "a path that begins with '/'", MAX_PATH)?;
        self.asm.intern(at, path)
    }

    /// An address that one host can have.
    pub(super) fn host(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<IpAddr, Reported> {
        match w.peek().and_then(|s| s.parse().ok()).filter(is_host) {
            Some(ip) => {
                w.skip();
                Ok(ip)
            }
            None => Err(self.need(w, keyword, "the IPv4 or IPv6 address of a host")),
        }
    }

    /// A host's address, and the prefix length if there is one.
    pub(super) fn prefixed(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<(IpAddr, Option<u8>), Reported> {
        let word = w.peek().unwrap_or("");
        let (ip, length) = word.split_once('/').map_or((word, None), |(ip, length)| (ip, Some(length)));
        let Some(ip) = ip.parse().ok().filter(is_host) else {
            return Err(self.need(w, keyword, "the address of a host, such as 192.0.2.1/24"));
        };
        let bits = Family::of(ip).bits();
        let fits = |s| digits(s).filter(|n| (1..=bits as u64).contains(n)).map(|n| n as u8);
        match length {
            None => {
                w.skip();
                Ok((ip, None))
            }
            Some(length) => match fits(length) {
                Some(n) => {
                    w.skip();
                    Ok((ip, Some(n)))
                }
                None => {
                    self.asm.diag.error(w.pos(), &mut |t| {
                        uwrite!(t, "'{}' has a wrong prefix length: expected /1 to /{}", Excerpt(word), bits)
                    });
                    Err(Reported)
                }
            },
        }
    }

    /// `USER [GROUP]`, as `USER[:GROUP]`; the empty string where there is none.
    pub(super) fn user(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        if w.peek().is_none() {
            return Ok(StrId::default());
        }
        let user = self.text(w, keyword, "a user and perhaps a group", MAX_NAME)?;
        let mut both: String<{ 2 * MAX_NAME + 1 }> = String::new();
        // Two names fit, and the colon.
        let _ = both.push_str(user);
        if w.peek().is_some() {
            let group = self.text(w, keyword, "a user and perhaps a group", MAX_NAME)?;
            let _ = both.push(':').and_then(|()| both.push_str(group));
        }
        if both.len() > MAX_NAME || both.contains([' ', '"']) {
            self.asm.diag.error(at, &mut |t| {
                uwrite!(t, "'{}' is no user: expected names of at most {} bytes", Excerpt(&both), MAX_NAME)
            });
            return Err(Reported);
        }
        self.asm.intern(at, &both)
    }

    /// A command, as keepalived splits it: on blanks, quotes around what belongs together.
    pub(super) fn command(&mut self, w: &mut Words<'_>, keyword: &str) -> Result<StrId, Reported> {
        let at = w.pos();
        let Some(word) = w.peek().filter(|word| !word.trim().is_empty()) else {
            return Err(self.need(w, keyword, "a command, such as \"/etc/keepalived/notify\""));
        };
        let mut plain: String<MAX_COMMAND> = String::new();
        let (mut quote, mut long) = (None, false);
        for c in word.chars() {
            let inside = quote.is_some();
            match c {
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                ' ' | '\t' | '\\' if inside || c == '\\' => {
                    self.asm.diag.error(at, &mut |t| {
                        uwrite!(t, "the command of '{}' has an argument with a blank or a quote in it, ", keyword)?;
                        t.write_str("which cannot be taken over: expected a script of its own that calls it")
                    });
                    return Err(Reported);
                }
                _ => long |= plain.push(c).is_err(),
            }
        }
        if quote.is_some() {
            self.asm.diag.error(at, &mut |t| uwrite!(t, "the command of '{}' has a quote never closed", keyword));
            return Err(Reported);
        }
        let count = plain.split([' ', '\t']).filter(|s| !s.is_empty()).count();
        if long || count > MAX_ARGUMENTS || count == 0 {
            self.asm.diag.error(at, &mut |t| {
                uwrite!(t, "the command of '{}' is too long: ", keyword)?;
                uwrite!(t, "expected at most {} bytes and {} arguments", MAX_COMMAND, MAX_ARGUMENTS - 1)
            });
            return Err(Reported);
        }
        w.skip();
        self.asm.intern(at, plain.trim())
    }

    /// A command that is run as `script_user` only, though keepalived runs it as the user behind it.
    pub(super) fn hook(&mut self, w: &mut Words<'_>, keyword: &'static str) -> Result<StrId, Reported> {
        let at = w.pos();
        let command = self.command(w, keyword)?;
        self.globals.command_at.get_or_insert(at);
        self.asm.note_command(CommandAt { at, what: keyword, command, user: StrId::default(), user_at: at });
        let user_at = w.pos();
        let user = self.user(w, keyword)?;
        if !user.is_empty() {
            let user = self.asm.config.strings.get(user);
            let user: String<MAX_NAME> = user.try_into().unwrap_or_default();
            self.report(user_at, &mut |t| {
                uwrite!(t, "the user '{}' of '{}' is not taken over: ", user.as_str(), keyword)?;
                t.write_str("the command runs as 'script_user' says")
            });
        }
        Ok(command)
    }

    /// Marks `slot` of the instance or group as given; a second time it counts in spite of the first,
    /// as with keepalived.
    pub(super) fn give(&mut self, slot: Slot, at: Pos, keyword: &str) {
        if let Err(before) = self.asm.draft.marks.give(slot, at) {
            self.again(at, keyword, before);
        }
    }

    pub(super) fn again(&mut self, at: Pos, keyword: &str, before: Pos) {
        self.asm.diag.warning(at, &mut |t| {
            uwrite!(t, "'{}' given twice, first at line {}: this one counts", keyword, before.line)
        });
    }

    /// Whether what is written together fits a line of the line language.
    pub(super) fn fits(&mut self, at: Pos, what: &str, parts: &[StrId]) -> Done {
        let len: usize = parts.iter().map(|id| 1 + written_len(self.asm.config.str(*id))).sum();
        if len <= MAX_TOGETHER {
            return Ok(());
        }
        self.asm.diag.error(at, &mut |t| {
            uwrite!(t, "the names and words of this {} are {} bytes: expected at most {}", what, len, MAX_TOGETHER)
        });
        Err(Reported)
    }
}
