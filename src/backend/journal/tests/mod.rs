//! The engine on a simulated bucket that fails in every way that is known of real ones.

mod sim;

mod turns;

mod world;

mod schedules;

mod beside_memory;

mod costs;

mod copies;

mod faults;

mod documents;

mod projecting;

mod reloading;

mod backups;

mod past;

mod consuming;

mod upkeep;

mod verifying;
