//! A TCP connection is accepted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::{Look, Outcome, Seen, Source, failed, leave_from, toward};
use crate::sys::context::{Context, Watched};
use crate::vrrp::timing::Instant;

/// Connects to `to`, and closes at once.
pub async fn tcp(context: &Context, to: SocketAddr, from: Option<Source<'_>>, deadline: Instant) -> Outcome {
    context.by(deadline, reach(context, to, from)).await.map_err(|e| failed(&e))
}

/// [`tcp`] as a check.
pub struct Tcp<'a> {
    /// What it waits with.
    pub context: &'a Context,
    /// Whom it asks.
    pub target: SocketAddr,
    /// Where it leaves from.
    pub from: Option<Source<'a>>,
}

impl Look for Tcp<'_> {
    async fn look(&mut self, deadline: Instant) -> Seen {
        tcp(self.context, self.target, self.from, deadline).await.into()
    }
}

async fn reach(context: &Context, to: SocketAddr, from: Option<Source<'_>>) -> io::Result<()> {
    match begin(to.ip(), to.port(), from)? {
        (_, true) => Ok(()),
        (socket, false) => connected(&context.watch(socket)?).await,
    }
}

/// A connected socket.
pub(super) async fn connect<'c>(
    context: &'c Context,
    to: IpAddr,
    port: u16,
    from: Option<Source<'_>>,
) -> io::Result<Watched<'c, OwnedFd>> {
    let (socket, done) = begin(to, port, from)?;
    let socket = context.watch(socket)?;
    if !done {
        connected(&socket).await?;
    }
    Ok(socket)
}

/// A socket that connects, and whether it has: with this machine itself that is done at once.
fn begin(to: IpAddr, port: u16, from: Option<Source<'_>>) -> io::Result<(OwnedFd, bool)> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    leave_from(&socket, from)?;
    let address = toward(&socket, to, port, from)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => Ok((socket, true)),
        Err(Errno::INPROGRESS) => Ok((socket, false)),
        Err(e) => Err(e.into()),
    }
}

async fn connected(socket: &Watched<'_, OwnedFd>) -> io::Result<()> {
    socket.writable().await?;
    Ok(rustix::net::sockopt::socket_error(socket)??)
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::sys::clock;
    use crate::sys::testnet::{in_namespace, ip, with_cable};
    use crate::vrrp::timing::Micros;

    fn tcp(to: &str, from: Option<Source<'_>>) -> Outcome {
        let to = to.parse().unwrap();
        run(async |c| super::tcp(c, to, from, clock::now() + Micros::from_secs(3)).await)
    }

    fn says(o: Outcome) -> String {
        o.unwrap_err().as_str().into()
    }

    #[test]
    fn open_closed_and_silent() {
        with_cable(|net| {
            net.enter_b();
            let _v4 = std::net::TcpListener::bind("10.9.0.2:80").unwrap();
            let _v6 = std::net::TcpListener::bind("[::]:81").unwrap();
            ip("addr add 2001:db8::b/64 dev vb nodad");
            net.enter_a();
            ip("addr add 2001:db8::a/64 dev va nodad");
            assert_eq!(tcp("10.9.0.2:80", None), Ok(()));
            assert_eq!(tcp("10.9.0.2:80", Some(Source::Address("10.9.0.1".parse().unwrap()))), Ok(()));
            assert_eq!(tcp("[2001:db8::b]:81", None), Ok(()));
            assert_eq!(tcp("[fe80::b]:81", Some(Source::Interface("va"))), Ok(()));
            assert_eq!(says(tcp("10.9.0.2:82", None)), "connection refused");
            assert_eq!(says(tcp("192.0.2.1:80", None)), "network unreachable");
            // Nobody has the address, so that nothing comes back: as behind a filter that drops.
            let to = "10.9.0.99:80".parse().unwrap();
            let brief = run(async |c| super::tcp(c, to, None, clock::now() + Micros::from_millis(300)).await);
            assert_eq!(says(brief), "no answer in time");
        });
    }

    #[test]
    fn refused_on_loopback() {
        in_namespace(|| assert_eq!(says(tcp("[::1]:9", None)), "connection refused"));
    }
}
