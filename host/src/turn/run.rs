//! One turn from its input to its last frame.

use std::sync::Arc;

use gavel_log::judged::{Stage, Subject};
use gavel_log::record::Mode;
use gavel_sandbox::policy::PolicyPermits;
use gavel_sandbox::provider::{ChatStream, Message, ReadyChat};
use gavel_store::{InputFate, InputSeal, InputSealed, MessageDraft};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::attachment::Enclosed;
use super::facts::facts;
use super::frame::{FinishReason, Frame, GovernanceResult, Usage};
use super::history::{self, Prompt, Told};
use super::judge::{Judgement, SubjectFrame};
use super::lane::Lane;
use super::passage::Passage;
use super::recover::Unfinished;
use super::seal::{Judged, RecordFrame, governance_result};
use super::stateless::{self, Asked};
use super::timing::Point;
use super::{Begun, TurnError};
use crate::clock;

/// A turn under way: what all its steps need.
pub(super) struct Turn {
    pub(super) begun: Begun,
    pub(super) subject: Arc<SubjectFrame>,
    pub(super) record: RecordFrame,
    /// The names of the tools that the model is given.
    pub(super) tools: Vec<String>,
    /// Whether the answer is to be JSON.
    pub(super) structured: bool,
    pub(super) frames: Sender<Frame>,
    pub(super) cancel: CancellationToken,
    /// What the message's files add to it.
    pub(super) enclosed: Enclosed,
}

/// A lane with what permits its instances, so that these are given back after it.
type PermittedLane = (Lane, Arc<PolicyPermits>);

/// A judged input before it is sealed.
struct Input {
    judgement: Judgement,
    subject: Subject,
    passage: Passage,
}

impl Begun {
    /// Runs the turn. It sends its frames in the order of `docs/api.md`, the last of them its only `stream_end`.
    /// When nobody reads the frames any more, or on `cancel`, the turn ends as cancelled.
    ///
    /// # Errors
    /// The host's, which the client has been told of. The turn may be left open: [`close`](super::Turns::close) records its end.
    pub async fn run(mut self, frames: Sender<Frame>, cancel: CancellationToken) -> Result<(), TurnError> {
        let answer = self.answer;
        // Another worker makes the provider's instance while this one judges.
        let permit = self.provider_permit.take();
        let ready = permit.map(|permit| self.turns.plugins.providers.ready(&self.provider.binding, permit));
        let ended = match Turn::prepare(self, frames.clone(), cancel) {
            Ok(turn) => turn.run(ready).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            tracing::error!(%error, "a turn failed");
            let message = "the server could not carry out the turn".to_owned();
            let (code, retry_after) = (error.code(), error.retry_after());
            let _ = frames.send(Frame::Error { code, message, message_id: Some(answer), retry_after }).await;
            let _ = frames.send(stream_end(answer, FinishReason::Error, Usage::default())).await;
        }
        ended
    }
}

impl Turn {
    fn prepare(begun: Begun, frames: Sender<Frame>, cancel: CancellationToken) -> Result<Self, TurnError> {
        let (agent, session, turns) = (&begun.request.agent, &begun.session, &begun.turns);
        let key = turns.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
        let record = RecordFrame {
            agent: agent.id,
            session: session.id,
            key,
            openings: turns.options.openings,
            mode: agent.mode,
            engine: turns.engine.clone(),
            model: agent.model.clone(),
            provider: agent.provider.clone(),
            metrics: turns.metrics.clone(),
        };
        let subject = Arc::new(SubjectFrame {
            model: agent.model.clone(),
            provider: agent.provider.clone(),
            now_ms: u64::try_from(clock::now_ms()).unwrap_or(0),
            facts: Vec::new(),
            history: Vec::new(),
        });
        Ok(Self {
            begun,
            subject,
            record,
            tools: Vec::new(),
            structured: false,
            frames,
            cancel,
            enclosed: Enclosed::default(),
        })
    }

    async fn run(mut self, ready: Option<ReadyChat>) -> Result<(), TurnError> {
        let prompt = match self.begun.request.stateless.take() {
            Some(stateless) => {
                Arc::make_mut(&mut self.subject).facts = self.facts(0);
                stateless.prompt(&self.begun.request.agent)
            }
            None => self.session_prompt().await?,
        };
        self.structured = stateless::is_structured(&prompt.request);
        self.tools = prompt.request.tools.iter().map(|tool| tool.name.clone()).collect();
        if self.is_enforced() { self.run_enforced(ready, prompt).await } else { self.run_observed(ready, prompt).await }
    }

