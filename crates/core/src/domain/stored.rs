//! A document that is kept as JSON with its owner: its type, and the JSON as it was written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Code, Error, Result};

/// A type that is kept as JSON.
pub trait Document: Serialize + DeserializeOwned {
    /// What it is, in the words of an error: `plan`.
    const NAME: &'static str;
    /// What the reader can do when one cannot be read.
    const HINT: &'static str = "another program wrote to the database; run `outcome-runtime audit verify`";
}

/// A document as it was written, and what it says.
///
/// **Invariant**: the JSON never changes, so that what an older program wrote is shown, hashed and kept as it is. What cannot
/// be read as `T` is no reason to lose the row that holds it: it is an error where somebody needs it.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    json: Value,
    read: Result<Box<T>, String>,
}

impl<T: Document> Stored<T> {
    /// A new document.
    ///
    /// # Errors
    /// [`Code::Internal`] when it cannot be written as JSON.
    pub fn new(document: T) -> Result<Self> {
        let json = serde_json::to_value(&document)
            .map_err(|e| Error::new(Code::Internal, format!("a {} cannot be written", T::NAME)).because(e))?;
        Ok(Self { json, read: Ok(Box::new(document)) })
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Code::StateTampered`] when it cannot be read: this program and older ones only write what can.
    pub fn read(&self) -> Result<&T> {
        self.read.as_deref().map_err(|problem| {
            Error::new(Code::StateTampered, format!("the stored {} cannot be read", T::NAME))
                .hint(T::HINT)
                .because(std::io::Error::other(problem.clone()))
        })
    }

    /// What it says, for whoever only shows it; the sentence to show instead when it cannot be read.
    ///
    /// # Errors
    /// The sentence.
    pub fn shown(&self) -> Result<&T, String> {
        self.read.as_deref().map_err(|problem| format!("the stored {} cannot be read: {problem}", T::NAME))
    }

    /// The JSON as it was written.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }
}

impl<T> PartialEq for Stored<T> {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl<T> Serialize for Stored<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de, T: Document> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let read = T::deserialize(&json).map(Box::new).map_err(|e| e.to_string());
        Ok(Self { json, read })
    }
}

impl<T: JsonSchema> JsonSchema for Stored<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
        #[serde(default)]
        stars: Option<u8>,
    }
    impl Document for Note {
        const NAME: &'static str = "note";
    }

    #[test]
    fn json_stays_as_it_was_written() {
        let old = json!({ "text": "a", "colour": "red" });
        let stored: Stored<Note> = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(stored.read().unwrap(), &Note { text: "a".to_owned(), stars: None });
        assert_eq!(serde_json::to_value(&stored).unwrap(), old);
        let new = Stored::new(Note { text: "b".to_owned(), stars: Some(3) }).unwrap();
        assert_eq!(new.json(), &json!({ "text": "b", "stars": 3 }));
    }

    #[test]
    fn what_cannot_be_read_is_kept_and_is_an_error_where_it_is_needed() {
        let stored: Stored<Note> = serde_json::from_value(json!({ "text": 1 })).unwrap();
        let error = stored.read().unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::StateTampered, "the stored note cannot be read"));
        assert!(stored.shown().unwrap_err().contains("the stored note cannot be read: invalid type"));
        assert_eq!(stored.json(), &json!({ "text": 1 }));
    }
}
