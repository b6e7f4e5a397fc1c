//! A generator of keepalived.conf: whatever it makes is read without a panic, and what is accepted
//! reads equal when it is printed.

use std::fmt::Write;

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::keepalived::{self, Disk, Files, Options};
use picovrrp::config::model::Config;
use proptest::prelude::*;

use super::{again, printed};

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u64) as usize]
    }
}

/// A configuration in the making.
struct Maker {
    dice: Dice,
    text: String,
    checks: Vec<(&'static str, String)>,
    instances: Vec<String>,
}

impl Maker {
    fn line(&mut self, line: &str) {
        let indent = self.dice.pick(&["", "  ", "\t"]);
        let end = self.dice.pick(&["\n", "\n", "\n", "  \n", " # why\n", " ! why\n", "\r\n", "\n\n"]);
        self.text += indent;
        self.text += line;
        self.text += end;
    }

    fn open(&mut self, head: &str) {
        match self.dice.roll(4) {
            0 => {
                self.line(head);
                self.line("{");
            }
            1 => self.line(&format!("{head}{{")),
            _ => self.line(&format!("{head} {{")),
        }
    }

    /// A block of entries, on one line where there is one entry.
    fn list(&mut self, head: &str, entries: &[String]) {
        if let [one] = entries
            && self.dice.one_in(2)
        {
            return self.line(&format!("{head} {{ {one} }}"));
        }
        self.open(head);
        for entry in entries {
            self.line(entry);
        }
        self.line("}");
    }

    fn quoted(&mut self, word: &str) -> String {
        match self.dice.roll(3) {
            0 => format!("\"{word}\""),
            1 => format!("'{word}'"),
            _ => word.to_string(),
        }
    }

    fn globals(&mut self) {
        self.open("global_defs");
        for keyword in [
            "router_id r-1",
            "vrrp_version 3",
            "vrrp_version 2",
            "vrrp_garp_master_repeat 2",
            "vrrp_garp_master_delay 0",
            "vrrp_garp_master_refresh 60",
            "vrrp_startup_delay 2.5",
            "enable_script_security",
            "script_user root",
            "log_unknown_vrids",
            "v3_checksum_as_v2",
            "vrrp_min_garp",
            "vrrp_mcast_group4 224.0.0.20",
            "vrrp_strict",
            "notification_email_from a@example.com",
            "enable_dbus",
            "vrrp_notify_fifo /run/fifo",
            "startup_script /bin/true",
            "startup_script_timeout 20",
            "dynamic_interfaces",
            "vrrp_priority -5",
            "vrrp_down_timer_adverts 5",
        ] {
            if self.dice.one_in(8) {
                self.line(keyword);
            }
        }
        self.line("}");
    }

    fn delays(&mut self) {
        let mut entries = Vec::new();
        for i in 0..self.dice.roll(4) {
            let delay = self.dice.pick(&["1", "0", "2 30", "0.5 0", "255 255", "256"]);
            entries.push(format!("eth{i} {delay}"));
        }
        self.list("interface_up_down_delays", &entries);
    }

    fn checks(&mut self) {
        for i in 0..self.dice.roll(5) {
            let name = format!("check-{i}");
            let kind = self.dice.pick(&["vrrp_script", "track_file", "vrrp_track_process"]);
            self.open(&format!("{kind} {name}"));
            match kind {
                "vrrp_script" => {
                    let command = self.dice.pick(&["/bin/true", "/usr/bin/test -e /x", "/bin/sh -c true"]);
                    self.line(&format!("script \"{command}\""));
                    for keyword in
                        ["interval 2", "interval 0.5", "timeout 3", "fall 3", "rise 2", "init_fail", "user daemon"]
                    {
                        if self.dice.one_in(3) {
                            self.line(keyword);
                        }
                    }
                }
                "track_file" => {
                    let path = self.quoted("/etc/trigger");
                    self.line(&format!("file {path}"));
                }
                _ => {
                    let process = self.dice.pick(&["nginx", "\"/usr/sbin/x y\"", "dnsmasq -k --conf"]);
                    self.line(&format!("process {process}"));
                    for keyword in ["quorum 2", "quorum_max 4", "delay 1.5", "full_command", "fork_delay 2"] {
                        if self.dice.one_in(3) {
                            self.line(keyword);
                        }
                    }
                }
            }
            if self.dice.one_in(2) {
                let weight = self.weight();
                self.line(&weight);
            }
            self.line("}");
            let track = match kind {
                "vrrp_script" => "track_script",
                "track_file" => "track_file",
                _ => "track_process",
            };
            self.checks.push((track, name));
        }
    }

