//! What members are called: believed only where it opens the commitments of their certificates, or is what a certificate of before says.

use super::tampered::tampered;
use super::written::Writers;
use crate::audit::EventKind;
use crate::domain::{Holder, MemberCommitments, MemberOpening, Salt};
use crate::error::{Error, Result};
use crate::identity::Keyring;
use crate::ids::{Ids, MemberId};
use crate::principal::Principal;
use crate::store::{Member, Tx};

/// A member with what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id, which the log and signatures name.
    pub id: MemberId,
    /// What they are called.
    pub called: Called,
}

/// What is known of a member's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// It is what their certificates commit to.
    Named {
        /// E-mail.
        email: String,
        /// Name for people.
        name: String,
    },
    /// A member removed it.
    Removed,
    /// It is not what their certificates commit to, or it is gone and no member removed it.
    Tampered,
}

impl Person {
    /// Who it is, for people: the e-mail, or the id with a word that says why not.
    #[must_use]
    pub fn shown(&self) -> String {
        let id = self.id;
        match &self.called {
            Called::Named { email, .. } => email.clone(),
            Called::Removed => format!("a removed member ({id})"),
            Called::Tampered => format!("member {id}, whose name was written past the runtime"),
        }
    }

    /// Their name for people; none where it is not known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.called {
            Called::Named { name, .. } => Some(name),
            Called::Removed | Called::Tampered => None,
        }
    }

    /// Their e-mail; none where it is not known.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        match &self.called {
            Called::Named { email, .. } => Some(email),
            Called::Removed | Called::Tampered => None,
        }
    }

    /// Words that a passphrase of theirs must not be made of.
    pub(in crate::usecases) fn own_words<'a>(&'a self, more: &'a str) -> Vec<&'a str> {
        self.email().into_iter().chain(self.name()).chain([more]).collect()
    }

    /// The member, as the log names who acts.
    pub(in crate::usecases) fn principal(&self) -> Principal {
        Principal::member(self.id)
    }

    fn is(&self, named: &str) -> bool {
        self.email().is_some_and(|email| email.eq_ignore_ascii_case(named)) || self.id.to_string() == named
    }
}

/// The members, the first one first.
pub(in crate::usecases) struct People(Vec<Person>);

impl People {
    /// Reads them, and compares what they are called with the certificates.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::usecases) async fn of(tx: &mut Tx, ring: &Keyring) -> Result<Self> {
        let openings = tx.member_opening_list().await?;
        let mut people = Vec::new();
        for row in tx.member_list().await? {
            let is_forgotten = is_forgotten(tx, row.id).await?;
            let opening = openings.iter().find(|opening| opening.member == row.id);
            let id = row.id;
            people.push(Person { id, called: called(row, opening, is_forgotten, ring) });
        }
        Ok(Self(people))
    }

    /// Nobody signs beside a name that somebody else wrote.
    ///
    /// # Errors
    /// [`crate::Code::StateTampered`].
    pub(in crate::usecases) fn must_be_untouched(&self) -> Result<()> {
        match self.0.iter().find(|person| person.called == Called::Tampered) {
            None => Ok(()),
            Some(person) => Err(name_tampered(person.id)),
        }
    }

    /// The member with this e-mail or id; the first one when nobody is named.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`]. The text that was given is not repeated: what was refused stands in the log.
    pub(in crate::usecases) fn named(self, named: Option<&str>) -> Result<Person> {
        let found = match named {
            None => self.0.into_iter().next(),
            Some(named) => self.0.into_iter().find(|person| person.is(named)),
        };
        found.ok_or_else(|| {
            Error::new(crate::Code::NotFound, "no member has this e-mail or id")
                .hint("`outcome-runtime key list` shows the members with their keys")
        })
    }

    /// The e-mail of each member whose name is known.
    pub(in crate::usecases) fn emails(&self) -> Vec<String> {
        self.0.iter().filter_map(|person| person.email().map(ToOwned::to_owned)).collect()
    }

    /// A member by their id.
    pub(in crate::usecases) fn get(&self, id: MemberId) -> Option<&Person> {
        self.0.iter().find(|person| person.id == id)
    }

    /// The member with this e-mail.
    pub(in crate::usecases) fn with_email(&self, email: &str) -> Option<&Person> {
        self.0.iter().find(|person| person.email().is_some_and(|own| own.eq_ignore_ascii_case(email)))
    }

    /// The first one.
    pub(in crate::usecases) fn first(&self) -> Option<&Person> {
        self.0.first()
    }

    /// Who it is, for people. A member without a row is named by their id.
    pub(in crate::usecases) fn shown(&self, id: MemberId) -> String {
        self.get(id).map_or_else(|| format!("member {id}"), Person::shown)
    }

    /// Whoever acts, for people.
    pub(in crate::usecases) fn acting(&self, principal: &Principal) -> String {
        match principal {
            Principal::Human { member, .. } => self.shown(*member),
            Principal::Local { .. } | Principal::Agent { .. } | Principal::System { .. } => principal.to_string(),
        }
    }

    /// The holder of a gate, as a member where it is one.
    pub(in crate::usecases) fn holding(&self, holder: &Holder) -> Option<&Person> {
        match holder {
            Holder::Member { member } => self.get(*member),
            Holder::Email(email) => self.with_email(email),
        }
    }

    /// The holder of a gate, for people.
    pub(in crate::usecases) fn holder_shown(&self, holder: &Holder) -> String {
        self.holding(holder).map_or_else(|| holder.to_string(), Person::shown)
    }
}

