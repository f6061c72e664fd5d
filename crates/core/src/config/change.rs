//! Which changes of a key may be applied without a signature: each key declares it beside its type.

/// Which changes of a key may be applied without a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// None.
    Signed,
    /// All.
    Free,
    /// A shorter duration.
    Shorter,
    /// A higher number or level.
    Higher,
    /// More items.
    More,
    /// Fewer items. None at all stands for everything.
    Fewer,
    /// What the keys of its map say.
    Within,
    /// What the keys of its items say, which are told apart by `id`. A new item is free, a removed one is signed.
    Each,
}
