//! Four resolvers and two service addresses. Who serves which is said by a list of the routers, which
//! is edited while all runs; a router whose resolver does not answer takes no part. The order of the
//! list counts from below for the first address and from above for the second.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::netns::installed;
use crate::support::process::Process;
use crate::support::script::{replace, script};
use crate::support::{Lab, Node, Picovrrp, wait_until};

/// Version 2 takes three seconds to see that it is the better router.
const LONG: Duration = Duration::from_secs(30);

/// What every resolver is asked; it answers with its router's name.
const QUESTION: &str = "who.example.net";

/// The addresses of an instance, 0 or 1: one of them in its adverts, the other of another family.
fn services(instance: u8) -> [IpAddr; 2] {
    let n = 210 + instance;
    [Ipv4Addr::new(192, 0, 2, n).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x53, u16::from(n)).into()]
}

/// One of the four.
struct Router {
    node: Node,
    daemon: Picovrrp,
    resolver: Process,
}

impl Router {
    /// Effective priority and state of both instances.
    fn standing(&self) -> Option<[(u64, String); 2]> {
        let status = self.daemon.status()?;
        let one = |n: usize| {
            let i = &status["instances"][n];
            Some((i["effective_priority"].as_u64()?, i["state"].as_str()?.to_owned()))
        };
        Some([one(0)?, one(1)?])
    }
}

/// dnsmasq, which answers the question on every address that the router has or gets.
fn resolver(node: &Node) -> Process {
    let mut command = node.ns().command("/usr/sbin/dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"]);
    command.arg("--pid-file=").arg(format!("--txt-record={QUESTION},{}", node.name()));
    Process::start(&format!("dnsmasq on {}", node.name()), command, node.dir().join("dnsmasq.log"), node.ns())
}

/// Who answers at `server`, as `node` sees it.
fn answer(node: &Node, server: IpAddr) -> Option<String> {
    let server = server.to_string();
    let output = node.ns().output("timeout", &["1", "busybox", "nslookup", "-type=txt", QUESTION, &server]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|l| Some(l.split_once("text = \"")?.1.trim_end_matches('"').to_owned()))
}

/// Routers a, b, c and d and a client.
struct Site {
    routers: BTreeMap<&'static str, Router>,
    client: Node,
    lab: Lab,
}

impl Site {
    #[track_caller]
    fn start(config: impl Fn(&Lab, &Node) -> String) -> Self {
        for (tool, package) in [("dnsmasq", "dnsmasq-base"), ("busybox", "busybox")] {
            assert!(installed(tool), "The resolvers' scenario needs `{tool}` (Debian package {package}).");
        }
        let lab = Lab::new();
        let client = lab.node("client", 100);
        let router = |(number, name)| {
            let node = lab.node(name, number);
            let resolver = resolver(&node);
            wait_until("the resolver answers", LONG, || answer(&node, Ipv4Addr::LOCALHOST.into()).is_some());
            let daemon = Picovrrp::start(&node, &config(&lab, &node));
            (name, Router { node, daemon, resolver })
        };
        let routers = (1..).zip(["a", "b", "c", "d"]).map(router).collect();
        Site { routers, client, lab }
    }

    /// Waits until each router has the given priorities and the client is answered by the given
    /// routers, at all four addresses.
    #[track_caller]
    fn wait(&self, what: &str, priorities: [(&str, [u64; 2]); 4], servers: [&str; 2]) {
        for (name, expected) in priorities {
            let router = &self.routers[name];
            wait_until(&format!("{what}: {name} has {expected:?}"), LONG, || {
                router.standing().is_some_and(|s| s.map(|i| i.0) == expected)
            });
        }
        for (instance, server) in (0..).zip(servers) {
            for (name, router) in &self.routers {
                wait_until(&format!("{what}: dns{instance} is {server}'s, and {name} agrees"), LONG, || {
                    let states = router.standing().map(|s| s.map(|i| i.1));
                    states.is_some_and(|s| (s[usize::from(instance)] == "MASTER") == (*name == server))
                });
            }
            for address in services(instance) {
                wait_until(&format!("{what}: {server} answers at {address}"), LONG, || {
                    answer(&self.client, address).is_some_and(|who| who == server)
                });
            }
        }
    }

