//! Random stories, told to the store and to a model of it that fits on a page.

use proptest::prelude::*;

use super::medium::Medium;
use super::*;
use crate::OpenTurn;

const AGENTS: usize = 2;
const REASONS: [&str; 4] = ["stop", "blocked", "interrupted", "cancelled"];

#[derive(Clone, Debug)]
enum Op {
    Start { agent: usize, force_new: bool },
    Stop { agent: usize },
    Input { agent: usize, blocked: bool, earlier: usize },
    Again { agent: usize, which: usize },
    Output { agent: usize, which: usize, reason: usize, answered: bool },
    Checkpoint { agent: usize },
    Restore { agent: usize, which: usize },
    Clear { agent: usize },
    Erase,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let agent = 0..AGENTS;
    let op = prop_oneof![
        3 => (agent.clone(), any::<bool>()).prop_map(|(agent, force_new)| Op::Start { agent, force_new }),
        1 => agent.clone().prop_map(|agent| Op::Stop { agent }),
        6 => (agent.clone(), any::<bool>(), 0..3_usize)
            .prop_map(|(agent, blocked, earlier)| Op::Input { agent, blocked, earlier }),
        1 => (agent.clone(), 0..8_usize).prop_map(|(agent, which)| Op::Again { agent, which }),
        6 => (agent.clone(), 0..8_usize, 0..REASONS.len(), any::<bool>())
            .prop_map(|(agent, which, reason, answered)| Op::Output { agent, which, reason, answered }),
        1 => agent.clone().prop_map(|agent| Op::Checkpoint { agent }),
        2 => (agent.clone(), 0..4_usize).prop_map(|(agent, which)| Op::Restore { agent, which }),
        1 => agent.prop_map(|agent| Op::Clear { agent }),
        1 => Just(Op::Erase),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..40)
}

/// A turn as the model remembers it.
#[derive(Clone)]
struct Turn {
    session: SessionId,
    number: u64,
    seal: InputSeal,
    end: Option<(Option<String>, &'static str, Option<OutputSealed>)>,
    cleared: bool,
    erased: bool,
}

/// A checkpoint, with the turns that were history when it was made.
#[derive(Clone)]
struct Mark {
    id: CheckpointId,
    session: SessionId,
    history: Vec<usize>,
}

#[derive(Clone)]
struct Model {
    agent: AgentId,
    running: bool,
    session: Option<SessionId>,
    checkpoint: Option<SessionId>,
    marks: Vec<Mark>,
    turns: Vec<Turn>,
    /// The turns that are history, by session.
    history: HashMap<SessionId, Vec<usize>>,
    epochs: HashMap<SessionId, u64>,
    leaves: u64,
}

impl Model {
    fn of(agent: AgentId) -> Self {
        Self {
            agent,
            running: false,
            session: None,
            checkpoint: None,
            marks: Vec::new(),
            turns: Vec::new(),
            history: HashMap::new(),
            epochs: HashMap::new(),
            leaves: 0,
        }
    }

    fn begun(&self, session: SessionId) -> usize {
        self.turns.iter().filter(|turn| turn.session == session).count()
    }

    fn of_session(&self, session: SessionId) -> impl DoubleEndedIterator<Item = &Turn> {
        self.history.get(&session).into_iter().flatten().map(|turn| &self.turns[*turn])
    }

    fn mark(&mut self, id: CheckpointId, session: SessionId) {
        self.checkpoint = Some(session);
        let history = self.history.get(&session).cloned().unwrap_or_default();
        self.marks.push(Mark { id, session, history });
    }

    fn question(turn: &Turn) -> String {
        match turn.seal.fate {
            InputFate::Open(_) => String::from_utf8(turn.seal.message.content.clone()).unwrap(),
            InputFate::Blocked => String::new(),
        }
    }

    fn messages(&self, session: SessionId) -> Vec<String> {
        self.of_session(session)
            .flat_map(|turn| {
                let answer = turn.end.as_ref().and_then(|(answer, ..)| answer.clone());
                [Some(Self::question(turn)), answer].into_iter().flatten()
            })
            .collect()
    }

    fn history(&self, session: SessionId, after: u64) -> Vec<String> {
        self.of_session(session)
            .filter(|turn| turn.number > after)
            .filter_map(|turn| turn.end.as_ref().map(|end| (turn, end)))
            .filter(|(_, (_, reason, sealed))| sealed.is_some() && ["stop", "cancelled"].contains(reason))
            .flat_map(|(turn, (answer, ..))| [Some(Self::question(turn)), answer.clone()].into_iter().flatten())
            .collect()
    }

