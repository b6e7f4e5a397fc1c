//! tshark judges our adverts.

use std::time::Instant;

use crate::support::picovrrp::{lan, lan6};
use crate::support::tshark::{Verdict, judge};
use crate::support::{Lab, Picovrrp, SOON};

/// What tshark says of a router's adverts and its farewell.
fn judged(config: &str, plain_v3: bool) -> Vec<Verdict> {
    let (lab, a, _b, _client) = Lab::trio();
    let start = Instant::now();
    let mut one = Picovrrp::start_until(&a, config, "MASTER");
    lab.wire().wait_many("adverts of a", 3, start, SOON, |s| s.is_claim_of("a"));
    one.terminate();
    one.process.wait_exit(SOON);
    lab.wire().wait("a's priority 0", start, SOON, |s| s.is_farewell_of("a"));
    let file = lab.dir().join("adverts.pcap");
    let written = lab.wire().write_pcap(&file, start, |s| s.from == "a" && s.advert().is_some());
    let verdicts = judge(&file, plain_v3);
    assert_eq!(verdicts.len(), written, "tshark knows every advert as one");
    assert!(written >= 4);
    verdicts
}

fn all_good(verdicts: &[Verdict], version: &str) {
    for v in verdicts {
        assert_eq!(v.checksum_status, "1", "a bad checksum: {v:#?}");
        assert!(!v.malformed, "{v:#?}");
        assert_eq!((v.version.as_str(), v.vrid.as_str(), v.ttl.as_str()), (version, "51", "255"), "{v:#?}");
        assert!(v.tos.ends_with("c0"), "{v:#?}");
    }
    let priorities: Vec<_> = verdicts.iter().map(|v| v.priority.as_str()).collect();
    let (last, first) = priorities.split_last().expect("there are verdicts");
    assert!(first.iter().all(|p| *p == "150") && *last == "0", "{priorities:?}");
}

fn to_the_ipv4_group(verdicts: &[Verdict]) {
    for v in verdicts {
        assert_eq!(v.destination_mac, "01:00:5e:00:00:12");
        assert_eq!((v.source.as_str(), v.destination.as_str()), ("192.0.2.1", "224.0.0.18"));
    }
}

#[test]
fn version_2() {
    let verdicts = judged(&lan("version 2 advert 1s priority 150"), false);
    all_good(&verdicts, "2");
    to_the_ipv4_group(&verdicts);
}

#[test]
fn version_2_with_a_password() {
    all_good(&judged(&lan("version 2 advert 1s priority 150 auth pass s3cret"), false), "2");
}

#[test]
fn version_3_with_the_plain_checksum_which_is_the_default() {
    for more in ["", "checksum plain"] {
        let verdicts = judged(&lan(&format!("version 3 advert 20cs priority 150 {more}")), true);
        all_good(&verdicts, "3");
        to_the_ipv4_group(&verdicts);
    }
}

#[test]
fn version_3_with_the_pseudo_header() {
    let verdicts = judged(&lan("version 3 advert 20cs priority 150 checksum pseudo"), false);
    all_good(&verdicts, "3");
    to_the_ipv4_group(&verdicts);
}

#[test]
fn version_3_over_ipv6() {
    let verdicts = judged(&lan6("version 3 advert 20cs priority 150"), false);
    all_good(&verdicts, "3");
    for v in verdicts {
        assert_eq!(v.destination_mac, "33:33:00:00:00:12");
        assert_eq!((v.source.as_str(), v.destination.as_str()), ("fe80::1", "ff02::12"));
    }
}
