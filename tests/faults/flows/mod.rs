//! What users do: each flow from its preparation to what must be true in the end.
//!
//! A flow talks in two ways: by `run.attempt`, while a call may fail, and by its users' clients, while all is well.

mod accounts;
mod admin;
mod codes;
mod devices;
mod files;
mod reading;
mod sessions;

use crate::run::Flow;

macro_rules! flow {
    ($module:ident :: $name:ident) => {
        Flow {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |run| Box::pin($module::$name(run)),
            presigns: false,
            alone: false,
        }
    };
}

/// Every flow.
pub(crate) fn all() -> Vec<Flow> {
    vec![
        flow!(accounts::registering),
        flow!(accounts::registering_without_a_key),
        flow!(accounts::changing_the_profile),
        flow!(accounts::changing_the_names),
        flow!(accounts::changing_the_phone),
        flow!(accounts::disabling),
        flow!(accounts::changing_the_password),
        flow!(accounts::changing_the_password_by_the_older_path),
        flow!(accounts::deleting),
        flow!(accounts::restoring),
        flow!(accounts::purging),
        flow!(sessions::signing_in),
        flow!(sessions::signing_in_on_a_new_device),
        flow!(sessions::signing_in_wrongly),
        flow!(sessions::signing_in_with_google),
        flow!(sessions::linking_google),
        flow!(sessions::refreshing),
        flow!(sessions::logging_out),
        flow!(sessions::revoking),
        flow!(sessions::logging_out_elsewhere),
        flow!(sessions::logging_out_everywhere),
        flow!(codes::asking_for_an_email_code),
        flow!(codes::confirming_an_email),
        flow!(codes::asking_for_a_phone_code),
        flow!(codes::confirming_a_phone),
        flow!(codes::asking_for_a_recovery),
        flow!(codes::asking_for_a_recovery_of_nobody),
        flow!(codes::recovering),
        flow!(codes::delivering),
        flow!(devices::updating),
        flow!(devices::deleting),
        flow!(devices::checking_the_version),
        flow!(admin::creating_a_status),
        flow!(admin::changing_a_status),
        flow!(admin::deleting_a_status),
        flow!(admin::notifying),
        Flow { alone: true, ..flow!(admin::notifying_everybody) },
        flow!(admin::reading_notifications),
        flow!(admin::reading_all_notifications),
        flow!(admin::deleting_a_notification),
        flow!(admin::creating_an_app_version),
        flow!(admin::changing_an_app_version),
        flow!(admin::deleting_an_app_version),
        flow!(files::uploading),
        flow!(files::uploading_by_the_older_path),
        flow!(files::uploading_base64),
        flow!(files::uploading_base64_by_the_older_path),
        flow!(files::uploading_by_url),
        Flow { presigns: true, ..flow!(files::uploading_to_an_object_store) },
        flow!(files::sweeping),
        flow!(files::deleting),
        flow!(files::deleting_by_the_older_path),
        flow!(files::downloading),
        flow!(reading::what_is_ones_own),
        flow!(reading::what_an_admin_sees),
        flow!(reading::what_anybody_sees),
    ]
}
