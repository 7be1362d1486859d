/** The data of each server-sent event in a stream of bytes, however the bytes are cut. */
export async function* events(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let pending = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pending += decoder.decode(value, { stream: true });
    // A return that ends what has come may be half of a line's end.
    const lines = pending.split(/\r\n|\n|\r(?!$)/);
    pending = lines.pop();
    for (const line of lines) {
      // Every API of this kind gives each event's data in one line. Comments and other fields mean nothing here.
      if (line.startsWith('data:')) yield line.slice('data:'.length).trimStart();
    }
  }
}
