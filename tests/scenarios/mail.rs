//! Mail by a hook: the owner hears when a router takes over, and when one drops out because its
//! service is broken, but not when a router merely gives way to a better one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::script::{lines, script};
use crate::support::two::V3;
use crate::support::{Lab, Node, Picovrrp, SOON, VIP4, wait_until};

/// A `sendmail` that puts each message into a file of its own, under its final name when it is whole.
/// Of the real one it has what the hook uses: `-t`, and a refusal of a message without a recipient.
fn sendmail(dir: &Path, spool: &Path) -> PathBuf {
    fs::create_dir_all(spool).expect("a spool");
    let body = format!(
        "[ \"$*\" = -t ] || exit 64\n\
         new=$(mktemp {spool}/.new.XXXXXX) || exit 75\n\
         cat > \"$new\"\n\
         if ! grep -q '^To: ..*@' \"$new\"; then rm \"$new\"; exit 65; fi\n\
         mv \"$new\" \"{spool}/$(date +%s.%N)\"",
        spool = spool.display()
    );
    script(dir, "sendmail", &body)
}

/// The hook: `letter HOST` and then what `notify` says. A Backup is worth a letter if its service is down.
fn letter(router: &Node) -> String {
    let dir = router.dir();
    let spool = dir.join("spool");
    let (ok, sendmail) = (service_ok(router), sendmail(&dir, &spool));
    let body = format!(
        "host=$1 instance=$3 state=$4\n\
         case $state in\n\
         MASTER) what='has the address' ;;\n\
         BACKUP) if {ok}; then exit 0; fi; state=DEAD what='is out: its service does not work' ;;\n\
         *) exit 0 ;;\n\
         esac\n\
         {sendmail} -t <<END\n\
         To: Owner <owner@example.net>\n\
         Subject: $instance $state on $host\n\
         \n\
         $host $what.\n\
         END",
        ok = ok.display(),
        sendmail = sendmail.display()
    );
    format!("  notify \"{} {}\"\n", script(&dir, "letter", &body).display(), router.name())
}

/// The service works while its file says so.
fn service_ok(router: &Node) -> PathBuf {
    script(&router.dir(), "service-ok", &format!("grep -qx works {}", router.dir().join("service").display()))
}

fn set_service(router: &Node, state: &str) {
    fs::write(router.dir().join("service"), state).expect("the lab's directory can be written to");
}

/// The subjects of a router's letters, in the order of their arrival.
#[track_caller]
fn subjects(router: &Node) -> Vec<String> {
    let Ok(entries) = fs::read_dir(router.dir().join("spool")) else { return Vec::new() };
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some()).collect();
    files.retain(|p| !p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")));
    files.sort();
    let subject = |file: &PathBuf| {
        let letter = lines(file);
        assert_eq!(letter[0], "To: Owner <owner@example.net>");
        assert!(letter.len() == 4 && letter[2].is_empty() && letter[3].starts_with(router.name()), "{letter:?}");
        letter[1].strip_prefix("Subject: ").unwrap_or_else(|| panic!("no subject in {letter:?}")).to_owned()
    };
    files.iter().map(subject).collect()
}

#[test]
fn one_letter_on_master_and_one_when_the_service_is_down() {
    let (lab, a, b, _client) = Lab::trio();
    let config = |router: &Node, priority: u8| {
        set_service(router, "works");
        format!(
            "check service script {} every 200ms\n{}  track service weight -100\n{}",
            service_ok(router).display(),
            V3.config(&format!("priority {priority}")),
            letter(router)
        )
    };
    let mut one = Picovrrp::start_until(&a, &config(&a, 200), "MASTER");
    wait_until("a's letter", SOON, || subjects(&a) == ["lan MASTER on a"]);
    let mut two = Picovrrp::start_until(&b, &config(&b, 150), "BACKUP");

    set_service(&a, "is broken");
    two.wait_state("MASTER", SOON);
    one.wait_state("BACKUP", SOON);
    wait_until("b's letter", SOON, || subjects(&b) == ["lan MASTER on b"]);
    wait_until("a's second letter", SOON, || subjects(&a).len() == 2);

    set_service(&a, "works");
    one.wait_state("MASTER", SOON);
    two.wait_state("BACKUP", SOON);
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");
    wait_until("a's third letter", SOON, || subjects(&a).len() == 3);

    // The stop waits for the hooks, so that what there is now is all there will be.
    for daemon in [&mut two, &mut one] {
        daemon.terminate();
        assert!(daemon.process.wait_exit(Duration::from_secs(30)).success(), "{}", daemon.process.log());
    }
    assert_eq!(subjects(&a), ["lan MASTER on a", "lan DEAD on a", "lan MASTER on a"]);
    assert_eq!(subjects(&b), ["lan MASTER on b"]);
}
