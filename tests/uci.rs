//! What reading UCI costs: memory and time. And the memory for keepalived.conf.

// Test code all of it.
#![allow(clippy::unwrap_used)]

#[path = "support/alone.rs"]
mod alone;
#[path = "support/held.rs"]
mod held;

use std::time::Instant;

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::keepalived;
use picovrrp::config::model::Config;
use picovrrp::config::uci::{Mode, Parser};
use picovrrp::config::uci_import::{Networks, Options, import};

use alone::Alone;
use held::held;

/// A file as LuCI writes it, with as many addresses as a router can have.
fn file(addresses: usize) -> String {
    let mut text = String::from("config globals 'globals'\n\toption enabled '1'\n\n");
    for i in 0..addresses {
        text += &format!("config ipaddress\n\toption name 'address_{i}'\n\toption address '10.0.{}.1/24'\n", i);
        text += &format!("\toption device 'br-lan.{}'\n\toption scope 'global'\n\n", i % 30);
    }
    for i in 0..addresses.div_ceil(16) {
        text += &format!("config vrrp_instance\n\toption name 'instance_{i}'\n\toption interface 'br-lan.{i}'\n");
        text += &format!("\toption virtual_router_id '{}'\n\toption priority '150'\n\toption nopreempt '1'\n", i + 1);
        for j in i * 16..(i * 16 + 16).min(addresses) {
            text += &format!("\tlist virtual_ipaddress 'address_{j}'\n");
        }
        text += "\n";
    }
    text
}

fn read(text: &[u8], config: &mut Config, found: &mut Diagnostics) {
    let networks = Networks::new();
    let options = Options { mode: Mode::Strict, strict: false, networks: &networks };
    import(&mut &text[..], &options, config, found, None).unwrap();
}

/// A file of 64 KiB is read in less than its own size, configuration and messages included, and leaves
/// nothing behind but those.
#[test]
fn memory() {
    let mut text = file(250);
    while text.len() < 64 << 10 {
        text += "# What somebody wrote to remember what this is for, and when it was changed.\n";
    }
    assert!(text.len() < 65 << 10, "{}", text.len());
    let (accepted, peak, left) = held(|| {
        let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
        read(text.as_bytes(), &mut config, &mut found);
        found.errors() == 0 && config.addresses.len() == 250
    });
    println!("{} bytes: {peak} held at the peak", text.len());
    assert!(accepted && left == 0);
    assert!(peak < 64 << 10, "{peak}");
}

/// The same of keepalived.conf.
#[test]
fn memory_of_keepalived_conf() {
    let mut text = String::new();
    for i in 1..=30 {
        text += &format!("vrrp_script check{i} {{\n  script \"/bin/true {i}\"\n  interval 2\n  weight 5\n}}\n");
        text += &format!("vrrp_instance instance{i} {{\n  interface eth{}\n  virtual_router_id {i}\n", i % 4);
        text += &format!("  track_script {{\n    check{i}\n  }}\n  virtual_ipaddress {{\n");
        (1..=8).for_each(|j| text += &format!("    10.{i}.{j}.1/24 dev eth0\n"));
        text += "  }\n}\n";
    }
    while text.len() < 64 << 10 {
        text += "# What somebody wrote to remember what this is for, and when it was changed.\n";
    }
    let text: &'static str = text.leak();
    let (accepted, peak, left) = held(|| {
        let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
        let options = keepalived::Options { strict: false, config_id: "edge" };
        keepalived::parse(text.as_bytes(), "f", &mut Alone, &options, &mut config, &mut found, None).unwrap();
        found.errors() == 0 && config.addresses.len() == 240
    });
    println!("{} bytes: {peak} held at the peak", text.len());
    assert!(accepted && left == 0);
    assert!(peak < 64 << 10, "{peak}");
}

/// Whatever is in the file, the importer's own memory is bounded.
#[test]
fn bound() {
    let long = format!("config vrrp_instance\n{}", format!("\tlist track_script '{}'\n", "x".repeat(500)).repeat(130));
    let junk: Vec<u8> = (0..65_536u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for text in [long.as_bytes(), &junk, "o\n".repeat(32768).as_bytes(), "c x\n".repeat(16384).as_bytes()] {
        let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
        let ((), peak, left) = held(|| read(text, &mut config, &mut found));
        // Some names of what was refused may be in the configuration.
        assert!(peak <= 49 << 10 && left <= 1 << 10, "{peak} {left}");
    }
}

/// Megabytes a second that the grammar and the whole import go through: generous bounds, as the machine
/// may be busy.
#[test]
fn speed() {
    let text = file(250);
    let rate = |f: &mut dyn FnMut()| {
        let (start, mut rounds) = (Instant::now(), 0);
        while rounds < 20 || start.elapsed().as_millis() < 200 {
            f();
            rounds += 1;
        }
        (rounds * text.len()) as f64 / start.elapsed().as_secs_f64() / 1e6
    };
    let grammar = rate(&mut || {
        let mut input = text.as_bytes();
        let mut parser = Parser::new(&mut input, Mode::Strict);
        while parser.next_item().unwrap().is_some() {}
    });
    let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
    let whole = rate(&mut || {
        *found = Diagnostics::new();
        read(text.as_bytes(), &mut config, &mut found);
    });
    println!("UCI: {grammar:.0} MB/s of grammar, {whole:.1} MB/s imported, {} bytes", text.len());
    assert!(grammar > 20.0, "{grammar:.1} MB/s");
}
