//! The protocol, sans-IO: packets, timing, election, counters. Depends on nothing else of ours.
pub mod election;
pub mod packet;
pub mod stats;
pub mod timing;
