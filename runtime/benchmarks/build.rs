//! Notes which compiler builds the benchmarks, so that the report can name it.

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").expect("cargo names the compiler");
    let version =
        Command::new(compiler).arg("--version").output().expect("the compiler says its version");
    println!("cargo:rustc-env=COMPILER={}", String::from_utf8_lossy(&version.stdout).trim());
    println!("cargo:rerun-if-changed=build.rs");
}