    fn kill_resolver(&mut self, name: &str) {
        self.routers.get_mut(name).expect("one of the four").resolver.kill();
    }

    fn restart_resolver(&mut self, name: &str) {
        let router = self.routers.get_mut(name).expect("one of the four");
        router.resolver = resolver(&router.node);
    }

    /// The daemons have run all along, and nobody has told them of anything.
    fn assert_untouched(&mut self) {
        for router in self.routers.values_mut() {
            assert!(router.daemon.process.running());
            assert_eq!(router.daemon.process.log_lines("reload"), 0, "{}", router.daemon.process.log());
        }
    }
}

/// The list of the routers.
fn list(lab: &Lab) -> PathBuf {
    lab.dir().join("resolvers")
}

/// `place LIST SELF ORDER WANTED`: succeeds if SELF is at this place of the list, counted in this
/// order, and its resolver answers. A name that is commented out has a place, but nobody is there.
fn place(dir: &Path) -> PathBuf {
    let body = format!(
        "list=$1 self=$2 order=$3 wanted=$4\n\
         place=0 found=\n\
         while read -r name; do\n    \
             place=$((place + 1))\n    \
             if [ \"$name\" = \"$self\" ]; then found=$place; fi\n\
         done < \"$list\"\n\
         [ -n \"$found\" ] || exit 1\n\
         if [ \"$order\" = down ]; then found=$((place + 1 - found)); fi\n\
         [ \"$found\" = \"$wanted\" ] || exit 1\n\
         busybox nslookup -type=txt {QUESTION} 127.0.0.1 | grep -q 'text = '"
    );
    script(dir, "place", &body)
}

/// One check for each place and instance, of which at most one of an instance succeeds.
fn by_scripts(lab: &Lab, node: &Node) -> String {
    let (place, list) = (place(&lab.dir().join("scripts")), list(lab));
    let mut text = String::from("max-children 8\n");
    let mut instances = String::new();
    for (n, order) in [(0, "up"), (1, "down")] {
        let [v4, v6] = services(n);
        instances += &format!(
            "instance dns{n} on eth0 vrid 21{n} version 2 advert 1s priority 50\n  auth pass resolver\n  \
             address {v4}/24\n  address {v6}/64\n"
        );
        for wanted in 1..=4 {
            let (place, list, own) = (place.display(), list.display(), node.name());
            text += &format!(
                "check dns{n}-{wanted} script \"{place} {list} {own} {order} {wanted}\" every 1s timeout 2s\n"
            );
            instances += &format!("  track dns{n}-{wanted} weight {}\n", wanted * 50);
        }
    }
    text + &instances
}

#[test]
fn the_list_is_edited_and_resolvers_die_and_both_addresses_follow() {
    let mut site = Site::start(|lab, node| {
        replace(&list(lab), "a\nb\nc\nd\n");
        by_scripts(lab, node)
    });
    let list = list(&site.lab);
    let all = [("a", [100, 250]), ("b", [150, 200]), ("c", [200, 150]), ("d", [250, 100])];
    site.wait("all in order", all, ["d", "a"]);

    replace(&list, "a\nb\nc\n#d\n");
    let without_d = [("a", [100, 250]), ("b", [150, 200]), ("c", [200, 150]), ("d", [50, 50])];
    site.wait("d is out", without_d, ["c", "a"]);

    replace(&list, "c\n#d\nb\na\n");
    let turned = [("a", [250, 100]), ("b", [200, 150]), ("c", [100, 250]), ("d", [50, 50])];
    site.wait("another order", turned, ["a", "c"]);

    site.kill_resolver("a");
    let without_a = [("a", [50, 50]), ("b", [200, 150]), ("c", [100, 250]), ("d", [50, 50])];
    site.wait("a's resolver has died", without_a, ["b", "c"]);

    site.kill_resolver("c");
    let only_b = [("a", [50, 50]), ("b", [200, 150]), ("c", [50, 50]), ("d", [50, 50])];
    site.wait("c's has died too", only_b, ["b", "b"]);

    site.restart_resolver("a");
    let a_again = [("a", [250, 100]), ("b", [200, 150]), ("c", [50, 50]), ("d", [50, 50])];
    site.wait("a's is back", a_again, ["a", "b"]);

    replace(&list, "b\na\nc\nd\n");
    let renewed = [("a", [150, 200]), ("b", [100, 250]), ("c", [50, 50]), ("d", [250, 100])];
    site.wait("d is in again", renewed, ["d", "b"]);
    site.assert_untouched();
}

