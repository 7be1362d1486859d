//! The command line's manners.

use gavel_tests::gavel_command;

#[tokio::test]
async fn it_says_how_it_is_used() {
    let help = gavel_command(&["--help"]).await;
    assert_eq!(help.status, Some(0));
    for command in ["serve", "demo", "verify"] {
        assert!(help.out.contains(command), "{}", help.out);
        let help = gavel_command(&[command, "--help"]).await;
        assert_eq!(help.status, Some(0));
        assert!(help.out.contains("Example"), "{}", help.out);
    }
    for wrong in [vec![], vec!["dance"], vec!["serve", "--listen", "nowhere"], vec!["verify"]] {
        let ran = gavel_command(&wrong).await;
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.out.is_empty());
    }
}

#[tokio::test]
async fn a_misspelt_key_is_named_with_its_nearest() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("gavel.toml");
    std::fs::write(&config, "[limits]\nmesage_bytes = 1\n").unwrap();
    let data = directory.path().join("data");
    let ran =
        gavel_command(&["serve", "--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert!(ran.err.contains("limits.mesage_bytes") && ran.err.contains("limits.message_bytes"), "{ran:?}");
    assert!(!data.exists(), "nothing was begun");
}

#[tokio::test]
async fn a_configuration_is_checked_with_the_policies_that_it_binds() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gavel.toml");
    for (toml, fault) in [
        ("mandatory_policies = [{ policy = \"pii\", config = { action = \"block\" } }]", None),
        ("mandatory_policies = [{ policy = \"of-this-house\" }, { policy = \"pii@9.9.9\", config = { x = 1 } }]", None),
        (
            "mandatory_policies = [{ policy = \"pii\", config = { action = \"shout\" } }]",
            Some("mandatory_policies: the configuration of pii"),
        ),
        ("default_policies = [{ policy = \"secrets\", config = { actions = { jwt = 7 } } }]", Some("/actions/jwt")),
        ("mandatory_policies = [{ policy = \"pii\", enforcement = \"observe\" }]", Some("pii is mandatory")),
    ] {
        std::fs::write(&file, format!("[governance]\n{toml}\n")).unwrap();
        let ran = gavel_command(&["config", "check", "--config", file.to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(i32::from(fault.is_some())), "{toml}: {ran:?}");
        assert!(ran.err.contains(fault.unwrap_or_default()), "{toml}: {ran:?}");
    }
}

#[tokio::test]
async fn the_demo_shows_the_main_job_offline() {
    let demo = gavel_command(&["demo"]).await;
    assert_eq!(demo.status, Some(0), "{}\n{}", demo.out, demo.err);
    assert!(!demo.out.is_empty());
}
