//! What a manifest says: the one layer that is the component, and cosign's signatures.

use gavel_log::Hash;
use gavel_sandbox::policy::MAX_COMPONENT_BYTES;
use oci_spec::image::{Descriptor, ImageManifest};
use serde::Deserialize;

use super::OciError;

/// The layer's media type in the layout of the CNCF's TAG Runtime.
const WASM: &str = "application/wasm";
/// The one that was used before it.
const WASM_BEFORE: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// Cosign's payloads.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where cosign keeps the signature of a payload.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Most signatures that are looked at.
const MAX_SIGNATURES: usize = 16;
/// Most bytes of a payload.
pub(super) const MAX_PAYLOAD_BYTES: u64 = 64 * 1024;

/// A blob as a manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Hash,
    pub(super) size: u64,
}

/// What tells an index, which has manifests for several platforms, from a manifest.
#[derive(Deserialize)]
struct Kind {
    manifests: Option<serde::de::IgnoredAny>,
}

/// The component's layer. There is exactly one; layers of other kinds, a licence for instance, do not matter, nor does
/// the artifact's configuration: what counts about a plugin stands in the component.
pub(super) fn component(manifest: &[u8]) -> Result<Blob, OciError> {
    let refused = |why: String| Err(OciError::NoPlugin(why));
    let manifest = parsed(manifest).map_err(OciError::NoPlugin)?;
    let is_wasm = |layer: &&Descriptor| [WASM, WASM_BEFORE].contains(&layer.media_type().as_ref());
    let layers: Vec<_> = manifest.layers().iter().filter(is_wasm).collect();
    let layer = match layers.as_slice() {
        [layer] => blob(layer).map_err(OciError::NoPlugin)?,
        [] => return refused(format!("it has no layer of the type {WASM} or {WASM_BEFORE}")),
        several => return refused(format!("it has {} layers of WebAssembly, and not one", several.len())),
    };
    if layer.size > MAX_COMPONENT_BYTES as u64 {
        return Err(OciError::TooLarge(layer.size));
    }
    Ok(layer)
}

/// The payloads that cosign signed, each with its signature as base64. What is none of that is passed over: the tag that
/// they stand under may hold others' too.
pub(super) fn signatures(manifest: &[u8]) -> Result<Vec<(Blob, String)>, String> {
    let manifest = parsed(manifest)?;
    let signatures = manifest.layers().iter().filter_map(|layer| {
        let signature = layer.annotations().as_ref()?.get(SIGNATURE)?.clone();
        let blob = blob(layer).ok().filter(|blob| blob.size <= MAX_PAYLOAD_BYTES)?;
        (layer.media_type().as_ref() == SIMPLE_SIGNING).then_some((blob, signature))
    });
    Ok(signatures.take(MAX_SIGNATURES).collect())
}

fn parsed(manifest: &[u8]) -> Result<ImageManifest, String> {
    let kind: Kind = serde_json::from_slice(manifest).map_err(|error| format!("its manifest: {error}"))?;
    if kind.manifests.is_some() {
        return Err("it is an index of several manifests: name one of them by its digest".to_owned());
    }
    serde_json::from_slice(manifest).map_err(|error| format!("its manifest: {error}"))
}

fn blob(descriptor: &Descriptor) -> Result<Blob, String> {
    let digest = descriptor.digest().to_string();
    let digest = Hash::parse_tagged(&digest).map_err(|_| format!("the digest {digest} is no SHA-256"))?;
    Ok(Blob { digest, size: descriptor.size() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn layer(media_type: &str, size: u64) -> Value {
        json!({"mediaType": media_type, "digest": Hash::of(b"layer").tagged(), "size": size})
    }

    fn read(layers: &[Value]) -> Result<Blob, OciError> {
        let config = layer("application/vnd.wasm.config.v0+json", 2);
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                              "config": config, "layers": layers});
        component(manifest.to_string().as_bytes())
    }

    #[test]
    fn there_is_one_layer_of_webassembly() {
        let found = Blob { digest: Hash::of(b"layer"), size: 7 };
        assert_eq!(read(&[layer(WASM, 7)]).unwrap(), found);
        assert_eq!(read(&[layer("text/plain", 3), layer(WASM_BEFORE, 7)]).unwrap(), found);
        for layers in [vec![], vec![layer("text/plain", 3)], vec![layer(WASM, 7), layer(WASM_BEFORE, 7)]] {
            assert!(matches!(read(&layers), Err(OciError::NoPlugin(_))), "{layers:?}");
        }
        assert!(matches!(read(&[layer(WASM, 64 << 21)]), Err(OciError::TooLarge(_))));
    }

    #[test]
    fn what_is_no_manifest_is_no_plugin() {
        let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
        assert!(component(index.as_bytes()).unwrap_err().to_string().contains("index"));
        for text in ["", "[]", "{}", r#"{"schemaVersion":2}"#] {
            assert!(matches!(component(text.as_bytes()), Err(OciError::NoPlugin(_))), "{text}");
        }
        let weak = json!({"mediaType": WASM, "digest": "md5:0123", "size": 7});
        assert!(matches!(read(&[weak]), Err(OciError::NoPlugin(_))));
    }
}
