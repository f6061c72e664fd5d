//! Whole journeys, through public doors, with real parts.

mod journey;
mod properties;
mod tamper;
