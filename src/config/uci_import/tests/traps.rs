//! What made trouble before: OpenWrt's users' complaints, and what its front end wrote.

use super::*;

/// A flag that says no is off; what the original would have made of it is said once.
#[test]
fn flags_can_be_turned_off() {
    for off in ["0", "off", "false", "no", "disabled"] {
        let (printed, said) = instance(&format!("option nopreempt '{off}'\noption use_vmac '{off}'"), "");
        assert_eq!(printed, "");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("is off, as it says; keepalived's init script takes any value as on"), "{said}");
    }
    for on in ["1", "on", "true", "yes", "enabled"] {
        assert_eq!(instance(&format!("option nopreempt '{on}'"), ""), ("  preempt off\n".into(), "".into()));
    }
    let (printed, said) = instance("option nopreempt 'maybe'", "");
    assert_eq!(printed, "  preempt off\n");
    assert!(said.contains("'nopreempt' is '1' or '0': 'maybe' is taken as on"), "{said}");
}

const SCRIPTS: &str = "config vrrp_script\n option name one\n option script /bin/one\n option weight 7\n\
    config vrrp_script\n option name two\n option script /bin/two\n\
    config track_script\n option name t1\n option value one\n option weight -20\n option direction reverse\n\
    config track_script\n option name t2\n option value two\n\
    config track_script\n option name t3\n option value one\n option direction reverse\n\
    config track_script\n option name t4\n option value tow\n\
    config track_script\n option name t5";

/// `track_script` tracks what it names, not every script; by the older section or without it.
#[test]
fn scripts_by_name() {
    for (more, tracks, said) in [
        ("list track_script one", "  track one weight 7\n", "nobody tracks check 'two'"),
        ("list track_script one\nlist track_script two", "  track one weight 7\n  track two\n", ""),
        ("option track_script 'two one'", "  track two\n  track one weight 7\n", ""),
        ("list track_script t1\nlist track_script two", "  track one weight -20 reverse\n  track two\n", ""),
        ("list track_script 't2 one'", "  track two\n  track one weight 7\n", ""),
        // A direction goes with a weight.
        ("list track_script 't3 two'", "  track one weight 7\n  track two\n", ""),
        (
            "list track_script 'one two t4'",
            "  track one weight 7\n  track two\n",
            "'value' names no 'vrrp_script': there is no 'tow', did you mean 'two'?",
        ),
        (
            "list track_script 'one two t5'",
            "  track one weight 7\n  track two\n",
            "'track_script' without 'option value'",
        ),
    ] {
        let (printed, reported) = instance(more, SCRIPTS);
        assert_eq!(
            printed,
            format!(
                "script-user root\n\ncheck one script /bin/one every 1s\ncheck two script /bin/two every 1s\n\n{tracks}"
            ),
            "{more}"
        );
        assert_eq!(reported.is_empty(), said.is_empty(), "{reported}");
        assert!(reported.contains(said) && reported.lines().count() <= 1, "{reported}");
    }
}

/// Peers by name or by address, also with a mask, which is no peer's.
#[test]
fn peers_by_name_and_address() {
    let (printed, said) = instance(
        "option unicast_src_ip 192.0.2.2\nlist unicast_peer 'b 192.0.2.4'\nlist unicast_peer 192.0.2.5/24",
        "config peer\n option name b\n option address 192.0.2.3\n option max_ttl 9\n option sync 0",
    );
    assert_eq!(
        printed,
        "  unicast 192.0.2.2\n  peer 192.0.2.3 min-ttl 0 max-ttl 9\n  peer 192.0.2.4\n  peer 192.0.2.5\n"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("peer '192.0.2.5/24' is one router: its prefix length is left out"), "{said}");
}

/// The older type of the first section.
#[test]
fn global_defs() {
    let printed = good(
        "config global_defs\n option router_id r\n option hotplug off\n\
         config ipaddress\n option name a\n option address 10.0.0.1/8\n\
         config vrrp_instance\n option name i\n option interface e\n option virtual_router_id 1\n list virtual_ipaddress a\n",
    );
    assert!(printed.starts_with("router-id r\n\ninstance i"), "{printed}");
}

/// LuCI's `fail`.
#[test]
fn fail_for_fall() {
    let script = "config vrrp_script\n option name s\n option script /bin/s\n option fail 4";
    let (printed, said) = instance("list track_script s", script);
    assert!(printed.contains("check s script /bin/s every 1s fall 4\n"), "{printed}");
    assert!(said.contains("'fail' is no option of keepalived: taken as 'fall'"), "{said}");
    let (printed, said) = instance("list track_script s", &format!("{script}\n option fall 2"));
    assert!(printed.contains("check s script /bin/s every 1s fall 2\n"), "{printed}");
    assert!(said.contains("'fall' counts"), "{said}");
}

