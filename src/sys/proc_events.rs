//! The kernel's process connector: programs that begin, end, or take another name.
//!
//! Read first: the kernel's `linux/connector.h` and `linux/cn_proc.h`. A message is a `nlmsghdr`, a
//! `cn_msg` and a `proc_event`, in the machine's byte order, and laid out alike for every word size.
//!
//! Who listens makes the kernel write a message for every fork of the machine. Our filter drops all
//! but the first event of a program (exec), its end, and a change of its name; of threads nothing
//! comes through. The event mask of kernels since 6.6 would spare no more than the filter does.
//!
//! A few kernels of early 2024 (6.6.13 and on, reverted soon) fall silent once a filter has dropped a
//! message, or a queue has run over: look at an interval too, here as everywhere.

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{CN_IDX_PROC, CN_VAL_PROC, PROC_CN_MCAST_IGNORE, PROC_CN_MCAST_LISTEN, sock_filter};
use libc::{PROC_EVENT_COMM, PROC_EVENT_EXEC, PROC_EVENT_EXIT, PROC_EVENT_NONE};
use linux_raw_sys::netlink::{NLMSG_DONE, nlmsghdr};
use static_assertions::const_assert_eq;

use super::filter::{self, ALL, JEQ_K, JEQ_X, LDW_ABS, RET_K, TAX, op};
use super::netlink::message::{u16_at, u32_at};
use super::netlink::{Reception, Socket};

/// `struct cn_msg` without its data.
#[repr(C)]
struct CnMsg {
    idx: u32,
    val: u32,
    seq: u32,
    ack: u32,
    len: u16,
    flags: u16,
}

/// The beginning of `struct proc_event`, with what exec, comm and exit have in common. An
/// acknowledgement has its error number in the place of `pid`.
#[repr(C)]
struct ProcEvent {
    what: u32,
    cpu: u32,
    timestamp_ns: u64,
    pid: u32,
    tgid: u32,
}

const HEADER: usize = size_of::<nlmsghdr>();
const EVENT: usize = HEADER + size_of::<CnMsg>();
const KIND: usize = offset_of!(nlmsghdr, nlmsg_type);
const IDX: usize = HEADER + offset_of!(CnMsg, idx);
const VAL: usize = HEADER + offset_of!(CnMsg, val);
const ACK: usize = HEADER + offset_of!(CnMsg, ack);
const LEN: usize = HEADER + offset_of!(CnMsg, len);
const WHAT: usize = EVENT + offset_of!(ProcEvent, what);
const PID: usize = EVENT + offset_of!(ProcEvent, pid);
const TGID: usize = EVENT + offset_of!(ProcEvent, tgid);

const_assert_eq!(HEADER, 16);
const_assert_eq!(size_of::<CnMsg>(), 20);
const_assert_eq!(size_of::<ProcEvent>(), 24);
const_assert_eq!(offset_of!(CnMsg, val), 4);
const_assert_eq!(offset_of!(CnMsg, seq), 8);
const_assert_eq!(offset_of!(CnMsg, flags), 18);
const_assert_eq!(offset_of!(ProcEvent, cpu), 4);
const_assert_eq!(offset_of!(ProcEvent, timestamp_ns), 8);
const_assert_eq!(ACK, 28);
const_assert_eq!(LEN, 32);
const_assert_eq!(WHAT, 36);
const_assert_eq!(PID, 52);
const_assert_eq!(TGID, 56);

/// Bytes of a request: the operation is an enum.
const REQUEST: usize = EVENT + 4;
/// Bytes of a receive buffer: the kernel's messages have 76, with room to grow.
const BUFFER: usize = 256;
/// Bytes that may queue in the kernel, some forty events: more of them say no more than their loss.
const QUEUE: usize = 16 * 1024;
/// Messages that are read at most while the answer is awaited.
const PATIENCE: usize = 64;

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is another program now.
    Exec,
    /// It has another name now.
    Comm,
    /// It ends: in a moment it is gone, or a zombie.
    Exit,
}

/// What one reception brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Something happened to this process.
    Event(Change, u32),
    /// A message that is not for us.
    Other,
    /// Messages were lost: the kernel had no room for them. It drops all that come until the queue
    /// has been read to its end, without another word.
    Lost,
    /// Nothing there.
    Empty,
}

