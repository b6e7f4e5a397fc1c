use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

/// The events of `text`, one word or two each, in `mode`.
fn read(text: impl AsRef<[u8]>, mode: Mode) -> Vec<String> {
    let mut input = text.as_ref();
    let mut parser = Parser::new(&mut input, mode);
    let mut out = Vec::new();
    while let Some(Item { at, value_at, event }) = parser.next_item().unwrap() {
        let value = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
        out.push(match event {
            Event::Package { name } => format!("package {name}"),
            Event::Section { kind, name } => format!("config {kind} {}", name.unwrap_or("-")),
            Event::Option { name, value: v } => format!("{name}={}", value(v)),
            Event::List { name, value: v } => format!("{name}+={}", value(v)),
            Event::Bad(reason) => format!("{}:{} {reason:?}", at.line, at.column),
        });
        assert!(at.line > 0 && value_at >= at, "{at:?} {value_at:?}");
    }
    out
}

fn strict(text: &str) -> String {
    read(text, Mode::Strict).join(" ")
}

/// The value of one option that is written as `text`.
fn value(text: &str) -> String {
    let events = read(format!("config x\noption v {text}"), Mode::Strict);
    assert_eq!(events[0], "config x -");
    events[1..].join("|")
}

#[test]
fn commands() {
    for (text, expected) in [
        ("", ""),
        ("\n\n  \t\n# a comment 'with a quote\n", ""),
        ("package network\nconfig interface lan\n", "package network config interface lan"),
        ("p a-b\nc t n\no x 1\nl y 2", "package a-b config t n x=1 y+=2"),
        ("config t 'n'\r\n\toption x '1'\r\n\tlist y \"2\"\r\n", "config t n x=1 y+=2"),
        ("  \t config t\n\x0b\x0coption x 1\n", "config t - x=1"),
        ("config t ''\n", "config t -"),
        ("config a-b/c:d=\n", "config a-b/c:d= -"),
        ("config t\noption x\noption y ''\nlist z ''\n", "config t - x= y= z+="),
        ("config t\noption x 1 # why\noption y 2# why\n", "config t - x=1 y=2"),
        // The end of the file ends a line.
        ("config t\noption x 1", "config t - x=1"),
        ("config t\noption x", "config t - x="),
    ] {
        assert_eq!(strict(text), expected, "{text:?}");
    }
}

