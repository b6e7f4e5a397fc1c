//! PostgreSQL with a streaming standby: the address is where the primary is, by a check script that
//! asks the server on its own router. Needs the Debian package postgresql, of any version.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::kit::{check, instance, wait_instance};
use crate::support::netns::run;
use crate::support::process::{Process, Signal};
use crate::support::script::script;
use crate::support::{Lab, Node, Picovrrp, SOON, V3, VIP4, ms, observe, wait_for, wait_until};

/// The address of the instance that weights decide.
const WEIGHTED: &str = "192.0.2.254";
/// The address of the instance that only a primary may hold.
const STRICT: &str = "192.0.2.253";
/// Who runs the server, and may ask it without a password.
const USER: &str = "postgres";

/// The newest version's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bin = |v: &fs::DirEntry| v.path().join("bin");
    let number = |v: &fs::DirEntry| v.file_name().to_string_lossy().parse::<u32>().unwrap_or(0);
    let newest = versions.filter(|v| bin(v).join("initdb").is_file()).max_by_key(number);
    bin(&newest.expect("This scenario needs PostgreSQL (Debian package postgresql)."))
}

/// One statement by psql from `node`, with the server at `host`: what it printed.
fn sql(node: &Node, host: &str, statement: &str) -> Result<String, String> {
    let mut command = node.ns().command(&programs().join("psql").to_string_lossy());
    command.env("PGCONNECT_TIMEOUT", "3").args(["-X", "-q", "-t", "-A", "-h", host, "-U", USER, "-d", "postgres"]);
    run(command.args(["-v", "ON_ERROR_STOP=1", "-c", statement])).map(|text| text.trim().to_owned())
}

/// A router's server.
struct Server {
    node: Node,
    process: Option<Process>,
}

impl Server {
    fn new(node: &Node) -> Self {
        let server = Server { node: node.clone(), process: None };
        let dir = server.dir();
        fs::create_dir_all(&dir).expect("a directory");
        run(Command::new("chown").arg(USER).arg(&dir)).expect("the user that the package makes");
        server
    }

    /// Its directory: the sockets, and under `data` all else.
    fn dir(&self) -> PathBuf {
        self.node.dir().join("pg")
    }

