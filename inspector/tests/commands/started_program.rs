//! `-- COMMAND`.

use crate::inspector::run;

#[test]
fn a_command_that_cannot_be_started() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    run(directory.path(), &["record", "-o", trace.to_str().unwrap(), "--", "/no/such/program"])
        .exits_with(6)
        .says("/no/such/program");
    assert!(!trace.exists());
}

#[test]
fn a_command_without_a_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    let path = trace.to_str().unwrap();
    run(directory.path(), &["record", "-o", path, "--", "true"])
        .exits_with(3)
        .says("without having run a nexus runtime");
    run(directory.path(), &["record", "-o", path, "--", "sh", "-c", "exit 9"])
        .exits_with(6)
        .says("exit code 9");
    assert!(!trace.exists());
}

#[test]
fn the_output_of_a_command_does_not_disturb_ours() {
    let directory = tempfile::tempdir().unwrap();
    let ran = run(directory.path(), &["record", "-o", "-", "--", "echo", "hello"]).exits_with(3);
    assert_eq!(ran.stdout, "");
    ran.says("hello");
}
