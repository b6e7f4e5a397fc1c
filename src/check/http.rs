//! One GET by plain HTTP/1.1.
//!
//! Read first: RFC 9112. The host is a literal address or `localhost`, because a name look-up would
//! block. Nothing of the response is kept but a line at a time; at most 64 KiB of the body, as it
//! comes, framing included, are looked at. Redirects are answers, and are not followed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use ufmt::uwrite;

use super::{Look, Outcome, Reason, Seen, because, failed, reason, tcp};
use crate::sys::context::Context;
use crate::vrrp::timing::Instant;

/// Bytes of a URL.
const MAX_URL: usize = 480;
/// Bytes of the text that is searched.
pub const MAX_TEXT: usize = 255;
/// Bytes of the status line and all header fields, interim responses included.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes of the body that are looked at.
const MAX_BODY: usize = 64 * 1024;
/// Bytes of a header line that are kept: the fields that we read are short.
const MAX_LINE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    Localhost,
}

/// A URL, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    host: Host,
    port: u16,
    authority: &'a str,
    /// Path and query; without its `/` if the URL has no path.
    target: &'a str,
}

impl<'a> Url<'a> {
    /// Takes apart `http://HOST[:PORT][/PATH]`.
    pub fn parse(url: &'a str) -> Result<Url<'a>, &'static str> {
        if url.len() > MAX_URL {
            return Err("the URL is too long");
        }
        if !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a URL has no blanks, and other characters than ASCII percent-encoded");
        }
        let rest = match url.split_once("://") {
            Some((s, rest)) if s.eq_ignore_ascii_case("http") => rest,
            Some((s, _)) if s.eq_ignore_ascii_case("https") => {
                return Err("https is not supported: use http or a script");
            }
            _ => return Err("the URL must begin with http://"),
        };
        if rest.contains('#') {
            return Err("a URL that is asked for has no #fragment");
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a user in the URL is not supported: expected http://ADDRESS[:PORT][/PATH]");
        }
        let (host, port) = if let Some(v6) = authority.strip_prefix('[') {
            let (ip, behind) = v6.split_once(']').ok_or("']' is missing behind the IPv6 address")?;
            let ip: Ipv6Addr = ip.parse().map_err(|_| "not an IPv6 address between [ and ]")?;
            let port = match behind {
                "" => None,
                p => Some(p.strip_prefix(':').ok_or("behind ']' only :PORT can stand")?),
            };
            (Host::Ip(ip.into()), port)
        } else {
            let (host, port) = match authority.split_once(':') {
                Some((_, p)) if p.contains(':') => return Err("an IPv6 address in a URL stands between [ and ]"),
                Some((h, p)) => (h, Some(p)),
                None => (authority, None),
            };
            let host = match host.parse::<Ipv4Addr>() {
                Ok(ip) => Host::Ip(ip.into()),
                Err(_) if host.eq_ignore_ascii_case("localhost") => Host::Localhost,
                Err(_) if host.is_empty() => return Err("the URL has no host: expected http://ADDRESS[:PORT][/PATH]"),
                Err(_) => return Err("the host must be an address or localhost: a name would need a look-up"),
            };
            (host, port)
        };
        match host {
            Host::Ip(ip) if ip.is_multicast() => return Err("the host must be the address of one host"),
            Host::Ip(IpAddr::V6(ip)) if ip.is_unicast_link_local() => {
                return Err("the host cannot be a link-local address, which needs an interface: expected another");
            }
            _ => {}
        }
        let port = match port {
            None => 80,
            Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => {
                p.parse().map_err(|_| "the port must be a number from 1 to 65535")?
            }
            Some(_) => return Err("the port must be a number from 1 to 65535"),
        };
        if port == 0 {
            return Err("the port must be a number from 1 to 65535");
        }
        Ok(Url { host, port, authority, target })
    }
}

/// What is up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expect<'a> {
    /// This status; else any from 200 to 399.
    pub status: Option<u16>,
    /// This text in the body, of at most [`MAX_TEXT`] bytes.
    pub contains: Option<&'a str>,
}

/// Asks for `url`, and judges the answer as far as it has come by `deadline`.
pub async fn http(context: &Context, url: &Url<'_>, expect: &Expect<'_>, deadline: Instant) -> Outcome {
    match context.by(deadline, get(context, url, expect)).await {
        Ok(outcome) => outcome,
        Err(e) => Err(failed(&e)),
    }
}

