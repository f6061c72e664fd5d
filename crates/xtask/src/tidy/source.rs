//! One Rust file as the rules see it: plain data, read once, so that the files of the tree are read on several threads.
//!
//! A file is seen twice. Its *tokens* serve the rules that look for a pattern, also inside of macros. Its *modules* (items,
//! `use` lines, paths) serve the rules about who uses whom; paths inside of a macro's tokens count like all others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A Rust file.
#[derive(Debug)]
pub struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    /// The text.
    pub text: String,
    /// Every token, with the brackets of its groups.
    pub tokens: Vec<Token>,
    /// Whether the file is compiled for tests only: by its place, or (which the graph adds) by what its parent says.
    pub is_test: bool,
    /// The file's module and the inline modules in it.
    pub module: Module,
    /// First and last lines of code that is compiled for tests only.
    pub test_lines: Vec<(usize, usize)>,
    /// Where and why it cannot be parsed.
    pub error: Option<(usize, String)>,
}

/// A token and its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub kind: TokenKind,
    /// Its first line, from 1.
    pub line: usize,
    /// Its last line.
    pub end: usize,
}

/// What a token is.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An identifier or keyword.
    Word(String),
    /// One character of punctuation, or a bracket.
    Mark(char),
    /// A literal as it is written.
    Literal(String),
}

impl Token {
    /// Whether it is this identifier or keyword.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(found) if found == word)
    }

    /// Whether it is this character.
    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == TokenKind::Mark(mark)
    }

    /// The content of a string literal, as it is written.
    pub fn string(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Literal(text) => {
                text.trim_start_matches('r').trim_matches('#').strip_prefix('"')?.strip_suffix('"')
            }
            TokenKind::Word(_) | TokenKind::Mark(_) => None,
        }
    }
}

/// A module: a file's, or an inline one.
#[derive(Debug, Default)]
pub struct Module {
    /// The name of an inline module; empty for a file's.
    pub name: String,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
    /// Names of what it defines, macros and modules excepted.
    pub items: BTreeSet<String>,
    /// Names of its `macro_rules!`.
    pub macros: BTreeSet<String>,
    /// Those of them that the crate's root gets under `#[macro_export]`.
    pub exported: BTreeSet<String>,
    /// Modules that are files of their own.
    pub children: Vec<Child>,
    /// Inline modules.
    pub inline: Vec<Module>,
    /// Its `use` lines, each name for itself, those inside of functions too.
    pub uses: Vec<Use>,
    /// Paths in its code, with their first lines.
    pub paths: BTreeMap<PathUse, usize>,
}

/// `mod name;`
#[derive(Debug)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Where `#[path]` says it is.
    pub path: Option<String>,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
}

/// One name of a `use` line.
#[derive(Debug)]
pub struct Use {
    /// What is used; for `x::*` without the star.
    pub segments: Vec<String>,
    /// Under which name; `None` for `x::*`.
    pub name: Option<String>,
    /// Whether others may use it from here.
    pub is_reexport: bool,
    /// Whether it is inside of a function, and names things for that function only.
    pub is_local: bool,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
    /// Its line.
    pub line: usize,
}

/// A path in code: `a::b::C`, `Name`, `some_macro!`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathUse {
    /// The names between its colons.
    pub segments: Vec<String>,
    /// Whether it names a macro.
    pub is_macro: bool,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
}

impl Source {
    /// Reads a file's text.
    pub fn read(path: &str, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: Vec::new(),
            is_test: is_test_place(path),
            module: Module::default(),
            test_lines: Vec::new(),
            error: None,
        };
        let parsed =
            text.parse::<TokenStream>().map_err(|error| (error.span(), error.to_string())).and_then(|stream| {
                flatten(stream.clone(), &mut source.tokens);
                syn::parse2::<syn::File>(stream).map_err(|error| (error.span(), error.to_string()))
            });
        match parsed {
            Ok(file) => {
                let depth = usize::from(is_for_tests(&file.attrs));
                let mut reader = Reader { depth, ..Reader::default() };
                reader.module.is_test = reader.depth > 0;
                source.is_test |= reader.depth > 0;
                reader.visit_file(&file);
                source.module = reader.module;
                source.test_lines = reader.test_lines;
            }
            Err((span, error)) => source.error = Some((span.start().line, error)),
        }
        source
    }

    /// Whether this line is compiled for tests only.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }
}

/// Whether this is the place of tests, benches and their helpers.
fn is_test_place(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|folder| ["tests", "benches", "fuzz"].contains(&folder))
}