    /// The agent's session as a prompt, judged where need be.
    async fn session_prompt(&mut self) -> Result<Prompt, TurnError> {
        let turns = Arc::clone(&self.begun.turns);
        let conversation = history::read(&turns, &self.record, &self.begun.session, &self.begun.request.agent)?;
        Arc::make_mut(&mut self.subject).facts = self.facts(conversation.turns());
        let mut prompt = conversation.prompt(&self.begun.set, &turns.fates, &self.subject, &self.record).await?;
        self.enclosed = self.enclose(&mut prompt).await?;
        Ok(prompt)
    }

    /// Judges what the caller brought along, and tells the policies of the stages to come what was said so far.
    async fn prompted(&mut self, prompt: &mut Prompt) -> Result<(), TurnError> {
        if self.begun.detached.is_some() {
            self.judge_brought(prompt).await?;
        } else if !self.is_enforced() {
            self.observe_instructions(prompt).await?;
        }
        if self.begun.set.needs_history() {
            Arc::make_mut(&mut self.subject).history = prompt.history();
        }
        self.begun.timing.pass(Point::Prompted);
        Ok(())
    }

    /// Nothing holds anything back: the provider is called at once, and only its first chunk waits for the input's seal.
    async fn run_observed(mut self, ready: Option<ReadyChat>, mut prompt: Prompt) -> Result<(), TurnError> {
        let chat = self.start(ready, &prompt, &self.begun.request.text);
        self.prompted(&mut prompt).await?;
        let lane = self.lane_ahead();
        let input = self.judge_input(&prompt.asked).await;
        let turn = self.seal_input(&input, prompt).await?;
        self.output(chat, turn, self.opened(lane).await).await
    }

    /// The provider is called with what passed, while the input is sealed; of a blocked input it never hears.
    async fn run_enforced(mut self, ready: Option<ReadyChat>, mut prompt: Prompt) -> Result<(), TurnError> {
        self.prompted(&mut prompt).await?;
        let lane = self.lane_ahead();
        let input = self.judge_input(&prompt.asked).await;
        if input.passage.blocked {
            self.seal_input(&input, prompt).await?;
            self.begun.timing.ended(FinishReason::Blocked, Usage::default());
            self.send(stream_end(self.begun.answer, FinishReason::Blocked, Usage::default())).await;
            return Ok(());
        }
        if prompt.blocked {
            let turn = self.seal_input(&input, prompt).await?;
            return self.refuse_output(turn).await;
        }
        let chat = self.start(ready, &prompt, &input.passage.text);
        let turn = self.seal_input(&input, prompt).await?;
        self.output(chat, turn, self.opened(lane).await).await
    }

    /// Asks the provider, with the conversation and the text that passed.
    fn start(&self, ready: Option<ReadyChat>, prompt: &Prompt, text: &str) -> Option<ChatStream> {
        let mut request = prompt.request.clone();
        request.model.clone_from(&self.begun.request.agent.model);
        request.messages.push(match &prompt.asked {
            Asked::User => Message { role: prompt.asked.role(), parts: self.enclosed.parts(text) },
            asked => asked.message(text.to_owned()),
        });
        let turns = &self.begun.turns;
        let upstream = self.begun.timing.upstream();
        ready.map(|ready| match turns.credential(&self.begun.request.agent, &self.begun.provider) {
            Ok(key) => ready.ask(key, Some(upstream), request),
            Err(error) => ChatStream::failed(error),
        })
    }

    async fn judge_input(&self, asked: &Asked) -> Input {
        let (text, place) = (&self.begun.request.text, asked.place());
        let judgement = Judgement::of(&self.begun.set, &self.subject, place, self.record.mode, text).await;
        let passage = Passage::of(&judgement, text);
        self.begun.timing.pass(Point::Judged);
        Input { judgement, subject: self.subject.subject(place, text), passage }
    }

    /// The answer's lane, opened while the input is judged or sealed: in a task of its own, since judging holds this one.
    fn lane_ahead(&self) -> AbortOnDropHandle<PermittedLane> {
        let (set, subject, mode) = (Arc::clone(&self.begun.set), Arc::clone(&self.subject), self.record.mode);
        let permits = Arc::clone(&self.begun.policy_permits);
        let open = async move { (Lane::open(&set, &subject, Stage::Output, mode).await, permits) };
        AbortOnDropHandle::new(tokio::spawn(open))
    }

