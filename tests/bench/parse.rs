//! How quickly configurations are read: `sh tests/bench/run parse`. Each language reads a file of 64 KiB as
//! a big router has it (30 instances, and comments for the other two thirds), and it is to accept it. Counted is the processor's time of this thread, so that
//! what else the machine does matters little.

#[path = "../support/alone.rs"]
mod alone;

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::keepalived;
use picovrrp::config::line;
use picovrrp::config::model::Config;
use picovrrp::config::uci::{Mode, Parser};
use picovrrp::config::uci_import::{self, Networks};

use alone::Alone;

/// What a file is to have.
const SIZE: usize = 64 << 10;
/// Megabytes a second that each is to reach.
const REQUIRED: f64 = 20.0;
/// How long a round is, at least.
const ROUND: Duration = Duration::from_millis(100);
/// Instances of each file, and addresses of each instance.
const INSTANCES: usize = 30;
const ADDRESSES: usize = 8;

/// The comments that fill a file up to its size, a few before each section.
struct Comments(usize);

impl Comments {
    fn put(&self, text: &mut String) {
        for _ in 0..self.0 {
            text.push_str("# What somebody wrote to remember what this is for, and when it was changed.\n");
        }
    }
}

/// What `make` writes with as many comments as fit.
fn filled(make: fn(&Comments) -> String) -> String {
    let fits = |n: usize| Some(make(&Comments(n))).filter(|text| text.len() <= SIZE);
    let mut text = (0..).map_while(fits).last().expect("without comments it fits");
    while text.len() < SIZE {
        text.push('\n');
    }
    text
}

fn in_line_language(comments: &Comments) -> String {
    let mut text = String::from("router-id edge\ndefaults version 3 advert 500ms\n");
    for i in 0..INSTANCES {
        comments.put(&mut text);
        let _ = writeln!(text, "check uplink{i} ping 203.0.113.{i} every 2s timeout 1s fall 3 rise 2");
        comments.put(&mut text);
        let _ = writeln!(text, "instance customer-{i} on br-lan.{i} vrid {} priority 150", i + 1);
        for j in 1..=ADDRESSES {
            let _ = writeln!(text, "  address 10.{i}.{j}.1/24 dev br-lan.{i} scope global label br-lan.{i}:v{j}");
        }
        let _ = writeln!(text, "  preempt after 30s\n  garp repeat 3 refresh 60s\n  track uplink{i} weight -60");
        let _ = writeln!(text, "  track-interface eth0 weight -10\n  notify \"/etc/picovrrp/notify customer-{i}\"");
    }
    text
}

fn in_uci(comments: &Comments) -> String {
    let mut text = String::from("config globals 'globals'\n\toption enabled '1'\n\toption router_id 'edge'\n\n");
    for i in 0..INSTANCES {
        comments.put(&mut text);
        for j in 1..=ADDRESSES {
            let _ = writeln!(text, "config ipaddress\n\toption name 'address_{i}_{j}'");
            let _ = writeln!(text, "\toption address '10.{i}.{j}.1/24'\n\toption device 'br-lan.{i}'");
            let _ = writeln!(text, "\toption scope 'global'\n");
        }
        let _ = writeln!(text, "config vrrp_script\n\toption name 'uplink_{i}'");
        let _ = writeln!(text, "\toption script '/usr/bin/uplink {i}'\n\toption interval '5'\n\toption fall '3'\n");
        comments.put(&mut text);
        let _ = writeln!(text, "config vrrp_instance\n\toption name 'customer_{i}'\n\toption state 'BACKUP'");
        let _ = writeln!(text, "\toption interface 'br-lan.{i}'\n\toption virtual_router_id '{}'", i + 1);
        let _ = writeln!(text, "\toption priority '150'\n\toption advert_int '1'\n\toption nopreempt '1'");
        for j in 1..=ADDRESSES {
            let _ = writeln!(text, "\tlist virtual_ipaddress 'address_{i}_{j}'");
        }
        let _ = writeln!(text, "\tlist track_script 'uplink_{i}'\n");
    }
    text
}

