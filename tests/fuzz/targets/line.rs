//! The line language.

use picovrrp::config::{explain, line};

use super::held::within;
use super::input::{Input, sure};
use super::judge::Reading;

/// Reads `data` as a line configuration: what is accepted comes back equal, what is said has its place,
/// the heap holds its tables and no more, and it does not matter in what pieces the file is read.
pub(crate) fn line(data: &[u8]) {
    let (mut whole, mut pieces) = (Reading::new(), Reading::new());
    within(0, || {
        let mut input = Input::whole(data);
        sure(line::parse_with_commands(&mut input, &mut whole.config, &mut whole.found, &mut whole.commands));
    });
    whole.judge(&[data]);
    sure(line::parse(&mut Input::pieces(data), &mut pieces.config, &mut pieces.found));
    whole.same_as(&pieces);
    if whole.accepted() {
        let mut words = Vec::new();
        explain::explain(&whole.config, Some(100), &mut words).expect("a Vec takes everything");
        assert!(!words.is_empty() && str::from_utf8(&words).is_ok());
    }
}