/// A label is as long as the kernel has room for; the address is there in any case.
#[test]
fn labels() {
    for (device, suffix, ip, address, said) in [
        ("eth1", "", "10.0.0.1/8", "10.0.0.1/8 dev eth1 label eth1:vip", ""),
        ("eth1", "option label_suffix 1", "10.0.0.1/8", "10.0.0.1/8 dev eth1 label eth1:1", ""),
        ("br-lan.1000", "", "10.0.0.1/8", "10.0.0.1/8 dev br-lan.1000 label br-lan.1000:vip", ""),
        (
            "br-lan.10000",
            "",
            "10.0.0.1/8",
            "10.0.0.1/8 dev br-lan.10000 label br-lan.10000:vi",
            "label 'br-lan.10000:vip' is longer than 15 characters: shortened to 'br-lan.10000:vi'",
        ),
        (
            "averylongname14",
            "",
            "10.0.0.1/8",
            "10.0.0.1/8 dev averylongname14",
            "longer than 15 characters: the address has none",
        ),
        ("eth1", "", "fe80::7/64", "fe80::7/64 dev eth1", ""),
        (
            "eth1",
            "option label_suffix x",
            "fe80::7/64",
            "fe80::7/64 dev eth1",
            "'label_suffix' has no effect: an IPv6 address has no label",
        ),
        // The instance's own interface need not be named, but gives a label.
        ("eth0", "", "10.0.0.1/8", "10.0.0.1/8 label eth0:vip", ""),
    ] {
        let section =
            format!("config ipaddress\n option name b\n option address {ip}\n option device {device}\n {suffix}");
        let (printed, reported) = instance("list virtual_ipaddress b", &section);
        assert_eq!(printed, format!("  address {address}\n"), "{device} {suffix}");
        assert_eq!(reported.is_empty(), said.is_empty(), "{reported}");
        assert!(reported.contains(said), "{reported}");
    }
}

/// A scope goes with a device, as it does for the original; one that nobody knows is none.
#[test]
fn scopes() {
    for (options, address, said) in [
        ("option device eth1\n option scope link", "10.0.0.1/8 dev eth1 scope link label eth1:vip", ""),
        ("option device eth1\n option scope 200", "10.0.0.1/8 dev eth1 scope site label eth1:vip", ""),
        ("option device eth1\n option scope nowhere", "10.0.0.1/8 dev eth1 label eth1:vip", "scope 'nowhere' is not"),
        ("option scope link", "10.0.0.1/8", "'scope' without 'device' has no effect"),
        ("option label_suffix x", "10.0.0.1/8", "'label_suffix' without 'device' has no effect"),
    ] {
        let section = format!("config ipaddress\n option name b\n option address 10.0.0.1/8\n {options}");
        let (printed, reported) = instance("list virtual_ipaddress b", &section);
        assert_eq!(printed, format!("  address {address}\n"), "{options}");
        assert!(reported.contains(said) && reported.is_empty() == said.is_empty(), "{reported}");
    }
}

/// Networks by their logical names, wherever an interface may stand.
#[test]
fn logical_networks() {
    let text = "config globals g\n option hotplug off\n\
        config ipaddress\n option name a\n option address 10.0.0.1/8\n option device lan\n\
        config track_interface\n option name t\n option value wan\n option weight -20\n\
        config vrrp_instance\n option name i\n option interface lan\n option virtual_router_id 1\n\
        list virtual_ipaddress a\n list track_interface t\n";
    let got = import_text(text);
    assert_eq!(
        got.printed,
        "instance i on br-lan vrid 1 priority 100\n  version 2\n  address 10.0.0.1/8 label br-lan:vip\n  track-interface eth1 weight -20\n"
    );
    for (line, name, device) in [(6, "lan", "br-lan"), (9, "wan", "eth1"), (13, "lan", "br-lan")] {
        let said = format!("'{name}' is a network of network: taken as its device {device}\n");
        assert!(
            got.said.lines().any(|l| l.starts_with(&format!("f:{line}:"))
                && said.ends_with(&format!("{device}\n"))
                && l.contains(said.trim_end())),
            "{}",
            got.said
        );
    }
    // Without the file the names are those of devices.
    let got = import_as(text.as_bytes(), Mode::Strict, "");
    assert_eq!((got.printed.contains("on lan vrid"), got.said.as_str()), (true, ""));
    // What is wrong in that file is said where it matters, once.
    let got = import_as(text.as_bytes(), Mode::Strict, "nonsense\nconfig interface lan\n option device 'x/y'\n");
    assert_eq!(
        got.said.matches("names of networks may be missing: network is wrong at line 1: invalid command").count(),
        1
    );
    assert!(got.said.contains("f:6:16: 'device' needs the name of a network interface"), "{}", got.said);
}

/// Hooks that the original never called are called, which is said once.
#[test]
fn hooks() {
    let (printed, said) = instance("option notify_master '/bin/m'\noption notify_backup '/bin/b x'", "");
    assert_eq!(printed, "script-user root\n\n  notify-master /bin/m\n  notify-backup \"/bin/b x\"\n");
    assert_eq!(said.lines().count(), 1);
    assert!(said.contains("'notify_master' is called, as it says; keepalived's init script never called it"), "{said}");
    let (_, said) = instance("option notify_master '/bin/sh -c \"a b\"'", "");
    assert!(said.contains("'notify_master' is split at blanks, whatever quotes are in it"), "{said}");
}

/// Groups keep the instances that are there.
#[test]
fn groups() {
    let (printed, said) = instance(
        "",
        "config vrrp_sync_group\n option name g\n list group 'gw wg'\n option smtp_alert 1\n option global_tracking 1\n\
         config vrrp_sync_group\n option name h\n list group x\nconfig vrrp_sync_group\n list group gw",
    );
    assert_eq!(printed, "\ngroup g gw\n  weights off\n");
    for wanted in [
        "'group' names no 'vrrp_instance': there is no 'wg'",
        "'group' names no 'vrrp_instance': there is no 'x'",
        "no instance is left in vrrp_sync_group 'h': the group is left out",
        "'vrrp_sync_group' without 'option name': the section is left out",
        "'smtp_alert' is not supported",
        "'global_tracking' is not supported",
    ] {
        assert_eq!(said.matches(wanted).count(), 1, "{wanted} in:\n{said}");
    }
}
