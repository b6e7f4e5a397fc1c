//! keepalived.conf, and the files that it includes.

use picovrrp::config::keepalived::{Files, Options, parse};

use super::FILE_END;
use super::held::within;
use super::input::{Input, sure};
use super::judge::Reading;

/// The files that can be included. The first is the one that is read: it may include itself.
const NAMES: [&str; 5] = ["main.conf", "a.conf", "b.conf", "d/a.conf", "d/c"];
/// What the names of included files may take of the heap.
const MOST: isize = 4 << 10;

/// Files that are nowhere but in an input.
struct Memory<'a> {
    files: [&'a [u8]; NAMES.len()],
    whole: bool,
    /// Those opened, in this order.
    opened: heapless::Vec<usize, 32>,
}

impl<'a> Memory<'a> {
    fn input(&self, n: usize) -> Input<'a> {
        if self.whole { Input::whole(self.files[n]) } else { Input::pieces(self.files[n]) }
    }
}

impl<'a> Files for Memory<'a> {
    type File = Input<'a>;

    fn open(&mut self, path: &str) -> Result<Input<'a>, &'static str> {
        let n = NAMES.iter().position(|name| *name == path).ok_or("there is no such file")?;
        self.opened.push(n).expect("so many files are not opened");
        Ok(self.input(n))
    }

    /// The one pattern that is known here is a `*` at some place.
    fn matches(&mut self, pattern: &str, most: usize) -> Vec<String> {
        let Some((before, behind)) = pattern.split_once('*') else { return Vec::new() };
        let fits = |name: &&&str| {
            let middle = name.strip_prefix(before).and_then(|n| n.strip_suffix(behind));
            middle.is_some_and(|m| !m.contains('/'))
        };
        NAMES.iter().filter(fits).take(most + 1).map(|n| (*n).into()).collect()
    }
}

/// Reads `data` as keepalived.conf and, behind each byte 0xff, the files that it may include: what is
/// accepted comes back equal, what is said has its place in its file, the heap is asked for little, it
/// does not matter in what pieces the files are read, and what strict reading accepts is the same.
pub(crate) fn keepalived(data: &[u8]) {
    let mut files = [&[][..]; NAMES.len()];
    for (file, bytes) in files.iter_mut().zip(data.split(|b| *b == FILE_END)) {
        *file = bytes;
    }
    let loose = read(files, false);
    let strict = read(files, true);
    assert!(strict.found.errors() >= loose.found.errors());
    if strict.accepted() {
        strict.same_as(&loose);
    }
}

fn read(files: [&[u8]; NAMES.len()], strict: bool) -> Reading {
    let options = Options { strict, config_id: "here" };
    let (mut whole, mut pieces) = (Reading::new(), Reading::new());
    let mut memory = Memory { files, whole: true, opened: heapless::Vec::new() };
    within(MOST, || {
        let Reading { config, found, commands } = &mut whole;
        sure(parse(memory.input(0), NAMES[0], &mut memory, &options, config, found, Some(commands)));
    });
    let mut seen = vec![files[0]];
    seen.extend(memory.opened.iter().map(|n| files[*n]));
    whole.judge(&seen);
    let mut memory = Memory { files, whole: false, opened: heapless::Vec::new() };
    sure(parse(memory.input(0), NAMES[0], &mut memory, &options, &mut pieces.config, &mut pieces.found, None));
    whole.same_as(&pieces);
    whole
}
