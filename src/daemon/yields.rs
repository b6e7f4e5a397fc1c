//! Which instances were told to yield: a file in the run directory, so that a restart does not make them
//! Active behind the back of whoever works on the machine. One of an earlier boot is of no use.

use std::io;

use serde::{Deserialize, Serialize};

use super::Core;
use crate::config::model::{MAX_INSTANCES, MAX_NAME};
use crate::router::event::InstanceId;
use crate::router::{Event, FOR_EVER, Router};
use crate::sys::clock;
use crate::sys::files::boot_id;
use crate::vrrp::timing::Instant;

const NAME: &str = "yields";
const VERSION: u8 = 1;
const HEADER: usize = 1 + 36;
/// A name with its length, and a number.
const MAX_ENTRY: usize = 1 + MAX_NAME + 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry<'a> {
    name: &'a str,
    /// Microseconds since the machine started; the greatest number for no end.
    until: u64,
}

/// The moment that the clock of the machine calls `until`, in the clock of this process.
fn to_instant(until: u64) -> Instant {
    let passed = clock::since_boot().0;
    if until == u64::MAX { FOR_EVER } else { Instant((clock::now().0 + until).saturating_sub(passed)) }
}

fn from_instant(until: Instant) -> u64 {
    if until == FOR_EVER { u64::MAX } else { (clock::since_boot().0 + until.0).saturating_sub(clock::now().0) }
}

fn encode(router: &Router) -> io::Result<Vec<u8>> {
    let mut file = vec![VERSION];
    file.extend_from_slice(&boot_id().unwrap_or([0; 36]));
    for view in (0..router.len()).filter_map(|i| router.view(i)) {
        let Some(until) = view.yielded else { continue };
        let entry = Entry { name: view.name, until: from_instant(until) };
        let mut room = [0; MAX_ENTRY];
        file.extend_from_slice(postcard::to_slice(&entry, &mut room).map_err(|_| io::ErrorKind::InvalidData)?);
    }
    Ok(file)
}

/// Calls `f` with each entry; the error says that the rest cannot be read.
fn decode(bytes: &[u8], f: &mut dyn FnMut(Entry<'_>)) -> io::Result<()> {
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else { return Ok(()) };
    if header[0] != VERSION || header[1..] != boot_id().unwrap_or([0; 36]) {
        return Ok(());
    }
    while !rest.is_empty() {
        let (entry, left) = postcard::take_from_bytes(rest).map_err(|_| io::ErrorKind::InvalidData)?;
        f(entry);
        rest = left;
    }
    Ok(())
}

impl Core {
    /// The place of what is called `name`: an instance, or one that is in a group of that name.
    fn named(&self, name: &str) -> Option<InstanceId> {
        let instance = (0..self.router.len()).find(|i| self.router.view(*i).is_some_and(|v| v.name == name));
        let group = || {
            let mut groups = 0..self.router.config().groups.len();
            let g = groups.find(|g| self.router.group(*g).is_some_and(|v| v.name == name))?;
            self.router.members(g).next()
        };
        instance.or_else(group).map(|i| InstanceId(i as u8))
    }

    /// Makes what is called `name` yield until a moment, or resume; `None` if there is nothing of that name.
    pub(super) fn set_yield(&mut self, name: &str, until: Option<Instant>, now: Instant) -> Option<()> {
        let instance = self.named(name)?;
        self.handle(until.map_or(Event::Resume(instance), |until| Event::Yield { instance, until }), now);
        self.write_yields();
        Some(())
    }

    /// What was told to yield before we started, or before its name was given to another, does so.
    pub(super) fn read_yields(&mut self, now: Instant) {
        let mut buffer = vec![0; HEADER + MAX_ENTRY * MAX_INSTANCES];
        let found = self.run_dir.read_private(NAME, &mut buffer);
        let read = found.and_then(|bytes| {
            decode(bytes.unwrap_or(&[]), &mut |entry| {
                let until = to_instant(entry.until);
                let others = |i: &InstanceId| self.router.view(i.0 as usize).is_some_and(|v| v.yielded.is_none());
                if let Some(instance) = self.named(entry.name).filter(|i| until > now && others(i)) {
                    self.router.handle(Event::Yield { instance, until }, now, &mut self.io);
                }
            })
        });
        if let Err(e) = read {
            log::warn!("{}: who yields is not known: {e}", self.run_dir.path().display());
        }
        self.settle(now);
    }

    /// Writes who yields; nothing stays where nobody does.
    pub(super) fn write_yields(&self) {
        let written = match encode(&self.router) {
            Ok(file) if file.len() > HEADER => self.run_dir.write_private(NAME, &file),
            Ok(_) => self.run_dir.remove(NAME),
            Err(e) => Err(e),
        };
        if let Err(e) = written {
            log::warn!("{}: cannot note who yields: {e}", self.run_dir.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is read, cut at any byte the part before it; nothing of another boot or version.
    #[test]
    fn entries() {
        let mut file = vec![VERSION];
        file.extend_from_slice(&boot_id().unwrap());
        let (lan, wan) = (Entry { name: "lan", until: u64::MAX }, Entry { name: "wan", until: 7 });
        let name = "n".repeat(MAX_NAME);
        let longest = Entry { name: &name, until: u64::MAX };
        for entry in [lan, wan, longest] {
            let mut room = [0; MAX_ENTRY];
            file.extend_from_slice(postcard::to_slice(&entry, &mut room).unwrap());
        }
        let read = |bytes: &[u8]| {
            let mut all = Vec::new();
            let whole = decode(bytes, &mut |e| all.push(format!("{e:?}"))).is_ok();
            (all, whole)
        };
        let all = [format!("{lan:?}"), format!("{wan:?}"), format!("{longest:?}")];
        assert_eq!(read(&file), (all.to_vec(), true));
        for n in 0..file.len() {
            let (some, whole) = read(&file[..n]);
            assert!(all.starts_with(&some) && some.len() < 3 && (!whole || some.len() * 14 <= n), "{n}");
        }
        for at in [0, 1] {
            let mut other = file.clone();
            other[at] ^= 1;
            assert_eq!(read(&other), (vec![], true));
        }
    }

    /// A moment survives the way through the machine's clock.
    #[test]
    fn moments() {
        let then = clock::now() + crate::vrrp::timing::Micros::from_secs(100);
        let back = to_instant(from_instant(then));
        assert!(back.0.abs_diff(then.0) < 1_000_000, "{then:?} {back:?}");
        assert_eq!(to_instant(from_instant(FOR_EVER)), FOR_EVER);
    }
}
