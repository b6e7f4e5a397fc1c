//! One DNS query over UDP.
//!
//! Read first: RFC 1035 §4. Up is: a response to this very question, without an error, with at least
//! one record of the type asked for. The query asks for recursion and is sent once: `fall` is for
//! what gets lost.

use std::io;
use std::net::SocketAddr;

use heapless::Vec;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use ufmt::uwrite;

use super::{Look, Outcome, Seen, because, failed, random, reason};
use crate::config::model::RecordType;
use crate::sys::context::Context;
use crate::vrrp::timing::Instant;

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
/// Bytes of a response over UDP without extensions.
const MAX_RESPONSE: usize = 512;

/// A question, encoded once.
#[derive(Clone, Debug)]
pub struct Query {
    /// The name, the type and the class.
    question: Vec<u8, 260>,
    kind: RecordType,
}

impl Query {
    /// For `name`, which may end in a dot; `.` is the root.
    pub fn new(name: &str, kind: RecordType) -> Result<Query, &'static str> {
        const TOO_LONG: &str = "a domain name has at most 255 bytes";
        let mut question = Vec::new();
        let name = name.strip_suffix('.').unwrap_or(if name.is_empty() {
            return Err("the domain name is empty");
        } else {
            name
        });
        if !name.is_empty() {
            for label in name.split('.') {
                match label.len() {
                    0 => return Err("a label of the domain name is empty: expected one dot between two labels"),
                    1..=63 => {}
                    _ => return Err("a label of a domain name has at most 63 bytes"),
                }
                if !label.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
                    return Err("a character that a domain name cannot have; use its ASCII form");
                }
                question.push(label.len() as u8).map_err(|_| TOO_LONG)?;
                question.extend_from_slice(label.as_bytes()).map_err(|_| TOO_LONG)?;
            }
        }
        if question.len() > 254 {
            return Err(TOO_LONG);
        }
        let [k0, k1] = (kind as u16).to_be_bytes();
        let [c0, c1] = CLASS_IN.to_be_bytes();
        question.extend_from_slice(&[0, k0, k1, c0, c1]).map_err(|_| TOO_LONG)?;
        Ok(Query { question, kind })
    }

    /// The message, recursion desired.
    fn message(&self, id: u16) -> Vec<u8, { HEADER + 260 }> {
        let [i0, i1] = id.to_be_bytes();
        let mut m = Vec::new();
        // Both fit by their capacities.
        let _ = m.extend_from_slice(&[i0, i1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        let _ = m.extend_from_slice(&self.question);
        m
    }

    /// What a datagram says; `None` if it is no response to this question.
    fn judge(&self, id: u16, m: &[u8]) -> Option<Outcome> {
        let flags = u16_at(m, 2)?;
        // QR set, opcode 0.
        if u16_at(m, 0)? != id || flags & 0xf800 != 0x8000 {
            return None;
        }
        let code = flags & 0xf;
        // Some servers leave the question out of an error.
        let asked = m.get(HEADER..HEADER + self.question.len());
        let same = u16_at(m, 4)? == 1 && asked.is_some_and(|q| q.eq_ignore_ascii_case(&self.question));
        if !(same || code != 0 && u16_at(m, 4)? == 0) {
            return None;
        }
        Some(match code {
            0 => match self.has_answer(m) {
                Some(true) => Ok(()),
                _ if flags & 0x0200 != 0 => Err(because("the answer is too long for UDP")),
                Some(false) => Err(because("no record of that type")),
                None => Err(because("garbled answer")),
            },
            1 => Err(because("the server found the query malformed")),
            2 => Err(because("the server failed")),
            3 => Err(because("no such name")),
            4 => Err(because("the server does not know such queries")),
            5 => Err(because("the server refused")),
            n => Err(reason(&mut |t| uwrite!(t, "the server says error {}", n))),
        })
    }

    /// Whether there is a record of our type; `None` if the message ends within a record first.
    fn has_answer(&self, m: &[u8]) -> Option<bool> {
        let mut at = HEADER + self.question.len();
        for _ in 0..u16_at(m, 6)? {
            at = behind_name(m, at)?;
            let (kind, class, length) = (u16_at(m, at)?, u16_at(m, at + 2)?, u16_at(m, at + 8)? as usize);
            m.get(at + 10..at + 10 + length)?;
            if kind == self.kind as u16 && class == CLASS_IN {
                return Some(true);
            }
            at += 10 + length;
        }
        Some(false)
    }
}

fn u16_at(m: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(m.get(at..at + 2)?.try_into().ok()?))
}

/// Where a name ends; pointers are not followed (RFC 1035 §4.1.4).
fn behind_name(m: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *m.get(at)? {
            0 => return Some(at + 1),
            n @ 1..=63 => at += 1 + n as usize,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Asks `server`, and awaits the answer until `deadline`.
pub async fn dns(context: &Context, server: SocketAddr, query: &Query, deadline: Instant) -> Outcome {
    match context.by(deadline, ask(context, server, query)).await {
        Ok(outcome) => outcome,
        Err(e) => Err(failed(&e)),
    }
}

/// [`dns`] as a check.
pub struct Dns<'a> {
    /// What it waits with.
    pub context: &'a Context,
    /// Whom it asks.
    pub server: SocketAddr,
    /// What it asks.
    pub query: Query,
}

impl Look for Dns<'_> {
    async fn look(&mut self, deadline: Instant) -> Seen {
        dns(self.context, self.server, &self.query, deadline).await.into()
    }
}

