// One exchange with the API. It takes `fetch` and where the text goes, so that its tests need neither a host nor a network.

import { events } from './sse.js';

const FINISH_REASONS = { stop: 'stop', length: 'length', content_filter: 'content-filter' };

/** Asks, hands on each piece of text as it comes, and gives the interface's `completion`. Throws its `error`. */
export async function answer(baseUrl, request, send, fetch) {
  const response = await ask(baseUrl, request, fetch);
  let completion = { finishReason: 'stop', usage: undefined, model: undefined };
  let begun = false;
  try {
    for await (const data of events(response.body)) {
      if (data === '[DONE]') return completion;
      const chunk = JSON.parse(data);
      const [choice] = chunk.choices ?? [];
      const text = choice?.delta?.content;
      if (text) {
        begun = true;
        deliver(send, text);
      }
      completion = {
        finishReason: FINISH_REASONS[choice?.finish_reason] ?? completion.finishReason,
        usage: usage(chunk.usage) ?? completion.usage,
        model: chunk.model ?? completion.model,
      };
    }
  } catch (error) {
    if (error.tag) throw error;
    // After the first delta nothing is tried again; before it, the host may.
    throw { tag: begun ? 'interrupted' : 'unavailable', val: String(error.message ?? error) };
  }
  throw { tag: begun ? 'interrupted' : 'unavailable', val: 'the stream ended without [DONE]' };
}

async function ask(baseUrl, request, fetch) {
  if (request.tools.length > 0) throw { tag: 'invalid-request', val: 'this provider knows no tools' };
  let response;
  try {
    response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify(body(request)),
    });
  } catch (error) {
    throw { tag: 'unavailable', val: String(error.message ?? error) };
  }
  if (response.ok) return response;
  throw refusal(response);
}

function body(request) {
  return {
    model: request.model,
    messages: request.messages.map(({ role, parts }) => ({ role, content: parts.map(text).join('') })),
    max_tokens: request.maxOutputTokens,
    temperature: request.temperature,
    top_p: request.topP,
    stop: request.stop.length > 0 ? request.stop : undefined,
    stream: true,
    stream_options: { include_usage: true },
  };
}

function text(part) {
  if (part.tag === 'text') return part.val;
  throw { tag: 'invalid-request', val: `this provider speaks text only, and was given ${part.tag}` };
}

function refusal(response) {
  const { status } = response;
  if (status === 401 || status === 403) return { tag: 'unauthorized', val: `status ${status}` };
  if (status === 429) {
    const seconds = Number(response.headers.get('retry-after') ?? NaN);
    return { tag: 'rate-limited', val: Number.isFinite(seconds) ? BigInt(Math.ceil(seconds * 1000)) : undefined };
  }
  return { tag: status < 500 ? 'invalid-request' : 'unavailable', val: `status ${status}` };
}

/** The host refuses a delta when nobody reads any more: a chat that is cancelled ends here. */
function deliver(send, text) {
  try {
    send(text);
  } catch {
    throw { tag: 'cancelled' };
  }
}

function usage(usage) {
  if (!usage) return undefined;
  return {
    inputTokens: BigInt(usage.prompt_tokens ?? 0),
    outputTokens: BigInt(usage.completion_tokens ?? 0),
    cacheReadTokens: undefined,
    cacheWriteTokens: undefined,
    reasoningTokens: undefined,
  };
}
