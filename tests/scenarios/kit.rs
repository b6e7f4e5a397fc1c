//! What these scenarios share: two routers with a whole configuration
//! each, and a client's HTTP request.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::script::lines;
use crate::support::{Lab, Node, Picovrrp, SOON, Two, V3, VIP4, wait_until};

/// Checks in front, then the usual instance with 192.0.2.254 and these properties.
pub(crate) fn config(checks: &str, properties: &str) -> String {
    format!("{checks}\n{}", V3.config(properties))
}

/// Routers a and b with these configurations: a becomes Active, then b starts and becomes Backup.
#[track_caller]
pub(crate) fn two((lab, a, b, client): (Lab, Node, Node, Node), on_a: &str, on_b: &str) -> Two {
    let one = Picovrrp::start_until(&a, on_a, "MASTER");
    let start = Instant::now();
    let two = Picovrrp::start_until(&b, on_b, "BACKUP");
    lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
    Two { one, two, a, b, client, lab, flavour: V3 }
}

/// An entry of `status --json` by its name.
fn entry(daemon: &Picovrrp, list: &str, name: &str) -> Option<Value> {
    let status = daemon.status()?;
    status[list].as_array()?.iter().find(|e| e["name"] == name).cloned()
}

/// What `status` says of a check.
#[track_caller]
pub(crate) fn check(daemon: &Picovrrp, name: &str) -> Value {
    entry(daemon, "checks", name).unwrap_or_else(|| panic!("no check `{name}` in {:#?}", daemon.status()))
}

/// What `status` says of an instance.
#[track_caller]
pub(crate) fn instance(daemon: &Picovrrp, name: &str) -> Value {
    entry(daemon, "instances", name).unwrap_or_else(|| panic!("no instance `{name}` in {:#?}", daemon.status()))
}

/// Waits until an instance of several is in `state`.
#[track_caller]
pub(crate) fn wait_instance(daemon: &Picovrrp, name: &str, state: &str) {
    let what = format!("{name} is {state}");
    wait_until(&what, SOON, || entry(daemon, "instances", name).is_some_and(|i| i["state"] == state));
}

/// The effective priority of the first instance.
#[track_caller]
pub(crate) fn effective(daemon: &Picovrrp) -> u64 {
    daemon.instance()["effective_priority"].as_u64().expect("a priority is a number")
}

/// Waits until the first instance has this effective priority.
#[track_caller]
pub(crate) fn wait_effective(daemon: &Picovrrp, priority: u64) {
    wait_until(&format!("the priority is {priority}"), SOON, || effective(daemon) == priority);
}

/// A GET by HTTP/1.0 from `node`: the status and the body.
pub(crate) fn get(node: &Node, ip: IpAddr, port: u16, path: &str) -> io::Result<(u16, String)> {
    node.ns().inside(|| {
        let patience = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, port), patience)?;
        stream.set_read_timeout(Some(patience))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {ip}\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.trim_end().to_owned()))
    })
}

/// Waits until `router`, which may have to take over first, alone has the virtual address.
#[track_caller]
pub(crate) fn wait_holder(t: &Two, router: &str) {
    let node = if router == "a" { &t.a } else { &t.b };
    node.wait_has(VIP4, SOON);
    assert_eq!(t.sole_active(), router);
}

/// Waits until the virtual address is on `router` alone and its web server answers the client there.
#[track_caller]
pub(crate) fn wait_served_by(t: &Two, router: &str) {
    wait_holder(t, router);
    let answer = || get(&t.client, VIP4, 80, "/").ok();
    wait_until(&format!("the web server of {router} answers"), SOON, || answer() == Some((200, router.to_owned())));
}

/// A process that a hook starts, by the file it puts its id into and its name. What still runs when
/// the test is over ends with its namespace.
pub(crate) struct Started {
    pid_file: PathBuf,
    name: &'static str,
}

impl Started {
    pub(crate) fn new(pid_file: PathBuf, name: &'static str) -> Self {
        Started { pid_file, name }
    }

    /// Its id, if it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = lines(&self.pid_file).first()?.trim().parse().ok()?;
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let named = fs::read_to_string(proc.join("comm")).is_ok_and(|c| c.trim_end() == self.name);
        // What has ended and was not waited for has no command line any more.
        let lives = fs::read(proc.join("cmdline")).is_ok_and(|c| !c.is_empty());
        (named && lives).then_some(pid)
    }
}
