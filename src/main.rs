//! The picovrrp command: argument parsing, and the exit codes that scripts rely on.

mod cli;

use std::process::ExitCode;

use picovrrp::sys::heap::Heap;

#[global_allocator]
static HEAP: Heap = Heap::new();

fn main() -> ExitCode {
    let words: Vec<String> = match std::env::args_os().map(|a| a.into_string()).collect() {
        Ok(words) => words,
        Err(_) => {
            cli::complain("an argument is not UTF-8");
            return cli::Exit::Usage.into();
        }
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cli::run(&words).into()
}
