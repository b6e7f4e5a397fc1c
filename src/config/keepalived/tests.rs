//! The reader: every error with its place, includes, definitions, conditions, and junk.

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::config::line;

/// Files that are nowhere but here; a directory is what stands before the last slash.
#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

/// What is left of a file's bytes.
struct Bytes(std::io::Cursor<Vec<u8>>);

impl ErrorType for Bytes {
    type Error = std::io::Error;
}

impl embedded_io::Read for Bytes {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, std::io::Error> {
        std::io::Read::read(&mut self.0, buf)
    }
}

impl Files for Memory {
    type File = Bytes;

    fn open(&mut self, path: &str) -> Result<Bytes, &'static str> {
        self.0.get(path).map(|b| Bytes(std::io::Cursor::new(b.clone()))).ok_or("there is no such file")
    }

    fn matches(&mut self, pattern: &str, most: usize) -> Vec<String> {
        let split =
            |path: &str| path.rsplit_once('/').map_or((String::new(), path.into()), |(d, n)| (d.into(), n.into()));
        let (dir, name): (String, String) = split(pattern);
        let fits = |path: &&String| {
            let (d, n): (String, String) = split(path);
            d == dir && glob::matches(&name, &n)
        };
        self.0.keys().filter(fits).take(most + 1).cloned().collect()
    }
}

/// What importing comes to: the line configuration, and what was said.
struct Import {
    config: String,
    said: String,
    errors: u32,
}

fn import_with(files: &[(&str, &str)], text: &[u8], strict: bool) -> Import {
    let mut memory = Memory(files.iter().map(|(name, text)| ((*name).into(), text.as_bytes().into())).collect());
    let (mut config, mut diag) = (Config::default(), Diagnostics::new());
    let options = Options { strict, config_id: "here" };
    let input = Bytes(std::io::Cursor::new(text.into()));
    parse(input, "etc/f", &mut memory, &options, &mut config, &mut diag, None).unwrap();
    let (mut printed, mut said) = (Vec::new(), Vec::new());
    line::print(&config, &mut printed).unwrap();
    diag.print("f", &mut said).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Import { config: text(printed), said: text(said), errors: diag.errors() }
}

fn import(text: impl AsRef<[u8]>) -> Import {
    import_with(&[], text.as_ref(), false)
}

/// An instance that lacks nothing, with these lines in it.
fn instance(lines: &str) -> String {
    format!(
        "vrrp_instance a {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n192.0.2.1/24\n}}\n{lines}\n}}\n"
    )
}

/// What it comes to in the line language besides what it has anyway.
fn lines(text: &str) -> String {
    let import = import(instance(text));
    assert_eq!(import.errors, 0, "{}", import.said);
    let ours = ["instance a on eth0 vrid 1 priority 100", "  version 2", "  address 192.0.2.1/24"];
    import.config.lines().filter(|l| !ours.contains(l)).map(|l| format!("{}\n", l.trim_start())).collect()
}

