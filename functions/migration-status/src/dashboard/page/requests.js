
// What is asked of the driver. The token and the operator's name stay in this tab.

const kept = {
  get: (name) => sessionStorage.getItem(name) ?? "",
  set: (name, value) => (value ? sessionStorage.setItem(name, value) : sessionStorage.removeItem(name)),
};

/** How long an answer is waited for, in milliseconds: longer than the driver takes for what is read, and than the gateway waits. */
const PATIENCE_TO_READ = 12_000;
const PATIENCE_TO_CHANGE = 35_000;

/** An answer that is no success, or none. `status` is 0 where nothing answered. */
class Refusal extends Error {
  constructor(status, problem, retryAfter) {
    super(problem?.detail ?? problem?.message ?? (status === 0 ? "The driver does not answer." : `The answer is ${status}.`));
    this.status = status;
    this.kind = String(problem?.type ?? "").split(":").pop();
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

const encodePath = (path) => path.split("/").map(encodeURIComponent).join("/");

function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/** Asks the driver. Answers with the body's JSON; anything but a success is thrown as a Refusal. */
async function ask(method, path, { query, body, signal } = {}) {
  const headers = { Authorization: `Bearer ${kept.get("token")}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && kept.get("operator")) headers["X-Operator"] = kept.get("operator");
  const patience = AbortSignal.timeout(method === "GET" ? PATIENCE_TO_READ : PATIENCE_TO_CHANGE);
  let answer;
  let text;
  try {
    answer = await fetch(address(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0);
  }
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch {
    if (answer.ok) throw new Refusal(0, { detail: "What answered is not the driver." });
  }
  if (!answer.ok) throw new Refusal(answer.status, parsed, Number(answer.headers.get("retry-after")) || undefined);
  return parsed;
}

const get = (path, query, signal) => ask("GET", path, { query, signal });

/** Every page of a list, until there are `most` items. Says whether more follow. */
async function pages(path, query, member, most, signal) {
  const items = [];
  let after;
  do {
    const page = await get(path, { ...query, after }, signal);
    items.push(...page[member]);
    after = page.next;
  } while (after !== null && after !== undefined && items.length < most);
  return { items, more: after !== null && after !== undefined, next: after };
}