/// Whether a line says so that an account which the log knows has written. Whoever can only write the database removes nobody's name;
/// `audit verify` looks at the decision in it, too.
async fn is_forgotten(tx: &mut Tx, member: MemberId) -> Result<bool> {
    match tx.event_last_of_kind(member.0, EventKind::MemberForgotten, i64::MAX).await? {
        None => Ok(false),
        Some(line) => Ok(Writers::of(tx).await?.must_have_written(&[line]).is_ok()),
    }
}

/// What a member is called, from what is stored of it and what the log says of them.
pub(in crate::usecases) fn called(
    row: Member,
    opening: Option<&MemberOpening>,
    is_forgotten: bool,
    ring: &Keyring,
) -> Called {
    let is_empty = opening.is_none() && row.email.is_none() && row.name.is_none();
    if is_forgotten {
        return if is_empty { Called::Removed } else { Called::Tampered };
    }
    let of_before = ring.email_of_before(row.id);
    let (email, name) = match (ring.commitments_of(row.id), opening, row.email, row.name) {
        (Some(commitments), Some(opening), None, None) if opening.opens(&commitments) => {
            (opening.email.clone(), opening.name.clone())
        }
        // Nothing but the certificates of before says what they are called.
        (None, None, Some(email), Some(name)) if of_before.is_some() => (email, name),
        _ => return Called::Tampered,
    };
    match of_before.is_none_or(|of_before| of_before == email) {
        true => Called::Named { email, name },
        false => Called::Tampered,
    }
}

pub(in crate::usecases) fn name_tampered(id: MemberId) -> Error {
    tampered(&format!("what member {id} is called differs from what their key was enrolled with")).hint(
        "nothing was done; `outcome-runtime audit verify` shows what differs. Restore a backup or, where there is none, remove the \
         name: `outcome-runtime member forget`",
    )
}

/// What the next certificate of a member says of them.
pub(in crate::usecases) struct Pledge {
    pub(in crate::usecases) commitments: MemberCommitments,
    /// What opens it, where it was made for this certificate.
    new: Option<MemberOpening>,
}

impl Pledge {
    /// Commits to a new member's e-mail and name.
    pub(in crate::usecases) fn to(member: MemberId, email: &str, name: &str, ids: &Ids) -> Self {
        let opening = opening(member, email, name, ids);
        Self { commitments: opening.commitments(), new: Some(opening) }
    }

    /// What the certificates of a member say already; of a member of before, commitments to what they are called.
    pub(in crate::usecases) fn of(person: &Person, ring: &Keyring, ids: &Ids) -> Self {
        match (ring.commitments_of(person.id), &person.called) {
            (Some(commitments), _) => Self { commitments, new: None },
            (None, Called::Named { email, name }) => Self::to(person.id, email, name, ids),
            // Nobody ever opens these.
            (None, Called::Removed | Called::Tampered) => {
                Self { commitments: opening(person.id, "", "", ids).commitments(), new: None }
            }
        }
    }

    /// Stores what opens it, together with the first certificate that says it. A row of before is emptied.
    pub(in crate::usecases) async fn store(&self, tx: &mut Tx) -> Result<()> {
        if let Some(opening) = &self.new {
            tx.member_clear(opening.member).await?;
            tx.member_opening_insert(opening).await?;
        }
        Ok(())
    }
}

fn opening(member: MemberId, email: &str, name: &str, ids: &Ids) -> MemberOpening {
    MemberOpening {
        member,
        email: email.to_owned(),
        email_salt: Salt::of(ids.bytes()),
        name: name.to_owned(),
        name_salt: Salt::of(ids.bytes()),
    }
}
