//! The operations on tables.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition as SdkDefinition, BillingMode as SdkBillingMode, CreateGlobalSecondaryIndexAction,
    DeleteGlobalSecondaryIndexAction, GlobalSecondaryIndex, GlobalSecondaryIndexDescription,
    GlobalSecondaryIndexUpdate, KeySchemaElement, Projection as SdkProjection, ProvisionedThroughput,
    TableDescription as SdkTable, TimeToLiveSpecification,
};
use portico_core::dynamo::client::{
    Answer, Failure, IndexDescription, TableDescription, TimeToLiveDescription,
};
use portico_core::dynamo::request::{
    AttributeDefinition, BillingMode, CreateTable, GlobalIndex, IndexUpdate, KeyElement, Projection,
    TableName, Throughput, UpdateTable, UpdateTimeToLive,
};

use super::failure;

pub(super) async fn create(client: &Client, creation: &CreateTable) -> Result<Answer, Failure> {
    let indexes = all(&creation.global_secondary_indexes, index)?;
    let call = client
        .create_table()
        .table_name(&creation.table_name)
        .set_attribute_definitions(Some(all(&creation.attribute_definitions, definition)?))
        .set_key_schema(Some(all(&creation.key_schema, key_element)?))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .billing_mode(match creation.billing_mode {
            BillingMode::PayPerRequest => SdkBillingMode::PayPerRequest,
        });
    call.send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

pub(super) async fn describe(client: &Client, table: &TableName) -> Result<Answer, Failure> {
    let call = client.describe_table().table_name(&table.table_name);
    let output = call.send().await.map_err(failure::of)?;
    let found = output.table.ok_or_else(|| Failure::unanswered("a table without a description", true))?;
    Ok(Answer::Table(table_description(found)))
}

pub(super) async fn update(client: &Client, update: &UpdateTable) -> Result<Answer, Failure> {
    let definitions = all(&update.attribute_definitions, definition)?;
    let call = client
        .update_table()
        .table_name(&update.table_name)
        .set_attribute_definitions((!definitions.is_empty()).then_some(definitions))
        .set_global_secondary_index_updates(Some(all(&update.global_secondary_index_updates, index_update)?));
    call.send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

pub(super) async fn describe_expiry(client: &Client, table: &TableName) -> Result<Answer, Failure> {
    let call = client.describe_time_to_live().table_name(&table.table_name);
    let output = call.send().await.map_err(failure::of)?;
    let expiry = output.time_to_live_description.map_or_else(TimeToLiveDescription::default, |found| {
        TimeToLiveDescription {
            time_to_live_status: found.time_to_live_status.map_or_else(String::new, text),
            attribute_name: found.attribute_name,
        }
    });
    Ok(Answer::TimeToLive(expiry))
}

pub(super) async fn update_expiry(client: &Client, update: &UpdateTimeToLive) -> Result<Answer, Failure> {
    let wanted = &update.time_to_live_specification;
    let specification =
        TimeToLiveSpecification::builder().attribute_name(&wanted.attribute_name).enabled(wanted.enabled);
    let call = client
        .update_time_to_live()
        .table_name(&update.table_name)
        .time_to_live_specification(specification.build().map_err(failure::of_request)?);
    call.send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

/// Each in the SDK's form.
fn all<T, S>(these: &[T], each: impl Fn(&T) -> Result<S, BuildError>) -> Result<Vec<S>, Failure> {
    these.iter().map(each).collect::<Result<_, _>>().map_err(failure::of_request)
}

fn definition(definition: &AttributeDefinition) -> Result<SdkDefinition, BuildError> {
    SdkDefinition::builder()
        .attribute_name(&definition.attribute_name)
        .attribute_type(definition.attribute_type.as_str().into())
        .build()
}

fn key_element(element: &KeyElement) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder()
        .attribute_name(&element.attribute_name)
        .key_type(element.key_type.as_str().into())
        .build()
}

fn key_schema(elements: &[KeyElement]) -> Result<Vec<KeySchemaElement>, BuildError> {
    elements.iter().map(key_element).collect()
}

fn projection(projection: &Projection) -> SdkProjection {
    SdkProjection::builder().projection_type(projection.projection_type.as_str().into()).build()
}

fn throughput(capacity: Option<Throughput>) -> Result<Option<ProvisionedThroughput>, BuildError> {
    let capacity = capacity.map(|capacity| {
        ProvisionedThroughput::builder()
            .read_capacity_units(capacity.read_capacity_units)
            .write_capacity_units(capacity.write_capacity_units)
            .build()
    });
    capacity.transpose()
}

fn index(index: &GlobalIndex) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(&index.index_name)
        .set_key_schema(Some(key_schema(&index.key_schema)?))
        .projection(projection(&index.projection))
        .set_provisioned_throughput(throughput(index.provisioned_throughput)?)
        .build()
}

fn index_update(update: &IndexUpdate) -> Result<GlobalSecondaryIndexUpdate, BuildError> {
    let built = GlobalSecondaryIndexUpdate::builder();
    let built = match update {
        IndexUpdate::Create(index) => built.create(
            CreateGlobalSecondaryIndexAction::builder()
                .index_name(&index.index_name)
                .set_key_schema(Some(key_schema(&index.key_schema)?))
                .projection(projection(&index.projection))
                .set_provisioned_throughput(throughput(index.provisioned_throughput)?)
                .build()?,
        ),
        IndexUpdate::Delete(name) => {
            built.delete(DeleteGlobalSecondaryIndexAction::builder().index_name(&name.index_name).build()?)
        }
    };
    Ok(built.build())
}

fn table_description(found: SdkTable) -> TableDescription {
    TableDescription {
        table_status: found.table_status.map_or_else(String::new, text),
        key_schema: key_elements(found.key_schema),
        attribute_definitions: found
            .attribute_definitions
            .into_iter()
            .flatten()
            .map(|definition| AttributeDefinition {
                attribute_name: definition.attribute_name,
                attribute_type: text(definition.attribute_type),
            })
            .collect(),
        global_secondary_indexes: found
            .global_secondary_indexes
            .into_iter()
            .flatten()
            .map(index_description)
            .collect(),
        provisioned_throughput: found.provisioned_throughput.map(|capacity| Throughput {
            read_capacity_units: capacity.read_capacity_units.unwrap_or_default(),
            write_capacity_units: capacity.write_capacity_units.unwrap_or_default(),
        }),
        item_count: found.item_count.and_then(|count| u64::try_from(count).ok()),
    }
}

fn index_description(found: GlobalSecondaryIndexDescription) -> IndexDescription {
    let projection_type = found.projection.and_then(|projection| projection.projection_type);
    IndexDescription {
        index_name: found.index_name.unwrap_or_default(),
        index_status: found.index_status.map_or_else(String::new, text),
        key_schema: key_elements(found.key_schema),
        projection: Projection { projection_type: projection_type.map_or_else(String::new, text) },
    }
}

fn key_elements(found: Option<Vec<KeySchemaElement>>) -> Vec<KeyElement> {
    let element = |element: KeySchemaElement| KeyElement {
        attribute_name: element.attribute_name,
        key_type: text(element.key_type),
    };
    found.into_iter().flatten().map(element).collect()
}

/// The word that DynamoDB used, known to this SDK or not.
fn text(word: impl AsRef<str>) -> String {
    word.as_ref().to_owned()
}
