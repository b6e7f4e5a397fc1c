use super::*;

/// Errors with their places, several at once.
#[test]
fn places() {
    let got = import_text(
        "config vrrp_instance\n\toption name 'a'\n\toption interface 'eth0'\n\toption virtual_router_id '256'\n\
         \toption priority 'high'\n\toption advert_int '0'\n\toption version '4'\n\tlist virtual_ipaddress 'x'\n\
         config ipaddress\n\toption name 'x'\n\toption address '192.0.2.1/33'\nfoo\n\
         config vrrp_instance\n\toption name 'b'\n\toption preempt_delay '-1'\n\toption garp_master_repeat '0'\n\
         \toption state 'IDLE'\n\toption unicast_src_ip '224.0.0.1'\n\toption auth_type 'X'\n\toption auth_pass 'y'\n",
    );
    let expected = "\
f:4:27: 'virtual_router_id' needs a number from 1 to 255, not '256'
f:5:18: 'priority' needs a number from 1 to 255, not 'high'
f:7:17: 'version' needs '2' or '3', not '4'
f:11:17: '192.0.2.1/33' has a wrong prefix length: expected /1 to /32
f:12:1: invalid command: expected 'config TYPE [NAME]', 'option NAME VALUE' or 'list NAME VALUE'
f:14:14: vrrp_instance 'b' has no address: expected 'virtual_ipaddress' with names of 'ipaddress' sections
f:14:14: vrrp_instance 'b' has no 'interface'
f:14:14: vrrp_instance 'b' has no 'virtual_router_id'
f:15:23: 'preempt_delay' needs seconds, from 0 to 1000, not '-1'
f:16:28: 'garp_master_repeat' needs a number from 1 to 255, not '0'
f:17:15: 'state' needs 'BACKUP' or 'MASTER', not 'IDLE'
f:18:24: 'unicast_src_ip' needs the IPv4 or IPv6 address of a host, not '224.0.0.1'
f:19:19: 'auth_type' needs 'PASS', not 'X'
";
    let mut got: Vec<&str> = got.said.lines().collect();
    let mut expected: Vec<&str> = expected.lines().collect();
    got.sort_unstable();
    expected.sort_unstable();
    assert_eq!(got, expected);
}

#[test]
fn kinds() {
    for (text, expected) in [
        ("", "f:1:1: no instance: expected at least one 'config vrrp_instance' with a name"),
        ("config vrrp_instance\n", "f:1:8: warning: 'vrrp_instance' without 'option name': the section is left out"),
        (
            "config peer x\nconfig route x\n",
            "section of different type overwrites prior section with same name 'x', a 'peer' at line 1",
        ),
        ("config vrrp_instance\n option name 'a\tb\nc'\n", "f:2:14: a control character or a line's end in 'name'"),
        ("config vrrp_instance\n option name '\x7f'\n", "f:2:14: a control character or a line's end in 'name'"),
        ("config check\n option name c\n", "f:1:8: 'check' without 'option kind'"),
        ("config check\n option name c\n option kind pong\n", "f:3:14: 'kind' needs 'script' or 'process' or"),
        (
            "config check\n option name c\n option kind ping\n option args x\n",
            "f:4:14: 'ping' needs the IPv4 or IPv6 address of a host, not 'x'",
        ),
        (
            "config check\n option name c\n option kind ping\n",
            "f:3:14: 'ping' needs the IPv4 or IPv6 address of a host",
        ),
        (
            "config check\n option name c\n option kind tcp\n option args '1.2.3.4 80 \"x'\n",
            "f:4:14: quote never closed",
        ),
        (
            "config check\n option name c\n option kind ping\n option args 1.2.3.4\n option user x\n",
            "'user' is for the kind 'script' only",
        ),
        (
            "config track_file\n option name c\n option file x\n",
            "f:3:14: 'file' needs a path that begins with '/', not 'x'",
        ),
        ("config track_file\n option name c\n", "'track_file' without 'option file'"),
        ("config track_process\n option name c\n", "'track_process' without 'option process'"),
        (
            "config track_process\n option name c\n option process x\n option quorum 3\n option quorum_max 2\n",
            "f:5:20: 'min' is 3 and 'max' 2",
        ),
        ("config vrrp_script\n option name c\n", "'vrrp_script' without 'option script'"),
        (
            "config vrrp_script\n option name c\n option script /x\n option weight 300\n",
            "f:4:16: 'weight' needs a number from -253 to 253, not '300'",
        ),
        (
            "config vrrp_script\n option name c\n option script /x\n option interval 0\n",
            "f:4:18: 'interval' needs seconds",
        ),
        (
            "config globals\n option vrrp_mcast_group6 f02::12\n",
            "f:2:27: 'vrrp_mcast_group6' needs an IPv6 multicast address",
        ),
        ("config globals\n option hotplug 'a/b'\n", "f:2:17: 'hotplug' needs 'off' or hotplug types"),
        ("config globals globals\n option enabled maybe\n", "f:2:17: 'enabled' needs '1' or '0', not 'maybe'"),
        ("config globals globals\n option router_id '\u{e9}\u{1}'\n", "f:2:19: a control character"),
    ] {
        let said = import_text(text).said;
        assert!(said.contains(expected), "{text:?}: {said}");
    }
    // Bytes that are no text.
    let got = import_as(b"config peer\n option name '\xff'\n", Mode::Strict, "");
    assert!(got.said.contains("f:2:14: 'name' is not UTF-8"), "{}", got.said);
}

/// A peer without our own address, and twins.
#[test]
fn instances() {
    let (_, said) = instance("list unicast_peer 192.0.2.3", "");
    assert!(
        said.contains("f:11:19: 'unicast_peer' without 'unicast_src_ip': expected this router's own address"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let (_, said) = instance(
        "",
        "config vrrp_instance\n option name gw\n option interface e\n option virtual_router_id 2\n list virtual_ipaddress a",
    );
    assert!(said.contains("instance 'gw' is there already, at line 7: names must differ"), "{said}");
}

/// Lenient mode makes of grammar's errors what OpenWrt makes of them, and of no others.
#[test]
fn lenient() {
    let text = "config ipaddress\n option name a\n option address 10.0.0.1/8 x\nnonsense\nconfig vrrp_instance\n option name i\n\
        option interface e\n option virtual_router_id 1\n list virtual_ipaddress a\nconfig peer i\nconfig route i\n option name x\n";
    let got = import_as(text.as_bytes(), Mode::Lenient, "");
    assert_eq!(got.errors, 0, "{}", got.said);
    assert!(got.printed.contains("address 10.0.0.1/8"));
    assert_eq!(got.said.matches("warning: ").count(), 3, "{}", got.said);
    // Without the address that was dropped the instance has none.
    assert_eq!(import_as(text.as_bytes(), Mode::Strict, "").errors, 4);
}

/// More than can be kept is an error, said once.
#[test]
fn too_much() {
    let mut text = String::new();
    for i in 0..3000 {
        text += &format!("config ipaddress\n option name 'address{i}'\n option address '10.0.0.1/24'\n");
    }
    let got = import_text(&text);
    assert_eq!(got.said.matches("more sections and options than are kept").count(), 1, "{}", got.said);
}
