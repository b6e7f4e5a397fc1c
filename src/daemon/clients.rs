//! The control socket's clients: each is a task of the executor, with a limit on its time.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::Core;
use crate::config::model::Condition;
use crate::control::{self, AddressStatus, Bad, InstanceStatus, MAX_FRAME, Reply, Request, RouterStatus, TrackStatus};
use crate::sys::clock;
use crate::sys::context::{Context, Watched};
use crate::sys::control_socket::Connection;
use crate::vrrp::timing::Micros;

/// Clients at once; one more is turned away.
pub(super) const MAX_CLIENTS: usize = 4;
/// How long a client may take over its request, and over each frame of the reply.
const PATIENCE: Micros = Micros::from_secs(5);

/// How many clients there are.
#[derive(Default)]
pub(super) struct Clients(Cell<usize>);

impl Clients {
    /// Whether one more may come; it counts until [`serve`] is done with it.
    pub(super) fn admit(&self) -> bool {
        let room = self.0.get() < MAX_CLIENTS;
        self.0.set(self.0.get() + usize::from(room));
        room
    }
}

/// One client, from its request to the end of the reply.
pub(super) async fn serve(clients: &Clients, context: &Context, core: Rc<RefCell<Core>>, connection: Connection) {
    let mut parting = false;
    if let Ok(watched) = context.watch(&connection) {
        let client = Client { context, connection: watched };
        // A client that went away, or was too slow, is no matter for the log.
        parting = client.talk(&core).await.unwrap_or(false);
    }
    if parting {
        // Closed when the lock is free: then the client knows that another daemon can start. It
        // counts as a client until then, so there is room.
        let _ = core.borrow_mut().parting.push(connection);
    } else {
        clients.0.set(clients.0.get() - 1);
    }
}

struct Client<'a> {
    context: &'a Context,
    connection: Watched<'a, &'a Connection>,
}

impl Client<'_> {
    /// One request and its reply; whether the client waits for the daemon's end.
    async fn talk(&self, core: &RefCell<Core>) -> io::Result<bool> {
        let mut buffer = [0; MAX_FRAME];
        let n = self.context.by(clock::now() + PATIENCE, self.request(&mut buffer)).await?;
        match control::decode::<Request>(&buffer[..n]) {
            Ok(Request::Status) => self.status(core).await?,
            Ok(Request::Stop) => {
                core.borrow_mut().stop(clock::now());
                self.send(&Reply::End).await?;
                return Ok(true);
            }
            Ok(Request::Reload) => {
                let refused = core.borrow_mut().reload(clock::now());
                match &refused {
                    Ok(()) => self.send(&Reply::End).await?,
                    Err(why) => self.send(&Reply::Refused(fitting(why))).await?,
                }
            }
            Err(Bad::Version(_)) => self.send(&Reply::Refused("the daemon is of another version")).await?,
            Err(_) => self.send(&Reply::Refused("not a request")).await?,
        }
        Ok(false)
    }

    /// Reads a whole frame; its length.
    async fn request(&self, buffer: &mut [u8; MAX_FRAME]) -> io::Result<usize> {
        let (mut have, mut need) = (0, 2);
        while have < need {
            let piece = &mut buffer[have..need];
            match self.connection.read(piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => have += n,
            }
            if let Some(len) = control::frame_len(&buffer[..have]) {
                need = len.map_err(|_| io::ErrorKind::InvalidData)?;
            }
        }
        Ok(need)
    }

    async fn send(&self, reply: &Reply<'_>) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        let frame = control::encode(&mut buffer, reply).ok_or(io::ErrorKind::InvalidData)?;
        self.send_frame(frame).await
    }

    async fn send_frame(&self, frame: &[u8]) -> io::Result<()> {
        self.context.by(clock::now() + PATIENCE, self.connection.write_all(frame)).await
    }

    /// Instance by instance, so that a slow client holds nothing but its own task.
    async fn status(&self, core: &RefCell<Core>) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        let frame = {
            let core = core.borrow();
            let now = clock::now();
            let router = RouterStatus {
                version: env!("CARGO_PKG_VERSION"),
                router_id: core.router_id(),
                uptime: now.since(core.started),
                pid: std::process::id(),
                stats: *core.router.stats(),
            };
            control::encode(&mut buffer, &Reply::Router(router)).map(<[u8]>::len)
        };
        self.send_frame(&buffer[..frame.ok_or(io::ErrorKind::InvalidData)?]).await?;
        // The loop must be able to borrow the core while we wait: nothing of it is held across an await.
        for i in 0.. {
            let frame = instance_frame(&core.borrow(), i, &mut buffer);
            let Some(n) = frame else { break };
            self.send_frame(&buffer[..n]).await?;
            for a in 0.. {
                let frame = address_frame(&core.borrow(), i, a, &mut buffer);
                let Some(n) = frame else { break };
                self.send_frame(&buffer[..n]).await?;
            }
            for t in 0.. {
                let frame = track_frame(&core.borrow(), i, t, &mut buffer);
                let Some(n) = frame else { break };
                self.send_frame(&buffer[..n]).await?;
            }
        }
        self.send(&Reply::End).await
    }
}

