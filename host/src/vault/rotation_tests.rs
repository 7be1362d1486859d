use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_log::record::Mode;
use gavel_log::{Chain, Origin, SigningKey};
use gavel_store::{Agent, AgentState, MonthUsage, SessionId, StoreOptions};

use super::*;

/// An installation: its data directory, its configuration and the store in it.
struct Home {
    directory: tempfile::TempDir,
    config: Config,
    store: Store,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        let signer = SigningKey::from_seed([7; 32], Origin::parse("gavel.localhost/rotation").unwrap());
        let store = Store::open(directory.path(), signer, StoreOptions::default()).unwrap();
        Self { directory, config, store }
    }

    /// A start of the server.
    async fn start(&self) -> Result<Vault, RotateError> {
        let vault = Vault::open(&self.config)?;
        vault.settle(&self.store).await?;
        Ok(vault)
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("master-key")
    }

    fn key(&self) -> MasterKey {
        master::read(&self.key_file()).unwrap().unwrap()
    }

    fn put_key(&self, key: &MasterKey) {
        replace_private(&self.key_file(), &key.to_file()).unwrap();
    }

    /// An agent with a session's key.
    async fn agent(&self, vault: &Vault) -> (AgentId, SessionId, Vec<u8>) {
        let (id, session) = (AgentId::generate(), SessionId::generate());
        let agent = Agent {
            id,
            owner: "alice".parse().unwrap(),
            name: "My Agent".into(),
            model: "demo".into(),
            provider: "demo".into(),
            mode: Mode::Transparent,
            system_prompt: None,
            labels: BTreeMap::new(),
            policies: Vec::new(),
            state: AgentState::Stopped,
            session: None,
            last_checkpoint: None,
            usage: MonthUsage::default(),
            wrapped_data_key: vault.new_data_key(&id).unwrap(),
            chain: Chain([0; 16]),
            created_at: 0,
            updated_at: 0,
        };
        let wrapped = vault.new_session_key(&id, &agent.wrapped_data_key, &session).unwrap();
        self.store.create_agent(agent).await.unwrap();
        (id, session, wrapped)
    }

    fn opens(&self, vault: &Vault, (id, session, wrapped): &(AgentId, SessionId, Vec<u8>)) -> bool {
        let agent = self.store.agent(id).unwrap().unwrap();
        vault.session_key(id, &agent.wrapped_data_key, session, wrapped).is_ok()
    }
}

#[tokio::test]
async fn everything_opens_under_the_new_key_alone() {
    let home = Home::new();
    let vault = home.start().await.unwrap();
    let mut agents = Vec::new();
    for _ in 0..3 {
        agents.push(home.agent(&vault).await);
    }
    let before = home.store.agent(&agents[0].0).unwrap().unwrap().wrapped_data_key;
    let old = home.key();
    let rotated = vault.rotate(&home.store, None).await.unwrap();
    assert_eq!((rotated.data_keys, rotated.file), (3, Some(home.key_file())));
    assert_eq!(home.key().name(), rotated.name);
    assert!(!beside(&home.key_file()).exists());
    let (id, session, wrapped) = &agents[0];
    assert!(vault.session_key(id, &before, session, wrapped).is_ok(), "what was read before the change still opens");
    agents.push(home.agent(&vault).await);

    let started = home.start().await.unwrap();
    assert!(agents.iter().all(|agent| home.opens(&started, agent)));
    home.put_key(&old);
    let refused = home.start().await.err().unwrap();
    assert!(matches!(&refused, RotateError::Another { given, .. } if given == old.name()), "{refused}");
    assert!(
        agents.iter().all(|agent| !home.opens(&Vault::open(&home.config).unwrap(), agent)),
        "the old key opens none"
    );
}

#[tokio::test]
async fn a_change_that_was_broken_off_is_finished_with_either_key() {
    for with_the_new_one in [false, true] {
        for rewrapped in [false, true] {
            let home = Home::new();
            let vault = home.start().await.unwrap();
            let agents = [home.agent(&vault).await, home.agent(&vault).await];
            vault.begin(&home.store, None).await.unwrap();
            let Masters { current: next, former } = vault.masters();
            if rewrapped {
                rewrap_all(&home.store, &next, former.as_deref()).await.unwrap();
            }
            if with_the_new_one {
                home.put_key(&next);
            }
            drop(vault);

            let started = home.start().await.unwrap();
            assert_eq!(home.key().name(), next.name());
            assert!(agents.iter().all(|agent| home.opens(&started, agent)));
            let state = home.store.master_key().unwrap().unwrap();
            assert_eq!(state, MasterKeyState { current: next.name().to_owned(), change: None });
            assert!(!beside(&home.key_file()).exists());
        }
    }
}

#[tokio::test]
async fn a_third_key_finishes_nothing() {
    let home = Home::new();
    let vault = home.start().await.unwrap();
    let agent = home.agent(&vault).await;
    vault.begin(&home.store, None).await.unwrap();
    let old = home.key();
    home.put_key(&MasterKey::generate());
    assert!(matches!(home.start().await, Err(RotateError::Another { .. })));
    home.put_key(&old);
    assert!(home.opens(&home.start().await.unwrap(), &agent));
}

#[tokio::test]
async fn a_given_key_is_taken_once() {
    let home = Home::new();
    let vault = home.start().await.unwrap();
    let given = || NewMasterKey::parse(&STANDARD.encode([9; 32]), "test").unwrap();
    let rotated = vault.rotate(&home.store, Some(given())).await.unwrap();
    assert_eq!(rotated.name, given().0.name());
    let again = vault.rotate(&home.store, Some(given())).await.unwrap_err();
    assert!(matches!(again, RotateError::SameKey) && again.is_refusal());

    vault.begin(&home.store, None).await.unwrap();
    let refused = vault.rotate(&home.store, Some(given())).await.unwrap_err();
    assert!(matches!(refused, RotateError::UnderWay(_)) && refused.is_refusal());
    assert_eq!(
        vault.rotate(&home.store, None).await.unwrap().name,
        home.key().name(),
        "it is finished by another call"
    );
}

#[tokio::test]
async fn agents_that_are_made_meanwhile_are_not_missed() {
    let home = Home::new();
    let vault = Arc::new(home.start().await.unwrap());
    let steady = vault.steady().await;
    let made = home.agent(&vault).await;
    let rotation = Rotation::of_server(home.store.clone(), vault.clone());
    let rotating = tokio::spawn(async move { rotation.rotate(None).await });
    tokio::task::yield_now().await;
    drop(steady);
    rotating.await.unwrap().unwrap();
    assert!(home.opens(&home.start().await.unwrap(), &made));
}

#[tokio::test]
async fn a_key_file_that_cannot_be_written_stops_it_before_it_begins() {
    let home = Home::new();
    let vault = home.start().await.unwrap();
    std::fs::create_dir(beside(&home.key_file())).unwrap();
    assert!(matches!(vault.rotate(&home.store, None).await, Err(RotateError::KeyFile(_))));
    assert_eq!(home.store.master_key().unwrap().unwrap().change, None);
}

#[test]
fn a_command_makes_no_master_key() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
    assert!(matches!(Vault::existing(&config), Err(VaultError::NoKeyFile(_))));
    assert!(!directory.path().join("master-key").exists());
}
