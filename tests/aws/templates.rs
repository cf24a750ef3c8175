//! The templates, held against the tables that the program makes.

use std::collections::BTreeSet;

use portico_core::dynamo::request::{CreateTable, KeyElement};
use portico_core::dynamo::tables::creation;
use portico_core::schema::{TABLES, Table};
use serde_json::{Value, json};

use crate::document;

fn cloud_formation() -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(document!("tables.yaml"), options).expect("a template")
}

fn terraform() -> Value {
    hcl::from_str(document!("tables.tf")).expect("a configuration")
}

/// The headers that pages of other origins may send to the bucket.
pub fn allowed_headers() -> BTreeSet<String> {
    let cors = &cloud_formation()["Resources"]["FilesBucket"]["Properties"]["CorsConfiguration"];
    let of_yaml = &cors["Fn::If"][1]["CorsRules"][0]["AllowedHeaders"];
    let rule = &terraform()["resource"]["aws_s3_bucket_cors_configuration"]["files"]["cors_rule"];
    assert_eq!(*of_yaml, rule["allowed_headers"]);
    serde_json::from_value(of_yaml.clone()).expect("a list of names")
}

#[test]
fn cloud_formation_makes_the_tables_of_the_program() {
    let template = cloud_formation();
    let resources = template["Resources"].as_object().unwrap();
    let tables: Vec<&Value> =
        resources.values().filter(|resource| resource["Type"] == "AWS::DynamoDB::Table").collect();
    assert_eq!(tables.len(), TABLES.len());
    for table in TABLES {
        let name = json!({ "Fn::Sub": format!("${{Prefix}}{}", table.name) });
        let found = tables.iter().find(|found| found["Properties"]["TableName"] == name);
        let found = found.unwrap_or_else(|| panic!("no table {}", table.name));
        let mut expected = serde_json::to_value(creation(table, table.name)).unwrap();
        expected["TableName"] = name;
        expected["DeletionProtectionEnabled"] = json!(true);
        expected["PointInTimeRecoverySpecification"] = json!({ "PointInTimeRecoveryEnabled": true });
        if let Some(attribute) = table.expires {
            expected["TimeToLiveSpecification"] = json!({ "AttributeName": attribute, "Enabled": true });
        }
        assert_eq!(found["Properties"], expected, "{}", table.name);
        assert_eq!(
            [&found["DeletionPolicy"], &found["UpdateReplacePolicy"]],
            ["Retain"; 2],
            "{}",
            table.name
        );
    }
}

#[test]
fn terraform_makes_the_tables_of_the_program() {
    let configuration = terraform();
    let tables = configuration["resource"]["aws_dynamodb_table"].as_object().unwrap();
    assert_eq!(tables.len(), TABLES.len());
    for table in TABLES {
        assert_eq!(tables[table.name], resource(table), "{}", table.name);
    }
}

/// A table as the resource that Terraform would make it of.
fn resource(table: &'static Table) -> Value {
    let CreateTable { attribute_definitions, global_secondary_indexes, .. } = creation(table, table.name);
    let mut resource = json!({
        "name": format!("${{var.prefix}}{}", table.name),
        "billing_mode": "PAY_PER_REQUEST",
        "hash_key": table.hash,
        "deletion_protection_enabled": true,
        "point_in_time_recovery": { "enabled": true },
    });
    let attributes = attribute_definitions
        .iter()
        .map(|one| json!({ "name": one.attribute_name, "type": one.attribute_type }));
    let indexes = global_secondary_indexes.iter().map(|index| {
        json!({
            "name": index.index_name,
            "projection_type": index.projection.projection_type,
            "key_schema": blocks(index.key_schema.iter().map(key)),
        })
    });
    resource["attribute"] = blocks(attributes);
    if let Some(range) = table.range {
        resource["range_key"] = json!(range);
    }
    if !table.indexes.is_empty() {
        resource["global_secondary_index"] = blocks(indexes);
    }
    if let Some(attribute) = table.expires {
        resource["ttl"] = json!({ "attribute_name": attribute, "enabled": true });
    }
    resource
}

fn key(element: &KeyElement) -> Value {
    json!({ "attribute_name": element.attribute_name, "key_type": element.key_type })
}

/// Blocks of one name, as HCL's JSON has them: one is no list.
fn blocks(blocks: impl Iterator<Item = Value>) -> Value {
    let mut blocks: Vec<Value> = blocks.collect();
    if blocks.len() == 1 { blocks.remove(0) } else { Value::Array(blocks) }
}

#[test]
fn both_keep_the_bucket_private_and_clean() {
    let bucket = &cloud_formation()["Resources"]["FilesBucket"]["Properties"];
    let (of_yaml, of_hcl) = (&bucket["PublicAccessBlockConfiguration"], terraform());
    let of_hcl = |kind: &str| of_hcl["resource"][kind]["files"].clone();
    assert!(of_yaml.as_object().unwrap().values().all(|blocked| *blocked == json!(true)));
    let access = of_hcl("aws_s3_bucket_public_access_block");
    for what in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
    {
        assert_eq!(access[what], true, "{what}");
    }
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    assert_eq!(of_hcl("aws_s3_bucket_versioning")["versioning_configuration"]["status"], "Enabled");
    let (rules, other) =
        (&bucket["LifecycleConfiguration"]["Rules"], of_hcl("aws_s3_bucket_lifecycle_configuration"));
    assert_eq!(rules[0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 1);
    assert_eq!(other["rule"][0]["abort_incomplete_multipart_upload"]["days_after_initiation"], 1);
    let (days, other) =
        (&rules[1]["NoncurrentVersionExpiration"], &other["rule"][1]["noncurrent_version_expiration"]);
    assert_eq!((&days["NoncurrentDays"], &other["noncurrent_days"]), (&json!(35), &json!(35)));
}
