//! The model, analysis and terminal program behind `nexus-inspect`.
