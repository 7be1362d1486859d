//! The world `provider-plugin`.

use super::{Exported, Slot, keep, kept};
use crate::bindings;
use crate::bindings::provider_plugin::exports::gavel::plugin::provider as wit;
use crate::provider::{Error, Provider, Sink};

fn configured<S: Slot<Plugin: Provider>>() -> Result<&'static S::Plugin, Error> {
    kept::<S>().ok_or_else(|| Error::InvalidRequest("the provider has not been configured".to_owned()))
}

impl<S: Slot<Plugin: Provider>> wit::Guest for Exported<S> {
    fn describe() -> wit::Manifest {
        S::Plugin::manifest().into()
    }

    fn configure(config_json: String) -> Result<(), String> {
        keep::<S>(S::Plugin::configure(&config_json)?).map(|_| ())
    }

    fn models() -> Result<Vec<wit::Model>, wit::Error> {
        let models = configured::<S>()?.models()?;
        Ok(models.into_iter().map(Into::into).collect())
    }

    fn chat(request: wit::Request) -> Result<wit::Completion, wit::Error> {
        let provider = configured::<S>()?;
        let completion = provider.chat(request.into(), &mut Sink::new(&mut bindings::send))?;
        Ok(completion.into())
    }
}
