//! Entries of `interface_up_down_delays`.

use super::reader::{Done, Reader};
use super::words::Words;
use crate::config::model::{LinkDelay, MAX_DELAY};
use crate::vrrp::timing::Micros;

/// `INTERFACE DOWN [UP]`. keepalived 2.2.7 lets a link that comes up count at once where `UP` is not
/// there, though its manual says that it is as long as `DOWN`.
pub(super) fn delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let (at, expected) = (w.at, "seconds from 0 to 255");
    let interface = r.interface(w, "interface_up_down_delays")?;
    let down = r.seconds(w, "interface_up_down_delays", Micros::ZERO, MAX_DELAY, expected)?;
    let up = match w.peek() {
        Some(_) => r.seconds(w, "interface_up_down_delays", Micros::ZERO, MAX_DELAY, expected)?,
        None => Micros::ZERO,
    };
    r.asm.replace_delay(at, LinkDelay { interface, down, up });
    Ok(())
}
