//! What a router tracks: the description that its configuration is made of, and a model of what is to
//! come of it. The model is written from keepalived's rules, not from the router: it counts what speaks
//! against the present state, where the router counts up and down.

use picovrrp::config::model::{Check, CheckKind, Config, Initial, Range, StrId, Track, Tracked};
use picovrrp::router::event::CheckResult;
use picovrrp::vrrp::timing::Micros;

use crate::rng::Rng;

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Look {
    Script,
    File,
    /// The interface of this number.
    Interface(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub struct CheckSpec {
    /// Its name.
    pub number: u16,
    pub look: Look,
    pub rise: u8,
    pub fall: u8,
    pub initial: Initial,
}

impl CheckSpec {
    /// Runs of one result after which it counts, whatever was before.
    pub fn settles(&self) -> u8 {
        self.rise.max(self.fall)
    }
}

/// Something that is tracked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thing {
    /// An interface, by its number.
    Interface(usize),
    /// A check, by its place.
    Check(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackSpec {
    pub what: Thing,
    pub weight: i16,
    pub reverse: bool,
}

/// What one run of a check finds. Files find numbers, the others good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub enum Found {
    Good,
    Bad,
    Number(i16),
    NoNumber,
}

impl Found {
    pub fn result(self) -> CheckResult {
        match self {
            Found::Good => CheckResult::Up,
            Found::Bad => CheckResult::Down,
            Found::Number(n) => CheckResult::Value(n),
            Found::NoNumber => CheckResult::Broken,
        }
    }

    pub fn from(result: CheckResult) -> Found {
        match result {
            CheckResult::Up => Found::Good,
            CheckResult::Down => Found::Bad,
            CheckResult::Value(n) => Found::Number(n),
            CheckResult::Broken => Found::NoNumber,
        }
    }

    pub fn of(up: bool) -> Found {
        if up { Found::Good } else { Found::Bad }
    }

    pub fn random(look: Look, rng: &mut Rng) -> Found {
        match look {
            Look::File if rng.percent(10) => Found::NoNumber,
            Look::File => Found::Number(rng.pick(&[0, 0, 1, -1, 5, 20, -20, 100, -127, -254, 254, i16::MAX, i16::MIN])),
            _ => Found::of(rng.percent(60)),
        }
    }
}

/// Random checks of one router and what tracks them; `interfaces` may be looked at and tracked.
pub fn random(rng: &mut Rng, interfaces: &[usize]) -> (Vec<CheckSpec>, Vec<TrackSpec>) {
    let mut checks = Vec::new();
    for number in 0..1 + rng.below(3) as u16 {
        let look = match rng.below(20) {
            0..11 => Look::Script,
            11..16 => Look::File,
            _ => Look::Interface(rng.pick(interfaces)),
        };
        let initial = if look == Look::File {
            Initial::Unknown
        } else {
            rng.pick(&[Initial::Unknown, Initial::Unknown, Initial::Unknown, Initial::Up, Initial::Down])
        };
        let (rise, fall) = if look == Look::File { (1, 1) } else { (rng.pick(&[1, 1, 2, 3]), rng.pick(&[1, 1, 2, 4])) };
        checks.push(CheckSpec { number, look, rise, fall, initial });
    }
    let mut tracks = Vec::new();
    for (c, check) in checks.iter().enumerate() {
        if rng.percent(90) {
            tracks.push(weight(rng, Thing::Check(c), check.look));
        }
    }
    if rng.percent(35) {
        let what = Thing::Interface(rng.pick(interfaces));
        tracks.push(weight(rng, what, Look::Script));
    }
    (checks, tracks)
}

/// A random weight for `what`.
pub fn weight(rng: &mut Rng, what: Thing, look: Look) -> TrackSpec {
    let weight = match look {
        _ if rng.percent(35) => 0,
        Look::File => rng.pick(&[1, 1, 2, -1, -2, 50]),
        _ => {
            let most = rng.pick(&[60, 60, 253]);
            (1 + rng.below(most) as i16) * rng.pick(&[1, -1])
        }
    };
    TrackSpec { what, weight, reverse: rng.percent(25) }
}

fn string(c: &mut Config, text: &str) -> StrId {
    c.strings.add(text).unwrap()
}

/// Puts `checks` into `c`.
pub fn add_checks(c: &mut Config, checks: &[CheckSpec], interfaces: &[&str]) {
    for spec in checks {
        let name = string(c, &format!("check{}", spec.number));
        let kind = match spec.look {
            Look::Script => CheckKind::Script { command: string(c, "/bin/true"), user: StrId::default() },
            Look::File => CheckKind::File { path: string(c, "/number") },
            Look::Interface(i) => CheckKind::Interface { interface: string(c, interfaces[i]) },
        };
        let (every, timeout) = (Check::EVERY, Micros::from_secs(1));
        let (fall, rise, initial) = (spec.fall, spec.rise, spec.initial);
        c.checks.push(Check { name, kind, every, timeout, fall, rise, initial }).unwrap();
    }
}

/// Puts `tracks` into `c`.
pub fn add_tracks(c: &mut Config, tracks: &[TrackSpec], checks: &[CheckSpec], interfaces: &[&str]) -> Range {
    let start = c.tracks.len() as u16;
    for t in tracks {
        let what = match t.what {
            Thing::Interface(i) => Tracked::Interface(string(c, interfaces[i])),
            Thing::Check(n) => Tracked::Check(string(c, &format!("check{}", checks[n].number))),
        };
        c.tracks.push(Track { what, weight: t.weight, reverse: t.reverse }).unwrap();
    }
    Range { start, len: tracks.len() as u16 }
}

/// What is known of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    Nothing,
    Works(bool),
    Number(i16),
    NoNumber,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    known: Known,
    /// Runs in a row, the last one too, that found the contrary of what is known.
    contrary: u8,
    /// A result counts alone: there was none before.
    fresh: bool,
}

impl Watch {
    fn new(spec: &CheckSpec) -> Watch {
        let known = match spec.initial {
            Initial::Unknown => Known::Nothing,
            Initial::Up => Known::Works(true),
            Initial::Down => Known::Works(false),
        };
        Watch { known, contrary: 0, fresh: spec.initial == Initial::Unknown }
    }

    fn run(&mut self, spec: &CheckSpec, found: Found) {
        let good = match found {
            Found::Number(n) => return self.known = Known::Number(n),
            Found::NoNumber => return self.known = Known::NoNumber,
            Found::Good | Found::Bad => found == Found::Good,
        };
        if self.known == Known::Works(good) {
            self.contrary = 0;
            return;
        }
        self.contrary += 1;
        if self.fresh || self.contrary >= if good { spec.rise } else { spec.fall } {
            *self = Watch { known: Known::Works(good), contrary: 0, fresh: false };
        }
    }
}

/// What the trackers of an instance come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum {
    /// Effective priority.
    pub priority: u8,
    /// Something keeps it from speaking.
    pub fault: bool,
    /// It waits for the first result of something.
    pub held: bool,
}

