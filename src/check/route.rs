//! A route is there.
//!
//! [`route`] looks; [`RouteWatch`] tells when to look again. A route that leads nowhere (blackhole,
//! unreachable) or whose interface is down is not there. The search costs as much as the part of the
//! table before the route is long; the watch is woken by each change to a table: with a full table
//! from BGP the check's interval alone is cheaper.

use std::io;

use super::{Look, Outcome, Seen, because, failed};
use crate::sys::context::{Context, Watched};
pub use crate::sys::netlink::route::{MAIN, RouteSpec};
use crate::sys::netlink::route::{RouteMonitor, Search, Step};
use crate::vrrp::timing::Instant;

/// How often a search is begun anew that changes interrupted.
const TRIES: usize = 4;

/// Looks whether there is such a route.
pub async fn route(spec: &RouteSpec) -> Outcome {
    match present(spec).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(because("no such route")),
        Err(e) => Err(failed(&e)),
    }
}

async fn present(spec: &RouteSpec) -> io::Result<bool> {
    for _ in 0..TRIES {
        let mut search = Search::begin(*spec)?;
        loop {
            match search.step()? {
                Step::Found => return Ok(true),
                Step::Absent => return Ok(false),
                Step::Interrupted => break,
                // Adverts go between two datagrams of a long table.
                Step::More => smol::future::yield_now().await,
            }
        }
    }
    Ok(false)
}

/// Tells when one of some routes may have come or gone.
pub struct RouteWatch<'c> {
    monitor: Watched<'c, std::os::fd::OwnedFd>,
    reader: RouteMonitor,
}

impl<'c> RouteWatch<'c> {
    /// From now on every change is told. Open it first, and look then.
    pub fn new(context: &'c Context) -> io::Result<RouteWatch<'c>> {
        use std::os::fd::AsFd;
        let reader = RouteMonitor::open()?;
        // A second descriptor of the same socket, so that the reader can be borrowed mutably.
        let monitor = context.watch(reader.as_fd().try_clone_to_owned()?)?;
        Ok(RouteWatch { monitor, reader })
    }

    /// Waits until one of `specs` may have changed.
    pub async fn next_change(&mut self, specs: &[RouteSpec]) -> io::Result<()> {
        loop {
            match self.reader.step(specs)? {
                Some(true) => return Ok(()),
                Some(false) => smol::future::yield_now().await,
                None => self.monitor.readable().await?,
            }
        }
    }
}

/// [`route`](fn@route) as a check.
pub struct Route<'a> {
    spec: RouteSpec,
    watch: io::Result<RouteWatch<'a>>,
}

impl<'a> Route<'a> {
    /// Where the kernel cannot tell of changes, it looks all the same.
    pub fn new(context: &'a Context, spec: RouteSpec) -> Route<'a> {
        Route { spec, watch: RouteWatch::new(context) }
    }
}

impl Look for Route<'_> {
    async fn look(&mut self, _deadline: Instant) -> Seen {
        route(&self.spec).await.into()
    }

    fn is_told(&self) -> bool {
        self.watch.is_ok()
    }

    async fn change(&mut self) -> io::Result<()> {
        match &mut self.watch {
            Ok(watch) => watch.next_change(&[self.spec]).await,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::sys::clock;
    use crate::sys::testnet::{ip, with_cable};
    use crate::vrrp::timing::Micros;

    fn spec(prefix: &str, via: Option<&str>, table: u32) -> RouteSpec {
        let (prefix, length) = prefix.split_once('/').unwrap();
        let via = via.map(|v| v.parse().unwrap());
        RouteSpec { prefix: prefix.parse().unwrap(), length: length.parse().unwrap(), via, table }
    }

    fn there(prefix: &str, via: Option<&str>, table: u32) -> bool {
        run(async |_| present(&spec(prefix, via, table)).await).unwrap()
    }

    #[test]
    fn come_and_go() {
        with_cable(|_| {
            let gw = Some("10.9.0.2");
            for (words, prefix, via, other) in [
                ("default via 10.9.0.2", "0.0.0.0/0", gw, "10.9.0.3"),
                ("192.0.2.0/25 via 10.9.0.2", "192.0.2.0/25", gw, "10.9.0.3"),
                ("default via fe80::b dev va", "::/0", Some("fe80::b"), "fe80::c"),
                ("2001:db8::/32 via fe80::b dev va", "2001:db8::/32", Some("fe80::b"), "fe80::c"),
                ("203.0.113.0/24 via inet6 fe80::b dev va", "203.0.113.0/24", Some("fe80::b"), "fe80::c"),
                ("198.51.100.0/24 nexthop via 10.9.0.9 nexthop via 10.9.0.2", "198.51.100.0/24", gw, "10.9.0.3"),
            ] {
                let v6 = if prefix.contains(':') { "-6 " } else { "" };
                for (table, name) in [(MAIN, ""), (1000, " table 1000")] {
                    assert!(!there(prefix, None, table), "{words}");
                    let (to, through) = words.split_once(' ').unwrap();
                    let words = format!("{to}{name} {through}");
                    ip(&format!("{v6}route add {words}"));
                    assert!(there(prefix, None, table), "{words}");
                    assert!(there(prefix, via, table), "{words}");
                    assert!(!there(prefix, Some(other), table), "{words}");
                    assert!(!there(prefix, None, 77), "{words}");
                    ip(&format!("{v6}route del {words}"));
                    assert!(!there(prefix, None, table), "{words}");
                }
            }
            ip("route add unreachable 192.0.2.0/24");
            assert!(!there("192.0.2.0/24", None, MAIN));
            assert!(run(async |_| route(&spec("192.0.2.0/24", None, MAIN)).await).unwrap_err() == "no such route");
        });
    }

    /// A table of several datagrams; and changes are told, of the watched route only.
    #[test]
    fn long_table_and_watch() {
        with_cable(|_| {
            let many: String =
                (0..2000).map(|n| format!("route add 10.20.{}.{}/32 via 10.9.0.2\n", n / 250, n % 250)).collect();
            let file = std::env::temp_dir().join(format!("picovrrp-routes-{}", std::process::id()));
            std::fs::write(&file, many).unwrap();
            ip(&format!("-batch {}", file.display()));
            std::fs::remove_file(file).unwrap();
            assert!(there("10.20.7.249/32", None, MAIN));
            assert!(!there("10.20.7.250/32", None, MAIN));
            let specs = [spec("192.0.2.0/24", None, MAIN)];
            run(async |c| {
                let mut watch = RouteWatch::new(c).unwrap();
                let told = async |w: &mut RouteWatch<'_>| {
                    c.by(clock::now() + Micros::from_millis(50), w.next_change(&specs)).await.is_ok()
                };
                assert!(!told(&mut watch).await);
                ip("route add 203.0.113.0/24 via 10.9.0.2");
                assert!(!told(&mut watch).await);
                ip("route add 192.0.2.0/24 via 10.9.0.2");
                assert!(told(&mut watch).await);
                assert_eq!(route(&specs[0]).await, Ok(()));
                ip("link set va down");
                assert!(told(&mut watch).await);
                assert!(route(&specs[0]).await.is_err());
            });
        });
    }
}
