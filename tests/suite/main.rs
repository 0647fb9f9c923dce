//! The tests that need a whole store, in one binary.