async fn ask(context: &Context, server: SocketAddr, query: &Query) -> io::Result<Outcome> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    // Connected: others' datagrams are not ours, and a closed port is told.
    rustix::net::connect(&socket, &server)?;
    let socket = context.watch(socket)?;
    let id = random() as u16;
    rustix::net::send(&socket, &query.message(id), SendFlags::empty())?;
    let mut buffer = [0; MAX_RESPONSE];
    loop {
        socket.readable().await?;
        match rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((n, _)) => {
                if let Some(outcome) = query.judge(id, &buffer[..n]) {
                    return Ok(outcome);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::sys::clock;
    use crate::vrrp::timing::Micros;
    use std::net::UdpSocket;

    /// What the check says to a server that answers a query with these datagrams.
    fn outcome(
        kind: RecordType,
        answers: impl Fn(&[u8]) -> std::vec::Vec<std::vec::Vec<u8>> + Send + 'static,
    ) -> String {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut b = [0; 512];
            let (n, from) = server.recv_from(&mut b).unwrap();
            for a in answers(&b[..n]) {
                server.send_to(&a, from).unwrap();
            }
        });
        let query = Query::new("www.example.org", kind).unwrap();
        match run(async |c| dns(c, to, &query, clock::now() + Micros::from_millis(300)).await) {
            Ok(()) => "up".into(),
            Err(r) => r.as_str().into(),
        }
    }

    /// The query made a response: flags, answers; a record's name is a pointer to the question's.
    fn response(q: &[u8], flags: u16, records: &[(u16, &[u8])]) -> std::vec::Vec<u8> {
        let mut m = q.to_vec();
        m[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
        m[7] = records.len() as u8;
        for (kind, data) in records {
            m.extend_from_slice(&[0xc0, 12]);
            m.extend_from_slice(&kind.to_be_bytes());
            m.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            m.extend_from_slice(data);
        }
        m
    }

    #[test]
    fn answers() {
        let a: (u16, &[u8]) = (1, &[192, 0, 2, 1]);
        let cname: (u16, &[u8]) = (5, &[1, b'x', 0]);
        assert_eq!(outcome(RecordType::A, move |q| vec![response(q, 0, &[a])]), "up");
        assert_eq!(outcome(RecordType::A, move |q| vec![response(q, 0, &[cname, a])]), "up");
        assert_eq!(outcome(RecordType::Aaaa, move |q| vec![response(q, 0, &[cname])]), "no record of that type");
        assert_eq!(outcome(RecordType::A, |q| vec![response(q, 0, &[])]), "no record of that type");
        assert_eq!(outcome(RecordType::A, |q| vec![response(q, 3, &[])]), "no such name");
        assert_eq!(outcome(RecordType::A, |q| vec![response(q, 2, &[])]), "the server failed");
        assert_eq!(outcome(RecordType::A, |q| vec![response(q, 5, &[])]), "the server refused");
        assert_eq!(outcome(RecordType::A, |q| vec![response(q, 0x0200, &[])]), "the answer is too long for UDP");
        assert_eq!(
            outcome(RecordType::A, move |q| {
                let mut m = response(q, 0, &[a]);
                m.truncate(m.len() - 1);
                vec![m]
            }),
            "garbled answer"
        );
    }

    /// What is no response to this question is passed over; the right one behind it counts.
    #[test]
    fn strangers_answers() {
        let a: (u16, &[u8]) = (1, &[192, 0, 2, 1]);
        let wrong = move |q: &[u8]| {
            let mut id = response(q, 0, &[a]);
            id[0] ^= 1;
            let mut question = response(q, 0, &[a]);
            question[14] ^= 1;
            vec![id, question, q.to_vec(), vec![], vec![0xff; 300]]
        };
        assert_eq!(outcome(RecordType::A, wrong), "no answer in time");
        assert_eq!(
            outcome(RecordType::A, move |q| {
                let mut all = wrong(q);
                all.push(response(q, 0, &[a]));
                all
            }),
            "up"
        );
    }

    #[test]
    fn nobody_there() {
        let to = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let query = Query::new(".", RecordType::Ns).unwrap();
        let r = run(async |c| dns(c, to, &query, clock::now() + Micros::from_secs(5)).await);
        assert_eq!(r.unwrap_err(), "connection refused");
    }

    #[test]
    fn names() {
        assert_eq!(Query::new("a.bc.", RecordType::Mx).unwrap().question, *b"\x01a\x02bc\0\0\x0f\0\x01");
        assert_eq!(Query::new(".", RecordType::Ns).unwrap().question, *b"\0\0\x02\0\x01");
        let label = "x".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
        assert_eq!(Query::new(&longest, RecordType::A).unwrap().question.len(), 255 + 4);
        for bad in
            ["", "..", "a..b", ".a", "a b", "ä.example", &"x".repeat(64), &format!("{longest}y"), &"a.".repeat(200)]
        {
            assert!(Query::new(bad, RecordType::A).is_err(), "{bad}");
        }
        assert_eq!(RecordType::parse("aaaa"), Some(RecordType::Aaaa));
        assert_eq!(RecordType::parse("ANY"), None);
    }

    proptest::proptest! {
        #[test]
        fn junk(m: std::vec::Vec<u8>, flips: [(u8, u8); 4], cut: u8) {
            let query = Query::new("www.example.org", RecordType::A).unwrap();
            let _ = query.judge(0, &m);
            let mut near = response(&query.message(7), 0, &[(5, &[1, b'x', 0]), (1, &[1, 2, 3, 4])]);
            for (at, xor) in flips {
                let n = near.len();
                near[at as usize % n] ^= xor;
            }
            near.truncate(near.len().saturating_sub(cut as usize % 80));
            let _ = query.judge(7, &near);
        }
    }
}
