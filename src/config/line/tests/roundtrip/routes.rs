//! Routes, and what is static.

use super::*;

/// Each option, and what is not said.
#[test]
fn every_option() {
    let c = good(
        "static-route 10.1.0.0/16 dev eth2 metric 9\n\
         instance a on eth0 vrid 1 address 192.0.2.1/24\n\
         route default via 192.0.2.9 dev eth1 src 192.0.2.1 table 4294967295 metric 4294967295 scope link onlink\n\
         route default via fe80::9 route default src 2001:db8::1 table 7 route 0.0.0.0/0 via fe80::9 table 8\n\
         static-address 198.51.100.1/24 dev eth1 scope host label eth1:1\n\
         route 10.0.0.0/8 blackhole route 203.0.113.7\n\
         static-route 2001:db8:1::/48 blackhole\n\
         instance b on eth0 vrid 2 address 192.0.2.2/24 route 10.2.0.0/16\n\
         static-address fe80::5 dev eth1\n",
    );
    let (a, b) = (&c.instances[0], &c.instances[1]);
    let routes = c.routes_of(a);
    let all = Route {
        via: Some(ip("192.0.2.9")),
        dev: routes[0].dev,
        src: Some(ip("192.0.2.1")),
        table: u32::MAX,
        metric: u32::MAX,
        scope: Some(Scope::Link),
        onlink: true,
        ..Route::default_of(Family::V4)
    };
    assert_eq!((routes[0], c.str(routes[0].dev)), (all, "eth1"));
    assert_eq!(routes[1], Route { via: Some(ip("fe80::9")), ..Route::default_of(Family::V6) });
    assert_eq!((routes[2].to, routes[3].to), (ip("::"), ip("0.0.0.0")));
    assert_eq!(routes[4], Route { blackhole: true, ..Route::to(ip("10.0.0.0"), 8) });
    assert_eq!(routes[5], Route::to(ip("203.0.113.7"), 32));
    assert_eq!((c.routes_of(b), c.addresses_of(b)[0].ip), (&[Route::to(ip("10.2.0.0"), 16)][..], ip("192.0.2.2")));
    let of_static = c.static_routes.of(&c.routes);
    assert_eq!(
        of_static.iter().map(|r| (r.to, r.metric)).collect::<Vec<_>>(),
        [(ip("10.1.0.0"), 9), (ip("2001:db8:1::"), 0)]
    );
    let of_static = c.static_addresses.of(&c.addresses);
    assert_eq!(
        of_static.iter().map(|a| (a.ip, c.str(a.dev))).collect::<Vec<_>>(),
        [(ip("198.51.100.1"), "eth1"), (ip("fe80::5"), "eth1")]
    );
    same_again(&c);
    // Through which interface: the named one, the instance's own, or whichever the kernel finds.
    let through: Vec<&str> = routes.iter().map(|r| c.str(c.device_of_route(Some(a), r))).collect();
    assert_eq!(through, ["eth1", "eth0", "eth0", "eth0", "", "eth0"]);
    let plain = Route { via: Some(ip("192.0.2.9")), ..Route::to(ip("10.0.0.0"), 8) };
    assert_eq!(c.device_of_route(Some(a), &plain), StrId::NONE);
    assert_eq!(c.device_of_route(None, &routes[5]), StrId::NONE);
}

#[test]
fn canonical() {
    let text = "static-address 198.51.100.1/24 dev \"on\" scope host label on:1\n\
        static-route 10.1.0.0/16 dev eth2 metric 9\n\
        \n\
        instance a on eth0 vrid 1 priority 100\n  \
          address 192.0.2.1/24\n  \
          route default via 192.0.2.9 dev \"via\" src 192.0.2.1 table 100 metric 5 scope link onlink\n  \
          route ::/0 via fe80::9\n  \
          route 0.0.0.0/0 via fe80::9 metric 6\n  \
          route 10.0.0.0/8 blackhole\n";
    // `via` is no property, and needs no quotes.
    assert_eq!(printed(&good(text)), text.replace("\"via\"", "via"));
}

/// Gateway, interface, table, metric, scope, which options.
type Plan = (Option<bool>, bool, u32, u32, usize, u8);

/// For each instance some routes.
pub(super) fn plan() -> impl Strategy<Value = Vec<Vec<Plan>>> {
    let one = (any::<Option<bool>>(), any::<bool>(), 1..u32::MAX, any::<u32>(), 0..5usize, any::<u8>());
    proptest::collection::vec(proptest::collection::vec(one, 0..4), 5)
}

pub(super) fn build(c: &mut Config, plans: &[Vec<Plan>]) {
    let dev = c.strings.add("eth9").unwrap();
    for (i, plan) in plans.iter().enumerate().take(c.instances.len()) {
        let start = c.routes.len() as u16;
        for (n, (via, through, table, metric, scope, bits)) in plan.iter().enumerate() {
            let to = format!("10.{i}.{n}.0");
            let (to, prefix) = if bits & 1 == 0 { (ip(&to), 24) } else { (ip("0.0.0.0"), 0) };
            let mut route = Route { table: *table, metric: *metric ^ n as u32, ..Route::to(to, prefix) };
            route.scope = [Scope::Global, Scope::Site, Scope::Link, Scope::Host].get(*scope).copied();
            if bits & 6 == 0 {
                route.blackhole = true;
            } else {
                route.via = via.map(|v4| ip(if v4 { "192.0.2.9" } else { "fe80::9" }));
                route.onlink = route.via.is_some() && bits & 8 != 0;
                route.src = (bits & 16 != 0).then(|| ip("192.0.2.77"));
                route.dev = if *through { dev } else { StrId::NONE };
            }
            if c.routes.iter().all(|r| r.key() != route.key()) {
                c.routes.push(route).unwrap();
            }
        }
        c.instances[i].routes = Range { start, len: c.routes.len() as u16 - start };
    }
}
