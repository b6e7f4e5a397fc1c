//! A client that pings every 10 ms, and what it lived through.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::netns::Netns;
use super::packet::internet_checksum;
use super::{ms, socket};

/// The time between two pings.
pub(crate) const PERIOD: Duration = Duration::from_millis(10);

/// One ping: when it was sent, and when it was answered if it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub(crate) sent: Instant,
    pub(crate) answered: Option<Instant>,
}

/// A pinging thread in a client's namespace; it stops on drop.
pub(crate) struct Pinger {
    pings: Arc<Mutex<Vec<Ping>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    target: IpAddr,
}

/// What a client lived through.
#[derive(Clone, Debug)]
pub(crate) struct Experience {
    pub(crate) pings: Vec<Ping>,
}

impl Pinger {
    /// Starts to ping `target` from `client`.
    pub(crate) fn start(client: &Netns, target: IpAddr) -> Self {
        Self::start_every(client, target, PERIOD)
    }

    /// Starts to ping `target` from `client`, once in each `period`.
    pub(crate) fn start_every(client: &Netns, target: IpAddr, period: Duration) -> Self {
        let socket = client.inside(|| {
            let fd = socket::icmp(target).expect("root opens a raw ICMP socket");
            rustix::net::connect(&fd, &SocketAddr::new(target, 0)).expect("the client has a route to the target");
            fd
        });
        let (pings, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (ours, halt) = (Arc::clone(&pings), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            socket::run_first();
            ping(&socket, target, period, &ours, &halt);
        });
        Pinger { pings, stop, thread: Some(thread), target }
    }

    /// Pings so far.
    pub(crate) fn so_far(&self) -> Experience {
        Experience { pings: self.pings.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    /// Waits until a ping sent after `since` has been answered; when the answer came.
    #[track_caller]
    pub(crate) fn wait_answer(&self, since: Instant, timeout: Duration) -> Instant {
        let what = format!("{} answers a ping", self.target);
        super::wait_for(&what, timeout, || self.so_far().first_answer_after(since))
    }

    /// Stops, half a second after the last ping of interest, and tells.
    pub(crate) fn stop(mut self) -> Experience {
        self.halt();
        self.so_far()
    }

    fn halt(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.halt();
    }
}

impl Experience {
    /// When the first ping sent after `since` was answered.
    pub(crate) fn first_answer_after(&self, since: Instant) -> Option<Instant> {
        self.pings.iter().filter(|p| p.sent >= since).find_map(|p| p.answered)
    }

    /// The longest time between two answers since `since` (or to the last ping, if none came
    /// after it): what a person would call the outage. In a healthy network it is about 10 ms.
    pub(crate) fn longest_silence(&self, since: Instant) -> Duration {
        let Some(end) = self.pings.last().map(|p| p.sent) else { return Duration::ZERO };
        let mut answers: Vec<_> = self.pings.iter().filter_map(|p| p.answered).filter(|a| *a >= since).collect();
        answers.sort();
        let mut last = answers.first().copied().unwrap_or(since).min(since + PERIOD);
        let mut longest = Duration::ZERO;
        for at in answers.into_iter().chain([end]) {
            longest = longest.max(at.saturating_duration_since(last));
            last = last.max(at);
        }
        longest
    }

    /// Pings since `since` that were never answered.
    pub(crate) fn lost(&self, since: Instant) -> usize {
        self.pings.iter().filter(|p| p.sent >= since && p.answered.is_none()).count()
    }
}

fn ping(socket: &OwnedFd, target: IpAddr, period: Duration, pings: &Mutex<Vec<Ping>>, stop: &AtomicBool) {
    let id = (std::process::id() as u16) ^ 0x5652;
    let mut next = Instant::now();
    let mut buffer = [0u8; 512];
    // After the order to stop, late answers may still come in for a moment.
    let mut last_call: Option<Instant> = None;
    loop {
        let now = Instant::now();
        match last_call {
            None if stop.load(Ordering::Relaxed) => last_call = Some(now + ms(50)),
            None if now >= next => {
                let sequence = {
                    let mut pings = pings.lock().unwrap_or_else(PoisonError::into_inner);
                    pings.push(Ping { sent: Instant::now(), answered: None });
                    pings.len() as u32 - 1
                };
                // No route or no neighbour is an unanswered ping like any other.
                let _ = rustix::net::send(socket, &request(target, id, sequence), rustix::net::SendFlags::empty());
                next += period;
                if next < now {
                    next = now + period;
                }
            }
            None => {}
            Some(end) if now >= end => return,
            Some(_) => {}
        }
        socket::readable(socket, last_call.unwrap_or(next));
        loop {
            let received = match socket::receive(socket, &mut buffer) {
                Ok(Some(received)) => received,
                Ok(None) => break,
                // An ICMP error that the kernel reports here; the next call goes on.
                Err(_) => continue,
            };
            let Some(sequence) = answer(target, id, &buffer[..received.len]) else { continue };
            let mut pings = pings.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ping) = pings.get_mut(sequence as usize) {
                ping.answered.get_or_insert(received.at);
            }
        }
    }
}

/// An echo request whose data carries the sequence in full.
fn request(target: IpAddr, id: u16, sequence: u32) -> Vec<u8> {
    let mut packet = vec![if target.is_ipv4() { 8 } else { 128 }, 0, 0, 0];
    packet.extend(id.to_be_bytes());
    packet.extend((sequence as u16).to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    if target.is_ipv4() {
        // The kernel fills in ICMPv6's.
        let sum = internet_checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The sequence in an echo reply to us.
fn answer(target: IpAddr, id: u16, packet: &[u8]) -> Option<u32> {
    let (message, kind) = match target {
        IpAddr::V4(_) => (packet.get(usize::from(packet.first()? & 0x0f) * 4..)?, 0),
        IpAddr::V6(_) => (packet, 129),
    };
    if *message.first()? != kind || message.get(4..6)? != id.to_be_bytes() {
        return None;
    }
    Some(u32::from_be_bytes(message.get(8..12)?.try_into().ok()?))
}
