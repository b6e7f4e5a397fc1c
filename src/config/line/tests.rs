use std::string::String;
use std::vec::Vec;

use super::*;
use crate::config::diagnostics::Diagnostics;

mod errors;
mod junk;
mod roundtrip;

/// Reads `text`; the configuration and what `check` would print.
fn read(text: impl AsRef<[u8]>) -> (Config, String) {
    let (mut config, mut diag) = (Config::default(), Diagnostics::new());
    parse(&mut text.as_ref(), &mut config, &mut diag).unwrap();
    let mut out = Vec::new();
    diag.print("f", &mut out).unwrap();
    (config, String::from_utf8(out).unwrap())
}

/// Reads what must be without errors or warnings.
fn good(text: &str) -> Config {
    let (config, said) = read(text);
    assert_eq!(said, "", "in:\n{text}");
    config
}

fn printed(config: &Config) -> String {
    let mut out = Vec::new();
    print(config, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}