/// The tokens one after the other, brackets included.
fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    for tree in stream {
        let (line, end) = (tree.span().start().line, tree.span().end().line);
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ('(', ')'),
                    proc_macro2::Delimiter::Brace => ('{', '}'),
                    proc_macro2::Delimiter::Bracket => ('[', ']'),
                    proc_macro2::Delimiter::None => (' ', ' '),
                };
                out.push(Token { kind: TokenKind::Mark(open), line, end: line });
                flatten(group.stream(), out);
                out.push(Token { kind: TokenKind::Mark(close), line: end, end });
            }
            TokenTree::Ident(word) => out.push(Token { kind: TokenKind::Word(name_of(&word)), line, end }),
            TokenTree::Punct(mark) => out.push(Token { kind: TokenKind::Mark(mark.as_char()), line, end }),
            TokenTree::Literal(literal) => {
                out.push(Token { kind: TokenKind::Literal(literal.to_string()), line, end });
            }
        }
    }
}

/// An identifier without `r#`.
fn name_of(ident: &proc_macro2::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(ToOwned::to_owned).unwrap_or(name)
}

fn line_of(ident: &proc_macro2::Ident) -> usize {
    ident.span().start().line
}

/// Whether attributes keep something out of what users get: `#[cfg(test)]`, `#[test]` of any kind, or the feature `testing`,
/// which only tests switch on.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        if path.segments.last().is_some_and(|last| last.ident == "test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else { return false };
        if !path.is_ident("cfg") {
            return false;
        }
        let mut tokens = Vec::new();
        flatten(list.tokens.clone(), &mut tokens);
        let is_negated = tokens.iter().any(|token| token.is_word("not"));
        !is_negated && tokens.iter().any(|token| token.is_word("test") || token.string() == Some("testing"))
    })
}

/// The attributes of an item.
fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::TraitAlias(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name of an item that is neither macro, module nor `use`.
fn item_name(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::TraitAlias(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name_of(ident))
}

/// Each name of a `use` tree: its path, the name it gets (`None` for a star), its line.
fn names_of(tree: &syn::UseTree, before: &mut Vec<String>, out: &mut Vec<(Vec<String>, Option<String>, usize)>) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(name_of(&path.ident));
            names_of(&path.tree, before, out);
            before.pop();
        }
        syn::UseTree::Name(name) if name.ident == "self" => {
            out.push((before.clone(), before.last().cloned(), line_of(&name.ident)));
        }
        syn::UseTree::Rename(name) if name.ident == "self" => {
            out.push((before.clone(), Some(name_of(&name.rename)), line_of(&name.ident)));
        }
        syn::UseTree::Name(name) => {
            let line = line_of(&name.ident);
            let name = name_of(&name.ident);
            out.push(([before.as_slice(), std::slice::from_ref(&name)].concat(), Some(name), line));
        }
        syn::UseTree::Rename(name) => {
            let path = [before.as_slice(), &[name_of(&name.ident)]].concat();
            out.push((path, Some(name_of(&name.rename)), line_of(&name.ident)));
        }
        syn::UseTree::Glob(star) => out.push((before.clone(), None, star.star_token.span.start().line)),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| names_of(tree, before, out)),
    }
}

/// Walks a file. `module` is the one that is being read.
#[derive(Default)]
struct Reader {
    module: Module,
    /// What the blocks around this place call by a name of their own: a path, or something defined there.
    blocks: Vec<HashMap<String, Option<Vec<String>>>>,
    /// How many of the items around this place are for tests only.
    depth: usize,
    test_lines: Vec<(usize, usize)>,
}

impl Reader {
    fn under<Node: Spanned>(
        &mut self,
        attributes: &[syn::Attribute],
        node: &Node,
        visit: impl FnOnce(&mut Self, &Node),
    ) {
        let is_test = is_for_tests(attributes);
        if is_test && self.depth == 0 {
            self.test_lines.push((node.span().start().line, node.span().end().line));
        }
        self.depth += usize::from(is_test);
        visit(self, node);
        self.depth -= usize::from(is_test);
    }

    fn add_path(&mut self, mut segments: Vec<String>, is_macro: bool, line: usize) {
        let Some(first) = segments.first() else { return };
        // `pub(super)` among the tokens of a macro.
        if segments.len() == 1 && ["crate", "self", "super"].contains(&first.as_str()) {
            return;
        }
        if ["Self", "cfg", "derive", "allow", "expect", "must_use", "inline"].contains(&first.as_str()) {
            return;
        }
        match self.blocks.iter().rev().find_map(|names| names.get(first)) {
            Some(None) => return,
            Some(Some(path)) => segments = [path.as_slice(), segments.get(1..).unwrap_or_default()].concat(),
            None => {}
        }
        let path = PathUse { segments, is_macro, is_test: self.depth > 0 };
        self.module.paths.entry(path).or_insert(line);
    }

