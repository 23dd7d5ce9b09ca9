
// What somebody should look at, grouped by cause: the largest group first.

const MOST_ATTENTION = 10_000;
const ROWS_AT_ONCE = 100;
const TROUBLES = {
  failed: "failed, tried again",
  skipped: "skipped",
  stuck: "stuck",
  tags_missing: "tags missing",
  tags_unverified: "tags unverified",
};

function group(rows) {
  const groups = new Map();
  for (const row of rows) {
    // Found once: a filter goes through all rows at each letter.
    row.cause ??= cause(row);
    row.text ??= [row.path, row.cause, row.detail ?? ""].join("\n").toLowerCase();
    const why = row.cause;
    const key = `${row.trouble} ${why}`;
    const known = groups.get(key);
    if (known) known.rows.push(row);
    else groups.set(key, { key, trouble: row.trouble, cause: why, meant: CHOSEN_REASONS.includes(row.skipped_reason), rows: [row] });
  }
  return [...groups.values()].sort((a, b) => b.rows.length - a.rows.length || a.cause.localeCompare(b.cause));
}

/** A row whose answer is older than what this tab has seen: it may have left its group. */
const stillTroubled = (row) => {
  const known = seen.get(row.path);
  return !known || known.version <= row.version || ["import_aborted", "import_skipped"].includes(known.migration_state);
};

async function refreshAttention(signal) {
  const { items, more } = await pages("migrations/attention", {}, "repositories", MOST_ATTENTION, signal);
  board.attention = { rows: items, more, groups: null };
  drawAttention();
}

function attentionRow(row) {
  const buttons = element("td", {});
  const cells = [element("td", {}), element("td", {}), element("td", { className: "count" }), buttons];
  const line = element("tr", {},
    element("th", { scope: "row" }, element("button", { type: "button", className: "link", onclick: () => openRepository(row.path) }, row.path)), cells);
  line.cells_ = cells;
  return line;
}

function updateAttentionRow(line, row) {
  const [said, since, retries, buttons] = line.cells_;
  say(said, row.detail ?? "");
  say(since, `${duration(secondsSince(row.state_since))}`);
  say(retries, count(row.retries_count));
  if (line.version !== row.version) {
    line.version = row.version;
    buttons.replaceChildren(element("span", { className: "buttons" }, row.trouble === "failed"
      ? element("button", { type: "button", onclick: () => act(ACTIONS[0], row), ariaLabel: `Retry ${row.path}` }, "Retry …")
      : null));
  }
}

function groupElement(of) {
  const body = element("tbody", {});
  const more = element("button", { type: "button", hidden: true }, "Show more");
  const figure = element("span", { className: "figure" });
  const details = element("details", { ontoggle: () => drawGroup(details) },
    element("summary", {}, figure, element("span", { className: "reason" }, of.cause), element("span", { className: "quiet" }, TROUBLES[of.trouble] ?? of.trouble)),
    element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: of.cause },
      element("table", {}, element("thead", {}, element("tr", {},
        ["Repository", "What the registry said", "For"].map((name) => element("th", { scope: "col" }, name)),
        element("th", { scope: "col", className: "count" }, "Failures"),
        element("td", {}))), body)),
    element("div", { className: "buttons" }, more, groupButtons(of.key)));
  details.parts = { body, figure, more, limit: ROWS_AT_ONCE };
  more.addEventListener("click", () => {
    details.parts.limit += ROWS_AT_ONCE;
    drawGroup(details);
  });
  return details;
}

function drawGroup(details) {
  const { body, figure, more, limit } = details.parts;
  say(figure, count(details.group.rows.length));
  // What is not open is not drawn.
  const shown = details.open ? details.group.rows.slice(0, limit) : [];
  keyed(body, shown, (row) => row.path, attentionRow, updateAttentionRow);
  more.hidden = details.group.rows.length <= limit;
}

function drawAttention() {
  const { attention } = board;
  if (!attention?.rows) return;
  const rows = attention.rows.filter(stillTroubled);
  if (!attention.groups || rows.length !== attention.rows.length) {
    attention.rows = rows;
    attention.groups = group(rows);
  }
  const wanted = byId("attention-filter").value.trim().toLowerCase();
  const groups = wanted === "" ? attention.groups
    : attention.groups.map((of) => ({ ...of, rows: of.rows.filter((row) => row.text.includes(wanted)) })).filter((of) => of.rows.length > 0);
  keyed(byId("attention"), groups, (of) => of.key, groupElement, (details, of) => {
    details.group = of;
    drawGroup(details);
  });
  const number = groups.reduce((sum, of) => sum + of.rows.length, 0);
  say(byId("attention-note"), attention.rows.length === 0 ? "Nothing failed, was skipped, is stuck or has lost tags."
    : wanted !== "" ? `${counted(number, "repository fits", "repositories fit")} the filter.`
    : attention.more ? `The first ${count(attention.rows.length)} by path are grouped here.` : "");
  drawFailures();
}

/** One after the other, as long as nobody stops it: a refusal that concerns all of them ends it. */
async function retryGroup(key) {
  const of = board.attention.groups.find((group) => group.key === key);
  if (!of) return;
  await confirmAct({
    title: `Retry ${counted(of.rows.length, "repository", "repositories")}?`,
    text: `Cause: ${of.cause}. Each is started at once, one after the other, until no slot is free.`,
    yes: "Retry all",
    act: async () => {
      let started = 0;
      for (const row of of.rows) {
        try {
          remember(await ask("POST", `migrations/retry/${encodePath(row.path)}`));
          started += 1;
        } catch (refusal) {
          if (refusal.kind === "wrong-migration-state" || refusal.status === 404) continue;
          if (started === 0) throw refusal;
          announce(`${counted(started, "repository was", "repositories were")} started. Then: ${refusal.message}`);
          return true;
        }
      }
      announce(`${counted(started, "repository was", "repositories were")} started.`);
      return true;
    },
  });
  changed();
}

const groupButtons = (key) =>
  key.startsWith("failed ") ? element("button", { type: "button", onclick: () => retryGroup(key) }, "Retry all of them …") : null;

let filterTimer = 0;
byId("attention-filter").addEventListener("input", () => {
  clearTimeout(filterTimer);
  filterTimer = setTimeout(drawAttention, 150);
});
