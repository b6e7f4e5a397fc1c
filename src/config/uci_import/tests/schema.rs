use super::*;

/// Every option of the schema, at once, with keepalived's defaults written out.
#[test]
fn everything() {
    let text = "
config globals 'globals'
	option enabled '1'
	option router_id 'r1'
	option vrrp_mcast_group4 '224.0.0.18'
	option vrrp_mcast_group6 'ff02::1212'
	option vrrp_startup_delay '5'
	option linkbeat_use_polling '1'

config ipaddress
	option name 'lan_vip'
	option address '192.168.1.1/24'

config ipaddress
	option name 'guest_vip'
	option address '10.10.0.1/24'
	option device 'br-guest'
	option label_suffix 'v'
	option scope 'global'

config ipaddress
	option name 'six'
	option address 'fe80::1/64'
	option device 'br-lan'

config ipaddress
	option name 'loose'
	option address '203.0.113.7'

config vrrp_script
	option name 'uplink'
	option script '/usr/bin/uplink -q'
	option interval '2'
	option timeout '1'
	option fall '3'
	option rise '2'
	option weight '-60'

config vrrp_script
	option name 'plain'
	option script '/bin/true'
	option weight '5'
	option direction 'reverse'

config track_interface
	option name 'uplinkif'
	option value 'eth1'
	option weight '-30'

config peer
	option name 'b'
	option address '192.168.1.3'

config peer
	option name 'far'
	option address '198.51.100.3'
	option min_ttl '250'

config vrrp_instance
	option name 'lan'
	option interface 'br-lan'
	option virtual_router_id '51'
	option priority '150'
	option state 'BACKUP'
	option advert_int '2'
	option nopreempt '1'
	option auth_type 'PASS'
	option auth_pass 's3cret'
	option debug '2'
	option accept '1'
	option garp_master_delay '1'
	option garp_master_repeat '3'
	option garp_master_refresh '60'
	option garp_master_refresh_repeat '2'
	list virtual_ipaddress 'lan_vip'
	list virtual_ipaddress 'guest_vip'
	list virtual_ipaddress_excluded 'loose'
	list track_script 'uplink'
	list track_script 'plain'
	list track_interface 'uplinkif'

config vrrp_instance
	option name 'lan6'
	option interface 'br-lan'
	option virtual_router_id '51'
	option preempt_delay '30'
	list virtual_ipaddress 'six'

config vrrp_instance
	option name 'uni'
	option interface 'eth1'
	option virtual_router_id '7'
	option version '3'
	option advert_int '0.5'
	option unicast_src_ip '192.168.1.2'
	option virtual_ipaddress 'loose'
	option unicast_peer 'b far'

config vrrp_sync_group
	option name 'gateway'
	list group 'lan'
	list group 'lan6'
	list track_script 'uplink'
";
    let got = import_text(text);
    let expected = "\
router-id r1
startup-delay 5s
script-user root
hotplug keepalived

check uplink script \"/usr/bin/uplink -q\" every 2s timeout 1s fall 3 rise 2
check plain script /bin/true every 1s

instance lan on br-lan vrid 51 priority 150
  version 2
  advert 2s
  preempt off
  auth pass s3cret
  garp delay 1s repeat 3 refresh 1m refresh-repeat 2
  address 192.168.1.1/24
  address 10.10.0.1/24 dev br-guest scope global label br-guest:v
  address 203.0.113.7/32 excluded
  track uplink weight -60
  track plain weight 5 reverse
  track-interface eth1 weight -30

instance lan6 on br-lan vrid 51 priority 100
  preempt after 30s
  group6 ff02::1212
  address fe80::1/64

instance uni on eth1 vrid 7 priority 100
  advert 50cs
  checksum pseudo
  unicast 192.168.1.2
  peer 192.168.1.3
  peer 198.51.100.3 min-ttl 250
  address 203.0.113.7/32

group gateway lan lan6
  weights off
  track uplink weight -60
";
    assert_eq!(got.printed, expected);
    // The group's instances differ, which is for its reader to know.
    for said in got.said.lines() {
        let odd = ["the instances of group 'gateway' differ", "in group 'gateway' with 'weights off': "];
        assert!(odd.iter().any(|odd| said.contains(odd)), "{said}");
    }
    assert_eq!(got.errors, 0);
}

