//! What can be wrong with routes, and with what is static.

use super::*;
use crate::config::model::MAX_ROUTES;

#[test]
fn values() {
    each(&[
        ("route", "2:6: 'route' needs a destination, such as 'default', ::/0 or 192.0.2.0/24"),
        (
            "route nowhere via 192.0.2.9",
            "2:7: 'route' needs a destination, such as 'default', ::/0 or 192.0.2.0/24, not 'nowhere'",
        ),
        (
            "route 10.0.0.0/33",
            "2:7: 'route' needs a destination, such as 'default', ::/0 or 192.0.2.0/24, not '10.0.0.0/33'",
        ),
        ("route default via gw", "2:19: 'via' needs the IPv4 or IPv6 address of a host, not 'gw'"),
        ("route default table 0", "2:21: 'table' needs a number from 1 to 4294967295, not '0'"),
        ("route default metric -1", "2:22: 'metric' needs a number from 0 to 4294967295, not '-1'"),
        ("route default scope here", "2:21: 'scope' needs 'global', 'site', 'link' or 'host', not 'here'"),
        ("route default via 192.0.2.9 via 192.0.2.8", "2:29: 'via' given twice"),
        ("route default vai 192.0.2.9", "2:15: unknown property 'vai', did you mean 'via'?"),
        ("defaults route default", "2:10: 'route' has no default: expected in an instance"),
        (
            "priority 9 static-route 10.0.0.0/8",
            "2:12: 'static-route' in the middle of a line: expected on a line of its own",
        ),
        ("static-address 198.51.100.1/24", "2:31: 'static-address' needs 'dev INTERFACE' behind the address"),
        ("static-address fe80::1 dev eth0 label x", "2:39: a label on an IPv6 address: expected only on IPv4 ones"),
        (
            "static-address 10.0.0.1 dev eth0 excluded",
            "2:34: unexpected 'excluded' behind 'static-address': expected the end of the line",
        ),
        (
            "static-route 10.0.0.0/8 dev eth0 priority",
            "2:34: unexpected 'priority' behind 'static-route': expected the end of the line",
        ),
    ]);
}

#[test]
fn routes_by_themselves() {
    let blackhole = "a blackhole leads nowhere: 'via', 'dev', 'src' and 'onlink' do not apply to it";
    each(&[
        (
            "route 10.0.0.1/24",
            "2:7: 'route' has bits behind its length: expected 10.0.0.0/24, or 10.0.0.1 alone for one host",
        ),
        (
            "static-route 2001:db8::1/32 dev x",
            "2:14: 'static-route' has bits behind its length: expected 2001:db8::/32, or 2001:db8::1 alone for one host",
        ),
        ("route default blackhole via 192.0.2.9", &format!("2:7: {blackhole}")),
        ("route default blackhole dev eth0", &format!("2:7: {blackhole}")),
        ("route default onlink", "2:7: 'onlink' is said of a gateway: expected 'via GATEWAY'"),
        ("route ::/0 via 192.0.2.9", "2:7: an IPv6 route needs an IPv6 gateway, not 192.0.2.9"),
        ("route 10.0.0.0/8 src fe80::1", "2:7: 'src' needs an address of the route's own family, not fe80::1"),
        ("static-route 10.0.0.0/8", "2:14: 'static-route' needs 'via GATEWAY', 'dev INTERFACE' or 'blackhole'"),
        ("static-route 10.0.0.0/8 via 192.0.2.9 onlink", "2:14: 'onlink' needs 'dev INTERFACE'"),
        (
            "static-route ::/0 via fe80::9",
            "2:14: the gateway fe80::9 may be on any interface: expected 'dev INTERFACE'",
        ),
        ("route 10.0.0.0/8 via fe80::9", ""),
        ("static-route ::/0 via 2001:db8::9", ""),
    ]);
}

#[test]
fn twice() {
    let apart = ": another 'metric' or 'table' tells the two apart";
    each(&[
        (
            "route default route default via 192.0.2.9",
            &format!("2:21: the route to default is there twice, first at line 2{apart}"),
        ),
        ("route default table 7 route default metric 5 route default metric 6", ""),
        (
            "route ::/0 via fe80::9\nroute ::/0 via fe80::8 metric 1024",
            &format!("3:7: the route to ::/0 metric 1024 is there twice, first at line 2{apart}"),
        ),
        (
            "route default metric 5\ninstance b on eth0 vrid 2 address 192.0.2.2 route default metric 5",
            &format!("3:51: the route to default metric 5 is in instance 'a' too, at line 2{apart}"),
        ),
        (
            "route default table 9\nstatic-route default dev x table 9",
            &format!("3:14: the route to default table 9 is in instance 'a' too, at line 2{apart}"),
        ),
        (
            "static-route default dev x\nroute default",
            &format!("3:7: the route to default is there already, at line 2{apart}"),
        ),
        (
            "static-route default dev x\nstatic-route default dev y",
            &format!("3:14: the route to default is there twice, first at line 2{apart}"),
        ),
        (
            "static-address 192.0.2.1 dev eth0",
            "2:16: static address 192.0.2.1 on eth0 is in instance 'a' too, at line 1: expected it once",
        ),
        (
            "static-address 10.0.0.1 dev eth0\nstatic-address 10.0.0.1/8 dev eth0",
            "3:16: static address 10.0.0.1 on eth0 is there twice, first at line 2: expected it once",
        ),
        ("static-address 192.0.2.1 dev eth1", ""),
    ]);
}

#[test]
fn too_many() {
    let half = MAX_ROUTES / 2;
    let mut text = String::new();
    for n in 0..=MAX_ROUTES {
        let keyword = if n < half { "route" } else { "static-route" };
        text.push_str(&format!("{keyword} 10.{n}.0.0/16 dev x\n"));
    }
    assert_eq!(
        instance(&text),
        format!(
            "{}:14: more than {MAX_ROUTES} routes in all instances (MAX_ROUTES): \
             a build with PICOVRRP_MAX_ROUTES=N in the environment raises the limit",
            MAX_ROUTES + 2
        )
    );
    // Interfaces count too.
    let mut text = String::new();
    for n in 0..MAX_LINKS {
        text.push_str(&format!("static-address 10.0.0.1 dev x{n}\n"));
    }
    let said = instance(&text);
    assert!(said.starts_with(&format!("{}:16: more than {MAX_LINKS} interfaces", MAX_LINKS + 1)), "{said}");
}
