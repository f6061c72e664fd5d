//! Tests of the rules alone: no repository is needed to say what a pattern means.

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn list(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|p| (*p).to_owned()).collect()
}

fn rules(allowed: &[&str], forbidden: &[&str]) -> ScopeRules {
    ScopeRules::parse(&list(allowed), &list(forbidden)).unwrap()
}

fn forbidden(rule: &str) -> PathVerdict {
    PathVerdict::Forbidden { rule: rule.to_owned() }
}

#[test]
fn the_example_of_the_product_reads_as_intended() {
    let rules = rules(&["frontend/checkout/", "api/cart/"], &["services/payments/", "services/orders/", "infra/"]);
    assert_eq!(rules.check_path("frontend/checkout/button.tsx"), PathVerdict::Allowed);
    assert_eq!(rules.check_path("api/cart/v2/total.rs"), PathVerdict::Allowed);
    assert_eq!(rules.check_path("services/payments/charge.rs"), forbidden("services/payments/"));
    assert_eq!(rules.check_path("infra/main.tf"), forbidden("infra/"));
    assert_eq!(rules.check_path("README.md"), PathVerdict::Outside);
    assert_eq!(rules.check_path("frontend/checkout-v2/button.tsx"), PathVerdict::Outside);
}

#[test]
fn forbidden_wins_over_allowed() {
    let rules = rules(&["src/", "src/pay/ok.rs"], &["src/pay/"]);
    assert_eq!(rules.check_path("src/pay/ok.rs"), forbidden("src/pay/"));
    assert_eq!(rules.check_path("src/cart.rs"), PathVerdict::Allowed);
}

#[test]
fn an_empty_allowed_list_allows_what_is_not_forbidden() {
    let rules = rules(&[], &["infra/"]);
    assert_eq!(rules.check_path("anything/at/all"), PathVerdict::Allowed);
    assert_eq!(rules.check_path("infra/x"), forbidden("infra/"));
    assert!(!rules.is_empty());
}

#[test]
fn a_slash_anchors_a_pattern_as_in_gitignore() {
    let rules = rules(&[], &["infra/", "/build/", "docs/*.md", "*.env", "a/**/z", "vendor/**"]);
    for (path, rule) in [
        ("infra/a", "infra/"),
        ("deep/er/infra/a", "infra/"),
        ("build/a", "/build/"),
        ("docs/a.md", "docs/*.md"),
        ("x/prod.env", "*.env"),
        ("a/z", "a/**/z"),
        ("a/b/c/z/file", "a/**/z"),
        ("vendor/x/y", "vendor/**"),
    ] {
        assert_eq!(rules.check_path(path), forbidden(rule), "{path}");
    }
    for path in ["src/build/a", "docs/sub/a.md", "x/docs/a.md", "prod.envy", "b/a/z"] {
        assert_eq!(rules.check_path(path), PathVerdict::Allowed, "{path}");
    }
}

#[test]
fn forbidden_patterns_match_in_any_case_and_allowed_ones_as_written() {
    let rules = rules(&["src/", "Größe/"], &["src/Payments/", "src/straße/", "src/[A-C]x"]);
    for path in ["src/payments/a", "SRC/PAYMENTS/a", "src/STRASSE/a", "src/bx", "src/Bx", "src/pay\u{200c}ments/a"] {
        assert!(matches!(rules.check_path(path), PathVerdict::Forbidden { .. }), "{path}");
    }
    assert_eq!(rules.check_path("SRC/cart"), PathVerdict::Outside);
    assert_eq!(rules.check_path("grösse/cart"), PathVerdict::Outside);
    assert_eq!(rules.check_path("Größe/cart"), PathVerdict::Allowed);
}

#[test]
fn a_forbidden_directory_pattern_covers_what_takes_the_directorys_place() {
    let rules = rules(&[], &["services/payments/"]);
    assert_eq!(rules.check_path("services/payments"), forbidden("services/payments/"));
    assert_eq!(rules.check_entry("services", Entry::Link), forbidden("services/payments/"));
    assert_eq!(rules.check_entry("services", Entry::File), PathVerdict::Allowed);
}

