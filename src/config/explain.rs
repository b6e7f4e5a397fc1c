//! What a configuration means, in words for the router's owner: when this router takes over, how
//! long that takes, and who wins.

mod tracking;

use core::net::IpAddr;

use embedded_io::Write;
use ufmt::{uWrite, uwrite};

use super::model::{ChecksumForm, Config, Family, Instance, Preempt, RouteWords, Start};
use crate::text::{self, Ip, Seconds, Text, Written};
use crate::vrrp::packet::{GROUP_V4, GROUP_V6, PRIORITY_OWNER as OWNER};
use crate::vrrp::timing::{Micros, Version, active_down_interval, skew_time};

/// Writes, for each instance of `config`, what it does.
///
/// With `against` also who wins against a router of that priority, whatever of the things that are
/// tracked has failed.
pub fn explain<W: Write>(config: &Config, against: Option<u8>, out: &mut W) -> Result<(), W::Error> {
    text::write_to(out, &mut |t| write(config, against, t))
}

fn write(config: &Config, against: Option<u8>, t: &mut Text<'_>) -> Written {
    if config.startup_delay != Micros::ZERO {
        uwrite!(t, "All instances wait {} after the daemon's start.\n\n", Seconds(config.startup_delay))?;
    }
    delays(config, t)?;
    statics(config, t)?;
    for (n, i) in config.instances.iter().enumerate() {
        if n > 0 {
            t.write_str("\n")?;
        }
        heading(config, i, t)?;
        adverts(config, i, t)?;
        failover(i, t)?;
        contest(i, t)?;
        tracking::sentences(config, i, t)?;
        tracking::table(config, i, against, t)?;
        start(config, i, t)?;
        announcements(i, t)?;
        notes(i, t)?;
    }
    tracking::groups(config, t)
}

fn heading(config: &Config, i: &Instance, t: &mut Text<'_>) -> Written {
    let family = if i.family == Family::V4 { "IPv4" } else { "IPv6" };
    uwrite!(t, "instance {}: virtual router {} on {}", config.str(i.name), i.vrid, config.str(i.interface))?;
    let too = if i.also_v2 { " and 2" } else { "" };
    uwrite!(t, ", {}, VRRP version {}{}, priority {}\n", family, i.version.number(), too, i.priority)?;
    t.write_str("  While Active it holds ")?;
    for (n, a) in config.addresses_of(i).iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        uwrite!(t, "{}{}/{} on {}", comma, Ip(a.ip), a.prefix, config.device_of(i, a))?;
        if a.excluded {
            t.write_str(" (not in the advert)")?;
        }
    }
    t.write_str(".\n")?;
    if !i.track_primary {
        uwrite!(t, "  It goes on while {} is down (track-primary off).\n", config.str(i.interface))?;
    }
    for r in config.routes_of(i) {
        let dev = config.str(config.device_of_route(Some(i), r));
        uwrite!(t, "  While Active it has the route {}.\n", RouteWords::new(r, dev))?;
    }
    Ok(())
}

fn delays(config: &Config, t: &mut Text<'_>) -> Written {
    for d in &config.link_delays {
        for (what, time) in [("A loss", d.down), ("A return", d.up)] {
            if time > Micros::ZERO {
                uwrite!(
                    t,
                    "{} of {}'s link counts when it has lasted {}.\n",
                    what,
                    config.str(d.interface),
                    Seconds(time)
                )?;
            }
        }
    }
    if config.link_delays.is_empty() { Ok(()) } else { t.write_str("\n") }
}

fn statics(config: &Config, t: &mut Text<'_>) -> Written {
    let (addresses, routes) = (config.static_addresses, config.static_routes);
    for a in addresses.of(&config.addresses) {
        uwrite!(t, "From start to stop {}/{} is on {}.\n", Ip(a.ip), a.prefix, config.str(a.dev))?;
    }
    for r in routes.of(&config.routes) {
        uwrite!(t, "From start to stop there is the route {}.\n", RouteWords::new(r, config.str(r.dev)))?;
    }
    if addresses.len + routes.len > 0 { t.write_str("\n") } else { Ok(()) }
}

