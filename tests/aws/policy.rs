//! Policies of AWS's Identity and Access Management, as far as docs/aws uses them.

use serde::Deserialize;
use serde_json::Value;

/// A policy with the placeholders filled in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    version: String,
    statement: Vec<Statement>,
}

/// What is allowed or denied.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    sid: String,
    effect: Effect,
    action: Vec<String>,
    resource: Resource,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Resource {
    One(String),
    Many(Vec<String>),
}

/// An action on a resource.
pub type Access = (String, String);

impl Policy {
    /// Reads a policy in which region, account and bucket stand as placeholders.
    pub fn read(text: &str, bucket: &str) -> Self {
        let text = text.replace("REGION", "us-east-1").replace("ACCOUNT", "000000000000");
        let policy: Self = serde_json::from_str(&text.replace("BUCKET", bucket)).expect("a policy");
        assert_eq!(policy.version, "2012-10-17");
        policy
    }

    /// Whether some statement allows it and none denies it.
    pub fn allows(&self, access: &Access) -> bool {
        let covers = |effect| self.statement.iter().any(|one| one.effect == effect && one.covers(access));
        covers(Effect::Allow) && !covers(Effect::Deny)
    }

    /// What is allowed and was never done, action by action and resource by resource within each statement.
    pub fn unused(&self, done: &[Access]) -> Vec<String> {
        let allowing = self.statement.iter().filter(|one| one.effect == Effect::Allow);
        allowing.flat_map(|one| one.unused(done)).collect()
    }

    /// The resources that are allowed something.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.statement.iter().filter(|one| one.effect == Effect::Allow).flat_map(Statement::resources)
    }
}

impl Statement {
    fn resources(&self) -> impl Iterator<Item = &str> {
        match &self.resource {
            Resource::One(resource) => std::slice::from_ref(resource),
            Resource::Many(resources) => resources,
        }
        .iter()
        .map(String::as_str)
    }

    fn covers(&self, (action, resource): &Access) -> bool {
        self.action.contains(action) && self.resources().any(|pattern| matches(pattern, resource))
    }

    fn unused(&self, done: &[Access]) -> Vec<String> {
        let pairs =
            self.action.iter().flat_map(|action| self.resources().map(move |resource| (action, resource)));
        let idle = pairs.filter(|(action, pattern)| {
            !done.iter().any(|(other, resource)| other == *action && matches(pattern, resource))
        });
        idle.map(|(action, pattern)| format!("{}: {action} on {pattern}", self.sid)).collect()
    }
}

/// Whether a resource is one of those that a pattern means; `*` stands for any text.
fn matches(pattern: &str, resource: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| resource.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn patterns_mean_what_they_mean_to_aws() {
    for (pattern, resource, expected) in [
        ("*", "+491701234567", true),
        ("arn:a/table/users", "arn:a/table/users", true),
        ("arn:a/table/users", "arn:a/table/users2", false),
        ("arn:a/table/users/index/*", "arn:a/table/users/index/email-index", true),
        ("arn:a/table/users/index/*", "arn:a/table/users", false),
        ("arn:aws:sns:*:*:*", "arn:aws:sns:us-east-1:1:topic", true),
        ("arn:aws:sns:*:*:*", "+491701234567", false),
    ] {
        assert_eq!(matches(pattern, resource), expected, "{pattern} {resource}");
    }
    let publishing = |resource: &str| ("sns:Publish".to_owned(), resource.to_owned());
    let policy = Policy::read(crate::document!("policy.json"), "b");
    assert!(policy.allows(&publishing("+491701234567")));
    assert!(!policy.allows(&publishing("arn:aws:sns:us-east-1:000000000000:topic")));
    assert!(!policy.allows(&("s3:GetObject".to_owned(), "arn:aws:s3:::b/other".to_owned())));
}

#[test]
fn policies_are_json_that_aws_takes() {
    for text in [crate::document!("policy.json"), crate::document!("setup-policy.json")] {
        let value: Value = serde_json::from_str(text).unwrap();
        // A managed policy has at most 6144 characters, white space not counted.
        assert!(value.to_string().len() < 6144);
    }
}