/// As much of `why` as a frame holds.
fn fitting(why: &str) -> &str {
    let mut n = why.len().min(MAX_FRAME - 16);
    while !why.is_char_boundary(n) {
        n -= 1;
    }
    &why[..n]
}

fn instance_frame(core: &Core, i: usize, buffer: &mut [u8; MAX_FRAME]) -> Option<usize> {
    let v = core.router.view(i)?;
    let status = InstanceStatus {
        name: v.name,
        interface: v.interface,
        state: v.state,
        fault: v.fault,
        leaving: v.leaving,
        vrid: v.config.vrid,
        family: v.config.family,
        version: v.config.version.number(),
        priority: v.config.priority,
        effective_priority: v.effective_priority,
        advert: v.config.advert,
        active_adver_interval: v.active_adver_interval,
        skew_time: v.skew_time,
        active_down_interval: v.active_down_interval,
        source: v.source,
        master: v.master,
        since: clock::now().since(v.since),
        transitions: v.transitions,
        last_event: v.last_event,
        reason: v.reason,
        stats: *v.stats,
    };
    control::encode(buffer, &Reply::Instance(status)).map(<[u8]>::len)
}

fn address_frame(core: &Core, i: usize, a: usize, buffer: &mut [u8; MAX_FRAME]) -> Option<usize> {
    let v = core.router.view(i)?;
    let address = v.addresses.get(a)?;
    let status = AddressStatus {
        ip: address.ip,
        prefix: address.prefix,
        dev: core.router.config().device_of(v.config, address),
        excluded: address.excluded,
    };
    control::encode(buffer, &Reply::Address(status)).map(<[u8]>::len)
}

fn track_frame(core: &Core, i: usize, t: usize, buffer: &mut [u8; MAX_FRAME]) -> Option<usize> {
    let t = core.router.tracks(i).nth(t)?;
    let up = t.condition == Condition::Up;
    let status = TrackStatus { name: t.name, up, weight: t.track.weight, reverse: t.track.reverse };
    control::encode(buffer, &Reply::Track(status)).map(<[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A refusal of any length fits, cut at a character's boundary.
    #[test]
    fn refusals_fit() {
        for why in ["short".to_owned(), "x".repeat(2000), "\u{e4}".repeat(2000), "x\u{20ac}".repeat(2000)] {
            let mut buffer = [0; MAX_FRAME];
            assert!(why.starts_with(fitting(&why)) && (why.len() < 400 || fitting(&why).len() > 400));
            assert!(control::encode(&mut buffer, &Reply::Refused(fitting(&why))).is_some());
        }
    }
}
