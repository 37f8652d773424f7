//! Programs a user copies from, one file each; this library holds nothing.
