//! nginx on a router, with a configuration of its own. Needs the Debian package nginx-light.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::kit::get;
use crate::support::process::{Process, Signal};
use crate::support::{Node, SOON, wait_until};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A web server that can be started and stopped. On port 80 it answers with the router's name; on
/// 127.0.0.1:8080 `/health` hands out the file `health`, and is a 503 while there is a file `sick`.
pub(crate) struct Nginx {
    node: Node,
    program: PathBuf,
    args: Vec<String>,
    process: Option<Process>,
}

impl Nginx {
    /// Configured, not running.
    pub(crate) fn new(node: &Node) -> Self {
        Self::of_program(node, find())
    }

    /// The same under another name of the program, which the kernel then shows.
    pub(crate) fn called(node: &Node, name: &str) -> Self {
        let link = node.dir().join(name);
        std::os::unix::fs::symlink(find(), &link).expect("a link to the program");
        Self::of_program(node, link)
    }

    fn of_program(node: &Node, program: PathBuf) -> Self {
        let dir = node.dir();
        let file = write_config(node, "daemon off;");
        let args = ["-p", &dir.to_string_lossy(), "-c", &file.to_string_lossy(), "-e", "stderr"].map(str::to_owned);
        let nginx = Nginx { node: node.clone(), program, args: args.into(), process: None };
        nginx.heal();
        nginx
    }

    /// What the kernel calls it.
    pub(crate) fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The command line of its master process, as nginx itself sets it.
    pub(crate) fn title(&self) -> String {
        format!("nginx: master process {} {}", self.program.display(), self.args.join(" "))
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let mut command = self.node.ns().command(&self.program.to_string_lossy());
        command.args(&self.args);
        let log = self.node.dir().join("nginx.log");
        let name = format!("nginx on {}", self.node.name());
        self.process = Some(Process::start(&name, command, log, self.node.ns()).gently());
        let node = &self.node;
        wait_until(&format!("{name} answers"), SOON, || get(node, LOOPBACK, 80, "/").is_ok());
    }

    /// Stops it and waits for its end.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::TERM);
        process.wait_exit(SOON);
    }

    /// `/health` is a 503 from now on.
    pub(crate) fn sicken(&self) {
        fs::write(self.node.dir().join("sick"), "").expect("a file");
    }

    /// `/health` is a 200 with another body.
    pub(crate) fn confuse(&self) {
        fs::write(self.node.dir().join("health"), "all is lost\n").expect("a file");
    }

    /// `/health` is as it should be.
    pub(crate) fn heal(&self) {
        let _ = fs::remove_file(self.node.dir().join("sick"));
        fs::write(self.node.dir().join("health"), "all is well\n").expect("a file");
    }
}

/// Where nginx is.
#[track_caller]
pub(crate) fn find() -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').chain(["/usr/sbin"]).map(|dir| Path::new(dir).join("nginx")).find(|p| p.is_file());
    found.expect("These scenarios need nginx (Debian package nginx-light).")
}

/// Writes a configuration for `node`, with further lines at its head; its path.
pub(crate) fn write_config(node: &Node, head: &str) -> PathBuf {
    let (dir, name) = (node.dir(), node.name());
    let dir = dir.display();
    let text = format!(
        "{head}
user nobody nogroup;
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  default_type text/plain;
  client_body_temp_path {dir}/nginx-body;
  proxy_temp_path {dir}/nginx-proxy;
  fastcgi_temp_path {dir}/nginx-fastcgi;
  uwsgi_temp_path {dir}/nginx-uwsgi;
  scgi_temp_path {dir}/nginx-scgi;
  server {{
    listen 80;
    location / {{ return 200 \"{name}\\n\"; }}
  }}
  server {{
    listen 127.0.0.1:8080;
    location = /health {{
      if (-f {dir}/sick) {{ return 503; }}
      root {dir};
    }}
  }}
}}
"
    );
    let file = node.dir().join("nginx.conf");
    fs::write(&file, text).expect("the lab's directory can be written to");
    file
}