/// [`http`] as a check.
pub struct Http<'a> {
    /// What it waits with.
    pub context: &'a Context,
    /// What it asks for.
    pub url: Url<'a>,
    /// What is up.
    pub expect: Expect<'a>,
}

impl Look for Http<'_> {
    async fn look(&mut self, deadline: Instant) -> Seen {
        http(self.context, &self.url, &self.expect, deadline).await.into()
    }
}

async fn get(context: &Context, url: &Url<'_>, expect: &Expect<'_>) -> io::Result<Outcome> {
    let socket = match url.host {
        Host::Ip(ip) => tcp::connect(context, ip, url.port, None).await?,
        // A server on either family is localhost's.
        Host::Localhost => match tcp::connect(context, Ipv4Addr::LOCALHOST.into(), url.port, None).await {
            Ok(s) => s,
            Err(_) => tcp::connect(context, Ipv6Addr::LOCALHOST.into(), url.port, None).await?,
        },
    };
    let mut buffer = [0; 1024];
    let request = request(url).ok_or(io::ErrorKind::InvalidInput)?;
    let mut left = &request[..];
    while !left.is_empty() {
        match rustix::net::send(&socket, left, SendFlags::NOSIGNAL) {
            Ok(n) => left = left.get(n..).unwrap_or(&[]),
            Err(Errno::AGAIN) => socket.writable().await?,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut response = Response::new(expect);
    loop {
        match rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, 0)) => return Ok(response.end()),
            Ok((_, n)) => {
                if let Some(outcome) = response.feed(&buffer[..n]) {
                    return Ok(outcome);
                }
                // A fast server's 80 KiB do not hold up an advert.
                smol::future::yield_now().await;
            }
            Err(Errno::AGAIN) => socket.readable().await?,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn request(url: &Url<'_>) -> Option<Vec<u8, { MAX_URL + 128 }>> {
    let mut r = Vec::new();
    let slash = if url.target.starts_with('/') { "" } else { "/" };
    for piece in [
        "GET ",
        slash,
        url.target,
        " HTTP/1.1\r\nHost: ",
        url.authority,
        "\r\nUser-Agent: picovrrp\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    ] {
        r.extend_from_slice(piece.as_bytes()).ok()?;
    }
    Some(r)
}

/// Looks for a text in bytes that come one after the other (Knuth, Morris, Pratt).
struct Search<'a> {
    text: &'a [u8],
    /// For each prefix, how much of its end is its beginning too.
    border: [u8; MAX_TEXT],
    matched: usize,
}

impl<'a> Search<'a> {
    fn new(text: &'a str) -> Search<'a> {
        let text = text.as_bytes().get(..MAX_TEXT).unwrap_or(text.as_bytes());
        let mut border = [0; MAX_TEXT];
        let mut k = 0usize;
        for i in 1..text.len() {
            while k > 0 && text[i] != text[k] {
                k = border[k - 1] as usize;
            }
            k += usize::from(text[i] == text[k]);
            border[i] = k as u8;
        }
        Search { text, border, matched: 0 }
    }

    /// Whether the text ends with this byte, or has been found already.
    fn feed(&mut self, byte: u8) -> bool {
        while self.matched < self.text.len() {
            if self.text[self.matched] == byte {
                self.matched += 1;
                break;
            }
            if self.matched == 0 {
                break;
            }
            self.matched = self.border[self.matched - 1] as usize;
        }
        self.matched == self.text.len()
    }
}

/// Where in the response we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    StatusLine,
    Fields,
    /// Of the body so much is left; without a length it ends with the connection.
    Body(Option<u64>),
    ChunkSize,
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
}

/// A response, byte by byte.
struct Response<'a> {
    expect: Expect<'a>,
    search: Option<Search<'a>>,
    at: At,
    line: Vec<u8, MAX_LINE>,
    status: u16,
    length: Option<u64>,
    chunked: bool,
    head: usize,
    body: usize,
}