/// A message of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// The answer to a request, with that request's mark and an error number or 0.
    Answer { mark: u32, errno: u32 },
    /// Something happened to this process.
    Event(Change, u32),
}

/// Reads a message; `None` if it is cut short, or tells of something else.
fn parse(b: &[u8]) -> Option<Message> {
    let whole = b.get(..u32_at(b, 0)? as usize)?;
    let ours = u16_at(whole, KIND)? as u32 == NLMSG_DONE
        && u32_at(whole, IDX)? == CN_IDX_PROC
        && u32_at(whole, VAL)? == CN_VAL_PROC;
    let len = u16_at(whole, LEN)? as usize;
    if !ours || whole.len() < EVENT + len || len < size_of::<ProcEvent>() {
        return None;
    }
    let (what, pid) = (u32_at(whole, WHAT)?, u32_at(whole, PID)?);
    let change = match what {
        PROC_EVENT_NONE => return Some(Message::Answer { mark: u32_at(whole, ACK)?.wrapping_sub(1), errno: pid }),
        PROC_EVENT_EXEC => Change::Exec,
        PROC_EVENT_COMM => Change::Comm,
        PROC_EVENT_EXIT => Change::Exit,
        _ => return None,
    };
    (pid == u32_at(whole, TGID)?).then_some(Message::Event(change, pid))
}