    fn open(&self) -> Vec<OpenTurn> {
        let open = self.turns.iter().filter(|turn| turn.end.is_none());
        open.map(|turn| OpenTurn {
            agent: self.agent,
            session: turn.session,
            turn: turn.number,
            input: turn.seal.input,
            answer: turn.seal.answer,
            data: b"recovery".to_vec(),
        })
        .collect()
    }
}

async fn start_op(store: &Store, model: &mut Model, force_new: bool) {
    let draft = start(force_new);
    let id = draft.id;
    let started = store.start_agent(&model.agent, draft).await.unwrap();
    if !model.running {
        let resumed = model.checkpoint.filter(|_| !force_new);
        model.session = Some(resumed.unwrap_or(id));
        model.running = true;
        assert_eq!(started.resumed_from.is_some(), resumed.is_some());
    }
    assert_eq!(Some(started.session_id), model.session);
}

async fn stop_op(store: &Store, model: &mut Model) {
    let draft = CheckpointDraft { id: CheckpointId::generate(), now: 0 };
    match store.stop_agent(&model.agent, draft).await {
        Ok(checkpoint) => {
            if model.running {
                model.mark(checkpoint.id, checkpoint.session_id);
            }
            assert_eq!(Some(checkpoint.session_id), model.checkpoint);
        }
        Err(error) => assert!(matches!(error, StoreError::NotFound(_)) && model.checkpoint.is_none(), "{error}"),
    }
    model.running = false;
}

async fn input_op(store: &Store, model: &mut Model, blocked: bool, earlier: usize) {
    let Some(session) = model.session else { return };
    let actor = Actor { store: store.clone(), agent: model.agent, session };
    let mut seal = actor.input(&format!("question {}", model.turns.len()));
    seal.earlier = (0..earlier).map(|_| leaf(None)).collect();
    if blocked {
        seal.fate = InputFate::Blocked;
    }
    let outcome = store.seal_input(seal.clone()).await;
    if !model.running {
        assert!(matches!(outcome, Err(StoreError::AgentNotRunning(_))));
        return;
    }
    let sealed = outcome.unwrap();
    let before = model.begun(session);
    assert_eq!(sealed.turn, u64::try_from(before).unwrap() + 1);
    model.leaves += u64::try_from(earlier).unwrap();
    assert_eq!(sealed.sealed.seq, model.leaves);
    model.leaves += 1;
    check_receipt(store, &sealed.sealed);
    let end = blocked.then_some((None, "blocked", None));
    model.history.entry(session).or_default().push(model.turns.len());
    model.turns.push(Turn { session, number: sealed.turn, seal, end, cleared: false, erased: false });
}

async fn checkpoint_op(store: &Store, model: &mut Model) {
    let draft = CheckpointDraft { id: CheckpointId::generate(), now: 0 };
    match store.create_checkpoint(&model.agent, draft).await {
        Ok(checkpoint) => {
            assert_eq!(store.create_checkpoint(&model.agent, draft).await.unwrap(), checkpoint, "made once");
            assert_eq!(Some(checkpoint.session_id), model.session);
            model.mark(checkpoint.id, checkpoint.session_id);
        }
        Err(error) => assert!(matches!(error, StoreError::NotFound(_)) && model.session.is_none(), "{error}"),
    }
}

async fn restore_op(store: &Store, model: &mut Model, which: usize) {
    let Some(mark) = model.marks.get(which).cloned() else { return };
    let open = model.turns.iter().any(|turn| turn.session == mark.session && turn.end.is_none());
    match store.restore_checkpoint(&model.agent, &mark.id, 0).await {
        Ok(checkpoint) => {
            assert!(!model.running && !open);
            assert_eq!(checkpoint.session_id, mark.session);
            let kept = mark.history.iter().copied().filter(|turn| !model.turns[*turn].cleared);
            model.history.insert(mark.session, kept.collect());
            *model.epochs.entry(mark.session).or_default() += 1;
            (model.session, model.checkpoint) = (Some(mark.session), Some(mark.session));
        }
        Err(StoreError::AgentRunning(_)) => assert!(model.running),
        Err(StoreError::TurnsOpen(_)) => assert!(open),
        Err(error) => panic!("{error}"),
    }
}

async fn clear_op(store: &Store, model: &mut Model) {
    let Some(session) = model.session else { return };
    store.clear_session(&model.agent, &session, vec![7, 8, 9]).await.unwrap();
    model.history.remove(&session);
    *model.epochs.entry(session).or_default() += 1;
    for turn in model.turns.iter_mut().filter(|turn| turn.session == session) {
        turn.cleared = true;
    }
}

async fn erase_op(store: &Store, models: &mut [Model]) {
    for erasure in store.erasures(1000).unwrap() {
        while store.erase(erasure).await.unwrap() {}
    }
    assert_eq!(store.erasures(1000).unwrap(), []);
    for turn in models.iter_mut().flat_map(|model| &mut model.turns) {
        turn.erased |= turn.cleared && turn.end.is_some();
    }
}

async fn again_op(store: &Store, model: &Model, which: usize) {
    let Some(turn) = model.turns.get(which) else {
        return;
    };
    let outcome = store.seal_input(turn.seal.clone()).await;
    let stale = turn.seal.epoch != model.epochs.get(&turn.session).copied().unwrap_or(0);
    match outcome {
        Err(StoreError::DuplicateMessage(_)) => {
            assert!(model.running && model.session == Some(turn.session) && !stale);
        }
        Err(StoreError::SessionChanged(_)) => assert!(model.running && stale),
        Err(StoreError::SessionEnded(_)) => assert_ne!(model.session, Some(turn.session)),
        Err(StoreError::AgentNotRunning(_)) => assert!(!model.running),
        other => panic!("{other:?}"),
    }
}

async fn output_op(store: &Store, model: &mut Model, which: usize, reason: usize, answered: bool) {
    let Some(turn) = model.turns.get_mut(which) else {
        return;
    };
    let actor = Actor { store: store.clone(), agent: model.agent, session: turn.session };
    let text = if answered { format!("answer {which}") } else { String::new() };
    let answered = answered && !turn.cleared;
    let outcome = store.seal_output(actor.output(turn.number, turn.seal.answer, &text, REASONS[reason])).await;
    match &turn.end {
        Some(_) if turn.erased => assert!(matches!(outcome, Err(StoreError::NotFound(_)))),
        Some((_, _, None)) => assert!(matches!(outcome, Err(StoreError::TurnBlocked(_)))),
        Some((_, _, Some(before))) => assert_eq!(outcome.unwrap(), *before),
        None => {
            let sealed = outcome.unwrap();
            assert_eq!(sealed.sealed.seq, model.leaves);
            model.leaves += 1;
            turn.end = Some((answered.then_some(text), REASONS[reason], Some(sealed)));
        }
    }
}

fn compare(store: &Store, models: &[Model]) {
    assert_eq!(store.head().size, models.iter().map(|model| model.leaves).sum::<u64>());
    let mut open: Vec<OpenTurn> = models.iter().flat_map(Model::open).collect();
    open.sort_by_key(|turn| (turn.session, turn.turn));
    assert_eq!(store.open_turns().unwrap(), open);
    for model in models {
        let agent = store.agent(&model.agent).unwrap().unwrap();
        assert_eq!((agent.state == AgentState::Running, agent.session), (model.running, model.session));
        let sessions: std::collections::BTreeSet<SessionId> = model.turns.iter().map(|turn| turn.session).collect();
        for session in sessions {
            assert_eq!(texts(&store.messages(&session, None, 1000).unwrap()), model.messages(session));
            for after in [0, 2, u64::MAX] {
                assert_eq!(said(&store.history(&session, after, 1000).unwrap()), model.history(session, after));
            }
        }
    }
    audit(store);
}

async fn tell(ops: Vec<Op>) {
    let medium = Medium::default();
    let mut store = medium.open().unwrap();
    let mut models = Vec::new();
    for _ in 0..AGENTS {
        let agent = new_agent("alice");
        store.create_agent(agent.clone()).await.unwrap();
        models.push(Model::of(agent.id));
    }
    for op in ops {
        match op {
            Op::Start { agent, force_new } => start_op(&store, &mut models[agent], force_new).await,
            Op::Stop { agent } => stop_op(&store, &mut models[agent]).await,
            Op::Input { agent, blocked, earlier } => {
                input_op(&store, &mut models[agent], blocked, earlier).await;
            }
            Op::Again { agent, which } => again_op(&store, &models[agent], which).await,
            Op::Output { agent, which, reason, answered } => {
                output_op(&store, &mut models[agent], which, reason, answered).await;
            }
            Op::Checkpoint { agent } => checkpoint_op(&store, &mut models[agent]).await,
            Op::Restore { agent, which } => restore_op(&store, &mut models[agent], which).await,
            Op::Clear { agent } => clear_op(&store, &mut models[agent]).await,
            Op::Erase => erase_op(&store, &mut models).await,
            Op::Reopen => {
                store.close();
                store = medium.open().unwrap();
            }
        }
    }
    compare(&store, &models);
    store.close();
    compare(&medium.open().unwrap(), &models);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_does_what_its_model_does(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(tell(ops));
    }
}