/// Our own additions.
#[test]
fn additions() {
    let sections = "
config check
	option name 'gate'
	option kind 'ping'
	option args '203.0.113.1 from eth1'
	option interval '500ms'
	option timeout '0.2'
	option fall '3'
	option rise '2'
	option initial 'up'
	option weight '-60'
config check
	option name 'page'
	option kind 'http'
	list args 'http://192.0.2.9/health'
	list args 'status 200 contains \"all good\"'
config check
	option name 'cmd'
	option kind 'script'
	option args '/usr/bin/ok -q'
	option user 'nobody'
config track_file
	option name 'prio'
	option file '/etc/prio'
config vrrp_track_file
	option name 'trigger'
	option file '/etc/trigger'
	option weight '0'
config track_process
	option name 'web'
	option process 'nginx'
	option quorum '2'
	option quorum_max '9'
	option delay '1'
	option weight '10'
config track_process
	option name 'dns'
	option process '/usr/sbin/dnsmasq -k  -x 1'
	option full_command '1'
	option connector '0'
config vrrp_sync_group
	option name 'both'
	list group 'gw'
	list group 'gw'
	list track_check 'page:20:reverse'
";
    let text = format!(
        "config globals 'globals'\n list hotplug 'keepalived'\n list hotplug 'ha'\n\
         config ipaddress\n option name a\n option address 192.0.2.1/24\n\
         config vrrp_instance\n option name gw\n option interface eth0\n option virtual_router_id 51\n\
         list virtual_ipaddress a\n list track_check 'gate page:-20'\n list track_check cmd\n list track_file 'prio'\n\
         list track_file trigger\n list track_process 'web:-5:reverse'\n list track_process 'dns'\n option checksum plain\n\
         option version 3\n{}",
        sections.replace("list group 'gw'\n\tlist group 'gw'", "list group 'gw'")
    );
    let got = import_text(&text);
    assert_eq!(
        got.printed,
        "\
script-user root
hotplug keepalived ha

check gate ping 203.0.113.1 from eth1 every 50cs timeout 20cs fall 3 rise 2 initial up
check page http http://192.0.2.9/health status 200 contains \"all good\"
check cmd script \"/usr/bin/ok -q\" user nobody
check prio file /etc/prio
check trigger file /etc/trigger
check web process nginx min 2 max 9 delay 1s connector every 1s
check dns process /usr/sbin/dnsmasq full-command params \"-k  -x 1\" every 1s

instance gw on eth0 vrid 51 priority 100
  address 192.0.2.1/24
  track gate weight -60
  track page weight -20
  track cmd
  track prio
  track trigger weight 0
  track web weight -5 reverse
  track dns

group both gw
  weights off
  track page weight 20 reverse
"
    );
    let odd = ["has one instance", "in group 'both' with 'weights off': "];
    assert!(got.said.lines().all(|l| odd.iter().any(|odd| l.contains(odd))), "{}", got.said);
}

