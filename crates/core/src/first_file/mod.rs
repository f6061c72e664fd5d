//! The outcome file that `init` proposes: from the tables of a database and the layout of a repository to a text. Pure: whoever calls it asks
//! the database and writes the file. **Invariant**: nothing is named that is not there, and every guess is marked as one.

mod deeds;
mod instants;
mod layout;
mod names;
mod people;
mod proposal;
mod propose;
mod read;
mod samples;

mod words;
mod write;

pub use instants::TimeFormat;
pub use layout::{FlagFile, Layout};
pub use proposal::{Exposures, Fact, Kind, Metric, Proposal};
pub use propose::propose;
pub use read::{plain, wanted};
pub use samples::{Samples, Wanted};
pub use write::{Aim, Written, write};
