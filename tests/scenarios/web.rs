//! A web server behind its process: the address is where nginx runs. The routers' own priorities
//! are 101 and 100, and the process is worth 2, so that it decides.
//!
//! Processes of both routers are seen by both, as /proc knows nothing of network namespaces. So
//! each router looks for its own nginx, by command line or by a name of its own.

use std::time::Instant;

use crate::kit::{check, config, effective, two, wait_effective, wait_holder, wait_served_by};
use crate::nginx::Nginx;
use crate::support::{Lab, Node, SOON, Two, ms, observe};

/// Both routers with nginx running, and a Active.
struct Web {
    t: Two,
    on_a: Nginx,
    on_b: Nginx,
}

impl Web {
    /// `make` configures nginx on a node; `words` are those behind `check web process`.
    #[track_caller]
    fn start(make: fn(&Node) -> Nginx, words: fn(&Nginx) -> String) -> Self {
        let nodes = Lab::trio();
        let (mut on_a, mut on_b) = (make(&nodes.1), make(&nodes.2));
        on_a.start();
        on_b.start();
        let config = |nginx, priority: u8| {
            let check = format!("check web process {}", words(nginx));
            config(&check, &format!("priority {priority}\n  track web weight 2"))
        };
        let (of_a, of_b) = (config(&on_a, 101), config(&on_b, 100));
        let t = two(nodes, &of_a, &of_b);
        wait_effective(&t.one, 103);
        wait_effective(&t.two, 102);
        wait_served_by(&t, "a");
        Web { t, on_a, on_b }
    }

    /// nginx stops on a, and starts again there.
    #[track_caller]
    fn goes_and_comes(&mut self) {
        let stopped = Instant::now();
        self.on_a.stop();
        wait_served_by(&self.t, "b");
        self.t.lab.wire().wait("an advert of a with its own priority", stopped, SOON, |s| {
            s.is_claim_of("a") && s.advert().is_some_and(|a| a.priority == 101)
        });
        assert_eq!(check(&self.t.one, "web")["state"], "down");
        assert_eq!(check(&self.t.two, "web")["state"], "up");
        self.t.one.wait_state("BACKUP", SOON);
        self.on_a.start();
        wait_served_by(&self.t, "a");
        self.t.two.wait_state("BACKUP", SOON);
    }
}

/// A name that no other process on this machine has, of at most 15 bytes.
fn by_own_name(node: &Node) -> Nginx {
    Nginx::called(node, node.ns().name())
}

#[test]
fn the_address_is_where_nginx_runs() {
    let mut web = Web::start(Nginx::new, |nginx| format!("\"{}\" full-command every 200ms", nginx.title()));
    web.goes_and_comes();
    // Nowhere at all: the routers' own priorities decide, and somebody holds the address.
    web.on_a.stop();
    wait_served_by(&web.t, "b");
    web.on_b.stop();
    wait_holder(&web.t, "a");
    assert_eq!((effective(&web.t.one), effective(&web.t.two)), (101, 100));
}

#[test]
fn the_address_is_where_a_process_of_that_name_runs() {
    // The master and its worker.
    let words = |nginx: &Nginx| format!("{} min 2 every 200ms", nginx.name());
    Web::start(by_own_name, words).goes_and_comes();
}

#[test]
fn a_restart_within_the_delay_moves_nothing() {
    let mut web = Web::start(by_own_name, |nginx| format!("{} every 100ms delay 3s", nginx.name()));
    let before = web.t.one.instance();
    let stopped = Instant::now();
    web.on_a.stop();
    // Time for ten looks, and for b to take over if a said that it is worth less.
    observe(ms(1000));
    web.on_a.start();
    wait_served_by(&web.t, "a");
    let adverts = web.t.lab.wire().since(stopped);
    let priorities: Vec<_> = adverts.iter().filter_map(|s| s.advert()).map(|a| a.priority).collect();
    assert!(!priorities.is_empty() && priorities.iter().all(|p| *p == 103), "{priorities:?}");
    assert_eq!(web.t.one.instance()["transitions"], before["transitions"]);
    // Away for longer than that, it counts.
    web.goes_and_comes();
}