/// Keywords of an instance, and what they become.
#[test]
fn keywords() {
    for (text, expected) in [
        ("", ""),
        ("state BACKUP", ""),
        ("state MASTER\npriority 150", "instance a on eth0 vrid 1 priority 150\nstart master\n"),
        ("state MASTER", "instance a on eth0 vrid 1 priority 255\nstart master\n"),
        ("priority 255", "instance a on eth0 vrid 1 priority 255\nstart master\n"),
        ("advert_int 3", "advert 3s\n"),
        ("advert_int 2.5", "advert 3s\n"),
        ("advert_int 0.3", ""),
        ("nopreempt", "preempt off\n"),
        ("nopreempt\npreempt", ""),
        ("preempt_delay 4.5", "preempt after 450cs\n"),
        ("mcast_src_ip 192.0.2.7", "source 192.0.2.7\n"),
        ("unicast_src_ip 192.0.2.7", "source 192.0.2.7\n"),
        ("mcast_dst_ip 224.0.0.99", "group4 224.0.0.99\n"),
        (
            "unicast_src_ip 192.0.2.7\nunicast_peer {\n192.0.2.8/24\n192.0.2.9 min_ttl 5\n192.0.2.10 max_ttl 9\n}",
            "unicast 192.0.2.7\npeer 192.0.2.8 min-ttl 0\npeer 192.0.2.9 min-ttl 5\npeer 192.0.2.10 min-ttl 0 max-ttl 9\n",
        ),
        ("mcast_src_ip 192.0.2.7\nunicast_peer {\n192.0.2.8\n}", "unicast 192.0.2.7\npeer 192.0.2.8 min-ttl 0\n"),
        ("authentication {\nauth_type PASS\nauth_pass s3cret\n}", "auth pass s3cret\n"),
        ("authentication {\nauth_type PASS\nauth_pass \"two words\"\n}", "auth pass \"two word\"\n"),
        ("authentication {\nauth_pass s3cret\n}", ""),
        ("garp_master_delay 0\ngarp_master_repeat 0", "garp delay 0s repeat 1\n"),
        ("garp_master_refresh 60\ngarp_master_refresh_repeat 2", "garp refresh 1m refresh-repeat 2\n"),
        ("virtual_ipaddress_excluded { 192.0.2.2 dev eth1 }", "address 192.0.2.2/32 dev eth1 excluded\n"),
        ("virtual_ipaddress_excluded { 2001:db8::1 }", "address 2001:db8::1/128\n"),
        ("track_interface { eth1 }", "track-interface eth1\n"),
        (
            "track_interface {\neth1 weight -5\neth2 weight 6 reverse\n}",
            "track-interface eth1 weight -5\ntrack-interface eth2 weight 6 reverse\n",
        ),
        ("notify \"/bin/x  y\" ", "script-security off\nnotify \"/bin/x  y\"\n"),
        ("notify_stop '/bin/x \"y\"'", "script-security off\nnotify-stop \"/bin/x y\"\n"),
        ("dont_track_primary", "track-primary off\n"),
        ("accept\ncheck_unicast_src\nunicast_ttl 255", ""),
        ("version 3", "checksum pseudo\n"),
        ("version 3\nadvert_int 0.125", "advert 13cs\nchecksum pseudo\n"),
        ("version 3\nadvert_int 99", "advert 4095cs\nchecksum pseudo\n"),
    ] {
        let expected_lines: String = expected.into();
        let got = lines(text);
        let got = got.strip_prefix("\n").unwrap_or(&got).replace("off\n\n", "off\n");
        assert_eq!(got, expected_lines, "for: {text}");
    }
}

/// Delays of links: before or behind the instances, of several lines or one.
#[test]
fn delays() {
    for (entries, expected, said) in [
        ("{ eth0 1.5 }", "interface-delay eth0 down 150cs\n", ""),
        ("{\neth0 0 0.000001\n}", "interface-delay eth0 up 0.001ms\n", ""),
        ("{\neth0 0.25 2\n}", "interface-delay eth0 down 25cs up 2s\n", ""),
        ("{\neth0 0\n}", "", ""),
        (
            "{\neth0 2.5 3\n}",
            "interface-delay eth0 down 2s up 2s\n",
            "f:2:1: warning: the delays of eth0 are longer than two adverts of an instance on it: \
             they are shortened to 2s, as keepalived does\n",
        ),
        (
            "{\nwan 9\n}",
            "interface-delay wan down 9s\n",
            "f:2:1: warning: no instance is on wan and nothing tracks it: its delays have no effect\n",
        ),
    ] {
        for behind in [false, true] {
            let (one, other) = (format!("interface_up_down_delays {entries}\n"), instance("version 2"));
            let all = import(if behind { other.clone() + &one } else { one + &other });
            assert_eq!(all.errors, 0, "{}", all.said);
            let got: String =
                all.config.lines().filter(|l| l.starts_with("interface")).map(|l| format!("{l}\n")).collect();
            assert_eq!(got, expected, "for: {entries}");
            assert_eq!(all.said.split_once("warning").map(|w| w.1), said.split_once("warning").map(|w| w.1));
        }
    }
    for (entries, said) in [
        ("{ eth0 }", "1:28: 'interface_up_down_delays' needs seconds from 0 to 255"),
        ("{ eth0 256 }", "1:33: 'interface_up_down_delays' needs seconds from 0 to 255, not '256'"),
        ("{ eth0 1 x }", "1:35: 'interface_up_down_delays' needs seconds from 0 to 255, not 'x'"),
        ("{\neth0 1\neth0 2\n}", "3:1: warning: the delays of eth0 are at line 2 already: the last ones count"),
    ] {
        let all = import(format!("interface_up_down_delays {entries}\n{}", instance("")));
        assert!(all.said.starts_with(&format!("f:{said}")), "{entries}: {}", all.said);
    }
    let all = import(format!("interface_up_down_delays {{\neth0 1\neth0 0\n}}\n{}", instance("")));
    assert!(!all.config.contains("interface-delay"), "{}", all.config);
}