fn adverts(config: &Config, i: &Instance, t: &mut Text<'_>) -> Written {
    uwrite!(t, "  While Active it sends an advert every {}", Seconds(i.advert.micros()))?;
    if let Some(source) = i.unicast {
        uwrite!(t, " from {} to", Ip(source))?;
        for (n, peer) in config.peers_of(i).iter().enumerate() {
            uwrite!(t, "{}{}", if n == 0 { " " } else { ", " }, Ip(peer.ip))?;
        }
        return t.write_str(" (unicast).\n");
    }
    if let Some(source) = i.source {
        uwrite!(t, " from {}", Ip(source))?;
    }
    let group = i.group.unwrap_or(match i.family {
        Family::V4 => IpAddr::V4(GROUP_V4),
        Family::V6 => IpAddr::V6(GROUP_V6),
    });
    uwrite!(t, " to {} (multicast).\n", Ip(group))
}

/// The timers, and what they mean to whoever waits. A crash comes at any moment between two adverts,
/// so up to one interval of the wait has passed already.
fn failover(i: &Instance, t: &mut Text<'_>) -> Written {
    let skew = skew_time(i.version, i.priority, i.advert);
    let down = active_down_interval(i.version, i.priority, i.advert);
    uwrite!(t, "  Skew_Time (S) is {}", Seconds(skew))?;
    uwrite!(t, ", Active_Down_Interval (3T + S) is {}", Seconds(down))?;
    t.write_str(match i.version {
        Version::V3 => {
            ", if the Active router's interval T is the same as here; as Backup it takes over that router's.\n"
        }
        Version::V2 => "; all routers must have the same interval T.\n",
    })?;
    if i.priority == OWNER {
        return t.write_str(
            "  As the address owner it is Active whenever it runs, so it rarely waits for another to fail.\n",
        );
    }
    let soonest = Micros(down.0 - i.advert.micros().0);
    uwrite!(t, "  If the Active router crashes, this one takes over {} to {} later", Seconds(soonest), Seconds(down))?;
    uwrite!(
        t,
        " (2T + S to 3T + S).\n  If the Active router stops on purpose, this one takes over {} later (S).\n",
        Seconds(skew)
    )
}

fn contest(i: &Instance, t: &mut Text<'_>) -> Written {
    t.write_str("  Against a router of lower priority: ")?;
    if i.priority == OWNER {
        t.write_str("this one wins at once, always.\n")?;
    } else {
        match i.preempt {
            Preempt::On => t.write_str("this one takes over within 3T + S of hearing it, also when it returns after a failure (preempt on).\n")?,
            Preempt::Off => t.write_str(
                "whichever is Active stays Active until it fails, unless both are Active; then this one wins (preempt off).\n",
            )?,
            Preempt::After(wait) => {
                uwrite!(t, "this one leaves it Active for {}", Seconds(wait))?;
                t.write_str(" and then takes over (preempt after).\n")?;
            }
        }
    }
    t.write_str(
        "  Against one of equal priority: whichever is Active stays; if both are, the greater sending address wins.\n",
    )?;
    if i.priority == OWNER {
        return Ok(());
    }
    t.write_str("  Against one of higher priority: the other wins, if it preempts; at priority 255 it always does.\n")
}

fn start(config: &Config, i: &Instance, t: &mut Text<'_>) -> Written {
    if tracking::waits(config, i) {
        t.write_str("  At start it waits for the first result of each check that it is in Fault without.\n")?;
    }
    if i.priority == OWNER {
        return t.write_str("  At start it becomes Active at once, without listening first (priority 255).\n");
    }
    let down = active_down_interval(i.version, i.priority, i.advert);
    uwrite!(t, "  At start it listens for {} and becomes Active if it hears no other router", Seconds(down))?;
    t.write_str(match i.start {
        Start::Backup => ".\n",
        Start::Master => "; 'start master' makes that no faster, it only makes the instance preempt.\n",
    })
}

fn announcements(i: &Instance, t: &mut Text<'_>) -> Written {
    let what = if i.family == Family::V4 { "gratuitous ARP" } else { "unsolicited neighbour advertisement" };
    t.write_str("  On becoming Active it announces each address ")?;
    times(i.garp.repeat, t)?;
    uwrite!(t, " ({})", what)?;
    if i.garp.delay != Micros::ZERO {
        uwrite!(t, ", and again {} later", Seconds(i.garp.delay))?;
    }
    if i.garp.refresh != Micros::ZERO {
        t.write_str("; then ")?;
        times(i.garp.refresh_repeat, t)?;
        uwrite!(t, " every {}", Seconds(i.garp.refresh))?;
    }
    t.write_str(".\n")
}

fn times(n: u8, t: &mut Text<'_>) -> Written {
    if n == 1 { t.write_str("once") } else { uwrite!(t, "{} times", n) }
}

