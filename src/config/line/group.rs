//! Sync groups.

use super::keyword::{Done, GROUP, Reader, is_property, skip_value};
use super::lex::Words;
use super::value::Expected;
use crate::config::model::{MAX_NAME, Weights};

pub(super) fn group(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let mut named = false;
    match r.plain(w, "group", "a name", MAX_NAME) {
        Ok(name) => r.asm.begin_group(at, name),
        Err(_) => {
            // What is behind it is worth reading for its own errors.
            r.asm.begin_broken_group();
            skip_value(w, GROUP);
            named = true;
        }
    }
    while w.peek().is_some_and(|word| w.quoted() || !is_property(word)) {
        named = true;
        let at = w.pos();
        match r.name(w, "group", "the name of an instance", MAX_NAME) {
            Ok(name) => r.asm.add_member(at, name),
            Err(_) => w.skip(),
        }
    }
    if !named {
        // The properties behind it count all the same.
        r.need(w, "group", Expected::Text("the names of its instances behind its own"));
    }
    r.properties(w, GROUP, false);
    Ok(())
}

/// For whom weights count, in the order of [`WEIGHTS`].
pub(super) static WEIGHT_NAMES: [&str; 3] = ["on", "own", "off"];
pub(super) static WEIGHTS: [Weights; 3] = [Weights::All, Weights::Own, Weights::Nobody];

pub(super) fn weights(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let which = r.choice(w, "weights", &WEIGHT_NAMES)?;
    r.asm.draft.weights = WEIGHTS[which];
    Ok(())
}