/// What one router's process is to know and to make of it.
#[derive(Clone, Debug)]
pub struct Model {
    watches: Vec<Watch>,
    /// Interfaces that work, as far as it was told.
    up: Vec<bool>,
}

impl Model {
    pub fn new(checks: &[CheckSpec], interfaces: usize) -> Model {
        Model { watches: checks.iter().map(Watch::new).collect(), up: vec![false; interfaces] }
    }

    /// Check `c` has run.
    pub fn run(&mut self, checks: &[CheckSpec], c: usize, found: Found) {
        self.watches[c].run(&checks[c], found);
    }

    /// What an interface check finds.
    pub fn finds(&self, look: Look) -> Option<Found> {
        if let Look::Interface(i) = look { Some(Found::of(self.up[i])) } else { None }
    }

    /// Interface `i` is told: a change runs the checks that look at it.
    pub fn link(&mut self, checks: &[CheckSpec], i: usize, up: bool) {
        if std::mem::replace(&mut self.up[i], up) != up {
            for c in (0..checks.len()).filter(|c| checks[*c].look == Look::Interface(i)) {
                self.run(checks, c, Found::of(up));
            }
        }
    }

    /// It starts: how the interfaces stand is known.
    pub fn start(&mut self, checks: &[CheckSpec]) {
        for (c, spec) in checks.iter().enumerate() {
            if let (Known::Nothing, Some(found)) = (self.watches[c].known, self.finds(spec.look)) {
                self.run(checks, c, found);
            }
        }
    }

