//! What the app's own outbox holds, and how it is done.

use std::sync::Arc;

use super::delivery::Outbox;
use super::messages;
use super::model::{Entry, Task};
use crate::App;
use crate::error::Error;
use crate::files;
use crate::ports::background::Background;
use crate::ports::mailer::SendError;
use crate::ports::store::Store;
use crate::sessions;
use crate::time::Timestamp;
use crate::users;

impl Outbox for App {
    type Task = Task;

    fn store(&self) -> &dyn Store {
        &*self.ports.store
    }

    fn background(&self) -> &dyn Background {
        &*self.ports.background
    }

    fn now(&self) -> Timestamp {
        self.now()
    }

    fn lapses(task: &Task) -> bool {
        matches!(task, Task::Mail { .. } | Task::Sms { .. })
    }

    fn channel(task: &Task) -> &'static str {
        task.channel()
    }

    async fn perform(self: &Arc<Self>, entry: &Entry) -> Result<Result<(), SendError>, Error> {
        perform(self, entry).await
    }
}

async fn perform(app: &Arc<App>, entry: &Entry) -> Result<Result<(), SendError>, Error> {
    match &entry.task {
        Task::Nothing => Ok(Ok(())),
        Task::Mail { to, message } => {
            let mail = messages::mail(app, &entry.message_id, to, message);
            Ok(app.ports.mailer.send(&mail).await)
        }
        Task::Sms { to, user_id, nonce } => match &app.ports.sms {
            Some(sender) => Ok(sender.send(&messages::sms(app, &entry.message_id, to, user_id, nonce)).await),
            None => Ok(Err(SendError::temporary("no SMS sender is configured"))),
        },
        Task::EndSessions { user_id, except, began_before } => {
            sessions::ending::end_all(app, user_id, except.as_deref(), *began_before).await?;
            Ok(Ok(()))
        }
        Task::EndSessionsOnDevice { user_id, device_id, began_before } => {
            sessions::ending::end_on_device(app, user_id, device_id, *began_before).await?;
            Ok(Ok(()))
        }
        Task::SweepFile { file_id, object } => {
            files::sweep::sweep(app, file_id, object).await?;
            Ok(Ok(()))
        }
        Task::PurgeUser { user_id, deleted_at } => {
            users::purge::purge(app, user_id, *deleted_at).await?;
            Ok(Ok(()))
        }
    }
}