    /// The lane that was opened ahead, or another one, should that have panicked.
    async fn opened(&self, ahead: AbortOnDropHandle<PermittedLane>) -> Lane {
        match ahead.await {
            Ok((lane, _)) => lane,
            Err(_) => self.lane(Stage::Output).await,
        }
    }

    /// Seals the input and announces its verdict. Gives the turn's number.
    async fn seal_input(&self, input: &Input, prompt: Prompt) -> Result<u64, TurnError> {
        let (begun, record) = (&self.begun, &self.record);
        let id = begun.request.input;
        let judged = input.passage.judged(Some(id), &input.judgement, &input.subject);
        let coverage = self.enclosed.coverage(judged.coverage);
        let leaf = record.draft(&Judged { attachments: self.enclosed.attachments(), coverage, ..judged })?;
        let fate = if input.passage.blocked {
            InputFate::Blocked
        } else {
            InputFate::Open(Unfinished::of(record).to_bytes()?)
        };
        // What the caller brings along is not kept: the openings alone have it.
        let content = match &begun.detached {
            Some(_) => Vec::new(),
            None => record.key.seal(id.to_string().as_bytes(), self.enclosed.text(&input.passage.text).as_bytes())?,
        };
        let seal = InputSeal {
            agent: record.agent,
            session: record.session,
            epoch: begun.session.epoch,
            detached: begun.detached.clone(),
            input: id,
            answer: begun.answer,
            earlier: prompt.earlier,
            leaf,
            message: MessageDraft {
                id,
                role: prompt.asked.role(),
                content,
                finish_reason: None,
                judged: self.judged_by(),
                attached: self.enclosed.stored(&input.passage.text),
                created_at: clock::now_ms(),
            },
            fate,
            limits: begun.turns.quotas.of(&begun.request.agent.owner).month,
        };
        let sealed = begun.turns.store.seal_input(seal).await?;
        begun.timing.pass(Point::InputSealed);
        begun.turns.fates.remember(prompt.fates);
        if !prompt.judged.is_empty() {
            begun.turns.store.mark_judged(&record.agent, prompt.judged, begun.set.digest_in(record.mode)).await?;
            begun.turns.transcripts.forget(&record.session);
        }
        self.announce(input, prompt.told, &sealed).await;
        Ok(sealed.turn)
    }

    /// The input's verdict comes first, then those on what was brought along before it.
    async fn announce(&self, input: &Input, told: Vec<(usize, Told)>, sealed: &InputSealed) {
        self.announce_files(&sealed.earlier).await;
        let (request, answer) = (&self.begun.request, self.begun.answer);
        let (agent, owner) = (&self.record.agent, request.caller.owner);
        let result = governance_result(agent, Some(request.input), &input.judgement, &sealed.sealed, owner);
        self.send(Frame::GovernanceResult(Box::new(result))).await;
        for (place, told) in told {
            if let Some(sealed) = sealed.earlier.get(place) {
                let result = governance_result(agent, told.message, &told.judgement, sealed, owner);
                let result = GovernanceResult { stopped: told.stopped, ..result };
                self.send(Frame::GovernanceResult(Box::new(result))).await;
            }
        }
        self.send(Frame::StreamStart { message_id: answer, role: "assistant", in_reply_to: request.input }).await;
    }

    /// Whether any verdict is obeyed.
    pub(super) fn is_enforced(&self) -> bool {
        self.record.mode == Mode::Enforcing || self.begun.set.enforces(self.record.mode)
    }

    /// The bindings that have judged what this turn stores: where none is obeyed, none has held anything back.
    pub(super) fn judged_by(&self) -> Option<gavel_log::Hash> {
        self.is_enforced().then(|| self.begun.set.digest_in(self.record.mode))
    }

    /// What policies are told besides.
    fn facts(&self, session_turns: u64) -> Vec<(String, String)> {
        let request = &self.begun.request;
        facts(&request.agent, &request.caller, [("session.turns".to_owned(), session_turns.to_string())])
    }

    /// Sends a frame that belongs to the turn's end or beginning. A client that is gone does not stop the turn.
    pub(super) async fn send(&self, frame: Frame) {
        let _ = self.frames.send(frame).await;
    }
}

pub(super) fn stream_end(message_id: gavel_store::MessageId, reason: FinishReason, usage: Usage) -> Frame {
    Frame::StreamEnd { message_id, finish_reason: reason.as_str().to_owned(), usage }
}
