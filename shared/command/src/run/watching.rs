//! How far it is, while it goes on.

use std::convert::Infallible;
use std::time::Duration;

use importer::Totals;
use shared::store::importer::ImportStatus;

use super::{Migration, limiting};
use crate::forecast::Amount;
use crate::screen::{Screen, Standing};

/// How often it is asked. The rows are written every few seconds.
const LOOK: Duration = Duration::from_secs(1);

impl Migration<'_> {
    /// Shows how far it is, and follows the limits, for as long as it is polled.
    pub(super) async fn watch(&self, totals: &Totals, screen: &mut Screen) -> Infallible {
        let showing = async {
            loop {
                tokio::time::sleep(LOOK).await;
                // What is not known now is known in a second.
                if let Some(standing) = self.standing(totals).await {
                    screen.show(&standing);
                }
            }
        };
        tokio::select! {
            never = limiting::follow(self.directory, self.registries) => never,
            never = showing => never,
        }
    }

    async fn standing(&self, totals: &Totals) -> Option<Standing> {
        let progress = self.importer.progress().await.ok()?;
        let asked_for: std::collections::BTreeSet<&str> =
            self.names.iter().map(|(source, _)| source.as_str()).collect();
        let mut standing = Standing {
            repositories: self.names.len() as u64,
            known: Amount {
                bytes: totals.bytes.saturating_sub(totals.bytes_there),
                items: totals.manifests + totals.tags,
            },
            ..Standing::default()
        };
        for import in progress.iter().filter(|import| asked_for.contains(import.source.as_str())) {
            match import.status {
                ImportStatus::ImportComplete => standing.complete += 1,
                ImportStatus::PreImportFailed | ImportStatus::ImportFailed => standing.failed += 1,
                _ => {}
            }
            standing.done.bytes += import.progress.bytes_done;
            standing.done.items += import.progress.manifests_done + import.progress.tags_done;
        }
        standing.known.items = standing.known.items.max(standing.done.items);
        Some(standing)
    }
}
