//! tshark as the judge of packets.

use std::path::Path;
use std::process::Command;

use super::netns::{installed, run};

/// What tshark reads in a VRRP packet.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) destination_mac: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) ttl: String,
    /// The TOS or traffic class, in hex.
    pub(crate) tos: String,
    pub(crate) version: String,
    pub(crate) vrid: String,
    pub(crate) priority: String,
    /// 1 is good, 0 is bad, 2 is not verified.
    pub(crate) checksum_status: String,
    pub(crate) malformed: bool,
}

/// Has tshark judge the VRRP packets in a pcap file. `plain_v3` says that version 3 over IPv4 is
/// to be verified without the pseudo-header.
#[track_caller]
pub(crate) fn judge(pcap: &Path, plain_v3: bool) -> Vec<Verdict> {
    assert!(installed("tshark"), "The interop tests need tshark (Debian package tshark).");
    let fields = [
        "eth.dst",
        "ip.src",
        "ip.dst",
        "ip.ttl",
        "ip.dsfield",
        "ipv6.src",
        "ipv6.dst",
        "ipv6.hlim",
        "ipv6.tclass",
        "vrrp.version",
        "vrrp.virt_rtr_id",
        "vrrp.prio",
        "vrrp.checksum.status",
        "_ws.malformed",
    ];
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(pcap).args(["-Y", "vrrp", "-T", "fields", "-E", "separator=|"]);
    command.args(["-o", &format!("vrrp.v3_checksum_as_in_v2:{}", if plain_v3 { "TRUE" } else { "FALSE" })]);
    command.args(fields.iter().flat_map(|f| ["-e", *f]));
    let text = run(&mut command).unwrap_or_else(|e| panic!("{e}"));
    text.lines().map(verdict).collect()
}

fn verdict(line: &str) -> Verdict {
    let f: Vec<&str> = line.split('|').collect();
    assert!(f.len() == 14, "tshark printed a line of {} fields: {line}", f.len());
    let either = |v4: usize, v6: usize| if f[v4].is_empty() { f[v6] } else { f[v4] }.to_string();
    Verdict {
        destination_mac: f[0].into(),
        source: either(1, 5),
        destination: either(2, 6),
        ttl: either(3, 7),
        tos: either(4, 8),
        version: f[9].into(),
        vrid: f[10].into(),
        priority: f[11].into(),
        checksum_status: f[12].into(),
        malformed: !f[13].is_empty(),
    }
}
