//! What was on the wire: a thread in the bridge's namespace that hears every frame a port took in,
//! with the kernel's time stamp and the name of the port.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::netns::Netns;
use super::packet::{Advert, Packet, parse};
use super::{ms, socket};

/// An advert, ARP or neighbour advertisement that came in through a port of the bridge.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    /// When the kernel saw it.
    pub(crate) at: Instant,
    /// The node behind the port.
    pub(crate) from: String,
    pub(crate) packet: Packet,
    /// The whole frame.
    pub(crate) frame: Vec<u8>,
}

impl Sighting {
    /// The advert in it, if it is one.
    pub(crate) fn advert(&self) -> Option<&Advert> {
        match &self.packet {
            Packet::Advert(advert) => Some(advert),
            _ => None,
        }
    }

    /// Whether it is an advert of `node` that claims mastership (priority above 0).
    pub(crate) fn is_claim_of(&self, node: &str) -> bool {
        self.from == node && self.advert().is_some_and(|a| a.priority > 0)
    }

    /// Whether it is an advert of `node` that gives mastership up (priority 0).
    pub(crate) fn is_farewell_of(&self, node: &str) -> bool {
        self.from == node && self.advert().is_some_and(|a| a.priority == 0)
    }

    /// Whether it is a gratuitous ARP or an unsolicited NA of `node` for `address`.
    pub(crate) fn is_announcement_of(&self, node: &str, address: IpAddr) -> bool {
        self.from == node
            && match &self.packet {
                Packet::Arp(arp) => arp.announces(address),
                Packet::Neighbour(na) => na.announces(address),
                Packet::Advert(_) => false,
            }
    }
}

