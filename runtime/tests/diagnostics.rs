//! What the runtime says of itself is under the targets that its documentation names.

use std::path::Path;

/// The targets of the table in `lib.rs`, section "Diagnostics".
fn documented() -> Vec<String> {
    let text = include_str!("../src/lib.rs");
    let (_, section) = text.split_once("//! # Diagnostics").expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once('`'));
    rows.map(|(target, _)| target.to_owned()).collect()
}

/// Calls `visit` with each file of the sources.
fn sources(directory: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in directory.read_dir().expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, visit);
        } else {
            visit(&path, &std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_diagnostic_has_a_documented_target() {
    let documented = documented();
    assert_eq!(documented, ["nexus::runtime", "nexus::endpoint"]);
    let (mut found, mut calls) = (Vec::new(), 0);
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path, text| {
        for level in ["error", "warn", "info", "debug", "trace"] {
            for (at, call) in text.match_indices(&format!("tracing::{level}!(")) {
                let arguments = text[at + call.len()..].trim_start();
                let target = arguments.strip_prefix("target: ");
                let target = target.unwrap_or_else(|| panic!("{}: no target", path.display()));
                let target = target.split([',', ')']).next().unwrap_or_default();
                let target = match target {
                    // Of the endpoint.
                    "TARGET" | "super::TARGET" => "nexus::endpoint",
                    literal => literal.trim_matches('"'),
                };
                found.push(target.to_owned());
                calls += 1;
            }
        }
    });
    assert!(calls > 15, "the macros are called by their path: {calls}");
    for target in &documented {
        assert!(found.contains(target), "nothing is said under {target}");
    }
    found.retain(|target| !documented.contains(target));
    assert_eq!(found, [""; 0]);
    let endpoint = include_str!("../src/endpoint.rs");
    assert!(endpoint.contains("const TARGET: &str = \"nexus::endpoint\";"));
}