    fn data(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// One of PostgreSQL's programs on this router, as its user; it ends when the test does.
    fn command(&self, program: &str) -> Command {
        let mut command = self.node.ns().command("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "KILL", "--"]);
        command.arg(programs().join(program)).current_dir("/");
        command
    }

    /// A new, empty database. Through its socket only its user gets in, by the network everybody.
    #[track_caller]
    fn create(&self) {
        let mut command = self.command("initdb");
        command.args(["--no-sync", "--no-locale", "--auth-local=peer", "--auth-host=trust", "-E", "UTF8"]);
        run(command.arg("-D").arg(self.data())).expect("a new database");
        let file = self.data().join("pg_hba.conf");
        let rules = fs::read_to_string(&file).expect("initdb wrote it");
        let more = "host all all 192.0.2.0/24 trust\nhost replication all 192.0.2.0/24 trust\n";
        fs::write(&file, rules + more).expect("it can be written to");
    }

    /// A copy of the database at `host`, to follow it.
    #[track_caller]
    fn copy(&self, host: &str) {
        let _ = fs::remove_dir_all(self.data());
        let mut command = self.command("pg_basebackup");
        command.args(["--no-sync", "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]);
        run(command.args(["-h", host, "-U", USER, "-D"]).arg(self.data())).expect("a copy of the database");
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    fn start(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.dir());
        for setting in [
            "listen_addresses=*",
            "fsync=off",
            "shared_buffers=4MB",
            "max_connections=20",
            "wal_retrieve_retry_interval=100ms",
        ] {
            command.args(["-c", setting]);
        }
        let name = format!("PostgreSQL on {}", self.node.name());
        let log = self.node.dir().join("postgres.log");
        self.process = Some(Process::start(&name, command, log, self.node.ns()).gently());
        wait_until(&format!("{name} answers"), SOON, || self.sql("SELECT 1").is_ok());
    }

    fn sql(&self, statement: &str) -> Result<String, String> {
        sql(&self.node, "127.0.0.1", statement)
    }

    /// Stops it in an orderly way.
    #[track_caller]
    fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::INT);
        process.wait_exit(SOON);
    }

    /// Ends it at once, as a crash would.
    fn crash(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Makes the standby the primary.
    #[track_caller]
    fn promote(&self) {
        run(self.command("pg_ctl").args(["promote", "--wait", "-D"]).arg(self.data())).expect("it is promoted");
    }

    /// Waits until the standby has all that this primary wrote.
    #[track_caller]
    fn wait_followed(&self) {
        let all =
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn = pg_current_wal_lsn()";
        wait_until("the standby has everything", SOON, || self.sql(all).as_deref() == Ok("1"));
    }

    /// Two instances that track whether the server here is a primary: the one prefers that router,
    /// the other stands for no other.
    fn config(&self) -> String {
        let body = format!(
            "answer=$({}/psql -X -h {} -d postgres -tAc 'SELECT pg_is_in_recovery()') && [ \"$answer\" = f ]",
            programs().display(),
            self.dir().display()
        );
        let asks = script(&self.node.dir().join("etc"), "is-primary", &body);
        let properties = V3.properties;
        format!(
            "check primary script \"{}\" user {USER} every 500ms timeout 5s
instance weighted on eth0 vrid 51 {properties} priority 100
  address {WEIGHTED}/24
  track primary weight 50
instance strict on eth0 vrid 52 {properties} priority 100
  address {STRICT}/24
  track primary
",
            asks.display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A fast stop rather than one that waits for clients.
        if let Some(process) = &mut self.process
            && process.running()
        {
            process.signal(Signal::INT);
        }
    }
}

/// Both instances of `on` are Active and those of the other router are not.
#[track_caller]
fn wait_at(lab: &Lab, on: &Picovrrp, node: &Node, off: &Picovrrp, other: &Node) {
    wait_instance(on, "weighted", "MASTER");
    wait_instance(on, "strict", "MASTER");
    wait_instance(off, "weighted", "BACKUP");
    wait_instance(off, "strict", "FAULT");
    let sole = lab.wait_sole_active(&[node, other], VIP4, SOON);
    assert_eq!(sole.name(), node.name());
    let strict = STRICT.parse().expect("an address");
    assert!(node.has(strict) && !other.has(strict));
}

#[test]
fn the_address_is_where_the_primary_is() {
    let (lab, a, b, client) = Lab::trio();
    let (mut on_a, mut on_b) = (Server::new(&a), Server::new(&b));
    on_a.create();
    on_a.start();
    on_b.copy(&a.ip4().to_string());
    on_b.start();
    let one = Picovrrp::start(&a, &on_a.config());
    let two = Picovrrp::start(&b, &on_b.config());
    wait_at(&lab, &one, &a, &two, &b);
    assert_eq!(instance(&one, "weighted")["effective_priority"], 150);
    assert_eq!(instance(&two, "weighted")["effective_priority"], 100);
    let write = |host: &str, statement: &str| {
        wait_for(statement, SOON, || sql(&client, host, statement).ok());
    };
    let written = || sql(&client, WEIGHTED, "SELECT string_agg(word, ' ' ORDER BY word) FROM notes");
    write(WEIGHTED, "CREATE TABLE notes (word text)");
    write(WEIGHTED, "INSERT INTO notes VALUES ('1')");
    write(STRICT, "INSERT INTO notes VALUES ('2')");
    assert!(on_b.sql("INSERT INTO notes VALUES ('no')").is_err(), "a standby takes nothing");
    on_a.wait_followed();

    // The primary stops. Until there is another, one address stays and the other is nowhere.
    on_a.stop();
    wait_instance(&one, "strict", "FAULT");
    wait_until("its weight is gone", SOON, || instance(&one, "weighted")["effective_priority"] == 100);
    assert_eq!(check(&one, "primary")["state"], "down");
    observe(ms(500));
    let strict = STRICT.parse().expect("an address");
    assert!(!a.has(strict) && !b.has(strict));
    wait_instance(&one, "weighted", "MASTER");
    on_b.promote();
    wait_at(&lab, &two, &b, &one, &a);
    write(WEIGHTED, "INSERT INTO notes VALUES ('3')");
    write(STRICT, "INSERT INTO notes VALUES ('4')");

    // The former primary is made anew from where the address is; that moves nothing.
    on_a.copy(WEIGHTED);
    on_a.start();
    on_b.wait_followed();
    wait_at(&lab, &two, &b, &one, &a);

    // The new one crashes, and it is a's turn again.
    on_b.crash();
    wait_instance(&two, "strict", "FAULT");
    on_a.promote();
    wait_at(&lab, &one, &a, &two, &b);
    write(WEIGHTED, "INSERT INTO notes VALUES ('5')");
    assert_eq!(written().as_deref(), Ok("1 2 3 4 5"));
}