    fn weight(&mut self) -> String {
        let n = self.dice.roll(507) as i64 - 253;
        let reverse = self.dice.pick(&["", "", " reverse", " noreverse"]);
        format!("weight {n}{reverse}")
    }

    fn tracks(&mut self) {
        for (track, name) in self.checks.clone() {
            if self.dice.one_in(2) {
                let weight = if self.dice.one_in(2) { self.weight() } else { String::new() };
                self.list(track, &[format!("{name} {weight}")]);
            }
        }
        if self.dice.one_in(4) {
            let weight = if self.dice.one_in(2) { self.weight() } else { String::new() };
            self.list("track_interface", &[format!("eth7 {weight}"), "eth8".into()]);
        }
    }

    fn hooks(&mut self) {
        for keyword in ["notify", "notify_master", "notify_backup", "notify_fault", "notify_stop"] {
            if self.dice.one_in(5) {
                let command =
                    self.dice.pick(&["/bin/true", "\"/bin/true a b\"", "'/bin/true \"c\"'", "/bin/true root"]);
                self.line(&format!("{keyword} {command}"));
            }
        }
    }

    fn instance(&mut self, i: u64) {
        let name = format!("VI_{i}");
        let head = self.quoted(&name);
        self.open(&format!("vrrp_instance {head}"));
        self.line(&format!("interface eth{}", i % 3));
        self.line(&format!("virtual_router_id {}", i + 1));
        let v6 = self.dice.one_in(4);
        if self.dice.one_in(2) {
            let priority = self.dice.pick(&["1", "50", "100", "150", "254", "255"]);
            self.line(&format!("priority {priority}"));
        }
        for keyword in [
            "state MASTER",
            "state BACKUP",
            "nopreempt",
            "preempt_delay 5",
            "advert_int 2",
            "advert_int 0.3",
            "version 2",
            "version 3",
            "garp_master_repeat 3",
            "garp_master_delay 1",
            "accept",
            "use_vmac",
            "vmac_xmit_base",
            "no_accept",
            "dont_track_primary",
            "track_src_ip",
            "garp_lower_prio_repeat 1",
            "unicast_ttl 64",
            "promote_secondaries",
            "mcast_src_ip 192.0.2.9",
            "debug 3",
        ] {
            if self.dice.one_in(8) && !(v6 && keyword.starts_with("mcast")) {
                self.line(keyword);
            }
        }
        if self.dice.one_in(4) {
            let pass = self.dice.pick(&["s3cret", "\"two words\"", "far-too-long-a-password", "x"]);
            self.open("authentication");
            self.line("auth_type PASS");
            self.line(&format!("auth_pass {pass}"));
            self.line("}");
        }
        if !v6 && self.dice.one_in(4) {
            self.line("unicast_src_ip 192.0.2.10");
            self.list("unicast_peer", &["192.0.2.11/24".into(), "192.0.2.12 min_ttl 3 max_ttl 250".into()]);
        }
        let count = 1 + self.dice.roll(3) + if self.dice.one_in(20) { 22 } else { 0 };
        let mut entries = Vec::new();
        for n in 0..count {
            let option = self.dice.pick(&["", "", " dev eth5", " scope link", " label eth5:1", " brd +", " no_track"]);
            entries.push(match v6 {
                true if n == 0 => format!("fe80::{i:x}:1/64"),
                true => format!("2001:db8:{i:x}::{n:x}/64{}", option.replace(" label eth5:1", "")),
                false => format!("10.{i}.0.{}/24{option}", n + 1),
            });
        }
        self.list("virtual_ipaddress", &entries);
        if self.dice.one_in(4) {
            self.list("virtual_ipaddress_excluded", &[format!("10.{i}.9.1"), format!("2001:db8:{i:x}:9::1/64")]);
        }
        if self.dice.one_in(6) {
            self.list("virtual_routes", &["default via 192.0.2.1".into(), "blackhole 192.0.2.0/24".into()]);
        }
        self.tracks();
        self.hooks();
        self.line("}");
        self.instances.push(name);
    }

