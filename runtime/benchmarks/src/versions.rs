//! Which versions of the contestants are measured: what the committed lock file says.

const LOCK: &str = include_str!("../Cargo.lock");

const NAMED: [&str; 10] = [
    "nexus-inspect-runtime",
    "tokio",
    "nexus-async-rt",
    "nexus-timer",
    "async-executor",
    "async-io",
    "monoio",
    "glommio",
    "mio",
    "io-uring",
];

/// `name version`, separated by commas. A package that is there in several versions is named with all of them.
pub(crate) fn of_contestants() -> String {
    let named: Vec<String> = NAMED
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