impl<'a> Response<'a> {
    fn new(expect: &Expect<'a>) -> Response<'a> {
        Response {
            expect: *expect,
            search: expect.contains.filter(|t| !t.is_empty()).map(Search::new),
            at: At::StatusLine,
            line: Vec::new(),
            status: 0,
            length: None,
            chunked: false,
            head: 0,
            body: 0,
        }
    }

    /// What more bytes say, if that decides.
    fn feed(&mut self, bytes: &[u8]) -> Option<Outcome> {
        bytes.iter().find_map(|b| self.byte(*b))
    }

    /// What the end of the connection says.
    fn end(&self) -> Outcome {
        Err(match self.at {
            At::StatusLine | At::Fields => because("closed before the answer was complete"),
            _ => lacking(),
        })
    }

    fn byte(&mut self, b: u8) -> Option<Outcome> {
        if matches!(self.at, At::StatusLine | At::Fields) {
            self.head += 1;
            if self.head > MAX_HEAD {
                return Some(Err(because("the header is longer than 16 KiB")));
            }
        } else {
            self.body += 1;
            if self.body > MAX_BODY {
                return Some(Err(because("the text is not in the first 64 KiB")));
            }
        }
        match self.at {
            At::Body(left) => {
                if self.found(b) {
                    return Some(Ok(()));
                }
                let left = left.map(|n| n.saturating_sub(1));
                self.at = At::Body(left);
                return (left == Some(0)).then(|| Err(lacking()));
            }
            At::Chunk(left) => {
                if self.found(b) {
                    return Some(Ok(()));
                }
                self.at = if left > 1 { At::Chunk(left - 1) } else { At::ChunkEnd };
                return None;
            }
            _ => {}
        }
        if b != b'\n' {
            // What is beyond the room of a line is not looked at.
            let _ = self.line.push(b);
            return if self.at == At::StatusLine && !b"HTTP/1.".starts_with(&self.line[..self.line.len().min(7)]) {
                Some(Err(because("the answer is not HTTP")))
            } else {
                None
            };
        }
        let line = std::mem::take(&mut self.line);
        self.line_ended(line.strip_suffix(b"\r").unwrap_or(&line))
    }

    fn found(&mut self, b: u8) -> bool {
        self.search.as_mut().is_none_or(|s| s.feed(b))
    }

    fn line_ended(&mut self, line: &[u8]) -> Option<Outcome> {
        match self.at {
            At::StatusLine => match status_of(line) {
                Some(n) => {
                    (self.status, self.at) = (n, At::Fields);
                    (self.length, self.chunked) = (None, false);
                    None
                }
                None => Some(Err(because("the answer is not HTTP"))),
            },
            At::Fields if !line.is_empty() => {
                self.field(line);
                None
            }
            At::Fields => self.head_ended(),
            At::ChunkSize => match chunk_size(line) {
                Some(0) => Some(Err(lacking())),
                Some(n) => {
                    self.at = At::Chunk(n);
                    None
                }
                None => Some(Err(because("garbled chunks"))),
            },
            _ if line.is_empty() => {
                self.at = At::ChunkSize;
                None
            }
            _ => Some(Err(because("garbled chunks"))),
        }
    }

    fn field(&mut self, line: &[u8]) {
        let Some((name, value)) = core::str::from_utf8(line).ok().and_then(|l| l.split_once(':')) else {
            return;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            self.length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.chunked = value.to_ascii_lowercase().ends_with("chunked");
        }
    }

    fn head_ended(&mut self) -> Option<Outcome> {
        // Interim responses come before the final one (RFC 9110 §15.2).
        if (100..200).contains(&self.status) && self.status != 101 {
            self.at = At::StatusLine;
            return None;
        }
        let up = self.expect.status.map_or((200..400).contains(&self.status), |s| s == self.status);
        if !up {
            let n = self.status;
            return Some(Err(reason(&mut |t| uwrite!(t, "status {}", n))));
        }
        if self.search.is_none() {
            return Some(Ok(()));
        }
        self.at = match (self.chunked, self.length) {
            (true, _) => At::ChunkSize,
            (false, Some(0)) => return Some(Err(lacking())),
            (false, length) => At::Body(length),
        };
        None
    }
}

fn lacking() -> Reason {
    because("the text is not in the answer")
}

/// `HTTP/1.x NNN …`.
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [_, b' ', a, b, c, more @ ..] = rest else {
        return None;
    };
    let digits = [*a, *b, *c];
    if !digits.iter().all(u8::is_ascii_digit) || more.first().is_some_and(|m| *m != b' ') {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| 10 * n + (d - b'0') as u16))
}

/// A chunk's size, without its extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = core::str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim();
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
