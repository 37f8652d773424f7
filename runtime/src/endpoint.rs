//! The endpoint that inspectors attach to.

/// What the builder decides about the endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) enabled: bool,
    pub(crate) cpus: Option<Vec<usize>>,
}

pub(crate) fn start(_options: &Options) {}

pub(crate) fn hold() {}
