//! What an instance or a group tracks.

use super::keyword::{Done, Reader};
use super::lex::Words;
use super::value::Expected;
use crate::config::assemble::Reported;
use crate::config::model::{MAX_NAME, Track, Tracked};

pub(super) fn track(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let check = r.name(w, "track", "the name of a check", MAX_NAME)?;
    let (weight, reverse) = options(r, w)?;
    r.asm.add_track(at, Tracked::Check(check), weight, reverse);
    Ok(())
}

pub(super) fn track_interface(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let interface = r.interface(w, "track-interface")?;
    let (weight, reverse) = options(r, w)?;
    r.asm.add_track(at, Tracked::Interface(interface), weight, reverse);
    Ok(())
}

/// The weight, if there is one, and `reverse`.
fn options(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<(Option<i16>, bool), Reported> {
    let (mut weight, mut reverse, mut seen) = (None, false, 0);
    while let Some(option) = r.option(w, &["weight", "reverse"], &mut seen)? {
        if option == 0 {
            weight = Some(number(r, w)?);
        } else {
            reverse = true;
        }
    }
    Ok((weight, reverse))
}

fn number(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<i16, Reported> {
    let number = w.peek().and_then(|word| word.parse::<i16>().ok());
    match number.filter(|n| n.unsigned_abs() <= Track::MAX_WEIGHT.unsigned_abs()) {
        Some(n) => {
            w.skip();
            Ok(n)
        }
        None => Err(r.need(w, "weight", Expected::Text("a number from -253 to 253; 0: a fault when it is down"))),
    }
}
