
// The page refreshes by itself while somebody can see it, and asks less often while nothing answers.

const board = {
  summary: null, progress: null, settings: null, attention: null, holds: null, prefixes: { prefix: "", pages: PREFIX_PAGES, root: null, shown: null },
};

const EVERY = 5_000;
const MOST_WAIT = 60_000;
const connection = { timer: 0, failures: 0, running: null, again: false, lastAt: null, hours: "1" };

const signedIn = () => kept.get("token") !== "";

/** What is asked for how often, in milliseconds. */
const TASKS = [
  { every: 0, run: refreshSummary, last: -Infinity },
  { every: 15_000, run: refreshProgress, last: -Infinity },
  { every: 15_000, run: refreshSettings, last: -Infinity },
  // A version of the driver without holds has no such member.
  { every: 15_000, run: (signal) => (board.summary?.held ? refreshHolds(signal) : undefined), last: -Infinity },
  { every: 30_000, run: refreshPrefixes, last: -Infinity },
  { every: 60_000, run: refreshAttention, last: -Infinity, stamp: () => attentionStamp() },
  { every: 15_000, run: refreshListing, last: -Infinity },
  { every: 0, run: () => refreshRepository(), last: -Infinity },
];

async function refreshSummary(signal) {
  const summary = await get("migrations/summary", {}, signal);
  board.summary = summary;
  drawSummary();
}

async function refreshProgress(signal) {
  board.progress = await get("migrations/progress", { hours: connection.hours }, signal);
  drawPlot(board.progress);
}

/** What may have changed the groups. */
function attentionStamp() {
  const { states, stuck, tags } = board.summary ?? {};
  return states && JSON.stringify([states.import_aborted.count, states.import_skipped.count, stuck.count, tags]);
}

function drawSummary() {
  const { summary } = board;
  if (!summary) return;
  drawNumbers(summary);
  drawStates(summary);
  drawNotes(summary);
  drawSource(summary);
}

function show(what) {
  byId("sign-in").hidden = what !== "sign-in";
  byId("loading").hidden = what !== "loading";
  byId("board").hidden = what !== "board";
  byId("who").hidden = what === "sign-in";
  if (what === "sign-in") for (const name of ["switch", "source", "banner"]) byId(name).hidden = true;
}

/** Ends the session: the token was refused, or somebody signs out. */
function signOut(why) {
  kept.set("token", "");
  clearTimeout(connection.timer);
  connection.running?.abort();
  connection.running = null;
  if (panel.open) panel.close();
  seen.clear();
  Object.assign(board, { summary: null, progress: null, settings: null, attention: null, holds: null });
  Object.assign(board.prefixes, { root: null, shown: null });
  show("sign-in");
  say(byId("sign-in-error"), why ?? "");
  byId("token").value = "";
  byId("token").focus();
}

function banner(text) {
  const node = byId("banner");
  node.hidden = !text;
  if (!text) {
    node.replaceChildren();
    return;
  }
  node.replaceChildren(element("span", {}, text), element("button", { type: "button", onclick: () => refresh() }, "Try now"));
}

function failed(error) {
  if (error.status === 401) {
    signOut("The token was refused.");
    return;
  }
  connection.failures += 1;
  const wait = Math.max(1000 * (error.retryAfter ?? 0), Math.min(MOST_WAIT, EVERY * 2 ** (connection.failures - 1)) * (0.8 + 0.4 * Math.random()));
  const old = board.summary ? ` What is shown is as of ${CLOCK.format(new Date(board.summary.at))}.` : "";
  banner(`${error.message}${old} It is tried again in ${duration(wait / 1000)}.`);
  schedule(wait);
}

function schedule(wait) {
  clearTimeout(connection.timer);
  connection.timer = setTimeout(refresh, wait);
}

/** One round: what is due, one after the other. None, and no further one, while nobody can see the page. */
async function refresh() {
  clearTimeout(connection.timer);
  if (!signedIn() || document.hidden) return;
  if (connection.running) {
    connection.again = true;
    return;
  }
  const running = new AbortController();
  connection.running = running;
  connection.again = false;
  try {
    for (const task of TASKS) {
      const stamp = task.stamp?.();
      if (performance.now() - task.last < task.every && stamp === task.lastStamp) continue;
      // Before it is asked for: what is changed meanwhile makes it due again.
      task.last = performance.now();
      try {
        await task.run(running.signal);
      } catch (error) {
        task.last = -Infinity;
        throw error;
      }
      task.lastStamp = stamp;
      if (connection.failures > 0) banner("");
      connection.failures = 0;
      if (byId("board").hidden && board.summary) show("board");
    }
    connection.running = null;
    banner("");
    schedule(connection.again ? 0 : EVERY);
  } catch (error) {
    if (running.signal.aborted) return;
    connection.running = null;
    if (!(error instanceof Refusal)) {
      console.error(error);
      failed(new Refusal(0, { detail: "The page could not read an answer." }));
      return;
    }
    failed(error);
  }
}

/** Something was changed from here: everything is asked for anew. */
function changed() {
  for (const task of TASKS) task.last = -Infinity;
  drawAttention();
  drawListing();
  refresh();
}

/** Runs what somebody asked for, besides the rounds. */
async function attempt(run) {
  try {
    await run();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refusal)) {
      console.error(error);
      banner("The page could not read an answer.");
    } else if (error.status === 401) signOut("The token was refused.");
    else banner(error.message);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
addEventListener("online", () => refresh());
addEventListener("offline", () => {
  // What is under way would be waited for in vain.
  connection.running?.abort();
  connection.running = null;
  if (signedIn()) failed(new Refusal(0));
});
byId("hours").addEventListener("change", (event) => {
  connection.hours = event.target.value;
  attempt(refreshProgress);
});
