//! Enums that are stored and shown as words.

/// Defines an enum whose variants are stored and shown as snake_case text, the same in SQL, JSON, YAML and on screen.
macro_rules! text_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        #[schemars(inline)]
        pub enum $name { $($(#[$vdoc])* #[allow(missing_docs)] $variant),+ }

        impl $name {
            /// Every value, in the order of its definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text under which it is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                static NAMES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
                    [$(stringify!($variant)),+].iter().map(|name| $crate::text_enum::snake_case(name)).collect()
                });
                NAMES.get(self as usize).map_or("", String::as_str)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            /// # Errors
            /// A sentence that lists the valid values.
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let valid: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("`{}` is not one of {}", text.chars().take(60).collect::<String>(), valid.join(", "))
                })
            }
        }
    };
}
pub(crate) use text_enum;

/// `AwaitingShipGate` -> `awaiting_ship_gate`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
