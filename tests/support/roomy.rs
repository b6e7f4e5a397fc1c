//! The release build with room for 255 instances.

use std::path::PathBuf;
use std::process::Command;

/// Builds it, in a target directory of its own; where the binary is.
pub(crate) fn roomy_build() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("255-instances");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--release", "--bin", "picovrrp", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PICOVRRP_MAX_INSTANCES", "255")
        .env("PICOVRRP_MAX_ADDRESSES", "512")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "the build with 255 instances fails:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target.join("release/picovrrp")
}
