//! What docs/aws.md says: the policies allow what the program asks of AWS and nothing else, the templates make the tables
//! that the program would make, and operations cost the units that they are said to.

mod calls;
mod costs;
mod deployment;
mod journey;
mod policy;
mod templates;

/// A file of docs/aws.
macro_rules! document {
    ($name:literal) => {
        include_str!(concat!("../../docs/aws/", $name))
    };
}

use document;
