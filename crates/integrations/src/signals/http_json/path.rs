//! The part of JSONPath (RFC 9535) that names one value: `$.data.users`, `$['a b'][0]`, `$.rows[-1].n`.

use serde_json::Value;

/// A way to one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    /// From the end if negative.
    Index(i64),
}

impl JsonPath {
    /// # Errors
    /// A sentence about what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some(mut rest) = text.strip_prefix('$') else { return Err("it does not begin with `$`".to_owned()) };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if rest.starts_with("..") || rest.contains(['*', '?', ':']) && !rest.contains('\'') {
                return Err("it may name several values: `..`, `*`, `?` and slices are not read".to_owned());
            }
            if let Some(named) = rest.strip_prefix('.') {
                let end = named.find(['.', '[']).unwrap_or(named.len());
                let (name, after) = named.split_at(end);
                if name.is_empty() {
                    return Err("a name is missing after a point".to_owned());
                }
                steps.push(Step::Name(name.to_owned()));
                rest = after;
            } else if let Some(quoted) = rest.strip_prefix("['") {
                let (name, after) = quoted.split_once("']").ok_or("`['` has no end `']`")?;
                steps.push(Step::Name(name.to_owned()));
                rest = after;
            } else if let Some(bracket) = rest.strip_prefix('[') {
                let (index, after) = bracket.split_once(']').ok_or("`[` has no end `]`")?;
                let index =
                    index.trim().parse().map_err(|_| "between `[` and `]` is neither a number nor a quoted name")?;
                steps.push(Step::Index(index));
                rest = after;
            } else {
                return Err("a name follows a point or stands in `['...']`".to_owned());
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The value there.
    ///
    /// # Errors
    /// How far the way leads.
    pub(super) fn of<'v>(&self, value: &'v Value) -> Result<&'v Value, String> {
        let mut at = value;
        let mut gone = "$".to_owned();
        for step in &self.steps {
            let (next, name) = match step {
                Step::Name(name) => (at.get(name), format!(".{name}")),
                Step::Index(index) => {
                    (at.as_array().and_then(|items| items.get(place(*index, items.len())?)), format!("[{index}]"))
                }
            };
            gone.push_str(&name);
            at = next.ok_or_else(|| format!("`{gone}` is missing"))?;
        }
        Ok(at)
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn place(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_value_is_found_and_a_missing_one_is_named() {
        let value = json!({ "data": { "users": 7, "a b": [1, { "n": 2 }] }, "x.y": null });
        let of = |path: &str| JsonPath::parse(path).unwrap().of(&value).cloned();
        assert_eq!(of("$.data.users"), Ok(json!(7)));
        assert_eq!(of("$['data']['a b'][1].n"), Ok(json!(2)));
        assert_eq!(of("$.data['a b'][-2]"), Ok(json!(1)));
        assert_eq!(of("$['x.y']"), Ok(Value::Null));
        assert_eq!(of("$"), Ok(value.clone()));
        assert_eq!(of("$.data.nobody.n"), Err("`$.data.nobody` is missing".to_owned()));
        assert_eq!(of("$.data['a b'][2]"), Err("`$.data.a b[2]` is missing".to_owned()));
        assert_eq!(of("$.data['a b'][-3]"), Err("`$.data.a b[-3]` is missing".to_owned()));
        assert_eq!(of("$.data.users.deep"), Err("`$.data.users.deep` is missing".to_owned()));
    }

    #[test]
    fn what_could_name_several_values_is_refused() {
        for (path, expected) in [
            ("data.users", "does not begin with `$`"),
            ("$..users", "several values"),
            ("$.rows[*].n", "several values"),
            ("$.rows[?(@.a==1)]", "several values"),
            ("$.rows[0:2]", "several values"),
            ("$.", "a name is missing"),
            ("$.a.[0]", "a name is missing"),
            ("$['a", "has no end"),
            ("$[one]", "neither a number nor a quoted name"),
            ("$users", "follows a point"),
        ] {
            let problem = JsonPath::parse(path).unwrap_err();
            assert!(problem.contains(expected), "{path}: {problem}");
        }
    }
}