fn in_keepalived(comments: &Comments) -> String {
    let mut text = String::from("global_defs {\n    router_id edge\n    vrrp_version 3\n    script_user root\n}\n\n");
    for i in 0..INSTANCES {
        comments.put(&mut text);
        let _ = writeln!(text, "vrrp_script uplink_{i} {{\n    script \"/usr/bin/uplink {i}\"\n    interval 5");
        let _ = writeln!(text, "    fall 3\n    rise 2\n    weight -60\n}}\n");
        comments.put(&mut text);
        let _ = writeln!(text, "vrrp_instance customer_{i} {{\n    state BACKUP\n    interface br-lan.{i}");
        let _ = writeln!(text, "    virtual_router_id {}\n    priority 150\n    advert_int 1\n    nopreempt", i + 1);
        let _ = writeln!(text, "    virtual_ipaddress {{");
        for j in 1..=ADDRESSES {
            let _ = writeln!(text, "        10.{i}.{j}.1/24 dev br-lan.{i} label br-lan.{i}:v{j}");
        }
        let _ = writeln!(text, "    }}\n    track_script {{\n        uplink_{i}\n    }}");
        let _ = writeln!(text, "    notify \"/etc/keepalived/notify customer_{i}\"\n}}\n");
    }
    text
}

/// One way to read a file.
struct Case {
    name: &'static str,
    text: &'static str,
    read: fn(&'static str, &mut Config, &mut Diagnostics),
}

fn cases() -> [Case; 4] {
    let uci = filled(in_uci).leak();
    [
        Case {
            name: "line",
            text: filled(in_line_language).leak(),
            read: |text, config, found| {
                let Ok(()) = line::parse(&mut text.as_bytes(), config, found);
            },
        },
        Case {
            name: "uci grammar",
            text: uci,
            read: |text, _, _| {
                let mut input = text.as_bytes();
                let mut parser = Parser::new(&mut input, Mode::Strict);
                while let Ok(Some(item)) = parser.next_item() {
                    std::hint::black_box(item);
                }
            },
        },
        Case {
            name: "uci",
            text: uci,
            read: |text, config, found| {
                let networks = Networks::new();
                let options = uci_import::Options { mode: Mode::Strict, strict: false, networks: &networks };
                let Ok(_) = uci_import::import(&mut text.as_bytes(), &options, config, found, None);
            },
        },
        Case {
            name: "keepalived",
            text: filled(in_keepalived).leak(),
            read: |text, config, found| {
                let options = keepalived::Options { strict: false, config_id: "edge" };
                let Ok(()) = keepalived::parse(text.as_bytes(), "f", &mut Alone, &options, config, found, None);
            },
        },
    ]
}

/// Processor time of this thread, as the scheduler counts it.
fn taken() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number"))
}

/// Megabytes a second, over one round.
fn measure(case: &Case, config: &mut Config, found: &mut Diagnostics) -> f64 {
    let (start, mut times) = (taken(), 0);
    while taken() - start < ROUND {
        *found = Diagnostics::new();
        (case.read)(case.text, config, found);
        times += 1;
    }
    (times * case.text.len()) as f64 / (taken() - start).as_secs_f64() / 1e6
}

fn main() -> ExitCode {
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(9usize).max(1);
    println!("Files of {SIZE} bytes, {rounds} rounds of {} ms each; MB/s of processor time.\n", ROUND.as_millis());
    println!("{:<12} {:>8} {:>8} {:>8}", "language", "median", "least", "most");
    let (mut json, mut enough) = (Vec::new(), true);
    for case in cases() {
        let (mut config, mut found) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
        let mut rates: Vec<f64> = (0..rounds).map(|_| measure(&case, &mut config, &mut found)).collect();
        if found.errors() > 0 || (case.name != "uci grammar" && config.instances.len() != INSTANCES) {
            let mut said = Vec::new();
            let _ = found.print(case.name, &mut said);
            eprintln!("The file is not accepted:\n{}", String::from_utf8_lossy(&said));
            return ExitCode::FAILURE;
        }
        rates.sort_by(f64::total_cmp);
        let (least, median, most) = (rates[0], rates[rounds / 2], rates[rounds - 1]);
        enough &= median >= REQUIRED;
        println!("{:<12} {median:>8.1} {least:>8.1} {most:>8.1}", case.name);
        json.push(serde_json::json!({ "language": case.name, "mb_s": median, "least": least, "most": most }));
    }
    println!("\n{}", serde_json::json!({ "bytes": SIZE, "rounds": rounds, "results": json }));
    if !enough {
        eprintln!("One is read at less than {REQUIRED} MB/s.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
