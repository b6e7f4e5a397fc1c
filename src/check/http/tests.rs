use super::super::testing::run;
use super::*;
use crate::sys::clock;
use crate::vrrp::timing::Micros;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// What the check says to a server that sends these pieces, with a pause between, and closes.
fn outcome(expect: Expect<'_>, pieces: &[&[u8]], pause: u64) -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/health?x=1", server.local_addr().unwrap().port());
    let pieces: std::vec::Vec<_> = pieces.iter().map(|p| p.to_vec()).collect();
    let thread = std::thread::spawn(move || {
        let (mut s, _) = server.accept().unwrap();
        let mut b = [0; 2048];
        let mut n = 0;
        while !b[..n].ends_with(b"\r\n\r\n") {
            n += s.read(&mut b[n..]).unwrap();
        }
        for p in pieces {
            if s.write_all(&p).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(pause));
        }
        String::from_utf8_lossy(&b[..n]).into_owned()
    });
    let parsed = Url::parse(&url).unwrap();
    let said = run(async |c| http(c, &parsed, &expect, clock::now() + Micros::from_millis(500)).await);
    let asked = thread.join().unwrap();
    assert!(asked.starts_with("GET /health?x=1 HTTP/1.1\r\nHost: localhost:"), "{asked}");
    said.map_or_else(|r| r.as_str().into(), |()| "up".into())
}

fn text(t: &str) -> Expect<'_> {
    Expect { status: None, contains: Some(t) }
}

#[test]
fn statuses() {
    let any = Expect::default();
    for (line, want) in [
        ("HTTP/1.1 200 OK", "up"),
        ("HTTP/1.0 301 Moved", "up"),
        ("HTTP/1.1 204", "up"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", "up"),
        ("HTTP/1.1 503 Busy", "status 503"),
        ("HTTP/1.1 2x0 OK", "the answer is not HTTP"),
        ("HTTP/2 200 OK", "the answer is not HTTP"),
        ("SSH-2.0-x", "the answer is not HTTP"),
    ] {
        assert_eq!(outcome(any, &[format!("{line}\r\n\r\n").as_bytes()], 0), want, "{line}");
    }
    let only = Expect { status: Some(503), contains: None };
    assert_eq!(outcome(only, &[b"HTTP/1.1 503 x\r\n\r\n"], 0), "up");
    assert_eq!(outcome(only, &[b"HTTP/1.1 200 x\r\n\r\n"], 0), "status 200");
    assert_eq!(outcome(any, &[b"HTTP/1.1 200 OK\r\nA: b\r\n"], 0), "closed before the answer was complete");
    assert_eq!(outcome(any, &[], 0), "closed before the answer was complete");
}

#[test]
fn bodies() {
    let ok = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(outcome(text("alive"), &[ok, b"I am al", b"ive."], 20), "up");
    assert_eq!(outcome(text("aab"), &[ok, b"aaa", b"ab"], 20), "up");
    assert_eq!(outcome(text("alive"), &[ok, b"dead"], 0), "the text is not in the answer");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(outcome(text("alive"), &[chunked, b"2;x=y\r\nal\r\n", b"3\r\nive\r\n0\r\n\r\n"], 5), "up");
    assert_eq!(
        outcome(text("live3"), &[chunked, b"4\r\nlive\r\n3\r\nive\r\n0\r\n\r\n"], 5),
        "the text is not in the answer"
    );
    assert_eq!(outcome(text("x"), &[chunked, b"zz\r\n"], 5), "garbled chunks");
    // The server says the length, and keeps the connection.
    assert_eq!(
        outcome(text("x"), &[b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndead", b""], 300),
        "the text is not in the answer"
    );
    let mut long = ok.to_vec();
    long.extend(std::iter::repeat_n(b'-', 100_000));
    assert_eq!(outcome(text("x"), &[&long], 0), "the text is not in the first 64 KiB");
}

#[test]
fn bad_servers() {
    let mut long = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    long.extend(std::iter::repeat_n(b'-', 100_000));
    assert_eq!(outcome(Expect::default(), &[&long], 0), "the header is longer than 16 KiB");
    let drip: std::vec::Vec<&[u8]> = b"HTTP/1.1 200 OK\r\n".chunks(1).collect();
    assert_eq!(outcome(Expect::default(), &drip, 50), "no answer in time");
}

#[test]
fn urls() {
    let u = Url::parse("http://192.0.2.1:8080/health").unwrap();
    assert_eq!((u.host, u.port, u.target), (Host::Ip("192.0.2.1".parse().unwrap()), 8080, "/health"));
    let u = Url::parse("HTTP://[2001:db8::1]?a").unwrap();
    assert_eq!((u.host, u.port, u.target), (Host::Ip("2001:db8::1".parse().unwrap()), 80, "?a"));
    assert!(request(&u).unwrap().starts_with(b"GET /?a HTTP/1.1\r\nHost: [2001:db8::1]\r\n"));
    for (bad, why) in [
        ("ftp://1.2.3.4/", "the URL must begin with http://"),
        ("https://1.2.3.4/", "https is not supported: use http or a script"),
        ("http://", "the URL has no host: expected http://ADDRESS[:PORT][/PATH]"),
        ("http://example.org/", "the host must be an address or localhost: a name would need a look-up"),
        ("http://2001:db8::1/", "an IPv6 address in a URL stands between [ and ]"),
        ("http://[::1/", "']' is missing behind the IPv6 address"),
        ("http://[::1]8/", "behind ']' only :PORT can stand"),
        ("http://[fe80::1%25eth0]/", "not an IPv6 address between [ and ]"),
        ("http://1.2.3.4:/", "the port must be a number from 1 to 65535"),
        ("http://1.2.3.4:0/", "the port must be a number from 1 to 65535"),
        ("http://1.2.3.4:+80/", "the port must be a number from 1 to 65535"),
        ("http://1.2.3.4:65536/", "the port must be a number from 1 to 65535"),
        ("http://me@1.2.3.4/", "a user in the URL is not supported: expected http://ADDRESS[:PORT][/PATH]"),
        ("http://1.2.3.4/#x", "a URL that is asked for has no #fragment"),
        ("http://1.2.3.4/a b", "a URL has no blanks, and other characters than ASCII percent-encoded"),
        (&format!("http://1.2.3.4/{}", "x".repeat(600)), "the URL is too long"),
    ] {
        assert_eq!(Url::parse(bad), Err(why), "{bad}");
    }
}

proptest::proptest! {
    /// However the bytes are cut, the answer is the same; a text is found where it is.
    #[test]
    fn search(body in "[ab]{0,60}", needle in "[ab]{1,6}") {
        let mut s = Search::new(&needle);
        proptest::prop_assert_eq!(body.bytes().any(|b| s.feed(b)), body.contains(&needle));
    }

    #[test]
    fn junk(bytes: std::vec::Vec<u8>, at in 0usize..4, url: String) {
        let heads: [&[u8]; 4] = [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"];
        let expect = text("xyz");
        let mut r = Response::new(&expect);
        if r.feed(heads[at]).is_none() && r.feed(&bytes).is_none() {
            let _ = r.end();
        }
        let _ = Url::parse(&url);
        let _ = Url::parse(&format!("http://{url}"));
    }
}
