//! Cross-checks of the links' delays, once all instances and trackers are known.

use ufmt::uwrite;

use crate::config::assemble::Assembler;
use crate::config::model::{CheckKind, Config, Tracked};
use crate::text::Duration;
use crate::vrrp::timing::Micros;

/// Adverts that a backup surely waits for before it takes over, of the three of Active_Down_Interval:
/// it may have heard the last one just when the link was lost, or all but an interval before.
const SURE: u64 = 2;

impl Assembler<'_> {
    /// Every delay against those before it, and against who is on its interface.
    pub(in crate::config) fn check_delays(&mut self) {
        for d in 0..self.config.link_delays.len() {
            self.check_delay(d);
        }
    }

    fn check_delay(&mut self, d: usize) {
        let config: &Config = self.config;
        let (delay, at) = (config.link_delays[d], self.delay_at.get(d).copied().unwrap_or_default());
        let name = config.str(delay.interface);
        if let Some(before) = config.link_delays[..d].iter().position(|b| b.interface == delay.interface) {
            let line = self.delay_at.get(before).map_or(0, |p| p.line);
            return self.diag.error(at, &mut |t| {
                uwrite!(t, "the delays of {} are there already, at line {}: expected them once", name, line)
            });
        }
        let tracked = config.tracks.iter().any(|t| t.what == Tracked::Interface(delay.interface));
        let watched = config.checks.iter().any(|c| c.kind == CheckKind::Interface { interface: delay.interface });
        if !(tracked || watched || config.instances.iter().any(|i| i.interface == delay.interface)) {
            return self.diag.warning(at, &mut |t| {
                uwrite!(t, "no instance is on {} and nothing tracks it: its delays have no effect", name)
            });
        }
        let mut late = config.instances.iter().filter(|i| i.interface == delay.interface && i.track_primary);
        if let Some(i) = late.find(|i| delay.down > sure(i.advert.micros())) {
            let (instance, sure) = (config.str(i.name), sure(i.advert.micros()));
            self.diag.warning(at, &mut |t| {
                uwrite!(t, "without {} instance '{}' may become Active before the loss counts: ", name, instance)?;
                uwrite!(t, "expected 'down' of at most two adverts, {}", Duration(sure))
            });
        }
    }

    /// Shortens delays that are too long for an instance on their interface, as keepalived does, and
    /// says so.
    pub(in crate::config) fn shorten_delays(&mut self) {
        // The last instance may be open.
        self.end_open();
        for d in 0..self.config.link_delays.len() {
            let delay = self.config.link_delays[d];
            let adverts = self.config.instances.iter().filter(|i| i.interface == delay.interface);
            let Some(most) = adverts.map(|i| sure(i.advert.micros())).min() else { continue };
            if delay.down.max(delay.up) <= most {
                continue;
            }
            let shortened = &mut self.config.link_delays[d];
            (shortened.down, shortened.up) = (delay.down.min(most), delay.up.min(most));
            let (at, name) = (self.delay_at.get(d).copied().unwrap_or_default(), self.config.str(delay.interface));
            self.diag.warning(at, &mut |t| {
                uwrite!(t, "the delays of {} are longer than two adverts of an instance on it: ", name)?;
                uwrite!(t, "they are shortened to {}, as keepalived does", Duration(most))
            });
        }
    }
}

fn sure(advert: Micros) -> Micros {
    Micros(SURE * advert.0)
}