/// The same without a fork: the place is a number in a file, the resolver is asked by the daemon. A
/// resolver that does not answer costs the first instance its weights, and is a fault of the second.
fn by_built_in_checks(_lab: &Lab, node: &Node) -> String {
    let mut text = format!("check resolver dns 127.0.0.1 {QUESTION} type TXT every 200ms timeout 150ms fall 2\n");
    for n in 0..2 {
        text += &format!("check place{n} file {}\n", places(node, n).display());
    }
    for n in 0..2 {
        let [v4, v6] = services(n);
        let weight = if n == 0 { "weight -200" } else { "" };
        text += &format!(
            "instance dns{n} on eth0 vrid 21{n} version 3 advert 20cs priority 50\n  address {v4}/24\n  address {v6}/64\n  \
             track place{n} weight 50\n  track resolver {weight}\n"
        );
    }
    text
}

/// The file with a router's place for an instance.
fn places(node: &Node, instance: u8) -> PathBuf {
    node.dir().join(format!("place{instance}"))
}

/// Writes a router's places, counted from below and from above; out of service it has none.
fn set_place(node: &Node, from_above: Option<u8>) {
    let [up, down] = from_above.map_or([0, 0], |n| [n, 5 - n]);
    replace(&places(node, 0), &format!("{up}\n"));
    replace(&places(node, 1), &format!("{down}\n"));
}

#[test]
fn the_same_with_files_and_the_built_in_query() {
    let number = |name: &str| "abcd".find(name).map(|n| n as u8 + 1);
    let mut site = Site::start(|lab, node| {
        set_place(node, number(node.name()));
        by_built_in_checks(lab, node)
    });
    let all = [("a", [100, 250]), ("b", [150, 200]), ("c", [200, 150]), ("d", [250, 100])];
    site.wait("all in order", all, ["d", "a"]);

    set_place(&site.routers["d"].node, None);
    let without_d = [("a", [100, 250]), ("b", [150, 200]), ("c", [200, 150]), ("d", [50, 50])];
    site.wait("d is out", without_d, ["c", "a"]);

    for (name, place) in [("c", 1), ("b", 3), ("a", 4)] {
        set_place(&site.routers[name].node, Some(place));
    }
    let turned = [("a", [250, 100]), ("b", [200, 150]), ("c", [100, 250]), ("d", [50, 50])];
    site.wait("another order", turned, ["a", "c"]);

    site.kill_resolver("a");
    // The fault leaves dns1's priority as it was; it takes no part.
    let without_a = [("a", [50, 100]), ("b", [200, 150]), ("c", [100, 250]), ("d", [50, 50])];
    site.wait("a's resolver has died", without_a, ["b", "c"]);
    assert_eq!(site.routers["a"].standing().map(|s| s.map(|i| i.1)), Some(["BACKUP".into(), "FAULT".into()]));

    site.kill_resolver("c");
    let only_b = [("a", [50, 100]), ("b", [200, 150]), ("c", [1, 250]), ("d", [50, 50])];
    site.wait("c's has died too", only_b, ["b", "b"]);

    site.restart_resolver("a");
    let a_again = [("a", [250, 100]), ("b", [200, 150]), ("c", [1, 250]), ("d", [50, 50])];
    site.wait("a's is back", a_again, ["a", "b"]);

    set_place(&site.routers["d"].node, Some(2));
    let renewed = [("a", [250, 100]), ("b", [200, 150]), ("c", [1, 250]), ("d", [150, 200])];
    site.wait("d is in again", renewed, ["a", "d"]);
    site.assert_untouched();
}