/// A request for `operation`; the answer has the same `mark`.
fn request(operation: u32, mark: u32) -> [u8; REQUEST] {
    let mut b = [0; REQUEST];
    let words = [(0, REQUEST as u32), (IDX, CN_IDX_PROC), (VAL, CN_VAL_PROC), (ACK, mark), (EVENT, operation)];
    for (at, word) in words {
        b[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    b[KIND..KIND + 2].copy_from_slice(&(NLMSG_DONE as u16).to_ne_bytes());
    b[LEN..LEN + 2].copy_from_slice(&4u16.to_ne_bytes());
    b
}

/// Passes the answer to the request with this mark.
fn pass_answer(mark: u32) -> [sock_filter; 6] {
    // The filter reads numbers in the network's byte order; these are in ours.
    [
        op(LDW_ABS, 0, 0, WHAT as u32),
        op(JEQ_K, 0, 3, PROC_EVENT_NONE.to_be()),
        op(LDW_ABS, 0, 0, ACK as u32),
        op(JEQ_K, 0, 1, mark.wrapping_add(1).to_be()),
        op(RET_K, 0, 0, ALL),
        op(RET_K, 0, 0, 0),
    ]
}

/// Passes what happens to processes.
const PASS_EVENTS: [sock_filter; 10] = [
    op(LDW_ABS, 0, 0, WHAT as u32),
    op(JEQ_K, 2, 0, PROC_EVENT_EXEC.to_be()),
    op(JEQ_K, 1, 0, PROC_EVENT_COMM.to_be()),
    op(JEQ_K, 0, 5, PROC_EVENT_EXIT.to_be()),
    // Of the process, not of one of its threads.
    op(LDW_ABS, 0, 0, PID as u32),
    op(TAX, 0, 0, 0),
    op(LDW_ABS, 0, 0, TGID as u32),
    op(JEQ_X, 0, 1, 0),
    op(RET_K, 0, 0, ALL),
    op(RET_K, 0, 0, 0),
];

/// The socket. Dropped, it tells the kernel that one listener less is there.
pub struct ProcEvents {
    socket: Socket,
    mark: u32,
}

impl ProcEvents {
    /// Subscribes: from now on every change is told. Never waits: the kernel answers within the
    /// request's system call, or never.
    ///
    /// [`why_not`] has the errors in words. No answer is `Unsupported`.
    pub fn open() -> io::Result<ProcEvents> {
        let socket = Socket::unbound(Some(rustix::net::netlink::CONNECTOR))?;
        // Two sockets of ours have different descriptors; those of others have other processes.
        let mark = std::process::id() ^ (socket.as_fd().as_raw_fd() as u32) << 22;
        // The filter first, so that no flood of events takes the answer's room.
        filter::attach(socket.as_fd(), &pass_answer(mark))?;
        let socket = socket.bound(CN_IDX_PROC)?;
        socket.send(&request(PROC_CN_MCAST_LISTEN, mark))?;
        let events = ProcEvents { socket, mark };
        events.answer()?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&events, QUEUE)?;
        filter::attach(events.as_fd(), &PASS_EVENTS)?;
        Ok(events)
    }

    fn answer(&self) -> io::Result<()> {
        let mut buffer = [0; BUFFER];
        for _ in 0..PATIENCE {
            match self.socket.receive(&mut buffer)? {
                Reception::Bytes(n) => match parse(buffer.get(..n).unwrap_or(&[])) {
                    Some(Message::Answer { mark, errno: 0 }) if mark == self.mark => return Ok(()),
                    Some(Message::Answer { mark, errno }) if mark == self.mark => {
                        return Err(io::Error::from_raw_os_error(errno as i32));
                    }
                    _ => {}
                },
                Reception::Empty => break,
                Reception::Truncated | Reception::Overrun => {}
            }
        }
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads one message, if there is one.
    pub fn read(&self) -> io::Result<Reading> {
        let mut buffer = [0; BUFFER];
        Ok(match self.socket.receive(&mut buffer)? {
            Reception::Bytes(n) => match parse(buffer.get(..n).unwrap_or(&[])) {
                Some(Message::Event(change, pid)) => Reading::Event(change, pid),
                Some(Message::Answer { .. }) | None => Reading::Other,
            },
            Reception::Truncated => Reading::Other,
            Reception::Overrun => Reading::Lost,
            Reception::Empty => Reading::Empty,
        })
    }
}

impl AsFd for ProcEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ProcEvents {
    fn drop(&mut self) {
        // Kernels before 6.6 do not count down when a socket is closed.
        let _ = self.socket.send(&request(PROC_CN_MCAST_IGNORE, self.mark));
    }
}

/// Why [`ProcEvents::open`] failed, in words.
pub fn why_not(e: &io::Error) -> &'static str {
    match (e.kind(), e.raw_os_error()) {
        (io::ErrorKind::Unsupported, None) => {
            "the kernel does not answer: it has no CONFIG_PROC_EVENTS, or this is not the first PID namespace"
        }
        (_, Some(libc::EPROTONOSUPPORT)) => "the kernel has no CONFIG_CONNECTOR",
        (_, Some(libc::ECONNREFUSED)) => "it exists in the first network namespace only",
        (_, Some(libc::EPERM | libc::EACCES)) => "not permitted: CAP_NET_ADMIN is missing",
        (_, Some(libc::ENOMEM | libc::ENOBUFS)) => "out of memory",
        (io::ErrorKind::StorageFull, None) => "too many checks at once",
        _ => "an unexpected error of the kernel",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sys::filter::tests::machine;
    use crate::sys::testnet::{eventually, in_namespace};
    use libc::{PROC_EVENT_FORK, PROC_EVENT_UID};
    use std::process::Command;

    /// False, with a word on why, if this thread is where no kernel has a connector to offer.
    pub(crate) fn there() -> bool {
        let link = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
        let listed = std::fs::read_to_string("/proc/thread-self/net/connector").unwrap_or_default();
        // The numbers of the first namespaces are the kernel's PROC_PID_INIT_INO and PROC_USER_INIT_INO.
        let why = if !listed.contains("cn_proc") {
            "no cn_proc in /proc/net/connector"
        } else if link("pid").as_os_str() != "pid:[4026531836]" || link("user").as_os_str() != "user:[4026531837]" {
            "not in the first PID and user namespace"
        } else {
            return true;
        };
        eprintln!("SKIPPED: no process connector here: {why}");
        false
    }

    /// As the kernel writes it, field after field of the C structs.
    fn message(what: u32, ack: u32, pid: u32, tgid: u32) -> Vec<u8> {
        let mut b = vec![];
        b.extend_from_slice(&76u32.to_ne_bytes());
        b.extend_from_slice(&3u16.to_ne_bytes()); // NLMSG_DONE
        b.extend_from_slice(&0u16.to_ne_bytes());
        // nlmsg_seq, nlmsg_pid; idx, val, seq, ack
        for word in [7, 0, 1, 1, 7, ack] {
            b.extend_from_slice(&u32::to_ne_bytes(word));
        }
        b.extend_from_slice(&40u16.to_ne_bytes());
        b.extend_from_slice(&0u16.to_ne_bytes());
        b.extend_from_slice(&what.to_ne_bytes());
        b.extend_from_slice(&1u32.to_ne_bytes());
        b.extend_from_slice(&0x0102_0304_0506_0708u64.to_ne_bytes());
        for word in [pid, tgid, 0xa5, 0xa5, 0xa5, 0xa5] {
            b.extend_from_slice(&word.to_ne_bytes());
        }
        b
    }

    const KINDS: [(u32, Option<Change>); 8] = [
        (0, None),
        (PROC_EVENT_FORK, None),
        (0x2, Some(Change::Exec)),
        (PROC_EVENT_UID, None),
        (0x200, Some(Change::Comm)),
        (0x4000_0000, None),
        (0x8000_0000, Some(Change::Exit)),
        (0x8000_0002, None),
    ];

    /// Input: each kind of event, of a process and of a thread. Output: what the parser and the
    /// kernel's filter make of it, which is the same.
    #[test]
    fn kinds() {
        for (what, change) in KINDS {
            let (own, thread) = (message(what, 0, 258, 258), message(what, 0, 259, 258));
            assert_eq!(own.len(), 76);
            let event = |b: &[u8]| match parse(b) {
                Some(Message::Event(c, pid)) => Some((c, pid)),
                _ => None,
            };
            assert_eq!(event(&own), change.map(|c| (c, 258)), "{what:x}");
            assert_eq!(event(&thread), None, "{what:x}");
            assert_eq!(machine(&PASS_EVENTS, &own), if change.is_some() { ALL } else { 0 }, "{what:x}");
            assert_eq!(machine(&PASS_EVENTS, &thread), 0, "{what:x}");
        }
    }

    #[test]
    fn answers() {
        for mark in [0, 1, 0x0102_0304, u32::MAX] {
            let b = message(0, mark.wrapping_add(1), 1, 0);
            assert_eq!(parse(&b), Some(Message::Answer { mark, errno: 1 }));
            assert_eq!(machine(&pass_answer(mark), &b), ALL);
            assert_eq!(machine(&pass_answer(mark.wrapping_add(1)), &b), 0);
            assert_eq!(machine(&pass_answer(mark), &message(2, mark.wrapping_add(1), 1, 1)), 0);
        }
    }

    /// What is cut short, or not what it should be, is nothing.
    #[test]
    fn broken() {
        let good = message(0x2, 0, 5, 5);
        for cut in 0..good.len() {
            assert_eq!(parse(&good[..cut]), None, "{cut}");
            // With a length that fits: the inner one does not.
            let mut short = good[..cut].to_vec();
            if let Some(len) = short.get_mut(..4) {
                len.copy_from_slice(&(cut as u32).to_ne_bytes());
            }
            assert_eq!(parse(&short), None, "{cut}");
            assert_eq!(machine(&PASS_EVENTS, &good[..cut]), if cut < 60 { 0 } else { ALL }, "{cut}");
        }
        let end = [&good[..], &[0; 4]].concat();
        assert_eq!(parse(&end), Some(Message::Event(Change::Exec, 5)));
        let set = |at: usize, to: &[u8]| {
            let mut b = good.clone();
            b[at..at + to.len()].copy_from_slice(to);
            parse(&b)
        };
        assert_eq!(set(0, &u32::MAX.to_ne_bytes()), None);
        assert_eq!(set(0, &0u32.to_ne_bytes()), None);
        assert_eq!(set(4, &2u16.to_ne_bytes()), None); // NLMSG_ERROR
        assert_eq!(set(16, &2u32.to_ne_bytes()), None);
        assert_eq!(set(20, &2u32.to_ne_bytes()), None);
        for (len, good) in [(0u16, false), (23, false), (24, true), (41, false), (u16::MAX, false)] {
            assert_eq!(set(32, &len.to_ne_bytes()).is_some(), good, "{len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn junk(b: Vec<u8>, tail: [u8; 40]) {
            let _ = parse(&b);
            let mut whole = message(0, 0, 0, 0);
            whole[36..].copy_from_slice(&tail);
            let passed = machine(&PASS_EVENTS, &whole) == ALL;
            assert_eq!(passed, matches!(parse(&whole), Some(Message::Event(..))));
        }
    }

    #[test]
    fn requests() {
        let b = request(PROC_CN_MCAST_LISTEN, 0x0a0b_0c0d);
        let words: Vec<u32> = b.chunks(4).map(|w| u32::from_ne_bytes(w.try_into().unwrap())).collect();
        let halves = |at: usize| u16::from_ne_bytes([b[at], b[at + 1]]);
        assert_eq!((words.len(), words[0], halves(4), halves(6)), (10, 40, 3, 0));
        assert_eq!(words[2..8], [0, 0, 1, 1, 0, 0x0a0b_0c0d]);
        assert_eq!((halves(32), halves(34), words[9]), (4, 0, 1));
    }

    /// Runs a shell script until all of these are told of it; once more if messages were lost, for
    /// other tests make noise. All that comes must be an event.
    fn tells(events: &ProcEvents, script: &str, wanted: &[Change]) {
        for _ in 0..20 {
            let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let (pid, mut wanted, mut lost) = (child.id(), wanted.to_vec(), false);
            eventually("all events of the child", || {
                loop {
                    match events.read().unwrap() {
                        Reading::Event(change, of) => wanted.retain(|w| (*w, pid) != (change, of)),
                        Reading::Lost => lost = true,
                        Reading::Other => panic!("the filter lets too much through"),
                        Reading::Empty => break,
                    }
                }
                (wanted.is_empty() || lost).then_some(())
            });
            child.wait().unwrap();
            if wanted.is_empty() {
                return;
            }
        }
        panic!("messages are lost each time");
    }

    /// Input: a program that forks, has a name given, and ends; and a thread of ours. Output: its
    /// exec, name and end; nothing else gets through the filter.
    #[test]
    fn kernel_tells() {
        if !there() {
            return;
        }
        let (events, second) = (ProcEvents::open().unwrap(), ProcEvents::open().unwrap());
        std::thread::spawn(|| {}).join().unwrap();
        tells(&events, "(:); (:); printf pv-told > /proc/$$/comm; (:)", &[Change::Exec, Change::Comm, Change::Exit]);
        // One that goes takes nothing from the other.
        drop(events);
        tells(&second, ":", &[Change::Exec, Change::Exit]);
    }

    /// More than the queue holds is told as lost, and what comes behind it is told again.
    #[test]
    fn overrun() {
        if !there() {
            return;
        }
        let events = ProcEvents::open().unwrap();
        eventually("an overrun", || {
            for _ in 0..32 {
                Command::new("true").status().unwrap();
            }
            let mut readings = std::iter::from_fn(|| Some(events.read().unwrap())).take_while(|r| *r != Reading::Empty);
            readings.any(|r| r == Reading::Lost).then_some(())
        });
        // What comes until the queue is empty is dropped without another word.
        eventually("an empty queue", || (events.read().unwrap() == Reading::Empty).then_some(()));
        tells(&events, ":", &[Change::Exec, Change::Exit]);
    }

    #[test]
    fn not_in_another_namespace() {
        in_namespace(|| {
            let begin = std::time::Instant::now();
            let e = ProcEvents::open().map(|_| ()).unwrap_err();
            assert!(begin.elapsed().as_millis() < 500);
            let known = [Some(libc::ECONNREFUSED), Some(libc::EPROTONOSUPPORT)];
            assert!(known.contains(&e.raw_os_error()), "{e}");
            assert!(why_not(&e).contains("namespace") || why_not(&e).contains("CONFIG_CONNECTOR"));
        });
    }

    #[test]
    fn words() {
        let raw = |n| why_not(&io::Error::from_raw_os_error(n));
        assert!(why_not(&io::ErrorKind::Unsupported.into()).contains("CONFIG_PROC_EVENTS"));
        assert!(raw(libc::EPERM).contains("CAP_NET_ADMIN"));
        assert!(raw(libc::ECONNREFUSED).contains("network namespace"));
        assert!(raw(libc::EPROTONOSUPPORT).contains("CONFIG_CONNECTOR"));
        assert!(raw(libc::EIO).contains("unexpected"));
    }
}
