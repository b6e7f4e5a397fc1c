//! For tests: two network namespaces with a cable between them.
//!
//! Needs root and `ip` of iproute2; without them a test fails and says so.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// Ends of the cable: `va` in namespace A with 10.9.0.1/24 and fe80::a, `vb` in B with 10.9.0.2/24 and fe80::b.
pub(crate) struct Net {
    a: OwnedFd,
    b: OwnedFd,
    /// Index of `va`.
    pub(crate) va: u32,
    /// Index of `vb`.
    pub(crate) vb: u32,
}

/// Moves this thread into a new, empty network namespace whose loopback is up.
fn new_namespace() -> OwnedFd {
    // SAFETY: a network namespace is the thread's own; it shares no memory or descriptors' lifetime.
    let r = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) };
    r.expect("this test needs root and network namespaces: unshare(CLONE_NEWNET)");
    ip("link set lo up");
    std::fs::File::open("/proc/thread-self/ns/net").expect("/proc/thread-self/ns/net").into()
}

/// Runs `ip` with these words in the thread's namespace.
pub(crate) fn ip(words: &str) {
    let out = Command::new("ip").args(words.split(' ')).output().expect("this test needs iproute2's ip");
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

/// The index of an interface in the thread's namespace.
pub(crate) fn index(name: &str) -> u32 {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("socket");
    rustix::net::netdevice::name_to_index(socket, name).expect("interface index")
}

/// What `ip` says to these words in the thread's namespace.
pub(crate) fn ip_says(words: &str) -> String {
    let out = Command::new("ip").args(words.split(' ')).output().expect("this test needs iproute2's ip");
    String::from_utf8(out.stdout).unwrap()
}

/// Runs `f` in a thread of its own, in an empty namespace.
pub(crate) fn in_namespace(f: impl FnOnce() + Send + 'static) {
    let body = move || {
        let _namespace = new_namespace();
        f();
    };
    if let Err(e) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(e);
    }
}

/// Runs `f` in a thread of its own, in namespace A of two that a cable connects.
pub(crate) fn with_cable(f: impl FnOnce(Net) + Send + 'static) {
    in_namespace(|| {
        let b = new_namespace();
        let a = new_namespace();
        let there = format!("/proc/{}/fd/{}", std::process::id(), b.as_raw_fd());
        ip("link add dev va type veth peer name vb");
        ip(&format!("link set dev vb netns {there}"));
        let mut net = Net { a, b, va: index("va"), vb: 0 };
        for (name, n, enter_b) in [("va", 1, false), ("vb", 2, true)] {
            if enter_b {
                net.enter_b()
            } else {
                net.enter_a()
            }
            ip(&format!("link set dev {name} addrgenmode none"));
            ip(&format!("link set dev {name} up"));
            ip(&format!("addr add 10.9.0.{n}/24 dev {name}"));
            ip(&format!("addr add fe80::{}/64 dev {name} nodad", ["a", "b"][n - 1]));
        }
        net.vb = index("vb");
        for (name, n) in [("vb", 'b'), ("va", 'a')] {
            // Until the kernel has noticed the carrier, what is sent is dropped without a word.
            eventually("it is up", || ip_says(&format!("-o link show dev {name}")).contains("state UP").then_some(()));
            // Until it has joined the group of its address, which it does later, it hears nobody who asks for that.
            let group = format!("ff02::1:ff00:{n}");
            eventually("it can be found", || {
                ip_says(&format!("-6 maddr show dev {name}")).contains(&group).then_some(())
            });
            net.enter_a();
        }
        f(net);
    });
}

impl Net {
    /// Moves this thread to A.
    pub(crate) fn enter_a(&self) {
        move_into_link_name_space(self.a.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
    }

    /// Moves this thread to B.
    pub(crate) fn enter_b(&self) {
        move_into_link_name_space(self.b.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
    }
}

/// Asks again until there is an answer, for five seconds.
pub(crate) fn eventually<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(t) = f() {
            return t;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "never came: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every frame that arrives in the thread's namespace from now on.
pub(crate) struct Capture(OwnedFd);

impl Capture {
    pub(crate) fn open() -> Capture {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, socket_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Capture(socket_with(AddressFamily::PACKET, SocketType::RAW, flags, Some(eth::ALL)).expect("packet socket"))
    }

    /// The next frame that `wanted` wants.
    pub(crate) fn next(&self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        eventually(what, || {
            let mut b = [0u8; 2048];
            let (n, _) = rustix::net::recv(&self.0, &mut b[..], rustix::net::RecvFlags::empty()).ok()?;
            wanted(&b[..n]).then(|| b[..n].to_vec())
        })
    }
}
