//! A web server that is asked for its health: what it answers decides where the address is.

use crate::kit::{check, config, two, wait_effective, wait_served_by};
use crate::nginx::Nginx;
use crate::support::{Lab, SOON, Two};

/// nginx and the check `web` on both routers, worth 2.
struct Served {
    t: Two,
    on_a: Nginx,
    _on_b: Nginx,
}

impl Served {
    #[track_caller]
    fn start(kind: &str) -> Self {
        let nodes = Lab::trio();
        let (mut on_a, mut on_b) = (Nginx::new(&nodes.1), Nginx::new(&nodes.2));
        on_a.start();
        on_b.start();
        let line = format!("check web {kind} every 200ms timeout 2s fall 2 rise 2");
        let config = |priority: u8| config(&line, &format!("priority {priority}\n  track web weight 2"));
        let t = two(nodes, &config(101), &config(100));
        wait_effective(&t.one, 103);
        wait_effective(&t.two, 102);
        wait_served_by(&t, "a");
        Served { t, on_a, _on_b: on_b }
    }

    /// The check fails on a, which says why; b serves.
    #[track_caller]
    fn moved_because(&mut self, why: &str) {
        wait_served_by(&self.t, "b");
        self.t.one.wait_state("BACKUP", SOON);
        let check = check(&self.t.one, "web");
        assert_eq!(check["state"], "down", "{check:#}");
        let said = check["last_error"].as_str().unwrap_or_default();
        assert!(said.contains(why), "`{why}` is missing in {check:#}");
    }

    /// All is well on a again; it serves.
    #[track_caller]
    fn moved_back(&mut self) {
        wait_served_by(&self.t, "a");
        self.t.two.wait_state("BACKUP", SOON);
        assert_eq!(check(&self.t.one, "web")["state"], "up");
    }
}

#[test]
fn the_address_is_where_the_health_page_is_as_it_should_be() {
    let mut s = Served::start("http http://127.0.0.1:8080/health status 200 contains \"all is well\"");
    s.on_a.sicken();
    s.moved_because("503");
    s.on_a.heal();
    s.moved_back();
    s.on_a.confuse();
    s.moved_because("the text is not in the answer");
    s.on_a.heal();
    s.moved_back();
    s.on_a.stop();
    s.moved_because("refused");
    s.on_a.start();
    s.moved_back();
}

#[test]
fn the_address_is_where_the_port_is_open() {
    let mut s = Served::start("tcp 127.0.0.1 8080");
    s.on_a.stop();
    s.moved_because("refused");
    s.on_a.start();
    s.moved_back();
}
