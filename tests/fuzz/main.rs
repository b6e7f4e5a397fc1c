//! The fuzz targets of `fuzz/`, run over what they begin with and over what they have found: so they
//! are right on every machine, with a stable compiler too. `cargo test --test fuzz`.

mod seeds;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use seeds::{LANGUAGES, found};

/// Runs `target` and says which input it fails on.
fn run(target: fn(&[u8]), name: &str, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{name} fails on:\n{}", String::from_utf8_lossy(input));
    }
}

fn target(name: &str) -> fn(&[u8]) {
    match name {
        "line" => targets::line,
        "uci" => targets::uci,
        "keepalived" => targets::keepalived,
        "packet" => targets::packet,
        "frame" => targets::frame,
        _ => panic!("no target {name}"),
    }
}

/// All seeds hold what the targets assert. With `PICOVRRP_SEEDS=DIR` they are left there too, for a
/// fuzzer to begin with: `DIR/TARGET/…`, and `DIR/TARGET.dict` with the words of the language.
#[test]
fn seeds_hold() {
    let leave = std::env::var_os("PICOVRRP_SEEDS");
    for language in &LANGUAGES {
        let (seeds, words) = (language.seeds(), language.words());
        assert!(seeds.len() > 50 && words.len() > 50, "{}: {} {}", language.name, seeds.len(), words.len());
        for seed in &seeds {
            run(target(language.name), language.name, seed);
        }
        if let Some(dir) = &leave {
            let dir = Path::new(dir).join(language.name);
            fs::create_dir_all(&dir).expect("a directory");
            for (n, seed) in seeds.iter().enumerate() {
                fs::write(dir.join(n.to_string()), seed).expect("a file");
            }
            let quoted = |word: &Vec<u8>| {
                let hex: String = word.iter().map(|b| format!("\\x{b:02x}")).collect();
                format!("\"{hex}\"\n")
            };
            fs::write(dir.with_extension("dict"), words.iter().map(quoted).collect::<String>()).expect("a file");
        }
    }
}

/// What a fuzzer found once stays mended.
#[test]
fn found_inputs_hold() {
    for name in ["line", "uci", "keepalived", "packet", "frame"] {
        for (file, input) in found(name) {
            run(target(name), &file, &input);
        }
    }
}

/// Bytes that mean nothing are refused by all of them in good order.
#[test]
fn junk_holds() {
    let junk: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    for name in ["line", "uci", "keepalived", "packet", "frame"] {
        for input in [&[][..], &junk, &junk[7..300], &[0xff; 64], &[0; 600]] {
            run(target(name), name, input);
        }
    }
}