    /// Another configuration: what has its name and looks at the same thing is known on. Interfaces that
    /// the old one did not name (`named`) are still to be told.
    pub fn reload(&mut self, old: &[CheckSpec], new: &[CheckSpec], named: &[bool]) {
        for (up, named) in self.up.iter_mut().zip(named) {
            *up &= named;
        }
        let of = |spec: &CheckSpec| {
            let at = old.iter().position(|o| (o.number, o.look) == (spec.number, spec.look));
            let at = at.filter(|at| self.watches[*at].known != Known::Nothing);
            at.map_or(Watch::new(spec), |at| {
                let same = (old[at].rise, old[at].fall) == (spec.rise, spec.fall);
                let (known, was) = (self.watches[at].known, self.watches[at].contrary);
                Watch { known, contrary: if same { was } else { 0 }, fresh: false }
            })
        };
        self.watches = new.iter().map(of).collect();
    }

    /// What is known of `what`.
    pub fn known(&self, what: Thing) -> Known {
        match what {
            Thing::Interface(i) => Known::Works(self.up[i]),
            Thing::Check(c) => self.watches[c].known,
        }
    }

    /// Each tracker in the order in which it counts; of one thing only the first does.
    pub fn sum<'a>(&self, base: u8, tracks: impl Iterator<Item = &'a TrackSpec>) -> Sum {
        let (mut sum, mut fault, mut held) = (base as i64, false, false);
        let mut seen = Vec::new();
        for t in tracks {
            if seen.contains(&t.what) {
                continue;
            }
            seen.push(t.what);
            let known = self.known(t.what);
            fault |= faults(t, known);
            held |= t.weight == 0 && known == Known::Nothing;
            sum += adds(t, known);
        }
        Sum { priority: if base == 255 { 255 } else { sum.clamp(1, 254) as u8 }, fault, held }
    }
}

/// KEEPALIVED §2: positive weights while up, negative while down, `reverse` turns it round; a file's
/// number times the weight.
fn adds(t: &TrackSpec, known: Known) -> i64 {
    let weight = t.weight as i64;
    match (known, t.reverse) {
        (Known::Works(up), reverse) => match (up != reverse, weight > 0) {
            (true, true) | (false, false) => weight,
            _ => 0,
        },
        (Known::Number(n), false) => n as i64 * weight,
        (Known::Number(n), true) => -(n as i64 * weight),
        (Known::Nothing | Known::NoNumber, _) => 0,
    }
}

/// Whether what is known of a thing puts the instance in Fault.
pub fn faults(t: &TrackSpec, known: Known) -> bool {
    match known {
        Known::Nothing => false,
        Known::Works(up) => t.weight == 0 && up == t.reverse,
        Known::NoNumber => t.weight == 0,
        Known::Number(n) if t.weight == 0 => (n == 0) == t.reverse,
        Known::Number(_) => adds(t, known) <= -254,
    }
}

/// A result that does not put the one who tracks it in Fault, or does.
pub fn choose(t: Option<&TrackSpec>, look: Look, fault: bool, rng: &mut Rng) -> Found {
    let known = |found| match found {
        Found::Good => Known::Works(true),
        Found::Bad => Known::Works(false),
        Found::Number(n) => Known::Number(n),
        Found::NoNumber => Known::NoNumber,
    };
    let mut found = Found::random(look, rng);
    for _ in 0..40 {
        if t.is_none_or(|t| faults(t, known(found)) == fault) {
            break;
        }
        found = Found::random(look, rng);
    }
    found
}
