//! What a component may not be, have or do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_sandbox::provider::{BindError, Delta, Grant, LoadError, ProviderError, ProviderLimits};

use crate::house::{House, limits, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_has_nothing_of_the_machine() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    let (said, end) = house.say(&rogue, "see", "").await;
    assert_eq!(said, "env 0 args 0 files 0 input 0");
    end.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_a_guest_and_nothing_else() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    for behaviour in ["spin", "bomb", "recurse", "large", "panic"] {
        let begun = Instant::now();
        let (said, end) = house.say(&rogue, behaviour, "").await;
        assert_eq!(said, "");
        assert!(matches!(end, Err(ProviderError::Trap(_))), "{behaviour}: {end:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{behaviour} took {:?}", begun.elapsed());
        house.say(&rogue, "see", "").await.1.unwrap();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_looping_guest_holds_no_thread() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    let looping = house.chat(&rogue, request("spin", ""));
    // On the one thread there is, another chat still goes through.
    house.say(&rogue, "see", "").await.1.unwrap();
    assert!(matches!(looping.finish().await, Err(ProviderError::Trap(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_wait_in_order_and_in_bounds() {
    let house = House::new(&ProviderLimits { compute: Duration::from_secs(30), ..limits() });
    let rogue = house.rogue_at(&[], false).await;
    let mut stream = house.chat(&rogue, request("endless", ""));
    assert_eq!(stream.deltas.max_capacity(), 16);
    for number in 0..5000 {
        assert_eq!(stream.deltas.recv().await, Some(Delta::Text(number.to_string())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_returns_is_ended() {
    let house = House::new(&ProviderLimits { chat: Duration::from_millis(300), ..limits() });
    let rogue = house.rogue_at(&[], false).await;
    let begun = Instant::now();
    let (said, end) = house.say(&rogue, "wait", "").await;
    assert_eq!(said, "");
    assert!(matches!(end, Err(ProviderError::Timeout(_))), "{end:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooded_sink_waits_for_its_reader_and_ends_with_it() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    let mut stream = house.chat(&rogue, request("flood", ""));
    for _ in 0..64 {
        assert!(matches!(stream.deltas.recv().await, Some(Delta::Text(text)) if text.len() == 200 << 10));
    }
    // More is never held than the channel's 16 deltas; when nobody reads any more, the guest is told so and ends.
    stream.deltas.close();
    while stream.deltas.recv().await.is_some() {}
    tokio::time::timeout(Duration::from_secs(30), stream.finish()).await.expect("it ends").unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_unasked_is_the_providers_fault() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    let (_, end) = house.say(&rogue, "give-up", "").await;
    assert_eq!(end, Err(ProviderError::Unavailable("the provider gave up".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_refuses_or_loops_is_no_binding() {
    let house = House::new(&limits());
    let rogue = house.rogue().await;
    let runtime = Arc::new(house.runtime);
    let bind = async |config: &'static str| {
        let nothing = Grant { origins: Vec::new(), credential: None, allow_private: false };
        let (runtime, rogue) = (runtime.clone(), rogue.clone());
        // In a task of its own, as a server's handlers run.
        let bound = tokio::spawn(async move { runtime.bind(rogue, config, nothing).await });
        bound.await.unwrap().err().unwrap()
    };
    assert!(matches!(bind("\"refuse\"").await, BindError::Refused(why) if why == "not this one"));
    assert!(matches!(bind("\"loop\"").await, BindError::Failed(why) if why == "it took too long"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_provider_is_not_loaded() {
    let house = House::new(&limits());
    let runtime = Arc::new(house.runtime);
    let refused = async |bytes: &[u8]| {
        let (runtime, bytes) = (runtime.clone(), bytes.to_vec());
        tokio::spawn(async move { runtime.load(&bytes).await.err() }).await.unwrap().unwrap()
    };
    assert!(matches!(refused(b"\0asm\x01\0\0\0").await, LoadError::Compile(_) | LoadError::World(_)));
    assert!(matches!(refused(b"rubbish").await, LoadError::Compile(_)));
    assert!(matches!(refused(b"\0asm\x0d\0\x01\0").await, LoadError::World(_)));
    let importing = importing("wasi:sockets/tcp@0.2.6");
    assert!(matches!(refused(&importing).await, LoadError::Import(name) if name == "wasi:sockets/tcp@0.2.6"));
    assert!(matches!(refused(&vec![0; (64 << 20) + 1]).await, LoadError::TooLarge { .. }));
}

/// A component that does nothing but import an empty instance of this name.
fn importing(name: &str) -> Vec<u8> {
    let mut import = vec![1, 0, u8::try_from(name.len()).unwrap()];
    import.extend_from_slice(name.as_bytes());
    import.extend_from_slice(&[5, 0]);
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend_from_slice(&[7, 3, 1, 0x42, 0]);
    component.extend_from_slice(&[10, u8::try_from(import.len()).unwrap()]);
    component.extend_from_slice(&import);
    component
}
