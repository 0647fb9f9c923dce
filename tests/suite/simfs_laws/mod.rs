//! The simulator obeys its own laws: what it may lose it does lose at times, and what it must keep it keeps.
