//! Files that nobody wrote: generated ones, and junk.

use proptest::prelude::*;

use super::*;

/// A small generator: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    fn of<'s>(&mut self, words: &[&'s str]) -> &'s str {
        words[self.below(words.len())]
    }

    /// Mostly a word that fits, now and then one that does not.
    fn mostly<'s>(&mut self, good: &[&'s str]) -> &'s str {
        const BAD: &[&str] =
            &["", "0", "-1", "999", "x y", "a\"b", "#", "é", "peer", "..", "1.2.3.4/99", "yes", "a:b", "'\\''"];
        if self.below(60) == 0 { self.of(BAD) } else { self.of(good) }
    }
}

static NAMES: &[&str] = &["a", "b", "c", "d", "lan", "wan", "track", "on", "source", "ü", "x y"];
/// What each kind's names begin with: checks of all kinds share one list of names.
static PREFIXES: &[(&str, &str)] =
    &[("check", "k"), ("track_file", "f"), ("track_process", "p"), ("track_script", "t")];
static ADDRESSES: &[&str] = &["10.0.0.1/24", "192.0.2.7", "10.1.0.1/8", "2001:db8::9/64"];
/// A kind of check, and what it looks at.
static CHECKS: &[(&str, &str)] = &[
    ("ping", "10.0.0.9"),
    ("tcp", "10.0.0.9 80 from eth0"),
    ("script", "/bin/x y"),
    ("http", "http://10.0.0.9/ contains \"a b\""),
    ("dns", "10.0.0.9 example.net type AAAA"),
    ("interface", "eth0"),
    ("route", "default table 100"),
    ("process", "nginx max 3"),
];
static DEVICES: &[&str] = &["eth0", "eth1", "br-lan", "br-lan.100000", "lan", "wan", "averylongname15"];

/// The options of a section of type `kind`.
fn section(r: &mut Random, kind: &str, n: usize) -> String {
    let mut out = format!("config {kind}");
    if r.below(6) == 0 {
        out += &format!(" '{kind}{}'", r.below(3));
    }
    out += "\n";
    let choices: &[(&str, &[&str])] = match kind {
        "globals" => &[
            ("router_id", NAMES),
            ("hotplug", &["off", "keepalived", "keepalived ha"]),
            ("vrrp_startup_delay", &["0", "3", "2.5"]),
            ("vrrp_mcast_group4", &["224.0.0.18", "224.0.0.99"]),
        ],
        "interface_up_down_delays" => {
            &[("device", DEVICES), ("down_delay", &["0", "2", "0.5", "256"]), ("up_delay", &["1", "255"])]
        }
        "ipaddress" => &[
            ("device", DEVICES),
            ("scope", &["global", "link", "nowhere", "253"]),
            ("label_suffix", &["1", "vip", "a b", "longlonglong"]),
        ],
        "vrrp_script" => &[
            ("script", &["/bin/true", "/bin/ok -q \"x\"", "/bin/sh -c 'x'"]),
            ("interval", &["1", "2.5", "100ms"]),
            ("timeout", &["1", "0.2"]),
            ("fall", &["1", "3"]),
            ("fail", &["2"]),
            ("rise", &["2", "9"]),
            ("weight", &["-20", "0", "20"]),
            ("direction", &["reverse", "noreverse"]),
            ("user", &["root", "nobody:nogroup"]),
        ],
        "track_script" => &[("value", NAMES), ("weight", &["-5", "5"]), ("direction", &["reverse"])],
        "track_interface" => &[("value", DEVICES), ("weight", &["-5", "5"])],
        "peer" => &[("address", &["10.9.0.1", "fe80::7"]), ("min_ttl", &["0", "250"]), ("max_ttl", &["254", "255"])],
        "check" => &[("interval", &["1", "5"]), ("initial", &["up", "down"]), ("weight", &["-20"])],
        "track_file" => &[("file", &["/a", "/b c"]), ("weight", &["0", "2"])],
        "track_process" => &[
            ("process", &["nginx", "sh -c x"]),
            ("quorum", &["1", "2"]),
            ("quorum_max", &["3"]),
            ("full_command", &["1", "0"]),
            ("connector", &["0"]),
        ],
        "vrrp_sync_group" => &[
            ("group", &["a", "b", "a b"]),
            ("group", &["a", "b"]),
            ("track_script", &["a", "b"]),
            ("notify", &["/bin/n"]),
            ("sync_group_tracking_weight", &["1", "0"]),
        ],
        _ => &[
            ("state", &["MASTER", "BACKUP"]),
            ("priority", &["1", "100", "254", "255"]),
            ("advert_int", &["1", "2", "0.5", "1.2"]),
            ("version", &["2", "3"]),
            ("nopreempt", &["1", "0"]),
            ("preempt_delay", &["0", "30"]),
            ("auth_type", &["PASS", "AH"]),
            ("auth_pass", &["secret", "longer than 8", "pä#s \"x"]),
            ("mcast_src_ip", &["10.0.0.3"]),
            ("unicast_src_ip", &["10.0.0.3"]),
            ("unicast_peer", &["10.0.0.4", "a"]),
            ("native_ipv6", &["0"]),
            ("garp_master_delay", &["0", "5", "7"]),
            ("garp_master_refresh", &["0", "60"]),
            ("garp_master_repeat", &["1", "5"]),
            ("virtual_ipaddress_excluded", &["d", "nothing"]),
            ("virtual_routes", NAMES),
            ("track_script", &["a", "ta", "b"]),
            ("track_interface", &["a", "b"]),
            ("track_check", &["ka:-20", "kb", "ka:5:reverse"]),
            ("track_file", &["fa", "fb:2"]),
            ("track_process", &["pa:-2", "pb"]),
            ("notify", &["/bin/n x"]),
            ("notify_fault", &["/bin/f"]),
            ("checksum", &["plain", "pseudo"]),
            ("use_vmac", &["1", "0"]),
            ("vmac_xmit_base", &["1", "0"]),
            ("no_accept", &["1", "0"]),
            ("dont_track_primary", &["1", "0"]),
        ],
    };
    let prefix = PREFIXES.iter().find(|(k, _)| *k == kind).map_or("", |(_, prefix)| prefix);
    out += &format!("\toption name '{prefix}{}'\n", NAMES[n % NAMES.len()]);
    match kind {
        "ipaddress" => out += &format!("\toption address '{}'\n", r.mostly(&ADDRESSES[n..=n])),
        "check" => {
            let (kind, args) = CHECKS[r.below(CHECKS.len())];
            out += &format!("\toption kind '{kind}'\n\toption args '{args}'\n");
        }
        _ => {}
    }
    if kind == "vrrp_instance" {
        out += &format!("\toption interface '{}'\n\toption virtual_router_id '{}'\n", r.mostly(&DEVICES[..3]), 1 + n);
        out += &format!("\tlist virtual_ipaddress '{}'\n", NAMES[n % 4]);
    }
    // A section that lacks what it needs is no more than an error: most have it.
    let needed = match kind {
        "vrrp_script" | "track_file" | "track_process" => 1,
        "interface_up_down_delays" => 2,
        _ => 0,
    };
    for (i, (option, values)) in choices.iter().enumerate() {
        if i < needed || r.below(6) == 0 {
            let command = if r.below(3) == 0 { "list" } else { "option" };
            let value = r.mostly(values);
            out += &format!("\t{command} {option} '{}'\n", value.replace('\'', "'\\''"));
        }
    }
    if r.below(150) == 0 {
        out += r.of(&["foo\n", "\toption\n", "\toption a b c\n", "\toption x \"y\n", "\tlist z;\n", "# end"]);
    }
    out
}

