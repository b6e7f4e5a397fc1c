//! What the simulation drives: the router, or a small election of the tests' own in its place.

use picovrrp::config::model::Config;
use picovrrp::router::{Actions, Event, Router};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::stats::{GlobalStats, InstanceStats};
use picovrrp::vrrp::timing::{Centis, Instant};

use crate::compact::{Compact, Mutant};

pub trait Node {
    fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut dyn Actions);
    fn reload(&mut self, config: Box<Config>, now: Instant, out: &mut dyn Actions);
    fn next_deadline(&self) -> Option<Instant>;
    fn state(&self) -> State;
    /// Effective priority.
    fn priority(&self) -> u8;
    /// Active_Adver_Interval.
    fn learned(&self) -> Centis;
    /// Adverts that reached the election.
    fn accepted(&self) -> u64;
    /// Sum of all counters of what was received.
    fn counted(&self) -> u64;
    fn is_stopped(&self) -> bool;
}

/// Which of them a world consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Real,
    Compact(Option<Mutant>),
}

impl Kind {
    pub fn make(self, config: Box<Config>) -> Box<dyn Node> {
        match self {
            Kind::Real => Box::new(Router::new(config)),
            Kind::Compact(mutant) => Box::new(Compact::new(config, mutant)),
        }
    }
}

impl Node for Router {
    fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut dyn Actions) {
        Router::handle(self, event, now, out);
    }

    fn reload(&mut self, config: Box<Config>, now: Instant, out: &mut dyn Actions) {
        Router::reload(self, config, now, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Router::next_deadline(self)
    }

    fn state(&self) -> State {
        self.election_state(0).unwrap()
    }

    fn priority(&self) -> u8 {
        self.view(0).unwrap().effective_priority
    }

    fn learned(&self) -> Centis {
        self.view(0).unwrap().active_adver_interval
    }

    fn accepted(&self) -> u64 {
        self.view(0).unwrap().stats.advertisement_rcvd
    }

    fn counted(&self) -> u64 {
        sum(self.view(0).unwrap().stats, self.stats())
    }

    fn is_stopped(&self) -> bool {
        Router::is_stopped(self)
    }
}

/// All counters that a received packet can move. Destructured whole, so that a new one is not forgotten.
fn sum(i: &InstanceStats, g: &GlobalStats) -> u64 {
    let InstanceStats {
        master_transitions: _,
        advertisement_sent: _,
        priority_zero_pkts_sent: _,
        assertions_sent: _,
        advertisement_rcvd,
        interval_errors,
        priority_zero_pkts_rcvd,
        invalid_type_pkts_rcvd,
        address_list_errors,
        packet_length_errors,
        auth_invalid_type,
        auth_type_mismatch,
        auth_failure,
        reflected,
        unknown_peer,
        trailing_bytes,
        checksum_plain_rcvd,
        checksum_pseudo_rcvd,
    } = i;
    let GlobalStats { checksum_errors, version_errors, vrid_errors, ip_ttl_errors, packet_length_errors: short } = g;
    [
        advertisement_rcvd,
        interval_errors,
        priority_zero_pkts_rcvd,
        invalid_type_pkts_rcvd,
        address_list_errors,
        packet_length_errors,
        auth_invalid_type,
        auth_type_mismatch,
        auth_failure,
        reflected,
        unknown_peer,
        trailing_bytes,
        checksum_plain_rcvd,
        checksum_pseudo_rcvd,
        checksum_errors,
        version_errors,
        vrid_errors,
        ip_ttl_errors,
        short,
    ]
    .into_iter()
    .sum()
}