    fn group(&mut self) {
        if self.instances.len() < 2 || self.dice.one_in(2) {
            return;
        }
        self.open("vrrp_sync_group G");
        let members = self.instances[..2].to_vec();
        self.list("group", &members);
        if self.dice.one_in(2) {
            self.line("sync_group_tracking_weight");
        }
        self.tracks();
        self.hooks();
        self.line("}");
    }
}

/// The text for a seed.
fn generate(seed: u64) -> String {
    let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut m = Maker { dice, text: String::new(), checks: Vec::new(), instances: Vec::new() };
    m.dice.roll(2);
    let late = m.dice.one_in(4);
    if !late {
        m.globals();
    }
    if m.dice.one_in(4) {
        m.delays();
    }
    m.checks();
    for i in 0..1 + m.dice.roll(4) {
        m.instance(i);
    }
    m.group();
    if m.dice.one_in(4) {
        m.text += "virtual_server 10.0.0.1 80 {\n delay_loop 6\n real_server 10.0.0.2 80 {\n  weight 1\n }\n}\n";
    }
    if late {
        m.globals();
    }
    // Now and then a mistake.
    if m.dice.one_in(5) {
        let at = m.dice.roll(m.text.len() as u64) as usize;
        let junk = m.dice.pick(&["{", "}", "\"", "x", "\n", "\0", "\\", "é", "$A", "@x "]);
        let at = (at..).find(|i| m.text.is_char_boundary(*i)).unwrap_or(0);
        m.text.insert_str(at, junk);
    }
    m.text
}

/// No files but the one.
struct Nothing(Disk);

impl Files for Nothing {
    type File = Slice;

    fn open(&mut self, _: &str) -> Result<Slice, &'static str> {
        Err("there is no such file")
    }

    fn matches(&mut self, pattern: &str, most: usize) -> Vec<String> {
        self.0.matches(pattern, most)
    }
}

struct Slice(Vec<u8>, usize);

impl embedded_io::ErrorType for Slice {
    type Error = core::convert::Infallible;
}

impl embedded_io::Read for Slice {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let n = buf.len().min(self.0.len() - self.1);
        buf[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
        self.1 += n;
        Ok(n)
    }
}

/// Reads it; whether it was accepted, and then reads equal.
fn holds(text: &str) -> Result<bool, String> {
    let (mut config, mut diag) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
    let input = Slice(text.as_bytes().to_vec(), 0);
    let options = Options { strict: false, config_id: "here" };
    let done = keepalived::parse(input, "f", &mut Nothing(Disk), &options, &mut config, &mut diag, None);
    done.expect("a slice can be read");
    let Some(line) = printed(&config, &diag).line else { return Ok(false) };
    let second = again(&line);
    match second.line {
        Some(equal) if equal == line => Ok(true),
        other => {
            let mut why = String::new();
            let _ = write!(why, "{text}\ncame to\n{line}\nwhich reads as\n{other:?}\n{}", second.said);
            Err(why)
        }
    }
}

#[test]
fn five_thousand_configurations() {
    let mut accepted = 0;
    for seed in 0..5000 {
        match holds(&generate(seed)) {
            Ok(good) => accepted += u32::from(good),
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    assert!(accepted > 3000, "only {accepted} of 5000 were accepted: the generator tests errors alone");
}

proptest! {
    #[test]
    fn import_print_and_read_is_the_identity(seed in any::<u64>()) {
        prop_assert!(holds(&generate(seed)).is_ok_and(|_| true), "seed {}", seed);
    }

    /// What is cut off anywhere is no reason to panic.
    #[test]
    fn any_beginning_of_a_configuration(seed in any::<u64>(), part in 0.0f64..1.0) {
        let text = generate(seed);
        let end = (text.len() as f64 * part) as usize;
        let end = (end..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
        prop_assert!(holds(&text[..end]).is_ok());
    }
}
