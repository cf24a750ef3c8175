//! Claims the names of accounts, and lists accounts where they are looked for.
//!
//! A name that several accounts have goes to the one by which it is found today: the one that spells it in the form in
//! which names are compared, of several such the oldest. The others are reported, and not touched.

use super::{
    Migration, another_answer,
    report::{Duplicate, Unusable},
    rows::{Decision, Finding},
};
use crate::{
    dynamo::{
        attribute::{AttributeValue, Attributes},
        client::Answer,
        item::{self, can_be_indexed, can_exist, key_attributes},
        request::{self, Request, string_attribute},
    },
    ports::{
        store::{Key, StoreError},
        store_ext::decode,
    },
    schema::USERS,
    text::{Email, Username},
    users::{
        model::{User, list_shard},
        repo,
    },
};

/// The attribute by which accounts are listed.
const LIST_SHARD: &str = "list_shard";

/// The attribute of a claim that holds whose the name is.
const OWNER_ID: &str = "owner_id";

/// How many accounts of one name are looked at; more than one is rare.
const RIVALS: i32 = 10;

/// A name of an account.
#[derive(Debug)]
struct Name {
    /// `username`, `email` or `google`.
    kind: String,
    /// The form in which names are compared.
    folded: String,
    /// Whether it is stored in that form.
    is_folded: bool,
    claim: Key,
}

/// How a name stands.
#[derive(Debug)]
enum Standing {
    Held,
    Free,
    Taken(String),
}

/// What an account needs: to hold the claims of its names, and to be in the list of accounts.
pub(super) async fn decide(migration: &Migration<'_>, row: &Attributes) -> Result<Decision, StoreError> {
    let leave = |why| Ok(Decision::Leave(vec![migration.unfinished(&USERS, row, why)]));
    let read = item::decode(&USERS, row.clone()).and_then(decode::<User>);
    let Ok(user) = read.map(|stored| stored.value) else {
        return leave("it cannot be read as a user; mend or delete it");
    };
    if user.deleted_at.is_some() {
        return Ok(Decision::Leave(Vec::new()));
    }
    let names = names(&user);
    if !names.iter().all(|name| can_exist(&name.claim)) {
        return leave("its username or e-mail address is too long; give it another");
    }
    let mut findings = unusable(&user);
    let mut free = Vec::new();
    for name in &names {
        match migration.standing(&user.user_id, name).await? {
            Standing::Held => {}
            Standing::Free => free.push(claim(name, &user.user_id)),
            Standing::Taken(owner_id) => findings.push(duplicate(name, &user.user_id, owner_id)),
        }
    }
    let shard = list_shard(&user.user_id);
    let is_listed = user.list_shard.as_ref() == Some(&shard);
    let is_duplicate = findings.iter().any(|finding| matches!(finding, Finding::Duplicate(_)));
    if is_duplicate || (free.is_empty() && is_listed) {
        return Ok(Decision::Leave(findings));
    }
    let mut written = row.clone();
    written.extend([string_attribute(LIST_SHARD, &shard)]);
    Ok(Decision::Write { row: written, new: free, findings })
}

impl Migration<'_> {
    async fn standing(&self, user_id: &str, name: &Name) -> Result<Standing, StoreError> {
        let claim = self.read(&USERS, key_attributes(&name.claim)).await?;
        Ok(match claim.as_ref().map(|claim| string(claim, OWNER_ID)) {
            Some(Some(owner)) if owner == user_id => Standing::Held,
            Some(owner) => Standing::Taken(owner.unwrap_or("nobody").to_owned()),
            None => match self.rival(user_id, name).await? {
                Some(rival) => Standing::Taken(rival),
                None => Standing::Free,
            },
        })
    }

    /// The account to which an unclaimed name goes, if it is not this one.
    async fn rival(&self, user_id: &str, name: &Name) -> Result<Option<String>, StoreError> {
        let named = self.named(name).await?;
        let others = named.iter().flatten().filter(|other| *other != user_id);
        let first = others.filter(|other| !name.is_folded || other.as_str() < user_id).min().cloned();
        // A dry run makes no claims by which the next account of the name could be told.
        let unseen = self.is_dry() && first.is_none() && (named.is_none() || !name.is_folded);
        Ok(if unseen { self.promise(&name.claim.hash, user_id) } else { first })
    }

    /// The accounts that spell the name in the form in which names are compared; `None` if no index tells.
    async fn named(&self, name: &Name) -> Result<Option<Vec<String>>, StoreError> {
        let index_name = format!("{}-index", name.kind);
        let Some(index) = USERS.index(&index_name).filter(|_| can_be_indexed(&name.folded)) else {
            return Ok(None);
        };
        let query = request::Query {
            table_name: self.names.of(&USERS).to_owned(),
            index_name,
            key_condition_expression: "#hash = :hash".to_owned(),
            expression_attribute_names: [("#hash".to_owned(), index.hash.to_owned())].into(),
            expression_attribute_values: [string_attribute(":hash", &name.folded)].into(),
            scan_index_forward: true,
            limit: RIVALS,
            exclusive_start_key: None,
        };
        match self.send(&Request::Query(query)).await {
            Ok(Answer::Page { items, .. }) => Ok(Some(
                items.iter().filter_map(|item| string(item, USERS.hash)).map(str::to_owned).collect(),
            )),
            Ok(_) => Err(another_answer()),
            // In a dry run the index may be one that is still to be added.
            Err(_) if self.is_dry() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn names(user: &User) -> Vec<Name> {
    let stored = [
        user.username.as_ref().map(Username::as_str),
        user.email.as_ref().map(Email::as_str),
        user.google_sub.as_deref(),
    ];
    let of = |claim: Key| {
        let (kind, folded) = claim.hash.split_once('#').unwrap_or_default();
        let is_folded = stored.contains(&Some(folded));
        Name { kind: kind.to_owned(), folded: folded.to_owned(), is_folded, claim }
    };
    repo::claims(user).into_iter().map(|(claim, _)| of(claim)).collect()
}

fn unusable(user: &User) -> Vec<Finding> {
    let username = user.username.as_ref().map(Username::as_str).filter(|text| Username::parse(text).is_err());
    let email = user.email.as_ref().map(Email::as_str).filter(|text| Email::parse(text).is_err());
    let found = [("username", username), ("email", email)];
    let of = |(kind, name): (&'static str, Option<&str>)| {
        let (name, user_id) = (name?.to_owned(), user.user_id.clone());
        Some(Finding::Unusable(Unusable { kind, name, user_id }))
    };
    found.into_iter().filter_map(of).collect()
}

fn duplicate(name: &Name, user_id: &str, owner_id: String) -> Finding {
    let (kind, name) = (name.kind.clone(), name.folded.clone());
    Finding::Duplicate(Duplicate { kind, name, user_id: user_id.to_owned(), owner_id })
}

fn claim(name: &Name, user_id: &str) -> Attributes {
    [string_attribute(USERS.hash, &name.claim.hash), string_attribute(OWNER_ID, user_id)].into()
}

fn string<'row>(row: &'row Attributes, name: &str) -> Option<&'row str> {
    match row.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}