/// A frame whose source is a virtual router's MAC address, whatever is in it.
#[derive(Clone, Debug)]
pub(crate) struct Virtual {
    pub(crate) at: Instant,
    /// The node behind the port.
    pub(crate) from: String,
    pub(crate) frame: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    virtuals: Mutex<Vec<Virtual>>,
    seen: Mutex<Vec<Sighting>>,
    /// What left the bridge through a port; `from` is the node behind it.
    delivered: Mutex<Vec<Sighting>>,
    more: Condvar,
    ports: Mutex<HashMap<u32, String>>,
    stop: AtomicBool,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Sighting>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ports(&self) -> MutexGuard<'_, HashMap<u32, String>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The observer; it stops on drop.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// Listens in the bridge's namespace.
    pub(crate) fn listen(bridge: &Netns) -> Self {
        let shared = Arc::new(Shared::default());
        let socket = bridge.inside(|| socket::packet().expect("root opens a packet socket"));
        let ours = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            socket::run_first();
            let mut buffer = vec![0u8; 4096];
            while !ours.stop.load(Ordering::Relaxed) {
                socket::readable(&socket, Instant::now() + ms(50));
                while let Ok(Some(received)) = socket::receive(&socket, &mut buffer) {
                    let Some(from) = ours.ports().get(&received.ifindex).cloned() else { continue };
                    let frame = &buffer[..received.len];
                    if !received.outgoing && matches!(frame.get(6..11), Some([0, 0, 0x5e, 0, 1 | 2])) {
                        let one = Virtual { at: received.at, from: from.clone(), frame: frame.to_vec() };
                        ours.virtuals.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                    }
                    let Some(packet) = parse(frame) else { continue };
                    let sighting = Sighting { at: received.at, from, packet, frame: frame.to_vec() };
                    if received.outgoing {
                        ours.delivered.lock().unwrap_or_else(PoisonError::into_inner).push(sighting);
                    } else {
                        ours.seen().push(sighting);
                        ours.more.notify_all();
                    }
                }
            }
        });
        Wire { shared, thread: Some(thread) }
    }

    /// Says which node is behind a port.
    pub(crate) fn name_port(&self, ifindex: u32, node: &str) {
        self.shared.ports().insert(ifindex, node.to_string());
    }

    /// Everything seen since `since`, in order.
    pub(crate) fn since(&self, since: Instant) -> Vec<Sighting> {
        self.shared.seen().iter().filter(|s| s.at >= since).cloned().collect()
    }

    /// How many sightings since `since` satisfy `pick`.
    pub(crate) fn count(&self, since: Instant, pick: impl Fn(&Sighting) -> bool) -> usize {
        self.shared.seen().iter().filter(|s| s.at >= since && pick(s)).count()
    }

    /// Every frame of `node` since `since` that carries a virtual router's MAC address as its source.
    pub(crate) fn virtual_frames(&self, node: &str, since: Instant) -> Vec<Virtual> {
        let all = self.shared.virtuals.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|v| v.from == node && v.at >= since).cloned().collect()
    }

    /// The last sighting that satisfies `pick`.
    pub(crate) fn last(&self, pick: impl Fn(&Sighting) -> bool) -> Option<Sighting> {
        self.shared.seen().iter().rev().find(|s| pick(s)).cloned()
    }

    /// Waits for the first sighting since `since` that satisfies `pick`; panics after `timeout`.
    #[track_caller]
    pub(crate) fn wait(
        &self,
        what: &str,
        since: Instant,
        timeout: Duration,
        pick: impl Fn(&Sighting) -> bool,
    ) -> Sighting {
        self.wait_many(what, 1, since, timeout, pick).remove(0)
    }

    /// Waits until `n` sightings since `since` satisfy `pick`, and hands them over.
    #[track_caller]
    pub(crate) fn wait_many(
        &self,
        what: &str,
        n: usize,
        since: Instant,
        timeout: Duration,
        pick: impl Fn(&Sighting) -> bool,
    ) -> Vec<Sighting> {
        let deadline = Instant::now() + timeout;
        let mut seen = self.shared.seen();
        loop {
            let found: Vec<_> = seen.iter().filter(|s| s.at >= since && pick(s)).take(n).cloned().collect();
            if found.len() == n {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let had = found.len();
            if left.is_zero() {
                let tail = summary(&seen);
                drop(seen);
                panic!("waited {timeout:?} for {n} × {what} and saw {had}; the wire's last:\n{tail}");
            }
            seen = self.shared.more.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// When the last advert that claims mastership was delivered to `node` before `before`.
    pub(crate) fn last_delivery(&self, node: &str, before: Instant) -> Option<Instant> {
        let delivered = self.shared.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = |s: &&Sighting| s.from == node && s.at < before && s.advert().is_some_and(|a| a.priority > 0);
        delivered.iter().rev().find(claim).map(|s| s.at)
    }

    /// The last sightings in words, for a failure's message.
    pub(crate) fn tail(&self) -> String {
        summary(&self.shared.seen())
    }

    /// Writes what was seen since `since` and satisfies `pick` as a pcap file.
    pub(crate) fn write_pcap(&self, file: &Path, since: Instant, pick: impl Fn(&Sighting) -> bool) -> usize {
        let mut out = Vec::new();
        for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65535, 1] {
            out.extend(word.to_le_bytes());
        }
        let picked: Vec<_> = self.since(since).into_iter().filter(|s| pick(s)).collect();
        for sighting in &picked {
            let after = sighting.at.saturating_duration_since(since);
            let len = sighting.frame.len() as u32;
            for word in [after.as_secs() as u32, after.subsec_micros(), len, len] {
                out.extend(word.to_le_bytes());
            }
            out.extend(&sighting.frame);
        }
        fs::write(file, out).expect("the lab's directory can be written to");
        picked.len()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn summary(seen: &[Sighting]) -> String {
    let tail = &seen[seen.len().saturating_sub(30)..];
    let Some(end) = tail.last().map(|s| s.at) else { return "  (nothing at all)".into() };
    let line = |s: &Sighting| {
        let ago = (end - s.at).as_secs_f64() * 1000.0;
        let what = match &s.packet {
            Packet::Advert(a) => {
                format!("advert v{} vrid {} priority {} from {}", a.version, a.vrid, a.priority, a.source)
            }
            Packet::Arp(a) => format!("arp op {} {} -> {}", a.operation, a.sender, a.target),
            Packet::Neighbour(n) => format!("na {} to {}", n.target, n.destination),
        };
        format!("  -{ago:8.1} ms  {:8} {what}", s.from)
    };
    tail.iter().map(line).collect::<Vec<_>>().join("\n")
}
