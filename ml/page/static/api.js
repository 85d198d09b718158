// The server's HTTP API. A refusal becomes an `ApiError` with the server's own sentence.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const TRIES = 6;
const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  const stop = () => { clearTimeout(timer); reject(signal.reason); };
  const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
  signal?.addEventListener("abort", stop, { once: true });
});

// Ask, and again where the server is busy (429, 503), as long as it says or a second.
const ask = async (address, options = {}) => {
  for (let attempt = 1; ; attempt++) {
    let answer;
    try {
      answer = await fetch(address, options);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError("The server does not answer. Is naturewatch page still running?", 0);
    }
    if (answer.ok) return answer;
    if (![429, 503].includes(answer.status) || attempt === TRIES) throw new ApiError(await reason(answer), answer.status);
    await pause(1000 * Math.min(10, Number(answer.headers.get("retry-after")) || 1), options.signal);
  }
};

const reason = async answer => {
  const body = await answer.json().catch(() => ({}));
  return typeof body.detail === "string" ? body.detail : `The server refused (status ${answer.status}).`;
};

const json = async (address, options) => (await ask(address, options)).json();
const form = fields => {
  const made = new FormData();
  for (const [name, value, file] of fields) file ? made.append(name, value, file) : made.append(name, value);
  return made;
};

export const model = () => json("/api/model");
export const taxa = (query, signal) => json(`/api/taxa?${new URLSearchParams({ query, limit: 10 })}`, { signal });
export const place = text => json(`/api/place?${new URLSearchParams({ text })}`);
export const occurrences = () => json("/api/occurrences");
export const coastline = () => json("/coastline.json");
export const examples = key => json(`/api/examples?${new URLSearchParams({ taxon_key: key })}`);

// {model, answers}: one answer or error per file, or one for all of them `together`.
export const identify = (files, { question, together = false, signal }) => json("/api/identify", {
  method: "POST",
  signal,
  body: form([
    ...files.map(file => ["images", file, file.name]),
    ["question", JSON.stringify(question)],
    ["together", String(together)],
  ]),
});

export const views = (file, { region, signal }) => json("/api/views", {
  method: "POST",
  signal,
  body: form([["image", file, file.name], ...(region ? [["region", JSON.stringify(region)]] : [])]),
});

// A file of answers: its name and content.
export const exported = async (format, answers) => {
  const answer = await ask(`/api/export/${encodeURIComponent(format)}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ answers }),
  });
  const name = /filename="?([^";]+)"?/.exec(answer.headers.get("content-disposition") ?? "")?.[1];
  return { name: name ?? `answers.${format}`, blob: await answer.blob() };
};