#[test]
fn an_allowed_directory_pattern_does_not_cover_a_file_of_that_name() {
    let rules = rules(&["src/"], &[]);
    assert_eq!(rules.check_path("src"), PathVerdict::Outside);
    assert_eq!(rules.check_path("src/"), PathVerdict::Allowed);
}

#[test]
fn brackets_and_braces_also_stand_for_themselves() {
    let rules = rules(&["app/[slug]/"], &["tpl/{{name}}/", "src/{a,b}/"]);
    assert_eq!(rules.check_path("app/[slug]/page.tsx"), PathVerdict::Allowed);
    assert_eq!(rules.check_path("tpl/{{name}}/x"), forbidden("tpl/{{name}}/"));
    assert_eq!(rules.check_path("src/b/x"), forbidden("src/{a,b}/"));
}

#[test]
fn a_newline_in_a_directory_name_hides_nothing() {
    let rules = rules(&["src/"], &["secrets/", "a/**/z"]);
    assert_eq!(rules.check_path("x\ny/secrets/key"), forbidden("secrets/"));
    assert_eq!(rules.check_path("a/x\ny/z"), forbidden("a/**/z"));
    assert_eq!(rules.check_path("src/x\ny/z"), PathVerdict::Allowed);
}

#[test]
fn a_path_that_leads_out_of_the_repository_is_never_allowed() {
    let rules = rules(&[], &[]);
    assert!(rules.is_empty());
    for path in ["../x", "a/../../x", "/etc/passwd", ".git/config"] {
        assert_eq!(rules.check_path(path), PathVerdict::Outside, "{path}");
    }
}

#[test]
fn a_pattern_that_would_not_mean_what_it_says_is_refused() {
    for (pattern, problem) in [
        ("!keep/", "negated"),
        ("", "empty"),
        ("  ", "empty"),
        ("# infra", "comment"),
        (" infra/", "starts with a space"),
        ("/", "matches nothing"),
        ("./infra/", "`.` or `..`"),
        ("a/../b", "`.` or `..`"),
        ("a//b", "`//`"),
        ("a[bc", "not a valid glob"),
        ("a{b", "not a valid glob"),
        ("a\\", "not a valid glob"),
        ("caf[é]/", "ASCII"),
        (&"{a,b}".repeat(10), "alternatives"),
        (&"x".repeat(1025), "longer"),
    ] {
        let error = ScopeRules::parse(&list(&["src/", pattern]), &[]).unwrap_err();
        assert_eq!(error.code(), "scope_pattern_invalid");
        assert!(error.hint().is_some());
        let text = error.to_string();
        assert!(text.starts_with("`scope.allowed_paths[1]`: the pattern "), "{text}");
        assert!(text.contains(problem), "{text}");
    }
}

#[test]
fn a_declared_path_that_reaches_a_forbidden_place_names_the_rule() {
    let rules = rules(&["frontend/", "services/"], &["services/payments/", "infra/", "*.env"]);
    let declared = ["frontend/checkout/", "services/", "Services/Payments/x.rs", "infra/main.tf", "frontend/prod.env"];
    let found: Vec<(String, String)> =
        rules.overlaps(&list(&declared)).into_iter().map(|o| (o.declared, o.rule)).collect();
    let expected = [
        ("services/", "services/payments/"),
        ("Services/Payments/x.rs", "services/payments/"),
        ("infra/main.tf", "infra/"),
        ("frontend/prod.env", "*.env"),
    ];
    assert_eq!(found, expected.map(|(d, r)| (d.to_owned(), r.to_owned())));
    assert_eq!(rules.check_declared("docs/"), PathVerdict::Outside);
    assert_eq!(rules.check_declared("../other"), PathVerdict::Outside);
    assert_eq!(rules.check_declared("frontend/**/*.ts"), PathVerdict::Allowed);
}

