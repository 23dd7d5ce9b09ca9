
// How each prefix stands, level by level.

/** How many rows are counted before somebody asks for more: pages of ten thousand each. */
const PREFIX_PAGES = 5;

/** The parts of a prefix that stood on two pages, added up. */
function joinParts(items) {
  const joined = new Map();
  for (const item of items) {
    const known = joined.get(item.prefix);
    if (!known) {
      joined.set(item.prefix, { ...item, states: { ...item.states } });
      continue;
    }
    for (const name of ["repositories", "tags", "tags_left", "tags_unknown"]) known[name] += item[name];
    for (const [state, number] of Object.entries(item.states)) known.states[state] = (known.states[state] ?? 0) + number;
  }
  return [...joined.values()];
}

async function loadPrefixes(prefix, signal, most = PREFIX_PAGES) {
  const items = [];
  let after;
  for (let page = 0; page < most; page += 1) {
    const answer = await get("migrations/prefixes", { prefix, after }, signal);
    items.push(...answer.prefixes);
    after = answer.next;
    if (!after) break;
  }
  return { items: joinParts(items), more: Boolean(after) };
}

const inState = (item, ...states) => states.reduce((sum, state) => sum + (item.states[state] ?? 0), 0);

function prefixRow(item) {
  const name = item.prefix.endsWith("/")
    ? element("button", { type: "button", className: "link", onclick: () => openPrefix(item.prefix) }, item.prefix)
    : element("button", { type: "button", className: "link", onclick: () => openRepository(item.prefix) }, item.prefix);
  const bar = shape("svg", { class: "bar", viewBox: "0 0 1000 12", preserveAspectRatio: "none", "aria-hidden": "true" });
  const cells = Array.from({ length: 6 }, () => element("td", { className: "count" }));
  const hold = element("td", { className: "hold-column" });
  const row = element("tr", {}, element("th", { scope: "row" }, name), element("td", { className: "wide" }, bar), cells, hold);
  row.parts = { bar, cells, hold };
  return row;
}

function updatePrefixRow(row, item) {
  const { bar, cells, hold } = row.parts;
  drawBar(bar, item.states, item.repositories);
  const failed = inState(item, "import_aborted", "import_skipped");
  const numbers = [
    item.repositories, inState(item, "import_done"), inState(item, ...IN_PROGRESS), inState(item, "default"), failed, item.tags_left,
  ];
  numbers.forEach((number, index) => say(cells[index], count(number)));
  cells[4].classList.toggle("bad", failed > 0);
  drawHoldCell(hold, item.prefix);
}

function drawPrefixes() {
  const shown = board.prefixes.shown;
  if (!shown) return;
  keyed(byId("prefixes").tBodies[0], shown.items, (item) => item.prefix, prefixRow, updatePrefixRow);
  byId("prefixes-empty").hidden = shown.items.length > 0;
  say(byId("prefixes-empty"), board.prefixes.prefix
    ? `No repository's path begins with ${board.prefixes.prefix}.`
    : "No repository is registered yet. POST /repositories or POST /repositories/from-catalog registers them.");
  byId("prefixes-more").hidden = !shown.more;
}

function drawCrumbs() {
  const steps = board.prefixes.prefix.split("/").filter(Boolean);
  const crumbs = [{ prefix: "", name: "all" }];
  steps.forEach((name, index) => crumbs.push({ prefix: `${steps.slice(0, index + 1).join("/")}/`, name }));
  byId("crumbs").replaceChildren(...crumbs.map(({ prefix, name }) => element("button", {
    type: "button", className: "link", ariaCurrent: prefix === board.prefixes.prefix ? "true" : null, onclick: () => openPrefix(prefix),
  }, `${name}${prefix ? "/" : ""}`)));
}

async function openPrefix(prefix) {
  board.prefixes.prefix = prefix;
  board.prefixes.pages = PREFIX_PAGES;
  drawCrumbs();
  byId("crumbs").lastElementChild?.focus();
  await attempt(refreshPrefixes);
}

async function refreshPrefixes(signal) {
  const { prefix, pages: most } = board.prefixes;
  const found = await loadPrefixes(prefix, signal, most);
  if (prefix === "") board.prefixes.root = found;
  if (prefix === board.prefixes.prefix) board.prefixes.shown = found;
  drawPrefixes();
}

byId("prefixes-more").addEventListener("click", () => {
  board.prefixes.pages *= 2;
  attempt(refreshPrefixes);
});
