//! The few settings of an interface that live under /proc/sys.

use std::io;
use std::os::fd::BorrowedFd;

/// The setting `key` of the interface called `name`, such as `ipv4` `arp_ignore`.
pub fn read(name: &str, family: &str, key: &str) -> io::Result<std::string::String> {
    Ok(std::fs::read_to_string(path(name, family, key)?.as_str())?.trim_end().to_owned())
}

/// Changes it.
pub fn write(name: &str, family: &str, key: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(name, family, key)?.as_str(), value)
}

fn path(name: &str, family: &str, key: &str) -> io::Result<heapless::String<80>> {
    // A name has no slash; sysctl wants one in place of a dot only on its command line.
    let mut path = heapless::String::new();
    let pieces = ["/proc/sys/net/", family, "/conf/", name, "/", key];
    if pieces.iter().any(|p| path.push_str(p).is_err()) {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    Ok(path)
}

/// Lets the next address of a subnet take the first one's place when that is removed, rather than
/// have the kernel remove all of them (`promote_secondaries`).
///
/// `any_socket` is only asked for the interface's name. An error where /proc/sys cannot be written.
pub fn promote_secondaries(any_socket: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let name = rustix::net::netdevice::index_to_name_inlined(any_socket, ifindex)?;
    let name = core::str::from_utf8(name.as_bytes()).map_err(|_| io::ErrorKind::InvalidData)?;
    write(name, "ipv4", "promote_secondaries", "1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn set_by_index() {
        crate::sys::testnet::in_namespace(|| {
            crate::sys::testnet::ip("link add v0 type veth peer name v1");
            std::fs::write("/proc/sys/net/ipv4/conf/v0/promote_secondaries", "0").unwrap();
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            let index = rustix::net::netdevice::name_to_index(&socket, "v0").unwrap();
            promote_secondaries(socket.as_fd(), index).unwrap();
            let now = std::fs::read_to_string("/proc/sys/net/ipv4/conf/v0/promote_secondaries").unwrap();
            assert_eq!(now, "1\n");
            assert!(promote_secondaries(socket.as_fd(), 9999).is_err());
        });
    }
}
