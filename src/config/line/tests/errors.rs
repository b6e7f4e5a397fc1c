//! Every error and warning, exactly as it is shown.

mod checks;
mod routes;

use std::format;
use std::string::String;

use super::*;
use crate::config::model::{MAX_ADDRESSES, MAX_DELAYS, MAX_INSTANCES, MAX_LINKS, MAX_PEERS, MAX_STRINGS};

/// What is said about an instance line that has what `properties` add; `f:1:` is taken off.
fn instance(properties: &str) -> String {
    let text = format!("instance a on eth0 vrid 1 address 192.0.2.1/24\n{properties}");
    let (_, said) = read(text);
    said.lines().map(|l| l.strip_prefix("f:").unwrap_or(l)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn each(cases: &[(&str, &str)]) {
    for (properties, expected) in cases {
        assert_eq!(instance(properties), *expected, "for: {properties}");
    }
}

/// The example of the design, at its line and column.
#[test]
fn suggestion() {
    let mut text = "\n".repeat(10);
    text.push_str("instance lan on br-lan vrid 51 address 192.0.2.1/24\n        prioritty 150\n");
    assert_eq!(read(&text).1, "f:12:9: unknown property 'prioritty', did you mean 'priority'?\n");
}

#[test]
fn unknown_words() {
    each(&[
        ("vrdi 5", "2:1: unknown property 'vrdi', did you mean 'vrid'?"),
        ("colour blue", "2:1: unknown property 'colour'"),
        ("prio 5", "2:1: unknown property 'prio'"),
        ("instnace b", "2:1: unknown property 'instnace', did you mean 'instance'?"),
        ("address 192.0.2.2 scop link", "2:19: unknown property 'scop', did you mean 'scope'?"),
        ("garp dely 3s", "2:6: 'garp' needs 'delay', 'repeat', 'refresh' or 'refresh-repeat', not 'dely'"),
        ("peers 192.0.2.9", "2:1: unknown property 'peers', did you mean 'peer'?"),
        ("advert 1s log debug", "2:11: 'log' in the middle of a line: expected on a line of its own"),
        ("defaults on eth0", "2:10: 'on' has no default: expected in an instance"),
        ("defaults prioriti 5", "2:10: unknown property 'prioriti', did you mean 'priority'?"),
        ("log info debug", "2:10: unexpected 'debug' behind 'log': expected the end of the line"),
    ]);
    let (_, said) = read("instnace a on eth0 vrid 1");
    assert_eq!(
        said,
        "f:1:1: unknown statement 'instnace', did you mean 'instance'?\n\
        f:1:12: 'on' before any instance: expected 'instance NAME' or 'defaults' above it\n"
    );
    let (_, said) = read("pri\u{e4}\u{e4}\u{e4} and so on and on and on and on".replace(' ', "\u{fc}"));
    assert_eq!(said, "f:1:1: unknown statement 'priäääüandüsoüonüandüonüandüonüandüon'\n");
    let (_, said) = read("x".repeat(41));
    assert_eq!(said, format!("f:1:1: unknown statement '{}…'\n", "x".repeat(40)));
}

/// Tracked interfaces.
#[test]
fn tracked_interfaces() {
    each(&[
        ("track-interface", "2:16: 'track-interface' needs the name of a network interface"),
        (
            "track-interface wan weight 254",
            "2:28: 'weight' needs a number from -253 to 253; 0: a fault when it is down, not '254'",
        ),
        ("track-interface wan wieght 5", "2:21: unknown property 'wieght', did you mean 'weight'?"),
        ("track-interface wan weight 5 track-interface wan", "2:46: instance 'a' tracks wan twice"),
        (
            "track-interface eth0",
            "2:17: warning: instance 'a' speaks on eth0: without it, it is in Fault, tracked or not",
        ),
    ]);
    let (_, said) = read("instance a on eth0 vrid 1 priority 255 address 192.0.2.1 track-interface wan weight 5");
    assert_eq!(said, "f:1:74: warning: instance 'a' has priority 255, which no weight changes: wan has no effect\n");
}

/// Delays of links.
#[test]
fn delays() {
    let needs = "'interface-delay' needs 'down DURATION' or 'up DURATION', or both";
    each(&[
        ("interface-delay", "2:16: 'interface-delay' needs the name of a network interface"),
        ("interface-delay eth0", &format!("2:21: {needs}")),
        ("interface-delay eth0 2s", &format!("2:22: {needs}, not '2s'")),
        ("interface-delay eth0 down", "2:26: 'down' needs a duration up to 255s, such as 2s"),
        ("interface-delay eth0 down 0", "2:27: 'down' needs a duration up to 255s, such as 2s, not '0'"),
        ("interface-delay eth0 up 256s", "2:25: 'up' needs a duration up to 255s, such as 2s, not '256s'"),
        ("interface-delay eth0 down 1s down 2s", "2:30: 'down' given twice"),
        (
            "interface-delay eth0 up 1s dwon 1s",
            "2:28: unexpected 'dwon' behind 'interface-delay': expected the end of the line",
        ),
        (
            "interface-delay eth0 up 1s\ninterface-delay eth0 down 1s",
            "3:17: the delays of eth0 are there already, at line 2: expected them once",
        ),
        (
            "interface-delay wan down 1s",
            "2:17: warning: no instance is on wan and nothing tracks it: its delays have no effect",
        ),
        ("track-interface wan weight 5\ninterface-delay wan down 9s", ""),
        (
            "interface-delay eth0 down 2.001s",
            "2:17: warning: without eth0 instance 'a' may become Active before the loss counts: \
             expected 'down' of at most two adverts, 2s",
        ),
        ("interface-delay eth0 down 2s up 255s", ""),
        ("interface-delay eth0 down 3s\nadvert 1.5s", ""),
        ("track-primary maybe", "2:15: 'track-primary' needs 'on' or 'off', not 'maybe'"),
        ("track-primary off\ninterface-delay eth0 down 9s", ""),
    ]);
    let many: String = (0..=MAX_DELAYS).map(|n| format!("interface-delay e{n} down 1s\n")).collect();
    let (_, said) = read(format!("instance a on e0 vrid 1 address 192.0.2.1\n{many}"));
    assert!(said.contains(&format!("more than {MAX_DELAYS} interfaces with a delay (MAX_DELAYS)")), "{said}");
}

/// What later versions read is told from what nobody reads.
#[test]
fn later() {
    each(&[
        ("include /etc/more.conf", "2:1: 'include' is not supported yet by this version"),
        (
            "rule all ttl priority 0",
            "2:1: 'rule' is not supported yet by this version\n\
             2:10: 'ttl' is not supported yet by this version\n\
             2:23: 'priority' needs a number from 1 to 255, not '0'",
        ),
    ]);
}

/// A virtual MAC address stands on an interface of its own.
#[test]
fn vmac() {
    each(&[
        ("vmac eth0", "2:1: a 'vmac' cannot be an interface of instance 'a' too: expected it with another name"),
        ("vmac-base on", "2:1: warning: instance 'a' has no use for 'vmac-base': it has no 'vmac'"),
        ("vmac a/b", "2:6: 'a/b' is no interface name: expected one without blanks, '/' and ':'"),
        ("accept maybe", "2:8: 'accept' needs 'on' or 'off', not 'maybe'"),
        ("vmac vmac x", "2:6: 'vmac' given twice, first at line 2"),
    ]);
    let two = "instance a on eth0 vrid 1 vmac address 192.0.2.1\ninstance b on ";
    for (more, at) in [("eth1 vrid 1 vmac address 192.0.2.9", 27), ("vrrp4.1 vrid 2 address 192.0.2.9", 10)] {
        let (_, said) = read(format!("{two}{more}"));
        let expected = "a 'vmac' cannot be an interface of instance 'a' too: expected it with another name";
        assert_eq!(said, format!("f:2:{at}: {expected}\n"), "{more}");
    }
}

#[test]
fn values() {
    each(&[
        ("priority 256", "2:10: 'priority' needs a number from 1 to 255, not '256'"),
        ("priority", "2:9: 'priority' needs a number from 1 to 255"),
        ("priority -1", "2:10: 'priority' needs a number from 1 to 255, not '-1'"),
        ("priority 99999999999999999999", "2:10: 'priority' needs a number from 1 to 255, not '99999999999999999999'"),
        ("priority advert 2s", "2:10: 'priority' needs a number from 1 to 255, not 'advert'"),
        ("family ip", "2:8: 'family' needs 'ipv4' or 'ipv6', not 'ip'"),
        ("version 4", "2:9: 'version' needs '2', '3' or '2+3', not '4'"),
        ("preempt maybe", "2:9: 'preempt' needs 'on', 'off' or 'after', not 'maybe'"),
        ("preempt after", "2:14: 'preempt after' needs a duration from 0s to 1440m, such as 30s"),
        ("start MASTER", "2:7: 'start' needs 'backup' or 'master', not 'MASTER'"),
        (
            "unicast 10.0.0.0/8 peer 10.0.0.9",
            "2:9: 'unicast' needs the IPv4 or IPv6 address of a host, not '10.0.0.0/8'",
        ),
        ("source 224.0.0.1", "2:8: 'source' needs the IPv4 or IPv6 address of a host, not '224.0.0.1'"),
        ("group4 10.0.0.1", "2:8: 'group4' needs an IPv4 multicast address, such as 224.0.0.18, not '10.0.0.1'"),
        (
            "instance b on eth0 vrid 1 address fe80::2 group6 fe80::1",
            "2:50: 'group6' needs an IPv6 multicast address, such as ff02::12, not 'fe80::1'",
        ),
        ("version 2 auth ah x", "2:16: 'auth' needs 'pass', not 'ah'"),
        ("version 2 auth pass \"\"", "2:21: 'auth pass' needs a password, not an empty word"),
        (
            "version 2 auth pass 1234567\u{e4}",
            "2:21: the 8 bytes of the password that count end inside a character: expected a shorter one",
        ),
        ("checksum rfc", "2:10: 'checksum' needs 'plain' or 'pseudo', not 'rfc'"),
        ("garp repeat 0", "2:13: 'garp repeat' needs a number from 1 to 255, not '0'"),
        ("garp refresh 10ms", "2:14: 'garp refresh' needs 0s (none), or a duration from 100ms to 1440m, not '10ms'"),
        ("garp delay 2d", "2:12: 'garp delay' needs a duration from 0s (no second burst) to 1440m, not '2d'"),
        ("garp", "2:5: 'garp' needs 'delay', 'repeat', 'refresh' or 'refresh-repeat'"),
        (
            "unicast 192.0.2.2 peer 192.0.2.3 max-ttl 64",
            "2:24: 'min-ttl' is 255 and 'max-ttl' 64: expected the lower one first; each is 255 unless given",
        ),
        ("unicast 192.0.2.2 peer 192.0.2.3 min-ttl 300", "2:42: 'min-ttl' needs a number from 0 to 255, not '300'"),
        (
            "address 192.0.2.300/24",
            "2:9: 'address' needs the address of a host, such as 192.168.1.1/24 or fe80::1/64, not '192.0.2.300/24'",
        ),
        (
            "address 0.0.0.0",
            "2:9: 'address' needs the address of a host, such as 192.168.1.1/24 or fe80::1/64, not '0.0.0.0'",
        ),
        ("address 192.0.2.3/33", "2:9: '192.0.2.3/33' has a wrong prefix length: expected /1 to /32"),
        ("address fe80::1/", "2:9: 'fe80::1/' has a wrong prefix length: expected /1 to /128"),
        ("address 192.0.2.3 scope galaxy", "2:25: 'scope' needs 'global', 'site', 'link' or 'host', not 'galaxy'"),
        (
            "address 192.0.2.3 label sixteen-bytes-xx",
            "2:25: 'sixteen-bytes-xx' is too long for 'label': expected at most 15 bytes",
        ),
        ("address fe80::2 label x", "2:23: a label on an IPv6 address: expected only on IPv4 ones"),
        (
            "address 192.0.2.3 dev interface-sixteen",
            "2:23: 'interface-sixteen' is too long for 'dev': expected at most 15 bytes",
        ),
        ("address 192.0.2.3 dev a/b", "2:23: 'a/b' is no interface name: expected one without blanks, '/' and ':'"),
        ("address 192.0.2.3 dev \"a b\"", "2:23: 'a b' is no interface name: expected one without blanks, '/' and ':'"),
        ("address 192.0.2.3 dev", "2:22: 'dev' needs the name of a network interface"),
        (
            "address 192.0.2.3 dev priority 9",
            "2:23: 'dev' needs the name of a network interface, but 'priority' is a property: put it in quotes if it is meant",
        ),
        ("log loud", "2:5: 'log' needs 'error', 'warn', 'info' or 'debug', not 'loud'"),
        ("strict yes", "2:8: 'strict' needs 'on' or 'off', not 'yes'"),
        ("log-unknown", "2:12: 'log-unknown' needs 'on' or 'off'"),
        ("startup-delay 25h", "2:15: 'startup-delay' needs a duration from 0s to 1440m, such as 10s, not '25h'"),
        ("router-id", "2:10: 'router-id' needs the name of this router"),
        ("defaults", "2:9: 'defaults' needs a property and its value, such as 'advert 1s'"),
        ("instance", "2:9: 'instance' needs a name"),
        ("instance on eth1", "2:10: 'instance' needs a name, but 'on' is a property: put it in quotes if it is meant"),
    ]);
    let long = format!("instance {}", "n".repeat(65));
    assert_eq!(
        instance(&long),
        format!("2:10: '{}…' is too long for 'instance': expected at most 64 bytes", "n".repeat(40))
    );
}

#[test]
fn advert_interval() {
    let needs = "'advert' needs whole centiseconds from 10ms to 40.95s (version 2: whole seconds from 1s to 255s)";
    for bad in ["0", "9ms", "256s", "soon", ""] {
        let not = if bad.is_empty() { String::new() } else { format!(", not '{bad}'") };
        let column = if bad.is_empty() { 7 } else { 8 };
        assert_eq!(instance(format!("advert {bad}").trim_end()), format!("2:{column}: {needs}{not}"));
    }
    each(&[
        (
            "advert 40.96s",
            "2:1: instance 'a' speaks version 3, whose packets carry at most 40.95s: 'advert' cannot be 4096cs",
        ),
        (
            "advert 500ms version 2",
            "2:1: instance 'a' speaks version 2, which counts whole seconds: 'advert' needs 1s to 255s, not 50cs",
        ),
        ("advert 255s version 2", ""),
        ("advert 10ms", ""),
    ]);
    assert_eq!(instance("advert 15ms"), format!("2:8: {needs}, not '15ms'"));
}

#[test]
fn given_twice() {
    each(&[
        ("priority 5\n priority 6", "3:2: 'priority' given twice, first at line 2"),
        ("vrid 2", "2:1: 'vrid' given twice, first at line 1"),
        ("garp delay 1s repeat 3\ngarp repeat 4", "3:6: 'garp repeat' given twice, first at line 2"),
        ("garp delay 1s delay 2s", "2:15: 'delay' given twice"),
        ("address 192.0.2.3 excluded excluded", "2:28: 'excluded' given twice"),
        ("log info\nlog info", "3:1: 'log' given twice, first at line 2"),
        ("defaults priority 5 priority 6", "2:21: 'priority' given twice, first at line 2"),
        ("defaults priority 5\ndefaults priority 6", ""),
    ]);
}

#[test]
fn identity() {
    let (_, said) = read("instance a");
    assert_eq!(
        said,
        "f:1:10: instance 'a' has no interface: expected 'on INTERFACE'\n\
         f:1:10: instance 'a' has no VRID: expected 'vrid N', the same number on each of its routers\n\
         f:1:10: instance 'a' has no address: expected 'address A/LEN'\n"
    );
    each(&[
        (
            "instance a on eth1 vrid 1 address 192.0.2.1",
            "2:10: instance 'a' is there already, at line 1: names must differ",
        ),
        (
            "instance b on eth0 vrid 1 address 192.0.2.2",
            "2:20: instance 'b' has VRID 1 on eth0 for IPv4, as instance 'a' at line 1 has: one of them needs another",
        ),
        ("instance b on eth0 vrid 1 address fe80::1", ""),
        ("instance b on eth1 vrid 1 address 192.0.2.1", ""),
        (
            "instance b on eth1 vrid 1 address 192.0.2.1 dev eth0",
            "2:35: address 192.0.2.1 on eth0 is in instance 'a' too, at line 1: only one instance may move it",
        ),
        ("address 192.0.2.1/32", "2:9: instance 'a' has address 192.0.2.1 twice, first at line 1"),
        ("address 192.0.2.1 dev eth1", ""),
        // One error for one mistake: the instance has an address and a VRID, though wrong ones.
        (
            "instance b on eth1 vrid 0 address x",
            "2:25: 'vrid' needs a number from 1 to 255, not '0'\n2:35: 'address' needs the address of a host, such as 192.168.1.1/24 or fe80::1/64, not 'x'",
        ),
    ]);
}

#[test]
fn addresses() {
    each(&[
        ("family ipv6", "1:10: instance 'a' advertises no address: expected one of IPv6 that is not 'excluded'"),
        (
            "instance b on eth0 vrid 2 address 2001:db8::1/64",
            "2:35: warning: instance 'b' advertises 2001:db8::1 first, but RFC 9568 wants a link-local address there: add one, such as fe80::1/64, before it",
        ),
        (
            "instance b on eth0 vrid 2 address 2001:db8::1/64 address fe80::1",
            "2:35: warning: instance 'b' advertises 2001:db8::1 first, but RFC 9568 wants a link-local address there: put the link-local one first",
        ),
    ]);
    let mut many = String::from("instance b on eth1 vrid 1 address fe80::1\n");
    for i in 2..=91 {
        many.push_str(&format!(" address fe80::{i:x}\n"));
    }
    assert_eq!(
        instance(&many),
        "92:10: instance 'b' advertises 91 addresses, but an IPv6 packet holds 90: mark the rest 'excluded'"
    );
    let many = many.replace("address fe80::5b", "address fe80::5b excluded");
    assert_eq!(instance(&many), "");
}

#[test]
fn more_than_a_packet_holds() {
    // As many as the smallest pool takes.
    let mut many = String::from("instance b on eth1 vrid 1 address 10.0.0.1\n");
    for i in 2..=256 {
        many.push_str(&format!(" address 10.0.{}.{}\n", i / 250, 1 + i % 250));
    }
    let (_, said) = read(many);
    assert_eq!(
        said,
        "f:256:10: instance 'b' advertises 256 addresses, but an IPv4 packet holds 255: mark the rest 'excluded'\n"
    );
}

#[test]
fn unicast() {
    each(&[
        (
            "unicast 192.0.2.2",
            "2:1: instance 'a' has 'unicast' but no peer: expected 'peer ADDRESS' for each other router",
        ),
        ("peer 192.0.2.3", "2:6: instance 'a' has peers but no 'unicast ADDRESS', the address to send to them from"),
        (
            "unicast 192.0.2.2 peer fe80::3",
            "2:24: instance 'a' is an IPv4 one: 'peer' needs an address of that family, not fe80::3",
        ),
        (
            "unicast fe80::2 peer 192.0.2.3",
            "2:1: instance 'a' is an IPv4 one: 'unicast' needs an address of that family, not fe80::2",
        ),
        ("source fe80::2", "2:1: instance 'a' is an IPv4 one: 'source' needs an address of that family, not fe80::2"),
        (
            "unicast 192.0.2.2 peer 192.0.2.2",
            "2:24: instance 'a' has its own address 192.0.2.2 as a peer: expected another router's",
        ),
        ("unicast 192.0.2.2 peer 192.0.2.3 peer 192.0.2.3", "2:39: instance 'a' has peer 192.0.2.3 twice"),
        (
            "unicast 192.0.2.2 peer 192.0.2.3 source 192.0.2.2",
            "2:34: instance 'a' has both 'source', which is for multicast, and 'unicast', which names the source: drop one",
        ),
        (
            "unicast 192.0.2.2 peer 192.0.2.3 group4 224.0.0.9",
            "2:34: warning: instance 'a' is unicast: its multicast group is not used",
        ),
        ("group6 ff02::99", "2:1: instance 'a' is an IPv4 one: 'group6' does not apply to it"),
        (
            "instance b on eth0 vrid 1 address fe80::1 group4 224.0.0.9",
            "2:43: instance 'b' is an IPv6 one: 'group4' does not apply to it",
        ),
        (
            "instance b on eth0 vrid 1 address fe80::1 source 2001:db8::1",
            "2:43: warning: instance 'b' sends from 2001:db8::1: RFC 9568 wants a link-local source over IPv6",
        ),
        ("unicast x peer 192.0.2.3", "2:9: 'unicast' needs the IPv4 or IPv6 address of a host, not 'x'"),
        ("unicast 192.0.2.3 peer x", "2:24: 'peer' needs the IPv4 or IPv6 address of a host, not 'x'"),
    ]);
}

#[test]
fn version_and_what_goes_with_it() {
    each(&[
        (
            "auth pass x",
            "2:1: instance 'a' speaks version 3, which has no authentication: drop 'auth', or say 'version 2'",
        ),
        ("version 2 auth pass 123456789", "2:21: warning: password longer than 8 bytes: only the first 8 count"),
        (
            "instance b on eth0 vrid 1 address fe80::1 version 2",
            "2:43: instance 'b' is an IPv6 one, which VRRP version 2 cannot carry: expected 'version 3'",
        ),
        (
            "defaults version 2\ninstance b on eth0 vrid 1 address fe80::1",
            "2:10: instance 'b' is an IPv6 one, which VRRP version 2 cannot carry: expected 'version 3'",
        ),
        (
            "version 2+3 advert 500ms",
            "2:13: instance 'a' speaks version 2, which counts whole seconds: 'advert' needs 1s to 40s, not 50cs",
        ),
        (
            "version 2+3 advert 41s",
            "2:13: instance 'a' speaks version 3, whose packets carry at most 40.95s: 'advert' cannot be 41s",
        ),
        ("version 2+3 advert 40s auth pass x checksum pseudo", ""),
        (
            "defaults version 2+3\ninstance b on eth0 vrid 1 address fe80::1",
            "2:10: instance 'b' is an IPv6 one, which VRRP version 2 cannot carry: expected 'version 3'",
        ),
        ("version 3+2", "2:9: 'version' needs '2', '3' or '2+3', not '3+2'"),
        (
            "version 2 checksum pseudo",
            "2:11: warning: instance 'a' has no use for 'checksum': only version 3 over IPv4 knows two forms",
        ),
        (
            "start master preempt off",
            "2:14: warning: instance 'a' preempts all the same: 'start master' overrides 'preempt'",
        ),
        (
            "priority 255 preempt off",
            "2:14: warning: instance 'a' preempts all the same: at priority 255 'preempt' has no effect",
        ),
        ("defaults auth pass x preempt off group6 ff02::9 checksum pseudo", ""),
    ]);
}

/// Lines that are none, and that the lines after them are read all the same.
#[test]
fn lines() {
    for (line, expected) in [
        (&b"router-id a\0b"[..], "1:12: NUL byte: expected text"),
        (b"router-id a\x1bb", "1:12: control character 27: expected text"),
        (b"router-id a\rb", "1:12: control character 13: expected text"),
        (b"router-id \xc3\xa4\xff", "1:12: not UTF-8: expected text in UTF-8"),
        (b"router-id \"a b", "1:11: quote never closed: expected '\"' before the end of the line"),
        (b"router-id \"\xc3\xa4\\n\"", "1:13: unknown escape: in quotes only '\\\"' and '\\\\' are known"),
        (b"router-id a\"b\"", "1:12: quote inside a word: expected quotes around the whole word"),
        (b"router-id \"\xc3\xa4\"b", "1:14: text right behind a closing quote: expected a blank"),
        (b"router-id \"\"", "1:11: 'router-id' needs the name of this router, not an empty word"),
        (b"router-id a b", "1:13: unexpected 'b' behind 'router-id': expected the end of the line"),
    ] {
        let mut text = line.to_vec();
        text.extend_from_slice(b"\nlog loud\n");
        let (_, said) = read(&text);
        let second = "f:2:5: 'log' needs 'error', 'warn', 'info' or 'debug', not 'loud'\n";
        assert_eq!(said, format!("f:{expected}\n{second}"));
    }
    let long = format!("# {}\u{e4}\u{e4}\n# {}\n", "x".repeat(509), "x".repeat(510));
    // 512 bytes of the first line are 511 whole characters and a half.
    assert_eq!(read(long).1.lines().next(), Some("f:1:513: line too long: expected at most 512 bytes"));
}

/// A property of an instance whose first line is wrong does not fall to the instance before it.
#[test]
fn instance_line_that_is_none() {
    each(&[
        (
            "instance b\0\n vrid 2\n priority 300",
            "2:11: NUL byte: expected text\n4:11: 'priority' needs a number from 1 to 255, not '300'",
        ),
        (
            "instance \"b\n vrid 2\n address 192.0.2.1",
            "2:10: quote never closed: expected '\"' before the end of the line",
        ),
        ("instance\n vrid 2", "2:9: 'instance' needs a name"),
    ]);
}

#[test]
fn nothing_there() {
    let one = "expected at least one 'instance NAME on INTERFACE vrid N'";
    assert_eq!(read("").1, format!("f:1:1: the file is empty: {one}\n"));
    assert_eq!(read("# nothing\nlog info\n").1, format!("f:3:1: no instance: {one}\n"));
}

/// All errors of a file, in its order, and no more than fit.
#[test]
fn all_at_once() {
    let (_, said) = read(
        "router-id\n\
         instance lan on br-lan vrid 300 priority 0 prioritty 5\n\
         address 10.0.0.1/40 advert 0\n\
         instance wan vrid 7 auth pass x\n\
         track x\n",
    );
    let places: Vec<_> = said.lines().map(|l| l.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        ["f:1:10", "f:2:29", "f:2:42", "f:2:44", "f:3:9", "f:3:28", "f:4:10", "f:4:10", "f:4:21", "f:5:7"],
        "{said}"
    );

    let (_, said) = read("nonsense\n".repeat(100));
    assert_eq!(said.lines().count(), 65);
    assert!(said.ends_with("f:64:1: unknown statement 'nonsense'\nf: and 36 more\n"), "{said}");
}

#[test]
fn limits() {
    let raise = |name: &str| format!("({name}): a build with PICOVRRP_{name}=N in the environment raises the limit\n");
    let mut text = String::new();
    for i in 0..MAX_INSTANCES + 3 {
        text.push_str(&format!("instance i{i} on eth{i} vrid 1 address 10.0.0.1\n"));
    }
    assert_eq!(
        read(&text).1,
        format!("f:{}:10: more than {MAX_INSTANCES} instances {}", MAX_INSTANCES + 1, raise("MAX_INSTANCES"))
    );

    let mut text = String::from("instance a on eth0 vrid 1 address 10.0.0.1\n");
    for i in 1..MAX_ADDRESSES + 3 {
        text.push_str(&format!("address 10.1.{}.{} excluded\n", i / 250, 1 + i % 250));
    }
    let line = MAX_ADDRESSES + 1;
    assert_eq!(
        read(&text).1,
        format!("f:{line}:9: more than {MAX_ADDRESSES} addresses in all instances {}", raise("MAX_ADDRESSES"))
    );

    let mut text = String::from("instance a on eth0 vrid 1 address 10.0.0.1 unicast 10.0.0.2\n");
    for i in 0..MAX_PEERS + 3 {
        text.push_str(&format!("peer 10.1.{}.{}\n", i / 250, 1 + i % 250));
    }
    assert_eq!(
        read(&text).1,
        format!("f:{}:6: more than {MAX_PEERS} peers in all instances {}", MAX_PEERS + 2, raise("MAX_PEERS"))
    );

    // With the other limits at their defaults nothing fills the strings; a build with more instances does.
    let mut text = String::new();
    let mut n = 0;
    while n * 30 < MAX_STRINGS + 100 && n < MAX_ADDRESSES {
        text.push_str(&format!("address 10.2.{}.{} label label-nr-{n:06}\n", n / 250, 1 + n % 250));
        n += 1;
    }
    let head: String = (0..MAX_INSTANCES - 1)
        .map(|i| format!("instance {i:064} on eth{i:08} vrid {} address 10.3.0.{}\n", 1 + i, 1 + i))
        .collect();
    let (config, said) = read(format!("{head}instance z on eth0 vrid 99\n{text}"));
    if config.strings.len() + 15 > MAX_STRINGS {
        assert_eq!(said.matches(&raise("MAX_STRINGS")).count(), 1, "{said}");
    }

    // Every instance may be on an interface of its own, with a macvlan above that.
    let text: String = (1..=MAX_INSTANCES.min(123))
        .map(|i| format!("instance i{i} on v{i} vrid {i} address 10.1.0.{i} vmac m{i}\n"))
        .collect();
    assert_eq!(read(&text).1, "");

    let mut text = String::from("instance a on eth0 vrid 1 address 10.0.0.1\n");
    for i in 0..MAX_LINKS {
        text.push_str(&format!("address 10.1.{}.{} dev v{i} excluded\n", i / 250, 1 + i % 250));
    }
    assert_eq!(
        read(&text).1,
        format!(
            "f:1:10: more than {MAX_LINKS} interfaces in all instances, groups and checks (MAX_LINKS): \
             a build with PICOVRRP_MAX_INSTANCES=N in the environment raises the limit to 2 N + 8\n"
        )
    );
}

/// A ninth multicast group on one interface; unicast instances and another interface need none of them.
#[test]
fn multicast_groups() {
    let instance = |i: u32, interface: &str, rest: &str| {
        format!("instance i{i} on {interface} vrid {i} address 10.0.{i}.1/24 {rest}\n")
    };
    let mut text: String = (1..=8).map(|i| instance(i, "eth0", &format!("group4 224.0.1.{i}"))).collect();
    text += &instance(9, "eth0", "group4 224.0.1.8");
    text += &instance(10, "eth1", "group4 224.0.1.10");
    text += &instance(11, "eth0", "unicast 10.0.0.1 peer 10.0.0.2");
    assert_eq!(read(&text).1, "");
    text += &instance(12, "eth0", "group4 224.0.1.12");
    assert_eq!(
        read(&text).1,
        "f:12:51: more than 8 multicast groups on eth0 (MAX_MULTICAST_GROUPS): virtual routers with different VRIDs may share one\n"
    );
}
