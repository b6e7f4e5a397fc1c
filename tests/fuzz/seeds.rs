//! What the fuzzers begin with: the configurations that are in the repository anyway, in files, in the
//! documentation and in the tests of the languages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A language, and where there is some of it.
pub(crate) struct Language {
    /// As its fuzz target is called.
    pub(crate) name: &'static str,
    /// Directories of whole files, with the ending that they have.
    files: &'static [(&'static str, &'static str)],
    /// Documents with examples between fences.
    documents: &'static [&'static str],
    /// The sources of its reader: each text in the tests is a seed, each word elsewhere one of the language.
    sources: &'static [&'static str],
}

pub(crate) const LANGUAGES: [Language; 3] = [
    Language {
        name: "line",
        files: &[("tests/import", "line"), ("board-configs", "conf")],
        documents: &["README.md", "docs/configuration.md", "docs/uci.md", "docs/keepalived.md"],
        sources: &["src/config/line"],
    },
    Language {
        name: "uci",
        files: &[("board-configs", "uci")],
        documents: &["docs/uci.md"],
        sources: &["src/config/uci", "src/config/uci_import"],
    },
    Language {
        name: "keepalived",
        files: &[("tests/import", "conf")],
        documents: &["docs/keepalived.md"],
        sources: &["src/config/keepalived"],
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a directory.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Language {
    /// All seeds, each once.
    pub(crate) fn seeds(&self) -> BTreeSet<Vec<u8>> {
        let mut seeds = BTreeSet::new();
        for (dir, ending) in self.files {
            let files = below(&root().join(dir));
            seeds.extend(files.iter().filter(|f| f.extension().is_some_and(|e| e == *ending)).map(|f| read(f)));
        }
        for document in self.documents {
            let text = String::from_utf8(read(&root().join(document))).expect("a document is text");
            seeds.extend(
                text.split("```")
                    .skip(1)
                    .step_by(2)
                    .map(|block| block.split_once('\n').map_or(Vec::new(), |(_, example)| example.into())),
            );
        }
        for (test, literals) in self.literals() {
            if test {
                seeds.extend(literals);
            }
        }
        seeds.extend(found(self.name).into_iter().map(|(_, bytes)| bytes));
        seeds
    }

    /// The words of the language.
    pub(crate) fn words(&self) -> BTreeSet<Vec<u8>> {
        let all = self.literals().into_iter().filter(|(test, _)| !test).flat_map(|(_, literals)| literals);
        all.filter(|w| (2..=32).contains(&w.len()) && w.iter().all(|b| b.is_ascii_graphic() && *b != b'"')).collect()
    }

    /// The texts in each of the sources, and whether it is one of tests.
    fn literals(&self) -> Vec<(bool, Vec<Vec<u8>>)> {
        let files = self.sources.iter().flat_map(|dir| below(&root().join(dir)));
        files.map(|file| (file.to_string_lossy().contains("/tests"), literals(&read(&file)))).collect()
    }
}

/// Inputs that were found by a fuzzer once, with their names.
pub(crate) fn found(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = below(&root().join("tests/fuzz/found").join(target));
    files.iter().map(|f| (f.display().to_string(), read(f))).collect()
}

/// The texts in a Rust source that stand between quotes. What is taken for one by mistake does no harm.
fn literals(source: &[u8]) -> Vec<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), source.iter().copied().peekable());
    let mut before = 0;
    while let Some(byte) = rest.next() {
        if byte != b'"' || before == b'\'' {
            before = byte;
            continue;
        }
        let mut text = Vec::new();
        while let Some(byte) = rest.next().filter(|b| *b != b'"') {
            if byte != b'\\' {
                text.push(byte);
                continue;
            }
            match rest.next() {
                Some(b'n') => text.push(b'\n'),
                Some(b't') => text.push(b'\t'),
                Some(b'r') => text.push(b'\r'),
                Some(b'0') => text.push(0),
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    text.extend(u8::from_str_radix(&digits, 16));
                }
                Some(b'\n') => while rest.next_if(u8::is_ascii_whitespace).is_some() {},
                other => text.extend(other),
            }
        }
        out.push(text);
        before = b'"';
    }
    out
}
