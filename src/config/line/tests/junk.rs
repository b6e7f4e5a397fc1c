//! Input that is no configuration: errors, but never a panic, and never more memory.

use std::format;
use std::vec;

use proptest::prelude::*;

use super::*;
use crate::config::model::{
    MAX_ADDRESSES, MAX_CHECKS, MAX_GROUPS, MAX_INSTANCES, MAX_PEERS, MAX_ROUTES, MAX_STRINGS, MAX_TRACKS,
};

/// `n` times the same byte, a million if asked, without holding them.
struct Repeat(u8, usize);

impl embedded_io::ErrorType for Repeat {
    type Error = core::convert::Infallible;
}

impl Read for Repeat {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let n = buf.len().min(self.1);
        buf[..n].fill(self.0);
        self.1 -= n;
        Ok(n)
    }
}

fn said(input: &mut Repeat) -> String {
    let (mut config, mut diag) = (Config::default(), Diagnostics::new());
    parse(input, &mut config, &mut diag).unwrap();
    let mut out = Vec::new();
    diag.print("f", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_mebibyte_without_a_newline() {
    assert_eq!(said(&mut Repeat(b'x', 1 << 20)), "f:1:513: line too long: expected at most 512 bytes\n");
    assert_eq!(said(&mut Repeat(0, 1 << 20)), "f:1:513: line too long: expected at most 512 bytes\n");
    assert_eq!(
        said(&mut Repeat(b'\n', 1 << 20)),
        "f:1048577:1: no instance: expected at least one 'instance NAME on INTERFACE vrid N'\n"
    );
}

#[test]
fn an_endless_file() {
    assert_eq!(
        said(&mut Repeat(b'x', usize::MAX)),
        "f:1:1: the file is longer than 16 MiB: this is no configuration\n"
    );
}

#[test]
fn a_line_of_words_as_short_as_can_be() {
    let (_, said) = read("x ".repeat(256));
    assert_eq!(said, "f:1:1: unknown statement 'x'\n");
}

/// What reads and holds a configuration is as large as the limits make it, whatever the input.
#[test]
fn bounded_memory() {
    let lines = size_of::<Lines<'_>>();
    let places = 2 * MAX_INSTANCES + MAX_ADDRESSES + MAX_ROUTES + MAX_PEERS + MAX_CHECKS + MAX_GROUPS;
    assert!(lines < 5 * 512 + places * 8 + MAX_TRACKS * 12, "{lines}");
    assert!(size_of::<Diagnostics>() < 12 * 1024, "{}", size_of::<Diagnostics>());
    let config = size_of::<Config>();
    assert!(
        config
            < 256
                + MAX_STRINGS
                + MAX_INSTANCES * 256
                + MAX_ADDRESSES * 48
                + MAX_ROUTES * 96
                + MAX_PEERS * 24
                + MAX_TRACKS * 8
                + MAX_CHECKS * 96
                + MAX_GROUPS * 48,
        "{config}"
    );
}

/// The error of reading is the caller's; what came before it is not taken for the whole.
#[test]
fn a_reader_that_fails() {
    struct Broken;
    impl embedded_io::ErrorType for Broken {
        type Error = embedded_io::ErrorKind;
    }
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, Self::Error> {
            Err(embedded_io::ErrorKind::Other)
        }
    }
    let result = parse(&mut Broken, &mut Config::default(), &mut Diagnostics::new());
    assert_eq!(result, Err(embedded_io::ErrorKind::Other));
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        read(bytes);
    }

    /// Words of the language in any order, and pieces of them.
    #[test]
    fn random_words(words in proptest::collection::vec(prop_oneof![
        proptest::sample::select(vec![
            "\n", "\n", "\r\n", "instance", "a", "on", "vrid", "51", "family", "ipv4", "ipv6", "version", "2", "3", "priority",
            "255", "advert", "10ms", "preempt", "off", "after", "start", "master", "address", "10.0.0.1/8", "fe80::1",
            "dev", "scope", "link", "label", "excluded", "unicast", "peer", "10.0.0.2", "source", "group4", "224.0.0.9",
            "group6", "ff02::9", "auth", "pass", "\"", "\\", "#", "garp", "delay", "repeat", "refresh", "checksum", "pseudo",
            "defaults", "router-id", "log", "strict", "track", "check", "\0", "é", "group", "weights", "notify", "weight",
            "reverse", "script", "process", "file", "/x", "interface", "route", "default", "via", "ping", "tcp", "http",
            "http://10.0.0.1/", "dns", "every", "timeout", "fall", "rise", "initial", "up", "min", "max", "from", "type",
            "track-interface", "hotplug", "startup", "max-children", "notify-fifo",
        ]).prop_map(|s| format!("{s} ")),
        "[a-z]{1,6} ?",
    ], 0..200)) {
        let (config, said) = read(words.concat());
        if !said.lines().any(|l| !l.contains(": warning: ")) {
            printed(&config);
        }
    }
}