    fn add_use(&mut self, item: &syn::ItemUse) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        names_of(&item.tree, &mut Vec::new(), &mut found);
        let is_reexport = match &item.vis {
            syn::Visibility::Public(_) => true,
            syn::Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
            syn::Visibility::Inherited => false,
        };
        let names = found.iter().filter_map(|(path, name, _)| Some((name.clone()?, path.clone()))).collect();
        self.module.uses.extend(found.into_iter().map(|(segments, name, line)| Use {
            segments,
            name,
            is_reexport,
            is_local: !self.blocks.is_empty(),
            is_test: self.depth > 0,
            line,
        }));
        names
    }

    /// Paths among the tokens of a macro or an attribute.
    fn scan(&mut self, stream: TokenStream, is_attribute: bool) {
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut i = 0;
        while let Some(token) = tokens.get(i) {
            let (line, start) = (token.line, i);
            let before = |back: usize| start.checked_sub(back).and_then(|i| tokens.get(i));
            i += 1;
            match &token.kind {
                TokenKind::Word(word) => {
                    let is_after = |mark| before(1).is_some_and(|token| token.is_mark(mark));
                    let is_field = is_after('.') && !before(2).is_some_and(|token| token.is_mark('.'));
                    let is_variable = is_after('$') && word != "crate";
                    let mut segments = vec![word.clone()];
                    while let [colon, second, Token { kind: TokenKind::Word(next), .. }, ..] =
                        tokens.get(i..).unwrap_or_default()
                        && colon.is_mark(':')
                        && second.is_mark(':')
                    {
                        segments.push(next.clone());
                        i += 3;
                    }
                    let is_macro = tokens.get(i).is_some_and(|token| token.is_mark('!'))
                        && !tokens.get(i + 1).is_some_and(|token| token.is_mark('='));
                    let is_middle = start > 1 && is_after(':') && before(2).is_some_and(|token| token.is_mark(':'));
                    if !is_field && !is_variable && !is_after('\'') && !is_middle {
                        self.add_path(segments, is_macro, line);
                    }
                }
                TokenKind::Literal(_) if is_attribute => {
                    let names: Vec<String> =
                        token.string().unwrap_or_default().split("::").map(ToOwned::to_owned).collect();
                    let is_name =
                        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    if names.len() > 1 && names.iter().all(is_name) {
                        self.add_path(names, false, line);
                    }
                }
                TokenKind::Literal(_) | TokenKind::Mark(_) => {}
            }
        }
    }

    fn read_module(&mut self, item: &syn::ItemMod) {
        let name = name_of(&item.ident);
        let is_test = self.depth > 0;
        let Some((_, items)) = &item.content else {
            let path = item.attrs.iter().find_map(|attribute| match &attribute.meta {
                syn::Meta::NameValue(syn::MetaNameValue {
                    path,
                    value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }),
                    ..
                }) if path.is_ident("path") => Some(text.value()),
                _ => None,
            });
            self.module.children.push(Child { name, path, is_test });
            return;
        };
        let outer = std::mem::replace(&mut self.module, Module { name, is_test, ..Module::default() });
        let blocks = std::mem::take(&mut self.blocks);
        for item in items {
            self.visit_item(item);
        }
        self.blocks = blocks;
        let inner = std::mem::replace(&mut self.module, outer);
        self.module.inline.push(inner);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.under(attributes(item), item, |reader, item| {
            let is_inside = !reader.blocks.is_empty();
            match item {
                syn::Item::Mod(item) => return reader.read_module(item),
                syn::Item::Use(item) => {
                    // The block has read its own.
                    if !is_inside {
                        reader.add_use(item);
                    }
                    return;
                }
                syn::Item::ExternCrate(item) => {
                    let segments = vec![name_of(&item.ident)];
                    reader.module.uses.push(Use {
                        segments,
                        name: Some("_".to_owned()),
                        is_reexport: false,
                        is_local: is_inside,
                        is_test: reader.depth > 0,
                        line: line_of(&item.ident),
                    });
                }
                syn::Item::Macro(syn::ItemMacro { ident: Some(ident), attrs, .. }) if !is_inside => {
                    reader.module.macros.insert(name_of(ident));
                    if attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                        reader.module.exported.insert(name_of(ident));
                    }
                }
                _ => {
                    if let Some(name) = item_name(item).filter(|_| !is_inside) {
                        reader.module.items.insert(name);
                    }
                }
            }
            visit::visit_item(reader, item);
        });
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(item) => item.attrs.as_slice(),
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        self.under(attributes, item, |reader, item| visit::visit_impl_item(reader, item));
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        let mut names = HashMap::new();
        for statement in &block.stmts {
            match statement {
                syn::Stmt::Item(syn::Item::Use(item)) => {
                    self.blocks.push(HashMap::new());
                    let found = self.add_use(item);
                    self.blocks.pop();
                    names.extend(found.into_iter().map(|(name, path)| (name, Some(path))));
                }
                syn::Stmt::Item(item) => names.extend(item_name(item).map(|name| (name, None))),
                syn::Stmt::Local(_) | syn::Stmt::Expr(..) | syn::Stmt::Macro(_) => {}
            }
        }
        self.blocks.push(names);
        visit::visit_block(self, block);
        self.blocks.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| name_of(&segment.ident)).collect();
        let line = path.segments.first().map_or(1, |first| line_of(&first.ident));
        self.add_path(segments, false, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if !call.path.is_ident("macro_rules") {
            let segments = call.path.segments.iter().map(|segment| name_of(&segment.ident)).collect();
            let line = call.path.segments.first().map_or(1, |first| line_of(&first.ident));
            self.add_path(segments, true, line);
        }
        self.scan(call.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        match &attribute.meta {
            syn::Meta::List(list) => self.scan(list.tokens.clone(), true),
            syn::Meta::NameValue(value) => self.visit_expr(&value.value),
            syn::Meta::Path(_) => {}
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<(String, bool)> {
        let source = Source::read("crates/core/src/lib.rs", text);
        assert_eq!(source.error, None);
        source.module.paths.into_keys().map(|path| (path.segments.join("::"), path.is_test)).collect()
    }

    #[test]
    fn paths_are_seen_in_types_macros_and_attributes() {
        let found = paths(
            r#"#[serde(with = "crate::codec::text")]
               struct A { b: crate::b::B }
               fn f() -> Vec<other::C> { on_db!(tx, |c| crate::d::e(c.crate_name).await) }"#,
        );
        for wanted in ["crate::codec::text", "crate::b::B", "other::C", "crate::d::e", "on_db"] {
            assert!(found.contains(&(wanted.to_owned(), false)), "{wanted}: {found:?}");
        }
        assert!(!found.iter().any(|(path, _)| path == "crate_name"), "a field is no path: {found:?}");
    }

    #[test]
    fn a_use_in_a_function_names_things_there_only() {
        let found = paths("fn f() { use crate::a::Long as L; L::make() } fn g() { L::make() }");
        assert!(found.contains(&("crate::a::Long::make".to_owned(), false)), "{found:?}");
        assert!(found.contains(&("L::make".to_owned(), false)), "{found:?}");
    }

    #[test]
    fn code_for_tests_is_marked() {
        let text =
            "fn f() { a::b() }\n#[cfg(test)]\nmod tests {\n  fn g() { a::c() }\n}\n#[cfg(not(test))]\nfn h() {}\n";
        let source = Source::read("crates/core/src/lib.rs", text);
        assert_eq!(source.test_lines, [(2, 5)]);
        assert!(source.module.inline.iter().all(|module| module.is_test));
        assert_eq!(paths("#[tokio::test] async fn f() { a::b() }").pop(), Some(("tokio::test".to_owned(), true)));
    }

    #[test]
    fn each_name_of_a_group_is_a_use() {
        let source = Source::read("crates/core/src/lib.rs", "pub(crate) use a::{self, b::{C as D, e}, f::*};");
        let uses: Vec<_> = source.module.uses.iter().map(|u| (u.segments.join("::"), u.name.as_deref())).collect();
        let wanted = [("a", Some("a")), ("a::b::C", Some("D")), ("a::b::e", Some("e")), ("a::f", None)];
        assert_eq!(uses, wanted.map(|(path, name)| (path.to_owned(), name)));
        assert!(source.module.uses.iter().all(|u| u.is_reexport));
    }

    #[test]
    fn a_file_that_cannot_be_parsed_says_where() {
        let source = Source::read("crates/core/src/lib.rs", "fn f() {}\nfn {\n}\n");
        assert_eq!(source.error.map(|(line, _)| line), Some(2));
    }
}