#[test]
fn words() {
    for (text, expected) in [
        ("a\"b c\"d", "v=ab cd"),
        ("'a'\"b\"c", "v=abc"),
        ("''", "v="),
        ("'a\\b'", "v=a\\b"),
        ("'a\"b'", "v=a\"b"),
        ("\"a'b\"", "v=a'b"),
        ("\"a\\\"b\\\\c\\n\"", "v=a\"b\\cn"),
        ("a\\ b\\'c\\#d\\;", "v=a b'c#d;"),
        ("\\n", "v=n"),
        ("ab#cd", "v=ab"),
        ("'ab'#cd 'e", "v=ab"),
        ("'ab#cd;e'", "v=ab#cd;e"),
        ("#", "v="),
        // Both styles of quotes go over lines; a backslash joins lines but between single quotes.
        ("'a\nb'", "v=a\nb"),
        ("\"a\nb\"", "v=a\nb"),
        ("'a\\\nb'", "v=a\\\nb"),
        ("\"a\\\nb\"", "v=ab"),
        ("\"a\\\r\nb\"", "v=ab"),
        ("a\\\nb", "v=ab"),
        ("a\\\r\nb", "v=ab"),
        ("a\\\rb", "v=a\rb"),
        ("a\\", "v=a"),
        ("a\\\n# b\n", "v=a"),
        // What begins behind a joined line's end is a word of its own if a blank stands before it.
        ("a\\\n b", "3:2 TooManyArguments"),
        ("\\\n b", "3:2 TooManyArguments"),
        ("\\\n", "v="),
        ("'é'x", "v=éx"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

/// libuci ends a line at a `;` behind an unquoted word, and a command at any other.
#[test]
fn semicolons() {
    for (text, expected) in [
        ("a;b", "2:11 SemicolonDrops|v=a"),
        ("a; option w b", "2:11 SemicolonDrops|v=a"),
        ("'a';option w 'b'", "2:13 SemicolonEnds|v=a|w=b"),
        ("a ; option w b", "2:12 SemicolonEnds|v=a|w=b"),
        ("'a';", "2:13 SemicolonEnds|v=a"),
        ("'a';\n", "2:13 SemicolonEnds|v=a|2:14 InvalidCommand"),
        ("'a';b", "2:13 SemicolonEnds|v=a|2:14 InvalidCommand"),
        ("; b", "2:10 SemicolonEnds|2:12 TooManyArguments"),
        ("a # ; b", "v=a"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn errors() {
    for (text, expected) in [
        ("foo bar\n", "1:1 InvalidCommand"),
        ("Config t\n", "1:1 InvalidCommand"),
        ("configx t\n", "1:1 InvalidCommand"),
        ("'config' t\n", "1:1 InvalidCommand"),
        ("  packages\n", "1:3 InvalidCommand"),
        // The end of the line belongs to the command word, as in libuci.
        ("config\n", "1:1 InvalidCommand"),
        ("config", "1:1 ConfigWithoutName"),
        ("package", "1:1 PackageWithoutName"),
        ("config t\noption", "config t - 2:1 OptionWithoutName"),
        ("config \n", "1:8 InsufficientArguments"),
        ("config ''\n", "1:8 InsufficientArguments"),
        ("package ''\n", "1:9 InsufficientArguments"),
        ("config t\noption \noption #x", "config t - 2:8 InsufficientArguments 3:8 InsufficientArguments"),
        ("config 'a b'\n", "1:8 InvalidType"),
        ("config é\n", "1:8 InvalidType"),
        ("config t a-b\n", "1:10 InvalidName"),
        ("config t 'a b'\n", "1:10 InvalidName"),
        ("package a.b\n", "1:9 InvalidName"),
        ("config t\noption a-b 1\nlist a.b 1\n", "config t - 2:8 InvalidName 3:6 InvalidName"),
        ("config t n more\n", "1:12 TooManyArguments"),
        ("package a b\n", "1:11 TooManyArguments"),
        ("config t\noption a b c\nlist a b 'c'\n", "config t - 2:12 TooManyArguments 3:10 TooManyArguments"),
        ("option a b\nlist c d\n", "1:1 NoSection 2:1 NoSection"),
        ("config t\noption a 'b\noption c d\n", "config t - 2:10 UnterminatedSingle"),
        ("config t\noption a x\"b", "config t - 2:11 UnterminatedDouble"),
        ("config t\noption a \"b\\", "config t - 2:10 UnterminatedDouble"),
        // What belongs to a section that was lost is lost with it, and not said again.
        ("config 'a b'\noption a b\nconfig t\noption a c\n", "1:8 InvalidType config t - a=c"),
        ("config t\noption a x\0y\noption b c\n", "config t - 2:11 Nul b=c"),
        ("# \0\nconfig t\n", "1:3 Nul config t -"),
        ("config t\0\noption a b\n", "1:8 InvalidType 1:9 Nul"),
    ] {
        assert_eq!(strict(text), expected, "{text:?}");
    }
}

/// The other mode keeps of a line with too many arguments what libuci keeps.
#[test]
fn lenient() {
    for (text, expected) in [
        ("config t n more\noption a b c\n", "1:12 TooManyArguments config t n 2:12 TooManyArguments a=b"),
        ("config t\nfoo\noption a b\n", "config t - 2:1 InvalidCommand a=b"),
    ] {
        assert_eq!(read(text, Mode::Lenient).join(" "), expected, "{text:?}");
    }
}

#[test]
fn lengths() {
    let long = "x".repeat(MAX_WORD);
    assert_eq!(value(&long), format!("v={long}"));
    assert_eq!(value(&format!("{long}x")), "2:10 TooLong");
    // Behind it reading goes on, whatever is in it.
    let text = format!("config t\noption a '{}\n{}'\noption b c\n", "x".repeat(1 << 20), "\\\"".repeat(1000));
    assert_eq!(strict(&text), "config t - 2:10 TooLong b=c");
    let text = format!("# {}\n{}\nconfig t\n", "x".repeat(1 << 20), "y".repeat(1 << 20));
    assert_eq!(strict(&text), "2:1 InvalidCommand config t -");
    let text = std::vec![b' '; MAX_FILE + 1];
    assert_eq!(read(&text, Mode::Strict), ["1:65535 TooBig"]);
    assert_eq!(read(&text[1..], Mode::Strict), [""; 0]);
    // No end of a quote, nor of the file.
    struct Endless;
    impl embedded_io::ErrorType for Endless {
        type Error = core::convert::Infallible;
    }
    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            buf.fill(b'\'');
            Ok(buf.len())
        }
    }
    let mut events = 0;
    let mut endless = Endless;
    let mut parser = Parser::new(&mut endless, Mode::Strict);
    while parser.next_item().unwrap().is_some() {
        events += 1;
    }
    assert!(events <= 2);
}

/// The pieces that the file arrives in are no matter.
#[test]
fn pieces() {
    struct Pieces<'a>(&'a [u8], usize);
    impl embedded_io::ErrorType for Pieces<'_> {
        type Error = core::convert::Infallible;
    }
    impl Read for Pieces<'_> {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            let n = self.1.min(self.0.len()).min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }
    let text = "config t 'n'\r\noption a \"x\\\r\ny\\\rz\" # c\r\nlist b 'é\n'; option c d\r\n".repeat(50);
    let whole = read(&text, Mode::Strict);
    for size in 1..40 {
        let mut input = Pieces(text.as_bytes(), size);
        let mut parser = Parser::new(&mut input, Mode::Strict);
        let mut n = 0;
        while parser.next_item().unwrap().is_some() {
            n += 1;
        }
        assert_eq!(n, whole.len(), "pieces of {size}");
    }
    assert_eq!(whole[1], "a=xy\rz".to_string());
}

/// What cannot be read is an error of its own.
#[test]
fn failure() {
    struct Broken;
    impl embedded_io::ErrorType for Broken {
        type Error = embedded_io::ErrorKind;
    }
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, Self::Error> {
            Err(embedded_io::ErrorKind::Other)
        }
    }
    assert!(Parser::new(&mut Broken, Mode::Strict).next_item().is_err());
}
