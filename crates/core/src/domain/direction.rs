//! Which way is better.

use super::text_enum;

text_enum! {
    /// Which way is better.
    pub enum Direction { Increase, Decrease }
}