fn file(seed: u64) -> String {
    let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut out = String::new();
    if r.below(3) > 0 {
        out += &section(&mut r, "globals", 0);
    }
    for kind in [
        "ipaddress",
        "vrrp_script",
        "track_script",
        "track_interface",
        "peer",
        "check",
        "track_file",
        "track_process",
        "interface_up_down_delays",
        "vrrp_instance",
        "vrrp_sync_group",
    ] {
        let most = if kind == "ipaddress" { 4 } else { r.below(3) + usize::from(kind == "vrrp_instance") };
        for n in 0..most {
            out += &section(&mut r, kind, n);
        }
    }
    out
}

/// What was accepted is the same when it is printed and read as the line language.
fn comes_back(got: &Got) {
    let (mut config, mut diag) = (Config::default(), Diagnostics::new());
    line::parse(&mut got.printed.as_bytes(), &mut config, &mut diag).unwrap();
    let mut said = Vec::new();
    diag.print("printed", &mut said).unwrap();
    assert_eq!(diag.errors(), 0, "{}\n{}", String::from_utf8_lossy(&said), got.printed);
    let mut again = Vec::new();
    line::print(&config, &mut again).unwrap();
    assert_eq!(String::from_utf8_lossy(&again), got.printed);
}

/// Five thousand files: none is too much, and a good part of them is accepted.
#[test]
fn generated() {
    let mut accepted = 0;
    for seed in 0..5000 {
        let text = file(seed);
        for mode in [Mode::Strict, Mode::Lenient] {
            let got = import_as(text.as_bytes(), mode, NETWORK);
            if got.errors == 0 {
                accepted += 1;
                comes_back(&got);
            }
        }
    }
    assert!(accepted > 1000, "{accepted}");
    println!("{accepted} of 10000 imports were accepted");
}

/// Files with bytes changed, cut out and put in.
#[test]
fn mutated() {
    for seed in 0..2000 {
        let mut r = Random(seed + 77);
        let mut text = file(seed % 50).into_bytes();
        for _ in 0..1 + r.below(8) {
            let at = r.below(text.len());
            match r.below(4) {
                0 => text[at] = r.below(256) as u8,
                1 => text.truncate(at.max(1)),
                2 => text.insert(at, b"'\"\\#;\n\0\r\t "[r.below(10)]),
                _ => drop(text.drain(at..(at + r.below(40)).min(text.len() - 1).max(at))),
            }
        }
        let got = import_as(&text, Mode::Lenient, NETWORK);
        if got.errors == 0 {
            comes_back(&got);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn junk(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        import_as(&bytes, Mode::Lenient, "");
        Networks::new().read("network", &mut &bytes[..]).unwrap();
    }

    /// Values of all kinds in a place where any text may stand.
    #[test]
    fn texts(name in "\\PC{0,70}", command in "\\PC{0,600}", secret in "\\PC{0,12}") {
        let quoted = |s: &str| s.replace('\'', "'\\''");
        let (got, _) = (import_text(&format!(
            "config ipaddress\n option name a\n option address 10.0.0.1\nconfig vrrp_instance\n option name '{}'\n\
             option interface e\n option virtual_router_id 1\n list virtual_ipaddress a\n option notify '{}'\n\
             option auth_type PASS\n option auth_pass '{}'\n",
            quoted(&name), quoted(&command), quoted(&secret)
        )), ());
        if got.errors == 0 {
            comes_back(&got);
        }
    }
}