/// What an instance's options become; `said` is what is reported, without its place.
#[test]
fn options() {
    for (more, printed, said) in [
        ("option state 'MASTER'", "  start master\n", ""),
        ("option state 'backup'", "", ""),
        ("option advert_int '1.6'", "  advert 2s\n", "'advert_int' 1.6 is rounded"),
        ("option advert_int '0.2'", "", "'advert_int' 0.2 is rounded"),
        ("option advert_int '255'", "  advert 255s\n", ""),
        ("option preempt_delay '0'", "", ""),
        ("option preempt_delay '1.5'", "  preempt after 150cs\n", ""),
        ("option nopreempt '1'\noption preempt_delay '5'", "  preempt off\n", "'preempt_delay' has no effect"),
        ("option mcast_src_ip '192.0.2.7'", "  source 192.0.2.7\n", ""),
        ("option unicast_src_ip '192.0.2.7'", "  source 192.0.2.7\n", ""),
        (
            "option mcast_src_ip '192.0.2.7'\nlist unicast_peer '192.0.2.8'",
            "  unicast 192.0.2.7\n  peer 192.0.2.8\n",
            "",
        ),
        ("option auth_type 'PASS'", "", "'auth_type' and 'auth_pass' count together only"),
        ("option auth_pass 'x'", "", "'auth_type' and 'auth_pass' count together only"),
        ("option auth_type 'AH'\noption auth_pass 'x'", "", "'auth_type AH' is not supported"),
        ("option auth_type 'PASS'\noption auth_pass '123456789'", "  auth pass 12345678\n", "only those count"),
        ("option native_ipv6 '0'", "", "'native_ipv6' is off, as it says"),
        ("option use_vmac '1'", "  vmac vrrp.51\n", ""),
        ("option use_vmac '1'\noption vmac_xmit_base '1'", "  vmac vrrp.51\n  vmac-base on\n", ""),
        ("option vmac_xmit_base '1'", "", ""),
        ("option no_accept '1'", "  accept off\n", ""),
        ("option accept '1'", "", ""),
        ("option dont_track_primary '0'", "", "'dont_track_primary' is off, as it says"),
        ("option smtp_alert '1'", "", "'smtp_alert' is not supported: no mail"),
        ("option lvs_sync_daemon_interface 'eth0'", "", "'lvs_sync_daemon_interface' is not supported"),
        ("option prioritty '7'", "", "unknown option 'prioritty' of 'vrrp_instance', did you mean 'priority'?"),
        ("option zzz '7'", "", "unknown option 'zzz' of 'vrrp_instance': it is left out"),
        ("list virtual_ipaddress 'b'", "", "'virtual_ipaddress' names no 'ipaddress': there is no 'b'"),
        ("list track_script 'b'", "", "'track_script' names no 'vrrp_script': there is no 'b'"),
        ("list track_interface 'b'", "", "'track_interface' names no 'track_interface': there is no 'b'"),
        ("list track_bfd 'b'", "", "'track_bfd' names no 'bfd_instance': there is no 'b'"),
        ("list virtual_routes 'b'", "", "'virtual_routes' names no 'route': there is no 'b'"),
        ("list unicast_peer 'b'", "", "'unicast_peer' names no 'peer': there is no 'b'"),
        ("list track_check 'b:20'", "", "'track_check' names no 'check': there is no 'b'"),
        ("option notify '/bin/n a'", "  notify \"/bin/n a\"\n", "'notify' is called, as it says"),
        ("option notify_stop '/bin/n'", "  notify-stop /bin/n\n", "'notify_stop' is called, as it says"),
        // A later value replaces an earlier one, an empty one does not; a list adds.
        ("option preempt_delay 7\noption preempt_delay 8\noption preempt_delay ''", "  preempt after 8s\n", ""),
    ] {
        let (got, reported) = instance(more, "");
        assert_eq!(got.trim_start_matches("script-user root\n\n"), printed, "{more}\n{reported}");
        assert_eq!(reported.contains("warning: "), !said.is_empty(), "{more}: {reported}");
        assert!(reported.lines().count() <= 1 && reported.contains(said), "{more}: {reported}");
    }
}

/// IPv6 is version 3 whatever the file says; what goes by multicast has no use for a group of the other family.
#[test]
fn ipv6() {
    let text = |more: &str| {
        format!(
            "config globals g\n option hotplug off\n option vrrp_mcast_group4 224.0.0.99\nconfig ipaddress\n option name a\n\
             option address fe80::1/64\nconfig vrrp_instance\n option name i\n option interface e\n\
             option virtual_router_id 1\n list virtual_ipaddress a\n{more}\n"
        )
    };
    let printed = "instance i on e vrid 1 priority 100\n  address fe80::1/64\n";
    assert_eq!(good(&text("")), printed);
    assert_eq!(good(&text("option native_ipv6 1")), printed);
    let got = import_text(&text("option version 2"));
    assert_eq!(got.printed, printed);
    assert!(got.said.contains("version 2 cannot carry IPv6"), "{}", got.said);
}

