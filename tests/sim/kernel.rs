//! The kernel's side of one router: its interfaces and the addresses on them.

use std::net::IpAddr;

use picovrrp::router::event::LinkAddress;

use crate::setup::{LAN, VMAC};

/// Who put an address on an interface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By {
    /// The system's configuration or a person: the daemon is never to remove it.
    System,
    Daemon,
}

#[derive(Clone, Debug)]
pub struct Iface {
    /// 0 while it does not exist.
    pub ifindex: u32,
    pub up: bool,
    pub mac: [u8; 6],
    pub addresses: Vec<(IpAddr, u8, By)>,
    /// There is a route to `ROUTE` through it.
    pub route: Option<By>,
}

impl Iface {
    pub fn list(&self) -> Vec<LinkAddress> {
        let of = |(ip, prefix, _): &(IpAddr, u8, By)| LinkAddress {
            ip: *ip,
            prefix: *prefix,
            secondary: false,
            tentative: false,
        };
        self.addresses.iter().map(of).collect()
    }

    pub fn has(&self, ip: IpAddr) -> Option<By> {
        self.addresses.iter().find(|a| a.0 == ip).map(|a| a.2)
    }

    /// What `ip addr add` answers.
    pub fn add(&mut self, ip: IpAddr, prefix: u8, by: By) -> Result<(), By> {
        match self.has(ip) {
            Some(there) => Err(there),
            None => {
                self.addresses.push((ip, prefix, by));
                Ok(())
            }
        }
    }

    /// Whose the address was that is gone now.
    pub fn remove(&mut self, ip: IpAddr) -> Option<By> {
        let at = self.addresses.iter().position(|a| a.0 == ip)?;
        Some(self.addresses.remove(at).2)
    }
}

#[derive(Clone, Debug)]
pub struct Kernel {
    /// The last is the macvlan, once it is made.
    pub ifaces: [Iface; 4],
    next_ifindex: u32,
}

impl Kernel {
    /// Its interfaces, up, without addresses.
    pub fn new(host: usize) -> Kernel {
        let iface = |n: u32| Iface {
            ifindex: n + 2,
            up: true,
            mac: [2, 0, 0, 0, host as u8, n as u8],
            addresses: Vec::new(),
            route: None,
        };
        let macvlan = Iface { ifindex: 0, up: false, mac: [0, 0, 0x5e, 0, 1, 51], ..iface(3) };
        Kernel { ifaces: [iface(0), iface(1), iface(2), macvlan], next_ifindex: 10 }
    }

    pub fn by_index(&self, ifindex: u32) -> Option<usize> {
        self.ifaces.iter().position(|i| i.ifindex == ifindex && ifindex != 0)
    }

    pub fn delete(&mut self, iface: usize) {
        self.ifaces[iface].ifindex = 0;
        self.ifaces[iface].up = false;
        self.ifaces[iface].addresses.clear();
        self.ifaces[iface].route = None;
        if iface == LAN {
            self.delete(VMAC);
        }
    }

    /// The macvlan is made, and is down.
    pub fn make_vmac(&mut self) {
        self.recreate(VMAC);
        self.ifaces[VMAC].up = false;
    }

    /// The interface is there again, under another index and without addresses.
    pub fn recreate(&mut self, iface: usize) {
        self.ifaces[iface].ifindex = self.next_ifindex;
        self.ifaces[iface].up = true;
        self.next_ifindex += 1;
    }

    /// The host lost power: what the daemon put on is gone.
    pub fn power_cycle(&mut self) {
        self.delete(VMAC);
        for i in &mut self.ifaces {
            i.addresses.retain(|a| a.2 == By::System);
            i.route.take_if(|by| *by == By::Daemon);
        }
    }
}
