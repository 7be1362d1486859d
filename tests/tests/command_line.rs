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
async fn the_demo_shows_the_main_job_offline() {
    let demo = gavel_command(&["demo"]).await;
    assert_eq!(demo.status, Some(0), "{}\n{}", demo.out, demo.err);
    assert!(!demo.out.is_empty());
}