/// What stands behind the instances counts for them too.
#[test]
fn global_defs_behind_the_instances() {
    let globals = "global_defs {\nvrrp_version 3\nv3_checksum_as_v2\nvrrp_min_garp\nvrrp_mcast_group4 224.0.0.9\n}\n";
    let expected = "instance a on eth0 vrid 1 priority 100\n  group4 224.0.0.9\n  garp delay 0s repeat 1\n  address 192.0.2.1/24\n";
    for text in [instance("") + globals, String::from(globals) + &instance("")] {
        assert_eq!(import(text).config, expected);
    }
}

#[test]
fn more_instances_than_fit() {
    let many: String = (0..=crate::config::model::MAX_INSTANCES)
        .map(|i| {
            instance("")
                .replace(" a ", &format!(" a{i} "))
                .replace("id 1", &format!("id {}", i + 1))
                .replace("2.1", &format!("2.{}", i + 1))
        })
        .collect();
    let said = import(many).said;
    let line = crate::config::model::MAX_INSTANCES * 8 + 1;
    assert!(said.starts_with(&format!("f:{line}:1: more than 32 instances (MAX_INSTANCES)")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A line that begins in the midst of a character has a first column all the same.
#[test]
fn bytes_that_are_no_characters() {
    for (text, at) in [(&b"\xa2a\n"[..], "f:1:1"), (b"a\n \xe2\x82\n", "f:2:2"), (b"\xe2\x82", "f:1:1")] {
        let said = import(text).said;
        assert!(said.lines().any(|line| line == format!("{at}: not UTF-8: expected text in UTF-8")), "{said}");
    }
}

/// The heap is not asked: what a configuration takes is known before it is read.
#[test]
fn bounded_memory() {
    let reader = size_of::<Reader<'_>>();
    assert!(reader < 48 * 1024, "{reader}");
    let lines = size_of::<source::Lines<'_, Disk>>();
    assert!(lines < 32 * 1024, "{lines}");
}

/// What an advert does not hold is only on the interface.
#[test]
fn more_addresses_than_an_advert_holds() {
    let entries: String = (1..=93).map(|i| format!("fe80::{i:x}/64\n")).collect();
    let text =
        format!("vrrp_instance a {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n{entries}}}\n}}\n");
    let import = import(text);
    assert_eq!(import.config.matches("address").count(), 93);
    assert_eq!(import.config.matches(" excluded").count(), 3);
    assert!(import.config.contains("fe80::5a/64\n  address fe80::5b/64 excluded\n"), "{}", import.config);
    assert!(import.said.starts_with("f:95:1: warning: an advert carries 90 addresses"), "{}", import.said);
}

/// The weight of a check counts where it is tracked without one.
#[test]
fn weights() {
    let checks = "vrrp_script s {\nscript /bin/true\nweight -7 reverse\n}\ntrack_file f {\nfile /x\n}\ntrack_file g {\nfile /y\nweight 3\n}\n";
    for (tracks, expected) in [
        ("track_script { s }", "track s weight -7 reverse"),
        ("track_script { s weight 4 }", "track s weight 4"),
        ("track_script { s weight 0 }", "track s"),
        ("track_file { f }", "track f"),
        ("track_file { f weight 0 }", "track f weight 0"),
        ("track_file { g }", "track g weight 3"),
        ("track_file { g weight 2 reverse }", "track g weight 2 reverse"),
    ] {
        for text in [instance(tracks) + checks, String::from(checks) + &instance(tracks)] {
            let import = import(text);
            assert!(import.config.contains(&format!("\n  {expected}\n")), "{tracks}: {}{}", import.config, import.said);
        }
    }
}

/// The forms of a block, of quotes, comments, conditions and definitions: each the same instance.
#[test]
fn forms() {
    let plain = import(instance("priority 7")).config;
    for text in [
        "vrrp_instance a{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress{ 192.0.2.1/24 }\npriority 7\n}",
        "vrrp_instance a\n{\ninterface eth0\r\nvirtual_router_id 1\nvirtual_ipaddress\n\n{\n192.0.2.1/24 }\npriority 7}",
        "vrrp_instance \"a\" { interface 'eth0'\nvirtual_router_id 1#x\nvirtual_ipaddress { 192.0.2.1/24!y\n}\npriority 7\n}",
        "vrrp_instance \\141 { interface e\"th\"0\nvirtual_router_id \\x31\nvirtual_ipaddress { \\192.0.2.1/24\n}\npriority 7\n}"
            .replace("\\192", "192")
            .as_str(),
        "$N=7\n$P=priority ${N}\nvrrp_instance a {\ninterface eth0\nvirtual_router_id 1\n$P\nvirtual_ipaddress { 192.0.2.1/24 }\n}",
        "$A=192.${B}.1\n$B=9.9\nvrrp_instance a {\ninterface eth0\n$B=0.2\nvirtual_router_id 1\npriority 7\nvirtual_ipaddress { ${A}/24 }\n}",
        "$I= \\\nvrrp_instance ${NAME} { \\\ninterface eth0 \\\n@here priority 7 \\\n@there priority 8 \\\nvirtual_router_id 1 \\\nvirtual_ipaddress { 192.0.2.1/24 } \\\n}\n$NAME=a\n$I\n",
        "@here $IF=@here\n@^here $IF=@there\nvrrp_instance a {\ninterface eth0\n$IF priority 7\n@there priority 9\n@^there virtual_router_id 1\nvirtual_ipaddress { 192.0.2.1/24 }\n}",
        "\u{feff}vrrp_instance a {\ninterface eth0\n${_BANG}\n".replace("${_BANG}\n", "virtual_router_id 1\npriority 7\nvirtual_ipaddress { 192.0.2.1/24 }\n}").as_str(),
    ] {
        let import = import(text);
        assert_eq!((import.config.as_str(), import.said.as_str()), (plain.as_str(), ""), "{text}");
    }
    assert_eq!(
        lines("notify \"/bin/x ${_HASH} ${_INSTANCE} ${_PWD}\""),
        "script-security off\n\nnotify \"/bin/x # here etc\"\n"
    );
}

#[test]
fn includes() {
    let files = [
        ("etc/conf.d/10-a.conf", "priority 7\ninclude more"),
        ("etc/conf.d/20-b.conf", "virtual_router_id 1"),
        ("etc/conf.d/.hidden.conf", "junk"),
        ("etc/conf.d/more", "nopreempt\npriorty 5\n"),
        ("/abs", "interface eth0"),
    ];
    let text = "vrrp_instance a {\ninclude conf.d/*.conf\ninclude /abs\nvirtual_ipaddress { 192.0.2.1/24 }\n}\nbad\n";
    let import = import_with(&files, text.as_bytes(), false);
    assert_eq!(
        import.said,
        "f:6:1: unknown keyword 'bad' outside of all blocks\n\
         etc/conf.d/more:2:1: unknown keyword 'priorty', did you mean 'priority'?\n"
    );
    let expected = "instance a on eth0 vrid 1 priority 7\n  version 2\n  preempt off\n  address 192.0.2.1/24\n";
    assert_eq!(import.config, expected);
}

#[test]
fn includes_that_are_wrong() {
    let many: Vec<(String, String)> = (0..40).map(|i| (format!("etc/many/{i}"), String::new())).collect();
    let mut files: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    files.extend([("etc/self", "include self"), ("etc/a", "include b"), ("etc/b", "include *")]);
    for (text, expected) in [
        ("include nothing", "f:1:9: 'etc/nothing' is not included: there is no such file\n"),
        ("include no*", "f:1:9: warning: no file matches 'etc/no*': nothing is included\n"),
        ("includem no*", "f:1:10: warning: no file matches 'etc/no*': nothing is included\n"),
        ("includew no*", "f:1:10: no file matches 'etc/no*': nothing is included\n"),
        ("includea no*", "f:1:10: no file matches 'etc/no*': nothing is included\n"),
        ("include", "f:1:1: 'include' needs the path of a file\n"),
        (
            "include */x",
            "f:1:9: wildcards are taken in the file's name only, and no braces: expected one 'include' for each\n",
        ),
        (
            "include {a,b}",
            "f:1:9: wildcards are taken in the file's name only, and no braces: expected one 'include' for each\n",
        ),
        ("include self", "etc/self:1:1: includes are nested more than 8 deep: does a file include itself?\n"),
        ("include many/*", "f:1:1: more than 31 files are included\n"),
        ("$I= \\\ninclude x\n$I", "f:3:1: 'include' in a definition: expected on a line of its own\n"),
    ] {
        let said = import_with(&files, (instance("") + text).as_bytes(), false).said;
        let said: String =
            said.lines().map(|l| l.replacen("f:9:", "f:1:", 1).replacen("f:11:", "f:3:", 1) + "\n").collect();
        assert!(said.starts_with(expected), "{text}: {said}");
    }
    // Files that include each other's directory come to an end.
    assert!(import_with(&files, b"include *", false).errors > 0);
}

/// Each error and warning at its place; `f:` and the lines of the instance are taken off.
#[test]
fn errors() {
    let long = "x".repeat(1100);
    let deep = "a {\n".repeat(20);
    for (text, expected) in [
        ("priorty 5", "1:1: unknown keyword 'priorty', did you mean 'priority'?"),
        ("colour", "1:1: unknown keyword 'colour' in vrrp_instance"),
        ("colour {\nx {\n}\n}", "1:1: unknown block 'colour' in vrrp_instance"),
        ("router_id x", "1:1: 'router_id' does not belong in vrrp_instance"),
        ("  priority 0", "1:12: 'priority' needs a number from 1 to 255, not '0'"),
        ("priority", "1:1: 'priority' needs a number from 1 to 255"),
        ("é priority 5", "1:1: unknown keyword 'é' in vrrp_instance"),
        ("notify \"é /bin/x", "1:8: quote never closed: expected its end on the same line"),
        (
            "interface \"é\" x",
            "1:1: warning: 'interface' given twice, first at line 2: this one counts\n1:15: warning: 'x' behind 'interface' has no effect: expected the end of the line",
        ),
        ("version 4", "1:9: 'version' needs a number from 2 to 3, not '4'"),
        ("advert_int -1", "1:12: 'advert_int' needs seconds: 1 to 255, in version 3 0.01 to 40.95, not '-1'"),
        ("advert_int 1s", "1:12: 'advert_int' needs seconds: 1 to 255, in version 3 0.01 to 40.95, not '1s'"),
        ("state SLAVE", "1:7: 'state' needs MASTER or BACKUP, not 'SLAVE'"),
        ("preempt_delay 1001", "1:15: 'preempt_delay' needs seconds from 0 to 1000, not '1001'"),
        (
            "interface a/b",
            "1:1: warning: 'interface' given twice, first at line 2: this one counts\n1:11: 'interface' needs the name of a network interface, not 'a/b'",
        ),
        (
            "virtual_ipaddress { 10.0.0.0.1 }",
            "1:21: 'virtual_ipaddress' needs the address of a host, such as 192.0.2.1/24, not '10.0.0.0.1'",
        ),
        ("virtual_ipaddress { 10.0.0.1/33 }", "1:21: '10.0.0.1/33' has a wrong prefix length: expected /1 to /32"),
        ("virtual_ipaddress { 10.0.0.1 dve x }", "1:30: unknown option 'dve' of an address, did you mean 'dev'?"),
        (
            "virtual_ipaddress { 10.0.0.1 10.0.0.2 }",
            "1:30: unknown option '10.0.0.2' of an address: expected one address on each line",
        ),
        (
            "virtual_ipaddress { 10.0.0.1 brd + }",
            "1:30: warning: 'brd' is not taken over: the address has no broadcast address",
        ),
        (
            "virtual_ipaddress { 10.0.0.1 scope nowhere }",
            "1:36: warning: 'scope nowhere' is not taken over: the address gets the kernel's own scope",
        ),
        (
            "use_vmac vrrp.51 02:00:00:00:00:01",
            "1:18: warning: the '02:00:00:00:00:01' of 'use_vmac' is not taken over: the MAC address is that of RFC 9568",
        ),
        (
            "virtual_rules {\nfrom 10.0.0.0/8 table 1\n}",
            "1:1: warning: 'virtual_rules' is not taken over: these rules are not set: packets are routed without them",
        ),
        (
            "virtual_routes {\nunreachable 10.9.0.0/16\n}",
            "2:1: warning: 'unreachable' is not taken over: this route is not set, use blackhole",
        ),
        (
            "virtual_routes {\n10.9.0.0/16 via 10.0.0.9 advmss 1400\n}",
            "2:26: warning: 'advmss' is not taken over: the route is without it",
        ),
        (
            "virtual_routes {\n10.9.0.0/16 via 10.0.0.9 mertic 5\n}",
            "2:26: unknown option 'mertic' of a route, did you mean 'metric'?",
        ),
        ("virtual_routes {\nvia 10.0.0.9\n}", "2:1: an entry of 'virtual_routes' without a destination"),
        (
            "virtual_routes {\n10.9.0.0/40 dev eth0\n}",
            "2:1: 'virtual_routes' needs a destination, such as default or 192.0.2.0/24, not '10.9.0.0/40'",
        ),
        (
            "unicast_peer { 10.0.0.2 }",
            "1:16: 'unicast_peer' without a 'unicast_src_ip': expected this router's own address",
        ),
        ("priority 5 {\nx\n}", "1:1: 'priority' is no block: expected its value and no '{'"),
        ("virtual_ipaddress_excluded", "1:1: a block without its braces: expected '{' behind it"),
        ("{\n}", "1:1: '{' behind nothing: expected the keyword of a block"),
        (
            "track_script { nope }",
            "1:16: 'nope' is tracked, but no vrrp_script, vrrp_track_process or track_file is called so",
        ),
        (
            "track_script { nope weight 300 }",
            "1:28: 'weight' needs a number from -253 to 253; 0: a fault when it is down, not '300'",
        ),
        (
            "notify \"/bin/x 'a b'\"",
            "1:8: the command of 'notify' has an argument with a blank or a quote in it, which cannot be taken over: expected a script of its own that calls it",
        ),
        ("notify", "1:1: 'notify' needs a command, such as \"/etc/keepalived/notify\""),
        ("x\0y", "1:2: NUL byte: expected text"),
        ("x\x07", "1:2: control character 7: expected text"),
        ("priority 5\\", "1:11: nothing behind '\\': only a definition goes on in the next line"),
        ("notify /bin/\\n", "1:13: an escape for a control character: expected printable text"),
        ("~SEQ(A, 1, 3) x", "1:1: '~SEQ' and '~LST' are not taken over: expected the lines that they stand for"),
        ("$A=${A} x\npriority ${A}", "2:10: the line gets too long with its definitions: do they refer to each other?"),
        ("$A= \\\n$A \\\n$A\n$A", "4:1: definitions are nested more than 8 deep: do they refer to each other?"),
        ("$A= \\\na \\\nb\nx $A", "4:3: a definition of several lines: expected alone on its line"),
        ("notify ${_RANDOM 1 5}", "1:8: '_RANDOM' is not taken over: expected a number"),
        (
            "interface $nothing",
            "1:11: warning: '$nothing' is not defined above: it is taken as it stands\n1:1: warning: 'interface' given twice, first at line 2: this one counts",
        ),
        (long.as_str(), "1:1024: line too long: expected at most 1024 bytes"),
        ("auth_pass x", "1:1: 'auth_pass' does not belong in vrrp_instance"),
        (
            "notify_master /bin/x joe",
            "1:22: warning: the user 'joe' of 'notify_master' is not taken over: the command runs as 'script_user' says",
        ),
        (
            "unicast_ttl 64",
            "1:1: warning: 'unicast_ttl' 64 is not taken over: adverts leave with 255, which goes farther",
        ),
    ] {
        let said = import(instance(text)).said;
        let mut shown: Vec<String> = Vec::new();
        for line in said.lines().filter(|l| !l.contains("commands are run though")) {
            let rest = line.strip_prefix("f:").unwrap_or(line);
            let (number, rest) = rest.split_once(':').unwrap();
            shown.push(format!("{}:{rest}", number.parse::<i32>().unwrap() - 6));
        }
        for expected in expected.lines() {
            assert!(shown.iter().any(|l| l == expected), "for: {text}\nexpected: {expected}\ngot: {shown:#?}");
        }
        assert_eq!(shown.len(), expected.lines().count(), "for: {text}\ngot: {shown:#?}");
    }
    let said = import(instance(&deep)).said;
    assert!(said.contains("block never closed: expected '}' before the end of the file"), "{said}");
    assert!(said.contains("blocks are nested more than 16 deep: expected '}'"), "{said}");
}

#[test]
fn outside_of_instances() {
    for (text, expected) in [
        ("", "f:1:1: no instance: expected at least one 'vrrp_instance'\n"),
        ("}", "f:1:1: '}' without '{': no block is open\n"),
        ("vrrp_instance {\n}", "f:1:1: 'vrrp_instance' needs a name\n"),
        (
            "vrrp_instance x {",
            "f:1:1: block never closed: expected '}' before the end of the file\n\
             f:1:1: vrrp_instance without an 'interface': expected one, for unicast too\n\
             f:1:1: vrrp_instance without a 'virtual_router_id': expected a number from 1 to 255\n\
             f:1:1: vrrp_instance without a 'virtual_ipaddress': expected one address at least\n",
        ),
        ("vrrp_instanc x {\n}", "f:1:1: unknown block 'vrrp_instanc', did you mean 'vrrp_instance'?\n"),
        ("vrrp_script x {\n}", "f:1:1: vrrp_script without a 'script': there is nothing to look at\n"),
        ("vrrp_sync_group x {\n}", "f:1:1: vrrp_sync_group without a 'group' of instances\n"),
        ("global_defs {\nrouter_idd 5\n}", "f:2:1: unknown keyword 'router_idd', did you mean 'router_id'?\n"),
    ] {
        assert_eq!(import(text).said, expected, "{text}");
    }
}

/// A whole foreign block is one report; with `strict` it is an error.
#[test]
fn reports_and_strict() {
    let text = instance("") + "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 {\nTCP_CHECK { x 3 }\n}\n}\n";
    for (strict, word) in [(false, "warning: "), (true, "")] {
        let import = import_with(&[], text.as_bytes(), strict);
        assert_eq!(
            import.said,
            format!(
                "f:9:1: {word}'virtual_server' is not taken over: balancing (LVS) is none of this daemon's work, \
                 so these servers get no traffic from it\n"
            )
        );
        assert_eq!(import.errors, u32::from(strict));
    }
}

#[test]
fn no_end_of_memory_or_time() {
    for byte in [b'x', 0, b'{', b'}', b'"', b'$', b'@', b'\\', b'#', b'\n', b' '] {
        let import = import(vec![byte; 1 << 20]);
        assert!(import.errors > 0, "{byte}");
    }
    // Definitions that multiply.
    let bomb: String = (0..8).map(|i| format!("$A{i}= \\\n{}x\n", format!("$A{} \\\n", i + 1).repeat(50))).collect();
    assert!(import(bomb + "$A0\n").errors > 0);
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        import(bytes);
    }

    /// Words of the language in any order; what is accepted prints and reads equal.
    #[test]
    fn random_words(words in proptest::collection::vec(prop_oneof![
        proptest::sample::select(vec![
            "\n", "\n", "\n", "{", "}", "}\n", "{\n", "vrrp_instance", "a", "interface", "eth0", "virtual_router_id", "7",
            "priority", "255", "state", "MASTER", "virtual_ipaddress", "10.0.0.1/8", "fe80::1", "global_defs", "include",
            "*", "$A=1", "${A}", "$A", "@here", "@^here", "\"", "'", "\\", "#", "!", "\0", "é", "vrrp_script", "script",
            "/bin/true", "track_script", "weight", "-5", "reverse", "track_file", "file", "/x", "vrrp_track_process",
            "process", "quorum", "vrrp_sync_group", "group", "notify", "authentication", "auth_type", "PASS", "auth_pass",
            "advert_int", "0.5", "nopreempt", "unicast_peer", "unicast_src_ip", "10.0.0.2", "use_vmac", "virtual_server",
        ]).prop_map(|s| format!("{s} ")),
        "[a-z_]{1,6} ?",
    ], 0..200)) {
        let import = import(words.concat());
        if import.errors == 0 {
            again(&import.config);
        }
    }
}

/// What was imported reads equal as a line configuration.
#[track_caller]
fn again(text: &str) {
    let (mut config, mut diag) = (Config::default(), Diagnostics::new());
    line::parse(&mut text.as_bytes(), &mut config, &mut diag).unwrap();
    let mut said = Vec::new();
    diag.print("f", &mut said).unwrap();
    assert_eq!(diag.errors(), 0, "{}\nin:\n{text}", String::from_utf8_lossy(&said));
    let mut printed = Vec::new();
    line::print(&config, &mut printed).unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), text);
}
