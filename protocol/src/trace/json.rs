//! The JSON trace.