/// keepalived's adverts name twenty addresses.
#[test]
fn twenty_addresses() {
    let mut text = String::from(
        "config globals g\n option hotplug off\nconfig vrrp_instance\n option name i\n option interface e\n option virtual_router_id 1\n",
    );
    for i in 1..=92 {
        text += &format!(" list virtual_ipaddress a{i}\n");
    }
    for i in 1..=92 {
        text += &format!("config ipaddress\n option name a{i}\n option address fe80::{i:x}/64\n");
    }
    let got = import_text(&text);
    assert_eq!(got.printed.matches("  address ").count(), 92);
    assert_eq!(got.printed.matches(" excluded").count(), 2);
    assert!(got.said.contains("f:97:25: warning: more than 90 addresses: from 'a91' on"), "{}", got.said);
}

/// Routes of an instance, and what is static.
#[test]
fn routes() {
    let printed = good(
        "config globals g\n option hotplug off\nconfig vrrp_instance\n option name i\n option interface e\n option virtual_router_id 1\n\
         list virtual_ipaddress a\n list virtual_routes r\n list virtual_routes 'd b'\n\
         config ipaddress\n option name a\n option address 192.0.2.1/24\n\
         config ipaddress\n option name s\n option address 198.51.100.1/24\n option device e1\n\
         config route\n option name r\n option address 10.0.0.0/8\n option gateway 192.0.2.9\n option src_addr 192.0.2.1\n option table 7\n\
         config route\n option name d\n option address default\n option gateway fe80::9\n option device e1\n option scope global\n\
         config route\n option name b\n option address 203.0.113.0/24\n option blackhole 1\n\
         config route\n option name t\n option address 10.1.0.0/16\n option device e1\n\
         config static_ipaddress\n list address s\nconfig static_routes\n list route t\n",
    );
    for wanted in [
        "static-address 198.51.100.1/24 dev e1",
        "static-route 10.1.0.0/16 dev e1",
        "  route 10.0.0.0/8 via 192.0.2.9 src 192.0.2.1 table 7",
        "  route ::/0 via fe80::9 dev e1",
        "  route 203.0.113.0/24 blackhole",
    ] {
        assert!(printed.contains(wanted), "{wanted} in:\n{printed}");
    }
}

/// What the rest of the file has and the configuration cannot hold is said.
#[test]
fn not_yet() {
    let (printed, said) = instance(
        "",
        "config interface_up_down_delays\n option device eth0\n\
         config bfd_instance\n option name b\n option neighbor_ip 192.0.2.3\n\
         config virtual_server\n option ipaddr 1.2.3.4\nconfig real_server x\n list url u\nconfig url\n\
         config vrrp_instnace\n option name x",
    );
    assert_eq!(printed, "");
    for wanted in [
        "'interface_up_down_delays' without 'device' or 'down_delay'",
        "'bfd_instance' is not supported: nothing is tracked by BFD",
        "'virtual_server' is not supported: LVS",
        "'real_server' is not supported: LVS",
        "'url' is not supported: LVS",
        "unknown section type 'vrrp_instnace', did you mean 'vrrp_instance'?",
    ] {
        assert_eq!(said.matches(wanted).count(), 1, "{wanted} in:\n{said}");
    }
    assert_eq!(said.lines().count(), 6, "{said}");
}

/// Delays of links, by the name of a network or a device, and an instance that does not mind its own.
#[test]
fn delays() {
    let section = |lines: &str| format!("config interface_up_down_delays\n{lines}");
    let (printed, said) = instance(
        "option dont_track_primary '1'",
        &(section(" option device eth0\n option down_delay 1.5\n option up_delay 0.25\n")
            + &section(" option device f\n option down_delay 3\n")
            + &section(" option device g\n option down_delay 0\n")),
    );
    let wanted = "interface-delay eth0 down 150cs up 25cs\ninterface-delay f down 3s\n";
    assert!(printed.contains(wanted) && printed.contains("  track-primary off\n"), "{printed}");
    assert!(said.contains("no instance is on f and nothing tracks it"), "{said}");
    let (printed, said) = instance("", &section(" option device eth0\n option down_delay 9\n option up_delay 9\n"));
    assert!(printed.contains("interface-delay eth0 down 2s up 2s\n"), "{printed}");
    assert!(said.contains("they are shortened to 2s, as keepalived does"), "{said}");
    let (_, said) = instance("", &section(" option device eth0\n option down_delay 256\n"));
    assert!(said.contains("'down_delay' needs seconds from 0 to 255, not '256'"), "{said}");
}

