//! Whole journeys, through public doors, with real parts.

mod crash;
mod journey;
mod properties;
mod tamper;
