//! Files that steer a router by the number in them: one that faults it while it is not zero, and
//! one that is added to its priority.

use std::fs;
use std::path::PathBuf;

use crate::kit::{check, config, effective, two, wait_effective, wait_holder};
use crate::support::script::replace;
use crate::support::{Lab, SOON, Two, ms, observe, wait_until};

/// a with 150 and b with 100. a has the file `name`, which holds 0 and is tracked with a weight.
struct Steered {
    t: Two,
    file: PathBuf,
}

impl Steered {
    #[track_caller]
    fn start(track: &str) -> Self {
        let nodes = Lab::trio();
        let file = nodes.1.dir().join("number");
        fs::write(&file, "0\n").expect("a file");
        let line = format!("check number file {}", file.display());
        let on_a = config(&line, &format!("priority 150\n  track number {track}"));
        let t = two(nodes, &on_a, &config("", "priority 100"));
        Steered { t, file }
    }

    /// Writes into the file that is there.
    fn write(&self, text: &str) {
        fs::write(&self.file, text).expect("the file can be written to");
    }

    /// Puts a new file in its place.
    fn replace(&self, text: &str) {
        replace(&self.file, text);
    }

    fn remove(&self) {
        fs::remove_file(&self.file).expect("it was there");
    }

    #[track_caller]
    fn faulted(&mut self) {
        self.t.one.wait_state("FAULT", SOON);
        wait_holder(&self.t, "b");
    }

    #[track_caller]
    fn well(&mut self) {
        self.t.one.wait_state("MASTER", SOON);
        wait_holder(&self.t, "a");
    }

    /// What `status` shows as the reason that there is no number.
    fn last_error(&self) -> String {
        check(&self.t.one, "number")["last_error"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_number_that_is_not_zero_faults_the_master() {
    let mut s = Steered::start("weight 0");
    s.well();
    s.write("1\n");
    s.faulted();
    assert_eq!(s.t.one.instance()["tracks"][0]["name"], "number");
    s.write("0\n");
    s.well();
    s.replace("-3");
    s.faulted();
    s.replace("0");
    s.well();
    // Without the file nobody knows, and that is a fault too.
    s.remove();
    s.faulted();
    assert_eq!(s.last_error(), "the file is missing");
    s.replace("0");
    s.well();
}

#[test]
fn a_number_is_added_to_the_priority() {
    let mut s = Steered::start("weight 1");
    assert_eq!(effective(&s.t.one), 150);
    s.write("-60\n");
    wait_effective(&s.t.one, 90);
    wait_holder(&s.t, "b");
    s.t.one.wait_state("BACKUP", SOON);
    s.replace("20\n");
    wait_effective(&s.t.one, 170);
    wait_holder(&s.t, "a");
    s.replace("-49\n");
    wait_effective(&s.t.one, 101);
    // What is no number counts nothing, and neither does a file that is not there.
    s.replace("twenty\n");
    wait_effective(&s.t.one, 150);
    s.replace("-49\n");
    wait_effective(&s.t.one, 101);
    s.remove();
    wait_effective(&s.t.one, 150);
    // As low as it goes is a fault.
    s.write("-254\n");
    s.faulted();
    s.write("0\n");
    s.well();
}

#[test]
fn text_in_place_of_a_number_counts_as_down_and_is_said_once() {
    let mut s = Steered::start("weight 0");
    s.well();
    let said = "the file does not hold a number";
    s.write("maintenance\n");
    s.faulted();
    assert_eq!(s.last_error(), said);
    assert_eq!(check(&s.t.one, "number")["state"], "broken");
    let table = s.t.one.command(&["status"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("number: broken") && table.contains(said), "{table}");
    // Other text says nothing new.
    for text in ["still maintenance\n", "1 2\n", "0x10\n"] {
        s.replace(text);
        observe(ms(100));
    }
    assert_eq!(s.t.one.process.log_lines(said), 1, "{}", s.t.one.process.log());
    s.write("0\n");
    s.well();
    s.write("\n");
    s.faulted();
    assert_eq!(s.t.one.process.log_lines(said), 2, "it is said again when it was well in between");
    s.write("0\n");
    s.well();
    wait_until("status shows no error", SOON, || s.last_error().is_empty());
}
