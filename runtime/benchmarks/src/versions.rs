//! Which versions of the contestants are measured: what the committed lock file says.

const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));

/// `name version` of these packages, separated by commas. A package that is there in several versions is named with all of them.
pub(crate) fn of(packages_named: &[&str]) -> String {
    let named: Vec<String> = packages_named
        .iter()
        .map(|name| {
            let versions: Vec<&str> = packages()
                .filter(|(package, _)| package == name)
                .map(|(_, version)| version)
                .collect();
            format!("{name} {}", versions.join(" and "))
        })
        .collect();
    named.join(", ")
}

fn packages() -> impl Iterator<Item = (&'static str, &'static str)> {
    LOCK.split("[[package]]")
        .filter_map(|entry| Some((value(entry, "name")?, value(entry, "version")?)))
}

fn value(entry: &'static str, key: &str) -> Option<&'static str> {
    let line = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
    Some(line.trim_matches('"'))
}
