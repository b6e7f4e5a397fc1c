//! A keepalived.conf that stands alone.

use picovrrp::config::keepalived::Files;

/// A file that includes no other.
pub(crate) struct Alone;

impl Files for Alone {
    type File = &'static [u8];

    fn open(&mut self, _path: &str) -> Result<&'static [u8], &'static str> {
        Err("there is none")
    }

    fn matches(&mut self, _pattern: &str, _most: usize) -> Vec<String> {
        Vec::new()
    }
}
