//! Checks, trackers by check, sync groups, and the statements for their commands.

use std::format;

use super::*;
use crate::config::model::{MAX_CHECKS, MAX_GROUPS, MAX_TRACKS};

/// What is said about the check `x` that has what `words` say, and is tracked; `f:1:` is taken off.
fn check(words: &str) -> String {
    let (_, said) = read(format!("check x {words}\ninstance a on eth0 vrid 1 address 192.0.2.1 track x"));
    said.lines().map(|l| l.strip_prefix("f:1:").unwrap_or(l)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn each_check(cases: &[(&str, &str)]) {
    for (words, expected) in cases {
        assert_eq!(check(words), *expected, "for: {words}");
    }
}

#[test]
fn good_ones() {
    for words in [
        "script \"/bin/true -x\" user nobody:nogroup every 1s timeout 500ms fall 3 rise 2 initial up",
        "process nginx min 2 max 4 full-command params \"-g daemon\" delay 2s connector every 10ms timeout 1440m",
        "process nginx min 0 max 0",
        "file /etc/picovrrp/trigger every 1s",
        "interface wan",
        "route default via fe80::1 table 4294967295",
        "route ::/0",
        "route 192.0.2.1",
        "route 10.0.0.0/9 via 192.0.2.254",
        "ping fe80::1 from wan",
        "ping 192.0.2.1 from 192.0.2.2",
        "tcp 192.0.2.1 65535 from wan",
        "http http://[::1]:8080/x status 204 contains \"all well\"",
        "dns 192.0.2.53 example.org type aaaa port 5353",
    ] {
        assert_eq!(check(words), "", "for: {words}");
    }
}

#[test]
fn common_options() {
    each_check(&[
        ("", "9: 'check' needs 'script', 'process', 'file', 'interface', 'route', 'ping', 'tcp', 'http' or 'dns'"),
        (
            "pong 192.0.2.1",
            "9: 'check' needs 'script', 'process', 'file', 'interface', 'route', 'ping', 'tcp', 'http' or 'dns', not 'pong'",
        ),
        ("interface wan every 0", "29: 'every' needs a duration from 10ms to 1440m, not '0'"),
        ("interface wan every 9ms", "29: 'every' needs a duration from 10ms to 1440m, not '9ms'"),
        ("interface wan timeout 1441m", "31: 'timeout' needs a duration from 10ms to 1440m, not '1441m'"),
        (
            "interface wan fall 0 rise 256",
            "28: 'fall' needs a number from 1 to 255, not '0'\n35: 'rise' needs a number from 1 to 255, not '256'",
        ),
        ("interface wan initial on", "31: 'initial' needs 'unknown', 'up' or 'down', not 'on'"),
        ("interface wan every 1s every 2s", "32: 'every' given twice"),
        ("interface wan evry 1s", "23: unknown option 'evry' of 'interface', did you mean 'every'?"),
        ("interface wan from eth0", "23: unknown option 'from' of 'interface'"),
    ]);
    let (_, said) = read("check\ninstance a on eth0 vrid 1 address 192.0.2.1 track y");
    assert_eq!(said, "f:1:6: 'check' needs a name\n");
    let (_, said) = read("check track ping 192.0.2.1");
    assert!(said.starts_with("f:1:7: 'check' needs a name, but 'track' is a property: put it in quotes"), "{said}");
}

#[test]
fn kinds() {
    each_check(&[
        ("script", "15: 'script' needs a command, such as \"/etc/picovrrp/notify\""),
        ("script \" \"", "16: 'script' has 0 words: expected a program and at most 15 arguments"),
        ("script /x user", "23: 'user' needs USER or USER:GROUP"),
        (
            "process nginx min 3 max 2",
            "33: 'min' is 3 and 'max' 2: expected the lower one first; 'min' is 1 unless given",
        ),
        ("process nginx max 0", "27: 'min' is 1 and 'max' 0: expected the lower one first; 'min' is 1 unless given"),
        ("process nginx min 0", "27: 'min 0' is always met: expected 'max N' beside it"),
        ("process nginx min 65536", "27: 'min' needs a number from 0 to 65535, not '65536'"),
        ("process nginx delay -1", "29: 'delay' needs a duration from 0s to 1440m, not '-1'"),
        ("file trigger", "14: 'file' needs a path that begins with '/', not 'trigger'"),
        (
            "file /t fall 2 timeout 1s",
            "17: 'fall' does not apply to a file check: its number counts as soon as it is there\n\
             24: 'timeout' does not apply to a file check: its number counts as soon as it is there",
        ),
        (
            "file /t rise 1 initial up",
            "17: 'rise' does not apply to a file check: its number counts as soon as it is there\n\
             24: 'initial' does not apply to a file check: its number counts as soon as it is there",
        ),
        ("interface a/b", "19: 'a/b' is no interface name: expected one without blanks, '/' and ':'"),
        ("route", "14: 'route' needs a destination, such as 'default', ::/0 or 192.0.2.0/24"),
        (
            "route 10.0.0.0/33",
            "15: 'route' needs a destination, such as 'default', ::/0 or 192.0.2.0/24, not '10.0.0.0/33'",
        ),
        ("route 10.1.2.3/8", "15: 10.1.2.3/8 has bits behind its prefix: expected 10.0.0.0/8"),
        ("route 2001:db8::1/64", "15: 2001:db8::1/64 has bits behind its prefix: expected 2001:db8::/64"),
        ("route default table 0", "29: 'table' needs a number from 1 to 4294967295, not '0'"),
        ("route default via wan", "27: 'via' needs the IPv4 or IPv6 address of a host, not 'wan'"),
        ("ping example.org", "14: 'ping' needs the IPv4 or IPv6 address of a host, not 'example.org'"),
        ("ping 192.0.2.1 from", "28: 'from' needs an address or an interface of this router"),
        ("ping 192.0.2.1 from fe80::1", "29: 'from' needs an address of the family of 192.0.2.1, not fe80::1"),
        ("ping fe80::1", "14: fe80::1 is on every interface: 'ping' needs 'from INTERFACE' with it"),
        ("tcp 192.0.2.1", "22: 'tcp' needs a number from 1 to 65535"),
        ("tcp 192.0.2.1 0", "23: 'tcp' needs a number from 1 to 65535, not '0'"),
        ("http https://192.0.2.1/", "14: https is not supported: use http or a script"),
        ("http http://example.org/", "14: the host must be an address or localhost: a name would need a look-up"),
        ("http http://192.0.2.1/ status 99", "39: 'status' needs a number from 100 to 599, not '99'"),
        ("dns 192.0.2.53", "23: 'dns' needs a server and the name to ask for"),
        ("dns 192.0.2.53 a..b", "24: a label of the domain name is empty: expected one dot between two labels"),
        (
            "dns 192.0.2.53 a type SRV",
            "31: 'type' needs 'A', 'NS', 'CNAME', 'SOA', 'PTR', 'MX', 'TXT' or 'AAAA', not 'SRV'",
        ),
        ("dns fe80::1 a", "13: fe80::1 is on every interface: 'dns' needs another address of the server"),
    ]);
    let long = format!("http http://192.0.2.1/ contains \"{}\"", "x".repeat(256));
    assert!(check(&long).ends_with("is too long for 'contains': expected at most 255 bytes"), "{}", check(&long));
}

#[test]
fn trackers() {
    each(&[
        ("check web process nginx\ntrack web weight 5", ""),
        ("track web\ncheck web process nginx", ""),
        (
            "check uplink interface wan\ntrack uplnk",
            "3:7: 'track' names no check: there is no 'uplnk', did you mean 'uplink'?",
        ),
        ("track uplink", "2:7: 'track' names no check: there is no 'uplink'; 'check NAME KIND …' declares one"),
        ("track", "2:6: 'track' needs the name of a check"),
        ("check web process nginx", "2:7: warning: nobody tracks check 'web': it runs for nothing"),
        (
            "check web process nginx\ntrack web\ncheck web file /x",
            "4:7: check 'web' is there already, at line 2: names must differ",
        ),
        ("check web process nginx\ntrack web\ntrack web weight 3", "4:7: instance 'a' tracks web twice"),
        (
            "check web process nginx\ntrack web weight -254",
            "3:18: 'weight' needs a number from -253 to 253; 0: a fault when it is down, not '-254'",
        ),
        (
            "priority 255 track x\ncheck x file /x",
            "2:20: warning: instance 'a' has priority 255, which no weight changes: x has no effect",
        ),
        ("priority 255 track x weight 0\ncheck x file /x", ""),
        ("defaults track web", "2:10: 'track' has no default: expected in an instance"),
        // What is wrong with a check is said once, and not that nobody knows it.
        ("track web\ncheck web ping x", "3:16: 'ping' needs the IPv4 or IPv6 address of a host, not 'x'"),
        ("track web\ncheck web\0", "3:10: NUL byte: expected text"),
    ]);
}

#[test]
fn sync_groups() {
    // A second instance besides.
    let with = |text: &str| instance(&format!("instance b on eth1 vrid 2 address 192.0.2.2/24\n{text}"));
    for (text, expected) in [
        ("group g a b", ""),
        ("group g a b weights off track-interface wan weight -5 notify /x", ""),
        ("group g a b\n weights off\n notify-stop /x\n track-interface wan", ""),
        ("group", "3:6: 'group' needs a name"),
        ("group g", "3:8: 'group' needs the names of its instances behind its own"),
        ("group g a", "3:7: warning: group 'g' has one instance: a group makes several move together"),
        ("group g a c", "3:11: group 'g' names no instance: there is no 'c'"),
        (
            "instance gateway on eth2 vrid 3 address 192.0.2.3\ngroup g a gatway",
            "4:11: group 'g' names no instance: there is no 'gatway', did you mean 'gateway'?",
        ),
        ("group g a b a", "3:13: group 'g' has instance 'a' twice"),
        (
            "group g a b\ngroup h b a",
            "4:9: instance 'b' is in group 'g' too, at line 3: expected in one at most\n4:11: instance 'a' is in group 'g' too, at line 3: expected in one at most",
        ),
        (
            "instance c on eth2 vrid 3 address 192.0.2.3\ninstance d on eth2 vrid 4 address 192.0.2.4\ngroup g a b\ngroup g c d",
            "6:7: group 'g' is there already, at line 5: names must differ",
        ),
        ("group g a b priority 5", "3:13: 'priority' does not apply to a group: expected in an instance"),
        ("weights off", "3:1: 'weights' does not apply to an instance: expected in a group"),
        ("defaults weights off", "3:10: 'weights' has no default: expected in a group"),
        ("group g a b weights", "3:20: 'weights' needs 'on', 'own' or 'off'"),
        ("group g a b weights on weights on", "3:24: 'weights' given twice, first at line 3"),
        ("group g a b track-interface wan track-interface wan", "3:49: group 'g' tracks wan twice"),
        ("group g a b\ntrack x", "4:7: 'track' names no check: there is no 'x'; 'check NAME KIND …' declares one"),
        // The properties behind a line that is none do not fall to what is before it.
        (
            "group \"g a b\n weights off\n notify /x",
            "3:7: quote never closed: expected '\"' before the end of the line",
        ),
        ("advert 2s group g a b", "3:11: 'group' in the middle of a line: expected on a line of its own"),
    ] {
        assert_eq!(with(text), expected, "for: {text}");
    }
    let pair = |a: &str, b: &str| {
        read(format!(
            "instance a on e vrid 1 address 192.0.2.1 {a}\ninstance b on e vrid 2 address 192.0.2.2 {b}\ngroup g a b"
        ))
        .1
    };
    assert_eq!(pair("priority 7 advert 2s preempt off", "priority 7 advert 2s preempt off"), "");
    let slowest = "they move together, as slowly as the slowest";
    assert_eq!(
        pair("priority 7 advert 2s preempt off", ""),
        format!(
            "f:3:7: warning: the instances of group 'g' differ in 'priority': {slowest}\n\
             f:3:7: warning: the instances of group 'g' differ in 'advert': {slowest}\n\
             f:3:7: warning: the instances of group 'g' differ in 'preempt': {slowest}\n"
        )
    );
    assert_eq!(
        pair("priority 9", "priority 255"),
        "f:3:7: warning: group 'g' joins 'b', an address owner (priority 255), and 'a', which is none: \
         the owner waits for it and may yield with it\n"
    );
}

#[test]
fn statements() {
    each(&[
        ("max-children 0", "2:14: 'max-children' needs a number from 1 to 32, not '0'"),
        ("max-children 33", "2:14: 'max-children' needs a number from 1 to 32, not '33'"),
        ("notify-timeout 999ms", "2:16: 'notify-timeout' needs a duration from 1s to 1440m, such as 60s, not '999ms'"),
        ("notify-fifo fifo", "2:13: 'notify-fifo' needs a path that begins with '/', not 'fifo'"),
        ("hotplug", "2:8: 'hotplug' needs 'off' or hotplug types, such as 'keepalived'"),
        ("hotplug keepalived vrrp", ""),
        ("hotplug off", ""),
        ("hotplug off vrrp", "2:13: unexpected 'vrrp' behind 'hotplug': expected the end of the line"),
        ("hotplug vrrp off", "2:14: 'hotplug' needs 'off' or hotplug types, such as 'keepalived', not 'off'"),
        ("hotplug ../x", "2:9: 'hotplug' needs 'off' or hotplug types, such as 'keepalived', not '../x'"),
        ("hotplug a a", "2:11: 'hotplug' names 'a' twice"),
        ("startup", "2:8: 'startup' needs a command, such as \"/etc/picovrrp/notify\""),
        ("shutdown /x timeout 0", "2:21: 'timeout' needs a duration from 1s to 1440m, such as 10s, not '0'"),
        ("startup /x timeout 5s timeout 6s", "2:23: 'timeout' given twice"),
        ("startup /x\nstartup /y", "3:1: 'startup' given twice, first at line 2"),
    ]);
}

#[test]
fn limits() {
    let raise = |name: &str| format!("({name}): a build with PICOVRRP_{name}=N in the environment raises the limit\n");
    let head = "instance a on eth0 vrid 1 address 10.0.0.1\n";
    let checks: String = (0..MAX_CHECKS + 3).map(|i| format!("check c{i} process p\n")).collect();
    let line = MAX_CHECKS + 2;
    let expected = format!("f:{line}:7: more than {MAX_CHECKS} checks {}", raise("MAX_CHECKS"));
    assert_eq!(read(format!("{head}{checks}")).1, expected);
    // Whoever tracks one for which there was no room is not to blame.
    assert_eq!(
        read(format!("{head}track c{}\n{checks}", MAX_CHECKS + 2)).1,
        expected.replace(&format!("f:{line}:"), &format!("f:{}:", line + 1))
    );

    let groups: String = (0..MAX_GROUPS + 3).map(|i| format!("group g{i} a\n")).collect();
    let said = read(format!("{head}{groups}")).1;
    let expected = format!("f:{}:7: more than {MAX_GROUPS} groups {}", MAX_GROUPS + 2, raise("MAX_GROUPS"));
    assert_eq!(said.matches(&expected).count(), 1, "{said}");

    // As many interfaces as there may be, in two instances.
    let tracks = |n: usize| (0..n).map(|i| format!("track-interface t{}\n", i % 30)).collect::<String>();
    let mut text = String::new();
    let mut left = MAX_TRACKS;
    let mut n = 0;
    while left > 0 {
        n += 1;
        text += &format!("instance i{n} on eth0 vrid {n} address 10.0.0.{n}\n{}", tracks(left.min(30)));
        left -= left.min(30);
    }
    assert_eq!(read(&text).1, "");
    text += "group g i1 i2\ntrack-interface eth0\ntrack-interface eth1\n";
    let line = text.lines().count() - 1;
    let expected =
        format!("f:{line}:17: more than {MAX_TRACKS} trackers in all instances and groups {}", raise("MAX_TRACKS"));
    assert_eq!(read(&text).1, expected);
}