/// A section may go on further below, and be named before it stands in the file.
#[test]
fn merged() {
    let printed = good(
        "config globals g\n option hotplug off\nconfig vrrp_instance 'x'\n option name i\n list virtual_ipaddress a\n option priority 1\n\
         config ipaddress 'y'\n option name wrong\n option address 10.0.0.1/24\n\
         config vrrp_instance x\n option interface e\n list virtual_ipaddress b\n option priority 9\n\
         config ipaddress z\n option name b\n option address 10.0.0.2/24\n\
         config ipaddress y\n option name a\n\
         config vrrp_instance x\n option virtual_router_id 3\n option version 3\n option checksum plain\n",
    );
    assert_eq!(printed, "instance i on e vrid 3 priority 9\n  address 10.0.0.1/24\n  address 10.0.0.2/24\n");
}

/// What the init script of our own package reads is no matter of the configuration, and not mentioned.
#[test]
fn options_of_the_init_script() {
    let text = "config ipaddress\n option name a\n option address 10.0.0.1\nconfig vrrp_instance\n option name i\n\
                option interface e\n option virtual_router_id 3\n list virtual_ipaddress a\n";
    let options = "config globals globals\n option config_file /etc/picovrrp.conf\n option uci_file /etc/config/x\n\
                   option firewall 0\n option realtime 50\n option lock_memory 1\n";
    let (with, without) = (import_text(&format!("{options}{text}")), import_text(text));
    assert_eq!((with.said.as_str(), with.printed), ("", without.printed));
}

/// The commands of hooks are known by their places, so that it is seen whether they can be run.
#[test]
fn hooks_are_noted() {
    let text = "config vrrp_sync_group\n option name g\n list group i\n option notify_fault /fault\n\
                config ipaddress\n option name a\n option address 10.0.0.1\nconfig vrrp_instance\n option name i\n\
                option interface e\n option virtual_router_id 3\n list virtual_ipaddress a\n option notify '/any x'\n";
    let (mut config, mut diag, mut commands) = (Config::default(), Diagnostics::new(), Commands::new());
    let networks = Networks::new();
    let options = Options { mode: Mode::Strict, strict: false, networks: &networks };
    import(&mut text.as_bytes(), &options, &mut config, &mut diag, Some(&mut commands)).unwrap();
    assert_eq!(diag.errors(), 0);
    let mut noted: Vec<_> = commands.list().iter().map(|c| (c.at.line, c.what, config.str(c.command))).collect();
    noted.sort();
    assert_eq!(noted, [(4, "notify_fault", "/fault"), (13, "notify", "/any x")]);
}

#[test]
fn outcomes() {
    let got = import_text("config globals 'globals'\n option enabled 0\n option alt_config_file /etc/ka.conf\n");
    assert_eq!(got.outcome.disabled, Some(Pos::new(2, 17)));
    assert_eq!(got.outcome.alternative.map(|(at, path)| (at.line, path.to_string())), Some((3, "/etc/ka.conf".into())));
    // keepalived's init script looks at the section of that name only.
    let got = import_text("config globals\n option enabled 0\n option alt_config_file /etc/ka.conf\n");
    assert!(got.outcome.disabled.is_none() && got.outcome.alternative.is_none());
    assert_eq!(got.said.matches("counts in the section called 'globals' only").count(), 2, "{}", got.said);
}

/// `--strict` makes errors of what is lost, not of how something was understood.
#[test]
fn strict() {
    for (more, errors) in [("option smtp_alert 1", 1), ("option smtp_alert 0", 0), ("option nothing 1", 1)] {
        let text = format!(
            "config ipaddress\n option name a\n option address 10.0.0.1\nconfig vrrp_instance\n option name i\n\
             option interface lan\n option virtual_router_id 3\n list virtual_ipaddress a\n{more}\n"
        );
        let (mut config, mut diag) = (Config::default(), Diagnostics::new());
        let mut networks = Networks::new();
        networks.read("network", &mut NETWORK.as_bytes()).unwrap();
        let options = Options { mode: Mode::Strict, strict: true, networks: &networks };
        import(&mut text.as_bytes(), &options, &mut config, &mut diag, None).unwrap();
        assert_eq!(diag.errors(), errors, "{more}");
    }
}