#[test]
fn two_experiments_that_declare_a_common_place_conflict() {
    let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    assert_eq!(paths_overlap(&list(&["docs/", "src/"]), &list(&["src/a.rs"])), pair("src/", "src/a.rs"));
    assert_eq!(paths_overlap(&list(&["*.sql"]), &list(&["db/"])), pair("*.sql", "db/"));
    assert_eq!(paths_overlap(&list(&["src/a/"]), &list(&["src/b/", "../src/a"])), None);
    assert_eq!(paths_overlap(&[], &list(&["src/"])), None);
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("src".to_owned()),
        Just("Pay".to_owned()),
        Just("pay".to_owned()),
        Just("é b".to_owned()),
        "[a-cA-C.\n]{1,3}".prop_filter("a name", |n| n != "." && n != ".."),
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..5).prop_map(|names| names.join("/"))
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop_oneof![Just("src"), Just("Pay"), Just("pay"), Just("a"), Just("é b")].prop_map(str::to_owned),
        1 => prop_oneof![Just("*"), Just("**"), Just("?"), Just("a*"), Just("[a-b]"), Just("[!A]*"), Just("{a,b}")]
            .prop_map(str::to_owned),
    ];
    (any::<bool>(), prop::collection::vec(part, 1..4), any::<bool>()).prop_map(|(anchored, parts, dir)| {
        format!("{}{}{}", if anchored { "/" } else { "" }, parts.join("/"), if dir { "/" } else { "" })
    })
}

fn patterns(most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(pattern(), 0..=most)
}

proptest! {
    #[test]
    fn a_forbidden_path_stays_forbidden_whatever_is_allowed(
        allowed in patterns(3), forbidden in patterns(3), path in path()
    ) {
        let alone = ScopeRules::parse(&[], &forbidden).unwrap().check_path(&path);
        let both = ScopeRules::parse(&allowed, &forbidden).unwrap().check_path(&path);
        if let PathVerdict::Forbidden { .. } = alone {
            prop_assert_eq!(alone, both);
        }
    }

    #[test]
    fn one_more_forbidden_pattern_never_frees_a_path(
        allowed in patterns(3), forbidden in patterns(3), more in pattern(), at in 0_usize..4, path in path()
    ) {
        let before = ScopeRules::parse(&allowed, &forbidden).unwrap().check_path(&path);
        let mut longer = forbidden.clone();
        longer.insert(at.min(forbidden.len()), more);
        let after = ScopeRules::parse(&allowed, &longer).unwrap().check_path(&path);
        match before {
            PathVerdict::Forbidden { .. } => {
                let is_forbidden = matches!(after, PathVerdict::Forbidden { .. });
                prop_assert!(is_forbidden);
            }
            PathVerdict::Outside => prop_assert_ne!(after, PathVerdict::Allowed),
            PathVerdict::Allowed => {}
        }
    }

    #[test]
    fn changing_the_case_of_a_path_never_escapes_a_forbidden_pattern(forbidden in patterns(3), path in path()) {
        let rules = ScopeRules::parse(&[], &forbidden).unwrap();
        let has_negated_class = forbidden.iter().any(|p| p.contains('!'));
        if matches!(rules.check_path(&path), PathVerdict::Forbidden { .. }) && !has_negated_class {
            for twin in [path.to_uppercase(), path.to_lowercase()] {
                let is_forbidden = matches!(rules.check_path(&twin), PathVerdict::Forbidden { .. });
                prop_assert!(is_forbidden, "{}", twin);
            }
        }
    }

    #[test]
    fn a_file_that_is_forbidden_cannot_be_declared(forbidden in patterns(3), path in path()) {
        let rules = ScopeRules::parse(&[], &forbidden).unwrap();
        if matches!(rules.check_path(&path), PathVerdict::Forbidden { .. }) {
            prop_assert_ne!(rules.check_declared(&path), PathVerdict::Allowed);
        }
    }

    #[test]
    fn declared_lists_conflict_in_either_order(a in patterns(3), b in patterns(3)) {
        prop_assert_eq!(paths_overlap(&a, &b).is_some(), paths_overlap(&b, &a).is_some());
    }

    #[test]
    fn any_text_is_either_a_pattern_or_refused(text in any::<String>(), path in any::<String>()) {
        if let Ok(rules) = ScopeRules::parse(&[], &[text]) {
            let _ = (rules.check_path(&path), rules.check_declared(&path));
        }
    }
}
