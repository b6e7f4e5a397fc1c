//! The whole daemon, in this process, in a network namespace of its own: ten thousand adverts out
//! and ten thousand in, and not one allocation by its thread. Needs root.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::line;
use picovrrp::config::model::{Config, Family};
use picovrrp::daemon::{Daemon, Setup};
use picovrrp::router::Router;
use picovrrp::sys::files::RunDir;
use picovrrp::sys::vrrp_socket::VrrpSocket;
use picovrrp::vrrp::packet::{self, Header};
use picovrrp::vrrp::stats::InstanceStats;
use picovrrp::vrrp::timing::{Centis, Version};

use crate::{begin, end, is_counting};

const INSTANCES: u8 = 32;
const ADVERTS: u64 = 10_000;

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().expect("ip of iproute2 is needed");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

fn unshare() {
    // SAFETY: this thread shares no descriptor table or memory protection with what it leaves.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
        .expect("a network namespace of its own: root is needed");
}

fn parse(text: &str) -> Box<Config> {
    let (mut config, mut found) = (Box::new(Config::default()), Diagnostics::new());
    line::parse(&mut text.as_bytes(), &mut config, &mut found).expect("memory can be read");
    assert_eq!(found.errors(), 0);
    config
}

/// A daemon on `eth0` of this thread's namespace.
fn daemon(priority: u8) -> (Daemon, tempfile::Dir) {
    let dir = tempfile::Dir::new();
    let mut text = String::from("log error\n");
    for vrid in 1..=INSTANCES {
        text += &format!("instance i{vrid} on eth0 vrid {vrid} priority {priority} advert 1cs\n");
        text += &format!("  address 10.9.1.{vrid}/32\n  garp delay 0 repeat 1\n");
    }
    let run_dir = RunDir::open(&dir.0).expect("a run directory");
    let lock = run_dir.lock().expect("its lock");
    let setup = Setup {
        config: parse(&text),
        file: PathBuf::from("test.conf"),
        reader: Box::new(|_, _| Err(io::ErrorKind::NotFound.into())),
        run_dir,
        lock,
        saved: None,
        host_name: "test".into(),
    };
    (Daemon::new(setup).expect("the daemon starts"), dir)
}

mod tempfile {
    pub(crate) struct Dir(pub(crate) std::path::PathBuf);

    impl Dir {
        pub(crate) fn new() -> Dir {
            let name = format!("picovrrp-allocation-{}-{:?}", std::process::id(), std::thread::current().id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&path);
            Dir(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Runs the daemon until `count` has grown by [`ADVERTS`] from 500 on; what was allocated meanwhile.
/// The loop's own start, the first adverts and announcements are before that.
fn allocations(daemon: &mut Daemon, count: fn(&InstanceStats) -> u64) -> u64 {
    let sum = |router: &Router| (0..router.len()).filter_map(|i| router.view(i)).map(|v| count(v.stats)).sum::<u64>();
    let mut made = None;
    let mut count_until = |router: &Router| {
        let n = sum(router);
        if n >= 500 + ADVERTS {
            made = end();
        } else if n >= 500 && !is_counting() {
            begin();
        }
        made.is_some()
    };
    daemon.run_until(&mut count_until).expect("it runs");
    made.expect("it was counted")
}

/// All instances of one daemon Active.
#[test]
fn adverts_out() {
    std::thread::spawn(|| {
        unshare();
        ip("link add eth0 type veth peer name eth1");
        ip("link set eth0 up");
        ip("link set eth1 up");
        ip("addr add 10.9.0.1/24 dev eth0");
        let (mut daemon, _dir) = daemon(255);
        assert_eq!(allocations(&mut daemon, |s| s.advertisement_sent), 0, "while {ADVERTS} adverts were sent");
    })
    .join()
    .expect("no assertion failed");
}

/// All instances of one daemon Backup, and adverts for all of them.
#[test]
fn adverts_in() {
    std::thread::spawn(|| {
        unshare();
        ip("link add eth0 type veth peer name eth1");
        ip("link set eth0 up");
        ip("link set eth1 up");
        ip("addr add 10.9.0.1/24 dev eth0");
        ip("addr add 10.9.0.2/24 dev eth1");
        // Both ends are in one namespace: what comes from an address of its own is to be accepted.
        for knob in ["accept_local", "rp_filter"] {
            let value = if knob == "accept_local" { "1" } else { "0" };
            for conf in ["all", "eth0"] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{conf}/{knob}"), value)
                    .expect("sysctls can be written");
            }
        }
        let (mut daemon, _dir) = daemon(100);
        let namespace = std::fs::File::open("/proc/thread-self/ns/net").expect("this thread's namespace");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let ns = std::os::fd::AsFd::as_fd(&namespace);
                rustix::thread::move_into_link_name_space(ns, Some(rustix::thread::LinkNameSpaceType::Network))
                    .expect("the same namespace");
                flood(&stop);
            });
            let made = allocations(&mut daemon, |s| s.advertisement_rcvd);
            stop.store(true, Ordering::Relaxed);
            assert_eq!(made, 0, "while {ADVERTS} adverts were received");
        });
    })
    .join()
    .expect("no assertion failed");
}

/// Adverts of priority 200 for every instance, every 5 ms, out of `eth1`.
fn flood(stop: &AtomicBool) {
    let name = std::net::IpAddr::from([10, 9, 0, 2]);
    let group = std::net::IpAddr::V4(packet::GROUP_V4);
    // The sysfs that is mounted shows another namespace: ask the kernel through ip.
    let out = Command::new("ip").args(["-o", "link", "show", "eth1"]).output().expect("ip of iproute2 is needed");
    let text = String::from_utf8(out.stdout).expect("text");
    let ifindex: u32 = text.split(':').next().and_then(|n| n.trim().parse().ok()).expect("an index");
    let socket = VrrpSocket::open(Family::V4, ifindex).expect("a socket");
    while !stop.load(Ordering::Relaxed) {
        for vrid in 1..=INSTANCES {
            let mut buf = [0; 64];
            let interval = Centis::new(1).expect("a centisecond");
            let header = Header { version: Version::V3, vrid, priority: 200, interval, password: None };
            let address = [std::net::IpAddr::from([10, 9, 1, vrid])];
            let n = packet::emit(&mut buf, &header, address.into_iter(), None).expect("it fits");
            socket.send(name, group, &buf[..n]).expect("it is sent");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
