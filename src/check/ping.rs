//! One ICMP or ICMPv6 echo.
//!
//! Read first: RFC 792 (echo), RFC 4443 §4. The socket is raw (CAP_NET_RAW) and connected, so that
//! only the target's packets count; a kernel filter passes its echo replies alone, and those to others
//! we put aside. What a router on the way says (host unreachable) comes as the socket's error.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::{Look, Outcome, Seen, Source, failed, leave_from, random, toward};
use crate::sys::context::Context;
use crate::sys::echo;
use crate::vrrp::timing::Instant;

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// Type, code, checksum, identifier, sequence number, and 16 bytes that nobody can foresee.
const LENGTH: usize = 24;
/// Packets that are read at one turn.
const MAX_READ: usize = 16;

/// Sends one echo request to `target` and awaits its reply until `deadline`.
pub async fn ping(context: &Context, target: IpAddr, from: Option<Source<'_>>, deadline: Instant) -> Outcome {
    context.by(deadline, probe(context, target, from)).await.map_err(|e| failed(&e))
}

/// [`ping`] as a check.
pub struct Ping<'a> {
    /// What it waits with.
    pub context: &'a Context,
    /// Whom it asks.
    pub target: IpAddr,
    /// Where it leaves from.
    pub from: Option<Source<'a>>,
}

impl Look for Ping<'_> {
    async fn look(&mut self, deadline: Instant) -> Seen {
        ping(self.context, self.target, self.from, deadline).await.into()
    }
}

async fn probe(context: &Context, target: IpAddr, from: Option<Source<'_>>) -> io::Result<()> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // The counter keeps our own probes apart, the payload those of others.
    let id = NEXT.fetch_add(1, Ordering::Relaxed) ^ std::process::id() as u16;
    let socket = echo::open(target)?;
    leave_from(&socket, from)?;
    rustix::net::connect(&socket, &toward(&socket, target, 0, from)?)?;
    let request = request(target.is_ipv4(), id, [random(), random()]);
    rustix::net::send(&socket, &request, SendFlags::empty())?;
    // An address of this machine has answered by now.
    if is_answered(&socket, target, &request)? {
        return Ok(());
    }
    let socket = context.watch(socket)?;
    loop {
        socket.readable().await?;
        if is_answered(socket.get(), target, &request)? {
            return Ok(());
        }
    }
}

/// Reads what is there, up to the reply.
fn is_answered(socket: &OwnedFd, target: IpAddr, request: &[u8; LENGTH]) -> io::Result<bool> {
    let mut buffer = [0; 128];
    // Other replies of the target may come without end: then it is asked again.
    for _ in 0..MAX_READ {
        match rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((n, _)) if answers(target.is_ipv4(), &buffer[..n], request) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(false)
}

/// An echo request. The kernel fills in the checksum of ICMPv6.
fn request(v4: bool, id: u16, payload: [u64; 2]) -> [u8; LENGTH] {
    let mut m = [0; LENGTH];
    m[0] = if v4 { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
    m[4..6].copy_from_slice(&id.to_be_bytes());
    m[6..8].copy_from_slice(&1u16.to_be_bytes());
    m[8..16].copy_from_slice(&payload[0].to_be_bytes());
    m[16..24].copy_from_slice(&payload[1].to_be_bytes());
    if v4 {
        let sum = checksum(&m);
        m[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    m
}

/// RFC 1071, of a message of even length.
fn checksum(m: &[u8]) -> u16 {
    let mut sum: u32 = m.chunks_exact(2).map(|w| u16::from_be_bytes([w[0], w[1]]) as u32).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether a packet (IPv4: with its header) is the reply to `request`.
fn answers(v4: bool, packet: &[u8], request: &[u8; LENGTH]) -> bool {
    let header = if v4 { packet.first().map_or(0, |b| 4 * (*b as usize & 15)) } else { 0 };
    let Some(m) = packet.get(header..) else {
        return false;
    };
    let kind = if v4 { ECHO_REPLY_V4 } else { ECHO_REPLY_V6 };
    m.len() == LENGTH && m[..2] == [kind, 0] && m[4..] == request[4..]
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::sys::clock;
    use crate::sys::testnet::{in_namespace, ip, with_cable};
    use crate::vrrp::timing::Micros;

    fn ping(to: &str, from: Option<Source<'_>>) -> Outcome {
        let to = to.parse().unwrap();
        run(async |c| super::ping(c, to, from, clock::now() + Micros::from_secs(2)).await)
    }

    fn says(o: Outcome) -> String {
        o.unwrap_err().as_str().into()
    }

    #[test]
    fn over_a_cable() {
        with_cable(|net| {
            let va = Some(Source::Interface("va"));
            assert_eq!(ping("10.9.0.2", None), Ok(()));
            assert_eq!(ping("10.9.0.2", va), Ok(()));
            assert_eq!(ping("10.9.0.2", Some(Source::Address("10.9.0.1".parse().unwrap()))), Ok(()));
            assert_eq!(ping("fe80::b", va), Ok(()));
            ip("addr add 2001:db8::a/64 dev va nodad");
            net.enter_b();
            ip("addr add 2001:db8::b/64 dev vb nodad");
            net.enter_a();
            assert_eq!(ping("2001:db8::b", None), Ok(()));
            assert_eq!(
                says(ping("10.9.0.2", Some(Source::Address("10.9.0.77".parse().unwrap())))),
                "not an address of ours"
            );
            assert_eq!(says(ping("10.9.0.2", Some(Source::Interface("none")))), "no such interface");
            assert_eq!(says(ping("192.0.2.1", None)), "network unreachable");
            assert_eq!(says(ping("10.9.0.99", None)), "no answer in time", "nobody has the address");
            ip("link set dev va down");
            assert!(ping("10.9.0.2", va).is_err());
        });
    }

    /// The host is there and says nothing; or a router says that it is not there.
    #[test]
    fn silence_and_unreachable() {
        with_cable(|net| {
            net.enter_b();
            std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            ip("route add unreachable 198.51.100.0/24");
            net.enter_a();
            ip("route add 198.51.100.0/24 via 10.9.0.2");
            assert_eq!(says(ping("10.9.0.2", None)), "no answer in time");
            assert_eq!(says(ping("198.51.100.1", None)), "host unreachable");
        });
    }

    #[test]
    fn loopback() {
        in_namespace(|| {
            for _ in 0..20 {
                assert_eq!(ping("127.0.0.1", None), Ok(()));
                assert_eq!(ping("::1", None), Ok(()));
            }
        });
    }

    proptest::proptest! {
        #[test]
        fn junk(packet: Vec<u8>, v4: bool) {
            proptest::prop_assert!(!answers(v4, &packet, &request(v4, 7, [1, 2])));
        }
    }

    #[test]
    fn only_the_reply_answers() {
        let request = request(true, 7, [1, 2]);
        assert_eq!(checksum(&request), 0, "the sum over a message with its checksum");
        let mut packet = vec![0x46; 24];
        packet.extend_from_slice(&request);
        assert!(!answers(true, &packet, &request), "the request itself, on loopback");
        packet[24] = 0;
        assert!(answers(true, &packet, &request));
        for at in [24, 25, 28, 29, 31, 40, 47] {
            let mut other = packet.clone();
            other[at] ^= 1;
            assert!(!answers(true, &other, &request), "{at}");
        }
        for n in 0..packet.len() {
            assert!(!answers(true, &packet[..n], &request));
        }
    }
}
