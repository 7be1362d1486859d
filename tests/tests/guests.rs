//! Small plugins in as many versions as a story wants: a test writes others over the texts that they keep for that.

use std::sync::OnceLock;

use crate::components;

/// The name of [`marker`].
pub(crate) const MARKER: &str = "marker-policy-00";

/// The version `1.N.0` of a policy that puts `[mark]` for every `#`; 1000 to 9999.
pub(crate) fn marker(version: u16) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut component = BUILT.get_or_init(|| components::build("gavel-policy-marker")).clone();
    write(&mut component, "1.1000.0", &format!("1.{version:04}.0"));
    component
}

/// The same under another name, of as many characters.
pub(crate) fn marker_named(name: &str, version: u16) -> Vec<u8> {
    let mut component = marker(version);
    write(&mut component, MARKER, name);
    component
}

/// The name of [`acme`].
pub(crate) const ACME: &str = "acme-provider-00";

/// The version `1.N.0` of a provider that posts to both of these ports of this machine, the second one first.
pub(crate) fn acme(version: u16, ports: [u16; 2]) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut component = BUILT.get_or_init(|| components::build("gavel-provider-acme")).clone();
    write(&mut component, "1.1000.0", &format!("1.{version:04}.0"));
    for (place, port) in ["127.0.0.1:10001", "127.0.0.1:10002"].into_iter().zip(ports) {
        write(&mut component, place, &format!("127.0.0.1:{port:05}"));
    }
    component
}

/// The same component with a custom section more: other bytes, and so another digest.
pub(crate) fn rebuilt(component: &[u8], note: u8) -> Vec<u8> {
    let custom = [0, 6, 4, b'n', b'o', b't', b'e', note];
    [component, &custom].concat()
}

/// Writes a text over each place of another one that is as long.
fn write(component: &mut [u8], over: &str, text: &str) {
    assert_eq!(over.len(), text.len(), "{text} does not fit over {over}");
    let places: Vec<_> =
        component.windows(over.len()).enumerate().filter(|(_, at)| *at == over.as_bytes()).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{over} is not in the component");
    for place in places {
        component[place..place + text.len()].copy_from_slice(text.as_bytes());
    }
}
