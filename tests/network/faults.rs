//! The faults, one at a time.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::costs::Costs;
use crate::phases::endure;
use crate::stage::Stage;

/// Of the binary; all tests go by the same.
static COSTS: OnceCell<Costs> = OnceCell::const_new();

/// A rule that hits so many calls of a service in a hundred, the same ones each time.
fn rule(service: &str, action: &str, percent: u32) -> Value {
    json!({ "service": service, "action": action, "probability": f64::from(percent) / 100.0, "seed": 7 })
}

/// A mail server that refuses so many commands in a hundred for now.
fn mail(code: u16, percent: u32) -> Value {
    let mut rule = rule("smtp", "reply", percent);
    (rule["code"], rule["message"]) = (json!(code), json!("try again later"));
    rule
}

async fn endure_on_native(rules: Value) {
    // Before the server that is to be tried starts, for this one takes its cores.
    let costs = COSTS.get_or_init(|| async { Costs::measure(&Stage::native().await).await }).await;
    endure(&Stage::native().await, costs, rules).await;
}

async fn endure_on_the_edge(rules: Value) {
    let costs = Costs::measure(&Stage::edge().await).await;
    endure(&Stage::edge().await, &costs, rules).await;
}

/// Makes a test of each fault.
macro_rules! faults {
    ($endure:ident: $($name:ident = $rules:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $endure($rules).await;
            }
        )*
    };
}

mod store {
    use super::*;

    faults! { endure_on_native:
        throttles_1_percent = json!([rule("dynamodb", "throttle", 1)]);
        throttles_5_percent = json!([rule("dynamodb", "throttle", 5)]);
        throttles_20_percent = json!([rule("dynamodb", "throttle", 20)]);
        throttles_50_percent = json!([rule("dynamodb", "throttle", 50)]);
        fails_10_percent = json!([rule("dynamodb", "internal_error", 10)]);
        resets_10_percent = json!([rule("dynamodb", "reset", 10)]);
        resets_10_percent_of_what_it_has_done = json!([rule("dynamodb", "apply_then_reset", 10)]);
        stalls_5_percent = json!([rule("dynamodb", "stall", 5)]);
        stalls = json!([rule("dynamodb", "stall", 100)]);
        is_unavailable = json!([rule("dynamodb", "unavailable", 100)]);
    }
}

/// All others at once, for they are in the way of different steps.
mod others {
    use super::*;

    faults! { endure_on_native:
        throttle_20_percent = json!([rule("s3", "throttle", 20), rule("sns", "throttle", 20), mail(451, 20)]);
        fail_10_percent = json!([rule("s3", "internal_error", 10), rule("sns", "internal_error", 10), mail(421, 10)]);
        reset_10_percent = json!([rule("s3", "reset", 10), rule("sns", "reset", 10), rule("smtp", "reset", 10)]);
        reset_10_percent_of_what_they_have_done = json!([
            rule("s3", "apply_then_reset", 10),
            rule("sns", "apply_then_reset", 10),
            rule("smtp", "apply_then_reset", 10),
        ]);
        stall_5_percent = json!([rule("s3", "stall", 5), rule("sns", "stall", 5), rule("smtp", "stall", 5)]);
    }
}

mod edge {
    use super::*;

    faults! { endure_on_the_edge:
        throttles_20_percent = json!([rule("dynamodb", "throttle", 20), rule("s3", "throttle", 20)]);
        resets_10_percent = json!([rule("dynamodb", "reset", 10), rule("s3", "reset", 10)]);
        stalls_5_percent = json!([rule("dynamodb", "stall", 5)]);
    }
}
