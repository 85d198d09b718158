// Asks about photographs in small requests, one after the other, so that answers appear as they come.

import { ApiError, identify } from "./api.js";

const CHUNK = 4;
// Also for servers that take more at once: answers shall come every few seconds.
const CHUNK_BYTES = 24 * 1024 * 1024;

export class Asking {
  #queue = [];
  #chunk = [];
  #ending = null;

  // `question` gives what is asked of an item; `version` whose answers still count; `limits` what a request may hold;
  // `changed` is told of each item.
  constructor({ question, version, limits, changed, answeredBy }) {
    Object.assign(this, { question, version, limits, changed, answeredBy });
  }

  get busy() { return this.#ending !== null; }

  // Ask about these items, after those that wait. What the version has answered before is not asked again: a switch
  // goes back and forth without a request.
  add(items) {
    const open = [];
    for (const item of items) {
      const answer = item.known.get(this.#key(this.#asked(item)));
      if (answer) Object.assign(item, { answer, error: null, state: "answered" });
      else open.push(Object.assign(item, { state: "waiting" }));
    }
    this.#queue.push(...open.filter(item => !this.#queue.includes(item)));
    if (open.length < items.length) this.changed(items.filter(item => !open.includes(item)));
    if (open.length && !this.busy) this.#run();
  }

  #asked(item) { return JSON.stringify(this.question(item)); }

  #key(asked) { return `${this.version()} ${asked}`; }

  // Forget what waits and what is being asked. Answers that have come stay.
  stop() {
    this.#ending?.abort();
    for (const item of [...this.#chunk, ...this.#queue]) this.#settle(item);
    [this.#chunk, this.#queue] = [[], []];
    this.#ending = null;
  }

  #settle(item) {
    item.state = item.answer ? "answered" : item.error === null ? "stopped" : "failed";
  }

  async #run() {
    const ending = this.#ending = new AbortController();
    // The first answer comes alone, and soon.
    for (let most = 1; this.#queue.length; most = CHUNK) {
      const chunk = this.#chunk = this.#take(most);
      for (const item of chunk) item.state = "asking";
      this.changed(chunk);
      await this.#ask(chunk, ending.signal);
      // Another run may be at work by now, on the same items.
      if (ending.signal.aborted) return;
      this.#chunk = [];
      this.changed(chunk);
    }
    this.#ending = null;
    this.changed([]);
  }

  // The next items that share a request: an item with several photographs, or a region, has one of its own.
  #take(most) {
    const alone = item => item.files.length > 1 || item.region !== null;
    const chunk = [this.#queue.shift()];
    let bytes = chunk[0].files[0].size;
    const few = Math.min(most, this.limits().files);
    while (!alone(chunk[0]) && chunk.length < few && this.#queue.length && !alone(this.#queue[0])) {
      bytes += this.#queue[0].files[0].size;
      if (bytes > CHUNK_BYTES) break;
      chunk.push(this.#queue.shift());
    }
    return chunk;
  }

  async #ask(chunk, signal) {
    // A region may be marked meanwhile.
    const asked = chunk.map(item => this.#asked(item));
    try {
      const files = chunk.flatMap(item => item.files), together = files.length > chunk.length;
      const { model, answers } = await identify(files, { question: this.question(chunk[0]), together, signal });
      await this.answeredBy(model);
      if (signal.aborted) return;
      chunk.forEach((item, position) => {
        this.#answered(item, answers[position]);
        if (item.answer) item.known.set(this.#key(asked[position]), item.answer);
      });
    } catch (error) {
      if (signal.aborted) return;
      // One photograph that is refused must not take the others with it.
      if (chunk.length > 1 && error instanceof ApiError && error.status !== 0) {
        for (const item of chunk) if (!signal.aborted) await this.#ask([item], signal);
        return;
      }
      for (const item of chunk) this.#answered(item, { error: error.message });
      if (!(error instanceof ApiError)) reportError(error);
    }
  }

  #answered(item, answer) {
    const failed = answer.error !== undefined;
    Object.assign(item, failed ? { answer: null, error: answer.error, state: "failed" }
      : { answer, error: null, state: "answered" });
  }
}
