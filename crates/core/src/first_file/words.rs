//! The words of names: `createdAt`, `created_at` and `auth_user` in parts, and what such parts usually mean.

/// The parts of a name in lower case: at `_`, `-`, spaces, and where a capital follows a small letter.
pub(super) fn parts(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_small) {
            out.extend((!part.is_empty()).then(|| std::mem::take(&mut part)));
        }
        was_small = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric() {
            part.extend(c.to_lowercase());
        }
    }
    out.extend((!part.is_empty()).then_some(part));
    out
}

/// The name as one word in snake case.
pub(super) fn snake(name: &str) -> String {
    parts(name).join("_")
}

/// The singular of an English plural, near enough for names of tables.
pub(super) fn singular(word: &str) -> String {
    match word {
        "people" => return "person".to_owned(),
        "news" | "series" | "status" | "address" | "access" | "progress" => return word.to_owned(),
        _ => {}
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if word.ends_with(ending) {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') && stem.len() > 1 => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// The noun of a table's name: the last of its words, without the plural. `shop_order` is an order, `order_items` are items.
pub(super) fn noun(table: &str) -> String {
    parts(table).last().map(|word| singular(word)).unwrap_or_default()
}

/// Words for people, in the order in which they are preferred as those whom metrics are about.
pub(super) const PEOPLE: [&str; 12] = [
    "visitor",
    "user",
    "customer",
    "member",
    "subscriber",
    "person",
    "player",
    "client",
    "student",
    "patient",
    "guest",
    "account",
];

/// Columns of a unit that no table of people stands behind, in the order in which they are preferred.
pub(super) const UNITS: [&str; 12] = [
    "user_id",
    "visitor_id",
    "customer_id",
    "member_id",
    "account_id",
    "anonymous_id",
    "distinct_id",
    "device_id",
    "client_id",
    "player_id",
    "person_id",
    "session_id",
];

/// When something happened, in the order in which columns are preferred.
pub(super) const TIMES: [&str; 33] = [
    "occurred_at",
    "happened_at",
    "paid_at",
    "purchased_at",
    "ordered_at",
    "placed_at",
    "booked_at",
    "first_seen_at",
    "created_at",
    "inserted_at",
    "registered_at",
    "signed_up_at",
    "joined_at",
    "date_joined",
    "created",
    "created_on",
    "date_created",
    "creation_date",
    "created_time",
    "create_time",
    "created_date",
    "event_time",
    "event_timestamp",
    "started_at",
    "seen_at",
    "exposed_at",
    "assigned_at",
    "visited_at",
    "logged_at",
    "timestamp",
    "time",
    "ts",
    "at",
];

/// Words of a column that says when something last changed or will end, which is no event of a person.
pub(super) const NOT_EVENTS: [&str; 26] = [
    "updated",
    "modified",
    "deleted",
    "discarded",
    "archived",
    "expires",
    "expired",
    "expiry",
    "last",
    "current",
    "reset",
    "remember",
    "locked",
    "banned",
    "blocked",
    "sent",
    "synced",
    "next",
    "until",
    "end",
    "ends",
    "seen",
    "login",
    "due",
    "birth",
    "scheduled",
];

/// Amounts of money, in the order in which columns are preferred.
pub(super) const AMOUNTS: [&str; 16] = [
    "total",
    "grand_total",
    "total_amount",
    "total_price",
    "amount",
    "price",
    "revenue",
    "total_cents",
    "amount_cents",
    "price_cents",
    "total_in_cents",
    "amount_paid",
    "amount_total",
    "value",
    "subtotal",
    "sum",
];

/// Columns in which an event has its name.
pub(super) const EVENT_NAMES: [&str; 9] =
    ["event_name", "event", "name", "event_type", "type", "action", "kind", "verb", "activity"];

/// Columns in which a row says how far it came.
pub(super) const STATES: [&str; 5] = ["status", "state", "payment_status", "order_status", "financial_status"];

/// States of what did not happen, or not yet.
pub(super) const NOT_DONE: [&str; 23] = [
    "pending",
    "draft",
    "cart",
    "cancelled",
    "canceled",
    "failed",
    "abandoned",
    "expired",
    "refunded",
    "void",
    "voided",
    "declined",
    "rejected",
    "unpaid",
    "open",
    "created",
    "new",
    "incomplete",
    "incomplete_expired",
    "requires_payment",
    "in_progress",
    "awaiting_payment",
    "error",
];

/// What a table of things that people do is called, and how that reads; the best first.
pub(super) const DEEDS: [Deed; 22] = [
    Deed::new("purchase", "buy something"),
    Deed::new("order", "order"),
    Deed::new("subscription", "subscribe"),
    Deed::new("payment", "pay"),
    Deed::new("booking", "book"),
    Deed::new("reservation", "reserve"),
    Deed::new("checkout", "check out"),
    Deed::new("sale", "buy something"),
    Deed::new("donation", "donate"),
    Deed::new("charge", "pay"),
    Deed::new("invoice", "get an invoice"),
    Deed::new("signup", "sign up"),
    Deed::new("registration", "register"),
    Deed::new("trial", "start a trial"),
    Deed::new("upgrade", "upgrade"),
    Deed::new("conversion", "convert"),
    Deed::new("enrollment", "enroll"),
    Deed::new("project", "create a project"),
    Deed::new("workspace", "create a workspace"),
    Deed::new("post", "post"),
    Deed::new("upload", "upload something"),
    Deed::new("message", "write a message"),
];

/// Tables that hold what went wrong, for a limit.
pub(super) const HARMS: [Deed; 7] = [
    Deed::new("refund", "get a refund"),
    Deed::new("chargeback", "charge back"),
    Deed::new("cancellation", "cancel"),
    Deed::new("return", "return something"),
    Deed::new("dispute", "dispute a payment"),
    Deed::new("complaint", "complain"),
    Deed::new("unsubscribe", "unsubscribe"),
];

/// Words of names of events and of columns such as `signed_up_at`, and how they read; the best first.
pub(super) const STEPS: [(&[&str], &str, &str); 17] = [
    (&["purchase", "purchased"], "purchase", "buy something"),
    (&["order", "ordered"], "order", "order"),
    (&["checkout"], "checkout", "check out"),
    (&["payment", "paid", "pay", "charged"], "payment", "pay"),
    (&["subscribed", "subscribe", "subscription"], "subscription", "subscribe"),
    (&["converted", "conversion"], "conversion", "convert"),
    (&["upgraded", "upgrade"], "upgrade", "upgrade"),
    (&["booked", "booking"], "booking", "book"),
    (&["activated", "activation"], "activation", "activate"),
    (&["onboarded", "onboarding"], "onboarding", "finish onboarding"),
    (&["trial"], "trial", "start a trial"),
    (&["signup", "signed", "sign"], "signup", "sign up"),
    (&["registered", "registration", "register"], "registration", "register"),
    (&["confirmed", "confirmation"], "confirmation", "confirm"),
    (&["verified", "verification"], "verification", "verify their e-mail"),
    (&["created", "create"], "creation", "create something"),
    (&["completed", "complete", "finished"], "completion", "complete it"),
];

/// Words of events with which somebody arrives.
pub(super) const ARRIVALS: [&str; 8] =
    ["visit", "pageview", "page_view", "session_start", "app_open", "landing", "$pageview", "page viewed"];

/// Tables that are a framework's own.
pub(super) fn is_internal(table: &str) -> bool {
    let table = table.to_lowercase();
    let own = [
        "django_",
        "_prisma",
        "schema_migrations",
        "ar_internal",
        "alembic",
        "flyway",
        "knex_",
        "sqlite_",
        "pg_",
        "pgboss",
        "active_storage",
        "action_text",
        "solid_",
        "spatial_ref_sys",
        "goose_",
        "drizzle",
        "oban_",
        "typeorm",
        "__ef",
    ];
    own.iter().any(|begin| table.starts_with(begin))
}

/// Tables whose rows nobody means when they speak of what people do.
pub(super) const NOT_DEEDS: [&str; 37] = [
    "token",
    "notification",
    "setting",
    "preference",
    "profile",
    "log",
    "audit",
    "address",
    "role",
    "group",
    "permission",
    "membership",
    "email",
    "mail",
    "device",
    "identity",
    "credential",
    "password",
    "key",
    "session",
    "avatar",
    "image",
    "attachment",
    "tag",
    "item",
    "line",
    "method",
    "history",
    "version",
    "job",
    "migration",
    "cache",
    "cart",
    "exposure",
    "assignment",
    "account",
    "authenticator",
];

/// Something that people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deed {
    /// The singular, as tables have it.
    pub(super) noun: &'static str,
    /// After "more visitors".
    pub(super) verb: &'static str,
}

impl Deed {
    const fn new(noun: &'static str, verb: &'static str) -> Self {
        Self { noun, verb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::plural;

    #[test]
    fn names_are_taken_apart() {
        for (name, expected) in [
            ("createdAt", "created_at"),
            ("created_at", "created_at"),
            ("auth_user", "auth_user"),
            ("OrderItem", "order_item"),
            ("userID", "user_id"),
            ("line items", "line_items"),
        ] {
            assert_eq!(snake(name), expected, "{name}");
        }
        for (name, expected) in [
            ("users", "user"),
            ("shop_order", "order"),
            ("order_items", "item"),
            ("people", "person"),
            ("Activities", "activity"),
            ("boxes", "box"),
            ("purchases", "purchase"),
            ("OrderStatus", "status"),
        ] {
            assert_eq!(noun(name), expected, "{name}");
        }
        for word in ["user", "activity", "box", "purchase", "person", "day"] {
            assert_eq!(singular(&plural(word)), word);
        }
    }
}
