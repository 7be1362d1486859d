"""OpenAI's own Python client against Gavel, unchanged: its key and base URL come from the environment that it reads."""

import asyncio
import json
import os

import openai

AGENT = os.environ["GAVEL_AGENT"]
BLOCKING = os.environ["GAVEL_BLOCKING_AGENT"]
CARD = "4111 1111 1111 1111"
TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time somewhere.",
        "parameters": {"type": "object", "properties": {"question": {"type": "string"}}},
    },
}]


def user(text):
    return [{"role": "user", "content": text}]


def models(client):
    assert AGENT in [model.id for model in client.models.list()]
    assert client.models.retrieve(AGENT).owned_by == "gavel"


def whole(client):
    raw = client.chat.completions.with_raw_response.create(model=AGENT, messages=user("Count to 3"), temperature=0.5)
    answer = raw.parse()
    assert answer.choices[0].message.content == "1, 2, 3", answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.governance["results"][0]["leaf_hash"] == raw.headers["x-gavel-leaf-hash"]


def streamed(client):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(
        model=AGENT, messages=user("Which card?"), stream=True, stream_options=options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "[redacted:card]" in text and CARD not in text, text
    assert chunks[-1].usage.completion_tokens > 0
    assert [result["stage"] for result in chunks[-1].governance["results"]] == ["input", "output"]
    with client.chat.completions.stream(model=AGENT, messages=user("Count to 4")) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "1, 2, 3, 4"


def tools(client):
    messages = user("Please get_time")
    said = client.chat.completions.create(model=AGENT, messages=messages, tools=TOOLS).choices[0]
    assert said.finish_reason == "tool_calls", said
    (call,) = said.message.tool_calls
    assert json.loads(call.function.arguments) == {"question": "Please get_time"}
    messages += [said.message, {"role": "tool", "tool_call_id": call.id, "content": "Twelve."}]
    answer = client.chat.completions.create(model=AGENT, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == "The tool says: Twelve.", answer
    with client.chat.completions.stream(model=AGENT, messages=user("Please get_time"), tools=TOOLS) as stream:
        for _ in stream:
            pass
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
        assert streamed.function.arguments == call.function.arguments


def fails(kind, code, ask):
    try:
        ask()
    except kind as error:
        assert error.code == code, (error.code, error.body)
        return error
    raise AssertionError(f"{code} was expected")


def errors(client):
    def ask(**wish):
        return lambda: client.chat.completions.create(**{"model": AGENT, "messages": user("Hi"), **wish})

    fails(openai.NotFoundError, "model_not_found", ask(model="gpt-none"))
    assert fails(openai.BadRequestError, "invalid_request", ask(n=2)).param == "n"
    for stream in [False, True]:
        blocked = ask(model=BLOCKING, messages=user(CARD), stream=stream)
        error = fails(openai.BadRequestError, "content_filter", blocked)
        assert error.body["governance"]["results"][0]["decision"] == "block"
    answer = client.chat.completions.create(model=BLOCKING, messages=user("Which card?"))
    assert answer.choices[0].finish_reason == "content_filter"
    stranger = client.with_options(api_key="gvu_nonsense")
    fails(openai.AuthenticationError, "unauthorized", stranger.models.list)


async def asynchronous():
    async with openai.AsyncOpenAI() as client:
        stream = await client.chat.completions.create(model=AGENT, messages=user("Count to 5"), stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == "1, 2, 3, 4, 5", text


if __name__ == "__main__":
    with openai.OpenAI() as synchronous:
        for story in [models, whole, streamed, tools, errors]:
            story(synchronous)
    asyncio.run(asynchronous())
    print(f"openai {openai.__version__} for Python: all is well")
