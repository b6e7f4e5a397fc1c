//! What a configuration means.
use super::model::Config;
/// Placeholder until merged.
pub fn explain<W: embedded_io::Write>(_: &Config, _: &mut W) -> Result<(), W::Error> {
    Ok(())
}
