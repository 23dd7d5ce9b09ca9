
// One repository's life: how it stands, what happens next, its history, and the importer's proof.

const panel = byId("repository");
const MOST_LINES = 2000;
const opened = { path: null, row: null, history: null, explained: null, proof: null, error: null, abort: null };

const EVENT_TEXT = (line) => (line.from_state === line.to_state
  ? STATE_NAMES.get(line.to_state)
  : `${STATE_NAMES.get(line.from_state)} → ${STATE_NAMES.get(line.to_state)}`);

async function openRepository(path, focus = true) {
  opened.abort?.abort();
  Object.assign(opened, { path, row: null, history: null, explained: null, proof: null, error: null, abort: new AbortController() });
  say(byId("repository-title"), path);
  byId("repository-body").replaceChildren(element("p", { className: "loading" }, "Loading …"));
  if (!panel.open) panel.showModal();
  if (focus) byId("repository-title").focus();
  if (location.hash !== `#${path}`) history.replaceState(null, "", `#${path}`);
  await attempt(refreshRepository);
  await attempt(refreshExplained);
}

async function refreshRepository() {
  const { path, abort } = opened;
  if (!path) return;
  const { signal } = abort;
  const min_version = seenVersion(path);
  try {
    const row = await get(`migrations/status/${encodePath(path)}`, { min_version }, signal);
    remember(row);
    if (opened.history === null || opened.row?.version !== row.version) {
      const lines = await pages(`migrations/history/${encodePath(path)}`, { min_version: row.version, limit: 500 }, "transitions", MOST_LINES, signal);
      opened.proof = (await get(`migrations/proof/${encodePath(path)}`, {}, signal)).import ?? false;
      const again = opened.row !== null;
      opened.history = lines;
      opened.row = row;
      drawRepository();
      if (again) await refreshExplained();
    }
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Refusal) || ![400, 404].includes(error.status)) throw error;
    opened.error = error.message;
    byId("repository-body").replaceChildren(element("p", { className: "error" }, `${path}: ${error.message}`));
  }
}

async function refreshExplained() {
  const { path, abort } = opened;
  if (!path || opened.error) return;
  try {
    opened.explained = await get(`migrations/explain/${encodePath(path)}`, {}, abort.signal);
    remember(opened.explained.repository);
  } catch (error) {
    if (abort.signal.aborted) return;
    if (error.status === 401) throw error;
    opened.explained = { failed: error.message };
  }
  drawRepository();
}

function explainedElement() {
  const { explained } = opened;
  if (!explained) return element("p", { className: "explained quiet" }, "Asking the registry …");
  if (explained.failed) return element("p", { className: "explained error" }, explained.failed);
  const { expected, registry } = explained;
  const says = !registry.answered ? "The registry does not answer."
    : registry.status ? `The registry says ${words(registry.status)}${registry.detail ? `: ${registry.detail}` : ""}.`
    : "The registry knows of no import.";
  return element("div", { className: "explained" },
    element("p", {}, element("strong", {}, "What happens next: "), expected.text), element("p", { className: "quiet" }, says));
}

function timelineItem(line) {
  const around = [
    line.cause && `by ${words(line.cause)}${line.operator ? ` (${line.operator})` : ""}`, line.slot && `slot ${line.slot}`,
  ].filter(Boolean).join(" · ");
  return element("li", { className: line.applied ? "" : "ignored" },
    element("div", {}, element("strong", {}, words(line.event)), ` · ${EVENT_TEXT(line)}`,
      line.applied ? "" : ` · changed nothing (${words(line.verdict)})`),
    line.detail ? element("div", {}, line.detail) : null,
    element("div", { className: "quiet" }, element("time", { dateTime: line.created_at }, time(line.created_at)), ` ${around}`,
      line.attempt ? element("span", { title: `attempt ${line.attempt}` }, ` · attempt ${line.attempt.slice(0, 8)}`) : ""));
}

function proofElement(proof) {
  const tags = Object.entries(proof.tags).map(([state, number]) => `${count(number)} ${words(state)}`).join(", ") || "none yet";
  const short = (digest) => (digest ? `${digest.slice(0, 19)}…` : "");
  return [
    element("h3", {}, "The importer's proof"),
    facts([
      ["Copied to", proof.target], ["Import", words(proof.status)], ["Tags", tags],
      ["Bytes", `${bytes(proof.bytes_done)} of ${bytes(proof.bytes_known)}`], ["Ended", time(proof.ended_at)],
      ["Error", [words(proof.cause), proof.error].filter(Boolean).join(": ")],
    ]),
    element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Tags" }, element("table", {},
      element("thead", {}, element("tr", {}, ["Tag", "Result", "Source", "Target"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, proof.first_tags.map((tag) => element("tr", {}, element("th", { scope: "row" }, tag.tag),
        element("td", {}, words(tag.state) + (tag.cause ? ` (${words(tag.cause)})` : "")),
        element("td", { title: tag.source_digest ?? "" }, short(tag.source_digest)),
        element("td", { title: tag.target_digest ?? "" }, short(tag.target_digest))))))),
  ];
}

function drawRepository() {
  const { row, history: lines, proof } = opened;
  if (!row || !lines) return;
  const missing = row.missing_tags;
  const focused = document.activeElement?.dataset?.action;
  const buttons = [...actionButtons(row), ...holdButtons(row)];
  byId("repository-body").replaceChildren(...[
    element("p", {}, stateLabel(row.migration_state), row.skipped_reason ? ` ${words(row.skipped_reason)}` : "",
      ` for ${duration(secondsSince(row.state_since))}`),
    explainedElement(),
    element("div", { className: "buttons" }, buttons,
      element("button", { type: "button", onclick: () => attempt(refreshExplained) }, "Ask the registry again")),
    facts([
      ["Failures counted", row.retries_count ? count(row.retries_count) : ""], ["The registry said", row.detail],
      ["Tags", row.tags_count === null ? "" : count(row.tags_count)], ["Tags compared", words(row.tags_check)],
      ["Missing tags", missing ? `${count(missing.count)}: ${(missing.sample ?? missing.names ?? []).join(", ")}` : ""],
      ["Not before", time(row.not_before)], ["Held since", time(row.held_since)], ["Slot", row.slot === null ? "" : String(row.slot)],
      ["Plan", row.plan], ["Priority", row.priority ? String(row.priority) : ""], ["Registered", time(row.created_at)], ["Version", String(row.version)],
    ]),
    element("h3", {}, "History"),
    element("ol", { className: "timeline" }, lines.items.map(timelineItem)),
    lines.items.length === 0 ? element("p", { className: "quiet" }, "Nothing has happened yet.") : null,
    lines.more ? element("p", { className: "quiet" }, `Only the first ${count(lines.items.length)} lines are shown.`) : null,
    ...(proof ? proofElement(proof) : []),
  ].filter(Boolean));
  if (focused) byId("repository-body").querySelector(`[data-action="${focused}"]`)?.focus();
}

function closeRepository() {
  opened.abort?.abort();
  opened.path = null;
  if (location.hash) history.replaceState(null, "", location.pathname);
}

byId("repository-close").addEventListener("click", () => panel.close());
panel.addEventListener("close", closeRepository);
