//! What answers: the server, and the dyndns2 endpoint before its zones.
//!
//! **Invariant:** it changes as a whole or not at all: sockets are opened and zones read before anything is seen of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dns::server::Server;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::background::Background;
use crate::cloud::dyndns2::{self, Endpoint, Names};
use crate::config;

/// A request that is being answered keeps the server a moment longer.
const LAST_READERS: Duration = Duration::from_millis(20);
const MAX_WAITS: usize = 25;

/// What answers; at first nothing.
#[derive(Default)]
pub(super) struct Serving {
    pub(super) server: Option<Arc<Server>>,
    dyndns2: Endpoint,
    /// Once there was a server.
    background: Option<Background>,
}

impl Serving {
    /// Answers as these settings say. No query is lost to a change. Takes as long as reading the zones does.
    ///
    /// # Errors
    /// When that cannot be; then nothing has changed.
    pub(super) async fn change(&mut self, settings: Option<&config::Dns>) -> anyhow::Result<()> {
        let Some(settings) = settings.filter(|settings| settings.serves()) else {
            self.stop().await;
            return Ok(());
        };
        let wanted = settings.server.clone();
        let endpoint = settings.dyndns2.as_ref().map(|dyndns2| self.dyndns2.prepare(dyndns2, wanted.tls.as_ref()));
        let endpoint = endpoint.transpose()?;
        let server = match self.server.clone() {
            Some(server) => {
                let reloading = server.clone();
                spawn_blocking(move || reloading.reload(&wanted))
                    .await
                    .context("the change of the DNS server was broken off")??;
                server
            }
            None => {
                let background = match self.background.take() {
                    Some(background) => background,
                    None => Background::start().context("cannot start the threads of the DNS server")?,
                };
                let runtime = self.background.insert(background).handle().clone();
                // From a thread of the daemon: those that answer are as nice as the one that starts them.
                let started = spawn_blocking(move || Server::start(wanted, &runtime)).await;
                Arc::new(started.context("the start of the DNS server was broken off")??)
            }
        };
        // From here on nothing fails.
        match endpoint.zip(settings.dyndns2.as_ref()) {
            Some((prepared, dyndns2)) => {
                let submit = dyndns2::submit_to(server.store().clone());
                let names = Names { settings: Arc::new(settings.server.clone()), submit, ttl: dyndns2.ttl };
                self.dyndns2.apply(prepared, names).await;
            }
            None => self.dyndns2.close().await,
        }
        self.server = Some(server);
        Ok(())
    }

    /// Ends in good order, as far as nobody else holds the server.
    pub(super) async fn stop(&mut self) {
        self.dyndns2.close().await;
        let Some(mut server) = self.server.take() else { return };
        for _ in 0..MAX_WAITS {
            match Arc::try_unwrap(server) {
                Ok(last) => return last.stop().await,
                Err(shared) => server = shared,
            }
            sleep(LAST_READERS).await;
        }
        tracing::warn!("the DNS server is still being read from, and ends without waiting");
    }
}