fn notes(i: &Instance, t: &mut Text<'_>) -> Written {
    if i.password.is_some() {
        t.write_str("  Note: the password goes over the wire in clear; it keeps out mistakes, not attackers.\n")?;
    }
    if i.also_v2 {
        t.write_str(
            "  Note: each advert goes out in version 3 and in version 2, for the time of a change from 2 to 3. Routers of \
             version 2 must have the same interval T. One of version 2 and one of 3 alone do not hear each other.\n",
        )?;
        if i.password.is_some() {
            t.write_str("  Note: only version 2 carries the password; adverts of version 3 are taken without.\n")?;
        }
    }
    if i.version == Version::V3 && i.family == Family::V4 {
        t.write_str(match i.checksum {
            ChecksumForm::Plain => {
                "  Note: it sends the checksum of RFC 9568 and accepts both forms. keepalived and FRR send the \
                 pseudo-header form by default and may drop this one: with them as peers say 'checksum pseudo'.\n"
            }
            ChecksumForm::Pseudo => {
                "  Note: it sends the checksum with the pseudo-header, as keepalived and FRR do by default, and accepts \
                 both forms. Routers that go by RFC 9568 alone may drop it.\n"
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Diagnostics;
    use crate::config::line::parse;

    fn explained(text: &str) -> String {
        explained_against(text, None)
    }

    fn explained_against(text: &str, peer: Option<u8>) -> String {
        let (mut config, mut diag, mut out) = (Config::default(), Diagnostics::new(), Vec::new());
        parse(&mut text.as_bytes(), &mut config, &mut diag).unwrap();
        assert_eq!(diag.errors(), 0);
        explain(&config, peer, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Routes with the interfaces that they need, and what is static.
    #[test]
    fn routes() {
        let said = explained(
            "static-address 198.51.100.1/24 dev wan\nstatic-route 10.0.0.0/8 via 198.51.100.9\n\
             instance a on eth0 vrid 1 address 192.0.2.1 route default via 192.0.2.9 route ::/0 via fe80::9 metric 5",
        );
        let begin = "From start to stop 198.51.100.1/24 is on wan.\n\
             From start to stop there is the route 10.0.0.0/8 via 198.51.100.9.\n\ninstance a: ";
        assert!(said.starts_with(begin), "{said}");
        for expected in [
            "  While Active it has the route default via 192.0.2.9.\n",
            "  While Active it has the route ::/0 via fe80::9 dev eth0 metric 5.\n",
        ] {
            assert!(said.contains(expected), "{expected}\nin:\n{said}");
        }
    }

    /// Delays of links, and an instance that does not mind its own.
    #[test]
    fn links() {
        let said = explained(
            "interface-delay eth0 down 1.5s up 2s\ninterface-delay wan up 1ms\n\
             instance a on eth0 vrid 1 address 192.0.2.1 track-primary off track-interface wan",
        );
        let begin = "A loss of eth0's link counts when it has lasted 1.5 s.\n\
             A return of eth0's link counts when it has lasted 2 s.\n\
             A return of wan's link counts when it has lasted 1 ms.\n\ninstance a: ";
        assert!(said.starts_with(begin), "{said}");
        assert!(said.contains("  It goes on while eth0 is down (track-primary off).\n"), "{said}");
    }

    /// Priority 150 at 1 s: S = 106/256 s = 0.414 s; 2T + S = 2.414 s; 3T + S = 3.414 s.
    #[test]
    fn ordinary() {
        assert_eq!(
            explained(
                "instance lan on br-lan vrid 51 priority 150 address 192.168.1.1/24 address fe80::1/64 dev br-iot"
            ),
            "instance lan: virtual router 51 on br-lan, IPv4, VRRP version 3, priority 150\n  \
             While Active it holds 192.168.1.1/24 on br-lan, fe80::1/64 on br-iot (not in the advert).\n  \
             While Active it sends an advert every 1 s to 224.0.0.18 (multicast).\n  \
             Skew_Time (S) is 414.063 ms, Active_Down_Interval (3T + S) is 3.414 s, if the Active router's interval T \
             is the same as here; as Backup it takes over that router's.\n  \
             If the Active router crashes, this one takes over 2.414 s to 3.414 s later (2T + S to 3T + S).\n  \
             If the Active router stops on purpose, this one takes over 414.063 ms later (S).\n  \
             Against a router of lower priority: this one takes over within 3T + S of hearing it, also when it returns \
             after a failure (preempt on).\n  \
             Against one of equal priority: whichever is Active stays; if both are, the greater sending address wins.\n  \
             Against one of higher priority: the other wins, if it preempts; at priority 255 it always does.\n  \
             At start it listens for 3.414 s and becomes Active if it hears no other router.\n  \
             On becoming Active it announces each address 5 times (gratuitous ARP), and again 5 s later.\n  \
             Note: it sends the checksum of RFC 9568 and accepts both forms. keepalived and FRR send the \
             pseudo-header form by default and may drop this one: with them as peers say 'checksum pseudo'.\n"
        );
    }

    /// Version 2 at 2 s, priority 100: S = 156/256 s whatever the interval; 2T + S = 4.609 s.
    #[test]
    fn version_2() {
        let said = explained(
            "startup-delay 10s\n\
             instance lan on eth0 vrid 1 version 2 advert 2s auth pass x address 192.0.2.1/24 preempt after 1m\n\
             unicast 192.0.2.2 peer 192.0.2.3 peer 192.0.2.4 garp delay 0 refresh 60",
        );
        for expected in [
            "All instances wait 10 s after the daemon's start.\n\n",
            "an advert every 2 s from 192.0.2.2 to 192.0.2.3, 192.0.2.4 (unicast).\n",
            "Skew_Time (S) is 609.375 ms, Active_Down_Interval (3T + S) is 6.609 s; all routers must have",
            "takes over 4.609 s to 6.609 s later",
            "leaves it Active for 60 s and then takes over (preempt after)",
            "5 times (gratuitous ARP); then once every 60 s.\n",
            "the password goes over the wire in clear",
        ] {
            assert!(said.contains(expected), "{expected}\nin:\n{said}");
        }
        assert!(!said.contains("checksum"));
    }

    /// Both versions: their timers are the same at one second.
    #[test]
    fn both_versions() {
        let said = explained("instance lan on eth0 vrid 1 version 2+3 auth pass x address 192.0.2.1/24");
        for expected in [
            "IPv4, VRRP version 3 and 2, priority 100\n",
            "as Backup it takes over that router's.\n",
            "Note: each advert goes out in version 3 and in version 2",
            "Note: only version 2 carries the password",
            "Note: it sends the checksum of RFC 9568",
        ] {
            assert!(said.contains(expected), "{expected}\nin:\n{said}");
        }
    }

    /// 150 - 60 = 90 while down; 100 + 200 is held to 254; weight 0 is a Fault.
    #[test]
    fn tracked_interfaces() {
        let said = explained("instance a on eth0 vrid 1 priority 150 address 192.0.2.1 track-interface wan weight -60");
        assert!(said.contains("  While wan is down its priority is 90.\n"), "{said}");
        let said = explained(
            "instance a on eth0 vrid 1 address 192.0.2.1 track-interface wan weight 200\n\
             track-interface lte track-interface spare weight -10 reverse",
        );
        assert!(said.contains("  While wan is up its priority is 254, all else as configured.\n"), "{said}");
        assert!(said.contains("  While lte is down it is in Fault"), "{said}");
        assert!(said.contains("  While spare is down its priority is 110, all"), "{said}");
    }

    /// The paragraph that begins with `from`, up to a line less indented than those in it.
    fn rows<'a>(said: &'a str, from: &str) -> Vec<&'a str> {
        said.lines().skip_while(|l| !l.contains(from)).skip(1).map_while(|l| l.strip_prefix("    ")).collect()
    }

    /// 150 - 60 = 90, below the other's 100; weight 0 is a Fault; both at once are one too.
    #[test]
    fn every_combination() {
        let text = "check uplink ping 203.0.113.1\ncheck web process nginx\n\
             instance a on eth0 vrid 1 priority 150 address 192.0.2.1 track uplink weight -60 track web";
        let said = explained_against(text, Some(100));
        assert!(said.contains("  While check uplink is down its priority is 90, all else as configured.\n"), "{said}");
        assert_eq!(
            rows(&said, "who wins against a router of priority 100:"),
            [
                "nothing down: 150, this router",
                "uplink down: 90, the other",
                "web down: FAULT, the other",
                "uplink down, web down: FAULT, the other"
            ]
        );
        assert_eq!(
            rows(&explained(text), "Its effective priority:"),
            ["nothing down: 150", "uplink down: 90", "web down: FAULT", "uplink down, web down: FAULT"]
        );
        let equal = rows(&explained_against(text, Some(90)), "priority 90:")[1].to_owned();
        assert_eq!(equal, "uplink down: 90, whichever is Active, the greater address if both are");
        let said = explained_against(&text.replace("priority 150", "priority 150 preempt off"), Some(100));
        assert!(said.contains("nothing down: 150, this router, unless the other is Active (preempt off)\n"), "{said}");
        let owner = "instance a on eth0 vrid 1 priority 255 address 192.0.2.1";
        assert_eq!(rows(&explained_against(owner, Some(254)), "priority 254:"), ["nothing down: 255, this router"]);
        let low = owner.replace("255", "254");
        assert_eq!(rows(&explained_against(&low, Some(255)), "priority 255:"), ["nothing down: 254, the other"]);
    }

    /// Five things: each alone and all at once, 150 - 1 - 2 - 3 - 4 - 5 = 135.
    #[test]
    fn too_many_to_combine() {
        let mut text = String::from("instance a on eth0 vrid 1 priority 150 address 192.0.2.1\n");
        for n in 1..=5 {
            text.push_str(&format!("track-interface t{n} weight -{n}\n"));
        }
        assert_eq!(
            rows(&explained(&text), "(each thing alone, and all at once):"),
            [
                "nothing down: 150",
                "t1 down: 149",
                "t2 down: 148",
                "t3 down: 147",
                "t4 down: 146",
                "t5 down: 145",
                "t1 down, t2 down, t3 down, t4 down, t5 down: 135"
            ]
        );
    }

    /// A file's number is multiplied; with weight 0 any other than 0 is a Fault.
    #[test]
    fn files() {
        let said = explained(
            "check prio file /run/prio\ncheck trigger file /run/trigger\n\
             instance a on eth0 vrid 1 address 192.0.2.1 track prio weight -3 track trigger weight 0",
        );
        for expected in [
            "While there is a number in the file of check prio it is added to its priority, times -3; at -254 or less",
            "While there is another number than 0 or none in the file of check trigger it is in Fault.\n",
        ] {
            assert!(said.contains(expected), "{expected}\nin:\n{said}");
        }
        assert_eq!(
            rows(&said, "Its effective priority:")[..4],
            ["nothing down: 100", "prio at 1: 97", "trigger at 1: FAULT", "prio at 1, trigger at 1: FAULT"]
        );
    }

    /// What one member tracks counts for the other; each thing once, the instance's own first.
    #[test]
    fn groups() {
        let text = "check x tcp 192.0.2.9 80\n\
             instance a on eth0 vrid 1 priority 150 address 192.0.2.1 track x weight -10\n\
             instance b on eth1 vrid 1 priority 150 address 192.0.2.2 track-interface wan track x weight -20\n\
             group g a b track-interface lan weight -5\n";
        let said = explained(text);
        for expected in [
            "\ngroup g: a, b\n  Members are Active together or not at all",
            "  Through group g: while lan is down its priority is 145, all else as configured.\n",
            "  Through instance b: while wan is down it is in Fault",
            "  What one of them tracks counts for all.\n",
        ] {
            assert!(said.contains(expected), "{expected}\nin:\n{said}");
        }
        assert_eq!(
            rows(&said, "Its effective priority:")[..4],
            ["nothing down: 150", "x down: 140", "lan down: 145", "wan down: FAULT"]
        );
        let off = explained(&text.replace("group g a b", "group g a b weights off"));
        assert!(off.contains("count for nobody (weights off)"), "{off}");
        assert_eq!(
            rows(&off, "Its effective priority:"),
            ["nothing down: 150", "lan down: 145", "wan down: FAULT", "lan down, wan down: FAULT"]
        );
    }

    #[test]
    fn owner_and_others() {
        let owner = explained("instance o on eth0 vrid 1 priority 255 address fe80::1 source fe80::2 group6 ff02::99");
        for expected in [
            "an advert every 1 s from fe80::2 to ff02::99 (multicast)",
            "As the address owner it is Active whenever it runs",
            "lower priority: this one wins at once, always.",
            "At start it becomes Active at once",
            "(unsolicited neighbour advertisement)",
        ] {
            assert!(owner.contains(expected), "{expected}\nin:\n{owner}");
        }
        assert!(!owner.contains("higher priority") && !owner.contains("checksum"));
        let off = explained("instance a on eth0 vrid 1 preempt off checksum pseudo address 192.0.2.1");
        assert!(off.contains("unless both are Active; then this one wins (preempt off)"));
        assert!(off.contains("sends the checksum with the pseudo-header, as keepalived and FRR do"));
        let master = explained("instance a on eth0 vrid 1 start master address 192.0.2.1");
        assert!(master.contains("'start master' makes that no faster"));
    }
}
